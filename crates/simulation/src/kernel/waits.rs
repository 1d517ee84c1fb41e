//! Waiting: which processes can continue, and when.

use super::state::Kernel;
use super::tables::{Life, PIPE_LINES, Process, Program, Wait, Woken};

impl Kernel {
    /// The processes that can continue, as a set of bits.
    pub(crate) fn runnable(&self) -> u64 {
        self.alive()
            .filter(|(_, process)| !process.stopped && self.is_ready(process))
            .fold(0, |set, (n, _)| set | 1 << n)
    }

    /// The earliest deadline of a waiting process, and the process.
    pub(crate) fn next_deadline(&self) -> Option<(u64, usize)> {
        self.alive()
            .filter(|(_, process)| !process.stopped)
            .filter_map(|(n, process)| Some((process.wait?.until?, n)))
            .min()
    }

    /// Whether an event has come that the process waits for.
    fn is_ready(&self, process: &Process) -> bool {
        let Some(wait) = &process.wait else {
            return true;
        };
        wait.until.is_some_and(|until| until <= self.now)
            || wait.signals && process.pending != 0
            || wait.control.is_some_and(|dir| !self.dirs[dir].control.is_empty())
            || wait.ends != 0 && self.ended(wait.ends) != 0
            || wait.watch && !self.world.changes.is_empty()
            || wait.readable.is_some_and(|end| {
                let pipe = self.pipe(end);
                pipe.lines > 0 || pipe.writers == 0
            })
            || wait.writable.is_some_and(|end| {
                let pipe = self.pipe(end);
                pipe.lines < PIPE_LINES || pipe.readers == 0
            })
            || wait.born.is_some_and(|(child, generation)| {
                let child = &self.processes[child];
                child.generation != generation
                    || child.life != Life::Alive
                    || !matches!(child.program, Program::NewSupervise { .. })
            })
    }

    /// Starts a wait.
    pub(crate) const fn set_wait(&mut self, n: usize, wait: Wait) {
        self.processes[n].wait = Some(wait);
    }

    /// Ends a wait; returns the events that have come.
    pub(crate) fn wake(&mut self, n: usize) -> Woken {
        let Some(wait) = self.processes[n].wait.take() else {
            return Woken::default();
        };
        Woken {
            signals: wait.signals && self.processes[n].pending != 0,
            control: wait.control.is_some_and(|dir| !self.dirs[dir].control.is_empty()),
            ends: self.ended(wait.ends),
            watch: wait.watch && !self.world.changes.is_empty(),
        }
    }
}
