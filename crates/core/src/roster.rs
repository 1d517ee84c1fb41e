//! svscan's roster: which services there are, and what is to be done about each.
//!
//! A service is known by what its directory *is* (`Id`: device, inode, time of birth), not by the
//! names of the links to it: two names for one directory are one service, and a renamed link
//! changes nothing. `Slot::step` is the table of a single service, every phase against every
//! event; [`Roster`] finds the slots an event is for, and keeps names, processes and timers.
//!
//! A service's life: a name comes and leads to a directory ([`Phase::Active`]; one that has no
//! `run` yet, because somebody is just making it, is given some seconds: [`Phase::Settling`]).
//! Its logger's supervise is started first, then its own; each is started again when it dies.
//! When the last name has been gone for longer than a rename takes ([`Phase::Unlinked`]), the
//! service is stopped ([`Phase::Stopping`]), then its logger gets to read what is left in the
//! pipe ([`Phase::Draining`]), and the slot is free. With `keep` the service is left running
//! instead ([`Phase::Kept`]), as the original does.

use crate::time::Instant;
use crate::{Ended, Pid};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// How long a name may be gone before its service is stopped: renames and replacements of links
/// are quicker.
pub const UNLINK_GRACE: Duration = Duration::from_secs(1);

/// How long a new directory without `run` is left to the one who makes it.
pub const SETTLE_TIME: Duration = Duration::from_secs(5);

/// How often such a directory is looked at.
pub const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a logger may take to read its pipe empty when its service has gone; then it is told
/// to end.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A supervise that left of its own accord, because somebody said `x`, comes back after this
/// time: the original looks every five seconds, and scripts remove the link meanwhile.
pub const AFTER_EXIT: Duration = Duration::from_secs(5);

/// A supervise that ran for less than this is restarted with growing pauses.
pub const QUICK_DEATH: Duration = Duration::from_secs(1);

/// The longest of these pauses: that of the original.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long after the deadline of a stop it is looked again who is still there.
pub const LATE_INTERVAL: Duration = Duration::from_secs(5);

/// The number of a slot; numbers of forgotten slots are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotNo(pub usize);

/// Which of a service's two supervises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The service's.
    Main,
    /// Its logger's.
    Log,
}

/// One supervise process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervise {
    /// There is none.
    Absent {
        /// It may be started from this moment on.
        due: Instant,
        /// How many died quickly, one after the other.
        quick: u32,
    },
    /// It was asked for, and the answer has not come.
    Spawning {
        /// As above.
        quick: u32,
    },
    /// It runs.
    Running {
        /// Its process.
        pid: Pid,
        /// Since when.
        since: Instant,
        /// As above.
        quick: u32,
    },
}

const NEVER_RUN: Supervise = Supervise::Absent { due: Instant(0), quick: 0 };

impl Supervise {
    const fn is_absent(self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    const fn due(self) -> Option<Instant> {
        match self {
            Self::Absent { due, .. } => Some(due),
            Self::Spawning { .. } | Self::Running { .. } => None,
        }
    }

    const fn pid(self) -> Option<Pid> {
        match self {
            Self::Running { pid, .. } => Some(pid),
            Self::Absent { .. } | Self::Spawning { .. } => None,
        }
    }

    /// Absent after a quick death or a start that failed: the pause grows from a second on.
    fn pausing(quick: u32, now: Instant) -> Self {
        let pause = (QUICK_DEATH * (1 << quick.min(3))).min(LONGEST_PAUSE);
        Self::Absent { due: now + pause, quick: quick.saturating_add(1) }
    }

    fn ended(self, how: Ended, now: Instant) -> Self {
        match (self, how) {
            (_, Ended::Exited(0)) => Self::Absent { due: now + AFTER_EXIT, quick: 0 },
            (Self::Running { since, .. }, _) if since + QUICK_DEATH <= now => {
                Self::Absent { due: now, quick: 0 }
            }
            (
                Self::Running { quick, .. } | Self::Spawning { quick } | Self::Absent { quick, .. },
                _,
            ) => Self::pausing(quick, now),
        }
    }

    fn failed(self, now: Instant) -> Self {
        match self {
            Self::Running { quick, .. } | Self::Spawning { quick } | Self::Absent { quick, .. } => {
                Self::pausing(quick, now)
            }
        }
    }
}

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It takes the place of another under the same name, and waits until that one has gone.
    Held,
    /// It has no `run` yet.
    Settling {
        /// When to look again.
        next: Instant,
        /// When to start it all the same.
        until: Instant,
    },
    /// It is to run.
    Active,
    /// No name leads to it any more.
    Unlinked {
        /// When it is stopped, unless a name comes back.
        due: Instant,
    },
    /// No name leads to it any more, and it was asked to be left running.
    Kept,
    /// Its supervise was told to stop it and leave.
    Stopping,
    /// Its supervise has gone; the logger's was told to leave when the logger ends.
    Draining {
        /// When to look whether the logger has read everything, and is to be told to end, unless it
        /// was.
        until: Option<Instant>,
    },
}

/// What can happen to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotEvent {
    /// A name leads to its directory.
    Seen(Contents),
    /// Its directory could not be looked at, for a reason other than being gone.
    Unsure,
    /// The last name has gone.
    Unlinked,
    /// The last name leads to another directory now.
    Replaced,
    /// The logger has not read everything.
    Unread,
    /// The logger has read everything.
    AllRead,
    /// The one whose place it takes has gone.
    Released,
    /// svscan is to end. May come again.
    Stop,
    /// The supervise asked for runs.
    Spawned(Role, Pid),
    /// The supervise asked for could not be started.
    SpawnFailed(Role),
    /// A supervise has ended.
    Ended(Role, Ended),
    /// Time has passed.
    Tick,
}

/// What a service directory has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// A directory `log`.
    pub log: bool,
    /// A file `run`.
    pub run: bool,
}

/// What is to be done for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this supervise, with the pipe between the two if the service has a logger, and
    /// answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn(Role),
    /// Tell this supervise to stop its service and leave.
    Terminate(Pid),
    /// Tell this supervise to leave when its service ends by itself.
    Finish(Pid),
    /// It is late: name this supervise's service, and tell it to kill that and leave.
    Kill(Role, Pid),
    /// Close our end for writing to the pipe, so that the logger sees the end of its input.
    EndInput,
    /// Look whether there is something in the pipe that the logger has not read, and answer with
    /// [`Event::Unread`] or [`Event::AllRead`].
    CheckInput,
    /// Close the pipe.
    DropPipe,
    /// Look at its directory again, and answer with [`Event::Seen`], [`Event::Lost`] or
    /// [`Event::Unsure`].
    Look,
    /// It is no more: free what belongs to it.
    Forget,
}

type Actions = [Option<Action>; 2];
const NOTHING: Actions = [None; 2];

/// One service.
#[derive(Clone, Debug)]
pub struct Slot<Id> {
    id: Id,
    name: Box<[u8]>,
    /// How many names lead to it.
    names: usize,
    phase: Phase,
    /// Whether it has a logger.
    logged: bool,
    /// Whether it is the logger of svscan's own messages, whose service is svscan itself.
    own: bool,
    main: Supervise,
    log: Supervise,
    /// The slot whose place it takes, while [`Phase::Held`].
    after: Option<SlotNo>,
    /// When its next [`SlotEvent::Tick`] is due, as entered in the roster's timers.
    timer: Option<Instant>,
}

impl<Id> Slot<Id> {
    /// What its directory is.
    pub const fn id(&self) -> Id
    where
        Id: Copy,
    {
        self.id
    }

    /// The name it was last seen under.
    pub const fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it has a logger.
    pub const fn is_logged(&self) -> bool {
        self.logged
    }

    /// Whether it is the logger of svscan's own messages.
    pub const fn is_own_logger(&self) -> bool {
        self.own
    }

    /// Where it is in its life.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// One of its supervises.
    pub const fn supervise(&self, role: Role) -> Supervise {
        match role {
            Role::Main => self.main,
            Role::Log => self.log,
        }
    }

    /// Whether it is on its way out.
    const fn is_outgoing(&self) -> bool {
        matches!(self.phase, Phase::Unlinked { .. } | Phase::Stopping | Phase::Draining { .. })
    }

    const fn supervise_mut(&mut self, role: Role) -> &mut Supervise {
        match role {
            Role::Main => &mut self.main,
            Role::Log => &mut self.log,
        }
    }

    /// Takes one event. `keep` says that a service outlives its links, `last` that svscan ends.
    fn step(&mut self, event: SlotEvent, now: Instant, keep: bool, last: bool) -> Actions {
        use Phase as P;
        use SlotEvent as E;
        self.note_process(event, now);
        match (self.phase, event) {
            (P::Held, E::Released) => self.begin(now),
            (P::Held, E::Unlinked | E::Replaced | E::Stop) => self.forget(),

            (P::Settling { until, .. }, E::Seen(contents)) => {
                if contents.run || until <= now {
                    self.phase = P::Active;
                    self.logged = contents.log;
                    self.start(now)
                } else {
                    self.phase = P::Settling { next: now + SETTLE_INTERVAL, until };
                    NOTHING
                }
            }
            (P::Settling { next, .. }, E::Tick) if next <= now => self.look(),
            (P::Settling { until, .. }, E::Unsure) => {
                self.phase = P::Settling { next: now + SETTLE_INTERVAL, until };
                NOTHING
            }
            (P::Settling { .. }, E::Unlinked | E::Replaced | E::Stop) => self.forget(),

            (P::Active, E::Seen(contents)) => {
                // A logger can be added while nobody writes to anything else.
                if !self.own && self.main.is_absent() && self.log.is_absent() {
                    self.logged = contents.log;
                }
                self.start(now)
            }
            (P::Active, E::Unsure) => {
                for role in [Role::Main, Role::Log] {
                    if let Supervise::Absent { quick, .. } = self.supervise(role) {
                        let due = now + LONGEST_PAUSE;
                        *self.supervise_mut(role) = Supervise::Absent { due, quick };
                    }
                }
                NOTHING
            }
            (P::Active, E::Unlinked | E::Replaced) if keep => self.keep_running(),
            (P::Active, E::Unlinked) => {
                self.phase = P::Unlinked { due: now + UNLINK_GRACE };
                NOTHING
            }
            // The own logger need not have a name that a look could be answered with.
            (P::Active, E::Ended(..) | E::Tick) if self.own => self.start(now),
            (P::Active, E::Ended(..) | E::Tick) if self.start_is_due(now) => self.look(),
            (P::Active | P::Unlinked { .. } | P::Kept, E::Replaced | E::Stop) => {
                self.stop(now, last)
            }

            (P::Unlinked { .. } | P::Kept, E::Seen(_)) => {
                self.phase = P::Active;
                self.start(now)
            }
            (P::Unlinked { due }, E::Tick) if due <= now => self.stop(now, last),
            (P::Unlinked { .. } | P::Kept, E::Ended(..) | E::SpawnFailed(_)) => {
                self.forget_if_empty()
            }

            (P::Stopping, E::Spawned(Role::Main, pid)) => [Some(Action::Terminate(pid)), None],
            (P::Stopping, E::Ended(Role::Main, _) | E::SpawnFailed(Role::Main)) => {
                self.drain(now, last)
            }
            (P::Stopping, E::Stop) => [self.main.pid().map(Action::Terminate), None],

            (P::Draining { .. }, E::Spawned(Role::Log, pid)) => [Some(Action::Finish(pid)), None],
            (P::Draining { .. }, E::Ended(Role::Log, _) | E::SpawnFailed(Role::Log)) => {
                self.finish(now, last)
            }
            // Somebody else may have the other end open: then there is no end, but a time without
            // anything to read.
            (P::Draining { until: Some(until) }, E::Tick) if until <= now => {
                self.phase = P::Draining { until: Some(now + DRAIN_TIME) };
                [Some(Action::CheckInput), None]
            }
            (P::Draining { until: Some(_) }, E::AllRead) => self.end_logger(),
            (P::Draining { .. }, E::Stop) => self.end_logger(),

            // What is noted above, or comes too early, or cannot come in this phase.
            (
                P::Held,
                E::Seen(_)
                | E::Unsure
                | E::Spawned(..)
                | E::SpawnFailed(_)
                | E::Ended(..)
                | E::Unread
                | E::AllRead
                | E::Tick,
            )
            | (
                P::Settling { .. },
                E::Released
                | E::Spawned(..)
                | E::SpawnFailed(_)
                | E::Ended(..)
                | E::Unread
                | E::AllRead
                | E::Tick,
            )
            | (
                P::Active,
                E::Released
                | E::Spawned(..)
                | E::SpawnFailed(_)
                | E::Ended(..)
                | E::Unread
                | E::AllRead
                | E::Tick,
            )
            | (
                P::Unlinked { .. } | P::Kept,
                E::Unsure
                | E::Unlinked
                | E::Released
                | E::Spawned(..)
                | E::Unread
                | E::AllRead
                | E::Tick,
            )
            | (
                P::Stopping | P::Draining { .. },
                E::Seen(_)
                | E::Unsure
                | E::Unlinked
                | E::Replaced
                | E::Released
                | E::Spawned(..)
                | E::SpawnFailed(_)
                | E::Ended(..)
                | E::Unread
                | E::AllRead
                | E::Tick,
            ) => NOTHING,
        }
    }

    /// Keeps account of the two processes, which is the same in every phase.
    fn note_process(&mut self, event: SlotEvent, now: Instant) {
        match event {
            SlotEvent::Spawned(role, pid) => {
                let (Supervise::Absent { quick, .. }
                | Supervise::Spawning { quick }
                | Supervise::Running { quick, .. }) = self.supervise(role);
                *self.supervise_mut(role) = Supervise::Running { pid, since: now, quick };
            }
            SlotEvent::SpawnFailed(role) => {
                *self.supervise_mut(role) = self.supervise(role).failed(now);
            }
            SlotEvent::Ended(role, how) => {
                *self.supervise_mut(role) = self.supervise(role).ended(how, now);
            }
            SlotEvent::Seen(_)
            | SlotEvent::Unsure
            | SlotEvent::Unlinked
            | SlotEvent::Replaced
            | SlotEvent::Released
            | SlotEvent::Unread
            | SlotEvent::AllRead
            | SlotEvent::Stop
            | SlotEvent::Tick => {}
        }
    }

    /// The first step of a service that may run: a look at its directory.
    fn begin(&mut self, now: Instant) -> Actions {
        self.phase = Phase::Settling { next: now, until: now + SETTLE_TIME };
        self.look()
    }

    /// Starts what is absent and due: the logger first, so that nothing is said to nobody.
    fn start(&mut self, now: Instant) -> Actions {
        let mut actions = NOTHING;
        let wanted = [(Role::Log, self.logged), (Role::Main, !self.own)];
        for (action, (role, wanted)) in actions.iter_mut().zip(wanted) {
            if let Supervise::Absent { due, quick } = self.supervise(role)
                && wanted
                && due <= now
            {
                *self.supervise_mut(role) = Supervise::Spawning { quick };
                *action = Some(Action::Spawn(role));
            }
        }
        actions
    }

    /// When the next supervise that is absent and wanted may be started.
    fn next_start(&self) -> Option<Instant> {
        let main = if self.own { None } else { self.main.due() };
        let log = if self.logged { self.log.due() } else { None };
        main.into_iter().chain(log).min()
    }

    fn start_is_due(&self, now: Instant) -> bool {
        self.next_start().is_some_and(|due| due <= now)
    }

    const fn look(&self) -> Actions {
        [Some(Action::Look), None]
    }

    fn forget(&mut self) -> Actions {
        [Some(Action::Forget), None]
    }

    fn forget_if_empty(&mut self) -> Actions {
        if self.main.is_absent() && self.log.is_absent() { self.forget() } else { NOTHING }
    }

    fn keep_running(&mut self) -> Actions {
        self.phase = Phase::Kept;
        self.forget_if_empty()
    }

    fn stop(&mut self, now: Instant, last: bool) -> Actions {
        self.phase = Phase::Stopping;
        match self.main {
            Supervise::Running { pid, .. } => [Some(Action::Terminate(pid)), None],
            Supervise::Spawning { .. } => NOTHING,
            Supervise::Absent { .. } => self.drain(now, last),
        }
    }

    /// Its supervise has gone: now the logger.
    fn drain(&mut self, now: Instant, last: bool) -> Actions {
        match self.log {
            Supervise::Running { pid, .. } => {
                self.phase = Phase::Draining { until: Some(now + DRAIN_TIME) };
                // In this order, or the logger would be started once more at the end of its pipe.
                [Some(Action::Finish(pid)), Some(Action::EndInput)]
            }
            Supervise::Spawning { .. } => {
                self.phase = Phase::Draining { until: Some(now + DRAIN_TIME) };
                [Some(Action::EndInput), None]
            }
            Supervise::Absent { .. } => self.finish(now, last),
        }
    }

    fn end_logger(&mut self) -> Actions {
        self.phase = Phase::Draining { until: None };
        [self.log.pid().map(Action::Terminate), None]
    }

    /// All is over: free the slot, or begin anew if a name has come back meanwhile.
    fn finish(&mut self, now: Instant, last: bool) -> Actions {
        if last || self.names == 0 {
            return self.forget();
        }
        self.main = NEVER_RUN;
        self.log = NEVER_RUN;
        let [look, _] = self.begin(now);
        [Some(Action::DropPipe), look]
    }

    /// When the next [`SlotEvent::Tick`] is due.
    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Settling { next, .. } => Some(next),
            Phase::Active => self.next_start(),
            Phase::Unlinked { due } => Some(due),
            Phase::Draining { until } => until,
            Phase::Held | Phase::Kept | Phase::Stopping => None,
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a, Id> {
    /// A name leads to this directory.
    Seen(&'a [u8], Id, Contents),
    /// A name leads to no directory.
    Lost(&'a [u8]),
    /// It could not be found out where a name leads.
    Unsure(&'a [u8]),
    /// The answer to [`Action::Spawn`].
    Spawned(SlotNo, Role, Pid),
    /// The answer to [`Action::Spawn`].
    SpawnFailed(SlotNo, Role),
    /// The answer to [`Action::CheckInput`].
    Unread(SlotNo),
    /// The answer to [`Action::CheckInput`].
    AllRead(SlotNo),
    /// A child has ended.
    Ended(Pid, Ended),
    /// Time has passed.
    Tick,
    /// Stop everything, then leave. May come again.
    Stop,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// For a service.
    For(SlotNo, Action),
    /// Leave.
    Exit,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    slot: SlotNo,
    /// The number of the scan that saw it last.
    scan: u64,
}

/// All services. `Id` is what a directory is.
#[derive(Clone, Debug)]
pub struct Roster<Id> {
    slots: Vec<Option<Slot<Id>>>,
    free: Vec<SlotNo>,
    by_id: BTreeMap<Id, SlotNo>,
    by_name: BTreeMap<Box<[u8]>, Name>,
    by_pid: BTreeMap<Pid, (SlotNo, Role)>,
    timers: BTreeSet<(Instant, SlotNo)>,
    /// How many slots are in use.
    live: usize,
    /// How many slots are on their way out, and how many are held: usually none, which saves a
    /// search.
    outgoing: usize,
    held: usize,
    scan: u64,
    keep: bool,
    stopping: bool,
    /// How long a stop may take.
    patience: Option<Duration>,
    /// When whoever is still there is killed.
    late: Option<Instant>,
    own_logger: Option<SlotNo>,
}

impl<Id: Ord + Copy> Roster<Id> {
    /// An empty roster. With `keep`, a service whose links are gone is left running.
    #[must_use]
    pub const fn new(keep: bool) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            timers: BTreeSet::new(),
            live: 0,
            outgoing: 0,
            held: 0,
            scan: 0,
            keep,
            stopping: false,
            patience: None,
            late: None,
            own_logger: None,
        }
    }

    /// Lets a stop take so long at most: then whoever is still there is killed.
    pub const fn limit_stop(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// The service in a slot.
    #[must_use]
    pub fn slot(&self, no: SlotNo) -> Option<&Slot<Id>> {
        self.slots.get(no.0)?.as_ref()
    }

    /// All services.
    pub fn slots(&self) -> impl Iterator<Item = (SlotNo, &Slot<Id>)> {
        self.slots.iter().enumerate().filter_map(|(n, slot)| Some((SlotNo(n), slot.as_ref()?)))
    }

    /// The service and role of a supervise.
    #[must_use]
    pub fn service_of(&self, pid: Pid) -> Option<(SlotNo, Role)> {
        self.by_pid.get(&pid).copied()
    }

    /// All supervises that run.
    pub fn supervises(&self) -> impl Iterator<Item = Pid> {
        self.by_pid.keys().copied()
    }

    /// Whether [`Event::Stop`] has come.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether there is nothing that only we know of: nothing is being stopped.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let rests = |slot: &Slot<Id>| {
            !matches!(slot.phase(), Phase::Held | Phase::Stopping | Phase::Draining { .. })
        };
        !self.stopping && self.slots().all(|(_, slot)| rests(slot))
    }

    /// When [`Event::Tick`] is due, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(due, _)| due).into_iter().chain(self.late).min()
    }

    /// Makes this directory the logger of svscan's own messages: started first, stopped last.
    pub fn add_own_logger(&mut self, name: &[u8], id: Id, now: Instant, out: &mut Vec<Effect>) {
        let no = self.add(name, id, Phase::Active);
        if let Some(slot) = self.slot_mut(no) {
            slot.own = true;
            slot.logged = true;
            slot.names = 1;
        }
        self.own_logger = Some(no);
        self.tell(no, SlotEvent::Seen(Contents { log: true, run: true }), now, out);
    }

    /// A look at the whole directory begins.
    pub const fn begin_scan(&mut self) {
        self.scan += 1;
    }

    /// It has ended, and saw everything: names that were not seen are gone.
    pub fn end_scan(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let scan = self.scan;
        let gone: Vec<Box<[u8]>> = self
            .by_name
            .iter()
            .filter(|(_, entry)| entry.scan != scan)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.step(Event::Lost(&name), now, out);
        }
    }

    /// Takes one event, and adds to `out` what is to be done, in order.
    pub fn step(&mut self, event: Event<'_, Id>, now: Instant, out: &mut Vec<Effect>) {
        match event {
            Event::Seen(name, id, contents) => self.seen(name, id, contents, now, out),
            Event::Lost(name) => {
                if let Some(entry) = self.by_name.remove(name) {
                    self.lose_name(entry.slot, name, SlotEvent::Unlinked, now, out);
                }
            }
            Event::Unsure(name) => {
                let scan = self.scan;
                if let Some(entry) = self.by_name.get_mut(name) {
                    entry.scan = scan;
                    let no = entry.slot;
                    self.tell(no, SlotEvent::Unsure, now, out);
                }
            }
            Event::Spawned(no, role, pid) => {
                self.by_pid.insert(pid, (no, role));
                self.tell(no, SlotEvent::Spawned(role, pid), now, out);
            }
            Event::SpawnFailed(no, role) => self.tell(no, SlotEvent::SpawnFailed(role), now, out),
            Event::Unread(no) => self.tell(no, SlotEvent::Unread, now, out),
            Event::AllRead(no) => self.tell(no, SlotEvent::AllRead, now, out),
            Event::Ended(pid, how) => {
                if let Some((no, role)) = self.by_pid.remove(&pid) {
                    self.tell(no, SlotEvent::Ended(role, how), now, out);
                }
            }
            Event::Tick => {
                while let Some(&(due, no)) = self.timers.first()
                    && due <= now
                {
                    self.timers.pop_first();
                    if let Some(slot) = self.slot_mut(no) {
                        slot.timer = None;
                    }
                    self.tell(no, SlotEvent::Tick, now, out);
                }
                if self.late.is_some_and(|late| late <= now) {
                    self.late = Some(now + LATE_INTERVAL);
                    self.kill(out);
                }
            }
            Event::Stop => {
                self.stopping = true;
                self.late = self.late.or_else(|| Some(now + self.patience?));
                let own = self.own_logger;
                let services: Vec<SlotNo> =
                    self.slots().map(|(no, _)| no).filter(|&no| Some(no) != own).collect();
                // Otherwise the end of the last of them sees to it.
                if services.is_empty() {
                    self.leave_if_empty(now, out);
                }
                for no in services {
                    self.tell(no, SlotEvent::Stop, now, out);
                }
            }
        }
    }

    fn seen(
        &mut self,
        name: &[u8],
        id: Id,
        contents: Contents,
        now: Instant,
        out: &mut Vec<Effect>,
    ) {
        if self.stopping {
            return;
        }
        let scan = self.scan;
        let mut before = None;
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.scan = scan;
            let no = entry.slot;
            if let Some(slot) = self.slot_mut(no).filter(|slot| slot.id == id) {
                // What is started now is started by a name that was just looked at.
                if *slot.name != *name {
                    slot.name = name.into();
                }
                self.tell(no, SlotEvent::Seen(contents), now, out);
                return;
            }
            self.by_name.remove(name);
            // Who takes the place of one that still waits, waits in its place. One that other
            // names lead to stays, and is nothing to wait for.
            before = self.slot(no).and_then(|slot| slot.after);
            self.lose_name(no, name, SlotEvent::Replaced, now, out);
            before = before.or(Some(no).filter(|&no| self.slot(no).is_some_and(|s| s.names == 0)));
        } else if self.outgoing > 0 {
            // The name was taken from another directory: that one is not coming back.
            before = self
                .slots()
                .find(|(_, slot)| {
                    slot.is_outgoing() && slot.names == 0 && *slot.name == *name && slot.id != id
                })
                .map(|(no, _)| no);
            if let Some(no) = before {
                self.tell(no, SlotEvent::Replaced, now, out);
            }
        }
        if let Some(&no) = self.by_id.get(&id) {
            self.by_name.insert(name.into(), Name { slot: no, scan });
            if let Some(slot) = self.slot_mut(no) {
                slot.names += 1;
                slot.name = name.into();
            }
            self.tell(no, SlotEvent::Seen(contents), now, out);
            return;
        }
        // A predecessor that was left running is nothing to wait for.
        let before = before.filter(|&no| !self.keep && self.slot(no).is_some());
        let phase = Phase::Settling { next: now, until: now + SETTLE_TIME };
        let no = self.add(name, id, if before.is_some() { Phase::Held } else { phase });
        if let Some(slot) = self.slot_mut(no) {
            slot.after = before;
            slot.names = 1;
        }
        if before.is_some() {
            self.held += 1;
        }
        self.by_name.insert(name.into(), Name { slot: no, scan });
        self.tell(no, SlotEvent::Seen(contents), now, out);
    }

    /// A name leads elsewhere or nowhere; `event` is for its slot if it was the last one.
    fn lose_name(
        &mut self,
        no: SlotNo,
        name: &[u8],
        event: SlotEvent,
        now: Instant,
        out: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.slot_mut(no) else {
            return;
        };
        slot.names = slot.names.saturating_sub(1);
        if slot.names == 0 {
            self.tell(no, event, now, out);
        } else if *slot.name == *name {
            // Known by its other name from now on.
            let other = self.by_name.iter().find(|(_, entry)| entry.slot == no);
            let other = other.map(|(name, _)| name.clone());
            if let (Some(other), Some(slot)) = (other, self.slot_mut(no)) {
                slot.name = other;
                // It may have waited for a look at the name that is gone.
                self.tell(no, SlotEvent::Tick, now, out);
            }
        }
    }

    fn slot_mut(&mut self, no: SlotNo) -> Option<&mut Slot<Id>> {
        self.slots.get_mut(no.0)?.as_mut()
    }

    fn add(&mut self, name: &[u8], id: Id, phase: Phase) -> SlotNo {
        let slot = Slot {
            id,
            name: name.into(),
            names: 0,
            phase,
            logged: false,
            own: false,
            main: NEVER_RUN,
            log: NEVER_RUN,
            after: None,
            timer: None,
        };
        let no = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SlotNo(self.slots.len() - 1)
        });
        if let Some(place) = self.slots.get_mut(no.0) {
            *place = Some(slot);
        }
        self.by_id.insert(id, no);
        self.live += 1;
        no
    }

    /// Gives a slot an event, and the roster what follows from it.
    fn tell(&mut self, no: SlotNo, event: SlotEvent, now: Instant, out: &mut Vec<Effect>) {
        let (keep, stopping) = (self.keep, self.stopping);
        let Some(slot) = self.slot_mut(no) else {
            return;
        };
        let was_outgoing = slot.is_outgoing();
        let was_held = slot.phase == Phase::Held;
        let actions = slot.step(event, now, keep, stopping);
        let is_outgoing = slot.is_outgoing();
        let begins_anew = was_outgoing && matches!(slot.phase, Phase::Settling { .. });
        let is_held = slot.phase == Phase::Held;
        let old_timer = slot.timer;
        // A look is answered at once, so that the timer is not needed for it.
        let timer = if actions.contains(&Some(Action::Look)) { None } else { slot.deadline() };
        slot.timer = timer;
        if old_timer != timer {
            if let Some(due) = old_timer {
                self.timers.remove(&(due, no));
            }
            if let Some(due) = timer {
                self.timers.insert((due, no));
            }
        }
        self.outgoing = self.outgoing + usize::from(is_outgoing) - usize::from(was_outgoing);
        self.held = self.held + usize::from(is_held) - usize::from(was_held);
        out.extend(actions.into_iter().flatten().map(|action| Effect::For(no, action)));
        if actions.contains(&Some(Action::Forget)) {
            self.forget(no, now, out);
        } else if begins_anew {
            self.release_heirs(no, now, out);
        }
    }

    /// Kills whoever was told to leave and is still there; not a logger whose service is there.
    fn kill(&self, out: &mut Vec<Effect>) {
        for (no, slot) in self.slots() {
            let role = match slot.phase {
                Phase::Stopping => Role::Main,
                Phase::Draining { .. } => Role::Log,
                Phase::Held
                | Phase::Settling { .. }
                | Phase::Active
                | Phase::Unlinked { .. }
                | Phase::Kept => continue,
            };
            if let Some(pid) = slot.supervise(role).pid() {
                out.push(Effect::For(no, Action::Kill(role, pid)));
            }
        }
    }

    fn forget(&mut self, no: SlotNo, now: Instant, out: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(no.0).and_then(Option::take) else {
            return;
        };
        self.free.push(no);
        self.live -= 1;
        if self.own_logger == Some(no) {
            self.own_logger = None;
        }
        self.by_id.remove(&slot.id);
        if let Some(due) = slot.timer {
            self.timers.remove(&(due, no));
        }
        self.outgoing -= usize::from(slot.is_outgoing());
        self.held -= usize::from(slot.phase == Phase::Held);
        if slot.names > 0 {
            self.by_name.retain(|_, entry| entry.slot != no);
        }
        self.release_heirs(no, now, out);
        self.leave_if_empty(now, out);
    }

    /// Lets those go on that waited for a service which has ended.
    fn release_heirs(&mut self, no: SlotNo, now: Instant, out: &mut Vec<Effect>) {
        if self.held == 0 {
            return;
        }
        let heirs: Vec<SlotNo> =
            self.slots().filter(|(_, s)| s.after == Some(no)).map(|(heir, _)| heir).collect();
        for heir in heirs {
            if let Some(slot) = self.slot_mut(heir) {
                slot.after = None;
            }
            self.tell(heir, SlotEvent::Released, now, out);
        }
    }

    /// When svscan is to end: the last one is the logger of its own messages, then it leaves.
    fn leave_if_empty(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if !self.stopping {
            return;
        }
        match (self.live, self.own_logger) {
            (0, _) => {
                self.late = None;
                out.push(Effect::Exit);
            }
            (1, Some(own)) => self.tell(own, SlotEvent::Stop, now, out),
            _ => {}
        }
    }
}
