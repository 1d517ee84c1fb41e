//! What a seed decides before anything runs.

use crate::random::Random;
use linux_raw_sys::errno::{EAGAIN, EINTR, EIO, EMFILE, ENOMEM, ENOSPC};
use linux_raw_sys::general as nr;

/// Which process of a logger a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// multilog itself.
    Logger,
    /// Its standby process.
    Standby,
}

/// A fault of a logger at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// The process that it hits.
    pub role: Role,
    /// The number of the call.
    pub call: u64,
    /// What happens.
    pub kind: Kind,
}

/// A planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// KILL.
    Kill,
    /// TERM.
    Terminate,
    /// ALRM, which asks for a rotation.
    Alarm,
    /// The call fails with one of its errors, which this number selects.
    Error(u64),
    /// It transfers at most this many bytes.
    Short(usize),
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
    /// The loggers, one after the other, each with its faults; after them comes one without faults.
    pub loggers: Vec<Vec<PlannedFault>>,
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let lines = random.one_of(&[10, 50, 100, 400]);
        let lines = usize::try_from(1 + random.below(lines)).unwrap_or(1);
        let script = script(&mut random);
        let loggers = (0..1 + random.below(4)).map(|_| faults(&mut random)).collect();
        Self { seed, script, input: (random.next(), lines), loggers }
    }

    /// The number of output directories.
    #[must_use]
    pub fn directories(&self) -> usize {
        self.script.iter().filter(|argument| argument.starts_with("./")).count()
    }

    /// What happens, in plain words.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let lines = self.input.1;
        vec![
            format!("a writer writes {lines} lines into a pipe"),
            format!("the pipe is the input of multilog {}", self.script.join(" ")),
        ]
    }
}

fn script(random: &mut Random) -> Vec<String> {
    let mut script: Vec<String> = Vec::new();
    if random.one_in(2) {
        script.push("t".into());
    }
    for directory in 0..if random.one_in(4) { 2 } else { 1 } {
        script.push("n1000000".into());
        script.push(random.one_of(&["s4096", "s4096", "s8192", "s20000", "s99999"]).into());
        if random.one_in(2) {
            script.push(random.one_of(&["!cat", "!cat", "!slow", "!fails"]).into());
        }
        script.push(format!("./log{directory}"));
    }
    script
}

fn faults(random: &mut Random) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    // Most loggers die early or in the middle; some see only errors.
    let reach = random.one_of(&[40, 100, 300, 1000]);
    for _ in 0..random.below(3) {
        let kind = match random.below(8) {
            0 => Kind::Alarm,
            1..=2 => Kind::Short(usize::try_from(1 + random.below(2000)).unwrap_or(1)),
            _ => Kind::Error(random.next()),
        };
        faults.push(PlannedFault { role: Role::Logger, call: random.below(reach), kind });
    }
    let kind = if random.one_in(5) { Kind::Terminate } else { Kind::Kill };
    faults.push(PlannedFault { role: Role::Logger, call: random.below(reach), kind });
    if random.one_in(3) {
        let call = random.below(60);
        let kind = if random.one_in(2) { Kind::Kill } else { Kind::Error(random.next()) };
        faults.push(PlannedFault { role: Role::Standby, call, kind });
    }
    faults
}

/// The errors that a system call can have in a logger.
#[must_use]
pub fn errors(number: usize) -> &'static [u32] {
    match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_write | nr::__NR_pwrite64 => &[ENOSPC, EIO, EINTR],
        nr::__NR_writev => &[EINTR],
        nr::__NR_read => &[EINTR],
        nr::__NR_openat => &[EMFILE, ENOMEM],
        nr::__NR_mkdirat | nr::__NR_linkat | nr::__NR_renameat => &[ENOSPC, EIO],
        nr::__NR_fsync | nr::__NR_fdatasync | nr::__NR_fchmod | nr::__NR_ftruncate => &[EIO],
        nr::__NR_unlinkat => &[EIO],
        nr::__NR_clone => &[EAGAIN, ENOMEM],
        nr::__NR_pipe2 | nr::__NR_signalfd4 => &[EMFILE],
        nr::__NR_tee | nr::__NR_splice => &[ENOMEM, EINTR],
        nr::__NR_ppoll => &[EINTR],
        nr::__NR_getdents64 => &[EIO],
        _ => &[],
    }
}
