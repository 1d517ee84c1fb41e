//! The formats, parsers and state machines of daemontools-rs.
//!
//! This crate does no input or output, and reads no clock. Time is an argument, and decisions are
//! return values, so every rule of the supervision is tested without a process. The programs in
//! `daemontools-tools` perform the decisions.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

pub mod copier;
pub mod handover;
pub mod loaders;
pub mod multilog;
pub mod options;
pub mod programs;
pub mod sorting;
pub mod state_dir;
pub mod supervise;
pub mod svscan;
pub mod text;
pub mod time;

/// A process id.
pub type Pid = core::num::NonZeroI32;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
    /// Unknown: the process was not our child, so the kernel does not report its status.
    Unknown,
}

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeExample;
