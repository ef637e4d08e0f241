//! How many inbound handshakes may begin: each costs computing, whoever asks for it.

use crate::limits;
use crate::time::Time;

/// The inbound handshakes that may begin now: a bucket that refills with time.
pub struct Handshakes {
    tokens: f64,
    filled_at: Time,
}

impl Handshakes {
    /// As many as may begin at a stroke.
    pub fn new(now: Time) -> Self {
        Self { tokens: f64::from(limits::HANDSHAKES_PER_SECOND), filled_at: now }
    }

    /// Whether one more may begin now.
    pub fn take(&mut self, now: Time) -> bool {
        let rate = f64::from(limits::HANDSHAKES_PER_SECOND);
        let refilled = self.tokens + now.since(self.filled_at).as_secs_f64() * rate;
        self.filled_at = now;
        self.tokens = refilled.min(rate);
        let is_allowed = self.tokens >= 1.0;
        if is_allowed {
            self.tokens -= 1.0;
        }
        is_allowed
    }
}
