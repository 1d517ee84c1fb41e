//! Live upgrade: a program that keeps processes runs its newly installed executable in place, as
//! the same process with the same children.
//!
//! The new one is told by a variable, which names a file in memory that says what is handed over.
//! It begins as after a KILL, but has what nobody could give back: descriptors, and the mask of
//! signals.
//!
//! Before that, it is run once as a child, to see that it starts, and that it knows of all this: else
//! it would find its own lock taken.

use crate::diag::{self, why};
use crate::paths::of_process;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::handover::Handover;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Ended, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, fs, poll, signal};

const VARIABLE: &str = "DAEMONTOOLS_UPGRADE";

/// What the variable says to a program that is only to show that it runs.
const TRIAL: &str = "trial";

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the program before us in this process has handed over. To be called first of all. Does not
/// come back if we are only to show that we run.
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
    if handover.foreign {
        // Nobody knows what they are for, and with a lock among them nobody could begin.
        for (_, number) in handover.descriptors.drain(..) {
            drop(fd::take_inherited(number));
        }
    }
    Some(handover)
}

/// Whether a supervise upgrades when it gets USR2. Ours take signals from a descriptor, and have
/// them blocked; others, which svscan may have taken over or found in PATH, would be killed.
pub(crate) fn is_awaited_by(pid: Pid) -> bool {
    let mut room = [0; 48];
    let text = of_process(&mut room, pid, b"status")
        .and_then(|path| fs::read_whole(fs::HERE, path, 1 << 20))
        .unwrap_or_default();
    let mask = text.split(|&c| c == b'\n').find_map(|line| line.strip_prefix(b"SigBlk:\t"));
    let mask = mask.and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal::USR2 - 1)) != 0)
}

/// Runs the program at the path by which we were run, which may be seen from where we were
/// started, with our arguments. `kept` are the descriptors that it
/// is told of. Comes back only if that failed, which is said.
pub(crate) fn run(program: &str, handover: &Handover, kept: &[BorrowedFd<'_>]) {
    let path = process::executed_path().unwrap_or_default();
    let reason = match try_out(path) {
        Err(reason) => reason,
        Ok(()) => {
            for &fd in kept {
                fd::set_inherited(fd, true);
            }
            let Err(error) = become_new(path, handover);
            for &fd in kept {
                fd::set_inherited(fd, false);
            }
            why(error)
        }
    };
    let what = [b"unable to run ", path.to_bytes(), b", going on without upgrade"];
    diag::warning_because(program, &what, reason);
}

/// Runs the program as a child that is only to show that it runs; says why it does not.
fn try_out(path: &CStr) -> core::result::Result<(), &'static str> {
    let variable = variable(TRIAL.as_bytes());
    let environment = environment_with(&variable);
    // A program that knows nothing of this is to do no harm: nothing has this name.
    let args = Strings::of([process::arg(0).unwrap_or_default(), c""]);
    // Closed by exec; until then it takes why there was none.
    let (told, telling) = fd::pipe().map_err(why)?;
    let mut child = || {
        let error = process::exec(path, &args, &environment);
        let _ = fd::write_all(telling.as_fd(), &error.raw_os_error().to_ne_bytes());
        diag::TEMPORARY
    };
    let child = process::spawn(&mut child).map_err(why)?;
    drop(telling);
    let mut number = [0; 4];
    let refused = matches!(fd::read(told.as_fd(), &mut number), Ok(4))
        .then(|| Errno::from_raw_os_error(i32::from_ne_bytes(number)));
    let in_time = |child: Handle| poll::readable([child.fd()], Some(PATIENCE)) == [true];
    if !Handle::open(child).is_ok_and(|child| child.is_none_or(in_time)) {
        // Our child, not reaped, so that the number is still its own.
        let _ = process::kill(child, signal::KILL);
    }
    match (process::wait_for(child), refused) {
        (_, Some(error)) => Err(why(error)),
        (Ok(Ended::Exited(0)), None) => Ok(()),
        _ => Err("it has failed in a trial"),
    }
}

/// Our environment with one more entry.
fn environment_with(variable: &CStr) -> Strings<'_> {
    let mut environment: Vec<&CStr> = process::environ().collect();
    environment.push(variable);
    Strings::of(environment)
}

fn variable(value: &[u8]) -> CString {
    let variable = [VARIABLE.as_bytes(), b"=", value].concat();
    CString::new(variable).unwrap_or_default()
}

fn become_new(path: &CStr, handover: &Handover) -> Result<core::convert::Infallible> {
    let file = fd::memory_for_children(&handover.to_text())?;
    let number = Decimal::new(fd::number(file.as_fd()).unsigned_abs().into());
    let variable = variable(number.as_bytes());
    let environment = environment_with(&variable);
    Err(process::exec(path, &Strings::own_args(0), &environment))
}
