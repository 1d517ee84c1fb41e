//! `svc -H`: ends the svscan of a scan directory with an exit code.
//!
//! The signal is RTMIN+3, which stops svscan in order in any case. The code is the value that comes
//! with it, as sigqueue(3) sends one. The signal goes to the process that has the lock of the
//! directory, held by a descriptor, so that it never reaches another one.

use crate::common::diag::{self, PERMANENT};
use crate::survive::lock_holder;
use core::ffi::CStr;
use daemontools_core::text::decimal;
use daemontools_sys::{AsFd as _, fs, signal};

/// Asks the svscan of each directory to stop everything and to exit with this code. Returns the exit
/// code of svc: the first failure counts.
pub(super) fn halt(code: &[u8], dirs: impl Iterator<Item = &'static CStr>) -> i32 {
    let Some(code) = decimal::parse(code).and_then(|code| u8::try_from(code).ok()) else {
        diag::say(&[
            b"svc: fatal: unable to halt with code ",
            code,
            b": not a number from 0 to 255",
        ]);
        return PERMANENT;
    };
    let results = dirs.map(|dir| halt_one(code, dir));
    results.fold(0, |first, result| if first == 0 { result } else { first })
}

fn halt_one(code: u8, path: &CStr) -> i32 {
    let shown = path.to_bytes();
    let dir = match fs::open_dir(fs::HERE, path) {
        Ok(dir) => dir,
        Err(error) => return diag::fatal("svc", &[b"unable to open ", shown], error),
    };
    let Some((_, svscan)) = lock_holder::open_svscan(dir.as_fd()) else {
        return lock_holder::say_no_svscan("svc", shown, &dir);
    };
    match svscan.signal_with_value(signal::RTMIN_3, code.into()) {
        Ok(()) => 0,
        Err(error) => diag::fatal("svc", &[b"unable to signal the svscan of ", shown], error),
    }
}
