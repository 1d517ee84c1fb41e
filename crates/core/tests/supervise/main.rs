//! The supervise machine under the original's policy: a table that was written by hand, scenarios,
//! and properties over random events with a small kernel that forks, kills and lets time pass.

mod adoption;
#[path = "../common/cases.rs"]
mod cases;
mod commands;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/plain_kernel.rs"]
mod kernel;
mod original_table;
mod random_events;
mod starts;

use common::Story;
use daemontools_core::state_dir::control::{Command, Scope};
use daemontools_core::supervise::Event;

pub(crate) const fn command(command: Command) -> Event {
    Event::Command(command, Scope::Process)
}

impl Story {
    /// A story whose process runs since this time, wanted up.
    pub(crate) fn up(ms: u64) -> Self {
        let mut story = Self::new(true);
        story.ms = ms;
        assert_eq!(story.event(Event::Begin), "publish spawn");
        assert_eq!(story.spawned(), "publish");
        story
    }
}
