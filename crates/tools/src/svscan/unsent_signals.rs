//! Signals that could not be sent to a supervise, and the time of the next try.

use crate::common::clock::instant;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::time::Instant;

/// When an unsent signal is tried again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retry {
    /// The process has just started, and does not read the signal yet.
    Soon,
    /// The kernel has refused the signal.
    Later,
}

/// Time before the next try for a process that has just started.
const START_PAUSE: Duration = Duration::from_millis(20);

/// Time before the first new try after an error.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Time between two later tries.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The unsent signals. There is a time of the next try exactly while there are signals.
pub(super) struct UnsentSignals {
    signals: Vec<(Pid, i32)>,
    due: Option<Instant>,
}

impl UnsentSignals {
    pub(super) const fn new() -> Self {
        Self { signals: Vec::new(), due: None }
    }

    /// Keeps a signal that could not be sent.
    pub(super) fn push(&mut self, pid: Pid, signal: i32, retry: Retry) {
        self.signals.push((pid, signal));
        let pause = if retry == Retry::Soon { START_PAUSE } else { FIRST_PAUSE };
        let due = instant() + pause;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// When the next try is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the signals out for a new try, if it is due. [`Self::put_back`] has to follow.
    pub(super) fn take_due(&mut self) -> Option<Vec<(Pid, i32)>> {
        self.due.filter(|due| *due <= instant()).map(|_| core::mem::take(&mut self.signals))
    }

    /// Keeps the signals that could not be sent this time either. `retry` is that of the first of them.
    pub(super) fn put_back(&mut self, unsent: Vec<(Pid, i32)>, retry: Retry) {
        let pause = if retry == Retry::Soon { START_PAUSE } else { RETRY_INTERVAL };
        self.due = (!unsent.is_empty()).then(|| instant() + pause);
        self.signals = unsent;
    }
}
