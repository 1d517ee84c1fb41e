//! The command after `--`: an essential service without a directory.
//!
//! A child waits until the services are ready, and then executes the command. The signals that users
//! send to an init go to the command first. When it ends, everything stops, and svscan exits with its
//! code.

use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::time::Instant;
use daemontools_sys::{process, signal};

/// The signals that svscan takes only to forward them.
pub(super) const FORWARDED: [i32; 3] = [signal::USR1, signal::ALRM, signal::WINCH];

/// The signals that go to the command.
pub(super) const FOR_COMMAND: [i32; 8] = [
    signal::HUP,
    signal::INT,
    signal::QUIT,
    signal::USR1,
    signal::USR2,
    signal::ALRM,
    signal::TERM,
    signal::WINCH,
];

/// The signals that do not end the child while it waits. They may be meant for the command.
pub(super) const HARMLESS: [i32; 4] = [signal::HUP, signal::USR1, signal::USR2, signal::ALRM];

/// How much earlier the command is killed than the services, so that these have time to stop in order.
pub(super) const HEAD_START: Duration = Duration::from_secs(2);

/// The command.
pub(super) struct MainCommand {
    /// The index of its first argument.
    pub(super) first: usize,
    /// The child that waits or runs the command; `None` before the start and after its end.
    pub(super) pid: Option<Pid>,
    /// When it is killed, after a signal has asked it to end.
    pub(super) kill_due: Option<Instant>,
}

impl MainCommand {
    /// A command that does not run yet.
    pub(super) const fn new(first: usize) -> Self {
        Self { first, pid: None, kill_due: None }
    }

    /// The program, for messages.
    pub(super) fn name(&self) -> &'static [u8] {
        process::arg(self.first).map(CStr::to_bytes).unwrap_or_default()
    }
}
