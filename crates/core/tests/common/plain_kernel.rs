//! A small kernel around the supervise machine of a service that asks for nothing: it forks, kills,
//! also the supervise, and lets time pass; and the rules which hold whatever happens. Properties and
//! the fuzzer drive it.

use crate::common::{at, pid, step};
use daemontools_core::command::{Command, Scope};
use daemontools_core::identity::{self, Directory, Place, Process};
use daemontools_core::status::{Record, Want};
use daemontools_core::supervise::{
    Effect, Event, Kept, LONGEST_FORK_PAUSE, Machine, Script, State,
};
use daemontools_core::{Ended, Pid};
use std::time::Duration;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Command(u8, Scope),
    /// The process dies, if there is one.
    Die(Ended),
    /// Its death is noticed.
    Reap,
    /// Time passes; ticks come when they are due, or not at all.
    Pass {
        ms: u64,
        ticking: bool,
    },
    /// A tick for no reason.
    Tick,
    /// From now on forks work or fail.
    Forks(bool),
    /// From now on forks are answered at once or only by [`Act::Answer`].
    Slow(bool),
    Answer,
    /// The supervise is killed, and another one begins.
    KillSupervise,
}

/// What the machine lives in, and what we know about it without asking the machine.
pub(crate) struct Kernel {
    pub(crate) machine: Machine,
    pub(crate) ms: u64,
    forks: bool,
    slow: bool,
    next_pid: i32,
    /// The process which is not reaped, and how it ended, if it did.
    child: Option<(Pid, Option<Ended>)>,
    /// A fork was asked for and not answered.
    asked: bool,
    pub(crate) last_start: Option<u64>,
    /// What the last of `u`, `d`, `o` was.
    want: Want,
    /// `u` or `o` was said, and no process was started since.
    owed: bool,
    pub(crate) leaving: bool,
    exits: u32,
    normally_up: bool,
}

impl Kernel {
    pub(crate) fn new(normally_up: bool) -> Self {
        let mut kernel = Self {
            machine: Machine::new(normally_up, at(0)),
            ms: 0,
            forks: true,
            slow: false,
            next_pid: 0,
            child: None,
            asked: false,
            last_start: None,
            want: if normally_up { Want::Up } else { Want::Down },
            owed: normally_up,
            leaving: false,
            exits: 0,
            normally_up,
        };
        kernel.event(Event::Begin);
        kernel
    }

    /// Gives the machine an event, and does what it says.
    fn event(&mut self, event: Event) {
        let before = self.snapshot();
        let gone = self.machine.state() == State::Gone;
        let effects: Vec<Effect> = step(&mut self.machine, event, at(self.ms));
        assert!(!gone || effects.is_empty(), "gone, and yet {effects:?}");
        assert!(!gone || self.snapshot() == before, "gone, and yet changed by {event:?}");
        if self.snapshot() != before {
            assert!(effects.contains(&Effect::Publish), "{event:?} changes {before:?} silently");
        }
        let spawns = effects.iter().filter(|&&effect| effect == Effect::Spawn(Script::Run)).count();
        assert!(spawns <= 1, "{effects:?}");
        for effect in effects {
            match effect {
                Effect::Spawn(Script::Run) => {
                    assert_eq!(self.child, None, "a second process");
                    assert!(!self.asked, "a second fork");
                    if let Some(last) = self.last_start {
                        assert!(self.ms - last >= 1000, "starts at {last} and {}", self.ms);
                    }
                    self.asked = true;
                }
                Effect::Signal(pid, _, _) => {
                    assert_eq!(self.child.map(|(child, _)| child), Some(pid), "a stranger is hit");
                }
                Effect::Publish => {}
                Effect::Exit => self.exits += 1,
                other => panic!("{other:?} without a policy that asks for it"),
            }
        }
        if self.asked && !self.slow {
            self.answer();
        }
    }

    fn snapshot(&self) -> Record {
        self.machine.record()
    }

    fn answer(&mut self) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        if self.forks {
            self.next_pid += 1;
            self.child = Some((pid(self.next_pid), None));
            self.last_start = Some(self.ms);
            self.owed = false;
            self.event(Event::Spawned(pid(self.next_pid)));
        } else {
            self.event(Event::SpawnFailed);
        }
    }

    fn reap(&mut self) {
        if let Some((_, Some(how))) = self.child {
            self.child = None;
            self.owed = self.want == Want::Up;
            self.event(Event::Ended(how));
        }
    }

    /// What is on disk is all that the next supervise knows: the last record, and the process that
    /// was started last. The record is as new as can be: what is asked for after the last wait is
    /// lost with the supervise.
    fn kill_supervise(&mut self) {
        // The kernel either has made the process or has not.
        self.answer();
        if self.machine.state() == State::Gone {
            return;
        }
        let directory = Directory { device: (0, 0), inode: 0, born: 0 };
        let place = Place { boot: [b'0'; identity::BOOT_LEN], namespace: 0, init: 0, directory };
        let process = self.last_start.map(|ms| Process { pid: pid(self.next_pid), start: ms / 10 });
        let record = identity::Record {
            place,
            leaving: self.machine.is_leaving(),
            process,
            script: Script::Run,
            end: None,
        };
        let status = self.machine.record();
        // Somebody else reaps it.
        self.child.take_if(|(_, ended)| ended.is_some());
        let lives = self.child.is_some();
        let since_boot = Duration::from_millis(self.ms);
        self.machine = identity::succeed(
            &record,
            lives,
            Some(status),
            Kept::default(),
            self.normally_up,
            at(self.ms),
            since_boot,
        );
        let now = self.machine.record();
        if self.leaving {
            self.want = if self.normally_up { Want::Up } else { Want::Down };
            self.leaving = false;
        }
        if lives {
            assert_eq!(now, Record { want: self.want, ..status }, "noticed");
        } else {
            assert_eq!((now.pid, now.want), (0, self.want));
        }
        self.owed = !lives && self.want == Want::Up;
        // One that left in order leaves no distance to keep.
        if record.leaving && !lives {
            self.last_start = None;
        }
        self.event(Event::Begin);
    }

    fn tick(&mut self) {
        self.event(Event::Tick);
        if let Some(due) = self.machine.deadline() {
            let now = at(self.ms).instant;
            assert!(due > now, "still due after a tick");
            assert!(due <= now + LONGEST_FORK_PAUSE, "due in the far future");
        }
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Command(byte, scope) => {
                let command = Command::from_byte(byte).expect("a known letter");
                let gone = self.machine.state() == State::Gone;
                match command {
                    _ if gone => {}
                    Command::Up => (self.want, self.owed) = (Want::Up, self.child.is_none()),
                    Command::Down => (self.want, self.owed) = (Want::Down, false),
                    Command::Once => (self.want, self.owed) = (Want::Once, self.child.is_none()),
                    Command::Exit => self.leaving = true,
                    Command::Pause | Command::Continue | Command::Signal(_) => {}
                }
                self.event(Event::Command(command, scope));
            }
            Act::Die(how) => {
                if let Some((_, ended @ None)) = &mut self.child {
                    *ended = Some(how);
                }
            }
            Act::Reap => self.reap(),
            Act::Pass { ms, ticking } => {
                let end = self.ms + ms;
                while ticking
                    && let Some(due) = self.machine.deadline().map(|due| due.0 / 1_000_000)
                    && due <= end
                {
                    self.ms = self.ms.max(due);
                    self.tick();
                }
                self.ms = end;
            }
            Act::Tick => self.tick(),
            Act::Forks(work) => self.forks = work,
            Act::Slow(slow) => self.slow = slow,
            Act::Answer => self.answer(),
            Act::KillSupervise => self.kill_supervise(),
        }
        self.check();
    }

    /// What holds after everything that can happen.
    pub(crate) fn check(&self) {
        let state = self.machine.state();
        assert_eq!(self.machine.pid(), self.child.map(|(pid, _)| pid));
        assert_eq!(state == State::Spawning(Script::Run), self.asked);
        assert_eq!(self.machine.record().want, self.want);
        let dead = self.child.is_none() && !self.asked;
        assert_eq!(state == State::Gone, self.leaving && dead, "{state:?}");
        assert_eq!(self.exits, u32::from(state == State::Gone));
        if dead && state != State::Gone {
            assert_eq!(self.machine.deadline().is_some(), self.owed, "{state:?} {:?}", self.want);
        } else {
            assert_eq!(self.machine.deadline(), None);
        }
    }
}
