//! Starting children.

use super::pid::Pid;
use crate::{Errno, Result, kernel};
use core::cell::{Cell, UnsafeCell};

/// The two processes after a [`fork`].
pub enum Forked {
    /// The new process.
    Child,
    /// The old process, with the id of the new one.
    Parent(Pid),
}

/// Forks: makes a copy of this process.
///
/// # Errors
/// EAGAIN: too many processes. ENOMEM: no memory.
pub fn fork() -> Result<Forked> {
    Ok(Pid::new(kernel::fork()?).map_or(Forked::Child, Forked::Parent))
}

/// In a child: it gets TERM when its parent ends, also after exec.
pub fn end_with_parent() {
    // Cannot fail for a valid signal.
    let signal = Some(rustix::process::Signal::TERM);
    let _ = rustix::process::set_parent_process_death_signal(signal);
}

/// The stack of a [`spawn`]ed child. One child uses it at a time: the parent sleeps meanwhile, and
/// the child's own calls of `spawn` fail.
#[repr(C, align(16))]
struct Stack {
    room: UnsafeCell<[u8; STACK_LEN]>,
    is_used: Cell<bool>,
}

/// The length that makes `Stack` 32 KiB large.
const STACK_LEN: usize = 32 * 1024 - 16;

// SAFETY: the programs have one thread, and `spawn` returns only after the child has left the
// stack.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack { room: UnsafeCell::new([0; STACK_LEN]), is_used: Cell::new(false) };

type Child<'a> = &'a mut dyn FnMut() -> i32;

/// The first function of a [`spawn`]ed child.
///
/// # Safety
/// `argument` must be the address of a `Child` to which no other reference is used before the child
/// has ended.
unsafe extern "C" fn run_child(argument: *mut u8) -> ! {
    // SAFETY: the caller guarantees a valid address and exclusive use.
    let child = unsafe { &mut *argument.cast::<Child<'_>>() };
    kernel::exit(child())
}

/// Starts a child that runs `child`, which normally execs; otherwise its result is the exit code.
///
/// This process sleeps until the child execs or ends. The two share their memory: the kernel copies
/// nothing, and the child's writes to memory remain. The child has its own descriptors, directory
/// and signals.
///
/// # Errors
/// EAGAIN: too many processes. ENOMEM: no memory. EDEADLK: called in such a child.
pub fn spawn(child: Child<'_>) -> Result<Pid> {
    start_child(child, false)
}

/// Starts a child as [`spawn`] does, with only the descriptors up to number `last`. Otherwise the
/// kernel would copy all descriptors and close them again at exec, and each child would cost more
/// the more descriptors the parent has.
///
/// # Errors
/// As for [`spawn`].
pub fn spawn_with_fds_up_to(last: i32, child: Child<'_>) -> Result<Pid> {
    // Comes first: until it returns, the child shares the parent's descriptors.
    let mut alone = || match kernel::keep_descriptors_below(last.max(2).saturating_add(1)) {
        Ok(()) => child(),
        // Out of memory.
        Err(_) => 111,
    };
    start_child(&mut alone, true)
}

fn start_child(mut child: Child<'_>, same_descriptors: bool) -> Result<Pid> {
    if STACK.is_used.replace(true) {
        return Err(Errno::DEADLK);
    }
    let top = STACK.room.get().cast::<u8>().wrapping_add(STACK_LEN);
    let argument = (&raw mut child).cast::<u8>();
    let start = |same_descriptors| {
        // SAFETY: the stack's end is aligned to 16, and `is_used` keeps other children off it.
        // `run_child` does not return, and panics abort. `child` outlives the call, and this process
        // does not use it meanwhile, because it sleeps.
        unsafe { kernel::vfork(top, run_child, argument, same_descriptors) }
    };
    let pid = match start(same_descriptors) {
        // qemu-user cannot share descriptors. The child gets copies, and closes what it does not need.
        Err(Errno::INVAL) if same_descriptors => start(false),
        pid => pid,
    };
    STACK.is_used.set(false);
    Pid::new(pid?).ok_or(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{ExitStatus, wait_for};
    use crate::{AsFd as _, fd};
    use rustix::io::{fcntl_dupfd_cloexec, fcntl_getfd};
    use std::sync::Mutex;

    /// All spawned children use one stack.
    static STACK_LOCK: Mutex<()> = Mutex::new(());

    #[test]
    fn a_spawned_child_cannot_spawn() {
        let _alone = STACK_LOCK.lock();
        let spawn_fails = || i32::from(spawn(&mut || 0) == Err(Errno::DEADLK));
        for _ in 0..2 {
            let child = spawn(&mut || spawn_fails()).expect("a process");
            assert_eq!(wait_for(child), Ok(ExitStatus::Exited(1)));
        }
    }

    #[test]
    fn the_parent_sleeps_until_the_child_has_ended() {
        let _alone = STACK_LOCK.lock();
        let (never, _writer) = fd::pipe().unwrap();
        let mut child = || {
            let wait = Some(core::time::Duration::from_millis(50));
            let [is_readable] = crate::poll::readable([never.as_fd()], wait);
            i32::from(is_readable)
        };
        let pid = spawn(&mut child).expect("a process");
        let stat = std::fs::read_to_string(std::format!("/proc/{pid}/stat")).unwrap();
        assert!(stat.contains(") Z "), "{stat}");
        assert_eq!(wait_for(pid), Ok(ExitStatus::Exited(0)));
    }

    #[test]
    fn spawn_with_keeps_only_the_low_descriptors_in_the_child() {
        let _alone = STACK_LOCK.lock();
        let (near, _writer) = fd::pipe().unwrap();
        let far = fcntl_dupfd_cloexec(&near, 500).unwrap();
        let mut child = || {
            let open = |fd: &crate::OwnedFd| i32::from(fcntl_getfd(fd).is_ok());
            2 * open(&far) + open(&near)
        };
        let with = spawn_with_fds_up_to(fd::number(near.as_fd()), &mut child).unwrap();
        // The libc flavour forks, which copies all descriptors.
        let expected = if cfg!(libc_flavour) { 3 } else { 1 };
        assert_eq!(wait_for(with), Ok(ExitStatus::Exited(expected)));
        assert!(fcntl_getfd(&far).is_ok());
        let all = spawn(&mut child).unwrap();
        assert_eq!(wait_for(all), Ok(ExitStatus::Exited(3)));
    }
}
