//! The ends of processes, in the words of `daemontools-core`.

use daemontools_core::{Ended, Pid};
use daemontools_sys::process;

/// Takes note of one ended child, if there is one.
pub(crate) fn reap() -> Option<(Pid, Ended)> {
    let (pid, how) = process::reap()?;
    Some((pid, ended(how)))
}

/// How a process ended.
pub(crate) const fn ended(how: process::Ended) -> Ended {
    match how {
        process::Ended::Exited(code) => Ended::Exited(code),
        process::Ended::Killed(signal) => Ended::Killed(signal),
    }
}
