//! The limit of lines a second of an output directory.

use crate::time::tai::Tai64n;

/// Counts the lines of one second of the clock, and the lines dropped since the last report.
#[derive(Clone, Copy, Debug)]
pub struct RateLimiter {
    limit: u64,
    second: u64,
    admitted: u64,
    dropped: u64,
}

impl RateLimiter {
    /// Creates a limiter that admits `limit` lines in each second.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit, second: 0, admitted: 0, dropped: 0 }
    }

    /// Counts a line; returns whether the limit admits it.
    pub const fn admits(&mut self, now: Tai64n) -> bool {
        if now.seconds != self.second {
            self.second = now.seconds;
            self.admitted = 0;
        }
        if self.admitted < self.limit {
            self.admitted += 1;
            return true;
        }
        self.dropped += 1;
        false
    }

    /// Takes the number of dropped lines, if there are any and their second is over.
    pub fn take_dropped(&mut self, now: Tai64n) -> Option<u64> {
        if now.seconds == self.second { None } else { self.take_all_dropped() }
    }

    /// Takes the number of dropped lines, if there are any.
    pub fn take_all_dropped(&mut self) -> Option<u64> {
        Some(core::mem::take(&mut self.dropped)).filter(|dropped| *dropped > 0)
    }

    /// Whether there are dropped lines to report.
    #[must_use]
    pub const fn has_dropped(&self) -> bool {
        self.dropped > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_counted_and_reported_after_their_second() {
        let at = |seconds| Tai64n { seconds, nanoseconds: 5 };
        let mut limiter = RateLimiter::new(2);
        let admitted: [bool; 4] = core::array::from_fn(|_| limiter.admits(at(7)));
        assert_eq!(admitted, [true, true, false, false]);
        assert_eq!(limiter.take_dropped(at(7)), None);
        assert!(limiter.has_dropped());
        assert_eq!(limiter.take_dropped(at(8)), Some(2));
        assert_eq!(limiter.take_dropped(at(9)), None);
        assert!(limiter.admits(at(9)));
        assert!(limiter.admits(at(9)) && !limiter.admits(at(9)));
        assert_eq!((limiter.take_all_dropped(), limiter.take_all_dropped()), (Some(1), None));
        // A clock that goes back begins a new second too.
        assert!(limiter.admits(at(3)) && limiter.admits(at(3)) && !limiter.admits(at(3)));
        assert_eq!(limiter.take_dropped(at(2)), Some(1));
    }
}
