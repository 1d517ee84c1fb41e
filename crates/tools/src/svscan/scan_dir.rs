//! The scan directory, and the service directories in it.
//!
//! svscan's current directory is the scan directory. Functions here leave it for a moment, and come
//! back before they return.

use crate::common::diag;
use crate::common::state_dir::StateDir;
use crate::survive::{lock_holder, standing};
use alloc::ffi::CString;
use core::time::Duration;
use daemontools_core::svscan::slot::Slot;
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, fs, poll};

/// Time between two tries to return to the scan directory.
const RETURN_PAUSE: Duration = Duration::from_secs(1);

/// The directory of one supervise: a name in the scan directory, or `log` in that.
#[derive(Clone)]
pub(super) struct ServiceDir {
    pub(super) name: CString,
    pub(super) in_log: bool,
}

impl ServiceDir {
    /// The directory of a slot's supervise; `None` for a name with a NUL, which no directory has.
    pub(super) fn of<Id>(slot: &Slot<Id>, role: SuperviseRole) -> Option<Self> {
        let name = CString::new(slot.name()).ok()?;
        // The own logger is a service directory itself, not the `log` of one.
        Some(Self { name, in_log: role == SuperviseRole::Log && !slot.is_own_logger() })
    }
}

/// The suffix of a supervise's name in messages.
pub(super) const fn suffix(role: SuperviseRole) -> &'static [u8] {
    match role {
        SuperviseRole::Main => b"",
        SuperviseRole::Log => b"/log",
    }
}

/// The open scan directory.
pub(super) struct ScanDir {
    /// The scan directory itself, to which [`Self::enter_scan_dir`] returns.
    dir: OwnedFd,
    /// The lock that keeps a second svscan away. It is also the start-up lock of new supervise
    /// processes. `None` where the directory cannot be locked.
    lock: Option<OwnedFd>,
    /// By which other programs find svscan where another process has the lock, or none is possible.
    marker: Option<OwnedFd>,
    /// svscan's current directory at its start: paths in its arguments are relative to it.
    start: Option<OwnedFd>,
}

impl ScanDir {
    /// The current directory, locked. `marker` comes from a handover.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn current(
        start: Option<OwnedFd>,
        lock: Option<OwnedFd>,
        marker: Option<OwnedFd>,
    ) -> daemontools_sys::Result<Self> {
        let is_found = lock.as_ref().is_some_and(|lock| lock_holder::is_free(lock.as_fd()));
        // Without a file in memory other programs do not find it.
        let marker = if is_found { None } else { marker.or_else(|| standing::make_marker().ok()) };
        Ok(Self { dir: fs::reach_dir(fs::HERE, c".")?, lock, marker, start })
    }

    /// The marker, if there is one.
    pub(super) fn marker(&self) -> Option<BorrowedFd<'_>> {
        self.marker.as_ref().map(OwnedFd::as_fd)
    }

    /// The lock, if there is one.
    pub(super) fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(OwnedFd::as_fd)
    }

    /// Goes to a service directory. After a failure it returns `false` and stays in the scan
    /// directory.
    pub(super) fn enter(&self, dir: &ServiceDir) -> bool {
        let entered = fs::chdir(&dir.name).is_ok();
        if entered && dir.in_log && fs::chdir(c"log").is_err() {
            self.enter_scan_dir();
            return false;
        }
        entered
    }

    /// The current directory of svscan's start.
    pub(super) fn start(&self) -> Option<BorrowedFd<'_>> {
        self.start.as_ref().map(OwnedFd::as_fd)
    }

    /// Goes to the current directory of svscan's start. Returns whether that works.
    pub(super) fn enter_start(&self) -> bool {
        self.start.as_ref().is_some_and(|start| fs::fchdir(start.as_fd()).is_ok())
    }

    /// Returns to the scan directory. Tries until that works: every name is relative to it.
    pub(super) fn enter_scan_dir(&self) {
        let mut warned = false;
        while let Err(error) = fs::fchdir(self.dir.as_fd()) {
            if !warned {
                let what = b"unable to switch to scan directory, pausing";
                diag::warning("svscan", &[what], error);
            }
            warned = true;
            poll::pause(RETURN_PAUSE);
        }
    }

    /// Passes the state directory of a service directory to `with`, if it exists.
    pub(super) fn in_state_dir<T>(
        &self,
        dir: &ServiceDir,
        with: impl FnOnce(BorrowedFd<'_>) -> Option<T>,
    ) -> Option<T> {
        if !self.enter(dir) {
            return None;
        }
        let state = StateDir::of_current_dir()
            .and_then(|state| state.with_path(|path| fs::reach_dir(fs::HERE, path)));
        self.enter_scan_dir();
        with(state.ok()?.as_fd())
    }
}
