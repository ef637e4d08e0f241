//! Why the relay closes a socket: the code and text of REFUSED (PROTOCOL.md §3).

use peersockets_core::code::Code;
use peersockets_core::error::WireError;
use peersockets_core::limits::RELAY_MESSAGE;
use thiserror::Error;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::access::Denied;
use crate::limits::LEAST_TAKEN;

/// Why a client's socket is closed by the relay. It names the limit, so that the page's user knows whom to ask.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Bytes that are no frame of the protocol.
    #[error("the client sent a malformed frame: {0}")]
    Malformed(#[from] WireError),
    /// A frame that may not come now, or not from this member.
    #[error("the client broke the protocol: {0}")]
    OutOfTurn(&'static str),
    /// Bytes that are no WebSocket frame.
    #[error("the client broke the WebSocket protocol: {0}")]
    WebSocket(String),
    /// A WebSocket message beyond the size limit.
    #[error("the client sent a message longer than {RELAY_MESSAGE} bytes")]
    TooLong,
    /// The client may not use this relay, or not for this room.
    #[error(transparent)]
    Unauthorized(#[from] Denied),
    /// No JOIN in time.
    #[error("the client joined no room in {0} s")]
    JoinTimeout(f64),
    /// The room has all the members it may have.
    #[error("the room is full: this relay takes {0} members")]
    RoomFull(usize),
    /// The room has all the members of this address it may have.
    #[error("the room is full for this address: this relay takes {0} members of one address")]
    AddressRoomFull(usize),
    /// The relay has all the sockets it may have.
    #[error("this relay is full: it takes {0} connections")]
    TooManyConnections(usize),
    /// The relay has all the sockets of this address it may have.
    #[error("this relay takes {0} connections of one address")]
    TooManyFromAddress(usize),
    /// New sockets come faster than the limit.
    #[error(
        "too many new connections from this address: this relay takes {burst} at once, then {per_second} per second"
    )]
    TooFast {
        /// Sockets at a stroke.
        burst: usize,
        /// Sockets per second after them.
        per_second: usize,
    },
    /// The client does not take what is sent to it.
    #[error("the client took less than {LEAST_TAKEN} bytes in {0} s while more were waiting for it")]
    SlowReader(f64),
    /// The client reports more as read than it reads, or otherwise lets more wait for it than it may.
    #[error("more waited for the client than it may leave unread, whatever it reported as read")]
    Overflow,
    /// The relay ends.
    #[error("this relay is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::OutOfTurn(_) | Self::WebSocket(_) | Self::TooLong => Code::BadFrame,
            Self::Unauthorized(_) => Code::Unauthorized,
            Self::JoinTimeout(_) => Code::JoinTimeout,
            Self::RoomFull(_) => Code::RoomFull,
            Self::AddressRoomFull(_) => Code::AddressRoomFull,
            Self::TooManyConnections(_) => Code::TooManyConnections,
            Self::TooManyFromAddress(_) => Code::TooManyFromAddress,
            Self::TooFast { .. } => Code::TooFast,
            Self::SlowReader(_) | Self::Overflow => Code::SlowReader,
            Self::ShuttingDown => Code::ShuttingDown,
        }
    }

    /// The code in the WebSocket's Close frame.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLong => CloseCode::Size,
            Self::ShuttingDown => CloseCode::Restart,
            _ => CloseCode::Policy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_every_refusal() {
        for refusal in [
            Refusal::OutOfTurn("it spoke twice"),
            Refusal::WebSocket("no mask".to_owned()),
            Refusal::TooLong,
            Refusal::Unauthorized(Denied::NoToken),
            Refusal::JoinTimeout(10.0),
            Refusal::RoomFull(2),
            Refusal::AddressRoomFull(2),
            Refusal::TooManyConnections(2),
            Refusal::TooManyFromAddress(2),
            Refusal::TooFast { burst: 2, per_second: 1 },
            Refusal::SlowReader(30.0),
            Refusal::Overflow,
            Refusal::ShuttingDown,
        ] {
            assert_eq!(Code::of_refusal(refusal.code().name()), refusal.code());
        }
    }
}
