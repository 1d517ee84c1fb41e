//! The raw flavour: system calls without a libc.

use super::types::{ControlBuffer, QueuedSignal, RawSigset, Received};
use crate::{BorrowedFd, Errno, OwnedFd, Result, fd};
#[cfg(not(feature = "simulated"))]
use core::arch::asm;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use linux_raw_sys::{general as nr, net};
use rustix::fd::FromRawFd as _;

#[cfg(feature = "simulated")]
use super::simulated::syscall;
#[cfg(feature = "simulated")]
pub(crate) use super::simulated::vfork;

/// Performs system call `n` on x86_64; returns a value or a negated error number.
///
/// # Safety
/// The arguments must be those that the call demands; the kernel reads and writes through pointers.
#[cfg(all(target_arch = "x86_64", not(feature = "simulated")))]
#[inline(always)]
unsafe fn syscall(n: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let ret: isize;
    // SAFETY: the x86_64 convention: number in rax, arguments in rdi rsi rdx r10 r8; the kernel
    // clobbers rax, rcx and r11 and no stack. The caller guarantees the arguments.
    unsafe {
        asm!("syscall",
            inlateout("rax") n as isize => ret,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// Performs system call `n` on aarch64; returns a value or a negated error number.
///
/// # Safety
/// The arguments must be those that the call demands; the kernel reads and writes through pointers.
#[cfg(all(target_arch = "aarch64", not(feature = "simulated")))]
#[inline(always)]
unsafe fn syscall(n: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let ret: isize;
    // SAFETY: the aarch64 convention: number in x8, arguments in x0 to x4, result in x0. The caller
    // guarantees the arguments.
    unsafe {
        asm!("svc 0",
            in("x8") n as usize,
            inlateout("x0") a as isize => ret,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, options(nostack));
    }
    ret
}

fn check(ret: isize) -> Result<usize> {
    if (-4095..0).contains(&ret) {
        // The range test makes the cast lossless.
        #[expect(clippy::cast_possible_truncation, reason = "checked against -4095..0")]
        Err(Errno::from_raw_os_error(-ret as i32))
    } else {
        Ok(ret.unsigned_abs())
    }
}

/// Ends the process.
pub(crate) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: the call takes no pointer. It does not return; the loop is for the type.
        unsafe { syscall(nr::__NR_exit_group, code as usize, 0, 0, 0, 0) };
    }
}

/// Forks; returns 0 in the child and its pid in the parent.
pub(crate) fn fork() -> Result<i32> {
    let flags = nr::SIGCHLD as usize;
    // SAFETY: clone without a stack and without CLONE_VM is fork: the child continues here with its
    // own copy of all memory. There is one thread, so no other thread can hold a lock.
    let ret = unsafe { syscall(nr::__NR_clone, flags, 0, 0, 0, 0) };
    check(ret).map(|pid| i32::try_from(pid).unwrap_or(0))
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
    let ret =
        unsafe { syscall(nr::__NR_execve, path as usize, argv as usize, envp as usize, 0, 0) };
    check(ret).err().unwrap_or(Errno::NOSYS)
}

/// Sets the disposition of a signal to the default, with these `SA_` flags.
pub(crate) fn default_disposition(signal: c_int, flags: u32) -> Result<()> {
    set_action(signal, 0, flags)
}

/// Sets the disposition of a signal to "ignore".
pub(crate) fn ignore(signal: c_int) -> Result<()> {
    set_action(signal, 1, 0)
}

/// Sets the disposition of a signal; `handler` is 0 for the default and 1 for "ignore".
fn set_action(signal: c_int, handler: usize, flags: u32) -> Result<()> {
    // The kernel's struct sigaction: handler, flags, restorer, mask. The kernel uses the last two
    // only for a handler function.
    let action: [usize; 4] = [handler, flags as usize, 0, 0];
    // SAFETY: `action` has the size of the kernel's struct and outlives the call. The pointer for
    // the old action is NULL, and 8 is the size of the kernel's signal set.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigaction, signal as usize, action.as_ptr() as usize, 0, 8, 0)
    };
    check(ret).map(drop)
}

/// Changes the mask of blocked signals; returns the previous mask.
pub(crate) fn set_mask(how: u32, set: RawSigset) -> Result<RawSigset> {
    let mut old: RawSigset = 0;
    let set: *const RawSigset = &raw const set;
    // SAFETY: both sets have 8 bytes, as the size argument says, and outlive the call.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigprocmask, how as usize, set as usize, (&raw mut old) as usize, 8, 0)
    };
    check(ret).map(|_| old)
}

/// Makes a signalfd for `set`; `flags` are those of signalfd4.
pub(crate) fn signalfd(set: RawSigset, flags: u32) -> Result<OwnedFd> {
    let set: *const RawSigset = &raw const set;
    // SAFETY: the set has 8 bytes and outlives the call; -1 asks for a new descriptor.
    let ret =
        unsafe { syscall(nr::__NR_signalfd4, usize::MAX, set as usize, 8, flags as usize, 0) };
    let fd = i32::try_from(check(ret)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made the descriptor, so it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a signal is ignored in this process.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut action = [0_usize; 4];
    // SAFETY: the kernel writes the old action to `action`, which has the size of its struct. The
    // pointer for a new action is NULL, and 8 is the size of the kernel's signal set.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigaction, signal as usize, 0, action.as_mut_ptr() as usize, 8, 0)
    };
    ret == 0 && action[0] == 1
}

/// Reads a clock; returns seconds and nanoseconds, both 0 for a clock that does not exist.
pub(crate) fn clock(id: u32) -> (i64, i64) {
    let mut time: [i64; 2] = [0, 0];
    // SAFETY: a timespec has two 64-bit words here, and `time` outlives the call. For a clock that does
    // not exist, the kernel leaves the zeros.
    unsafe { syscall(nr::__NR_clock_gettime, id as usize, time.as_mut_ptr() as usize, 0, 0, 0) };
    (time[0], time[1])
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: length and pointer are those of the slice.
    let ret =
        unsafe { syscall(nr::__NR_setgroups, groups.len(), groups.as_ptr() as usize, 0, 0, 0) };
    check(ret).map(drop)
}

/// Sets the real, effective and saved group id; without privilege only the effective one.
pub(crate) fn setgid(gid: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { syscall(nr::__NR_setgid, gid as usize, 0, 0, 0, 0) }).map(drop)
}

/// Sets the real, effective and saved user id; without privilege only the effective one.
pub(crate) fn setuid(uid: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { syscall(nr::__NR_setuid, uid as usize, 0, 0, 0, 0) }).map(drop)
}

/// The process group of a process; 0 if its leader is outside the PID namespace.
pub(crate) fn group_of(pid: c_int) -> Result<c_int> {
    // SAFETY: the call takes no pointer.
    let ret = unsafe { syscall(nr::__NR_getpgid, pid as usize, 0, 0, 0, 0) };
    check(ret).map(|group| c_int::try_from(group).unwrap_or(0))
}

/// The session of a process; 0 if its leader is outside the PID namespace.
pub(crate) fn session_of(pid: c_int) -> Result<c_int> {
    // SAFETY: the call takes no pointer.
    let ret = unsafe { syscall(nr::__NR_getsid, pid as usize, 0, 0, 0, 0) };
    check(ret).map(|session| c_int::try_from(session).unwrap_or(0))
}

/// Sends a signal to every process that this one may signal, except itself and process 1.
pub(crate) fn signal_all(signal: c_int) -> Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { syscall(nr::__NR_kill, usize::MAX, signal as usize, 0, 0, 0) }).map(drop)
}

/// Sends a signal with its information to the process of a pidfd.
pub(crate) fn queue_signal(
    process: BorrowedFd<'_>,
    signal: c_int,
    info: &QueuedSignal,
) -> Result<()> {
    let (process, info) = (fd::number(process) as usize, &raw const *info as usize);
    // SAFETY: `info` has the layout and the size of the kernel's `siginfo_t`, which it only reads.
    let ret = unsafe { syscall(nr::__NR_pidfd_send_signal, process, signal as usize, info, 0, 0) };
    check(ret).map(drop)
}

/// Sets the I/O priority of this process; `priority` combines class and level.
pub(crate) fn set_io_priority(priority: c_int) -> Result<()> {
    /// `IOPRIO_WHO_PROCESS`
    const PROCESS: usize = 1;
    // SAFETY: the call takes no pointer. Process 0 is this process.
    let ret = unsafe { syscall(nr::__NR_ioprio_set, PROCESS, 0, priority as usize, 0, 0) };
    check(ret).map(drop)
}

/// Receives a message and its control messages from a socket, without waiting. `more` are further
/// flags.
pub(crate) fn receive<const N: usize>(
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    control: &mut ControlBuffer<N>,
    more: u32,
) -> Result<Received> {
    let mut bytes = nr::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() as _ };
    let mut message = net::msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut bytes).cast(),
        msg_iovlen: 1,
        msg_control: control.0.as_mut_ptr().cast(),
        msg_controllen: control.0.len(),
        msg_flags: 0,
    };
    let flags = (net::MSG_CMSG_CLOEXEC | net::MSG_DONTWAIT | more) as usize;
    let message_at: *mut net::msghdr = &raw mut message;
    // SAFETY: the message has one vector and the control buffer, each with its length, and the
    // kernel writes no more than that. All of it outlives the call.
    let ret = unsafe {
        let fd = fd::number(socket) as usize;
        syscall(nr::__NR_recvmsg, fd, message_at as usize, flags, 0, 0)
    };
    let length = check(ret)?;
    Ok(Received { length, control: message.msg_controllen, flags: message.msg_flags })
}

/// Makes this process get the SIGIO of an open file.
pub(crate) fn receive_io_signals(file: BorrowedFd<'_>) -> Result<()> {
    let (file, process) = (fd::number(file) as usize, crate::process::id().get() as usize);
    // SAFETY: the call takes no pointer.
    let ret = unsafe { syscall(nr::__NR_fcntl, file, nr::F_SETOWN as usize, process, 0, 0) };
    check(ret).map(drop)
}

/// Closes every descriptor from `first` to `last`.
pub(crate) fn close_range(first: c_int, last: c_int) -> Result<()> {
    let (first, last) = (first.unsigned_abs() as usize, last.unsigned_abs() as usize);
    // SAFETY: the call takes no pointer.
    check(unsafe { syscall(nr::__NR_close_range, first, last, 0, 0, 0) }).map(drop)
}

/// In a child that shares the parent's descriptors after [`vfork`]: gives the child its own table
/// with copies of the descriptors below `first`.
pub(crate) fn keep_descriptors_below(first: c_int) -> Result<()> {
    /// `CLOSE_RANGE_UNSHARE`.
    const OWN_TABLE: usize = 2;
    let (first, last) = (first.unsigned_abs() as usize, c_int::MAX as usize);
    // SAFETY: the call takes no pointer. With the flag, it closes only in the child's own table.
    let ret = unsafe { syscall(nr::__NR_close_range, first, last, OWN_TABLE, 0, 0) };
    if check(ret).is_ok() {
        return Ok(());
    }
    // Before Linux 5.9 the child gets copies of all descriptors.
    // SAFETY: the call takes no pointer, and the copies have the same numbers.
    let ret = unsafe { syscall(nr::__NR_unshare, nr::CLONE_FILES as usize, 0, 0, 0, 0) };
    check(ret).map(drop)
}

/// Runs `entry(argument)` in a child that shares our memory and has its own stack; returns the
/// child's pid. This process sleeps until the child execs or ends. With `same_descriptors` the
/// child also shares the descriptors, until it calls [`keep_descriptors_below`].
///
/// # Safety
/// `stack_top` must be the end, aligned to 16, of memory that is large enough for `entry` and that
/// no other code uses meanwhile. `entry` must accept `argument`, must not return and must not
/// unwind.
#[cfg(not(feature = "simulated"))]
pub(crate) unsafe fn vfork(
    stack_top: *mut u8,
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    same_descriptors: bool,
) -> Result<i32> {
    let files = if same_descriptors { nr::CLONE_FILES } else { 0 };
    let flags = (nr::CLONE_VM | nr::CLONE_VFORK | nr::SIGCHLD | files) as usize;
    let ret: isize;
    // SAFETY: for the parent this is a system call. The child continues after it on its own stack
    // with the other registers unchanged, and calls `entry`, which does not return. So the child
    // does not touch a frame of the parent.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") nr::__NR_clone as isize => ret,
            in("rdi") flags, in("rsi") stack_top, in("rdx") 0, in("r10") 0, in("r8") 0,
            in("r12") argument, in("r13") entry,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as on x86_64.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "brk 1",
            "2:",
            in("x8") nr::__NR_clone as usize,
            inlateout("x0") flags as isize => ret,
            in("x1") stack_top, in("x2") 0, in("x3") 0, in("x4") 0,
            in("x9") argument, in("x10") entry,
            lateout("x30") _,
        );
    }
    check(ret).map(|pid| i32::try_from(pid).unwrap_or(0))
}
