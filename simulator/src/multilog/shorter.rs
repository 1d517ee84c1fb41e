//! Scenarios that are a little shorter than another, to find a short story.

use super::scenario::Scenario;
use crate::simulation::Candidates;

/// Those that leave out most come first.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<Scenario> {
    let mut found = Candidates::of(scenario);
    for n in 0..scenario.loggers.len() {
        found.add(|it| drop(it.loggers.remove(n)));
    }
    for n in 0..scenario.loggers.len() {
        for fault in 0..scenario.loggers[n].faults.len() {
            found.add(|it| {
                it.loggers[n].faults.remove(fault);
            });
        }
    }
    for number in 0..scenario.directories() {
        if scenario.directories() > 1 {
            found.add(|it| it.script = without_directory(&scenario.script, number));
        }
    }
    for (n, argument) in scenario.script.iter().enumerate() {
        if argument == "t" || argument.starts_with(['!', '-', '+', '=']) {
            found.add(|it| drop(it.script.remove(n)));
        }
    }
    for n in 0..scenario.loggers.len() {
        found.add(|it| it.loggers[n].is_original = false);
    }
    found.add(|it| it.ends_in_line = false);
    let lines = scenario.input.1;
    for fewer in [lines / 2, lines.saturating_sub(lines / 4), lines.saturating_sub(1)] {
        found.add(|it| it.input.1 = fewer);
    }
    for (logger, life) in scenario.loggers.iter().enumerate() {
        for (n, fault) in life.faults.iter().enumerate() {
            for kind in fault.kind.smaller() {
                found.add(|it| it.loggers[logger].faults[n].kind = kind);
            }
        }
    }
    // Another order of the processes can need fewer lines.
    for n in 0..scenario.loggers.len() {
        for fault in 0..scenario.loggers[n].faults.len() {
            found.add(|it| it.loggers[n].faults[fault].call /= 2);
            found.add(|it| {
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
