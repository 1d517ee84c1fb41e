//! The libc flavour: the same functions, by way of a static libc.

use super::{Control, RawSigset, Received};
use crate::{BorrowedFd, Errno, OwnedFd, Result, fd};
use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
use rustix::fd::FromRawFd as _;

fn last_error() -> Errno {
    // SAFETY: takes nothing.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer is that of the thread's errno, always valid.
    Errno::from_raw_os_error(unsafe { *errno })
}

fn check(ret: c_int) -> Result<c_int> {
    if ret < 0 { Err(last_error()) } else { Ok(ret) }
}

/// Ends the process.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// A copy of this process: 0 in the child, its pid in the parent.
pub(crate) fn fork() -> Result<i32> {
    // SAFETY: there are no threads whose locks the child could inherit.
    check(unsafe { libc::fork() })
}

/// Replaces the program; returns only on failure.
///
/// # Safety
/// `path` must be NUL-terminated; `argv` and `envp` must be NULL-terminated arrays of
/// NUL-terminated strings.
pub(crate) unsafe fn execve(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Errno {
    // SAFETY: the caller guarantees the shape of the three.
    unsafe { libc::execve(path, argv, envp) };
    last_error()
}

/// Sets the disposition of a signal to the default, with the given flags.
pub(crate) fn default_disposition(signal: c_int, flags: u32) -> Result<()> {
    set_action(signal, libc::SIG_DFL, flags)
}

/// Makes a signal ignored.
pub(crate) fn ignore(signal: c_int) -> Result<()> {
    set_action(signal, libc::SIG_IGN, 0)
}

fn set_action(signal: c_int, handler: libc::sighandler_t, flags: u32) -> Result<()> {
    // SAFETY: all zeroes is a valid sigaction: the default handler and an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags.cast_signed();
    // SAFETY: `action` lives during the call, and no old action is asked for.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) }).map(drop)
}

fn to_libc(set: RawSigset) -> libc::sigset_t {
    let mut out = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset fills the whole set.
    unsafe { libc::sigemptyset(out.as_mut_ptr()) };
    // SAFETY: filled by the line above.
    let mut out = unsafe { out.assume_init() };
    for signal in 1..=64 {
        if set & 1 << (signal - 1) != 0 {
            // SAFETY: `out` is an initialised set; a number libc refuses changes nothing.
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

/// Sets the mask of blocked signals and returns the one before.
pub(crate) fn set_mask(how: u32, set: RawSigset) -> Result<RawSigset> {
    let set = to_libc(set);
    let mut old = to_libc(0);
    // SAFETY: both sets are initialised and live during the call.
    check(unsafe { libc::sigprocmask(how.cast_signed(), &raw const set, &raw mut old) })
        .map(|_| from_libc(&old))
}

/// A descriptor from which the signals of `set` are read; `flags` are those of signalfd4.
pub(crate) fn signalfd(set: RawSigset, flags: u32) -> Result<OwnedFd> {
    let set = to_libc(set);
    // SAFETY: -1 asks for a new descriptor; the set lives during the call.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, flags.cast_signed()) })?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a signal is ignored in this process.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    // SAFETY: all zeroes is a valid sigaction, to be overwritten.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: no new action; the old one is written to `action`, which lives during the call.
    let ret = unsafe { libc::sigaction(signal, core::ptr::null(), &raw mut action) };
    ret == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Seconds and nanoseconds of a clock.
pub(crate) fn clock(id: u32) -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call; the clocks we name always exist.
    unsafe { libc::clock_gettime(id.cast_signed(), &raw mut time) };
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    (i64::from(time.tv_sec), i64::from(time.tv_nsec))
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: length and pointer are those of the slice.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets real, effective and saved group id (or only the effective one without privilege).
pub(crate) fn setgid(gid: u32) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::setgid(gid) }).map(drop)
}

/// Sets real, effective and saved user id (or only the effective one without privilege).
pub(crate) fn setuid(uid: u32) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::setuid(uid) }).map(drop)
}

/// Sets the priority of this process's input and output, class and level in one number.
pub(crate) fn set_io_priority(priority: c_int) -> Result<()> {
    /// `IOPRIO_WHO_PROCESS`
    const PROCESS: c_int = 1;
    // SAFETY: takes numbers; process 0 is ourselves.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, priority) };
    if ret < 0 { Err(last_error()) } else { Ok(()) }
}

/// Receives a message from a socket, and what comes beside it, without waiting.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    control: &mut Control,
) -> Result<Received> {
    let mut bytes = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: all zeroes is a valid msghdr, which names nothing.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the message names one vector and the control room with their lengths, of which the
    // kernel fills no more; all of it lives during the call.
    let ret = unsafe { libc::recvmsg(fd::number(socket), &raw mut message, flags) };
    let length = usize::try_from(ret).map_err(|_| last_error())?;
    let flags = message.msg_flags.cast_unsigned();
    Ok(Received { length, control: message.msg_controllen as _, flags })
}

/// As in the raw flavour, but there is nothing to do: [`vfork`] has copied the table.
#[expect(clippy::unnecessary_wraps, reason = "as in the raw flavour")]
pub(crate) fn keep_descriptors_below(_first: c_int) -> Result<()> {
    Ok(())
}

/// As in the raw flavour, but the child gets a copy of our memory and descriptors: `vfork` cannot be
/// called through a wrapper that returns. The stack is not needed then.
///
/// # Safety
/// `entry` must not return and must not unwind, and `argument` must be what it expects.
pub(crate) unsafe fn vfork(
    _stack_top: *mut u8,
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    _same_descriptors: bool,
) -> Result<i32> {
    let pid = fork()?;
    if pid == 0 {
        // SAFETY: the caller's promise.
        unsafe { entry(argument) }
    }
    Ok(pid)
}
