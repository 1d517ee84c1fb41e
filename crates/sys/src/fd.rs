//! Descriptors: the first three, reading and writing.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use core::mem::ManuallyDrop;
use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, IoSlice};

/// Descriptor 0.
#[must_use]
pub const fn stdin() -> BorrowedFd<'static> {
    // SAFETY: no code of ours closes the first three, and an operation on one that was closed
    // before our start says EBADF: a borrowed number is all we need.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Descriptor 1.
#[must_use]
pub const fn stdout() -> BorrowedFd<'static> {
    // SAFETY: no code of ours closes the first three, and an operation on one that was closed
    // before our start says EBADF: a borrowed number is all we need.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Descriptor 2.
#[must_use]
pub const fn stderr() -> BorrowedFd<'static> {
    // SAFETY: no code of ours closes the first three, and an operation on one that was closed
    // before our start says EBADF: a borrowed number is all we need.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// What becomes of a missing descriptor 0, 1 or 2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Our children get /dev/null there.
    NullForChildren,
    /// Our children find it closed, as we did; only we have /dev/null there.
    ClosedForChildren,
}

/// Opens /dev/null on those of the first three descriptors that are closed, so that none of our
/// own files takes such a number and gets messages written into it.
pub fn fill_missing(how: Missing) {
    for fd in [stdin(), stdout(), stderr()] {
        if rustix::io::fcntl_getfd(fd) != Err(Errno::BADF) {
            continue;
        }
        let flags = match how {
            Missing::NullForChildren => OFlags::RDWR,
            Missing::ClosedForChildren => OFlags::RDWR | OFlags::CLOEXEC,
        };
        // The kernel gives the lowest free number: that of `fd`, as those below it are open.
        if let Ok(null) = rustix::fs::open(c"/dev/null", flags, Mode::empty()) {
            core::mem::forget(null);
        }
    }
}

/// Makes descriptor `to` (0, 1 or 2) a copy of `from`, which children inherit.
///
/// # Errors
/// What dup3 says; not with open descriptors.
pub fn replace(to: BorrowedFd<'static>, from: BorrowedFd<'_>) -> Result<()> {
    use rustix::fd::AsRawFd as _;
    if to.as_raw_fd() == from.as_raw_fd() {
        return rustix::io::fcntl_setfd(from, FdFlags::empty());
    }
    let done = match to.as_raw_fd() {
        0 => rustix::stdio::dup2_stdin(from),
        1 => rustix::stdio::dup2_stdout(from),
        _ => rustix::stdio::dup2_stderr(from),
    };
    match done {
        Err(Errno::INTR) => replace(to, from),
        other => other,
    }
}

/// Reads what is there, once, repeating only when interrupted.
///
/// # Errors
/// What read says.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer))
}

/// Writes once, repeating only when interrupted.
///
/// # Errors
/// What write says.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))
}

/// Writes all of it.
///
/// # Errors
/// What write says; a part may have been written.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = write(fd, bytes)?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// Lets reads and writes wait (or not).
///
/// # Errors
/// What fcntl says.
pub fn set_blocking(fd: BorrowedFd<'_>, blocking: bool) -> Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, !blocking);
    rustix::fs::fcntl_setfl(fd, flags)
}

/// A pipe, read end first; both ends are closed when another program is run.
///
/// # Errors
/// EMFILE and ENFILE when there are no more descriptors.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}

/// A pipe, read end first, whose write end programs that we run inherit.
///
/// # Errors
/// EMFILE and ENFILE when there are no more descriptors.
pub fn pipe_for_children() -> Result<(OwnedFd, OwnedFd)> {
    let (read_end, write_end) = pipe()?;
    rustix::io::fcntl_setfd(&write_end, FdFlags::empty())?;
    Ok((read_end, write_end))
}

/// A file in memory with this content, read from its beginning, which the program that we become
/// inherits.
///
/// # Errors
/// EMFILE and ENFILE when there are no more descriptors, ENOSYS where there are no such files.
pub fn memory_for_children(content: &[u8]) -> Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"handover", rustix::fs::MemfdFlags::empty())?;
    write_all(file.as_fd(), content)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// The number of a descriptor.
#[must_use]
pub fn number(fd: BorrowedFd<'_>) -> i32 {
    use rustix::fd::AsRawFd as _;
    fd.as_raw_fd()
}

/// Lets the program that we become inherit a descriptor, or not.
pub fn set_inherited(fd: BorrowedFd<'_>, inherited: bool) {
    let flags = if inherited { FdFlags::empty() } else { FdFlags::CLOEXEC };
    // Cannot fail with an open descriptor.
    let _ = rustix::io::fcntl_setfd(fd, flags);
}

/// Takes a descriptor that the program before us, which was this same process, has handed over:
/// one that is open, inherited and none of the first three. To be called before anything is
/// opened, once for each number, so that nobody else can own it.
#[must_use]
pub fn take_inherited(number: i32) -> Option<OwnedFd> {
    use rustix::fd::FromRawFd as _;
    if number <= 2 {
        return None;
    }
    // SAFETY: only looked at, and a number without a file says so.
    let flags = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
    // What we open ourselves has the flag, and so does what was taken before.
    if flags != Ok(FdFlags::empty()) {
        return None;
    }
    // SAFETY: it is open, and nobody in this program owns it, see above.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    set_inherited(owned.as_fd(), false);
    Some(owned)
}

/// How many bytes of a FIFO or pipe nobody has read yet.
///
/// # Errors
/// ENOTTY where that cannot be told.
pub fn unread(fd: BorrowedFd<'_>) -> Result<u64> {
    rustix::io::ioctl_fionread(fd)
}

/// Opens one more copy, which the program that we become inherits: it is never closed by us.
///
/// # Errors
/// EMFILE when there are no more descriptors.
pub fn copy_for_children(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::dup(fd).map(core::mem::forget)
}

/// Writes the pieces and `end` with a single call, so that lines of several processes do not mix.
/// Errors are ignored.
pub fn write_pieces(fd: BorrowedFd<'_>, pieces: &[&[u8]], end: &[u8]) {
    let mut vectors = [IoSlice::new(b""); 16];
    for (place, piece) in vectors.iter_mut().zip(pieces.iter().copied().chain([end])) {
        *place = IoSlice::new(piece);
    }
    let _ = rustix::io::retry_on_intr(|| rustix::io::writev(fd, &vectors));
}

/// In a child, before it runs another program: makes each of these a copy of its descriptor, at
/// the number beside it, whatever was there.
///
/// # Errors
/// EMFILE when there are no more descriptors.
pub fn arrange<const N: usize>(copies: [(OwnedFd, i32); N]) -> Result<()> {
    use rustix::fd::FromRawFd as _;
    // Out of the way of the numbers that are to be taken.
    let mut moved = [const { None }; N];
    for (place, (fd, number)) in moved.iter_mut().zip(copies) {
        *place = Some((rustix::io::fcntl_dupfd_cloexec(fd, 10)?, number));
    }
    for (fd, number) in moved.iter().flatten() {
        // SAFETY: the number is only named here; whatever it was is replaced by the copy, and the
        // owner that is made of it is forgotten again, so that nothing closes it.
        let mut target = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(*number) });
        rustix::io::dup2(fd, &mut target)?;
    }
    Ok(())
}
