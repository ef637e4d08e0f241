//! What goes on, for people to look at. Nothing here decides anything.

use super::Swarm;
use super::drive_peers::DrivePeer;
use super::output::{PeerId, State};
use super::relay::Relay;
use crate::channel::outbox::Outbox;
use crate::limits;
use crate::time::Duration;

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

impl Route {
    /// The stable name that the page sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Relay => "relay",
            Self::Direct => "direct",
        }
    }
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
    /// From a question to its answer, as it was measured last on the link that we send to it on; `None` if it was not yet, or if the
    /// peer answers no questions.
    pub round_trip: Option<Duration>,
    /// URL of the relay that it goes through, or of the drive peer; none on a data channel and on a stream of the host's.
    pub url: Option<String>,
    /// What went to and fro.
    pub traffic: Traffic,
    /// Bytes that wait to be sent to it, or that it has not acknowledged.
    pub queued_bytes: usize,
}

impl Traffic {
    /// What it comes to in all, where one device is compared with another.
    pub fn weight(&self) -> u64 {
        let messages = (self.messages_in + self.messages_out) * limits::MESSAGE_WEIGHT as u64;
        messages + self.bytes_in + self.bytes_out
    }
}

impl Swarm {
    /// What goes on, for people to look at.
    pub fn stats(&self) -> Stats {
        let relay = |relay: &Relay| RelayStats {
            url: relay.endpoint.url.clone(),
            phase: relay.endpoint.phase.name(),
            circuits: relay.circuits(),
        };
        let drive_peer =
            |peer: &DrivePeer| DrivePeerStats { url: peer.endpoint.url.clone(), phase: peer.endpoint.phase.name() };
        let peers = self.devices.present().map(|device| {
            let attached = self.first_link(device);
            let place = attached.and_then(|attached| attached.carrier.place());
            PeerStats {
                peer: device.peer,
                key: device.key,
                route: Route::of(attached),
                round_trip: attached.and_then(|attached| attached.link.round_trip()),
                url: place.map(|place| self.endpoint(place).url.clone()),
                traffic: device.traffic,
                queued_bytes: self.outbox(device).map_or(0, Outbox::bytes),
            }
        });
        Stats {
            state: self.state,
            discovery_key: self.drive.discovery_key(),
            device_key: self.device.public(),
            relays: self.relays.iter().map(relay).collect(),
            drive_peers: self.drive_peers.iter().map(drive_peer).collect(),
            peers: peers.collect(),
        }
    }
}
