//! svscanboot's log of the messages that the services write, beside the line that ps shows.

use crate::common::clock::label;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, fs, stderr};

/// The size of a log file after which it is renamed at the end of a line, to begin a new one. After
/// twice the size it is renamed in the middle of a line.
const ROTATION_SIZE: u64 = 1 << 20;

/// The largest write that a pipe takes in one piece: PIPE_BUF.
const PIECE: usize = 4096;

/// The largest text that waits for stderr. The oldest bytes beyond that are dropped.
const BUFFER_LIMIT: usize = 1 << 16;

/// The log: stderr, if another program collects it (systemd's journal, a log service, a file), or a
/// file of its own. The file has a TAI64N label before each line, and a predecessor `FILE.old`.
pub(super) struct BootLog {
    /// `None` for stderr.
    file: Option<&'static CStr>,
    /// The next byte begins a line.
    at_line_start: bool,
    /// The text that waits for stderr.
    unwritten: Vec<u8>,
}

impl BootLog {
    /// Chooses the log: the `requested` file, else stderr if a program collects it, else the `default`
    /// file.
    pub(super) fn new(requested: Option<&'static CStr>, default: &'static CStr) -> Self {
        let collected = fs::is_collected(fd::stderr());
        let file = match requested {
            None if collected => None,
            None => Some(default),
            requested => requested,
        };
        Self { file, at_line_start: true, unwritten: Vec::new() }
    }

    /// Appends text. If the file cannot be written, the text is lost: no other place is left for a
    /// message. The next text tries again.
    pub(super) fn add(&mut self, text: &[u8]) {
        let Some(path) = self.file else {
            self.unwritten.extend_from_slice(text);
            self.retry();
            // More than this comes only during a stop, when svscanboot does not wait for stderr.
            let surplus = self.unwritten.len().saturating_sub(BUFFER_LIMIT);
            self.unwritten.drain(..surplus);
            return;
        };
        // Opened for each text: the file may have been moved, or its disk mounted since.
        let Ok(file) = fs::open_append(fs::HERE, path) else {
            return;
        };
        let _ = self.write_labelled(file.as_fd(), text);
        let limit = if self.at_line_start { ROTATION_SIZE } else { 2 * ROTATION_SIZE };
        if fs::size(file.as_fd()).is_ok_and(|size| size > limit) {
            let old = [path.to_bytes(), b".old"].concat();
            if let Ok(old) = alloc::ffi::CString::new(old) {
                let _ = fs::rename(fs::HERE, path, &old);
            }
        }
    }

    /// Whether text waits for a full stderr. Meanwhile svscanboot reads no messages of services.
    pub(super) const fn is_stuck(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Writes as much as stderr takes without blocking.
    pub(super) fn retry(&mut self) {
        while !self.unwritten.is_empty() {
            let piece = self.unwritten.len().min(PIECE);
            let written =
                stderr::write_now(&[self.unwritten.get(..piece).unwrap_or_default()], b"");
            if written == Err(Errno::AGAIN) {
                return;
            }
            // A failed write drops the text: stderr was the place for messages.
            self.unwritten.drain(..written.unwrap_or(piece).max(1));
        }
    }

    fn write_labelled(&mut self, file: BorrowedFd<'_>, text: &[u8]) -> Result<()> {
        let label = label().stamp();
        for line in text.split_inclusive(|&c| c == b'\n') {
            let head: &[u8] = if self.at_line_start { &label } else { b"" };
            fd::write_all(file, &[head, line].concat())?;
            self.at_line_start = line.ends_with(b"\n");
        }
        Ok(())
    }
}
