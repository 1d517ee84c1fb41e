//! A small kernel around the supervise machine where a service directory asks for more than the
//! original gives, and the rules which hold whatever happens. Properties and the fuzzer drive it.

use crate::common::{at, pid, whereabouts};
use daemontools_core::Ended;
use daemontools_core::Pid;
use daemontools_core::command::{Command, Scope};
use daemontools_core::detail::{Phase, Reason};
use daemontools_core::status::{Record, Want};
use daemontools_core::supervise::{Effect, Event, Machine, Policy, Script, State, Word};

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Command(u8, Scope),
    /// The process dies, if there is one, and is reaped.
    Die(Ended),
    /// What the service has left behind dies.
    Sweep,
    /// Time passes, and ticks come when they are due.
    Pass(u64),
    Tick,
    Say(Word),
    /// The check answers, if one runs.
    Check(bool),
    Available,
    Bereft,
    Move,
    /// From now on forks work or fail, and what is asked is answered at once or not.
    Forks(bool),
    Slow(bool),
    /// What a look at the service directory gives from now on.
    Directory(Directory),
    Answer,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Directory {
    Good,
    Refused(Reason),
    Lacking,
}

/// What the machine lives in, and what we know about it without asking the machine.
pub(crate) struct Kernel {
    pub(crate) machine: Machine,
    /// What the service directory asks for now.
    pub(crate) policy: Policy,
    directory: Directory,
    pub(crate) ms: u64,
    forks: bool,
    slow: bool,
    next_pid: i32,
    /// The process that is not reaped.
    child: Option<Pid>,
    /// What was asked for and not answered.
    looking: bool,
    spawning: Option<Script>,
    sweeping: bool,
    checking: bool,
    last_run: Option<u64>,
    /// `u` or `o` was said in the last second, or since.
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
            looking: false,
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

    /// What others read.
    fn shown(&self) -> (Record, Phase, Option<Reason>, u32) {
        let machine = &self.machine;
        (machine.record(), machine.phase(), machine.reason(), machine.failures())
    }

    /// Whether it is so for a moment only.
    fn is_between(&self) -> bool {
        matches!(self.machine.state(), State::Preparing | State::Spawning(_))
    }

    /// Gives the machine an event, and does what it says.
    fn event(&mut self, event: Event) {
        let before = (self.shown(), self.is_between());
        let gone = self.machine.state() == State::Gone;
        let effects: Vec<Effect> = self.machine.step(event, at(self.ms)).collect();
        assert!(!gone || effects.is_empty(), "gone, and yet {effects:?}");
        assert!(!gone || self.shown() == before.0, "gone, and yet changed by {event:?}");
        if self.shown() != before.0 && !(self.is_between() || before.1) {
            assert!(effects.contains(&Effect::Publish), "{event:?} changes {before:?} silently");
        }
        for effect in effects {
            match effect {
                Effect::Prepare => {
                    assert_eq!((self.child, self.spawning, self.looking), (None, None, false));
                    self.looking = true;
                }
                Effect::Spawn(script) => {
                    assert_eq!((self.child, self.spawning, self.looking), (None, None, false));
                    assert!(!self.sweeping, "something is left of the last one");
                    if script == Script::Run
                        && let Some(last) = self.last_run
                    {
                        assert!(self.ms - last >= 1_000, "at {last} and {}", self.ms);
                    }
                    self.spawning = Some(script);
                }
                Effect::Signal(pid, ..) => assert_eq!(self.child, Some(pid), "a stranger is hit"),
                Effect::Check => {
                    assert!(matches!(self.machine.state(), State::Up { paused: false, .. }));
                    assert!(!self.checking, "a second check");
                    self.checking = true;
                }
                Effect::StopCheck => assert!(std::mem::take(&mut self.checking), "no check"),
                Effect::Sweep(_) => {
                    assert_eq!(self.machine.state(), State::Sweeping);
                    self.sweeping = true;
                }
                Effect::Publish => {}
                Effect::Exit => self.exits += 1,
            }
        }
    }

    /// Answers what is asked, as long as something is.
    fn settle(&mut self) {
        for _ in 0..8 {
            if self.slow || !(self.looking || self.spawning.is_some()) {
                return;
            }
            self.answer();
        }
        panic!("it asks and asks: {:?}", self.machine.state());
    }

    fn answer(&mut self) {
        if std::mem::take(&mut self.looking) {
            self.machine_is_told_of_directory();
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

    fn machine_is_told_of_directory(&mut self) {
        if let Directory::Good = self.directory {
            self.machine.configure(self.policy, self.ms as u32);
        }
        self.event(match self.directory {
            Directory::Good => Event::Prepared,
            Directory::Refused(reason) => Event::Refused(reason),
            Directory::Lacking => Event::Lacking,
        });
    }

    /// A tick when it is due changes what is due next.
    fn tick(&mut self) {
        self.event(Event::Tick);
        // Several things can be due at the same moment.
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
                    // Jitter is not in whole milliseconds.
                    if self.machine.deadline().is_some_and(|due| due > at(self.ms).instant) {
                        self.ms += 1;
                    }
                    self.tick();
                    self.settle();
                }
                self.ms = self.ms.max(end);
            }
            Act::Tick => self.tick(),
            Act::Say(word) => self.event(Event::Said(word)),
            Act::Check(well) => {
                if std::mem::take(&mut self.checking) {
                    self.event(Event::Checked(well));
                }
            }
            Act::Available => self.event(Event::Available),
            Act::Bereft => self.event(Event::Bereft),
            Act::Move => {
                if matches!(self.machine.state(), State::Up { .. }) {
                    self.next_pid += 1;
                    self.child = Some(pid(self.next_pid));
                    self.event(Event::Moved(pid(self.next_pid)));
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

    /// What holds after everything that can happen.
    pub(crate) fn check(&self) {
        let state = self.machine.state();
        let want = self.machine.record().want;
        assert_eq!(self.machine.pid(), self.child);
        assert_eq!(state == State::Preparing, self.looking);
        assert_eq!(matches!(state, State::Spawning(_)), self.spawning.is_some());
        assert_eq!(state == State::Sweeping, self.sweeping);
        assert_eq!(self.exits, u32::from(state == State::Gone));
        let asked = self.looking || self.spawning.is_some();
        let busy = self.child.is_some() || asked || self.sweeping;
        if want == Want::Up && state != State::Gone {
            let waits = self.machine.deadline().is_some() || state == State::Blocked;
            assert!(busy || waits, "{state:?}, and wanted up");
        }
        if self.leaving {
            assert!(busy || state == State::Gone, "{state:?}, and to leave");
        }
        if state == State::Failed {
            assert!(self.machine.reason().is_some(), "it failed for no reason");
            assert_eq!(want, Want::Down);
        }
        if self.checking {
            assert!(matches!(state, State::Up { paused: false, .. }), "{state:?} checked");
        }
        whereabouts(&self.machine);
    }
}
