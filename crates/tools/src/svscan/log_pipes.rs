//! The pipes between services and their loggers.

use alloc::vec::Vec;
use daemontools_core::svscan::slot::SlotNo;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd};

/// Both ends of a pipe: read end first.
pub(super) type Ends = (OwnedFd, OwnedFd);

/// The pipe between a service and its logger. svscan keeps it open, so that either side can restart
/// without loss.
pub(super) struct LogPipe {
    pub(super) read_end: OwnedFd,
    /// `None` once no process is to write: the logger reads the end of its input.
    pub(super) write_end: Option<OwnedFd>,
    /// The warning about unread data was printed.
    warned: bool,
}

impl LogPipe {
    /// Whether it holds data that the logger has not read.
    fn is_unread(&self) -> bool {
        fd::unread(self.read_end.as_fd()).is_ok_and(|bytes| bytes > 0)
    }

    /// Both ends, while a process may write.
    pub(super) fn ends(&self) -> Option<[BorrowedFd<'_>; 2]> {
        Some([self.read_end.as_fd(), self.write_end.as_ref()?.as_fd()])
    }
}

/// What a check of a pipe finds.
pub(super) struct Unread {
    pub(super) unread: bool,
    /// It is unread, and no check before has found that.
    pub(super) first_time: bool,
}

/// The pipes by slot number.
pub(super) struct LogPipes(Vec<Option<LogPipe>>);

impl LogPipes {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The pipe of a slot, if it has one.
    pub(super) fn get(&self, no: SlotNo) -> Option<&LogPipe> {
        self.0.get(no.0)?.as_ref()
    }

    /// Whether a slot has a pipe.
    pub(super) fn has(&self, no: SlotNo) -> bool {
        self.get(no).is_some()
    }

    /// Gives a slot without a pipe the `found` one, or a new one.
    ///
    /// Raises the limit of open files when it is reached for the first time.
    ///
    /// # Errors
    /// Those of pipe(2).
    pub(super) fn insert(
        &mut self,
        no: SlotNo,
        found: Option<Ends>,
        open_files: &mut Option<OpenFiles>,
    ) -> Result<()> {
        if self.0.len() <= no.0 {
            self.0.resize_with(no.0 + 1, || None);
        }
        if let Some(place @ None) = self.0.get_mut(no.0) {
            let ends = match found.map_or_else(fd::pipe, Ok) {
                Err(Errno::MFILE) if open_files.is_none() => {
                    *open_files = OpenFiles::raise();
                    fd::pipe()
                }
                other => other,
            };
            let (read_end, write_end) = ends?;
            // The low numbers are for the descriptors of children.
            let [read_end, write_end] = [read_end, write_end].map(fd::move_high);
            *place = Some(LogPipe { read_end, write_end: Some(write_end), warned: false });
        }
        Ok(())
    }

    /// Takes the write end of a slot's pipe, if it has one.
    pub(super) fn take_write_end(&mut self, no: SlotNo) -> Option<OwnedFd> {
        self.0.get_mut(no.0)?.as_mut()?.write_end.take()
    }

    /// Closes what is left of a slot's pipe.
    pub(super) fn remove(&mut self, no: SlotNo) {
        if let Some(pipe) = self.0.get_mut(no.0) {
            *pipe = None;
        }
    }

    /// Checks whether a slot's pipe holds unread data; `None` without a pipe.
    pub(super) fn check(&mut self, no: SlotNo) -> Option<Unread> {
        let pipe = self.0.get_mut(no.0)?.as_mut()?;
        let unread = pipe.is_unread();
        let warned = core::mem::replace(&mut pipe.warned, true);
        Some(Unread { unread, first_time: unread && !warned })
    }
}
