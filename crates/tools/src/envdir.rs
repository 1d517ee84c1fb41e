//! envdir: runs a program with the variables that a directory has as files.

use crate::chain;
use crate::diag::{self, TEMPORARY};
use crate::environment::{Environment, Unreadable};
use crate::options::prefix;
use crate::paths;
use core::ffi::CStr;
use daemontools_sys::{AsFd as _, OwnedFd, fs, process};

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
    let applied = environment.apply_dir(opened.as_fd(), prefix);
    // The original stops at the first of them.
    match applied.err().and_then(|troubles| troubles.into_iter().next()) {
        None => chain::run_with("envdir", first + 1, &environment.strings()),
        Some(Unreadable(file, error)) if file.is_empty() => {
            diag::fatal("envdir", &[b"unable to read directory ", shown], error)
        }
        Some(Unreadable(file, error)) => {
            diag::fatal("envdir", &[b"unable to read ", shown, b"/", &file], error)
        }
    }
}

fn usage() -> i32 {
    diag::usage("envdir", "envdir dir child");
    TEMPORARY
}

/// Opens the directory, or says what the original would find wrong with it.
fn open(dir: &CStr) -> Result<OwnedFd, i32> {
    paths::open_searchable(dir).map_err(|error| {
        let shown = dir.to_bytes();
        // Going there tells which of the two it is.
        match fs::chdir(dir) {
            Ok(()) => diag::fatal("envdir", &[b"unable to read directory ", shown], error),
            Err(error) => diag::fatal("envdir", &[b"unable to switch to directory ", shown], error),
        }
    })
}
