//! svc: sends commands to supervises, and waits until the services have reached a state.

use crate::common::clock::instant;
use crate::common::diag::{self, PERMANENT};
use crate::common::getopt::{options, print_error};
use crate::common::state_dir::StateDir;
use crate::control::appearance::Appearance;
use crate::control::halt::halt;
use crate::control::wait::Wait;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::programs::Program;
use daemontools_core::state_dir::control::Message;
use daemontools_core::state_dir::goal::Goal;
use daemontools_core::text::decimal;
use daemontools_core::text::getopt::Opt;
use daemontools_core::time::Instant;
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, fd, fs, guarded, poll, process, signal,
};

/// How long svc waits in total until the supervises have read their commands.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How long `-W` without `-T` waits in total for supervises to appear. svscan starts a new
/// link at once, and after up to 5 seconds where the kernel does not announce it or where a supervise
/// has just left. The rest is for the scan and the start on a busy machine.
const APPEARANCE_TIMEOUT: Duration = Duration::from_secs(8);
/// The pause between two looks at a FIFO begins short, because an idle supervise reads at once. Each
/// pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// The least number of looks at every FIFO, even after the timeout: they take 50 milliseconds.
const FEWEST_LOOKS: u32 = 13;

/// Exit code: 100 for a bad option. Otherwise, without `-W`, 0 even if a command was not sent, which
/// scripts expect of the original; with `-W`, that of [`Wait::run`].
pub(crate) fn main() -> i32 {
    signal::ignore_broken_pipes();
    let mut message = Message::default();
    let (mut goal, mut time, mut code) = (None, None, None);
    let mut options = options(Program::Svc);
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
            Opt::Value(b'H', number) => code = Some(number),
            Opt::Value(_, number) => match decimal::parse(number) {
                Some(milliseconds) => time = Some(Duration::from_millis(milliseconds)),
                None => {
                    let why = b" milliseconds: not a number";
                    diag::say(&[b"svc: fatal: unable to wait ", number, why]);
                    return PERMANENT;
                }
            },
            Opt::Illegal(_) | Opt::NeedsValue(_) => {
                print_error(option);
                return diag::usage(Program::Svc);
            }
        }
    }
    if goal.is_none() && time.is_some() {
        diag::say(&[b"svc: fatal: unable to use -T without -W"]);
        return PERMANENT;
    }
    let message = message.finish();
    if let Some(code) = code {
        if goal.is_some() || !message.is_empty() {
            diag::say(&[b"svc: fatal: unable to use -H with other options"]);
            return PERMANENT;
        }
        return halt(code, process::args(options.operand()));
    }
    let start_dir = match fs::open_read(fs::HERE, c".") {
        // With descriptor 2 closed, a message would go into `control`, and its letters are commands.
        Ok(dir) => fd::above_standard(dir),
        Err(error) => return diag::fatal("svc", &[b"unable to open current directory"], error),
    };
    let mut wait = match goal.map(|goal| Wait::new(goal, &message)).transpose() {
        Ok(wait) => wait,
        Err(error) => return diag::fatal("svc", &[b"unable to watch directories"], error),
    };
    let deadline = instant() + READ_TIMEOUT;
    let mut absent = Vec::new();
    for dir in process::args(options.operand()) {
        match &mut wait {
            None => control(dir, &message, deadline),
            Some(wait) => {
                if let Err(refusal) = control_and_wait(dir, &message, wait) {
                    if refusal.may_be_temporary(wait.goal()) {
                        absent.push((dir, refusal));
                    } else {
                        refusal.report(dir);
                        wait.set_incomplete();
                    }
                }
            }
        }
        if let Err(error) = fs::fchdir(start_dir.as_fd()) {
            return unable_to_return(error);
        }
    }
    let Some(mut wait) = wait else {
        return 0;
    };
    let deadline = time.map(|time| instant() + time);
    if !absent.is_empty()
        && let Err(error) =
            control_when_started(&mut absent, &message, &mut wait, deadline, start_dir.as_fd())
    {
        return unable_to_return(error);
    }
    wait.run(time.zip(deadline))
}

fn unable_to_return(error: Errno) -> i32 {
    diag::fatal("svc", &[b"unable to set directory"], error)
}

/// Why svc cannot send a command to a service.
#[derive(Clone, Copy)]
enum Refusal {
    /// It cannot change to the directory.
    Directory(Errno),
    /// `control` cannot be opened.
    Control(Errno),
    /// `control` is another kind of file.
    NoFifo,
    /// No supervise has `control` open. Whether a supervise has ever published a status.
    NotRunning { has_status: bool },
    /// The directory cannot be watched.
    Watch(Errno),
    /// The command could not be written; a message was printed.
    Reported,
}

impl Refusal {
    /// Whether the refusal may end because a supervise starts.
    ///
    /// A service that its supervise has left is down, and a script that stops everything must not
    /// wait for it.
    fn may_be_temporary(self, goal: Goal) -> bool {
        match self {
            Self::NotRunning { has_status } => !has_status || goal != Goal::Down,
            Self::Control(error) => error == Errno::NOENT,
            Self::Directory(_) | Self::NoFifo | Self::Watch(_) | Self::Reported => false,
        }
    }

    /// Prints the warning.
    fn report(self, dir: &CStr) {
        let shown = dir.to_bytes();
        match self {
            Self::Directory(error) => {
                diag::warning("svc", &[b"unable to chdir to ", shown], error);
            }
            Self::Control(error) => diag::warning("svc", &[b"unable to control ", shown], error),
            Self::NoFifo => diag::say(&[
                b"svc: warning: unable to control ",
                shown,
                b": control is not a FIFO, so nobody reads it",
            ]),
            Self::NotRunning { .. } => warn_not_running(shown),
            Self::Watch(error) => diag::warning("svc", &[b"unable to wait for ", shown], error),
            Self::Reported => {}
        }
    }
}

/// Waits until supervises run for the services, sends each the message, and adds it to `wait`.
///
/// svscan may just have been told of a service by a new link. The wait ends at `deadline`, or after
/// [`APPEARANCE_TIMEOUT`]. The services that are left then are reported as if svc had not waited.
///
/// # Errors
/// The current directory `start_dir` cannot be entered again.
fn control_when_started(
    absent: &mut Vec<(&'static CStr, Refusal)>,
    message: &[u8],
    wait: &mut Wait,
    deadline: Option<Instant>,
    start_dir: BorrowedFd<'_>,
) -> daemontools_sys::Result<()> {
    let deadline = deadline.unwrap_or_else(|| instant() + APPEARANCE_TIMEOUT);
    let appearance = Appearance::new();
    loop {
        let mut next = 0;
        while let Some(&mut (dir, ref mut refusal)) = absent.get_mut(next) {
            // The watch comes before the look, so that no change is missed.
            let watched = appearance.as_ref().map_err(|&error| error).and_then(|appearance| {
                fs::chdir(dir)?;
                appearance.watch()
            });
            fs::fchdir(start_dir)?;
            let outcome = control_and_wait(dir, message, wait);
            fs::fchdir(start_dir)?;
            match outcome {
                Ok(()) => {
                    absent.remove(next);
                }
                // Without a watch there is no wait.
                Err(now) if watched.is_err() || !now.may_be_temporary(wait.goal()) => {
                    now.report(dir);
                    wait.set_incomplete();
                    absent.remove(next);
                }
                Err(now) => {
                    *refusal = now;
                    next += 1;
                }
            }
        }
        let now = instant();
        match &appearance {
            Ok(appearance) if !absent.is_empty() && now < deadline => {
                appearance.wait(deadline.duration_since(now));
            }
            _ => break,
        }
    }
    for (dir, refusal) in absent {
        refusal.report(dir);
        wait.set_incomplete();
    }
    Ok(())
}

/// Sends the message, and waits until supervise has read it, or the timeout.
fn control(dir: &CStr, message: &[u8], deadline: Instant) {
    match open(dir) {
        Ok((_, control)) => {
            if send(dir, &control, message) {
                wait_until_read(dir, &control, deadline);
            }
        }
        Err(refusal) => refusal.report(dir),
    }
}

/// Sends the message to a service, and adds the service to those that svc waits for.
fn control_and_wait(
    dir: &'static CStr,
    message: &[u8],
    wait: &mut Wait,
) -> core::result::Result<(), Refusal> {
    let (state, control) = open(dir)?;
    wait.add(dir.to_bytes(), &state, control).map_err(Refusal::Watch)?;
    match wait.control() {
        Some(control) if send(dir, control, message) => Ok(()),
        _ => Err(Refusal::Reported),
    }
}

/// Changes to a service directory, and opens the control FIFO.
fn open(dir: &CStr) -> core::result::Result<(StateDir<'static>, OwnedFd), Refusal> {
    fs::chdir(dir).map_err(Refusal::Directory)?;
    let state = StateDir::of_current_dir().map_err(Refusal::Control)?;
    match state.file("control", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE)) {
        Ok(control) if fs::is_fifo(control.as_fd()) => Ok((state, control)),
        Ok(_) => Err(Refusal::NoFifo),
        Err(Errno::NXIO) => {
            let status = state.file("status", |path| fs::exists(fs::HERE, path));
            Err(Refusal::NotRunning { has_status: status.unwrap_or(true) })
        }
        Err(error) => Err(Refusal::Control(error)),
    }
}

/// Writes the message; prints a warning and returns false if that fails.
fn send(dir: &CStr, control: &OwnedFd, message: &[u8]) -> bool {
    // One write of at most PIPE_BUF bytes: messages of several svc do not mix. Blocks while the FIFO
    // is full, which happens if supervise is stopped.
    let written = fd::set_blocking(control.as_fd(), true)
        .and_then(|()| fd::write_all(control.as_fd(), message));
    if let Err(error) = written {
        diag::warning("svc", &[b"error writing commands to ", dir.to_bytes()], error);
    }
    written.is_ok()
}

fn wait_until_read(dir: &CStr, control: &OwnedFd, deadline: Instant) {
    // The content of a FIFO is lost when its last descriptor is closed. If supervise is killed before
    // it has read the message, the next one reads it while this process holds the FIFO open.
    let (mut pause, mut looks) = (FIRST_PAUSE, 0);
    while fd::unread(control.as_fd()).is_ok_and(|bytes| bytes > 0) {
        looks += 1;
        if looks > FEWEST_LOOKS && instant() >= deadline {
            // A supervise that is stopped reads the message when it continues.
            if poll::hung_up(control.as_fd(), Duration::ZERO) {
                warn_not_running(dir.to_bytes());
            } else if supervise_runs() {
                diag::say(&[b"svc: warning: ", dir.to_bytes(), b" has not read the command yet"]);
            }
            return;
        }
        poll::pause(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

fn warn_not_running(dir: &[u8]) {
    diag::say(&[b"svc: warning: unable to control ", dir, b": supervise not running"]);
}

/// Whether a supervise runs for the service in the current directory.
fn supervise_runs() -> bool {
    let ok = StateDir::of_current_dir().and_then(|state| {
        state.file("ok", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE))
    });
    ok.is_ok()
}
