//! A schedule: random events in one small world, and the checks at its end.

use crate::kernel::{
    DIRS, Kernel, Kind, MS, PROCESSES, Process, Program, Protection, SECOND, SERVICES, Stats,
    signal, trace,
};
use crate::random::Random;
use crate::services::UPGRADE;
use crate::sys::{Sys, Task};
use crate::{services, supervise, svscan};
use core::task::{Context, Waker};
use daemontools_core::Ended;
use daemontools_core::state_dir::status::Want;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The length of the calm at the end. It exceeds svscan's interval between full scans.
const CALM: u64 = 70 * SECOND;
/// The maximum number of steps in the calm.
const CALM_STEPS: u64 = 60_000;

/// Runs the schedule of a seed; returns the counts of its events.
///
/// # Errors
/// The violated invariant, in words; with `traced`, after the trace of all steps.
pub fn run(seed: u64, without: Option<Protection>, traced: bool) -> Result<Stats, String> {
    let mut simulation = Simulation::new(seed, without, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let mut kernel = simulation.kernel.borrow_mut();
    let Err(panic) = outcome else {
        return Ok(kernel.stats);
    };
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    Err(kernel.trace.take().unwrap_or_default() + message)
}

struct Simulation {
    kernel: Rc<RefCell<Kernel>>,
    tasks: [Option<Task>; PROCESSES],
    /// The process that made the last step.
    last: usize,
    /// The maximum duration of a step in nanoseconds.
    pace: u64,
    random: Random,
}

impl Simulation {
    /// A world that follows from the seed.
    fn new(seed: u64, without: Option<Protection>, traced: bool) -> Self {
        let mut kernel = Kernel::new(seed, traced);
        kernel.world.without = without;
        let mut random = Random::new(!seed);
        let world = &mut kernel.world;
        world.scanned = !random.one_in(4);
        world.services = 1 + random.index(if world.scanned { SERVICES } else { 2 });
        world.reports_exits = random.one_in(2);
        for service in 0..world.services {
            world.logged[service] = world.scanned && !random.one_in(4);
            world.linked[service] = !random.one_in(8);
        }
        for dir in 0..DIRS {
            if random.one_in(12) {
                kernel.dirs[dir].down = true;
                kernel.ledgers[dir].normally_down();
            }
        }
        let pace = random.pick(&[20_000, 300_000, 5 * MS]);
        let kernel = Rc::new(RefCell::new(kernel));
        Self { kernel, tasks: [const { None }; PROCESSES], last: 1, pace, random }
    }

    /// The task of a process that starts its program.
    fn task(&self, own: usize) -> Task {
        let sys = Sys { kernel: Rc::clone(&self.kernel), own };
        let program = self.kernel.borrow().processes[own].program;
        match program {
            Program::Init => Box::pin(services::init(sys)),
            Program::Svscan { upgraded } => Box::pin(svscan::main(sys, upgraded)),
            Program::NewSupervise { dir, pipe } => Box::pin(svscan::new_supervise(sys, dir, pipe)),
            Program::Supervise { dir, upgraded } => Box::pin(supervise::main(sys, dir, upgraded)),
            Program::NewService { dir } => Box::pin(supervise::become_child(sys, dir)),
            Program::Service { dir } => Box::pin(services::service(sys, dir)),
            Program::Daemon { .. } => Box::pin(services::daemon(sys)),
            Program::Svc { dir, bytes } => Box::pin(services::svc(sys, dir, bytes)),
        }
    }

    /// Drops the tasks of ended processes and makes those of new ones.
    fn update_tasks(&mut self) {
        let ended = core::mem::take(&mut self.kernel.borrow_mut().ended_tasks);
        if ended != 0 {
            for n in 0..PROCESSES {
                if ended & 1 << n != 0 {
                    self.tasks[n] = None;
                }
            }
        }
        loop {
            let Some(n) = self.kernel.borrow_mut().new_tasks.pop() else {
                return;
            };
            if self.kernel.borrow().is_alive(n) {
                self.tasks[n] = Some(self.task(n));
            }
        }
    }

    /// Makes one step of one process; `None` if no process can continue before time passes.
    fn step(&mut self) -> Option<()> {
        self.update_tasks();
        let runnable = self.kernel.borrow().runnable();
        if runnable == 0 {
            return None;
        }
        // Half of the time the same process continues.
        if runnable & 1 << self.last == 0 || self.random.one_in(2) {
            self.last = self.random.bit(runnable);
        }
        let mut context = Context::from_waker(Waker::noop());
        let task = self.tasks[self.last].as_mut().expect("a program");
        let done = task.as_mut().poll(&mut context);
        let mut kernel = self.kernel.borrow_mut();
        if let core::task::Poll::Ready(code) = done {
            kernel.end(self.last, Ended::Exited(code));
        }
        kernel.stats.steps += 1;
        kernel.now += self.random.below(self.pace);
        drop(kernel);
        self.update_tasks();
        Some(())
    }

    /// Lets time pass until a process can continue. Returns false if that is not before `end`.
    fn pass_time(&self, end: u64) -> bool {
        let mut kernel = self.kernel.borrow_mut();
        let Some((due, _)) = kernel.next_deadline().filter(|(due, _)| *due < end) else {
            return false;
        };
        kernel.now = kernel.now.max(due);
        true
    }

    fn run(&mut self) {
        let events = 1 + self.random.below(24);
        for _ in 0..events {
            let steps = match self.random.below(4) {
                0 => self.random.below(3),
                1 | 2 => self.random.below(25),
                _ => self.random.below(120),
            };
            let end = self.kernel.borrow().now + 70 * SECOND;
            for _ in 0..steps {
                if self.step().is_none() && !self.pass_time(end) {
                    break;
                }
            }
            self.make_event();
            self.update_tasks();
        }
        self.calm_down();
        self.check();
    }

    /// Makes one random event happen.
    fn make_event(&mut self) {
        let kernel = &mut *self.kernel.borrow_mut();
        let random = &mut self.random;
        let dir = 2 * random.index(kernel.world.services)
            + usize::from(kernel.world.scanned && random.one_in(4));
        match random.below(41) / 2 {
            0..6 => {
                let bytes = random.pick(&[
                    *b"u\0", *b"d\0", *b"o\0", *b"x\0", *b"p\0", *b"c\0", *b"t\0", *b"k\0",
                    *b"h\0", *b"dx", *b"du", *b"d\0", *b"u\0", *b"pd", *b"ou",
                ]);
                if dir % 2 == 1 {
                    kernel.ledgers[dir].disturbed = true;
                }
                kernel.fork(1, Program::Svc { dir, bytes });
            }
            6..15 => {
                let what = random.below(8);
                let victims: u64 = kernel
                    .alive()
                    .filter(|(_, process)| match process.program {
                        Program::Supervise { .. } => matches!(what, 0..4),
                        Program::NewService { .. } | Program::NewSupervise { .. } => {
                            matches!(what, 3 | 4)
                        }
                        Program::Service { .. } => what == 5,
                        Program::Svscan { .. } => matches!(what, 6 | 7),
                        Program::Init | Program::Daemon { .. } | Program::Svc { .. } => false,
                    })
                    .fold(0, |set, (n, _)| set | 1 << n);
                if victims != 0 {
                    Self::kill(kernel, random.bit(victims));
                }
            }
            // The kill of all supervises and svscan.
            15 => {
                let services_too = random.one_in(4);
                for n in 0..PROCESSES {
                    let dies = match kernel.processes[n].program {
                        Program::Supervise { .. } | Program::Svscan { .. } => true,
                        Program::NewService { .. } | Program::NewSupervise { .. } => {
                            random.one_in(2)
                        }
                        Program::Service { .. } => services_too && random.one_in(2),
                        _ => false,
                    };
                    if dies && kernel.is_alive(n) {
                        Self::kill(kernel, n);
                    }
                }
            }
            16 => {
                let service = dir / 2;
                let there = !kernel.world.linked[service];
                trace!(kernel, "link {service}: {there}");
                kernel.link(service, there);
            }
            17 => {
                let all = random.one_in(3);
                for n in 0..PROCESSES {
                    if matches!(
                        kernel.processes[n].program,
                        Program::Supervise { .. } | Program::Svscan { .. }
                    ) && kernel.is_alive(n)
                        && (all || random.one_in(3))
                    {
                        trace!(kernel, "upgrade of {n}");
                        kernel.send(n, UPGRADE);
                    }
                }
            }
            20 => {
                if let Some(n) = kernel.find(|program| matches!(program, Program::Svscan { .. })) {
                    trace!(kernel, "--- TERM for svscan");
                    kernel.stats.terms += 1;
                    kernel.world.had_to_stop = [true; SERVICES];
                    kernel.send(n, signal::TERM);
                }
            }
            18 => kernel.world.forks_fail = !kernel.world.forks_fail && random.one_in(2),
            _ => kernel.now += random.pick(&[20 * MS, SECOND, 10 * SECOND]),
        }
    }

    /// Kills a process and counts it.
    fn kill(kernel: &mut Kernel, n: usize) {
        let program = kernel.processes[n].program;
        trace!(kernel, "--- KILL {n}: {program:?}");
        kernel.stats.kills += 1;
        match program {
            Program::Supervise { dir, .. } | Program::Service { dir } => {
                if program != (Program::Service { dir }) && kernel.random.one_in(4) {
                    kernel.forget_record(dir);
                }
                kernel.stats.supervises += u64::from(program != Program::Service { dir });
                kernel.ledgers[dir].disturbed |= dir % 2 == 1;
            }
            Program::Svscan { .. } => kernel.stats.svscans += 1,
            Program::NewService { .. } | Program::NewSupervise { .. } => {
                kernel.stats.killed_before_exec += 1;
            }
            _ => {}
        }
        kernel.end(n, Ended::Killed(9));
    }

    /// Runs without events until only waits without an end are left.
    fn calm_down(&mut self) {
        let begin = {
            let mut kernel = self.kernel.borrow_mut();
            let begin = kernel.now;
            trace!(kernel, "=== calm");
            kernel.world.forks_fail = false;
            kernel.world.calm = Some(begin);
            // A known limit: `p` before the exec, and then the death of supervise. The stopped
            // process has the lock, and only a CONT from outside helps.
            for n in 0..PROCESSES {
                let Process { program, stopped, parent, .. } = kernel.processes[n];
                if let Program::NewService { .. } = program
                    && kernel.is_alive(n)
                    && stopped
                    && !matches!(kernel.processes[parent].program, Program::Supervise { .. })
                {
                    kernel.stats.stopped_before_exec += 1;
                    kernel.cont(n);
                }
                // A stopped service that must end would prevent its own restart.
                if let Program::Service { dir } | Program::NewService { dir } = program
                    && kernel.is_alive(n)
                    && kernel.world.had_to_stop[dir / 2]
                {
                    kernel.cont(n);
                }
            }
            begin
        };
        for _ in 0..CALM_STEPS {
            if self.step().is_some() {
                continue;
            }
            let mut kernel = self.kernel.borrow_mut();
            let Some((due, n)) = kernel.next_deadline() else {
                return;
            };
            // svscan repeats its full scan for ever.
            let idle = matches!(kernel.processes[n].program, Program::Svscan { .. });
            if due > begin + CALM && idle {
                return;
            }
            // Background children of services may sleep for ever.
            if matches!(kernel.processes[n].program, Program::Daemon { .. }) && due > begin + CALM {
                return;
            }
            kernel.now = kernel.now.max(due);
        }
        panic!("the processes do not come to rest");
    }

    /// Checks the state at the end of the calm.
    fn check(&self) {
        let kernel = &mut *self.kernel.borrow_mut();
        assert_eq!(kernel.zombies(), 0, "zombies");
        for (n, process) in kernel.alive() {
            match process.program {
                // Stopped by `p` before its exec.
                Program::NewService { .. } if process.stopped => {}
                Program::NewService { .. } | Program::NewSupervise { .. } | Program::Svc { .. } => {
                    panic!("{n} has not finished: {:?}", process.program);
                }
                _ => {}
            }
        }
        for dir in 0..DIRS {
            Self::check_dir(kernel, dir);
        }
        let Stats { lines, lines_read_and_lost, lines_lost_with_all_users, lines_cut_off, .. } =
            kernel.stats;
        let logged: u64 = kernel.ledgers.iter().map(|ledger| ledger.logged).sum();
        Self::check_svscan(kernel);
        let accounted = logged
            + lines_read_and_lost
            + lines_lost_with_all_users
            + lines_cut_off
            + kernel.lines_on_their_way();
        assert_eq!(lines, accounted, "lines written, and lines accounted for");
    }

    /// Checks the pipes and the descriptors of svscan.
    fn check_svscan(kernel: &Kernel) {
        let world = &kernel.world;
        if !world.scanned {
            return;
        }
        let svscan = kernel.find(|program| matches!(program, Program::Svscan { .. }));
        let svscan = svscan.expect("a svscan");
        // svscan has the lock, the directory and the watch; below come the pipes and a pidfd for
        // each supervise that is not its child.
        let mut files = 3;
        for service in (0..world.services).filter(|&service| world.linked[service]) {
            let on = |role: usize| {
                let dir = 2 * service + role;
                let supervise = kernel.find(
                    |program| matches!(program, Program::Supervise { dir: d, .. } if d == dir),
                );
                let instance = kernel.find(|program| program == Program::Service { dir });
                (supervise, instance)
            };
            let (main, log) = (on(0), on(1));
            let supervises = [main.0, log.0].into_iter().flatten();
            files += supervises.filter(|&n| kernel.processes[n].parent != svscan).count();
            if world.logged[service] {
                files += 2;
                let pipe = |n: Option<usize>, output| n.and_then(|n| kernel.pipe_of(n, output));
                let pipes = [
                    pipe(main.0, true),
                    pipe(main.1, true),
                    pipe(log.0, false),
                    pipe(log.1, false),
                ];
                let mut pipes = pipes.into_iter().flatten();
                let first = pipes.next();
                assert!(
                    pipes.all(|pipe| Some(pipe) == first),
                    "{service} and its logger have different pipes"
                );
            }
        }
        assert_eq!(kernel.count_files(svscan) as usize, files, "leaked descriptors of svscan");
    }

    /// Checks the supervise, the status and the service process of a directory.
    fn check_dir(kernel: &mut Kernel, dir: usize) {
        let supervises = kernel.alive().filter(
            |(_, process)| matches!(process.program, Program::Supervise { dir: d, .. } if d == dir),
        );
        let supervises: Vec<usize> = supervises.map(|(n, _)| n).collect();
        let instance = kernel.find(|program| {
            program == Program::Service { dir }
                || matches!(program, Program::NewService { dir: d, .. } if d == dir)
        });
        let world = &kernel.world;
        let there = dir / 2 < world.services && (dir.is_multiple_of(2) || world.logged[dir / 2]);
        if there && world.scanned && !world.linked[dir / 2] {
            let runs = u64::from(instance.is_some() || !supervises.is_empty());
            // svscan does not know a service that had no link when svscan started.
            if !world.known[dir / 2] {
                kernel.stats.unlinked_unknown += runs;
                return;
            }
            if world.left_running[dir / 2] {
                kernel.stats.unlinked_running += runs;
                return;
            }
        }
        if !there || (world.scanned && !world.linked[dir / 2]) {
            assert_eq!(
                (&supervises[..], instance),
                (&[][..], None),
                "{dir} has no link and still runs"
            );
            return;
        }
        let &[supervise] = &supervises[..] else {
            panic!("supervises of {dir}: {supervises:?}");
        };
        let status = kernel.status(dir).expect("a status");
        let pid = instance.map_or(0, |n| n as u32);
        assert_eq!(status.pid, pid, "the status of {dir} names its instance");
        match status.want {
            Want::Up => assert!(instance.is_some(), "{dir} is wanted up"),
            // A new supervise leaves a service alone that it adopts from a leaving one.
            Want::Down if kernel.ledgers[dir].is_initial => {}
            Want::Down => {
                // A `p` after a `d` stops the service before it can end.
                let ended = instance.is_none_or(|n| kernel.processes[n].stopped);
                assert!(ended, "{dir} is wanted down");
            }
            Want::Once => {}
        }
        let adopted = instance.is_some_and(|n| kernel.processes[n].parent != supervise);
        // The lock, control twice, ok, the process record; a pidfd for an adopted service.
        assert_eq!(kernel.count_files(supervise), 5 + u32::from(adopted), "leaked descriptors");
        for kind in [Kind::ControlReader(dir), Kind::ControlWriter(dir), Kind::Ok(dir)] {
            assert!(kernel.is_open(supervise, kind), "{kind:?} of {dir} is not open");
        }
    }
}
