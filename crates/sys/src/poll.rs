//! Waiting.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};

/// Sleeps until one of `fds` is readable (or at its end, or broken), or until `timeout` has
/// passed, and tells which are. Without a timeout it sleeps as long as it takes.
#[must_use]
pub fn readable<const N: usize>(fds: [BorrowedFd<'_>; N], timeout: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = timeout.map(timespec);
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.map(|fd| !fd.revents().is_empty()),
        // Interrupted by a stop and a continue: nothing has come.
        Err(Errno::INTR) => [false; N],
        // Out of kernel memory: look at everything, which never blocks, rather than at nothing.
        Err(_) => [true; N],
    }
}

/// The same with descriptors that need not be there: what is absent is never readable.
#[must_use]
pub fn readable_if<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    let Some(any) = fds.iter().flatten().next() else {
        let [] = readable([], timeout);
        return [false; N];
    };
    // Those that are there, in the first places; the kernel does not see the others.
    let mut places = fds.iter().flatten();
    let mut polled: [PollFd<'_>; N] = core::array::from_fn(|_| {
        PollFd::from_borrowed_fd(*places.next().unwrap_or(any), PollFlags::IN)
    });
    let present = fds.iter().flatten().count();
    let timeout = timeout.map(timespec);
    let asked = polled.get_mut(..present).unwrap_or_default();
    match rustix::event::poll(asked, timeout.as_ref()) {
        Ok(_) => {
            let mut answers = asked.iter().map(|fd| !fd.revents().is_empty());
            fds.map(|fd| fd.is_some() && answers.next().unwrap_or(false))
        }
        // As above.
        Err(Errno::INTR) => [false; N],
        Err(_) => fds.map(|fd| fd.is_some()),
    }
}

/// Many descriptors, of which one being readable is enough.
pub struct Any(OwnedFd);

impl Any {
    /// Of none so far.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors.
    pub fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
    }

    /// Adds a descriptor, until all copies of it are closed.
    ///
    /// # Errors
    /// ENOMEM and ENOSPC when the kernel has no room for more, EPERM for a plain file.
    pub fn add(&self, fd: BorrowedFd<'_>) -> Result<()> {
        epoll::add(&self.0, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
    }

    /// Whether one of them is readable now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        readable([self.fd()], Some(Duration::ZERO)) == [true]
    }

    /// To wait for, until it is readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
    rustix::event::poll(&mut polled, Some(&timespec(timeout))).is_ok_and(|ready| ready > 0)
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Sleeps for so long, whatever happens but a signal that we have not taken over.
pub fn pause(time: Duration) {
    let [] = readable([], Some(time));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;
    use std::time::Instant;

    #[test]
    fn what_is_absent_is_never_readable() {
        let (full, into) = fd::pipe().unwrap();
        let (empty, _writer) = fd::pipe().unwrap();
        fd::write_all(into.as_fd(), b"x").unwrap();
        let (full, empty) = (Some(full.as_fd()), Some(empty.as_fd()));
        let now = Some(Duration::ZERO);
        assert_eq!(readable_if([None, full, None, empty], now), [false, true, false, false]);
        assert_eq!(readable_if([empty, None, full], now), [false, false, true]);
        assert_eq!(readable_if([full, full, empty], None), [true, true, false]);
        assert_eq!(readable_if([None, empty], now), [false, false]);
        assert_eq!(readable_if([], now), []);
    }

    #[test]
    fn the_time_passes_with_and_without_descriptors() {
        let (empty, _writer) = fd::pipe().unwrap();
        for fds in [[None, None], [None, Some(empty.as_fd())]] {
            let begin = Instant::now();
            assert_eq!(readable_if(fds, Some(Duration::from_millis(20))), [false, false]);
            assert!(begin.elapsed() >= Duration::from_millis(20));
        }
    }

    #[test]
    fn an_end_is_readable() {
        let (read_end, write_end) = fd::pipe().unwrap();
        drop(write_end);
        assert_eq!(readable_if([None, Some(read_end.as_fd())], None), [false, true]);
    }
}
