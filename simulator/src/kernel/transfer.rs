//! Reading, writing, and moving bytes between pipes.

use super::disk::Change;
use super::files::Content;
use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, ENOTDIR, ENOTTY, EPIPE, ESPIPE};
use linux_raw_sys::general::{O_APPEND, SEEK_CUR, SEEK_END, SEEK_SET, SIGPIPE};
use machine::{copy_in, copy_out};

impl Kernel {
    pub(crate) fn read(
        &mut self,
        pid: Pid,
        fd: usize,
        buffer: usize,
        length: usize,
        at: Option<u64>,
    ) -> Result<Outcome> {
        let (key, file) = self.open_file(pid, fd)?;
        if !file.reads() {
            return Err(EBADF);
        }
        let (waits, offset, number) = (file.waits(), at.unwrap_or(file.offset), file.inode);
        let bytes = match &mut self.inodes.get_mut(&number).ok_or(EBADF)?.content {
            Content::Directory { .. } => return Err(EISDIR),
            Content::Null | Content::Link(_) => Vec::new(),
            Content::File(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                bytes[start..bytes.len().min(start.saturating_add(length))].to_vec()
            }
            Content::Pipe(_) if at.is_some() => return Err(ESPIPE),
            Content::Pipe(pipe) => {
                if pipe.bytes.is_empty() && pipe.writers > 0 && length > 0 {
                    return if waits { Ok(Outcome::Wait) } else { Err(EAGAIN) };
                }
                pipe.take(length)
            }
            Content::ProcessHandle(_) | Content::EventSet(_) => return Err(EINVAL),
            Content::Watches(_) => return self.read_watches(number, [buffer, length], waits),
            Content::Signals(set) => {
                let set = *set;
                return self.read_signals(pid, set, buffer, length, waits);
            }
        };
        if !copy_out(buffer, &bytes) {
            return Err(EFAULT);
        }
        if at.is_none() {
            self.open_files.get_mut(&key).ok_or(EBADF)?.offset += bytes.len() as u64;
        }
        self.changed();
        Ok(Outcome::Return(bytes.len()))
    }

    /// Writes bytes. `done` is what an earlier try of the same call has already put into a pipe.
    pub(crate) fn write(
        &mut self,
        pid: Pid,
        fd: usize,
        bytes: &[u8],
        at: Option<u64>,
    ) -> Result<Outcome> {
        let now = self.wall_time();
        let done = self.processes[&pid].progress;
        let (key, file) = self.open_file(pid, fd)?;
        if !file.writes() {
            return Err(EBADF);
        }
        let (waits, flags, number) = (file.waits(), file.flags, file.inode);
        let mut offset = at.unwrap_or(file.offset);
        let inode = self.inodes.get_mut(&number).ok_or(EBADF)?;
        match &mut inode.content {
            Content::Directory { .. }
            | Content::Link(_)
            | Content::Signals(_)
            | Content::ProcessHandle(_)
            | Content::Watches(_)
            | Content::EventSet(_) => Err(EINVAL),
            Content::Null => Ok(Outcome::Return(bytes.len())),
            Content::File(content) => {
                inode.modified = now;
                if flags & O_APPEND != 0 {
                    offset = content.len() as u64;
                }
                let start = usize::try_from(offset).map_err(|_| EINVAL)?;
                let end = start + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(bytes);
                self.note(|| Change::Write(number, start, bytes.to_vec()));
                if at.is_none() {
                    self.open_files.get_mut(&key).ok_or(EBADF)?.offset = end as u64;
                }
                self.changed();
                Ok(Outcome::Return(bytes.len()))
            }
            Content::Pipe(_) if at.is_some() => Err(ESPIPE),
            Content::Pipe(pipe) if pipe.readers == 0 => {
                if done > 0 {
                    return Ok(Outcome::Return(done));
                }
                self.signal(pid, SIGPIPE);
                Err(EPIPE)
            }
            Content::Pipe(pipe) => {
                let rest = &bytes[done..];
                // The first part of a divided write decides; the rest may go byte by byte.
                let fits =
                    if done > 0 { pipe.room().min(rest.len()) } else { pipe.fits(rest.len()) };
                pipe.bytes.extend(&rest[..fits]);
                if fits > 0 {
                    self.changed();
                }
                let done = done + fits;
                if done == bytes.len() {
                    return Ok(Outcome::Return(done));
                }
                if !waits {
                    return if done > 0 { Ok(Outcome::Return(done)) } else { Err(EAGAIN) };
                }
                self.processes.get_mut(&pid).expect("the caller's process").progress = done;
                Ok(Outcome::Wait)
            }
        }
    }

    /// The bytes of an array of `struct iovec`.
    pub(crate) fn gather(vectors: usize, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for n in 0..count {
            let start = machine::read_word(vectors + 16 * n).ok_or(EFAULT)?;
            let length = machine::read_word(vectors + 16 * n + 8).ok_or(EFAULT)?;
            bytes.extend(copy_in(start, length).ok_or(EFAULT)?);
        }
        Ok(bytes)
    }

    /// tee and splice: moves or copies from the pipe `from`.
    pub(crate) fn move_bytes(
        &mut self,
        pid: Pid,
        [from, to]: [usize; 2],
        most: usize,
        keeps: bool,
        waits: bool,
    ) -> Result<Outcome> {
        let source = self.inode_of(pid, from)?;
        let target = self.inode_of(pid, to)?;
        if source == target {
            return Err(EINVAL);
        }
        let room = match &self.inodes[&target].content {
            Content::Pipe(pipe) if pipe.readers == 0 => {
                self.signal(pid, SIGPIPE);
                return Err(EPIPE);
            }
            Content::Pipe(pipe) => pipe.room(),
            Content::Null if !keeps => usize::MAX,
            Content::File(_) if !keeps => usize::MAX,
            _ => return Err(EINVAL),
        };
        let Some(Content::Pipe(pipe)) = self.inodes.get_mut(&source).map(|it| &mut it.content)
        else {
            return Err(EINVAL);
        };
        if pipe.bytes.is_empty() {
            return match (pipe.writers, waits) {
                (0, _) => Ok(Outcome::Return(0)),
                (_, true) => Ok(Outcome::Wait),
                (_, false) => Err(EAGAIN),
            };
        }
        if room == 0 {
            return if waits { Ok(Outcome::Wait) } else { Err(EAGAIN) };
        }
        let most = most.min(room);
        let bytes = if keeps { pipe.first(most) } else { pipe.take(most) };
        self.changed();
        match self.inodes.get_mut(&target).map(|it| &mut it.content) {
            Some(Content::Pipe(pipe)) => pipe.bytes.extend(&bytes),
            Some(Content::File(_)) => return self.write(pid, to, &bytes, None),
            _ => {}
        }
        Ok(Outcome::Return(bytes.len()))
    }

    pub(crate) fn seek(&mut self, pid: Pid, fd: usize, by: i64, from: u32) -> Result<usize> {
        let (key, file) = self.open_file(pid, fd)?;
        let start = match (from, &self.inodes[&file.inode].content) {
            (_, Content::Pipe(_)) => return Err(ESPIPE),
            (SEEK_SET, _) => 0,
            (SEEK_CUR, _) => file.offset,
            (SEEK_END, _) => self.inodes[&file.inode].size(),
            _ => return Err(EINVAL),
        };
        let offset = start.checked_add_signed(by).ok_or(EINVAL)?;
        self.open_files.get_mut(&key).ok_or(EBADF)?.offset = offset;
        usize::try_from(offset).map_err(|_| EINVAL)
    }

    pub(crate) fn truncate(&mut self, pid: Pid, fd: usize, length: usize) -> Result<usize> {
        let (_, file) = self.open_file(pid, fd)?;
        let number = file.inode;
        match self.inodes.get_mut(&number).map(|it| &mut it.content) {
            Some(Content::File(bytes)) => bytes.resize(length, 0),
            _ => return Err(EINVAL),
        }
        self.note(|| Change::Size(number, length));
        self.changed();
        Ok(0)
    }

    /// The number of bytes in a pipe.
    pub(crate) fn unread(&self, pid: Pid, fd: usize) -> Result<u32> {
        match &self.inodes[&self.inode_of(pid, fd)?].content {
            Content::Pipe(pipe) => Ok(u32::try_from(pipe.bytes.len()).unwrap_or(u32::MAX)),
            _ => Err(ENOTTY),
        }
    }

    /// getdents64: the offset of the open file counts entries.
    pub(crate) fn read_directory(
        &mut self,
        pid: Pid,
        fd: usize,
        buffer: usize,
        room: usize,
    ) -> Result<usize> {
        let (key, file) = self.open_file(pid, fd)?;
        let skipped = usize::try_from(file.offset).map_err(|_| EINVAL)?;
        let inode = &self.inodes[&file.inode];
        let Content::Directory { entries, parent } = &inode.content else { return Err(ENOTDIR) };
        let dots = [(&b"."[..], file.inode), (&b".."[..], *parent)];
        let all = dots.into_iter().chain(entries.iter().map(|(name, it)| (&name[..], *it)));
        let mut bytes = Vec::new();
        let mut count = 0;
        for (n, (name, number)) in all.enumerate().skip(skipped) {
            // inode, offset, length and type come before the name, and the length is a multiple of 8.
            let length = (19 + name.len() + 1).next_multiple_of(8);
            if bytes.len() + length > room {
                break;
            }
            let kind = self.inodes.get(&number).map_or(0, |it| it.full_mode() >> 12);
            let end = bytes.len() + length;
            bytes.extend(number.to_ne_bytes());
            bytes.extend((n as u64 + 1).to_ne_bytes());
            bytes.extend(u16::try_from(length).map_err(|_| EINVAL)?.to_ne_bytes());
            bytes.push(u8::try_from(kind).map_err(|_| EINVAL)?);
            bytes.extend(name);
            bytes.resize(end, 0);
            count += 1;
        }
        if !copy_out(buffer, &bytes) {
            return Err(EFAULT);
        }
        self.open_files.get_mut(&key).ok_or(EBADF)?.offset += count;
        Ok(bytes.len())
    }
}
