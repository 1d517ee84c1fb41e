//! The exit statuses of processes, in the types of `daemontools-core`.

use daemontools_core::{Ended, Pid};
use daemontools_sys::process;

/// Reaps one child that has exited, if there is one.
pub(crate) fn reap() -> Option<(Pid, Ended)> {
    let (pid, how) = process::reap()?;
    Some((pid, ended(how)))
}

/// Converts an exit status.
pub(crate) const fn ended(how: process::ExitStatus) -> Ended {
    match how {
        process::ExitStatus::Exited(code) => Ended::Exited(code),
        process::ExitStatus::Killed(signal) => Ended::Killed(signal),
    }
}
