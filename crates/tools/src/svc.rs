//! svc: sends commands to the supervises of services.

use crate::diag::{self, PERMANENT};
use crate::options::{complain, options};
use crate::state_dir::StateDir;
use crate::time::instant;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::command::Message;
use daemontools_core::getopt::Opt;
use daemontools_core::time::Instant;
use daemontools_sys::{AsFd as _, Errno, fd, fs, poll, process, signal};

/// How long we wait, in all, until what we have said is read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often we look: soon at first, as a supervise has nothing else to do.
const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

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
    let deadline = instant() + PATIENCE;
    for dir in process::args(options.operand()) {
        control(dir, &message, deadline);
        if let Err(error) = fs::fchdir(home.as_fd()) {
            return diag::fatal("svc", &[b"unable to set directory"], error);
        }
    }
    0
}

/// Sends the message, and waits until it is read, but not for ever.
fn control(dir: &CStr, message: &[u8], deadline: Instant) {
    let shown = dir.to_bytes();
    if let Err(error) = fs::chdir(dir) {
        return diag::warning("svc", &[b"unable to chdir to ", shown], error);
    }
    let control = StateDir::of_current_dir()
        .and_then(|state| state.file("control", |path| fs::open_write(fs::HERE, path)));
    let control = match control {
        Ok(control) => control,
        Err(Errno::NXIO) => return nobody_listens(shown),
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
        return diag::warning("svc", &[b"error writing commands to ", shown], error);
    }
    // What is in the FIFO when nobody has it open any more is gone. If supervise is killed before it
    // has read this, the next one does, as long as we are here.
    let deadline = deadline.max(instant() + LONGEST_PAUSE);
    let mut pause = FIRST_PAUSE;
    while fd::unread(control.as_fd()).is_ok_and(|bytes| bytes > 0) {
        if instant() >= deadline {
            // One that is stopped will read it when it goes on.
            if poll::hung_up(control.as_fd(), Duration::ZERO) {
                nobody_listens(shown);
            } else if supervise_is_there() {
                diag::say(&[b"svc: warning: ", shown, b" has not read the command yet"]);
            }
            return;
        }
        poll::pause(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

fn nobody_listens(dir: &[u8]) {
    diag::say(&[b"svc: warning: unable to control ", dir, b": supervise not running"]);
}

/// Whether a supervise says so, of the service in whose directory we are.
fn supervise_is_there() -> bool {
    let ok = StateDir::of_current_dir()
        .and_then(|state| state.file("ok", |path| fs::open_write(fs::HERE, path)));
    ok.is_ok()
}
