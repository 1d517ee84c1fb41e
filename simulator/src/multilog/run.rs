//! Runs a scenario.

use super::check::{self, Violation};
use super::input::Input;
use super::outputs::Outputs;
use super::plan::Plan;
use super::power::Promises;
use super::scenario::{Life, Scenario};
use crate::kernel::{Ended, Kernel, MESSAGES};
use crate::program;
use crate::random::Random;
use crate::simulation::Report;
use crate::world::{Step, World};

/// More steps than any scenario needs.
const MOST_STEPS: u64 = 100_000;

const OURS: &str = "/bin/multilog";
const ORIGINAL: &str = "/bin/original";

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    /// The process has ended.
    For(Ended),
    /// The power has failed.
    PowerFailed,
}

/// A scenario that runs.
struct Run<'a> {
    scenario: &'a Scenario,
    outputs: Outputs,
    input: Input,
    world: World,
    plan: Plan,
    /// The read end of the pipe, and standard error.
    reader: usize,
    messages: usize,
}

/// Runs a scenario. With `trace`, the story has every system call.
#[must_use]
pub(super) fn run(scenario: &Scenario, trace: bool) -> Report<Violation> {
    let _alone = machine::lock();
    let mut kernel = Kernel::new(&program::ALL);
    kernel.make_file(MESSAGES, b"");
    if let Some(kind) = scenario.disk {
        kernel.use_disk(kind);
    }
    let mut run = Run {
        scenario,
        outputs: scenario.outputs(),
        input: Input::new(scenario.input.0, scenario.input.1),
        world: World::new(kernel, scenario.seed),
        plan: Plan::new(trace),
        reader: 0,
        messages: 0,
    };
    run.start_writer();
    let violation = run.all_loggers().err();
    Report::new(&run.world.kernel, violation, run.plan.story)
}

impl Run<'_> {
    /// Makes the pipe, and starts its writer at the present place of the input.
    fn start_writer(&mut self) {
        let kernel = &mut self.world.kernel;
        self.messages = kernel.open_for_appending(MESSAGES);
        let (reader, writer) = kernel.make_pipe();
        self.reader = reader;
        let numbers = [
            self.scenario.input.0,
            self.scenario.input.1 as u64,
            self.plan.history.from as u64,
            u64::from(self.scenario.ends_in_line),
        ];
        let numbers = numbers.map(|number| number.to_string());
        let mut arguments = vec!["/bin/writer"];
        arguments.extend(numbers.iter().map(String::as_str));
        let _ = kernel.start(&arguments, "/", &[(1, writer), (2, self.messages)]);
        kernel.close_outside(writer);
    }

    /// Runs one logger after the other, and checks the logs at the end.
    fn all_loggers(&mut self) -> Result<(), Violation> {
        for life in &self.scenario.loggers {
            if self.logger(life)? == Waited::PowerFailed {
                continue;
            }
            // Half of the next loggers wait until the standby process has ended.
            if self.scenario.seed.is_multiple_of(2) && self.rest()? {
                self.check_pipe()?;
            }
        }
        let last = Life::default();
        let mut starts = 1;
        // The standby process of a killed logger can still have the lock.
        while let Waited::For(how) = self.logger(&last)?
            && how != Ended::Exited(0)
        {
            starts += 1;
            if starts > 4 {
                return Err(Violation::Ended(how));
            }
        }
        let history = &self.plan.history;
        check::logs(&self.world.kernel, self.scenario, &self.outputs, &self.input, history)
    }

    /// Runs a logger to its end, or to a loss of power.
    fn logger(&mut self, life: &Life) -> Result<Waited, Violation> {
        let program = if life.is_original { ORIGINAL } else { OURS };
        let script = self.scenario.script.iter().map(String::as_str);
        let arguments: Vec<&str> = std::iter::once(program).chain(script).collect();
        let files = [(0, self.reader), (1, self.messages), (2, self.messages)];
        let pid = self.world.kernel.start(&arguments, "/", &files);
        self.plan.begin(pid, program, life.faults.clone());
        for _ in 0..MOST_STEPS {
            if let Some(how) = self.world.kernel.reap(pid) {
                self.plan.story.events.push(format!("{} {pid}: {how:?}", &program[5..]));
                let (kernel, history) = (&self.world.kernel, &self.plan.history);
                check::directories(kernel, self.scenario, &self.outputs, history)?;
                return Ok(Waited::For(how));
            }
            if self.step()? {
                return Ok(Waited::PowerFailed);
            }
        }
        Err(Violation::Endless)
    }

    /// Lets the world go on; returns whether the power has failed, and starts the machine again.
    fn step(&mut self) -> Result<bool, Violation> {
        match self.world.step(&mut self.plan) {
            _ if self.world.kernel.panicked => Err(Violation::Panic),
            _ if self.world.kernel.power_failed => self.lose_power().map(|()| true),
            // No alarm is set here.
            Step::Stuck | Step::Alarm => Err(Violation::Stuck),
            Step::Done => Ok(false),
        }
    }

    /// Runs the world until no copy of multilog is left. Returns false if the power has failed meanwhile.
    fn rest(&mut self) -> Result<bool, Violation> {
        for _ in 0..MOST_STEPS {
            let mut running = self.world.kernel.running();
            if !running.any(|(_, process)| process.is_copy_of(OURS.as_bytes())) {
                return Ok(true);
            }
            drop(running);
            if self.step()? {
                return Ok(false);
            }
        }
        Err(Violation::Endless)
    }

    fn check_pipe(&self) -> Result<(), Violation> {
        if self.plan.history.standby_faults > 0 {
            return Ok(());
        }
        let taken = self.plan.history.from + self.world.kernel.taken(self.reader);
        // A logger adds the newline that the last line does not have.
        let taken = taken + usize::from(self.scenario.ends_in_line);
        let kernel = &self.world.kernel;
        check::pipe(kernel, &self.outputs, &self.input, taken, &self.plan.history)
    }

    /// Loses the power, compares what is left with the promises, and starts the writer again.
    fn lose_power(&mut self) -> Result<(), Violation> {
        let kernel = &mut self.world.kernel;
        let promises = Promises::new(kernel, &self.outputs, &self.input, &self.plan.history)?;
        let written = self.plan.history.from + kernel.written(self.reader);
        let history = &mut self.plan.history;
        history.power_cuts += 1;
        history.recent_kills = 0;
        // The next writer begins with a line of its own.
        let rest = &self.input.text[written.min(self.input.text.len())..];
        let is_line = written == 0 || self.input.text.get(written - 1) == Some(&b'\n');
        let end = rest.iter().position(|c| *c == b'\n').map_or(rest.len(), |at| at + 1);
        history.from = written + if is_line { 0 } else { end };
        let mut random = Random::new(self.scenario.seed ^ history.power_cuts);
        kernel.cut_power(&mut random);
        self.plan.story.events.push("the machine starts again".into());
        promises.check(&self.world.kernel, &self.outputs, &self.input, &self.plan.history)?;
        for directory in &self.outputs.directories {
            check::state(&self.world.kernel, directory)?;
        }
        self.start_writer();
        Ok(())
    }
}
