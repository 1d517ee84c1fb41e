//! The state of the kernel, its clock and its trace.

use super::stats::Stats;
use super::tables::{
    DIRS, FIRST, FREE_ENTRY, File, Kind, Life, PROCESSES, Pipe, Process, SECOND, StateDir,
};
use super::world::{Protection, World};
use crate::ledger::Ledger;
use crate::random::Random;
use core::fmt::Write as _;
use core::time::Duration;
use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::{Instant, Now};

/// The kernel of one schedule.
pub(crate) struct Kernel {
    /// Nanoseconds since boot.
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) processes: [Process; PROCESSES],
    /// The living processes, as a set of bits.
    pub(super) living: u64,
    /// The id that fork has assigned last.
    pub(super) last_number: usize,
    /// One above the highest id that fork assigns.
    pub(super) limit: usize,
    pub(super) files: [File; 128],
    /// The free entries of `files`, as a set of bits.
    pub(super) free_files: u128,
    pub(crate) pipes: [Pipe; 16],
    pub(crate) dirs: [StateDir; DIRS],
    pub(crate) ledgers: [Ledger; DIRS],
    pub(crate) world: World,
    /// Processes that start a program and have no task yet.
    pub(crate) new_tasks: Vec<usize>,
    /// Processes that have ended and whose task is still there, as a set of bits.
    pub(crate) ended_tasks: u64,
    pub(crate) trace: Option<String>,
    pub(crate) stats: Stats,
}

/// Adds a line to the trace, if the schedule is traced.
macro_rules! trace {
    ($kernel:expr, $($text:tt)*) => {
        if $kernel.trace.is_some() {
            $kernel.note(format_args!($($text)*));
        }
    };
}
pub(crate) use trace;

impl Kernel {
    /// A kernel in which only init runs.
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let mut processes = [FREE_ENTRY; PROCESSES];
        processes[1] = Process { life: Life::Alive, blocked: true, ..FREE_ENTRY };
        Self {
            now: 1000 * SECOND,
            last_number: FIRST,
            limit: 46 + random.index(18),
            random,
            processes,
            living: 1 << 1,
            files: [File { kind: Kind::Plain, users: 0, how: None }; 128],
            free_files: u128::MAX,
            pipes: [Pipe::default(); 16],
            dirs: Default::default(),
            ledgers: Default::default(),
            world: World::default(),
            new_tasks: vec![1],
            ended_tasks: 0,
            trace: traced.then(String::new),
            stats: Stats::default(),
        }
    }

    /// Adds a line with the time to the trace.
    pub(crate) fn note(&mut self, text: core::fmt::Arguments<'_>) {
        let now = self.now as f64 / 1e9;
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{now:11.6} {text}");
        }
    }

    /// The monotonic clock and the time of day.
    pub(crate) fn clock(&self) -> Now {
        let label = Tai64n::from_unix((self.now / SECOND) as i64, (self.now % SECOND) as u32);
        Now { instant: Instant(self.now), label }
    }

    /// The clock of start times in /proc.
    pub(crate) const fn since_boot(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// Whether the programs use this protection in this schedule.
    pub(crate) fn has(&self, protection: Protection) -> bool {
        self.world.without != Some(protection)
    }
}
