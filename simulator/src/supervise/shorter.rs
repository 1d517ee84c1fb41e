//! Scenarios that are a little shorter than another, to find a short story.

use super::scenario::{Action, Scenario};
use crate::lifetime::{leave_out, leave_out_whole, simplify_faults};
use crate::simulation::Candidates;

/// Those that leave out most come first.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<Scenario> {
    let mut found = Candidates::of(scenario);
    let all = &scenario.supervises;
    leave_out_whole(&mut found, all, |it| &mut it.supervises);
    leave_out(&mut found, all, |it| &mut it.supervises);
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
    }
    simplify_faults(&mut found, all, |it| &mut it.supervises);
    found
}
