//! This process and its children: arguments, environment, fork, exec, wait, kill.

use crate::{Errno, Result, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, UnsafeCell};
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::num::NonZeroI32;
use core::ptr::null;
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, wait, waitid, waitpid};

/// A process id.
pub type Pid = NonZeroI32;

/// What the kernel handed us at the start.
struct Start {
    /// How many arguments there are, less those that were taken.
    argc: Cell<usize>,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// How many of the arguments, from the first on, have been handed out as `CStr`; the program's
    /// name counts from the beginning.
    handed_out: Cell<usize>,
    /// How many entries of the environment have been taken out.
    taken_out: Cell<usize>,
}

struct StartCell(UnsafeCell<Start>);

// SAFETY: written once, before `main`; its cells later, but the programs have one thread.
unsafe impl Sync for StartCell {}

// With the program's other data, in a page that is the process's own in any case, and not in one
// more. The programs are small enough for this to matter.
#[cfg_attr(not(test), unsafe(link_section = ".data"))]
static START: StartCell = StartCell(UnsafeCell::new(Start {
    argc: Cell::new(0),
    argv: null(),
    envp: null(),
    handed_out: Cell::new(1),
    taken_out: Cell::new(0),
}));

/// Keeps the arguments for [`args`] and [`env()`].
///
/// # Safety
/// To be called once, before anything else; the arrays must be NULL-terminated arrays of
/// NUL-terminated strings that live as long as the process.
pub(crate) unsafe fn remember(argc: usize, argv: *const *const c_char, envp: *const *const c_char) {
    // SAFETY: nothing else runs yet.
    unsafe {
        *START.0.get() = Start {
            argc: Cell::new(argc),
            argv,
            envp,
            handed_out: Cell::new(1),
            taken_out: Cell::new(0),
        }
    };
}

fn start() -> &'static Start {
    // SAFETY: after `remember` nothing is written any more but the cells.
    unsafe { &*START.0.get() }
}

/// Argument number `n`, counted from 0, which is the program's own name.
#[must_use]
pub fn arg(n: usize) -> Option<&'static CStr> {
    let start = start();
    if n >= start.argc.get() {
        return None;
    }
    start.handed_out.set(start.handed_out.get().max(n + 1));
    // SAFETY: `n` is inside the array of `argc` pointers.
    let arg = unsafe { *start.argv.wrapping_add(n) };
    // SAFETY: the kernel's strings are NUL-terminated and live as long as the process.
    Some(unsafe { CStr::from_ptr(arg) })
}

/// The arguments from number `first` on.
pub fn args(first: usize) -> impl Iterator<Item = &'static CStr> + Clone {
    (first..).map_while(arg)
}

/// The path by which we were executed, which argument 0 need not be; `None` if the kernel did not
/// tell.
#[must_use]
pub fn executed_path() -> Option<&'static CStr> {
    /// The key of the path in the auxiliary vector.
    const EXECFN: usize = linux_raw_sys::auxvec::AT_EXECFN as usize;
    let envp = start().envp;
    if envp.is_null() {
        return None;
    }
    // The auxiliary vector follows the NULL behind the environment as it was: pairs of words, key
    // and value, up to a key of zero.
    let entries = environ().count() + start().taken_out.get();
    let mut at = envp.wrapping_add(entries + 1).cast::<[usize; 2]>();
    loop {
        // SAFETY: the vector lies on the initial stack, and the loop stops at its end.
        let [key, value] = unsafe { at.read() };
        match key {
            0 => return None,
            EXECFN => {
                let path = core::ptr::with_exposed_provenance::<c_char>(value);
                // SAFETY: the kernel's path is NUL-terminated and lives as long as the process.
                return Some(unsafe { CStr::from_ptr(path) });
            }
            _ => at = at.wrapping_add(1),
        }
    }
}

/// The argument, or the tail of one, that `bytes` is: with its terminating NUL. `None` for other
/// bytes.
#[must_use]
pub fn terminated(bytes: &'static [u8]) -> Option<&'static CStr> {
    args(0).find_map(|arg| {
        let whole = arg.to_bytes_with_nul();
        let start = (bytes.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        let tail = whole.get(start..)?;
        (tail.len() == bytes.len() + 1).then(|| CStr::from_bytes_with_nul(tail).ok())?
    })
}

/// The entries of the environment, each of the form `name=value` (nothing enforces it).
pub fn environ() -> impl Iterator<Item = &'static CStr> + Clone {
    (0..).map_while(|n| {
        let envp = start().envp;
        if envp.is_null() {
            return None;
        }
        // SAFETY: the array ends with NULL, where the iteration stops.
        let entry = unsafe { *envp.wrapping_add(n) };
        // SAFETY: every entry before that is a NUL-terminated string that lives for ever.
        (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry) })
    })
}

/// The value of an environment variable: of its first entry, as in C.
#[must_use]
pub fn env(name: &str) -> Option<&'static CStr> {
    environ().find_map(|entry| {
        let rest = entry.to_bytes_with_nul().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        CStr::from_bytes_with_nul(rest).ok()
    })
}

/// Takes a variable out of the environment, in place: from now on nobody finds it, and no program
/// that we run gets it. Gives its value.
#[must_use]
pub fn take_env(name: &str) -> Option<&'static CStr> {
    let value = env(name)?;
    let entry = environ().position(|entry| {
        let rest = entry.to_bytes().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"="))
    })?;
    let mut place = start().envp.cast_mut().wrapping_add(entry);
    loop {
        // SAFETY: `place` is before the NULL at the end of the array, so that there is a next one.
        let next = unsafe { place.wrapping_add(1).read() };
        // SAFETY: the array is our own writable memory, and nobody holds a reference to it: what
        // was given out are the strings.
        unsafe { place.write(next) };
        if next.is_null() {
            start().taken_out.set(start().taken_out.get() + 1);
            return Some(value);
        }
        place = place.wrapping_add(1);
    }
}

/// A NULL-terminated array of strings, as exec wants it, that borrows the strings.
pub struct Strings<'a> {
    array: Array,
    strings: PhantomData<&'a CStr>,
}

enum Array {
    /// Somebody else's array: a tail of our own arguments, or our environment.
    There(*const *const c_char),
    /// A few strings, without a heap.
    Few([*const c_char; 8]),
    Many(Vec<*const c_char>),
}

impl<'a> Strings<'a> {
    /// Our own arguments from number `first` on. Empty if there are fewer.
    #[must_use]
    pub fn own_args(first: usize) -> Strings<'static> {
        let start = start();
        let array = if start.argv.is_null() {
            Array::Few([null(); 8])
        } else {
            // The last entry, number argc, is the terminating NULL.
            Array::There(start.argv.wrapping_add(first.min(start.argc.get())))
        };
        Strings { array, strings: PhantomData }
    }

    /// The environment we were started with.
    #[must_use]
    pub fn own_environment() -> Strings<'static> {
        let envp = start().envp;
        let array = if envp.is_null() { Array::Few([null(); 8]) } else { Array::There(envp) };
        Strings { array, strings: PhantomData }
    }

    /// These strings.
    #[must_use]
    pub fn of(strings: impl IntoIterator<Item = &'a CStr>) -> Self {
        let mut strings = strings.into_iter().map(CStr::as_ptr).fuse();
        let mut few = [null(); 8];
        let (places, _last) = few.split_at_mut(7);
        for (place, string) in places.iter_mut().zip(strings.by_ref()) {
            *place = string;
        }
        let array = match strings.next() {
            None => Array::Few(few),
            Some(next) => {
                let first = few.into_iter().take(7);
                let rest = core::iter::once(next).chain(strings);
                Array::Many(first.chain(rest).chain([null()]).collect())
            }
        };
        Self { array, strings: PhantomData }
    }

    fn as_ptr(&self) -> *const *const c_char {
        match &self.array {
            Array::There(array) => *array,
            Array::Few(array) => array.as_ptr(),
            Array::Many(array) => array.as_ptr(),
        }
    }
}

/// Replaces this program by the file `path`; returns only when that failed.
pub fn exec(path: &CStr, args: &Strings<'_>, environment: &Strings<'_>) -> Errno {
    // SAFETY: a `CStr` is NUL-terminated, and `Strings` are NULL-terminated arrays of such.
    unsafe { kernel::execve(path.as_ptr(), args.as_ptr(), environment.as_ptr()) }
}

/// Ends this process.
pub fn exit(code: i32) -> ! {
    kernel::exit(code)
}

/// Our own process id.
#[must_use]
pub fn id() -> Pid {
    rustix::process::getpid().as_raw_nonzero()
}

/// Which side of a [`fork`] we are on.
pub enum Forked {
    /// The new process.
    Child,
    /// The old one, with the new one's id.
    Parent(Pid),
}

/// Makes a copy of this process.
///
/// # Errors
/// EAGAIN and ENOMEM when there are no more processes or memory.
pub fn fork() -> Result<Forked> {
    Ok(Pid::new(kernel::fork()?).map_or(Forked::Child, Forked::Parent))
}

/// The stack of a [`spawn`]ed child, used by one at a time: the parent sleeps meanwhile, and a child
/// that would start another one there is refused.
#[repr(C, align(16))]
struct Stack {
    room: UnsafeCell<[u8; STACK_LEN]>,
    is_used: Cell<bool>,
}

/// With what stands behind it, 32 KiB.
const STACK_LEN: usize = 32 * 1024 - 16;

// SAFETY: one thread, and `spawn` returns only when the child has left the stack.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack { room: UnsafeCell::new([0; STACK_LEN]), is_used: Cell::new(false) };

type Child<'a> = &'a mut dyn FnMut() -> i32;

/// What a [`spawn`]ed child begins with.
///
/// # Safety
/// `argument` must be the address of a `Child` that nobody else uses before the child has ended.
unsafe extern "C" fn run_child(argument: *mut u8) -> ! {
    // SAFETY: the caller's promise; `spawn` sleeps until we have ended.
    let child = unsafe { &mut *argument.cast::<Child<'_>>() };
    kernel::exit(child())
}

/// Starts a child which runs `child`, normally to an exec, and ends with its result. We sleep
/// until then, and the two share their memory: nothing is copied, however large we are, and what
/// `child` writes to memory stays written. Descriptors, directory and signals are its own.
///
/// # Errors
/// EAGAIN and ENOMEM when there are no more processes or memory; EDEADLK in such a child.
pub fn spawn(child: Child<'_>) -> Result<Pid> {
    start_child(child, false)
}

/// The same for a parent that has many descriptors open: only those up to the number `last` are open
/// in the child. The others are not copied, to be closed again when the child runs another program,
/// which would make each child the dearer the more there are.
///
/// # Errors
/// As for [`spawn`].
pub fn spawn_with(last: i32, child: Child<'_>) -> Result<Pid> {
    // Nothing else may come before: until then the descriptors are the parent's.
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
    // SAFETY: the stack's end is aligned to 16, and the stack is nobody else's while we sleep, as
    // `is_used` shows; `run_child` does not return, panics abort, and `child` outlives the call.
    let pid = unsafe { kernel::vfork(top, run_child, argument, same_descriptors) };
    STACK.is_used.set(false);
    Pid::new(pid?).ok_or(Errno::AGAIN)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It called exit with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
}

impl Ended {
    /// From the number in which wait tells it.
    pub(crate) fn from_wait(status: i32) -> Self {
        let [low, code, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(code),
            signal => Self::Killed(signal),
        }
    }
}

/// Takes note of one ended child, if there is one: its id and how it ended.
#[must_use]
pub fn reap() -> Option<(Pid, Ended)> {
    let ended = rustix::io::retry_on_intr(|| wait(WaitOptions::NOHANG));
    let (pid, status) = ended.ok()??;
    Some((pid.as_raw_nonzero(), Ended::from_wait(status.as_raw())))
}

/// Whether this process is a child of ours, ended or not.
#[must_use]
pub fn is_child(pid: Pid) -> bool {
    let looking = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix_pid(pid).is_ok_and(|pid| waitid(WaitId::Pid(pid), looking).is_ok())
}

/// Waits until this child has ended.
///
/// # Errors
/// ECHILD if it is no child of ours, or vanishes because SIGCHLD is ignored.
pub fn wait_for(child: Pid) -> Result<Ended> {
    let child = rustix_pid(child)?;
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))?;
    // Without NOHANG there is always an answer.
    ended.map(|(_, status)| Ended::from_wait(status.as_raw())).ok_or(Errno::CHILD)
}

/// Makes the descendants whose parents end our children.
pub fn adopt_orphans() {
    // The kernel takes any id as "yes"; cannot fail for ourselves.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

pub(crate) fn rustix_pid(pid: Pid) -> Result<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.get()).ok_or(Errno::SRCH)
}

pub(crate) fn rustix_signal(signal: i32) -> Result<rustix::process::Signal> {
    rustix::process::Signal::from_named_raw(signal).ok_or(Errno::INVAL)
}

/// Sends a signal to a process.
///
/// # Errors
/// ESRCH without such a process, EPERM without the right to.
pub fn kill(pid: Pid, signal: i32) -> Result<()> {
    rustix::process::kill_process(rustix_pid(pid)?, rustix_signal(signal)?)
}

/// Sends a signal to a process group.
///
/// # Errors
/// ESRCH without such a group, EPERM without the right to.
pub fn kill_group(group: Pid, signal: i32) -> Result<()> {
    rustix::process::kill_process_group(rustix_pid(group)?, rustix_signal(signal)?)
}

/// Puts this process into a process group of its own.
///
/// # Errors
/// EPERM for the leader of a session.
pub fn lead_new_group() -> Result<()> {
    rustix::process::setpgid(None, None)
}

/// Makes this process the leader of a new session without a terminal.
///
/// # Errors
/// EPERM for the leader of a process group.
pub fn lead_new_session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

/// Whether we are in the foreground of a terminal, so that its Ctrl-C comes to our whole group.
#[must_use]
pub fn in_foreground() -> bool {
    use crate::fd::{stderr, stdin, stdout};
    let group = rustix::process::getpgrp();
    [stdin(), stdout(), stderr()]
        .iter()
        .any(|fd| rustix::termios::tcgetpgrp(fd).is_ok_and(|foreground| foreground == group))
}

/// The bytes of our last argument, in the place where ps reads them, without the terminating
/// NUL. `None` if there is none besides the program's name, or if it has been given out by [`arg`]
/// before. From now on it is gone for [`arg`] and [`args`]; a second call gives the one before it.
#[must_use]
pub fn take_last_arg() -> Option<&'static mut [u8]> {
    let start = start();
    let last = start.argc.get().checked_sub(1).filter(|&n| n >= start.handed_out.get())?;
    // SAFETY: `last` is inside the array of `argc` pointers.
    let place = unsafe { *start.argv.wrapping_add(last) };
    // SAFETY: the kernel's strings are NUL-terminated.
    let length = unsafe { CStr::from_ptr(place) }.count_bytes();
    start.argc.set(last);
    // SAFETY: the arguments are in our own writable memory and live as long as the process. No
    // other reference to this one was made, as `handed_out` shows, nor will be, as `argc` no
    // longer counts it. `Strings` may point to it, and are read by nobody but the kernel.
    Some(unsafe { core::slice::from_raw_parts_mut(place.cast_mut().cast::<u8>(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AsFd as _, fd};
    use rustix::io::{fcntl_dupfd_cloexec, fcntl_getfd};
    use std::sync::Mutex;

    /// There is one stack for all that spawn.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn a_child_with_our_memory_starts_no_other_on_its_own_stack() {
        let _alone = ONE_AT_A_TIME.lock();
        let again = || i32::from(spawn(&mut || 0) == Err(Errno::DEADLK));
        for _ in 0..2 {
            let child = spawn(&mut || again()).expect("a process");
            assert_eq!(wait_for(child), Ok(Ended::Exited(1)));
        }
    }

    #[test]
    fn a_child_has_the_descriptors_that_it_needs_and_the_parent_keeps_all() {
        let _alone = ONE_AT_A_TIME.lock();
        let (near, _writer) = fd::pipe().unwrap();
        let far = fcntl_dupfd_cloexec(&near, 500).unwrap();
        let mut child = || {
            let open = |fd: &crate::OwnedFd| i32::from(fcntl_getfd(fd).is_ok());
            2 * open(&far) + open(&near)
        };
        let with = spawn_with(fd::number(near.as_fd()), &mut child).unwrap();
        // A libc's fork has copied them all.
        let found = if cfg!(libc_flavour) { 3 } else { 1 };
        assert_eq!(wait_for(with), Ok(Ended::Exited(found)));
        assert!(fcntl_getfd(&far).is_ok());
        let all = spawn(&mut child).unwrap();
        assert_eq!(wait_for(all), Ok(Ended::Exited(3)));
    }
}
