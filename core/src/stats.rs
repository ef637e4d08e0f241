//! What goes on, for people to look at. Nothing here decides anything.

use crate::swarm::{PeerId, State};

/// A picture of one swarm.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Whether anyone can be reached.
    pub state: State,
    /// The drive's discovery key, which is public.
    pub discovery_key: [u8; 32],
    /// This device's public key.
    pub device_key: [u8; 32],
    /// The relays of the list.
    pub relays: Vec<RelayStats>,
    /// The drive peers of the list.
    pub drive_peers: Vec<DrivePeerStats>,
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

/// One drive peer of the list.
#[derive(Clone, Debug)]
pub struct DrivePeerStats {
    /// Its URL.
    pub url: String,
    /// `waiting`, `connecting`, `joined` or `resting`.
    pub phase: &'static str,
}

/// How what we send to a peer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Not at present: it is waited for.
    None,
    /// Through a relay.
    Relay,
    /// Straight to it.
    Direct,
}

/// Messages and bytes of messages exchanged with a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages received.
    pub messages_in: u64,
    /// Messages handed over for sending.
    pub messages_out: u64,
    /// Bytes of the messages received.
    pub bytes_in: u64,
    /// Bytes of the messages handed over for sending.
    pub bytes_out: u64,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerStats {
    /// Its id.
    pub peer: PeerId,
    /// Its device key.
    pub key: [u8; 32],
    /// How what we send to it travels.
    pub route: Route,
    /// URL of the relay that it goes through, or of the peer; none on a stream of the host's.
    pub url: Option<String>,
    /// What went to and fro.
    pub traffic: Traffic,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: usize,
}
