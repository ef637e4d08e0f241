//! Who of a room is connected to directly, once all is well.

use peersockets_core::limits;
use peersockets_core::swarm::stats::Route;
use peersockets_core::time::{Duration, Time};

use crate::room::Room;
use crate::world::seconds;

impl Room {
    /// Everyone who may have one more direct connection is connected to everyone else who may, soon: whatever failed before is tried again
    /// within the longest pause (PROTOCOL.md §15). All has been well since this moment.
    pub(crate) fn expect_mesh(&mut self, since: Time) {
        while let Some((one, other)) = self.parted() {
            let waited = self.world.now.since(since);
            assert!(waited < longest(), "{one} and {other} may be directly connected and are not after {waited:?}");
            self.pass(seconds(1.0));
        }
        self.meshed_after = self.world.now.since(since);
    }

    /// Two devices that may be directly connected and are not.
    fn parted(&self) -> Option<(usize, usize)> {
        let devices: Vec<usize> = self.devices().into_iter().filter(|device| self.is_here(*device)).collect();
        let has_place = |device: &usize| self.world.peer_connections(*device) < self.world.direct_peers;
        // With a place for everyone a connection that is not there yet takes none from others.
        let has_place_for_all = devices.len() <= self.world.direct_peers + 1;
        let may = |device: &usize| self.world.direct_peers > 0 && (has_place_for_all || has_place(device));
        let able: Vec<usize> = devices.iter().copied().filter(may).collect();
        let mut pairs = able.iter().flat_map(|one| able.iter().map(|other| (*one, *other)));
        pairs.find(|(one, other)| one != other && !self.is_direct(*one, *other))
    }

    fn is_direct(&self, device: usize, other: usize) -> bool {
        let key = self.world.devices[other].swarm.stats().device_key;
        let peers = self.world.devices[device].swarm.stats().peers;
        peers.iter().any(|peer| peer.key == key && peer.route == Route::Direct)
    }
}

/// The longest pause between two attempts, and an attempt.
fn longest() -> Duration {
    limits::DIRECT_RETRY_MAX.mul_f64(1.5) + limits::DIRECT_AFTER + limits::DIRECT_TIME
}
