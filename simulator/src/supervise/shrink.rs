//! Makes a failing scenario shorter.

use super::run::run;
use super::scenario::{Action, Kind, Scenario};
use super::{Report, Violation};
use std::mem::discriminant;

/// Runs that a search may take.
const MOST_RUNS: usize = 2000;

/// The shortest scenario that this search finds with the same kind of violation, and its report.
#[must_use]
pub fn shrink(scenario: &Scenario, violation: &Violation) -> (Scenario, Report) {
    let mut best = scenario.clone();
    let mut runs = 0;
    let mut fails = |candidate: &Scenario| {
        runs += 1;
        let report = run(candidate, false);
        runs <= MOST_RUNS
            && report.violation.is_some_and(|it| discriminant(&it) == discriminant(violation))
    };
    while let Some(shorter) = candidates(&best).into_iter().find(&mut fails) {
        best = shorter;
    }
    let report = run(&best, false);
    (best, report)
}

/// Scenarios that are a little shorter, those that leave out most first.
fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut shorter = scenario.clone();
        change(&mut shorter);
        if shorter != *scenario {
            found.push(shorter);
        }
    };
    let all = &scenario.supervises;
    for n in 0..all.len().saturating_sub(1) {
        add(&|it| drop(it.supervises.remove(n)));
    }
    for (n, supervise) in all.iter().enumerate() {
        for fault in 0..supervise.faults.len() {
            add(&|it| {
                it.supervises[n].faults.remove(fault);
            });
        }
        for event in 0..supervise.events.len() {
            add(&|it| drop(it.supervises[n].events.remove(event)));
        }
    }
    add(&|it| it.down = false);
    add(&|it| it.tells_ends = true);
    add(&|it| it.pids = 0);
    add(&|it| it.service = "runs".into());
    for (n, supervise) in all.iter().enumerate() {
        for (number, event) in supervise.events.iter().enumerate() {
            if let Action::Letters(letters) = &event.action
                && letters.len() > 1
            {
                for letter in letters.chars() {
                    let action = Action::Letters(letter.into());
                    add(&|it| it.supervises[n].events[number].action = action.clone());
                }
            }
        }
        for (number, fault) in supervise.faults.iter().enumerate() {
            // The number of the error among those of the call.
            if let Kind::Error(choice) = fault.kind {
                for smaller in (0..6).filter(|smaller| *smaller < choice) {
                    add(&|it| it.supervises[n].faults[number].kind = Kind::Error(smaller));
                }
            }
            add(&|it| it.supervises[n].faults[number].call /= 2);
        }
    }
    found
}
