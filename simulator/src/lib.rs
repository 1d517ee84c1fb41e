//! The programs of daemontools-rs on a simulated kernel.
//!
//! A seed decides everything: the scenario, which process runs after each system call, which call fails,
//! where a process is killed. So a failure can be repeated. What runs are the shipped programs: their
//! `main`, and all of `core`, `tools`, `sys` and rustix, down to the instruction that enters the kernel.

mod call_rate;
pub mod conformance;
pub mod fault;
pub mod kernel;
pub mod lifetime;
pub mod multilog;
pub mod notation;
pub mod original;
pub mod program;
pub mod random;
pub mod scripted;
pub mod simulation;
mod story;
pub mod supervise;
pub mod svscan;
pub mod words;
pub mod world;

/// Simulated processes allocate in their own memory.
#[global_allocator]
static ALLOCATOR: machine::Allocator = machine::Allocator;
