//! What all simulations have in common: scenarios, their runs, and the search for a short story.

use crate::kernel::Kernel;
use crate::story::Story;
use crate::{multilog, supervise, svscan};
use std::fmt::Display;
use std::mem::discriminant;
use std::str::FromStr;

/// Runs that the search for a shorter scenario may take.
const MOST_RUNS: usize = 2000;

/// The result of a run.
#[derive(Debug)]
pub struct Report<V> {
    /// The system calls of all processes.
    pub calls: u64,
    /// What happened, in plain words.
    pub story: Vec<String>,
    /// The first promise that was broken.
    pub violation: Option<V>,
}

/// A broken promise.
pub trait Violation: Display {
    /// A program has panicked.
    const PANIC: Self;

    /// A program has made a system call that the simulated kernel does not know, with this number.
    fn unknown_call(number: usize) -> Self;
}

impl<V: Violation> Report<V> {
    /// Of a run that has ended. A panic counts more than the promise that it has broken.
    pub(crate) fn new(kernel: &Kernel, violation: Option<V>, story: Story) -> Self {
        let mut violation = if kernel.panicked { Some(V::PANIC) } else { violation };
        if let Some(number) = kernel.unknown.first() {
            violation.get_or_insert_with(|| V::unknown_call(*number));
        }
        Self { calls: story.calls, story: story.events, violation }
    }
}

/// A result whose violation is a text.
pub type Outcome = Report<String>;

impl<V: Display> Report<V> {
    fn into_text(self) -> Outcome {
        let Self { calls, story, violation } = self;
        Report { calls, story, violation: violation.map(|it| it.to_string()) }
    }
}

/// What a seed decides before anything runs. Its text form is for regressions and for replay.
pub trait Scenario: Clone + PartialEq + Display + FromStr {
    /// How a promise can be broken.
    type Violation: Violation;

    /// The scenario of a seed.
    fn new(seed: u64) -> Self;

    /// Runs it. With `trace`, the story has every system call.
    fn run(&self, trace: bool) -> Report<Self::Violation>;

    /// What is there before the first event, in plain words.
    fn describe(&self) -> Vec<String>;

    /// Scenarios that are a little shorter, those that leave out most first.
    fn shorter(&self) -> Candidates<Self>;
}

/// Scenarios that are a little shorter than another.
pub struct Candidates<S> {
    of: S,
    found: Vec<S>,
}

impl<S: Scenario> Candidates<S> {
    /// Of this scenario.
    #[must_use]
    pub fn of(scenario: &S) -> Self {
        Self { of: scenario.clone(), found: Vec::new() }
    }

    /// Adds a copy with a change, if it is one.
    pub fn add(&mut self, change: impl FnOnce(&mut S)) {
        let mut shorter = self.of.clone();
        change(&mut shorter);
        if shorter != self.of {
            self.found.push(shorter);
        }
    }
}

/// The shortest scenario that this search finds with the same kind of violation, and its report.
#[must_use]
pub fn shrink<S: Scenario>(scenario: &S, violation: &S::Violation) -> (S, Report<S::Violation>) {
    let mut best = scenario.clone();
    let mut runs = 0;
    let mut fails = |candidate: &S| {
        runs += 1;
        let found = candidate.run(false).violation;
        runs <= MOST_RUNS && found.is_some_and(|it| discriminant(&it) == discriminant(violation))
    };
    while let Some(shorter) = best.shorter().found.into_iter().find(&mut fails) {
        best = shorter;
    }
    let report = best.run(false);
    (best, report)
}

/// The shortest scenario that fails like this one, and its report. The story begins with the scenario.
fn show<S: Scenario>(scenario: &S) -> (S, Outcome) {
    let report = scenario.run(false);
    let Some(violation) = report.violation else { return (scenario.clone(), report.into_text()) };
    let (shorter, mut report) = shrink(scenario, &violation);
    report.story.splice(..0, shorter.describe());
    (shorter, report.into_text())
}

/// Runs a scenario that has to pass. `what` names it in the message of a failure.
///
/// # Panics
/// If it fails: the message is the short story.
#[track_caller]
pub fn assert_passes<S: Scenario>(scenario: &S, what: &str) {
    if scenario.run(false).violation.is_some() {
        let (shorter, Outcome { story, violation, .. }) = show(scenario);
        let violation = violation.unwrap_or_default();
        panic!("{what}: {violation}\n{scenario}\n{shorter}\n{}", story.join("\n"));
    }
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

impl Simulation {
    const fn new<S: Scenario>(name: &'static str) -> Self {
        Self {
            name,
            run: |seed| S::new(seed).run(false).into_text(),
            trace: |text| {
                let scenario = read::<S>(text)?;
                Some((scenario.to_string(), scenario.run(true).into_text()))
            },
            show: |text| {
                let (scenario, outcome) = show(&read::<S>(text)?);
                Some((scenario.to_string(), outcome))
            },
        }
    }
}

/// A seed, or a scenario in its text form.
fn read<S: Scenario>(text: &str) -> Option<S> {
    text.parse().map(S::new).ok().or_else(|| text.parse().ok())
}

/// All of them.
pub const ALL: [Simulation; 3] = [
    Simulation::new::<multilog::Scenario>("multilog"),
    Simulation::new::<supervise::Scenario>("supervise"),
    Simulation::new::<svscan::Scenario>("svscan"),
];

/// The simulation with this name.
#[must_use]
pub fn named(name: &str) -> Option<Simulation> {
    ALL.into_iter().find(|simulation| simulation.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_its_text<S: Scenario>() {
        for seed in 0..100 {
            let scenario = S::new(seed);
            let again = scenario.to_string().parse::<S>().ok().expect("a scenario");
            assert!(scenario == again, "{scenario}");
        }
    }

    #[test]
    fn a_scenario_is_its_text() {
        is_its_text::<multilog::Scenario>();
        is_its_text::<supervise::Scenario>();
        is_its_text::<svscan::Scenario>();
    }
}
