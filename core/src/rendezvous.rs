//! The protocol between a browser and a relay: how members of a room find each other (PROTOCOL.md §3).
//!
//! Both ends use these types: pages write [`ToRelay`] and read [`FromRelay`], the relay does the reverse. A frame is one
//! binary WebSocket message.

use crate::error::WireError;
use crate::limits;
use crate::rtc::IceServer;
use crate::time::Duration;
use crate::wire::encoding::{Encode, Reader};

/// The WebSocket subprotocol that both ends must name.
pub const SUBPROTOCOL: &str = "peersockets.relay.v1";
/// The HTTP header by which a page that could not open a WebSocket tells a relay from another server.
pub const HTTP_HEADER: &str = "x-peersockets-relay";

/// Flag of WELCOME: the relay lends credit.
const LENDS: u64 = 1;
/// Flag of WELCOME: the relay counts direct pairs.
const COUNTS_DIRECT: u64 = 2;

/// Number of a member in its room. Members that came later have higher numbers; none is used twice.
pub type Member = u64;

/// Number of a circuit towards one member, chosen by the dialler, growing.
pub type Circuit = u64;

/// A circuit as one of its ends names it: by the member at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// The member at the other end.
    pub member: Member,
    /// Which of the circuits with that member.
    pub circuit: Circuit,
}

/// Why a circuit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HangupReason {
    /// The other end needs it no more.
    Done,
    /// The other end takes no more links now.
    Busy,
    /// The other end found a violation of the protocol.
    Violation,
    /// The member is not in the room.
    Gone,
    /// The other end waited too long for a sign of life, or for the proof.
    Timeout,
    /// A reason that a newer device gave.
    Other(u64),
}

impl HangupReason {
    /// Whether dialling again may do better.
    pub fn allows_redial(self) -> bool {
        matches!(self, Self::Busy | Self::Violation | Self::Timeout)
    }

    fn from_wire(number: u64) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::Busy,
            2 => Self::Violation,
            3 => Self::Gone,
            4 => Self::Timeout,
            other => Self::Other(other),
        }
    }

    fn to_wire(self) -> u64 {
        match self {
            Self::Done => 0,
            Self::Busy => 1,
            Self::Violation => 2,
            Self::Gone => 3,
            Self::Timeout => 4,
            Self::Other(number) => number,
        }
    }
}

/// A frame from a client to its relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToRelay<'a> {
    /// Enter the room with this rendezvous id. First frame, once.
    Join {
        /// The rendezvous id.
        room: [u8; 32],
    },
    /// Open a circuit to a member that was there before us.
    Dial(Line),
    /// Pass bytes on along a circuit.
    Data(Line, &'a [u8]),
    /// End a circuit.
    Hangup(Line, HangupReason),
    /// We keep to the credit that a relay lends which said so in its welcome. Second frame, once.
    Flow,
    /// DATA of a circuit that cost so much has been read.
    Consumed(Line, u64),
    /// So much credit of a circuit is not needed.
    Return(Line, u64),
    /// Bytes as [`ToRelay::Data`], the last on a circuit whose credit may not suffice.
    LastWords(Line, &'a [u8]),
    /// Whether the two ends of a circuit that we dialled are connected directly too. For a relay which said in its welcome that it counts
    /// them.
    Direct(Line, bool),
}

/// A frame from a relay to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromRelay<'a> {
    /// The client is in the room.
    Welcome {
        /// Its own number.
        member: Member,
        /// Whether the relay lends credit for circuits.
        lends: bool,
        /// Whether the relay wants to be told of direct connections beside its circuits.
        counts_direct: bool,
        /// Who was there before, at most [`limits::ROOM`].
        present: Vec<Member>,
    },
    /// A later member opened a circuit to this client.
    Dialed(Line),
    /// Bytes from the other end of a circuit.
    Data(Line, &'a [u8]),
    /// The other end ended a circuit.
    HungUp(Line, HangupReason),
    /// A member's socket closed, and with it every circuit with that member.
    Left(Member),
    /// The relay closes this socket.
    Refused {
        /// Stable code, such as `room-full`.
        code: &'a str,
        /// What the operator's relay says about it.
        text: &'a str,
    },
    /// So much more may be sent on a circuit.
    Credit(Line, u64),
    /// The relay is being stopped, and expects to be back.
    GoingAway {
        /// After this time, in whole milliseconds.
        back_in: Duration,
    },
    /// STUN and TURN servers for direct connections, in place of those that it named before: at most [`limits::ICE_SERVERS`], each text of
    /// at most [`limits::ICE_SERVER_TEXT`] bytes.
    IceServers(Vec<IceServer>),
}

impl<'a> ToRelay<'a> {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Join { room } => {
                out.put_uint(1);
                out.extend_from_slice(&room);
            }
            Self::Dial(line) => put_line(out, 2, line),
            Self::Data(line, bytes) => {
                put_line(out, 3, line);
                out.extend_from_slice(bytes);
            }
            Self::Hangup(line, reason) => {
                put_line(out, 4, line);
                out.put_uint(reason.to_wire());
            }
            Self::Flow => out.put_uint(16),
            Self::Consumed(line, amount) => {
                put_line(out, 17, line);
                out.put_uint(amount);
            }
            Self::Return(line, amount) => {
                put_line(out, 18, line);
                out.put_uint(amount);
            }
            Self::LastWords(line, bytes) => {
                put_line(out, 19, line);
                out.extend_from_slice(bytes);
            }
            Self::Direct(line, is_direct) => {
                put_line(out, 20, line);
                out.put_uint(is_direct.into());
            }
        }
    }

    /// Reads one frame. A relay takes nothing that it does not know.
    pub fn decode(frame: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(frame);
        let kind = reader.uint()?;
        if let 3 | 19 = kind {
            let line = read_line(&mut reader)?;
            let chunk = read_chunk(reader)?;
            return Ok(if kind == 3 { Self::Data(line, chunk) } else { Self::LastWords(line, chunk) });
        }
        let decoded = match kind {
            1 => Self::Join { room: reader.fixed32()? },
            2 => Self::Dial(read_line(&mut reader)?),
            4 => Self::Hangup(read_line(&mut reader)?, HangupReason::from_wire(reader.uint()?)),
            16 => Self::Flow,
            17 => Self::Consumed(read_line(&mut reader)?, reader.uint()?),
            18 => Self::Return(read_line(&mut reader)?, reader.uint()?),
            20 => Self::Direct(read_line(&mut reader)?, read_bool(&mut reader)?),
            other => return Err(WireError::UnknownType(other)),
        };
        if reader.is_empty() { Ok(decoded) } else { Err(WireError::TrailingBytes) }
    }
}

impl<'a> FromRelay<'a> {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome { member, lends, counts_direct, present } => {
                out.put_uint(1);
                out.put_uint(*member);
                out.put_uint((u64::from(*lends) * LENDS) | (u64::from(*counts_direct) * COUNTS_DIRECT));
                out.put_uint(present.len() as u64);
                for other in present {
                    out.put_uint(*other);
                }
            }
            Self::Dialed(line) => put_line(out, 2, *line),
            Self::Data(line, bytes) => {
                put_line(out, 3, *line);
                out.extend_from_slice(bytes);
            }
            Self::HungUp(line, reason) => {
                put_line(out, 4, *line);
                out.put_uint(reason.to_wire());
            }
            Self::Left(member) => {
                out.put_uint(5);
                out.put_uint(*member);
            }
            Self::Refused { code, text } => {
                out.put_uint(6);
                out.put_string(code);
                out.put_string(text);
            }
            Self::Credit(line, amount) => {
                put_line(out, 16, *line);
                out.put_uint(*amount);
            }
            Self::GoingAway { back_in } => {
                out.put_uint(17);
                out.put_uint(back_in.as_millis() as u64);
            }
            Self::IceServers(servers) => {
                out.put_uint(18);
                out.put_uint(servers.len() as u64);
                for IceServer { url, username, credential } in servers {
                    [url, username, credential].into_iter().for_each(|text| out.put_string(text));
                }
            }
        }
    }

    /// Reads one frame; `None` for a type of a newer relay. Trailing bytes of known types are a newer relay's too.
    pub fn decode(frame: &'a [u8]) -> Result<Option<Self>, WireError> {
        let mut reader = Reader::new(frame);
        Ok(Some(match reader.uint()? {
            0 => return Err(WireError::UnknownType(0)),
            1 => {
                let member = reader.uint()?;
                let flags = reader.uint()?;
                let present = read_list(&mut reader, limits::ROOM, Reader::uint)?;
                let (lends, counts_direct) = (flags & LENDS != 0, flags & COUNTS_DIRECT != 0);
                Self::Welcome { member, lends, counts_direct, present }
            }
            2 => Self::Dialed(read_line(&mut reader)?),
            3 => {
                let line = read_line(&mut reader)?;
                Self::Data(line, read_chunk(reader)?)
            }
            4 => Self::HungUp(read_line(&mut reader)?, HangupReason::from_wire(reader.uint()?)),
            5 => Self::Left(reader.uint()?),
            6 => Self::Refused { code: reader.string()?, text: reader.string()? },
            16 => Self::Credit(read_line(&mut reader)?, reader.uint()?),
            17 => Self::GoingAway { back_in: Duration::from_millis(reader.uint()?) },
            18 => Self::IceServers(read_list(&mut reader, limits::ICE_SERVERS, read_ice_server)?),
            _ => return Ok(None),
        }))
    }
}

fn put_line(out: &mut Vec<u8>, kind: u64, line: Line) {
    out.put_uint(kind);
    out.put_uint(line.member);
    out.put_uint(line.circuit);
}

fn read_line(reader: &mut Reader<'_>) -> Result<Line, WireError> {
    Ok(Line { member: reader.uint()?, circuit: reader.uint()? })
}

fn read_bool(reader: &mut Reader<'_>) -> Result<bool, WireError> {
    match reader.uint()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::NotBoolean),
    }
}

fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    most: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let count = reader.uint()?;
    if count > most as u64 {
        return Err(WireError::TooMany);
    }
    (0..count).map(|_| read(reader)).collect()
}

fn read_ice_server(reader: &mut Reader<'_>) -> Result<IceServer, WireError> {
    let mut text = || match reader.string()? {
        text if text.len() > limits::ICE_SERVER_TEXT => Err(WireError::TextTooLong),
        text => Ok(text.to_owned()),
    };
    Ok(IceServer { url: text()?, username: text()?, credential: text()? })
}

fn read_chunk<'a>(reader: Reader<'a>) -> Result<&'a [u8], WireError> {
    match reader.rest() {
        [] => Err(WireError::Truncated),
        chunk if chunk.len() > limits::CIRCUIT_CHUNK => Err(WireError::FrameTooLong),
        chunk => Ok(chunk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line { member: 7, circuit: 300 };

    fn to_relay() -> Vec<ToRelay<'static>> {
        vec![
            ToRelay::Join { room: [9; 32] },
            ToRelay::Dial(LINE),
            ToRelay::Data(LINE, b"sealed"),
            ToRelay::Hangup(LINE, HangupReason::Violation),
            ToRelay::Flow,
            ToRelay::Consumed(LINE, 70_000),
            ToRelay::Return(LINE, 1),
            ToRelay::LastWords(LINE, b"sealed"),
            ToRelay::Direct(LINE, true),
            ToRelay::Direct(LINE, false),
        ]
    }

    fn from_relay() -> Vec<FromRelay<'static>> {
        vec![
            FromRelay::Welcome { member: 3, lends: false, counts_direct: false, present: vec![1, 2] },
            FromRelay::Welcome { member: 4, lends: true, counts_direct: false, present: vec![] },
            FromRelay::Welcome { member: 5, lends: false, counts_direct: true, present: vec![4] },
            FromRelay::Dialed(LINE),
            FromRelay::Data(LINE, b"sealed"),
            FromRelay::HungUp(LINE, HangupReason::Gone),
            FromRelay::Left(1 << 40),
            FromRelay::Refused { code: "room-full", text: "256 members are in it" },
            FromRelay::Credit(LINE, 1 << 20),
            FromRelay::GoingAway { back_in: Duration::from_millis(5_000) },
            FromRelay::IceServers(vec![]),
            FromRelay::IceServers(vec![server("stun:stun.example.org", "", ""), server("turn:192.0.2.1", "1:a", "x=")]),
        ]
    }

    fn server(url: &str, username: &str, credential: &str) -> IceServer {
        IceServer { url: url.into(), username: username.into(), credential: credential.into() }
    }

    #[test]
    fn every_frame_reads_back_as_it_was_written() {
        for frame in to_relay() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(ToRelay::decode(&bytes), Ok(frame));
        }
        for frame in from_relay() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(FromRelay::decode(&bytes), Ok(Some(frame)));
        }
    }

    #[test]
    fn frames_of_a_newer_relay_are_ignored() {
        assert_eq!(FromRelay::decode(&[31, 1, 2, 3]), Ok(None));
        assert_eq!(
            FromRelay::decode(&[1, 2, 0xf0, 0]),
            Ok(Some(FromRelay::Welcome { member: 2, lends: false, counts_direct: false, present: vec![] }))
        );
        assert_eq!(FromRelay::decode(&[5, 9, 0xaa, 0xbb]), Ok(Some(FromRelay::Left(9))));
        assert_eq!(FromRelay::decode(&[18, 0, 0xaa]), Ok(Some(FromRelay::IceServers(vec![]))));
    }

    #[test]
    fn a_relay_takes_no_unknown_type_and_no_trailing_byte() {
        assert_eq!(ToRelay::decode(&[0]), Err(WireError::UnknownType(0)));
        assert_eq!(ToRelay::decode(&[5]), Err(WireError::UnknownType(5)));
        assert_eq!(ToRelay::decode(&[21, 1, 1, 1]), Err(WireError::UnknownType(21)));
        assert_eq!(ToRelay::decode(&[2, 1, 1, 0]), Err(WireError::TrailingBytes));
        assert_eq!(ToRelay::decode(&[20, 1, 1, 1, 0]), Err(WireError::TrailingBytes));
        assert_eq!(ToRelay::decode(&[20, 1, 1]), Err(WireError::Truncated));
        assert_eq!(ToRelay::decode(&[20, 1, 1, 2]), Err(WireError::NotBoolean));
    }

    #[test]
    fn ice_servers_are_at_most_eight_and_their_texts_at_most_255_bytes() {
        let decode = |servers: Vec<IceServer>| {
            let mut bytes = Vec::new();
            FromRelay::IceServers(servers.clone()).encode(&mut bytes);
            FromRelay::decode(&bytes).map(|frame| assert_eq!(frame, Some(FromRelay::IceServers(servers))))
        };
        let (longest, too_long) = ("x".repeat(255), "x".repeat(256));
        let largest = server(&longest, &longest, &longest);
        assert_eq!(decode(vec![largest.clone(); 8]), Ok(()));
        assert_eq!(decode(vec![largest.clone(); 9]), Err(WireError::TooMany));
        for server in [
            server(&too_long, "", ""),
            server(&longest, &too_long, ""),
            server(&longest, &longest, &too_long),
            // Of two bytes each.
            server(&"ä".repeat(128), "", ""),
        ] {
            assert_eq!(decode(vec![largest.clone(), server]), Err(WireError::TextTooLong));
        }
        assert_eq!(FromRelay::decode(&[18, 1, 1, b'x', 0]), Err(WireError::Truncated));
        assert_eq!(FromRelay::decode(&[18, 1, 1, 0xff, 0, 0]), Err(WireError::NotUtf8));
    }

    #[test]
    fn a_welcome_longer_than_any_room_is_refused() {
        let mut bytes = Vec::new();
        FromRelay::Welcome { member: 999, lends: true, counts_direct: true, present: vec![1; limits::ROOM + 1] }
            .encode(&mut bytes);
        assert_eq!(FromRelay::decode(&bytes), Err(WireError::TooMany));
    }
}
