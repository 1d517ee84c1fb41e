//! Moments on a clock that never goes back.

use core::ops::Add;
use core::time::Duration;

/// A moment: nanoseconds on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// How long it is from now until this moment; nothing if it has passed.
    #[must_use]
    pub const fn after(self, now: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now.0))
    }

    /// The moment so much sooner, or the first one there is.
    #[must_use]
    pub fn before(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Now, on both clocks: one to reckon with, one to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For everything that is due after some time.
    pub instant: Instant,
    /// For what is written down.
    pub label: crate::tai::Tai64n,
}
