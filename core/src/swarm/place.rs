//! Where sockets go: the relays and drive peers of the lists.

use super::Swarm;
use super::endpoint::Endpoint;
use super::output::SocketId;
use crate::code::Code;
use crate::limits;
use crate::rendezvous::SUBPROTOCOL;

/// A relay or drive peer, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A relay.
    Relay(usize),
    /// A drive peer.
    DrivePeer(usize),
}

impl Place {
    /// What people call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Relay(_) => "relay",
            Self::DrivePeer(_) => "drive peer",
        }
    }

    /// The subprotocol that its socket has to name.
    pub fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Relay(_) => Some(SUBPROTOCOL),
            Self::DrivePeer(_) => None,
        }
    }

    /// The longest message that may come from there, in bytes.
    pub fn longest_message(self) -> usize {
        match self {
            Self::Relay(_) => limits::RELAY_MESSAGE,
            Self::DrivePeer(_) => limits::DRIVE_PEER_MESSAGE,
        }
    }

    /// The code of a URL that cannot be used for it.
    pub fn bad_url(self) -> Code {
        match self {
            Self::Relay(_) => Code::BadRelayUrl,
            Self::DrivePeer(_) => Code::BadPeerUrl,
        }
    }

    /// The code where nobody answers.
    pub fn unreachable(self) -> Code {
        match self {
            Self::Relay(_) => Code::NoRelay,
            Self::DrivePeer(_) => Code::NoPeer,
        }
    }

    /// The code where somebody else answers, or not a sound one.
    pub fn stranger(self) -> Code {
        match self {
            Self::Relay(_) => Code::NotARelay,
            Self::DrivePeer(_) => Code::NotAPeer,
        }
    }
}

impl Swarm {
    /// Every relay and drive peer of the lists.
    pub(super) fn places(&self) -> Vec<Place> {
        let relays = (0..self.relays.len()).map(Place::Relay);
        relays.chain((0..self.drive_peers.len()).map(Place::DrivePeer)).collect()
    }

    /// Their endpoints.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let relays = self.relays.iter().map(|relay| &relay.endpoint);
        relays.chain(self.drive_peers.iter().map(|peer| &peer.endpoint))
    }

    /// The endpoint of one of them.
    pub(super) fn endpoint(&self, place: Place) -> &Endpoint {
        match place {
            Place::Relay(index) => &self.relays[index].endpoint,
            Place::DrivePeer(index) => &self.drive_peers[index].endpoint,
        }
    }

    /// The same, to be changed.
    pub(super) fn endpoint_mut(&mut self, place: Place) -> &mut Endpoint {
        match place {
            Place::Relay(index) => &mut self.relays[index].endpoint,
            Place::DrivePeer(index) => &mut self.drive_peers[index].endpoint,
        }
    }

    /// Where a socket goes, if it is still in use.
    pub(super) fn place_of(&self, socket: SocketId) -> Option<Place> {
        let is_it = |endpoint: &Endpoint| endpoint.socket() == Some(socket);
        let relay = self.relays.iter().position(|relay| is_it(&relay.endpoint)).map(Place::Relay);
        relay.or_else(|| self.drive_peers.iter().position(|peer| is_it(&peer.endpoint)).map(Place::DrivePeer))
    }
}
