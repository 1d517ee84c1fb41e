//! The verbs that change the state of services. They wait for the result by default.

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, NOT_REACHED, TIMED_OUT, USAGE, reason, warn};
use crate::interrupt::{Interrupt, Woken};
use crate::options::{GROUP, KILL_AFTER, NO_WAIT, ROLLING, TIMEOUT};
use crate::output::{Colour, line, shortened};
use crate::requester::noted;
use crate::selection::{Target, named, scan_dir, select};
use crate::times::{age, precise, short};
use crate::verbs::readiness;
use crate::verbs::settling::Settling;
use crate::view::{DENIED, RIGHTS, View, end_words, is_fault};
use servicedir::{Command, Goal, Outcome, Process, Signal, State, Waits};
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// How long a wait is silent.
const QUIET: Duration = Duration::from_secs(1);

/// After this time a wait says how it can be ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

pub(crate) fn up(arguments: &Arguments) -> Result<u8, Failure> {
    change(arguments, &named(arguments)?, &[Command::Up], Goal::Ready)
}

pub(crate) fn down(arguments: &Arguments) -> Result<u8, Failure> {
    change(arguments, &named(arguments)?, &[Command::Down], Goal::Down)
}

pub(crate) fn once(arguments: &Arguments) -> Result<u8, Failure> {
    change(arguments, &named(arguments)?, &[Command::Once], Goal::Ready)
}

pub(crate) fn restart(arguments: &Arguments) -> Result<u8, Failure> {
    let targets = named(arguments)?;
    let commands = [Command::Down, Command::Up];
    if !arguments.has(&ROLLING) {
        return change(arguments, &targets, &commands, Goal::Ready);
    }
    for (number, target) in targets.iter().enumerate() {
        let code = change(arguments, std::slice::from_ref(target), &commands, Goal::Ready)?;
        if code != DONE {
            let left: Vec<_> = targets.iter().skip(number + 1).map(Target::shown).collect();
            if !left.is_empty() {
                warn(&format!("not restarted: {}", left.join(", ")));
            }
            return Ok(code);
        }
    }
    Ok(DONE)
}

pub(crate) fn pause(arguments: &Arguments) -> Result<u8, Failure> {
    signal_only(named(arguments)?, Command::Pause, "sent STOP")
}

pub(crate) fn cont(arguments: &Arguments) -> Result<u8, Failure> {
    signal_only(named(arguments)?, Command::Continue, "sent CONT")
}

pub(crate) fn signal(arguments: &Arguments) -> Result<u8, Failure> {
    let usage = || Failure::new(USAGE, "usage: svctl signal SIGNAL NAME...");
    let (name, services) = arguments.operands.split_first().ok_or_else(usage)?;
    if services.is_empty() {
        return Err(usage());
    }
    let name = name.to_string_lossy();
    let signal = Signal::from_name(&name).ok_or_else(|| {
        let known: Vec<_> = Signal::names().collect();
        let name = crate::output::escape(&name);
        Failure::new(USAGE, format!("unable to send {name}: not one of {}", known.join(", ")))
    })?;
    let command =
        if arguments.has(&GROUP) { Command::SignalGroup(signal) } else { Command::Signal(signal) };
    let targets = select(&scan_dir(arguments), services)?;
    let done = format!("sent {}", signal.name());
    if !arguments.has(&GROUP) {
        return signal_only(targets, command, &done);
    }
    // supervise sends nothing to the group of another process.
    let (leaders, others): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(leads_group);
    for target in &others {
        let name = target.shown();
        warn(&format!("{name} leads no process group, so it gets no signal (pgrphack makes one)"));
    }
    let code = send_only(&leaders, &[command], &done)?;
    Ok(if others.is_empty() { code } else { code.max(NOT_REACHED) })
}

/// Sends a signal to the services that have a process, and reports the others.
pub(crate) fn signal_only(
    targets: Vec<Target>,
    command: Command,
    done: &str,
) -> Result<u8, Failure> {
    let (others, running): (Vec<Target>, Vec<Target>) =
        targets.into_iter().partition(reports_no_process);
    let code = send_only(&running, &[command], done)?;
    Ok(if others.is_empty() { code } else { code.max(NOT_REACHED) })
}

/// Whether a service has no process that can get a signal; then says so.
pub(crate) fn reports_no_process(target: &Target) -> bool {
    use State::{Blocked, Down, Failed, Waiting};
    let state = View::read(target).state();
    let idle = state.filter(|state| matches!(state, Blocked | Down | Failed | Waiting));
    if let Some(state) = idle {
        let name = target.shown();
        warn(&format!(
            "{name} has no process that gets the signal: it is {state} (svctl why {name})"
        ));
    }
    idle.is_some()
}

/// Whether the process of a service leads a process group.
fn leads_group(target: &Target) -> bool {
    let pid = target.dir.status().ok().flatten().and_then(|status| status.pid);
    let process = pid.and_then(|pid| Process::read(pid.get()));
    process.is_some_and(|process| process.group == process.pid)
}

/// Sends commands without a state to wait for.
pub(crate) fn send_only(
    targets: &[Target],
    commands: &[Command],
    done: &str,
) -> Result<u8, Failure> {
    let mut code = DONE;
    for target in targets {
        match noted(&target.dir).send(commands) {
            Ok(()) => line(&format!("{}: {done}", target.shown())),
            Err(error) => {
                warn(&refused(target, &reason(&error)));
                code = CANNOT;
            }
        }
    }
    Ok(code)
}

/// Why a service cannot be controlled.
fn refused(target: &Target, why: &str) -> String {
    let hint = if why == DENIED { format!(" ({RIGHTS})") } else { String::new() };
    format!("unable to control {}: {why}{hint}", target.shown())
}

/// Whether a service puts itself into the background.
fn in_background(target: &Target) -> bool {
    target.dir.path().join("background").exists()
}

/// Sends commands to services, and waits until all have reached `goal`.
pub(crate) fn change(
    arguments: &Arguments,
    targets: &[Target],
    commands: &[Command],
    goal: Goal,
) -> Result<u8, Failure> {
    if arguments.has(&NO_WAIT) {
        return send_only(targets, commands, "command sent");
    }
    let limits = Limits {
        timeout: arguments.duration(&TIMEOUT)?,
        kill_after: arguments.duration(&KILL_AFTER)?,
    };
    let mut wait = Progress::new(arguments)?;
    wait.settles = commands.contains(&Command::Up);
    for target in targets {
        wait.begin(target, commands, goal);
    }
    wait.run(&limits)
}

/// The times after which a wait does something by itself.
pub(crate) struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) kill_after: Option<Duration>,
}

/// A wait for several services, with what a person sees meanwhile.
pub(crate) struct Progress<'a> {
    arguments: &'a Arguments,
    waits: Waits,
    interrupt: Interrupt,
    jobs: Vec<(Target, Goal)>,
    started: Instant,
    /// Whether a line of progress is on the terminal.
    shown: bool,
    code: u8,
    /// Whether a service that is up has to stay up for a moment.
    pub(crate) settles: bool,
    settling: Settling,
    /// The waits for services that die again and again.
    given_up: BTreeSet<usize>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let waits = Waits::new().map_err(|e| Failure::system("watch directories", &e))?;
        let interrupt = Interrupt::new().map_err(|e| Failure::system("handle signals", &e))?;
        Ok(Self {
            arguments,
            waits,
            interrupt,
            jobs: Vec::new(),
            started: Instant::now(),
            shown: false,
            code: DONE,
            settles: false,
            settling: Settling::default(),
            given_up: BTreeSet::new(),
        })
    }

    /// Sends commands to a service and waits for `goal`. A service that cannot be controlled is
    /// reported, and the others go on.
    pub(crate) fn begin(&mut self, target: &Target, commands: &[Command], goal: Goal) {
        match self.waits.begin(&noted(&target.dir), commands, goal) {
            Ok(_) => self.jobs.push((target.clone(), goal)),
            Err(error) => {
                let why = View::read(target).reason().unwrap_or_else(|| reason(&error));
                warn(&refused(target, &why));
                self.code = CANNOT;
            }
        }
    }

    /// Waits, and returns the exit code.
    pub(crate) fn run(mut self, limits: &Limits) -> Result<u8, Failure> {
        let mut kill_after = limits.kill_after;
        let waiting = |e: &io::Error| Failure::system("wait for services", e);
        loop {
            while let Some((number, outcome)) =
                self.waits.next_within(Some(Duration::ZERO)).map_err(|e| waiting(&e))?
            {
                self.finished(number, &outcome);
            }
            self.settle(Instant::now());
            let passed = self.started.elapsed();
            if self.settles && passed >= QUIET {
                self.give_up();
            }
            if self.waits.pending() == self.given_up.len() && self.settling.is_empty() {
                return Ok(self.code);
            }
            if limits.timeout.is_some_and(|limit| limit <= passed) {
                self.settle_all();
                if self.waits.pending() == self.given_up.len() {
                    return Ok(self.code);
                }
                self.timed_out(passed);
                return Ok(if self.code == DONE { TIMED_OUT } else { self.code });
            }
            if kill_after.is_some_and(|limit| limit <= passed) {
                kill_after = None;
                self.kill();
            }
            self.show(passed);
            let settled = self.settling.next().map(|at| at.saturating_duration_since(self.started));
            let next = [limits.timeout, kill_after, self.next_picture(passed), settled];
            let left = next.into_iter().flatten().min().map(|at| at.saturating_sub(passed));
            let woken = self.interrupt.wait(self.waits.as_fd(), left).map_err(|e| waiting(&e))?;
            match woken {
                Woken::Interrupted => {
                    self.settle_all();
                    self.interrupted();
                    return Ok(INTERRUPTED);
                }
                // The events are read by next_within, which must not sleep.
                Woken::Ready | Woken::Timeout => {}
            }
        }
    }

    /// When the terminal shows the next picture: once a second, after a silent one.
    fn next_picture(&self, passed: Duration) -> Option<Duration> {
        if passed < QUIET {
            return Some(QUIET);
        }
        self.arguments.output.terminal.then(|| Duration::from_secs(passed.as_secs() + 1))
    }

    fn finished(&mut self, number: usize, outcome: &Outcome) {
        let Some((target, goal)) = self.jobs.get(number).cloned() else { return };
        if self.given_up.remove(&number) {
            return;
        }
        let passed = self.started.elapsed();
        match outcome {
            Outcome::Reached(Some(snapshot)) => {
                let pid = snapshot.status.pid;
                // One that reports its readiness is ready; another one may die of a mistake at once. One
                // that puts itself into the background has another process then.
                let is_plain = snapshot.state == State::Up && !in_background(&target);
                if let Some(pid) = pid.filter(|_| self.settles && is_plain) {
                    self.settling.add(number, pid, age(snapshot.status.since), passed);
                } else {
                    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
                    self.reached(&target, snapshot.state.word(), passed, &pid);
                }
            }
            Outcome::Reached(None) => self.reached(&target, goal.word(), passed, ""),
            Outcome::Failed(why) => {
                let why = why.map_or_else(String::new, |why| format!(": {}", why.words()));
                self.not_reached(&target, &format!("has failed{why}"));
            }
            _ => self.not_reached(&target, "has ended and is not started again"),
        }
    }

    fn reached(&mut self, target: &Target, word: &str, passed: Duration, pid: &str) {
        self.clear();
        let word = self.arguments.output.paint(Some(Colour::Green), word);
        line(&format!("{}: {word} after {}{pid}", target.shown(), precise(passed)));
    }

    fn not_reached(&mut self, target: &Target, what: &str) {
        self.clear();
        let name = target.shown();
        warn(&format!("{name} {what} (svctl why {name})"));
        self.code = NOT_REACHED;
    }

    /// Looks at the services that have been up for long enough at a time.
    fn settle(&mut self, now: Instant) {
        for young in self.settling.due(now) {
            let Some((target, _)) = self.jobs.get(young.number).cloned() else { continue };
            let view = View::read(&target);
            let snapshot = view.snapshot();
            if snapshot.is_some_and(|it| it.status.pid == Some(young.pid)) {
                let word = view.word();
                self.reached(&target, word, young.passed, &format!(", pid {}", young.pid));
            } else {
                let end = snapshot.and_then(|it| it.last_end).map(end_words);
                let end = end.map_or_else(String::new, |end| format!(": {end}"));
                self.not_reached(&target, &format!("ended right after its start{end}"));
            }
        }
    }

    /// Ends the waits for services that have died since the command and cannot say when they are ready:
    /// the wait would end at one of their next starts, and they die again then.
    fn give_up(&mut self) {
        for number in self.waits.unfinished().collect::<Vec<_>>() {
            let Some((target, _)) = self.jobs.get(number).cloned() else { continue };
            let view = View::read(&target);
            let Some(snapshot) = view.snapshot() else { continue };
            let Some(end) = snapshot.last_end.filter(|end| is_fault(*end)) else { continue };
            if snapshot.state == State::Waiting
                && view.is_failing()
                && age(snapshot.status.since) < self.started.elapsed()
                && !readiness::is_reported(&target)
                && !in_background(&target)
                && self.given_up.insert(number)
            {
                self.not_reached(
                    &target,
                    &format!("ended right after its start: {}", end_words(end)),
                );
            }
        }
    }

    /// Looks at all services that are up, because the wait ends.
    fn settle_all(&mut self) {
        if let Some(last) = self.settling.last() {
            self.settle(last);
        }
    }

    /// The names of the services that are waited for, with their states.
    fn unfinished(&self) -> Vec<(String, Goal, View)> {
        let waited = self.waits.unfinished().filter(|number| !self.given_up.contains(number));
        let jobs = waited.filter_map(|number| self.jobs.get(number));
        jobs.map(|(target, goal)| (target.shown(), *goal, View::read(target))).collect()
    }

    fn show(&mut self, passed: Duration) {
        let is_settling = self.waits.pending() == self.given_up.len();
        if passed < QUIET || is_settling || (!self.arguments.output.terminal && self.shown) {
            return;
        }
        let waiting: Vec<String> = self
            .unfinished()
            .into_iter()
            .take(3)
            .map(|(name, goal, view)| {
                let note = view.note();
                let note = if note.is_empty() { String::new() } else { format!(", {note}") };
                format!("{name} until {} (now {}{note})", goal.word(), view.word())
            })
            .collect();
        let pending = self.waits.pending().saturating_sub(self.given_up.len());
        let more = pending.saturating_sub(waiting.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("waiting {} for {}{more}", short(passed), waiting.join(", "));
        if self.arguments.output.terminal {
            // The last column stays free: a line that fills it makes some terminals scroll.
            let width = self.arguments.output.width.saturating_sub(1);
            let hint = " (Ctrl-C ends the wait)";
            let text = if passed < PATIENCE { text } else { text + hint };
            let _ = write!(io::stderr(), "\r\x1b[K{}", shortened(&text, width));
        } else {
            let _ = writeln!(io::stderr(), "svctl: info: {text}");
        }
        self.shown = true;
    }

    /// Removes the line of progress from the terminal.
    fn clear(&mut self) {
        if self.shown && self.arguments.output.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }

    fn timed_out(&mut self, passed: Duration) {
        self.clear();
        for (name, goal, view) in self.unfinished() {
            let (goal, passed, now) = (goal.word(), precise(passed), view.word());
            warn(&format!("{name} is not {goal} after {passed}: it is {now} (svctl why {name})"));
        }
    }

    fn kill(&mut self) {
        self.clear();
        for number in self.waits.unfinished() {
            let Some((target, _)) = self.jobs.get(number) else { continue };
            match noted(&target.dir).send(&[Command::Signal(Signal::Kill)]) {
                Ok(()) => line(&format!("{}: sent KILL", target.shown())),
                Err(error) => {
                    warn(&format!("unable to control {}: {}", target.shown(), reason(&error)));
                }
            }
        }
    }

    fn interrupted(&mut self) {
        self.clear();
        for (name, goal, view) in self.unfinished() {
            let (goal, now) = (goal.word(), view.word());
            warn(&format!(
                "no longer waiting for {name}: the command was sent, it is {now} and not yet {goal} \
                 (svctl why {name})"
            ));
        }
    }
}
