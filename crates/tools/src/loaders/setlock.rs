//! setlock: runs a program while it holds a lock on a file.

use crate::common::diag;
use crate::common::getopt::{options, print_error};
use crate::loaders::chain;
use daemontools_core::programs::Program;
use daemontools_core::text::getopt::Opt;
use daemontools_sys::{AsFd as _, Errno, fs, lock, process};

/// Exit code: 100 for bad usage, 111 (or, with -x, 0) without the lock; else that of the program.
pub(crate) fn main() -> i32 {
    let (mut wait, mut silent) = (true, false);
    let mut options = options(Program::Setlock);
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'n') => wait = false,
            Opt::Letter(b'N') => wait = true,
            Opt::Letter(b'x') => silent = true,
            Opt::Letter(_) => silent = false,
            _ => {
                print_error(option);
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
    // The program inherits the descriptor, and with it the lock.
    chain::run("setlock", first + 1)
}

fn usage() -> i32 {
    diag::usage(Program::Setlock)
}
