//! Pidfds, and the information of /proc about processes.

use super::state::Kernel;
use super::tables::{Kind, Life, Open, Program, bits, pid};
use daemontools_core::Ended;
use daemontools_core::state_dir::process_record;

impl Kernel {
    /// Opens a pidfd of process `other` in process `n`; `None` if there is no such process.
    pub(crate) fn hold(&mut self, n: usize, other: usize) -> Option<Open> {
        if self.processes.get(other)?.life == Life::Free {
            return None;
        }
        let generation = self.processes[other].generation;
        Some(self.open(n, Kind::Process(other, generation)))
    }

    /// Whether the process of a pidfd has ended.
    pub(crate) fn has_ended(&self, file: Open) -> bool {
        let Kind::Process(n, generation) = self.kind(file) else {
            panic!("no process");
        };
        let process = &self.processes[n];
        process.generation != generation || process.life != Life::Alive
    }

    /// The pidfds of a set whose process has ended.
    pub(super) fn ended(&self, set: u128) -> u128 {
        bits(set).filter(|&file| self.has_ended(file)).fold(0, |set, file| set | 1 << file)
    }

    /// How the process of a pidfd ended; `Unknown` before it is reaped.
    pub(crate) fn how_it_ended(&self, file: Open) -> Ended {
        let how = self.files[file as usize].how.filter(|_| self.world.reports_exits);
        how.unwrap_or(Ended::Unknown)
    }

    /// The process of a pidfd; `None` after it was reaped.
    pub(crate) fn held(&self, file: Open) -> Option<usize> {
        let Kind::Process(n, generation) = self.kind(file) else {
            panic!("no process");
        };
        let process = &self.processes[n];
        (process.generation == generation && process.life != Life::Free).then_some(n)
    }

    /// Reads `/proc/PID/stat`; `None` without such a process.
    pub(crate) fn identify(&self, n: usize) -> Option<process_record::ProcessIdentity> {
        let process = self.processes.get(n)?;
        let found = process_record::ProcessIdentity { pid: pid(n), start: process.start };
        (process.life != Life::Free).then_some(found)
    }

    /// Whether the current directory of a process is this service directory.
    pub(crate) fn stands_in(&self, n: usize, dir: usize) -> bool {
        match self.processes[n].program {
            Program::Service { dir: there }
            | Program::NewService { dir: there }
            | Program::Daemon { dir: there }
            | Program::Supervise { dir: there, .. } => there == dir,
            Program::Init
            | Program::Svscan { .. }
            | Program::NewSupervise { .. }
            | Program::Svc { .. } => false,
        }
    }

    /// The pipe behind `/proc/PID/fd/0` or 1.
    pub(crate) fn pipe_of(&self, n: usize, output: bool) -> Option<usize> {
        let process = &self.processes[n];
        let file = if output { process.stdout } else { process.stdin };
        match self.kind(file?) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => Some(pipe),
            other => panic!("standard output is {other:?}"),
        }
    }
}
