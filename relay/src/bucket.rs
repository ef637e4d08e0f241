//! A token bucket: so much at a stroke, then so much per second.

use std::time::{Duration, Instant};

/// An allowance that refills with time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    refilled: Instant,
}

impl Bucket {
    /// A full bucket of `burst` tokens, which refills with `per_second`.
    pub fn new(burst: usize, per_second: usize, now: Instant) -> Self {
        let burst = burst as f64;
        Self { tokens: burst, burst, per_second: per_second as f64, refilled: now }
    }

    /// Takes tokens if there are any; the last takers may overdraw it.
    pub fn take(&mut self, tokens: usize, now: Instant) -> bool {
        if self.tokens < 1.0 {
            self.refill(now);
        }
        let enough = self.tokens >= 1.0;
        if enough {
            self.overdraw(tokens);
        }
        enough
    }

    /// Takes tokens, whether there are any or not.
    pub fn overdraw(&mut self, tokens: usize) {
        self.tokens -= tokens as f64;
    }

    /// The time until [`Bucket::take`] succeeds again.
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.refill(now);
        Duration::try_from_secs_f64((1.0 - self.tokens) / self.per_second).unwrap_or_default()
    }

    /// Whether nothing would be lost by forgetting this bucket.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.refilled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 10, start);
        assert!((0..3).all(|_| bucket.take(1, start)));
        assert!(!bucket.take(1, start));
        assert!(!bucket.take(1, start + Duration::from_millis(99)));
        assert!(bucket.take(1, start + Duration::from_millis(101)));
        assert!(!bucket.take(1, start + Duration::from_millis(102)));
    }

    #[test]
    fn an_overdrawn_bucket_says_how_long_to_wait() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 100, start);
        assert!(bucket.take(300, start));
        let wait = bucket.wait(start);
        assert!((2.0..2.1).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(bucket.take(1, start + wait + Duration::from_millis(1)));
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2, 10, start);
        let later = start + Duration::from_secs(3_600);
        assert!(bucket.is_full(later));
        assert!(bucket.take(1, later) && bucket.take(1, later));
        assert!(!bucket.take(1, later));
    }
}
