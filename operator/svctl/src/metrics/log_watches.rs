//! The directories of loggers and of their logs, through one inotify descriptor.
//!
//! Only what happens to names is an event: a logger that writes pays nothing.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The watches, and those of them with an event since the last scrape.
#[derive(Debug, Default)]
pub(super) struct LogWatches {
    /// `None` if the kernel gives none, or nothing is remembered.
    inotify: Option<OwnedFd>,
    changed: BTreeSet<i32>,
    is_lost: bool,
}

impl LogWatches {
    /// For scrapes that come again and again.
    pub(super) fn open() -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        Self { inotify, ..Self::default() }
    }

    /// Reads what has happened since the last scrape.
    pub(super) fn read(&mut self) {
        self.changed.clear();
        self.is_lost = false;
        let Some(inotify) = &self.inotify else { return };
        let mut room = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut reader = Reader::new(inotify, &mut room);
        loop {
            match reader.next() {
                // A watch that has ended has an event, too.
                Ok(event) => {
                    self.is_lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    self.changed.insert(event.wd());
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Watches the names in a directory. Comes before the look at the directory, so that no change is missed.
    pub(super) fn add(&self, dir: &Path) -> Option<i32> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(self.inotify.as_ref()?, dir, flags).ok()
    }

    /// Removes a watch. Another service with the same directory learns it at the next scrape.
    pub(super) fn remove(&self, watch: Option<i32>) {
        if let (Some(inotify), Some(watch)) = (&self.inotify, watch) {
            let _ = inotify::remove_watch(inotify, watch);
        }
    }

    /// Whether nothing has happened to the names of a directory since the last scrape.
    pub(super) fn is_unchanged(&self, watch: Option<i32>) -> bool {
        watch.is_some_and(|watch| !self.is_lost && !self.changed.contains(&watch))
    }
}
