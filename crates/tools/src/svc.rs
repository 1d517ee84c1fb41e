//! svc: sends commands to the supervises of services, and waits for what comes of them.

use crate::diag::{self, PERMANENT};
use crate::options::{complain, options};
use crate::state_dir::StateDir;
use crate::time::instant;
use crate::wait::Wait;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::command::Message;
use daemontools_core::decimal;
use daemontools_core::getopt::Opt;
use daemontools_core::goal::Goal;
use daemontools_core::time::Instant;
use daemontools_sys::{AsFd as _, Errno, OwnedFd, fd, fs, guarded, poll, process, signal};

/// How long we wait, in all, until what we have said is read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often we look: soon at first, as a supervise has nothing else to do.
const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// However late it is, how often: this takes 50 milliseconds.
const FEWEST_LOOKS: u32 = 13;

/// Exit code: 0 whatever became of the commands, as scripts expect, unless they are to be waited
/// for; 100 for a bad option.
pub(crate) fn main() -> i32 {
    signal::ignore_broken_pipes();
    let mut message = Message::default();
    let (mut goal, mut time) = (None, None);
    let mut options = options(b"udopchaitkxq12wlL+=W:T:");
    for option in options.by_ref() {
        match option {
            Opt::Letter(letter) => message.add(letter),
            Opt::Value(b'W', word) => match Goal::from_word(word) {
                Some(known) => goal = Some(known),
                None => {
                    diag::say(&[
                        b"svc: fatal: unable to wait for ",
                        word,
                        b": not up, down or ready",
                    ]);
                    return PERMANENT;
                }
            },
            Opt::Value(_, number) => match decimal::parse(number) {
                Some(milliseconds) => time = Some(Duration::from_millis(milliseconds)),
                None => {
                    let why = b" milliseconds: not a number";
                    diag::say(&[b"svc: fatal: unable to wait ", number, why]);
                    return PERMANENT;
                }
            },
            Opt::Illegal(_) | Opt::NeedsValue(_) => {
                complain(option);
                diag::say(&[
                    b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, \
                      a alarm, i interrupt, t term, k kill",
                ]);
                return PERMANENT;
            }
        }
    }
    if goal.is_none() && time.is_some() {
        diag::say(&[b"svc: fatal: unable to use -T without -W"]);
        return PERMANENT;
    }
    let message = message.finish();
    let home = match fs::open_read(fs::HERE, c".") {
        Ok(home) => home,
        Err(error) => return diag::fatal("svc", &[b"unable to open current directory"], error),
    };
    let mut wait = match goal.map(|goal| Wait::new(goal, &message)).transpose() {
        Ok(wait) => wait,
        Err(error) => return diag::fatal("svc", &[b"unable to watch directories"], error),
    };
    let deadline = instant() + PATIENCE;
    for dir in process::args(options.operand()) {
        match &mut wait {
            None => control(dir, &message, deadline),
            Some(wait) => control_and_wait(dir, &message, wait),
        }
        if let Err(error) = fs::fchdir(home.as_fd()) {
            return diag::fatal("svc", &[b"unable to set directory"], error);
        }
    }
    wait.map_or(0, |mut wait| wait.run(time))
}

/// Sends the message, and waits until it is read, but not for ever.
fn control(dir: &CStr, message: &[u8], deadline: Instant) {
    if let Some((_, control)) = open(dir)
        && send(dir, &control, message)
    {
        wait_until_read(dir, &control, deadline);
    }
}

/// Sends the message to a service that is to be waited for.
fn control_and_wait(dir: &'static CStr, message: &[u8], wait: &mut Wait) {
    let shown = dir.to_bytes();
    let Some((state, control)) = open(dir) else {
        return wait.give_up();
    };
    if let Err(error) = wait.add(shown, &state, control) {
        diag::warning("svc", &[b"unable to wait for ", shown], error);
        return wait.give_up();
    }
    if !wait.control().is_some_and(|control| send(dir, control, message)) {
        wait.give_up();
    }
}

/// Goes to a service's directory and opens its control FIFO. Says why that cannot be done.
fn open(dir: &CStr) -> Option<(StateDir<'static>, OwnedFd)> {
    let shown = dir.to_bytes();
    if let Err(error) = fs::chdir(dir) {
        diag::warning("svc", &[b"unable to chdir to ", shown], error);
        return None;
    }
    let opened = StateDir::of_current_dir().and_then(|state| {
        let control =
            state.file("control", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE))?;
        Ok((state, control))
    });
    match opened {
        Ok((_, control)) if !fs::is_fifo(control.as_fd()) => diag::say(&[
            b"svc: warning: unable to control ",
            shown,
            b": control is not a FIFO, so nobody reads it",
        ]),
        Ok(opened) => return Some(opened),
        Err(Errno::NXIO) => nobody_listens(shown),
        Err(error) => diag::warning("svc", &[b"unable to control ", shown], error),
    }
    None
}

/// Writes the message. Says why that cannot be done.
fn send(dir: &CStr, control: &OwnedFd, message: &[u8]) -> bool {
    // All at once: messages of several svc do not mix up to the size of PIPE_BUF. If supervise
    // is stopped and the FIFO full, this waits.
    let written = fd::set_blocking(control.as_fd(), true)
        .and_then(|()| fd::write_all(control.as_fd(), message));
    if let Err(error) = written {
        diag::warning("svc", &[b"error writing commands to ", dir.to_bytes()], error);
    }
    written.is_ok()
}

fn wait_until_read(dir: &CStr, control: &OwnedFd, deadline: Instant) {
    // What is in the FIFO when nobody has it open any more is gone. If supervise is killed before it
    // has read this, the next one does, as long as we are here.
    let (mut pause, mut looks) = (FIRST_PAUSE, 0);
    while fd::unread(control.as_fd()).is_ok_and(|bytes| bytes > 0) {
        looks += 1;
        if looks > FEWEST_LOOKS && instant() >= deadline {
            // One that is stopped will read it when it goes on.
            if poll::hung_up(control.as_fd(), Duration::ZERO) {
                nobody_listens(dir.to_bytes());
            } else if supervise_is_there() {
                diag::say(&[b"svc: warning: ", dir.to_bytes(), b" has not read the command yet"]);
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
    let ok = StateDir::of_current_dir().and_then(|state| {
        state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE))
    });
    ok.is_ok()
}
