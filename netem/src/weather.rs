//! How long what is written takes to arrive.

use std::collections::BTreeMap;

use peersockets_core::random::Random;
use peersockets_core::swarm::SocketId;
use peersockets_core::time::{Duration, Time};

use crate::world::Delivery;

/// Delays, the same way for everyone. The default has none: everything arrives at once.
#[derive(Default)]
pub struct Weather {
    latency: Duration,
    jitter: Duration,
    random: Option<Random>,
    /// When the last piece on a way arrives: order is kept.
    last: BTreeMap<(usize, SocketId, bool), Time>,
}

impl Weather {
    /// Each piece takes `latency` and up to `jitter` more, and no piece overtakes another on the same socket.
    pub fn new(latency: Duration, jitter: Duration, random: Random) -> Self {
        Self { latency, jitter, random: Some(random), last: BTreeMap::new() }
    }

    pub(crate) fn arrival(&mut self, now: Time, delivery: &Delivery) -> Time {
        let (Some(random), Some((device, socket))) = (&mut self.random, delivery.way()) else {
            return now;
        };
        let is_outward = matches!(delivery, Delivery::ToServer { .. } | Delivery::Step { .. } | Delivery::Close { .. });
        let last = self.last.entry((device, socket, is_outward)).or_default();
        let at = now + self.latency + self.jitter.mul_f64(random.fraction());
        *last = at.max(*last);
        *last
    }
}
