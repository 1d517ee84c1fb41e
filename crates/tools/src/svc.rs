//! svc: sends commands to the supervises of services.

use crate::diag::{self, PERMANENT};
use crate::options::{complain, options};
use crate::state_dir::StateDir;
use core::ffi::CStr;
use daemontools_core::command::Message;
use daemontools_core::getopt::Opt;
use daemontools_sys::{AsFd as _, Errno, fd, fs, process, signal};

/// Exit code: 0 whatever became of the commands, as scripts expect; 100 for a bad option.
pub(crate) fn main() -> i32 {
    signal::ignore_broken_pipes();
    let mut message = Message::default();
    let mut options = options(b"udopchaitkxq12wlL+=");
    for option in options.by_ref() {
        let Opt::Letter(letter) = option else {
            complain(option);
            diag::say(&[
                b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, \
                  a alarm, i interrupt, t term, k kill",
            ]);
            return PERMANENT;
        };
        message.add(letter);
    }
    let message = message.finish();
    let home = match fs::open_read(fs::HERE, c".") {
        Ok(home) => home,
        Err(error) => return diag::fatal("svc", &[b"unable to open current directory"], error),
    };
    for dir in process::args(options.operand()) {
        control(dir, &message);
        if let Err(error) = fs::fchdir(home.as_fd()) {
            return diag::fatal("svc", &[b"unable to set directory"], error);
        }
    }
    0
}

fn control(dir: &CStr, message: &[u8]) {
    let shown = dir.to_bytes();
    if let Err(error) = fs::chdir(dir) {
        return diag::warning("svc", &[b"unable to chdir to ", shown], error);
    }
    let control = StateDir::of_current_dir()
        .and_then(|state| state.file("control", |path| fs::open_write(fs::HERE, path)));
    let control = match control {
        Ok(control) => control,
        Err(Errno::NXIO) => {
            return diag::say(&[
                b"svc: warning: unable to control ",
                shown,
                b": supervise not running",
            ]);
        }
        Err(error) => return diag::warning("svc", &[b"unable to control ", shown], error),
    };
    if !fs::is_fifo(control.as_fd()) {
        return diag::say(&[
            b"svc: warning: unable to control ",
            shown,
            b": control is not a FIFO, so nobody reads it",
        ]);
    }
    // All at once: messages of several svc do not mix up to the size of PIPE_BUF. If supervise
    // is stopped and the FIFO full, this waits.
    let written = fd::set_blocking(control.as_fd(), true)
        .and_then(|()| fd::write_all(control.as_fd(), message));
    if let Err(error) = written {
        diag::warning("svc", &[b"error writing commands to ", shown], error);
    }
}
