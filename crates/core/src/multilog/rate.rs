//! A limit of lines a second, which says how many it kept back.

use crate::tai::Tai64n;

/// The lines of one second of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    most: u64,
    second: u64,
    passed: u64,
    dropped: u64,
}

impl Limiter {
    /// A limiter that lets so many lines of each second pass.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { most, second: 0, passed: 0, dropped: 0 }
    }

    /// Whether a line passes now.
    pub const fn admits(&mut self, now: Tai64n) -> bool {
        if now.seconds != self.second {
            self.second = now.seconds;
            self.passed = 0;
        }
        if self.passed < self.most {
            self.passed += 1;
            return true;
        }
        self.dropped += 1;
        false
    }

    /// How many lines were kept back since this was asked the last time, if there are any and
    /// their second is over.
    pub fn take_dropped(&mut self, now: Tai64n) -> Option<u64> {
        if now.seconds == self.second { None } else { self.take_rest() }
    }

    /// The same, although the second is not over.
    pub fn take_rest(&mut self) -> Option<u64> {
        Some(core::mem::take(&mut self.dropped)).filter(|dropped| *dropped > 0)
    }

    /// Whether there is something to be said.
    #[must_use]
    pub const fn has_dropped(&self) -> bool {
        self.dropped > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_told_when_its_second_is_over() {
        let at = |seconds| Tai64n { seconds, nanoseconds: 5 };
        let mut limiter = Limiter::new(2);
        let admitted: [bool; 4] = core::array::from_fn(|_| limiter.admits(at(7)));
        assert_eq!(admitted, [true, true, false, false]);
        assert_eq!(limiter.take_dropped(at(7)), None);
        assert!(limiter.has_dropped());
        assert_eq!(limiter.take_dropped(at(8)), Some(2));
        assert_eq!(limiter.take_dropped(at(9)), None);
        assert!(limiter.admits(at(9)));
        assert!(limiter.admits(at(9)) && !limiter.admits(at(9)));
        assert_eq!((limiter.take_rest(), limiter.take_rest()), (Some(1), None));
        // A clock that goes back begins a new second as well.
        assert!(limiter.admits(at(3)) && limiter.admits(at(3)) && !limiter.admits(at(3)));
        assert_eq!(limiter.take_dropped(at(2)), Some(1));
    }
}
