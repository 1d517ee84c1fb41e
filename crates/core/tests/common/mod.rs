//! What the tests of the supervise machine share: a clock, effects in words, and stories.

use daemontools_core::command::{Decoder, Scope};
use daemontools_core::status::Want;
use daemontools_core::supervise::{Effect, Event, Machine, Script, State};
use daemontools_core::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_core::{Ended, Pid};

/// The same moment on both clocks.
pub(crate) fn at(ms: u64) -> Now {
    let seconds = i64::try_from(ms / 1000).expect("a small time");
    let nanoseconds = u32::try_from(ms % 1000).expect("less than a second") * 1_000_000;
    Now {
        instant: Instant(ms * 1_000_000),
        label: Tai64n::from_unix(1_700_000_000 + seconds, nanoseconds),
    }
}

pub(crate) fn pid(n: i32) -> Pid {
    Pid::new(n).expect("not zero")
}

pub(crate) const EXITED: Event = Event::Ended(Ended::Exited(111));

/// The commands for some bytes, in one message.
pub(crate) fn commands(bytes: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let decoded = bytes.iter().filter_map(|&byte| decoder.feed(byte));
    decoded.map(|(_, command, scope)| Event::Command(command, scope)).collect()
}

/// What a machine does, when a look at the service directory is always answered at once: it asks
/// for nothing new.
pub(crate) fn step(machine: &mut Machine, event: Event, now: Now) -> Vec<Effect> {
    let mut done: Vec<Effect> = machine.step(event, now).collect();
    if let Some(at) = done.iter().position(|&effect| effect == Effect::Prepare) {
        done.splice(at..=at, machine.step(Event::Prepared, now));
    }
    done
}

/// Effects in words: signals by their names, with `+` if they are for the group.
pub(crate) fn said(effects: impl IntoIterator<Item = Effect>) -> String {
    let words: Vec<String> = effects
        .into_iter()
        .map(|effect| match effect {
            Effect::Spawn(Script::Run) => "spawn".into(),
            Effect::Spawn(script) => format!("{script:?}").to_lowercase(),
            Effect::Prepare => "prepare".into(),
            Effect::Check => "check".into(),
            Effect::StopCheck => "stop-check".into(),
            Effect::Sweep(signal) => format!("sweep-{signal:?}").to_uppercase(),
            Effect::Publish => "publish".into(),
            Effect::Exit => "exit".into(),
            Effect::Signal(_, signal, scope) => {
                let scope = match scope {
                    Scope::Process => "",
                    Scope::Group => "+",
                    Scope::Tree => "*",
                };
                format!("{scope}{}", format!("{signal:?}").to_uppercase())
            }
        })
        .collect();
    words.join(" ")
}

/// Where the machine is and what is wanted, in the letters of svc.
pub(crate) fn whereabouts(machine: &Machine) -> String {
    let record = machine.record();
    let state = match machine.state() {
        State::Down => "down",
        State::Waiting { .. } => "waiting",
        State::Preparing => "preparing",
        State::Spawning(Script::Run) => "spawning",
        State::Spawning(_) => "spawning aside",
        State::Failed => "failed",
        State::Blocked => "blocked",
        State::Aside { script: Script::Start, .. } => "start",
        State::Aside { script: Script::Stop, .. } => "stop",
        State::Aside { .. } => "finish",
        State::Started => "started",
        State::Sweeping => "sweeping",
        State::Up { paused: false, .. } => "up",
        State::Up { paused: true, .. } => "paused",
        State::Gone => "gone",
    };
    let want = match record.want {
        Want::Up => "u",
        Want::Down => "d",
        Want::Once => "o",
    };
    // The record tells no other story than the state.
    if state != "finish" {
        assert_eq!(record.pid, machine.pid().map_or(0, |pid| pid.get().cast_unsigned()));
    }
    assert_eq!(record.paused, state == "paused");
    assert_eq!(record.pid != 0, ["up", "paused", "start", "stop"].contains(&state));
    format!("{state} {want}")
}

/// A machine, and the clock it goes by.
pub(crate) struct Story {
    pub(crate) machine: Machine,
    pub(crate) ms: u64,
    pub(crate) next_pid: i32,
}

impl Story {
    /// A machine which has just begun.
    pub(crate) fn new(normally_up: bool) -> Self {
        Self { machine: Machine::new(normally_up, at(0)), ms: 0, next_pid: 100 }
    }

    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.ms = ms;
        self
    }

    pub(crate) fn event(&mut self, event: Event) -> String {
        said(step(&mut self.machine, event, at(self.ms)))
    }

    pub(crate) fn spawned(&mut self) -> String {
        self.next_pid += 1;
        self.event(Event::Spawned(pid(self.next_pid)))
    }

    /// What one message does; commands are separated by `;`.
    pub(crate) fn svc(&mut self, bytes: &[u8]) -> String {
        let done: Vec<String> = commands(bytes).into_iter().map(|c| self.event(c)).collect();
        done.join("; ")
    }

    pub(crate) fn whereabouts(&self) -> String {
        whereabouts(&self.machine)
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.machine.deadline().map(|due| due.0 / 1_000_000)
    }
}
