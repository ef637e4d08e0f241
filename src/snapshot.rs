//! `stats()` as JavaScript sees it.

use peersockets_core::swarm::stats::{DrivePeerStats, PeerStats, RelayStats, Stats};
use peersockets_core::time::Duration;
use serde::Serialize;

/// A picture of everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    state: &'static str,
    drive_discovery_key: String,
    device_key: String,
    relays: Vec<Relay>,
    drive_peers: Vec<DrivePeer>,
    peers: Vec<Peer>,
}

#[derive(Serialize)]
struct Relay {
    url: String,
    state: &'static str,
    members: usize,
}

#[derive(Serialize)]
struct DrivePeer {
    url: String,
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    peer_id: u32,
    public_key: String,
    path: &'static str,
    round_trip_time: Option<f64>,
    url: Option<String>,
    messages_in: f64,
    messages_out: f64,
    bytes_in: f64,
    bytes_out: f64,
    queued_bytes: usize,
}

impl From<Stats> for Snapshot {
    fn from(stats: Stats) -> Self {
        Self {
            state: stats.state.name(),
            drive_discovery_key: hex(&stats.discovery_key),
            device_key: hex(&stats.device_key),
            relays: stats.relays.into_iter().map(Relay::from).collect(),
            drive_peers: stats.drive_peers.into_iter().map(DrivePeer::from).collect(),
            peers: stats.peers.into_iter().map(Peer::from).collect(),
        }
    }
}

impl From<RelayStats> for Relay {
    fn from(relay: RelayStats) -> Self {
        Self { url: relay.url, state: relay.phase, members: relay.circuits }
    }
}

impl From<DrivePeerStats> for DrivePeer {
    fn from(peer: DrivePeerStats) -> Self {
        Self { url: peer.url, state: peer.phase }
    }
}

impl From<PeerStats> for Peer {
    fn from(peer: PeerStats) -> Self {
        Self {
            peer_id: peer.peer.0,
            public_key: hex(&peer.key),
            path: peer.route.name(),
            round_trip_time: peer.round_trip.map(milliseconds),
            url: peer.url,
            messages_in: peer.traffic.messages_in as f64,
            messages_out: peer.traffic.messages_out as f64,
            bytes_in: peer.traffic.bytes_in as f64,
            bytes_out: peer.traffic.bytes_out as f64,
            queued_bytes: peer.queued_bytes,
        }
    }
}

/// A duration as JavaScript has it.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
