//! Readings of a clock that is wrong, or that is set while the logger runs.

use crate::time::tai::Tai64n;

/// The length of a day in seconds. A clock that differs by more was wrong, or is wrong now.
pub const DAY: i64 = 86_400;

/// Whether a reading differs by more than a day from the reading before it. The caller reads the
/// clock again, and believes that reading.
#[must_use]
pub const fn is_step(before: Tai64n, now: Tai64n) -> bool {
    before.seconds.abs_diff(now.seconds) > DAY.unsigned_abs()
}

/// The time for a stamp after one with the time `last`. Stamps never go back, unless the clock is
/// behind by more than a day.
#[must_use]
pub fn time_after(last: Tai64n, now: Tai64n) -> Tai64n {
    if last > now && is_step(last, now) { now } else { last.max(now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Tai64n {
        Tai64n::from_unix(seconds, 0)
    }

    #[test]
    fn stamps_stand_still_for_a_day_and_then_go_on() {
        for (last, now, stamp) in
            [(0, 5, 5), (5, 0, 5), (DAY, 0, DAY), (DAY + 1, 0, 0), (0, 9 * DAY, 9 * DAY)]
        {
            assert_eq!(time_after(at(last), at(now)), at(stamp), "{last} {now}");
        }
        assert_eq!(time_after(Tai64n::default(), at(5)), at(5));
    }

    #[test]
    fn a_step_is_more_than_a_day_in_either_direction() {
        assert!(!is_step(at(0), at(DAY)) && !is_step(at(DAY), at(0)));
        assert!(is_step(at(0), at(DAY + 1)) && is_step(at(DAY + 1), at(0)));
    }
}
