//! The descriptors of processes, and locks.

use super::files::Content;
use super::open::OpenFile;
use super::tree::InodeNumber;
use super::{FileKey, Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EAGAIN, EBADF, EINVAL, EMFILE, ENOTDIR};
use linux_raw_sys::general::{LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN};

/// A descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) file: FileKey,
    pub(crate) closed_by_exec: bool,
}

/// A descriptor's number from an argument.
pub(crate) fn number(argument: usize) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "as the kernel does"
    )]
    let number = argument as u32 as i32;
    number
}

impl Kernel {
    /// Gives an open file the lowest free descriptor from `least` on.
    pub(crate) fn install(
        &mut self,
        pid: Pid,
        file: FileKey,
        closed_by_exec: bool,
        least: i32,
    ) -> Result<usize> {
        let process = self.processes.get_mut(&pid).ok_or(EBADF)?;
        let most = i32::try_from(process.most_files[0]).unwrap_or(i32::MAX);
        let free = (least..most).find(|fd| !process.descriptors.contains_key(fd)).ok_or(EMFILE)?;
        self.install_at(pid, file, closed_by_exec, free);
        Ok(free.unsigned_abs() as usize)
    }

    pub(crate) fn install_at(&mut self, pid: Pid, file: FileKey, closed_by_exec: bool, at: i32) {
        if let Some(open) = self.open_files.get_mut(&file) {
            open.descriptors += 1;
        }
        let process = self.processes.get_mut(&pid).expect("the caller's process");
        if let Some(old) = process.descriptors.insert(at, Descriptor { file, closed_by_exec }) {
            self.release(old.file);
        }
    }

    pub(crate) fn descriptor(&self, pid: Pid, fd: usize) -> Result<Descriptor> {
        self.processes[&pid].descriptors.get(&number(fd)).copied().ok_or(EBADF)
    }

    pub(crate) fn open_file(&self, pid: Pid, fd: usize) -> Result<(FileKey, &OpenFile)> {
        let key = self.descriptor(pid, fd)?.file;
        Ok((key, self.open_files.get(&key).ok_or(EBADF)?))
    }

    pub(crate) fn inode_of(&self, pid: Pid, fd: usize) -> Result<InodeNumber> {
        Ok(self.open_file(pid, fd)?.1.inode)
    }

    /// The directory of a descriptor, or the working directory for AT_FDCWD.
    pub(crate) fn directory_of(&self, pid: Pid, fd: usize) -> Result<InodeNumber> {
        const HERE: i32 = linux_raw_sys::general::AT_FDCWD;
        if number(fd) == HERE {
            return Ok(self.processes[&pid].directory);
        }
        let inode = self.inode_of(pid, fd)?;
        if self.inodes[&inode].is_directory() { Ok(inode) } else { Err(ENOTDIR) }
    }

    pub(crate) fn close(&mut self, pid: Pid, fd: i32) -> Result<usize> {
        let process = self.processes.get_mut(&pid).ok_or(EBADF)?;
        let closed = process.descriptors.remove(&fd).ok_or(EBADF)?;
        self.release(closed.file);
        Ok(0)
    }

    /// Takes one descriptor off an open file, and closes it with the last one.
    pub(crate) fn release(&mut self, key: FileKey) {
        let Some(file) = self.open_files.get_mut(&key) else { return };
        file.descriptors -= 1;
        if file.descriptors > 0 {
            return;
        }
        let file = self.open_files.remove(&key).expect("just found");
        self.lock_takers.remove(&key);
        if let Some(inode) = self.inodes.get_mut(&file.inode) {
            inode.opens -= 1;
            inode.locks.retain(|(holder, _)| *holder != key);
            if let Content::Pipe(pipe) = &mut inode.content {
                pipe.readers -= u32::from(file.reads());
                pipe.writers -= u32::from(file.writes());
                if inode.links > 0 && inode.opens == 0 {
                    pipe.bytes.clear();
                }
            }
        }
        self.forget_if_unused(file.inode);
        self.changed();
    }

    pub(crate) fn flock(&mut self, pid: Pid, fd: usize, how: u32) -> Result<Outcome> {
        let (key, number) = self.open_file(pid, fd).map(|(key, file)| (key, file.inode))?;
        let inode = self.inodes.get_mut(&number).ok_or(EBADF)?;
        let exclusive = match how & !LOCK_NB {
            LOCK_UN => {
                inode.locks.retain(|(holder, _)| *holder != key);
                self.lock_takers.remove(&key);
                self.changed();
                return Ok(Outcome::Return(0));
            }
            LOCK_EX => true,
            LOCK_SH => false,
            _ => return Err(EINVAL),
        };
        let conflicts = |&(holder, other): &(FileKey, bool)| holder != key && (exclusive || other);
        if inode.locks.iter().any(conflicts) {
            return if how & LOCK_NB == 0 { Ok(Outcome::Wait) } else { Err(EAGAIN) };
        }
        inode.locks.retain(|(holder, _)| *holder != key);
        inode.locks.push((key, exclusive));
        self.lock_takers.insert(key, pid);
        Ok(Outcome::Return(0))
    }
}
