//! Scenarios that are a little shorter than another, to find a short story.

use super::scenario::Scenario;
use crate::simulation::Candidates;

/// Those that leave out most come first.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<Scenario> {
    let mut found = Candidates::of(scenario);
    let all = &scenario.svscans;
    for n in 0..all.len().saturating_sub(1) {
        found.add(|it| drop(it.svscans.remove(n)));
    }
    if scenario.services.len() > 1 {
        // The last one: the numbers of the others stay.
        found.add(|it| drop(it.services.pop()));
    }
    for (n, svscan) in all.iter().enumerate() {
        for fault in 0..svscan.faults.len() {
            found.add(|it| {
                it.svscans[n].faults.remove(fault);
            });
        }
        for event in 0..svscan.events.len() {
            found.add(|it| {
                it.svscans[n].events.remove(event);
            });
        }
    }
    for n in 0..scenario.services.len() {
        found.add(|it| it.services[n].has_logger = false);
        found.add(|it| it.services[n].is_copied = false);
        found.add(|it| it.services[n].kind = "steady".into());
    }
    found.add(|it| it.keeps = false);
    found.add(|it| it.tells_ends = true);
    found.add(|it| it.pids = 0);
    for (n, svscan) in all.iter().enumerate() {
        for (number, fault) in svscan.faults.iter().enumerate() {
            for kind in fault.kind.smaller() {
                found.add(|it| it.svscans[n].faults[number].kind = kind);
            }
            found.add(|it| it.svscans[n].faults[number].call /= 2);
        }
    }
    found
}
