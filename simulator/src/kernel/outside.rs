//! Changes of names that come from outside every process, as by an administrator's commands.

use super::files::Content;
use super::tree::{InodeNumber, Place, ROOT};
use super::{Kernel, Result};

impl Kernel {
    fn place_outside(&self, path: &str) -> Result<Place> {
        self.walk(ROOT, path.as_bytes(), false, 0)
    }

    /// The number of the inode to which a path leads.
    #[must_use]
    pub fn inode_at(&self, path: &str) -> Option<InodeNumber> {
        self.walk(ROOT, path.as_bytes(), true, 0).ok()?.found
    }

    /// Makes a symbolic link.
    pub fn make_symbolic_link(&mut self, target: &str, path: &str) {
        self.make(path, Content::Link(target.as_bytes().to_vec()), 0o777);
    }

    /// `rm PATH` or `rmdir PATH`.
    ///
    /// # Errors
    /// Those of unlink(2) and rmdir(2).
    pub fn remove_name(&mut self, path: &str) -> Result<()> {
        let place = self.place_outside(path)?;
        let is_directory = place.found.is_some_and(|it| self.inodes[&it].is_directory());
        self.remove(place, is_directory).map(drop)
    }

    /// `mv -T FROM TO`
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn rename_name(&mut self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.place_outside(from), self.place_outside(to));
        self.rename(from, to).map(drop)
    }

    /// What a descriptor of a process is; `None` without it.
    #[must_use]
    pub fn file_of(&self, pid: super::Pid, fd: i32) -> Option<InodeNumber> {
        let descriptor = self.processes.get(&pid)?.descriptors.get(&fd)?;
        Some(self.open_files.get(&descriptor.file)?.inode)
    }

    /// The current directory of a process.
    #[must_use]
    pub fn directory_of_process(&self, pid: super::Pid) -> InodeNumber {
        self.processes.get(&pid).map_or(0, |it| it.directory)
    }

    /// The descriptors of a process.
    #[must_use]
    pub fn descriptors_of(&self, pid: super::Pid) -> Vec<i32> {
        let process = self.processes.get(&pid);
        process.into_iter().flat_map(|it| it.descriptors.keys().copied()).collect()
    }

    /// The inode with a number.
    #[must_use]
    pub fn inode(&self, number: InodeNumber) -> Option<&super::Inode> {
        self.inodes.get(&number)
    }

    /// An ended process that its parent, another process, has not reaped.
    #[must_use]
    pub fn zombie(&self) -> Option<super::Pid> {
        let is_it = |it: &super::Proc| it.ended.is_some() && it.parent != super::processes::INIT;
        self.processes.iter().find(|(_, it)| is_it(it)).map(|(pid, _)| *pid)
    }
}
