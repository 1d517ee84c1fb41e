//! Inodes.

use super::epoll::Member;
use super::inotify::Watches;
use super::pipes::Pipe;
use super::tree::InodeNumber;
use super::{FileKey, Kernel};
use std::collections::BTreeMap;

/// What an inode is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A regular file.
    File(Vec<u8>),
    /// A directory.
    Directory {
        /// The names in it, without `.` and `..`.
        entries: BTreeMap<Vec<u8>, InodeNumber>,
        /// Where `..` leads.
        parent: InodeNumber,
    },
    /// A symbolic link.
    Link(Vec<u8>),
    /// A pipe or FIFO.
    Pipe(Pipe),
    /// `/dev/null`.
    Null,
    /// A signalfd for this set.
    Signals(u64),
    /// A pidfd of the process with this serial number.
    ProcessHandle(u64),
    /// An inotify instance.
    Watches(Watches),
    /// An epoll instance.
    EventSet(Vec<Member>),
}

/// An inode.
#[derive(Clone, Debug)]
pub struct Inode {
    /// What it is.
    pub content: Content,
    /// The permissions.
    pub mode: u32,
    /// The number of its names.
    pub links: u32,
    /// The number of open files.
    pub(crate) opens: u32,
    /// Nanoseconds of the wall clock.
    pub(crate) born: u64,
    pub(crate) modified: u64,
    /// Open files with a lock.
    pub(crate) locks: Vec<(FileKey, bool)>,
}

impl Inode {
    pub(crate) const fn new(content: Content, mode: u32, now: u64) -> Self {
        Self { content, mode, links: 1, opens: 0, born: now, modified: now, locks: Vec::new() }
    }

    /// Type and permissions, as stat(2) tells them.
    pub(crate) const fn full_mode(&self) -> u32 {
        let kind = match self.content {
            Content::File(_) => 0o100_000,
            Content::Directory { .. } => 0o040_000,
            Content::Link(_) => 0o120_000,
            Content::Pipe(_) => 0o010_000,
            Content::Null => 0o020_000,
            Content::Signals(_)
            | Content::ProcessHandle(_)
            | Content::Watches(_)
            | Content::EventSet(_) => 0,
        };
        kind | self.mode
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::File(bytes) | Content::Link(bytes) => bytes.len() as u64,
            Content::Directory { .. } => 4096,
            Content::Pipe(_)
            | Content::Null
            | Content::Signals(_)
            | Content::ProcessHandle(_)
            | Content::Watches(_)
            | Content::EventSet(_) => 0,
        }
    }

    /// Whether it survives the end of the processes.
    pub(crate) const fn is_on_disk(&self) -> bool {
        match self.content {
            Content::File(_) | Content::Directory { .. } | Content::Link(_) | Content::Null => true,
            Content::Pipe(_)
            | Content::Signals(_)
            | Content::ProcessHandle(_)
            | Content::Watches(_)
            | Content::EventSet(_) => false,
        }
    }

    pub(crate) const fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory { .. })
    }
}

impl Kernel {
    /// Removes an inode that has neither a name nor an open file.
    pub(crate) fn forget_if_unused(&mut self, number: InodeNumber) {
        if self.inodes.get(&number).is_some_and(|inode| inode.links == 0 && inode.opens == 0) {
            self.inodes.remove(&number);
            self.memory_names.remove(&number);
        }
    }
}
