//! The targets of the links in the scan directory. A target can be replaced behind a link that stays
//! the same, which the scan directory does not announce.

use crate::common::paths::PATH_MAX;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_sys::watch::{NameChange, Watch};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, dir, fs};

/// The number of links that the kernel follows in one path.
const MAX_LINKS: u32 = 40;

/// The targets. It watches every directory on the way to them, and compares the names that change
/// there.
pub(super) struct Targets {
    watch: Watch,
    /// The paths of the watched directories.
    dirs: BTreeSet<CString>,
    /// The components of the targets' paths.
    names: BTreeSet<Box<[u8]>>,
    /// A watched directory can change without an announcement.
    silent: bool,
    /// A path may lead to another directory than the watched one.
    stale: bool,
}

impl Targets {
    /// No targets.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors, ENOSYS without inotify.
    pub(super) fn new() -> Result<Self> {
        let (dirs, names) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { watch: Watch::new()?, dirs, names, silent: false, stale: false })
    }

    /// Notes the way to the target of a name in the current directory, if that is a link.
    ///
    /// # Errors
    /// Those of inotify_add_watch(2).
    #[inline(never)]
    pub(super) fn note(&mut self, name: &CStr) -> Result<()> {
        let mut room = [0; PATH_MAX];
        let Ok(target) = fs::readlink(fs::HERE, name, &mut room) else {
            return Ok(());
        };
        let mut way = Way { dir: b".".to_vec(), rest: Vec::new() };
        way.follow(target);
        let mut links = 1;
        while links <= MAX_LINKS
            && let Some(component) = way.next_component()
        {
            let path = [&way.dir, &b"/"[..], &component].concat();
            if component != b".." {
                match self.note_component(&way.dir, &component) {
                    Ok(()) => {}
                    // A dangling link: svscan looks at it again in any case.
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                    Err(error) => return Err(error),
                }
                let path = CString::new(&path[..]).unwrap_or_default();
                if let Ok(target) = fs::readlink(fs::HERE, &path, &mut room) {
                    way.follow(target);
                    links += 1;
                    continue;
                }
            }
            way.dir = path;
        }
        Ok(())
    }

    /// Notes a name in a directory on the way to a target.
    fn note_component(&mut self, dir: &[u8], component: &[u8]) -> Result<()> {
        if !self.names.contains(component) {
            self.names.insert(component.into());
        }
        let path = CString::new(dir).unwrap_or_default();
        if !self.dirs.contains(&path) {
            self.watch.add_names(&path)?;
            let opened = fs::reach_dir(fs::HERE, &path);
            self.silent |= opened.is_ok_and(|dir| dir::changes_silently(dir.as_fd()));
            self.dirs.insert(path);
        }
        Ok(())
    }

    /// Makes the next scan watch all directories anew: a path may lead to another one now.
    pub(super) const fn watch_anew(&mut self) {
        self.stale = true;
    }

    /// Forgets the names: a scan notes all links again.
    pub(super) fn begin_scan(&mut self) {
        self.names.clear();
        if self.stale
            && let Ok(watch) = Watch::new()
        {
            self.watch = watch;
            self.dirs.clear();
            (self.silent, self.stale) = (false, false);
        }
    }

    /// Reads the announced changes; whether a target has come, gone or been replaced.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut changed = false;
        self.watch.changes(|change| match change {
            NameChange::Appeared(name) | NameChange::Disappeared(name) => {
                changed |= self.names.contains(name.to_bytes());
            }
            NameChange::Overflow => changed = true,
        });
        self.stale |= changed;
        changed
    }

    /// Whether a target can change without an announcement.
    pub(super) const fn change_silently(&self) -> bool {
        self.silent
    }

    /// Readable when a change is announced.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }
}

/// The way along a path, one component after the other.
struct Way {
    /// The directory that it has reached.
    dir: Vec<u8>,
    rest: Vec<u8>,
}

impl Way {
    /// Continues along the target of a link in the directory.
    fn follow(&mut self, target: &[u8]) {
        if target.starts_with(b"/") {
            self.dir = b"/".to_vec();
        }
        self.rest = [target, b"/", &self.rest].concat();
    }

    /// Takes the next component except `.`.
    fn next_component(&mut self) -> Option<Vec<u8>> {
        loop {
            let start = self.rest.iter().position(|&c| c != b'/')?;
            self.rest.drain(..start);
            let end = self.rest.iter().position(|&c| c == b'/').unwrap_or(self.rest.len());
            let component: Vec<u8> = self.rest.drain(..end).collect();
            if component != b"." {
                return Some(component);
            }
        }
    }
}
