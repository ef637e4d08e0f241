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
    pause: Option<Pin<Box<Sleep>>>,
}

impl ReadLimit {
    /// A limit of `burst` bytes, then `per_second`, within `total`. Counts its pauses in `pauses`.
    pub fn new(burst: usize, per_second: usize, pauses: Counter, total: Option<Arc<Budget>>) -> Self {
        Self { allowance: Bucket::new(burst, per_second, now()), pauses, total, pause: None }
    }

    /// Ready when the client, which may have a room, may be read.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>, room: Option<&Budget>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let now = now();
            let own = self.allowance.wait(now);
            let shared = self.total.as_deref().into_iter().chain(room).map(|budget| (budget.wait(now), budget));
            let shared = shared.max_by_key(|(wait, _)| *wait).filter(|(wait, _)| *wait > own);
            let wait = shared.map_or(own, |(wait, _)| wait);
            if wait.is_zero() {
                return Poll::Ready(());
            }
            match shared {
                Some((_, budget)) => budget.count_pause(),
                None => _ = self.pauses.inc(),
            }
            self.pause = Some(Box::pin(sleep(wait + Duration::from_millis(1))));
        }
    }

    /// Takes bytes from all allowances, whether they have them or not.
    pub fn charge(&mut self, bytes: usize, room: Option<&Budget>) {
        self.allowance.overdraw(bytes);
        self.total.as_deref().into_iter().chain(room).for_each(|budget| budget.charge(bytes));
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
            poll_fn(|cx| limit.poll_ready(cx, room.as_deref())).await;
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
    async fn a_client_within_all_others_limits_still_has_its_own() {
        let metrics = Metrics::default();
        let budgets = Budgets::new(&limits(&["--total-rate=1000000"]), &metrics, now());
        let limit = ReadLimit::new(10_000, 2_000, metrics.waits_for_rate.clone(), budgets.total());
        let bytes = read(limit, None, 20 * SECOND).await;
        assert!((50_000..=51_000).contains(&bytes), "{bytes}");
        assert!(metrics.waits_for_rate.get() > 0 && metrics.waits_for_total_rate.get() == 0);
    }
}
