//! The wait for the copier at the end, when the last service has gone.

use core::time::Duration;
use daemontools_core::time::Instant;

/// Time between two checks whether the copier has read everything.
const CHECK: Duration = Duration::from_millis(50);

/// How long svscan waits while nothing is read.
const STALLED: Duration = Duration::from_secs(5);

/// How many checks in a row have to find nothing unread, if the copier does not end. A process that a
/// service has left behind can still write.
const CHECKS: u32 = 4;

/// The time from the last service's end that the copier has in any case.
const LEAST: Duration = Duration::from_secs(1);

/// The wait for the copier.
pub(super) struct LastOutput {
    next: Instant,
    /// The number of unread bytes, and since when it is the same.
    unread: u64,
    since: Instant,
    /// The number of checks that have found nothing unread.
    empty: u32,
    /// When the time of the stop is over.
    limit: Option<Instant>,
}

impl LastOutput {
    /// Begins the wait. `limit` is when the time of the stop is over.
    pub(super) fn new(now: Instant, limit: Option<Instant>) -> Self {
        let limit = limit.map(|limit| limit.max(now + LEAST));
        Self { next: now, unread: u64::MAX, since: now, empty: 0, limit }
    }

    /// When the next check is due.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Whether the wait is over, with this number of unread bytes.
    pub(super) fn is_over(&mut self, unread: u64, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + CHECK;
        if unread != self.unread {
            (self.unread, self.since) = (unread, now);
        }
        self.empty = if unread == 0 { self.empty + 1 } else { 0 };
        let is_late = self.limit.is_some_and(|limit| limit <= now) || self.since + STALLED <= now;
        is_late || self.empty >= CHECKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(0);

    /// The number of checks until the wait is over; `unread` after each number of checks.
    fn checks(limit: Option<Duration>, unread: impl Fn(u64) -> u64) -> u64 {
        let mut last = LastOutput::new(START, limit.map(|limit| START + limit));
        let mut checks = 0;
        while !last.is_over(unread(checks), last.next()) {
            checks += 1;
            assert!(checks < 1000);
        }
        checks
    }

    #[test]
    fn the_wait_lasts_while_something_is_read() {
        assert_eq!(checks(None, |_| 0), 3);
        assert_eq!(checks(None, |n| 300_u64.saturating_sub(n)), 303);
        assert_eq!(checks(None, |_| 7), 100);
        assert_eq!(checks(Some(Duration::from_secs(3)), |n| 300 - n), 60);
        // The time of the stop was over before.
        assert_eq!(checks(Some(Duration::ZERO), |_| 7), 20);
    }
}
