//! Waiting until something new is in one of many pipes, even if earlier data is still unread.

use crate::{BorrowedFd, OwnedFd, Result, kernel};
use core::mem::MaybeUninit;
use linux_raw_sys::general::FASYNC;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// A set of descriptors that reports each arrival of data once (an edge-triggered epoll instance).
///
/// One arrival in a pipe is missing: that of a write which does not fit, and waits for room, while
/// earlier data is unread. [`signal_arrivals`] covers it.
pub struct ChangeSet(OwnedFd);

/// Something new in a descriptor of a [`ChangeSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key under which the descriptor was added.
    pub key: u64,
    /// The other side is closed: nothing more will arrive.
    pub hung_up: bool,
}

/// Sends [`crate::signal::IO`] to this process at each write to a pipe, also at one that waits for room.
///
/// Kernels 5.5 to 5.13 without the fixes of July and August 2021 (5.10.61 has them) report neither this
/// nor a change for a pipe that is not empty.
///
/// # Errors
/// EBADF: not open for reading.
pub fn signal_arrivals(pipe: BorrowedFd<'_>) -> Result<()> {
    kernel::receive_io_signals(pipe)?;
    let flags = fcntl_getfl(pipe)?;
    fcntl_setfl(pipe, flags | OFlags::from_bits_retain(FASYNC))
}

/// How many changes one wait returns.
pub const MOST_CHANGES: usize = 16;

impl ChangeSet {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// Adds a descriptor. If it is readable, that counts as a change. It stays in the set until all its
    /// copies are closed, also those of other processes, or until [`ChangeSet::remove`].
    ///
    /// # Errors
    /// ENOMEM and ENOSPC: no room in the kernel. EPERM: a regular file.
    pub fn add(&self, fd: BorrowedFd<'_>, key: u64) -> Result<()> {
        epoll::add(&self.0, fd, EventData::new_u64(key), EventFlags::IN | EventFlags::ET)
    }

    /// Reports a descriptor again, after the others that are ready, if it is readable.
    pub fn report_again(&self, fd: BorrowedFd<'_>, key: u64) {
        // Cannot fail for a descriptor of the set.
        let flags = EventFlags::IN | EventFlags::ET;
        let _ = epoll::modify(&self.0, fd, EventData::new_u64(key), flags);
    }

    /// Removes a descriptor.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits until there are changes, and passes each to `take`.
    pub fn wait(&self, mut take: impl FnMut(Change)) {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; MOST_CHANGES];
        // EINTR: a stop and a continue.
        let Ok((found, _)) = epoll::wait(&self.0, &mut events, None) else { return };
        for event in found {
            let (flags, data) = (event.flags, event.data);
            take(Change { key: data.u64(), hung_up: flags.contains(EventFlags::HUP) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{self, Signals};
    use crate::{AsFd as _, fd};
    use std::vec::Vec;

    fn wait(set: &ChangeSet) -> Vec<(u64, bool)> {
        let mut found = Vec::new();
        set.wait(|change| found.push((change.key, change.hung_up)));
        found
    }

    #[test]
    fn every_arrival_is_reported_although_earlier_data_is_unread() {
        let set = ChangeSet::new().unwrap();
        let (read_end, write_end) = fd::pipe().unwrap();
        set.add(read_end.as_fd(), 7).unwrap();
        let (other, other_writer) = fd::pipe().unwrap();
        set.add(other.as_fd(), 8).unwrap();
        for _ in 0..3 {
            fd::write_all(write_end.as_fd(), b"x").unwrap();
            assert_eq!(wait(&set), [(7, false)]);
        }
        // The second one shows that the first has not been reported twice.
        fd::write_all(other_writer.as_fd(), b"x").unwrap();
        assert_eq!(wait(&set), [(8, false)]);
        set.report_again(read_end.as_fd(), 7);
        assert_eq!(wait(&set), [(7, false)]);
        drop(write_end);
        assert_eq!(wait(&set), [(7, true)]);
        set.remove(read_end.as_fd());
        drop(other_writer);
        assert_eq!(wait(&set), [(8, true)]);
    }

    #[test]
    fn a_write_that_waits_for_room_sends_a_signal() {
        let (read_end, write_end) = fd::pipe().unwrap();
        fd::write_all(write_end.as_fd(), b"x").unwrap();
        // In a process of its own, because the signal is for the process.
        let child = match crate::process::fork().unwrap() {
            crate::process::Forked::Parent(child) => child,
            crate::process::Forked::Child => {
                let signals = Signals::take_over(&[signal::IO]);
                let prepared = signal_arrivals(read_end.as_fd());
                let ready = signals.is_ok_and(|signals| {
                    let _ = fd::write_all(write_end.as_fd(), b"y");
                    crate::poll::readable([signals.fd()], None) == [true]
                });
                crate::process::exit(i32::from(prepared.is_err() || !ready));
            }
        };
        assert_eq!(crate::process::wait_for(child), Ok(crate::process::ExitStatus::Exited(0)));
    }
}
