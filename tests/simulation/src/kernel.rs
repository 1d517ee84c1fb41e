//! A kernel as far as svscan and supervise can tell: processes whose numbers are soon used again,
//! open files that are shared until exec, locks, FIFOs, pipes, signals, two files, a clock.
//!
//! It is small on purpose: everything fits into arrays and sets of bits, so that a schedule costs
//! microseconds. It keeps account of what must not happen, and panics when it does.

use crate::ledger::Ledger;
use crate::random::Random;
use core::fmt::Write as _;
use core::ops::Range;
use core::time::Duration;
use daemontools_core::identity::{self, Directory, Found, Place};
use daemontools_core::status;
use daemontools_core::supervise::Script;
use daemontools_core::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_core::{Ended, Pid};

/// The room for processes; a number is an index into it.
pub(crate) const PROCESSES: usize = 64;
/// The first number that is given out; 1 is init.
const FIRST: usize = 20;
/// How many services there can be. The directory of the service `s` is `2 * s`, that of its logger
/// `2 * s + 1`.
pub(crate) const SERVICES: usize = 3;
pub(crate) const DIRS: usize = 2 * SERVICES;
/// How many lines a pipe takes.
const PIPE_LINES: u32 = 6;
/// The kernel's unit for the start of a process.
const TICK: u64 = 10_000_000;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;

/// The program a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Reaps, and starts again what it is there to start.
    Init,
    Svscan {
        upgraded: bool,
    },
    /// What svscan has made, before it is a supervise.
    NewSupervise {
        dir: usize,
        /// The end of the pipe that it is connected with.
        pipe: Option<Open>,
    },
    Supervise {
        dir: usize,
        /// Whether it was leaving, if it was another image before.
        upgraded: Option<bool>,
    },
    /// What supervise has forked, before it is the service.
    NewService {
        dir: usize,
    },
    /// `./run`; a logger in the directory of one.
    Service {
        dir: usize,
    },
    /// What a service leaves behind.
    Daemon {
        dir: usize,
    },
    Svc {
        dir: usize,
        bytes: [u8; 2],
    },
}

/// Signals that wait.
pub(crate) mod signal {
    pub(crate) const CHLD: u8 = 1;
    pub(crate) const TERM: u8 = 2;
    pub(crate) const USR1: u8 = 4;
    /// Whatever will ask for an upgrade in place.
    pub(crate) const UPGRADE: u8 = 8;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Free,
    Alive,
    Zombie(Ended),
}

/// An open file, by its place in the kernel's table.
pub(crate) type Open = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Watch,
    ScanLock,
    Lock(usize),
    ControlReader(usize),
    ControlWriter(usize),
    Ok(usize),
    ReadEnd(usize),
    WriteEnd(usize),
    /// A process held by a descriptor: number, generation.
    Process(usize, u32),
}

#[derive(Clone, Copy, Debug)]
struct File {
    kind: Kind,
    users: u32,
    /// How the process ended, once it is reaped.
    how: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    life: Life,
    pub(crate) program: Program,
    /// Tells the users of one number apart.
    pub(crate) generation: u32,
    /// In ticks.
    start: u64,
    pub(crate) born: u64,
    pub(crate) parent: usize,
    subreaper: bool,
    pub(crate) stopped: bool,
    /// Signals wait until they are taken; otherwise they kill.
    blocked: bool,
    pending: u8,
    /// Descriptors that exec closes; two for the same open file are not needed.
    files: u128,
    pub(crate) stdin: Option<Open>,
    pub(crate) stdout: Option<Open>,
    wait: Option<Wait>,
    /// Lines that a logger has read and not written.
    held: u32,
}

const NOBODY: Process = Process {
    life: Life::Free,
    program: Program::Init,
    generation: 0,
    start: 0,
    born: 0,
    parent: 0,
    subreaper: false,
    stopped: false,
    blocked: false,
    pending: 0,
    files: 0,
    stdin: None,
    stdout: None,
    wait: None,
    held: 0,
};

/// What a process waits for; with nothing in it, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    pub(crate) signals: bool,
    /// Bytes in the FIFO of this directory.
    pub(crate) control: Option<usize>,
    /// The end of one of these processes.
    pub(crate) ends: u128,
    pub(crate) watch: bool,
    pub(crate) readable: Option<Open>,
    pub(crate) writable: Option<Open>,
    /// That this child has become what it is to be, or died.
    pub(crate) born: Option<(usize, u32)>,
    pub(crate) until: Option<u64>,
}

/// What there was when a wait was over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Woken {
    pub(crate) signals: bool,
    pub(crate) control: bool,
    pub(crate) ends: u128,
    pub(crate) watch: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) service: usize,
    readers: u32,
    writers: u32,
    lines: u32,
    /// A living svscan has made another one for the service while this was still in use.
    abandoned: bool,
    /// svscan has let go of it in order.
    dropped: bool,
}

impl Pipe {
    const fn is_free(&self) -> bool {
        self.readers == 0 && self.writers == 0
    }
}

/// What a part of a record says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    pub(crate) leaving: bool,
    pub(crate) process: Option<identity::Process>,
    pub(crate) end: Option<(Pid, Ended)>,
}

/// The state directory of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateDir {
    /// The open file that has the lock, and the process that took it.
    lock: Option<(Open, usize)>,
    pub(crate) control: Vec<u8>,
    /// A svc has waited in vain for somebody to read it.
    given_up: bool,
    control_readers: u32,
    control_writers: u32,
    ok_readers: u32,
    pub(crate) record: Option<[u8; identity::LEN]>,
    pub(crate) status: Option<[u8; status::LEN]>,
    /// There is a file `down`.
    pub(crate) down: bool,
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is counted over all schedules.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl core::ops::AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Steps of processes.
    steps,
    /// Processes killed by the schedule.
    kills,
    /// Of them, supervises.
    supervises,
    /// Of them, svscans.
    svscans,
    /// TERM for svscan, which then stops everything in order.
    terms,
    /// Of them, processes between fork and exec.
    half_born,
    /// Of them, those that were stopped, and then lost their supervise.
    stopped_half_born,
    /// Supervises that a TERM of svscan has killed before they were ready for it.
    terms_too_early,
    /// Services without a link whose supervise was killed.
    unlinked_left,
    /// Services taken over by the next supervise.
    adoptions,
    /// Supervises taken over by the next svscan.
    takeovers,
    /// Pipes taken back by the next svscan.
    pipes_back,
    /// Supervises and svscans replaced in place.
    upgrades,
    /// Starts of services.
    starts,
    /// Commands that svc has written.
    commands,
    /// Of them, those that nobody has read for two seconds.
    commands_lost,
    /// Lines that services have written.
    lines,
    /// Of them, those that a killed logger had read.
    lines_read_and_lost,
    /// Of them, those in a pipe whose last user was killed, svscan included.
    lines_lost_with_all_users,
    /// Of them, those that a logger was not given the time to read.
    lines_cut_off,
    /// Services that were killed by a pipe without a reader.
    broken_pipes,
    /// Forks that failed.
    forks_failed,
    /// Services whose link went while no svscan knew of them.
    unlinked_unknown,
}

pub(crate) struct Kernel {
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) processes: [Process; PROCESSES],
    /// Those that live, as a set of bits.
    living: u64,
    last_number: usize,
    /// One above the last number that is given out.
    limit: usize,
    files: [File; 128],
    free_files: u128,
    pub(crate) pipes: [Pipe; 16],
    pub(crate) dirs: [StateDir; DIRS],
    pub(crate) ledgers: [Ledger; DIRS],
    pub(crate) world: World,
    /// Processes that begin a program.
    pub(crate) births: Vec<usize>,
    /// Processes that have ended.
    pub(crate) graves: u64,
    pub(crate) trace: Option<String>,
    pub(crate) stats: Stats,
}

/// What the programs do against a race; without it, schedules fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A supervise started by svscan keeps the lock of the scan directory open until others can
    /// find it: then the next svscan does not begin before, and finds everybody.
    Gate,
    /// When the number of a supervise that svscan has taken over is that of another one now, the
    /// roster first hears that the first has ended.
    Reuse,
    /// A svscan that looks for a pipe waits for a process between fork and exec, whose record is
    /// not there yet, and looks again if those that it found have died meanwhile.
    LookAgain,
    /// What is being stopped is stopped before svscan upgrades.
    Rest,
    /// svscan tells its next image of its children, which others may not find yet.
    Children,
    /// A supervise writes down a new process before it upgrades.
    Record,
    /// A svscan that was upgraded reaps before it waits for the first time.
    Reap,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Gate,
        Self::Reuse,
        Self::LookAgain,
        Self::Rest,
        Self::Children,
        Self::Record,
        Self::Reap,
    ];
}

/// What svscan hands to itself for a service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handed {
    /// The pipe, if there is a logger.
    pub(crate) pipe: Option<(Open, Open)>,
    /// The supervises, main and log.
    pub(crate) supervises: [Option<Pid>; 2],
}

/// What is there apart from processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// What the programs do not do, for once.
    pub(crate) without: Option<Protection>,
    /// There is a svscan; otherwise init starts every supervise.
    pub(crate) scanned: bool,
    pub(crate) services: usize,
    pub(crate) logged: [bool; SERVICES],
    pub(crate) linked: [bool; SERVICES],
    /// The present svscan has seen its link, or was handed it.
    pub(crate) known: [bool; SERVICES],
    /// It was without a link at some time, or svscan was to end.
    pub(crate) was_to_end: [bool; SERVICES],
    /// A known defect: a supervise was killed while there was no link, and the roster does not start
    /// it again to stop what it has left.
    pub(crate) left: [bool; SERVICES],
    /// What the watch has to tell: service, and whether its name came.
    pub(crate) changes: Vec<(usize, bool)>,
    watched: bool,
    scan_lock: Option<(Open, usize)>,
    /// What svscan hands to itself in an upgrade.
    pub(crate) handed: [Option<Handed>; SERVICES],
    pub(crate) forks_fail: bool,
    /// Since when everything obeys and nothing dies.
    pub(crate) calm: Option<u64>,
    /// The kernel tells how a process ended that is not one's child.
    pub(crate) tells_ends: bool,
}

macro_rules! trace {
    ($kernel:expr, $($text:tt)*) => {
        if $kernel.trace.is_some() {
            $kernel.note(format_args!($($text)*));
        }
    };
}
pub(crate) use trace;

pub(crate) const fn pid(number: usize) -> Pid {
    Pid::new(number as i32).expect("a number above 0")
}

pub(crate) const fn number(pid: Pid) -> usize {
    pid.get() as usize
}

fn bits(mut set: u128) -> impl Iterator<Item = Open> {
    core::iter::from_fn(move || {
        let lowest = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (lowest < 128).then_some(lowest as Open)
    })
}

impl Kernel {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let mut processes = [NOBODY; PROCESSES];
        processes[1] = Process { life: Life::Alive, blocked: true, ..NOBODY };
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
            births: vec![1],
            graves: 0,
            trace: traced.then(String::new),
            stats: Stats::default(),
        }
    }

    pub(crate) fn note(&mut self, text: core::fmt::Arguments<'_>) {
        let now = self.now as f64 / 1e9;
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{now:11.6} {text}");
        }
    }

    /// The clock.
    pub(crate) fn clock(&self) -> Now {
        let label = Tai64n::from_unix((self.now / SECOND) as i64, (self.now % SECOND) as u32);
        Now { instant: Instant(self.now), label }
    }

    pub(crate) const fn since_boot(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    pub(crate) fn has(&self, protection: Protection) -> bool {
        self.world.without != Some(protection)
    }

    // Processes

    pub(crate) fn is_alive(&self, n: usize) -> bool {
        self.processes[n].life == Life::Alive
    }

    pub(crate) fn alive(&self) -> impl Iterator<Item = (usize, &Process)> {
        bits(self.living.into()).map(|n| (n as usize, &self.processes[n as usize]))
    }

    /// The one living process with such a program.
    pub(crate) fn find(&self, is: impl Fn(Program) -> bool) -> Option<usize> {
        self.alive().find(|(_, process)| is(process.program)).map(|(n, _)| n)
    }

    /// Those that nobody has reaped. What a service does with its children is its affair.
    pub(crate) fn zombies(&self) -> usize {
        let is_service = |n: usize| matches!(self.processes[n].program, Program::Service { .. });
        let zombies = self.processes.iter().filter(|p| matches!(p.life, Life::Zombie(_)));
        zombies.filter(|process| !is_service(process.parent)).count()
    }

    /// Those that can go on, as a set of bits.
    pub(crate) fn runnable(&self) -> u64 {
        self.alive()
            .filter(|(_, process)| !process.stopped && self.is_ready(process))
            .fold(0, |set, (n, _)| set | 1 << n)
    }

    /// When the next of them can, if time is all they need, and whether that is svscan.
    pub(crate) fn next_deadline(&self) -> Option<(u64, usize)> {
        self.alive()
            .filter(|(_, process)| !process.stopped)
            .filter_map(|(n, process)| Some((process.wait?.until?, n)))
            .min()
    }

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

    pub(crate) const fn set_wait(&mut self, n: usize, wait: Wait) {
        self.processes[n].wait = Some(wait);
    }

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

    /// A copy of a process, which goes on with this program.
    pub(crate) fn fork(&mut self, n: usize, program: Program) -> Option<usize> {
        let tick = self.now / TICK;
        let range = self.limit - FIRST;
        let free = (1..=range).map(|i| FIRST + (self.last_number - FIRST + i) % range).find(|&c| {
            // A number is never used again as fast as this: see identity.rs.
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
            ..NOBODY
        };
        for file in bits(files).chain(stdin).chain(stdout) {
            self.files[file as usize].users += 1;
        }
        self.living |= 1 << child;
        self.births.push(child);
        trace!(self, "{n} forks {child}: {program:?}");
        Some(child)
    }

    /// Another program in the same process. What is kept open is what an upgrade keeps.
    pub(crate) fn exec(&mut self, n: usize, program: Program, keeps: bool) {
        trace!(self, "{n} becomes {program:?}");
        for file in bits(self.processes[n].files) {
            let kind = self.files[file as usize].kind;
            let kept = match kind {
                Kind::Process(..) | Kind::Watch => false,
                Kind::ScanLock if matches!(program, Program::Supervise { .. }) => {
                    keeps || self.has(Protection::Gate)
                }
                _ => keeps,
            };
            if !kept {
                self.close(n, file);
            }
        }
        self.processes[n].program = program;
        self.births.push(n);
        if let Program::Service { dir } = program {
            let twin = self.alive().find(|(other, process)| {
                *other != n && process.program == Program::Service { dir }
            });
            assert!(twin.is_none(), "{n} is a second instance of {dir}");
            self.ledgers[dir].note_start(self.processes[n].born);
            self.stats.starts += 1;
        }
    }

    /// The end of a process, for whatever reason.
    pub(crate) fn end(&mut self, n: usize, how: Ended) {
        if !self.is_alive(n) {
            return;
        }
        let Process { program, files, stdin, stdout, parent, held, .. } = self.processes[n];
        trace!(self, "{n} ends: {program:?} {how:?}");
        match program {
            Program::Supervise { dir, .. } => {
                self.ledgers[dir].supervise_ended();
                self.stats.terms_too_early += u64::from(how == Ended::Killed(15));
                if how != Ended::Exited(0) {
                    self.world.left[dir / 2] |= !self.world.linked[dir / 2];
                }
            }
            Program::NewSupervise { dir, .. } | Program::NewService { dir, .. } => {
                self.world.left[dir / 2] |= !self.world.linked[dir / 2];
            }
            Program::Svscan { .. } => {
                self.world.known = [false; SERVICES];
                self.world.handed = [None; SERVICES];
            }
            _ => {}
        }
        self.stats.lines_read_and_lost += u64::from(held);
        let process = &mut self.processes[n];
        process.life = Life::Zombie(how);
        (process.wait, process.stopped, process.held) = (None, false, 0);
        (process.files, process.stdin, process.stdout) = (0, None, None);
        self.graves |= 1 << n;
        self.living &= !(1 << n);
        for file in bits(files).chain(stdin).chain(stdout) {
            self.release(file);
        }
        let heir = self.reaper(parent);
        for child in 0..PROCESSES {
            if self.processes[child].parent == n && self.processes[child].life != Life::Free {
                self.processes[child].parent = heir;
                if self.processes[child].life != Life::Alive {
                    self.send(heir, signal::CHLD);
                }
            }
        }
        self.send(parent, signal::CHLD);
    }

    /// Who gets the orphans of a child of this process.
    fn reaper(&self, mut n: usize) -> usize {
        while n > 1 && !self.processes[n].subreaper {
            n = self.processes[n].parent;
        }
        n.max(1)
    }

    pub(crate) const fn become_subreaper(&mut self, n: usize) {
        self.processes[n].subreaper = true;
    }

    pub(crate) fn reap(&mut self, n: usize) -> Option<(Pid, Ended)> {
        let (child, how) =
            self.processes.iter().enumerate().find_map(|(child, process)| match process.life {
                Life::Zombie(how) if process.parent == n => Some((child, how)),
                _ => None,
            })?;
        self.processes[child].life = Life::Free;
        let held = Kind::Process(child, self.processes[child].generation);
        for file in &mut self.files {
            if file.users > 0 && file.kind == held {
                file.how = Some(how);
            }
        }
        trace!(self, "{n} reaps {child}");
        Some((pid(child), how))
    }

    pub(crate) fn is_child(&self, n: usize, of: usize) -> bool {
        self.processes[n].life != Life::Free && self.processes[n].parent == of
    }

    // Signals

    /// A signal that can wait, and kills if it does not.
    pub(crate) fn send(&mut self, n: usize, signal: u8) {
        let process = &mut self.processes[n];
        if process.life != Life::Alive {
            return;
        }
        if process.blocked || process.stopped {
            process.pending |= signal;
        } else if signal & (signal::TERM | signal::USR1) != 0 {
            self.end(n, Ended::Killed(15));
        }
    }

    pub(crate) fn stop(&mut self, n: usize) {
        // One that was to end, and then got a `p`, would hold up everything for ever.
        let held_up = match self.processes[n].program {
            Program::Service { dir } | Program::NewService { dir, .. } => {
                self.world.calm.is_some() && self.world.was_to_end[dir / 2]
            }
            _ => false,
        };
        if self.is_alive(n) && !held_up {
            self.processes[n].stopped = true;
        }
    }

    pub(crate) fn cont(&mut self, n: usize) {
        self.processes[n].stopped = false;
        self.deliver(n);
    }

    pub(crate) fn take_signals(&mut self, n: usize) -> u8 {
        core::mem::take(&mut self.processes[n].pending)
    }

    /// The beginning of svscan and supervise. Giving CHLD its default effect discards one that has
    /// come before, to another image of the process.
    pub(crate) const fn block(&mut self, n: usize) {
        let process = &mut self.processes[n];
        process.blocked = true;
        process.pending &= !signal::CHLD;
    }

    pub(crate) fn unblock(&mut self, n: usize) {
        self.processes[n].blocked = false;
        self.deliver(n);
    }

    fn deliver(&mut self, n: usize) {
        if !self.processes[n].blocked {
            let pending = self.take_signals(n);
            self.send(n, pending);
        }
    }

    // Open files

    pub(crate) fn open(&mut self, n: usize, kind: Kind) -> Open {
        let file = self.free_files.trailing_zeros();
        assert!(file < 128, "no more open files");
        self.free_files &= !(1 << file);
        self.files[file as usize] = File { kind, users: 1, how: None };
        self.processes[n].files |= 1 << file;
        match kind {
            Kind::ControlReader(dir) => self.dirs[dir].control_readers += 1,
            Kind::ControlWriter(dir) => self.dirs[dir].control_writers += 1,
            Kind::Ok(dir) => self.dirs[dir].ok_readers += 1,
            Kind::ReadEnd(pipe) => self.pipes[pipe].readers += 1,
            Kind::WriteEnd(pipe) => self.pipes[pipe].writers += 1,
            Kind::Watch => {
                self.world.watched = true;
                self.world.changes.clear();
            }
            Kind::Plain | Kind::ScanLock | Kind::Lock(_) | Kind::Process(..) => {}
        }
        file as Open
    }

    pub(crate) fn close(&mut self, n: usize, file: Open) {
        self.processes[n].files &= !(1 << file);
        self.release(file);
    }

    fn release(&mut self, file: Open) {
        let entry = &mut self.files[file as usize];
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        self.free_files |= 1 << file;
        match self.files[file as usize].kind {
            Kind::Plain | Kind::Process(..) => {}
            Kind::Watch => self.world.watched = false,
            Kind::ScanLock => {
                if self.world.scan_lock.is_some_and(|(holder, _)| holder == file) {
                    self.world.scan_lock = None;
                }
            }
            Kind::Lock(dir) => {
                if self.dirs[dir].lock.is_some_and(|(holder, _)| holder == file) {
                    self.dirs[dir].lock = None;
                }
            }
            Kind::ControlReader(dir) => {
                self.dirs[dir].control_readers -= 1;
                self.drain_control(dir);
            }
            Kind::ControlWriter(dir) => {
                self.dirs[dir].control_writers -= 1;
                self.drain_control(dir);
            }
            Kind::Ok(dir) => self.dirs[dir].ok_readers -= 1,
            Kind::ReadEnd(pipe) => {
                self.pipes[pipe].readers -= 1;
                self.drain_pipe(pipe);
            }
            Kind::WriteEnd(pipe) => {
                self.pipes[pipe].writers -= 1;
                self.drain_pipe(pipe);
            }
        }
    }

    pub(crate) fn is_open(&self, n: usize, kind: Kind) -> bool {
        bits(self.processes[n].files).any(|file| self.files[file as usize].kind == kind)
    }

    pub(crate) fn count_files(&self, n: usize) -> u32 {
        self.processes[n].files.count_ones()
    }

    /// Closes what it has of this kind.
    pub(crate) fn close_kind(&mut self, n: usize, kind: Kind) {
        for file in bits(self.processes[n].files) {
            if self.files[file as usize].kind == kind {
                self.close(n, file);
            }
        }
    }

    pub(crate) fn kind(&self, file: Open) -> Kind {
        self.files[file as usize].kind
    }

    /// A descriptor for one that is to outlive exec: standard input or output.
    pub(crate) fn replace(&mut self, n: usize, output: bool, file: Open) {
        self.files[file as usize].users += 1;
        let process = &mut self.processes[n];
        let place = if output { &mut process.stdout } else { &mut process.stdin };
        if let Some(old) = place.replace(file) {
            self.release(old);
        }
    }

    // Processes held by descriptors

    pub(crate) fn hold(&mut self, n: usize, other: usize) -> Option<Open> {
        if self.processes.get(other)?.life == Life::Free {
            return None;
        }
        let generation = self.processes[other].generation;
        Some(self.open(n, Kind::Process(other, generation)))
    }

    pub(crate) fn has_ended(&self, file: Open) -> bool {
        let Kind::Process(n, generation) = self.kind(file) else {
            panic!("no process");
        };
        let process = &self.processes[n];
        process.generation != generation || process.life != Life::Alive
    }

    /// Those of a set that have ended.
    fn ended(&self, set: u128) -> u128 {
        bits(set).filter(|&file| self.has_ended(file)).fold(0, |set, file| set | 1 << file)
    }

    pub(crate) fn how_it_ended(&self, file: Open) -> Ended {
        let how = self.files[file as usize].how.filter(|_| self.world.tells_ends);
        how.unwrap_or(Ended::Unknown)
    }

    /// The process behind a descriptor, if it is still there.
    pub(crate) fn held(&self, file: Open) -> Option<usize> {
        let Kind::Process(n, generation) = self.kind(file) else {
            panic!("no process");
        };
        let process = &self.processes[n];
        (process.generation == generation && process.life != Life::Free).then_some(n)
    }

    /// `/proc/PID/stat`
    pub(crate) fn identify(&self, n: usize) -> Option<identity::Process> {
        let process = self.processes.get(n)?;
        let found = identity::Process { pid: pid(n), start: process.start };
        (process.life != Life::Free).then_some(found)
    }

    /// `/proc/PID/fd/0` or 1, opened anew if it is a pipe.
    pub(crate) fn pipe_of(&self, n: usize, output: bool) -> Option<usize> {
        let process = &self.processes[n];
        let file = if output { process.stdout } else { process.stdin };
        match self.kind(file?) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => Some(pipe),
            other => panic!("standard output is {other:?}"),
        }
    }

    // The state directory

    /// Where everything is.
    const fn place(dir: usize) -> Place {
        let directory = Directory { device: (8, 1), inode: 1000 + dir as u64, born: 77 };
        let boot = *b"6c9670b8-664d-44a1-bfc1-84a24eb4494f";
        Place { boot, namespace: 4_026_531_836, init: 1, directory }
    }

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

    /// `/proc/locks`: who took the lock, even if it lives on in a child only.
    pub(crate) fn lock_holder(&self, lock: Kind) -> Option<usize> {
        let taken = match lock {
            Kind::Lock(dir) => self.dirs[dir].lock,
            Kind::ScanLock => self.world.scan_lock,
            other => panic!("{other:?} is no lock"),
        };
        taken.map(|(_, holder)| holder)
    }

    /// Opens the FIFO `ok` for writing, which works only as long as it has a reader.
    pub(crate) const fn listens(&self, dir: usize) -> bool {
        self.dirs[dir].ok_readers > 0
    }

    pub(crate) const fn control_has_reader(&self, dir: usize) -> bool {
        self.dirs[dir].control_readers > 0
    }

    pub(crate) fn write_control(&mut self, dir: usize, bytes: &[u8]) -> bool {
        if !self.control_has_reader(dir) {
            return false;
        }
        let bytes = bytes.iter().filter(|&&byte| byte != 0);
        let before = self.dirs[dir].control.len();
        self.dirs[dir].control.extend(bytes);
        self.stats.commands += (self.dirs[dir].control.len() - before) as u64;
        true
    }

    /// svc waits no longer, and says so if nobody is there to read.
    pub(crate) fn give_up(&mut self, dir: usize) {
        self.dirs[dir].given_up = true;
    }

    pub(crate) fn read_control(&mut self, dir: usize) -> Vec<u8> {
        let bytes = core::mem::take(&mut self.dirs[dir].control);
        trace!(self, "supervise of {dir} reads {:?}", core::str::from_utf8(&bytes));
        for &byte in &bytes {
            self.ledgers[dir].note_byte(byte);
        }
        bytes
    }

    /// What a FIFO holds is gone with the last who has it open.
    fn drain_control(&mut self, dir: usize) {
        let state = &mut self.dirs[dir];
        if state.control_readers + state.control_writers == 0 && !state.control.is_empty() {
            assert!(state.given_up, "commands for {dir} are lost without a word");
            state.given_up = false;
            self.stats.commands_lost += state.control.len() as u64;
            state.control.clear();
            trace!(self, "commands for {dir} are lost");
        }
    }

    pub(crate) fn read_record(&self, dir: usize) -> Found {
        // Opening makes it.
        match &self.dirs[dir].record {
            Some(text) => Found::judge(text, &Self::place(dir)),
            None => Found::Nothing,
        }
    }

    pub(crate) fn write_record(&mut self, dir: usize, content: Part, part: Range<usize>) {
        let Part { leaving, process, end } = content;
        let (place, script) = (Self::place(dir), Script::Run);
        let record = identity::Record { place, leaving, process, script, end };
        let whole = part == (0..identity::LEN);
        let old = &mut self.dirs[dir].record;
        assert!(whole || old.is_some(), "a part of nothing");
        let old = old.get_or_insert([0; identity::LEN]);
        old[part.clone()].copy_from_slice(&record.to_text()[part]);
    }

    pub(crate) fn status(&self, dir: usize) -> Option<status::Record> {
        status::Record::from_bytes(self.dirs[dir].status.as_ref()?)
    }

    // Pipes

    fn pipe(&self, end: Open) -> &Pipe {
        match self.kind(end) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => &self.pipes[pipe],
            other => panic!("{other:?} is no pipe"),
        }
    }

    /// Whether nobody has the other end of the pipe.
    pub(crate) fn has_no_reader(&self, write_end: Open) -> bool {
        self.pipe(write_end).readers == 0
    }

    pub(crate) fn has_lines(&self, end: Open) -> bool {
        self.pipe(end).lines > 0
    }

    pub(crate) fn make_pipe(&mut self, n: usize, service: usize) -> (Open, Open) {
        self.abandon_pipes(service, None);
        let new = self.pipes.iter().position(Pipe::is_free).expect("a free pipe");
        self.pipes[new] = Pipe { service, ..Pipe::default() };
        trace!(self, "{n} makes a pipe for {service}");
        (self.open(n, Kind::ReadEnd(new)), self.open(n, Kind::WriteEnd(new)))
    }

    /// svscan uses one that is there.
    pub(crate) fn take_back(&mut self, n: usize, service: usize, ends: (Open, Open)) {
        let pipes = [ends.0, ends.1].map(|end| match self.kind(end) {
            Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) => pipe,
            other => panic!("{other:?} is no pipe"),
        });
        assert_eq!(pipes[0], pipes[1], "ends of two pipes");
        assert_eq!(self.pipes[pipes[0]].service, service, "the pipe of another service");
        trace!(self, "{n} takes back the pipe of {service}");
        self.abandon_pipes(service, Some(pipes[0]));
        self.stats.pipes_back += 1;
    }

    /// Other pipes that are still in use. What a daemon has is not found.
    fn abandon_pipes(&mut self, service: usize, kept: Option<usize>) {
        for pipe in 0..self.pipes.len() {
            let used = |process: &Process| {
                let ends = [process.stdin, process.stdout];
                !matches!(process.program, Program::Daemon { .. })
                    && ends.into_iter().flatten().any(|end| {
                        [Kind::ReadEnd(pipe), Kind::WriteEnd(pipe)].contains(&self.kind(end))
                    })
            };
            let found = &self.pipes[pipe];
            if kept != Some(pipe)
                && found.service == service
                && !found.is_free()
                && self.alive().any(|(_, process)| used(process))
            {
                trace!(self, "the other pipe {pipe} of {service} is abandoned");
                self.pipes[pipe].abandoned = true;
            }
        }
    }

    /// svscan lets go of it in order.
    pub(crate) fn drop_pipe(&mut self, n: usize, end: Open) {
        if let Kind::ReadEnd(pipe) | Kind::WriteEnd(pipe) = self.kind(end) {
            self.pipes[pipe].dropped = true;
        }
        self.close(n, end);
    }

    /// Whether there is room; a pipe without a reader kills.
    pub(crate) fn write_line(&mut self, n: usize, end: Open) -> bool {
        let Kind::WriteEnd(no) = self.kind(end) else {
            panic!("cannot be written to");
        };
        let pipe = &mut self.pipes[no];
        if pipe.readers == 0 {
            let late = self.world.calm.is_some_and(|calm| calm + 10 * SECOND < self.now);
            let service = pipe.service;
            trace!(self, "{n} writes to nobody");
            assert!(
                !(late && self.world.linked[service]),
                "{n} writes to a pipe that nobody will ever read"
            );
            self.stats.broken_pipes += 1;
            self.end(n, Ended::Killed(13));
            return true;
        }
        if pipe.lines == PIPE_LINES {
            return false;
        }
        pipe.lines += 1;
        self.stats.lines += 1;
        true
    }

    /// Up to three lines, or `None` at the end.
    pub(crate) fn read_lines(&mut self, n: usize, end: Open) -> Option<u32> {
        let Kind::ReadEnd(no) = self.kind(end) else {
            panic!("cannot be read");
        };
        let pipe = &mut self.pipes[no];
        let lines = pipe.lines.min(3);
        if lines == 0 && pipe.writers == 0 {
            return None;
        }
        pipe.lines -= lines;
        self.processes[n].held = lines;
        Some(lines)
    }

    /// They are in the log.
    pub(crate) fn log_lines(&mut self, n: usize) {
        let held = core::mem::take(&mut self.processes[n].held);
        self.ledgers[0].logged += u64::from(held);
    }

    /// What a pipe holds is gone with the last who has it open.
    fn drain_pipe(&mut self, no: usize) {
        let pipe = self.pipes[no];
        if !pipe.is_free() || pipe.lines == 0 {
            return;
        }
        self.pipes[no].lines = 0;
        let lines = u64::from(pipe.lines);
        trace!(self, "{lines} lines of {} are lost", pipe.service);
        assert!(!pipe.abandoned, "svscan has made a second pipe, and lines in the first are lost");
        if pipe.dropped {
            self.stats.lines_cut_off += lines;
        } else {
            self.stats.lines_lost_with_all_users += lines;
        }
    }

    /// Lines in pipes, and with loggers that are stopped.
    pub(crate) fn lines_on_their_way(&self) -> u64 {
        let held = self.alive().map(|(_, process)| process.held);
        self.pipes.iter().map(|pipe| pipe.lines).chain(held).map(u64::from).sum()
    }

    // Links

    pub(crate) fn link(&mut self, service: usize, there: bool) {
        self.world.linked[service] = there;
        self.world.was_to_end[service] = true;
        let alone = |dir: usize| {
            let is = |program| matches!(program, Program::Supervise { dir: d, .. } if d == dir);
            self.find(is).is_none()
        };
        self.world.left[service] =
            !there && (alone(2 * service) || self.world.logged[service] && alone(2 * service + 1));
        if self.world.watched {
            self.world.changes.push((service, there));
        }
    }
}
