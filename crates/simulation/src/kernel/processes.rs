//! Processes: fork, exec, exit, reaping.

use super::state::{Kernel, trace};
use super::tables::{
    FIRST, FREE_ENTRY, Kind, Life, PROCESSES, Process, Program, SERVICES, TICK, bits, pid, signal,
};
use super::world::Protection;
use daemontools_core::{Ended, Pid};

impl Kernel {
    pub(crate) fn is_alive(&self, n: usize) -> bool {
        self.processes[n].life == Life::Alive
    }

    /// The living processes with their ids.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (usize, &Process)> {
        bits(self.living.into()).map(|n| (n as usize, &self.processes[n as usize]))
    }

    /// A living process whose program satisfies `is`.
    pub(crate) fn find(&self, is: impl Fn(Program) -> bool) -> Option<usize> {
        self.alive().find(|(_, process)| is(process.program)).map(|(n, _)| n)
    }

    /// The number of zombies, except children of services, which need not reap.
    pub(crate) fn zombies(&self) -> usize {
        let is_service = |n: usize| matches!(self.processes[n].program, Program::Service { .. });
        let zombies = self.processes.iter().filter(|p| matches!(p.life, Life::Zombie(_)));
        zombies.filter(|process| !is_service(process.parent)).count()
    }

    /// Forks process `n`; the child continues with this program. `None` if fork fails.
    pub(crate) fn fork(&mut self, n: usize, program: Program) -> Option<usize> {
        let tick = self.now / TICK;
        let range = self.limit - FIRST;
        let free = (1..=range).map(|i| FIRST + (self.last_number - FIRST + i) % range).find(|&c| {
            // A real kernel never reuses an id within one tick, and a process record relies on
            // that: id and start time name one process.
            let old = &self.processes[c];
            old.life == Life::Free && (old.start != tick || old.generation == 0)
        });
        let Some(child) = free.filter(|_| !self.world.forks_fail) else {
            self.stats.forks_failed += 1;
            return None;
        };
        self.last_number = child;
        let Process { blocked, files, stdin, stdout, .. } = self.processes[n];
        self.processes[child] = Process {
            life: Life::Alive,
            program,
            generation: self.processes[child].generation + 1,
            start: tick,
            born: self.now,
            parent: n,
            blocked,
            files,
            stdin,
            stdout,
            ..FREE_ENTRY
        };
        for file in bits(files).chain(stdin).chain(stdout) {
            self.files[file as usize].users += 1;
        }
        self.living |= 1 << child;
        self.new_tasks.push(child);
        trace!(self, "{n} forks {child}: {program:?}");
        Some(child)
    }

    /// Execs another program in process `n`. With `keeps`, as at a live upgrade, descriptors stay
    /// open, except pidfds and the watch.
    pub(crate) fn exec(&mut self, n: usize, program: Program, keeps: bool) {
        trace!(self, "{n} becomes {program:?}");
        for file in bits(self.processes[n].files) {
            let kind = self.files[file as usize].kind;
            let kept = match kind {
                Kind::Process(..) | Kind::Watch => false,
                Kind::ScanLock if matches!(program, Program::Supervise { .. }) => {
                    keeps || self.has(Protection::StartUpLock)
                }
                _ => keeps,
            };
            if !kept {
                self.close(n, file);
            }
        }
        self.processes[n].program = program;
        self.new_tasks.push(n);
        if let Program::Service { dir } = program {
            let second = self.alive().find(|(other, process)| {
                *other != n && process.program == Program::Service { dir }
            });
            assert!(second.is_none(), "{n} is a second instance of {dir}");
            self.ledgers[dir].note_start(self.processes[n].born);
            self.stats.starts += 1;
        }
    }

    /// Ends a process, if it is alive.
    pub(crate) fn end(&mut self, n: usize, how: Ended) {
        if !self.is_alive(n) {
            return;
        }
        let Process { program, files, stdin, stdout, parent, unlogged, .. } = self.processes[n];
        trace!(self, "{n} ends: {program:?} {how:?}");
        match program {
            Program::Supervise { dir, .. } => {
                self.ledgers[dir].supervise_ended();
                self.stats.terms_too_early += u64::from(how == Ended::Killed(15));
                if how != Ended::Exited(0) {
                    self.world.left_running[dir / 2] |= !self.world.linked[dir / 2];
                }
            }
            Program::NewSupervise { dir, .. } | Program::NewService { dir, .. } => {
                self.world.left_running[dir / 2] |= !self.world.linked[dir / 2];
            }
            Program::Svscan { .. } => {
                self.world.known = [false; SERVICES];
                self.world.handed = [None; SERVICES];
            }
            _ => {}
        }
        self.stats.lines_read_and_lost += u64::from(unlogged);
        let process = &mut self.processes[n];
        process.life = Life::Zombie(how);
        (process.wait, process.stopped, process.unlogged) = (None, false, 0);
        (process.files, process.stdin, process.stdout) = (0, None, None);
        self.ended_tasks |= 1 << n;
        self.living &= !(1 << n);
        for file in bits(files).chain(stdin).chain(stdout) {
            self.release(file);
        }
        let reaper = self.reaper(parent);
        for child in 0..PROCESSES {
            if self.processes[child].parent == n && self.processes[child].life != Life::Free {
                self.processes[child].parent = reaper;
                if self.processes[child].life != Life::Alive {
                    self.send(reaper, signal::CHLD);
                }
            }
        }
        self.send(parent, signal::CHLD);
    }

    /// The new parent of orphans whose parent was a child of process `n`.
    pub(super) fn reaper(&self, mut n: usize) -> usize {
        while n > 1 && !self.processes[n].subreaper {
            n = self.processes[n].parent;
        }
        n.max(1)
    }

    /// Makes process `n` a child subreaper.
    pub(crate) const fn become_subreaper(&mut self, n: usize) {
        self.processes[n].subreaper = true;
    }

    /// Reaps one zombie child of process `n`.
    pub(crate) fn reap(&mut self, n: usize) -> Option<(Pid, Ended)> {
        let (child, how) =
            self.processes.iter().enumerate().find_map(|(child, process)| match process.life {
                Life::Zombie(how) if process.parent == n => Some((child, how)),
                _ => None,
            })?;
        self.processes[child].life = Life::Free;
        let pidfd = Kind::Process(child, self.processes[child].generation);
        for file in &mut self.files {
            if file.users > 0 && file.kind == pidfd {
                file.how = Some(how);
            }
        }
        trace!(self, "{n} reaps {child}");
        Some((pid(child), how))
    }

    /// Whether process `n` is a child of `of`, running or not reaped.
    pub(crate) fn is_child(&self, n: usize, of: usize) -> bool {
        self.processes[n].life != Life::Free && self.processes[n].parent == of
    }
}
