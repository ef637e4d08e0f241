//! uint24 framing: a length in 3 little-endian bytes, then that many bytes (PROTOCOL.md §5).

use crate::error::WireError;
use crate::limits;

/// Bytes of the length field.
pub const HEADER: usize = 3;

/// Appends the length field of a frame.
pub fn put_header(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length <= limits::UINT24);
    out.extend_from_slice(&(length as u32).to_le_bytes()[..HEADER]);
}

/// Cuts a byte stream into frames. It holds what arrived of the frames that are not taken yet, and no more.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    taken: usize,
}

impl FrameReader {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            // A long frame's memory is not kept for the short ones.
            if self.buffer.capacity() > limits::FRAME {
                self.buffer.shrink_to(self.buffer.len());
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has arrived. A frame above `limit` is refused as soon as its length is known.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<&[u8]>, WireError> {
        let arrived = &self.buffer[self.taken..];
        let Some((header, rest)) = arrived.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        if length > limit {
            return Err(WireError::FrameTooLong);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.taken + HEADER;
        self.taken = start + length;
        Ok(Some(&self.buffer[start..self.taken]))
    }

    /// What arrived of the frames that were not taken.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.drain(..self.taken);
        self.buffer
    }

    /// Bytes of memory held.
    pub fn allocated(&self) -> usize {
        self.buffer.capacity()
    }
}

/// Follows where the frames of a byte stream end, and holds none of their bytes.
#[derive(Debug, Default)]
pub struct FrameEnds {
    header: [u8; HEADER],
    /// How much of the header has arrived.
    known: usize,
    /// How much is missing of the frame behind it.
    missing: usize,
}

/// What bytes that arrived have to do with frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Whether a frame ended in them.
    pub has_ended: bool,
    /// How many of them are of a frame that is not whole, if there is one.
    pub begun: Option<usize>,
}

impl FrameEnds {
    /// Bytes that arrived go by.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Passed {
        let (mut has_ended, mut begun) = (false, 0);
        while let Some(first) = bytes.first() {
            let passed = if self.known < HEADER {
                self.header[self.known] = *first;
                self.known += 1;
                let [low, middle, high] = self.header;
                self.missing = u32::from_le_bytes([low, middle, high, 0]) as usize;
                1
            } else {
                let passed = self.missing.min(bytes.len());
                self.missing -= passed;
                passed
            };
            bytes = &bytes[passed..];
            begun += passed;
            if self.known == HEADER && self.missing == 0 {
                self.known = 0;
                has_ended = true;
                begun = 0;
            }
        }
        Passed { has_ended, begun: (self.known > 0).then_some(begun) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_header(&mut bytes, payload.len());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let payloads: [&[u8]; 4] = [b"", b"a", &[7; 256], &[8; 70_000]];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        for size in [1, 2, 3, 255, 4096, stream.len()] {
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(size) {
                reader.push(chunk);
                while let Some(frame) = reader.next_frame(100_000).unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(frames, payloads, "chunks of {size}");
        }
    }

    #[test]
    fn the_ends_of_frames_are_known_however_the_bytes_are_cut() {
        let stream = [frame(&[]), frame(b"a"), frame(&[7; 70_000]), vec![0x70, 0x11]].concat();
        for size in [1, 2, 3, 255, 4096, stream.len()] {
            let mut ends = FrameEnds::default();
            let passed: Vec<Passed> = stream.chunks(size).map(|chunk| ends.pass(chunk)).collect();
            assert!(passed.iter().any(|passed| passed.has_ended));
            let [.., last] = &passed[..] else { panic!("nothing passed") };
            assert!(last.begun.is_some_and(|bytes| (1..=2).contains(&bytes)), "{last:?} in chunks of {size}");
            assert_eq!(ends.pass(&[1, 9]), Passed { has_ended: false, begun: Some(2) });
            assert_eq!(ends.pass(&[0; 69_998]), Passed { has_ended: false, begun: Some(69_998) });
            assert_eq!(ends.pass(&[0; 1]), Passed { has_ended: true, begun: None });
        }
    }

    #[test]
    fn what_was_not_taken_is_given_back_as_it_came() {
        let mut reader = FrameReader::default();
        reader.push(&[frame(b"taken"), frame(b"whole"), vec![9, 0, 0, 1]].concat());
        assert_eq!(reader.next_frame(9), Ok(Some(&b"taken"[..])));
        assert_eq!(reader.into_rest(), [frame(b"whole"), vec![9, 0, 0, 1]].concat());
    }

    #[test]
    fn an_oversize_frame_is_refused_at_its_length() {
        let mut reader = FrameReader::default();
        reader.push(&[0xff, 0xff, 0xff]);
        assert_eq!(reader.next_frame(65_536), Err(WireError::FrameTooLong));
        assert_eq!(reader.next_frame(crate::limits::UINT24), Ok(None));
    }

    #[test]
    fn a_frame_allocates_only_what_arrived() {
        let mut reader = FrameReader::default();
        reader.push(&[0xff, 0xff, 0xff]);
        reader.push(&[0; 1_000]);
        assert_eq!(reader.next_frame(crate::limits::UINT24), Ok(None));
        assert!(reader.allocated() < 4_096, "{} bytes", reader.allocated());
    }

    #[test]
    fn the_memory_of_a_long_frame_is_not_kept_for_short_ones() {
        let mut reader = FrameReader::default();
        reader.push(&frame(&[7; 1_000_000]));
        assert!(reader.next_frame(crate::limits::UINT24).unwrap().is_some());
        reader.push(&frame(&[8; 10]));
        assert!(reader.next_frame(crate::limits::UINT24).unwrap().is_some());
        assert!(reader.allocated() < 4_096, "{} bytes", reader.allocated());
    }
}
