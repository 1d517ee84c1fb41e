//! The table of the supervise machine: it runs the machine from every state with every event, and
//! compares the result with `docs/state-table.md`.

// The other tests that use this module use all of it.
#[expect(dead_code, reason = "the table needs only the words of common")]
mod common;
#[path = "common/state_table.rs"]
mod state_table;

use common::{at, in_words, pid};
use daemontools_core::Ended;
use daemontools_core::options::{HealthCheck, Personality, RestartLimit, StopPolicy};
use daemontools_core::state_dir::control::{Command, Scope, Signal};
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::{Event, Machine, Notification, Policy, Script, Scripts, State};
use std::fmt::Write as _;
use std::time::Duration;

const ORIGINAL: Policy = Policy::ORIGINAL;

/// encore, with `start` and `stop`.
const ENCORE: Policy = Policy {
    personality: Personality::Encore,
    scripts: Scripts { start: true, stop: true, runless: false, finish: false },
    ..ORIGINAL
};

/// The same without a `run`.
const RUNLESS: Policy = Policy { scripts: Scripts { runless: true, ..ENCORE.scripts }, ..ENCORE };

/// s6, with a `finish` that may take five seconds.
const S6: Policy = Policy {
    personality: Personality::S6,
    scripts: Scripts { finish: true, ..ORIGINAL.scripts },
    finish_timeout: Some(Duration::from_secs(5)),
    ..ORIGINAL
};

/// The first death is one too many.
const LIMITED: Policy =
    Policy { limit: Some(RestartLimit { deaths: 1, within: Duration::from_secs(60) }), ..ORIGINAL };

/// Stopped as a tree, and killed after three seconds.
const TREE: Policy = Policy {
    stop: StopPolicy { scope: Scope::Tree, timeout: Some(Duration::from_secs(3)), ..ORIGINAL.stop },
    ..ORIGINAL
};

/// It notifies its readiness, has a watchdog, and restarts after one failed check.
const HEALTH: Policy = Policy {
    notifies_readiness: true,
    ready_timeout: Some(Duration::from_secs(20)),
    watchdog: Some(Duration::from_millis(4_800)),
    check: Some(HealthCheck {
        interval: Duration::from_secs(8),
        timeout: Duration::from_secs(4),
        failures: 1,
    }),
    ..ORIGINAL
};

/// A column: a machine in one state, and the way to it.
struct Situation {
    name: &'static str,
    policy: Policy,
    normally_up: bool,
    /// Events, each with its time in seconds.
    events: &'static [(u64, Event)],
}

const fn command(command: Command) -> Event {
    Event::Command(command, Scope::Process)
}

const UP: Event = command(Command::Up);
const DOWN: Event = command(Command::Down);
const ONCE: Event = command(Command::Once);
const AT_MOST_ONCE: Event = command(Command::AtMostOnce);
const EXIT: Event = command(Command::Exit);
const PAUSE: Event = command(Command::Pause);

const EXITED_0: Event = Event::Ended(Ended::Exited(0));
const EXITED_111: Event = Event::Ended(Ended::Exited(111));

const BEGIN: (u64, Event) = (0, Event::Begin);
const PREPARED: (u64, Event) = (0, Event::Prepared);

/// The first process, 7.
const fn spawned() -> Event {
    match daemontools_core::Pid::new(7) {
        Some(pid) => Event::Spawned(pid),
        None => Event::SpawnFailed,
    }
}
const SPAWNED: (u64, Event) = (0, spawned());

const fn situation(
    name: &'static str,
    policy: Policy,
    normally_up: bool,
    events: &'static [(u64, Event)],
) -> Situation {
    Situation { name, policy, normally_up, events }
}

/// A section: a state in its situations.
struct Section {
    title: &'static str,
    text: &'static str,
    situations: &'static [Situation],
}

const IDLE: [Section; 5] = [
    Section {
        title: "Down",
        text: "No process, and no start is planned. `new` is a machine before its first event, \
               wanted up. `encore` has `start` and `stop`; `stop` has not run yet.",
        situations: &[
            situation("new", ORIGINAL, true, &[]),
            situation("down", ORIGINAL, false, &[BEGIN]),
            situation("encore", ENCORE, false, &[BEGIN]),
        ],
    },
    Section {
        title: "Failed",
        text: "No process, and only a command starts one: the restart limit was reached.",
        situations: &[situation(
            "failed",
            LIMITED,
            true,
            &[BEGIN, PREPARED, SPAWNED, (5, EXITED_111)],
        )],
    },
    Section {
        title: "Started",
        text: "encore: `start` succeeded, and there is no `run`.",
        situations: &[situation(
            "started",
            RUNLESS,
            true,
            &[BEGIN, PREPARED, SPAWNED, (5, EXITED_0)],
        )],
    },
    Section {
        title: "Waiting",
        text: "The next start is due later. `second` has died within a second of its start, `fork` \
               has just failed to fork and is wanted once, `refused` has a mistake in an option \
               file.",
        situations: &[
            situation(
                "second",
                ORIGINAL,
                true,
                &[BEGIN, PREPARED, (9, spawned()), (9, EXITED_111)],
            ),
            situation(
                "fork",
                ORIGINAL,
                false,
                &[BEGIN, (9, ONCE), (9, Event::Prepared), (9, Event::SpawnFailed)],
            ),
            situation("refused", ORIGINAL, true, &[BEGIN, (9, Event::Refused(Reason::Options))]),
        ],
    },
    Section {
        title: "Blocked",
        text: "A dependency or the first connection is missing.",
        situations: &[situation("blocked", ORIGINAL, true, &[BEGIN, (0, Event::Blocked)])],
    },
];

const PENDING: [Section; 2] = [
    Section {
        title: "Preparing",
        text: "The program reads the service directory. It answers before it reads the next \
               command, so the other columns need an exit or a stop from a signal. `encore` has a \
               `start`.",
        situations: &[
            situation("wanted up", ORIGINAL, true, &[BEGIN]),
            situation("wanted down", ORIGINAL, true, &[BEGIN, (5, DOWN)]),
            situation("leaving", ORIGINAL, true, &[BEGIN, (5, EXIT)]),
            situation("encore", ENCORE, true, &[BEGIN]),
        ],
    },
    Section {
        title: "Spawning",
        text: "The program forks. The script is `run` in the first three columns.",
        situations: &[
            situation("wanted up", ORIGINAL, true, &[BEGIN, PREPARED]),
            situation("wanted down", ORIGINAL, true, &[BEGIN, PREPARED, (5, DOWN)]),
            situation("leaving", ORIGINAL, true, &[BEGIN, PREPARED, (5, EXIT)]),
            situation("start", ENCORE, true, &[BEGIN, PREPARED]),
            situation("stop", ENCORE, false, &[BEGIN, (5, DOWN)]),
            situation("finish", S6, true, &[BEGIN, PREPARED, SPAWNED, (5, EXITED_111)]),
        ],
    },
];

const RUNNING: [Section; 4] = [
    Section {
        title: "Up",
        text: "The service runs.",
        situations: &[
            situation("up", ORIGINAL, true, &[BEGIN, PREPARED, SPAWNED]),
            situation("paused", ORIGINAL, true, &[BEGIN, PREPARED, SPAWNED, (5, PAUSE)]),
            situation("stopping", ORIGINAL, true, &[BEGIN, PREPARED, SPAWNED, (5, DOWN)]),
            situation("once", ORIGINAL, true, &[BEGIN, PREPARED, SPAWNED, (5, ONCE)]),
            situation("leaving", ORIGINAL, true, &[BEGIN, PREPARED, SPAWNED, (5, EXIT)]),
        ],
    },
    Section {
        title: "Up, with helper scripts or a stop scope",
        text: "`encore` has `start` and `stop`, `finish` belongs to s6, `tree` is stopped with all \
               its processes within three seconds, `limit` allows no death.",
        situations: &[
            situation(
                "encore",
                ENCORE,
                true,
                &[BEGIN, PREPARED, SPAWNED, (1, EXITED_0), (2, spawned())],
            ),
            situation("finish", S6, true, &[BEGIN, PREPARED, SPAWNED]),
            situation("tree", TREE, true, &[BEGIN, PREPARED, SPAWNED]),
            situation("tree, stopping", TREE, true, &[BEGIN, PREPARED, SPAWNED, (9, DOWN)]),
            situation("limit", LIMITED, true, &[BEGIN, PREPARED, SPAWNED]),
        ],
    },
    Section {
        title: "Up, with health",
        text: "The service notifies its readiness, has a watchdog, and restarts after one failed \
               check.",
        situations: &[
            situation("starting", HEALTH, true, &[BEGIN, PREPARED, (2, spawned())]),
            situation(
                "ready",
                HEALTH,
                true,
                &[BEGIN, PREPARED, (2, spawned()), (5, Event::Notified(Notification::Ready))],
            ),
            situation(
                "check runs",
                HEALTH,
                true,
                &[
                    BEGIN,
                    PREPARED,
                    SPAWNED,
                    (5, Event::Notified(Notification::Ready)),
                    (8, Event::Tick),
                    (8, Event::Notified(Notification::KeepAlive)),
                ],
            ),
            situation(
                "stopping",
                HEALTH,
                true,
                &[BEGIN, PREPARED, SPAWNED, (9, Event::DependencyLost)],
            ),
        ],
    },
    Section {
        title: "RunningScript",
        text: "A helper script runs. `start` and `stop` belong to encore, `finish` to s6.",
        situations: &[
            situation("start", ENCORE, true, &[BEGIN, PREPARED, SPAWNED]),
            situation("start, stopping", ENCORE, true, &[BEGIN, PREPARED, SPAWNED, (5, DOWN)]),
            situation("start, leaving", ENCORE, true, &[BEGIN, PREPARED, SPAWNED, (5, EXIT)]),
            situation("stop", ENCORE, false, &[BEGIN, (5, DOWN), (5, spawned())]),
            situation(
                "finish",
                S6,
                true,
                &[BEGIN, PREPARED, SPAWNED, (8, EXITED_111), (8, spawned())],
            ),
            situation(
                "finish, leaving",
                S6,
                true,
                &[BEGIN, PREPARED, SPAWNED, (7, EXIT), (8, EXITED_111), (8, spawned())],
            ),
        ],
    },
];

const ENDS: [Section; 2] = [
    Section {
        title: "Sweeping",
        text: "The service has ended, and its leftovers are being killed.",
        situations: &[
            situation("wanted up", TREE, true, &[BEGIN, PREPARED, SPAWNED, (9, EXITED_111)]),
            situation(
                "wanted down",
                TREE,
                true,
                &[BEGIN, PREPARED, SPAWNED, (8, DOWN), (9, EXITED_111)],
            ),
            situation(
                "leaving",
                TREE,
                true,
                &[BEGIN, PREPARED, SPAWNED, (8, EXIT), (9, EXITED_111)],
            ),
        ],
    },
    Section {
        title: "Gone",
        text: "The supervision has ended.",
        situations: &[situation("gone", ORIGINAL, false, &[BEGIN, (5, EXIT)])],
    },
];

impl Situation {
    /// The machine at [`NOW`].
    fn machine(&self) -> Machine {
        let mut machine = Machine::new(self.normally_up, at(0));
        machine.configure(self.policy, 0);
        for &(second, event) in self.events {
            let _ = machine.step(event, at(second * 1_000)).count();
        }
        machine
    }
}

/// A row: its kind of events, its name, and the event.
type Row = (&'static str, &'static str, Event);

fn rows() -> Vec<Row> {
    let notified = |name, notification| ("notified", name, Event::Notified(notification));
    let ended = |name, how| ("ended", name, Event::Ended(how));
    let command = |name, command| ("commands", name, command);
    vec![
        ("begin", "begin", Event::Begin),
        ("prepared", "prepared", Event::Prepared),
        ("refused", "refused: mistake", Event::Refused(Reason::Options)),
        ("refused", "refused: cycle", Event::Refused(Reason::Cycle)),
        ("blocked", "blocked", Event::Blocked),
        ("unblocked", "unblocked", Event::Unblocked),
        ("spawned", "spawned", Event::Spawned(pid(8))),
        ("spawn failed", "spawn failed", Event::SpawnFailed),
        ended("exited 0", Ended::Exited(0)),
        ended("exited 100", Ended::Exited(100)),
        ended("exited 111", Ended::Exited(111)),
        ended("exited 125", Ended::Exited(125)),
        ended("killed", Ended::Killed(9)),
        ended("ended unknown", Ended::Unknown),
        ("swept", "swept", Event::Swept),
        ("main pid changed", "main pid changed", Event::MainPidChanged(pid(9))),
        notified("notified: ready", Notification::Ready),
        notified("notified: reloading", Notification::Reloading),
        notified("notified: stopping", Notification::Stopping),
        notified("notified: keep-alive", Notification::KeepAlive),
        notified("notified: watchdog trigger", Notification::WatchdogTrigger),
        notified(
            "notified: watchdog timeout",
            Notification::WatchdogTimeout(Duration::from_millis(300)),
        ),
        notified("notified: extend timeout", Notification::ExtendTimeout(Duration::from_secs(60))),
        ("check ended", "check passed", Event::CheckEnded { passed: true }),
        ("check ended", "check failed", Event::CheckEnded { passed: false }),
        ("dependency lost", "dependency lost", Event::DependencyLost),
        ("stop held", "stop held", Event::StopHeld),
        ("early tick", "early tick", Event::Tick),
        (DUE, DUE, Event::Tick),
        command("`u`", UP),
        command("`d`", DOWN),
        command("`+d`", Event::Command(Command::Down, Scope::Group)),
        command("`o`", ONCE),
        command("`O`", AT_MOST_ONCE),
        command("`x`", EXIT),
        command("`p`", PAUSE),
        command("`c`", self::command(Command::Continue)),
        command("`t`", self::command(Command::Signal(Signal::Term))),
    ]
}

/// The time of every event but the last tick, in milliseconds.
const NOW: u64 = 9_500;

/// The row of a tick at the deadline of the machine.
const DUE: &str = "tick";

/// A new event needs a row: this match does not compile without it.
const fn has_row(event: Event) {
    match event {
        Event::Begin
        | Event::Prepared
        | Event::Refused(_)
        | Event::Blocked
        | Event::Unblocked
        | Event::Spawned(_)
        | Event::SpawnFailed
        | Event::Ended(_)
        | Event::Swept
        | Event::MainPidChanged(_)
        | Event::Notified(_)
        | Event::CheckEnded { .. }
        | Event::DependencyLost
        | Event::StopHeld
        | Event::Tick
        | Event::Command(..) => {}
    }
}

/// The section to which a state belongs: a new state needs a section.
const fn section_of(state: State) -> &'static str {
    match state {
        State::Down => "Down",
        State::Failed => "Failed",
        State::Started => "Started",
        State::Waiting { .. } => "Waiting",
        State::Blocked => "Blocked",
        State::Preparing => "Preparing",
        State::Spawning(_) => "Spawning",
        State::Up { .. } => "Up",
        State::RunningScript { .. } => "RunningScript",
        State::Sweeping => "Sweeping",
        State::Gone => "Gone",
    }
}

fn word(script: Script) -> &'static str {
    match script {
        Script::Start => "start",
        Script::Run => "run",
        Script::Stop => "stop",
        Script::Finish => "finish",
    }
}

fn name(state: State) -> String {
    match state {
        State::Spawning(script) => format!("spawning {}", word(script)),
        State::RunningScript { script, .. } => format!("running {}", word(script)),
        State::Up { paused: true, .. } => "paused".into(),
        other => section_of(other).to_lowercase(),
    }
}

/// Whether the table shows a difference between two states.
fn is_same(before: State, after: State) -> bool {
    name(before) == name(after)
}

/// What an event changes: the next state, the effects, and without a next state the phase and the
/// deadline. `None` if nothing changes.
fn cell(situation: &Situation, row: &str, event: Event) -> Option<String> {
    let mut machine = situation.machine();
    let (before, phase, deadline) = (machine.state(), machine.phase(), machine.deadline());
    let now = match deadline {
        Some(due) if row == DUE => at(due.0 / 1_000_000),
        _ if row == DUE => return None,
        _ => at(NOW),
    };
    assert!(row == DUE || deadline.is_none_or(|due| due > now.instant), "the tick is not early");
    has_row(event);
    let effects = in_words(machine.step(event, now));
    let mut parts = Vec::new();
    let moved = !is_same(before, machine.state());
    if moved {
        parts.push(format!("**{}**", name(machine.state())));
    }
    if !effects.is_empty() {
        // The star of a signal for the tree is no emphasis.
        parts.push(effects.replace('*', "\\*"));
    }
    if !moved && machine.phase() != phase {
        parts.push(format!("phase {}", machine.phase().word()));
    }
    if !moved && row != DUE && machine.deadline() != deadline {
        parts.push("timer".into());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Text in lines of at most 100 characters.
fn wrap(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.len() > 100 {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
    out
}

/// The names of the ignored rows; a kind of events that is ignored as a whole is named once.
fn ignored_kinds(ignored: &[&Row], rows: &[Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (kind, name, _) in ignored {
        let count = |kind: &str| ignored.iter().filter(|row| row.0 == kind).count();
        let whole = rows.iter().filter(|row| row.0 == *kind).count() == count(kind);
        let shown = if whole { kind } else { name };
        if !names.contains(shown) {
            names.push(shown);
        }
    }
    names.join(", ")
}

fn write_section(section: &Section, out: &mut String) {
    let Section { title, text, situations } = section;
    for situation in *situations {
        let state = section_of(situation.machine().state());
        assert!(title.starts_with(state), "{title}, {}: {state}", situation.name);
    }
    let _ = write!(out, "\n### {title}\n\n{}\n", wrap(text));
    let rows = rows();
    let mut ignored: Vec<&Row> = Vec::new();
    // Rows with the same cells are one row.
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for row @ (_, name, event) in &rows {
        let cells: Vec<Option<String>> =
            situations.iter().map(|situation| cell(situation, name, *event)).collect();
        if cells.iter().all(Option::is_none) {
            ignored.push(row);
            continue;
        }
        let cells: Vec<String> = cells.into_iter().map(|it| it.unwrap_or("·".into())).collect();
        let cells = cells.join(" | ");
        match lines.iter_mut().find(|(_, other)| *other == cells) {
            Some((names, _)) => names.push(name),
            None => lines.push((vec![name], cells)),
        }
    }
    if lines.is_empty() {
        out.push_str("It ignores every event.\n");
        return;
    }
    let names: Vec<&str> = situations.iter().map(|situation| situation.name).collect();
    let _ = writeln!(out, "| event | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(names.len()));
    for (names, cells) in lines {
        let _ = writeln!(out, "| {} | {cells} |", names.join(", "));
    }
    let _ = write!(out, "\n{}", wrap(&format!("Ignored: {}.", ignored_kinds(&ignored, &rows))));
}

const HEAD: &str = "\
# The table of the supervise machine

supervise runs one machine for its service, and one for encore's `log`. `Machine::step`
(`crates/core/src/supervise/table.rs`) decides what an event changes. This page shows every state
against every event. The test `supervise_table` generates it: after a change of the code, run

    DAEMONTOOLS_WRITE_STATE_TABLE=1 cargo test -p daemontools-core --test supervise_table

The tables of the other machines: [svscan's slot](state-table-svscan.md), [multilog's output
directory](state-table-multilog.md).

A cell shows the next state in bold, if it is another one, and the effects in order. `phase` says
that the phase changes within the state, `timer` that the next deadline moves. A dot means that
nothing changes. The columns are situations in the same state: what is wanted, and the options that
matter. Each process has run for more than a second if the text does not say otherwise. In
the states after Down, *begin* comes to a supervisor that replaces a killed one.

Commands are the letters of svc(8). In every state but the last they also set what is wanted. The
stop signal is TERM in all situations.

| effect | supervise |
|---|---|
| prepare | reads the service directory, and answers *prepared*, *refused* or *blocked* |
| spawn, start, stop, finish | forks `run` or that script, and answers *spawned* or *spawn failed* |
| TERM, CONT ... | sends this signal to the process; `+TERM` to its group, `*TERM` to its tree |
| check, stop-check | starts a health check, ends it |
| SWEEP-TERM ... | sends this signal to all leftovers, and answers *swept* when none is left |
| publish | writes the status before the next wait |
| exit | exits |
";

fn table() -> String {
    let mut out = String::from(HEAD);
    let groups: [(&str, &[Section]); 4] = [
        ("Idle: no process, and no answer is due", &IDLE),
        ("Pending: the program answers at once", &PENDING),
        ("Running: there is a process", &RUNNING),
        ("The end of a process, and of the supervisor", &ENDS),
    ];
    for (title, sections) in groups {
        let _ = write!(out, "\n## {title}\n");
        for section in sections {
            write_section(section, &mut out);
        }
    }
    out
}

#[test]
fn docs_show_the_table() {
    state_table::check("state-table.md", &table());
}
