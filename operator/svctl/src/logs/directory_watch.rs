//! One inotify descriptor for all followed directories, and for the paths that lead to them.
//!
//! A directory can be removed and made again, and any link or directory on its path can be replaced.
//! So each of them is watched. The last one is watched by its name in its parent: it stays open, and so
//! its own watch does not report its end. Each other one has a watch of its own, because its parent can
//! be a busy directory such as /tmp, where each file would wake this process.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in a path.
const MOST_LINKS: usize = 40;

/// The most events that one call reads, in buffers: a busy system cannot hold the caller for ever.
const MOST_BUFFERS: usize = 64;

/// The events of names in a directory.
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO);

/// The events of a link or a directory that is moved or removed.
const ITSELF: WatchFlags =
    WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF).union(WatchFlags::DONT_FOLLOW);

/// The events of a followed directory.
const CONTENT: WatchFlags =
    NAMES.union(WatchFlags::MODIFY).union(WatchFlags::DELETE_SELF).union(WatchFlags::ONLYDIR);

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchedChange<'a> {
    /// A followed directory has a name more or less.
    Names { id: usize, name: &'a OsStr, is_new: bool },
    /// A file of a followed directory has new content.
    Content { id: usize },
    /// The path of a followed directory may lead elsewhere.
    Path { id: usize },
    /// Events were lost: anything may have changed.
    Overflow,
}

#[derive(Debug, PartialEq, Eq)]
enum WatchUse {
    /// The followed directory itself.
    Directory,
    /// A directory in which this name of the path is looked up.
    Component(OsString),
    /// A link or a directory of the path.
    Itself,
}

/// The watches.
#[derive(Debug)]
pub(crate) struct DirectoryWatch {
    inotify: OwnedFd,
    /// Which followed directories a watch serves, and how.
    users: BTreeMap<i32, Vec<(usize, WatchUse)>>,
}

impl DirectoryWatch {
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, users: BTreeMap::new() })
    }

    /// The descriptor that becomes readable when something changes.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Watches a directory and its path, in place of what was watched for the same `id`. `open` is
    /// the directory that is followed until the path leads to another one.
    pub(crate) fn watch(
        &mut self,
        id: usize,
        path: &Path,
        open: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let before = self.forget(id);
        let watched = self.watch_path(id, path).and_then(|()| match open {
            Some(fd) => {
                let open = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
                self.add(id, &open, CONTENT, WatchUse::Directory).map(|_| ())
            }
            None => Ok(()),
        });
        // A watch that both paths use has stayed in place all the time.
        for watch in before.into_iter().filter(|watch| !self.users.contains_key(watch)) {
            // EINVAL: the directory is gone, and its watch with it.
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        watched
    }

    /// Ends the watches of a directory.
    pub(crate) fn unwatch(&mut self, id: usize) {
        for watch in self.forget(id) {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
    }

    /// Reports all changes since the last call. Returns `false` if there may be more.
    pub(crate) fn changes(
        &mut self,
        mut report: impl FnMut(WatchedChange<'_>),
    ) -> io::Result<bool> {
        let mut room = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut room);
        let mut buffers = 0;
        loop {
            if reader.is_buffer_empty() {
                buffers += 1;
                if buffers > MOST_BUFFERS {
                    return Ok(false);
                }
            }
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error.into()),
            };
            let kind = event.events();
            if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                report(WatchedChange::Overflow);
                continue;
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            for (id, watched) in self.users.get(&event.wd()).into_iter().flatten() {
                let id = *id;
                match (watched, name) {
                    (WatchUse::Component(wanted), Some(name)) if wanted == name => {
                        report(WatchedChange::Path { id });
                    }
                    (WatchUse::Directory, Some(_)) if kind.contains(ReadFlags::MODIFY) => {
                        report(WatchedChange::Content { id });
                    }
                    (WatchUse::Directory, Some(name)) => {
                        let is_new = kind.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
                        report(WatchedChange::Names { id, name, is_new });
                    }
                    // The directory itself was removed or unmounted.
                    (_, None) => report(WatchedChange::Path { id }),
                    _ => {}
                }
            }
            if kind.contains(ReadFlags::IGNORED) {
                // The kernel has removed the watch, and may use its number again.
                self.users.remove(&event.wd());
            }
        }
    }

    /// Removes a directory from the users of all watches; returns those without a user.
    fn forget(&mut self, id: usize) -> Vec<i32> {
        for users in self.users.values_mut() {
            users.retain(|(user, _)| *user != id);
        }
        let unused = self.users.iter().filter(|(_, users)| users.is_empty());
        let unused: Vec<i32> = unused.map(|(watch, _)| *watch).collect();
        self.users.retain(|_, users| !users.is_empty());
        unused
    }

    /// Follows a path as the kernel does. A path that leads nowhere is watched up to the name that
    /// is missing.
    fn watch_path(&mut self, id: usize, path: &Path) -> io::Result<()> {
        let mut at = PathBuf::from("/");
        let mut todo: Vec<OsString> = components(&std::path::absolute(path)?);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                // No component of `at` is a link.
                at.pop();
                continue;
            }
            // The watch comes before the look, so that no change is missed.
            let next = at.join(&name);
            if todo.is_empty() || !self.add(id, &next, ITSELF, WatchUse::Itself)? {
                self.add(id, &at, NAMES | WatchFlags::ONLYDIR, WatchUse::Component(name))?;
            }
            match std::fs::read_link(&next) {
                Ok(_) if links == MOST_LINKS => return Ok(()),
                Ok(target) => {
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    todo.append(&mut components(&target));
                }
                // Something that is no link.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => at = next,
                Err(_) => return Ok(()),
            }
        }
        self.add(id, &at, CONTENT, WatchUse::Directory)?;
        Ok(())
    }

    /// Returns whether there is something to watch.
    fn add(&mut self, id: usize, at: &Path, what: WatchFlags, used: WatchUse) -> io::Result<bool> {
        // One directory can be followed itself and lead to another one.
        match inotify::add_watch(&self.inotify, at, what | WatchFlags::MASK_ADD) {
            Ok(watch) => {
                let users = self.users.entry(watch).or_default();
                let user = (id, used);
                if !users.contains(&user) {
                    users.push(user);
                }
                Ok(true)
            }
            // What cannot be watched may change unnoticed; a removed directory is looked up again.
            Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The names of a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}
