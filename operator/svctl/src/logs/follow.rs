//! Follows log directories: passes on each line once, in order, across rotations.
//!
//! The caller waits until the descriptor is readable. There is no timer: an idle log costs nothing.

use super::directory::LogDirectory;
use super::directory_reader::BegunLine;
use super::directory_watch::{DirectoryWatch, WatchedChange};
use super::follow_event::{FollowEvent, MissingLines};
use super::followed_directory::FollowedDirectory;
use super::read_place::ReadTo;
use super::stamp::{Moment, Tai};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// How often the names are looked at again because the logger changes them at the same time.
const ATTEMPTS: usize = 16;

/// Times of files can be so much behind the clock.
const CLOCK_TICK: Duration = Duration::from_secs(1);

/// Where to begin with a directory.
#[derive(Debug)]
pub(crate) enum FollowFrom {
    /// With the oldest line.
    Beginning,
    /// With the next line.
    Now,
    /// Behind all files that the directory has listed, and this many bytes of its `current`. They may
    /// continue a line.
    Behind(Box<LogDirectory>, u64, Option<BegunLine>),
}

/// Whether [`LogFollower::read`] has passed on everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowProgress {
    /// There is more: call it again without waiting.
    More,
    /// Wait for the descriptor.
    Done,
}

/// All followed directories.
pub(crate) struct LogFollower {
    watch: DirectoryWatch,
    followed: BTreeMap<usize, Followed>,
    next_id: usize,
    room: Box<[u8]>,
}

struct Followed {
    path: PathBuf,
    tai: Option<Tai>,
    /// Lines before this moment are not wanted of a directory that takes the place of this one.
    since: SystemTime,
    /// `None`: there is no such directory now.
    open: Option<FollowedDirectory>,
    /// The path may lead to another directory.
    path_changed: bool,
    /// There may be something to read.
    is_due: bool,
}

impl LogFollower {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            watch: DirectoryWatch::new()?,
            followed: BTreeMap::new(),
            next_id: 0,
            room: vec![0; BLOCK].into_boxed_slice(),
        })
    }

    /// Becomes readable when [`Self::read`] has something to do.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }

    /// Follows a directory, which need not exist yet. Returns the number of its events. `tai` is how
    /// its labels count, if the user says so.
    ///
    /// The next call of [`Self::read`] must not wait for the descriptor.
    pub(crate) fn add(
        &mut self,
        path: &Path,
        from: FollowFrom,
        tai: Option<Tai>,
    ) -> io::Result<usize> {
        let id = self.next_id;
        // Before the first look, so that no change is missed.
        self.watch.watch(id, path, None)?;
        let open = match from {
            FollowFrom::Behind(directory, offset, begun) => {
                Ok(FollowedDirectory::behind(*directory, offset, begun)?)
            }
            FollowFrom::Beginning => {
                LogDirectory::open(path, tai, None).map(FollowedDirectory::from_beginning)
            }
            FollowFrom::Now => {
                LogDirectory::open(path, tai, None).and_then(FollowedDirectory::from_now)
            }
        };
        let open = match open {
            Ok(open) => Some(open),
            Err(error) if is_missing(&error) => None,
            Err(error) => {
                self.watch.unwatch(id);
                return Err(error);
            }
        };
        self.next_id += 1;
        let since = SystemTime::now();
        let path = path.to_owned();
        let followed = Followed { path, tai, since, open, path_changed: true, is_due: true };
        self.followed.insert(id, followed);
        Ok(id)
    }

    /// Ends following a directory.
    pub(crate) fn remove(&mut self, id: usize) {
        self.watch.unwatch(id);
        self.followed.remove(&id);
    }

    /// The directory that is followed now.
    pub(crate) fn directory(&self, id: usize) -> Option<&LogDirectory> {
        Some(self.followed.get(&id)?.open.as_ref()?.directory())
    }

    /// The file of a directory that is being read, and where its next line begins. `moment` is that of the
    /// last line.
    pub(crate) fn place(&self, id: usize, moment: Option<Moment>) -> Option<ReadTo> {
        self.followed.get(&id)?.open.as_ref()?.place(moment)
    }

    /// Passes on what has happened. Each directory has its turn before one has a second one.
    pub(crate) fn read(
        &mut self,
        sink: &mut impl FnMut(usize, FollowEvent<'_>),
    ) -> io::Result<FollowProgress> {
        let mut is_done = self.take_changes()?;
        let due = self.followed.iter().filter(|(_, followed)| followed.is_due);
        let due: Vec<usize> = due.map(|(id, _)| *id).collect();
        for id in due {
            match self.advance(id, &mut |event| sink(id, event)) {
                Ok(is_more) => is_done &= !is_more,
                Err(error) => {
                    // The owner of one directory does not end the others. Its next event tries again.
                    let Some(followed) = self.followed.get_mut(&id) else { continue };
                    followed.is_due = false;
                    let name = followed.path.as_os_str();
                    sink(id, FollowEvent::Missing(MissingLines::Unreadable { name, error }));
                }
            }
        }
        Ok(if is_done { FollowProgress::Done } else { FollowProgress::More })
    }

    /// Takes note of all events. Returns whether these were all.
    fn take_changes(&mut self) -> io::Result<bool> {
        let followed = &mut self.followed;
        self.watch.changes(|change| match change {
            WatchedChange::Names { id, name, is_new } => {
                if let Some(followed) = followed.get_mut(&id) {
                    followed.is_due = true;
                    if let Some(open) = &mut followed.open {
                        open.note_name(name, is_new);
                    }
                }
            }
            WatchedChange::Content { id } => {
                if let Some(followed) = followed.get_mut(&id) {
                    followed.is_due = true;
                }
            }
            WatchedChange::Path { id } => {
                if let Some(followed) = followed.get_mut(&id) {
                    followed.is_due = true;
                    followed.path_changed = true;
                }
            }
            WatchedChange::Overflow => {
                for followed in followed.values_mut() {
                    followed.is_due = true;
                    followed.path_changed = true;
                    if let Some(open) = &mut followed.open {
                        open.note_overflow();
                    }
                }
            }
        })
    }

    /// Passes on what there is in one directory. Returns whether there is more.
    fn advance(&mut self, id: usize, sink: &mut impl FnMut(FollowEvent<'_>)) -> io::Result<bool> {
        let Some(followed) = self.followed.get_mut(&id) else { return Ok(false) };
        if followed.path_changed {
            self.look_up(id, sink)?;
        }
        self.look(id)?;
        let Some(followed) = self.followed.get_mut(&id) else { return Ok(false) };
        let Some(open) = &mut followed.open else {
            followed.is_due = followed.path_changed;
            return Ok(followed.is_due);
        };
        let is_more = open.read(&mut self.room, sink)?;
        followed.is_due = is_more || open.has_new_names() || followed.path_changed;
        Ok(followed.is_due)
    }

    /// Looks for files that were begun meanwhile.
    fn look(&mut self, id: usize) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let Some(open) = self.open(id) else { return Ok(()) };
            if !open.has_new_names() || !open.has_room() {
                return Ok(());
            }
            let names = open.look()?;
            let is_all = self.take_changes()?;
            if is_all
                && let Some(open) = self.open(id)
                && !open.has_new_names()
            {
                open.settle(names)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, id: usize) -> Option<&mut FollowedDirectory> {
        self.followed.get_mut(&id)?.open.as_mut()
    }

    /// Looks up the path again.
    fn look_up(&mut self, id: usize, sink: &mut impl FnMut(FollowEvent<'_>)) -> io::Result<()> {
        let Some(followed) = self.followed.get_mut(&id) else { return Ok(()) };
        followed.path_changed = false;
        let before = followed.open.as_ref().map(FollowedDirectory::directory);
        self.watch.watch(id, &followed.path, before.map(LogDirectory::fd))?;
        let before = before.map(LogDirectory::id).transpose()?;
        let now = match LogDirectory::open(&followed.path, followed.tai, None) {
            Ok(now) if Some(now.id()?) == before => return Ok(()),
            Ok(now) => Some(now),
            Err(error) if is_missing(&error) => None,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let name = followed.path.as_os_str();
                sink(FollowEvent::Missing(MissingLines::Unreadable { name, error }));
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(open) = &followed.open {
            // A logger goes on writing in a directory that was renamed.
            if now.is_none() && !open.directory().is_removed()? {
                return Ok(());
            }
            self.look(id)?;
            let Some(followed) = self.followed.get_mut(&id) else { return Ok(()) };
            if let Some(mut open) = followed.open.take() {
                open.finish(&mut self.room, sink)?;
            }
            sink(FollowEvent::Gone);
        }
        let Some(followed) = self.followed.get_mut(&id) else { return Ok(()) };
        if let Some(now) = now {
            let is_new = is_born_after(&now, followed.since)?;
            followed.open = Some(if is_new {
                FollowedDirectory::from_beginning(now)
            } else {
                FollowedDirectory::from_now(now)?
            });
            self.watch.watch(id, &followed.path, None)?;
            sink(FollowEvent::Back);
        }
        Ok(())
    }
}

fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory) || is_loop(error)
}

/// A circle of links leads nowhere.
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Whether a directory was made after a moment. A file system that does not tell has new ones only.
fn is_born_after(directory: &LogDirectory, since: SystemTime) -> io::Result<bool> {
    let found = File::from(directory.fd().try_clone_to_owned()?).metadata()?;
    Ok(found.created().map_or(true, |born| born + CLOCK_TICK >= since))
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
