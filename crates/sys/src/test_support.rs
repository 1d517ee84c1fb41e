//! Support for tests: conversions between our descriptors and those of the standard library, files
//! at known numbers, and waiting.
//!
//! Tests run at the same time. A program that another test starts has copies of all descriptors
//! until its exec, so tests wait for effects of a close.

use crate::{AsFd as _, BorrowedFd, OwnedFd, fd, fs, poll};
use core::time::Duration;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The longest time that a test waits for an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `ask` until it answers; panics after [`PATIENCE`].
pub(crate) fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "no answer");
        poll::pause(Duration::from_millis(1));
    }
}

/// Converts a descriptor to a type of the standard library.
pub(crate) fn into_std<T: FromRawFd>(fd: OwnedFd) -> T {
    use rustix::fd::IntoRawFd as _;
    // SAFETY: `into_raw_fd` has given up the ownership.
    unsafe { T::from_raw_fd(fd.into_raw_fd()) }
}

/// Borrows the descriptor of an object of the standard library.
pub(crate) fn borrow_std(object: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the object keeps its descriptor open as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(object.as_raw_fd()) }
}

/// An empty file in memory at a number from `least` on, and its inode. Each test has its own range
/// of numbers.
pub(crate) fn file_above(least: i32) -> (OwnedFd, u64) {
    let made = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let file = fcntl_dupfd_cloexec(made, least).unwrap();
    let inode = fs::open_inode(file.as_fd()).unwrap();
    (file, inode)
}

/// The inode of the file that a test has placed at a number, where children inherit it. Closes it.
pub(crate) fn take_placed(number: i32) -> u64 {
    use rustix::fd::FromRawFd as _;
    // SAFETY: `fd::place` left the descriptor without an owner, and the test closes it only here.
    let placed = unsafe { OwnedFd::from_raw_fd(number) };
    assert_eq!(fcntl_getfd(&placed), Ok(FdFlags::empty()));
    fs::open_inode(placed.as_fd()).unwrap()
}

/// The inode of the file at a number; `None` if the number is not open.
pub(crate) fn inode_at(number: i32) -> Option<u64> {
    // SAFETY: the borrow ends with this query. For a number without an open file the kernel answers
    // EBADF.
    fs::open_inode(unsafe { BorrowedFd::borrow_raw(number) }).ok()
}

/// The number of a descriptor.
pub(crate) fn number(fd: &OwnedFd) -> i32 {
    fd::number(fd.as_fd())
}

/// Calls `test` with a new empty directory, and removes the directory.
pub(crate) fn with_dir(name: &str, test: impl FnOnce(&Path, BorrowedFd<'_>)) {
    let name = std::format!("daemontools-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).unwrap();
    let at = alloc::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    test(&path, fs::open_dir(fs::HERE, &at).unwrap().as_fd());
    std::fs::remove_dir_all(path).unwrap();
}
