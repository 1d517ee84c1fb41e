//! The timers of all slots, ordered by the moment when they are due.

use super::slot::SlotNo;
use crate::time::Instant;
use alloc::collections::BTreeSet;

/// At most one timer for each slot. The slot knows its own, so that it is found here without a search.
#[derive(Clone, Debug)]
pub(super) struct SlotTimers(BTreeSet<(Instant, SlotNo)>);

impl SlotTimers {
    pub(super) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// The moment of the earliest timer.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|&(due, _)| due)
    }

    /// Removes the earliest timer that is due; returns its slot.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<SlotNo> {
        let &(due, no) = self.0.first()?;
        if due > now {
            return None;
        }
        self.0.pop_first();
        Some(no)
    }

    /// Replaces the timer of a slot.
    pub(super) fn replace(&mut self, no: SlotNo, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(due) = old {
            self.0.remove(&(due, no));
        }
        if let Some(due) = new {
            self.0.insert((due, no));
        }
    }
}
