//! Names: the way along a path, and the calls that change names.

use super::disk::Change;
use super::files::{Content, Inode};
use super::{Errno, Kernel, Pid, Result};
use linux_raw_sys::errno::{
    EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM,
};
use linux_raw_sys::general::{IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO};
use std::collections::BTreeMap;

/// The number of an inode.
pub type InodeNumber = u64;

/// The root directory.
pub(crate) const ROOT: InodeNumber = 2;

const LONGEST_NAME: usize = 255;

/// The end of a path.
pub(crate) struct Place {
    pub(crate) directory: InodeNumber,
    pub(crate) name: Vec<u8>,
    /// The inode with that name.
    pub(crate) found: Option<InodeNumber>,
}

impl Kernel {
    pub(crate) fn make_root(&mut self) {
        self.new_inode(Content::Directory { entries: BTreeMap::new(), parent: ROOT }, 0o755);
    }

    pub(crate) fn new_inode(&mut self, content: Content, mode: u32) -> InodeNumber {
        let number = self.next_inode;
        self.next_inode += 1;
        let inode = Inode::new(content, mode, self.wall_time());
        if inode.is_on_disk() {
            self.note(|| Change::Made(number, inode.clone()));
        }
        self.inodes.insert(number, inode);
        number
    }

    /// The inode of a path from the root, for the test.
    #[must_use]
    pub fn look_up(&self, path: &str) -> Option<&Inode> {
        self.inodes.get(&self.walk(ROOT, path.as_bytes(), true, 0).ok()?.found?)
    }

    /// The names in a directory with their inodes, for the test.
    pub fn list(&self, path: &str) -> Vec<(Vec<u8>, InodeNumber, &Inode)> {
        let Some(Inode { content: Content::Directory { entries, .. }, .. }) = self.look_up(path)
        else {
            return Vec::new();
        };
        let found = |(name, number): (&Vec<u8>, &InodeNumber)| {
            Some((name.clone(), *number, self.inodes.get(number)?))
        };
        entries.iter().filter_map(found).collect()
    }

    /// Makes a directory and those above it.
    pub fn make_directory(&mut self, path: &str) -> InodeNumber {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = match self.entry(at, name.as_bytes()) {
                Ok(Some(next)) => next,
                _ => self.add_directory(at, name.as_bytes().to_vec(), 0o755),
            };
        }
        at
    }

    /// Makes a file with this content.
    pub fn make_file(&mut self, path: &str, content: &[u8]) -> InodeNumber {
        self.make(path, Content::File(content.to_vec()), 0o644)
    }

    /// Gives a file another name.
    pub(crate) fn make_link(&mut self, file: &str, path: &str) {
        let (from, to) = [file, path].map(|it| self.walk(ROOT, it.as_bytes(), true, 0)).into();
        self.link(from, to).expect("a file with a name that is free");
    }

    pub(crate) fn make_device(&mut self, path: &str) {
        self.make(path, Content::Null, 0o666);
    }

    pub(crate) fn make(&mut self, path: &str, content: Content, mode: u32) -> InodeNumber {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.make_directory(directory);
        let number = self.new_inode(content, mode);
        self.add_entry(directory, name.as_bytes().to_vec(), number);
        number
    }

    /// Writes a file as a whole, which need not be there before.
    pub fn replace_file(&mut self, path: &str, content: &[u8], mode: u32) {
        self.remove_file(path);
        self.make(path, Content::File(content.to_vec()), mode);
    }

    /// Removes a file, if it is there.
    pub fn remove_file(&mut self, path: &str) {
        let Ok(Place { directory, name, found: Some(number) }) =
            self.walk(ROOT, path.as_bytes(), false, 0)
        else {
            return;
        };
        self.entries(directory).remove(&name);
        self.note(|| Change::Names(vec![(directory, name, None)], vec![number]));
        self.drop_name(number);
    }

    fn add_directory(&mut self, parent: InodeNumber, name: Vec<u8>, mode: u32) -> InodeNumber {
        let content = Content::Directory { entries: BTreeMap::new(), parent };
        let number = self.new_inode(content, mode);
        self.add_entry(parent, name, number);
        number
    }

    /// The inode with a name in a directory.
    fn entry(&self, directory: InodeNumber, name: &[u8]) -> Result<Option<InodeNumber>> {
        match self.inodes.get(&directory).map(|inode| &inode.content) {
            Some(Content::Directory { entries, parent }) => Ok(match name {
                b"." => Some(directory),
                b".." => Some(*parent),
                _ if name.len() > LONGEST_NAME => return Err(ENAMETOOLONG),
                // A file of `/proc` can be gone.
                _ => entries.get(name).copied().filter(|it| self.inodes.contains_key(it)),
            }),
            _ => Err(ENOTDIR),
        }
    }

    fn entries(&mut self, directory: InodeNumber) -> &mut BTreeMap<Vec<u8>, InodeNumber> {
        let now = self.wall_time();
        let inode = self.inodes.get_mut(&directory).expect("an inode that was just found");
        inode.modified = now;
        match &mut inode.content {
            Content::Directory { entries, .. } => entries,
            other => panic!("{other:?} is no directory"),
        }
    }

    pub(crate) fn add_entry(&mut self, directory: InodeNumber, name: Vec<u8>, number: InodeNumber) {
        self.note(|| Change::Names(vec![(directory, name.clone(), Some(number))], vec![number]));
        self.entries(directory).insert(name.clone(), number);
        self.announce(directory, IN_CREATE, &name, number, 0);
        self.changed();
    }

    /// Goes along a path from `start`. Follows a symbolic link at its end if `follow`.
    pub(crate) fn walk(
        &self,
        start: InodeNumber,
        path: &[u8],
        follow: bool,
        depth: u32,
    ) -> Result<Place> {
        if path.is_empty() {
            return Err(ENOENT);
        }
        if depth > 40 {
            return Err(ELOOP);
        }
        let mut at = if path.starts_with(b"/") { ROOT } else { start };
        let mut parts = path.split(|c| *c == b'/').filter(|part| !part.is_empty()).peekable();
        let ends_with_slash = path.ends_with(b"/");
        let mut last = Place { directory: at, name: b".".to_vec(), found: Some(at) };
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let mut found = self.entry(at, part)?;
            if let Some(number) = found
                && let Some(Content::Link(target)) = self.inodes.get(&number).map(|it| &it.content)
                && (!is_last || follow || ends_with_slash)
            {
                let place = self.walk(at, target, true, depth + 1)?;
                if is_last {
                    return Ok(place);
                }
                found = place.found;
            }
            if is_last {
                last = Place { directory: at, name: part.to_vec(), found };
            } else {
                at = found.ok_or(ENOENT)?;
            }
        }
        Ok(last)
    }

    /// Where a path of a process leads, from the directory of descriptor `at`.
    pub(crate) fn place(&self, pid: Pid, at: usize, path: &[u8], follow: bool) -> Result<Place> {
        let start = if path.starts_with(b"/") { ROOT } else { self.directory_of(pid, at)? };
        self.walk(start, path, follow, 0)
    }

    pub(crate) fn mkdir(&mut self, pid: Pid, at: usize, path: &[u8], mode: u32) -> Result<usize> {
        let place = self.place(pid, at, path, false)?;
        if place.found.is_some() {
            return Err(EEXIST);
        }
        let mode = mode & !self.processes[&pid].umask;
        self.add_directory(place.directory, place.name, mode);
        Ok(0)
    }

    pub(crate) fn unlink(&mut self, pid: Pid, at: usize, path: &[u8], dir: bool) -> Result<usize> {
        let place = self.place(pid, at, path, false)?;
        self.remove(place, dir)
    }

    pub(crate) fn remove(&mut self, place: Place, dir: bool) -> Result<usize> {
        let number = place.found.ok_or(ENOENT)?;
        match (&self.inodes[&number].content, dir) {
            (Content::Directory { entries, .. }, true) if !entries.is_empty() => {
                return Err(ENOTEMPTY);
            }
            (Content::Directory { .. }, false) => return Err(EISDIR),
            (Content::Directory { .. }, true) => {}
            (_, true) => return Err(ENOTDIR),
            (_, false) => {}
        }
        self.entries(place.directory).remove(&place.name);
        self.announce(place.directory, IN_DELETE, &place.name, number, 0);
        self.note(|| Change::Names(vec![(place.directory, place.name, None)], vec![number]));
        self.drop_name(number);
        Ok(0)
    }

    fn drop_name(&mut self, number: InodeNumber) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.links = inode.links.saturating_sub(1);
            if inode.is_directory() && inode.links == 0 {
                self.end_watches(number);
            }
        }
        self.forget_if_unused(number);
        self.changed();
    }

    pub(crate) fn link(&mut self, from: Result<Place>, to: Result<Place>) -> Result<usize> {
        let (from, to) = (from?, to?);
        let number = from.found.ok_or(ENOENT)?;
        if to.found.is_some() {
            return Err(EEXIST);
        }
        let inode = self.inodes.get_mut(&number).ok_or(ENOENT)?;
        if inode.is_directory() {
            return Err(EPERM);
        }
        inode.links += 1;
        self.add_entry(to.directory, to.name, number);
        Ok(0)
    }

    pub(crate) fn rename(&mut self, from: Result<Place>, to: Result<Place>) -> Result<usize> {
        let (from, to) = (from?, to?);
        let number = from.found.ok_or(ENOENT)?;
        if from.name == b"." || to.name == b"." {
            return Err(EINVAL);
        }
        if to.found == Some(number) {
            return Ok(0);
        }
        if let Some(other) = to.found {
            let is_directory = |it: InodeNumber| self.inodes[&it].is_directory();
            match (is_directory(number), is_directory(other)) {
                (false, true) => return Err(EISDIR),
                (true, false) => return Err(ENOTDIR),
                _ => {}
            }
        }
        self.entries(from.directory).remove(&from.name);
        self.entries(to.directory).insert(to.name.clone(), number);
        self.renames += 1;
        let cookie = self.renames;
        self.announce(from.directory, IN_MOVED_FROM, &from.name, number, cookie);
        self.announce(to.directory, IN_MOVED_TO, &to.name, number, cookie);
        self.note(|| {
            let names = [(from.directory, from.name, None), (to.directory, to.name, Some(number))];
            Change::Names(names.into(), [Some(number), to.found].into_iter().flatten().collect())
        });
        self.changed();
        if let Some(other) = to.found {
            self.drop_name(other);
        }
        Ok(0)
    }

    pub(crate) fn set_mode(
        &mut self,
        number: InodeNumber,
        mode: u32,
    ) -> std::result::Result<usize, Errno> {
        self.inodes.get_mut(&number).ok_or(ENOENT)?.mode = mode & 0o7777;
        self.note(|| Change::Mode(number, mode & 0o7777));
        Ok(0)
    }
}
