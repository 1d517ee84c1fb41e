//! Live upgrade: a program executes its newly installed file, and stays the same process with the same
//! children.
//!
//! The new program begins as after a KILL, and gets a handover: the descriptors and the signal mask
//! that it could not find again. A variable in its environment names a file in memory with the
//! handover's text.
//!
//! Before that, the old program runs the new one as a child, as a trial. So it knows that the new one
//! starts and knows live upgrades: an older version would find its own lock taken.

use crate::common::diag::{self, why};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::handover::Handover;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, ExitStatus, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, poll, signal};

const VARIABLE: &str = "DAEMONTOOLS_UPGRADE";

/// The value of the variable in a trial.
const TRIAL: &str = "trial";

/// How long a trial may take.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The handover of the program that was this process before. Comes before anything is opened. In a
/// trial it exits instead.
pub(crate) fn handed_over() -> Option<Handover> {
    let value = process::take_env(VARIABLE)?.to_bytes();
    if value == TRIAL.as_bytes() {
        process::exit(0);
    }
    let file = fd::take_inherited(i32::try_from(decimal::parse(value)?).ok()?)?;
    let mut text = Vec::new();
    let mut part = [0; 512];
    while let Ok(n @ 1..) = fd::read(file.as_fd(), &mut part) {
        text.extend_from_slice(part.get(..n)?);
    }
    let mut handover = Handover::parse(&text)?;
    if handover.unknown_version {
        // Their use is unknown. An open lock among them would keep this program from starting.
        for (_, number) in handover.descriptors.drain(..) {
            drop(fd::take_inherited(number));
        }
    }
    Some(handover)
}

/// Executes the file at this program's own path with these arguments. Returns only if that fails,
/// after a warning, with the reason.
///
/// The path may be relative to the directory in which the program was started. `kept` are the
/// descriptors of the handover.
pub(crate) fn run(
    program: &str,
    args: &Strings<'_>,
    handover: &Handover,
    kept: &[BorrowedFd<'_>],
) -> &'static str {
    let path = process::executed_path().unwrap_or_default();
    let reason = match try_out(path) {
        Err(reason) => reason,
        Ok(()) => {
            for &fd in kept {
                fd::set_inherited(fd, true);
            }
            let Err(error) = exec_new(path, args, handover);
            for &fd in kept {
                fd::set_inherited(fd, false);
            }
            why(error)
        }
    };
    let what = [b"unable to run ", path.to_bytes(), b", going on without upgrade"];
    diag::warning_because(program, &what, reason);
    reason
}

/// Runs the program as a child, as a trial.
///
/// # Errors
/// The reason why it failed, in words.
fn try_out(path: &CStr) -> core::result::Result<(), &'static str> {
    let variable = variable(TRIAL.as_bytes());
    let environment = environment_with(&variable);
    // The empty argument: a version without live upgrade exits, because no directory has this name.
    let args = Strings::of([process::arg(0).unwrap_or_default(), c""]);
    // A failed exec writes its errno here. A successful one closes it.
    let (errno_reader, errno_writer) = fd::pipe().map_err(why)?;
    let mut child = || {
        let error = process::exec(path, &args, &environment);
        let _ = fd::write_all(errno_writer.as_fd(), &error.raw_os_error().to_ne_bytes());
        diag::TEMPORARY
    };
    let child = process::spawn(&mut child).map_err(why)?;
    drop(errno_writer);
    let mut number = [0; 4];
    let refused = matches!(fd::read(errno_reader.as_fd(), &mut number), Ok(4))
        .then(|| Errno::from_raw_os_error(i32::from_ne_bytes(number)));
    let in_time = |child: Handle| poll::readable([child.fd()], Some(TRIAL_TIMEOUT)) == [true];
    if !Handle::open(child).is_ok_and(|child| child.is_none_or(in_time)) {
        // Our child, not reaped: the pid is still its own.
        let _ = process::kill(child, signal::KILL);
    }
    match (process::wait_for(child), refused) {
        (_, Some(error)) => Err(why(error)),
        (Ok(ExitStatus::Exited(0)), None) => Ok(()),
        _ => Err("it has failed in a trial"),
    }
}

/// This program's environment with one more entry.
fn environment_with(variable: &CStr) -> Strings<'_> {
    let mut environment: Vec<&CStr> = process::environ().collect();
    environment.push(variable);
    Strings::of(environment)
}

fn variable(value: &[u8]) -> CString {
    let variable = [VARIABLE.as_bytes(), b"=", value].concat();
    CString::new(variable).unwrap_or_default()
}

fn exec_new(
    path: &CStr,
    args: &Strings<'_>,
    handover: &Handover,
) -> Result<core::convert::Infallible> {
    let file = fd::memory_for_children(&handover.to_text())?;
    let number = Decimal::new(fd::number(file.as_fd()).unsigned_abs().into());
    let variable = variable(number.as_bytes());
    let environment = environment_with(&variable);
    Err(process::exec(path, args, &environment))
}
