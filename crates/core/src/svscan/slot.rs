//! One service of the roster: its phase, its supervise processes, and its table.
//!
//! `Slot::step` is the table: one function for each phase, and in it one arm for each event. A
//! test generates `docs/state-table-svscan.md` from it.
//!
//! The life of a service:
//!
//! 1. A name leads to its directory. It is [`SlotPhase::Settling`] until the directory has a file `run`,
//!    for at most five seconds, and until a new directory has not changed for a second: a program may
//!    still be filling it.
//! 2. It is [`SlotPhase::Active`]. The supervise of its logger starts first, then its own. Each restarts
//!    when it ends.
//! 3. Its last name is gone: [`SlotPhase::Unlinked`]. After a second, longer than a rename takes, the
//!    service stops ([`SlotPhase::Stopping`]). With `keep` it keeps running instead
//!    ([`SlotPhase::Kept`]), as under the original.
//! 4. Its supervise has ended. The logger reads the rest of the pipe ([`SlotPhase::Draining`]).
//! 5. The logger's supervise has ended. The slot is free.

use super::supervise_process::{
    NAME_GONE, ProcessEvent, ProcessPair, SuperviseProcess, SuperviseRole,
};
use crate::supervise::ESSENTIAL_ENDED;
use crate::time::Instant;
use crate::{Ended, Pid};
use alloc::boxed::Box;
use core::time::Duration;

/// How long a service may be without a name before it stops. A rename of a link is faster.
pub const UNLINK_GRACE: Duration = Duration::from_secs(1);

/// How long a new directory may be without a file `run`; then its supervise starts all the same.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How much longer a directory may keep changing; then its supervise starts all the same.
pub const UNREST_TIMEOUT: Duration = Duration::from_secs(55);

/// Time between two looks at a directory without a file `run`.
pub const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two checks whether the logger of a stopped service has read its pipe empty.
pub const DRAIN_INTERVAL: Duration = Duration::from_secs(5);

/// The number of a slot. The roster reuses the numbers of free slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotNo(pub usize);

/// The phase of a service's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotPhase {
    /// It took the name of another service, and waits until that service is gone.
    Waiting,
    /// Its directory has no file `run` yet, or still changes.
    Settling {
        /// The moment of the next look.
        next: Instant,
        /// The moment when it becomes active even without `run`, if it is quiet.
        until: Instant,
    },
    /// Its supervise processes are to run.
    Active,
    /// It has no name.
    Unlinked {
        /// The moment when it stops, unless it gets a name before.
        due: Instant,
    },
    /// It has no name, and keeps running because of `keep`.
    Kept,
    /// Its supervise was told to stop the service and exit.
    Stopping,
    /// Its supervise has ended. The logger's supervise exits when the logger ends.
    Draining {
        /// The moment of the next check of the pipe; `None` once the logger was told to end.
        until: Option<Instant>,
    },
}

/// The files of a service directory that svscan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// There is a directory `log`.
    pub log: bool,
    /// There is a file `run`.
    pub run: bool,
    /// Time until its name and its files count as complete; `None` when they do. They may still be
    /// made, one after the other. While the service runs without a logger, that of `log` alone.
    pub quiet_in: Option<Duration>,
}

/// An event for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotEvent {
    /// A name leads to its directory.
    Seen(Contents),
    /// The look at its directory failed, with an error that does not mean "gone".
    Unsure,
    /// Its last name is gone.
    Unlinked,
    /// Its last name leads to another directory.
    Replaced,
    /// The service that it waits for is gone.
    Released,
    /// A supervise process has started, failed to start, or ended.
    Process(SuperviseRole, ProcessEvent),
    /// The pipe holds data that the logger has not read.
    Unread,
    /// The pipe is empty.
    AllRead,
    /// svscan stops. May come several times.
    Stop,
    /// The time has come for the slot's timer, or the slot has another name to look at.
    Tick,
}

/// An order to svscan for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this supervise, with the pipe between the two if the service has a logger. The answer
    /// is [`RosterEvent::Spawned`](super::roster::RosterEvent::Spawned),
    /// [`RosterEvent::SpawnFailed`](super::roster::RosterEvent::SpawnFailed) or
    /// [`RosterEvent::NotSpawned`](super::roster::RosterEvent::NotSpawned).
    Spawn(SuperviseRole),
    /// The name with which this supervise was started is gone: make it take the present one.
    Rename(Pid),
    /// Tell this supervise to stop its service and exit.
    Terminate(Pid),
    /// Tell this supervise to exit when its service ends by itself.
    Finish(Pid),
    /// The time for a stop is over: print a warning, and tell this supervise to kill its service and
    /// exit.
    Kill(SuperviseRole, Pid),
    /// Close svscan's write end of the pipe, so that the logger reads the end of its input.
    EndInput,
    /// Check whether the pipe is empty. The answer is
    /// [`RosterEvent::Unread`](super::roster::RosterEvent::Unread) or
    /// [`RosterEvent::AllRead`](super::roster::RosterEvent::AllRead).
    CheckInput,
    /// Close the pipe.
    DropPipe,
    /// Print that the service has got a logger while it runs: it uses that from its next start on.
    ReportLateLog,
    /// Look at its directory again. The answer is
    /// [`RosterEvent::Seen`](super::roster::RosterEvent::Seen),
    /// [`RosterEvent::Lost`](super::roster::RosterEvent::Lost) or
    /// [`RosterEvent::Unsure`](super::roster::RosterEvent::Unsure).
    Look,
    /// The slot is free: close what belongs to it.
    Forget,
}

/// The actions of one step, in order.
pub(super) type Actions = [Option<Action>; 2];
const NOTHING: Actions = [None; 2];

const fn only(action: Action) -> Actions {
    [Some(action), None]
}

/// What a slot's step depends on beside the slot and the event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) now: Instant,
    /// A service without a name keeps running.
    pub(super) keep: bool,
    /// svscan stops: no service restarts.
    pub(super) stopping: bool,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Slot<Id> {
    pub(super) id: Id,
    name: Box<[u8]>,
    /// The name with which its supervise was started, if it has another one now.
    earlier_name: Option<Box<[u8]>>,
    /// How many names lead to its directory.
    pub(super) names: usize,
    phase: SlotPhase,
    has_logger: bool,
    /// When to look again at a `log` that has appeared while the service runs, and still changes.
    late_log_due: Option<Instant>,
    /// The logger's supervise has ended before the service at this stop, and was started once more.
    logger_recalled: bool,
    /// It is the logger of svscan's own messages. Such a slot has a logger and no service.
    is_own_logger: bool,
    processes: ProcessPair,
    /// One of its processes was started, and has found the directory.
    was_started: bool,
    /// The slot that it waits for, while it is [`SlotPhase::Waiting`].
    pub(super) waits_for: Option<SlotNo>,
    /// Its entry in the roster's timers.
    pub(super) timer: Option<Instant>,
}

impl<Id> Slot<Id> {
    /// A service with one name. If it takes the name of another service, it waits for that.
    pub(super) fn new(name: &[u8], id: Id, waits_for: Option<SlotNo>, now: Instant) -> Self {
        let phase = match waits_for {
            Some(_) => SlotPhase::Waiting,
            None => SlotPhase::Settling { next: now, until: now + SETTLE_TIMEOUT },
        };
        Self {
            id,
            name: name.into(),
            earlier_name: None,
            names: 1,
            phase,
            has_logger: false,
            late_log_due: None,
            logger_recalled: false,
            is_own_logger: false,
            processes: ProcessPair::NEW,
            was_started: false,
            waits_for,
            timer: None,
        }
    }

    /// The logger of svscan's own messages.
    pub(super) fn new_own_logger(name: &[u8], id: Id, now: Instant) -> Self {
        let slot = Self::new(name, id, None, now);
        Self { phase: SlotPhase::Active, has_logger: true, is_own_logger: true, ..slot }
    }

    /// The identity of its directory.
    pub const fn id(&self) -> Id
    where
        Id: Copy,
    {
        self.id
    }

    /// The name under which it was last seen.
    pub const fn name(&self) -> &[u8] {
        &self.name
    }

    /// Gives it another name. The next start uses it.
    pub(super) fn set_name(&mut self, name: &[u8]) {
        if *self.name == *name {
            return;
        }
        let before = core::mem::replace(&mut self.name, name.into());
        let earlier = self.earlier_name.take().unwrap_or(before);
        let is_used = self.processes.main.pid().is_some() && *earlier != *name;
        self.earlier_name = is_used.then_some(earlier);
    }

    /// The supervise whose name `is_gone`, if it is to take the present one. Returns it once.
    pub(super) fn take_rename(&mut self, is_gone: impl FnOnce(&[u8]) -> bool) -> Option<Action> {
        let has_name = matches!(self.phase, SlotPhase::Active | SlotPhase::Kept);
        let pid = self.processes.main.pid().filter(|_| has_name)?;
        self.earlier_name.take_if(|name| is_gone(name)).map(|_| Action::Rename(pid))
    }

    /// Whether it has a logger.
    pub const fn has_logger(&self) -> bool {
        self.has_logger
    }

    /// Whether it is the logger of svscan's own messages.
    pub const fn is_own_logger(&self) -> bool {
        self.is_own_logger
    }

    /// The phase of its life.
    pub const fn phase(&self) -> SlotPhase {
        self.phase
    }

    /// One of its supervise processes.
    pub const fn supervise(&self, role: SuperviseRole) -> SuperviseProcess {
        self.processes.get(role)
    }

    /// Whether it is being removed: without a name, or stopping.
    pub(super) const fn is_leaving(&self) -> bool {
        matches!(
            self.phase,
            SlotPhase::Unlinked { .. } | SlotPhase::Stopping | SlotPhase::Draining { .. }
        )
    }

    /// Whether it waits for another slot.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.phase, SlotPhase::Waiting)
    }

    /// Whether it was told to stop.
    pub(super) const fn is_stopping(&self) -> bool {
        matches!(self.phase, SlotPhase::Stopping | SlotPhase::Draining { .. })
    }

    /// The supervise process that a stop waits for. The logger's turn comes after the service's.
    pub(super) fn late_process(&self) -> Option<(SuperviseRole, Pid)> {
        let role = match self.phase {
            SlotPhase::Stopping => SuperviseRole::Main,
            SlotPhase::Draining { .. } => SuperviseRole::Log,
            SlotPhase::Waiting
            | SlotPhase::Settling { .. }
            | SlotPhase::Active
            | SlotPhase::Unlinked { .. }
            | SlotPhase::Kept => return None,
        };
        Some((role, self.supervise(role).pid()?))
    }

    /// When the next [`SlotEvent::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            SlotPhase::Settling { next, .. } => Some(next),
            SlotPhase::Active => self.next_look(),
            SlotPhase::Unlinked { due } => Some(due),
            SlotPhase::Draining { until } => until,
            SlotPhase::Waiting | SlotPhase::Kept | SlotPhase::Stopping => None,
        }
    }

    /// The table: takes one event, changes the phase, and returns the actions.
    pub(super) fn step(&mut self, event: SlotEvent, context: Context) -> Actions {
        if let SlotEvent::Process(role, event) = event {
            self.processes.note(role, event, context.now);
            self.was_started = match event {
                ProcessEvent::Spawned(_) => true,
                ProcessEvent::Ended(Ended::Exited(NAME_GONE)) => false,
                _ => self.was_started,
            };
        }
        match self.phase {
            SlotPhase::Waiting => self.step_waiting(event, context),
            SlotPhase::Settling { next, until } => self.step_settling(next, until, event, context),
            SlotPhase::Active => self.step_active(event, context),
            SlotPhase::Unlinked { due } => self.step_nameless(Some(due), event, context),
            SlotPhase::Kept => self.step_nameless(None, event, context),
            SlotPhase::Stopping => self.step_stopping(event, context),
            SlotPhase::Draining { until } => self.step_draining(until, event, context),
        }
    }

    fn step_waiting(&mut self, event: SlotEvent, context: Context) -> Actions {
        use SlotEvent as E;
        match event {
            E::Released => self.settle(context.now),
            E::Unlinked | E::Replaced | E::Stop => only(Action::Forget),
            E::Seen(_) | E::Unsure | E::Tick => NOTHING,
            // It has neither a process nor a pipe.
            E::Process(..) | E::Unread | E::AllRead => NOTHING,
        }
    }

    fn step_settling(
        &mut self,
        next: Instant,
        until: Instant,
        event: SlotEvent,
        context: Context,
    ) -> Actions {
        use SlotEvent as E;
        match event {
            E::Seen(Contents { quiet_in: Some(time), .. })
                if context.now < until + UNREST_TIMEOUT =>
            {
                self.phase = SlotPhase::Settling { next: context.now + time, until };
                NOTHING
            }
            E::Seen(contents) if contents.run || until <= context.now => {
                self.phase = SlotPhase::Active;
                self.has_logger = contents.log;
                self.start(context.now)
            }
            E::Seen(_) | E::Unsure => {
                self.phase = SlotPhase::Settling { next: context.now + SETTLE_INTERVAL, until };
                NOTHING
            }
            E::Tick if next <= context.now => only(Action::Look),
            E::Tick => NOTHING,
            E::Unlinked | E::Replaced | E::Stop => only(Action::Forget),
            // It has neither a process nor a pipe, and waits for no other slot.
            E::Released | E::Process(..) | E::Unread | E::AllRead => NOTHING,
        }
    }

    fn step_active(&mut self, event: SlotEvent, context: Context) -> Actions {
        use SlotEvent as E;
        match event {
            E::Seen(contents) => self.see_active(contents, context.now),
            E::Unsure => {
                self.processes.delay_starts(context.now);
                // The next scan looks again.
                self.late_log_due = None;
                NOTHING
            }
            E::Unlinked | E::Replaced if context.keep => {
                self.phase = SlotPhase::Kept;
                self.forget_if_empty()
            }
            // It had this name for a moment only.
            E::Unlinked if !self.was_started && self.processes.are_absent() => only(Action::Forget),
            E::Unlinked => {
                self.phase = SlotPhase::Unlinked { due: context.now + UNLINK_GRACE };
                NOTHING
            }
            E::Replaced | E::Stop => self.stop(context),
            E::Process(_, ProcessEvent::Ended(Ended::Exited(ESSENTIAL_ENDED)))
                if context.stopping && !self.is_own_logger =>
            {
                self.stop(context)
            }
            E::Tick | E::Process(_, ProcessEvent::Ended(_)) => self.restart(context.now),
            E::Process(_, ProcessEvent::NotSpawned) => only(Action::Look),
            E::Process(_, ProcessEvent::Spawned(_) | ProcessEvent::SpawnFailed) => NOTHING,
            // It waits for no other slot, and no check of its pipe is pending.
            E::Released | E::Unread | E::AllRead => NOTHING,
        }
    }

    /// The look at a service that is to run.
    fn see_active(&mut self, contents: Contents, now: Instant) -> Actions {
        self.late_log_due = None;
        if !self.is_own_logger && self.processes.are_absent() {
            self.has_logger = contents.log;
        }
        if contents.log && !self.has_logger {
            // The supervise of the service runs, so only that of the logger starts.
            if let Some(time) = contents.quiet_in {
                self.late_log_due = Some(now + time);
                return NOTHING;
            }
            self.has_logger = true;
            let [log, _] = self.start(now);
            return [Some(Action::ReportLateLog), log];
        }
        self.start(now)
    }

    /// Unlinked, with the moment of the stop, or kept.
    fn step_nameless(
        &mut self,
        due: Option<Instant>,
        event: SlotEvent,
        context: Context,
    ) -> Actions {
        use SlotEvent as E;
        match event {
            E::Seen(_) => {
                self.phase = SlotPhase::Active;
                self.start(context.now)
            }
            E::Tick if due.is_some_and(|due| due <= context.now) => self.stop(context),
            E::Tick => NOTHING,
            E::Replaced | E::Stop => self.stop(context),
            E::Process(_, ProcessEvent::Spawned(_)) | E::Unsure => NOTHING,
            E::Process(..) => self.forget_if_empty(),
            // It has no name to lose, waits for no other slot, and no check of its pipe is pending.
            E::Unlinked | E::Released | E::Unread | E::AllRead => NOTHING,
        }
    }

    fn step_stopping(&mut self, event: SlotEvent, context: Context) -> Actions {
        use SlotEvent as E;
        match event {
            E::Process(SuperviseRole::Main, ProcessEvent::Spawned(pid)) => {
                only(Action::Terminate(pid))
            }
            E::Process(SuperviseRole::Main, _) => self.drain(context),
            E::Process(SuperviseRole::Log, ProcessEvent::Ended(_)) => [self.recall_logger(), None],
            E::Process(SuperviseRole::Log, _) => NOTHING,
            // It ends already: a second TERM could mean something else to it.
            E::Stop => NOTHING,
            // A name that appears again counts once everything has stopped.
            E::Seen(_) | E::Unsure | E::Unlinked | E::Replaced => NOTHING,
            E::Released | E::Unread | E::AllRead | E::Tick => NOTHING,
        }
    }

    fn step_draining(
        &mut self,
        until: Option<Instant>,
        event: SlotEvent,
        context: Context,
    ) -> Actions {
        use SlotEvent as E;
        match event {
            E::Process(SuperviseRole::Log, ProcessEvent::Spawned(pid)) => only(Action::Finish(pid)),
            // It may have got its own TERM, and its logger has not read the service's last words.
            E::Process(SuperviseRole::Log, ProcessEvent::Ended(_))
                if until.is_some() && !self.logger_recalled =>
            {
                only(Action::CheckInput)
            }
            E::Process(SuperviseRole::Log, _) => self.finish(context),
            E::Process(SuperviseRole::Main, _) => NOTHING,
            E::AllRead if self.is_logger_absent() => self.finish(context),
            E::Unread if self.is_logger_absent() => match self.recall_logger() {
                Some(spawn) => [Some(Action::EndInput), Some(spawn)],
                None => self.finish(context),
            },
            // Another process may hold a write end open: then the logger never reads the end of its
            // input, and an empty pipe has to be enough.
            E::Tick if until.is_some_and(|until| until <= context.now) => {
                self.phase = SlotPhase::Draining { until: Some(context.now + DRAIN_INTERVAL) };
                only(Action::CheckInput)
            }
            E::AllRead if until.is_some() => self.end_logger(),
            E::Stop if until.is_some() => self.end_logger(),
            E::Stop | E::Tick | E::Unread | E::AllRead => NOTHING,
            // A name that appears again counts once everything has stopped.
            E::Seen(_) | E::Unsure | E::Unlinked | E::Replaced | E::Released => NOTHING,
        }
    }

    /// Enters the first phase of a service that may run, and looks at its directory.
    fn settle(&mut self, now: Instant) -> Actions {
        self.phase = SlotPhase::Settling { next: now, until: now + SETTLE_TIMEOUT };
        only(Action::Look)
    }

    /// Starts the processes that are absent and due: the logger first, so that the service's first
    /// output has a reader.
    fn start(&mut self, now: Instant) -> Actions {
        [(SuperviseRole::Log, self.has_logger), (SuperviseRole::Main, !self.is_own_logger)].map(
            |(role, wanted)| {
                let starts = wanted && self.processes.begin_start(role, now);
                starts.then_some(Action::Spawn(role))
            },
        )
    }

    /// Looks before a start that is due: the directory may be gone, or have a new logger. Looks again
    /// at a new logger, too.
    fn restart(&mut self, now: Instant) -> Actions {
        // The own logger may have no name in the scan directory to look at.
        if self.is_own_logger {
            return self.start(now);
        }
        let is_due = self.next_look().is_some_and(|due| due <= now);
        if is_due { only(Action::Look) } else { NOTHING }
    }

    /// The earliest start of a process that is wanted and absent.
    fn next_start(&self) -> Option<Instant> {
        let main = if self.is_own_logger { None } else { self.processes.main.due() };
        let log = if self.has_logger { self.processes.log.due() } else { None };
        main.into_iter().chain(log).min()
    }

    /// The next look at the directory of a service that is to run.
    fn next_look(&self) -> Option<Instant> {
        self.next_start().into_iter().chain(self.late_log_due).min()
    }

    const fn forget_if_empty(&self) -> Actions {
        if self.processes.are_absent() { only(Action::Forget) } else { NOTHING }
    }

    fn stop(&mut self, context: Context) -> Actions {
        self.phase = SlotPhase::Stopping;
        match self.processes.main {
            SuperviseProcess::Running { pid, .. } => {
                [Some(Action::Terminate(pid)), self.recall_logger()]
            }
            SuperviseProcess::Spawning { .. } => NOTHING,
            SuperviseProcess::Absent { .. } => self.drain(context),
        }
    }

    /// Starts the absent supervise of the logger once more during a stop: it was signalled together
    /// with svscan, as systemd does without `KillMode`, and the service still has last words.
    fn recall_logger(&mut self) -> Option<Action> {
        let recalls = self.is_logger_absent() && !self.logger_recalled;
        if !recalls {
            return None;
        }
        self.logger_recalled = true;
        self.processes.log = SuperviseProcess::Spawning { quick_deaths: 0 };
        Some(Action::Spawn(SuperviseRole::Log))
    }

    /// Whether it has a logger without a supervise.
    const fn is_logger_absent(&self) -> bool {
        self.has_logger && self.processes.log.is_absent()
    }

    /// The service has stopped: now its logger.
    fn drain(&mut self, context: Context) -> Actions {
        let draining = SlotPhase::Draining { until: Some(context.now + DRAIN_INTERVAL) };
        match self.processes.log {
            SuperviseProcess::Running { pid, .. } => {
                self.phase = draining;
                // In this order: else supervise restarts the logger at the end of its input.
                [Some(Action::Finish(pid)), Some(Action::EndInput)]
            }
            SuperviseProcess::Spawning { .. } => {
                self.phase = draining;
                only(Action::EndInput)
            }
            SuperviseProcess::Absent { .. } if self.has_logger && !self.logger_recalled => {
                self.phase = draining;
                only(Action::CheckInput)
            }
            SuperviseProcess::Absent { .. } => self.finish(context),
        }
    }

    const fn end_logger(&mut self) -> Actions {
        self.phase = SlotPhase::Draining { until: None };
        match self.processes.log.pid() {
            Some(pid) => only(Action::Terminate(pid)),
            None => NOTHING,
        }
    }

    /// Both have stopped: frees the slot, or settles again if it has a name.
    fn finish(&mut self, context: Context) -> Actions {
        if context.stopping || self.names == 0 {
            return only(Action::Forget);
        }
        self.processes = ProcessPair::NEW;
        self.logger_recalled = false;
        let [look, _] = self.settle(context.now);
        [Some(Action::DropPipe), look]
    }
}
