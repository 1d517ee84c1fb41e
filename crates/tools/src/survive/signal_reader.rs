//! Whether a process reads a signal, or would be killed by it.
//!
//! supervise and svscan block the signals that they obey. svscan may have adopted another supervise than
//! ours, or found one in PATH. Our own needs a moment after its start: until then a signal kills it.

use crate::survive::proc_files;
use crate::survive::process_user::runs_our_program;
use daemontools_core::Pid;
use daemontools_sys::signal::CHLD;

/// What a process does with a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalReader {
    /// It blocks the signal, and so obeys it.
    Reads,
    /// It is a version of our program, or will execute one; it may block the signal in a moment.
    Begins,
    /// It is at work without the signal. It may be a version of our program that executes a newer one.
    Older,
    /// It is another program of this name, or has ended, or `/proc` tells nothing.
    Other,
}

impl SignalReader {
    /// Looks at a process that was started as `name`.
    pub(crate) fn of(pid: Pid, name: &[u8], signal: i32) -> Self {
        let arguments = proc_files::read(pid, b"cmdline").unwrap_or_default();
        let has_name = proc_files::begins_with_name(&arguments, name);
        // Read after the arguments: then the mask is that of this program. A child that has not
        // executed it yet has the arguments and the blocked signals of svscan.
        let status = proc_files::read(pid, b"status").unwrap_or_default();
        let blocks = |signal| has_signal(&status, b"SigBlk", signal);
        // For a moment of exec, a process has no arguments. The next program has the same blocked
        // signals, and gets those that are pending.
        if blocks(signal) && (has_name || arguments.is_empty()) {
            Self::Reads
        } else if status.is_empty() || has_name && has_signal(&status, b"SigCgt", CHLD) {
            // Ours has no signal handlers. The original's supervise catches CHLD.
            Self::Other
        } else if has_name && blocks(CHLD) && !runs_our_program(pid) {
            Self::Older
        } else {
            Self::Begins
        }
    }
}

/// Whether a set of signals in the status of a process has this one.
fn has_signal(status: &[u8], set: &[u8], signal: i32) -> bool {
    let mask = proc_files::status_field(status, set)
        .and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
