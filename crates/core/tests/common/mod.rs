//! Shared by the tests of the supervise machine: a clock, effects in words, and stories.

use daemontools_core::state_dir::control::{Decoder, Letters, Scope};
use daemontools_core::state_dir::status::Want;
use daemontools_core::supervise::{Effect, Event, Machine, Report, Script, State};
use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_core::{Ended, Pid};

/// So many milliseconds after the start, on both clocks.
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

/// The commands of one message.
pub(crate) fn commands(bytes: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let decoded = bytes.iter().filter_map(|&byte| decoder.feed(byte, Letters::Common));
    decoded.map(|(_, command, scope)| Event::Command(command, scope)).collect()
}

/// The effects of a step. `Prepare` is answered at once, without a new policy.
pub(crate) fn step(machine: &mut Machine, event: Event, now: Now) -> Vec<Effect> {
    let mut effects: Vec<Effect> = machine.step(event, now).collect();
    if let Some(at) = effects.iter().position(|&effect| effect == Effect::Prepare) {
        effects.splice(at..=at, machine.step(Event::Prepared, now));
    }
    effects
}

/// Effects in words: signals by their names, with `+` for the group and `*` for the tree.
pub(crate) fn in_words(effects: impl IntoIterator<Item = Effect>) -> String {
    let words: Vec<String> = effects
        .into_iter()
        .map(|effect| match effect {
            Effect::Spawn(Script::Run) => "spawn".into(),
            Effect::Spawn(script) => format!("{script:?}").to_lowercase(),
            Effect::Prepare => "prepare".into(),
            Effect::StartCheck => "check".into(),
            Effect::StopCheck => "stop-check".into(),
            Effect::Sweep(signal) => format!("sweep-{signal:?}").to_uppercase(),
            Effect::Publish => "publish".into(),
            Effect::Report(report) => report_in_words(report),
            Effect::Exit => "exit".into(),
            Effect::Signal { signal, scope, .. } => {
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

/// A decision in words.
fn report_in_words(report: Report) -> String {
    match report {
        Report::Stopped(reason) => format!("report-{}", reason.word()),
        Report::Failed(reason) => format!("report-failed-{}", reason.word()),
        Report::Killed(..) => "report-kill".into(),
        Report::QuickExits(exits) => format!("report-exits-{exits}"),
        Report::Delayed(delay) => format!("report-delay-{}", delay.as_millis()),
    }
}

/// The state of the machine, and what is wanted in the letters of svc.
pub(crate) fn shown_state(machine: &Machine) -> String {
    let record = machine.record();
    let state = match machine.state() {
        State::Down => "down",
        State::Waiting { .. } => "waiting",
        State::Preparing => "preparing",
        State::Spawning(Script::Run) => "spawning",
        State::Spawning(_) => "spawning a script",
        State::Failed => "failed",
        State::Blocked => "blocked",
        State::RunningScript { script: Script::Start, .. } => "start",
        State::RunningScript { script: Script::Stop, .. } => "stop",
        State::RunningScript { .. } => "finish",
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
    // The record agrees with the state. While `finish` runs, it has no process.
    if state != "finish" {
        assert_eq!(record.pid, machine.pid().map_or(0, |pid| pid.get().cast_unsigned()));
    }
    assert_eq!(record.paused, state == "paused");
    assert_eq!(record.pid != 0, ["up", "paused", "start", "stop"].contains(&state));
    format!("{state} {want}")
}

/// A machine with its clock, whose steps a test tells one after the other.
pub(crate) struct Story {
    pub(crate) machine: Machine,
    pub(crate) ms: u64,
    pub(crate) next_pid: i32,
}

impl Story {
    /// A machine before its first event.
    pub(crate) fn new(normally_up: bool) -> Self {
        Self { machine: Machine::new(normally_up, at(0)), ms: 0, next_pid: 100 }
    }

    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.ms = ms;
        self
    }

    pub(crate) fn event(&mut self, event: Event) -> String {
        in_words(step(&mut self.machine, event, at(self.ms)))
    }

    pub(crate) fn spawned(&mut self) -> String {
        self.next_pid += 1;
        self.event(Event::Spawned(pid(self.next_pid)))
    }

    /// The effects of one message; those of its commands are separated by `;`.
    pub(crate) fn svc(&mut self, bytes: &[u8]) -> String {
        let done: Vec<String> = commands(bytes).into_iter().map(|c| self.event(c)).collect();
        done.join("; ")
    }

    pub(crate) fn shown_state(&self) -> String {
        shown_state(&self.machine)
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.machine.deadline().map(|due| due.0 / 1_000_000)
    }
}
