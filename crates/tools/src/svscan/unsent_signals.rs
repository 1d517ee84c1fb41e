//! Signals that could not be sent to a supervise, and the time of the next try.

use crate::common::clock::instant;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::time::Instant;

/// Time before the first new try.
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
    pub(super) fn push(&mut self, pid: Pid, signal: i32) {
        self.signals.push((pid, signal));
        self.due = Some(instant() + FIRST_PAUSE);
    }

    /// When the next try is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the signals out for a new try, if it is due. [`Self::put_back`] has to follow.
    pub(super) fn take_due(&mut self) -> Option<Vec<(Pid, i32)>> {
        self.due.filter(|due| *due <= instant()).map(|_| core::mem::take(&mut self.signals))
    }

    /// Keeps the signals that could not be sent this time either.
    pub(super) fn put_back(&mut self, unsent: Vec<(Pid, i32)>) {
        self.due = (!unsent.is_empty()).then(|| instant() + RETRY_INTERVAL);
        self.signals = unsent;
    }
}
