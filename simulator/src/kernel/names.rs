//! Calls on names and processes that supervise needs and multilog does not.

use super::files::Content;
use super::pipes::Pipe;
use super::tree::ROOT;
use super::{Kernel, Pid, Result};
use linux_raw_sys::errno::{EEXIST, EFAULT, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE, ESRCH};
use linux_raw_sys::general::AT_FDCWD;
use machine::copy_out;

/// The type of a file in a mode.
const TYPE: u32 = 0o170_000;
const FIFO: u32 = 0o010_000;

/// A process becomes the parent of its orphaned descendants.
const SET_CHILD_SUBREAPER: u32 = 36;

impl Kernel {
    pub(crate) fn chdir(&mut self, pid: Pid, path: &[u8]) -> Result<usize> {
        let found = self.place(pid, AT_FDCWD as usize, path, true)?.found.ok_or(ENOENT)?;
        if !self.inodes[&found].is_directory() {
            return Err(ENOTDIR);
        }
        self.processes.get_mut(&pid).ok_or(EINVAL)?.directory = found;
        Ok(0)
    }

    /// getcwd
    pub(crate) fn current_directory(&self, pid: Pid, buffer: usize, room: usize) -> Result<usize> {
        let mut path = Vec::new();
        let mut at = self.processes[&pid].directory;
        while at != ROOT {
            let Content::Directory { parent, .. } = self.inodes[&at].content else {
                return Err(ENOTDIR);
            };
            let above = &self.inodes.get(&parent).ok_or(ENOENT)?.content;
            let Content::Directory { entries, .. } = above else { return Err(ENOENT) };
            // A removed directory has no name.
            let name = entries.iter().find(|(_, number)| **number == at).ok_or(ENOENT)?.0;
            path = [b"/", &name[..], &path].concat();
            at = parent;
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path.push(0);
        if path.len() > room {
            return Err(ERANGE);
        }
        if copy_out(buffer, &path) { Ok(path.len()) } else { Err(EFAULT) }
    }

    /// Makes a FIFO.
    pub(crate) fn mknod(&mut self, pid: Pid, at: usize, path: &[u8], mode: u32) -> Result<usize> {
        if mode & TYPE != FIFO {
            return Err(EPERM);
        }
        let place = self.place(pid, at, path, false)?;
        if place.found.is_some() {
            return Err(EEXIST);
        }
        let mode = mode & 0o7777 & !self.processes[&pid].umask;
        let number = self.new_inode(Content::Pipe(Pipe::new()), mode);
        self.add_entry(place.directory, place.name, number);
        Ok(0)
    }

    pub(crate) fn readlink(
        &mut self,
        pid: Pid,
        at: usize,
        path: &[u8],
        [buffer, room]: [usize; 2],
    ) -> Result<usize> {
        let own = pid.to_string().into_bytes();
        let descriptor = self.link_of_descriptor(pid, at, path);
        let target = if path == b"/proc/self" {
            &own
        } else if let Some(target) = &descriptor {
            target
        } else {
            let found = self.place(pid, at, path, false)?.found.ok_or(ENOENT)?;
            let Content::Link(target) = &self.inodes[&found].content else { return Err(EINVAL) };
            target
        };
        let target = &target[..target.len().min(room)];
        if copy_out(buffer, target) { Ok(target.len()) } else { Err(EFAULT) }
    }

    pub(crate) fn prctl(&mut self, pid: Pid, option: u32, value: usize) -> Result<usize> {
        if option != SET_CHILD_SUBREAPER {
            return Err(EINVAL);
        }
        self.processes.get_mut(&pid).ok_or(EINVAL)?.is_subreaper = value != 0;
        Ok(0)
    }

    pub(crate) fn group_of(&self, pid: Pid) -> Result<usize> {
        let process = self.processes.get(&pid).ok_or(ESRCH)?;
        Ok(process.group.unsigned_abs() as usize)
    }

    /// The process that gets the orphans of a child of `parent`.
    pub(crate) fn reaper_above(&self, mut parent: Pid) -> Pid {
        while let Some(process) = self.processes.get(&parent) {
            if process.is_subreaper && process.ended.is_none() {
                return parent;
            }
            parent = process.parent;
        }
        super::processes::INIT
    }

    /// Makes a script that can be executed.
    pub fn make_script(&mut self, path: &str, content: &[u8]) {
        self.make(path, Content::File(content.to_vec()), 0o755);
    }

    /// Sends a signal from outside every process.
    pub fn kill_process(&mut self, pid: Pid, signal: u32) {
        self.signal(pid, signal);
    }

    /// Ended children of init, which it would reap.
    pub fn ended_children_of_init(&self) -> impl Iterator<Item = Pid> {
        let is_it = |process: &super::Proc| {
            process.ended.is_some() && process.parent == super::processes::INIT
        };
        self.processes.iter().filter(move |(_, process)| is_it(process)).map(|(pid, _)| *pid)
    }
}
