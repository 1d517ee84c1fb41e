//! Waiting.

use crate::{BorrowedFd, Errno};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec};

/// Sleeps until one of `fds` is readable (or at its end, or broken), or until `timeout` has
/// passed, and tells which are. Without a timeout it sleeps as long as it takes.
#[must_use]
pub fn readable<const N: usize>(fds: [BorrowedFd<'_>; N], timeout: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = timeout.map(|t| Timespec {
        tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.map(|fd| !fd.revents().is_empty()),
        // Interrupted by a stop and a continue: nothing has come.
        Err(Errno::INTR) => [false; N],
        // Out of kernel memory: look at everything, which never blocks, rather than at nothing.
        Err(_) => [true; N],
    }
}

/// Whether as much as a pipe takes in one piece can be written without waiting; sleeps until it can,
/// for at most `timeout`. Also says so if writing would fail.
pub fn writable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    ready(fd, PollFlags::OUT, timeout)
}

/// Sleeps until the other side has gone, for at most `timeout`: until nobody has the read end of
/// this FIFO or pipe open any more, or the parent has reaped this process. Tells whether that is so.
pub fn hung_up(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    // Asking for nothing: the kernel always tells of an error or a hang-up, which this is.
    ready(fd, PollFlags::empty(), timeout)
}

fn ready(fd: BorrowedFd<'_>, flags: PollFlags, timeout: Duration) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, flags)];
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    rustix::event::poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Sleeps for so long, whatever happens but a signal that we have not taken over.
pub fn pause(time: Duration) {
    let [] = readable([], Some(time));
}
