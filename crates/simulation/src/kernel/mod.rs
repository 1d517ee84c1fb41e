//! The part of a kernel that svscan and supervise see: processes with ids that are soon reused,
//! open files that are shared until exec, locks, FIFOs, pipes, signals, two files, a clock.
//!
//! It is small, so that a schedule costs microseconds: everything fits into arrays and sets of
//! bits. It checks invariants and panics when one is violated.

mod fifos;
mod links;
mod locks;
mod open_files;
mod pidfds;
mod pipes;
mod processes;
mod signals;
mod state;
mod state_files;
mod stats;
mod tables;
mod waits;
mod world;

pub(crate) use state::{Kernel, trace};
pub use stats::Stats;
pub(crate) use tables::{
    DIRS, Kind, MS, Open, PROCESSES, Part, Process, Program, SECOND, SERVICES, Wait, Woken, number,
    pid, signal,
};
pub(crate) use world::Handed;
pub use world::Protection;
