//! Processes held by a descriptor (pidfd). The process need not be a child, and the descriptor
//! never refers to a later process with the same id.

use crate::kernel::{self, QueuedSignal};
use crate::process::{ExitStatus, Pid};
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, poll, process};
use core::mem::MaybeUninit;
use core::time::Duration;
use rustix::event::{Timespec, epoll};
use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, pidfd_send_signal};

/// A descriptor of one process.
pub struct Handle(OwnedFd);

impl Handle {
    /// Opens the process that has this id now; `None` if there is none.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors. ENOSYS: before Linux 5.3.
    pub fn open(pid: Pid) -> Result<Option<Self>> {
        match pidfd_open(process::rustix_pid(pid)?, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self(fd))),
            // EINVAL and ENOENT: the id is that of a thread that does not lead its process.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The descriptor; readable after the process has ended with all its threads.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether the process has ended; its parent may not have reaped it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        poll::readable([self.fd()], Some(Duration::ZERO)) == [true]
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// ESRCH: it has ended and was reaped. EPERM: not permitted.
    pub fn signal(&self, signal: i32) -> Result<()> {
        pidfd_send_signal(&self.0, process::rustix_signal(signal)?)
    }

    /// Sends a signal with a value to the process, as sigqueue(3) does.
    ///
    /// # Errors
    /// ESRCH: it has ended and was reaped. EPERM: not permitted. EAGAIN: too many pending signals.
    pub fn signal_with_value(&self, signal: i32, value: i32) -> Result<()> {
        self.signal_with_values(signal, [value, 0])
    }

    /// The same with two numbers, which take the place of the pointer that sigqueue(3) can send.
    ///
    /// # Errors
    /// As for [`Handle::signal_with_value`].
    pub fn signal_with_values(&self, signal: i32, values: [i32; 2]) -> Result<()> {
        let uid = rustix::process::getuid().as_raw();
        let info = QueuedSignal::new(signal, values, process::id().get(), uid);
        kernel::queue_signal(self.fd(), signal, &info)
    }

    /// Duplicates descriptor `number` of the process; the duplicate is close-on-exec.
    ///
    /// # Errors
    /// EBADF: no such descriptor. EPERM: not permitted to trace the process. ESRCH: it has ended.
    /// ENOSYS: before Linux 5.6.
    pub fn take_descriptor(&self, number: i32) -> Result<OwnedFd> {
        // Some negative numbers have a special meaning in `rustix`.
        if number < 0 {
            return Err(Errno::BADF);
        }
        pidfd_getfd(&self.0, number, PidfdGetfdFlags::empty())
    }

    /// How the process ended. The kernel reports it from Linux 6.15 on, after the parent has reaped
    /// the process; `patience` is the longest wait for that. `None` if the kernel does not report
    /// it.
    #[must_use]
    pub fn how_it_ended(&self, patience: Duration) -> Option<ExitStatus> {
        let before = Info::exit_of(self.fd()).ok()?;
        before.or_else(|| {
            poll::hung_up(self.fd(), patience);
            Info::exit_of(self.fd()).ok()?
        })
    }
}

/// A set of processes that reports which of them have ended (an epoll instance).
pub struct ExitSet(OwnedFd);

impl ExitSet {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
    }

    /// Adds a process under `key`. It stays in the set until its handle is dropped.
    ///
    /// # Errors
    /// ENOMEM and ENOSPC: no room in the kernel.
    pub fn add(&self, process: &Handle, key: u64) -> Result<()> {
        epoll::add(&self.0, process.fd(), epoll::EventData::new_u64(key), epoll::EventFlags::IN)
    }

    /// The key of a process in the set that has ended; `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 1];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (found, _) = epoll::wait(&self.0, &mut events, Some(&now)).ok()?;
        found.first().map(|event| event.data.u64())
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The first version of the kernel's `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    /// The requested fields; after the call, the returned ones.
    mask: u64,
    cgroup: u64,
    /// Process, thread group and parent id; four user ids and four group ids.
    ids: [u32; 11],
    /// The status word of wait(2).
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`
const EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`
const GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<Info>(0xff, 11);

impl Info {
    /// How the process of a pidfd ended; `None` before it is reaped.
    fn exit_of(fd: BorrowedFd<'_>) -> Result<Option<ExitStatus>> {
        let mut info = Self { mask: EXIT, ..Self::default() };
        // SAFETY: `GET_INFO` is the opcode of PIDFD_GET_INFO with the size of `Info`, which has the
        // layout of the kernel's struct. The kernel writes no more than that size.
        let request = unsafe { Updater::<'_, GET_INFO, Self>::new(&mut info) };
        // SAFETY: for a pidfd the request only writes to `info`. A descriptor of another kind
        // refuses it.
        unsafe { ioctl(fd, request) }?;
        Ok((info.mask & EXIT != 0).then(|| ExitStatus::from_wait(info.exit_code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    fn start(program: &str, args: &[&str]) -> (std::process::Child, Handle) {
        let child = Command::new(program).args(args).spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        (child, Handle::open(pid).unwrap().unwrap())
    }

    #[test]
    fn an_end_shows_before_the_reaping_and_its_cause_after_it() {
        let (mut child, handle) = start("sleep", &["1000"]);
        assert!(!handle.has_ended());
        assert_eq!(handle.how_it_ended(Duration::ZERO), None);
        handle.signal(crate::signal::KILL).unwrap();
        assert_eq!(poll::readable([handle.fd()], None), [true]);
        assert!(handle.has_ended());
        assert_eq!(handle.how_it_ended(Duration::from_millis(1)), None);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // Older kernels do not report it.
        if Info::exit_of(handle.fd()).is_ok_and(|found| found.is_some()) {
            assert_eq!(handle.how_it_ended(Duration::ZERO), Some(ExitStatus::Killed(9)));
        }
        assert_eq!(handle.signal(crate::signal::TERM), Err(Errno::SRCH));
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        assert!(Handle::open(pid).unwrap().is_none());
    }

    #[test]
    fn how_it_ended_waits_for_the_parent() {
        let (mut child, handle) = start("sh", &["-c", "exit 42"]);
        assert_eq!(poll::readable([handle.fd()], None), [true]);
        let parent = std::thread::spawn(move || child.wait().unwrap());
        let found = handle.how_it_ended(Duration::from_secs(5));
        assert_eq!(parent.join().unwrap().code(), Some(42));
        if Info::exit_of(handle.fd()).is_ok_and(|found| found.is_some()) {
            assert_eq!(found, Some(ExitStatus::Exited(42)));
        }
    }

    #[test]
    fn each_standard_signal_keeps_its_number() {
        for signal in 1..=31 {
            assert_eq!(process::rustix_signal(signal).unwrap().as_raw(), signal);
        }
        for other in [-1, 0, 32] {
            assert!(process::rustix_signal(other).is_err());
        }
    }

    #[test]
    fn take_descriptor_duplicates_a_descriptor_of_another_process() {
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
                let read = crate::fd::read(crate::test_support::borrow_std(stdout), &mut room);
                assert_eq!(read, Ok(14));
                assert_eq!(handle.take_descriptor(-1).unwrap_err(), Errno::BADF);
                assert_eq!(handle.take_descriptor(1000).unwrap_err(), Errno::BADF);
            }
            // A container may forbid ptrace access.
            Err(error) => assert!([Errno::PERM, Errno::NOSYS].contains(&error)),
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(handle.take_descriptor(1).unwrap_err(), Errno::SRCH);
    }

    #[test]
    fn an_unused_id_has_no_handle() {
        assert!(Handle::open(Pid::MAX).unwrap().is_none());
        assert!(Info::exit_of(crate::fd::stderr()).is_err());
    }
}
