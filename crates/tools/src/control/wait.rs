//! The wait of `svc -W`: until services have reached a state, without polling.
//!
//! The state before the commands must not end the wait: a [`Probe`] tells when the status is newer.
//! From then on inotify reports every change: supervise replaces first `state`, then `status`.

use crate::common::clock::instant;
use crate::common::diag::{self, TEMPORARY};
use crate::common::state_dir::StateDir;
use crate::common::status_file;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::state_dir::detail::{self, StateFile};
use daemontools_core::state_dir::goal::{Goal, Observed, Progress, SentCommands, SupervisorState};
use daemontools_core::state_dir::probe::{Probe, ProbeWrite, ProbedService};
use daemontools_core::state_dir::status::StatusRecord;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::time::Instant;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::watch::{Watch, WatchEvent};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs, guarded, poll};

/// Exit code after the timeout.
const TIMED_OUT: i32 = 99;
/// Exit code if a service does not reach the goal any more.
const FAILED: i32 = 1;

/// The wait for a number of services.
pub(crate) struct Wait {
    goal: Goal,
    sent: SentCommands,
    watch: Watch,
    services: Vec<WaitedService>,
    /// A service could not be added, or got no command. A message was printed.
    incomplete: bool,
}

impl Wait {
    /// A wait for no services yet. `message` is the message that will be sent to them.
    ///
    /// # Errors
    /// The error of inotify.
    pub(crate) fn new(goal: Goal, message: &[u8]) -> Result<Self> {
        // Every service needs two descriptors.
        let _ = OpenFiles::raise();
        let watch = Watch::new()?;
        let sent = SentCommands::decode(message);
        Ok(Self { goal, sent, watch, services: Vec::new(), incomplete: false })
    }

    /// The state that the services must reach.
    pub(crate) const fn goal(&self) -> Goal {
        self.goal
    }

    /// Adds the service in the current directory. Must precede the first write to `control`.
    ///
    /// # Errors
    /// EACCES: the state directory is not readable. EMFILE, ENOSPC: too many descriptors or watches.
    pub(crate) fn add(
        &mut self,
        dir: &'static [u8],
        state: &StateDir<'_>,
        control: OwnedFd,
    ) -> Result<()> {
        // The watches come before the first look, so that no change is missed.
        let directory = state.with_path(|path| self.watch.add(path))?;
        let fifo = state.file("control", |path| self.watch.add_fifo(path))?;
        let state = state.with_path(|path| fs::reach_dir(fs::HERE, path))?;
        let mut service = WaitedService {
            dir,
            state,
            control,
            directory,
            fifo,
            before: None,
            probe: Probe::default(),
            changed: true,
            progress: Progress::Pending,
        };
        service.before = service.status();
        self.services.push(service);
        Ok(())
    }

    /// The control FIFO of the service that was added last.
    pub(crate) fn control(&self) -> Option<&OwnedFd> {
        self.services.last().map(|service| &service.control)
    }

    /// Notes that a service is missing, after a message.
    pub(crate) const fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Waits until all services have reached the goal, or until the end of a time.
    ///
    /// Returns the exit code: 0 if all have, 1 if one does not reach it any more, 99 after the timeout,
    /// and 111 if a service is missing.
    pub(crate) fn run(&mut self, limit: Option<(Duration, Instant)>) -> i32 {
        if self.incomplete {
            return TEMPORARY;
        }
        loop {
            for service in self.services.iter_mut().filter(|service| service.changed) {
                service.changed = false;
                service.look(self.goal, self.sent);
                if service.report_failure() {
                    return FAILED;
                }
            }
            if self.services.iter().all(|service| service.progress == Progress::Reached) {
                return 0;
            }
            let now = instant();
            if let Some((time, _)) = limit.filter(|(_, deadline)| *deadline <= now) {
                self.warn_of_timeout(time);
                return TIMED_OUT;
            }
            let left = limit.map(|(_, deadline)| deadline.duration_since(now));
            if poll::readable([self.watch.fd()], left) == [true] {
                let services = &mut self.services;
                self.watch.events(|event| services.iter_mut().for_each(|it| it.note(event)));
            }
        }
    }

    fn warn_of_timeout(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let milliseconds = Decimal::new(milliseconds);
        for service in self.services.iter().filter(|service| service.progress != Progress::Reached)
        {
            diag::say(&[
                b"svc: warning: ",
                service.dir,
                b" is not ",
                self.goal.word().as_bytes(),
                b" after ",
                milliseconds.as_bytes(),
                b" ms",
            ]);
        }
    }
}

/// A service of the wait.
struct WaitedService {
    /// The argument, as it appears in messages.
    dir: &'static [u8],
    state: OwnedFd,
    /// The control FIFO, open during the whole wait: its content survives a supervise that is killed
    /// before it has read it.
    control: OwnedFd,
    /// The watch of the state directory.
    directory: i32,
    /// The watch of the control FIFO.
    fifo: i32,
    /// The status before the commands, if it could be read.
    before: Option<StatusRecord>,
    probe: Probe,
    /// Something changed since the last look.
    changed: bool,
    progress: Progress,
}

impl WaitedService {
    fn note(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Changed(number) => {
                self.changed |= [self.directory, self.fifo].contains(&number)
            }
            WatchEvent::Closing(number) if number == self.fifo => {
                self.changed = true;
                poll::hung_up(self.control.as_fd(), Probe::CLOSE_TIMEOUT);
                self.probe.note_close();
            }
            WatchEvent::Closing(_) => {}
            WatchEvent::Overflow => self.changed = true,
        }
    }

    /// Updates the progress.
    fn look(&mut self, goal: Goal, sent: SentCommands) {
        let mut probe = self.probe;
        let supervisor = probe.ask(self);
        self.probe = probe;
        self.progress = match supervisor {
            Some(supervisor) => self.compare(supervisor, goal, sent),
            None => Progress::Pending,
        };
    }

    fn compare(&self, supervisor: SupervisorState, goal: Goal, sent: SentCommands) -> Progress {
        let Some(status) = self.status() else {
            return Progress::Pending;
        };
        let mut room = [0; detail::LEN];
        let text = guarded::read_start(self.state.as_fd(), c"state", &mut room);
        let found = StateFile::classify(status_file::state_text(text), &status);
        goal.compare(sent, self.before.as_ref(), &Observed { status, found, supervisor })
    }

    fn status(&self) -> Option<StatusRecord> {
        let file = guarded::open(self.state.as_fd(), c"status", fs::Opening::READ).ok()?;
        status_file::read(&file).ok()?.map(|(main, _)| main)
    }

    /// Whether the service does not reach the goal any more; then prints a warning.
    fn report_failure(&self) -> bool {
        let (what, reason) = match self.progress {
            Progress::Pending | Progress::Reached => return false,
            Progress::Failed(None) => (" has failed", ""),
            Progress::Failed(Some(reason)) => (" has failed: ", reason.words()),
            Progress::Ended => (" has ended and is not started again", ""),
        };
        diag::say(&[b"svc: warning: ", self.dir, what.as_bytes(), reason.as_bytes()]);
        true
    }
}

impl ProbedService for WaitedService {
    fn has_no_reader(&self) -> bool {
        poll::hung_up(self.control.as_fd(), Duration::ZERO)
    }

    fn has_unread(&self) -> bool {
        fd::unread(self.control.as_fd()).is_ok_and(|bytes| bytes > 0)
    }

    fn write(&self, command: &[u8]) -> ProbeWrite {
        let control = self.control.as_fd();
        match fd::set_blocking(control, false).and_then(|()| fd::write(control, command)) {
            Ok(_) => ProbeWrite::Written,
            Err(Errno::PIPE) => ProbeWrite::NoReader,
            Err(_) => ProbeWrite::Full,
        }
    }

    fn has_record(&self) -> bool {
        fs::exists(self.state.as_fd(), c"process") != Ok(false)
    }
}
