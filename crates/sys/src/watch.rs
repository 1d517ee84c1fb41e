//! Being told of changes in a directory.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// A watch on one directory.
pub struct Watch(OwnedFd);

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A name came, or leads elsewhere now.
    Came(&'a CStr),
    /// A name went.
    Went(&'a CStr),
    /// More happened than the kernel could keep: look at everything.
    Lost,
}

impl Watch {
    /// Watches the names of the current directory.
    ///
    /// # Errors
    /// EMFILE and ENOSPC when there are no more watches, ENOSYS without inotify.
    pub fn current_dir() -> Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let names = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&fd, c".", names)?;
        Ok(Self(fd))
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
