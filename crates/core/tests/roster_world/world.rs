//! The world of the roster: links, directories, and the processes that svscan starts. It performs the
//! roster's effects, and checks them.

use daemontools_core::svscan::roster::{Roster, RosterEffect, RosterEvent};
use daemontools_core::svscan::slot::{Action, Contents, SlotNo, SlotPhase};
use daemontools_core::svscan::supervise_process::{SuperviseProcess, SuperviseRole};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The names that can be in the scan directory.
pub(crate) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The number of directories to which they can lead: three for each name.
pub(crate) const DIRS: u32 = 12;

/// The logger of svscan's own messages: a name of its own, and no `log`.
pub(crate) const OWN_NAME: &str = ".own";
pub(crate) const OWN: u32 = 99;

/// The end of a supervise process that does what it was told.
pub(crate) const OBEYED: Ended = Ended::Exited(0);

/// The options of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) keep: bool,
    pub(crate) own_logger: bool,
    /// Every directory has one name only, and gets or loses no logger.
    pub(crate) orderly: bool,
    pub(crate) stop_timeout: Option<Duration>,
}

/// One random event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A name leads to a directory; svscan is told or not.
    Link {
        name: usize,
        dir: u32,
        announced: bool,
    },
    Unlink {
        name: usize,
        announced: bool,
    },
    /// svscan is told late that a name was removed, and looks at it again.
    Announce {
        name: usize,
    },
    Scan,
    /// `run` appears or disappears.
    Run {
        dir: u32,
        exists: bool,
    },
    Log {
        dir: u32,
        exists: bool,
    },
    /// A look at a name fails, or works again.
    FailLooks {
        name: usize,
        fail: bool,
    },
    /// One of the supervise processes ends by itself.
    Die {
        which: usize,
        how: Ended,
    },
    /// One of the supervise processes does what it was told.
    Obey {
        which: usize,
    },
    /// Time passes; with `ticking` the ticks come when they are due, else none comes.
    Pass {
        ms: u64,
        ticking: bool,
    },
    Forks {
        work: bool,
    },
    Stop,
}

/// A supervise process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) slot: SlotNo,
    pub(crate) role: SuperviseRole,
    /// Its directory at the start, and the name of that.
    pub(crate) dir: u32,
    pub(crate) name: String,
    pub(crate) terminated: bool,
    pub(crate) finishing: bool,
    /// A logger that ignores the end of its input.
    pub(crate) ignores_eof: bool,
}

pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) roster: Roster<u32>,
    pub(crate) now: Instant,
    pub(crate) links: BTreeMap<&'static str, u32>,
    pub(crate) dirs: BTreeMap<u32, Contents>,
    /// Names at which a look fails.
    pub(crate) failing_looks: BTreeSet<&'static str>,
    pub(crate) processes: BTreeMap<Pid, Process>,
    /// The slots that have a pipe.
    pub(crate) pipes: BTreeSet<SlotNo>,
    /// Forks work.
    pub(crate) forks: bool,
    pub(crate) next_pid: i32,
    pub(crate) exits: usize,
    /// The largest number of slots so far.
    pub(crate) most: usize,
    pub(crate) todo: Vec<RosterEffect>,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut world = Self {
            kind,
            roster: Roster::new(kind.keep),
            now: Instant(1_000_000_000_000),
            links: BTreeMap::new(),
            dirs: (0..DIRS)
                .map(|dir| (dir, Contents { log: dir % 3 == 0, run: true, quiet_in: None }))
                .collect(),
            failing_looks: BTreeSet::new(),
            processes: BTreeMap::new(),
            pipes: BTreeSet::new(),
            forks: true,
            next_pid: 0,
            exits: 0,
            most: 0,
            todo: Vec::new(),
        };
        if let Some(timeout) = kind.stop_timeout {
            world.roster.set_stop_timeout(timeout);
        }
        if kind.own_logger {
            world.dirs.insert(OWN, Contents { log: false, run: true, quiet_in: None });
            let mut out = Vec::new();
            world.roster.add_own_logger(OWN_NAME.as_bytes(), OWN, world.now, &mut out);
            world.perform(out);
        }
        world
    }

    /// Gives the roster an event, and performs the effects.
    pub(crate) fn deliver(&mut self, event: RosterEvent<'_, u32>) {
        let mut out = Vec::new();
        self.roster.step(event, self.now, &mut out);
        self.perform(out);
    }

    /// Performs effects as svscan does: in order, with the effects of their answers at the end.
    pub(crate) fn perform(&mut self, effects: Vec<RosterEffect>) {
        self.most = self.most.max(self.roster.slots().count());
        self.todo = effects;
        let mut done = 0;
        while let Some(&effect) = self.todo.get(done) {
            done += 1;
            assert!(done < 1000, "an endless chain of effects");
            match effect {
                RosterEffect::Exit => self.exits += 1,
                RosterEffect::ReportStop => {}
                RosterEffect::For(no, action) => self.do_for(no, action),
            }
        }
    }

    /// Gives the roster an answer, and appends its effects to the pending ones.
    pub(crate) fn step(&mut self, event: RosterEvent<'_, u32>) {
        let mut todo = std::mem::take(&mut self.todo);
        self.roster.step(event, self.now, &mut todo);
        self.todo = todo;
        self.most = self.most.max(self.roster.slots().count());
    }

    pub(crate) fn do_for(&mut self, no: SlotNo, action: Action) {
        match action {
            Action::Spawn(role) => self.spawn(no, role),
            Action::Rename(pid) => {
                let name = self.roster.slot(no).expect("a service").name().to_vec();
                let name = String::from_utf8(name).expect("a plain name");
                let process = self.process(pid);
                assert_eq!((process.slot, process.role), (no, SuperviseRole::Main));
                process.name = name;
            }
            Action::Terminate(pid) => {
                self.check_logger_is_last(pid);
                self.process(pid).terminated = true;
            }
            Action::Kill(role, pid) => {
                self.check_logger_is_last(pid);
                assert!(self.roster.is_stopping() && self.kind.stop_timeout.is_some());
                let process = self.process(pid);
                assert!(
                    process.terminated || process.finishing,
                    "KILL without a request before it"
                );
                assert_eq!((process.slot, process.role), (no, role));
                process.terminated = true;
            }
            Action::Finish(pid) => {
                self.check_logger_is_last(pid);
                assert!(self.pipes.contains(&no), "the request comes after the end of the input");
                let process = self.process(pid);
                assert_eq!(process.role, SuperviseRole::Log);
                process.finishing = true;
            }
            Action::EndInput => {
                assert!(self.pipes.contains(&no), "there is no pipe");
                assert_eq!(
                    self.running(no, SuperviseRole::Main),
                    None,
                    "a service writes to a closed pipe"
                );
            }
            Action::CheckInput => {
                let has_pipe = self.pipes.contains(&no);
                let log = self.running(no, SuperviseRole::Log);
                assert!(has_pipe || log.is_none(), "there is no pipe");
                let answer = if has_pipe && self.now.0.is_multiple_of(3) {
                    RosterEvent::Unread(no)
                } else {
                    RosterEvent::AllRead(no)
                };
                self.step(answer);
            }
            Action::ReportLateLog => {
                assert!(!self.pipes.contains(&no), "the logger is in use");
            }
            Action::DropPipe => {
                assert!(self.roster.slot(no).is_some(), "{no:?} is free");
                assert_eq!(
                    self.running(no, SuperviseRole::Main),
                    None,
                    "a service writes to a closed pipe"
                );
                self.pipes.remove(&no);
            }
            Action::Forget => {
                for role in [SuperviseRole::Main, SuperviseRole::Log] {
                    assert_eq!(self.running(no, role), None, "a free slot with a process");
                }
                self.pipes.remove(&no);
            }
            Action::Look => {
                // One scan or stop can request a look and then free the slot.
                if let Some(slot) = self.roster.slot(no) {
                    let name = String::from_utf8(slot.name().to_vec()).expect("a plain name");
                    self.look(&name);
                }
            }
        }
    }

    pub(crate) fn process(&mut self, pid: Pid) -> &mut Process {
        self.processes.get_mut(&pid).expect("a supervise process of this svscan")
    }

    pub(crate) fn running(&self, no: SlotNo, role: SuperviseRole) -> Option<Pid> {
        let found = self.processes.iter().find(|(_, p)| p.slot == no && p.role == role);
        found.map(|(&pid, _)| pid)
    }

    /// A logger is told to exit only when no process writes to it.
    pub(crate) fn check_logger_is_last(&mut self, pid: Pid) {
        let Process { slot, role, dir, .. } = *self.process(pid);
        if role == SuperviseRole::Log {
            assert_eq!(
                self.running(slot, SuperviseRole::Main),
                None,
                "the logger ends before its service"
            );
        }
        if dir == OWN {
            assert_eq!(self.processes.len(), 1, "the own logger ends before the services");
        }
    }

    pub(crate) fn spawn(&mut self, no: SlotNo, role: SuperviseRole) {
        let slot = self.roster.slot(no).expect("a service to start");
        let is_log = role == SuperviseRole::Log;
        assert!(!self.roster.is_stopping() || is_log, "a service starts during a stop");
        let is_late = !slot.is_own_logger()
            && matches!(slot.phase(), SlotPhase::Stopping | SlotPhase::Draining { .. });
        assert!(!is_late || is_log, "a service starts although it stops");
        let id = slot.id();
        let name = String::from_utf8(slot.name().to_vec()).expect("a plain name");
        let logged = slot.has_logger();
        assert!(logged || role == SuperviseRole::Main, "a logger without a service");
        assert!(
            !slot.is_own_logger() || role == SuperviseRole::Log,
            "a service for the own logger"
        );
        if !self.forks {
            self.step(RosterEvent::SpawnFailed(no, role));
            return;
        }
        if logged {
            self.pipes.insert(no);
        }
        if is_late && self.links.get(name.as_str()) != Some(&id) {
            self.step(RosterEvent::NotSpawned(no, role));
            return;
        }
        let dir = if name == OWN_NAME { OWN } else { self.links[name.as_str()] };
        let twin = self.processes.values().find(|p| p.dir == dir && p.role == role);
        assert!(twin.is_none(), "{twin:?} runs already");
        // In other worlds the directory before may have another name, and runs on.
        if self.kind.orderly && !self.kind.keep {
            let before = self.processes.values().find(|p| p.name == name && p.dir != dir);
            assert!(before.is_none(), "{before:?} still runs");
        }
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).expect("not zero");
        let ignores_eof = self.next_pid % 5 == 0;
        let process =
            Process { slot: no, role, dir, name, terminated: false, finishing: false, ignores_eof };
        self.processes.insert(pid, process);
        self.step(RosterEvent::Spawned(no, role, pid));
    }

    /// Looks where a name leads.
    pub(crate) fn look(&mut self, name: &str) {
        let dir = if name == OWN_NAME { Some(OWN) } else { self.links.get(name).copied() };
        let event = match dir {
            _ if self.failing_looks.contains(name) => RosterEvent::Unsure(name.as_bytes()),
            Some(dir) => RosterEvent::Seen(name.as_bytes(), dir, self.dirs[&dir]),
            None => RosterEvent::Lost(name.as_bytes()),
        };
        self.step(event);
    }

    pub(crate) fn look_and_perform(&mut self, name: &str) {
        self.look(name);
        let todo = std::mem::take(&mut self.todo);
        self.perform(todo);
    }

    pub(crate) fn announce(&mut self, name: &'static str) {
        self.todo.clear();
        self.look_and_perform(name);
    }

    pub(crate) fn scan(&mut self) {
        self.roster.begin_scan();
        // A directory has no order of names.
        let mut names: Vec<&str> = self.links.keys().copied().collect();
        let turn = usize::try_from(self.now.0 / 1_000_000).expect("64 bits") % 4;
        let turn = turn.min(names.len());
        names.rotate_left(turn);
        for name in names {
            self.announce(name);
        }
        let mut out = Vec::new();
        self.roster.end_scan(self.now, &mut out);
        self.perform(out);
    }

    pub(crate) fn end(&mut self, pid: Pid, how: Ended) {
        self.processes.remove(&pid).expect("a process");
        self.deliver(RosterEvent::Ended(pid, how));
    }

    pub(crate) fn tick(&mut self) {
        self.deliver(RosterEvent::Tick);
        if let Some(due) = self.roster.deadline() {
            assert!(due > self.now, "still due after a tick");
        }
    }

    /// The processes that can do now what they were told.
    pub(crate) fn obedient(&self) -> Vec<Pid> {
        self.processes
            .iter()
            .filter(|(_, p)| {
                p.terminated || (p.finishing && !p.ignores_eof && !self.pipes.contains(&p.slot))
            })
            .map(|(&pid, _)| pid)
            .collect()
    }

    pub(crate) fn act(&mut self, act: Act) {
        if self.exits > 0 {
            return;
        }
        let orderly = self.kind.orderly;
        match act {
            Act::Link { name, dir, announced } => {
                // In an orderly world the directories 0, 4 and 8 are for the first name, and so on.
                let names = u32::try_from(NAMES.len()).expect("few");
                let index = u32::try_from(name).expect("few");
                let dir = if orderly { index + dir / names * names } else { dir };
                self.links.insert(NAMES[name], dir);
                if announced {
                    self.announce(NAMES[name]);
                }
            }
            Act::Unlink { name, announced } => {
                self.links.remove(NAMES[name]);
                if announced {
                    self.deliver(RosterEvent::Lost(NAMES[name].as_bytes()));
                }
            }
            Act::Announce { name } => {
                self.deliver(RosterEvent::Lost(NAMES[name].as_bytes()));
                self.announce(NAMES[name]);
            }
            Act::Scan if self.roster.is_stopping() => {}
            Act::Scan => self.scan(),
            Act::Run { dir, exists } => {
                self.dirs.entry(dir).and_modify(|contents| contents.run = exists);
            }
            Act::Log { .. } if orderly => {}
            Act::Log { dir, exists } => {
                self.dirs.entry(dir).and_modify(|contents| contents.log = exists);
            }
            Act::FailLooks { name, fail: true } => {
                self.failing_looks.insert(NAMES[name]);
            }
            Act::FailLooks { name, fail: false } => {
                self.failing_looks.remove(NAMES[name]);
            }
            Act::Die { which, how } => {
                if let Some(&pid) = self.processes.keys().nth(which) {
                    self.end(pid, how);
                }
            }
            Act::Obey { which } => {
                let obedient = self.obedient();
                if let Some(&pid) = obedient.get(which % obedient.len().max(1)) {
                    self.end(pid, OBEYED);
                }
            }
            Act::Pass { ms, ticking } => {
                let end = self.now + Duration::from_millis(ms);
                while ticking
                    && let Some(due) = self.roster.deadline()
                    && due <= end
                {
                    self.now = self.now.max(due);
                    self.tick();
                }
                self.now = end;
            }
            Act::Forks { work } => self.forks = work,
            Act::Stop => self.deliver(RosterEvent::Stop),
        }
        self.check();
    }

    /// The invariants after each event.
    pub(crate) fn check(&self) {
        let due = self.roster.deadline();
        let by = |moment: Instant, what: &str| {
            assert!(due.is_some_and(|due| due <= moment), "no timer for {what}: {due:?}");
        };
        let mut running = 0;
        let mut leaving = 0;
        let mut waiting = 0;
        for (no, slot) in self.roster.slots() {
            assert!(no.0 < self.most, "free slots are not reused");
            for role in [SuperviseRole::Main, SuperviseRole::Log] {
                match slot.supervise(role) {
                    SuperviseProcess::Spawning { .. } => panic!("no answer for {no:?} {role:?}"),
                    SuperviseProcess::Running { pid, .. } => {
                        running += 1;
                        assert_eq!(self.running(no, role), Some(pid));
                        assert_eq!(self.roster.service_of(pid), Some((no, role)));
                    }
                    SuperviseProcess::Absent { due, .. } => {
                        assert_eq!(self.running(no, role), None);
                        let wanted = match role {
                            SuperviseRole::Main => !slot.is_own_logger(),
                            SuperviseRole::Log => slot.has_logger(),
                        };
                        if slot.phase() == SlotPhase::Active && wanted {
                            by(due, "a dead supervise");
                        }
                    }
                }
            }
            let main = self.running(no, SuperviseRole::Main);
            let log = self.running(no, SuperviseRole::Log);
            match slot.phase() {
                SlotPhase::Settling { next, .. } => by(next, "a new directory"),
                SlotPhase::Unlinked { due } => by(due, "a removed service"),
                SlotPhase::Draining { until } => {
                    leaving += 1;
                    if let Some(until) = until {
                        by(until, "a logger");
                    }
                    assert!(main.is_none() && log.is_some(), "it waits for no process");
                }
                SlotPhase::Stopping => {
                    leaving += 1;
                    assert!(main.is_some(), "it waits for no process");
                }
                SlotPhase::Kept => assert!(main.is_some() || log.is_some(), "it keeps no process"),
                SlotPhase::Waiting => waiting += 1,
                SlotPhase::Active => {}
            }
        }
        assert_eq!(running, self.processes.len(), "a supervise without a slot");
        assert!(waiting == 0 || leaving > 0, "no slot will release the waiting ones");
        if self.roster.slots().next().is_none() {
            assert_eq!(due, None, "a timer without a slot");
        }
    }

    /// Everything works, svscan scans once, and all processes obey, until no event is left. That takes
    /// a bounded number of steps.
    pub(crate) fn calm_down(&mut self) {
        self.forks = true;
        self.failing_looks.clear();
        if !self.roster.is_stopping() {
            self.scan();
        }
        for _ in 0..500 {
            self.check();
            if self.exits > 0 {
                return;
            }
            if let Some(&pid) = self.obedient().first() {
                self.end(pid, OBEYED);
            } else if let Some(due) = self.roster.deadline() {
                self.now = self.now.max(due);
                self.tick();
            } else {
                return;
            }
        }
        panic!("the events do not end");
    }

    pub(crate) fn count(&self, dir: u32, role: SuperviseRole) -> usize {
        self.processes.values().filter(|p| p.dir == dir && p.role == role).count()
    }
}
