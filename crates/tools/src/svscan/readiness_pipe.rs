//! The pipe by which svscanboot learns that its svscan has read the scan directory. It exists only if a
//! service manager waits for that. A variable in the environment of svscan names the descriptor.

use alloc::ffi::CString;
use alloc::vec::Vec;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, fd, process};

const VARIABLE: &str = "DAEMONTOOLS_READY";

/// The entry of the environment that names this descriptor.
pub(super) fn variable(write_end: BorrowedFd<'_>) -> CString {
    let number = Decimal::new(fd::number(write_end).unsigned_abs().into());
    let variable: Vec<u8> = [VARIABLE.as_bytes(), b"=", number.as_bytes()].concat();
    CString::new(variable).unwrap_or_default()
}

/// The write end that svscan inherits from svscanboot, in svscan. Comes before anything is opened.
pub(super) struct ReadinessPipe(Option<OwnedFd>);

impl ReadinessPipe {
    /// Takes the pipe and the variable, which the services do not get.
    pub(super) fn take() -> Self {
        let number = process::take_env(VARIABLE).and_then(|text| decimal::parse(text.to_bytes()));
        let number = number.and_then(|number| i32::try_from(number).ok());
        Self(number.and_then(fd::take_inherited))
    }

    /// Reports that svscan is ready, and closes the pipe.
    pub(super) fn report(&mut self) {
        if let Some(write_end) = self.0.take() {
            // The pipe is empty: this does not wait.
            let _ = fd::write_all(write_end.as_fd(), b"\n");
        }
    }
}
