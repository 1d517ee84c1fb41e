//! Waiting until services are as `svc -W` wants them, without polling.
//!
//! What is waited for must not be mistaken for what was there before the commands. A supervise
//! publishes what came of a command before it reads the next one. So once a command is read, one
//! that means nothing follows; when that is read too, the status is later than the first. The same
//! is asked of every supervise that takes the place of another one meanwhile. From then on every
//! change is looked at as the kernel tells of it: `status` is replaced at each of them, and `state`
//! before it.

use crate::diag::{self, TEMPORARY};
use crate::records;
use crate::state_dir::StateDir;
use crate::time::instant;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{self, Found};
use daemontools_core::goal::{Asked, Goal, Keeper, Seen, Verdict};
use daemontools_core::status::Record;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::watch::{Event, Watch};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs, guarded, poll};

/// Exit code when the time is over.
const TIME_OVER: i32 = 99;
/// Exit code when a service will not be so.
const FAILED: i32 = 1;

/// The command that means nothing: it chooses the service, which is chosen anyway. The original
/// does not know it and passes it over.
const NOTHING: &[u8] = b"l";

/// How long somebody who closes a FIFO takes to have done it, at most.
const MOMENT: Duration = Duration::from_millis(100);

/// Services that are waited for.
pub(crate) struct Wait {
    goal: Goal,
    asked: Asked,
    watch: Watch,
    services: Vec<Service>,
    /// One cannot be waited for, which was said.
    trouble: bool,
}

impl Wait {
    /// For none so far, to which `message` is going to be sent.
    ///
    /// # Errors
    /// When the kernel does not tell of changes.
    pub(crate) fn new(goal: Goal, message: &[u8]) -> Result<Self> {
        // Two for each service.
        let _ = OpenFiles::raise();
        let watch = Watch::new()?;
        let asked = Asked::by(message);
        Ok(Self { goal, asked, watch, services: Vec::new(), trouble: false })
    }

    /// Adds the service in whose directory we are, before anything is written into `control`.
    ///
    /// # Errors
    /// EACCES without the right to read the state directory; EMFILE and ENOSPC when there are no
    /// more descriptors or watches.
    pub(crate) fn add(
        &mut self,
        dir: &'static [u8],
        state: &StateDir<'_>,
        control: OwnedFd,
    ) -> Result<()> {
        // First the watches, so that no change falls between them and the first look.
        let directory = state.with_path(|path| self.watch.add(path))?;
        let fifo = state.file("control", |path| self.watch.add_fifo(path))?;
        let state = state.with_path(|path| fs::reach_dir(fs::HERE, path))?;
        let mut service = Service {
            dir,
            state,
            control,
            directory,
            fifo,
            before: None,
            answering: false,
            changed: true,
            verdict: Verdict::NotYet,
        };
        service.before = service.status();
        self.services.push(service);
        Ok(())
    }

    /// The control FIFO of the service that was added last.
    pub(crate) fn control(&self) -> Option<&OwnedFd> {
        self.services.last().map(|service| &service.control)
    }

    /// One that should be waited for cannot be, and the reason was said.
    pub(crate) const fn give_up(&mut self) {
        self.trouble = true;
    }

    /// Waits until all are so, at most so long, and gives the exit code.
    pub(crate) fn run(&mut self, time: Option<Duration>) -> i32 {
        if self.trouble {
            return TEMPORARY;
        }
        let deadline = time.map(|time| instant() + time);
        loop {
            for service in self.services.iter_mut().filter(|service| service.changed) {
                service.changed = false;
                service.look(self.goal, self.asked);
                if service.is_hopeless() {
                    return FAILED;
                }
            }
            if self.services.iter().all(|service| service.verdict == Verdict::So) {
                return 0;
            }
            let now = instant();
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.name_the_late(time.unwrap_or_default());
                return TIME_OVER;
            }
            let left = deadline.map(|deadline| deadline.after(now));
            if poll::readable([self.watch.fd()], left) == [true] {
                let services = &mut self.services;
                self.watch.events(|event| services.iter_mut().for_each(|it| it.note(event)));
            }
        }
    }

    fn name_the_late(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let milliseconds = Decimal::new(milliseconds);
        for service in self.services.iter().filter(|service| service.verdict != Verdict::So) {
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

/// A service that is waited for.
struct Service {
    /// The argument, as it appears in messages.
    dir: &'static [u8],
    state: OwnedFd,
    /// Open all the time: what is in it outlives a supervise that does not come to read it.
    control: OwnedFd,
    /// The numbers of the watches.
    directory: i32,
    fifo: i32,
    /// The status before the commands, if it could be read.
    before: Option<Record>,
    /// The supervise that runs has got a command that means nothing, or the next one will find it.
    answering: bool,
    /// It is to be looked at again.
    changed: bool,
    verdict: Verdict,
}

impl Service {
    fn note(&mut self, event: Event) {
        match event {
            Event::Any(number) => self.changed |= [self.directory, self.fifo].contains(&number),
            Event::Closing(number) if number == self.fifo => {
                self.changed = true;
                // Then nothing tells any more.
                poll::hung_up(self.control.as_fd(), MOMENT);
                // Who comes next has to answer for itself.
                self.answering = false;
            }
            Event::Closing(_) => {}
            Event::Lost => self.changed = true,
        }
    }

    /// Looks how things are now.
    fn look(&mut self, goal: Goal, asked: Asked) {
        self.verdict = match self.keeper() {
            Some(keeper) => self.judge(keeper, goal, asked),
            None => Verdict::NotYet,
        };
    }

    /// Whose word the status is; `None` as long as there is a supervise whose status may be older
    /// than what it has read.
    fn keeper(&mut self) -> Option<Keeper> {
        let control = self.control.as_fd();
        if poll::hung_up(control, Duration::ZERO) {
            return Some(self.absent());
        }
        // What others have sent counts as well.
        if fd::unread(control).is_ok_and(|bytes| bytes > 0) {
            return None;
        }
        if self.answering {
            return Some(Keeper::Supervise);
        }
        match fd::set_blocking(control, false).and_then(|()| fd::write(control, NOTHING)) {
            Ok(_) => {
                self.answering = true;
                None
            }
            Err(Errno::PIPE) => Some(self.absent()),
            // It is full again. That is going to be read, and we are told.
            Err(_) => None,
        }
    }

    /// What it means that there is no supervise. One that leaves in order takes with it the record
    /// of its process.
    fn absent(&self) -> Keeper {
        match fs::exists(self.state.as_fd(), c"process") {
            Ok(false) => Keeper::Left,
            _ => Keeper::Killed,
        }
    }

    fn judge(&self, keeper: Keeper, goal: Goal, asked: Asked) -> Verdict {
        let Some(status) = self.status() else {
            return Verdict::NotYet;
        };
        let mut room = [0; detail::LEN];
        let text = guarded::read_start(self.state.as_fd(), c"state", &mut room);
        let found = Found::judge(records::beside(text), &status);
        goal.judge(asked, self.before.as_ref(), &Seen { status, found, keeper })
    }

    fn status(&self) -> Option<Record> {
        let file = guarded::open(self.state.as_fd(), c"status", fs::Opening::READ).ok()?;
        records::read(&file).ok()?.map(|(main, _)| main)
    }

    /// Whether it will not be as it should, and says so.
    fn is_hopeless(&self) -> bool {
        let (what, reason) = match self.verdict {
            Verdict::NotYet | Verdict::So => return false,
            Verdict::Failed(None) => (" has failed", ""),
            Verdict::Failed(Some(reason)) => (" has failed: ", reason.words()),
            Verdict::Ended => (" has ended and is not started again", ""),
        };
        diag::say(&[b"svc: warning: ", self.dir, what.as_bytes(), reason.as_bytes()]);
        true
    }
}
