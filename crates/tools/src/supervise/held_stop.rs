//! The stop of a service that others need: its stop signal is held back while they run.
//!
//! The supervisor of a service that needs this one has a share of the lock on the file `needed` in
//! our state directory while that service runs. The kernel gives the share back if it dies.

use core::time::Duration;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::supervise::stop_order::StopHold;
use daemontools_core::time::Instant;
use daemontools_sys::watch::Watch;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, lock};

/// The file with the lock.
pub(super) const NEEDED: &str = "needed";

/// inotify announces a close before the lock is free.
pub(super) const AFTER_CLOSE: Duration = Duration::from_millis(20);

/// A stop signal that is held back.
pub(super) struct HeldStop {
    pub(super) hold: StopHold,
    pub(super) scope: Scope,
    pub(super) needed: OwnedFd,
    /// Readable when a holder of the lock has closed its file.
    pub(super) watch: Option<Watch>,
    pub(super) look_again: Option<Instant>,
}

impl HeldStop {
    /// Readable when a dependent may have given its claim up.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// When the next look is due.
    pub(super) fn deadline(&self) -> Instant {
        let due = self.hold.deadline();
        self.look_again.map_or(due, |look| look.min(due))
    }

    /// Whether a dependent claims the service.
    pub(super) fn is_claimed(&self) -> bool {
        lock::try_lock(self.needed.as_fd()) == Err(Errno::AGAIN)
    }
}
