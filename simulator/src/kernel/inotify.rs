//! inotify: the names of watched directories.
//!
//! Only changes of names are announced: a watch for anything else counts as an unknown call.

use super::files::Content;
use super::tree::InodeNumber;
use super::{Kernel, Outcome, Pid, Result};
use linux_raw_sys::errno::{EAGAIN, EFAULT, EINVAL, ENOENT, ENOTDIR};
use linux_raw_sys::general::{
    __NR_inotify_add_watch, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR,
    IN_MOVED_FROM, IN_MOVED_TO, IN_ONLYDIR, IN_Q_OVERFLOW, O_CLOEXEC, O_NONBLOCK, O_RDONLY,
};
use machine::copy_out;
use std::collections::VecDeque;

/// The changes that this kernel announces.
const KNOWN: u32 =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR;

/// The length of `struct inotify_event` without a name.
const HEAD: usize = 16;

/// How many events wait in an instance; then one event says that more have come.
/// `/proc/sys/fs/inotify/max_queued_events` tells it.
pub(crate) const MOST_EVENTS: usize = 64;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

impl Event {
    /// The name ends with a zero, and the length is a multiple of that of the head.
    fn length(&self) -> usize {
        let name = if self.name.is_empty() { 0 } else { self.name.len() + 1 };
        HEAD + name.next_multiple_of(HEAD)
    }

    fn bytes(&self) -> Vec<u8> {
        let name = self.length() - HEAD;
        let mut bytes = self.watch.to_ne_bytes().to_vec();
        for word in [self.mask, self.cookie, u32::try_from(name).unwrap_or(0)] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&self.name);
        bytes.resize(self.length(), 0);
        bytes
    }
}

/// An inotify instance.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    /// The watches: number, directory, and what they announce.
    list: Vec<(i32, InodeNumber, u32)>,
    last: i32,
    events: VecDeque<Event>,
}

impl Watches {
    pub(crate) fn is_readable(&self) -> bool {
        !self.events.is_empty()
    }

    fn announce(&mut self, event: Event) {
        // As on Linux, an event like the last one is left out.
        let is_like = |last: &Event| Event { cookie: event.cookie, ..last.clone() } == event;
        if self.events.back().is_some_and(is_like) {
            return;
        }
        match self.events.len() {
            MOST_EVENTS => {
                let (watch, mask) = (-1, IN_Q_OVERFLOW);
                self.events.push_back(Event { watch, mask, cookie: 0, name: Vec::new() });
            }
            0..MOST_EVENTS => self.events.push_back(event),
            _ => {}
        }
    }
}

impl Kernel {
    pub(crate) fn new_watches(&mut self, pid: Pid, flags: u32) -> Result<usize> {
        let number = self.new_inode(Content::Watches(Watches::default()), 0o600);
        self.inodes.get_mut(&number).expect("just made").links = 0;
        let key = self.new_open_file(number, O_RDONLY | flags & O_NONBLOCK);
        self.install(pid, key, flags & O_CLOEXEC != 0, 0)
    }

    pub(crate) fn add_watch(
        &mut self,
        pid: Pid,
        fd: usize,
        path: &[u8],
        mask: u32,
    ) -> Result<usize> {
        const HERE: usize = linux_raw_sys::general::AT_FDCWD as usize;
        let instance = self.inode_of(pid, fd)?;
        let found = self.place(pid, HERE, path, true)?.found.ok_or(ENOENT)?;
        if mask & !KNOWN != 0 {
            self.unknown.insert(__NR_inotify_add_watch as usize);
        }
        if mask & IN_ONLYDIR != 0 && !self.inodes[&found].is_directory() {
            return Err(ENOTDIR);
        }
        let Some(Content::Watches(watches)) =
            self.inodes.get_mut(&instance).map(|it| &mut it.content)
        else {
            return Err(EINVAL);
        };
        let number = match watches.list.iter_mut().find(|(_, inode, _)| *inode == found) {
            Some((number, _, old)) => {
                *old = mask;
                *number
            }
            None => {
                watches.last += 1;
                watches.list.push((watches.last, found, mask));
                watches.last
            }
        };
        self.watching.insert(instance);
        Ok(number.unsigned_abs() as usize)
    }

    /// Announces a change of a name in a directory.
    pub(crate) fn announce(
        &mut self,
        directory: InodeNumber,
        change: u32,
        name: &[u8],
        inode: InodeNumber,
        cookie: u32,
    ) {
        let of = self.inodes.get(&inode).is_some_and(super::Inode::is_directory);
        let mask = if of { change | IN_ISDIR } else { change };
        self.tell_watches(directory, change, |watch| Event {
            watch,
            mask,
            cookie,
            name: name.to_vec(),
        });
    }

    /// A directory is gone for good, and with it the watches.
    pub(crate) fn end_watches(&mut self, directory: InodeNumber) {
        let event = |watch, mask| Event { watch, mask, cookie: 0, name: Vec::new() };
        self.tell_watches(directory, IN_DELETE_SELF, |watch| event(watch, IN_DELETE_SELF));
        self.tell_watches(directory, u32::MAX, |watch| event(watch, IN_IGNORED));
        for instance in &self.watching {
            if let Some(Content::Watches(watches)) =
                self.inodes.get_mut(instance).map(|it| &mut it.content)
            {
                watches.list.retain(|(_, inode, _)| *inode != directory);
            }
        }
    }

    fn tell_watches(&mut self, of: InodeNumber, change: u32, event: impl Fn(i32) -> Event) {
        let inodes = &mut self.inodes;
        // An instance that was closed is gone.
        self.watching.retain(|instance| inodes.contains_key(instance));
        for instance in &self.watching {
            if let Some(Content::Watches(watches)) =
                inodes.get_mut(instance).map(|it| &mut it.content)
                && let Some((number, ..)) =
                    watches.list.iter().find(|(_, inode, mask)| *inode == of && mask & change != 0)
            {
                let event = event(*number);
                watches.announce(event);
            }
        }
    }

    pub(crate) fn read_watches(
        &mut self,
        instance: InodeNumber,
        [buffer, room]: [usize; 2],
        waits: bool,
    ) -> Result<Outcome> {
        let Some(Content::Watches(watches)) =
            self.inodes.get_mut(&instance).map(|it| &mut it.content)
        else {
            return Err(EINVAL);
        };
        if watches.events.is_empty() {
            return if waits { Ok(Outcome::Wait) } else { Err(EAGAIN) };
        }
        let mut bytes = Vec::new();
        while let Some(event) = watches.events.front()
            && bytes.len() + event.length() <= room
        {
            bytes.extend(event.bytes());
            watches.events.pop_front();
        }
        if bytes.is_empty() {
            return Err(EINVAL);
        }
        if copy_out(buffer, &bytes) { Ok(Outcome::Return(bytes.len())) } else { Err(EFAULT) }
    }
}
