//! The libc flavour: the same functions through a static libc.

use super::types::{ControlBuffer, QueuedSignal, RawSigset, Received};
use crate::{BorrowedFd, Errno, OwnedFd, Result, fd};
use core::ffi::{c_char, c_int, c_long};
use core::mem::MaybeUninit;
use rustix::fd::FromRawFd as _;

fn last_error() -> Errno {
    // SAFETY: the function takes no argument.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer to the thread's errno is always valid.
    Errno::from_raw_os_error(unsafe { *errno })
}

fn check(ret: c_int) -> Result<c_int> {
    if ret < 0 { Err(last_error()) } else { Ok(ret) }
}

/// Ends the process.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: the function takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// Forks; returns 0 in the child and its pid in the parent.
pub(crate) fn fork() -> Result<i32> {
    // SAFETY: there is one thread, so no other thread can hold a lock.
    check(unsafe { libc::fork() })
}

/// Replaces the program; returns only if that failed.
///
/// # Safety
/// `path` must be NUL-terminated; `argv` and `envp` must be NULL-terminated arrays of
/// NUL-terminated strings.
pub(crate) unsafe fn execve(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Errno {
    // SAFETY: the caller guarantees terminated strings and arrays.
    unsafe { libc::execve(path, argv, envp) };
    last_error()
}

/// Sets the disposition of a signal to the default, with these `SA_` flags.
pub(crate) fn default_disposition(signal: c_int, flags: u32) -> Result<()> {
    set_action(signal, libc::SIG_DFL, flags)
}

/// Sets the disposition of a signal to "ignore".
pub(crate) fn ignore(signal: c_int) -> Result<()> {
    set_action(signal, libc::SIG_IGN, 0)
}

fn set_action(signal: c_int, handler: libc::sighandler_t, flags: u32) -> Result<()> {
    // SAFETY: all zeros is a valid sigaction: the default handler and an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags.cast_signed();
    // SAFETY: `action` outlives the call, and the pointer for the old action is NULL.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) }).map(drop)
}

fn to_libc(set: RawSigset) -> libc::sigset_t {
    let mut out = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is valid, and sigemptyset initialises the whole set.
    unsafe { libc::sigemptyset(out.as_mut_ptr()) };
    // SAFETY: sigemptyset has initialised it.
    let mut out = unsafe { out.assume_init() };
    for signal in 1..=64 {
        if set & 1 << (signal - 1) != 0 {
            // SAFETY: `out` is an initialised set. A number that the libc refuses changes nothing.
            unsafe { libc::sigaddset(&raw mut out, signal) };
        }
    }
    out
}

fn from_libc(set: &libc::sigset_t) -> RawSigset {
    let mut out = 0;
    for signal in 1..=64 {
        // SAFETY: `set` is an initialised set.
        if unsafe { libc::sigismember(set, signal) } == 1 {
            out |= 1 << (signal - 1);
        }
    }
    out
}

/// Changes the mask of blocked signals; returns the previous mask.
pub(crate) fn set_mask(how: u32, set: RawSigset) -> Result<RawSigset> {
    let set = to_libc(set);
    let mut old = to_libc(0);
    // SAFETY: both sets are initialised and outlive the call.
    check(unsafe { libc::sigprocmask(how.cast_signed(), &raw const set, &raw mut old) })
        .map(|_| from_libc(&old))
}

/// Makes a signalfd for `set`; `flags` are those of signalfd4.
pub(crate) fn signalfd(set: RawSigset, flags: u32) -> Result<OwnedFd> {
    let set = to_libc(set);
    // SAFETY: the set outlives the call; -1 asks for a new descriptor.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, flags.cast_signed()) })?;
    // SAFETY: the kernel has just made the descriptor, so it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a signal is ignored in this process.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    // SAFETY: all zeros is a valid sigaction; the call below overwrites it.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the libc writes the old action to `action`, which outlives the call. The pointer for
    // a new action is NULL.
    let ret = unsafe { libc::sigaction(signal, core::ptr::null(), &raw mut action) };
    ret == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Reads a clock; returns seconds and nanoseconds, both 0 for a clock that does not exist.
pub(crate) fn clock(id: u32) -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call. For a clock that does not exist, the kernel leaves the zeros.
    unsafe { libc::clock_gettime(id.cast_signed(), &raw mut time) };
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    (i64::from(time.tv_sec), i64::from(time.tv_nsec))
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: length and pointer are those of the slice.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets the real, effective and saved group id; without privilege only the effective one.
pub(crate) fn setgid(gid: u32) -> Result<()> {
    // SAFETY: the function takes no pointer.
    check(unsafe { libc::setgid(gid) }).map(drop)
}

/// Sets the real, effective and saved user id; without privilege only the effective one.
pub(crate) fn setuid(uid: u32) -> Result<()> {
    // SAFETY: the function takes no pointer.
    check(unsafe { libc::setuid(uid) }).map(drop)
}

/// The process group of a process; 0 if its leader is outside the PID namespace.
pub(crate) fn group_of(pid: c_int) -> Result<c_int> {
    // SAFETY: the function takes no pointer.
    check(unsafe { libc::getpgid(pid) })
}

/// The session of a process; 0 if its leader is outside the PID namespace.
pub(crate) fn session_of(pid: c_int) -> Result<c_int> {
    // SAFETY: the function takes no pointer.
    check(unsafe { libc::getsid(pid) })
}

/// Sends a signal to every process that this one may signal, except itself and process 1.
pub(crate) fn signal_all(signal: c_int) -> Result<()> {
    // SAFETY: the function takes no pointer.
    check(unsafe { libc::kill(-1, signal) }).map(drop)
}

/// Sends a signal with its information to the process of a pidfd.
pub(crate) fn queue_signal(
    process: BorrowedFd<'_>,
    signal: c_int,
    info: &QueuedSignal,
) -> Result<()> {
    let (call, process) = (libc::SYS_pidfd_send_signal, fd::number(process));
    // SAFETY: `info` has the layout and the size of the kernel's `siginfo_t`, which it only reads.
    let ret = unsafe { libc::syscall(call, process, signal, &raw const *info, 0) };
    if ret < 0 { Err(last_error()) } else { Ok(()) }
}

/// Sets the I/O priority of this process; `priority` combines class and level.
pub(crate) fn set_io_priority(priority: c_int) -> Result<()> {
    /// `IOPRIO_WHO_PROCESS`
    const PROCESS: c_int = 1;
    // SAFETY: the call takes no pointer. Process 0 is this process.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, priority) };
    if ret < 0 { Err(last_error()) } else { Ok(()) }
}

/// Receives a message and its control messages from a socket, without waiting. `more` are further
/// flags.
pub(crate) fn receive<const N: usize>(
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    control: &mut ControlBuffer<N>,
    more: u32,
) -> Result<Received> {
    let mut bytes = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: all zeros is a valid msghdr without buffers.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT | more.cast_signed();
    // SAFETY: the message has one vector and the control buffer, each with its length, and the
    // kernel writes no more than that. All of it outlives the call.
    let ret = unsafe { libc::recvmsg(fd::number(socket), &raw mut message, flags) };
    let length = usize::try_from(ret).map_err(|_| last_error())?;
    let flags = message.msg_flags.cast_unsigned();
    Ok(Received { length, control: message.msg_controllen as _, flags })
}

/// Makes this process get the SIGIO of an open file.
pub(crate) fn receive_io_signals(file: BorrowedFd<'_>) -> Result<()> {
    let (file, process) = (fd::number(file), crate::process::id().get());
    // SAFETY: the command takes a number, and no pointer.
    check(unsafe { libc::fcntl(file, libc::F_SETOWN, process) }).map(drop)
}

/// Closes every descriptor from `first` to `last`.
pub(crate) fn close_range(first: c_int, last: c_int) -> Result<()> {
    // SAFETY: the call takes no pointer.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if ret < 0 { Err(last_error()) } else { Ok(()) }
}

/// Does nothing: in this flavour [`vfork`] copies all descriptors.
#[expect(clippy::unnecessary_wraps, reason = "as in the raw flavour")]
pub(crate) fn keep_descriptors_below(_first: c_int) -> Result<()> {
    Ok(())
}

/// Runs `entry(argument)` in a child that has a copy of our memory and descriptors, and uses no
/// separate stack. This process sleeps until the child execs or ends. The libc's vfork is not possible
/// here: a function that calls it must not return.
///
/// # Safety
/// `entry` must accept `argument`, must not return and must not unwind.
pub(crate) unsafe fn vfork(
    _stack_top: *mut u8,
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    _same_descriptors: bool,
) -> Result<i32> {
    let (flags, none) = (c_long::from(libc::CLONE_VFORK | libc::SIGCHLD), 0 as c_long);
    // s390x takes the stack first.
    let (first, second) = if cfg!(target_arch = "s390x") { (none, flags) } else { (flags, none) };
    // SAFETY: without CLONE_VM and a stack this is a fork, and the call takes no pointer. There is one
    // thread, so no other thread can hold a lock.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) };
    let pid = c_int::try_from(pid).ok().filter(|pid| *pid >= 0).ok_or_else(last_error)?;
    if pid == 0 {
        // SAFETY: the caller guarantees that `entry` accepts `argument`.
        unsafe { entry(argument) }
    }
    Ok(pid)
}
