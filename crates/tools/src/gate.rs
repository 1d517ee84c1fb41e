//! The gate between svscan and a new supervise: the lock of the scan directory, which the supervise
//! shares until others can find it. If svscan is killed meanwhile, the next one waits for it, and
//! does not start another.
//!
//! The supervise is told by a variable which descriptor that is.

use alloc::ffi::CString;
use daemontools_core::decimal::{self, Decimal};
use daemontools_sys::{BorrowedFd, OwnedFd, fd, process};

const VARIABLE: &str = "DAEMONTOOLS_GATE";

/// The variable by which a new supervise is told that it has inherited this lock.
pub(crate) fn variable(lock: BorrowedFd<'_>) -> CString {
    let number = Decimal::new(fd::number(lock).unsigned_abs().into());
    let variable = [VARIABLE.as_bytes(), b"=", number.as_bytes()].concat();
    CString::new(variable).unwrap_or_default()
}

/// What we have inherited, to be closed when others can find us. To be called first of all.
pub(crate) fn inherited() -> Option<OwnedFd> {
    let number = decimal::parse(process::take_env(VARIABLE)?.to_bytes())?;
    fd::take_inherited(i32::try_from(number).ok()?)
}
