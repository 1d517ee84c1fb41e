//! svscan and supervise on a fake kernel, which kills any process between any two steps.
//!
//! The decisions are those of the real state machines of `daemontools-core`. `supervise.rs` and
//! `svscan.rs` repeat the system calls of the programs, one step per call, in the same order.
//! A change of that order in `tools` needs the same change here.
//!
//! A seed determines a schedule: commands, kills, upgrades, links that appear and disappear, forks
//! that fail. Then follows a calm, at whose end every service must be in its wanted state.

mod kernel;
mod ledger;
mod random;
mod schedule;
mod services;
mod supervise;
mod svscan;
mod sys;

pub use kernel::{Protection, Stats};
pub use schedule::run;
