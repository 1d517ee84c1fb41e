//! The period after which a new `current` begins.

use super::current::Current;
use crate::multilog::clock_step::DAY;
use crate::time::tai::Tai64n;

/// The periods of an output directory, which start at multiples of their length since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// Length in seconds.
    length: Option<u64>,
    /// The number of the period in which `current` was written.
    of_current: i64,
}

impl Period {
    pub(super) const fn new(length: Option<u64>) -> Self {
        Self { length, of_current: 0 }
    }

    pub(super) const fn is_set(self) -> bool {
        self.length.is_some()
    }

    /// Remembers the time of the last write to a `current` of an earlier logger, in seconds since
    /// 1970.
    pub(super) fn resume(&mut self, modified: i64) {
        self.of_current = self.number(modified);
    }

    /// Remembers a write to `current`.
    pub(super) fn written(&mut self, now: Tai64n) {
        if self.is_set() {
            self.of_current = self.number(now.to_unix()).max(self.of_current);
        }
    }

    /// Whether the period of `current` is over. A clock that goes back ends no period. If it goes
    /// back by more than a day, `current` belongs to the present period from then on.
    pub(super) fn is_over(&mut self, current: Current, now: Tai64n) -> bool {
        if self.is_far_ahead(now) {
            self.of_current = self.number(now.to_unix());
        }
        self.is_set() && current.size > 0 && self.number(now.to_unix()) > self.of_current
    }

    /// Whether `current` was written at a time that is more than a day ahead of `now`.
    fn is_far_ahead(self, now: Tai64n) -> bool {
        let length = self.length.and_then(|length| i64::try_from(length).ok()).unwrap_or(0);
        self.of_current.saturating_mul(length).saturating_sub(now.to_unix()) > DAY
    }

    /// The number of seconds until the period of a `current` that is not empty is over, or 0 if
    /// [`Self::is_over`] has to correct the period.
    pub(super) fn seconds_left(
        self,
        current: Current,
        now: impl FnOnce() -> Tai64n,
    ) -> Option<u64> {
        let length = i64::try_from(self.length?).ok().filter(|_| current.size > 0)?;
        let now = now();
        if self.is_far_ahead(now) {
            return Some(0);
        }
        let end = self.of_current.checked_add(1)?.checked_mul(length)?;
        Some(u64::try_from(end.checked_sub(now.to_unix())?).unwrap_or(0))
    }

    /// The number of the period that contains a time, in seconds since 1970.
    fn number(self, seconds: i64) -> i64 {
        let length = self.length.and_then(|length| i64::try_from(length).ok());
        length.map_or(0, |length| seconds.div_euclid(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_written_in_the_far_future_becomes_the_present_one() {
        let current = Current { size: 1, ..Current::default() };
        let at = |seconds| Tai64n::from_unix(seconds, 0);
        let left = |period: Period, seconds| period.seconds_left(current, || at(seconds));
        let mut period = Period::new(Some(3600));
        period.written(at(1_000_000_000));
        // Less than a day ahead.
        assert!(!period.is_over(current, at(999_950_000)));
        assert!(!period.is_over(current, at(1_000_000_000)));
        assert_eq!(left(period, 999_999_999), Some(801));
        // A year ahead.
        assert_eq!(left(period, 970_000_000), Some(0));
        assert!(!period.is_over(current, at(970_000_000)));
        assert_eq!(left(period, 970_000_000), Some(2000));
        assert!(period.is_over(current, at(970_002_000)));
        // Without a period.
        let mut none = Period::new(None);
        none.written(at(1_000_000_000));
        assert!(!none.is_over(current, at(0)) && left(none, 0).is_none());
    }
}
