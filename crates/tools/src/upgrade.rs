//! Live upgrade: a program that keeps processes runs its newly installed executable in place, as
//! the same process with the same children.
//!
//! The new one is told by a variable, which names a file in memory that says what is handed over.
//! It begins as after a KILL, but has what nobody could give back: descriptors, and the mask of
//! signals.

use crate::diag;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::handover::Handover;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd};

const VARIABLE: &str = "DAEMONTOOLS_UPGRADE";

/// What the program before us in this process has handed over. To be called first of all.
pub(crate) fn handed_over() -> Option<Handover> {
    let number = decimal::parse(process::take_env(VARIABLE)?.to_bytes())?;
    let file = fd::take_inherited(i32::try_from(number).ok()?)?;
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

/// Runs the program at the path by which we were run, which may be seen from where we were
/// started, with our arguments. `kept` are the descriptors that it
/// is told of. Comes back only if that failed, which is said.
pub(crate) fn run(program: &str, handover: &Handover, kept: &[BorrowedFd<'_>]) {
    for &fd in kept {
        fd::set_inherited(fd, true);
    }
    let Err(error) = try_to_run(handover);
    for &fd in kept {
        fd::set_inherited(fd, false);
    }
    let path = process::executed_path().unwrap_or_default().to_bytes();
    diag::warning(program, &[b"unable to run ", path, b", going on without upgrade"], error);
}

fn try_to_run(handover: &Handover) -> Result<core::convert::Infallible> {
    let file = fd::memory_for_children(&handover.to_text())?;
    let number = Decimal::new(fd::number(file.as_fd()).unsigned_abs().into());
    let variable = [VARIABLE.as_bytes(), b"=", number.as_bytes()].concat();
    let variable = CString::new(variable).unwrap_or_default();
    let mut environment: Vec<&CStr> = process::environ().collect();
    environment.push(&variable);
    let environment = Strings::of(environment);
    let path = process::executed_path().ok_or(Errno::NOENT)?;
    Err(process::exec(path, &Strings::own_args(0), &environment))
}
