//! The least that a client of a WebSocket server has to do.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const LAST_DATA: u8 = 0x82;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A frame with a text message.
pub fn text(message: &[u8]) -> Vec<u8> {
    frame(TEXT, message)
}

/// A frame with a binary message.
pub fn binary(message: &[u8]) -> Vec<u8> {
    frame(BINARY, message)
}

/// A client's frame. Its mask is zero, so that the message stays as it is; a server has the same work with it.
fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    match u16::try_from(message.len()).expect("a short message") {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium => {
            frame.push(0x80 | 126);
            frame.extend(medium.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(message);
    frame
}

/// Writes a frame.
pub async fn write_message(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    stream.write_all(frame).await
}

/// Becomes a WebSocket.
pub async fn upgrade(stream: &mut TcpStream, path: &str, subprotocol: Option<&str>) -> Result<()> {
    let subprotocol = subprotocol.map_or(String::new(), |name| format!("sec-websocket-protocol: {name}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{subprotocol}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(Error::other(String::from_utf8_lossy(&head)));
    }
    Ok(())
}

/// The next message that fits one frame; pings are answered.
pub async fn read_message(stream: &mut TcpStream) -> Result<Vec<u8>> {
    loop {
        let kind = stream.read_u8().await?;
        let length = match stream.read_u8().await? {
            126 => stream.read_u16().await?.into(),
            short => usize::from(short),
        };
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        match kind {
            ..=LAST_DATA => return Ok(message),
            PING => write_message(stream, &frame(PONG, &message)).await?,
            _ => {}
        }
    }
}

/// Counts the messages in what a server writes, whatever pieces it comes in.
pub struct Lengths {
    shortest: usize,
    head: Vec<u8>,
    /// Bytes that are still to come of the frame, and whether it is a message.
    rest: usize,
    is_message: bool,
}

impl Lengths {
    /// Counts messages of so many bytes and more.
    pub fn of_at_least(shortest: usize) -> Self {
        Self { shortest, head: Vec::new(), rest: 0, is_message: false }
    }

    /// How many messages end in these bytes.
    pub fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let taken = self.rest.min(bytes.len());
                self.rest -= taken;
                bytes = &bytes[taken..];
                count += usize::from(self.rest == 0 && self.is_message);
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            let length = match self.head[..] {
                [_, short @ 0..=125] => usize::from(short),
                [_, 126, high, low] => usize::from(u16::from_be_bytes([high, low])),
                [_, 127, ..] => panic!("no message is that long"),
                _ => continue,
            };
            self.is_message = self.head[0] <= LAST_DATA && length >= self.shortest;
            self.rest = length;
            count += usize::from(length == 0 && self.is_message);
            self.head.clear();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let unmasked = |kind: u8, length: u16| {
            let mut frame = vec![kind];
            match length {
                0..=125 => frame.push(length as u8),
                _ => {
                    frame.push(126);
                    frame.extend(length.to_be_bytes());
                }
            }
            frame.resize(frame.len() + usize::from(length), 0x82);
            frame
        };
        let ping = unmasked(0x89, 0);
        let bytes =
            [unmasked(BINARY, 520), ping, unmasked(TEXT, 0), unmasked(BINARY, 125), unmasked(TEXT, 126)].concat();
        for size in 1..bytes.len() {
            for (shortest, expected) in [(0, 4), (1, 3), (126, 2), (521, 0)] {
                let mut lengths = Lengths::of_at_least(shortest);
                let count: usize = bytes.chunks(size).map(|chunk| lengths.count(chunk)).sum();
                assert_eq!(count, expected, "of at least {shortest} bytes, in pieces of {size}");
            }
        }
    }
}
