//! Notices services that are added, and loggers that are started, while logs are followed.

use crate::arguments::Arguments;
use crate::selection::{all, scan_dir, select};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Watches the scan directory and the loggers of its services.
pub(crate) struct SourceWatch {
    watch: OwnedFd,
    /// The watches of log directories: candidates that are not followed yet.
    candidates: BTreeMap<PathBuf, i32>,
}

impl SourceWatch {
    pub(crate) fn new() -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { watch, candidates: BTreeMap::new() })
    }

    /// Readable when there may be other log directories.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Watches what there is now. It comes before the look, so that no change is missed. The follower
    /// watches the directories that `is_followed` accepts: here each of their rotations would be a
    /// reason to look.
    pub(crate) fn renew(&mut self, arguments: &Arguments, is_followed: impl Fn(&Path) -> bool) {
        let scan = scan_dir(arguments);
        self.add(scan.path(), WatchFlags::DELETE | WatchFlags::MOVED_FROM);
        let targets = match arguments.operands.as_slice() {
            [] => all(&scan),
            words => select(&scan, words),
        };
        for target in targets.unwrap_or_default() {
            let service = target.dir.path();
            self.add(service, WatchFlags::empty());
            if let Some(logger) = target.dir.logger() {
                self.add(logger.path(), WatchFlags::empty());
                // supervise replaces the file status when the logger starts.
                self.add(logger.state_dir(), WatchFlags::empty());
            }
            // The logger makes its directory, and then the files in it.
            for path in target.dir.log_dir_candidates().unwrap_or_default() {
                if let Some(parent) = path.parent() {
                    self.add(parent, WatchFlags::empty());
                }
                if is_followed(&path) {
                    if let Some(watch) = self.candidates.remove(&path) {
                        let _ = inotify::remove_watch(&self.watch, watch);
                    }
                } else if let Some(watch) = self.add(&path, WatchFlags::empty()) {
                    self.candidates.insert(path, watch);
                }
            }
        }
    }

    fn add(&self, path: &Path, further: WatchFlags) -> Option<i32> {
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | further;
        // A directory that is gone or closed has nothing to tell.
        inotify::add_watch(&self.watch, path, flags).ok()
    }

    /// Forgets the changes so far; returns whether there were any.
    pub(crate) fn drain(&self) -> bool {
        let mut room = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&self.watch, &mut room);
        let mut is_changed = false;
        loop {
            match reader.next() {
                // The end of a watch is no change: it ends with its directory, or here.
                Ok(event) => is_changed |= !event.events().contains(ReadFlags::IGNORED),
                Err(Errno::INTR) => {}
                Err(_) => return is_changed,
            }
        }
    }
}
