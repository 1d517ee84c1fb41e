//! A pseudo-terminal whose keys and output a test has. It draws no screen, as [`Terminal`] does.
//!
//! [`Terminal`]: crate::Terminal

use crate::{Cmd, DEADLINE, Process, wait_until};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

/// The user's side of a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    user: File,
    /// All output so far.
    shown: String,
}

impl Pty {
    /// Opens a pseudo-terminal. Returns the user's side and the program's side.
    ///
    /// # Panics
    ///
    /// If the system has none.
    #[must_use]
    pub fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user = openpt(flags).expect("open a pseudo-terminal");
        grantpt(&user).expect("grant it");
        unlockpt(&user).expect("unlock it");
        let program = ioctl_tiocgptpeer(&user, flags).expect("open its other side");
        let flags = fcntl_getfl(&user).expect("read its flags");
        fcntl_setfl(&user, flags | OFlags::NONBLOCK).expect("set its flags");
        (Self { user: user.into(), shown: String::new() }, program)
    }

    /// Starts a program in the foreground of a new terminal, which is its standard input, output and
    /// error.
    ///
    /// # Panics
    ///
    /// As [`Pty::open`] and [`Cmd::start`].
    #[track_caller]
    pub fn start(command: Cmd<'_>) -> (Self, Process) {
        let (pty, program) = Self::open();
        let clone = || program.try_clone().expect("duplicate a descriptor");
        let command = command.stdin_from(clone()).stdout_to(clone()).stderr_to(clone());
        (pty, command.under(["setsid", "--ctty"]).start())
    }

    /// Writes the bytes of keys.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn types(&mut self, bytes: &[u8]) {
        self.user.write_all(bytes).expect("write to the terminal");
    }

    /// Waits until the output so far contains this text.
    ///
    /// # Panics
    ///
    /// If it does not within the deadline.
    #[track_caller]
    pub fn wait_shown(&mut self, text: &str) {
        wait_until(&format!("the terminal shows {text:?}"), DEADLINE, || {
            let mut found = Vec::new();
            // Ends with "would block", or with EIO when the program's side is closed.
            let _ = self.user.read_to_end(&mut found);
            self.shown.push_str(&String::from_utf8_lossy(&found));
            self.shown.contains(text)
        });
    }
}
