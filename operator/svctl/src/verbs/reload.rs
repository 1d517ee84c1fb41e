//! `svctl reload`: HUP, and a wait for what can be known of its effect.
//!
//! That supervise has sent the signal is known when it has read the command. What the service does
//! then is known only if it announces its reload (`RELOADING=1` and `READY=1` of sd_notify(3)).

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, NOT_REACHED, TIMED_OUT, reason, warn};
use crate::options::{NO_WAIT, TIMEOUT};
use crate::output::line;
use crate::selection::{Target, named};
use crate::times::precise;
use crate::verbs::control::{reports_no_process, signal_only};
use servicedir::{Command, Goal, Outcome, Signal, Waits};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a service has to begin a reload that it announces.
const BEGINNING: Duration = Duration::from_secs(1);

const HUP: [Command; 1] = [Command::Signal(Signal::Hup)];

/// A service that gets HUP.
struct Job {
    target: Target,
    /// The process before the signal.
    pid: Option<NonZeroU32>,
    /// Whether it has a socket to announce a reload.
    can_announce: bool,
    /// Whether supervise has read the command.
    is_sent: Cell<bool>,
}

impl Job {
    fn of(target: &Target) -> Self {
        let can_announce = target.dir.path().join("notify-socket").exists();
        let (target, pid) = (target.clone(), pid(target));
        Self { target, pid, can_announce, is_sent: Cell::new(false) }
    }
}

fn pid(target: &Target) -> Option<NonZeroU32> {
    target.dir.status().ok().flatten()?.pid
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let targets = named(arguments)?;
    if arguments.has(&NO_WAIT) {
        return signal_only(targets, Command::Signal(Signal::Hup), "sent HUP");
    }
    let started = Instant::now();
    let timeout = arguments.duration(&TIMEOUT)?;
    let mut reload = Reload {
        started,
        deadline: timeout.and_then(|timeout| started.checked_add(timeout)),
        code: DONE,
    };
    let mut sent = waits()?;
    let mut reloading = waits()?;
    let (mut jobs, mut announcing) = (Vec::new(), Vec::new());
    for target in &targets {
        if reports_no_process(target) {
            reload.code = reload.code.max(NOT_REACHED);
            continue;
        }
        let job = Rc::new(Job::of(target));
        // This watch begins before the signal, so that no reload is missed.
        let begun = if job.can_announce {
            reloading.begin(&target.dir, &[], Goal::Reloading).map(|_| announcing.push(job.clone()))
        } else {
            Ok(())
        };
        match begun.and_then(|()| sent.begin(&target.dir, &HUP, Goal::Sent)) {
            Ok(_) => jobs.push(job),
            Err(error) => {
                warn(&format!("unable to control {}: {}", target.shown(), reason(&error)));
                reload.code = CANNOT;
            }
        }
    }
    reload.sent(&mut sent, &jobs)?;
    reload.announced(&mut reloading, &announcing)?;
    for job in &jobs {
        if job.pid.is_some() && pid(&job.target) != job.pid {
            let name = job.target.shown();
            warn(&format!("{name}: the process that got HUP has ended (svctl why {name})"));
            reload.code = reload.code.max(NOT_REACHED);
        }
    }
    Ok(reload.code)
}

/// The progress of all reloads.
struct Reload {
    started: Instant,
    deadline: Option<Instant>,
    code: u8,
}

impl Reload {
    /// Waits until the signals are sent.
    fn sent(&mut self, sent: &mut Waits, jobs: &[Rc<Job>]) -> Result<(), Failure> {
        while let Some((number, _)) = next(sent, self.deadline)? {
            let Some(job) = jobs.get(number) else { continue };
            job.is_sent.set(true);
            if !job.can_announce {
                line(&format!("{}: sent HUP", job.target.shown()));
            }
        }
        let late = sent.unfinished().filter_map(|number| jobs.get(number));
        self.timed_out(late, "supervise has not read the command");
        Ok(())
    }

    /// Waits for the beginning of reloads, and then for their end.
    fn announced(&mut self, reloading: &mut Waits, jobs: &[Rc<Job>]) -> Result<(), Failure> {
        if !jobs.iter().any(|job| job.is_sent.get()) {
            return Ok(());
        }
        let beginning = Instant::now() + BEGINNING;
        let beginning = self.deadline.map_or(beginning, |deadline| deadline.min(beginning));
        let mut reloads = waits()?;
        let mut begun = Vec::new();
        while let Some((number, _)) = next(reloading, Some(beginning))? {
            let Some(job) = jobs.get(number) else { continue };
            // Without a supervise there is nothing to wait for.
            if job.is_sent.get() && reloads.begin(&job.target.dir, &[], Goal::Reloaded).is_ok() {
                begun.push(job.clone());
            }
        }
        let silent = reloading.unfinished().filter_map(|number| jobs.get(number));
        for job in silent.filter(|job| job.is_sent.get()) {
            line(&format!("{}: sent HUP; it has announced no reload", job.target.shown()));
        }
        while let Some((number, _)) = next(&mut reloads, self.deadline)? {
            if let Some(job) = begun.get(number) {
                let passed = precise(self.started.elapsed());
                line(&format!("{}: reloaded after {passed}", job.target.shown()));
            }
        }
        let late = reloads.unfinished().filter_map(|number| begun.get(number));
        self.timed_out(late, "it has not announced the end of its reload");
        Ok(())
    }

    fn timed_out<'a>(&mut self, late: impl Iterator<Item = &'a Rc<Job>>, why: &str) {
        for job in late {
            let passed = precise(self.started.elapsed());
            warn(&format!("{}: {why} after {passed}", job.target.shown()));
            self.code = TIMED_OUT;
        }
    }
}

fn waits() -> Result<Waits, Failure> {
    Waits::new().map_err(|error| Failure::system("watch directories", &error))
}

/// The next result before a deadline.
fn next(waits: &mut Waits, deadline: Option<Instant>) -> Result<Option<(usize, Outcome)>, Failure> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    waits.next_within(left).map_err(|error| Failure::system("wait for services", &error))
}
