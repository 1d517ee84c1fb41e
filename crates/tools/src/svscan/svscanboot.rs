//! svscanboot: svscan for the whole machine, with a clean environment, and a log of its messages.
//!
//! svscan and the services without a logger write their messages to a pipe. svscanboot copies them to
//! readproctitle, which shows them in ps, and to a log. It restarts svscan and readproctitle when they
//! end. It passes stop signals on to svscan, and exits when svscan has ended.

use super::boot_leftovers;
use super::boot_log::BootLog;
use super::boot_path;
use super::boot_takeover::LeftSvscan;
use super::boot_title::{TITLE_LENGTH, Title};
use super::readiness_pipe;
use super::service_manager::{Report, ServiceManager};
use super::stop_signals;
use crate::common::children::ended;
use crate::common::clock::instant;
use crate::common::diag::{self, TEMPORARY};
use crate::common::environment::{Environment, Unreadable};
use crate::common::getopt::{options, print_error};
use crate::common::unsent;
use crate::loaders::chain::exec;
use crate::survive::process_record;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::iter;
use core::time::Duration;
use daemontools_core::programs::Program;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_core::text::errno;
use daemontools_core::text::getopt::Opt;
use daemontools_core::text::words;
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, lock, poll};

/// The default directory for the variables of all services, in the form of envdir.
const ENVIRONMENT: &CStr = c"/etc/daemontools/env";

/// The log file where stderr is not collected.
const LOG: &CStr = c"/var/log/svscanboot.log";

/// The scan directories of Debian and of upstream. svscanboot takes the first that exists.
const SCAN_DIRS: [&CStr; 2] = [c"/etc/service", c"/service"];

/// Time between two starts of the same program.
const START_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two writes to a readproctitle that is too slow.
const TITLE_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two writes to a stderr that is full. Meanwhile services wait when they write.
const LOG_INTERVAL: Duration = Duration::from_millis(20);

/// Exit code: 0 after TERM, 100 for bad usage, 111 if there are no descriptors, or if a svscan runs on
/// the directory already that is not to be taken over.
pub(crate) fn main() -> i32 {
    unsent::never_wait(Program::Svscanboot);
    let mut svscan_options: Vec<&'static CStr> = Vec::new();
    let mut environment_dir = ENVIRONMENT;
    let mut log_file = None;
    let mut options = options(Program::Svscanboot);
    for option in options.by_ref() {
        match option {
            Opt::Letter(_) => svscan_options.push(c"-k"),
            // A value is an argument or the end of one, so that a NUL follows it.
            Opt::Value(b'e', value) => {
                environment_dir = process::argument_c_str(value).unwrap_or(c"")
            }
            Opt::Value(b'l', value) => log_file = process::argument_c_str(value),
            Opt::Value(_, seconds) if decimal::parse(seconds).is_some() => {
                svscan_options.extend([c"-t", process::argument_c_str(seconds).unwrap_or(c"")]);
            }
            Opt::Value(..) => return diag::usage(Program::Svscanboot),
            Opt::Illegal(_) | Opt::NeedsValue(_) => {
                print_error(option);
                return diag::usage(Program::Svscanboot);
            }
        }
    }
    // The original ignores its arguments, and units pass it others than a directory.
    let argument = process::arg(options.operand()).filter(|argument| !argument.is_empty());
    let is_dir = argument.map(|argument| fs::dir_id(fs::HERE, argument));
    let ignored = argument.filter(|argument| match is_dir {
        Some(Ok(Some(_))) => false,
        // A path may get its directory later. A device and a word like `start` do not.
        Some(Err(_)) => {
            !argument.to_bytes().contains(&b'/') || argument.to_bytes().starts_with(b"/dev/")
        }
        _ => true,
    });
    let scan_dir = [argument.filter(|_| ignored.is_none()), process::env("SVDIR")]
        .into_iter()
        .flatten()
        .find(|dir| !dir.is_empty())
        .unwrap_or_else(usual_scan_dir);

    fd::fill_missing(fd::Missing::ClosedForChildren);
    let log = BootLog::new(log_file, LOG);
    let mut environment = Environment::empty();
    environment.set(b"PATH", &boot_path::path());
    match Boot::begin(scan_dir, svscan_options, environment, log) {
        Ok(mut boot) => {
            if let Some(ignored) = ignored {
                let why = match is_dir {
                    Some(Err(error)) => errno::text(error.raw_os_error()),
                    _ => "not a directory",
                };
                let shown = [ignored.to_bytes(), b": ", why.as_bytes(), b"; scanning "].concat();
                boot.warn(&[b"ignoring the argument ", &shown, scan_dir.to_bytes()]);
            }
            boot.read_environment(environment_dir);
            let state_base = boot.environment.get(b"SUPERVISEDIR");
            match boot_leftovers::end_or_find_svscan(scan_dir, state_base) {
                Ok(left) => {
                    boot.take_over(left);
                    boot.run()
                }
                Err(code) => code,
            }
        }
        Err(error) => diag::fatal("svscanboot", &[b"unable to create pipe"], error),
    }
}

fn usual_scan_dir() -> &'static CStr {
    let exists = |dir: &&CStr| matches!(fs::dir_id(fs::HERE, dir), Ok(Some(_)));
    let [first, _] = SCAN_DIRS;
    SCAN_DIRS.into_iter().find(exists).unwrap_or(first)
}

/// One of the two programs that svscanboot keeps running.
struct Child {
    pid: Option<Pid>,
    /// The earliest moment of the next start.
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
    svscan_options: Vec<&'static CStr>,
    environment: Environment,
    signals: Signals,
    null: OwnedFd,
    /// The pipe from svscan and the services to svscanboot.
    messages: (OwnedFd, OwnedFd),
    log: BootLog,
    title: Title,
    svscan: Child,
    /// The running svscan of a killed svscanboot. It is in the place of the child.
    left: Option<LeftSvscan>,
    readproctitle: Child,
    manager: ServiceManager,
    /// Until svscan is ready, if a service manager waits for that.
    readiness: Option<(OwnedFd, OwnedFd)>,
    /// A stop signal has come.
    stopping: bool,
}

impl Boot {
    fn begin(
        scan_dir: &'static CStr,
        svscan_options: Vec<&'static CStr>,
        environment: Environment,
        log: BootLog,
    ) -> Result<Self> {
        let signals = stop_signals::take_over(&[signal::HUP], None)?;
        let null = fs::open_write(fs::HERE, c"/dev/null")?;
        let messages = fd::pipe()?;
        let title = Title::from_pipe(fd::pipe()?)?;
        fd::set_blocking(messages.0.as_fd(), false)?;
        // Tells svscan, and other svscanboots, that this one reads the pipe. A new pipe has no lock.
        let _ = lock::try_lock(messages.0.as_fd());
        let manager = ServiceManager::of_environment();
        let readiness = manager.exists().then(fd::pipe).transpose()?;
        Ok(Self {
            scan_dir,
            svscan_options,
            environment,
            signals,
            null,
            messages,
            log,
            title,
            svscan: Child::NEW,
            left: None,
            readproctitle: Child::NEW,
            manager,
            readiness,
            stopping: false,
        })
    }

    /// Writes a warning to the places of svscan's messages.
    fn warn(&mut self, what: &[&[u8]]) {
        self.copy(&[b"svscanboot: warning: ", &what.concat()[..], b"\n"].concat());
    }

    /// Reads the variables for all services. The directory may be missing. A file that cannot be read
    /// gives a warning, and the others count.
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

    /// Goes on in the place of the svscanboot that has left this svscan.
    fn take_over(&mut self, left: Option<LeftSvscan>) {
        let Some(mut left) = left else { return };
        core::mem::swap(&mut self.messages, &mut left.messages);
        let pid = Decimal::new(left.pid.get().cast_unsigned().into());
        let text = [b"svscanboot: info: taking over svscan, pid ", pid.as_bytes(), b"\n"].concat();
        self.left = Some(left);
        self.copy(&text);
        self.report_ready();
    }

    fn run(&mut self) -> i32 {
        loop {
            if self.readproctitle.is_due() {
                let pid = self.start_readproctitle();
                self.readproctitle.started(pid);
            }
            if self.left.is_none() && self.svscan.is_due() && !self.stopping {
                let pid = self.start_svscan();
                self.svscan.started(pid);
            }
            if self.stopping && self.left.is_none() && self.svscan.pid.is_none() {
                self.take_messages();
                return 0;
            }
            let is_blocked = self.is_blocked();
            // While stderr is full no message is read, so that the services wait.
            let events = [
                Some(self.signals.fd()),
                (!is_blocked).then_some(self.messages.0.as_fd()),
                self.left.as_ref().map(|left| left.process.fd()),
                self.readiness.as_ref().map(|(read_end, _)| read_end.as_fd()),
            ];
            let [signalled, written, ended, ready] = poll::readable_if(events, self.timeout());
            if is_blocked {
                self.log.retry();
            } else if written {
                self.take_messages();
            } else if self.title.is_waiting() {
                self.title.write();
            }
            if signalled {
                self.take_signals();
            }
            if ended {
                self.take_left_end();
            }
            if ready {
                self.report_ready();
            }
            self.manager.send_due();
        }
    }

    /// svscan has read the scan directory, or was taken over at work.
    fn report_ready(&mut self) {
        self.readiness = None;
        if !self.stopping {
            self.manager.report(Report::Ready);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let svscan = self.left.is_none().then_some(&self.svscan);
        let children = svscan.into_iter().chain([&self.readproctitle]);
        let starts = children.filter(|child| child.pid.is_none()).map(|child| child.due);
        let title = self.title.is_waiting().then(|| instant() + TITLE_INTERVAL);
        let log = self.is_blocked().then(|| instant() + LOG_INTERVAL);
        let due = starts.chain(title).chain(log).chain(self.manager.due()).min();
        due.map(|due| due.duration_since(instant()))
    }

    /// Whether a full stderr keeps svscanboot from reading messages. During a stop it reads on.
    const fn is_blocked(&self) -> bool {
        self.log.is_stuck() && !self.stopping
    }

    /// Reads a limited number of messages, so that a service that never stops writing does not keep
    /// svscanboot from its signals.
    fn take_messages(&mut self) {
        let mut text = [0; 4096];
        for _ in 0..16 {
            if self.is_blocked() {
                return;
            }
            let Ok(n @ 1..) = fd::read(self.messages.0.as_fd(), &mut text) else {
                return;
            };
            self.copy(text.get(..n).unwrap_or_default());
        }
    }

    /// Copies text to the log and to readproctitle.
    fn copy(&mut self, text: &[u8]) {
        self.log.add(text);
        self.title.add(text);
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
                    self.warn_of_end(ended(how));
                }
            }
        }
        for signal in signals {
            let is_stop = stop_signals::is_stop(signal);
            if is_stop || signal == signal::HUP {
                if is_stop {
                    self.stopping = true;
                    self.manager.report(Report::Stopping);
                }
                if let Some(left) = &self.left {
                    let _ = left.process.signal(signal);
                } else if let Some(svscan) = self.svscan.pid {
                    // Not reaped: the pid is still its own.
                    let _ = process::kill(svscan, signal);
                }
            }
        }
    }

    /// Takes the end of the svscan that was taken over. From now on svscan is a child.
    fn take_left_end(&mut self) {
        if let Some(left) = self.left.take()
            && !self.stopping
        {
            self.warn_of_end(process_record::end_of(&left.process));
        }
    }

    /// Prints that svscan has ended and will be restarted.
    fn warn_of_end(&mut self, how: Ended) {
        self.warn(&[b"svscan ", &words::end(how), b"; it is started again"]);
    }

    fn start_readproctitle(&self) -> Result<Pid> {
        let dots = CString::new([b'.'].repeat(TITLE_LENGTH)).unwrap_or_default();
        let args = [c"readproctitle", c"service", c"errors:", &dots];
        self.start(&args, self.title.read_end(), self.null.as_fd())
    }

    fn start_svscan(&self) -> Result<Pid> {
        let args: Vec<&CStr> = iter::once(c"svscan")
            .chain(self.svscan_options.iter().copied())
            .chain([self.scan_dir])
            .collect();
        self.start(&args, self.null.as_fd(), self.messages.1.as_fd())
    }

    /// Starts a program with this input. Both its outputs go to `output`.
    fn start(&self, args: &[&CStr], input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Result<Pid> {
        let program = args.first().copied().unwrap_or_default();
        // Only svscan inherits the pipe: readproctitle gets no variable, and closes it at its exec.
        let ready = self.readiness.as_ref().filter(|_| program == c"svscan");
        let ready = ready.map(|(_, write_end)| write_end.as_fd());
        let variable = ready.map(readiness_pipe::variable);
        let environment = self.environment.entries().chain(variable.as_deref());
        let environment = Strings::of(environment);
        let mut child = || {
            let connected = fd::replace(fd::stdin(), input)
                .and_then(|()| fd::replace(fd::stdout(), output))
                .and_then(|()| fd::replace(fd::stderr(), output));
            if connected.is_err() {
                return TEMPORARY;
            }
            if let Some(ready) = ready {
                fd::set_inherited(ready, true);
            }
            self.signals.restore_mask();
            let path = self.environment.get(b"PATH");
            let error = exec(program, &Strings::of(args.iter().copied()), &environment, path);
            diag::fatal("svscanboot", &[b"unable to run ", program.to_bytes()], error)
        };
        process::spawn(&mut child)
    }
}
