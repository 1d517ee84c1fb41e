//! Pipes.

use super::files::Content;
use super::tree::InodeNumber;
use super::{Kernel, Result};
use linux_raw_sys::errno::{EBADF, EBUSY};
use std::collections::VecDeque;

/// The capacity of a new pipe.
const CAPACITY: usize = 65_536;

/// A write of up to this many bytes is not divided.
pub(crate) const PIPE_BUF: usize = 4096;

/// A pipe.
#[derive(Clone, Debug)]
pub struct Pipe {
    /// The bytes in it.
    pub bytes: VecDeque<u8>,
    /// How many bytes it holds.
    pub(crate) capacity: usize,
    /// How many bytes were taken out of it.
    pub(crate) taken: usize,
    pub(crate) readers: u32,
    pub(crate) writers: u32,
}

impl Pipe {
    pub(crate) const fn new() -> Self {
        Self { bytes: VecDeque::new(), capacity: CAPACITY, taken: 0, readers: 0, writers: 0 }
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Takes up to `most` bytes.
    pub(crate) fn take(&mut self, most: usize) -> Vec<u8> {
        let most = most.min(self.bytes.len());
        self.taken += most;
        self.bytes.drain(..most).collect()
    }

    /// The first bytes, which stay.
    pub(crate) fn first(&self, most: usize) -> Vec<u8> {
        self.bytes.iter().take(most).copied().collect()
    }

    /// How much of a write of `length` bytes fits now: all or nothing up to [`PIPE_BUF`].
    pub(crate) fn fits(&self, length: usize) -> usize {
        let room = self.room();
        if length <= PIPE_BUF && room < length { 0 } else { room.min(length) }
    }
}

impl Kernel {
    fn pipe_of(&self, file: usize) -> Option<&Pipe> {
        let inode = self.open_files.get(&file).and_then(|file| self.inodes.get(&file.inode))?;
        match &inode.content {
            Content::Pipe(pipe) => Some(pipe),
            _ => None,
        }
    }

    /// How many bytes were taken out of the pipe of an open file.
    #[must_use]
    pub fn taken(&self, file: usize) -> usize {
        self.pipe_of(file).map_or(0, |pipe| pipe.taken)
    }

    /// How many bytes were written into the pipe of an open file.
    #[must_use]
    pub fn written(&self, file: usize) -> usize {
        self.pipe_of(file).map_or(0, |pipe| pipe.taken + pipe.bytes.len())
    }

    /// The capacity of a pipe, after it is set to `new`.
    pub(crate) fn pipe_size(&mut self, inode: InodeNumber, new: Option<usize>) -> Result<usize> {
        let inode = self.inodes.get_mut(&inode).ok_or(EBADF)?;
        let Content::Pipe(pipe) = &mut inode.content else { return Err(EBADF) };
        if let Some(new) = new {
            let new = new.max(PIPE_BUF).next_power_of_two();
            if new < pipe.bytes.len() {
                return Err(EBUSY);
            }
            pipe.capacity = new;
            let capacity = pipe.capacity;
            self.changed();
            return Ok(capacity);
        }
        Ok(pipe.capacity)
    }
}
