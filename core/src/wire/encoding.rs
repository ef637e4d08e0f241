//! npm `compact-encoding`: the integers, strings and buffers of the Hypercore family (PROTOCOL.md §1).

use crate::error::WireError;

/// Largest integer that a JavaScript peer can hold, 2^53 - 1.
pub const MAX_UINT: u64 = (1 << 53) - 1;

/// Appends encoded values to a byte vector.
pub trait Encode {
    /// Appends an unsigned integer in 1, 3, 5 or 9 bytes.
    fn put_uint(&mut self, value: u64);
    /// Appends a length and that many bytes.
    fn put_buffer(&mut self, bytes: &[u8]);
    /// Appends a length and that many bytes of UTF-8.
    fn put_string(&mut self, text: &str);
}

impl Encode for Vec<u8> {
    fn put_uint(&mut self, value: u64) {
        match value {
            0..=0xfc => self.push(value as u8),
            0xfd..=0xffff => {
                self.push(0xfd);
                self.extend_from_slice(&(value as u16).to_le_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.push(0xfe);
                self.extend_from_slice(&(value as u32).to_le_bytes());
            }
            _ => {
                self.push(0xff);
                self.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    fn put_buffer(&mut self, bytes: &[u8]) {
        self.put_uint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn put_string(&mut self, text: &str) {
        self.put_buffer(text.as_bytes());
    }
}

/// Reads encoded values off the front of a frame. It never allocates.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `frame`.
    pub fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that has not been read yet.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// An unsigned integer of at most [`MAX_UINT`], also in a longer form than needed.
    pub fn uint(&mut self) -> Result<u64, WireError> {
        let first = self.bytes(1)?[0];
        let width = match first {
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
            small => return Ok(small.into()),
        };
        let mut little_endian = [0; 8];
        little_endian[..width].copy_from_slice(self.bytes(width)?);
        match u64::from_le_bytes(little_endian) {
            value if value <= MAX_UINT => Ok(value),
            _ => Err(WireError::UintTooLarge),
        }
    }

    /// A length and that many bytes.
    pub fn buffer(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.uint()?;
        self.bytes(usize::try_from(length).map_err(|_| WireError::Truncated)?)
    }

    /// A length and that many bytes of UTF-8.
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.buffer()?).map_err(|_| WireError::NotUtf8)
    }

    /// Exactly 32 bytes.
    pub fn fixed32(&mut self) -> Result<[u8; 32], WireError> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.bytes(32)?);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uint_beyond_javascript_is_refused() {
        let mut largest = Vec::new();
        largest.put_uint(MAX_UINT);
        assert_eq!(Reader::new(&largest).uint(), Ok(MAX_UINT));

        let mut beyond = Vec::new();
        beyond.put_uint(MAX_UINT + 1);
        assert_eq!(Reader::new(&beyond).uint(), Err(WireError::UintTooLarge));
    }

    #[test]
    fn a_uint_in_a_longer_form_than_needed_is_read() {
        for longer in [&[0xfd, 7, 0][..], &[0xfe, 7, 0, 0, 0], &[0xff, 7, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Reader::new(longer).uint(), Ok(7));
        }
    }

    #[test]
    fn a_length_beyond_the_frame_is_refused_before_allocation() {
        for announced in [1, 0xffff, 0xff_ffff, 0xffff_ffff, MAX_UINT] {
            let mut frame = Vec::new();
            frame.put_uint(announced);
            assert_eq!(Reader::new(&frame).buffer(), Err(WireError::Truncated));
        }
    }

    #[test]
    fn every_prefix_of_a_frame_is_truncated_and_nothing_else() {
        let mut frame = Vec::new();
        frame.put_uint(0x1_0000);
        frame.put_string("chat");
        frame.extend([7; 32]);
        for length in 0..frame.len() {
            let mut reader = Reader::new(&frame[..length]);
            let read = reader.uint().and_then(|_| reader.string()).and_then(|_| reader.fixed32());
            assert_eq!(read, Err(WireError::Truncated), "{length} bytes");
        }
    }
}
