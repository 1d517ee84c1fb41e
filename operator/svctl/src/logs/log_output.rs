//! Where lines go: standard output, or a pager on a terminal.

use crate::interrupt::{Interrupt, end_at};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

/// The size from which the buffer is written.
const LARGE: usize = 64 * 1024;

/// A pipe that has room takes so much without waiting: `PIPE_BUF`.
const ATOMIC: usize = 4096;

/// Collects lines, and writes many of them at once.
pub(crate) struct LogOutput {
    pub(crate) buffer: Vec<u8>,
    to: File,
    pager: Option<Child>,
    /// Readable when a signal has asked svctl to end. Then nothing is written that would wait.
    interrupt: Option<OwnedFd>,
}

impl LogOutput {
    /// Standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        let to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { buffer: Vec::with_capacity(LARGE * 2), to, pager: None, interrupt: None })
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
        // The pager keeps the terminal until it ends. Ctrl-C ends the reading.
        end_at(signal_hook::consts::SIGINT)?;
        let buffer = Vec::with_capacity(LARGE * 2);
        Ok(Self { buffer, to, pager: Some(pager), interrupt: None })
    }

    /// Lets a signal end a write that waits for a reader: the error is [`io::ErrorKind::Interrupted`].
    pub(crate) fn end_at(&mut self, interrupt: &Interrupt) -> io::Result<()> {
        self.interrupt = Some(interrupt.as_fd().try_clone_to_owned()?);
        Ok(())
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
        let written = self.write();
        self.buffer.clear();
        written
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(interrupt) = &self.interrupt else { return self.to.write_all(&self.buffer) };
        for block in self.buffer.chunks(ATOMIC) {
            let mut polled =
                [PollFd::new(&self.to, PollFlags::OUT), PollFd::new(interrupt, PollFlags::IN)];
            while let Err(error) = poll(&mut polled, None) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
            }
            if polled[0].revents().is_empty() {
                // The rest is lost.
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.to.write_all(block)?;
        }
        Ok(())
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
