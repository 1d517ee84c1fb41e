//! svscan's decisions: which services exist, and what to do about each of them.

pub mod roster;
pub mod slot;
pub mod supervise_process;
mod timers;
