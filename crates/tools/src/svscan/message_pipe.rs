//! The pipe of messages: svscan and the services without a logger write, svscanboot reads.
//!
//! svscan keeps a read end of its own. If svscanboot is killed, the pipe stays, and no writer gets PIPE.
//! The next svscanboot takes the pipe over from svscan.
//!
//! The svscanboot that reads a pipe has its lock (flock). By that svscan knows the pipe: the writers of
//! another collector are to notice its end.

use crate::common::paths::of_process;
use daemontools_core::Pid;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fd, fs, lock, proc_fd};

/// The name of the read end in a handover.
pub(super) const HANDOVER: &[u8] = b"messages";

/// Room of the pipe while everything stops.
const STOP_ROOM: usize = 1 << 20;

/// The read end that svscan keeps. Nothing reads from it.
pub(super) struct MessagePipe(Option<OwnedFd>);

impl MessagePipe {
    /// Keeps the pipe on standard error if svscanboot reads it. `inherited` is the read end of a
    /// handover.
    pub(super) fn keep(inherited: Option<OwnedFd>) -> Self {
        Self(inherited.or_else(of_svscanboot).map(fd::move_high))
    }

    /// The read end, for the handover.
    pub(super) fn read_end(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(OwnedFd::as_fd)
    }

    /// Makes room for the last messages of services. Without a svscanboot nothing empties the pipe, and
    /// a service that waits for room would not end.
    pub(super) fn make_room(&self) {
        if let Some(pipe) = &self.0 {
            fd::set_pipe_room(pipe.as_fd(), STOP_ROOM);
        }
    }
}

/// A read end of the pipe on standard error, if svscanboot reads it.
fn of_svscanboot() -> Option<OwnedFd> {
    if !fs::is_fifo(fd::stderr()) {
        return None;
    }
    // Another user's pipe does not open; then it is no svscanboot's.
    let read_end = fs::open_read(fs::HERE, c"/proc/self/fd/2").ok()?;
    (lock::try_lock(read_end.as_fd()) == Err(Errno::AGAIN)).then_some(read_end)
}

/// Whether a svscan keeps this pipe for svscanboot: it has one end beside its standard descriptors. Of
/// the pipe to its own logger it has two, and of another collector's pipe none.
pub(super) fn is_kept_by(svscan: Pid, pipe: BorrowedFd<'_>) -> bool {
    let mut room = [0; 48];
    let mut kept = 0;
    let count = |number| kept += i32::from(number > 2);
    let looked = of_process(&mut room, svscan, b"fd")
        .and_then(|table| proc_fd::numbers_of(table, pipe, count));
    looked.is_ok() && kept == 1
}
