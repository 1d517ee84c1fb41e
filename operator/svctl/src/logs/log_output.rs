//! Where lines go: standard output, or a pager on a terminal.

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The size from which the buffer is written.
const LARGE: usize = 64 * 1024;

/// Collects lines, and writes many of them at once.
pub(crate) struct LogOutput {
    pub(crate) buffer: Vec<u8>,
    to: File,
    pager: Option<Child>,
}

impl LogOutput {
    /// Standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        let to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { buffer: Vec::with_capacity(LARGE * 2), to, pager: None })
    }

    /// `PAGER`, or `less` that ends by itself if everything fits on the screen. Standard output if
    /// there is no such program.
    pub(crate) fn pager() -> io::Result<Self> {
        let mut command = match env::var_os("PAGER").filter(|pager| !pager.is_empty()) {
            Some(pager) if pager == "cat" => return Self::stdout(),
            Some(pager) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(pager);
                command
            }
            None => {
                let mut command = Command::new("less");
                command.arg("-FRX");
                command
            }
        };
        // A pager that was chosen shows escape sequences as well, if it is less or more.
        command.env("LESS", env::var_os("LESS").unwrap_or_else(|| "FRX".into()));
        let Ok(mut pager) = command.stdin(Stdio::piped()).spawn() else { return Self::stdout() };
        let Some(input) = pager.stdin.take() else { return Self::stdout() };
        let to = File::from(OwnedFd::from(input));
        // Ctrl-C is meant for the pager, which keeps the terminal until it ends.
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default())?;
        Ok(Self { buffer: Vec::with_capacity(LARGE * 2), to, pager: Some(pager) })
    }

    /// Whether a pager shows the lines.
    pub(crate) const fn is_paged(&self) -> bool {
        self.pager.is_some()
    }

    /// Where the lines go. A poll reports an error when their reader has gone.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }

    pub(crate) fn flush_if_large(&mut self) -> io::Result<()> {
        if self.buffer.len() < LARGE { Ok(()) } else { self.flush() }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let written = self.to.write_all(&self.buffer);
        self.buffer.clear();
        written
    }

    /// Writes the rest, and waits until the pager ends.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let written = self.flush();
        drop(self.to);
        if let Some(mut pager) = self.pager.take() {
            pager.wait()?;
        }
        written
    }
}
