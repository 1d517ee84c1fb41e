//! For tests: the standard library's descriptors, which are types of their own without `std`, and
//! patience with what it does beside us. A program that another test starts has copies of all our
//! descriptors for a moment.

use crate::{BorrowedFd, OwnedFd, poll};
use core::time::Duration;
use std::os::fd::{AsRawFd, FromRawFd};

/// Within this everything comes that comes at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks until there is an answer.
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

/// What the standard library makes of a descriptor of ours.
pub(crate) fn from_ours<T: FromRawFd>(fd: OwnedFd) -> T {
    use rustix::fd::IntoRawFd as _;
    // SAFETY: we owned it, and have given it up.
    unsafe { T::from_raw_fd(fd.into_raw_fd()) }
}

/// A descriptor of the standard library.
pub(crate) fn borrowed(theirs: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: it is open as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(theirs.as_raw_fd()) }
}
