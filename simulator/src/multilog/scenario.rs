//! What a seed decides before anything runs.

use super::check::Violation;
use super::faults::{PlannedFault, Role, faults};
use super::outputs::Outputs;
use super::run::run;
use super::shorter::shorter;
use crate::kernel::FileSystem;
use crate::random::Random;
use crate::simulation::{self, Candidates, Report};

/// One logger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// It is the original's, as the specification describes it.
    pub is_original: bool,
    /// What happens to it.
    pub faults: Vec<PlannedFault>,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides the order of the processes.
    pub seed: u64,
    /// The arguments of multilog.
    pub script: Vec<String>,
    /// The seed of the text, and its number of lines.
    pub input: (u64, usize),
    /// The last line has no newline.
    pub ends_in_line: bool,
    /// The file system, if the power fails.
    pub disk: Option<FileSystem>,
    /// The loggers, one after the other; after them comes one without faults.
    pub loggers: Vec<Life>,
}

/// What the seeds vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    /// One or two directories, for many lines.
    Plain,
    /// Patterns, status files, processors of all kinds, few files, jumps of the clock, refused memory.
    Rich,
    /// The power fails.
    Power,
    /// Some loggers are the original's.
    Mixed,
}

impl Scenario {
    /// The outputs of the script.
    #[must_use]
    pub fn outputs(&self) -> Outputs {
        Outputs::new(&self.script)
    }

    /// The number of output directories.
    #[must_use]
    pub fn directories(&self) -> usize {
        self.script.iter().filter(|argument| argument.starts_with("./")).count()
    }

    /// Whether a logger is the original's.
    #[must_use]
    pub fn has_original(&self) -> bool {
        self.loggers.iter().any(|life| life.is_original)
    }
}

impl simulation::Scenario for Scenario {
    type Violation = Violation;

    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let world = random.one_of(&[World::Plain, World::Rich, World::Power, World::Mixed]);
        let lines = random.one_of(&[10, 50, 100, 400]);
        let lines = usize::try_from(1 + random.below(lines)).unwrap_or(1);
        let script = match world {
            World::Rich => rich_script(&mut random),
            World::Mixed if random.one_in(2) => rich_script(&mut random),
            _ => plain_script(&mut random, world),
        };
        let is_power = world == World::Power;
        let systems = [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Posix];
        let disk = is_power.then(|| random.one_of(&systems));
        let ends_in_line = world == World::Rich && random.one_in(4);
        let loggers = 1 + random.below(4);
        let loggers = (0..loggers).map(|_| {
            let is_original = world == World::Mixed && random.one_in(2);
            let mut faults = faults(&mut random, world == World::Rich, is_power);
            // Without the standby process, the original writes the last batch again.
            faults.retain(|it| world != World::Mixed || it.role != Role::Standby);
            Life { is_original, faults }
        });
        let loggers = loggers.collect();
        Self { seed, script, input: (random.next(), lines), ends_in_line, disk, loggers }
    }

    fn run(&self, trace: bool) -> Report<Violation> {
        run(self, trace)
    }

    fn describe(&self) -> Vec<String> {
        let lines = self.input.1;
        let end = if self.ends_in_line { ", the last one without a newline," } else { "" };
        let mut told = vec![
            format!("a writer writes {lines} lines{end} into a pipe"),
            format!("the pipe is the input of multilog {}", self.script.join(" ")),
        ];
        told.extend(self.disk.map(|kind| format!("a sync is as in {kind:?}")));
        told
    }

    fn shorter(&self) -> Candidates<Self> {
        shorter(self)
    }
}

fn plain_script(random: &mut Random, world: World) -> Vec<String> {
    let mut script: Vec<String> = Vec::new();
    if random.one_in(2) {
        script.push("t".into());
    }
    for directory in 0..if random.one_in(4) { 2 } else { 1 } {
        let is_small = world == World::Power && random.one_in(3);
        script.push(if is_small { "n3" } else { "n1000000" }.into());
        script.push(random.one_of(&["s4096", "s4096", "s8192", "s20000", "s99999"]).into());
        if random.one_in(2) {
            let processors = match world {
                World::Power => &["!cat", "!counts", "!slow", "!fails"],
                _ => &["!cat", "!cat", "!slow", "!fails"],
            };
            script.push(random.one_of(processors).into());
        }
        script.push(format!("./log{directory}"));
    }
    script
}

fn rich_script(random: &mut Random) -> Vec<String> {
    // The colon is in no stamp, so that the selection depends on the line only.
    const PATTERNS: [&str; 8] =
        ["-*:1*", "+*:12*", "-*:*", "+*:*7.*", "-*", "+*:2*", "-*:*3.1*", "+*:1*1*"];
    const PROCESSORS: [&str; 7] =
        ["!cat", "!counts", "!slow", "!fails", "!hangs", "!crashes", "!forks"];
    let mut script: Vec<String> = Vec::new();
    if random.one_in(2) {
        script.push("t".into());
    }
    for number in 0..1 + random.below(3) {
        for _ in 0..random.below(3) {
            script.push(random.one_of(&PATTERNS).into());
        }
        if random.one_in(3) {
            script.push(format!("=status{number}"));
        }
        script.push(random.one_of(&["n2", "n2", "n3", "n5", "n1000000"]).into());
        script.push(random.one_of(&["s4096", "s4096", "s4096", "s8192", "s99999"]).into());
        if random.one_in(2) {
            script.push(random.one_of(&PROCESSORS).into());
        }
        script.push(format!("./log{number}"));
    }
    script
}
