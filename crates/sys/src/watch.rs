//! Notification of changes in directories and FIFOs, with inotify.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::event::epoll;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// An inotify instance.
pub struct Watch(OwnedFd);

/// A change of the names in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameChange<'a> {
    /// A name appeared, or was replaced.
    Appeared(&'a CStr),
    /// A name disappeared.
    Disappeared(&'a CStr),
    /// The event queue overflowed: look at everything.
    Overflow,
}

/// An event where one instance has many watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A change under the watch with this number.
    Changed(i32),
    /// A reader of the FIFO with this watch number is closing it. The close may not have finished.
    Closing(i32),
    /// The event queue overflowed: look at everything.
    Overflow,
}

impl Watch {
    /// Makes an instance that watches the names of the current directory.
    ///
    /// # Errors
    /// EMFILE, ENFILE: too many descriptors. ENOSPC: too many watches. ENOSYS: no inotify.
    pub fn current_dir() -> Result<Self> {
        let new = Self::new()?;
        new.add_names(c".")?;
        Ok(new)
    }

    /// Watches the names of a directory; returns the number of the watch.
    ///
    /// # Errors
    /// As for [`Watch::add`].
    pub fn add_names(&self, path: &CStr) -> Result<i32> {
        let names = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.0, path, names)
    }

    /// Makes an instance without watches.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors. ENOSYS: no inotify.
    pub fn new() -> Result<Self> {
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map(Self)
    }

    /// Watches a directory for created, replaced and modified files, and for its own removal: all
    /// ways in which a status changes. Returns the number of the watch, which is the same for the
    /// same directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR: no such directory. EACCES: not permitted to read it. ENOSPC: too many
    /// watches.
    pub fn add(&self, path: &CStr) -> Result<i32> {
        let content = WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.0, path, content)
    }

    /// Watches a FIFO for reads and for readers that close it; returns the number of the watch.
    ///
    /// # Errors
    /// As for [`Watch::add`], except ENOTDIR.
    pub fn add_fifo(&self, path: &CStr) -> Result<i32> {
        inotify::add_watch(&self.0, path, WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE)
    }

    /// Calls `each` for the pending events, in order.
    pub fn events(&self, mut each: impl FnMut(WatchEvent)) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(self.0.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    each(WatchEvent::Overflow);
                }
                Ok(event) if event.events().contains(ReadFlags::CLOSE_NOWRITE) => {
                    each(WatchEvent::Closing(event.wd()));
                }
                Ok(event) => each(WatchEvent::Changed(event.wd())),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Discards the pending events. The caller then looks at everything that is watched.
    pub fn drain(&self) {
        // The longest event, with a name of 255 bytes, takes 272.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 512];
        while matches!(rustix::io::read(&self.0, &mut buffer), Ok(_) | Err(Errno::INTR)) {}
    }

    /// Calls `each` for the pending changes, in order.
    pub fn changes(&self, mut each: impl FnMut(NameChange<'_>)) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(self.0.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let flags = event.events();
                    let Some(name) = event.file_name() else {
                        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                            each(NameChange::Overflow);
                        }
                        continue;
                    };
                    if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                        each(NameChange::Appeared(name));
                    } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                        each(NameChange::Disappeared(name));
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reports that a file system was mounted, unmounted or moved in this process's mount namespace.
pub struct MountWatch {
    /// An epoll instance: the mount table itself always polls as readable.
    set: OwnedFd,
    _mounts: OwnedFd,
}

impl MountWatch {
    /// Watches the mounts.
    ///
    /// # Errors
    /// ENOENT: no /proc. EMFILE, ENFILE: too many descriptors.
    pub fn new() -> Result<Self> {
        let mounts = crate::fs::open_read(crate::fs::HERE, c"/proc/self/mountinfo")?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&set, &mounts, epoll::EventData::new_u64(0), epoll::EventFlags::PRI)?;
        Ok(Self { set, _mounts: mounts })
    }

    /// The descriptor to wait for. A wait reports it as readable once for each change.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::ffi::CString;
    use core::time::Duration;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn every_way_of_changing_a_status_is_reported() {
        let name = std::format!("daemontools-watch-{}", std::process::id());
        let base = std::env::temp_dir().join(name);
        let path = base.join("supervise");
        std::fs::create_dir_all(&path).unwrap();
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let watch = Watch::new().unwrap();
        let number = watch.add(&c_path).unwrap();
        assert_eq!(watch.add(&c_path), Ok(number));
        assert_eq!(watch.add(c"/dev/null"), Err(Errno::NOTDIR));
        let reported = || {
            let ready = crate::poll::readable([watch.fd()], Some(Duration::ZERO)) == [true];
            watch.drain();
            assert_eq!(crate::poll::readable([watch.fd()], Some(Duration::ZERO)), [false]);
            ready
        };
        assert!(!reported());
        for _ in 0..100 {
            std::fs::write(path.join("y".repeat(255)), "made").unwrap();
        }
        assert!(reported());
        std::fs::write(base.join("status.new"), "elsewhere").unwrap();
        assert!(!reported());
        std::fs::rename(base.join("status.new"), path.join("status")).unwrap();
        assert!(reported());
        std::fs::write(path.join("status"), "overwritten").unwrap();
        assert!(reported());
        std::fs::read(path.join("status")).unwrap();
        assert!(!reported());
        std::fs::rename(&path, base.join("moved")).unwrap();
        assert!(reported());
        std::fs::remove_dir_all(base).unwrap();
        assert!(reported());
    }

    #[test]
    fn reads_and_closes_of_a_fifo_are_reported() {
        let name = std::format!("daemontools-watch-fifo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        crate::fs::mkfifo(crate::fs::HERE, &c_path, 0o600).unwrap();
        let watch = Watch::new().unwrap();
        let number = watch.add_fifo(&c_path).unwrap();
        let events = || {
            let mut events = std::vec::Vec::new();
            watch.events(|event| events.push(event));
            events
        };
        let reader = crate::fs::open_read(crate::fs::HERE, &c_path).unwrap();
        let writer = crate::fs::open_write(crate::fs::HERE, &c_path).unwrap();
        crate::fd::write_all(writer.as_fd(), b"xy").unwrap();
        assert_eq!(events(), []);
        assert_eq!(crate::fd::read(reader.as_fd(), &mut [0; 1]), Ok(1));
        assert_eq!(events(), [WatchEvent::Changed(number)]);
        drop(writer);
        assert_eq!(events(), []);
        drop(reader);
        assert_eq!(events(), [WatchEvent::Closing(number)]);
        std::fs::remove_file(path).unwrap();
    }
}
