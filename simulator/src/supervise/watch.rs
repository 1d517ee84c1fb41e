//! Watches every system call of a run: makes the planned faults happen, and checks what must always hold.

use super::check::{MOST_CALLS, SHORTEST_PAUSE, Violation, running};
use super::errors::errors;
use super::options::Options;
use super::promises::Promises;
use super::scenario::{PlannedFault, Role};
use super::scripted::READY;
use crate::call_rate::CallRate;
use crate::fault::DueFaults;
use crate::kernel::{Kernel, Pid, number};
use crate::story::{self, Story};
use crate::world::{Fate, Fault};
use linux_raw_sys::general::{
    __NR_execve, __NR_flock, __NR_pwrite64, __NR_read, __NR_signalfd4, __NR_write,
};
use machine::{Call, copy_in};
use std::collections::BTreeSet;

/// The room for commands in a supervise.
const COMMANDS: usize = 512;

/// The faults of the supervise that runs, and what has happened.
pub(super) struct Watch {
    /// The supervise that runs.
    supervise: Pid,
    faults: DueFaults<Role>,
    child_calls: u64,
    /// A call of this supervise has failed.
    pub(super) had_error: bool,
    /// A call of any supervise has failed.
    pub(super) any_error: bool,
    /// This supervise reads its signals from a descriptor, also after a live upgrade.
    pub(super) takes_signals: bool,
    /// The supervise that has got the lock last.
    pub(super) holder: Pid,
    /// A supervise got TERM at a call since the machine has started.
    pub(super) got_signal: bool,
    /// A supervise was killed, perhaps at work.
    pub(super) was_killed: bool,
    /// The processes that a record has named.
    recorded: BTreeSet<Pid>,
    /// When the service was last started.
    last_start: Option<u64>,
    rate: CallRate,
    pub(super) promises: Promises,
    /// The descriptors of the service.
    given: Vec<i32>,
    pub(super) violation: Option<Violation>,
    pub(super) story: Story,
}

impl Watch {
    pub(super) fn new(trace: bool, options: Options) -> Self {
        let descriptor = |name| options.text(name).and_then(|text| text.parse().ok());
        let given = [descriptor("notification-fd"), descriptor("lock-fd")];
        let given = [0, 1, 2].into_iter().chain(given.into_iter().flatten()).collect();
        Self {
            promises: Promises::new(options),
            given,
            supervise: 0,
            faults: DueFaults::none(),
            child_calls: 0,
            had_error: false,
            any_error: false,
            takes_signals: false,
            holder: 0,
            got_signal: false,
            was_killed: false,
            recorded: BTreeSet::new(),
            last_start: None,
            rate: CallRate::default(),
            violation: None,
            story: Story::new(trace),
        }
    }

    /// The next supervise begins.
    pub(super) fn begin(&mut self, supervise: Pid, faults: Vec<PlannedFault>) {
        (self.supervise, self.faults) = (supervise, DueFaults::new(faults));
        (self.child_calls, self.had_error, self.takes_signals) = (0, false, false);
        self.rate = CallRate::default();
    }

    /// The machine starts again.
    pub(super) fn start_again(&mut self) {
        self.last_start = None;
        self.recorded.clear();
        self.promises.start_again();
        self.rate = CallRate::default();
    }

    /// A supervise that runs already is the one from now on.
    pub(super) const fn go_on_with(&mut self, supervise: Pid) {
        self.supervise = supervise;
        self.takes_signals = false;
    }

    /// Whether an error has left one of these processes without a record.
    pub(super) fn is_excused(&self, processes: &[Pid]) -> bool {
        self.any_error && processes.iter().any(|pid| !self.recorded.contains(pid))
    }

    /// Only these processes exist: the numbers of others can be used again.
    pub(super) fn forget_others(&mut self, existing: &[Pid]) {
        self.recorded.retain(|pid| existing.contains(pid));
    }

    /// A supervise that has left in order forgets when it started the service.
    pub(super) fn forget_start(&mut self) {
        self.last_start = None;
        self.promises.forget();
    }

    fn service_starts(&mut self, kernel: &Kernel, pid: Pid) {
        self.story.tell(kernel, &format!("the service runs as process {pid}"));
        let running = running(kernel);
        let descriptors = kernel.process(pid).map(|process| process.descriptors.keys());
        let inherited: Vec<i32> = descriptors.into_iter().flatten().copied().collect();
        let signals = kernel.process(pid).map_or((0, 0), |it| (it.blocked, it.ignored));
        // STOP can come between fork and exec.
        let start = kernel.process(pid).map_or(kernel.now, |process| process.started);
        let time = self.last_start.map_or(u64::MAX, |last| start.saturating_sub(last));
        self.last_start = Some(start);
        let kept = self.promises.starts(kernel, pid, self.was_killed || self.any_error);
        let violation = if running.len() > 1 && self.is_excused(&running) {
            Violation::Excused
        } else if running.len() > 1 {
            Violation::Doubled(running)
        } else if inherited != self.given {
            Violation::Inherited(inherited)
        } else if signals != (0, 0) {
            Violation::Signals(signals.0, signals.1)
        } else if time < SHORTEST_PAUSE && !self.any_error {
            Violation::TooSoon(time / 1_000_000)
        } else if let Err(broken) = kept
            && !self.any_error
        {
            broken
        } else {
            return;
        };
        self.violation.get_or_insert(violation);
    }
}

impl Fate for Watch {
    fn fault(&mut self, kernel: &Kernel, pid: Pid, count: u64, call: Call) -> Option<Fault> {
        let (role, count) = if pid == self.supervise {
            (Role::Supervise, count)
        } else if kernel.process(pid)?.is_fork_of(b"/bin/supervise") {
            self.child_calls += 1;
            (Role::Child, self.child_calls - 1)
        } else {
            return None;
        };
        // A file in memory can be read.
        let is_certain =
            call.number == __NR_read as usize && kernel.is_file_in_memory(pid, call.arguments[0]);
        let errors = if is_certain { &[] } else { errors(call.number) };
        let fits = |fault: &Fault| !is_certain || !matches!(fault, Fault::Short(_));
        let fault = self.faults.take(role, count, |kind| kind.at(call, errors).filter(fits))?;
        self.was_killed |= fault == Fault::Kill;
        self.got_signal |= matches!(fault, Fault::Signal(_));
        match fault {
            Fault::Signal(_) => self.promises.command(kernel),
            Fault::Clock(_) => self.promises.set_clock(kernel),
            _ => {}
        }
        // A killed child is a start that failed.
        let is_error = matches!(fault, Fault::Error(_) | Fault::Short(_) | Fault::Memory);
        if is_error || role == Role::Child {
            (self.had_error, self.any_error) = (true, true);
        }
        let who = if role == Role::Supervise { "supervise" } else { "the child of supervise" };
        let event = story::fault(kernel, (who, pid), (count, call), fault);
        self.story.tell(kernel, &event);
        Some(fault)
    }

    fn performed(&mut self, kernel: &Kernel, pid: Pid, call: Call, result: Option<isize>) {
        self.story.performed(kernel, pid, call, result);
        if pid == self.supervise {
            self.takes_signals |= call.number == __NR_signalfd4 as usize;
            if self.rate.is_busy(kernel.now, MOST_CALLS) {
                self.violation.get_or_insert(Violation::Busy);
            }
            let is_read = call.number == __NR_read as usize && call.arguments[2] == COMMANDS;
            if is_read && result.is_some_and(|bytes| bytes > 0) {
                self.promises.command(kernel);
            }
        }
        if call.number == __NR_flock as usize && result == Some(0) {
            self.holder = pid;
        }
        if call.number == __NR_pwrite64 as usize && result.is_some_and(|result| result > 0) {
            self.recorded.extend(named_by_record(call));
        }
        if call.number == __NR_execve as usize && result.is_none() && pid == self.supervise {
            self.story.tell(kernel, "supervise is upgraded");
            self.promises.begin(kernel);
        }
        let program = || kernel.process(pid).map(|it| &it.arguments[0][..]);
        if call.number == __NR_execve as usize && result.is_none() {
            match program() {
                Some(b"/bin/service") => self.service_starts(kernel, pid),
                Some(b"/bin/script") => {
                    let script = kernel.process(pid).and_then(|it| it.arguments.get(1));
                    let script = script.map(|it| String::from_utf8_lossy(it).into_owned());
                    self.story.tell(kernel, &format!("script {} runs", script.unwrap_or_default()));
                    let kept = self.promises.script_starts(kernel, pid);
                    if let Some(broken) = kept.err().filter(|_| !self.any_error) {
                        self.violation.get_or_insert(broken);
                    }
                }
                _ => {}
            }
        }
        let says_ready = call.number == __NR_write as usize
            && number(call.arguments[0]) == READY
            && result == Some(1);
        if says_ready && program() == Some(b"/bin/service") {
            self.story.tell(kernel, &format!("process {pid} says that it is ready"));
            self.promises.ready(kernel, pid);
        }
    }
}

/// The process that is written into a record.
fn named_by_record(call: Call) -> Option<Pid> {
    let bytes = copy_in(call.arguments[1], call.arguments[2])?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find_map(|line| line.strip_prefix("pid=")?.trim().parse().ok())
}
