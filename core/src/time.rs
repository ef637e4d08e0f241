//! Time as an argument: this crate reads no clock.

use std::ops::{Add, Sub};

pub use std::time::Duration;

/// A moment, as the time since an origin of the caller's choice. It must not run backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The origin itself.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The moment `milliseconds` after the origin. Negative and non-finite values are the origin itself.
    pub fn from_millis(milliseconds: f64) -> Self {
        Self(Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default())
    }

    /// Milliseconds since the origin.
    pub fn as_millis(self) -> f64 {
        self.0.as_secs_f64() * 1000.0
    }

    /// The time from `earlier` to this moment, zero if it was later.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, after: Duration) -> Time {
        Time(self.0.saturating_add(after))
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}
