//! The timers of a running process.

use crate::time::Instant;
use core::time::Duration;

/// The time at which something is due, if it is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer(Option<Instant>);

impl Timer {
    const DISARMED: Self = Self(None);

    /// Arms it for so long from now, or disarms it.
    pub(super) fn set(&mut self, after: Option<Duration>, now: Instant) {
        self.0 = after.map(|after| now + after);
    }

    pub(super) const fn disarm(&mut self) {
        self.0 = None;
    }

    pub(super) const fn is_armed(self) -> bool {
        self.0.is_some()
    }

    /// Whether it is due. A due timer is disarmed, so it fires once.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.0.take_if(|due| *due <= now).is_some()
    }

    /// Moves an armed timer to this time at the earliest.
    pub(super) fn extend(&mut self, earliest: Instant) {
        self.0 = self.0.map(|due| due.max(earliest));
    }
}

/// All timers. They run only while there is a process, or leftovers of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timers {
    /// The process was told to stop: KILL is due.
    pub(super) kill: Timer,
    /// The service must be ready.
    pub(super) ready: Timer,
    /// The service must send a keep-alive.
    pub(super) watchdog: Timer,
    /// The next health check is due, or the running one times out.
    pub(super) check: Timer,
}

impl Timers {
    pub(super) const DISARMED: Self = Self {
        kill: Timer::DISARMED,
        ready: Timer::DISARMED,
        watchdog: Timer::DISARMED,
        check: Timer::DISARMED,
    };

    /// The first time at which one of them is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.kill, self.ready, self.watchdog, self.check].into_iter().filter_map(|it| it.0).min()
    }
}
