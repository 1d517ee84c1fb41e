//! Executing the next program of a chain, with the original's search in PATH.

use crate::common::diag;
use crate::common::paths::{PATH_MAX, join};
use core::ffi::CStr;
use daemontools_core::loaders::path_search::{self, NextStep};
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{Errno, fs};

/// Executes the program in our arguments from index `first` on, with our environment.
///
/// Returns only after an error: prints a message, and returns the exit code.
pub(crate) fn run(name: &str, first: usize) -> i32 {
    run_with(name, first, &Strings::own_environment())
}

/// Executes the program in our arguments with another environment.
///
/// The search uses our own PATH, as in the original.
pub(crate) fn run_with(name: &str, first: usize, environment: &Strings<'_>) -> i32 {
    let program = process::arg(first).unwrap_or_default();
    let path = process::env("PATH").map(CStr::to_bytes);
    let error = exec(program, &Strings::own_args(first), environment, path);
    let what = [b"unable to run ", program.to_bytes()];
    if program.to_bytes().contains(&b'/') {
        return diag::not_executed(name, &what, program, error, b"");
    }
    // The search has passed a file whose interpreter is missing, if there is one.
    let mut room = [0_u8; PATH_MAX];
    for dir in path_search::directories(program.to_bytes(), path) {
        if let Some(path) = join(&mut room, dir, program.to_bytes())
            && fs::is_executable(fs::HERE, path)
        {
            return diag::not_executed(name, &what, path, error, b"");
        }
    }
    diag::fatal(name, &what, error)
}

/// Executes `program`, and returns the error.
///
/// A program without a slash is searched for in the directories of `path`.
pub(crate) fn exec(
    program: &CStr,
    args: &Strings<'_>,
    environment: &Strings<'_>,
    path: Option<&[u8]>,
) -> Errno {
    if program.to_bytes().contains(&b'/') {
        return process::exec(program, args, environment);
    }
    search(program.to_bytes(), args, environment, path)
}

/// Not inlined into [`exec`]: a path with a slash needs no buffer.
#[inline(never)]
fn search(
    name: &[u8],
    args: &Strings<'_>,
    environment: &Strings<'_>,
    path: Option<&[u8]>,
) -> Errno {
    let mut remembered = Errno::NOENT;
    let mut room = [0_u8; PATH_MAX];
    for dir in path_search::directories(name, path) {
        let error = match join(&mut room, dir, name) {
            Some(path) => process::exec(path, args, environment),
            None => Errno::NAMETOOLONG,
        };
        match path_search::after_error(error.raw_os_error()) {
            NextStep::Continue => {}
            NextStep::RememberError => remembered = error,
            NextStep::Fail => return error,
        }
    }
    remembered
}
