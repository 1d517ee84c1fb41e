//! svscan and supervise on a fake kernel, where any process is killed between any two steps.
//!
//! The decisions are those of the real machines of `daemontools-core`. What the programs do around
//! them is told again, one step for every system call (`supervise.rs`, `svscan.rs`), and has to
//! be kept in step with them. A schedule is made from a seed: commands, deaths, upgrades, links
//! that come and go, forks that fail; then all is calm, and everything has to be as it should.

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
