//! When a service may start again: the second between starts, the restart delay and the restart
//! limit.

use super::policy::Policy;
use crate::time::Instant;
use alloc::collections::VecDeque;
use core::time::Duration;

/// The shortest time from one start to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after a failed fork. The pauses double from [`START_INTERVAL`] on.
pub const MAX_FORK_PAUSE: Duration = Duration::from_secs(60);

/// After a run of this length the next failure counts as the first, unless the policy says how
/// long.
pub const DEFAULT_RESET: Duration = Duration::from_secs(60);

/// So many exits with code 0 right after the start are no accident.
const QUICK_EXITS: [u8; 2] = [2, 3];

/// The starts and deaths that delay the next start.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    /// The last start of `start` or `run`.
    pub(super) last_start: Option<Instant>,
    /// The earliest next start, by the restart delay.
    pub(super) not_before: Instant,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Failures within the time of the restart limit.
    deaths: VecDeque<Instant>,
    /// Failed forks in a row.
    fork_failures: u32,
    /// Exits with code 0 right after the start, in a row.
    quick_exits: u8,
    /// The random number for the jitter of the next delay.
    pub(super) random: u32,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self {
            last_start: None,
            not_before: Instant(0),
            failures: 0,
            deaths: VecDeque::new(),
            fork_failures: 0,
            quick_exits: 0,
            random: 0,
        }
    }

    /// Forgets the failures: a command wants the service to run.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
        self.deaths.clear();
        self.not_before = Instant(0);
    }

    /// The earliest time of the next start.
    pub(super) fn next_start(&self, now: Instant) -> Instant {
        let earliest = self.last_start.map_or(now, |last| last + START_INTERVAL);
        earliest.max(self.not_before)
    }

    /// Forgets the failures in a row if the run that ends now was long enough.
    pub(super) fn end_run(&mut self, policy: &Policy, now: Instant) {
        let reset = policy.restart.map_or(DEFAULT_RESET, |restart| restart.reset);
        if self.last_start.is_some_and(|start| start + reset <= now) {
            self.failures = 0;
        }
    }

    /// Counts an exit with code 0 that no command asked for. Returns how many came in a row, if that is
    /// to be reported.
    pub(super) fn note_exit(&mut self, now: Instant) -> Option<u8> {
        let is_quick = self.last_start.is_some_and(|start| now < start + START_INTERVAL);
        self.quick_exits = if is_quick { self.quick_exits.saturating_add(1) } else { 0 };
        QUICK_EXITS.contains(&self.quick_exits).then_some(self.quick_exits)
    }

    /// Counts a failure, and sets the delay of the next start. Returns whether the restart limit is
    /// reached.
    pub(super) fn add_failure(&mut self, policy: &Policy, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if let Some(restart) = policy.restart {
            self.not_before = now + restart.delay(self.failures, self.random);
        }
        let Some(limit) = policy.limit else {
            return false;
        };
        self.deaths.retain(|death| *death + limit.within > now);
        self.deaths.push_back(now);
        self.deaths.len() >= limit.deaths.into()
    }

    /// Counts a failed fork.
    pub(super) const fn add_fork_failure(&mut self) {
        self.fork_failures = self.fork_failures.saturating_add(1);
    }

    /// A fork succeeded.
    pub(super) const fn clear_fork_failures(&mut self) {
        self.fork_failures = 0;
    }

    pub(super) const fn is_fork_failing(&self) -> bool {
        self.fork_failures > 0
    }

    /// The pause after the last failed fork.
    pub(super) fn fork_pause(&self) -> Duration {
        let doublings = self.fork_failures.saturating_sub(1).min(6);
        (START_INTERVAL * (1 << doublings)).min(MAX_FORK_PAUSE)
    }
}
