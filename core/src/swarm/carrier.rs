//! Between a link, which knows no carrier, and what carries it.

use super::output::SocketId;
use super::place::Place;
use crate::limits;
use crate::link::Host;
use crate::rendezvous::{Line, ToRelay};

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A circuit through a relay.
    Circuit {
        /// Which relay of the list.
        relay: usize,
        /// Which circuit through it.
        line: Line,
    },
    /// A WebSocket of its own to a drive peer.
    DrivePeer(usize),
    /// The data channel of a direct connection.
    Channel(SocketId),
    /// A stream that the host has.
    Host(Host),
}

impl Carrier {
    /// The relay or drive peer whose socket it goes through.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Circuit { relay, .. } => Some(Place::Relay(relay)),
            Self::DrivePeer(index) => Some(Place::DrivePeer(index)),
            Self::Channel(_) | Self::Host(_) => None,
        }
    }

    /// Whether the other end may know nothing but replication: then `hypercore/alpha` is opened too, which names the drive by its
    /// discovery key.
    pub fn may_only_replicate(self) -> bool {
        match self {
            Self::Circuit { .. } | Self::Channel(_) => false,
            Self::DrivePeer(_) | Self::Host(_) => true,
        }
    }

    /// The most that one message carries, in bytes.
    pub fn longest_chunk(self) -> usize {
        match self {
            Self::Channel(_) => limits::CHANNEL_MESSAGE,
            Self::Circuit { .. } | Self::DrivePeer(_) | Self::Host(_) => limits::CIRCUIT_CHUNK,
        }
    }

    /// The WebSocket message that carries a chunk; for last words, also beyond the credit.
    pub fn message(self, chunk: Vec<u8>, is_last: bool) -> Vec<u8> {
        let Self::Circuit { line, .. } = self else {
            return chunk;
        };
        let mut message = Vec::with_capacity(chunk.len() + 19);
        let frame = if is_last { ToRelay::LastWords(line, &chunk) } else { ToRelay::Data(line, &chunk) };
        frame.encode(&mut message);
        message
    }
}
