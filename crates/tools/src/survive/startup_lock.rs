//! The start-up lock: the lock of the scan directory, which a new supervise shares with svscan.
//!
//! The supervise closes it when other programs can find it. If svscan is killed before that, the next
//! svscan waits for the lock, and does not start the service a second time. A variable in the
//! supervise's environment names the descriptor.

use alloc::ffi::CString;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_sys::{BorrowedFd, OwnedFd, fd, process};

const VARIABLE: &str = "DAEMONTOOLS_GATE";

/// The environment entry that names the lock's descriptor to a new supervise.
pub(crate) fn variable(lock: BorrowedFd<'_>) -> CString {
    let number = Decimal::new(fd::number(lock).unsigned_abs().into());
    let variable = [VARIABLE.as_bytes(), b"=", number.as_bytes()].concat();
    CString::new(variable).unwrap_or_default()
}

/// Takes the inherited lock. The caller closes it when other programs can find this process. Comes
/// before anything is opened.
pub(crate) fn inherited() -> Option<OwnedFd> {
    let number = decimal::parse(process::take_env(VARIABLE)?.to_bytes())?;
    fd::take_inherited(i32::try_from(number).ok()?)
}
