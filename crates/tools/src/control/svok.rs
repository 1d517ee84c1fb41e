//! svok: tells whether a supervise runs for a service.

use crate::common::diag::{self, PERMANENT};
use crate::common::state_dir::StateDir;
use daemontools_core::programs::Program;
use daemontools_sys::{AsFd as _, Errno, fs, guarded, process};

/// Exit code: 0 if it runs, 100 if not, 111 if that cannot be found out.
pub(crate) fn main() -> i32 {
    let Some(dir) = process::arg(1) else {
        return diag::usage(Program::Svok);
    };
    let shown = dir.to_bytes();
    if let Err(error) = fs::chdir(dir) {
        return diag::fatal("svok", &[b"unable to chdir to ", shown], error);
    }
    let state = match StateDir::of_current_dir() {
        Ok(state) => state,
        Err(error) => return diag::fatal("svok", &[b"unable to find directory of ", shown], error),
    };
    match state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        // Opening another kind of file succeeds without a supervise.
        Ok(ok) if fs::is_fifo(ok.as_fd()) => 0,
        Ok(_) | Err(Errno::NOENT | Errno::NXIO) => PERMANENT,
        Err(error) => {
            let (dir, slash) = state.shown_below(shown);
            diag::fatal("svok", &[b"unable to open ", dir, slash, state.path(), b"/ok"], error)
        }
    }
}
