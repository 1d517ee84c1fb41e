//! encore's file `log`: a logger inside the service directory, with a machine of its own.
//!
//! The logger starts before the service, whose scripts have the pipe to it as their standard output.
//! The supervisor keeps both ends of the pipe open, so that neither side loses anything when the
//! other restarts. When the service is over for good the supervisor closes the write end. The logger
//! reads the rest of the pipe and exits. If it has read everything and still runs, it gets TERM.

use super::supervised::Supervised;
use crate::common::diag;
use crate::survive::adoption::{self, PipeSide};
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::handover::Handover;
use daemontools_core::options::Personality;
use daemontools_core::supervise::{DEFAULT_KILL_TIMEOUT, Policy};
use daemontools_core::time::Instant;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd};

/// No option file applies to the logger.
const POLICY: Policy = Policy { personality: Personality::Encore, ..Policy::ORIGINAL };

/// The names of the pipe's ends in a handover, read end first.
const PIPE_ENDS: [&[u8]; 2] = [b"log-reader", b"log-writer"];

/// The logger and the pipe to it.
pub(super) struct EncoreLogger {
    pub(super) process: Supervised,
    reader: OwnedFd,
    /// `None` when the service is over.
    writer: Option<OwnedFd>,
    /// After the end of the service: when the logger gets the next TERM if it still runs.
    stop_due: Option<Instant>,
}

impl EncoreLogger {
    pub(super) fn new(mut process: Supervised, (reader, writer): (OwnedFd, OwnedFd)) -> Self {
        process.machine.configure(POLICY, 0);
        Self { process, reader, writer: Some(writer), stop_due: None }
    }

    /// When the supervisor next has something to do for the logger.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.process.machine.deadline().into_iter().chain(self.stop_due).min()
    }

    /// The read end of the pipe.
    pub(super) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// The write end of the pipe, while the service is not over.
    pub(super) fn writer(&self) -> Option<BorrowedFd<'_>> {
        self.writer.as_ref().map(OwnedFd::as_fd)
    }

    /// Closes the write end: the logger reads to the end of file.
    pub(super) fn close_writer(&mut self) {
        self.writer = None;
    }

    /// Whether the pipe is empty.
    pub(super) fn has_read_all(&self) -> bool {
        fd::unread(self.reader.as_fd()).is_ok_and(|bytes| bytes == 0)
    }

    /// Whether the logger is to get TERM now; then the time of the next one is set.
    pub(super) fn take_stop_due(&mut self, now: Instant) -> bool {
        let is_due = self.stop_due.is_none_or(|due| due <= now);
        if is_due {
            self.stop_due = Some(now + DEFAULT_KILL_TIMEOUT);
        }
        is_due
    }

    /// The descriptors that stay open through a live upgrade, by their names in the handover.
    pub(super) fn to_hand_over(&self) -> Vec<(Vec<u8>, BorrowedFd<'_>)> {
        let ends = [Some(self.reader.as_fd()), self.writer()];
        let named = PIPE_ENDS.into_iter().zip(ends);
        named.filter_map(|(name, end)| Some((name.to_vec(), end?))).collect()
    }
}

/// A handle of a process of this supervisor: an adopted one, or a child that is not reaped.
pub(super) fn hold(pid: Option<Pid>, adopted: Option<&Handle>) -> Option<(Pid, Handle)> {
    let handle = Handle::open(pid?).ok()??;
    // If the adopted process lives now, the pid was still its own when the handle was opened.
    adopted.is_none_or(|process| !process.has_ended()).then_some((pid?, handle))
}

/// The pipe to the logger, read end first. If the service or the logger runs, it is the pipe that
/// the process has open.
pub(super) fn pipe(
    dir: &CStr,
    service: Option<(Pid, Handle)>,
    logger: Option<(Pid, Handle)>,
    handover: Option<&Handover>,
) -> Result<(OwnedFd, OwnedFd)> {
    let take = |name| handover?.descriptor(name).and_then(fd::take_inherited);
    if let (Some(reader), Some(writer)) = (take(PIPE_ENDS[0]), take(PIPE_ENDS[1])) {
        return Ok((reader, writer));
    }
    if logger.is_none() && service.is_none() {
        return fd::pipe();
    }
    let [service, logger] = [&service, &logger].map(|process| PipeSide {
        supervise: None,
        process: process.as_ref().map(|(pid, handle)| (*pid, handle)),
    });
    match adoption::pipe_between(service, logger) {
        Ok(Some(ends)) => return Ok(ends),
        Ok(None) => {}
        Err(reason) => {
            let what = [b"unable to get back the pipe of ", dir.to_bytes(), b"/log"];
            diag::warning_because("supervise", &what, reason);
        }
    }
    fd::pipe()
}
