//! What a seed decides before anything runs.

use super::check::Violation;
use super::options::Options;
use super::run::run;
use super::shorter::shorter;
use crate::fault::{self, Kind, jump};
use crate::kernel::{Ended, FileSystem};
use crate::lifetime;
use crate::random::Random;
use crate::simulation::{self, Candidates, Report};

/// Which process a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// supervise itself.
    Supervise,
    /// Its children between fork and exec.
    Child,
}

impl fault::Role for Role {
    const LETTERS: &'static [(char, Self)] = &[('S', Self::Supervise), ('C', Self::Child)];
}

/// A fault of a supervise, or of its children, whose calls have consecutive numbers.
pub type PlannedFault = fault::PlannedFault<Role>;

/// What an administrator, or anything else, does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `svc -LETTERS /service`
    Letters(String),
    /// KILL to the service process.
    KillService,
    /// TERM to supervise.
    Terminate,
    /// A process starts that has nothing to do with the service, and stays.
    Stranger,
    /// USR2 to supervise: a live upgrade.
    Upgrade,
    /// Another supervise starts on the same directory.
    Second,
    /// The wall clock jumps by so many seconds.
    Clock(i64),
    /// The power fails.
    Power,
    /// A file of the service directory gets this text.
    Write(String, String),
    /// A file of the service directory is removed.
    Remove(String),
}

/// An action at a time.
pub type Event = lifetime::Event<Action>;

/// One supervise.
pub type Supervise = lifetime::Lifetime<Role, Action>;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides the order of the processes.
    pub seed: u64,
    /// What the service does: see [`super::scripted::service`].
    pub service: String,
    /// The service directory has a file `down`.
    pub down: bool,
    /// The kernel tells how a process ended that is not a child.
    pub tells_ends: bool,
    /// The power can fail, and files are on this file system.
    pub disk: Option<FileSystem>,
    /// The files beside `run` and `down`.
    pub options: Options,
    /// How many numbers of processes there are; 0 for as many as needed.
    pub pids: i32,
    /// The supervises, one after the other. The last one has no faults.
    pub supervises: Vec<Supervise>,
    /// The last command.
    pub end: String,
}

impl Scenario {
    /// The service stays until a signal ends it.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let kind = self.service.split(' ').next().unwrap_or_default();
        let stays = ["runs", "ignores", "forks", "readies"].contains(&kind);
        stays && !self.options.can_end_it()
    }

    /// No signal of supervise ends the service.
    #[must_use]
    pub fn ignores_term(&self) -> bool {
        let ends = self.options.has("down-signal") || self.options.kill_time().is_some();
        self.service == "ignores" && !ends
    }

    /// Whether a supervise of an essential service may have ended in this way.
    #[must_use]
    pub fn may_end(&self, ended: Option<Ended>) -> bool {
        ended == Some(Ended::Exited(98)) && self.options.has("essential")
    }
}

impl simulation::Scenario for Scenario {
    type Violation = Violation;

    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let service = service(&mut random);
        let options = match random.one_in(2) {
            true => Options::new(&mut random, &service),
            false => Options::default(),
        };
        let down = random.one_in(6);
        let tells_ends = random.one_in(2);
        let few = if options.0.is_empty() { 12 } else { 60 };
        // Such a service can leave processes with every run.
        let pids = if random.one_in(2) && !service.starts_with("forks") { few } else { 0 };
        let disk = random
            .one_in(6)
            .then(|| random.one_of(&[FileSystem::Ext4, FileSystem::Xfs, FileSystem::Posix]));
        let mut supervises: Vec<Supervise> =
            (0..1 + random.below(4)).map(|_| supervise(&mut random, disk.is_some())).collect();
        supervises.push(Supervise { faults: Vec::new(), ..supervise(&mut random, false) });
        let end = random.one_of(&["d", "d", "u", "dx", "x"]).to_owned();
        Self { seed, service, down, tells_ends, disk, options, pids, supervises, end }
    }

    fn run(&self, trace: bool) -> Report<Violation> {
        run(self, trace)
    }

    fn describe(&self) -> Vec<String> {
        let down = if self.down { ", with a file down" } else { "" };
        let run = format!("the service directory has a script run, which {}{down}", self.service);
        let files = self.options.0.iter();
        let files = files.map(|(name, text)| format!("it has a file {name}: {}", text.trim_end()));
        std::iter::once(run).chain(files).collect()
    }

    fn shorter(&self) -> Candidates<Self> {
        shorter(self)
    }
}

fn service(random: &mut Random) -> String {
    let time = random.one_of(&[0, 1, 10, 300, 900, 1100, 4000]);
    match random.below(11) {
        0..=2 => "runs".into(),
        8..=9 => format!("forks {} {}", random.below(2), random.below(2)),
        10 => format!("readies {time}"),
        3 => "ignores".into(),
        4 => "moody".into(),
        5 => format!("dies {time}"),
        _ => format!("exits {time} {}", random.one_of(&[0, 1, 100, 111])),
    }
}

fn supervise(random: &mut Random, is_power: bool) -> Supervise {
    let mut faults = Vec::new();
    let reach = random.one_of(&[75, 120, 200, 600]);
    for _ in 0..random.below(3) {
        let kind = match random.below(10) {
            0 => Kind::Terminate,
            1 => Kind::Clock(jump(random)),
            2 => Kind::Memory,
            3 => Kind::Short(usize::try_from(random.below(200)).unwrap_or(0)),
            _ => Kind::Error(random.next()),
        };
        faults.push(PlannedFault { role: Role::Supervise, call: random.below(reach), kind });
    }
    if !random.one_in(4) {
        let call = random.below(reach);
        let kind = if is_power && random.one_in(2) { Kind::Power } else { Kind::Kill };
        faults.push(PlannedFault { role: Role::Supervise, call, kind });
    }
    if random.one_in(4) {
        let kind = if random.one_in(2) { Kind::Kill } else { Kind::Error(random.next()) };
        faults.push(PlannedFault { role: Role::Child, call: random.below(24), kind });
    }
    let mut events = Vec::new();
    let mut after = 0;
    for _ in 0..random.below(5) {
        after += random.one_of(&[0, 1, 10, 200, 900, 1000, 2000]);
        events.push(Event { after, action: action(random, is_power) });
    }
    let patience = after + random.one_of(&[1, 20, 1200, 3000, 6000]);
    Supervise { patience, faults, events }
}

/// An administrator edits the service directory.
fn edit(random: &mut Random) -> Action {
    match random.below(4) {
        0 => Action::Write("down".into(), String::new()),
        1 => Action::Remove("down".into()),
        2 => Action::Write("run".into(), "#!/bin/serv".into()),
        _ => Action::Remove("run".into()),
    }
}

fn action(random: &mut Random, is_power: bool) -> Action {
    const LETTERS: [&str; 20] = [
        "d", "d", "u", "u", "o", "p", "c", "t", "k", "h", "a", "i", "x", "dx", "du", "ud", "pc",
        "tc", "dxu", "1",
    ];
    match random.below(20) {
        0 => Action::Stranger,
        1..=2 => Action::Terminate,
        3..=4 => Action::KillService,
        5..=6 => Action::Upgrade,
        7 => Action::Second,
        8 => Action::Clock(jump(random)),
        9 => edit(random),
        10 if is_power => Action::Power,
        _ => Action::Letters(random.one_of(&LETTERS).into()),
    }
}
