//! A small kernel around the supervise machine under any policy. It forks, ends processes, answers
//! checks, lets time pass, and checks the rules that hold after every event. Properties and the fuzzer
//! drive it.

use crate::common::{at, pid, shown_state};
use daemontools_core::Ended;
use daemontools_core::Pid;
use daemontools_core::state_dir::control::{Command, Scope};
use daemontools_core::state_dir::phase::{Phase, Reason};
use daemontools_core::state_dir::status::{StatusRecord, Want};
use daemontools_core::supervise::{Effect, Event, Machine, Notification, Policy, Script, State};

/// One action.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Command(u8, Scope),
    /// The process ends, if there is one, and is reaped.
    Die(Ended),
    /// The leftovers of the service end.
    Sweep,
    /// Time passes, with ticks at the deadlines.
    Pass(u64),
    Tick,
    Notify(Notification),
    /// The running check ends, if there is one.
    Check(bool),
    Available,
    DependencyLost,
    Move,
    /// From now on forks succeed or fail, and requests are answered at once or by [`Act::Answer`].
    Forks(bool),
    Slow(bool),
    /// The answer to `Prepare` from now on.
    Directory(Directory),
    Answer,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Directory {
    Good,
    Refused(Reason),
    Lacking,
}

/// The environment of the machine, and what it knows without the machine.
pub(crate) struct Kernel {
    pub(crate) machine: Machine,
    /// The policy of the service directory now.
    pub(crate) policy: Policy,
    directory: Directory,
    pub(crate) ms: u64,
    forks: bool,
    slow: bool,
    next_pid: i32,
    /// The process that is not reaped.
    child: Option<Pid>,
    /// Requests that are not answered.
    preparing: bool,
    spawning: Option<Script>,
    sweeping: bool,
    checking: bool,
    last_run: Option<u64>,
    pub(crate) leaving: bool,
    exits: u32,
}

impl Kernel {
    pub(crate) fn new(policy: Policy, normally_up: bool) -> Self {
        let mut machine = Machine::new(normally_up, at(0));
        machine.configure(policy, 0);
        let mut kernel = Self {
            machine,
            policy,
            directory: Directory::Good,
            ms: 0,
            forks: true,
            slow: false,
            next_pid: 0,
            child: None,
            preparing: false,
            spawning: None,
            sweeping: false,
            checking: false,
            last_run: None,
            leaving: false,
            exits: 0,
        };
        kernel.event(Event::Begin);
        kernel.settle();
        kernel
    }

    /// What other programs read.
    fn shown(&self) -> (StatusRecord, Phase, Option<Reason>, u32) {
        let machine = &self.machine;
        (machine.record(), machine.phase(), machine.reason(), machine.failures())
    }

    /// Whether the state lasts until the next answer only.
    fn is_pending(&self) -> bool {
        matches!(self.machine.state(), State::Preparing | State::Spawning(_))
    }

    /// Gives the machine an event, and checks its effects.
    fn event(&mut self, event: Event) {
        let before = (self.shown(), self.is_pending());
        let gone = self.machine.state() == State::Gone;
        let effects: Vec<Effect> = self.machine.step(event, at(self.ms)).collect();
        assert!(!gone || effects.is_empty(), "effects after the exit: {effects:?}");
        assert!(!gone || self.shown() == before.0, "{event:?} changes the state after the exit");
        if self.shown() != before.0 && !(self.is_pending() || before.1) {
            assert!(
                effects.contains(&Effect::Publish),
                "{event:?} changes {before:?} without a publish"
            );
        }
        for effect in effects {
            match effect {
                Effect::Prepare => {
                    assert_eq!((self.child, self.spawning, self.preparing), (None, None, false));
                    self.preparing = true;
                }
                Effect::Spawn(script) => {
                    assert_eq!((self.child, self.spawning, self.preparing), (None, None, false));
                    assert!(!self.sweeping, "leftovers of the last process");
                    if script == Script::Run
                        && let Some(last) = self.last_run
                    {
                        assert!(self.ms - last >= 1_000, "at {last} and {}", self.ms);
                    }
                    self.spawning = Some(script);
                }
                Effect::Signal { pid, .. } => {
                    assert_eq!(self.child, Some(pid), "a signal to another process")
                }
                Effect::StartCheck => {
                    assert!(matches!(self.machine.state(), State::Up { paused: false, .. }));
                    assert!(!self.checking, "a second check");
                    self.checking = true;
                }
                Effect::StopCheck => assert!(std::mem::take(&mut self.checking), "no check"),
                Effect::Sweep(_) => {
                    assert_eq!(self.machine.state(), State::Sweeping);
                    self.sweeping = true;
                }
                Effect::Publish | Effect::Report(_) => {}
                Effect::Exit => self.exits += 1,
            }
        }
    }

    /// Answers all requests, also those that follow from an answer.
    fn settle(&mut self) {
        for _ in 0..8 {
            if self.slow || !(self.preparing || self.spawning.is_some()) {
                return;
            }
            self.answer();
        }
        panic!("the requests do not end: {:?}", self.machine.state());
    }

    fn answer(&mut self) {
        if std::mem::take(&mut self.preparing) {
            self.answer_prepare();
        } else if let Some(script) = self.spawning.take() {
            if !self.forks {
                return self.event(Event::SpawnFailed);
            }
            self.next_pid += 1;
            self.child = Some(pid(self.next_pid));
            if script == Script::Run {
                self.last_run = Some(self.ms);
            }
            self.event(Event::Spawned(pid(self.next_pid)));
        }
    }

    fn answer_prepare(&mut self) {
        if let Directory::Good = self.directory {
            self.machine.configure(self.policy, self.ms as u32);
        }
        self.event(match self.directory {
            Directory::Good => Event::Prepared,
            Directory::Refused(reason) => Event::Refused(reason),
            Directory::Lacking => Event::Blocked,
        });
    }

    /// A tick at the deadline moves the deadline.
    fn tick(&mut self) {
        self.event(Event::Tick);
        // Several timers can be due at the same time.
        for _ in 0..6 {
            let Some(_) = self.machine.deadline().filter(|due| *due <= at(self.ms).instant) else {
                return;
            };
            self.event(Event::Tick);
        }
        panic!("still due: {:?}", self.machine);
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Command(byte, scope) => {
                let command = Command::from_byte(byte).expect("a known letter");
                self.leaving |= command == Command::Exit;
                self.event(Event::Command(command, scope));
            }
            Act::Die(how) => {
                if self.child.take().is_some() {
                    self.event(Event::Ended(how));
                }
            }
            Act::Sweep => {
                if std::mem::take(&mut self.sweeping) {
                    self.event(Event::Swept);
                }
            }
            Act::Pass(ms) => {
                let end = self.ms + ms;
                while let Some(due) = self.machine.deadline().map(|due| due.0 / 1_000_000)
                    && due <= end
                {
                    self.ms = self.ms.max(due);
                    // A delay with jitter is no whole number of milliseconds.
                    if self.machine.deadline().is_some_and(|due| due > at(self.ms).instant) {
                        self.ms += 1;
                    }
                    self.tick();
                    self.settle();
                }
                self.ms = self.ms.max(end);
            }
            Act::Tick => self.tick(),
            Act::Notify(notification) => self.event(Event::Notified(notification)),
            Act::Check(passed) => {
                if std::mem::take(&mut self.checking) {
                    self.event(Event::CheckEnded { passed });
                }
            }
            Act::Available => self.event(Event::Unblocked),
            Act::DependencyLost => self.event(Event::DependencyLost),
            Act::Move => {
                if matches!(self.machine.state(), State::Up { .. }) {
                    self.next_pid += 1;
                    self.child = Some(pid(self.next_pid));
                    self.event(Event::MainPidChanged(pid(self.next_pid)));
                }
            }
            Act::Forks(work) => self.forks = work,
            Act::Slow(slow) => self.slow = slow,
            Act::Directory(directory) => self.directory = directory,
            Act::Answer => self.answer(),
        }
        self.settle();
        self.check();
    }

    /// Checks the rules that hold after every action.
    pub(crate) fn check(&self) {
        let state = self.machine.state();
        let want = self.machine.record().want;
        assert_eq!(self.machine.pid(), self.child);
        assert_eq!(state == State::Preparing, self.preparing);
        assert_eq!(matches!(state, State::Spawning(_)), self.spawning.is_some());
        assert_eq!(state == State::Sweeping, self.sweeping);
        assert_eq!(self.exits, u32::from(state == State::Gone));
        let pending = self.preparing || self.spawning.is_some();
        let busy = self.child.is_some() || pending || self.sweeping;
        if want == Want::Up && state != State::Gone {
            let waits = self.machine.deadline().is_some() || state == State::Blocked;
            assert!(busy || waits, "{state:?}, although wanted up");
        }
        if self.leaving {
            assert!(busy || state == State::Gone, "{state:?}, although leaving");
        }
        if state == State::Failed {
            assert!(self.machine.reason().is_some(), "it failed without a reason");
            assert_eq!(want, Want::Down);
        }
        if self.checking {
            assert!(matches!(state, State::Up { paused: false, .. }), "{state:?} checked");
        }
        shown_state(&self.machine);
    }
}
