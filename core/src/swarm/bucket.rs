//! How often something may be done that costs computing, whoever asks for it.

use crate::time::Time;

/// What may be done now: a bucket that refills with time.
#[derive(Debug)]
pub struct Bucket {
    /// Tokens in a second.
    rate: f64,
    /// Tokens at most.
    size: f64,
    tokens: f64,
    filled_at: Time,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Time, rate: u32, size: u32) -> Self {
        let size = f64::from(size);
        Self { rate: f64::from(rate), size, tokens: size, filled_at: now }
    }

    /// Whether it may be done once more now.
    pub fn take(&mut self, now: Time) -> bool {
        let refilled = self.tokens + now.since(self.filled_at).as_secs_f64() * self.rate;
        self.filled_at = now;
        self.tokens = refilled.min(self.size);
        let is_allowed = self.tokens >= 1.0;
        if is_allowed {
            self.tokens -= 1.0;
        }
        is_allowed
    }
}
