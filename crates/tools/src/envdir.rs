//! envdir: runs a program with the variables that a directory has as files.

use crate::chain::{self, PATH_MAX, join};
use crate::diag::{self, TEMPORARY};
use crate::environment::{Environment, Unreadable};
use crate::options::prefix;
use core::ffi::CStr;
use daemontools_sys::{AsFd as _, Errno, OwnedFd, fs, process};

/// Exit code: 111 for everything, bad usage included; else that of the program.
pub(crate) fn main() -> i32 {
    let Some((prefix, first)) = prefix() else {
        return usage();
    };
    let (Some(dir), Some(_)) = (process::arg(first), process::arg(first + 1)) else {
        return usage();
    };
    let shown = dir.to_bytes();
    let opened = match open(dir) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let mut environment = Environment::own();
    match environment.apply_dir(opened.as_fd(), prefix) {
        Ok(()) => chain::run_with("envdir", first + 1, &environment.strings()),
        Err(Unreadable(file, error)) if file.is_empty() => {
            diag::fatal("envdir", &[b"unable to read directory ", shown], error)
        }
        Err(Unreadable(file, error)) => {
            diag::fatal("envdir", &[b"unable to read ", shown, b"/", &file], error)
        }
    }
}

fn usage() -> i32 {
    diag::usage("envdir", "envdir dir child");
    TEMPORARY
}

/// Opens the directory in such a way that it has to be both readable and searchable, as for the
/// original, which goes there.
fn open(dir: &CStr) -> Result<OwnedFd, i32> {
    let shown = dir.to_bytes();
    let mut room = [0; PATH_MAX];
    let error = match join(&mut room, shown, b".") {
        _ if shown.is_empty() => Errno::NOENT,
        None => Errno::NAMETOOLONG,
        Some(path) => match fs::open_dir(fs::HERE, path) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        },
    };
    // Going there tells which of the two it is.
    Err(match fs::chdir(dir) {
        Ok(()) => diag::fatal("envdir", &[b"unable to read directory ", shown], error),
        Err(error) => diag::fatal("envdir", &[b"unable to switch to directory ", shown], error),
    })
}
