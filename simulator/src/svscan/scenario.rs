//! What a seed decides before anything runs.

use super::check::Violation;
use super::run::run;
use super::shorter::shorter;
use crate::fault::{self, Kind};
use crate::lifetime;
use crate::random::Random;
use crate::simulation::{self, Candidates, Report};

/// Which process a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// svscan itself.
    Svscan,
    /// Its children between fork and exec.
    Child,
    /// The supervises and their children between fork and exec.
    Supervise,
}

impl fault::Role for Role {
    const LETTERS: &'static [(char, Self)] =
        &[('S', Self::Svscan), ('C', Self::Child), ('V', Self::Supervise)];
}

/// A fault of a svscan, or of the other processes of a role, whose calls have consecutive numbers.
pub type PlannedFault = fault::PlannedFault<Role>;

/// What an administrator, or anything else, does. A number is that of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The service gets its name in the scan directory.
    Link(usize),
    /// The name goes.
    Remove(usize),
    /// The name changes.
    Rename(usize),
    /// `svc -t`, `-d` and the like.
    Letter(char, usize),
    /// KILL to the service process.
    KillService(usize),
    /// KILL to the supervise of the service.
    KillSupervise(usize),
    /// KILL to the supervise of the logger.
    KillLogSupervise(usize),
    /// TERM to the logger.
    EndLogger(usize),
    /// `svscan -u`
    Upgrade,
    /// Another svscan starts on the same directory.
    Another,
    /// TERM to svscan, which stops everything.
    Terminate,
    /// HUP to svscan, which reads the directory.
    Reread,
    /// So many names come and go that the kernel does not announce all.
    Flood,
}

/// An action at a time.
pub type Event = lifetime::Event<Action>;

/// One svscan.
pub type Svscan = lifetime::Lifetime<Role, Action>;

/// A service directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What the service does: see [`super::scripted::speaker`].
    pub kind: String,
    /// It has a logger.
    pub has_logger: bool,
    /// It is a directory in the scan directory, which is made file by file when it gets its name. The others are
    /// links to directories that exist.
    pub is_copied: bool,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides the order of the processes.
    pub seed: u64,
    /// svscan has the option `-k`.
    pub keeps: bool,
    /// The kernel tells how a process ended that is not a child.
    pub tells_ends: bool,
    /// How many numbers of processes there are; 0 for as many as needed.
    pub pids: i32,
    /// The services. Those that are not copied have their names from the beginning.
    pub services: Vec<Service>,
    /// The svscans, one after the other. The last one has no faults.
    pub svscans: Vec<Svscan>,
}

impl simulation::Scenario for Scenario {
    type Violation = Violation;

    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keeps = random.one_in(3);
        let tells_ends = random.one_in(2);
        let pids = if random.one_in(3) { 60 } else { 0 };
        let count = if random.one_in(8) { 5 } else { 1 + random.below(2) };
        let services: Vec<Service> = (0..count).map(|_| service(&mut random)).collect();
        let mut svscans: Vec<Svscan> =
            (0..random.below(3)).map(|_| svscan(&mut random, services.len())).collect();
        svscans.push(Svscan { faults: Vec::new(), ..svscan(&mut random, services.len()) });
        Self { seed, keeps, tells_ends, pids, services, svscans }
    }

    fn run(&self, trace: bool) -> Report<Violation> {
        run(self, trace)
    }

    fn describe(&self) -> Vec<String> {
        let describe = |(n, it): (usize, &Service)| {
            let logger = if it.has_logger { "a logger" } else { "no logger" };
            let place = if it.is_copied { "is copied later" } else { "is linked" };
            format!("service {n} {place}; its script run {}, with {logger}", it.kind)
        };
        self.services.iter().enumerate().map(describe).collect()
    }

    fn shorter(&self) -> Candidates<Self> {
        shorter(self)
    }
}

fn service(random: &mut Random) -> Service {
    Service {
        kind: random.one_of(&["steady", "steady", "steady", "ignores", "exits"]).into(),
        has_logger: !random.one_in(3),
        is_copied: random.one_in(4),
    }
}

fn svscan(random: &mut Random, services: usize) -> Svscan {
    let mut faults = Vec::new();
    let reach = random.one_of(&[120, 250, 600]);
    for _ in 0..random.below(3) {
        let kind = match random.below(10) {
            0 => Kind::Terminate,
            1 => Kind::Short(usize::try_from(random.below(200)).unwrap_or(0)),
            _ => Kind::Error(random.next()),
        };
        faults.push(PlannedFault { role: Role::Svscan, call: random.below(reach), kind });
    }
    if !random.one_in(3) {
        let call = random.below(reach);
        faults.push(PlannedFault { role: Role::Svscan, call, kind: Kind::Kill });
    }
    if random.one_in(4) {
        let kind = if random.one_in(2) { Kind::Kill } else { Kind::Error(random.next()) };
        faults.push(PlannedFault { role: Role::Child, call: random.below(30), kind });
    }
    for _ in 0..random.below(3) {
        let reach = random.one_of(&[100, 300, 900]);
        let call = random.below(reach);
        faults.push(PlannedFault { role: Role::Supervise, call, kind: Kind::Kill });
    }
    let mut events = Vec::new();
    let mut after = 0;
    for _ in 0..random.below(6) {
        after += random.one_of(&[0, 1, 10, 200, 900, 1000, 2000]);
        let action = action(random, services);
        events.push(Event { after, action });
        after = follow(random, action, after, &mut events);
    }
    let patience = after + random.one_of(&[1, 20, 1200, 3000, 6000]);
    Svscan { patience, faults, events }
}

/// What often comes at once after an action. Returns the time of the last event.
fn follow(random: &mut Random, action: Action, after: u64, events: &mut Vec<Event>) -> u64 {
    let (pause, action) = match action {
        // `ln -sfn` and package managers; an administrator who removes a service and upgrades.
        Action::Remove(n) => match random.below(6) {
            0..=1 => (random.one_of(&[0, 10, 300, 700]), Action::Link(n)),
            2 => (random.one_of(&[0, 10, 300]), Action::Upgrade),
            _ => return after,
        },
        Action::Flood => (0, random.one_of(&[Action::Link(0), Action::Remove(0)])),
        _ => return after,
    };
    events.push(Event { after: after + pause, action });
    after + pause
}

fn action(random: &mut Random, services: usize) -> Action {
    let n = usize::try_from(random.below(services as u64)).unwrap_or(0);
    match random.below(26) {
        0..=3 => Action::Link(n),
        4..=6 => Action::Remove(n),
        7..=8 => Action::Rename(n),
        9..=10 => Action::Letter(random.one_of(&['t', 't', 'd', 'u']), n),
        11 => Action::KillService(n),
        12..=13 => Action::KillSupervise(n),
        14..=15 => Action::KillLogSupervise(n),
        16..=17 => Action::EndLogger(n),
        18..=19 => Action::Upgrade,
        20 => Action::Another,
        21 => Action::Terminate,
        22..=23 => Action::Reread,
        _ => Action::Flood,
    }
}
