//! Errors by blame and operation. What a page shows of them are the reports of [`crate::swarm`], each with a [`Code`](crate::code::Code).

use std::fmt;

/// Bytes that are no frame of their protocol: whoever wrote them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The frame ends before its last field does.
    Truncated,
    /// An integer above 2^53 - 1.
    UintTooLarge,
    /// A string that is not UTF-8.
    NotUtf8,
    /// A frame longer than its limit.
    FrameTooLong,
    /// A list longer than its limit.
    TooMany,
    /// A string longer than its limit.
    TextTooLong,
    /// A number that is to be 0 or 1, and is not.
    NotBoolean,
    /// A frame type that has no meaning here.
    UnknownType(u64),
    /// Bytes after the last field.
    TrailingBytes,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a frame ends before its last field"),
            Self::UintTooLarge => f.write_str("an integer is above 2^53 - 1"),
            Self::NotUtf8 => f.write_str("a string is not UTF-8"),
            Self::FrameTooLong => f.write_str("a frame is longer than its limit"),
            Self::TooMany => f.write_str("a list is longer than its limit"),
            Self::TextTooLong => f.write_str("a string is longer than its limit"),
            Self::NotBoolean => f.write_str("a number is neither 0 nor 1"),
            Self::UnknownType(kind) => write!(f, "frame type {kind} has no meaning here"),
            Self::TrailingBytes => f.write_str("bytes follow the last field"),
        }
    }
}

impl std::error::Error for WireError {}

/// Why a link between two devices ended by our decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The remote wrote bytes that are no frame.
    Malformed(WireError),
    /// The Noise handshake failed: the remote speaks something else, or bytes were changed on the way.
    Handshake,
    /// The remote's secret stream belongs to another handshake or role.
    StreamId,
    /// A sealed frame did not open: bytes were changed, lost or repeated on the way.
    Damaged,
    /// The remote broke the rules of the mux.
    Mux(MuxViolation),
    /// The remote's capability does not prove the drive key.
    Capability,
    /// The remote broke the rules of the peersockets channel.
    Channel(ChannelViolation),
    /// The remote rejected or closed the channel: it does not have this drive open.
    ChannelClosed,
    /// The remote has our own device key: the relay connected us to ourselves.
    OwnDevice,
    /// Another device than the one that a data channel was agreed on with.
    OtherDevice,
    /// The drive key was not proved in time.
    ProofTimeout,
    /// A ping was not answered in time.
    Silent,
    /// The remote makes us answer and does not read the answers.
    Unread,
    /// The host's stream ended.
    StreamEnded,
}

impl LinkError {
    /// Whether whoever carries the bytes may have done it: frames are sealed, their lengths are not.
    pub fn may_be_damage(self) -> bool {
        matches!(self, Self::Damaged | Self::Malformed(WireError::FrameTooLong))
    }

    /// Whether the remote, or whoever changed its bytes, broke the protocol.
    pub fn is_violation(self) -> bool {
        !matches!(self, Self::ChannelClosed | Self::ProofTimeout | Self::Silent | Self::StreamEnded)
    }
}

impl From<WireError> for LinkError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "the peer sent a malformed frame: {error}"),
            Self::Handshake => f.write_str("the handshake with the peer failed"),
            Self::StreamId => f.write_str("the peer's secret stream belongs to another handshake"),
            Self::Damaged => f.write_str("a frame from the peer was damaged on the way"),
            Self::Mux(violation) => write!(f, "the peer broke the mux: {violation}"),
            Self::Capability => f.write_str("the peer did not prove the drive key"),
            Self::Channel(violation) => write!(f, "the peer broke the channel: {violation}"),
            Self::ChannelClosed => f.write_str("the peer does not have this drive open"),
            Self::OwnDevice => f.write_str("the peer is this device itself"),
            Self::OtherDevice => f.write_str("the peer leads a direct connection to another device"),
            Self::ProofTimeout => f.write_str("the peer did not prove the drive key in time"),
            Self::Silent => f.write_str("the peer fell silent"),
            Self::Unread => f.write_str("the peer does not read our answers"),
            Self::StreamEnded => f.write_str("the peer's stream ended"),
        }
    }
}

impl std::error::Error for LinkError {}

/// How a remote broke the mux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MuxViolation {
    /// An Open whose id is 0, in use, or not the next free one.
    OpenId,
    /// More channels than [`crate::limits::CHANNELS`].
    TooManyChannels,
    /// A reject of something that was not opened, or is open.
    RejectId,
    /// A batch inside a batch.
    NestedBatch,
    /// A batch of more than [`crate::limits::BATCH`] messages.
    BatchTooLong,
}

impl fmt::Display for MuxViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenId => "it opened a channel with an id that is not the next free one",
            Self::TooManyChannels => "it opened too many channels",
            Self::RejectId => "it rejected a channel that was not waiting for an answer",
            Self::NestedBatch => "it put a batch inside a batch",
            Self::BatchTooLong => "it put too many messages in a batch",
        })
    }
}

/// How a remote broke the `peersockets/1` channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelViolation {
    /// Version 0 in its Open.
    Version,
    /// A slot above the limit, or one that was never declared.
    Slot,
    /// A topic name longer than the limit.
    TopicName,
    /// A message longer than the limit.
    MessageTooLong,
    /// A part that does not continue what came before it.
    Part,
    /// A message of a session without a number, or ahead of the one before it.
    Number,
    /// An acknowledgement of more messages than were sent.
    Acknowledgement,
}

impl fmt::Display for ChannelViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "its version does not exist",
            Self::Slot => "it used a topic slot that it did not declare",
            Self::TopicName => "a topic name is too long",
            Self::MessageTooLong => "a message is too long",
            Self::Number => "it left a message out",
            Self::Acknowledgement => "it acknowledged more messages than it was sent",
            Self::Part => "a part of a message does not fit what came before it",
        })
    }
}
