//! The messages that svscanboot passes to readproctitle, which shows their end in its command line.

use alloc::vec::Vec;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd};

/// The length of the text that readproctitle shows.
pub(super) const TITLE_LENGTH: usize = 400;

/// The pipe to readproctitle.
///
/// Its write end does not block: a stopped readproctitle must not stop the services. Text that does
/// not fit waits here.
pub(super) struct Title {
    read_end: OwnedFd,
    write_end: OwnedFd,
    /// At most [`TITLE_LENGTH`] bytes: readproctitle would not show older ones.
    waiting: Vec<u8>,
}

impl Title {
    /// Takes the ends of a new pipe.
    ///
    /// # Errors
    /// The errors of fcntl(2).
    pub(super) fn from_pipe((read_end, write_end): (OwnedFd, OwnedFd)) -> Result<Self> {
        fd::set_blocking(write_end.as_fd(), false)?;
        Ok(Self { read_end, write_end, waiting: Vec::new() })
    }

    /// readproctitle's standard input.
    pub(super) fn read_end(&self) -> BorrowedFd<'_> {
        self.read_end.as_fd()
    }

    /// Whether text waits for readproctitle.
    pub(super) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Appends text, and writes it.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.waiting.extend_from_slice(text);
        self.write();
    }

    /// Writes as much as the pipe takes, and keeps the end of the rest.
    pub(super) fn write(&mut self) {
        let written = fd::write(self.write_end.as_fd(), &self.waiting).unwrap_or(0);
        let surplus = self.waiting.len().saturating_sub(TITLE_LENGTH);
        self.waiting.drain(..written.max(surplus));
    }
}
