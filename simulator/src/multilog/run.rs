//! Runs a scenario.

use super::check::{self, Violation};
use super::input::Input;
use super::scenario::{Kind, PlannedFault, Role, Scenario, errors};
use crate::kernel::{Ended, Kernel, Pid};
use crate::program;
use crate::world::{Fate, Fault, Step, World};
use linux_raw_sys::general::{__NR_read, __NR_write, SIGALRM, SIGTERM};
use machine::Call;

/// More steps than any scenario needs.
const MOST_STEPS: u64 = 100_000;

/// Standard error of the loggers.
pub const MESSAGES: &str = "/messages";

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// The system calls of all processes.
    pub calls: u64,
    /// What happened to which call, in plain words.
    pub story: Vec<String>,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
}

/// The faults of the logger that runs.
struct Plan<'a> {
    logger: Pid,
    faults: &'a [PlannedFault],
    /// Each fault happens once.
    happened: Vec<bool>,
    calls: u64,
    /// KILLs that have hit a logger.
    kills: u64,
    /// Faults that have hit a standby process.
    standby_faults: u64,
    story: Vec<String>,
    trace: bool,
}

impl Fate for Plan<'_> {
    fn fault(&mut self, kernel: &Kernel, pid: Pid, count: u64, call: Call) -> Option<Fault> {
        let role = if pid == self.logger {
            Role::Logger
        } else if kernel.process(pid)?.is_copy_of(b"/bin/multilog") {
            Role::Standby
        } else {
            return None;
        };
        let is_due = |(n, it): &(usize, &PlannedFault)| {
            it.role == role && it.call == count && !self.happened[*n]
        };
        let mut planned = self.faults.iter().enumerate().filter(is_due);
        let (n, fault) = planned.find_map(|(n, it)| Some((n, fault(it.kind, call)?)))?;
        self.happened[n] = true;
        match (fault, role) {
            (Fault::Kill, Role::Logger) => self.kills += 1,
            (_, Role::Standby) => self.standby_faults += 1,
            _ => {}
        }
        let who = if role == Role::Logger { "multilog" } else { "the standby process" };
        let call = crate::words::call(kernel, pid, call);
        self.story
            .push(format!("{who} {pid}, call {count}, {call}: {}", crate::words::fault(fault)));
        Some(fault)
    }

    fn performed(&mut self, kernel: &Kernel, pid: Pid, call: Call, result: Option<isize>) {
        self.calls += 1;
        if self.trace {
            let result = crate::words::result(result);
            self.story
                .push(format!("  {pid} {} = {result}", crate::words::call(kernel, pid, call)));
        }
    }
}

fn fault(kind: Kind, call: Call) -> Option<Fault> {
    match kind {
        Kind::Kill => Some(Fault::Kill),
        Kind::Terminate => Some(Fault::Signal(SIGTERM)),
        Kind::Alarm => Some(Fault::Signal(SIGALRM)),
        Kind::Error(choice) => match errors(call.number) {
            [] => None,
            errors => {
                let choice = usize::try_from(choice % errors.len() as u64).unwrap_or(0);
                Some(Fault::Error(errors[choice]))
            }
        },
        Kind::Short(most) => {
            // Not pwrite: Linux overwrites a page of a file as a whole, also if a KILL comes.
            let transfers = [__NR_read, __NR_write].map(|number| number as usize);
            let is_longer = call.arguments[2] > most && call.arguments[0] != 0;
            (transfers.contains(&call.number) && is_longer).then_some(Fault::Short(most))
        }
    }
}

/// Runs a scenario. With `trace`, the story has every system call.
#[must_use]
pub fn run(scenario: &Scenario, trace: bool) -> Report {
    let _alone = machine::lock();
    let mut kernel = Kernel::new(&program::ALL);
    kernel.make_file(MESSAGES, b"");
    let messages = kernel.open_for_appending(MESSAGES);
    let (reader, writer) = kernel.make_pipe();
    let mut world = World::new(kernel, scenario.seed);
    let (seed, lines) = (scenario.input.0.to_string(), scenario.input.1.to_string());
    let _ = world.kernel.start(&["/bin/writer", &seed, &lines], "/", &[(1, writer), (2, messages)]);
    world.kernel.close_outside(writer);
    let mut plan = Plan {
        logger: 0,
        faults: &[],
        happened: Vec::new(),
        calls: 0,
        kills: 0,
        standby_faults: 0,
        story: Vec::new(),
        trace,
    };
    let arguments: Vec<&str> = std::iter::once("/bin/multilog")
        .chain(scenario.script.iter().map(String::as_str))
        .collect();
    let input = Input::new(scenario.input.0, scenario.input.1);
    let mut violation = None;
    let mut logger = 0;
    let mut failed_starts = 0;
    while violation.is_none() {
        let faults = scenario.loggers.get(logger).map_or(&[][..], Vec::as_slice);
        let pid = world.kernel.start(&arguments, "/", &[(0, reader), (1, messages), (2, messages)]);
        plan.story.push(format!("multilog {pid} starts"));
        (plan.logger, plan.faults) = (pid, faults);
        plan.happened = vec![false; faults.len()];
        let ended = wait_for(&mut world, pid, &mut plan);
        let is_last = logger >= scenario.loggers.len();
        logger += 1;
        match ended {
            Err(stuck) => violation = Some(stuck),
            Ok(Ended::Exited(0)) if is_last => {
                plan.story.push(format!("multilog {pid} ends"));
                break;
            }
            // The standby process of a killed logger can still have the lock.
            Ok(how) if is_last && failed_starts < 3 => {
                plan.story.push(format!("multilog {pid}: {how:?}"));
                failed_starts += 1;
            }
            Ok(how) if is_last => violation = Some(Violation::Ended(how)),
            Ok(how) => plan.story.push(format!("multilog {pid}: {how:?}")),
        }
        // Half of the next loggers wait until the standby process has ended.
        let waits = scenario.seed.is_multiple_of(2);
        if violation.is_none() && waits {
            violation = rest(&mut world, &mut plan).err();
            if violation.is_none() && plan.standby_faults == 0 {
                let taken = world.kernel.taken(reader);
                violation = check::pipe(&world.kernel, scenario, &input, taken, plan.kills).err();
            }
        }
        if world.kernel.panicked {
            violation = Some(Violation::Panic);
        }
    }
    if violation.is_none() {
        violation =
            check::logs(&world.kernel, scenario, &input, plan.kills, plan.standby_faults).err();
    }
    if let Some(number) = world.kernel.unknown.first() {
        violation.get_or_insert(Violation::UnknownCall(*number));
    }
    Report { calls: plan.calls, story: plan.story, violation }
}

/// Runs the world until no copy of multilog is left.
fn rest(world: &mut World, plan: &mut Plan<'_>) -> Result<(), Violation> {
    for _ in 0..MOST_STEPS {
        let mut running = world.kernel.running();
        if !running.any(|(_, process)| process.is_copy_of(b"/bin/multilog")) {
            return Ok(());
        }
        drop(running);
        if world.step(plan) == Step::Stuck {
            return Err(Violation::Stuck);
        }
    }
    Err(Violation::Endless)
}

/// Runs the world until a process has ended.
fn wait_for(world: &mut World, pid: Pid, plan: &mut Plan<'_>) -> Result<Ended, Violation> {
    for _ in 0..MOST_STEPS {
        if let Some(ended) = world.kernel.reap(pid) {
            return Ok(ended);
        }
        if world.step(plan) == Step::Stuck {
            return Err(Violation::Stuck);
        }
    }
    Err(Violation::Endless)
}
