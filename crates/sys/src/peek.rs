//! Looking at what is in a pipe before it is taken out.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs};
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice, tee};

/// How much there shall be room for in a pipe that is looked into. What was seen stays in it until it
/// is written, so that in a pipe that is no larger the writer would have to wait all that time.
const ROOM: usize = 512 * 1024;

/// Looks into a pipe. What was seen stays there until it is consumed, so that it outlives us.
pub struct Peek<'a> {
    pipe: BorrowedFd<'a>,
    /// A second pipe, which gets a copy (of references to pages, not of bytes).
    copy: (OwnedFd, OwnedFd),
    null: OwnedFd,
    /// How much there was room for before, if we have made more.
    former_room: Option<usize>,
}

impl<'a> Peek<'a> {
    /// Prepares for it.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors; without /dev/null, ENOENT.
    pub fn new(pipe: BorrowedFd<'a>) -> Result<Self> {
        let null = fs::open_write(fs::HERE, c"/dev/null")?;
        let copy = fd::pipe()?;
        let room = fcntl_getpipe_size(pipe)?;
        // Who has too many pages in pipes, or may not have so much in one, goes on with less.
        let grown = room < ROOM && fcntl_setpipe_size(pipe, ROOM).is_ok();
        let _ = fcntl_setpipe_size(&copy.0, ROOM);
        Ok(Self { pipe, copy, null, former_room: grown.then_some(room) })
    }

    /// Copies the beginning of what is in the pipe; gives how much that is, 0 if the pipe is
    /// empty.
    ///
    /// # Errors
    /// EINVAL if it is no pipe.
    pub fn look(&self, buffer: &mut [u8]) -> Result<usize> {
        let (out, into) = &self.copy;
        let most = buffer.len();
        let copied = match tee(self.pipe, into, most, SpliceFlags::NONBLOCK) {
            Err(Errno::AGAIN) => return Ok(0),
            other => other?,
        };
        let mut read = 0;
        while read < copied {
            match fd::read(out.as_fd(), buffer.get_mut(read..copied).unwrap_or_default())? {
                0 => break,
                n => read += n,
            }
        }
        Ok(read)
    }

    /// Takes so much out of the pipe, which has to be there.
    pub fn consume(&self, mut count: usize) {
        while count > 0 {
            let flags = SpliceFlags::NONBLOCK;
            let taken = match splice(self.pipe, None, &self.null, None, count, flags) {
                Err(Errno::INTR) => continue,
                // It costs more, and needs less of the kernel.
                Err(_) => self.read(count),
                taken => taken,
            };
            match taken {
                // Somebody else has taken it.
                Ok(0) | Err(_) => return,
                Ok(n) => count -= n.min(count),
            }
        }
    }

    /// Reads of the pipe, at most so much, what nobody wants to have.
    fn read(&self, most: usize) -> Result<usize> {
        let mut room = [0; 4096];
        let most = most.min(room.len());
        fd::read(self.pipe, room.get_mut(..most).unwrap_or_default())
    }
}

impl Drop for Peek<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.former_room {
            // If there is more in it, it stays large.
            let _ = fcntl_setpipe_size(self.pipe, room);
        }
    }
}
