//! svup: is this service up, or ready?

use crate::diag::{self, PERMANENT, TEMPORARY};
use crate::options::{complain, options};
use crate::records::{self, Only};
use crate::state_dir::StateDir;
use daemontools_core::detail::{self, Found};
use daemontools_core::getopt::Opt;
use daemontools_core::status::Record;
use daemontools_sys::{AsFd as _, Errno, fs, guarded, process};

/// Exit code: 0 yes, 100 no, 111 cannot tell.
pub(crate) fn main() -> i32 {
    let mut only = Only::default();
    let mut ready = false;
    let mut options = options(b"lLr");
    for option in options.by_ref() {
        match option {
            Opt::Letter(b'l') => only = Only::MAIN,
            Opt::Letter(b'L') => only = Only::LOG,
            Opt::Letter(_) => ready = true,
            _ => {
                complain(option);
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
    let trouble = |what: &[u8], file: &[u8], error| {
        diag::fatal("svup", &[what, below, slash, state.path(), file], error)
    };
    match state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        Ok(ok) if fs::is_fifo(ok.as_fd()) => {}
        Ok(_) | Err(Errno::NOENT | Errno::NXIO) => return PERMANENT,
        Err(error) => return trouble(b"unable to open ", b"/ok", error),
    }
    let status = match state.file("status", |path| guarded::open(fs::HERE, path, fs::Opening::READ))
    {
        Ok(status) => status,
        Err(Errno::NOENT) => return PERMANENT,
        Err(error) => return trouble(b"unable to open ", b"/status", error),
    };
    let (main, log) = match records::read(&status) {
        Ok(Some(records)) => records,
        Ok(None) => {
            let file = b"/status: truncated file";
            diag::say(&[b"svup: fatal: bad data in ", below, slash, state.path(), file]);
            return TEMPORARY;
        }
        Err(error) => return trouble(b"unable to read ", b"/status", error),
    };
    let main_is_so = only.log || main.is_up() && (!ready || is_ready(&state, &main));
    let log_is_so = only.main || log.map_or(!only.log, |log| log.is_up());
    if main_is_so && log_is_so { 0 } else { PERMANENT }
}

fn usage() -> i32 {
    diag::usage("svup", "svup [-L] [-l] [-r] dir")
}

/// Whether a service that is up, as its status says, is ready.
fn is_ready(state: &StateDir<'_>, status: &Record) -> bool {
    let mut room = [0; detail::LEN];
    let text = state.file("state", |path| guarded::read_start(fs::HERE, path, &mut room));
    Found::judge(records::beside(text), status).is_ready()
}
