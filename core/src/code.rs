//! The stable codes of what is reported to the application, and of a relay's refusals.

/// What kind of problem it is. [`Code::name`] is what programs compare and what REFUSED frames carry (PROTOCOL.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The text names no drive.
    BadDrive,
    /// The text names no relay, or one too many.
    BadRelayUrl,
    /// A secure page may not open the URL.
    MixedContent,
    /// The page's Content-Security-Policy forbids the URL.
    SocketBlockedByCsp,
    /// The text names no drive peer, or one too many.
    BadPeerUrl,
    /// No drive peer answers.
    NoPeer,
    /// What answers is no drive peer, or not a sound one.
    NotAPeer,
    /// The drive peer does not have the drive open.
    NoDrive,
    /// No relay answers.
    NoRelay,
    /// A relay answers, but no WebSocket to it opens.
    NoWebSocket,
    /// What answers is no relay, or not a sound one.
    NotARelay,
    /// A topic's name is too long.
    TopicTooLong,
    /// Too many topics are joined.
    TooManyTopics,
    /// Too many topics and watchers are open.
    TooManyHandles,
    /// A message is too long.
    MessageTooLarge,
    /// Too much waits to be sent.
    QueueFull,
    /// A message that came did not fit what is being received already.
    MessageLost,
    /// What waited for a peer that left is given up.
    SessionDropped,
    /// A peer broke the protocol.
    PeerMisbehaved,
    /// Refused by a relay: a frame that is none.
    BadFrame,
    /// Refused by a relay: the page or its token may not use it, or not for this drive.
    Unauthorized,
    /// Refused by a relay: no JOIN in time.
    JoinTimeout,
    /// Refused by a relay: the room is full.
    RoomFull,
    /// Refused by a relay: the room is full for this address.
    AddressRoomFull,
    /// Refused by a relay: it has too many connections.
    TooManyConnections,
    /// Refused by a relay: this address has too many connections.
    TooManyFromAddress,
    /// Refused by a relay: too many new connections of this address in too little time.
    TooFast,
    /// Refused by a relay: what it sends is not read.
    SlowReader,
    /// Refused by a relay: it is being stopped.
    ShuttingDown,
    /// Refused by a relay that gave a code unknown here; the text has it.
    Refused,
}

/// What a relay may say. Anything else it says is [`Code::Refused`]: it must not pass for an error of ours.
pub const REFUSALS: [Code; 10] = [
    Code::BadFrame,
    Code::Unauthorized,
    Code::JoinTimeout,
    Code::RoomFull,
    Code::AddressRoomFull,
    Code::TooManyConnections,
    Code::TooManyFromAddress,
    Code::TooFast,
    Code::SlowReader,
    Code::ShuttingDown,
];

impl Code {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadDrive => "bad-drive",
            Self::BadRelayUrl => "bad-relay-url",
            Self::MixedContent => "mixed-content",
            Self::SocketBlockedByCsp => "socket-blocked-by-csp",
            Self::BadPeerUrl => "bad-peer-url",
            Self::NoPeer => "no-peer",
            Self::NotAPeer => "not-a-peer",
            Self::NoDrive => "no-drive",
            Self::NoRelay => "no-relay",
            Self::NoWebSocket => "no-websocket",
            Self::NotARelay => "not-a-relay",
            Self::TopicTooLong => "topic-too-long",
            Self::TooManyTopics => "too-many-topics",
            Self::TooManyHandles => "too-many-handles",
            Self::MessageTooLarge => "message-too-large",
            Self::QueueFull => "queue-full",
            Self::MessageLost => "message-lost",
            Self::SessionDropped => "session-dropped",
            Self::PeerMisbehaved => "peer-misbehaved",
            Self::BadFrame => "bad-frame",
            Self::Unauthorized => "unauthorized",
            Self::JoinTimeout => "join-timeout",
            Self::RoomFull => "room-full",
            Self::AddressRoomFull => "address-room-full",
            Self::TooManyConnections => "too-many-connections",
            Self::TooManyFromAddress => "too-many-from-address",
            Self::TooFast => "too-fast",
            Self::SlowReader => "slow-reader",
            Self::ShuttingDown => "shutting-down",
            Self::Refused => "refused",
        }
    }

    /// The code of a REFUSED frame.
    pub fn of_refusal(name: &str) -> Self {
        REFUSALS.into_iter().find(|code| code.name() == name).unwrap_or(Self::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_cannot_speak_in_our_name() {
        for name in ["room-full", "too-fast", "shutting-down"] {
            assert_eq!(Code::of_refusal(name).name(), name);
        }
        for name in ["crashed", "queue-full", "bad-drive", "refused", "", "shiny"] {
            assert_eq!(Code::of_refusal(name), Code::Refused, "{name}");
        }
    }
}
