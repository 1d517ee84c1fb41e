//! The first moment of services: one that is up may die of a mistake at once.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How long a service has to be up. supervise starts a service at most once a second.
const MOMENT: Duration = Duration::from_secs(1);

/// A service that was up a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Young {
    /// The number of its wait.
    pub(crate) number: usize,
    /// Its process.
    pub(crate) pid: NonZeroU32,
    /// When it was up, counted from the beginning of the command.
    pub(crate) passed: Duration,
    due: Instant,
}

/// The services that have to stay up for a moment.
#[derive(Debug, Default)]
pub(crate) struct Settling(Vec<Young>);

impl Settling {
    /// Adds a service that has been up for `age`.
    pub(crate) fn add(&mut self, number: usize, pid: NonZeroU32, age: Duration, passed: Duration) {
        let due = Instant::now() + MOMENT.saturating_sub(age);
        self.0.push(Young { number, pid, passed, due });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next one has been up for long enough.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|young| young.due).min()
    }

    /// When all have been up for long enough.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.0.iter().map(|young| young.due).max()
    }

    /// Takes those that have been up for long enough at a time.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Young> {
        let (due, rest) = self.0.drain(..).partition(|young| young.due <= now);
        self.0 = rest;
        due
    }
}
