//! Observes the service around each event, for the history.

use super::performer::Performer;
use super::supervised::Role;
use crate::common::clock::now;
use daemontools_core::state_dir::history::{Moment, Observation, Trigger};
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::{Event, Script};
use daemontools_core::time::tai::Tai64n;

impl Performer {
    /// The service before an event; `None` for the logger, which has no history.
    pub(super) fn observe(
        &mut self,
        role: Role,
        event: Event,
        when: Tai64n,
    ) -> Option<Observation> {
        if role == Role::Logger {
            return None;
        }
        let before = self.moment();
        let machine = &self.service.machine;
        let is_helper = matches!(machine.script(), Script::Stop | Script::Finish);
        let end = match event {
            Event::Ended(how) if !is_helper => Some(how),
            _ => None,
        };
        let trigger = match event {
            Event::Begin => Some(Trigger::Begin),
            _ => self.history.take_trigger(),
        };
        let reason = match event {
            Event::DependencyLost => Some(Reason::Needs),
            _ => None,
        };
        Some(Observation { when, before, reason, end, trigger })
    }

    /// Records a command that has caused no event: a stop that is held back already.
    pub(super) fn record_unused_trigger(&mut self) {
        let Some(trigger) = self.history.take_trigger() else { return };
        let before = self.moment();
        let (when, trigger) = (now().label, Some(trigger));
        self.record_change(Observation { when, before, reason: None, end: None, trigger });
    }

    /// Writes what an event has changed.
    pub(super) fn record_change(&mut self, seen: Observation) {
        let after = self.moment();
        self.history.write(&self.files, seen, after);
    }

    /// The service as it is now.
    fn moment(&self) -> Moment {
        let machine = &self.service.machine;
        Moment { phase: machine.phase(), pid: machine.pid() }
    }
}
