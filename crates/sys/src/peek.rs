//! Reading from a pipe without removing the bytes, with tee(2).

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, poll};
use core::time::Duration;
use rustix::io::retry_on_intr;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice, tee};

/// The wanted capacity of the pipe. The bytes stay in the pipe until multilog has written them, and
/// with the default capacity the writer would wait that long.
const ROOM: usize = 512 * 1024;

/// A pipe from which bytes are copied first and removed later. Bytes that are not consumed survive
/// the death of this process.
pub struct Peek<'a> {
    pipe: BorrowedFd<'a>,
    second: SecondPipe,
    /// The earlier capacity, if [`Peek::new`] has raised it.
    former_room: Option<usize>,
}

/// The means to look into any number of pipes.
pub struct SecondPipe {
    /// A pipe for the copies. The kernel copies references to pages, not bytes.
    copy: (OwnedFd, OwnedFd),
    /// /dev/null, into which the kernel moves what is removed.
    null: Option<OwnedFd>,
}

impl<'a> Peek<'a> {
    /// Opens the second pipe, and raises the capacity of both if the kernel permits it.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors. ENOENT: no /dev/null.
    pub fn new(pipe: BorrowedFd<'a>) -> Result<Self> {
        let null = fs::open_write(fs::HERE, c"/dev/null")?;
        let second = SecondPipe { copy: fd::pipe()?, null: Some(null) };
        let room = fcntl_getpipe_size(pipe)?;
        // The kernel refuses above the limits on pipe pages; a smaller pipe works too.
        let grown = room < ROOM && fcntl_setpipe_size(pipe, ROOM).is_ok();
        let _ = fcntl_setpipe_size(&second.copy.0, ROOM);
        Ok(Self { pipe, second, former_room: grown.then_some(room) })
    }

    /// Copies the first bytes in the pipe without removing them; returns their number, 0 if the
    /// pipe is empty.
    ///
    /// # Errors
    /// EINVAL: not a pipe.
    pub fn look(&self, buffer: &mut [u8]) -> Result<usize> {
        self.second.look(self.pipe, buffer)
    }

    /// Removes `count` bytes, which must be in the pipe.
    pub fn consume(&self, count: usize) {
        self.second.consume(self.pipe, count);
    }
}

impl SecondPipe {
    /// Opens the second pipe.
    ///
    /// # Errors
    /// EMFILE and ENFILE: too many descriptors.
    pub fn new() -> Result<Self> {
        Ok(Self { copy: fd::pipe()?, null: fs::open_write(fs::HERE, c"/dev/null").ok() })
    }

    /// Makes this pipe and `pipe` hold at least this many bytes, if the kernel permits it. Returns the
    /// smaller capacity: a look shows at most that much.
    pub fn enlarge(&self, pipe: BorrowedFd<'_>, bytes: usize) -> usize {
        fd::set_pipe_room(self.copy.0.as_fd(), bytes);
        fd::set_pipe_room(pipe, bytes);
        self.capacity(pipe)
    }

    /// The smaller capacity of this pipe and `pipe`.
    #[must_use]
    pub fn capacity(&self, pipe: BorrowedFd<'_>) -> usize {
        capacity(self.copy.0.as_fd()).min(capacity(pipe))
    }

    /// Whether a look into a buffer of sufficient size shows everything in `pipe`.
    #[must_use]
    pub fn shows_all(&self, pipe: BorrowedFd<'_>) -> bool {
        capacity(self.copy.0.as_fd()) >= capacity(pipe)
    }

    /// Copies the first bytes in `pipe` without removing them; returns their number, 0 if the pipe is
    /// empty.
    ///
    /// # Errors
    /// EINVAL: not a pipe.
    pub fn look(&self, pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
        let (out, into) = &self.copy;
        let most = buffer.len();
        let copied = match retry_on_intr(|| tee(pipe, into, most, SpliceFlags::NONBLOCK)) {
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

    /// Removes `count` bytes, which must be in `pipe`.
    pub fn consume(&self, pipe: BorrowedFd<'_>, mut count: usize) {
        while count > 0 {
            let flags = SpliceFlags::NONBLOCK;
            let moved = self.null.as_ref().ok_or(Errno::NODEV);
            let moved = moved.and_then(|null| splice(pipe, None, null, None, count, flags));
            let taken = match moved {
                Err(Errno::INTR) => continue,
                // A read costs more, but works where splice does not.
                Err(_) => discard(pipe, count),
                taken => taken,
            };
            match taken {
                // Another reader has taken the bytes.
                Ok(0) | Err(_) => return,
                Ok(n) => count -= n.min(count),
            }
        }
    }
}

/// The capacity of a pipe; 0 for another file.
fn capacity(pipe: BorrowedFd<'_>) -> usize {
    fcntl_getpipe_size(pipe).unwrap_or(0)
}

/// Whether each page of a pipe has bytes in it. Then a write can be waiting for room, although the pipe has
/// fewer bytes than its capacity: a page does not hold two writes unless both fit.
///
/// # Errors
/// EMFILE and ENFILE: too many descriptors. EPERM: the user has too many pages in pipes. EAGAIN: the pipe is
/// empty. EINVAL: not a pipe.
pub fn is_full(pipe: BorrowedFd<'_>) -> Result<bool> {
    let capacity = fcntl_getpipe_size(pipe)?;
    // tee copies page by page: what fills the one pipe fills the other.
    let (_out, into) = fd::pipe()?;
    if fcntl_getpipe_size(&into)? != capacity {
        fcntl_setpipe_size(&into, capacity)?;
    }
    retry_on_intr(|| tee(pipe, &into, capacity, SpliceFlags::NONBLOCK))?;
    Ok(!poll::writable(into.as_fd(), Duration::ZERO))
}

/// Reads and discards at most `most` bytes; returns their number.
fn discard(pipe: BorrowedFd<'_>, most: usize) -> Result<usize> {
    let mut room = [0; 4096];
    let most = most.min(room.len());
    fd::read(pipe, room.get_mut(..most).unwrap_or_default())
}

impl Drop for Peek<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.former_room {
            // The kernel refuses if the pipe holds more than that.
            let _ = fcntl_setpipe_size(self.pipe, room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_pipe_is_full_when_each_page_has_bytes() {
        let (out, into) = fd::pipe().unwrap();
        let pipe = out.as_fd();
        let capacity = fcntl_setpipe_size(&into, 8192).unwrap();
        let page = 4096;
        assert_eq!(is_full(pipe), Err(Errno::AGAIN));
        fd::write(into.as_fd(), b"x").unwrap();
        assert_eq!(is_full(pipe), Ok(capacity == page));
        // One page each: they do not fit into the room that is left.
        for _ in 1..capacity / page {
            assert_eq!(fd::write(into.as_fd(), &vec![b'y'; page]), Ok(page));
        }
        assert_eq!(is_full(pipe), Ok(true));
        fd::read(pipe, &mut [0]).unwrap();
        assert_eq!(is_full(pipe), Ok(false));
    }
}
