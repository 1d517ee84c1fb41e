//! What supervise promises.

use super::scenario::Scenario;
use crate::kernel::{Content, Ended, Kernel, Pid};
use crate::simulation;
use std::fmt;
use std::time::Duration;

/// The directory of the service.
pub const SERVICE: &str = "/service";

/// A service that is wanted up runs again after this time, in nanoseconds: a second, and a little for the
/// processes between.
pub const LONGEST_PAUSE: u64 = 1_100_000_000;

/// The same if a call has failed: an option file that cannot be read is read again after 5 seconds.
pub const LONGEST_PAUSE_AFTER_ERROR: u64 = 6_200_000_000;

/// Two starts have at least this distance: a second, less the tick by which a next supervise knows it.
pub const SHORTEST_PAUSE: u64 = 980_000_000;

/// More calls of a supervise than it makes in a short time if it waits for events.
pub const MOST_CALLS: u64 = 2000;

/// The descriptors of a supervise at rest: three, those of its nine files, and of an adopted process.
pub const MOST_DESCRIPTORS: usize = 13;

/// The same with options: pipes to helper processes and for readiness, and sets of processes.
pub const MOST_DESCRIPTORS_WITH_OPTIONS: usize = 20;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The service runs twice.
    Doubled(Vec<Pid>),
    /// The service was started again too soon, after so many milliseconds.
    TooSoon(u64),
    /// It is wanted up and does not run, after so many milliseconds.
    NotUp(u64),
    /// It got a command, and this is its state.
    NotObeyed(String),
    /// The status does not say what is true.
    WrongStatus(String),
    /// A supervise that adopted the service has changed its state.
    NotAdopted(String),
    /// A supervise without a fault has ended in this way.
    Ended(Ended),
    /// Two supervises work on one directory.
    Second(Ended),
    /// After a start of the machine, the service is not in its normal state.
    AfterBoot(String),
    /// supervise makes calls without waiting.
    Busy,
    /// supervise has more descriptors open than it needs.
    Descriptors(usize),
    /// The service has got these descriptors from supervise.
    Inherited(Vec<i32>),
    /// The service begins with these signals blocked, and these ignored.
    Signals(u64, u64),
    /// These processes of an earlier run are left.
    LeftBehind(Vec<Pid>),
    /// `finish` does not run between two runs.
    Finish,
    /// A failed service starts again after this time, which is shorter than `restart-delay`.
    Delay(Duration),
    /// A service starts again after so many failures.
    Limit(usize),
    /// An essential service starts again.
    Essential,
    /// The process has said that it is ready, and the state does not show it.
    Readiness(Pid),
    /// A service that is not ready runs for this time.
    NotReady(Duration),
    /// The service runs twice after an error that has left it without a record. That is documented, and the
    /// run ends here.
    Excused,
    /// The processes never come to rest.
    Endless,
    /// A program has panicked.
    Panic,
    /// A program has made a system call that the simulated kernel does not know.
    UnknownCall(usize),
}

impl simulation::Violation for Violation {
    const PANIC: Self = Self::Panic;

    fn unknown_call(number: usize) -> Self {
        Self::UnknownCall(number)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubled(pids) => write!(f, "the service runs twice: {pids:?}"),
            Self::TooSoon(time) => write!(f, "the service starts again after {time} ms"),
            Self::NotUp(time) => write!(f, "wanted up, the service does not run after {time} ms"),
            Self::NotObeyed(state) => write!(f, "a command is not obeyed: {state}"),
            Self::WrongStatus(what) => write!(f, "the status is wrong: {what}"),
            Self::NotAdopted(what) => write!(f, "the next supervise has changed the state: {what}"),
            Self::Ended(how) => write!(f, "supervise has ended: {how:?}"),
            Self::Second(how) => write!(f, "a second supervise has ended: {how:?}"),
            Self::AfterBoot(what) => write!(f, "the machine has started: {what}"),
            Self::Busy => write!(f, "supervise makes calls without waiting"),
            Self::Descriptors(count) => write!(f, "supervise has {count} descriptors"),
            Self::Inherited(fds) => write!(f, "the service has descriptors of supervise: {fds:?}"),
            Self::Signals(blocked, ignored) => {
                write!(
                    f,
                    "the service begins with signals blocked: {blocked:x}, ignored: {ignored:x}"
                )
            }
            Self::LeftBehind(pids) => write!(f, "processes of an earlier run are left: {pids:?}"),
            Self::Finish => write!(f, "finish does not run between two runs"),
            Self::Delay(time) => write!(f, "a failed service starts again after {time:?}"),
            Self::Limit(count) => write!(f, "the service starts again after {count} failures"),
            Self::Essential => write!(f, "an essential service starts again"),
            Self::Readiness(pid) => write!(f, "the state does not show that {pid} is ready"),
            Self::NotReady(time) => write!(f, "a service is not ready, and runs for {time:?}"),
            Self::Excused => write!(f, "the service runs twice without a record"),
            Self::Endless => write!(f, "the processes never come to rest"),
            Self::Panic => write!(f, "a program has panicked"),
            Self::UnknownCall(number) => write!(f, "the kernel does not know {number}"),
        }
    }
}

/// The 18 bytes of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The process; 0 for none.
    pub pid: u32,
    /// Whether it is paused.
    pub is_paused: bool,
    /// `u`, `d` or 0.
    pub want: u8,
}

/// The status that readers see.
#[must_use]
pub fn status(kernel: &Kernel) -> Option<Status> {
    let inode = kernel.look_up(&format!("{SERVICE}/supervise/status"))?;
    let Content::File(bytes) = &inode.content else { return None };
    // That of encore has more.
    let &[.., a, b, c, d, paused, want] = bytes.get(..18)? else { return None };
    let pid = u32::from_le_bytes([a, b, c, d]);
    let is_whole = [18, 20].contains(&bytes.len());
    is_whole.then_some(Status { pid, is_paused: paused != 0, want })
}

/// The text of the process record.
#[must_use]
pub fn record(kernel: &Kernel) -> Option<&[u8]> {
    match &kernel.look_up(&format!("{SERVICE}/supervise/process"))?.content {
        Content::File(text) => Some(text),
        _ => None,
    }
}

/// Whether a supervise waits for events, when every process waits: the pauses in its work are shorter.
#[must_use]
pub fn waits(kernel: &Kernel, supervise: Pid) -> bool {
    const LONGEST_WORK: u64 = 100_000_000;
    let process = kernel.process(supervise).filter(|process| process.ended.is_none());
    process.is_some_and(|it| it.deadline.is_none_or(|due| due > kernel.now + LONGEST_WORK))
}

/// The processes of the service that run.
#[must_use]
pub fn running(kernel: &Kernel) -> Vec<Pid> {
    let is_it = |process: &crate::kernel::Proc| process.arguments[0] == b"/bin/service";
    kernel.running().filter(|(_, process)| is_it(process)).map(|(pid, _)| pid).collect()
}

/// A child of supervise that STOP has reached before it was the service.
fn stopped_child(kernel: &Kernel, supervise: Pid) -> Option<Pid> {
    let mut running = kernel.running();
    let found = running.find(|(pid, process)| {
        *pid != supervise && process.is_stopped && process.is_fork_of(b"/bin/supervise")
    });
    found.map(|(pid, _)| pid)
}

/// The processes of the service, and those that are about to be it.
#[must_use]
pub fn existing(kernel: &Kernel, supervise: Pid) -> Vec<Pid> {
    let starts = |(pid, process): &(Pid, &crate::kernel::Proc)| {
        *pid != supervise && process.is_fork_of(b"/bin/supervise")
    };
    let starting = kernel.running().filter(starts).map(|(pid, _)| pid);
    running(kernel).into_iter().chain(starting).collect()
}

/// Whether a process runs a script beside `run`.
fn is_script(kernel: &Kernel, pid: u32) -> bool {
    let process = Pid::try_from(pid).ok().and_then(|pid| kernel.process(pid));
    process.is_some_and(|it| it.ended.is_none() && it.arguments[0] == b"/bin/script")
}

/// Checks a supervise at rest that had no fault: every process waits. The service is as it is since the
/// time `since`, and wanted up it is down for at most `longest`.
/// `knows_pause` says that no supervise was killed between a signal and the status.
///
/// # Errors
/// The first broken promise.
pub fn at_rest(
    kernel: &Kernel,
    supervise: Pid,
    most_descriptors: usize,
    (since, longest): (u64, u64),
    knows_pause: bool,
) -> Result<(), Violation> {
    let Some(status) = status(kernel) else {
        return Err(Violation::WrongStatus("there is none".into()));
    };
    let process = running(kernel).first().copied().or_else(|| stopped_child(kernel, supervise));
    let pid = process.map_or(0, Pid::unsigned_abs);
    if status.pid != pid && !is_script(kernel, status.pid) {
        let what = format!("it names process {}, and process {pid} runs", status.pid);
        return Err(Violation::WrongStatus(what));
    }
    let is_stopped = process.and_then(|it| kernel.process(it)).is_some_and(|it| it.is_stopped);
    if status.is_paused != is_stopped && knows_pause {
        let what = format!(
            "it says paused: {}, and the process is stopped: {is_stopped}",
            status.is_paused
        );
        return Err(Violation::WrongStatus(what));
    }
    let down = kernel.now - since;
    if status.want == b'u' && process.is_none() && down > longest {
        return Err(Violation::NotUp(down / 1_000_000));
    }
    let descriptors = kernel.process(supervise).map_or(0, |it| it.descriptors.len());
    if descriptors > most_descriptors {
        return Err(Violation::Descriptors(descriptors));
    }
    Ok(())
}

/// Checks that a supervise that came after a killed one goes on as before.
///
/// # Errors
/// The broken promise.
pub fn adopted(
    scenario: &Scenario,
    before: (Option<Status>, &[Pid]),
    after: (Option<Status>, &[Pid]),
) -> Result<(), Violation> {
    let want = |status: Option<Status>| status.map(|status| status.want);
    let is_same_process = !scenario.is_lasting() || before.1.is_empty() || before.1 == after.1;
    let may_leave = scenario.options.can_fail() || scenario.options.has("essential");
    let may_fail = may_leave && !scenario.is_lasting();
    if may_fail || want(before.0) == want(after.0) && is_same_process {
        return Ok(());
    }
    Err(Violation::NotAdopted(format!("{before:?} before, {after:?} after")))
}

/// Checks the state some time after the last command.
///
/// # Errors
/// The broken promise.
pub fn obeyed(scenario: &Scenario, kernel: &Kernel, ended: Option<Ended>) -> Result<(), Violation> {
    let (status, running) = (status(kernel), running(kernel));
    let (want, pid) = status.map_or((0, 0), |status| (status.want, status.pid));
    let is_right = match &scenario.end[..] {
        "d" => want == b'd' && pid == 0 && running.is_empty() && ended.is_none(),
        "u" => {
            let is_up = running.len() == 1 && pid == running[0].unsigned_abs();
            let has_failed = want == b'd' && scenario.options.can_fail() && !scenario.is_lasting();
            let is_right = want == b'u' && (is_up || !scenario.is_lasting());
            (is_right || has_failed) && ended.is_none() || scenario.may_end(ended)
        }
        "dx" => {
            ended == Some(Ended::Exited(0))
                && running.is_empty()
                && pid == 0
                && record(kernel).is_none()
        }
        _ => ended.is_none_or(|ended| ended == Ended::Exited(0)) || scenario.may_end(ended),
    };
    if is_right {
        return Ok(());
    }
    let end = &scenario.end;
    Err(Violation::NotObeyed(format!("-{end}: {status:?}, {running:?} run, {ended:?}")))
}
