//! The supervise machine: one service, from its first start to the end of its supervise.
//!
//! [`Machine::step`] is the whole design: every state against every event. It takes the time,
//! changes the state, and says what is to be done; it does nothing itself. The program performs
//! the effects in order and gives back what came of a [`Effect::Spawn`].
//!
//! Two rules of the original shape it. A service is started at most once a second; unlike the
//! original, which sleeps through that second, the machine waits in a state ([`State::Waiting`])
//! in which it obeys. And a signal goes only to a process that has not been reaped, so that it
//! can never hit a stranger with the same number.

use crate::command::{Command, Scope, Signal};
use crate::status::{Record, Want};
use crate::tai::Tai64n;
use crate::time::{Instant, Now};
use crate::{Ended, Pid};
use core::time::Duration;

/// The least time from one start to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after failures to fork; the pauses double from [`START_INTERVAL`] on.
pub const LONGEST_FORK_PAUSE: Duration = Duration::from_secs(60);

/// Where the service is. Every state holds what is known in it and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no process, and none is to be started.
    Down,
    /// There is no process; one is to be started at this moment.
    Waiting {
        /// The moment.
        due: Instant,
    },
    /// A process was asked for, and the answer has not come.
    Spawning,
    /// The process runs, as far as we know.
    Up {
        /// The process, not yet reaped.
        pid: Pid,
        /// Whether `p` was the last word about stopping.
        paused: bool,
    },
    /// The supervision has ended.
    Gone,
}

/// What a supervise that was killed leaves to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The process, if it still runs, and whether it is paused.
    pub up: Option<(Pid, bool)>,
    /// What is wanted.
    pub want: Want,
    /// When the process last came or went.
    pub since: Tai64n,
    /// When the last process was started.
    pub last_start: Option<Instant>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervision begins.
    Begin,
    /// The process asked for by [`Effect::Spawn`] exists.
    Spawned(Pid),
    /// The kernel gave no process.
    SpawnFailed,
    /// The process has ended, and was reaped, or is another's to reap.
    Ended(Ended),
    /// Time has passed: at or after [`Machine::deadline`], or sooner, which does no harm.
    Tick,
    /// Somebody asked for something.
    Command(Command, Scope),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start `./run`, and answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn,
    /// Send a signal to the process.
    Signal(Pid, Signal, Scope),
    /// The record has changed: write it before the next wait. Several of them are one.
    Publish,
    /// Leave.
    Exit,
}

/// The effects of one step, in order.
pub type Effects = core::iter::Flatten<core::array::IntoIter<Option<Effect>, 4>>;

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    want: Want,
    /// `x` was received; nothing takes it back.
    leaving: bool,
    /// When the last process was started.
    last_start: Option<Instant>,
    /// Failures to fork since.
    fork_failures: u32,
    /// When the process last came or went, as shown in the record.
    since: Tai64n,
}

impl Machine {
    /// A machine for a service which is wanted up or, if it has a `down` file, down.
    #[must_use]
    pub const fn new(normally_up: bool, now: Now) -> Self {
        Self {
            state: State::Down,
            want: if normally_up { Want::Up } else { Want::Down },
            leaving: false,
            last_start: None,
            fork_failures: 0,
            since: now.label,
        }
    }

    /// A machine which goes on where another one was interrupted.
    #[must_use]
    pub const fn resume(past: Past) -> Self {
        let state = match past.up {
            Some((pid, paused)) => State::Up { pid, paused },
            None => State::Down,
        };
        let Past { up: _, want, since, last_start } = past;
        Self { state, want, leaving: false, last_start, fork_failures: 0, since }
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
            State::Up { pid, .. } => Some(pid),
            State::Down | State::Waiting { .. } | State::Spawning | State::Gone => None,
        }
    }

    /// When [`Event::Tick`] is due, if ever.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Down | State::Spawning | State::Up { .. } | State::Gone => None,
        }
    }

    /// How long the machine waits after the failure to fork it has just been told of.
    #[must_use]
    pub fn fork_pause(&self) -> Duration {
        let doublings = self.fork_failures.saturating_sub(1).min(6);
        (START_INTERVAL * (1 << doublings)).min(LONGEST_FORK_PAUSE)
    }

    /// The record to publish.
    #[must_use]
    pub fn record(&self) -> Record {
        let (pid, paused) = match self.state {
            State::Up { pid, paused } => (pid.get().cast_unsigned(), paused),
            State::Down | State::Waiting { .. } | State::Spawning | State::Gone => (0, false),
        };
        Record { since: self.since, pid, paused, want: self.want, state: None }
    }

    /// Takes one event.
    pub fn step(&mut self, event: Event, now: Now) -> Effects {
        use Command as C;
        use Event as E;
        use State as S;
        const NONE: [Option<Effect>; 4] = [None; 4];
        let publish = Some(Effect::Publish);

        if let E::Command(command, _) = event
            && self.state != S::Gone
        {
            self.note_wish(command);
        }
        let effects = match (self.state, event) {
            // The end is final.
            (S::Gone, _) => NONE,

            (S::Down, E::Begin) => match self.want {
                Want::Up => [publish, self.start(now), None, None],
                // After a resumption: what was to run once has been started.
                Want::Down | Want::Once => [publish, None, None, None],
            },
            (S::Down, E::Command(C::Up | C::Once, _)) => [publish, self.start(now), None, None],
            (S::Down, E::Command(C::Down | C::Pause | C::Continue, _)) => {
                [publish, None, None, None]
            }
            (S::Down | S::Waiting { .. }, E::Command(C::Exit, _)) => self.leave(),

            (S::Waiting { due }, E::Tick) if due <= now.instant => {
                [self.start(now), None, None, None]
            }
            (S::Waiting { .. }, E::Command(C::Down, _)) => {
                self.state = S::Down;
                [publish, None, None, None]
            }
            (S::Waiting { .. }, E::Command(C::Up | C::Once | C::Pause | C::Continue, _)) => {
                [publish, None, None, None]
            }

            (S::Spawning, E::Spawned(pid)) => {
                self.state = S::Up { pid, paused: false };
                self.last_start = Some(now.instant);
                self.fork_failures = 0;
                self.since = now.label;
                // A wish to end it that came in between was only noted.
                let (term, cont) = match self.want {
                    Want::Down => Self::terminate(pid, Scope::Process),
                    Want::Up | Want::Once => (None, None),
                };
                [term, cont, publish, None]
            }
            (S::Spawning, E::SpawnFailed) if self.leaving => self.leave(),
            (S::Spawning, E::SpawnFailed) => {
                self.fork_failures = self.fork_failures.saturating_add(1);
                self.state = match self.want {
                    Want::Up | Want::Once => S::Waiting { due: now.instant + self.fork_pause() },
                    Want::Down => S::Down,
                };
                [publish, None, None, None]
            }
            // The program answers before it reads another command, so that this hardly happens:
            // what is wanted is noted, a signal has nobody to go to.
            (S::Spawning, E::Command(..)) => [publish, None, None, None],

            (S::Up { .. }, E::Ended(_)) => {
                self.since = now.label;
                if self.leaving {
                    self.leave()
                } else if self.want == Want::Up {
                    self.state = S::Down;
                    [publish, self.start(now), None, None]
                } else {
                    self.state = S::Down;
                    [publish, None, None, None]
                }
            }
            (S::Up { .. }, E::Command(C::Up | C::Once | C::Exit, _)) => [publish, None, None, None],
            (S::Up { pid, .. }, E::Command(C::Down, scope)) => {
                self.state = S::Up { pid, paused: false };
                let (term, cont) = Self::terminate(pid, scope);
                [term, cont, publish, None]
            }
            (S::Up { pid, .. }, E::Command(C::Pause, scope)) => {
                self.state = S::Up { pid, paused: true };
                [publish, Some(Effect::Signal(pid, Signal::Stop, scope)), None, None]
            }
            (S::Up { pid, .. }, E::Command(C::Continue, scope)) => {
                self.state = S::Up { pid, paused: false };
                [publish, Some(Effect::Signal(pid, Signal::Cont, scope)), None, None]
            }
            (S::Up { pid, .. }, E::Command(C::Signal(signal), scope)) => {
                [Some(Effect::Signal(pid, signal, scope)), None, None, None]
            }

            // Without a process there is nobody to signal.
            (S::Down | S::Waiting { .. }, E::Command(C::Signal(_), _)) => NONE,
            // Too early, or nothing was due.
            (S::Down | S::Waiting { .. } | S::Spawning | S::Up { .. }, E::Tick) => NONE,
            // It has survived the last supervise, and does not notice this one.
            (S::Up { .. }, E::Begin) => NONE,
            // These cannot happen: a process that was not asked for, the end of one that does
            // not exist, a beginning in the middle. To forget them is right all the same.
            (S::Down | S::Waiting { .. } | S::Up { .. }, E::Spawned(_) | E::SpawnFailed)
            | (S::Down | S::Waiting { .. } | S::Spawning, E::Ended(_))
            | (S::Waiting { .. } | S::Spawning, E::Begin) => NONE,
        };
        effects.into_iter().flatten()
    }

    /// What a command says about the time to come, in whatever state it arrives.
    const fn note_wish(&mut self, command: Command) {
        match command {
            Command::Up => self.want = Want::Up,
            Command::Down => self.want = Want::Down,
            Command::Once => self.want = Want::Once,
            Command::Exit => self.leaving = true,
            Command::Pause | Command::Continue | Command::Signal(_) => {}
        }
    }

    /// Starts now, or as soon as the last start is long enough ago.
    fn start(&mut self, now: Now) -> Option<Effect> {
        let due = self.last_start.map_or(now.instant, |last| last + START_INTERVAL);
        if due > now.instant {
            self.state = State::Waiting { due };
            return None;
        }
        self.state = State::Spawning;
        Some(Effect::Spawn)
    }

    fn leave(&mut self) -> [Option<Effect>; 4] {
        self.state = State::Gone;
        [Some(Effect::Publish), Some(Effect::Exit), None, None]
    }

    /// TERM to end it, CONT so that it can: a stopped process does not notice.
    const fn terminate(pid: Pid, scope: Scope) -> (Option<Effect>, Option<Effect>) {
        (
            Some(Effect::Signal(pid, Signal::Term, scope)),
            Some(Effect::Signal(pid, Signal::Cont, scope)),
        )
    }
}
