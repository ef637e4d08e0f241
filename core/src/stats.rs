//! What goes on, for people to look at. Nothing here decides anything.

use crate::swarm::{PeerId, State, Traffic};

/// A picture of one swarm.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Whether relays can be reached.
    pub state: State,
    /// The drive's discovery key, which is public.
    pub discovery_key: [u8; 32],
    /// This device's public key.
    pub device_key: [u8; 32],
    /// The relays of the list.
    pub relays: Vec<RelayStats>,
    /// The peers that are here.
    pub peers: Vec<PeerStats>,
}

/// One relay.
#[derive(Clone, Debug)]
pub struct RelayStats {
    /// Its URL.
    pub url: String,
    /// `waiting`, `connecting`, `joined` or `resting`.
    pub phase: &'static str,
    /// Circuits through it.
    pub circuits: usize,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerStats {
    /// Its id.
    pub peer: PeerId,
    /// Its device key.
    pub key: [u8; 32],
    /// URL of the relay that carries what we send to it.
    pub relay: String,
    /// What went to and fro.
    pub traffic: Traffic,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: usize,
}
