//! The published rustix on the machine of the simulator: see `build.rs`.

#![no_std]
#![allow(warnings, clippy::all, reason = "the code is that of another project")]

include!(concat!(env!("OUT_DIR"), "/rustix/lib.rs"));

/// The system call of this build, for calls that rustix does not have.
pub mod simulated {
    pub use machine::{share_memory, system_call};
}
