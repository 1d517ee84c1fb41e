//! Makes a failing scenario shorter.

use super::faults::Kind;
use super::run::run;
use super::scenario::Scenario;
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
        for fault in 0..scenario.loggers[n].faults.len() {
            add(&|it| {
                it.loggers[n].faults.remove(fault);
            });
        }
    }
    for number in 0..scenario.directories() {
        if scenario.directories() > 1 {
            add(&|it| it.script = without_directory(&scenario.script, number));
        }
    }
    for (n, argument) in scenario.script.iter().enumerate() {
        if argument == "t" || argument.starts_with(['!', '-', '+', '=']) {
            add(&|it| drop(it.script.remove(n)));
        }
    }
    for n in 0..scenario.loggers.len() {
        add(&|it| it.loggers[n].is_original = false);
    }
    add(&|it| it.ends_in_line = false);
    let lines = scenario.input.1;
    for fewer in [lines / 2, lines.saturating_sub(lines / 4), lines.saturating_sub(1)] {
        add(&|it| it.input.1 = fewer);
    }
    for (logger, life) in scenario.loggers.iter().enumerate() {
        for (n, fault) in life.faults.iter().enumerate() {
            // The number of the error among those of the call.
            if let Kind::Error(choice) = fault.kind {
                for smaller in (0..6).filter(|smaller| *smaller < choice) {
                    add(&|it| it.loggers[logger].faults[n].kind = Kind::Error(smaller));
                }
            }
        }
    }
    // Another order of the processes can need fewer lines.
    for n in 0..scenario.loggers.len() {
        for fault in 0..scenario.loggers[n].faults.len() {
            add(&|it| it.loggers[n].faults[fault].call /= 2);
            add(&|it| {
                let call = &mut it.loggers[n].faults[fault].call;
                *call = call.saturating_sub(1);
            });
        }
    }
    found
}

/// The script without one of its directories. The settings before that directory remain.
fn without_directory(script: &[String], number: usize) -> Vec<String> {
    let is_directory = |argument: &&String| argument.starts_with("./");
    let removed = script.iter().filter(is_directory).nth(number);
    script.iter().filter(|it| Some(*it) != removed).cloned().collect()
}
