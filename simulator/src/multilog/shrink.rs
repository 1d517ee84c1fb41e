//! Makes a failing scenario shorter.

use super::run::run;
use super::scenario::{Kind, Scenario};
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
    for n in 0..scenario.loggers.len() {
        add(&|it| drop(it.loggers.remove(n)));
    }
    for n in 0..scenario.loggers.len() {
        for fault in 0..scenario.loggers[n].len() {
            add(&|it| {
                it.loggers[n].remove(fault);
            });
        }
    }
    for length in [0, 1] {
        let (all, directories) = (&scenario.script, scenario.directories());
        if directories > 1 {
            add(&|it| it.script = only_directory(all, length));
        }
    }
    for (n, argument) in scenario.script.iter().enumerate() {
        if argument == "t" || argument.starts_with('!') {
            add(&|it| drop(it.script.remove(n)));
        }
    }
    let lines = scenario.input.1;
    for fewer in [lines / 2, lines.saturating_sub(lines / 4), lines.saturating_sub(1)] {
        add(&|it| it.input.1 = fewer);
    }
    for (logger, faults) in scenario.loggers.iter().enumerate() {
        for (n, fault) in faults.iter().enumerate() {
            // The number of the error among those of the call.
            if let Kind::Error(choice) = fault.kind {
                for smaller in (0..6).filter(|smaller| *smaller < choice) {
                    add(&|it| it.loggers[logger][n].kind = Kind::Error(smaller));
                }
            }
        }
    }
    // Another order of the processes can need fewer lines.
    for n in 0..scenario.loggers.len() {
        for fault in 0..scenario.loggers[n].len() {
            add(&|it| it.loggers[n][fault].call /= 2);
            add(&|it| it.loggers[n][fault].call = it.loggers[n][fault].call.saturating_sub(1));
        }
    }
    found
}

/// The script with one of its two directories.
fn only_directory(script: &[String], number: usize) -> Vec<String> {
    let end = script.iter().position(|it| it.starts_with("./")).map_or(script.len(), |it| it + 1);
    let (first, second) = script.split_at(end);
    match number {
        0 => first.to_vec(),
        _ => {
            let stamp = first.iter().filter(|it| *it == "t");
            stamp.chain(second).cloned().collect()
        }
    }
}
