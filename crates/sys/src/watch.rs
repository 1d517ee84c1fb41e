//! Being told of changes in directories.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// A watch on directories.
pub struct Watch(OwnedFd);

/// What has happened to the names of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A name came, or leads elsewhere now.
    Came(&'a CStr),
    /// A name went.
    Went(&'a CStr),
    /// More happened than the kernel could keep: look at everything.
    Lost,
}

/// What has happened where there are many watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something under the watch of this number.
    Any(i32),
    /// Somebody closes what is watched by this number, and is about to have closed it.
    Closing(i32),
    /// More than the kernel could keep: look at everything.
    Lost,
}

impl Watch {
    /// Watches the names of the current directory.
    ///
    /// # Errors
    /// EMFILE and ENOSPC when there are no more watches, ENOSYS without inotify.
    pub fn current_dir() -> Result<Self> {
        let new = Self::new()?;
        new.add_names(c".")?;
        Ok(new)
    }

    /// Watches the names of a directory.
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

    /// Watches nothing so far.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors, ENOSYS without inotify.
    pub fn new() -> Result<Self> {
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map(Self)
    }

    /// Watches a directory for files that are replaced, made or written to, and for its own end:
    /// all ways in which a status changes. Gives the watch's number, which is the same for the same
    /// directory.
    ///
    /// # Errors
    /// ENOENT and ENOTDIR without such a directory, EACCES without the right to read it, ENOSPC
    /// when there are no more watches.
    pub fn add(&self, path: &CStr) -> Result<i32> {
        let content = WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.0, path, content)
    }

    /// Watches a FIFO for being read, and for a reader that closes it. Gives the watch's number.
    ///
    /// # Errors
    /// As above, but for ENOTDIR.
    pub fn add_fifo(&self, path: &CStr) -> Result<i32> {
        inotify::add_watch(&self.0, path, WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE)
    }

    /// Gives `each` what has happened so far, in order.
    pub fn events(&self, mut each: impl FnMut(Event)) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(self.0.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    each(Event::Lost);
                }
                Ok(event) if event.events().contains(ReadFlags::CLOSE_NOWRITE) => {
                    each(Event::Closing(event.wd()));
                }
                Ok(event) => each(Event::Any(event.wd())),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Reads away what has happened so far: to look at everything that is watched, afterwards.
    pub fn drain(&self) {
        // The longest event, with a name of 255 bytes, takes 272.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 512];
        while matches!(rustix::io::read(&self.0, &mut buffer), Ok(_) | Err(Errno::INTR)) {}
    }

    /// Gives `each` the changes so far, in order, except those of names beginning with a dot.
    pub fn changes(&self, mut each: impl FnMut(Change<'_>)) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(self.0.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let flags = event.events();
                    let Some(name) = event.file_name() else {
                        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                            each(Change::Lost);
                        }
                        continue;
                    };
                    if name.to_bytes().starts_with(b".") {
                        continue;
                    }
                    if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                        each(Change::Came(name));
                    } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                        each(Change::Went(name));
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// To wait for, until it is readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::ffi::CString;
    use core::time::Duration;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn a_status_that_changes_in_any_way_is_told() {
        let name = std::format!("daemontools-watch-{}", std::process::id());
        let base = std::env::temp_dir().join(name);
        let path = base.join("supervise");
        std::fs::create_dir_all(&path).unwrap();
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let watch = Watch::new().unwrap();
        let number = watch.add(&c_path).unwrap();
        assert_eq!(watch.add(&c_path), Ok(number));
        assert_eq!(watch.add(c"/dev/null"), Err(Errno::NOTDIR));
        let told = || {
            let told = crate::poll::readable([watch.fd()], Some(Duration::ZERO)) == [true];
            watch.drain();
            assert_eq!(crate::poll::readable([watch.fd()], Some(Duration::ZERO)), [false]);
            told
        };
        assert!(!told());
        for _ in 0..100 {
            std::fs::write(path.join("y".repeat(255)), "made").unwrap();
        }
        assert!(told());
        std::fs::write(base.join("status.new"), "elsewhere").unwrap();
        assert!(!told());
        std::fs::rename(base.join("status.new"), path.join("status")).unwrap();
        assert!(told());
        std::fs::write(path.join("status"), "overwritten").unwrap();
        assert!(told());
        std::fs::read(path.join("status")).unwrap();
        assert!(!told());
        std::fs::rename(&path, base.join("moved")).unwrap();
        assert!(told());
        std::fs::remove_dir_all(base).unwrap();
        assert!(told());
    }

    #[test]
    fn reads_and_ends_of_a_fifo_are_told() {
        let name = std::format!("daemontools-watch-fifo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        crate::fs::mkfifo(crate::fs::HERE, &c_path, 0o600).unwrap();
        let watch = Watch::new().unwrap();
        let number = watch.add_fifo(&c_path).unwrap();
        let told = || {
            let mut told = std::vec::Vec::new();
            watch.events(|event| told.push(event));
            told
        };
        let reader = crate::fs::open_read(crate::fs::HERE, &c_path).unwrap();
        let writer = crate::fs::open_write(crate::fs::HERE, &c_path).unwrap();
        crate::fd::write_all(writer.as_fd(), b"xy").unwrap();
        assert_eq!(told(), []);
        assert_eq!(crate::fd::read(reader.as_fd(), &mut [0; 1]), Ok(1));
        assert_eq!(told(), [Event::Any(number)]);
        drop(writer);
        assert_eq!(told(), []);
        drop(reader);
        assert_eq!(told(), [Event::Closing(number)]);
        std::fs::remove_file(path).unwrap();
    }
}
