//! A Linux kernel in memory, as far as the simulated programs use it.
//!
//! It performs one system call at a time, for the process that the scheduler chooses. What it does not
//! know fails with ENOSYS and is listed in [`Kernel::unknown`].

mod calls;
mod descriptors;
mod disk;
mod epoll;
mod files;
mod groups;
mod inotify;
mod interpreter;
mod limits;
mod names;
mod open;
mod outside;
mod pidfds;
mod pids;
mod pipes;
mod poll;
mod proc_files;
mod processes;
mod signals;
mod stat;
mod transfer;
mod tree;

pub(crate) use descriptors::number;
pub use disk::FileSystem;
pub use files::{Content, Inode};
pub use pipes::Pipe;
pub(crate) use processes::Next;
pub use processes::{Ended, MESSAGES, Proc};
pub use tree::InodeNumber;

use machine::Program;
use std::collections::{BTreeMap, BTreeSet};

/// The file with the id of the boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// An error number.
pub type Errno = u32;

/// The result of a call that can fail.
pub type Result<T> = std::result::Result<T, Errno>;

/// The number of a process.
pub type Pid = i32;

/// The key of an open file.
pub(crate) type FileKey = usize;

/// What a call does to its process.
pub(crate) enum Outcome {
    /// It returns this value.
    Return(usize),
    /// It waits.
    Wait,
    /// The process has ended, or runs another program.
    Gone,
}

/// The kernel.
pub struct Kernel {
    pub(crate) inodes: BTreeMap<InodeNumber, Inode>,
    pub(crate) open_files: BTreeMap<FileKey, open::OpenFile>,
    pub(crate) processes: BTreeMap<Pid, Proc>,
    /// Programs by their path.
    pub(crate) programs: BTreeMap<Vec<u8>, Program>,
    /// The monotonic clock in nanoseconds.
    pub(crate) now: u64,
    /// The wall clock is ahead of the monotonic one by this.
    pub(crate) wall: u64,
    /// Changes with everything that can end a wait.
    pub(crate) generation: u64,
    /// What survives a loss of power; none if the power does not fail.
    disk: Option<disk::Disk>,
    /// The number of starts of the machine.
    boots: u64,
    /// The power has failed: see [`Kernel::cut_power`].
    pub power_failed: bool,
    /// The inotify instances with a watch.
    watching: BTreeSet<InodeNumber>,
    /// The file that tells the mounts.
    mount_table: InodeNumber,
    /// The names of files in memory.
    memory_names: BTreeMap<InodeNumber, Vec<u8>>,
    renames: u32,
    next_inode: InodeNumber,
    next_file: FileKey,
    pub(crate) pids: pids::Pids,
    /// The processes that took locks, by the open file.
    pub(crate) lock_takers: BTreeMap<FileKey, Pid>,
    /// A pidfd tells how its process has ended, as from Linux 6.15 on.
    pub tells_ends: bool,
    /// Calls that the kernel does not know, by number.
    pub unknown: BTreeSet<usize>,
    /// The program of a process has panicked.
    pub panicked: bool,
}

impl Kernel {
    /// A kernel with an empty file system that has `/dev/null` and the files of `/proc` that the
    /// programs read.
    #[must_use]
    pub fn new(programs: &[(&str, Program)]) -> Self {
        let mut kernel = Self {
            inodes: BTreeMap::new(),
            open_files: BTreeMap::new(),
            processes: BTreeMap::new(),
            programs: BTreeMap::new(),
            now: 1_000_000_000,
            wall: 1_700_000_000_000_000_000,
            generation: 1,
            disk: None,
            boots: 1,
            power_failed: false,
            watching: BTreeSet::new(),
            mount_table: 0,
            memory_names: BTreeMap::new(),
            renames: 0,
            next_inode: tree::ROOT,
            next_file: 1,
            pids: pids::Pids::new(),
            lock_takers: BTreeMap::new(),
            tells_ends: true,
            unknown: BTreeSet::new(),
            panicked: false,
        };
        kernel.make_root();
        kernel.make_file(BOOT_ID, b"00000000-0000-4000-8000-000000000001\n");
        kernel.make_file("/proc/self/ns/pid", b"");
        kernel.mount_table = kernel.make_file("/proc/self/mountinfo", b"");
        let most = format!("{}\n", inotify::MOST_EVENTS);
        kernel.make_file("/proc/sys/fs/inotify/max_queued_events", most.as_bytes());
        kernel.make_device("/dev/null");
        // As the installed ones, the programs are links to one file.
        let mut files: BTreeMap<usize, &str> = BTreeMap::new();
        for (path, program) in programs {
            match files.get(&(*program as usize)) {
                Some(file) => kernel.make_link(file, path),
                None => {
                    kernel.make_file(path, b"");
                    files.insert(*program as usize, path);
                }
            }
            kernel.programs.insert(path.as_bytes().to_vec(), *program);
        }
        kernel
    }

    /// The time of the wall clock in nanoseconds.
    #[must_use]
    pub const fn wall_time(&self) -> u64 {
        self.now + self.wall
    }

    pub(crate) const fn changed(&mut self) {
        self.generation += 1;
    }
}
