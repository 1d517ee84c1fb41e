//! svscanboot: svscan for the whole machine, with a clean environment and somebody to listen.
//!
//! Everything that svscan and the services say without a logger comes through a pipe to us. We
//! hand it on to readproctitle, for ps, and keep it in a log. svscan and readproctitle are
//! started again if they die; TERM goes on to svscan, and we end when it has.

use crate::boot_log::BootLog;
use crate::chain::exec;
use crate::diag::{self, TEMPORARY};
use crate::environment::{Environment, Unreadable};
use crate::holder;
use crate::options::{complain, options};
use crate::state_dir::StateDir;
use crate::time::instant;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::decimal::Decimal;
use daemontools_core::getopt::Opt;
use daemontools_core::time::Instant;
use daemontools_core::{Pid, errno};
use daemontools_sys::fs::Found;
use daemontools_sys::process::{self, Ended, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, dir, fd, fs, guarded, poll};

const USAGE: &str = "svscanboot [-k] [-e envdir] [-l logfile] [dir]";

/// The original's.
const PATH: &[u8] = b"/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:\
    /usr/X11R6/bin";

/// Where an administrator changes PATH, or adds variables for all services.
const ENVIRONMENT: &CStr = c"/etc/daemontools/env";

/// Where everything is kept that nobody collects.
const LOG: &CStr = c"/var/log/svscanboot.log";

/// The scan directories of Debian and of upstream; the first that exists is taken.
const SCAN_DIRS: [&CStr; 2] = [c"/etc/service", c"/service"];

/// Between two starts of the same program.
const START_INTERVAL: Duration = Duration::from_secs(5);

/// How often readproctitle is offered what it was too slow for.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// How often stderr is offered what it did not take. Meanwhile services wait with what they say.
const LOG_INTERVAL: Duration = Duration::from_millis(20);

/// The room in readproctitle's command line.
const DOTS: usize = 400;

/// How long the services of an earlier run are waited for.
const LEFTOVER_TIME: Duration = Duration::from_secs(5);

/// Exit code: 0 after TERM, 100 for bad usage, 111 if there are no descriptors, or if a svscan
/// runs on the directory already.
pub(crate) fn main() -> i32 {
    let mut keep = false;
    let mut environment_dir = ENVIRONMENT;
    let mut log_file = None;
    let mut options = options(b"ke:l:");
    for option in options.by_ref() {
        match option {
            Opt::Letter(_) => keep = true,
            // Values are arguments or tails of arguments, so that their NUL is behind them.
            Opt::Value(b'e', value) => environment_dir = process::terminated(value).unwrap_or(c""),
            Opt::Value(_, value) => log_file = process::terminated(value),
            Opt::Illegal(_) | Opt::NeedsValue(_) => {
                complain(option);
                return diag::usage("svscanboot", USAGE);
            }
        }
    }
    let scan_dir = [process::arg(options.operand()), process::env("SVDIR")]
        .into_iter()
        .flatten()
        .find(|dir| !dir.is_empty())
        .unwrap_or_else(usual_scan_dir);

    fd::fill_missing(fd::Missing::ClosedForChildren);
    let log = BootLog::new(log_file, LOG);
    let mut environment = Environment::empty();
    environment.set(b"PATH", PATH);
    match Boot::begin(scan_dir, keep, environment, log) {
        Ok(mut boot) => {
            boot.read_environment(environment_dir);
            boot.end_leftovers().map_or_else(|code| code, |()| boot.run())
        }
        Err(error) => diag::fatal("svscanboot", &[b"unable to create pipe"], error),
    }
}

fn usual_scan_dir() -> &'static CStr {
    let exists = |dir: &&CStr| matches!(fs::look(fs::HERE, dir), Ok(Found::Dir(_)));
    let [first, _] = SCAN_DIRS;
    SCAN_DIRS.into_iter().find(exists).unwrap_or(first)
}

/// One of the two programs that are kept running.
struct Child {
    pid: Option<Pid>,
    due: Instant,
}

impl Child {
    const NEW: Self = Self { pid: None, due: Instant(0) };

    fn is_due(&self) -> bool {
        self.pid.is_none() && self.due <= instant()
    }

    fn started(&mut self, pid: Result<Pid>) {
        self.pid = pid.ok();
        self.due = instant() + START_INTERVAL;
    }
}

/// A `svscanboot` at work.
struct Boot {
    scan_dir: &'static CStr,
    keep: bool,
    environment: Environment,
    log: BootLog,
    signals: Signals,
    null: OwnedFd,
    /// From svscan and the services to us.
    said: (OwnedFd, OwnedFd),
    /// From us to readproctitle; never waits, because a stopped readproctitle must not stop the
    /// services.
    shown: (OwnedFd, OwnedFd),
    /// The end of what readproctitle has not taken yet.
    unshown: Vec<u8>,
    svscan: Child,
    readproctitle: Child,
    /// TERM or INT has come.
    stopping: bool,
}

impl Boot {
    fn begin(
        scan_dir: &'static CStr,
        keep: bool,
        environment: Environment,
        log: BootLog,
    ) -> Result<Self> {
        let signals = Signals::take_over(&[signal::TERM, signal::INT, signal::HUP])?;
        let null = fs::open_write(fs::HERE, c"/dev/null")?;
        let (said, shown) = (fd::pipe()?, fd::pipe()?);
        fd::set_blocking(shown.1.as_fd(), false)?;
        fd::set_blocking(said.0.as_fd(), false)?;
        Ok(Self {
            scan_dir,
            keep,
            environment,
            log,
            signals,
            null,
            said,
            shown,
            unshown: Vec::new(),
            svscan: Child::NEW,
            readproctitle: Child::NEW,
            stopping: false,
        })
    }

    /// Says something where svscan's own messages go.
    fn warn(&mut self, what: &[&[u8]]) {
        self.hand_on(&[b"svscanboot: warning: ", &what.concat()[..], b"\n"].concat());
    }

    /// PATH and whatever else the administrator has put there. A missing directory is usual; a file
    /// that cannot be read keeps none of the others from being used.
    fn read_environment(&mut self, path: &CStr) {
        let read = match fs::open_dir(fs::HERE, path) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(alloc::vec![Unreadable(Vec::new(), error)]),
            Ok(dir) => self.environment.apply_dir(dir.as_fd(), b""),
        };
        for Unreadable(file, error) in read.err().into_iter().flatten() {
            let why = errno::text(error.raw_os_error()).as_bytes();
            self.warn(&[b"unable to read ", path.to_bytes(), b"/", &file, b": ", why]);
        }
    }

    /// Ends the services of an earlier run, if there are any: first the services, then, when
    /// these have gone or time is up, their loggers.
    ///
    /// # Errors
    /// The exit code, after a message, if their svscan still runs: they are not left over then.
    fn end_leftovers(&mut self) -> core::result::Result<(), i32> {
        let Ok(home) = fs::open_dir(fs::HERE, c".") else {
            return Ok(());
        };
        // What is wrong with the directory is for svscan to say.
        if fs::chdir(self.scan_dir).is_ok() {
            // Held to the end of the block: no svscan may start among these.
            let _lock = holder::lock_scan_dir("svscanboot", self.scan_dir.to_bytes())?;
            for log in [false, true] {
                self.each_control(log, |control| {
                    let _ = fd::write(control.as_fd(), b"dx");
                });
                let until = instant() + LEFTOVER_TIME;
                self.each_control(log, |control| {
                    poll::hung_up(control.as_fd(), until.after(instant()));
                });
            }
        }
        let _ = fs::fchdir(home.as_fd());
        Ok(())
    }

    /// Opens the control FIFO of every service (or every logger) in the current directory that
    /// has a supervise.
    fn each_control(&self, log: bool, mut with: impl FnMut(&OwnedFd)) {
        let Ok(scan_dir) = fs::open_dir(fs::HERE, c".") else {
            return;
        };
        let base = self.environment.get(b"SUPERVISEDIR");
        // What cannot be read has nothing in it for us.
        let _ = dir::names_here(|name| {
            let there = fs::chdir(name).and_then(|()| if log { fs::chdir(c"log") } else { Ok(()) });
            let control =
                there.and_then(|()| StateDir::of_current_dir_by(base)).and_then(|state| {
                    state.file("control", |path| guarded::open(fs::HERE, path, fs::Opening::WRITE))
                });
            if let Ok(control) = control.as_ref()
                && fs::is_fifo(control.as_fd())
            {
                with(control);
            }
            let _ = fs::fchdir(scan_dir.as_fd());
        });
    }

    fn run(&mut self) -> i32 {
        loop {
            if self.readproctitle.is_due() {
                let pid = self.start_readproctitle();
                self.readproctitle.started(pid);
            }
            if self.svscan.is_due() && !self.stopping {
                let pid = self.start_svscan();
                self.svscan.started(pid);
            }
            if self.stopping && self.svscan.pid.is_none() {
                self.take_text();
                return 0;
            }
            let children = [&self.svscan, &self.readproctitle];
            let starts = children.iter().filter(|c| c.pid.is_none()).map(|c| c.due);
            let stuck = self.is_stuck();
            let retry = (!self.unshown.is_empty()).then(|| instant() + SHOW_INTERVAL);
            let log = stuck.then(|| instant() + LOG_INTERVAL);
            let due = starts.chain(retry).chain(log).min();
            let signals = self.signals.fd();
            let said = if stuck { signals } else { self.said.0.as_fd() };
            let [signalled, said] =
                poll::readable([signals, said], due.map(|due| due.after(instant())));
            if stuck {
                self.log.retry();
            } else if said {
                self.take_text();
            } else if !self.unshown.is_empty() {
                self.show();
            }
            if signalled {
                self.take_signals();
            }
        }
    }

    /// Whether nothing more is read until stderr takes what there is. At the end nobody is kept
    /// waiting.
    const fn is_stuck(&self) -> bool {
        self.log.is_stuck() && !self.stopping
    }

    /// Reads what there is, but not for ever: a service that never stops talking must not keep
    /// signals from being heard.
    fn take_text(&mut self) {
        let mut text = [0; 4096];
        for _ in 0..16 {
            if self.is_stuck() {
                return;
            }
            let Ok(n @ 1..) = fd::read(self.said.0.as_fd(), &mut text) else {
                return;
            };
            self.hand_on(text.get(..n).unwrap_or_default());
        }
    }

    fn hand_on(&mut self, text: &[u8]) {
        self.log.add(text);
        self.unshown.extend_from_slice(text);
        self.show();
    }

    /// Gives readproctitle what it takes, and of the rest keeps what it could show.
    fn show(&mut self) {
        let taken = fd::write(self.shown.1.as_fd(), &self.unshown).unwrap_or(0);
        let surplus = self.unshown.len().saturating_sub(DOTS);
        self.unshown.drain(..taken.max(surplus));
    }

    fn take_signals(&mut self) {
        let signals: Vec<i32> = self.signals.pending().collect();
        while let Some((pid, how)) = process::reap() {
            if self.readproctitle.pid == Some(pid) {
                self.readproctitle.pid = None;
            }
            if self.svscan.pid == Some(pid) {
                self.svscan.pid = None;
                if !self.stopping {
                    self.mourn(how);
                }
            }
        }
        for signal in signals {
            if let signal::TERM | signal::INT | signal::HUP = signal {
                self.stopping |= signal != signal::HUP;
                if let Some(svscan) = self.svscan.pid {
                    // Not reaped yet, so that the number is still its own.
                    let _ = process::kill(svscan, signal);
                }
            }
        }
    }

    fn mourn(&mut self, how: Ended) {
        let (what, number) = match how {
            Ended::Exited(code) => (&b"svscan exited "[..], code),
            Ended::Killed(signal) => (&b"svscan was killed by signal "[..], signal),
        };
        let number = Decimal::new(number.into());
        self.warn(&[what, number.as_bytes(), b"; it is started again"]);
    }

    fn start_readproctitle(&self) -> Result<Pid> {
        let dots = CString::new([b'.'].repeat(DOTS)).unwrap_or_default();
        let args = [c"readproctitle", c"service", c"errors:", &dots];
        self.start(&args, self.shown.0.as_fd(), self.null.as_fd())
    }

    fn start_svscan(&self) -> Result<Pid> {
        let args: &[&CStr] = if self.keep {
            &[c"svscan", c"-k", self.scan_dir]
        } else {
            &[c"svscan", self.scan_dir]
        };
        self.start(args, self.null.as_fd(), self.said.1.as_fd())
    }

    /// Starts a program with this input, and this for both its outputs.
    fn start(
        &self,
        args: &[&CStr],
        input: daemontools_sys::BorrowedFd<'_>,
        output: daemontools_sys::BorrowedFd<'_>,
    ) -> Result<Pid> {
        let program = args.first().copied().unwrap_or_default();
        let mut child = || {
            let connected = fd::replace(fd::stdin(), input)
                .and_then(|()| fd::replace(fd::stdout(), output))
                .and_then(|()| fd::replace(fd::stderr(), output));
            if connected.is_err() {
                return TEMPORARY;
            }
            self.signals.give_back();
            let path = self.environment.get(b"PATH");
            let error = exec(
                program,
                &Strings::of(args.iter().copied()),
                &self.environment.strings(),
                path,
            );
            diag::fatal("svscanboot", &[b"unable to run ", program.to_bytes()], error)
        };
        process::spawn(&mut child)
    }
}
