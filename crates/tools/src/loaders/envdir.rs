//! envdir: runs a program with variables from the files of a directory.

use crate::common::diag::{self, TEMPORARY};
use crate::common::environment::{Environment, Unreadable};
use crate::common::getopt::prefix;
use crate::common::paths;
use crate::loaders::chain;
use core::ffi::CStr;
use daemontools_core::programs::Program;
use daemontools_sys::{AsFd as _, OwnedFd, fs, process};

/// Exit code: 111 for all errors, bad usage as well; else that of the program.
pub(crate) fn main() -> i32 {
    let Some((prefix, first)) = prefix(Program::Envdir) else {
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
    // Like the original, report only the first error.
    match applied.err().and_then(|errors| errors.into_iter().next()) {
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
    diag::usage(Program::Envdir);
    TEMPORARY
}

/// Opens the directory; the error is the exit code, after the original's message.
fn open(dir: &CStr) -> Result<OwnedFd, i32> {
    paths::open_searchable(dir).map_err(|error| {
        let shown = dir.to_bytes();
        // The original has a message for chdir and one for opendir; try chdir to choose.
        match fs::chdir(dir) {
            Ok(()) => diag::fatal("envdir", &[b"unable to read directory ", shown], error),
            Err(error) => diag::fatal("envdir", &[b"unable to switch to directory ", shown], error),
        }
    })
}
