//! The supervise machine: one service, from its first start to the end of its supervise.
//!
//! [`Machine::step`] is the whole design: every state against every event. It takes the time,
//! changes the state, and says what is to be done; it does nothing itself. The program performs
//! the effects in order and gives back what came of [`Effect::Prepare`] and [`Effect::Spawn`].
//!
//! Two rules of the original shape it. A service is started at most once a second; unlike the
//! original, which sleeps through that second, the machine waits in a state ([`State::Waiting`])
//! in which it obeys. And a signal goes only to a process that has not been reaped, so that it
//! can never hit a stranger with the same number.
//!
//! What a service directory asks for beyond that is the [`Policy`]. Without one the states
//! [`State::Blocked`], [`State::Aside`], [`State::Started`], [`State::Sweeping`] and
//! [`State::Failed`] are never entered, and no timer runs but that of the second.

use crate::command::{Command, Scope, Signal};
use crate::detail::{Phase, Reason};
use crate::options::{Check, Limit, Personality, Reach, Restart, Stop};
use crate::status::{Record, StateCode, Want};
use crate::tai::Tai64n;
use crate::time::{Instant, Now};
use crate::{Ended, Pid};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;

/// The least time from one start to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after failures to fork; the pauses double from [`START_INTERVAL`] on.
pub const LONGEST_FORK_PAUSE: Duration = Duration::from_secs(60);

/// How long after a mistake in the service directory it is looked at again.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(5);

/// How long a service that we end for its own good may take before KILL, where its directory says
/// nothing about it; and how long what it has left behind may.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// After a run of this length a failure is the first one again, where the directory does not say.
pub const HEALTHY: Duration = Duration::from_secs(60);

/// The longest pause that goes on under the next supervise: the clock by which it was written down
/// may have been set since.
pub const LONGEST_KEPT_PAUSE: Duration = Duration::from_secs(3600);

/// What can be run for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// encore's `start`, before the first `run`.
    Start,
    /// The service itself.
    Run,
    /// encore's `stop`, when the service is down for good.
    Stop,
    /// `finish` of s6 and runit, after each `run`.
    Finish,
}

/// Where the service is. Every state holds what is known in it and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no process, and none is to be started.
    Down,
    /// There is no process, and none is started before somebody says so: it failed for good.
    Failed,
    /// There is no process; one is to be started at this moment.
    Waiting {
        /// The moment.
        due: Instant,
    },
    /// There is no process; one is started when something outside has come.
    Blocked,
    /// The service directory is being looked at, before a start.
    Preparing,
    /// A process was asked for, and the answer has not come.
    Spawning(Script),
    /// The service runs, as far as we know.
    Up {
        /// Its process, not yet reaped.
        pid: Pid,
        /// Whether `p` was the last word about stopping.
        paused: bool,
    },
    /// Another of its scripts runs.
    Aside {
        /// Which.
        script: Script,
        /// Its process, not yet reaped.
        pid: Pid,
    },
    /// There is nothing to run, and that is well (encore).
    Started,
    /// The service has ended, and what it has left behind is being ended.
    Sweeping,
    /// The supervision has ended.
    Gone,
}

/// Which scripts a service directory has, and its personality lets it have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// `start`
    pub start: bool,
    /// There is no `run`, which encore allows.
    pub runless: bool,
    /// `stop`
    pub stop: bool,
    /// `finish`
    pub finish: bool,
}

/// What a service directory asks for, as far as it is decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose customs it follows.
    pub personality: Personality,
    /// Its scripts.
    pub scripts: Scripts,
    /// How it is stopped.
    pub stop: Stop,
    /// After what time `finish` is killed.
    pub finish_timeout: Option<Duration>,
    /// Whether it says when it is ready.
    pub announces: bool,
    /// How long that may take.
    pub ready_timeout: Option<Duration>,
    /// How long it may be silent.
    pub watchdog: Option<Duration>,
    /// How it is asked for its health.
    pub check: Option<Check>,
    /// The pauses between a death and the next start.
    pub restart: Option<Restart>,
    /// When it has died too often.
    pub limit: Option<Limit>,
}

impl Policy {
    /// That of the original.
    pub const ORIGINAL: Self = Self {
        personality: Personality::Daemontools,
        scripts: Scripts { start: false, runless: false, stop: false, finish: false },
        stop: Stop {
            signal: Signal::Term,
            timeout: None,
            reach: Reach::Process,
            kill_group: false,
        },
        finish_timeout: None,
        announces: false,
        ready_timeout: None,
        watchdog: None,
        check: None,
        restart: None,
        limit: None,
    };
}

/// What a supervise that was killed leaves to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The process, if it still runs, what it runs, and whether it is paused.
    pub up: Option<(Pid, Script, bool)>,
    /// How the service ended, if all that follows from that may not have been done.
    pub ended: Option<Ended>,
    /// Nobody has taken notice of that.
    pub unseen: bool,
    /// encore: `start` comes next.
    pub first: bool,
    /// encore: there was nothing to run, and that was well.
    pub started: bool,
    /// encore: `stop` was run last.
    pub stopped: bool,
    /// What is wanted.
    pub want: Want,
    /// When the process last came or went.
    pub since: Tai64n,
    /// When the last process was started.
    pub last_start: Option<Instant>,
    /// What else is known of it.
    pub kept: Kept,
}

/// What is known only where a service directory asks for more than the original gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// When the process became ready.
    pub ready: Option<Tai64n>,
    /// How often the service has died, one time after the other.
    pub failures: u32,
    /// Why it was last ended by us, or is not started.
    pub reason: Option<Reason>,
    /// It failed for good.
    pub failed: bool,
    /// When it was to be started next.
    pub next: Option<Tai64n>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervision begins.
    Begin,
    /// The answer to [`Effect::Prepare`]: the service may be started, as [`Machine::configure`] was
    /// told.
    Prepared,
    /// The answer to [`Effect::Prepare`]: there is a mistake in the service directory.
    Refused(Reason),
    /// The answer to [`Effect::Prepare`]: something outside is not there yet.
    Lacking,
    /// What was lacking may be there now.
    Available,
    /// The process asked for by [`Effect::Spawn`] exists.
    Spawned(Pid),
    /// The kernel gave no process.
    SpawnFailed,
    /// The process has ended, and was reaped, or is another's to reap.
    Ended(Ended),
    /// Nothing is left of what the service has left behind.
    Swept,
    /// The service goes on in another process.
    Moved(Pid),
    /// The service said something about itself.
    Said(Word),
    /// The answer to [`Effect::Check`]: whether the service is well.
    Checked(bool),
    /// Something has died without which the service is not to go on.
    Bereft,
    /// Time has passed: at or after [`Machine::deadline`], or sooner, which does no harm.
    Tick,
    /// Somebody asked for something.
    Command(Command, Scope),
}

/// What a service can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It serves.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It ends of its own accord.
    Stopping,
    /// It lives.
    Alive,
    /// It wants to be started again, as if it had been silent for too long.
    Sick,
    /// So long it may be silent from now on.
    WatchdogTime(Duration),
    /// What it does takes at least so long from now on.
    Extend(Duration),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read what the service directory asks for, and answer with [`Event::Prepared`],
    /// [`Event::Refused`] or [`Event::Lacking`].
    Prepare,
    /// Start this, and answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn(Script),
    /// Send a signal to the process.
    Signal(Pid, Signal, Scope),
    /// Ask the service how it is, and answer with [`Event::Checked`] in time.
    Check,
    /// End the check that runs; its answer is not waited for any more.
    StopCheck,
    /// Send a signal to everything that the service has left behind, and answer with
    /// [`Event::Swept`] when there is nothing.
    Sweep(Signal),
    /// The record has changed: write it before the next wait. Several of them are one.
    Publish,
    /// Leave.
    Exit,
}

/// The most effects of one step.
const MOST: usize = 6;

/// The effects of one step, in order.
pub type Effects = core::iter::Flatten<core::array::IntoIter<Option<Effect>, MOST>>;

type Few = [Option<Effect>; MOST];

const NONE: Few = [None; MOST];
const PUBLISH: Option<Effect> = Some(Effect::Publish);

/// These effects, in this order.
fn all<const N: usize>(effects: [Option<Effect>; N]) -> Few {
    let mut few = NONE;
    for (place, effect) in few.iter_mut().zip(effects.into_iter().filter(Option::is_some)) {
        *place = effect;
    }
    few
}

/// What has to happen in time while a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The process was told to end.
    Kill,
    /// The service is to be ready.
    Ready,
    /// The service is to say that it lives.
    Watchdog,
    /// The next check is due, or the one that runs is to be over.
    Check,
}

const TIMERS: usize = 4;

/// Whether a process was told to end, and whose wish that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// That is no fault of its own: it is wanted down, or what it needs has gone.
    Wanted,
    /// It is wanted up, and was not well.
    Unwell,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    /// Most services ask for nothing.
    policy: Option<Box<Policy>>,
    want: Want,
    /// `x` was received; nothing takes it back.
    leaving: bool,
    /// When the last process was started.
    last_start: Option<Instant>,
    /// Failures to fork since.
    fork_failures: u32,
    /// When the process last came or went, as shown in the record.
    since: Tai64n,

    /// encore's word for where a service was that is not wanted up, when it was left.
    left: StateCode,
    /// encore: the next `run` is to have a `start` before it.
    first: bool,
    /// encore: `stop` has been run since the service was last told to end.
    stopped: bool,
    /// How the service ended of which `finish` is to be told.
    unfinished: Option<Ended>,
    /// It did so between two supervises.
    unseen: bool,
    /// When the next start may be, for the pauses of the policy.
    not_before: Instant,
    /// `o` came when `run` did not run, and it has not been run since.
    owed: bool,
    /// Deaths in a row.
    failures: u32,
    /// Deaths that count for the limit.
    deaths: VecDeque<Instant>,
    /// It has died once too often, and is not started again when all that follows has been done.
    given_up: bool,
    /// Why we have last ended it, or not started it.
    reason: Option<Reason>,
    /// What varies the next pause.
    chance: u32,

    /// When each of the timers is due, while a process runs.
    timers: [Option<Instant>; TIMERS],
    /// When the service became ready.
    ready: Option<Tai64n>,
    /// What it said of itself since.
    says: Option<Word>,
    ending: Ending,
    /// Somebody has sent it a signal that ends it: its death is no failure.
    asked: bool,
    /// How long it may be silent, if it has said so itself.
    watchdog: Option<Duration>,
    checking: bool,
    failed_checks: u32,
}

impl Machine {
    /// A machine for a service which is wanted up or, if it has a `down` file, down.
    #[must_use]
    pub const fn new(normally_up: bool, now: Now) -> Self {
        Self {
            state: State::Down,
            policy: None,
            want: if normally_up { Want::Up } else { Want::Down },
            leaving: false,
            last_start: None,
            fork_failures: 0,
            since: now.label,
            left: StateCode::Stopped,
            first: true,
            stopped: false,
            unfinished: None,
            unseen: false,
            not_before: Instant(0),
            owed: false,
            failures: 0,
            deaths: VecDeque::new(),
            given_up: false,
            reason: None,
            chance: 0,
            timers: [None; TIMERS],
            ready: None,
            says: None,
            ending: Ending::No,
            asked: false,
            watchdog: None,
            checking: false,
            failed_checks: 0,
        }
    }

    /// A machine which goes on where another one was interrupted.
    #[must_use]
    pub fn resume(past: Past, now: Now) -> Self {
        let mut machine = Self::new(false, now);
        machine.state = match past.up {
            Some((pid, Script::Run, paused)) => State::Up { pid, paused },
            Some((pid, script, _)) => State::Aside { script, pid },
            None if past.kept.failed => State::Failed,
            None if past.started => State::Started,
            None => State::Down,
        };
        machine.want = past.want;
        machine.last_start = past.last_start;
        machine.since = past.since;
        machine.unfinished = past.ended;
        machine.unseen = past.unseen;
        machine.ready = past.kept.ready;
        machine.failures = past.kept.failures;
        machine.reason = past.kept.reason;
        if let Some(next) = past.kept.next {
            let pause = Duration::from_nanos(next.nanoseconds_after(now.label));
            machine.not_before = now.instant + pause.min(LONGEST_KEPT_PAUSE);
        }
        machine.first = past.first;
        machine.stopped = past.stopped;
        // What follows its last death was being done.
        let given_up = matches!(past.kept.reason, Some(Reason::Deaths | Reason::Code100));
        let follows = past.up.is_some() || past.ended.is_some();
        machine.given_up = given_up && follows && matches!(past.want, Want::Down);
        machine
    }

    /// What the service directory asks for: before [`Event::Begin`], and again before
    /// [`Event::Prepared`]. `chance` is any number, by which the next pause is varied.
    pub fn configure(&mut self, policy: Policy, chance: u32) {
        self.policy = (policy != Policy::ORIGINAL).then(|| Box::new(policy));
        self.chance = chance;
    }

    /// What the service directory asked for at the last start.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.policy.as_deref().unwrap_or(&Policy::ORIGINAL)
    }

    /// Where the service is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it was told to leave as soon as the service is down.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The process which is not yet reaped, if there is one.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Up { pid, .. } | State::Aside { pid, .. } => Some(pid),
            State::Down
            | State::Failed
            | State::Waiting { .. }
            | State::Blocked
            | State::Preparing
            | State::Spawning(_)
            | State::Started
            | State::Sweeping
            | State::Gone => None,
        }
    }

    /// What that process runs.
    #[must_use]
    pub const fn script(&self) -> Script {
        match self.state {
            State::Aside { script, .. } | State::Spawning(script) => script,
            State::Down
            | State::Failed
            | State::Waiting { .. }
            | State::Blocked
            | State::Preparing
            | State::Up { .. }
            | State::Started
            | State::Sweeping
            | State::Gone => Script::Run,
        }
    }

    /// When [`Event::Tick`] is due, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Up { .. } | State::Aside { .. } | State::Sweeping => {
                self.timers.into_iter().flatten().min()
            }
            State::Down
            | State::Failed
            | State::Blocked
            | State::Preparing
            | State::Spawning(_)
            | State::Started
            | State::Gone => None,
        }
    }

    /// When the next start is due, to show.
    #[must_use]
    pub fn next_start(&self, now: Now) -> Option<Tai64n> {
        match self.state {
            State::Waiting { due } => Some(now.label.after(due.after(now.instant))),
            _ => None,
        }
    }

    /// How long the machine waits after the failure to fork it has just been told of.
    #[must_use]
    pub fn fork_pause(&self) -> Duration {
        let doublings = self.fork_failures.saturating_sub(1).min(6);
        (START_INTERVAL * (1 << doublings)).min(LONGEST_FORK_PAUSE)
    }

    /// How the service ended that `finish` is run for.
    #[must_use]
    pub fn last_end(&self) -> Ended {
        self.unfinished.unwrap_or(Ended::Unknown)
    }

    /// The record to publish.
    #[must_use]
    pub fn record(&self) -> Record {
        let (pid, paused) = match self.state {
            State::Up { pid, paused } => (pid.get().cast_unsigned(), paused),
            // While `finish` runs, the service is down.
            State::Aside { pid, script: Script::Start | Script::Stop } => {
                (pid.get().cast_unsigned(), false)
            }
            State::Aside { script: Script::Run | Script::Finish, .. }
            | State::Down
            | State::Failed
            | State::Waiting { .. }
            | State::Blocked
            | State::Preparing
            | State::Spawning(_)
            | State::Started
            | State::Sweeping
            | State::Gone => (0, false),
        };
        let encore = self.policy().personality == Personality::Encore;
        let state = encore.then(|| self.state_code());
        Record { since: self.since, pid, paused, want: self.want, state }
    }

    /// encore's word for it.
    const fn state_code(&self) -> StateCode {
        match self.state {
            State::Failed => StateCode::Failed,
            State::Started => StateCode::Started,
            State::Up { .. } | State::Aside { script: Script::Start, .. } if self.is_ending() => {
                StateCode::Stopping
            }
            State::Up { .. } => StateCode::Running,
            State::Aside { script: Script::Start, .. } => StateCode::Starting,
            State::Waiting { .. }
            | State::Blocked
            | State::Preparing
            | State::Spawning(Script::Start | Script::Run) => match self.first {
                true => StateCode::Starting,
                false => StateCode::Running,
            },
            // It was not told to go down, only not to be started again.
            State::Gone if matches!(self.want, Want::Up) => StateCode::Running,
            State::Gone => self.left,
            State::Down | State::Spawning(_) | State::Aside { .. } | State::Sweeping => {
                StateCode::Stopped
            }
        }
    }

    /// Where the service is, for people.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Down | State::Gone => Phase::Down,
            State::Failed => Phase::Failed,
            State::Waiting { .. } => Phase::Waiting,
            State::Blocked => Phase::Blocked,
            State::Preparing | State::Spawning(Script::Start | Script::Run) => Phase::Starting,
            State::Aside { script: Script::Start, .. } => Phase::Starting,
            State::Spawning(Script::Stop | Script::Finish) | State::Aside { .. } => {
                Phase::Finishing
            }
            State::Up { .. } if self.is_ending() => Phase::Stopping,
            State::Up { .. } => match self.says {
                Some(Word::Stopping) => Phase::Stopping,
                Some(Word::Reloading) => Phase::Reloading,
                _ if self.ready.is_some() => Phase::Ready,
                _ if self.expects() => Phase::Starting,
                _ => Phase::Up,
            },
            State::Started => Phase::Ready,
            State::Sweeping => Phase::Stopping,
        }
    }

    /// When the service became ready.
    #[must_use]
    pub const fn ready(&self) -> Option<Tai64n> {
        self.ready
    }

    /// How often it has died, one time after the other.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Why it was last ended by us, or is not started.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether the process was told to end.
    #[must_use]
    pub const fn is_ending(&self) -> bool {
        !matches!(self.ending, Ending::No)
    }

    /// Whether it is to say that it is ready.
    fn expects(&self) -> bool {
        self.policy().announces || self.policy().check.is_some()
    }

    /// Takes one event.
    pub fn step(&mut self, event: Event, now: Now) -> Effects {
        use Command as C;
        use Event as E;
        use State as S;

        if let E::Command(command, _) = event
            && self.state != S::Gone
        {
            self.note_wish(command);
        }
        let effects = match (self.state, event) {
            // The end is final.
            (S::Gone, _) => NONE,

            (S::Down, E::Begin) => self.begin(now),
            (S::Down | S::Failed | S::Started, E::Command(C::Up | C::Once, _)) => {
                self.start(PUBLISH, now)
            }
            (
                S::Down | S::Failed | S::Started | S::Waiting { .. } | S::Blocked,
                E::Command(C::Down, _),
            ) => self.go_down(),
            (S::Down | S::Failed | S::Started, E::Command(C::Pause | C::Continue, _)) => {
                all([PUBLISH])
            }
            (
                S::Down | S::Failed | S::Started | S::Waiting { .. } | S::Blocked,
                E::Command(C::Exit, _),
            ) => self.leave(),

            (S::Waiting { due }, E::Tick) if due <= now.instant => self.start(None, now),
            // The pause after a failure to fork is for the machine's sake.
            (S::Waiting { .. }, E::Command(C::Up | C::Once, _)) if self.fork_failures == 0 => {
                self.start(PUBLISH, now)
            }
            // What it waits for may be another thing now.
            (S::Blocked, E::Command(C::Up | C::Once, _)) => self.start(PUBLISH, now),
            (
                S::Waiting { .. } | S::Blocked,
                E::Command(C::Up | C::Once | C::Pause | C::Continue, _),
            ) => all([PUBLISH]),
            (S::Blocked, E::Available) => self.start(None, now),
            (S::Preparing, E::Prepared) => {
                // That has been mended.
                self.reason = self.reason.filter(|reason| *reason != Reason::Options);
                self.prepared(now)
            }
            (S::Preparing, E::Refused(_) | E::Lacking) if self.leaving => self.leave(),
            (S::Preparing, E::Refused(Reason::Cycle)) => self.fail(Reason::Cycle),
            (S::Preparing, E::Refused(reason)) => {
                self.reason = Some(reason);
                self.state = S::Waiting { due: now.instant + REFUSAL_PAUSE };
                self.unless_unwanted()
            }
            (S::Preparing, E::Lacking) => {
                self.state = S::Blocked;
                self.unless_unwanted()
            }
            // The program answers before it reads another command, so that this hardly happens.
            (S::Preparing, E::Command(..)) => all([PUBLISH]),

            (S::Spawning(script), E::Spawned(pid)) => self.spawned(script, pid, now),
            (S::Spawning(_), E::SpawnFailed) if self.leaving => self.leave(),
            (S::Spawning(Script::Start | Script::Run), E::SpawnFailed) => {
                self.fork_failures = self.fork_failures.saturating_add(1);
                self.state = S::Waiting { due: now.instant + self.fork_pause() };
                self.unless_unwanted()
            }
            // They are done without.
            (S::Spawning(Script::Stop | Script::Finish), E::SpawnFailed) => {
                self.settle(PUBLISH, now)
            }
            // As above: what is wanted is noted, a signal has nobody to go to.
            (S::Spawning(_), E::Command(..)) => all([PUBLISH]),

            // It has survived the last supervise, and does not notice this one.
            (S::Up { .. } | S::Aside { .. }, E::Begin) => self.watch_again(now),
            (S::Up { .. }, E::Ended(how)) => self.ended(how, now),
            (S::Up { paused, .. }, E::Moved(pid)) => {
                self.state = S::Up { pid, paused };
                // It has not heard of that.
                let [term, cont] = if self.is_ending() {
                    self.terminate(pid, Scope::Process, None, now)
                } else {
                    [None; 2]
                };
                all([term, cont, PUBLISH])
            }
            (S::Up { .. }, E::Command(C::Up | C::Once | C::Exit, _)) => all([PUBLISH]),
            (S::Up { pid, .. }, E::Command(C::Down, scope)) => {
                self.state = S::Up { pid, paused: false };
                let check = self.look_away(now);
                let [term, cont] = self.end_as_wanted(pid, scope, now);
                all([check, term, cont, PUBLISH])
            }
            (S::Up { pid, .. }, E::Command(C::Pause, scope)) => {
                self.state = S::Up { pid, paused: true };
                let check = self.look_away(now);
                all([check, PUBLISH, Some(Effect::Signal(pid, Signal::Stop, scope))])
            }
            (S::Up { pid, paused }, E::Command(C::Continue, scope)) => {
                self.state = S::Up { pid, paused: false };
                if paused && !self.is_ending() {
                    self.watch(now);
                }
                all([PUBLISH, Some(Effect::Signal(pid, Signal::Cont, scope))])
            }
            (S::Up { pid, .. }, E::Command(C::Signal(signal), scope)) => {
                use Signal::{Abrt, Int, Kill, Quit, Term};
                self.asked |= matches!(signal, Term | Kill | Int | Quit | Abrt)
                    || signal == self.policy().stop.signal;
                all([Some(Effect::Signal(pid, signal, scope))])
            }
            (S::Up { .. }, E::Said(word)) => self.heard(word, now),
            (S::Up { .. }, E::Checked(well)) => self.checked(well, now),
            (S::Up { .. }, E::Bereft) => self.restart(Reason::Needs, now),
            (S::Up { .. }, E::Tick) => self.due(now),

            (S::Aside { script, .. }, E::Ended(how)) => self.script_ended(script, how, now),
            (S::Aside { script: Script::Start, pid }, E::Command(C::Down, scope)) => {
                let [term, cont] = self.end_as_wanted(pid, scope, now);
                all([term, cont, PUBLISH])
            }
            // What cleans up is not disturbed by a wish for what comes after it.
            (
                S::Aside { .. },
                E::Command(C::Up | C::Once | C::Exit | C::Down | C::Pause | C::Continue, _),
            ) => all([PUBLISH]),
            (S::Aside { pid, .. }, E::Command(C::Signal(signal), scope)) => {
                all([Some(Effect::Signal(pid, signal, scope))])
            }
            (S::Aside { script, pid }, E::Tick) => match self.take_due(Timer::Kill, now) {
                true => {
                    // A start that was told to end was told so like the service.
                    let told = script == Script::Start;
                    let scope = if told { self.kill_scope() } else { Scope::Process };
                    all([Some(Effect::Signal(pid, Signal::Kill, scope))])
                }
                false => NONE,
            },

            (S::Sweeping, E::Swept) => self.settle(PUBLISH, now),
            (S::Sweeping, E::Tick) => match self.take_due(Timer::Kill, now) {
                // What refuses to die is named each time.
                true => {
                    self.arm(Timer::Kill, Some(PATIENCE), now);
                    all([Some(Effect::Sweep(Signal::Kill))])
                }
                false => NONE,
            },
            (S::Sweeping, E::Command(C::Signal(signal), _)) => all([Some(Effect::Sweep(signal))]),
            (S::Sweeping, E::Command(..)) => all([PUBLISH]),

            // Without a process there is nobody to signal.
            (
                S::Down | S::Failed | S::Started | S::Waiting { .. } | S::Blocked,
                E::Command(C::Signal(_), _),
            ) => NONE,
            // After a resumption: so it was before.
            (S::Failed | S::Started, E::Begin) => all([PUBLISH]),
            // Too early, or nothing was due; words of one that has ended; a check that was late.
            (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Preparing
                | S::Spawning(_),
                E::Tick,
            )
            | (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Preparing
                | S::Spawning(_)
                | S::Aside { .. }
                | S::Sweeping,
                E::Said(_) | E::Checked(_) | E::Bereft | E::Moved(_),
            )
            | (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Preparing
                | S::Spawning(_)
                | S::Up { .. }
                | S::Aside { .. }
                | S::Sweeping,
                E::Available,
            ) => NONE,
            // These cannot happen: an answer that was not asked for, the end of a process that
            // does not exist, a beginning in the middle. To forget them is right all the same.
            (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Preparing
                | S::Up { .. }
                | S::Aside { .. }
                | S::Sweeping,
                E::Spawned(_) | E::SpawnFailed,
            )
            | (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Spawning(_)
                | S::Up { .. }
                | S::Aside { .. }
                | S::Sweeping,
                E::Prepared | E::Refused(_) | E::Lacking,
            )
            | (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Preparing
                | S::Spawning(_)
                | S::Up { .. }
                | S::Aside { .. },
                E::Swept,
            )
            | (
                S::Down
                | S::Failed
                | S::Started
                | S::Waiting { .. }
                | S::Blocked
                | S::Preparing
                | S::Spawning(_)
                | S::Sweeping,
                E::Ended(_),
            )
            | (
                S::Waiting { .. } | S::Blocked | S::Preparing | S::Spawning(_) | S::Sweeping,
                E::Begin,
            ) => NONE,
        };
        effects.into_iter().flatten()
    }

    /// What a command says about the time to come, in whatever state it arrives.
    fn note_wish(&mut self, command: Command) {
        match command {
            Command::Up => {
                // What is started stays so.
                self.first |= self.want != Want::Up && self.state != State::Started;
                self.want = Want::Up;
                self.forgive();
            }
            Command::Down => {
                self.want = Want::Down;
                self.given_up = false;
            }
            Command::Once => {
                self.want = Want::Once;
                self.owed = !matches!(self.state, State::Up { .. });
                self.forgive();
            }
            Command::Exit => self.leaving = true,
            Command::Pause | Command::Continue | Command::Signal(_) => {}
        }
    }

    /// Somebody wants it, and knows why: its earlier deaths do not count.
    fn forgive(&mut self) {
        self.failures = 0;
        self.deaths.clear();
        self.not_before = Instant(0);
        self.given_up = false;
        self.reason = None;
    }

    fn begin(&mut self, now: Now) -> Few {
        if let Some(how) = self.unfinished.filter(|_| core::mem::take(&mut self.unseen)) {
            return self.bury(how, None, now);
        }
        if self.unfinished.is_some() && self.policy().scripts.finish {
            return self.finish(None, now);
        }
        match self.want {
            Want::Up => self.start(PUBLISH, now),
            // After a resumption: what was to run once has been started.
            Want::Down | Want::Once => all([PUBLISH]),
        }
    }

    /// Starts now, or as soon as the last start is long enough ago; after `before`.
    fn start(&mut self, before: Option<Effect>, now: Now) -> Few {
        let soonest = self.last_start.map_or(now.instant, |last| last + START_INTERVAL);
        let due = soonest.max(self.not_before);
        if due > now.instant {
            self.state = State::Waiting { due };
            return all([before]);
        }
        self.state = State::Preparing;
        all([before, Some(Effect::Prepare)])
    }

    /// The service may be started.
    fn prepared(&mut self, now: Now) -> Few {
        // What was said since, before there was anything to be told to end.
        if self.leaving {
            return self.leave();
        }
        if self.want == Want::Down {
            return self.go_down();
        }
        let scripts = self.policy().scripts;
        if scripts.start && self.first {
            self.state = State::Spawning(Script::Start);
            return all([Some(Effect::Spawn(Script::Start))]);
        }
        if scripts.runless {
            return self.stay_started(now);
        }
        self.state = State::Spawning(Script::Run);
        all([Some(Effect::Spawn(Script::Run))])
    }

    fn stay_started(&mut self, now: Now) -> Few {
        self.state = State::Started;
        self.first = false;
        self.stopped = false;
        self.owed = false;
        self.want = Want::Once;
        self.since = now.label;
        self.ready = Some(now.label);
        all([PUBLISH])
    }

    /// Waits, if it is still wanted.
    fn unless_unwanted(&mut self) -> Few {
        if self.want == Want::Down { self.go_down() } else { all([PUBLISH]) }
    }

    fn spawned(&mut self, script: Script, pid: Pid, now: Now) -> Few {
        self.timers = [None; TIMERS];
        self.fork_failures = 0;
        self.ending = Ending::No;
        match script {
            Script::Run => {
                self.state = State::Up { pid, paused: false };
                self.last_start = Some(now.instant);
                self.since = now.label;
                self.owed = false;
                self.asked = false;
                self.says = None;
                self.watchdog = None;
                self.checking = false;
                self.failed_checks = 0;
                self.ready = None;
                if self.want != Want::Down {
                    self.watch(now);
                }
            }
            Script::Start => {
                self.state = State::Aside { script, pid };
                self.last_start = Some(now.instant);
                self.since = now.label;
            }
            Script::Stop => {
                self.state = State::Aside { script, pid };
                self.since = now.label;
            }
            Script::Finish => {
                self.state = State::Aside { script, pid };
                self.arm(Timer::Kill, self.policy().finish_timeout, now);
            }
        }
        // A wish to end it that came in between was only noted.
        let [term, cont] = match (self.want, script) {
            (Want::Down, Script::Run | Script::Start) => {
                self.end_as_wanted(pid, Scope::Process, now)
            }
            _ => [None; 2],
        };
        all([term, cont, PUBLISH])
    }

    /// Begins to watch over the health of a new process.
    fn watch(&mut self, now: Now) {
        if self.expects() && self.ready.is_none() {
            self.arm(Timer::Ready, self.policy().ready_timeout, now);
        }
        if !self.policy().announces || self.ready.is_some() {
            self.hear_alive(now);
        }
        let check = self.policy().check.filter(|check| check.failures > 0 || self.ready.is_none());
        self.arm(Timer::Check, check.map(|check| check.interval), now);
    }

    /// Nothing is expected of a process that is paused, or told to end. Gives what ends the check.
    fn look_away(&mut self, now: Now) -> Option<Effect> {
        for timer in [Timer::Ready, Timer::Watchdog, Timer::Check] {
            self.arm(timer, None, now);
        }
        core::mem::take(&mut self.checking).then_some(Effect::StopCheck)
    }

    /// Watches over a process that was taken over.
    fn watch_again(&mut self, now: Now) -> Few {
        match self.state {
            // It has got its signal.
            State::Up { .. } | State::Aside { script: Script::Start, .. }
                if self.want == Want::Down =>
            {
                self.ending = Ending::Wanted;
                self.arm(Timer::Kill, self.policy().stop.timeout, now);
            }
            State::Up { paused: false, .. } => self.watch(now),
            State::Aside { script: Script::Finish, .. } => {
                self.arm(Timer::Kill, self.policy().finish_timeout, now);
            }
            _ => {}
        }
        NONE
    }

    fn arm(&mut self, timer: Timer, after: Option<Duration>, now: Now) {
        if let Some(place) = self.timers.get_mut(timer as usize) {
            *place = after.map(|after| now.instant + after);
        }
    }

    /// Whether a timer is due, which it is once.
    fn take_due(&mut self, timer: Timer, now: Now) -> bool {
        let place = self.timers.get_mut(timer as usize);
        place.is_some_and(|place| place.take_if(|due| *due <= now.instant).is_some())
    }

    /// What is due while the service runs.
    fn due(&mut self, now: Now) -> Few {
        let State::Up { pid, .. } = self.state else {
            return NONE;
        };
        if self.take_due(Timer::Kill, now) {
            return all([Some(Effect::Signal(pid, Signal::Kill, self.kill_scope()))]);
        }
        if self.take_due(Timer::Ready, now) {
            return self.restart(Reason::NotReady, now);
        }
        if self.take_due(Timer::Watchdog, now) {
            return self.restart(Reason::Watchdog, now);
        }
        if let Some(check) = self.policy().check
            && self.take_due(Timer::Check, now)
        {
            if self.checking {
                let [a, b, c, ..] = self.checked(false, now);
                return all([Some(Effect::StopCheck), a, b, c]);
            }
            self.checking = true;
            self.arm(Timer::Check, Some(check.timeout), now);
            return all([Some(Effect::Check)]);
        }
        NONE
    }

    fn heard(&mut self, word: Word, now: Now) -> Few {
        match word {
            Word::Ready => {
                self.says = None;
                self.become_ready(now);
            }
            Word::Reloading | Word::Stopping => self.says = Some(word),
            Word::Alive => {
                // Nobody reads about it.
                self.hear_alive(now);
                return NONE;
            }
            Word::Sick => return self.restart(Reason::Watchdog, now),
            Word::WatchdogTime(time) => {
                self.watchdog = Some(time);
                self.hear_alive(now);
            }
            Word::Extend(time) => {
                let least = now.instant + time;
                for timer in [Timer::Kill, Timer::Ready] {
                    if let Some(Some(due)) = self.timers.get_mut(timer as usize) {
                        *due = (*due).max(least);
                    }
                }
                return NONE;
            }
        }
        all([PUBLISH])
    }

    fn hear_alive(&mut self, now: Now) {
        if matches!(self.state, State::Up { paused: false, .. }) && !self.is_ending() {
            self.arm(Timer::Watchdog, self.watchdog.or(self.policy().watchdog), now);
        }
    }

    fn become_ready(&mut self, now: Now) {
        if self.ready.is_none() {
            self.ready = Some(now.label);
            self.arm(Timer::Ready, None, now);
            self.hear_alive(now);
        }
    }

    fn checked(&mut self, well: bool, now: Now) -> Few {
        let Some(check) = self.policy().check.filter(|_| self.checking) else {
            return NONE;
        };
        self.checking = false;
        if self.is_ending() {
            return NONE;
        }
        // Without a number of failures it was only to tell when the service is ready.
        let goes_on = check.failures > 0 || (!well && self.ready.is_none());
        self.arm(Timer::Check, goes_on.then_some(check.interval), now);
        if well {
            self.failed_checks = 0;
            if self.ready.is_some() {
                return NONE;
            }
            self.become_ready(now);
            return all([PUBLISH]);
        }
        // Before it is ready it cannot be ill; that it is ready in time is seen to.
        if self.ready.is_none() || !goes_on {
            return NONE;
        }
        self.failed_checks += 1;
        if self.failed_checks >= check.failures { self.restart(Reason::Check, now) } else { NONE }
    }

    /// Ends a service that is wanted, for this reason; its end lets it be started again.
    fn restart(&mut self, reason: Reason, now: Now) -> Few {
        let State::Up { pid, .. } = self.state else {
            return NONE;
        };
        if self.is_ending() {
            return NONE;
        }
        self.state = State::Up { pid, paused: false };
        self.ending = if reason == Reason::Needs { Ending::Wanted } else { Ending::Unwell };
        self.reason = Some(reason);
        let patience = self.policy().stop.timeout.unwrap_or(PATIENCE);
        let check = self.look_away(now);
        let [term, cont] = self.terminate(pid, Scope::Process, Some(patience), now);
        all([check, term, cont, PUBLISH])
    }

    /// The service has ended.
    fn ended(&mut self, how: Ended, now: Now) -> Few {
        let checking = core::mem::take(&mut self.checking).then_some(Effect::StopCheck);
        self.since = now.label;
        self.first = false;
        self.ready = None;
        self.timers = [None; TIMERS];
        self.unfinished = Some(how);
        self.bury(how, checking, now)
    }

    /// What follows the end of the service, after `before`.
    fn bury(&mut self, how: Ended, before: Option<Effect>, now: Now) -> Few {
        if let Some(reason) = self.count_death(how, now) {
            self.reason = Some(reason);
            self.want = Want::Down;
            self.given_up = true;
        }
        if self.policy().stop.reach == Reach::Tree {
            self.state = State::Sweeping;
            // It was told to end together with the service, or hears of it now.
            let told = self.is_ending();
            let signal = if told { Signal::Cont } else { self.policy().stop.signal };
            let patience = self.policy().stop.timeout.unwrap_or(PATIENCE);
            self.arm(Timer::Kill, Some(patience), now);
            return all([before, PUBLISH, Some(Effect::Sweep(signal))]);
        }
        self.finish(before, now)
    }

    /// Whether this death is one too many, and why. Notes when the next start may be.
    fn count_death(&mut self, how: Ended, now: Now) -> Option<Reason> {
        let failed = match self.ending {
            Ending::No => self.want == Want::Up && !self.asked,
            // Down and up again: it is wanted, but it was told to end.
            Ending::Wanted => false,
            Ending::Unwell => true,
        };
        let policy = *self.policy();
        let reset = policy.restart.map_or(HEALTHY, |restart| restart.reset);
        if self.last_start.is_some_and(|start| start + reset <= now.instant) {
            self.failures = 0;
        }
        // One that was told to end, and then to come back, may say so by this code too.
        let comes_back = self.ending == Ending::Wanted && self.want == Want::Up;
        let encore = policy.personality == Personality::Encore;
        if encore && how == Ended::Exited(100) && !comes_back {
            return Some(Reason::Code100);
        }
        if !failed {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(restart) = policy.restart {
            self.not_before = now.instant + restart.delay(self.failures, self.chance);
        }
        let limit = policy.limit?;
        let within = |death: &Instant| *death + limit.within > now.instant;
        self.deaths.retain(within);
        self.deaths.push_back(now.instant);
        (self.deaths.len() >= limit.deaths.into()).then_some(Reason::Deaths)
    }

    /// Runs `finish`, or goes on without.
    fn finish(&mut self, before: Option<Effect>, now: Now) -> Few {
        if self.policy().scripts.finish {
            self.state = State::Spawning(Script::Finish);
            return all([before, PUBLISH, Some(Effect::Spawn(Script::Finish))]);
        }
        let [a, b, c, ..] = self.settle(PUBLISH, now);
        all([before, a, b, c])
    }

    /// Another script has ended.
    fn script_ended(&mut self, script: Script, how: Ended, now: Now) -> Few {
        let encore = self.policy().personality == Personality::Encore;
        self.timers = [None; TIMERS];
        if encore {
            self.since = now.label;
            if how == Ended::Exited(100) {
                return self.fail(Reason::Code100);
            }
        }
        let well = how == Ended::Exited(0);
        if script == Script::Start {
            // What was interrupted has not been done.
            self.first = !well;
        }
        match script {
            Script::Start if self.want == Want::Down => self.settle(PUBLISH, now),
            Script::Start if !well && !self.is_ending() => self.fail(Reason::StartScript),
            Script::Start if self.leaving => self.leave(),
            // Down and up again, in the meantime.
            Script::Start if !well => self.start(PUBLISH, now),
            Script::Start => {
                if self.policy().scripts.runless {
                    return self.stay_started(now);
                }
                self.state = State::Spawning(Script::Run);
                all([PUBLISH, Some(Effect::Spawn(Script::Run))])
            }
            Script::Finish
                if self.policy().personality == Personality::S6 && how == Ended::Exited(125) =>
            {
                self.fail(Reason::Finish125)
            }
            Script::Run | Script::Stop | Script::Finish => self.settle(PUBLISH, now),
        }
    }

    /// Nothing runs any more: what now? After `before`.
    fn settle(&mut self, before: Option<Effect>, now: Now) -> Few {
        self.timers = [None; TIMERS];
        // What is to be swept was swept, and what is to be finished has been.
        if self.state == State::Sweeping && self.policy().scripts.finish {
            return self.finish(before, now);
        }
        if self.leaving && (self.given_up || self.want != Want::Down) {
            return self.leave();
        }
        if self.given_up {
            self.state = State::Failed;
            return all([PUBLISH]);
        }
        match self.want {
            Want::Up => self.start(before, now),
            Want::Once if self.owed => self.start(before, now),
            Want::Down | Want::Once => self.go_down(),
        }
    }

    /// It is down for good: `stop` is run if that is due.
    fn go_down(&mut self) -> Few {
        self.ready = None;
        if self.policy().scripts.stop && !self.stopped {
            // Once, even if there is no process for it.
            self.stopped = true;
            self.state = State::Spawning(Script::Stop);
            return all([PUBLISH, Some(Effect::Spawn(Script::Stop))]);
        }
        if self.leaving {
            return self.leave();
        }
        self.state = State::Down;
        all([PUBLISH])
    }

    /// It is not started again before somebody says so.
    fn fail(&mut self, reason: Reason) -> Few {
        self.reason = Some(reason);
        self.want = Want::Down;
        self.state = State::Failed;
        if self.leaving { self.leave() } else { all([PUBLISH]) }
    }

    fn leave(&mut self) -> Few {
        self.left = match self.state {
            State::Failed | State::Started => self.state_code(),
            _ if self.given_up => StateCode::Failed,
            _ => StateCode::Stopped,
        };
        self.state = State::Gone;
        all([PUBLISH, Some(Effect::Exit)])
    }

    fn end_as_wanted(&mut self, pid: Pid, scope: Scope, now: Now) -> [Option<Effect>; 2] {
        self.ending = Ending::Wanted;
        self.stopped = false;
        self.terminate(pid, scope, self.policy().stop.timeout, now)
    }

    /// The signal to end it, and CONT so that it can: a stopped process does not notice. KILL after
    /// some time, if `timeout` says so.
    fn terminate(
        &mut self,
        pid: Pid,
        scope: Scope,
        timeout: Option<Duration>,
        now: Now,
    ) -> [Option<Effect>; 2] {
        if self.timers.get(Timer::Kill as usize) == Some(&None) {
            self.arm(Timer::Kill, timeout, now);
        }
        let scope = scope.max(self.scope());
        let Stop { signal, .. } = self.policy().stop;
        [signal, Signal::Cont].map(|signal| Some(Effect::Signal(pid, signal, scope)))
    }

    fn scope(&self) -> Scope {
        match self.policy().stop.reach {
            Reach::Process => Scope::Process,
            Reach::Group => Scope::Group,
            Reach::Tree => Scope::Tree,
        }
    }

    fn kill_scope(&self) -> Scope {
        let group = if self.policy().stop.kill_group { Scope::Group } else { Scope::Process };
        group.max(self.scope())
    }
}
