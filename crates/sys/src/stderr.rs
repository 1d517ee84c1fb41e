//! Writing to standard error without waiting.
//!
//! Other processes share the open file of standard error. Its flag `O_NONBLOCK` would hold for them
//! too, so a write here asks for itself not to wait.

use crate::fd::{gather, stderr};
use crate::fs::{self, HERE};
use crate::{Errno, Result, kernel, poll};
use core::time::Duration;
use linux_raw_sys::general::{SIG_BLOCK, SIG_SETMASK, SIGTTOU};
use rustix::fs::{FileType, fstat};
use rustix::io::{IoSlice, ReadWriteFlags, pwritev2, retry_on_intr, writev};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

/// Writes up to 15 pieces and `end` to standard error with a single call, without waiting. Returns
/// the number of bytes that were written, which may be fewer.
///
/// A regular file never makes a writer wait, except for its disk.
///
/// # Errors
/// EAGAIN: the pipe, socket or terminal takes nothing now. Others as for writev(2).
pub fn write_now(pieces: &[&[u8]], end: &[u8]) -> Result<usize> {
    let vectors = &gather(pieces, end);
    match fstat(stderr()).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Fifo | FileType::CharacterDevice) => write_at_once(vectors),
        Ok(FileType::Socket) => {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut control = SendAncillaryBuffer::default();
            retry_on_intr(|| sendmsg(stderr(), vectors, &mut control, flags))
        }
        _ => retry_on_intr(|| writev(stderr(), vectors)),
    }
}

/// Writes to a pipe or a device.
fn write_at_once(vectors: &[IoSlice<'_>]) -> Result<usize> {
    /// The position of the open file.
    const CURRENT: u64 = u64::MAX;
    match retry_on_intr(|| pwritev2(stderr(), vectors, CURRENT, ReadWriteFlags::NOWAIT)) {
        // Terminals do not know the flag, nor do pipes before Linux 6.4.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        result => return result,
    }
    match fs::open_write(HERE, c"/proc/self/fd/2") {
        // An open file of our own, with O_NONBLOCK.
        Ok(own) => without_stop(|| retry_on_intr(|| writev(&own, vectors))),
        // No reader.
        Err(Errno::NXIO) => Err(Errno::PIPE),
        // The terminal or pipe belongs to another user. A write of a line waits only if another
        // process fills or stops it between these two calls.
        Err(_) if poll::writable(stderr(), Duration::ZERO) => {
            without_stop(|| retry_on_intr(|| writev(stderr(), vectors)))
        }
        Err(_) => Err(Errno::AGAIN),
    }
}

/// Blocks TTOU during a write. A process with the terminal can set `tostop`, by which a write in the
/// background stops the writer.
fn without_stop(write: impl FnOnce() -> Result<usize>) -> Result<usize> {
    let before = kernel::set_mask(SIG_BLOCK, 1 << (SIGTTOU - 1));
    let written = write();
    if let Ok(before) = before {
        // Cannot fail: the operation and the pointer are valid.
        let _ = kernel::set_mask(SIG_SETMASK, before);
    }
    written
}
