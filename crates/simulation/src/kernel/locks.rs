//! Locks, as with flock(2).

use super::state::Kernel;
use super::tables::{Kind, Open};

impl Kernel {
    /// Takes a lock, if it is free; returns whether it was.
    pub(crate) fn try_lock(&mut self, n: usize, file: Open) -> bool {
        let place = match self.kind(file) {
            Kind::Lock(dir) => &mut self.dirs[dir].lock,
            Kind::ScanLock => &mut self.world.scan_lock,
            other => panic!("{other:?} is no lock"),
        };
        let free = place.is_none();
        *place = place.or(Some((file, n)));
        free
    }

    /// Reads `/proc/PID/fdinfo`: whether this process took the lock of a state directory, and still
    /// has it. A child that was forked since may have it too.
    pub(crate) fn has_taken_lock(&self, n: usize, dir: usize) -> bool {
        self.dirs[dir]
            .lock
            .is_some_and(|(file, taker)| taker == n && self.processes[n].files & 1 << file != 0)
    }
}
