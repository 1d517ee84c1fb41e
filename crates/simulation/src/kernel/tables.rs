//! The kernel's tables: processes, open files, pipes, state directories.

use daemontools_core::state_dir::{process_record, status};
use daemontools_core::{Ended, Pid};

/// The size of the process table; a process id is an index into it.
pub(crate) const PROCESSES: usize = 64;
/// The first id that fork assigns; 1 is init.
pub(super) const FIRST: usize = 20;
/// The maximum number of services.
pub(crate) const SERVICES: usize = 3;
/// The number of service directories. Service `s` has directory `2 * s`, its logger `2 * s + 1`.
pub(crate) const DIRS: usize = 2 * SERVICES;
/// The capacity of a pipe in lines.
pub(super) const PIPE_LINES: u32 = 6;
/// The unit of start times of processes, in nanoseconds.
pub(super) const TICK: u64 = 10_000_000;

/// A millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
/// A second in nanoseconds.
pub(crate) const SECOND: u64 = 1000 * MS;

/// The program of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Process 1: reaps, and restarts svscan or the supervises.
    Init,
    Svscan {
        upgraded: bool,
    },
    /// A child of svscan before it execs supervise.
    NewSupervise {
        dir: usize,
        /// The pipe end that becomes its standard input or output.
        pipe: Option<Open>,
    },
    Supervise {
        dir: usize,
        /// After a live upgrade: whether the earlier program image was leaving.
        upgraded: Option<bool>,
    },
    /// A child of supervise before it execs the service.
    NewService {
        dir: usize,
    },
    /// `./run`: a service or, in a logger's directory, a logger.
    Service {
        dir: usize,
    },
    /// A background child of a service.
    Daemon {
        dir: usize,
    },
    Svc {
        dir: usize,
        bytes: [u8; 2],
    },
}

/// Signals that can be pending, as bits.
pub(crate) mod signal {
    pub(crate) const CHLD: u8 = 1;
    pub(crate) const TERM: u8 = 2;
    pub(crate) const USR1: u8 = 4;
    /// Any request for a live upgrade.
    pub(crate) const UPGRADE: u8 = 8;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Free,
    Alive,
    Zombie(Ended),
}

/// An open file: its index in the kernel's table.
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
    /// A pidfd: process id and generation.
    Process(usize, u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    /// The number of descriptors that refer to it.
    pub(super) users: u32,
    /// For a pidfd: how the process ended, after it was reaped.
    pub(super) how: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(super) life: Life,
    pub(crate) program: Program,
    /// Distinguishes the processes that have had this id.
    pub(crate) generation: u32,
    /// The start time in ticks.
    pub(super) start: u64,
    /// The start time in nanoseconds.
    pub(crate) born: u64,
    pub(crate) parent: usize,
    pub(super) subreaper: bool,
    pub(crate) stopped: bool,
    /// Signals stay pending until the process takes them; otherwise they kill it.
    pub(super) blocked: bool,
    pub(super) pending: u8,
    /// The close-on-exec descriptors, as a set of open files.
    pub(super) files: u128,
    pub(crate) stdin: Option<Open>,
    pub(crate) stdout: Option<Open>,
    pub(super) wait: Option<Wait>,
    /// Lines that a logger has read and not yet logged.
    pub(super) unlogged: u32,
}

/// A free entry of the process table.
pub(super) const FREE_ENTRY: Process = Process {
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
    unlogged: 0,
};

/// The events that a process waits for. Without any it waits for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    pub(crate) signals: bool,
    /// Bytes in the FIFO of this directory.
    pub(crate) control: Option<usize>,
    /// The end of a process: a set of pidfds.
    pub(crate) ends: u128,
    pub(crate) watch: bool,
    pub(crate) readable: Option<Open>,
    pub(crate) writable: Option<Open>,
    /// This child, id and generation, has exec'd or died.
    pub(crate) born: Option<(usize, u32)>,
    pub(crate) until: Option<u64>,
}

/// The events that ended a wait.
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
    pub(super) readers: u32,
    pub(super) writers: u32,
    pub(super) lines: u32,
    /// svscan has made another pipe for the service while this one was still in use.
    pub(super) abandoned: bool,
    /// svscan has closed it on purpose.
    pub(super) dropped: bool,
}

impl Pipe {
    pub(super) const fn is_free(&self) -> bool {
        self.readers == 0 && self.writers == 0
    }
}

/// The content of a part of a process record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    pub(crate) leaving: bool,
    pub(crate) process: Option<process_record::ProcessIdentity>,
    pub(crate) end: Option<(Pid, Ended)>,
}

/// The state directory of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateDir {
    /// The open file that owns the lock, and the process that took it.
    pub(super) lock: Option<(Open, usize)>,
    pub(crate) control: Vec<u8>,
    /// svc has waited in vain for a reader.
    pub(super) given_up: bool,
    pub(super) control_readers: u32,
    pub(super) control_writers: u32,
    pub(super) ok_readers: u32,
    pub(crate) record: Option<[u8; process_record::LEN]>,
    pub(crate) status: Option<[u8; status::LEN]>,
    /// The service directory has a file `down`.
    pub(crate) down: bool,
}

/// Converts an index of the process table to a process id.
pub(crate) const fn pid(number: usize) -> Pid {
    Pid::new(number as i32).expect("a number above 0")
}

/// Converts a process id to an index of the process table.
pub(crate) const fn number(pid: Pid) -> usize {
    pid.get() as usize
}

/// The elements of a set of bits.
pub(super) fn bits(mut set: u128) -> impl Iterator<Item = Open> {
    core::iter::from_fn(move || {
        let lowest = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (lowest < 128).then_some(lowest as Open)
    })
}
