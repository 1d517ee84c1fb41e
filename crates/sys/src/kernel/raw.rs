//! The raw flavour: one instruction into the kernel, no libc.

use super::{Control, RawSigset, Received};
use crate::{BorrowedFd, Errno, OwnedFd, Result, fd};
use core::arch::asm;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use linux_raw_sys::{general as nr, net};
use rustix::fd::FromRawFd as _;

/// Performs system call `n` and returns the kernel's word: a value, or a negated error number.
///
/// # Safety
/// The arguments must be what the call demands: the kernel reads and writes through pointers.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn syscall(n: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let ret: isize;
    // SAFETY: the x86_64 convention: number in rax, arguments in rdi rsi rdx r10 r8, the kernel
    // clobbers rax rcx r11 and no stack. The caller answers for the arguments.
    unsafe {
        asm!("syscall",
            inlateout("rax") n as isize => ret,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// The same on aarch64.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn syscall(n: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let ret: isize;
    // SAFETY: the aarch64 convention: number in x8, arguments in x0 to x4, the result in x0.
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
        // SAFETY: exit_group takes a number and does not return; the loop is for the type.
        unsafe { syscall(nr::__NR_exit_group, code as usize, 0, 0, 0, 0) };
    }
}

/// A copy of this process: 0 in the child, its pid in the parent.
pub(crate) fn fork() -> Result<i32> {
    let flags = nr::SIGCHLD as usize;
    // SAFETY: clone without a stack and without CLONE_VM is fork: the child goes on from here
    // with its own copy of all memory. There are no threads whose locks it could inherit.
    let ret = unsafe { syscall(nr::__NR_clone, flags, 0, 0, 0, 0) };
    check(ret).map(|pid| i32::try_from(pid).unwrap_or(0))
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
    let ret =
        unsafe { syscall(nr::__NR_execve, path as usize, argv as usize, envp as usize, 0, 0) };
    check(ret).err().unwrap_or(Errno::NOSYS)
}

/// Sets the disposition of a signal to the default, with the given flags.
pub(crate) fn default_disposition(signal: c_int, flags: u32) -> Result<()> {
    set_action(signal, 0, flags)
}

/// Makes a signal ignored.
pub(crate) fn ignore(signal: c_int) -> Result<()> {
    set_action(signal, 1, 0)
}

/// `handler` is 0 for the default and 1 to ignore.
fn set_action(signal: c_int, handler: usize, flags: u32) -> Result<()> {
    // struct sigaction of the kernel: handler, flags, restorer, mask. Without a handler of ours the
    // last two are not used.
    let action: [usize; 4] = [handler, flags as usize, 0, 0];
    // SAFETY: `action` is as large as the kernel's struct and lives during the call; no old
    // action is asked for; 8 is the size of the kernel's signal set.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigaction, signal as usize, action.as_ptr() as usize, 0, 8, 0)
    };
    check(ret).map(drop)
}

/// Sets the mask of blocked signals and returns the one before.
pub(crate) fn set_mask(how: u32, set: RawSigset) -> Result<RawSigset> {
    let mut old: RawSigset = 0;
    let set: *const RawSigset = &raw const set;
    // SAFETY: both sets are 8 bytes, as the size argument says, and live during the call.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigprocmask, how as usize, set as usize, (&raw mut old) as usize, 8, 0)
    };
    check(ret).map(|_| old)
}

/// A descriptor from which the signals of `set` are read; `flags` are those of signalfd4.
pub(crate) fn signalfd(set: RawSigset, flags: u32) -> Result<OwnedFd> {
    let set: *const RawSigset = &raw const set;
    // SAFETY: -1 asks for a new descriptor; the set is 8 bytes and lives during the call.
    let ret =
        unsafe { syscall(nr::__NR_signalfd4, usize::MAX, set as usize, 8, flags as usize, 0) };
    let fd = i32::try_from(check(ret)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a signal is ignored in this process.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut action = [0_usize; 4];
    // SAFETY: no new action; the old one is written to `action`, which is as large as the
    // kernel's struct; 8 is the size of the kernel's signal set.
    let ret = unsafe {
        syscall(nr::__NR_rt_sigaction, signal as usize, 0, action.as_mut_ptr() as usize, 8, 0)
    };
    ret == 0 && action[0] == 1
}

/// Seconds and nanoseconds of a clock.
pub(crate) fn clock(id: u32) -> (i64, i64) {
    let mut time: [i64; 2] = [0, 0];
    // SAFETY: a timespec is two 64-bit words here, and lives during the call. The clocks we name
    // always exist, so that there is no error to look at.
    unsafe { syscall(nr::__NR_clock_gettime, id as usize, time.as_mut_ptr() as usize, 0, 0, 0) };
    (time[0], time[1])
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length are those of the slice.
    let ret =
        unsafe { syscall(nr::__NR_setgroups, groups.len(), groups.as_ptr() as usize, 0, 0, 0) };
    check(ret).map(drop)
}

/// Sets real, effective and saved group id (or only the effective one without privilege).
pub(crate) fn setgid(gid: u32) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { syscall(nr::__NR_setgid, gid as usize, 0, 0, 0, 0) }).map(drop)
}

/// Sets real, effective and saved user id (or only the effective one without privilege).
pub(crate) fn setuid(uid: u32) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { syscall(nr::__NR_setuid, uid as usize, 0, 0, 0, 0) }).map(drop)
}

/// Sets the priority of this process's input and output, class and level in one number.
pub(crate) fn set_io_priority(priority: c_int) -> Result<()> {
    /// `IOPRIO_WHO_PROCESS`
    const PROCESS: usize = 1;
    // SAFETY: takes numbers; process 0 is ourselves.
    let ret = unsafe { syscall(nr::__NR_ioprio_set, PROCESS, 0, priority as usize, 0, 0) };
    check(ret).map(drop)
}

/// Receives a message from a socket, and what comes beside it, without waiting.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    control: &mut Control,
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
    let flags = (net::MSG_CMSG_CLOEXEC | net::MSG_DONTWAIT) as usize;
    let message_at: *mut net::msghdr = &raw mut message;
    // SAFETY: the message names one vector and the control room with their lengths, of which the
    // kernel fills no more; all of it lives during the call.
    let ret = unsafe {
        let fd = fd::number(socket) as usize;
        syscall(nr::__NR_recvmsg, fd, message_at as usize, flags, 0, 0)
    };
    let length = check(ret)?;
    Ok(Received { length, control: message.msg_controllen, flags: message.msg_flags })
}

/// In a child that [`vfork`] has made with our descriptors: gives it a table of its own, with a copy
/// of those below `first` and nothing else.
pub(crate) fn keep_descriptors_below(first: c_int) -> Result<()> {
    /// `CLOSE_RANGE_UNSHARE`.
    const OWN_TABLE: usize = 2;
    let (first, last) = (first.unsigned_abs() as usize, c_int::MAX as usize);
    // SAFETY: takes numbers; what is closed is closed in this child's copy only.
    let ret = unsafe { syscall(nr::__NR_close_range, first, last, OWN_TABLE, 0, 0) };
    if check(ret).is_ok() {
        return Ok(());
    }
    // Before Linux 5.9: a copy of all of them. SAFETY: takes a flag; the copy has the same numbers.
    let ret = unsafe { syscall(nr::__NR_unshare, nr::CLONE_FILES as usize, 0, 0, 0, 0) };
    check(ret).map(drop)
}

/// Runs `entry(argument)` in a child which shares our memory, on a stack of its own; we sleep
/// until it has replaced its program or ended. Returns the child's pid. With `same_descriptors` it
/// shares these too, until it calls [`keep_descriptors_below`].
///
/// # Safety
/// `stack_top` must be the 16-byte aligned end of memory that nobody else uses and that is large
/// enough for `entry`; `entry` must not return and must not unwind.
pub(crate) unsafe fn vfork(
    stack_top: *mut u8,
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    same_descriptors: bool,
) -> Result<i32> {
    let files = if same_descriptors { nr::CLONE_FILES } else { 0 };
    let flags = (nr::CLONE_VM | nr::CLONE_VFORK | nr::SIGCHLD | files) as usize;
    let ret: isize;
    // SAFETY: the parent only sees a system call. The child starts behind it with the given stack
    // and all other registers as they were, and at once calls `entry`, which does not return, so
    // that it never touches a frame of ours.
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
    // SAFETY: as above.
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
