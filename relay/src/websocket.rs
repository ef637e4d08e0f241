//! WebSocket messages as bytes (RFC 6455): what came from a client, and what goes to it.
//!
//! Headers and codes are the library's. Its socket is not used: it takes a message through three buffers, which is more work than all
//! else that the relay does for it, and keeps one of them while nothing comes.

use std::io::Cursor;
use std::ops::Range;

use peersockets_core::limits::RELAY_MESSAGE;
use tungstenite::Error as WsError;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{FrameHeader, Utf8Bytes};

use crate::refusal::Refusal;

/// Longest payload of a ping, a pong or a Close.
const LONGEST_CONTROL: u64 = 125;
/// Length of the header of a server's frame of 126 to 65,535 bytes, as most are.
const USUAL_HEADER: usize = 4;

/// A message of a client.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// At most [`RELAY_MESSAGE`] bytes.
    Binary(&'a [u8]),
    /// A text, or its first part: nobody wants it.
    Text,
    /// It wants to hear the same in a pong.
    Ping(&'a [u8]),
    /// An answer to a ping.
    Pong,
    /// The end, and what is to be answered.
    Close(Option<CloseFrame>),
}

/// Bytes of a client on their way to messages. It holds no more than those that have come of one message and of one read.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    /// As many of `bytes` are done with.
    read: usize,
    /// The parts that have come of a message in parts, and whether more are to come.
    parts: Vec<u8>,
    is_in_parts: bool,
}

impl Incoming {
    /// Takes bytes in as they come.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, once it is complete. A refusal is the last that can be read.
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, Refusal> {
        if !self.is_in_parts {
            self.parts = Vec::new();
        }
        let (opcode, payload) = loop {
            let Some((header, range)) = self.frame()? else { return Ok(None) };
            match header.opcode {
                OpCode::Data(Data::Continue) => {}
                OpCode::Data(Data::Binary) if !header.is_final => {}
                whole => break (whole, &self.bytes[range]),
            }
            self.parts.extend_from_slice(&self.bytes[range]);
            self.is_in_parts = !header.is_final;
            if header.is_final {
                break (OpCode::Data(Data::Binary), &self.parts[..]);
            }
        };
        Ok(Some(match opcode {
            OpCode::Data(Data::Text) => Message::Text,
            OpCode::Data(_) => Message::Binary(payload),
            OpCode::Control(Control::Ping) => Message::Ping(payload),
            OpCode::Control(Control::Close) => Message::Close(answer_to_close(payload)?),
            OpCode::Control(_) => Message::Pong,
        }))
    }

    /// The next frame, once it is complete: where its payload is, without its mask.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Range<usize>)>, Refusal> {
        let mut cursor = Cursor::new(&self.bytes[self.read..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(broken)? else {
            return Ok(self.await_more());
        };
        let mask = self.check(&header, length)?;
        let start = self.read + cursor.position() as usize;
        let end = start + length as usize;
        if end > self.bytes.len() {
            return Ok(self.await_more());
        }
        unmask(&mut self.bytes[start..end], mask);
        self.read = end;
        Ok(Some((header, start..end)))
    }

    /// Keeps only the bytes that more are awaited for.
    fn await_more<T>(&mut self) -> Option<T> {
        if self.read == self.bytes.len() {
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..self.read);
        }
        self.read = 0;
        None
    }

    /// Whether a frame may come now. Returns its mask.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<[u8; 4], Refusal> {
        if length > RELAY_MESSAGE as u64 {
            return Err(Refusal::TooLong);
        }
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolError::NonZeroReservedBits.into());
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(ProtocolError::FragmentedControlFrame.into()),
            OpCode::Control(_) if length > LONGEST_CONTROL => return Err(ProtocolError::ControlFrameTooBig.into()),
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if !self.is_in_parts => {
                return Err(ProtocolError::UnexpectedContinueFrame.into());
            }
            OpCode::Data(Data::Continue) if self.parts.len() + length as usize > RELAY_MESSAGE => {
                return Err(Refusal::TooLong);
            }
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(data) if self.is_in_parts => return Err(ProtocolError::ExpectedFragment(data).into()),
            OpCode::Data(_) => {}
        }
        header.mask.ok_or_else(|| ProtocolError::UnmaskedFrameFromClient.into())
    }
}

/// Appends a message to `out`, of which `write` appends the payload.
pub fn put_message(out: &mut Vec<u8>, opcode: OpCode, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; USUAL_HEADER]);
    write(out);
    let length = (out.len() - start - USUAL_HEADER) as u64;
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let place = start..start + USUAL_HEADER;
    let _ = match header.len(length) {
        USUAL_HEADER => header.format(length, &mut &mut out[place]),
        other => {
            let mut bytes = Vec::with_capacity(other);
            let written = header.format(length, &mut bytes);
            out.splice(place, bytes);
            written
        }
    };
}

/// Appends a Close to `out`.
pub fn put_close(out: &mut Vec<u8>, close: Option<&CloseFrame>) {
    put_message(out, OpCode::Control(Control::Close), |out| {
        if let Some(CloseFrame { code, reason }) = close {
            out.extend_from_slice(&u16::from(*code).to_be_bytes());
            out.extend_from_slice(reason.as_bytes());
        }
    });
}

/// Where the frame ends that byte number `at` belongs to, in `frames` of a server; `at` itself where one begins.
pub fn end_of_frame(frames: &[u8], at: usize) -> usize {
    let mut cursor = Cursor::new(frames);
    while cursor.position() < at as u64
        && let Ok(Some((_, length))) = FrameHeader::parse(&mut cursor)
    {
        cursor.set_position(cursor.position() + length);
    }
    cursor.position() as usize
}

fn answer_to_close(payload: &[u8]) -> Result<Option<CloseFrame>, Refusal> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(ProtocolError::InvalidCloseSequence.into()) };
    };
    let reason = str::from_utf8(reason).map_err(|error| Refusal::WebSocket(error.to_string()))?;
    let code = CloseCode::from(u16::from_be_bytes(*code));
    Ok(Some(match code.is_allowed() {
        true => CloseFrame { code, reason: reason.into() },
        false => CloseFrame { code: CloseCode::Protocol, reason: Utf8Bytes::default() },
    }))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        Self::WebSocket(error.to_string())
    }
}

/// What the library says of bytes that are no header.
fn broken(error: WsError) -> Refusal {
    match error {
        WsError::Protocol(error) => error.into(),
        other => Refusal::WebSocket(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tungstenite::WebSocket;
    use tungstenite::protocol::{Role, WebSocketConfig};

    use super::*;

    const BINARY: OpCode = OpCode::Data(Data::Binary);

    /// A random number below `bound` (xorshift).
    fn random(state: &mut u64, bound: usize) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state % bound as u64) as usize
    }

    /// What a client may send, and what it may not.
    fn random_frames(state: &mut u64) -> Vec<u8> {
        const LENGTHS: [usize; 12] = [0, 1, 2, 3, 7, 125, 126, 520, 30_000, 65_535, RELAY_MESSAGE, RELAY_MESSAGE + 1];
        let mut bytes = Vec::new();
        for _ in 0..1 + random(state, 8) {
            let code = [0, 0, 0, 1, 2, 2, 2, 2, 8, 9, 10, random(state, 16) as u8][random(state, 12)];
            let is_control = code >= 8;
            let kinds = if is_control && random(state, 20) > 0 { 6 } else { LENGTHS.len() };
            let length = LENGTHS[random(state, kinds)];
            let payload: Vec<u8> = (0..length).map(|_| b'a' + random(state, 26) as u8).collect();
            let is_masked = random(state, 40) > 0;
            let header = FrameHeader {
                // A text is refused with its first part, before the library would.
                is_final: random(state, 3) > 0 || code == 1 || is_control && random(state, 20) > 0,
                rsv1: random(state, 60) == 0,
                rsv2: random(state, 60) == 0,
                rsv3: random(state, 60) == 0,
                opcode: code.into(),
                mask: is_masked.then(|| [0; 4].map(|_: u8| random(state, 256) as u8)),
            };
            header.format(length as u64, &mut bytes).expect("a vector takes all");
            bytes.extend(
                payload.iter().zip((0..4).cycle()).map(|(byte, at)| byte ^ header.mask.unwrap_or_default()[at]),
            );
        }
        bytes
    }

    /// What is read before the bytes end, come in pieces of these sizes: each message, and at last whether more is taken.
    fn read(bytes: &[u8], mut size: impl FnMut() -> usize) -> Vec<String> {
        let mut incoming = Incoming::default();
        let mut read = Vec::new();
        let mut rest = bytes;
        loop {
            match incoming.next_message() {
                Ok(None) if rest.is_empty() => return read,
                Ok(None) => {
                    let (piece, later) = rest.split_at(size().min(rest.len()));
                    incoming.extend(piece);
                    rest = later;
                }
                Ok(Some(Message::Binary(payload))) => read.push(format!("binary {payload:?}")),
                Ok(Some(Message::Text)) => return [read, vec!["refused".to_owned()]].concat(),
                Ok(Some(Message::Ping(payload))) => read.push(format!("ping {payload:?}")),
                Ok(Some(Message::Pong)) => read.push("pong".to_owned()),
                Ok(Some(Message::Close(answer))) => {
                    return [read, vec![format!("close {:?}", answer.map(|frame| u16::from(frame.code)))]].concat();
                }
                Err(Refusal::TooLong) => return [read, vec!["too long".to_owned()]].concat(),
                Err(_) => return [read, vec!["refused".to_owned()]].concat(),
            }
        }
    }

    /// Bytes that come, and others that are taken and forgotten.
    struct Wire<'a>(&'a [u8]);

    impl Read for Wire<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer) {
                Ok(0) => Err(std::io::ErrorKind::WouldBlock.into()),
                read => read,
            }
        }
    }

    impl Write for Wire<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The same, as the library reads it.
    fn read_by_library(bytes: &[u8]) -> Vec<String> {
        let config =
            WebSocketConfig::default().max_message_size(Some(RELAY_MESSAGE)).max_frame_size(Some(RELAY_MESSAGE));
        let mut socket = WebSocket::from_raw_socket(Wire(bytes), Role::Server, Some(config));
        let mut read = Vec::new();
        loop {
            read.push(match socket.read() {
                Ok(tungstenite::Message::Binary(payload)) => format!("binary {:?}", &payload[..]),
                Ok(tungstenite::Message::Ping(payload)) => format!("ping {:?}", &payload[..]),
                Ok(tungstenite::Message::Pong(_)) => "pong".to_owned(),
                Ok(tungstenite::Message::Close(frame)) => {
                    read.push(format!("close {:?}", frame.map(|frame| u16::from(frame.code))));
                    return read;
                }
                Err(WsError::Io(_)) => return read,
                Err(WsError::Capacity(_)) => return [read, vec!["too long".to_owned()]].concat(),
                _ => return [read, vec!["refused".to_owned()]].concat(),
            });
        }
    }

    /// Only what it is refused for may differ, where several things are wrong.
    #[test]
    fn whatever_comes_is_read_as_the_library_reads_it() {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let (mut whole, mut refused) = (0, 0);
        for _ in 0..1_000 {
            let bytes = random_frames(&mut state);
            let expected = read_by_library(&bytes);
            let largest = [1, 10, 5_000, 100_000][random(&mut state, 4)];
            // One byte at a time only where that does not take long.
            let largest = if bytes.len() > 10_000 { largest.max(5_000) } else { largest };
            let actual = read(&bytes, || 1 + random(&mut state, largest));
            let is_refused =
                |read: &Vec<String>| read.last().is_some_and(|last| last == "refused" || last == "too long");
            if is_refused(&expected) {
                refused += 1;
                assert!(is_refused(&actual), "{expected:?}");
                assert_eq!(actual[..actual.len() - 1], expected[..expected.len() - 1]);
            } else {
                whole += 1;
                assert_eq!(actual, expected);
            }
        }
        assert!(whole > 150 && refused > 150, "{whole} are whole, {refused} are refused");
    }

    #[test]
    fn a_refused_message_is_too_long_or_else_wrong() {
        let frame = |kind: u8, length: u64| {
            let header = FrameHeader {
                is_final: kind & 0x80 != 0,
                opcode: (kind & 0xf).into(),
                mask: Some([0; 4]),
                ..FrameHeader::default()
            };
            let mut bytes = Vec::new();
            header.format(length, &mut bytes).expect("a vector takes all");
            bytes.resize(bytes.len() + length.min(1 << 20) as usize, 0);
            bytes
        };
        let most = RELAY_MESSAGE as u64;
        let refusal = |bytes: &[u8]| read(bytes, || 1 << 20).pop();
        assert_eq!(refusal(&frame(0x82, most + 1)).as_deref(), Some("too long"));
        assert_eq!(refusal(&frame(0x82, u64::MAX)).as_deref(), Some("too long"));
        assert_eq!(refusal(&[frame(0x02, most), frame(0x80, 1)].concat()).as_deref(), Some("too long"));
        assert_eq!(refusal(&frame(0x89, 126)).as_deref(), Some("refused"));
        assert_eq!(refusal(&frame(0x81, 2)).as_deref(), Some("refused"), "a text");
        assert_eq!(refusal(&frame(0x01, 2)).as_deref(), Some("refused"), "the beginning of a text");
    }

    #[test]
    fn nothing_is_held_of_what_has_been_read() {
        let mut client = Vec::new();
        let header = FrameHeader { opcode: BINARY, mask: Some([1; 4]), ..FrameHeader::default() };
        header.format(1_000, &mut client).expect("a vector takes all");
        client.resize(client.len() + 1_000, 0);
        let mut incoming = Incoming::default();
        incoming.extend(&client);
        incoming.extend(&client[..500]);
        assert_eq!(incoming.next_message(), Ok(Some(Message::Binary(&[1; 1_000]))));
        assert_eq!(incoming.next_message(), Ok(None));
        assert_eq!(incoming.bytes.len(), 500);
        incoming.extend(&client[500..]);
        assert_eq!(incoming.next_message(), Ok(Some(Message::Binary(&[1; 1_000]))));
        assert_eq!(incoming.next_message(), Ok(None));
        assert_eq!((incoming.bytes.capacity(), incoming.parts.capacity()), (0, 0));
    }

    #[test]
    fn messages_of_all_lengths_are_written_as_the_library_writes_them() {
        for length in [0, 1, 125, 126, 520, 65_535, 65_536, RELAY_MESSAGE] {
            let payload = vec![7; length];
            let mut written = b"before".to_vec();
            put_message(&mut written, BINARY, |out| out.extend_from_slice(&payload));
            let mut expected = b"before".to_vec();
            tungstenite::protocol::frame::Frame::message(payload, BINARY, true)
                .format(&mut expected)
                .expect("a vector takes all");
            assert!(written == expected, "{length} bytes");
        }
    }

    #[test]
    fn a_frame_ends_where_the_next_begins() {
        let mut frames = Vec::new();
        let ends = [0, 1, 125, 126, 70_000].map(|length| {
            put_message(&mut frames, BINARY, |out| out.resize(out.len() + length, 7));
            frames.len()
        });
        for at in 0..=frames.len() {
            let expected = if at == 0 { 0 } else { ends.into_iter().find(|end| *end >= at).expect("an end") };
            assert_eq!(end_of_frame(&frames, at), expected, "at {at}");
        }
    }
}
