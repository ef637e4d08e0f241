//! How fast one client is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, Sleep, sleep};

use crate::bucket::Bucket;
use crate::budget::Budget;

/// An allowance of bytes, and the pauses that a client takes once it, or one that it shares with others, is used up.
///
/// It counts what comes from the network: a flood of empty WebSocket frames, which never becomes a message, costs the
/// client its headers.
#[derive(Debug)]
pub struct ReadLimit {
    allowance: Bucket,
    pauses: Counter,
    total: Option<Arc<Budget>>,
    /// From when on the client may be read again for the sake of those it shares with, and who counts the pause until then.
    turn: Option<(std::time::Instant, Counter)>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ReadLimit {
    /// A limit of `burst` bytes, then `per_second`, within `total`. Counts its pauses in `pauses`.
    pub fn new(burst: usize, per_second: usize, pauses: Counter, total: Option<Arc<Budget>>) -> Self {
        Self { allowance: Bucket::new(burst, per_second, now()), pauses, total, turn: None, pause: None }
    }

    /// Ready when the client may be read. The first time it is at once, so that a JOIN waits for nobody.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let now = now();
            let own = self.allowance.wait(now);
            let turn = self.turn.as_ref().map(|(turn, pauses)| (turn.saturating_duration_since(now), pauses));
            let (wait, pauses) = turn.filter(|(wait, _)| *wait > own).unwrap_or((own, &self.pauses));
            if wait.is_zero() {
                return Poll::Ready(());
            }
            pauses.inc();
            self.pause = Some(Box::pin(sleep(wait + Duration::from_millis(1))));
        }
    }

    /// Takes bytes from all allowances, whether they have them or not: from its own and those that it shares with its room, if it has
    /// one, and with everybody.
    pub fn charge(&mut self, bytes: usize, room: Option<&Budget>) {
        self.surcharge(bytes);
        let now = now();
        for budget in self.total.as_deref().into_iter().chain(room) {
            let turn = now + budget.charge(bytes, now);
            if self.turn.as_ref().is_none_or(|(latest, _)| turn > *latest) {
                self.turn = Some((turn, budget.pauses().clone()));
            }
        }
    }

    /// Takes bytes from its own allowance only: others don't pay for what a client's bytes don't show.
    pub fn surcharge(&mut self, bytes: usize) {
        self.allowance.overdraw(bytes);
    }
}

/// The time, which tests let pass as they like.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::budget::Budgets;
    use crate::limits::Limits;
    use crate::metrics::Metrics;
    use crate::options::Options;
    use crate::rooms::RoomId;
    use clap::Parser;

    const SECOND: Duration = Duration::from_secs(1);
    const PLENTY: usize = 1 << 30;

    fn limits(words: &[&str]) -> Limits {
        Options::parse_from([&["relay"], words].concat()).limits
    }

    /// Reads a thousand bytes at a time, as often as that is allowed until `time` has passed; gives the bytes.
    async fn read(mut limit: ReadLimit, room: Option<Arc<Budget>>, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut bytes = 0;
        loop {
            poll_fn(|cx| limit.poll_ready(cx)).await;
            if Instant::now() >= until {
                return bytes;
            }
            limit.charge(1_000, room.as_deref());
            bytes += 1_000;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_members_of_a_room_get_its_burst_and_its_rate_together() {
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--room-rate=2000", "--room-burst=10000"]), &metrics, now());
        let member = || {
            let limit = ReadLimit::new(PLENTY, PLENTY, metrics.waits_for_rate.clone(), budgets.total());
            read(limit, budgets.of(RoomId([1; 32]), now()), 20 * SECOND)
        };
        let other = ReadLimit::new(PLENTY, PLENTY, metrics.waits_for_rate.clone(), budgets.total());
        let alone = read(other, budgets.of(RoomId([2; 32]), now()), 20 * SECOND);
        let (first, second, other) = tokio::join!(member(), member(), alone);
        // Ten thousand, then twenty seconds' worth of two thousand for both; each may overdraw it by one read.
        assert!((50_000..=52_000).contains(&(first + second)), "{first} + {second}");
        assert!((50_000..=51_000).contains(&other), "another room has its own: {other}");
        assert!(metrics.waits_for_room_rate.get() > 0 && metrics.waits_for_rate.get() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_all_rooms_share_the_total() {
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--total-rate=2000", "--total-burst=10000"]), &metrics, now());
        let client = || {
            let limit = ReadLimit::new(PLENTY, PLENTY, metrics.waits_for_rate.clone(), budgets.total());
            read(limit, None, 20 * SECOND)
        };
        let (first, second) = tokio::join!(client(), client());
        assert!((50_000..=52_000).contains(&(first + second)), "{first} + {second}");
        assert!(metrics.waits_for_total_rate.get() > 0 && metrics.waits_for_rate.get() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_shares_a_rate_with_many_floods_waits_for_one_turn_of_each() {
        const FLOODS: u32 = 300;
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--total-rate=100000", "--total-burst=100000"]), &metrics, now());
        let client = || ReadLimit::new(PLENTY, PLENTY, metrics.waits_for_rate.clone(), budgets.total());
        let floods = futures_util::future::join_all((0..FLOODS).map(|_| read(client(), None, 60 * SECOND)));
        let latecomer = async {
            sleep(5 * SECOND).await;
            let mut limit = client();
            let mut last = Instant::now();
            let mut waits = Vec::new();
            for _ in 0..10 {
                poll_fn(|cx| limit.poll_ready(cx)).await;
                limit.charge(100, None);
                waits.push(std::mem::replace(&mut last, Instant::now()).elapsed());
            }
            waits
        };
        let (read, waits) = tokio::join!(floods, latecomer);
        assert_eq!(waits[0], Duration::ZERO, "its JOIN is not held back");
        // The turn of a flood is a thousand bytes: ten milliseconds, and one more for the clock.
        assert!(waits.iter().all(|wait| *wait <= FLOODS * SECOND / 90), "{waits:?}");
        // A minute's rate, shared evenly; the burst went to who came first.
        let least = read.iter().min().expect("a flood");
        assert!((19_000..=20_000).contains(least), "{least} bytes were read of a flood");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_clients_bytes_do_not_show_costs_nobody_else() {
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--total-rate=2000"]), &metrics, now());
        let client = || ReadLimit::new(10_000, 2_000, metrics.waits_for_rate.clone(), budgets.total());
        let (mut costly, mut other) = (client(), client());
        costly.surcharge(1_000_000);
        other.charge(1, None);
        assert!(poll_fn(|cx| Poll::Ready(other.poll_ready(cx))).await.is_ready());
        assert!(poll_fn(|cx| Poll::Ready(costly.poll_ready(cx))).await.is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_within_all_others_limits_still_has_its_own() {
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--total-rate=1000000"]), &metrics, now());
        let limit = ReadLimit::new(10_000, 2_000, metrics.waits_for_rate.clone(), budgets.total());
        let bytes = read(limit, None, 20 * SECOND).await;
        assert!((50_000..=51_000).contains(&bytes), "{bytes}");
        assert!(metrics.waits_for_rate.get() > 0 && metrics.waits_for_total_rate.get() == 0);
    }
}
