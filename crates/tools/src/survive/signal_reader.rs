//! Whether a process reads a signal, or would be killed by it.
//!
//! supervise and svscan block the signals that they obey. svscan may have adopted another supervise than
//! ours, or found one in PATH. Our own needs a moment after its start: until then a signal kills it.

use crate::survive::proc_files;
use crate::survive::process_user::runs_our_program;
use daemontools_core::Pid;

/// What a process does with a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalReader {
    /// It blocks the signal, and so obeys it.
    Reads,
    /// It is our program, or will execute another one; it may block the signal in a moment.
    Begins,
    /// It is another program of this name, or has ended, or `/proc` tells nothing.
    Other,
}

impl SignalReader {
    /// Looks at a process that was started as `name`.
    pub(crate) fn of(pid: Pid, name: &[u8], signal: i32) -> Self {
        let has_name = proc_files::is_named(pid, name);
        // Read after the arguments: then the mask is that of this program. A child that has not
        // executed it yet has the arguments and the blocked signals of svscan.
        let status = proc_files::read(pid, b"status").unwrap_or_default();
        if has_name && blocks(&status, signal) {
            Self::Reads
        } else if status.is_empty() || has_name && !runs_our_program(pid) {
            Self::Other
        } else {
            Self::Begins
        }
    }
}

/// Whether the status of a process shows that it blocks a signal.
fn blocks(status: &[u8], signal: i32) -> bool {
    let mask = proc_files::status_field(status, b"SigBlk")
        .and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
