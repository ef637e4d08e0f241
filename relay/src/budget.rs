//! Bytes per second that clients share: those of one room, and those of the whole relay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

use crate::bucket::Bucket;
use crate::limits::Limits;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::rooms::RoomId;

/// Rooms whose budgets are kept before those that nobody uses are looked for.
const KEPT: usize = 1_024;

/// An allowance that several clients use up together.
#[derive(Debug)]
pub struct Budget {
    allowance: Mutex<Bucket>,
    pauses: Counter,
}

/// The budgets of one relay.
#[derive(Debug)]
pub struct Budgets {
    total: Option<Arc<Budget>>,
    room: Option<Rate>,
    room_pauses: Counter,
    rooms: Mutex<Rooms>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: usize,
    per_second: usize,
}

#[derive(Debug)]
struct Rooms {
    budgets: HashMap<RoomId, Arc<Budget>>,
    /// Beyond as many the idle ones are forgotten.
    kept: usize,
}

impl Budget {
    fn new(rate: Rate, pauses: Counter, now: Instant) -> Arc<Self> {
        let allowance = Mutex::new(Bucket::new(rate.burst, rate.per_second, now));
        Arc::new(Self { allowance, pauses })
    }

    /// Takes bytes from it, whether it has them or not. Returns the time until these and all that were taken before are made good:
    /// whoever waits so long before the next has its turn after those who came first, and before those who come later.
    pub fn charge(&self, bytes: usize, now: Instant) -> Duration {
        let mut allowance = lock(&self.allowance);
        allowance.overdraw(bytes);
        allowance.wait(now)
    }

    /// Counts the pauses that clients make for it.
    pub fn pauses(&self) -> &Counter {
        &self.pauses
    }

    fn is_forgettable(self: &Arc<Self>, now: Instant) -> bool {
        Arc::strong_count(self) == 1 && lock(&self.allowance).is_full(now)
    }
}

impl Budgets {
    /// As `limits` say.
    pub fn new(limits: &Limits, metrics: &Metrics, now: Instant) -> Self {
        let rate = |per_second: Option<usize>, burst: Option<usize>| {
            per_second.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second.saturating_mul(4)) })
        };
        let total = rate(limits.total_rate, limits.total_burst);
        Self {
            total: total.map(|rate| Budget::new(rate, metrics.waits_for_total_rate.clone(), now)),
            room: rate(limits.room_rate, limits.room_burst),
            room_pauses: metrics.waits_for_room_rate.clone(),
            rooms: Mutex::new(Rooms { budgets: HashMap::new(), kept: KEPT }),
        }
    }

    /// That of the whole relay.
    pub fn total(&self) -> Option<Arc<Budget>> {
        self.total.clone()
    }

    /// That of a room. It outlives the room until it is full: to leave and come back brings no new burst.
    pub fn of(&self, room: RoomId, now: Instant) -> Option<Arc<Budget>> {
        let rate = self.room?;
        let mut rooms = lock(&self.rooms);
        if rooms.budgets.len() >= rooms.kept {
            rooms.budgets.retain(|_, budget| !budget.is_forgettable(now));
            rooms.kept = KEPT.max(2 * rooms.budgets.len());
        }
        let budget = rooms.budgets.entry(room).or_insert_with(|| Budget::new(rate, self.room_pauses.clone(), now));
        Some(budget.clone())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::Options;

    fn budgets(words: &[&str], now: Instant) -> Budgets {
        let limits = Options::parse_from([&["relay"], words].concat()).limits;
        Budgets::new(&limits, &Metrics::default(), now)
    }

    #[test]
    fn nobody_shares_a_budget_that_the_operator_did_not_ask_for() {
        let now = Instant::now();
        let budgets = budgets(&[], now);
        assert!(budgets.total().is_none() && budgets.of(RoomId([1; 32]), now).is_none());
    }

    #[test]
    fn to_leave_a_room_and_come_back_brings_no_new_burst() {
        let now = Instant::now();
        let budgets = budgets(&["--room-rate=1024"], now);
        let room = RoomId([1; 32]);
        let budget = budgets.of(room, now).expect("a budget");
        assert!(budget.charge(0, now).is_zero());
        budget.charge(4 * 1_024 + 10 * 1_024, now);
        drop(budget);
        // Many rooms come and go meanwhile.
        for other in 0..3 * KEPT {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(other as u64).to_be_bytes());
            budgets.of(RoomId(id), now);
        }
        let wait = budgets.of(room, now).expect("a budget").charge(0, now);
        assert!((10.0..10.1).contains(&wait.as_secs_f64()), "four times the rate is its burst: {wait:?}");
        assert!(lock(&budgets.rooms).budgets.len() <= KEPT + 1, "rooms that nobody is in are forgotten");
    }
}
