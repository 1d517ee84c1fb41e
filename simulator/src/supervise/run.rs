//! Runs a scenario.

use super::check::{self, SERVICE, Violation};
use super::scenario::{Action, PlannedFault, Scenario, Supervise};
use super::watch::Watch;
use crate::kernel::{Ended, Kernel, MESSAGES, Pid};
use crate::program;
use crate::random::Random;
use crate::simulation::Report;
use crate::world::{Step, World};
use linux_raw_sys::general::{SIGKILL, SIGTERM, SIGUSR2};

/// More steps than any scenario needs.
const MOST_STEPS: u64 = 300_000;

/// The time in which everything comes to rest, in milliseconds: a second until the next start, and 5
/// until a failed write is repeated.
const SETTLE: u64 = 6500;

/// More processes than any scenario needs that have nothing to do with the service.
const MOST_STRANGERS: usize = 3;

const MILLISECOND: u64 = 1_000_000;

/// A run.
struct Run<'a> {
    scenario: &'a Scenario,
    world: World,
    watch: Watch,
    random: Random,
    /// Standard input, and standard output and error.
    files: [(i32, usize); 3],
    supervise: Pid,
    strangers: usize,
    steps: u64,
    /// The service's processes, and since when.
    running: (Vec<Pid>, u64),
    /// A second supervise.
    second: Option<Pid>,
    /// The machine has started, and no command has come since then: whether the service is wanted up.
    normally_up: Option<bool>,
    power_cuts: u64,
}

/// Runs a scenario. With `trace`, the story has every system call.
#[must_use]
pub(super) fn run(scenario: &Scenario, trace: bool) -> Report<Violation> {
    let _alone = machine::lock();
    let mut run = Run::new(scenario, trace);
    let violation = run.all().err().filter(|it| *it != Violation::Excused);
    Report::new(&run.world.kernel, violation, run.watch.story)
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, trace: bool) -> Self {
        let mut kernel = Kernel::new(&program::ALL);
        kernel.tells_ends = scenario.tells_ends;
        if scenario.pids != 0 {
            kernel.limit_pids(scenario.pids);
        }
        let script = format!("#!/bin/service {}\n", scenario.service);
        kernel.make_script(&format!("{SERVICE}/run"), script.as_bytes());
        for (name, text) in &scenario.options.0 {
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            kernel.replace_file(&format!("{SERVICE}/{name}"), text.as_bytes(), mode);
        }
        if scenario.down {
            kernel.make_file(&format!("{SERVICE}/down"), b"");
        }
        kernel.make_file(MESSAGES, b"");
        if let Some(kind) = scenario.disk {
            kernel.use_disk(kind);
        }
        let files = kernel.open_standard_files();
        Self {
            scenario,
            world: World::new(kernel, scenario.seed),
            watch: Watch::new(trace, scenario.options.clone()),
            random: Random::new(!scenario.seed),
            files,
            supervise: 0,
            strangers: 0,
            steps: 0,
            running: (Vec::new(), 0),
            second: None,
            normally_up: None,
            power_cuts: 0,
        }
    }

    /// The power fails, and the machine starts again.
    fn lose_power(&mut self) -> Result<(), Violation> {
        self.power_cuts += 1;
        self.watch.story.tell(&self.world.kernel, "the power fails, and the machine starts again");
        let kernel = &mut self.world.kernel;
        kernel.cut_power(&mut Random::new(self.scenario.seed ^ self.power_cuts));
        // A start of the machine takes a while.
        kernel.set_clock_by(10);
        self.files = kernel.open_standard_files();
        self.watch.start_again();
        (self.running, self.second, self.strangers) = ((Vec::new(), 0), None, 0);
        self.watch.got_signal = false;
        self.normally_up = Some(kernel.look_up(&format!("{SERVICE}/down")).is_none());
        Ok(())
    }

    fn all(&mut self) -> Result<(), Violation> {
        let scenario = self.scenario;
        let (last, others) = scenario.supervises.split_last().expect("a last supervise");
        for supervise in others {
            self.start(supervise.faults.clone());
            if self.one(supervise)?.is_none() {
                self.kill()?;
            }
            let pause = self.random.one_of(&[0, 0, 5, 1000]);
            self.pass(pause)?;
        }
        self.start(Vec::new());
        self.one(last)?;
        self.finish_edits();
        let settle = SETTLE + self.longest_between() / MILLISECOND;
        self.stay(settle)?;
        self.check_adoption()?;
        self.act(&Action::Letters(scenario.end.clone()))?;
        let mut ended = None;
        if scenario.ignores_term() && scenario.end.starts_with('d') {
            ended = self.pass(20)?;
            self.act(&Action::KillService)?;
        }
        ended = ended.or(self.pass(settle)?);
        check::obeyed(scenario, &self.world.kernel, ended)?;
        if scenario.end.starts_with('d') && !self.watch.any_error {
            self.watch.promises.down(&self.world.kernel, self.watch.was_killed)?;
        }
        if ended.is_none() {
            self.check_rest()?;
        }
        Ok(())
    }

    /// A supervise that leaves in order does not tell the next one when it started the service.
    fn forget_start_of_one_that_leaves(&mut self) {
        let record = check::record(&self.world.kernel);
        if record.is_none_or(|record| record.starts_with(b"leaving=yes")) {
            self.watch.forget_start();
        }
    }

    fn start(&mut self, faults: Vec<PlannedFault>) {
        self.forget_start_of_one_that_leaves();
        let kernel = &mut self.world.kernel;
        self.supervise = kernel.start(&["/bin/supervise", SERVICE], "/", &self.files);
        self.watch.begin(self.supervise, faults);
        self.watch.promises.begin(kernel);
        self.watch.story.tell(kernel, &format!("supervise {} starts", self.supervise));
        self.running.1 = self.running.1.max(kernel.now);
    }

    /// The administrator has finished: there is a whole run script again.
    fn finish_edits(&mut self) {
        let script = format!("#!/bin/service {}\n", self.scenario.service);
        self.world.kernel.replace_file(&format!("{SERVICE}/run"), script.as_bytes(), 0o755);
    }

    fn kill(&mut self) -> Result<(), Violation> {
        self.watch.was_killed = true;
        self.end_second();
        self.watch.story.tell(&self.world.kernel, "supervise is killed while it waits");
        self.world.kernel.kill_process(self.supervise, SIGKILL);
        self.pass(0).map(drop)
    }

    /// A supervise with its events. Returns how it has ended.
    fn one(&mut self, supervise: &Supervise) -> Result<Option<Ended>, Violation> {
        let mut time = 0;
        for event in &supervise.events {
            if let Some(ended) = self.pass(event.after.saturating_sub(time))? {
                return Ok(Some(ended));
            }
            time = event.after;
            self.act(&event.action)?;
        }
        self.pass(supervise.patience.saturating_sub(time))
    }

    /// Lets time pass with a supervise: starts the next one if one has left.
    fn stay(&mut self, milliseconds: u64) -> Result<(), Violation> {
        let most = if self.scenario.options.has("essential") { 20 } else { 5 };
        for _ in 0..most {
            if self.world.kernel.process(self.supervise).is_none() {
                if self.scenario.options.has("essential") {
                    // Something above svscan starts all again.
                    self.pass(1000)?;
                }
                self.start(Vec::new());
            }
            if self.pass(milliseconds)?.is_none() {
                return Ok(());
            }
        }
        match self.scenario.options.has("essential") {
            // It ends again and again.
            true => Err(Violation::Excused),
            false => Err(Violation::Endless),
        }
    }

    /// Kills a supervise at rest: the next one goes on as before.
    fn check_adoption(&mut self) -> Result<(), Violation> {
        let state = |kernel: &Kernel| (check::status(kernel), check::running(kernel));
        let leaving = check::record(&self.world.kernel);
        let leaving = leaving.is_some_and(|record| record.starts_with(b"leaving=yes"));
        let before = state(&self.world.kernel);
        self.kill()?;
        self.stay(SETTLE + self.longest_between() / MILLISECOND)?;
        let after = state(&self.world.kernel);
        if leaving {
            return Ok(());
        }
        check::adopted(self.scenario, (before.0, &before.1), (after.0, &after.1))
    }

    fn check_rest(&self) -> Result<(), Violation> {
        let kernel = &self.world.kernel;
        if self.watch.is_excused(&check::running(kernel)) {
            return Err(Violation::Excused);
        }
        let longest = match self.watch.any_error {
            true => check::LONGEST_PAUSE_AFTER_ERROR,
            false => check::LONGEST_PAUSE,
        };
        if let (Some(up), Some(status)) = (self.normally_up, check::status(kernel))
            && !self.watch.got_signal
            && !self.scenario.options.can_fail()
            && status.want != if up { b'u' } else { b'd' }
        {
            return Err(Violation::AfterBoot(format!("wanted up is {up}, and {status:?}")));
        }
        self.watch.promises.at_rest(kernel)?;
        let most_descriptors = match self.scenario.options.0.is_empty() {
            true => check::MOST_DESCRIPTORS,
            false => check::MOST_DESCRIPTORS_WITH_OPTIONS,
        };
        let mut longest = longest + self.longest_between();
        if self.watch.promises.has_jumped() && !self.scenario.options.0.is_empty() {
            // The next start is recorded by the wall clock.
            longest += 5_000_000_000;
        }
        check::at_rest(
            kernel,
            self.supervise,
            most_descriptors,
            (self.running.1, longest),
            !self.watch.was_killed,
        )
    }

    /// The longest time between two runs that the options add, in nanoseconds.
    fn longest_between(&self) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        let options = &self.scenario.options;
        let mut longest = 0;
        longest += if options.has("restart-delay") { 3 * SECOND } else { 0 };
        longest += if options.stops_group() { 6 * SECOND } else { 0 };
        longest + if options.finishes() || options.has("start") { 3 * SECOND } else { 0 }
    }

    fn act(&mut self, action: &Action) -> Result<(), Violation> {
        let kernel = &mut self.world.kernel;
        match action {
            Action::Letters(_) | Action::Terminate => {
                self.normally_up = None;
                self.watch.promises.command(kernel);
            }
            Action::Clock(_) => self.watch.promises.set_clock(kernel),
            Action::Write(name, _) | Action::Remove(name) if name == "down" => {
                self.normally_up = None;
            }
            _ => {}
        }
        match action {
            Action::Letters(letters) => {
                self.watch.story.tell(kernel, &format!("svc -{letters} {SERVICE}"));
                let option = format!("-{letters}");
                kernel.start(&["/bin/svc", &option, SERVICE], "/", &self.files);
            }
            Action::KillService => {
                if let Some(pid) = check::running(kernel).first() {
                    self.watch.story.tell(kernel, &format!("process {pid} is killed"));
                    kernel.kill_process(*pid, SIGKILL);
                }
            }
            Action::Terminate => {
                self.watch.story.tell(kernel, "supervise gets TERM");
                kernel.kill_process(self.supervise, SIGTERM);
            }
            Action::Stranger if self.strangers < MOST_STRANGERS => {
                self.strangers += 1;
                let pid = kernel.start(&["/bin/stranger"], "/", &self.files);
                self.watch.story.tell(kernel, &format!("another process {pid} starts"));
            }
            Action::Stranger => {}
            Action::Upgrade => {
                self.watch.story.tell(kernel, "supervise gets USR2");
                kernel.kill_process(self.supervise, SIGUSR2);
            }
            Action::Second if self.second.is_none() => {
                let second = kernel.start(&["/bin/supervise", SERVICE], "/", &self.files);
                self.watch.story.tell(kernel, &format!("a second supervise {second} starts"));
                self.second = Some(second);
            }
            Action::Second => {}
            Action::Clock(seconds) => {
                self.watch
                    .story
                    .tell(kernel, &format!("the wall clock jumps by {seconds} seconds"));
                kernel.set_clock_by(*seconds);
            }
            Action::Power => kernel.power_failed = true,
            Action::Write(name, text) => {
                self.watch.story.tell(kernel, &format!("{name} is written: {text:?}"));
                let mode = if name == "run" { 0o755 } else { 0o644 };
                kernel.replace_file(&format!("{SERVICE}/{name}"), text.as_bytes(), mode);
            }
            Action::Remove(name) => {
                self.watch.story.tell(kernel, &format!("{name} is removed"));
                kernel.remove_file(&format!("{SERVICE}/{name}"));
            }
        }
        Ok(())
    }

    /// Lets time pass. Returns how supervise has ended, and then only until then.
    fn pass(&mut self, milliseconds: u64) -> Result<Option<Ended>, Violation> {
        let until = self.world.kernel.now + milliseconds * MILLISECOND;
        self.world.alarm = Some(until);
        loop {
            self.look()?;
            if self.world.kernel.power_failed {
                self.lose_power()?;
                return Ok(Some(Ended::Killed(SIGKILL)));
            }
            if let Some(ended) = self.world.kernel.reap(self.supervise) {
                if ended != Ended::Exited(0)
                    && let Some(second) = self.second.take()
                {
                    let event =
                        format!("supervise {}: {ended:?}, {second} goes on", self.supervise);
                    self.watch.story.tell(&self.world.kernel, &event);
                    self.forget_start_of_one_that_leaves();
                    self.supervise = second;
                    self.watch.go_on_with(second);
                    self.watch.promises.begin(&self.world.kernel);
                    continue;
                }
                if ended == Ended::Exited(0) {
                    // A second one may write its record before the next one starts.
                    self.watch.forget_start();
                }
                self.end_second();
                self.ended(ended)?;
                return Ok(Some(ended));
            }
            match self.world.step(&mut self.watch) {
                Step::Done if self.world.kernel.now < until => {}
                Step::Done => return Ok(None),
                Step::Alarm | Step::Stuck => break,
            }
        }
        if check::waits(&self.world.kernel, self.supervise) && !self.watch.had_error {
            self.check_rest()?;
        }
        Ok(None)
    }

    /// The second supervise has nothing to do any more.
    fn end_second(&mut self) {
        if let Some(second) = self.second.take() {
            self.world.kernel.kill_process(second, SIGKILL);
        }
    }

    /// A second supervise has to leave at once.
    fn look_at_second(&mut self) -> Result<(), Violation> {
        let Some(second) = self.second else { return Ok(()) };
        let Some(ended) = self.world.kernel.reap(second) else { return Ok(()) };
        self.second = None;
        self.watch
            .story
            .tell(&self.world.kernel, &format!("the second supervise {second}: {ended:?}"));
        match ended {
            Ended::Exited(111) => Ok(()),
            _ if self.watch.holder != self.supervise => {
                self.watch.forget_start();
                Ok(())
            }
            other => Err(Violation::Second(other)),
        }
    }

    fn ended(&mut self, how: Ended) -> Result<(), Violation> {
        self.watch
            .story
            .tell(&self.world.kernel, &format!("supervise {}: {how:?}", self.supervise));
        match how {
            Ended::Exited(0) | Ended::Killed(SIGKILL) => Ok(()),
            _ if self.scenario.may_end(Some(how)) => {
                self.watch.forget_start();
                Ok(())
            }
            _ if self.watch.had_error => Ok(()),
            Ended::Killed(SIGTERM | SIGUSR2) if !self.watch.takes_signals => Ok(()),
            other => Err(Violation::Ended(other)),
        }
    }

    /// Looks at the processes after a step: what init would do, and what must always hold.
    fn look(&mut self) -> Result<(), Violation> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Violation::Endless);
        }
        if let Some(violation) = self.watch.violation.take() {
            return Err(violation);
        }
        self.look_at_second()?;
        let kernel = &mut self.world.kernel;
        let running = check::existing(kernel, self.supervise);
        if running != self.running.0 {
            self.watch.promises.only_exist(kernel, &running);
            self.watch.forget_others(&running);
            self.running = (running, kernel.now);
        }
        let supervise = self.supervise;
        let ended = kernel.ended_children_of_init().find(|pid| *pid != supervise);
        if let Some(ended) = ended
            && self.random.one_in(3)
        {
            kernel.reap(ended);
        }
        Ok(())
    }
}
