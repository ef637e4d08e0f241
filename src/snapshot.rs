//! `stats()` as JavaScript sees it.

use peersockets_core::stats::{PeerStats, RelayStats, Stats};
use serde::Serialize;

/// A picture of everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    state: &'static str,
    drive_discovery_key: String,
    device_key: String,
    relays: Vec<Relay>,
    peers: Vec<Peer>,
}

#[derive(Serialize)]
struct Relay {
    url: String,
    state: &'static str,
    members: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    peer_id: u32,
    public_key: String,
    path: &'static str,
    relay: String,
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
            peers: stats.peers.into_iter().map(Peer::from).collect(),
        }
    }
}

impl From<RelayStats> for Relay {
    fn from(relay: RelayStats) -> Self {
        Self { url: relay.url, state: relay.phase, members: relay.circuits }
    }
}

impl From<PeerStats> for Peer {
    fn from(peer: PeerStats) -> Self {
        Self {
            peer_id: peer.peer.0,
            public_key: hex(&peer.key),
            path: "relay",
            relay: peer.relay,
            messages_in: peer.traffic.messages_in as f64,
            messages_out: peer.traffic.messages_out as f64,
            bytes_in: peer.traffic.bytes_in as f64,
            bytes_out: peer.traffic.bytes_out as f64,
            queued_bytes: peer.queued_bytes,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
