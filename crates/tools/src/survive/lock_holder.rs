//! Locks that keep a second supervisor, svscan or logger away, and the processes that hold them.
//!
//! The kernel names in /proc/locks the process that took a lock. That process may have ended, its
//! number may belong to another one, and a child that was forked since may hold the lock. So a process
//! counts as the holder only if its open files show the lock (/proc/PID/fdinfo).

use crate::common::clock::{instant, processor_time};
use crate::common::diag::{self, PERMANENT, TEMPORARY};
use crate::survive::process_record;
use crate::survive::process_user::{self, is_foreign};
use crate::survive::standing::{self, Standing};
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::text::errno;
use daemontools_core::text::proc_locks;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::signal::CONT;
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, lock, poll, proc_fd, process,
};

/// How long to try to take a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same for a scan directory, whose holder is examined then.
const SCAN_DIR_PATIENCE: Duration = Duration::from_millis(1800);

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// The processor time for reading /proc/locks. Any user can make it long, and reading it takes the square
/// of that.
const TABLE_LIMIT: Duration = Duration::from_millis(100);

/// How often to read /proc/locks until it has the lock. The kernel gives a page of it at once, and goes on
/// by the number of the entry: if another lock before it ends between two pages, an entry is left out.
const TABLE_READINGS: usize = 3;

/// The processor time for the search of a holder in the open files of all processes. Any user can open
/// many. On a busy machine the search takes longer, but finds as much.
const SEARCH_LIMIT: Duration = Duration::from_secs(1);

/// A process with more open files than that is searched after all others.
const MANY_FILES: u64 = 256;

/// How often to look for the svscan of a scan directory. It leaves the directory for a moment at each
/// start of a supervise.
const OWNER_LOOKS: u32 = 20;

/// Takes a lock. Tries for two seconds before it gives up.
///
/// A killed process holds its locks until the kernel has closed its files, which takes a tenth of a
/// second on a busy machine. A process that was just started by supervise or svscan shares the lock
/// until other programs can find it: if its parent is killed meanwhile, it holds the lock alone for a
/// moment. A logger's standby process does the same.
///
/// # Errors
/// EAGAIN when another process has it; ENOLCK, and EBADF on some network file systems.
pub(crate) fn take(file: BorrowedFd<'_>) -> Result<()> {
    take_within(file, PATIENCE)
}

fn take_within(file: BorrowedFd<'_>, patience: Duration) -> Result<()> {
    let mut taken = lock::try_lock(file);
    if taken == Err(Errno::AGAIN)
        && proc_fd::lock_taker(process::id(), file).is_ok_and(|taker| taker.is_some())
    {
        // A program that this process executed before has left it open.
        proc_fd::close_inherited(file);
        // If this process locks a file twice, waiting would not help.
        return lock::try_lock(file);
    }
    let until = instant() + patience;
    while taken == Err(Errno::AGAIN) && instant() < until {
        poll::pause(PAUSE);
        taken = lock::try_lock(file);
    }
    taken
}

/// The process that took the lock on a file, by /proc/locks.
///
/// `None` if it is outside the PID namespace, or in one and was reaped: the kernel leaves such locks
/// out. The same if there are too many locks to read, or if locks before it go while they are read.
pub(crate) fn taker_of(file: BorrowedFd<'_>) -> Option<Pid> {
    let (major, minor, inode) = lock::identity(file)?;
    let until = processor_time() + TABLE_LIMIT;
    (0..TABLE_READINGS).find_map(|_| {
        let text = read_proc_locks(until)?;
        let same_inode = proc_locks::holders(&text).filter(|&(it, ..)| it == inode);
        let same_inode: Vec<_> = same_inode.map(|(_, device, pid)| (device, pid)).collect();
        if let Some(&(_, pid)) = same_inode.iter().find(|&&(device, _)| device == (major, minor)) {
            return Some(pid);
        }
        // On btrfs and overlayfs stat gives each file another device than /proc/locks. Both devices
        // have major number 0.
        let maybe = same_inode.iter().filter(|&&((other, _), _)| major == 0 && other == 0);
        let mut maybe = maybe.map(|&(_, pid)| pid);
        maybe.clone().find(|&pid| is_taker(pid, file)).or_else(|| maybe.find(|&pid| has_ended(pid)))
    })
}

/// Whether a living process took the lock and still holds it.
fn is_taker(pid: Pid, file: BorrowedFd<'_>) -> bool {
    proc_fd::lock_taker(pid, file) == Ok(Some(pid))
}

/// The text of /proc/locks, or its beginning if there is very much of it.
fn read_proc_locks(until: Duration) -> Option<Vec<u8>> {
    let table = fs::open_read(fs::HERE, c"/proc/locks").ok()?;
    let mut text = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = fd::read(table.as_fd(), &mut part) {
        text.extend_from_slice(part.get(..n)?);
        if until < processor_time() {
            break;
        }
    }
    Some(text)
}

fn has_ended(pid: Pid) -> bool {
    Handle::open(pid).is_ok_and(|process| process.is_none_or(|process| process.has_ended()))
}

/// A living process that holds the lock, perhaps by inheritance.
enum AnyHolder {
    Process(Pid),
    /// No process in this PID namespace holds it.
    Outside,
    /// Other users' processes have too many files open to look at all of them.
    NotFoundInTime,
}

fn any_holder(file: BorrowedFd<'_>) -> AnyHolder {
    let until = processor_time() + SEARCH_LIMIT;
    let mut found = AnyHolder::Outside;
    // The processes with many open files come last: they may take all the time.
    for many in [false, true] {
        standing::each_process(|pid| {
            if until < processor_time() {
                found = AnyHolder::NotFoundInTime;
            } else if pid != process::id()
                && (proc_fd::count_of(pid).unwrap_or(0) > MANY_FILES) == many
                && proc_fd::holds_lock(pid, file) == Ok(true)
            {
                found = AnyHolder::Process(pid);
            }
            matches!(found, AnyHolder::Outside)
        });
        if !matches!(found, AnyHolder::Outside) {
            break;
        }
    }
    found
}

/// Continues a process that keeps a lock from a dead supervise: it was stopped, as by `svc -p`, before it
/// became the service. Returns whether there was one.
pub(crate) fn continue_starting(file: BorrowedFd<'_>) -> bool {
    let AnyHolder::Process(pid) = any_holder(file) else { return false };
    let Ok(Some(handle)) = Handle::open(pid) else { return false };
    let is_it = process_user::is_own(pid)
        && process_user::runs_our_program(pid)
        && process_record::is_stopped(pid) == Some(true)
        // A supervise that lives, perhaps stopped, has taken the lock itself.
        && proc_fd::lock_taker(pid, file)
            .is_ok_and(|taker| taker.is_none_or(|taker| taker != pid && !is_taker(taker, file)));
    is_it && handle.signal(CONT).is_ok()
}

/// The svscan that has locked this scan directory, with a handle.
pub(crate) fn open_svscan(scan_dir: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    for _ in 0..OWNER_LOOKS {
        let found = standing::owner_of(scan_dir);
        if found.is_some() || is_free(scan_dir) {
            return found;
        }
        poll::pause(PAUSE);
    }
    None
}

/// Prints why no svscan of this directory can be signalled; returns the exit code. `shown` is its name.
pub(crate) fn say_no_svscan(program: &str, shown: &[u8], scan_dir: &OwnedFd) -> i32 {
    let holder = if is_free(scan_dir.as_fd()) { None } else { Some(taker_of(scan_dir.as_fd())) };
    let what: [&[u8]; 2] = [b"unable to find the svscan of ", shown];
    match holder {
        Some(None) => {
            let reason = "/proc does not show which process has locked it";
            diag::fatal_because(program, &what, reason)
        }
        Some(pid @ Some(holder)) if proc_fd::lock_taker(holder, scan_dir.as_fd()).is_err() => {
            refuse_for(program, &what, pid, Errno::ACCESS)
        }
        // Free, or locked by another program.
        _ => {
            diag::say(&[program.as_bytes(), b": fatal: no svscan runs on ", shown]);
            PERMANENT
        }
    }
}

/// The process to name in a message about a lock: the one that took it, unless its number is used again.
fn shown_holder(file: BorrowedFd<'_>) -> Option<Pid> {
    if let Some((pid, _)) = Standing::read().holder_here(file) {
        return Some(pid);
    }
    let pid = taker_of(file)?;
    // Of a process that has ended or hides its files, the number in /proc/locks is all that is known.
    let may_be_taker = proc_fd::lock_taker(pid, file).map_or(true, |taker| taker == Some(pid));
    may_be_taker.then_some(pid)
}

/// Whether no process has the lock. If so, the caller has it until it closes the file.
pub(crate) fn is_free(file: BorrowedFd<'_>) -> bool {
    lock::try_lock(file).is_ok()
}

/// Prints that the lock cannot be taken, and which process has it; returns the exit code. `what` is
/// the text between the program's name and the reason.
pub(crate) fn refuse(program: &str, what: &[&[u8]], file: &OwnedFd, error: Errno) -> i32 {
    let pid = if error == Errno::AGAIN { shown_holder(file.as_fd()) } else { None };
    refuse_for(program, what, pid, error)
}

fn refuse_for(program: &str, what: &[&[u8]], pid: Option<Pid>, error: Errno) -> i32 {
    let pid = pid.map(|pid| Decimal::new(pid.get().cast_unsigned().into()));
    let (open, digits, close) = match &pid {
        Some(pid) => (&b" (held by pid "[..], pid.as_bytes(), &b")"[..]),
        None => (&b""[..], &b""[..], &b""[..]),
    };
    let reason = errno::text(error.raw_os_error()).as_bytes();
    let what = what.concat();
    diag::say(&[program.as_bytes(), b": fatal: ", &what, b": ", reason, open, digits, close]);
    TEMPORARY
}

/// Takes the lock of the scan directory, which is the current one; `shown` is its name.
///
/// svscan runs without the lock in three cases: the directory cannot be opened or locked; a program
/// that a dead svscan started has inherited the lock and keeps it; a foreign process has it. Every
/// process that may read the directory can lock it, and must not keep svscan from running.
///
/// # Errors
/// The exit code, after a message, if another svscan has it.
pub(crate) fn lock_scan_dir(
    program: &str,
    shown: &[u8],
) -> core::result::Result<Option<OwnedFd>, i32> {
    let Ok(dir) = fs::open_dir(fs::HERE, c".") else {
        return Ok(None);
    };
    if take_within(dir.as_fd(), SCAN_DIR_PATIENCE) != Err(Errno::AGAIN) {
        // An svscan may run that another user's process has kept from the lock.
        return match standing::marked_owner_of(dir.as_fd()) {
            Some((pid, _)) => {
                Err(refuse_for(program, &[b"unable to lock ", shown], Some(pid), Errno::AGAIN))
            }
            None => Ok(Some(dir)),
        };
    }
    let refused = || refuse(program, &[b"unable to lock ", shown], &dir, Errno::AGAIN);
    if let Some((pid, _)) = open_svscan(dir.as_fd()) {
        return Err(refuse_for(program, &[b"unable to lock ", shown], Some(pid), Errno::AGAIN));
    }
    // No svscan stands in the directory. It may have ended meanwhile.
    if is_free(dir.as_fd()) {
        return Ok(Some(dir));
    }
    let taker = taker_of(dir.as_fd());
    let holder = match taker {
        Some(pid) if is_taker(pid, dir.as_fd()) => pid,
        // It cannot be examined, and is perhaps a svscan.
        Some(pid)
            if proc_fd::lock_taker(pid, dir.as_fd()).is_err()
                && !has_ended(pid)
                && !is_foreign(pid) =>
        {
            return Err(refused());
        }
        // It has ended, and another process has inherited the lock; or it is not known.
        _ => match any_holder(dir.as_fd()) {
            AnyHolder::Process(pid) => living_taker(pid, dir.as_fd()).unwrap_or(pid),
            AnyHolder::Outside if taker.is_none() => return Err(refused()),
            // An svscan of this namespace would have been found above.
            AnyHolder::NotFoundInTime => {
                let what = [b"ignoring the lock on ", shown];
                diag::warning_because(program, &what, "its holder is not found in time");
                return Ok(Some(dir));
            }
            AnyHolder::Outside => return Ok(Some(dir)),
        },
    };
    if is_foreign(holder) {
        say_ignored(program, shown, holder, "it is another user's");
    } else if is_taker(holder, dir.as_fd()) {
        // The lock of a program that its caller chose is the caller's.
        if standing::has_taken(holder, dir.as_fd()) {
            return Err(refused());
        }
        say_ignored(program, shown, holder, "it is none of svscan's");
    }
    Ok(Some(dir))
}

/// The process that took the lock which this process holds, if it still holds it too.
fn living_taker(holder: Pid, file: BorrowedFd<'_>) -> Option<Pid> {
    let taker = proc_fd::lock_taker(holder, file).ok()??;
    is_taker(taker, file).then_some(taker)
}

/// Prints that the lock of a process does not count.
fn say_ignored(program: &str, shown: &[u8], pid: Pid, why: &str) {
    let digits = Decimal::new(pid.get().cast_unsigned().into());
    let start = [program.as_bytes(), b": warning: ignoring the lock of process "].concat();
    diag::say(&[&start, digits.as_bytes(), b" on ", shown, b": ", why.as_bytes()]);
}
