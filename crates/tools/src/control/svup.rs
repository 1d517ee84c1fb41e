//! svup: tells whether a service is up, or ready.

use crate::common::diag::{self, PERMANENT, TEMPORARY};
use crate::common::getopt::{options, print_error};
use crate::common::state_dir::StateDir;
use crate::common::status_file::{self, OnlyRecord};
use daemontools_core::programs::Program;
use daemontools_core::state_dir::detail::{self, StateFile};
use daemontools_core::state_dir::status::StatusRecord;
use daemontools_core::text::getopt::Opt;
use daemontools_sys::{AsFd as _, Errno, fs, guarded, process};

/// Exit code: 0 if it is, 100 if not, 111 if that cannot be found out.
pub(crate) fn main() -> i32 {
    let mut only = OnlyRecord::default();
    let mut ready = false;
    let mut options = options(Program::Svup);
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'l') => only = OnlyRecord::MAIN,
            Opt::Letter(b'L') => only = OnlyRecord::LOG,
            Opt::Letter(_) => ready = true,
            _ => {
                print_error(option);
                return usage();
            }
        }
    }
    let Some(dir) = process::arg(options.operand()) else {
        return usage();
    };
    let shown = dir.to_bytes();
    if let Err(error) = fs::chdir(dir) {
        return diag::fatal("svup", &[b"unable to chdir to ", shown], error);
    }
    let state = match StateDir::of_current_dir() {
        Ok(state) => state,
        Err(error) => return diag::fatal("svup", &[b"unable to find directory of ", shown], error),
    };
    let (below, slash) = state.shown_below(shown);
    let fail = |what: &[u8], file: &[u8], error| {
        diag::fatal("svup", &[what, below, slash, state.path(), file], error)
    };
    match state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        Ok(ok) if fs::is_fifo(ok.as_fd()) => {}
        Ok(_) | Err(Errno::NOENT | Errno::NXIO) => return PERMANENT,
        Err(error) => return fail(b"unable to open ", b"/ok", error),
    }
    let status = match state.file("status", |path| guarded::open(fs::HERE, path, fs::Opening::READ))
    {
        Ok(status) => status,
        Err(Errno::NOENT) => return PERMANENT,
        Err(error) => return fail(b"unable to open ", b"/status", error),
    };
    let (main, log) = match status_file::read(&status) {
        Ok(Some(records)) => records,
        Ok(None) => {
            let file = b"/status: truncated file";
            diag::say(&[b"svup: fatal: bad data in ", below, slash, state.path(), file]);
            return TEMPORARY;
        }
        Err(error) => return fail(b"unable to read ", b"/status", error),
    };
    let main_matches = only.log || main.is_up() && (!ready || is_ready(&state, &main));
    let log_matches = only.main || log.map_or(!only.log, |log| log.is_up());
    if main_matches && log_matches { 0 } else { PERMANENT }
}

fn usage() -> i32 {
    diag::usage(Program::Svup)
}

/// Whether a service that is up is ready.
fn is_ready(state: &StateDir<'_>, status: &StatusRecord) -> bool {
    let mut room = [0; detail::LEN];
    let text = state.file("state", |path| guarded::read_start(fs::HERE, path, &mut room));
    StateFile::classify(status_file::state_text(text), status).is_ready()
}
