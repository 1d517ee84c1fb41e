//! A roster with a clock, whose steps a test tells one after the other.

use daemontools_core::svscan::roster::{Roster, RosterEffect, RosterEvent};
use daemontools_core::svscan::slot::{Action, Contents, SlotNo, SlotPhase, UNLINK_GRACE};
use daemontools_core::svscan::supervise_process::SuperviseRole::{self, Log, Main};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const FAILED: Ended = Ended::Exited(111);
pub(crate) const EXITED: Ended = Ended::Exited(0);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A directory without `run` and `log`.
pub(crate) const BARE: Contents = Contents { log: false, run: false, quiet_in: None };
/// A directory with `run`.
pub(crate) const PLAIN: Contents = Contents { log: false, run: true, quiet_in: None };
/// A directory with `run` and `log`.
pub(crate) const LOGGED: Contents = Contents { log: true, run: true, quiet_in: None };
/// The directory changed a moment ago.
pub(crate) const CHANGING: Contents =
    Contents { quiet_in: Some(Duration::from_millis(700)), ..LOGGED };

// Directories.
pub(crate) const A: u32 = 1;
pub(crate) const B: u32 = 2;
pub(crate) const C: u32 = 3;
pub(crate) const OWN: u32 = 9;

/// A roster, its clock, and its processes. The test answers each request for a start.
pub(crate) struct Story {
    pub(crate) roster: Roster<u32>,
    pub(crate) now: Instant,
    /// By slot and whether it is the service's.
    pub(crate) pids: BTreeMap<(usize, bool), Pid>,
    next_pid: i32,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::with(false)
    }

    /// Services without a name run on.
    pub(crate) fn keeping() -> Self {
        Self::with(true)
    }

    fn with(keep: bool) -> Self {
        let now = Instant(1_000_000_000_000);
        Self { roster: Roster::new(keep), now, pids: BTreeMap::new(), next_pid: 100 }
    }

    /// A logged service `a` in slot 0, both supervise processes of which have run for a minute.
    pub(crate) fn running() -> Self {
        Self::new().run_a()
    }

    pub(crate) fn run_a(mut self) -> Self {
        assert_eq!(self.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
        self.spawned(0, Log);
        self.spawned(0, Main);
        self.pass(MINUTE);
        self
    }

    /// `a` runs with `keep`, and its name is gone before either process has started.
    pub(crate) fn kept_spawning() -> Self {
        let mut story = Self::keeping();
        story.seen("a", A, LOGGED);
        story.lost("a");
        story
    }

    /// The name of `a` was gone for too long.
    pub(crate) fn stopping() -> Self {
        let mut story = Self::running();
        story.lost("a");
        story.tick(UNLINK_GRACE);
        story
    }

    /// The supervise of `a` has exited as it was told; its logger runs.
    pub(crate) fn draining() -> Self {
        let mut story = Self::stopping();
        story.ended(0, Main, EXITED);
        story
    }

    /// Draining, with a name again.
    pub(crate) fn draining_with_name() -> Self {
        let mut story = Self::draining();
        story.seen("a", A, LOGGED);
        story
    }

    /// The logger of svscan's own messages in slot 0, running for a minute.
    pub(crate) fn with_own_logger() -> Self {
        let mut story = Self::new();
        let mut out = Vec::new();
        story.roster.add_own_logger(b".log", OWN, story.now, &mut out);
        assert_eq!(story.words(&out), "0 spawn log");
        story.spawned(0, Log);
        story.pass(MINUTE);
        story
    }

    /// Takes one event; returns the effects in words.
    pub(crate) fn step(&mut self, event: RosterEvent<'_, u32>) -> String {
        let mut out = Vec::new();
        self.roster.step(event, self.now, &mut out);
        self.words(&out)
    }

    /// Effects in words: the slot, the action, and its process.
    pub(crate) fn words(&self, effects: &[RosterEffect]) -> String {
        let role = |pid: Pid| match self.pids.iter().find(|&(_, &other)| other == pid) {
            Some(((_, true), _)) => "main",
            Some(((_, false), _)) => "log",
            None => "unknown",
        };
        let words: Vec<String> = effects
            .iter()
            .map(|&effect| match effect {
                RosterEffect::Exit => "exit".into(),
                RosterEffect::ReportStop => "report stop".into(),
                RosterEffect::For(SlotNo(no), action) => match action {
                    Action::Spawn(Main) => format!("{no} spawn main"),
                    Action::Spawn(Log) => format!("{no} spawn log"),
                    Action::Rename(pid) => format!("{no} rename {}", role(pid)),
                    Action::Terminate(pid) => format!("{no} terminate {}", role(pid)),
                    Action::Finish(pid) => format!("{no} finish {}", role(pid)),
                    Action::Kill(_, pid) => format!("{no} kill {}", role(pid)),
                    Action::EndInput => format!("{no} end input"),
                    Action::CheckInput => format!("{no} check input"),
                    Action::DropPipe => format!("{no} drop pipe"),
                    Action::ReportLateLog => format!("{no} report late log"),
                    Action::Look => format!("{no} look"),
                    Action::Forget => format!("{no} forget"),
                },
            })
            .collect();
        words.join(", ")
    }

    pub(crate) fn seen(&mut self, name: &str, id: u32, contents: Contents) -> String {
        self.step(RosterEvent::Seen(name.as_bytes(), id, contents))
    }

    pub(crate) fn lost(&mut self, name: &str) -> String {
        self.step(RosterEvent::Lost(name.as_bytes()))
    }

    pub(crate) fn unsure(&mut self, name: &str) -> String {
        self.step(RosterEvent::Unsure(name.as_bytes()))
    }

    pub(crate) fn spawned(&mut self, no: usize, role: SuperviseRole) -> String {
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).expect("not zero");
        self.pids.insert((no, role == Main), pid);
        self.step(RosterEvent::Spawned(SlotNo(no), role, pid))
    }

    pub(crate) fn failed(&mut self, no: usize, role: SuperviseRole) -> String {
        self.step(RosterEvent::SpawnFailed(SlotNo(no), role))
    }

    pub(crate) fn not_spawned(&mut self, no: usize, role: SuperviseRole) -> String {
        self.step(RosterEvent::NotSpawned(SlotNo(no), role))
    }

    /// A process ends. If that is the logger's supervise of a service that stops, its pipe is empty.
    pub(crate) fn ended(&mut self, no: usize, role: SuperviseRole, how: Ended) -> String {
        let words = self.ended_before_check(no, role, how);
        if role == Log && words == format!("{no} check input") {
            return self.step(RosterEvent::AllRead(SlotNo(no)));
        }
        words
    }

    /// A process ends.
    pub(crate) fn ended_before_check(
        &mut self,
        no: usize,
        role: SuperviseRole,
        how: Ended,
    ) -> String {
        let pid = self.pids.remove(&(no, role == Main)).expect("a process");
        self.step(RosterEvent::Ended(pid, how))
    }

    pub(crate) fn ended_for_good(&mut self, no: usize) -> String {
        let pid = self.pids.remove(&(no, true)).expect("a process");
        self.step(RosterEvent::EndedForGood(pid))
    }

    pub(crate) fn stop(&mut self) -> String {
        self.step(RosterEvent::Stop)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Lets time pass, and ticks.
    pub(crate) fn tick(&mut self, time: Duration) -> String {
        self.pass(time);
        self.step(RosterEvent::Tick)
    }

    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.roster.deadline().map(|due| due.duration_since(self.now))
    }

    pub(crate) fn phase(&self, no: usize) -> &'static str {
        match self.roster.slot(SlotNo(no)).map(|slot| slot.phase()) {
            None => "free",
            Some(SlotPhase::Waiting) => "waiting",
            Some(SlotPhase::Settling { .. }) => "settling",
            Some(SlotPhase::Active) => "active",
            Some(SlotPhase::Unlinked { .. }) => "unlinked",
            Some(SlotPhase::Kept) => "kept",
            Some(SlotPhase::Stopping) => "stopping",
            Some(SlotPhase::Draining { until: Some(_) }) => "draining",
            Some(SlotPhase::Draining { until: None }) => "ending",
        }
    }
}
