//! The processes that stand in a directory: it is their current directory. svscan stands in the scan
//! directory, and a supervise in its service directory.
//!
//! A process is believed to hold a lock only if it stands in the directory, has the locked file open,
//! and took the lock itself. /proc/locks alone says only which number took it, perhaps long ago.

use crate::common::paths::of_process;
use crate::survive::process_user;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{BorrowedFd, fs, proc_fd, process, tree};

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

    fn holder_in(&self, there: Directory, file: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
        let all = self.0.range((there, Pid::MIN)..=(there, Pid::MAX)).map(|&(_, pid)| pid);
        let (own, foreign): (Vec<Pid>, Vec<Pid>) =
            all.filter(|pid| *pid != process::id()).partition(|pid| process_user::is_own(*pid));
        own.into_iter().chain(foreign.into_iter().take(FOREIGN_LIMIT)).find_map(|pid| {
            let handle = Handle::open(pid).ok()??;
            let is_it =
                directory_of(pid) == Some(there) && proc_fd::lock_taker(pid, file) == Ok(Some(pid));
            // Last: if it lives, both answers were about this process.
            (is_it && !handle.has_ended()).then_some((pid, handle))
        })
    }
}

/// The living process of our user or of root that has locked a directory and stands in it.
pub(crate) fn owner_of(scan_dir: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    let there = fs::cached_identity(scan_dir, c"").ok()?;
    let found = Standing::read().holder_in(there, scan_dir);
    found.filter(|(pid, _)| !process_user::is_foreign(*pid))
}

/// The current directory of a process; `None` if it has ended, or hides it.
fn directory_of(pid: Pid) -> Option<Directory> {
    let mut room = [0; 48];
    fs::cached_identity(fs::HERE, of_process(&mut room, pid, b"cwd").ok()?).ok()
}

/// Whether a process stands in the current directory, as a service and its supervise do in the service
/// directory.
pub(crate) fn is_here(pid: Pid) -> bool {
    directory_of(pid).is_some_and(|there| fs::cached_identity(fs::HERE, c".") == Ok(there))
}

/// Calls `each` for every process until it returns `false`.
pub(crate) fn each_process(mut each: impl FnMut(Pid) -> bool) {
    let mut goes_on = true;
    let _ = tree::processes(|pid| goes_on = goes_on && each(pid));
}
