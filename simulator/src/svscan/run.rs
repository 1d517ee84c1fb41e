//! Runs a scenario.

use super::check::{self, Found, Violation};
use super::scenario::{Action, PlannedFault, Scenario, Service, Svscan};
use super::watch::Watch;
use crate::kernel::{Ended, Kernel, MESSAGES, Pid};
use crate::program;
use crate::random::Random;
use crate::simulation::Report;
use crate::world::{Step, World};
use linux_raw_sys::general::{SIGHUP, SIGKILL, SIGTERM};

/// More steps than any scenario needs.
const MOST_STEPS: u64 = 600_000;

/// The scan directory.
const SCAN: &str = "/scan";

/// The time in which everything comes to rest, in milliseconds: the longest pause before a supervise starts again, and
/// the second until a name counts as gone.
const SETTLE: u64 = 14_000;

/// The same after a failed call: the scan of the whole directory after 60 seconds finds what it has hidden.
const SETTLE_AFTER_ERROR: u64 = 75_000;

/// The time in which a service ends and starts again that was asked to.
const RESTART: u64 = 10_000;

/// The time from the start of a svscan until it knows all services.
const BEGINNING: u64 = 2_500;

/// A name that comes back within this time, in milliseconds, has not been gone.
const RENAMING: u64 = 900;

const MILLISECOND: u64 = 1_000_000;

/// The state of a service directory.
struct Directory<'a> {
    service: &'a Service,
    /// The name in the scan directory.
    name: Option<String>,
    /// The copy that is not yet complete.
    copier: Option<Pid>,
    exists: bool,
    /// Until then something may end the service.
    excused: u64,
    /// `svc -d` was the last command about it.
    is_down: bool,
    /// The svscan that has seen the name go lives on.
    seen_to_go: bool,
    /// The name has been gone.
    was_removed: bool,
    /// When it went, and until when something might end the service before.
    removed: (u64, u64),
    /// The service process.
    process: Option<Pid>,
}

impl Directory<'_> {
    /// Its path.
    fn path(&self, n: usize) -> String {
        match &self.name {
            Some(name) if self.service.is_copied => format!("{SCAN}/{name}"),
            _ => home(n),
        }
    }

    fn lasts(&self) -> bool {
        self.service.kind != "exits"
    }
}

/// The command of a svscan.
const fn words(keeps: bool) -> &'static [&'static str] {
    if keeps { &["/bin/svscan", "-k", SCAN] } else { &["/bin/svscan", SCAN] }
}

fn home(n: usize) -> String {
    format!("/srv/s{n}")
}

/// A run.
struct Run<'a> {
    scenario: &'a Scenario,
    world: World,
    watch: Watch,
    random: Random,
    /// Standard input, and standard output and error.
    files: [(i32, usize); 3],
    svscan: Pid,
    /// Other svscans that were started.
    others: Vec<Pid>,
    directories: Vec<Directory<'a>>,
    steps: u64,
    /// A svscan has gone that had pipes.
    has_died: bool,
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
        kernel.make_directory(SCAN);
        kernel.make_directory("/srv");
        let new = |(n, service): (usize, &'a Service)| {
            let (home, exists) = (home(n), !service.is_copied);
            if exists {
                let script = format!("#!/bin/speaker {}\n", service.kind);
                kernel.make_script(&format!("{home}/run"), script.as_bytes());
                if service.has_logger {
                    kernel.make_script(&format!("{home}/log/run"), b"#!/bin/listener\n");
                }
                kernel.make_symbolic_link(&home, &format!("{SCAN}/s{n}"));
            }
            Directory {
                service,
                name: exists.then(|| format!("s{n}")),
                copier: None,
                exists,
                excused: 0,
                is_down: false,
                seen_to_go: false,
                was_removed: false,
                removed: (0, 0),
                process: None,
            }
        };
        let directories = scenario.services.iter().enumerate().map(new).collect();
        kernel.make_file(MESSAGES, b"");
        let files = kernel.open_standard_files();
        Self {
            scenario,
            world: World::new(kernel, scenario.seed),
            watch: Watch::new(trace),
            random: Random::new(!scenario.seed),
            files,
            svscan: 0,
            others: Vec::new(),
            directories,
            steps: 0,
            has_died: false,
        }
    }

    fn all(&mut self) -> Result<(), Violation> {
        let (last, others) = self.scenario.svscans.split_last().expect("a last svscan");
        for svscan in others {
            self.start(svscan.faults.clone())?;
            if self.one(svscan)?.is_none() {
                self.kill()?;
            }
            let pause = self.random.one_of(&[0, 0, 5, 1000]);
            self.pass(pause)?;
        }
        self.start(Vec::new())?;
        self.one(last)?;
        self.stay(self.settle())?;
        for n in 0..self.directories.len() {
            self.act(Action::Letter('u', n));
        }
        self.stay(SETTLE)?;
        self.check_rest()?;
        self.check_end()
    }

    const fn settle(&self) -> u64 {
        if self.watch.any_error { SETTLE_AFTER_ERROR } else { SETTLE }
    }

    fn start(&mut self, faults: Vec<PlannedFault>) -> Result<(), Violation> {
        // Another svscan may have taken the place of the one that is gone.
        if !self.others.is_empty() {
            self.pass(3000)?;
        }
        let kernel = &mut self.world.kernel;
        self.others.retain(|pid| kernel.process(*pid).is_some_and(|it| it.ended.is_none()));
        let keeps = self.scenario.keeps;
        self.svscan = match self.others.pop() {
            Some(other) => {
                self.watch.story.tell(kernel, &format!("svscan {other} goes on in its place"));
                other
            }
            None => {
                let pid = kernel.start(words(keeps), "/", &self.files);
                self.watch.story.tell(kernel, &format!("svscan {pid} starts"));
                pid
            }
        };
        self.watch.begin(self.svscan, faults);
        for directory in &mut self.directories {
            directory.seen_to_go = false;
            if directory.name.is_some() {
                // What the last svscan has asked for still happens.
                let soon = kernel.now + RESTART * MILLISECOND;
                directory.excused = directory.excused.min(soon);
            }
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), Violation> {
        self.watch.story.tell(&self.world.kernel, "svscan is killed while it waits");
        self.world.kernel.kill_process(self.svscan, SIGKILL);
        self.pass(0).map(drop)
    }

    /// A svscan with its events. Returns how it has ended.
    fn one(&mut self, svscan: &Svscan) -> Result<Option<Ended>, Violation> {
        let mut time = 0;
        for event in &svscan.events {
            if let Some(ended) = self.pass(event.after.saturating_sub(time))? {
                return Ok(Some(ended));
            }
            time = event.after;
            self.act(event.action);
        }
        self.pass(svscan.patience.saturating_sub(time))
    }

    /// Lets time pass with a svscan: starts the next one if one has left.
    fn stay(&mut self, milliseconds: u64) -> Result<(), Violation> {
        for _ in 0..5 {
            if self.world.kernel.process(self.svscan).is_none() {
                self.start(Vec::new())?;
            }
            // One that stops everything waits for a service that ignores TERM.
            if self.watch.terminated {
                self.kill_ignoring()?;
            }
            if self.pass(milliseconds)?.is_none() && !self.watch.terminated {
                return Ok(());
            }
        }
        Err(Violation::Endless)
    }

    /// Kills the services that ignore TERM.
    fn kill_ignoring(&mut self) -> Result<(), Violation> {
        self.pass(2000)?;
        for n in 0..self.directories.len() {
            if self.directories[n].service.kind == "ignores" {
                self.act(Action::KillService(n));
            }
        }
        Ok(())
    }

    fn found(&self, n: usize) -> Option<Found> {
        Found::at(&self.world.kernel, &self.directories[n].path(n))
    }

    fn check_rest(&self) -> Result<(), Violation> {
        let kernel = &self.world.kernel;
        let (mut pipes, mut adopted) = (0, 0);
        for (n, directory) in self.directories.iter().enumerate() {
            let Some(found) = self.found(n) else { continue };
            let has_logger = directory.service.has_logger;
            pipes += 2 * usize::from(has_logger);
            let supervises = found.supervises.iter().chain(&found.log_supervises);
            let is_adopted =
                |pid: &&Pid| kernel.process(**pid).is_some_and(|it| it.parent != self.svscan);
            adopted += supervises.filter(is_adopted).count();
            // One that was asked to stop, and does not, is not managed again before it ends.
            let may_stop = directory.was_removed && directory.service.kind == "ignores";
            if directory.name.is_some() && directory.copier.is_none() && !may_stop {
                found.check_up(n, directory.lasts(), has_logger)?;
                found.check_pipe(kernel, n)?;
            } else if directory.seen_to_go
                && !self.scenario.keeps
                && directory.service.kind != "ignores"
                && !self.was_supervise_killed(n)
                && !found.is_empty()
            {
                return Err(Violation::NotRemoved(n, format!("{found:?}")));
            }
        }
        let descriptors = kernel.descriptors_of(self.svscan).len();
        if descriptors > check::MOST_DESCRIPTORS + pipes + adopted {
            return Err(Violation::Descriptors(descriptors));
        }
        kernel.zombie().map_or(Ok(()), |pid| Err(Violation::Zombie(pid)))
    }

    /// Ends svscan: everything ends with it, and nothing is lost.
    fn check_end(&mut self) -> Result<(), Violation> {
        self.act(Action::Terminate);
        self.kill_ignoring()?;
        let ended = self.pass(SETTLE)?;
        for (n, directory) in self.directories.iter().enumerate() {
            let Some(found) = self.found(n) else { continue };
            let may_stay = directory.was_removed && self.was_supervise_killed(n);
            if directory.name.is_some() && !found.is_empty() && !may_stay {
                return Err(Violation::NotEnded(n, format!("{found:?}")));
            }
            let path = directory.path(n);
            let inode = self.world.kernel.inode_at(&path).unwrap_or(0);
            let written = self.watch.written.get(&inode).map_or(&[][..], Vec::as_slice);
            let log = check::log(&self.world.kernel, &path);
            check::check_log(n, &log, written).map_err(|it| match self.is_excused(n) {
                true => Violation::Excused,
                false => it,
            })?;
        }
        if ended.is_none() && self.world.kernel.process(self.svscan).is_some() {
            return Err(Violation::Endless);
        }
        Ok(())
    }

    /// The supervise of a logger is killed.
    fn note_kill(&mut self, n: usize) {
        let log = format!("{}/log", self.directories[n].path(n));
        self.watch.killed_in.extend(self.world.kernel.inode_at(&log));
    }

    fn was_killed_in(&self, path: &str) -> bool {
        let (killed, inode) = (&self.watch.killed_in, self.world.kernel.inode_at(path));
        killed.contains(&0) || inode.is_some_and(|inode| killed.contains(&inode))
    }

    /// Whether a supervise of the service was killed. svscan does not find a directory whose name is gone.
    fn was_supervise_killed(&self, n: usize) -> bool {
        let path = self.directories[n].path(n);
        self.was_killed_in(&path) || self.was_killed_in(&format!("{path}/log"))
    }

    /// Whether nothing may have kept the pipe of a service: the logger has ended or its supervise was killed, and
    /// svscan was killed, or does not find the directory because its name is gone.
    fn is_excused(&self, n: usize) -> bool {
        let directory = &self.directories[n];
        let log = format!("{}/log", directory.path(n));
        (self.has_died || directory.was_removed) && self.was_killed_in(&log)
    }

    fn tell(&mut self, event: &str) {
        self.watch.story.tell(&self.world.kernel, event);
    }

    /// The service is asked to end, and to start again.
    fn excuse(&mut self, n: usize) {
        let until = self.world.kernel.now + RESTART * MILLISECOND;
        self.directories[n].excused = self.directories[n].excused.max(until);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Link(n) | Action::Remove(n) | Action::Rename(n)
                if self.directories.get(n).is_some_and(|it| it.copier.is_none()) =>
            {
                self.change_name(action, n);
            }
            Action::Letter(letter, n) if n < self.directories.len() => {
                let path = self.directories[n].path(n);
                self.directories[n].is_down = letter == 'd';
                if letter != 'u' {
                    self.excuse(n);
                }
                self.tell(&format!("svc -{letter} {path}"));
                let option = format!("-{letter}");
                self.world.kernel.start(&["/bin/svc", &option, &path], "/", &self.files);
            }
            Action::KillService(n) if n < self.directories.len() => {
                self.excuse(n);
                self.signal(n, "the service", SIGKILL, |it| it.services);
            }
            Action::KillSupervise(n) if n < self.directories.len() => {
                let path = self.directories[n].path(n);
                self.watch.killed_in.extend(self.world.kernel.inode_at(&path));
                self.signal(n, "supervise", SIGKILL, |it| it.supervises);
            }
            Action::KillLogSupervise(n) if n < self.directories.len() => {
                self.note_kill(n);
                self.signal(n, "the supervise of the logger", SIGKILL, |it| it.log_supervises);
            }
            Action::EndLogger(n) if n < self.directories.len() => {
                self.note_kill(n);
                self.signal(n, "the logger", SIGTERM, |it| it.loggers);
            }
            Action::Upgrade => {
                self.tell("svscan -u");
                self.world.kernel.start(&["/bin/svscan", "-u", SCAN], "/", &self.files);
            }
            Action::Another => {
                let words = words(self.scenario.keeps);
                let pid = self.world.kernel.start(words, "/", &self.files);
                self.tell(&format!("another svscan {pid} starts"));
                self.others.push(pid);
            }
            Action::Terminate => {
                self.tell("svscan gets TERM");
                self.watch.terminated = true;
                self.world.kernel.kill_process(self.svscan, SIGTERM);
            }
            Action::Reread => {
                self.tell("svscan gets HUP");
                self.world.kernel.kill_process(self.svscan, SIGHUP);
            }
            Action::Flood => {
                self.tell("many names come and go");
                for n in 0..40 {
                    let path = format!("{SCAN}/flood{n}");
                    self.world.kernel.make_file(&path, b"");
                    let _ = self.world.kernel.remove_name(&path);
                }
            }
            _ => {}
        }
    }

    fn signal(&mut self, n: usize, what: &str, signal: u32, choose: fn(Found) -> Vec<Pid>) {
        let Some(pid) = self.found(n).and_then(|it| choose(it).first().copied()) else { return };
        self.tell(&format!("{what} {n}, process {pid}, gets signal {signal}"));
        self.world.kernel.kill_process(pid, signal);
    }

    fn change_name(&mut self, action: Action, n: usize) {
        let kernel = &mut self.world.kernel;
        let directory = &mut self.directories[n];
        let home = home(n);
        match (action, directory.name.clone()) {
            (Action::Link(_), None) => {
                let name = format!("s{n}");
                let path = format!("{SCAN}/{name}");
                let now = kernel.now;
                if !directory.service.is_copied {
                    kernel.make_symbolic_link(&home, &path);
                } else if directory.exists {
                    let _ = kernel.rename_name(&home, &path);
                } else {
                    let log = if directory.service.has_logger { "1" } else { "0" };
                    let pause = self.random.one_of(&["0", "1", "300", "1500"]);
                    let words = ["/bin/copier", &path, &directory.service.kind, log, pause];
                    directory.copier = Some(kernel.start(&words, "/", &self.files));
                    directory.exists = true;
                }
                (directory.name, directory.seen_to_go) = (Some(name), false);
                let (removed, excused) = directory.removed;
                directory.excused = if now < removed + RENAMING * MILLISECOND {
                    excused
                } else {
                    directory.excused.min(now + RESTART * MILLISECOND)
                };
                self.tell(&format!("service {n} gets a name"));
            }
            (Action::Remove(_), Some(name)) => {
                let path = format!("{SCAN}/{name}");
                let _ = match directory.service.is_copied {
                    true => kernel.rename_name(&path, &home),
                    false => kernel.remove_name(&path),
                };
                directory.name = None;
                let svscan = kernel.process(self.svscan);
                directory.seen_to_go =
                    svscan.is_some_and(|it| it.started + BEGINNING * MILLISECOND < kernel.now);
                directory.was_removed = true;
                directory.removed = (kernel.now, directory.excused);
                if !self.scenario.keeps {
                    directory.excused = u64::MAX;
                }
                self.tell(&format!("the name of service {n} goes"));
            }
            (Action::Rename(_), Some(name)) => {
                let new = if name.starts_with('s') { format!("t{n}") } else { format!("s{n}") };
                let [from, to] = [&name, &new].map(|name| format!("{SCAN}/{name}"));
                let _ = kernel.rename_name(&from, &to);
                directory.name = Some(new);
                self.tell(&format!("the name of service {n} changes"));
            }
            _ => {}
        }
    }

    /// Lets time pass. Returns how svscan has ended, and then only until then.
    fn pass(&mut self, milliseconds: u64) -> Result<Option<Ended>, Violation> {
        let until = self.world.kernel.now + milliseconds * MILLISECOND;
        self.world.alarm = Some(until);
        loop {
            self.look()?;
            if let Some(ended) = self.world.kernel.reap(self.svscan) {
                self.ended(ended)?;
                return Ok(Some(ended));
            }
            match self.world.step(&mut self.watch) {
                Step::Done if self.world.kernel.now < until => {}
                Step::Done | Step::Alarm | Step::Stuck => return Ok(None),
            }
        }
    }

    fn ended(&mut self, how: Ended) -> Result<(), Violation> {
        self.tell(&format!("svscan {}: {how:?}", self.svscan));
        match how {
            Ended::Killed(SIGKILL) => {
                self.has_died = true;
                Ok(())
            }
            // It calls the logger back once, and then leaves.
            Ended::Exited(0) | Ended::Killed(SIGTERM) if self.watch.terminated => {
                self.has_died = true;
                Ok(())
            }
            // Before it has blocked its signals.
            Ended::Killed(SIGHUP) => Ok(()),
            Ended::Exited(111) if self.watch.had_error => Ok(()),
            // Another one was faster.
            Ended::Exited(111) if !self.others.is_empty() => Ok(()),
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
        self.look_at_services()?;
        let kernel = &mut self.world.kernel;
        let svscan = self.svscan;
        let ended = kernel.ended_children_of_init().find(|pid| *pid != svscan);
        let Some(ended) = ended.filter(|_| self.random.one_in(3)) else { return Ok(()) };
        let Some(how) = kernel.reap(ended) else { return Ok(()) };
        let is_alone = kernel.process(svscan).is_none_or(|it| it.ended.is_some());
        if let Some(place) = self.others.iter().position(|it| *it == ended) {
            self.others.remove(place);
            if how != Ended::Exited(111) && !is_alone {
                return Err(Violation::NotRefused(how));
            }
        }
        for directory in self.directories.iter_mut().filter(|it| it.copier == Some(ended)) {
            directory.copier = None;
        }
        Ok(())
    }

    fn look_at_services(&mut self) -> Result<(), Violation> {
        let kernel = &self.world.kernel;
        let now = kernel.now;
        let excused: Vec<bool> = (0..self.directories.len()).map(|n| self.is_excused(n)).collect();
        let is_excused = |n: usize| excused[n];
        for (n, directory) in self.directories.iter_mut().enumerate() {
            if self.watch.terminated {
                directory.excused = u64::MAX;
            }
            let runs = |pid: &Pid| kernel.process(*pid).is_some_and(|it| it.ended.is_none());
            if directory.process.as_ref().is_some_and(runs) {
                continue;
            }
            if let Some(pid) = directory.process.take()
                && directory.lasts()
                && directory.excused < now
            {
                return Err(match is_excused(n) {
                    true => Violation::Excused,
                    false => Violation::Stopped(n, pid),
                });
            }
            let inode = kernel.inode_at(&directory.path(n));
            directory.process =
                inode.and_then(|inode| check::services(kernel, inode).first().copied());
        }
        Ok(())
    }
}
