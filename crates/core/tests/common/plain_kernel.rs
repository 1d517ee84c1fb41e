//! A small kernel around the supervise machine of a service without options. It forks, kills the
//! service and the supervisor, lets time pass, and checks the rules that hold after every event.
//! Properties and the fuzzer drive it.

use crate::common::{at, pid, step};
use daemontools_core::state_dir::control::{Command, Scope};
use daemontools_core::state_dir::process_record::{self, DirectoryId, Place, ProcessIdentity};
use daemontools_core::state_dir::status::{StatusRecord, Want};
use daemontools_core::supervise::{
    Effect, Event, MAX_FORK_PAUSE, Machine, Report, SavedState, Script, State, resume,
};
use daemontools_core::{Ended, Pid};
use std::time::Duration;

/// One action.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Command(u8, Scope),
    /// The process ends, if there is one.
    Die(Ended),
    /// Its end is reaped.
    Reap,
    /// Time passes, with ticks at the deadlines or without.
    Pass {
        ms: u64,
        ticking: bool,
    },
    /// A tick at any time.
    Tick,
    /// From now on forks succeed or fail.
    Forks(bool),
    /// From now on forks are answered by [`Act::Answer`] only, or at once.
    Slow(bool),
    Answer,
    /// The supervisor is killed, and the next one begins.
    KillSupervise,
}

/// The environment of the machine, and what it knows without the machine.
pub(crate) struct Kernel {
    pub(crate) machine: Machine,
    pub(crate) ms: u64,
    forks: bool,
    slow: bool,
    next_pid: i32,
    /// The process that is not reaped, and how it ended if it has.
    child: Option<(Pid, Option<Ended>)>,
    /// A fork was requested and not answered.
    fork_pending: bool,
    pub(crate) last_start: Option<u64>,
    /// The last of `u`, `d` and `o`.
    want: Want,
    /// `u` or `o` came, and no process has started since.
    start_pending: bool,
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
            fork_pending: false,
            last_start: None,
            want: if normally_up { Want::Up } else { Want::Down },
            start_pending: normally_up,
            leaving: false,
            exits: 0,
            normally_up,
        };
        kernel.event(Event::Begin);
        kernel
    }

    /// Gives the machine an event, and performs its effects.
    fn event(&mut self, event: Event) {
        let before = self.snapshot();
        let gone = self.machine.state() == State::Gone;
        let effects: Vec<Effect> = step(&mut self.machine, event, at(self.ms));
        assert!(!gone || effects.is_empty(), "effects after the exit: {effects:?}");
        assert!(!gone || self.snapshot() == before, "{event:?} changes the state after the exit");
        if self.snapshot() != before {
            assert!(
                effects.contains(&Effect::Publish),
                "{event:?} changes {before:?} without a publish"
            );
        }
        let spawns = effects.iter().filter(|&&effect| effect == Effect::Spawn(Script::Run)).count();
        assert!(spawns <= 1, "{effects:?}");
        for effect in effects {
            match effect {
                Effect::Spawn(Script::Run) => {
                    assert_eq!(self.child, None, "a second process");
                    assert!(!self.fork_pending, "a second fork");
                    if let Some(last) = self.last_start {
                        assert!(self.ms - last >= 1000, "starts at {last} and {}", self.ms);
                    }
                    self.fork_pending = true;
                }
                Effect::Signal { pid, .. } => {
                    assert_eq!(
                        self.child.map(|(child, _)| child),
                        Some(pid),
                        "a signal to another process"
                    );
                }
                Effect::Publish | Effect::Report(Report::QuickExits(_)) => {}
                Effect::Exit => self.exits += 1,
                other => panic!("{other:?} under the original's policy"),
            }
        }
        if self.fork_pending && !self.slow {
            self.answer();
        }
    }

    fn snapshot(&self) -> StatusRecord {
        self.machine.record()
    }

    fn answer(&mut self) {
        if !std::mem::take(&mut self.fork_pending) {
            return;
        }
        if self.forks {
            self.next_pid += 1;
            self.child = Some((pid(self.next_pid), None));
            self.last_start = Some(self.ms);
            self.start_pending = false;
            self.event(Event::Spawned(pid(self.next_pid)));
        } else {
            self.event(Event::SpawnFailed);
        }
    }

    fn reap(&mut self) {
        if let Some((_, Some(how))) = self.child {
            self.child = None;
            self.start_pending = self.want == Want::Up;
            self.event(Event::Ended(how));
        }
    }

    /// The next supervisor knows the files only: the last status, and the process that started last.
    /// The status is current: commands after the last wait are lost with the supervisor.
    fn kill_supervise(&mut self) {
        // The kernel has forked by now, or has failed to.
        self.answer();
        if self.machine.state() == State::Gone {
            return;
        }
        let directory = DirectoryId { device: (0, 0), inode: 0, born: 0 };
        let place =
            Place { boot: [b'0'; process_record::BOOT_LEN], namespace: 0, init: 0, directory };
        let process =
            self.last_start.map(|ms| ProcessIdentity { pid: pid(self.next_pid), start: ms / 10 });
        let record = process_record::Record {
            place,
            leaving: self.machine.is_leaving(),
            process,
            script: Script::Run,
            end: None,
        };
        let status = self.machine.record();
        // Another process reaps it.
        self.child.take_if(|(_, ended)| ended.is_some());
        let alive = self.child.is_some();
        let since_boot = Duration::from_millis(self.ms);
        self.machine = resume(
            &record,
            alive,
            Some(status),
            SavedState::default(),
            self.normally_up,
            at(self.ms),
            since_boot,
        );
        let now = self.machine.record();
        if self.leaving {
            self.want = if self.normally_up { Want::Up } else { Want::Down };
            self.leaving = false;
        }
        if alive {
            assert_eq!(
                now,
                StatusRecord { want: self.want, ..status },
                "the adoption changes the record"
            );
        } else {
            assert_eq!((now.pid, now.want), (0, self.want));
        }
        self.start_pending = !alive && self.want == Want::Up;
        // After a supervisor that was leaving, the second between starts is not kept.
        if record.leaving && !alive {
            self.last_start = None;
        }
        self.event(Event::Begin);
    }

    fn tick(&mut self) {
        self.event(Event::Tick);
        if let Some(due) = self.machine.deadline() {
            let now = at(self.ms).instant;
            assert!(due > now, "still due after a tick");
            assert!(due <= now + MAX_FORK_PAUSE, "due in the far future");
        }
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Command(byte, scope) => {
                let command = Command::from_byte(byte).expect("a known letter");
                let gone = self.machine.state() == State::Gone;
                match command {
                    _ if gone => {}
                    Command::Up => {
                        (self.want, self.start_pending) = (Want::Up, self.child.is_none())
                    }
                    Command::Down => (self.want, self.start_pending) = (Want::Down, false),
                    Command::Once => {
                        (self.want, self.start_pending) = (Want::Once, self.child.is_none())
                    }
                    Command::AtMostOnce => panic!("no letter of this kernel"),
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

    /// Checks the rules that hold after every action.
    pub(crate) fn check(&self) {
        let state = self.machine.state();
        assert_eq!(self.machine.pid(), self.child.map(|(pid, _)| pid));
        assert_eq!(state == State::Spawning(Script::Run), self.fork_pending);
        assert_eq!(self.machine.record().want, self.want);
        let dead = self.child.is_none() && !self.fork_pending;
        assert_eq!(state == State::Gone, self.leaving && dead, "{state:?}");
        assert_eq!(self.exits, u32::from(state == State::Gone));
        if dead && state != State::Gone {
            assert_eq!(
                self.machine.deadline().is_some(),
                self.start_pending,
                "{state:?} {:?}",
                self.want
            );
        } else {
            assert_eq!(self.machine.deadline(), None);
        }
    }
}
