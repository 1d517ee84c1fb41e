//! A process held by a descriptor: it need not be our child, and its number can be used again
//! without harm.

use crate::process::{Ended, Pid};
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, poll, process};
use core::mem::MaybeUninit;
use core::time::Duration;
use rustix::event::{Timespec, epoll};
use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, pidfd_send_signal};

/// A process that was there when this was opened, and stays the same one.
pub struct Handle(OwnedFd);

impl Handle {
    /// Takes hold of the process that has this number now; `None` if there is none.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors, ENOSYS before Linux 5.3.
    pub fn open(pid: Pid) -> Result<Option<Self>> {
        match pidfd_open(process::rustix_pid(pid)?, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self(fd))),
            // The two others: the number is that of a thread of some process.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Readable as soon as the process has ended, all its threads included.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether it has ended; its parent may not know yet.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        poll::readable([self.fd()], Some(Duration::ZERO)) == [true]
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// ESRCH if it has gone, EPERM without the right to.
    pub fn signal(&self, signal: i32) -> Result<()> {
        pidfd_send_signal(&self.0, process::rustix_signal(signal)?)
    }

    /// A copy of one of its descriptors, which is closed when another program is run.
    ///
    /// # Errors
    /// EBADF if it has no descriptor of this number, EPERM without the right to look into it, ESRCH
    /// if it has gone, ENOSYS before Linux 5.6.
    pub fn take_descriptor(&self, number: i32) -> Result<OwnedFd> {
        // Some negative numbers mean something to `rustix`.
        if number < 0 {
            return Err(Errno::BADF);
        }
        pidfd_getfd(&self.0, number, PidfdGetfdFlags::empty())
    }

    /// How it ended, once its parent has reaped it: the kernel keeps that for us from Linux 6.15
    /// on. Waits so long for the parent if need be.
    #[must_use]
    pub fn how_it_ended(&self, patience: Duration) -> Option<Ended> {
        let before = Info::exit_of(self.fd()).ok()?;
        before.or_else(|| {
            poll::hung_up(self.fd(), patience);
            Info::exit_of(self.fd()).ok()?
        })
    }
}

/// Tells of the ends of many processes.
pub struct Ends(OwnedFd);

impl Ends {
    /// Of none so far.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors.
    pub fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
    }

    /// Adds a process, until its handle is dropped; `key` will name it.
    ///
    /// # Errors
    /// ENOMEM and ENOSPC when the kernel has no room for more.
    pub fn add(&self, process: &Handle, key: u64) -> Result<()> {
        epoll::add(&self.0, process.fd(), epoll::EventData::new_u64(key), epoll::EventFlags::IN)
    }

    /// The key of a process that has ended and whose handle is still there.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 1];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (found, _) = epoll::wait(&self.0, &mut events, Some(&now)).ok()?;
        found.first().map(|event| event.data.u64())
    }

    /// To wait for, until it is readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The first version of the kernel's `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    /// What is wanted, and then what there is.
    mask: u64,
    cgroup: u64,
    /// Process, thread group, parent; four user and four group ids.
    ids: [u32; 11],
    /// As wait tells it.
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`
const EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`
const GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<Info>(0xff, 11);

impl Info {
    /// How the process of this descriptor ended, `None` before it is reaped.
    fn exit_of(fd: BorrowedFd<'_>) -> Result<Option<Ended>> {
        let mut info = Self { mask: EXIT, ..Self::default() };
        // SAFETY: the opcode is that of PIDFD_GET_INFO with a struct of this size, and `Info` is
        // laid out as that struct; the kernel writes no more than the size in the opcode.
        let request = unsafe { Updater::<'_, GET_INFO, Self>::new(&mut info) };
        // SAFETY: PIDFD_GET_INFO only writes to the struct; another kind of descriptor refuses it.
        unsafe { ioctl(fd, request) }?;
        Ok((info.mask & EXIT != 0).then(|| Ended::from_wait(info.exit_code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    fn held(program: &str, args: &[&str]) -> (std::process::Child, Handle) {
        let child = Command::new(program).args(args).spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        (child, Handle::open(pid).unwrap().unwrap())
    }

    #[test]
    fn the_end_is_seen_before_it_is_reaped_and_its_cause_afterwards() {
        let (mut child, handle) = held("sleep", &["1000"]);
        assert!(!handle.has_ended());
        assert_eq!(handle.how_it_ended(Duration::ZERO), None);
        handle.signal(crate::signal::KILL).unwrap();
        assert_eq!(poll::readable([handle.fd()], None), [true]);
        assert!(handle.has_ended());
        assert_eq!(handle.how_it_ended(Duration::from_millis(1)), None);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // Not told at all by an older kernel.
        if Info::exit_of(handle.fd()).is_ok_and(|found| found.is_some()) {
            assert_eq!(handle.how_it_ended(Duration::ZERO), Some(Ended::Killed(9)));
        }
        assert_eq!(handle.signal(crate::signal::TERM), Err(Errno::SRCH));
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        assert!(Handle::open(pid).unwrap().is_none());
    }

    #[test]
    fn patience_lasts_until_the_parent_has_reaped() {
        let (mut child, handle) = held("sh", &["-c", "exit 42"]);
        assert_eq!(poll::readable([handle.fd()], None), [true]);
        let parent = std::thread::spawn(move || child.wait().unwrap());
        let found = handle.how_it_ended(Duration::from_secs(5));
        assert_eq!(parent.join().unwrap().code(), Some(42));
        if Info::exit_of(handle.fd()).is_ok_and(|found| found.is_some()) {
            assert_eq!(found, Some(Ended::Exited(42)));
        }
    }

    #[test]
    fn the_standard_signals_all_have_their_numbers() {
        for signal in 1..=31 {
            assert_eq!(process::rustix_signal(signal).unwrap().as_raw(), signal);
        }
        for other in [-1, 0, 32] {
            assert!(process::rustix_signal(other).is_err());
        }
    }

    #[test]
    fn a_descriptor_of_another_process_can_be_had() {
        let (into, from) = (std::process::Stdio::piped(), std::process::Stdio::piped());
        let mut child = Command::new("cat").stdin(into).stdout(from).spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        let handle = Handle::open(pid).unwrap().unwrap();
        match handle.take_descriptor(1) {
            Ok(end) => {
                let flags = rustix::io::fcntl_getfd(&end).unwrap();
                assert_eq!(flags, rustix::io::FdFlags::CLOEXEC);
                crate::fd::write_all(end.as_fd(), b"from elsewhere").unwrap();
                let mut room = [0; 20];
                let stdout = child.stdout.as_ref().unwrap();
                let read = crate::fd::read(crate::standard::borrowed(stdout), &mut room);
                assert_eq!(read, Ok(14));
                assert_eq!(handle.take_descriptor(-1).unwrap_err(), Errno::BADF);
                assert_eq!(handle.take_descriptor(1000).unwrap_err(), Errno::BADF);
            }
            // A container may forbid it.
            Err(error) => assert!([Errno::PERM, Errno::NOSYS].contains(&error)),
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(handle.take_descriptor(1).unwrap_err(), Errno::SRCH);
    }

    #[test]
    fn what_is_no_process_cannot_be_held() {
        assert!(Handle::open(Pid::MAX).unwrap().is_none());
        assert!(Info::exit_of(crate::fd::stderr()).is_err());
    }
}
