//! Where svscanboot keeps what the services say, besides showing it to ps.

use crate::time::label;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_sys::{AsFd as _, BorrowedFd, Result, fd, fs, poll};

/// A log file larger than this becomes the old one at the end of a line, and a new one is begun;
/// one twice as large in the middle of a line.
const LARGEST: u64 = 1 << 20;

/// What a pipe that is ready takes without making us wait: PIPE_BUF.
const PIECE: usize = 4096;

/// How much is kept for stderr at most.
const PATIENCE: usize = 1 << 16;

/// Either what stderr leads to, if somebody collects it there (systemd's journal, a log service,
/// a file), or a file of our own with a label before each line, and its predecessor `FILE.old`.
pub(crate) struct BootLog {
    file: Option<&'static CStr>,
    /// The next byte begins a line.
    at_line_start: bool,
    /// What stderr did not take yet.
    unwritten: Vec<u8>,
}

impl BootLog {
    /// Chooses between the two: `file` is used if it was asked for or nobody collects stderr.
    pub(crate) fn new(asked_for: Option<&'static CStr>, otherwise: &'static CStr) -> Self {
        let collected = fs::is_collected(fd::stderr());
        let file = match asked_for {
            None if collected => None,
            None => Some(otherwise),
            asked_for => asked_for,
        };
        Self { file, at_line_start: true, unwritten: Vec::new() }
    }

    /// Adds text. Where it cannot be written there is nobody left to tell; the next text is
    /// tried again.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let Some(path) = self.file else {
            self.unwritten.extend_from_slice(text);
            self.retry();
            // Of one who does not wait.
            let surplus = self.unwritten.len().saturating_sub(PATIENCE);
            self.unwritten.drain(..surplus);
            return;
        };
        // Opened for each text, so that a log which was moved, or whose disk came later, is no
        // special case.
        let Ok(file) = fs::open_append(fs::HERE, path) else {
            return;
        };
        let _ = self.write_labelled(file.as_fd(), text);
        let largest = if self.at_line_start { LARGEST } else { 2 * LARGEST };
        if fs::size(file.as_fd()).is_ok_and(|size| size > largest) {
            let old = [path.to_bytes(), b".old"].concat();
            if let Ok(old) = alloc::ffi::CString::new(old) {
                let _ = fs::rename(fs::HERE, path, &old);
            }
        }
    }

    /// Whether text waits for stderr, which somebody does not empty: whoever has more should wait as
    /// well.
    pub(crate) const fn is_stuck(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Gives stderr what it takes without making us wait.
    pub(crate) fn retry(&mut self) {
        while !self.unwritten.is_empty() && poll::writable(fd::stderr(), Duration::ZERO) {
            let piece = self.unwritten.len().min(PIECE);
            let written = fd::write(fd::stderr(), self.unwritten.get(..piece).unwrap_or_default());
            // Nobody is left to read it: nobody is left to tell, either.
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
