//! The time of day, without single wrong readings.

use crate::common::clock;
use core::cell::Cell;
use daemontools_core::multilog::clock_step::is_step;
use daemontools_core::time::tai::Tai64n;

/// A clock that remembers its last reading.
pub(super) struct WallClock {
    last: Cell<Tai64n>,
}

impl WallClock {
    /// Reads the clock for the first time.
    pub(super) fn new() -> Self {
        Self { last: Cell::new(clock::label()) }
    }

    /// The current time. A reading that is more than a day away from the last one is read again, so
    /// that one wrong reading has no effect.
    pub(super) fn label(&self) -> Tai64n {
        let mut now = clock::label();
        if is_step(self.last.get(), now) {
            now = clock::label();
        }
        self.last.set(now);
        now
    }
}
