//! What the processes of services use. A process that has not run since the last scrape is not read again.

use super::in_parts::in_parts;
use daemontools_sys::clock::processor_time_of;
use daemontools_sys::process::Pid;
use servicedir::{Process, Usage};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

/// How many scrapes the memory of a process counts that does not run: the kernel can swap it out meanwhile.
const MOST_SCRAPES: u32 = 8;

/// The most ancestors of a process that are looked at.
const MOST_ANCESTORS: usize = 1024;

/// The processes at the last scrape.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashMap<u32, Known>,
    scrapes: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    parent: u32,
    usage: Usage,
    /// Its processor time before it was read. It is as good as unique: a process that has got the id
    /// of another one has used another time.
    clock: Option<u64>,
    is_zombie: bool,
}

impl Processes {
    /// Brings the table up to date: these are all processes.
    pub(super) fn read(&mut self, pids: &[u32]) {
        self.scrapes = self.scrapes.wrapping_add(1);
        let turn = self.scrapes;
        let is_same = |pid: u32| {
            let known = self.known.get(&pid)?;
            let is_recent = !pid.wrapping_add(turn).is_multiple_of(MOST_SCRAPES);
            (is_recent && known.clock.is_some() && known.clock == clock_of(pid)).then_some(*known)
        };
        let mut now = HashMap::with_capacity(pids.len());
        let mut unread = Vec::new();
        for pid in pids {
            match is_same(*pid) {
                Some(known) => _ = now.insert(*pid, known),
                None => unread.push(*pid),
            }
        }
        now.extend(read(&unread));
        // The children of a process that has ended have another parent, without having run.
        let has_ended = |pid: &u32| now.get(pid).is_none_or(|it| it.is_zombie);
        let ended: HashSet<u32> = self.known.keys().copied().filter(has_ended).collect();
        let is_orphan = |(_, known): &(&u32, &Known)| ended.contains(&known.parent);
        let orphans: HashSet<u32> = now.iter().filter(is_orphan).map(|(pid, _)| *pid).collect();
        now.retain(|pid, _| !orphans.contains(pid));
        now.extend(read(&orphans.into_iter().collect::<Vec<_>>()));
        self.known = now;
    }

    /// What each of these processes uses together with its descendants. Those that have ended are missing.
    pub(super) fn usage_of(&self, roots: impl Iterator<Item = NonZeroU32>) -> HashMap<u32, Usage> {
        let roots = roots.map(NonZeroU32::get).filter(|pid| self.known.contains_key(pid));
        let mut sums: HashMap<u32, Usage> = roots.map(|pid| (pid, Usage::default())).collect();
        for (pid, process) in &self.known {
            let (mut pid, mut parent) = (*pid, process.parent);
            // A table that was read while processes moved can contain a circle.
            for _ in 0..MOST_ANCESTORS {
                if let Some(sum) = sums.get_mut(&pid) {
                    *sum = [*sum, process.usage].into_iter().sum();
                }
                let Some(next) = self.known.get(&parent) else { break };
                (pid, parent) = (parent, next.parent);
            }
        }
        sums
    }
}

fn clock_of(pid: u32) -> Option<u64> {
    processor_time_of(Pid::new(i32::try_from(pid).ok()?)?)
}

fn read(pids: &[u32]) -> Vec<(u32, Known)> {
    in_parts(pids, |pid| {
        // In this order: if it runs between the two, the next scrape reads it again.
        let clock = clock_of(*pid);
        let Process { parent, usage, state, .. } = Process::read(*pid)?;
        Some((*pid, Known { parent, usage, clock, is_zombie: matches!(state, 'Z' | 'X') }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::{DEADLINE, wait_for, wait_until};
    use servicedir::ProcessTable;
    use std::process::Command;

    #[test]
    fn the_usage_is_that_of_a_table_that_is_read_anew() {
        let mut shell = Command::new("sh").args(["-c", "sleep 100 & wait"]).spawn().unwrap();
        let id = shell.id();
        let child = wait_for("a child", DEADLINE, || Process::child_ids(id).first().copied());
        let root = || NonZeroU32::new(id).into_iter();
        let mut processes = Processes::default();
        for _ in 0..2 * MOST_SCRAPES {
            processes.read(&ProcessTable::pids().unwrap());
            let usage = processes.usage_of(root()).get(&id).copied();
            assert_eq!(usage.map(|usage| usage.processes), Some(2), "{usage:?}");
        }
        harness::process::signal(child, harness::Signal::KILL);
        wait_until("one process", DEADLINE, || {
            processes.read(&ProcessTable::pids().unwrap());
            processes.usage_of(root()).get(&id).is_none_or(|usage| usage.processes == 1)
        });
        let _ = shell.wait();
        processes.read(&ProcessTable::pids().unwrap());
        assert!(processes.usage_of(root()).is_empty());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let of = |parent| Known { parent, usage: Usage::default(), clock: None, is_zombie: false };
        let known = HashMap::from([(1, of(2)), (2, of(1))]);
        let processes = Processes { known, scrapes: 0 };
        assert_eq!(processes.usage_of(NonZeroU32::new(1).into_iter()).len(), 1);
    }
}
