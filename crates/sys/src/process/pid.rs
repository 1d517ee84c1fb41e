//! Process ids.

use crate::{Errno, Result};
use core::num::NonZeroI32;

/// A process id.
pub type Pid = NonZeroI32;

/// The id of this process.
#[must_use]
pub fn id() -> Pid {
    rustix::process::getpid().as_raw_nonzero()
}

/// The id of the parent process; `None` if that is outside the PID namespace.
#[must_use]
pub fn parent() -> Option<Pid> {
    rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero)
}

/// Converts an id to that of `rustix`.
///
/// # Errors
/// ESRCH: a negative number, which is not an id.
pub(crate) fn rustix_pid(pid: Pid) -> Result<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.get()).ok_or(Errno::SRCH)
}
