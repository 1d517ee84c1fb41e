//! svscanboot's end of the services that an earlier run left without a svscan.

use super::boot_takeover::{self, LeftSvscan};
use crate::common::clock::instant;
use crate::common::state_dir::StateDir;
use crate::survive::lock_holder;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_sys::{AsFd as _, OwnedFd, dir, fd, fs, guarded, poll};

/// How long to wait for the services, and then for their loggers.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Ends the services of an earlier run: first the services, then their loggers. `state_base` is the
/// SUPERVISEDIR of the services. If their svscan still runs and its svscanboot was killed, returns that
/// svscan instead.
///
/// # Errors
/// The exit code, after a message, if their svscan runs and cannot be taken over.
pub(super) fn end_or_find_svscan(
    scan_dir: &CStr,
    state_base: Option<&[u8]>,
) -> Result<Option<LeftSvscan>, i32> {
    let Ok(start_dir) = fs::open_dir(fs::HERE, c".") else {
        return Ok(None);
    };
    let mut left = None;
    // svscan will report what is wrong with the directory.
    if fs::chdir(scan_dir).is_ok() {
        left = boot_takeover::find(scan_dir.to_bytes())?;
        if left.is_none() {
            end(scan_dir, state_base)?;
        }
    }
    let _ = fs::fchdir(start_dir.as_fd());
    Ok(left)
}

/// Ends the services in the current directory, whose name is `scan_dir`.
fn end(scan_dir: &CStr, state_base: Option<&[u8]>) -> Result<(), i32> {
    // To the end of the function: no svscan may start meanwhile.
    let _lock = lock_holder::lock_scan_dir("svscanboot", scan_dir.to_bytes())?;
    for log in [false, true] {
        each_control(state_base, log, |control| {
            let _ = fd::write(control.as_fd(), b"dx");
        });
        let until = instant() + TIMEOUT;
        each_control(state_base, log, |control| {
            poll::hung_up(control.as_fd(), until.duration_since(instant()));
        });
    }
    Ok(())
}

/// Opens the control FIFO of each service in the current directory, or of each logger. Only one with a
/// running supervise opens for writing.
fn each_control(state_base: Option<&[u8]>, log: bool, mut with: impl FnMut(&OwnedFd)) {
    let Ok(scan_dir) = fs::open_dir(fs::HERE, c".") else {
        return;
    };
    // A directory that cannot be read has no services to end.
    let _ = dir::names_here(|name| {
        let entered = fs::chdir(name).and_then(|()| if log { fs::chdir(c"log") } else { Ok(()) });
        let control =
            entered.and_then(|()| StateDir::of_current_dir_with(state_base)).and_then(|state| {
                state.file("control", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE))
            });
        if let Ok(control) = control.as_ref()
            && fs::is_fifo(control.as_fd())
        {
            with(control);
        }
        let _ = fs::fchdir(scan_dir.as_fd());
    });
}
