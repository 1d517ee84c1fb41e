//! The roster in a small world: links that come, go and are noticed late or never, directories,
//! supervises that obey or die, forks that fail. Whatever happens there, the rules hold, and
//! when it calms down everything is as it should be.

#[path = "common/cases.rs"]
mod cases;

use cases::config;
use daemontools_core::roster::{
    Action, Contents, Effect, Event, Phase, Role, Roster, SlotNo, Supervise,
};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The names that can be in the scanned directory.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// How many directories there are that they can lead to: three for each name, if it comes to that.
const DIRS: u32 = 12;

/// The logger of svscan's own messages: not among these names, and without `log`.
const OWN_NAME: &str = ".own";
const OWN: u32 = 99;

const OBEYED: Ended = Ended::Exited(0);

/// What kind of world it is.
#[derive(Clone, Copy, Debug)]
struct Kind {
    keep: bool,
    own_logger: bool,
    /// Every directory appears under one name only, and has a logger for ever or never.
    orderly: bool,
    /// How long a stop may take.
    patience: Option<Duration>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A name leads to a directory from now on, and it is announced or not.
    Link {
        name: usize,
        dir: u32,
        announced: bool,
    },
    Unlink {
        name: usize,
        announced: bool,
    },
    /// It is announced late that a name was removed, and perhaps made again.
    Announce {
        name: usize,
    },
    Scan,
    /// `run` is made or removed.
    Run {
        dir: u32,
        exists: bool,
    },
    Log {
        dir: u32,
        exists: bool,
    },
    /// A name cannot be looked at, or can be again.
    Murky {
        name: usize,
        murky: bool,
    },
    /// One of the supervises ends for no reason.
    Die {
        which: usize,
        how: Ended,
    },
    /// One of the supervises does what it was told.
    Obey {
        which: usize,
    },
    /// Time passes; the ticks come when they are due, or not at all.
    Pass {
        ms: u64,
        ticking: bool,
    },
    Forks {
        work: bool,
    },
    Stop,
}

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..NAMES.len();
    let dir = || 0..DIRS;
    let often = || prop::bool::weighted(0.75);
    let how = prop_oneof![
        3 => Just(Ended::Killed(9)),
        2 => Just(Ended::Exited(111)),
        1 => Just(Ended::Exited(0)),
    ];
    prop_oneof![
        16 => (name(), dir(), often())
            .prop_map(|(name, dir, announced)| Act::Link { name, dir, announced }),
        8 => (name(), often()).prop_map(|(name, announced)| Act::Unlink { name, announced }),
        4 => name().prop_map(|name| Act::Announce { name }),
        6 => Just(Act::Scan),
        3 => (dir(), often()).prop_map(|(dir, exists)| Act::Run { dir, exists }),
        2 => (dir(), any::<bool>()).prop_map(|(dir, exists)| Act::Log { dir, exists }),
        2 => (name(), any::<bool>()).prop_map(|(name, murky)| Act::Murky { name, murky }),
        10 => (0..20_usize, how).prop_map(|(which, how)| Act::Die { which, how }),
        16 => (0..20_usize).prop_map(|which| Act::Obey { which }),
        12 => (0..2_500_u64, often()).prop_map(|(ms, ticking)| Act::Pass { ms, ticking }),
        4 => (0..20_000_u64).prop_map(|ms| Act::Pass { ms, ticking: true }),
        3 => often().prop_map(|work| Act::Forks { work }),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..70)
}

fn kind() -> impl Strategy<Value = Kind> {
    let patience = prop::option::of((0..10_u64).prop_map(Duration::from_secs));
    (prop::bool::weighted(0.2), any::<bool>(), any::<bool>(), patience).prop_map(
        |(keep, own_logger, orderly, patience)| Kind { keep, own_logger, orderly, patience },
    )
}

/// A supervise.
#[derive(Clone, Debug)]
struct Process {
    slot: SlotNo,
    role: Role,
    /// The directory it was started in, and under what name.
    dir: u32,
    name: String,
    terminated: bool,
    finishing: bool,
    /// A logger which does not heed the end of its pipe.
    deaf: bool,
}

struct World {
    kind: Kind,
    roster: Roster<u32>,
    now: Instant,
    links: BTreeMap<&'static str, u32>,
    dirs: BTreeMap<u32, Contents>,
    murky: BTreeSet<&'static str>,
    processes: BTreeMap<Pid, Process>,
    /// The slots which have a pipe.
    pipes: BTreeSet<SlotNo>,
    forks: bool,
    next_pid: i32,
    exits: usize,
    /// The most services there were at a time.
    most: usize,
    todo: Vec<Effect>,
}

impl World {
    fn new(kind: Kind) -> Self {
        let mut world = Self {
            kind,
            roster: Roster::new(kind.keep),
            now: Instant(1_000_000_000_000),
            links: BTreeMap::new(),
            dirs: (0..DIRS).map(|dir| (dir, Contents { log: dir % 3 == 0, run: true })).collect(),
            murky: BTreeSet::new(),
            processes: BTreeMap::new(),
            pipes: BTreeSet::new(),
            forks: true,
            next_pid: 0,
            exits: 0,
            most: 0,
            todo: Vec::new(),
        };
        if let Some(patience) = kind.patience {
            world.roster.limit_stop(patience);
        }
        if kind.own_logger {
            world.dirs.insert(OWN, Contents { log: false, run: true });
            let mut out = Vec::new();
            world.roster.add_own_logger(OWN_NAME.as_bytes(), OWN, world.now, &mut out);
            world.perform(out);
        }
        world
    }

    fn tell(&mut self, event: Event<'_, u32>) {
        let mut out = Vec::new();
        self.roster.step(event, self.now, &mut out);
        self.perform(out);
    }

    /// What svscan does: everything in order, and what comes of it at the end.
    fn perform(&mut self, effects: Vec<Effect>) {
        self.most = self.most.max(self.roster.slots().count());
        self.todo = effects;
        let mut done = 0;
        while let Some(&effect) = self.todo.get(done) {
            done += 1;
            assert!(done < 1000, "no end of effects");
            match effect {
                Effect::Exit => self.exits += 1,
                Effect::For(no, action) => self.do_for(no, action),
            }
        }
    }

    fn step(&mut self, event: Event<'_, u32>) {
        let mut todo = std::mem::take(&mut self.todo);
        self.roster.step(event, self.now, &mut todo);
        self.todo = todo;
        self.most = self.most.max(self.roster.slots().count());
    }

    fn do_for(&mut self, no: SlotNo, action: Action) {
        match action {
            Action::Spawn(role) => self.spawn(no, role),
            Action::Terminate(pid) => {
                self.check_logger_is_last(pid);
                self.process(pid).terminated = true;
            }
            Action::Kill(role, pid) => {
                self.check_logger_is_last(pid);
                assert!(self.roster.is_stopping() && self.kind.patience.is_some());
                let process = self.process(pid);
                assert!(process.terminated || process.finishing, "it was not asked before");
                assert_eq!((process.slot, process.role), (no, role));
                process.terminated = true;
            }
            Action::Finish(pid) => {
                self.check_logger_is_last(pid);
                assert!(self.pipes.contains(&no), "told too late that the end is near");
                let process = self.process(pid);
                assert_eq!(process.role, Role::Log);
                process.finishing = true;
            }
            Action::EndInput => {
                assert!(self.pipes.contains(&no), "there is no pipe");
                assert_eq!(self.running(no, Role::Main), None, "writes to a closed pipe");
            }
            Action::CheckInput => {
                assert!(self.pipes.contains(&no), "there is no pipe");
                let answer = if self.now.0.is_multiple_of(3) {
                    Event::Unread(no)
                } else {
                    Event::AllRead(no)
                };
                self.step(answer);
            }
            Action::DropPipe => {
                assert!(self.roster.slot(no).is_some(), "{no:?} was forgotten");
                assert_eq!(self.running(no, Role::Main), None, "writes to a closed pipe");
                self.pipes.remove(&no);
            }
            Action::Forget => {
                for role in [Role::Main, Role::Log] {
                    assert_eq!(self.running(no, role), None, "forgotten alive");
                }
                self.pipes.remove(&no);
            }
            Action::Look => {
                // It may have been asked for and forgotten by one and the same scan, or stop.
                if let Some(slot) = self.roster.slot(no) {
                    let name = String::from_utf8(slot.name().to_vec()).expect("a plain name");
                    self.look(&name);
                }
            }
        }
    }

    fn process(&mut self, pid: Pid) -> &mut Process {
        self.processes.get_mut(&pid).expect("a stranger is hit")
    }

    fn running(&self, no: SlotNo, role: Role) -> Option<Pid> {
        let found = self.processes.iter().find(|(_, p)| p.slot == no && p.role == role);
        found.map(|(&pid, _)| pid)
    }

    /// A logger is told to leave only when nobody writes to it any more.
    fn check_logger_is_last(&mut self, pid: Pid) {
        let Process { slot, role, dir, .. } = *self.process(pid);
        if role == Role::Log {
            assert_eq!(self.running(slot, Role::Main), None, "the logger goes first");
        }
        if dir == OWN {
            assert_eq!(self.processes.len(), 1, "our own logger goes first");
        }
    }

    fn spawn(&mut self, no: SlotNo, role: Role) {
        let slot = self.roster.slot(no).expect("a service to start");
        assert!(!self.roster.is_stopping() || slot.is_own_logger(), "a start at the end");
        let name = String::from_utf8(slot.name().to_vec()).expect("a plain name");
        let logged = slot.is_logged();
        assert!(logged || role == Role::Main, "a logger for nobody");
        assert!(!slot.is_own_logger() || role == Role::Log, "svscan is its service");
        if !self.forks {
            self.step(Event::SpawnFailed(no, role));
            return;
        }
        if logged {
            self.pipes.insert(no);
        }
        let dir = if name == OWN_NAME { OWN } else { self.links[name.as_str()] };
        let twin = self.processes.values().find(|p| p.dir == dir && p.role == role);
        assert!(twin.is_none(), "{twin:?} is there already");
        // Only where names are no riddle: otherwise the other one may just have another name.
        if self.kind.orderly && !self.kind.keep {
            let before = self.processes.values().find(|p| p.name == name && p.dir != dir);
            assert!(before.is_none(), "{before:?} was not waited for");
        }
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).expect("not zero");
        let deaf = self.next_pid % 5 == 0;
        let process =
            Process { slot: no, role, dir, name, terminated: false, finishing: false, deaf };
        self.processes.insert(pid, process);
        self.step(Event::Spawned(no, role, pid));
    }

    /// Looks where a name leads.
    fn look(&mut self, name: &str) {
        let dir = if name == OWN_NAME { Some(OWN) } else { self.links.get(name).copied() };
        let event = match dir {
            _ if self.murky.contains(name) => Event::Unsure(name.as_bytes()),
            Some(dir) => Event::Seen(name.as_bytes(), dir, self.dirs[&dir]),
            None => Event::Lost(name.as_bytes()),
        };
        self.step(event);
    }

    fn look_and_perform(&mut self, name: &str) {
        self.look(name);
        let todo = std::mem::take(&mut self.todo);
        self.perform(todo);
    }

    fn announce(&mut self, name: &'static str) {
        self.todo.clear();
        self.look_and_perform(name);
    }

    fn scan(&mut self) {
        self.roster.begin_scan();
        // Directories have no order, and this one changes.
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

    fn end(&mut self, pid: Pid, how: Ended) {
        self.processes.remove(&pid).expect("a process");
        self.tell(Event::Ended(pid, how));
    }

    fn tick(&mut self) {
        self.tell(Event::Tick);
        if let Some(due) = self.roster.deadline() {
            assert!(due > self.now, "still due after a tick");
        }
    }

    /// Those that have something to obey, and can.
    fn obedient(&self) -> Vec<Pid> {
        self.processes
            .iter()
            .filter(|(_, p)| {
                p.terminated || (p.finishing && !p.deaf && !self.pipes.contains(&p.slot))
            })
            .map(|(&pid, _)| pid)
            .collect()
    }

    fn act(&mut self, act: Act) {
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
                    self.tell(Event::Lost(NAMES[name].as_bytes()));
                }
            }
            Act::Announce { name } => {
                self.tell(Event::Lost(NAMES[name].as_bytes()));
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
            Act::Murky { name, murky: true } => {
                self.murky.insert(NAMES[name]);
            }
            Act::Murky { name, murky: false } => {
                self.murky.remove(NAMES[name]);
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
            Act::Stop => self.tell(Event::Stop),
        }
        self.check();
    }

    /// What holds after everything that can happen.
    fn check(&self) {
        let due = self.roster.deadline();
        let by = |moment: Instant, what: &str| {
            assert!(due.is_some_and(|due| due <= moment), "{what} is not looked after: {due:?}");
        };
        let mut running = 0;
        let mut leaving = 0;
        let mut held = 0;
        for (no, slot) in self.roster.slots() {
            assert!(no.0 < self.most, "slots are not used again");
            for role in [Role::Main, Role::Log] {
                match slot.supervise(role) {
                    Supervise::Spawning { .. } => panic!("{no:?} {role:?} was never answered"),
                    Supervise::Running { pid, .. } => {
                        running += 1;
                        assert_eq!(self.running(no, role), Some(pid));
                        assert_eq!(self.roster.service_of(pid), Some((no, role)));
                    }
                    Supervise::Absent { due, .. } => {
                        assert_eq!(self.running(no, role), None);
                        let wanted = match role {
                            Role::Main => !slot.is_own_logger(),
                            Role::Log => slot.is_logged(),
                        };
                        if slot.phase() == Phase::Active && wanted {
                            by(due, "a dead supervise");
                        }
                    }
                }
            }
            let main = self.running(no, Role::Main);
            let log = self.running(no, Role::Log);
            match slot.phase() {
                Phase::Settling { next, .. } => by(next, "a new directory"),
                Phase::Unlinked { due } => by(due, "a removed service"),
                Phase::Draining { until } => {
                    leaving += 1;
                    if let Some(until) = until {
                        by(until, "a logger");
                    }
                    assert!(main.is_none() && log.is_some(), "nothing is waited for");
                }
                Phase::Stopping => {
                    leaving += 1;
                    assert!(main.is_some(), "nothing is waited for");
                }
                Phase::Kept => assert!(main.is_some() || log.is_some(), "nothing is kept"),
                Phase::Held => held += 1,
                Phase::Active => {}
            }
        }
        assert_eq!(running, self.processes.len(), "a supervise without a service");
        assert!(held == 0 || leaving > 0, "nobody will let those go who wait");
        if self.roster.slots().next().is_none() {
            assert_eq!(due, None, "nobody is due");
        }
    }

    /// Nothing fails any more, everything is seen once, and everybody obeys, until nothing
    /// happens any more. It does not take for ever.
    fn calm_down(&mut self) {
        self.forks = true;
        self.murky.clear();
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
        panic!("it does not come to rest");
    }

    fn count(&self, dir: u32, role: Role) -> usize {
        self.processes.values().filter(|p| p.dir == dir && p.role == role).count()
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn in_the_end_every_linked_directory_has_its_supervise_and_no_other_has(
        kind in kind(),
        acts in acts(),
    ) {
        let mut world = World::new(kind);
        for act in acts {
            world.act(act);
        }
        world.calm_down();
        let linked: BTreeSet<u32> = world.links.values().copied().collect();
        for &dir in &linked {
            prop_assert_eq!(world.count(dir, Role::Main), 1, "directory {}", dir);
            if kind.orderly && world.dirs[&dir].log {
                prop_assert_eq!(world.count(dir, Role::Log), 1, "logger of {}", dir);
            }
        }
        for (no, slot) in world.roster.slots() {
            if slot.is_logged() && slot.phase() == Phase::Active {
                prop_assert!(world.running(no, Role::Log).is_some(), "the logger of {no:?}");
            }
        }
        prop_assert_eq!(world.count(OWN, Role::Log), usize::from(kind.own_logger));
        if !kind.keep {
            let others = world.processes.values().find(|p| p.dir != OWN && !linked.contains(&p.dir));
            prop_assert!(others.is_none(), "{others:?} was left behind");
            let expected = linked.len() + usize::from(kind.own_logger);
            prop_assert_eq!(world.roster.slots().count(), expected);
        }
    }

    #[test]
    fn when_all_names_have_gone_no_service_is_left(kind in kind(), acts in acts()) {
        let mut world = World::new(kind);
        for act in acts {
            world.act(act);
        }
        world.links.clear();
        world.calm_down();
        if kind.keep {
            // The way to retire a service that is kept: `svc -dx`.
            let all: Vec<Pid> = world.processes.iter()
                .filter(|(_, p)| p.dir != OWN)
                .map(|(&pid, _)| pid)
                .collect();
            for pid in all {
                world.end(pid, OBEYED);
                world.check();
            }
        }
        let own = usize::from(kind.own_logger);
        prop_assert_eq!(world.roster.slots().count(), own);
        prop_assert_eq!(world.processes.len(), own);
        prop_assert_eq!(world.pipes.len(), own);
        prop_assert_eq!(world.roster.deadline(), None);
    }

    #[test]
    fn stop_ends_everything_and_then_svscan(
        kind in kind(),
        before in acts(),
        meanwhile in prop::collection::vec((act(), prop::bool::weighted(0.1)), 0..20),
    ) {
        let mut world = World::new(kind);
        for act in before {
            world.act(act);
        }
        world.act(Act::Stop);
        for (act, again) in meanwhile {
            world.act(if again { Act::Stop } else { act });
        }
        world.calm_down();
        prop_assert_eq!(world.exits, 1);
        prop_assert_eq!(world.roster.slots().count(), 0);
        prop_assert!(world.processes.is_empty(), "{:?}", world.processes);
        prop_assert!(world.pipes.is_empty());
        prop_assert_eq!(world.roster.deadline(), None);
    }
}
