//! supervise: keeps the service of one directory as it is wanted.
//!
//! Start-up makes `supervise/` with its files and may fail; after that nothing is fatal. The loop
//! waits for a signal, a command or the machine's deadline, hands it to the machine of
//! `daemontools-core`, and performs what comes back.

use crate::children::reap;
use crate::diag::{self, TEMPORARY};
use crate::holder;
use crate::state_dir::StateDir;
use crate::time::{instant, now};
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::command::{Command, Decoder, Scope, Signal, Target};
use daemontools_core::decimal::Decimal;
use daemontools_core::status::Record;
use daemontools_core::supervise::{Effect, Event, Machine, State};
use daemontools_core::{Pid, errno};
use daemontools_sys::process::{self, Forked, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs, lock, poll};

/// After a status that could not be written, how long until the next try.
const RETRY_STATUS: Duration = Duration::from_secs(5);

/// Exit code: 0 after `x`, 100 for bad usage, 111 when the directory cannot be supervised.
pub(crate) fn main() -> i32 {
    let (Some(dir), None) = (process::arg(1), process::arg(2)) else {
        return diag::usage("supervise", "supervise dir");
    };
    fd::fill_missing(fd::Missing::ClosedForChildren);
    match Supervisor::begin(dir) {
        Ok(mut supervisor) => supervisor.run(),
        Err(code) => code,
    }
}

/// A `supervise` at work.
struct Supervisor {
    /// The argument, as it appears in messages.
    dir: &'static [u8],
    signals: Signals,
    files: Files,
    machine: Machine,
    /// What the last commands chose, while there may be more of the same message.
    decoder: Decoder,
    /// The machine's record is newer than the file.
    unpublished: bool,
    /// The file could not be written the last time, which was said then.
    status_trouble: bool,
}

/// What is open in the state directory.
struct Files {
    shown: Shown,
    state: OwnedFd,
    control: OwnedFd,
    /// Held open, never used: as long as they are, we are alone, and svok says yes, and the FIFO
    /// has no end.
    _lock: OwnedFd,
    _ok: Option<OwnedFd>,
    _control_writer: OwnedFd,
}

impl Supervisor {
    /// Everything that has to work before the first start.
    fn begin(dir: &'static CStr) -> core::result::Result<Self, i32> {
        let shown = dir.to_bytes();
        let fatal = |what: &[&[u8]], error| diag::fatal("supervise", what, error);
        let signals = Signals::take_over(&[signal::TERM, signal::INT, signal::HUP, signal::USR1])
            .map_err(|e| fatal(&[b"unable to create pipe for ", shown], e))?;
        fs::chdir(dir).map_err(|e| fatal(&[b"unable to chdir to ", shown], e))?;
        let locked = Locked::take(shown)?;
        let down = fs::exists(fs::HERE, c"down")
            .map_err(|e| fatal(&[b"unable to stat ", shown, b"/down"], e))?;
        let machine = Machine::new(!down, now());
        let files = locked.open_files()?;
        // The status is there before ok, which tells others that it is.
        let written = files.write_status(&machine.record(), false);
        let files = files.open_ok()?;
        Ok(Self {
            dir: shown,
            signals,
            files,
            machine,
            decoder: Decoder::default(),
            unpublished: !written,
            status_trouble: !written,
        })
    }

    /// From the first start to the last end.
    fn run(&mut self) -> i32 {
        self.step(Event::Begin);
        while self.machine.state() != State::Gone {
            if self.unpublished {
                self.publish();
            }
            let [signalled, commanded] =
                poll::readable([self.signals.fd(), self.files.control.as_fd()], self.timeout());
            if signalled {
                self.take_signals();
            }
            if self.machine.deadline().is_some() {
                self.step(Event::Tick);
            }
            if commanded {
                self.take_commands();
            }
        }
        self.publish();
        0
    }

    /// How long to wait for events: for ever, if nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let now = instant();
        let due = self.machine.deadline().map(|deadline| deadline.after(now));
        let retry = self.unpublished.then_some(RETRY_STATUS);
        due.into_iter().chain(retry).min()
    }

    fn take_signals(&mut self) {
        let mut asked = [None; 2];
        for signal in self.signals.pending() {
            match signal {
                signal::TERM | signal::INT => asked = [Some(Command::Down), Some(Command::Exit)],
                // USR1 is what svscan tells a logger's supervise whose end of file is near. HUP
                // comes from a terminal that is closed, and the service gets it as well.
                signal::HUP | signal::USR1 => asked = [asked[0], Some(Command::Exit)],
                _ => {}
            }
        }
        // Wishes before deaths: a service that ended with us is not to be started once more.
        for command in asked.into_iter().flatten() {
            self.step(Event::Command(command, Scope::Process));
        }
        while let Some((pid, how)) = reap() {
            // Others than ours can be children of whoever became us by exec.
            if self.machine.pid() == Some(pid) {
                self.step(Event::Ended(how));
            }
        }
    }

    fn take_commands(&mut self) {
        let mut bytes = [0; 512];
        // An error or a false alarm is an empty message; the next wait will tell.
        let n = fd::read(self.files.control.as_fd(), &mut bytes).unwrap_or(0);
        for &byte in bytes.iter().take(n) {
            // Without encore's log script, commands for it are for nobody.
            if let Some((Target::Main, command, scope)) = self.decoder.feed(byte) {
                self.step(Event::Command(command, scope));
            }
        }
        // What came in one piece is over; a full buffer may hold half a message.
        if n < bytes.len() {
            self.decoder = Decoder::default();
        }
    }

    /// Lets the machine take an event, and performs what it says, until there is nothing left.
    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        let mut refusal = None;
        while let Some(event) = next.take() {
            for effect in self.machine.step(event, now()) {
                match effect {
                    Effect::Spawn => match self.spawn() {
                        Ok(pid) => next = Some(Event::Spawned(pid)),
                        Err(error) => {
                            refusal = Some(error);
                            next = Some(Event::SpawnFailed);
                        }
                    },
                    Effect::Signal(pid, signal, scope) => {
                        // The process is not reaped, so that the number is still its own. A
                        // process group that does not exist gets nothing.
                        let number = signal_number(signal);
                        let _ = match scope {
                            Scope::Process => process::kill(pid, number),
                            Scope::Group => process::kill_group(pid, number),
                        };
                    }
                    Effect::Publish => self.unpublished = true,
                    // The loop sees the state.
                    Effect::Exit => {}
                }
            }
        }
        if let Some(error) = refusal {
            let pause = Decimal::new(self.machine.fork_pause().as_secs());
            let what =
                [b"unable to fork for ", self.dir, b", sleeping ", pause.as_bytes(), b" seconds"];
            diag::warning("supervise", &what, error);
        }
    }

    /// Starts `./run`.
    fn spawn(&self) -> Result<Pid> {
        match process::fork()? {
            Forked::Parent(pid) => Ok(pid),
            Forked::Child => {
                self.signals.give_back();
                let args = Strings::of([c"./run"]);
                let error = process::exec(c"./run", &args, &Strings::own_environment());
                let what = [b"unable to start ", self.dir, b"/run"];
                process::exit(diag::fatal("supervise", &what, error))
            }
        }
    }

    /// Writes the machine's record. What fails is said once, and tried again later.
    fn publish(&mut self) {
        let written = self.files.write_status(&self.machine.record(), self.status_trouble);
        self.unpublished = !written;
        self.status_trouble = !written;
    }
}

/// The state directory, ours alone.
struct Locked {
    shown: Shown,
    state: OwnedFd,
    lock: OwnedFd,
}

impl Locked {
    /// Makes the state directory if it is missing, and takes its lock.
    fn take(dir: &'static [u8]) -> core::result::Result<Self, i32> {
        let shown = Shown::find(dir)
            .map_err(|e| diag::fatal("supervise", &[b"unable to find directory of ", dir], e))?;
        shown.make_dir()?;
        let state = shown
            .state
            .with_path(|path| fs::reach_dir(fs::HERE, path))
            .map_err(|e| shown.fatal(b"acquire", b"/lock", e))?;
        let lock = fs::open_append(state.as_fd(), c"lock")
            .map_err(|e| shown.fatal(b"acquire", b"/lock", e))?;
        if let Err(error) = lock::try_lock(lock.as_fd()) {
            let what =
                [b"unable to acquire ", shown.dir, shown.slash, shown.state.path(), b"/lock"];
            return Err(holder::refuse("supervise", &what, &lock, error));
        }
        Ok(Self { shown, state, lock })
    }

    /// Opens the control FIFO, making it if it is missing.
    fn open_files(self) -> core::result::Result<Files, i32> {
        let Self { shown, state, lock } = self;
        let at = state.as_fd();
        // If it cannot be made, opening it tells why.
        let _ = fs::mkfifo(at, c"control", 0o600);
        let control =
            fs::open_read(at, c"control").map_err(|e| shown.fatal(b"read", b"/control", e))?;
        shown.check_fifo(&control, b"/control")?;
        let control_writer =
            fs::open_write(at, c"control").map_err(|e| shown.fatal(b"write", b"/control", e))?;
        Ok(Files { shown, state, control, _lock: lock, _ok: None, _control_writer: control_writer })
    }
}

impl Files {
    /// Opens the FIFO that says we are here, making it if it is missing.
    fn open_ok(self) -> core::result::Result<Self, i32> {
        let at = self.state.as_fd();
        let _ = fs::mkfifo(at, c"ok", 0o600);
        let ok = fs::open_read(at, c"ok").map_err(|e| self.shown.fatal(b"read", b"/ok", e))?;
        self.shown.check_fifo(&ok, b"/ok")?;
        Ok(Self { _ok: Some(ok), ..self })
    }

    /// Replaces `status` in one step, so that a reader always sees a whole record; on a full disk
    /// or in a directory that cannot be written, overwrites it, which is one small write as well.
    /// Says what is wrong unless it was `said`.
    fn write_status(&self, record: &Record, said: bool) -> bool {
        let bytes = record.to_bytes();
        let at = self.state.as_fd();
        let replaced = match fs::open_trunc(at, c"status.new") {
            Err(error) => Err(("open", "", why(error))),
            Ok(file) => match fd::write(file.as_fd(), &bytes) {
                Err(error) => Err(("write", "", why(error))),
                Ok(n) if n < bytes.len() => Err(("write", "", "partial write")),
                Ok(_) => fs::rename(at, c"status.new", c"status")
                    .map_err(|error| ("rename", " to status", why(error))),
            },
        };
        let Err((verb, tail, why)) = replaced else {
            return true;
        };
        let overwritten = fs::open_write(at, c"status")
            .and_then(|file| fd::write(file.as_fd(), &bytes))
            .is_ok_and(|n| n == bytes.len());
        if !overwritten && !said {
            diag::say(&[
                b"supervise: warning: unable to ",
                verb.as_bytes(),
                b" ",
                self.shown.dir,
                self.shown.slash,
                self.shown.state.path(),
                b"/status.new",
                tail.as_bytes(),
                b": ",
                why.as_bytes(),
            ]);
        }
        overwritten
    }
}

/// The state directory, and how messages name it: below the argument, or by its own path if
/// SUPERVISEDIR chose it.
struct Shown {
    dir: &'static [u8],
    slash: &'static [u8],
    state: StateDir<'static>,
}

impl Shown {
    fn find(dir: &'static [u8]) -> Result<Self> {
        let state = StateDir::of_current_dir()?;
        let (dir, slash) = state.shown_below(dir);
        Ok(Self { dir, slash, state })
    }

    fn fatal(&self, verb: &[u8], file: &[u8], error: Errno) -> i32 {
        let path = [self.dir, self.slash, self.state.path(), file];
        let [a, b, c, d] = path;
        diag::fatal("supervise", &[b"unable to ", verb, b" ", a, b, c, d], error)
    }

    /// Makes the directory, ignoring failures, which show when the lock is opened. A link
    /// `supervise` that leads nowhere is Debian's way to put the state elsewhere: its target is
    /// made.
    fn make_dir(&self) -> core::result::Result<(), i32> {
        let made = self.state.with_path(|path| fs::mkdir(fs::HERE, path, 0o700));
        if made.is_ok() || !self.state.is_default() {
            return Ok(());
        }
        let mut room = [0; 256];
        let target = match fs::readlink(fs::HERE, c"supervise", &mut room) {
            Ok(target) => target.len(),
            Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(unreadable_link(why(error))),
        };
        match room.get_mut(target) {
            // The room is full: the target may be longer.
            None => Err(unreadable_link(errno::text(-1))),
            Some(end) => {
                *end = 0;
                if let Ok(path) = CStr::from_bytes_until_nul(&room) {
                    let _ = fs::mkdir(fs::HERE, path, 0o700);
                }
                Ok(())
            }
        }
    }

    /// A file of another kind would always be readable, and never bring a command.
    fn check_fifo(&self, file: &OwnedFd, name: &[u8]) -> core::result::Result<(), i32> {
        if fs::is_fifo(file.as_fd()) {
            return Ok(());
        }
        diag::say(&[
            b"supervise: fatal: unable to use ",
            self.dir,
            self.slash,
            self.state.path(),
            name,
            b": not a FIFO; remove it",
        ]);
        Err(TEMPORARY)
    }
}

const fn why(error: Errno) -> &'static str {
    errno::text(error.raw_os_error())
}

/// Without a program name, as Debian's patch has it.
fn unreadable_link(why: &str) -> i32 {
    diag::say(&[b"unable to readlink ./supervise: ", why.as_bytes()]);
    TEMPORARY
}

const fn signal_number(signal: Signal) -> i32 {
    match signal {
        Signal::Hup => signal::HUP,
        Signal::Alrm => signal::ALRM,
        Signal::Int => signal::INT,
        Signal::Term => signal::TERM,
        Signal::Kill => signal::KILL,
        Signal::Quit => signal::QUIT,
        Signal::Usr1 => signal::USR1,
        Signal::Usr2 => signal::USR2,
        Signal::Winch => signal::WINCH,
        Signal::Stop => signal::STOP,
        Signal::Cont => signal::CONT,
    }
}
