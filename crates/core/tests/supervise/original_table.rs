//! The table of the original's states, written by hand from its documentation. `Preparing` is answered
//! at once. `supervise_table.rs` generates a table of all states from the machine.

use crate::command;
use crate::common::{EXITED, Story, at, in_words, pid, shown_state, step};
use daemontools_core::state_dir::control::{Command, Scope, Signal};
use daemontools_core::supervise::{Effect, Event, Machine};
use daemontools_core::time::Now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// Before `Begin`, wanted up.
    New,
    /// Down, wanted down.
    Down,
    /// Died half a second after its start; due in half a second.
    Waiting,
    /// Wanted once, and the fork failed half a second ago; due in half a second.
    WaitingOnce,
    Spawning,
    /// `d` came before the answer.
    SpawningDown,
    /// `x` came before the answer.
    SpawningLeaving,
    /// Up for five seconds, like all that follow.
    Up,
    Paused,
    /// `d` came, and the process has not ended yet.
    Ending,
    Once,
    /// `x` came.
    Leaving,
    Gone,
}

impl Given {
    /// The machine at ten seconds.
    fn machine(self) -> Machine {
        let mut story = match self {
            Self::Waiting => Story::up(9_500),
            Self::Up | Self::Paused | Self::Ending | Self::Once | Self::Leaving => Story::up(5_000),
            Self::New | Self::Spawning | Self::SpawningDown | Self::SpawningLeaving => {
                Story::new(true)
            }
            Self::Down | Self::WaitingOnce | Self::Gone => Story::new(false),
        };
        if !matches!(self, Self::New) && story.machine.pid().is_none() {
            story.event(Event::Begin);
        }
        story.at(9_500);
        match self {
            Self::New | Self::Down | Self::Spawning | Self::Up => {}
            Self::Waiting => {
                story.at(9_700).event(EXITED);
            }
            Self::WaitingOnce => {
                story.svc(b"o");
                story.event(Event::SpawnFailed);
            }
            Self::SpawningDown | Self::Ending => {
                story.svc(b"d");
            }
            Self::SpawningLeaving | Self::Leaving | Self::Gone => {
                story.svc(b"x");
            }
            Self::Paused => {
                story.svc(b"p");
            }
            Self::Once => {
                story.svc(b"o");
            }
        }
        story.machine
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Begin,
    Spawned,
    SpawnFailed,
    Ended,
    /// A tick at ten seconds, before any deadline.
    TooEarly,
    /// A tick at ten and a half seconds, after the deadline.
    InTime,
    U,
    D,
    O,
    X,
    P,
    C,
    H,
}

impl When {
    fn happens(self) -> (Event, Now) {
        let event = match self {
            Self::Begin => Event::Begin,
            Self::Spawned => Event::Spawned(pid(7)),
            Self::SpawnFailed => Event::SpawnFailed,
            Self::Ended => EXITED,
            Self::TooEarly => Event::Tick,
            Self::InTime => return (Event::Tick, at(10_500)),
            Self::U => command(Command::Up),
            Self::D => command(Command::Down),
            Self::O => command(Command::Once),
            Self::X => command(Command::Exit),
            Self::P => command(Command::Pause),
            Self::C => command(Command::Continue),
            Self::H => command(Command::Signal(Signal::Hup)),
        };
        (event, at(10_000))
    }
}

/// The event, the effects in order, the next state, and `*` if the record gets a new time.
type Row = (When, &'static str, &'static str);

use When::{Begin, C, D, Ended as Dies, H, InTime, O, P, SpawnFailed, Spawned, TooEarly, U, X};

#[rustfmt::skip]
const TABLE: [(Given, [Row; 13]); 13] = [
    (Given::New, [
        (Begin,       "publish spawn",     "spawning u"),
        (Spawned,     "",                  "down u"),
        (SpawnFailed, "",                  "down u"),
        (Dies,        "",                  "down u"),
        (TooEarly,    "",                  "down u"),
        (InTime,      "",                  "down u"),
        (U,           "publish spawn",     "spawning u"),
        (D,           "publish",           "down d"),
        (O,           "publish spawn",     "spawning o"),
        (X,           "publish exit",      "gone u"),
        (P,           "publish",           "down u"),
        (C,           "publish",           "down u"),
        (H,           "",                  "down u"),
    ]),
    (Given::Down, [
        (Begin,       "publish",           "down d"),
        (Spawned,     "",                  "down d"),
        (SpawnFailed, "",                  "down d"),
        (Dies,        "",                  "down d"),
        (TooEarly,    "",                  "down d"),
        (InTime,      "",                  "down d"),
        (U,           "publish spawn",     "spawning u"),
        (D,           "publish",           "down d"),
        (O,           "publish spawn",     "spawning o"),
        (X,           "publish exit",      "gone d"),
        (P,           "publish",           "down d"),
        (C,           "publish",           "down d"),
        (H,           "",                  "down d"),
    ]),
    (Given::Waiting, [
        (Begin,       "",                  "waiting u"),
        (Spawned,     "",                  "waiting u"),
        (SpawnFailed, "",                  "waiting u"),
        (Dies,        "",                  "waiting u"),
        (TooEarly,    "",                  "waiting u"),
        (InTime,      "spawn",             "spawning u"),
        (U,           "publish",           "waiting u"),
        (D,           "publish",           "down d"),
        (O,           "publish",           "waiting o"),
        (X,           "publish exit",      "gone u"),
        (P,           "publish",           "waiting u"),
        (C,           "publish",           "waiting u"),
        (H,           "",                  "waiting u"),
    ]),
    (Given::WaitingOnce, [
        (Begin,       "",                  "waiting o"),
        (Spawned,     "",                  "waiting o"),
        (SpawnFailed, "",                  "waiting o"),
        (Dies,        "",                  "waiting o"),
        (TooEarly,    "",                  "waiting o"),
        (InTime,      "spawn",             "spawning o"),
        (U,           "publish",           "waiting u"),
        (D,           "publish",           "down d"),
        (O,           "publish",           "waiting o"),
        (X,           "publish exit",      "gone o"),
        (P,           "publish",           "waiting o"),
        (C,           "publish",           "waiting o"),
        (H,           "",                  "waiting o"),
    ]),
    // Before the answer there is no process to signal. All commands publish, also those that
    // change nothing: one rule for all.
    (Given::Spawning, [
        (Begin,       "",                  "spawning u"),
        (Spawned,     "publish",           "up u *"),
        (SpawnFailed, "publish",           "waiting u"),
        (Dies,        "",                  "spawning u"),
        (TooEarly,    "",                  "spawning u"),
        (InTime,      "",                  "spawning u"),
        (U,           "publish",           "spawning u"),
        (D,           "publish",           "spawning d"),
        (O,           "publish",           "spawning o"),
        (X,           "publish",           "spawning u"),
        (P,           "publish",           "spawning u"),
        (C,           "publish",           "spawning u"),
        (H,           "publish",           "spawning u"),
    ]),
    (Given::SpawningDown, [
        (Begin,       "",                  "spawning d"),
        (Spawned,     "TERM CONT publish", "up d *"),
        (SpawnFailed, "publish",           "down d"),
        (Dies,        "",                  "spawning d"),
        (TooEarly,    "",                  "spawning d"),
        (InTime,      "",                  "spawning d"),
        (U,           "publish",           "spawning u"),
        (D,           "publish",           "spawning d"),
        (O,           "publish",           "spawning o"),
        (X,           "publish",           "spawning d"),
        (P,           "publish",           "spawning d"),
        (C,           "publish",           "spawning d"),
        (H,           "publish",           "spawning d"),
    ]),
    (Given::SpawningLeaving, [
        (Begin,       "",                  "spawning u"),
        (Spawned,     "publish",           "up u *"),
        (SpawnFailed, "publish exit",      "gone u"),
        (Dies,        "",                  "spawning u"),
        (TooEarly,    "",                  "spawning u"),
        (InTime,      "",                  "spawning u"),
        (U,           "publish",           "spawning u"),
        (D,           "publish",           "spawning d"),
        (O,           "publish",           "spawning o"),
        (X,           "publish",           "spawning u"),
        (P,           "publish",           "spawning u"),
        (C,           "publish",           "spawning u"),
        (H,           "publish",           "spawning u"),
    ]),
    (Given::Up, [
        (Begin,       "",                  "up u"),
        (Spawned,     "",                  "up u"),
        (SpawnFailed, "",                  "up u"),
        (Dies,        "publish spawn",     "spawning u *"),
        (TooEarly,    "",                  "up u"),
        (InTime,      "",                  "up u"),
        (U,           "publish",           "up u"),
        (D,           "TERM CONT publish", "up d"),
        (O,           "publish",           "up o"),
        (X,           "publish",           "up u"),
        (P,           "publish STOP",      "paused u"),
        (C,           "publish CONT",      "up u"),
        (H,           "HUP",               "up u"),
    ]),
    (Given::Paused, [
        (Begin,       "",                  "paused u"),
        (Spawned,     "",                  "paused u"),
        (SpawnFailed, "",                  "paused u"),
        (Dies,        "publish spawn",     "spawning u *"),
        (TooEarly,    "",                  "paused u"),
        (InTime,      "",                  "paused u"),
        (U,           "publish",           "paused u"),
        (D,           "TERM CONT publish", "up d"),
        (O,           "publish",           "paused o"),
        (X,           "publish",           "paused u"),
        (P,           "publish STOP",      "paused u"),
        (C,           "publish CONT",      "up u"),
        (H,           "HUP",               "paused u"),
    ]),
    (Given::Ending, [
        (Begin,       "",                  "up d"),
        (Spawned,     "",                  "up d"),
        (SpawnFailed, "",                  "up d"),
        (Dies,        "publish",           "down d *"),
        (TooEarly,    "",                  "up d"),
        (InTime,      "",                  "up d"),
        (U,           "publish",           "up u"),
        (D,           "TERM CONT publish", "up d"),
        (O,           "publish",           "up o"),
        (X,           "publish",           "up d"),
        (P,           "publish STOP",      "paused d"),
        (C,           "publish CONT",      "up d"),
        (H,           "HUP",               "up d"),
    ]),
    (Given::Once, [
        (Begin,       "",                  "up o"),
        (Spawned,     "",                  "up o"),
        (SpawnFailed, "",                  "up o"),
        (Dies,        "publish",           "down o *"),
        (TooEarly,    "",                  "up o"),
        (InTime,      "",                  "up o"),
        (U,           "publish",           "up u"),
        (D,           "TERM CONT publish", "up d"),
        (O,           "publish",           "up o"),
        (X,           "publish",           "up o"),
        (P,           "publish STOP",      "paused o"),
        (C,           "publish CONT",      "up o"),
        (H,           "HUP",               "up o"),
    ]),
    (Given::Leaving, [
        (Begin,       "",                  "up u"),
        (Spawned,     "",                  "up u"),
        (SpawnFailed, "",                  "up u"),
        (Dies,        "publish exit",      "gone u *"),
        (TooEarly,    "",                  "up u"),
        (InTime,      "",                  "up u"),
        (U,           "publish",           "up u"),
        (D,           "TERM CONT publish", "up d"),
        (O,           "publish",           "up o"),
        (X,           "publish",           "up u"),
        (P,           "publish STOP",      "paused u"),
        (C,           "publish CONT",      "up u"),
        (H,           "HUP",               "up u"),
    ]),
    (Given::Gone, [
        (Begin,       "",                  "gone d"),
        (Spawned,     "",                  "gone d"),
        (SpawnFailed, "",                  "gone d"),
        (Dies,        "",                  "gone d"),
        (TooEarly,    "",                  "gone d"),
        (InTime,      "",                  "gone d"),
        // Commands after the exit are lost: the status stays as it was at the exit.
        (U,           "",                  "gone d"),
        (D,           "",                  "gone d"),
        (O,           "",                  "gone d"),
        (X,           "",                  "gone d"),
        (P,           "",                  "gone d"),
        (C,           "",                  "gone d"),
        (H,           "",                  "gone d"),
    ]),
];

#[test]
fn each_state_handles_each_event_as_in_the_table() {
    let events = [Begin, Spawned, SpawnFailed, Dies, TooEarly, InTime, U, D, O, X, P, C, H];
    let mut wrong = String::new();
    for (given, rows) in TABLE {
        assert_eq!(rows.map(|row| row.0), events, "{given:?}: the table is not complete");
        for (when, effects, leads_to) in rows {
            let mut machine = given.machine();
            let (event, now) = when.happens();
            let did = in_words(step(&mut machine, event, now));
            let stamp = if machine.record().since == now.label { " *" } else { "" };
            let led_to = format!("{}{stamp}", shown_state(&machine));
            if (did.as_str(), led_to.as_str()) != (effects, leads_to) {
                wrong += &format!(
                    "{given:?}, {when:?}: \"{did}\" and {led_to}, not \"{effects}\" and {leads_to}\n"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn signals_go_to_the_running_process_in_the_scope_of_the_command() {
    let mut machine = Given::Up.machine();
    let up = machine.pid().unwrap();
    for scope in [Scope::Process, Scope::Group] {
        for (command, signals) in [
            // The CONT lets a stopped process see the TERM.
            (Command::Down, &[(Signal::Term, true), (Signal::Cont, false)][..]),
            (Command::Pause, &[(Signal::Stop, true)]),
            (Command::Continue, &[(Signal::Cont, true)]),
            (Command::Signal(Signal::Winch), &[(Signal::Winch, true)]),
        ] {
            let sent: Vec<Effect> = machine
                .step(Event::Command(command, scope), at(10_000))
                .filter(|effect| matches!(effect, Effect::Signal { .. }))
                .collect();
            let expected: Vec<Effect> = signals
                .iter()
                .map(|&(signal, requested)| Effect::Signal { pid: up, signal, scope, requested })
                .collect();
            assert_eq!(sent, expected, "{command:?} {scope:?}");
        }
    }
}

#[test]
fn the_stop_signal_after_a_slow_fork_is_not_requested() {
    let mut machine = Given::SpawningDown.machine();
    let pid = pid(7);
    let sent = machine.step(Event::Spawned(pid), at(10_000)).filter_map(|effect| match effect {
        Effect::Signal { signal, requested, .. } => Some((signal, requested)),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [(Signal::Term, false), (Signal::Cont, false)]);
}
