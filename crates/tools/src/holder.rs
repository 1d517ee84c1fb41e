//! Locks that keep a second supervisor or logger away, and naming the process that holds one.

use crate::diag::{self, TEMPORARY};
use crate::identity;
use crate::paths::of_process;
use crate::time::since_boot;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::{Pid, errno, locks};
use daemontools_sys::ids::effective_user;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fd, fs, lock, poll, process};

/// How often, and how long, the lock of a dead process is waited for.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Takes a lock. What a supervise or svscan has just started shares the lock until others can find
/// it, as the heir of a logger does always, and holds it alone if its parent is killed; but only for
/// a moment, which this waits for.
///
/// # Errors
/// EAGAIN when somebody has it; ENOLCK, and EBADF on some network file systems.
pub(crate) fn take(file: BorrowedFd<'_>) -> daemontools_sys::Result<()> {
    let mut taken = lock::try_lock(file);
    if taken == Err(Errno::AGAIN) && of(file) == Some(process::id()) {
        // Another image of this process has left it open, and has not told us.
        fd::close_inherited(file);
        taken = lock::try_lock(file);
    }
    for _ in 0..TRIES {
        if taken != Err(Errno::AGAIN) {
            break;
        }
        match lives(file) {
            Some(false) => poll::pause(PAUSE),
            Some(true) => break,
            // It may just have let go.
            None => return lock::try_lock(file),
        }
        taken = lock::try_lock(file);
    }
    taken
}

/// The process that took the lock on this file, if the kernel tells us.
fn of(file: BorrowedFd<'_>) -> Option<Pid> {
    Table::read()?.holder(file)
}

/// Whether a process has a file open, so far as that can be told.
fn has_open(pid: Pid, file: BorrowedFd<'_>) -> bool {
    let mut room = [0; 48];
    let mut found = false;
    let looked = of_process(&mut room, pid, b"fd")
        .and_then(|path| fd::of_file(path, file, |_| found = true));
    looked.is_ok() && found
}

fn has_ended(pid: Pid) -> bool {
    Handle::open(pid).is_ok_and(|process| process.is_none_or(|process| process.has_ended()))
}

/// The text of /proc/locks.
fn all() -> Option<Vec<u8>> {
    let table = fs::open_read(fs::HERE, c"/proc/locks").ok()?;
    let mut text = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = fd::read(table.as_fd(), &mut part) {
        text.extend_from_slice(part.get(..n)?);
    }
    Some(text)
}

/// Who held which lock at one moment. Reading that takes the longer the more locks there are, so
/// that it is read once for many.
pub(crate) struct Table {
    holders: BTreeSet<locks::Holder>,
    /// That moment, after the boot.
    read: Duration,
}

impl Table {
    /// The locks of now; nothing if the kernel does not tell us.
    pub(crate) fn read() -> Option<Self> {
        let read = since_boot();
        Some(Self { holders: locks::holders(&all()?).collect(), read })
    }

    /// The process that took the lock, if it lives, and a hold on it. If what it was just starting
    /// has the lock, waits until that is done.
    pub(crate) fn hold(&self, file: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
        let before = self.holder(file);
        if let Some(found) = before.and_then(|pid| self.hold_still(pid)).or_else(|| hold(file)) {
            return Some(found);
        }
        if before.is_some() {
            for _ in 0..TRIES {
                if lives(file) != Some(false) {
                    break;
                }
                poll::pause(PAUSE);
            }
        }
        None
    }

    fn holder(&self, file: BorrowedFd<'_>) -> Option<Pid> {
        let (major, minor, inode) = lock::identity(file)?;
        let all = (inode, (0, 0), Pid::MIN)..=(inode, (u32::MAX, u32::MAX), Pid::MAX);
        let same_inode = self.holders.range(all).map(|&(_, device, pid)| (device, pid));
        if let Some((_, pid)) = same_inode.clone().find(|&(device, _)| device == (major, minor)) {
            return Some(pid);
        }
        // On btrfs and overlayfs, a file has a device of its own, and /proc/locks names that of the
        // whole file system. Neither is a disk's.
        let maybe = same_inode.filter(|&((other, _), _)| major == 0 && other == 0);
        let mut maybe = maybe.map(|(_, pid)| pid);
        maybe.clone().find(|&pid| has_open(pid, file)).or_else(|| maybe.find(|&pid| has_ended(pid)))
    }

    /// A hold on the process that held a lock at that moment, if it lives.
    fn hold_still(&self, pid: Pid) -> Option<(Pid, Handle)> {
        let handle = Handle::open(pid).ok()??;
        // Looked at after we have hold of it: if this process was there before, the number was its
        // own, and it lets go of the lock only when it ends.
        let process = identity::identify(pid).ok()?;
        (process.started_by() <= self.read && !handle.has_ended()).then_some((pid, handle))
    }
}

/// Whether nobody has the lock. If so, we have it until the file is closed.
pub(crate) fn is_free(file: BorrowedFd<'_>) -> bool {
    lock::try_lock(file).is_ok()
}

/// Whether a process is for certain that of another user than we and root, whatever program with
/// other rights it has become.
pub(crate) fn is_strangers(pid: Pid) -> bool {
    let mut room = [0; 48];
    let text = of_process(&mut room, pid, b"status")
        .and_then(|path| fs::read_whole(fs::HERE, path, 1 << 20))
        .unwrap_or_default();
    let users = text.split(|&c| c == b'\n').find_map(|line| line.strip_prefix(b"Uid:\t"));
    let real = users.and_then(|users| decimal::parse(users.split(|&c| c == b'\t').next()?));
    real.is_some_and(|user| user != 0 && user != effective_user().into())
}

/// Whether the process that took the lock lives, so far as that can be told; if not, a child of it
/// holds the lock. Nothing is told of a lock that nobody holds any more.
pub(crate) fn lives(file: BorrowedFd<'_>) -> Option<bool> {
    let found = Handle::open(of(file)?).ok()?;
    Some(found.is_some_and(|process| !process.has_ended()))
}

/// The process that took the lock, if it lives, and a hold on it.
pub(crate) fn hold(file: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    let pid = of(file)?;
    let handle = Handle::open(pid).ok()??;
    // Looked at again after we have hold of it: then the number was still its own.
    (of(file) == Some(pid) && !handle.has_ended()).then_some((pid, handle))
}

/// Says that the lock cannot be taken, and who has it; gives the exit code. `what` is everything
/// between the program's name and the reason.
pub(crate) fn refuse(program: &str, what: &[&[u8]], file: &OwnedFd, error: Errno) -> i32 {
    let pid = if error == Errno::AGAIN { of(file.as_fd()) } else { None };
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

/// Takes the lock of the scan directory, which is the current one; `shown` is its name. Where it
/// cannot be opened or locked at all, there is no lock; nor where a program that is not our
/// supervise, started by a svscan that is dead, keeps it for ever; nor where a stranger has it: whoever
/// may read the directory can lock it, and is not to keep svscan from running.
///
/// # Errors
/// The exit code, after a message, if another svscan has it.
pub(crate) fn lock_scan_dir(program: &str, shown: &[u8]) -> Result<Option<OwnedFd>, i32> {
    let Ok(dir) = fs::open_dir(fs::HERE, c".") else {
        return Ok(None);
    };
    let taken = take(dir.as_fd());
    if taken == Err(Errno::AGAIN) && lives(dir.as_fd()) != Some(false) {
        if let Some(pid) = of(dir.as_fd()).filter(|pid| is_strangers(*pid)) {
            let digits = Decimal::new(pid.get().cast_unsigned().into());
            let start = [program.as_bytes(), b": warning: ignoring the lock of process "].concat();
            diag::say(&[&start, digits.as_bytes(), b" on ", shown, b": it is another user's"]);
            return Ok(Some(dir));
        }
        return Err(refuse(program, &[b"unable to lock ", shown], &dir, Errno::AGAIN));
    }
    Ok(Some(dir))
}
