//! Waiting for descriptors and for time.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use alloc::vec::Vec;
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};

/// Sleeps until one of `fds` is readable, at its end or in error, or until `timeout` has passed;
/// returns which ones are ready. Without a timeout it waits without limit.
#[must_use]
pub fn readable<const N: usize>(fds: [BorrowedFd<'_>; N], timeout: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = timeout.map(timespec);
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.map(|fd| !fd.revents().is_empty()),
        // EINTR: a signal, for example a stop and a continue. No descriptor is known to be ready.
        Err(Errno::INTR) => [false; N],
        // Out of kernel memory: report all as ready. The callers' reads do not block.
        Err(_) => [true; N],
    }
}

/// Waits as [`readable`] does, for those descriptors that are present. An absent one is never
/// ready.
#[must_use]
pub fn readable_if<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    let Some(any) = fds.iter().flatten().next() else {
        let [] = readable([], timeout);
        return [false; N];
    };
    // The present ones come first. Only they are passed to the kernel.
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
        // As in `readable`.
        Err(Errno::INTR) => [false; N],
        Err(_) => fds.map(|fd| fd.is_some()),
    }
}

/// Waits as [`readable_if`] does, and also until `output` takes text; returns whether it does. Also
/// true if a write would fail.
#[must_use]
pub fn readable_if_or_writable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    output: BorrowedFd<'_>,
    timeout: Option<Duration>,
) -> ([bool; N], bool) {
    let inputs = fds.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
    let output = PollFd::from_borrowed_fd(output, PollFlags::OUT);
    let mut polled: Vec<PollFd<'_>> = core::iter::once(output).chain(inputs).collect();
    let timeout = timeout.map(timespec);
    let (every, none) = match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => (false, false),
        // As in `readable`.
        Err(Errno::INTR) => (false, true),
        Err(_) => (true, false),
    };
    let mut answers = polled.iter().map(|fd| every || (!none && !fd.revents().is_empty()));
    let writable = answers.next().unwrap_or(false);
    (fds.map(|fd| fd.is_some() && answers.next().unwrap_or(false)), writable)
}

/// A set of descriptors that is readable when one of them is (an epoll instance).
pub struct ReadySet(OwnedFd);

impl ReadySet {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
    }

    /// Adds a descriptor. It stays in the set until all its copies are closed.
    ///
    /// # Errors
    /// ENOMEM and ENOSPC: no room in the kernel. EPERM: a regular file.
    pub fn add(&self, fd: BorrowedFd<'_>) -> Result<()> {
        epoll::add(&self.0, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
    }

    /// Whether a descriptor of the set is readable now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        readable([self.fd()], Some(Duration::ZERO)) == [true]
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sleeps for at most `timeout` until a pipe has room for an atomic write (`PIPE_BUF` bytes);
/// returns whether it has. Also true if a write would fail.
pub fn writable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    ready(fd, PollFlags::OUT, timeout)
}

/// Sleeps for at most `timeout` until the other side is gone; returns whether it is. For the write
/// end of a pipe: all read ends are closed. For a pidfd: the parent has reaped the process.
pub fn hung_up(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    // The kernel always reports an error or a hang-up, also for an empty request.
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

/// Sleeps for this time. A signal that is neither blocked nor ignored ends it early.
pub fn pause(time: Duration) {
    let [] = readable([], Some(time));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;
    use std::time::Instant;

    #[test]
    fn an_absent_descriptor_is_never_readable() {
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
    fn the_timeout_passes_with_and_without_descriptors() {
        let (empty, _writer) = fd::pipe().unwrap();
        for fds in [[None, None], [None, Some(empty.as_fd())]] {
            let begin = Instant::now();
            assert_eq!(readable_if(fds, Some(Duration::from_millis(20))), [false, false]);
            assert!(begin.elapsed() >= Duration::from_millis(20));
        }
    }

    #[test]
    fn the_end_of_a_pipe_is_readable() {
        let (read_end, write_end) = fd::pipe().unwrap();
        drop(write_end);
        assert_eq!(readable_if([None, Some(read_end.as_fd())], None), [false, true]);
    }
}
