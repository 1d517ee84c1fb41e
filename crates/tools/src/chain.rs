//! Running another program the way the original finds it, which is how every chain loader ends.

use crate::diag;
use crate::paths::{PATH_MAX, join};
use core::ffi::CStr;
use daemontools_core::path_search::{self, Verdict};
use daemontools_sys::Errno;
use daemontools_sys::process::{self, Strings};

/// Replaces this process by the program that our arguments name from number `first` on, with the
/// environment we have. Returns only if that failed: the exit code, after a message.
pub(crate) fn run(name: &str, first: usize) -> i32 {
    run_with(name, first, &Strings::own_environment())
}

/// The same with another environment. The program is searched for in our own PATH all the same.
pub(crate) fn run_with(name: &str, first: usize, environment: &Strings<'_>) -> i32 {
    let program = process::arg(first).unwrap_or_default();
    let path = process::env("PATH").map(CStr::to_bytes);
    let error = exec(program, &Strings::own_args(first), environment, path);
    diag::fatal(name, &[b"unable to run ", program.to_bytes()], error)
}

/// Replaces this process by `program`, searched for in the directories of `path` unless it has a
/// slash, and returns why that failed.
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

/// Apart from [`exec`] so that a path with a slash does not pay for the buffer.
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
        match path_search::verdict(error.raw_os_error()) {
            Verdict::Next => {}
            Verdict::Remember => remembered = error,
            Verdict::Stop => return error,
        }
    }
    remembered
}
