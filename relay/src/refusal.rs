//! Why the relay closes a socket: the code and text of REFUSED (PROTOCOL.md §3).

use peersockets_core::error::WireError;
use peersockets_core::limits::RELAY_MESSAGE;
use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

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
    #[error("the client took no bytes for {0} s while some were waiting for it")]
    SlowReader(f64),
    /// The relay ends.
    #[error("this relay is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::OutOfTurn(_) | Self::WebSocket(_) | Self::TooLong => "bad-frame",
            Self::JoinTimeout(_) => "join-timeout",
            Self::RoomFull(_) => "room-full",
            Self::AddressRoomFull(_) => "address-room-full",
            Self::TooManyConnections(_) => "too-many-connections",
            Self::TooManyFromAddress(_) => "too-many-from-address",
            Self::TooFast { .. } => "too-fast",
            Self::SlowReader(_) => "slow-reader",
            Self::ShuttingDown => "shutting-down",
        }
    }

    /// The code in the WebSocket's Close frame.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLong => CloseCode::Size,
            _ => CloseCode::Policy,
        }
    }
}
