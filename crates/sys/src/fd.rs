//! Descriptors: the first three, reading and writing, and the numbers that children find them at.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fs};
use alloc::vec::Vec;
use core::ffi::CStr;
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

/// Where the numbers begin of what is [put away](put_away).
const AWAY: i32 = 64;

/// Gives a descriptor a high number, because it is one of many and the low ones are for what children
/// need; see [`crate::process::spawn_with`]. If there is none free, it stays as it is.
#[must_use]
pub fn put_away(fd: OwnedFd) -> OwnedFd {
    if number(fd.as_fd()) >= AWAY {
        return fd;
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, AWAY).unwrap_or(fd)
}

/// A copy with the lowest number that there is, closed when another program is run.
///
/// # Errors
/// EMFILE when there are no more descriptors.
pub fn copy_low(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
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

/// The highest number of a descriptor that we have not opened ourselves, and that our children have
/// too.
///
/// # Errors
/// What opening and reading `/proc/self/fd` say.
pub fn last_inherited() -> Result<i32> {
    let all = fs::open_dir(fs::HERE, c"/proc/self/fd")?;
    let mut last = 2;
    dir::entries(all.as_fd(), |name, _| {
        let number = name.to_str().ok().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|&number| number > last) else { return };
        // SAFETY: only looked at, and a number without a file says so.
        let flags = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
        if flags == Ok(FdFlags::empty()) {
            last = number;
        }
    })?;
    Ok(last)
}

/// Closes what the program before us in this process has left open of this file without telling us,
/// see [`take_inherited`].
pub fn close_inherited(file: BorrowedFd<'_>) {
    let _ = of_file(c"/proc/self/fd", file, |number| drop(take_inherited(number)));
}

/// Calls `each` for the numbers by which a process, whose directory `/proc/PID/fd` this is, has the
/// same file open, by whatever name.
///
/// # Errors
/// What opening and reading the directory say.
pub fn of_file(process: &CStr, file: BorrowedFd<'_>, mut each: impl FnMut(i32)) -> Result<()> {
    let wanted = rustix::fs::fstat(file)?;
    let all = fs::open_dir(fs::HERE, process)?;
    dir::entries(all.as_fd(), |name, _| {
        let found = rustix::fs::statat(&all, name, rustix::fs::AtFlags::empty());
        if found.is_ok_and(|s| (s.st_dev, s.st_ino) == (wanted.st_dev, wanted.st_ino))
            && let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok())
        {
            each(number);
        }
    })
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
    // Out of the way of the numbers that are to be taken.
    let mut moved = [const { None }; N];
    for (place, (fd, number)) in moved.iter_mut().zip(copies) {
        *place = Some((rustix::io::fcntl_dupfd_cloexec(fd, 10)?, number));
    }
    for (fd, number) in moved.iter().flatten() {
        place(fd.as_fd(), *number)?;
    }
    Ok(())
}

/// In a child, before it runs another program: makes `number` a copy of this descriptor, which that
/// program inherits, whatever was there. If it is the descriptor itself, it becomes inherited.
///
/// # Errors
/// EBADF for a number beyond the limit.
pub fn place(fd: BorrowedFd<'_>, number: i32) -> Result<()> {
    use rustix::fd::{AsRawFd as _, FromRawFd as _};
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, FdFlags::empty());
    }
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is only named here; whatever it was is replaced by the copy, and the owner
    // that is made of it is forgotten again, so that nothing closes it.
    let mut target = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    rustix::io::retry_on_intr(|| rustix::io::dup2(fd, &mut target))
}

/// The same for several at once, each with its number. The numbers of some may be those that others
/// are to get: these are first copied to beyond all of them. Where two are to get the same, the
/// last one does.
///
/// # Errors
/// EBADF for a number beyond the limit, EINVAL and EMFILE if there is none left beyond all of them;
/// some may have been placed then.
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::FromRawFd as _;
    use rustix::io::{fcntl_dupfd_cloexec, fcntl_getfd};

    /// An empty file in memory at a number from `least` on, which nobody else has here, and its
    /// inode.
    fn file(least: i32) -> (OwnedFd, u64) {
        let made = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = fcntl_dupfd_cloexec(made, least).unwrap();
        let inode = crate::fs::open_inode(file.as_fd()).unwrap();
        (file, inode)
    }

    /// The inode of what was placed at a number; it is closed.
    fn take(number: i32) -> u64 {
        // SAFETY: was placed there by the test, which closes it nowhere else.
        let placed = unsafe { OwnedFd::from_raw_fd(number) };
        assert_eq!(fcntl_getfd(&placed), Ok(FdFlags::empty()));
        crate::fs::open_inode(placed.as_fd()).unwrap()
    }

    #[test]
    fn a_descriptor_is_put_away_and_copied_low() {
        let (file, inode) = file(3);
        let file = put_away(file);
        assert!(number(file.as_fd()) >= AWAY);
        assert_eq!(crate::fs::open_inode(file.as_fd()), Ok(inode));
        assert_eq!(fcntl_getfd(&file), Ok(FdFlags::CLOEXEC));
        let copy = copy_low(file.as_fd()).unwrap();
        assert!(number(copy.as_fd()) < number(file.as_fd()));
        assert_eq!(crate::fs::open_inode(copy.as_fd()), Ok(inode));
    }

    #[test]
    fn the_last_inherited_descriptor_is_found() {
        // The highest number that a test uses: others place theirs meanwhile.
        let (file, _) = file(900);
        let last = last_inherited().unwrap();
        assert!(last < number(file.as_fd()), "{last}");
        set_inherited(file.as_fd(), true);
        assert_eq!(last_inherited(), Ok(number(file.as_fd())));
    }

    #[test]
    fn a_descriptor_is_placed_and_inherited() {
        let (first, inode) = file(300);
        place(first.as_fd(), 310).unwrap();
        assert_eq!(fcntl_getfd(&first), Ok(FdFlags::CLOEXEC));
        // Over what was there, and over itself.
        let (second, second_inode) = file(300);
        assert_eq!(take(310), inode);
        place(second.as_fd(), 310).unwrap();
        place(first.as_fd(), 310).unwrap();
        assert_eq!(take(310), inode);
        place(second.as_fd(), number(second.as_fd())).unwrap();
        assert_eq!(take(number(ManuallyDrop::new(second).as_fd())), second_inode);
        assert_eq!(place(first.as_fd(), -1), Err(Errno::BADF));
        assert_eq!(place(first.as_fd(), i32::MAX), Err(Errno::BADF));
    }

    #[test]
    fn no_descriptor_is_overwritten_that_is_still_to_be_placed() {
        let files =
            [file(400), file(400), file(400)].map(|(fd, inode)| (ManuallyDrop::new(fd), inode));
        let [(a, a_inode), (b, b_inode), (c, c_inode)] = &files;
        let numbers = [a, b, c].map(|fd| number(fd.as_fd()));
        let [at_a, at_b, at_c] = numbers;
        // A ring; and one twice, to where nobody is, and where it is already in the end.
        place_all(&[(a.as_fd(), at_b), (b.as_fd(), at_c), (c.as_fd(), at_a), (a.as_fd(), 450)])
            .unwrap();
        assert_eq!(numbers.map(take), [*c_inode, *a_inode, *b_inode]);
        assert_eq!(take(450), *a_inode);
        // The moved copies are gone.
        assert_eq!(file_at(451), None);
    }

    #[test]
    fn what_is_in_its_place_stays_there() {
        let (a, a_inode) = file(500);
        let (b, b_inode) = file(500);
        let (a, b) = (ManuallyDrop::new(a), ManuallyDrop::new(b));
        let (at_a, at_b) = (number(a.as_fd()), number(b.as_fd()));
        place_all(&[(a.as_fd(), at_a), (b.as_fd(), at_b), (a.as_fd(), 550)]).unwrap();
        assert_eq!([at_a, at_b, 550].map(take), [a_inode, b_inode, a_inode]);
        place_all(&[]).unwrap();
    }

    #[test]
    fn the_last_one_gets_a_number_that_two_are_to_get() {
        let (a, _) = file(600);
        let (b, b_inode) = file(600);
        let b = ManuallyDrop::new(b);
        let at_b = number(b.as_fd());
        place_all(&[(a.as_fd(), at_b), (b.as_fd(), at_b)]).unwrap();
        assert_eq!(take(at_b), b_inode);
        assert_eq!(place_all(&[(a.as_fd(), i32::MAX)]), Err(Errno::BADF));
    }

    #[test]
    fn what_was_left_open_of_a_file_is_closed() {
        let (file, inode) = file(800);
        let (other, other_inode) = self::file(800);
        for (fd, number) in [(&file, 850), (&other, 851), (&file, 852)] {
            place(fd.as_fd(), number).unwrap();
        }
        let mut found = Vec::new();
        of_file(c"/proc/self/fd", file.as_fd(), |number| found.push(number)).unwrap();
        found.sort_unstable();
        assert_eq!(found, [number(file.as_fd()), 850, 852]);
        close_inherited(file.as_fd());
        // Not what we have opened ourselves.
        assert_eq!([850, 852, number(file.as_fd())].map(file_at), [None, None, Some(inode)]);
        assert_eq!(take(851), other_inode);
    }

    fn file_at(number: i32) -> Option<u64> {
        // SAFETY: only looked at, and a number without a file says so.
        crate::fs::open_inode(unsafe { BorrowedFd::borrow_raw(number) }).ok()
    }

    #[test]
    fn several_are_arranged() {
        let (a, a_inode) = file(700);
        let (b, b_inode) = file(700);
        arrange([(a, 750), (b, 751)]).unwrap();
        assert_eq!([750, 751].map(take), [a_inode, b_inode]);
    }
}
