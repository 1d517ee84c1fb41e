//! Descriptors: the standard ones, reading and writing, pipes, and the numbers that children
//! inherit.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, kernel};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use rustix::fd::{AsRawFd as _, FromRawFd as _};
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{FdFlags, IoSlice};

/// Descriptor 0.
#[must_use]
pub const fn stdin() -> BorrowedFd<'static> {
    // SAFETY: this program never closes descriptors 0 to 2. If the parent closed one, operations
    // on it fail with EBADF.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Descriptor 1.
#[must_use]
pub const fn stdout() -> BorrowedFd<'static> {
    // SAFETY: this program never closes descriptors 0 to 2. If the parent closed one, operations
    // on it fail with EBADF.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Descriptor 2.
#[must_use]
pub const fn stderr() -> BorrowedFd<'static> {
    // SAFETY: this program never closes descriptors 0 to 2. If the parent closed one, operations
    // on it fail with EBADF.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// How [`fill_missing`] treats a closed descriptor 0, 1 or 2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Children inherit /dev/null.
    NullForChildren,
    /// Children inherit a closed descriptor, as this process did; only this process has /dev/null.
    ClosedForChildren,
}

/// Opens /dev/null on each closed descriptor among 0, 1 and 2. Otherwise a file of the program
/// could get such a number, and messages would be written into it.
///
/// Without /dev/null it opens an empty file in memory that nothing can be written into. Unlike
/// a pipe, that sends no SIGPIPE; unlike a directory, it leads a child nowhere.
pub fn fill_missing(how: Missing) {
    for fd in [stdin(), stdout(), stderr()] {
        if rustix::io::fcntl_getfd(fd) != Err(Errno::BADF) {
            continue;
        }
        let is_inherited = how == Missing::NullForChildren;
        // The kernel assigns the lowest free number. That is `fd`, because the lower ones are open.
        if let Ok(null) = null().or_else(|_| unwritable()) {
            set_inherited(null.as_fd(), is_inherited);
            core::mem::forget(null);
        } else if let Ok(root) = fs::reach_dir(fs::HERE, c"/") {
            // Close-on-exec: a child would reach every file through it.
            core::mem::forget(root);
        }
    }
}

/// Opens /dev/null.
fn null() -> Result<OwnedFd> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // In the image of a container it can be a file that a redirection has made.
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&null)?.st_mode);
    if kind == FileType::CharacterDevice { Ok(null) } else { Err(Errno::NODEV) }
}

/// Makes an empty file in memory that cannot be written.
fn unwritable() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"null", flags)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// The same file with a number above 2. If its number is 0, 1 or 2, standard descriptors were closed.
/// Each gets a placeholder: to use it fails with EBADF, as if it was still closed, and no later
/// file gets its number.
///
/// For the first file that a program opens: it costs nothing if the descriptors are open.
#[must_use]
pub fn above_standard(file: OwnedFd) -> OwnedFd {
    if number(file.as_fd()) > 2 {
        return file;
    }
    let Ok(moved) = duplicate_low(file.as_fd()) else { return file };
    drop(file);
    while let Ok(placeholder) = fs::reach_dir(fs::HERE, c"/") {
        if number(placeholder.as_fd()) > 2 {
            break;
        }
        core::mem::forget(placeholder);
    }
    moved
}

/// The number of a descriptor.
#[must_use]
pub fn number(fd: BorrowedFd<'_>) -> i32 {
    fd.as_raw_fd()
}

/// Reads once; repeats only after EINTR.
///
/// # Errors
/// Those of read(2).
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer))
}

/// Writes once; repeats only after EINTR.
///
/// # Errors
/// Those of write(2).
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))
}

/// Writes all bytes.
///
/// # Errors
/// Those of write(2); a part may have been written.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = write(fd, bytes)?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// Writes up to 15 pieces and `end` with a single call, so that lines of several processes do not
/// mix. Ignores errors.
pub fn write_pieces(fd: BorrowedFd<'_>, pieces: &[&[u8]], end: &[u8]) {
    let vectors = gather(pieces, end);
    let _ = rustix::io::retry_on_intr(|| rustix::io::writev(fd, &vectors));
}

/// Up to 15 pieces and `end`, for one write.
pub(crate) fn gather<'a>(pieces: &[&'a [u8]], end: &'a [u8]) -> [IoSlice<'a>; 16] {
    let mut vectors = [IoSlice::new(b""); 16];
    for (place, piece) in vectors.iter_mut().zip(pieces.iter().copied().chain([end])) {
        *place = IoSlice::new(piece);
    }
    vectors
}

/// Makes reads and writes on a descriptor block, or not.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_blocking(fd: BorrowedFd<'_>, blocking: bool) -> Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, !blocking);
    rustix::fs::fcntl_setfl(fd, flags)
}

/// The number of unread bytes in a FIFO or pipe.
///
/// # Errors
/// ENOTTY: the descriptor does not support FIONREAD.
pub fn unread(fd: BorrowedFd<'_>) -> Result<u64> {
    rustix::io::ioctl_fionread(fd)
}

/// Makes a pipe; returns the read end first. Both ends are close-on-exec.
///
/// # Errors
/// EMFILE and ENFILE: too many descriptors.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}

/// Makes a pipe hold at least this many bytes. Without the permission it stays as it is.
pub fn set_pipe_room(pipe: BorrowedFd<'_>, bytes: usize) {
    if rustix::pipe::fcntl_getpipe_size(pipe).is_ok_and(|room| room < bytes) {
        let _ = rustix::pipe::fcntl_setpipe_size(pipe, bytes);
    }
}

/// Makes a pipe whose write end children inherit; returns the read end first.
///
/// # Errors
/// EMFILE and ENFILE: too many descriptors.
pub fn pipe_for_children() -> Result<(OwnedFd, OwnedFd)> {
    let (read_end, write_end) = pipe()?;
    rustix::io::fcntl_setfd(&write_end, FdFlags::empty())?;
    Ok((read_end, write_end))
}

/// Makes a file in memory with this content, at its start, which stays open across exec.
///
/// # Errors
/// EMFILE and ENFILE: too many descriptors. ENOSYS: no memfd_create.
pub fn memory_for_children(content: &[u8]) -> Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"handover", rustix::fs::MemfdFlags::empty())?;
    write_all(file.as_fd(), content)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// Makes an empty file in memory that is locked, and closed by exec. Other programs find it by its name:
/// [`crate::proc_fd::has_own_memory`].
///
/// # Errors
/// EMFILE and ENFILE: too many descriptors. ENOSYS: no memfd_create.
pub fn locked_memory(name: &CStr) -> Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    crate::lock::try_lock(file.as_fd())?;
    Ok(file)
}

/// Duplicates a descriptor for children. This process never closes the duplicate.
///
/// # Errors
/// EMFILE: too many descriptors.
pub fn copy_for_children(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::dup(fd).map(core::mem::forget)
}

/// The first number that [`move_high`] uses.
const HIGH: i32 = 64;

/// Moves a descriptor to a high number. A process with many descriptors keeps the low numbers for
/// those that children need; see [`crate::process::spawn_with_fds_up_to`]. Without a free high
/// number the descriptor stays where it is.
#[must_use]
pub fn move_high(fd: OwnedFd) -> OwnedFd {
    if number(fd.as_fd()) >= HIGH {
        return fd;
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGH).unwrap_or(fd)
}

/// Duplicates a descriptor to the lowest free number above 2; the duplicate is close-on-exec.
///
/// # Errors
/// EMFILE: too many descriptors.
pub fn duplicate_low(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

/// Makes descriptor `to` (0, 1 or 2) a duplicate of `from` that children inherit.
///
/// # Errors
/// Those of dup3(2); none for open descriptors.
pub fn replace(to: BorrowedFd<'static>, from: BorrowedFd<'_>) -> Result<()> {
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

/// Keeps a descriptor open across exec, or not.
pub fn set_inherited(fd: BorrowedFd<'_>, inherited: bool) {
    let flags = if inherited { FdFlags::empty() } else { FdFlags::CLOEXEC };
    // Cannot fail with an open descriptor.
    let _ = rustix::io::fcntl_setfd(fd, flags);
}

/// Whether a number above 2 is an open descriptor without the close-on-exec flag. This program
/// opens its own descriptors with the flag, so such a descriptor was inherited.
pub(crate) fn is_inherited(number: i32) -> bool {
    if number <= 2 {
        return false;
    }
    // SAFETY: the borrow ends with this query, and the number is not -1. For a number without an
    // open file the kernel answers EBADF.
    let flags = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
    flags == Ok(FdFlags::empty())
}

/// Takes ownership of an inherited descriptor, which the earlier program image in this process left
/// open, and makes it close-on-exec. `None` if the number is not open, not inherited, or 0 to 2.
///
/// Call it before the program opens a file, so that the descriptor has no other owner. A second
/// call with the same number returns `None`.
#[must_use]
pub fn take_inherited(number: i32) -> Option<OwnedFd> {
    if !is_inherited(number) {
        return None;
    }
    // SAFETY: the descriptor is open and has no close-on-exec flag. The program has opened no such
    // descriptor before this call, so it has no other owner.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    set_inherited(owned.as_fd(), false);
    Some(owned)
}

/// In a child before exec: makes `number` a duplicate of this descriptor that the new program
/// inherits, and closes what was there. A descriptor that already has the number becomes inherited.
///
/// # Errors
/// EBADF: a negative number, or one above the limit.
pub fn place(fd: BorrowedFd<'_>, number: i32) -> Result<()> {
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, FdFlags::empty());
    }
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is not -1. dup2 replaces the file at it, and `ManuallyDrop` prevents a
    // close.
    let mut target = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    rustix::io::retry_on_intr(|| rustix::io::dup2(fd, &mut target))
}

/// In a child before exec: [`place`]s each descriptor at the number beside it. First moves all of
/// them to numbers from 10 on, out of the way of wanted numbers below 10.
///
/// # Errors
/// EMFILE: too many descriptors.
pub fn arrange<const N: usize>(copies: [(OwnedFd, i32); N]) -> Result<()> {
    let mut moved = [const { None }; N];
    for (place, (fd, number)) in moved.iter_mut().zip(copies) {
        *place = Some((rustix::io::fcntl_dupfd_cloexec(fd, 10)?, number));
    }
    for (fd, number) in moved.iter().flatten() {
        place(fd.as_fd(), *number)?;
    }
    Ok(())
}

/// In a child before exec: [`place`]s each descriptor at the number beside it. A descriptor whose
/// own number another one is to get is first duplicated above all wanted numbers. If two are to get
/// the same number, the last one does.
///
/// # Errors
/// EBADF: a number above the limit. EINVAL and EMFILE: no free number above all wanted ones. Some
/// descriptors may have been placed.
pub fn place_all(wanted: &[(BorrowedFd<'_>, i32)]) -> Result<()> {
    let beyond = wanted.iter().map(|&(_, target)| target).max().unwrap_or(0).saturating_add(1);
    let mut moved = Vec::with_capacity(wanted.len());
    for (place, &(fd, _)) in wanted.iter().enumerate() {
        let in_the_way = |(other, &(_, target)): (usize, &(BorrowedFd<'_>, i32))| {
            other != place && target == number(fd)
        };
        moved.push(if wanted.iter().enumerate().any(in_the_way) {
            Some(rustix::io::fcntl_dupfd_cloexec(fd, beyond)?)
        } else {
            None
        });
    }
    for (&(fd, target), moved) in wanted.iter().zip(&moved) {
        place(moved.as_ref().map_or(fd, |moved| moved.as_fd()), target)?;
    }
    Ok(())
}

/// In a forked child: closes every descriptor above `last` except this one, and returns that one under
/// another number. Every other [`OwnedFd`] above `last` names no file any more, so the child must not
/// return into code that uses one. `None` if the descriptor cannot be kept; then exec closes the others.
#[must_use]
pub fn close_above(last: i32, kept: BorrowedFd<'_>) -> Option<OwnedFd> {
    let number = last.max(2).checked_add(1)?;
    place(kept, number).ok()?;
    // Fails before Linux 5.9: then exec closes them.
    let _ = kernel::close_range(number.checked_add(1)?, i32::MAX);
    take_inherited(number)
}

/// In a process of its own, which must exit afterwards: keeps `file` open until the other end of the
/// pipe `until` is closed, and closes every other descriptor. So its exit is the last close of the file,
/// which can wait as long as another user likes.
///
/// # Errors
/// Those of dup2(2) and read(2).
pub fn keep_until(file: BorrowedFd<'_>, until: BorrowedFd<'_>) -> Result<()> {
    place_all(&[(file, 0), (until, 1)])?;
    // Before Linux 5.9 the others stay open.
    let _ = kernel::close_range(2, i32::MAX);
    read(stdout(), &mut [0; 1]).map(drop)
}

/// In a process of its own, which must exit afterwards: closes every descriptor except these two.
/// Every other [`OwnedFd`] names no file any more.
///
/// # Errors
/// ENOSYS before Linux 5.9: then they stay open. [`can_close_others`] tells before.
pub fn close_others(kept: [BorrowedFd<'_>; 2]) -> Result<()> {
    let [a, b] = kept.map(number);
    let (first, second) = (a.min(b), a.max(b));
    for (from, to) in [(0, first - 1), (first + 1, second - 1), (second + 1, i32::MAX)] {
        if from <= to {
            kernel::close_range(from, to)?;
        }
    }
    Ok(())
}

/// Whether the kernel has the call of [`close_others`].
#[must_use]
pub fn can_close_others() -> bool {
    // No descriptor has this number.
    kernel::close_range(i32::MAX, i32::MAX).is_ok()
}

#[cfg(test)]
#[path = "fd_tests.rs"]
mod tests;
