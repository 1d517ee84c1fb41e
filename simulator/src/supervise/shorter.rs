//! Scenarios that are a little shorter than another, to find a short story.

use super::scenario::{Action, Scenario};
use crate::simulation::Candidates;

/// Those that leave out most come first.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<Scenario> {
    let mut found = Candidates::of(scenario);
    let all = &scenario.supervises;
    for n in 0..all.len().saturating_sub(1) {
        found.add(|it| drop(it.supervises.remove(n)));
    }
    for (n, supervise) in all.iter().enumerate() {
        for fault in 0..supervise.faults.len() {
            found.add(|it| {
                it.supervises[n].faults.remove(fault);
            });
        }
        for event in 0..supervise.events.len() {
            found.add(|it| drop(it.supervises[n].events.remove(event)));
        }
    }
    for n in 0..scenario.options.0.len() {
        let name = &scenario.options.0[n].0;
        // check-interval without check is a mistake.
        let goes_with = |other: &str| other == name || name == "check" && other.contains(name);
        found.add(|it| it.options.0.retain(|file| !goes_with(&file.0)));
    }
    found.add(|it| it.down = false);
    found.add(|it| it.tells_ends = true);
    found.add(|it| it.pids = 0);
    found.add(|it| it.disk = None);
    found.add(|it| it.service = "runs".into());
    for (n, supervise) in all.iter().enumerate() {
        for (number, event) in supervise.events.iter().enumerate() {
            if let Action::Letters(letters) = &event.action
                && letters.len() > 1
            {
                for letter in letters.chars() {
                    let action = Action::Letters(letter.into());
                    found.add(|it| it.supervises[n].events[number].action = action.clone());
                }
            }
        }
        for (number, fault) in supervise.faults.iter().enumerate() {
            for kind in fault.kind.smaller() {
                found.add(|it| it.supervises[n].faults[number].kind = kind);
            }
            found.add(|it| it.supervises[n].faults[number].call /= 2);
        }
    }
    found
}
