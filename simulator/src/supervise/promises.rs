//! What the option files promise.

use super::check::{SERVICE, Violation, running, status};
use super::options::Options;
use crate::kernel::{Content, Kernel, Pid};
use std::time::Duration;

/// A command reaches supervise within this time, in nanoseconds.
const COMMAND_TIME: u64 = 50_000_000;

/// The error of a date by the ticks of a process, in nanoseconds.
const TICK: u64 = 20_000_000;

/// What has happened, as far as the options depend on it. Times are those of the monotonic clock.
#[derive(Default)]
pub(super) struct Promises {
    options: Options,
    /// When the last command came, or anything else that an administrator did to supervise.
    command: u64,
    /// When the wall clock was last set.
    jump: u64,
    /// When the present supervise began, or was upgraded.
    begin: u64,
    /// The last service, until it ends, and when it was started.
    process: Option<Pid>,
    start: u64,
    /// When it ended by itself, if it has.
    end: Option<u64>,
    /// A service ended, and no finish has run since.
    finish_due: bool,
    /// The ends of services that no command has caused since the supervise began.
    deaths: Vec<u64>,
    /// The process that said that it is ready, and when.
    ready: Option<(Pid, u64)>,
}

/// The processes that services have started, and whether each leads a session of its own.
fn parts(kernel: &Kernel) -> impl Iterator<Item = (Pid, bool)> {
    let parts = kernel.running().filter(|(_, it)| it.arguments[0] == b"/bin/part");
    parts.map(|(pid, it)| (pid, it.session == pid))
}

/// Whether a script runs.
fn runs(kernel: &Kernel, script: &[u8]) -> bool {
    let is_it = |argument: &[u8]| argument.starts_with(script);
    let mut scripts = kernel.running().filter(|(_, it)| it.arguments[0] == b"/bin/script");
    scripts.any(|(_, it)| it.arguments.get(1).is_some_and(|argument| is_it(argument)))
}

impl Promises {
    pub(super) fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// A command comes.
    pub(super) const fn command(&mut self, kernel: &Kernel) {
        self.command = kernel.now;
        // A signal can end finish before its exec.
        self.finish_due = false;
    }

    /// The wall clock is set.
    pub(super) const fn set_clock(&mut self, kernel: &Kernel) {
        self.jump = kernel.now;
    }

    /// The wall clock was set.
    pub(super) const fn has_jumped(&self) -> bool {
        self.jump > 0
    }

    /// A supervise begins, or is upgraded.
    pub(super) fn begin(&mut self, kernel: &Kernel) {
        self.begin = kernel.now;
        self.deaths.clear();
    }

    /// The next supervise knows nothing.
    pub(super) fn forget(&mut self) {
        let options = std::mem::take(&mut self.options);
        let (command, jump) = (self.command, self.jump);
        let (process, start, ready) = (self.process, self.start, self.ready);
        *self = Self { command, jump, process, start, ready, ..Self::new(options) };
    }

    /// The machine starts again, and its clock.
    pub(super) fn start_again(&mut self) {
        *self = Self::new(std::mem::take(&mut self.options));
    }

    /// The service says that it is ready.
    pub(super) const fn ready(&mut self, kernel: &Kernel, pid: Pid) {
        self.ready = Some((pid, kernel.now));
    }

    /// Only these processes exist: the service may have ended.
    pub(super) fn only_exist(&mut self, kernel: &Kernel, processes: &[Pid]) {
        if self.process.is_none_or(|pid| processes.contains(&pid)) {
            return;
        }
        self.process = None;
        self.finish_due = self.command + COMMAND_TIME < kernel.now;
        self.end = (self.begin.max(self.command + COMMAND_TIME) < self.start).then_some(kernel.now);
        self.deaths.extend(self.end);
    }

    /// The service starts: what has to come first.
    pub(super) fn starts(
        &mut self,
        kernel: &Kernel,
        pid: Pid,
        was_killed: bool,
    ) -> Result<(), Violation> {
        self.process = Some(pid);
        let end = self.end.take();
        let is_quiet = self.command + COMMAND_TIME < end.unwrap_or(0);
        let was_due = std::mem::replace(&mut self.finish_due, false);
        self.start = kernel.process(pid).map_or(kernel.now, |process| process.started);
        self.ready = None;
        if !is_quiet {
            self.deaths.clear();
        }
        let left = parts(kernel).filter(|(_, leaves)| self.is_in_scope(*leaves, was_killed));
        let left: Vec<Pid> = left.map(|(pid, _)| pid).collect();
        if !left.is_empty() {
            return Err(Violation::LeftBehind(left));
        }
        if runs(kernel, b"finish") || was_due && self.options.finishes() {
            return Err(Violation::Finish);
        }
        // A supervise that was killed after the end can lose the count of it.
        let Some(end) = end.filter(|end| is_quiet && self.begin < *end) else { return Ok(()) };
        let delay = self.options.delay().unwrap_or_default();
        let pause = nanoseconds(kernel.now - end);
        if pause + nanoseconds(TICK) < delay && self.jump < end {
            return Err(Violation::Delay(pause));
        }
        if let Some((most, within)) = self.options.limit() {
            let is_recent = |death: &&u64| nanoseconds(kernel.now - **death) < within;
            if self.deaths.iter().filter(is_recent).count() >= most {
                return Err(Violation::Limit(most));
            }
        }
        if self.options.has("essential") {
            return Err(Violation::Essential);
        }
        Ok(())
    }

    /// Whether a process ends with the service. Without a control group, the next supervise does not find one that
    /// has left the session, and none at all if `run` led no group.
    fn is_in_scope(&self, leaves: bool, was_killed: bool) -> bool {
        match leaves {
            true => self.options.stops_tree() && !was_killed,
            false => self.options.stops_group() && (!was_killed || self.options.leads_group()),
        }
    }

    /// A script starts.
    pub(super) fn script_starts(&mut self, kernel: &Kernel, pid: Pid) -> Result<(), Violation> {
        let script = kernel.process(pid).and_then(|it| it.arguments.get(1));
        if script.is_some_and(|script| script.starts_with(b"finish")) {
            self.finish_due = false;
            if !running(kernel).is_empty() {
                return Err(Violation::Finish);
            }
        }
        Ok(())
    }

    /// Checks a supervise at rest.
    pub(super) fn at_rest(&self, kernel: &Kernel) -> Result<(), Violation> {
        let (Some(status), [pid]) = (status(kernel), &running(kernel)[..]) else { return Ok(()) };
        let is_told = self.command > self.start;
        if status.want != b'u'
            || status.is_paused
            || is_told
            || !self.options.has("notification-fd")
        {
            return Ok(());
        }
        if let Some((ready, since)) = self.ready.filter(|it| it.0 == *pid) {
            let path = format!("{SERVICE}/supervise/state");
            let state = kernel.look_up(&path).map(|it| &it.content);
            let Some(Content::File(text)) = state else { return Ok(()) };
            let text = String::from_utf8_lossy(text);
            let age = kernel.now - since.max(self.begin);
            if text.contains("phase=up\n") && age > COMMAND_TIME {
                return Err(Violation::Readiness(ready));
            }
            return Ok(());
        }
        let kill_time = self.options.kill_time().unwrap_or(Duration::from_secs(5));
        let longest = self.options.time("timeout-ready").map(|time| time + kill_time);
        let age = nanoseconds(kernel.now - self.start.max(self.begin).max(self.command));
        match longest {
            // It announces the readiness as well.
            _ if self.options.has("check") => Ok(()),
            Some(longest) if age > longest + nanoseconds(10 * TICK) => {
                Err(Violation::NotReady(age))
            }
            _ => Ok(()),
        }
    }

    /// Checks a service that is down.
    pub(super) fn down(&self, kernel: &Kernel, was_killed: bool) -> Result<(), Violation> {
        let left = parts(kernel).filter(|(_, leaves)| self.is_in_scope(*leaves, was_killed));
        let left: Vec<Pid> = left.map(|(pid, _)| pid).collect();
        if left.is_empty() { Ok(()) } else { Err(Violation::LeftBehind(left)) }
    }
}

const fn nanoseconds(time: u64) -> Duration {
    Duration::from_nanos(time)
}
