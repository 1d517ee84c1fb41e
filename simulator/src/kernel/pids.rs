//! The numbers of processes, which are used again.

use super::{Ended, Kernel, Pid};
use std::collections::BTreeMap;

/// The first number after that of init.
const FIRST: Pid = 2;

/// The kernel dates the start of a process by ticks of 10 ms. A process is known by its number and its
/// start, so no number is used again within two ticks.
const REST: u64 = 20_000_000;

/// Gives out the numbers of processes.
pub(crate) struct Pids {
    next: Pid,
    end: Pid,
    /// When a number was last given back.
    given_back: BTreeMap<Pid, u64>,
    serial: u64,
    /// How processes have ended that were reaped, by serial number.
    ends: BTreeMap<u64, Ended>,
}

impl Pids {
    pub(crate) const fn new() -> Self {
        Self {
            next: FIRST,
            end: Pid::MAX,
            given_back: BTreeMap::new(),
            serial: 0,
            ends: BTreeMap::new(),
        }
    }

    /// The machine starts again.
    pub(crate) fn start_again(&mut self) {
        self.next = FIRST;
        self.given_back.clear();
    }

    /// A number that no other process ever has.
    pub(crate) const fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// How a process has ended that was reaped.
    pub(crate) fn end_of(&self, serial: u64) -> Option<Ended> {
        self.ends.get(&serial).copied()
    }
}

impl Kernel {
    /// Only this many numbers exist from now on.
    pub const fn limit_pids(&mut self, count: Pid) {
        self.pids.end = FIRST + count;
    }

    pub(crate) fn new_pid(&mut self) -> Pid {
        let mut tries = 0;
        loop {
            let pid = self.pids.next;
            self.pids.next = if pid + 1 >= self.pids.end { FIRST } else { pid + 1 };
            tries += 1;
            assert!(tries < 100_000, "all numbers of processes are in use");
            let rests = self.pids.given_back.get(&pid).is_some_and(|at| at + REST > self.now);
            let is_used = self.processes.contains_key(&pid) || self.is_group(pid);
            if !is_used && (!rests || tries > 10_000) {
                return pid;
            }
        }
    }

    /// Removes a process that was reaped.
    pub(crate) fn forget_process(&mut self, pid: Pid) {
        let Some(process) = self.processes.remove(&pid) else { return };
        if let Some(ended) = process.ended {
            self.pids.ends.insert(process.serial, ended);
        }
        if self.pids.end < Pid::MAX {
            self.pids.given_back.insert(pid, self.now);
        }
        self.changed();
    }
}
