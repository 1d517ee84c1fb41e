//! Scenarios that are a little shorter than another, to find a short story.

use super::scenario::Scenario;
use crate::lifetime::{leave_out, leave_out_whole, simplify_faults};
use crate::simulation::Candidates;

/// Those that leave out most come first.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<Scenario> {
    let mut found = Candidates::of(scenario);
    let all = &scenario.svscans;
    leave_out_whole(&mut found, all, |it| &mut it.svscans);
    if scenario.services.len() > 1 {
        // The last one: the numbers of the others stay.
        found.add(|it| drop(it.services.pop()));
    }
    leave_out(&mut found, all, |it| &mut it.svscans);
    for n in 0..scenario.services.len() {
        found.add(|it| it.services[n].has_logger = false);
        found.add(|it| it.services[n].is_copied = false);
        found.add(|it| it.services[n].kind = "steady".into());
    }
    found.add(|it| it.keeps = false);
    found.add(|it| it.tells_ends = true);
    found.add(|it| it.pids = 0);
    simplify_faults(&mut found, all, |it| &mut it.svscans);
    found
}
