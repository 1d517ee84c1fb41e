//! What svscan knows of the scan directory: its sources of changes, the failed looks, and the time of
//! the next scan.

use super::targets::Targets;
use crate::common::clock::{instant, realtime_nanoseconds};
use crate::common::diag;
use crate::common::paths::{PATH_MAX, join};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::svscan::roster::{RosterEvent, Unfinished};
use daemontools_core::svscan::slot::Contents;
use daemontools_core::time::Instant;
use daemontools_sys::fs::{self, DirId};
use daemontools_sys::watch::{MountWatch, Watch};
use daemontools_sys::{BorrowedFd, Errno, dir};

/// Time between two scans without an announced change, in case one was lost.
const SCAN_INTERVAL: Duration = Duration::from_secs(60);

/// The same while a change can come without announcement: the original's interval.
const FREQUENT_SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// Time from a change of the mounts to the scan.
const MOUNT_PAUSE: Duration = Duration::from_secs(1);

/// How long a new directory must not have changed. `cp -R` and others make its files one by one.
const DIRECTORY_QUIET: Duration = Duration::from_secs(1);

/// The kernel's clock for files is behind by up to this time.
const CLOCK_STEP: Duration = Duration::from_millis(10);

/// svscan's sources of changes, and the time of its next scan.
pub(super) struct Scan {
    /// `None` where the kernel cannot watch the scan directory.
    pub(super) watch: Option<Watch>,
    /// `None` where the kernel cannot watch the targets of links.
    targets: Option<Targets>,
    /// `None` where the kernel does not report changes of mounts.
    mounts: Option<MountWatch>,
    /// Changes can come without announcement.
    may_miss_changes: bool,
    next: Instant,
    /// The first scan has ended: directories that appear from now on may still be incomplete.
    watching: bool,
    /// The number of the current scan.
    number: u64,
    /// The names whose look fails, each with the last scan that found it so. The first failure of a
    /// name prints a warning.
    failed_looks: BTreeMap<Box<[u8]>, u64>,
    /// The last scan could not read the directory.
    unreadable: bool,
}

impl Scan {
    /// Watches the current directory, whose name in messages is `shown`.
    pub(super) fn new(shown: &[u8], lock: Option<BorrowedFd<'_>>) -> Self {
        let silent = lock.is_some_and(dir::changes_silently);
        let watch = match Watch::current_dir() {
            Ok(watch) => Some(watch),
            Err(error) => {
                diag::warning("svscan", &[b"unable to watch ", shown], error);
                None
            }
        };
        let targets = Targets::new().ok();
        let mounts = MountWatch::new().ok();
        Self {
            may_miss_changes: silent || watch.is_none() || targets.is_none() || mounts.is_none(),
            targets,
            mounts,
            watch,
            next: instant(),
            watching: false,
            number: 0,
            failed_looks: BTreeMap::new(),
            unreadable: false,
        }
    }

    /// The moment of the next scan.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Makes the next scan due at once.
    pub(super) fn set_due(&mut self) {
        self.next = instant();
    }

    /// Readable when names in the scan directory have changed.
    pub(super) fn names_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// Readable when targets of links may have changed.
    pub(super) fn targets_fd(&self) -> Option<BorrowedFd<'_>> {
        self.targets.as_ref().map(Targets::fd)
    }

    /// Readable when the mounts have changed.
    pub(super) fn mounts_fd(&self) -> Option<BorrowedFd<'_>> {
        self.mounts.as_ref().map(MountWatch::fd)
    }

    /// Makes a scan due: a directory may be mounted over another one. Mounts often come in groups.
    pub(super) fn take_mount_change(&mut self) {
        if let Some(targets) = &mut self.targets {
            targets.watch_anew();
        }
        self.next = self.next.min(instant() + MOUNT_PAUSE);
    }

    /// Makes the next scan due at once if a target has changed.
    pub(super) fn take_target_changes(&mut self) {
        if self.targets.as_mut().is_some_and(Targets::have_changed) {
            self.set_due();
        }
    }

    /// Looks at a name, and says what the roster needs to know. `unfinished` tells which part of a
    /// directory has not been used: only there it matters whether the files are complete.
    pub(super) fn look<'a>(
        &mut self,
        name: &'a CStr,
        unfinished: impl FnOnce(DirId) -> Unfinished,
    ) -> RosterEvent<'a, DirId> {
        let bytes = name.to_bytes();
        // Before the look: else a change between the two would go unnoticed.
        if self.targets.as_mut().is_some_and(|targets| targets.note(name).is_err()) {
            self.may_miss_changes = true;
        }
        let FailedLook { file, error } = match inspect(name, self.watching, unfinished) {
            Ok(found) => {
                self.failed_looks.remove(bytes);
                let seen = |(id, contents)| RosterEvent::Seen(bytes, id, contents);
                return found.map_or(RosterEvent::Lost(bytes), seen);
            }
            Err(failed) => failed,
        };
        // The name itself has gone since the scan read it: no dangling link.
        if file.is_empty()
            && error == Errno::NOENT
            && fs::readlink(fs::HERE, name, &mut [0; 8]) == Err(Errno::NOENT)
        {
            self.failed_looks.remove(bytes);
            return RosterEvent::Lost(bytes);
        }
        if self.failed_looks.insert(bytes.into(), self.number).is_none() {
            let what = [b"unable to stat ", bytes, file.as_bytes()];
            diag::warning("svscan", &what, error);
            // The kernel does not announce that the look will succeed.
            self.next = self.next.min(instant() + FREQUENT_SCAN_INTERVAL);
        }
        match error {
            Errno::NOENT | Errno::NOTDIR => RosterEvent::Lost(bytes),
            _ => RosterEvent::Unsure(bytes),
        }
    }

    /// Begins a scan.
    pub(super) fn begin(&mut self) {
        self.number += 1;
        if let Some(targets) = &mut self.targets {
            targets.begin_scan();
        }
    }

    /// Ends a scan, which has read the directory or failed. The first of several failures prints a
    /// warning.
    pub(super) fn end(&mut self, read: daemontools_sys::Result<()>) {
        if let Err(error) = read
            && !self.unreadable
        {
            diag::warning("svscan", &[b"unable to read directory"], error);
        }
        self.unreadable = read.is_err();
        self.watching = true;
        let silent = self.targets.as_ref().is_some_and(Targets::change_silently);
        let often =
            self.may_miss_changes || silent || self.unreadable || !self.failed_looks.is_empty();
        self.next = instant() + if often { FREQUENT_SCAN_INTERVAL } else { SCAN_INTERVAL };
    }

    /// Forgets the failed look at a name that is gone.
    pub(super) fn forget(&mut self, name: &CStr) {
        self.failed_looks.remove(name.to_bytes());
    }

    /// Forgets the failed looks at names that this scan did not see.
    pub(super) fn forget_unseen(&mut self) {
        let this = self.number;
        self.failed_looks.retain(|_, scan| *scan == this);
    }
}

/// A look at a name that failed.
struct FailedLook {
    /// The file in the service directory, with a slash before it; empty for the directory itself.
    file: &'static str,
    error: Errno,
}

/// The service directory to which a name leads; `None` if it leads to another kind of file. What is
/// `unfinished` has to be quiet first; a whole directory only if it has appeared while svscan is
/// `watching`.
fn inspect(
    name: &CStr,
    watching: bool,
    unfinished: impl FnOnce(DirId) -> Unfinished,
) -> core::result::Result<Option<(DirId, Contents)>, FailedLook> {
    let failed = |file| move |error| FailedLook { file, error };
    let Some(id) = fs::dir_id(fs::HERE, name).map_err(failed(""))? else {
        return Ok(None);
    };
    let mut room = [0; PATH_MAX];
    let mut below = |file: &[u8]| match join(&mut room, name.to_bytes(), file) {
        Some(path) => fs::dir_id(fs::HERE, path),
        None => Err(Errno::NAMETOOLONG),
    };
    let log = match below(b"log") {
        Ok(found) => found.is_some(),
        Err(Errno::NOENT) => false,
        Err(error) => return Err(FailedLook { file: "/log", error }),
    };
    let mut is_there = |file: &[u8]| below(file) != Err(Errno::NOENT);
    let run = is_there(b"run") || is_there(b"command");
    let mut contents = Contents { log, run, quiet_in: None };
    match unfinished(id) {
        Unfinished::Everything if watching && !is_complete(name) => {
            contents.quiet_in = quiet_in(name, &[b".", b"run", b"log", b"log/run"]);
        }
        // Without `run` it can be a directory in which the service keeps files.
        Unfinished::Logger if log => {
            contents.log = is_there(b"log/run") || is_there(b"log/command");
            contents.quiet_in = quiet_in(name, &[b"log", b"log/run", b"log/command"]);
        }
        Unfinished::Everything | Unfinished::Logger | Unfinished::Nothing => {}
    }
    Ok(Some((id, contents)))
}

/// Whether a new name leads to a directory that is certainly complete: it is a link, or the directory
/// was supervised before, and its service may still run.
fn is_complete(name: &CStr) -> bool {
    let mut room = [0; PATH_MAX];
    fs::readlink(fs::HERE, name, &mut [0; 1]).is_ok()
        || join(&mut room, name.to_bytes(), b"supervise")
            .is_some_and(|path| fs::last_change(fs::HERE, path).is_ok())
}

/// Time until these files of a directory have not changed for a while; `None` when they have not.
fn quiet_in(name: &CStr, files: &[&[u8]]) -> Option<Duration> {
    let mut room = [0; PATH_MAX];
    let changed =
        |file: &&[u8]| fs::last_change(fs::HERE, join(&mut room, name.to_bytes(), file)?).ok();
    let last = files.iter().filter_map(changed).max()?;
    // The file system's clock may be another machine's, and time may be set: a change in the future
    // does not count.
    let age = u64::try_from(realtime_nanoseconds() - last).ok()?;
    DIRECTORY_QUIET.checked_sub(Duration::from_nanos(age)).map(|left| left + CLOCK_STEP)
}
