//! setlock: runs a program with a file locked.

use crate::chain;
use crate::diag;
use crate::options::{complain, options};
use daemontools_core::getopt::Opt;
use daemontools_sys::{AsFd as _, Errno, fs, lock, process};

/// Exit code: 100 for bad usage, 111 (or, with -x, 0) without the lock; else that of the program.
pub(crate) fn main() -> i32 {
    let (mut wait, mut silent) = (true, false);
    let mut options = options(b"nNxX");
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'n') => wait = false,
            Opt::Letter(b'N') => wait = true,
            Opt::Letter(b'x') => silent = true,
            Opt::Letter(_) => silent = false,
            _ => {
                complain(option);
                return usage();
            }
        }
    }
    let first = options.operand();
    let (Some(file), Some(_)) = (process::arg(first), process::arg(first + 1)) else {
        return usage();
    };
    let refuse = |verb: &[u8], error: Errno| {
        if silent { 0 } else { diag::fatal("setlock", &[verb, file.to_bytes()], error) }
    };
    let locked = match fs::open_append_for_children(fs::HERE, file) {
        Ok(locked) => locked,
        Err(error) => return refuse(b"unable to open ", error),
    };
    let taken = if wait { lock::wait(locked.as_fd()) } else { lock::try_lock(locked.as_fd()) };
    if let Err(error) = taken {
        return refuse(b"unable to lock ", error);
    }
    // The descriptor stays open in the program, and the lock with it.
    chain::run("setlock", first + 1)
}

fn usage() -> i32 {
    diag::usage("setlock", "setlock [ -nNxX ] file program [ arg ... ]")
}
