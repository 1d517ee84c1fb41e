//! The processes that stand in a directory: it is their current directory. svscan stands in the scan
//! directory, and a supervise in its service directory.
//!
//! A process is believed to hold a lock only if it stands in the directory, has the locked file open,
//! and took the lock itself, since its last exec. /proc/locks alone says only which number took it,
//! perhaps long ago. A set-user-ID program has a lock that its caller took before.

use crate::common::paths::of_process;
use crate::survive::process_user;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{BorrowedFd, OwnedFd, Result, fd, fs, proc_fd, process, tree};

/// How many processes of other users are examined in one directory. Any number of them may stand there.
const FOREIGN_LIMIT: usize = 4;

/// Device and inode of a directory.
type Directory = ((u32, u32), u64);

/// The current directories of all processes at one moment. One look at /proc serves many questions.
pub(crate) struct Standing(BTreeSet<(Directory, Pid)>);

impl Standing {
    /// Looks at all processes.
    pub(crate) fn read() -> Self {
        let mut found = BTreeSet::new();
        each_process(|pid| {
            if let Some(there) = directory_of(pid) {
                found.insert((there, pid));
            }
            true
        });
        Self(found)
    }

    /// The living process that stands in the current directory and took the lock on a file, with a
    /// handle. Those of our user and of root come first.
    pub(crate) fn holder_here(&self, file: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
        let here = fs::cached_identity(fs::HERE, c".").ok()?;
        self.holder_in(here, file)
    }

    /// The living process of our user or of root that stands in a directory and has the marker.
    fn marked_in(&self, there: Directory) -> Option<(Pid, Handle)> {
        self.at(there).filter(|pid| process_user::is_own(*pid)).find_map(|pid| {
            let handle = Handle::open(pid).ok()??;
            let is_it = directory_of(pid) == Some(there)
                && proc_fd::has_own_memory(pid, MARKER) == Ok(true);
            (is_it && !handle.has_ended()).then_some((pid, handle))
        })
    }

    /// The other processes that stand in a directory.
    fn at(&self, there: Directory) -> impl Iterator<Item = Pid> {
        let all = self.0.range((there, Pid::MIN)..=(there, Pid::MAX)).map(|&(_, pid)| pid);
        all.filter(|pid| *pid != process::id())
    }

    fn holder_in(&self, there: Directory, file: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
        let (own, foreign): (Vec<Pid>, Vec<Pid>) =
            self.at(there).partition(|pid| process_user::is_own(*pid));
        own.into_iter().chain(foreign.into_iter().take(FOREIGN_LIMIT)).find_map(|pid| {
            let handle = Handle::open(pid).ok()??;
            let is_it = directory_of(pid) == Some(there) && has_taken(pid, file);
            // Last: if it lives, both answers were about this process.
            (is_it && !handle.has_ended()).then_some((pid, handle))
        })
    }
}

/// The name of the file in memory of an svscan that does not have the lock of its directory.
const MARKER: &CStr = c"svscan-without-lock";

/// Makes the marker by which other programs find an svscan that does not have the lock of its directory.
///
/// # Errors
/// Those of memfd_create(2).
pub(crate) fn make_marker() -> Result<OwnedFd> {
    fd::locked_memory(MARKER)
}

/// The living process of our user or of root that stands in a directory, and has locked it or is marked
/// as the svscan that could not lock it.
pub(crate) fn owner_of(scan_dir: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    let there = fs::cached_identity(scan_dir, c"").ok()?;
    let standing = Standing::read();
    let found = standing.holder_in(there, scan_dir);
    let found = found.filter(|(pid, _)| !process_user::is_foreign(*pid));
    found.or_else(|| standing.marked_in(there))
}

/// Whether a process has a lock that its program took: see [`proc_fd::has_own_lock`]. During a live upgrade
/// our program has the lock from its earlier image.
pub(crate) fn has_taken(pid: Pid, file: BorrowedFd<'_>) -> bool {
    proc_fd::has_own_lock(pid, file) == Ok(true)
        || proc_fd::lock_taker(pid, file) == Ok(Some(pid)) && process_user::runs_our_program(pid)
}

/// The same, if it is marked.
pub(crate) fn marked_owner_of(scan_dir: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    Standing::read().marked_in(fs::cached_identity(scan_dir, c"").ok()?)
}

/// The current directory of a process; `None` if it has ended, or hides it.
fn directory_of(pid: Pid) -> Option<Directory> {
    identity(pid, b"cwd")
}

/// The directory with this name in `/proc/PID`.
fn identity(pid: Pid, name: &[u8]) -> Option<Directory> {
    let mut room = [0; 48];
    fs::cached_identity(fs::HERE, of_process(&mut room, pid, name).ok()?).ok()
}

/// Whether a process stands in the current directory, as a service and its supervise do in the service
/// directory.
pub(crate) fn is_here(pid: Pid) -> bool {
    directory_of(pid).is_some_and(|there| fs::cached_identity(fs::HERE, c".") == Ok(there))
}

/// Whether a process stands in a directory of the current one, as a multilog does in its output directory.
pub(crate) fn is_directly_below(pid: Pid) -> bool {
    identity(pid, b"cwd/..").is_some_and(|above| fs::cached_identity(fs::HERE, c".") == Ok(above))
}

/// Whether this holds for any process.
pub(crate) fn any_process(is_it: impl Fn(Pid) -> bool) -> bool {
    let mut found = false;
    each_process(|pid| {
        found = is_it(pid);
        !found
    });
    found
}

/// Calls `each` for every process until it returns `false`.
pub(crate) fn each_process(mut each: impl FnMut(Pid) -> bool) {
    let mut goes_on = true;
    let _ = tree::processes(|pid| goes_on = goes_on && each(pid));
}
