//! Open files, and the calls that open them.

use super::disk::Change;
use super::files::Content;
use super::pipes::Pipe;
use super::tree::InodeNumber;
use super::{FileKey, Kernel, Pid, Result};
use linux_raw_sys::errno::{EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO};
use linux_raw_sys::general::{
    O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH,
    O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};

/// An open file, which descriptors of several processes can share.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    pub(crate) inode: InodeNumber,
    /// Those of open(2).
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    /// The number of descriptors.
    pub(crate) descriptors: u32,
}

impl OpenFile {
    pub(crate) const fn reads(&self) -> bool {
        let access = self.flags & O_ACCMODE;
        self.flags & O_PATH == 0 && (access == O_RDONLY || access == O_RDWR)
    }

    pub(crate) const fn writes(&self) -> bool {
        let access = self.flags & O_ACCMODE;
        self.flags & O_PATH == 0 && (access == O_WRONLY || access == O_RDWR)
    }

    pub(crate) const fn waits(&self) -> bool {
        self.flags & O_NONBLOCK == 0
    }
}

impl Kernel {
    /// Opens an inode.
    pub(crate) fn new_open_file(&mut self, number: InodeNumber, flags: u32) -> FileKey {
        let key = self.next_file;
        self.next_file += 1;
        let file = OpenFile { inode: number, flags, offset: 0, descriptors: 0 };
        let (reads, writes) = (file.reads(), file.writes());
        self.open_files.insert(key, file);
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.opens += 1;
            if let Content::Pipe(pipe) = &mut inode.content {
                pipe.readers += u32::from(reads);
                pipe.writers += u32::from(writes);
            }
        }
        key
    }

    pub(crate) fn openat(
        &mut self,
        pid: Pid,
        at: usize,
        path: &[u8],
        flags: u32,
        mode: u32,
    ) -> Result<usize> {
        let follow = flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != (O_CREAT | O_EXCL);
        let place = self.place(pid, at, path, follow)?;
        let number = match place.found {
            Some(_) if flags & O_CREAT != 0 && flags & O_EXCL != 0 => return Err(EEXIST),
            Some(number) => number,
            None if flags & O_CREAT == 0 || flags & O_PATH != 0 => return Err(ENOENT),
            None => {
                let mode = mode & 0o7777 & !self.processes[&pid].umask;
                let number = self.new_inode(Content::File(Vec::new()), mode);
                self.add_entry(place.directory, place.name, number);
                number
            }
        };
        let now = self.wall_time();
        let inode = self.inodes.get_mut(&number).ok_or(ENOENT)?;
        let writes = flags & O_PATH == 0 && flags & O_ACCMODE != O_RDONLY;
        match &mut inode.content {
            Content::Link(_) if flags & O_PATH == 0 => return Err(ELOOP),
            content
                if flags & O_DIRECTORY != 0 && !matches!(content, Content::Directory { .. }) =>
            {
                return Err(ENOTDIR);
            }
            Content::Directory { .. } if writes || flags & (O_CREAT | O_DIRECTORY) == O_CREAT => {
                return Err(EISDIR);
            }
            Content::File(bytes) if flags & O_TRUNC != 0 && writes => {
                bytes.clear();
                inode.modified = now;
                self.note(|| Change::Size(number, 0));
            }
            Content::Pipe(pipe)
                if flags & (O_ACCMODE | O_NONBLOCK) == (O_WRONLY | O_NONBLOCK)
                    && pipe.readers == 0 =>
            {
                return Err(ENXIO);
            }
            _ => {}
        }
        let key = self.new_open_file(number, flags & !(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC));
        self.install(pid, key, flags & O_CLOEXEC != 0, 0)
    }

    /// Makes a pipe; returns the descriptors.
    pub(crate) fn pipe(&mut self, pid: Pid, flags: u32) -> Result<(usize, usize)> {
        let number = self.new_inode(Content::Pipe(Pipe::new()), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let other = flags & O_NONBLOCK;
        let (reader, writer) = (
            self.new_open_file(number, O_RDONLY | other),
            self.new_open_file(number, O_WRONLY | other),
        );
        let closed = flags & O_CLOEXEC != 0;
        let first = self.install(pid, reader, closed, 0)?;
        Ok((first, self.install(pid, writer, closed, 0)?))
    }

    /// Whether a descriptor is one of a file in memory, or of a removed one.
    pub(crate) fn is_file_in_memory(&self, pid: Pid, fd: usize) -> bool {
        let inode = self.inode_of(pid, fd).ok().and_then(|number| self.inodes.get(&number));
        inode.is_some_and(|it| it.links == 0 && it.mode == 0o777)
    }

    /// Makes a file without a name that signals are read from.
    pub(crate) fn signalfd(&mut self, pid: Pid, set: u64, flags: u32) -> Result<usize> {
        let number = self.new_inode(Content::Signals(set), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let key = self.new_open_file(number, O_RDWR | flags & O_NONBLOCK);
        self.install(pid, key, flags & O_CLOEXEC != 0, 0)
    }

    pub(crate) fn set_flags(&mut self, key: FileKey, flags: u32) -> Result<usize> {
        const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK;
        let file = self.open_files.get_mut(&key).ok_or(EINVAL)?;
        file.flags = file.flags & !CHANGEABLE | flags & CHANGEABLE;
        Ok(0)
    }
}
