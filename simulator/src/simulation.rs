//! The programs that can be simulated, behind one interface.

use crate::{multilog, supervise};
use std::fmt::Display;

/// The result of a run.
pub struct Outcome {
    /// The system calls of all processes.
    pub calls: u64,
    /// What happened, in plain words.
    pub story: Vec<String>,
    /// The first promise that was broken.
    pub violation: Option<String>,
}

/// A simulated program.
#[derive(Clone, Copy)]
pub struct Simulation {
    /// Its name.
    pub name: &'static str,
    /// Runs the scenario of a seed.
    pub run: fn(u64) -> Outcome,
    /// Runs a seed, or a scenario in its text form; the story has every system call. `None` for another
    /// text.
    pub trace: fn(&str) -> Option<(String, Outcome)>,
    /// The same for the shortest scenario that fails in the same way. The story begins with the scenario.
    pub show: fn(&str) -> Option<(String, Outcome)>,
}

/// All of them.
pub const ALL: [Simulation; 2] = [
    Simulation {
        name: "multilog",
        run: |seed| multilog_outcome(multilog::run(&multilog::Scenario::new(seed), false)),
        trace: |text| {
            let scenario = multilog_scenario(text)?;
            Some((scenario.to_string(), multilog_outcome(multilog::run(&scenario, true))))
        },
        show: |text| {
            let scenario = multilog_scenario(text)?;
            let report = multilog::run(&scenario, false);
            let Some(violation) = report.violation else {
                return Some((scenario.to_string(), multilog_outcome(report)));
            };
            let (shorter, mut report) = multilog::shrink(&scenario, &violation);
            report.story.splice(..0, shorter.describe());
            Some((shorter.to_string(), multilog_outcome(report)))
        },
    },
    Simulation {
        name: "supervise",
        run: |seed| supervise_outcome(supervise::run(&supervise::Scenario::new(seed), false)),
        trace: |text| {
            let scenario = supervise_scenario(text)?;
            Some((scenario.to_string(), supervise_outcome(supervise::run(&scenario, true))))
        },
        show: |text| {
            let scenario = supervise_scenario(text)?;
            let report = supervise::run(&scenario, false);
            let Some(violation) = report.violation else {
                return Some((scenario.to_string(), supervise_outcome(report)));
            };
            let (shorter, mut report) = supervise::shrink(&scenario, &violation);
            report.story.splice(..0, shorter.describe());
            Some((shorter.to_string(), supervise_outcome(report)))
        },
    },
];

/// The simulation with this name.
#[must_use]
pub fn named(name: &str) -> Option<Simulation> {
    ALL.into_iter().find(|simulation| simulation.name == name)
}

fn multilog_scenario(text: &str) -> Option<multilog::Scenario> {
    text.parse().map(multilog::Scenario::new).ok().or_else(|| text.parse().ok())
}

fn supervise_scenario(text: &str) -> Option<supervise::Scenario> {
    text.parse().map(supervise::Scenario::new).ok().or_else(|| text.parse().ok())
}

fn multilog_outcome(report: multilog::Report) -> Outcome {
    let multilog::Report { calls, story, violation } = report;
    Outcome { calls, story, violation: violation.map(text) }
}

fn supervise_outcome(report: supervise::Report) -> Outcome {
    let supervise::Report { calls, story, violation } = report;
    Outcome { calls, story, violation: violation.map(text) }
}

fn text(violation: impl Display) -> String {
    violation.to_string()
}
