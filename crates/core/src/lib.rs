//! What daemontools-rs decides: formats, parsers and state machines.
//!
//! Nothing here does input or output, looks at a clock or knows a descriptor. Time comes in as an
//! argument, decisions go out as data, and every rule of the supervision can be tested without a
//! process. The programs in `daemontools-tools` perform what is decided here.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounts;
pub mod command;
pub mod decimal;
pub mod detail;
pub mod envdir;
pub mod envfile;
pub mod envini;
pub mod errno;
pub mod getopt;
pub mod goal;
pub mod handover;
pub mod identity;
pub mod limits;
pub mod lines;
pub mod local;
pub mod locks;
pub mod multilog;
pub mod options;
pub mod path_search;
pub mod ring;
pub mod roster;
pub mod sd_notify;
pub mod state_dir;
pub mod status;
pub mod supervise;
pub mod tai;
pub mod tally;
pub mod time;
pub mod zone;

/// A process id.
pub type Pid = core::num::NonZeroI32;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By exit, with this code.
    Exited(u8),
    /// By this signal.
    Killed(u8),
    /// Somehow: it was not our child, and the kernel does not say.
    Unknown,
}
