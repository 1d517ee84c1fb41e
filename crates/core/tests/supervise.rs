//! The supervise machine: a table of every state against every event, stories, and properties
//! which hold whatever happens, with a small kernel that forks, kills and lets time pass.

#[path = "common/cases.rs"]
mod cases;
mod common;
#[path = "common/plain_kernel.rs"]
mod kernel;

use cases::config;
use common::{EXITED, Story, at, pid, said, step, whereabouts};
use daemontools_core::command::{Command, Scope, Signal};
use daemontools_core::status::Want;
use daemontools_core::supervise::{
    Effect, Event, Kept, LONGEST_FORK_PAUSE, Machine, Past, START_INTERVAL, Script, State,
};
use daemontools_core::time::Now;
use daemontools_core::{Ended, Pid};
use kernel::{Act, Kernel};
use proptest::prelude::*;

const fn command(command: Command) -> Event {
    Event::Command(command, Scope::Process)
}

impl Story {
    /// One whose process runs since this moment, normally up.
    fn up(ms: u64) -> Self {
        let mut story = Self::new(true);
        story.ms = ms;
        assert_eq!(story.event(Event::Begin), "publish spawn");
        assert_eq!(story.spawned(), "publish");
        story
    }
}

// The table: the states of the original. `Preparing` is answered at once here; `Failed`, `Blocked`,
// `Aside`, `Started` and `Sweeping`, which a policy adds, are in `policy.rs`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// Has not begun, wanted up.
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
    /// `d` came, but it is not dead yet.
    Ending,
    Once,
    /// `x` came.
    Leaving,
    Gone,
}

impl Given {
    /// At ten seconds.
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
    /// A tick at ten seconds, which is too early for everything.
    TooEarly,
    /// A tick at ten and a half.
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

/// What happens: the effects in order, where it leads, and `*` if the record gets a new time.
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
    // Before the answer there is nobody to signal; that a record is written for nothing is the
    // price of one row for all commands.
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
        // "Later bytes are lost": what supervise leaves behind is how it was when it left.
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
fn every_state_answers_every_event_as_the_table_says() {
    let events = [Begin, Spawned, SpawnFailed, Dies, TooEarly, InTime, U, D, O, X, P, C, H];
    let mut wrong = String::new();
    for (given, rows) in TABLE {
        assert_eq!(rows.map(|row| row.0), events, "{given:?}: the table is not complete");
        for (when, effects, leads_to) in rows {
            let mut machine = given.machine();
            let (event, now) = when.happens();
            let did = said(step(&mut machine, event, now));
            let stamp = if machine.record().since == now.label { " *" } else { "" };
            let led_to = format!("{}{stamp}", whereabouts(&machine));
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
fn signals_go_to_the_process_which_is_up_and_in_the_scope_asked_for() {
    let mut machine = Given::Up.machine();
    let up = machine.pid().unwrap();
    for scope in [Scope::Process, Scope::Group] {
        for (command, signals) in [
            (Command::Down, &[Signal::Term, Signal::Cont][..]),
            (Command::Pause, &[Signal::Stop]),
            (Command::Continue, &[Signal::Cont]),
            (Command::Signal(Signal::Winch), &[Signal::Winch]),
        ] {
            let sent: Vec<Effect> = machine
                .step(Event::Command(command, scope), at(10_000))
                .filter(|effect| matches!(effect, Effect::Signal(..)))
                .collect();
            let expected: Vec<Effect> =
                signals.iter().map(|&signal| Effect::Signal(up, signal, scope)).collect();
            assert_eq!(sent, expected, "{command:?} {scope:?}");
        }
    }
}

// Stories.

#[test]
fn dx_and_xd_are_the_same_for_a_running_service() {
    for bytes in [b"dx", b"xd"] {
        let mut story = Story::up(0);
        let done = story.at(5_000).svc(bytes);
        assert_eq!(done.matches("TERM CONT").count(), 1, "{done}");
        assert_eq!(story.whereabouts(), "up d");
        assert_eq!(story.at(5_100).event(EXITED), "publish exit");
        assert_eq!(story.whereabouts(), "gone d");
    }
}

#[test]
fn x_alone_waits_for_the_next_death() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"x"), "publish");
    assert_eq!(story.at(900_000).event(Event::Tick), "");
    assert_eq!(story.whereabouts(), "up u");
    assert_eq!(story.event(EXITED), "publish exit");
    assert_eq!(story.machine.deadline(), None);
}

#[test]
fn nothing_takes_x_back() {
    let mut story = Story::up(0);
    story.at(2_000).svc(b"xuoud");
    story.svc(b"u");
    assert_eq!(story.event(EXITED), "publish exit");
}

#[test]
fn x_ends_a_supervise_whose_service_waits_for_its_second() {
    let mut story = Story::up(0);
    story.at(300).event(EXITED);
    assert_eq!(story.whereabouts(), "waiting u");
    assert_eq!(story.at(400).svc(b"x"), "publish exit");
    assert_eq!(story.due(), None);
}

#[test]
fn what_follows_x_for_a_service_that_is_down_is_lost() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"xu"), "publish exit; ");
    assert_eq!(story.whereabouts(), "gone d", "the status it leaves is that of a service down");
}

#[test]
fn o_lets_a_running_service_end_for_good() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"o"), "publish");
    assert_eq!(story.event(Event::Ended(Ended::Killed(9))), "publish");
    assert_eq!(story.whereabouts(), "down o");
    assert_eq!(story.due(), None);
}

#[test]
fn o_runs_a_service_once_even_if_it_fails_at_once() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"o"), "publish spawn");
    story.spawned();
    assert_eq!(story.at(3).event(EXITED), "publish");
    assert_eq!(story.whereabouts(), "down o");
    // It keeps the distance to the last start if it is asked for again.
    assert_eq!(story.at(10).svc(b"o"), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.at(9_000).event(EXITED), "publish");
    assert_eq!(story.whereabouts(), "down o");
}

#[test]
fn u_after_o_brings_the_restarts_back_and_leaves_the_process_alone() {
    let mut story = Story::up(0);
    assert_eq!(story.at(2_000).svc(b"ou"), "publish; publish");
    assert_eq!(story.event(EXITED), "publish spawn");
}

#[test]
fn the_exit_status_is_not_looked_at() {
    for how in [
        Ended::Exited(0),
        Ended::Exited(100),
        Ended::Exited(111),
        Ended::Killed(15),
        Ended::Unknown,
    ] {
        let mut story = Story::up(0);
        assert_eq!(story.at(2_000).event(Event::Ended(how)), "publish spawn", "{how:?}");
    }
}

#[test]
fn once_that_failed_to_fork_is_tried_again_until_it_runs() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    story.svc(b"o");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    assert_eq!(story.event(Event::SpawnFailed), "publish");
    assert_eq!(story.at(3_000).event(Event::Tick), "spawn");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.at(4_500).event(EXITED), "publish");
    assert_eq!(story.whereabouts(), "down o");
}

#[test]
fn after_a_failed_fork_and_u_there_is_one_copy_only() {
    // The known defect of the Debian patch: the next event of any kind started a second one.
    let mut story = Story::new(false);
    story.event(Event::Begin);
    story.svc(b"o");
    story.event(Event::SpawnFailed);
    assert_eq!(story.at(500).svc(b"u"), "publish");
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    story.spawned();
    assert_eq!(story.at(1_001).event(Event::Tick), "");
    assert_eq!(story.svc(b"ud"), "publish; TERM CONT publish");
    assert_eq!(story.event(Event::Tick), "");
}

#[test]
fn starts_are_a_second_apart() {
    let mut story = Story::up(0);
    assert_eq!(story.at(100).event(EXITED), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(999).event(Event::Tick), "");
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
    story.spawned();
    // Counted from the last start, not from the death.
    assert_eq!(story.at(1_900).event(EXITED), "publish");
    assert_eq!(story.due(), Some(2_000));
    assert_eq!(story.at(2_700).event(Event::Tick), "spawn");
    story.spawned();
    assert_eq!(story.at(3_700).event(EXITED), "publish spawn", "the second is over");
}

#[test]
fn the_second_is_counted_from_when_the_process_was_there() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    // A fork that took long.
    story.at(700).spawned();
    story.at(800).event(EXITED);
    assert_eq!(story.due(), Some(1_700));
}

#[test]
fn u_within_the_second_neither_hurries_nor_doubles_the_start() {
    let mut story = Story::up(0);
    story.at(200).event(EXITED);
    assert_eq!(story.at(300).svc(b"uuu"), "publish; publish; publish");
    assert_eq!(story.due(), Some(1_000));
    // Down and up again waits for the same moment.
    assert_eq!(story.at(400).svc(b"d"), "publish");
    assert_eq!(story.due(), None);
    assert_eq!(story.at(500).svc(b"u"), "publish");
    assert_eq!(story.due(), Some(1_000));
    assert_eq!(story.at(1_000).event(Event::Tick), "spawn");
}

#[test]
fn d_within_the_second_cancels_the_start() {
    let mut story = Story::up(0);
    story.at(200).event(EXITED);
    assert_eq!(story.at(300).svc(b"d"), "publish");
    assert_eq!(story.at(5_000).event(Event::Tick), "");
    assert_eq!(story.whereabouts(), "down d");
    assert_eq!(story.svc(b"u"), "publish spawn");
}

#[test]
fn commands_are_obeyed_in_the_second_after_a_start() {
    let mut story = Story::new(false);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"u"), "publish spawn");
    story.spawned();
    assert_eq!(story.at(1).svc(b"d"), "TERM CONT publish");
}

#[test]
fn failures_to_fork_are_tried_again_after_1_2_4_and_at_last_60_seconds() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(story.event(Event::SpawnFailed), "publish");
        assert_eq!(story.machine.fork_pause().as_secs(), pause);
        let due = story.ms + pause * 1000;
        assert_eq!(story.due(), Some(due));
        assert_eq!(story.at(due - 1).event(Event::Tick), "");
        assert_eq!(story.at(due).event(Event::Tick), "spawn");
    }
    // One success, and it begins anew.
    story.spawned();
    let later = story.ms + 5_000;
    assert_eq!(story.at(later).event(EXITED), "publish spawn");
    story.event(Event::SpawnFailed);
    assert_eq!(story.due(), Some(later + 1_000));
}

#[test]
fn many_thousand_failures_to_fork_do_no_harm() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    for _ in 0..70_000 {
        story.event(Event::SpawnFailed);
        let due = story.due().unwrap();
        assert!(due - story.ms <= 60_000);
        assert_eq!(story.at(due).event(Event::Tick), "spawn");
    }
}

#[test]
fn commands_are_obeyed_while_the_fork_is_waited_for() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.event(Event::SpawnFailed);
    assert_eq!(story.at(500).svc(b"d"), "publish");
    assert_eq!(story.due(), None);
    assert_eq!(story.at(9_000).event(Event::Tick), "");
    assert_eq!(story.svc(b"x"), "publish exit");
}

#[test]
fn the_paused_flag_is_the_last_of_p_and_c() {
    let mut story = Story::up(0);
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.whereabouts(), "paused u");
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.svc(b"t"), "TERM", "it stays pending, and the flag as it is");
    assert_eq!(story.whereabouts(), "paused u");
    assert_eq!(story.svc(b"c"), "publish CONT");
    assert_eq!(story.whereabouts(), "up u");
}

#[test]
fn d_clears_the_paused_flag_and_lets_the_process_notice() {
    let mut story = Story::up(0);
    story.svc(b"p");
    assert_eq!(story.svc(b"d"), "TERM CONT publish");
    assert_eq!(story.whereabouts(), "up d");
}

#[test]
fn a_new_process_is_not_paused() {
    let mut story = Story::up(0);
    story.svc(b"p");
    assert_eq!(story.at(5_000).event(Event::Ended(Ended::Killed(9))), "publish spawn");
    story.spawned();
    assert_eq!(story.whereabouts(), "up u");
    // Nor if `p` came while there was none.
    story.at(5_100).event(EXITED);
    assert_eq!(story.svc(b"p"), "publish");
    story.at(6_000).event(Event::Tick);
    story.spawned();
    assert_eq!(story.whereabouts(), "up u");
}

#[test]
fn a_term_that_came_before_the_answer_is_made_up_for() {
    // What supervise makes of a TERM to itself: `dx`.
    let mut story = Story::new(true);
    story.event(Event::Begin);
    assert_eq!(story.svc(b"dx"), "publish; publish");
    assert_eq!(story.spawned(), "TERM CONT publish");
    assert_eq!(story.event(EXITED), "publish exit");
    // And without a process there is nothing to wait for.
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.svc(b"dx");
    assert_eq!(story.event(Event::SpawnFailed), "publish exit");
}

#[test]
fn only_the_last_of_d_and_u_before_the_answer_counts() {
    let mut story = Story::new(true);
    story.event(Event::Begin);
    story.svc(b"du");
    assert_eq!(story.spawned(), "publish");
    assert_eq!(story.whereabouts(), "up u");
}

#[test]
fn the_record_has_the_time_of_the_last_birth_or_death() {
    let mut story = Story::up(3_000);
    assert_eq!(story.machine.record().since, at(3_000).label);
    story.at(4_500).svc(b"pcduoah");
    assert_eq!(story.machine.record().since, at(3_000).label);
    story.at(5_000).svc(b"d");
    story.event(EXITED);
    assert_eq!(story.machine.record().since, at(5_000).label);
    story.at(8_000).svc(b"dcp");
    assert_eq!(story.machine.record().since, at(5_000).label);
}

/// A story that goes on where another was interrupted.
fn resumed(up: Option<(Pid, bool)>, want: Want, last_start: u64) -> Story {
    let label = at(last_start).label;
    let last_start = Some(at(last_start).instant);
    let up = up.map(|(pid, paused)| (pid, Script::Run, paused));
    let kept = Kept::default();
    let past = Past {
        up,
        ended: None,
        unseen: false,
        first: false,
        started: false,
        stopped: false,
        want,
        since: label,
        last_start,
        kept,
    };
    let machine = Machine::resume(past, at(0));
    Story { machine, ms: 0, next_pid: 100 }
}

#[test]
fn a_process_that_is_taken_over_does_not_notice() {
    let mut story = resumed(Some((pid(7), false)), Want::Up, 3_000);
    assert_eq!(story.whereabouts(), "up u");
    assert_eq!(story.at(60_000).event(Event::Begin), "");
    assert_eq!(story.machine.record().since, at(3_000).label);
    assert_eq!(story.due(), None);
    // From there on it is like any other.
    assert_eq!(story.svc(b"p"), "publish STOP");
    assert_eq!(story.svc(b"t"), "TERM");
    assert_eq!(story.event(Event::Ended(Ended::Unknown)), "publish spawn");
}

#[test]
fn one_that_is_taken_over_while_it_goes_down_goes_down() {
    let mut story = resumed(Some((pid(7), false)), Want::Down, 3_000);
    // It has got its TERM, and a second one may mean something else to it.
    assert_eq!(story.at(4_000).event(Event::Begin), "");
    assert_eq!(story.event(Event::Ended(Ended::Unknown)), "publish");
    assert_eq!(story.whereabouts(), "down d");
}

#[test]
fn one_that_is_taken_over_paused_is_paused() {
    let mut story = resumed(Some((pid(7), true)), Want::Once, 3_000);
    assert_eq!(story.at(4_000).event(Event::Begin), "");
    assert_eq!(story.whereabouts(), "paused o");
    assert_eq!(story.svc(b"c"), "publish CONT");
    assert_eq!(story.event(EXITED), "publish");
    assert_eq!(story.whereabouts(), "down o");
}

#[test]
fn starts_are_a_second_apart_even_if_the_supervise_is_another() {
    let mut story = resumed(None, Want::Up, 3_000);
    assert_eq!(story.at(3_400).event(Event::Begin), "publish");
    assert_eq!(story.due(), Some(4_000));
    assert_eq!(story.at(4_000).event(Event::Tick), "spawn");
    // One that was taken over and ends soon.
    let mut story = resumed(Some((pid(7), false)), Want::Up, 3_000);
    story.at(3_200).event(Event::Begin);
    assert_eq!(story.at(3_300).event(EXITED), "publish");
    assert_eq!(story.due(), Some(4_000));
}

#[test]
fn what_was_to_run_once_is_not_started_again_by_the_next_supervise() {
    for (want, begins) in
        [(Want::Up, "publish spawn"), (Want::Down, "publish"), (Want::Once, "publish")]
    {
        let mut story = resumed(None, want, 3_000);
        assert_eq!(story.at(60_000).event(Event::Begin), begins, "{want:?}");
    }
}

// Properties.

fn act() -> impl Strategy<Value = Act> {
    let letter = proptest::sample::select(&b"udopchaitkxq12w"[..]);
    let scope = proptest::sample::select(&[Scope::Process, Scope::Group][..]);
    let ended =
        prop_oneof![any::<u8>().prop_map(Ended::Exited), (1..65_u8).prop_map(Ended::Killed)];
    prop_oneof![
        // `x` ends the story, so it is rare.
        8 => (letter, scope, 0..4).prop_map(|(letter, scope, n)| {
            Act::Command(if letter == b'x' && n > 0 { b'u' } else { letter }, scope)
        }),
        4 => ended.prop_map(Act::Die),
        4 => Just(Act::Reap),
        4 => (0..3_000_u64, any::<bool>()).prop_map(|(ms, ticking)| Act::Pass { ms, ticking }),
        1 => (0..200_000_u64).prop_map(|ms| Act::Pass { ms, ticking: true }),
        2 => Just(Act::Tick),
        1 => prop::bool::weighted(0.7).prop_map(Act::Forks),
        1 => prop::bool::weighted(0.3).prop_map(Act::Slow),
        3 => Just(Act::Answer),
        2 => Just(Act::KillSupervise),
    ]
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn whatever_happens_the_rules_hold(
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..80),
    ) {
        let mut kernel = Kernel::new(normally_up);
        kernel.check();
        for act in acts {
            kernel.act(act);
        }
    }

    #[test]
    fn what_is_wanted_comes_about_when_nothing_fails_any_more(
        normally_up: bool,
        acts in prop::collection::vec(act(), 0..60),
        last in proptest::sample::select(&b"udx"[..]),
    ) {
        let mut kernel = Kernel::new(normally_up);
        for act in acts {
            kernel.act(act);
        }
        let was_gone = kernel.machine.state() == State::Gone;
        kernel.act(Act::Forks(true));
        kernel.act(Act::Slow(false));
        kernel.act(Act::Answer);
        kernel.act(Act::Reap);
        kernel.act(Act::Command(last, Scope::Process));
        if last != b'u' {
            // It obeys.
            kernel.act(Act::Command(b'd', Scope::Process));
            kernel.act(Act::Die(Ended::Killed(15)));
            kernel.act(Act::Reap);
        }
        let longest = u64::try_from(LONGEST_FORK_PAUSE.as_millis()).unwrap();
        kernel.act(Act::Pass { ms: longest, ticking: true });
        match (last, kernel.machine.state()) {
            (_, State::Gone) => prop_assert!(was_gone || kernel.leaving),
            (b'u', state) => prop_assert!(matches!(state, State::Up { .. }), "{state:?}"),
            (b'd', state) => prop_assert_eq!(state, State::Down),
            (_, state) => prop_assert!(false, "{:?} after x", state),
        }
    }

    #[test]
    fn a_service_that_always_dies_is_started_once_a_second(
        lives in prop::collection::vec(0..2_500_u64, 1..40),
    ) {
        let mut kernel = Kernel::new(true);
        for life in lives {
            let started = kernel.ms;
            kernel.act(Act::Pass { ms: life, ticking: true });
            kernel.act(Act::Die(Ended::Exited(1)));
            kernel.act(Act::Reap);
            kernel.act(Act::Pass { ms: 1_000_u64.saturating_sub(life), ticking: true });
            // Neither sooner, which the kernel sees to, nor later.
            let second = u64::try_from(START_INTERVAL.as_millis()).unwrap();
            prop_assert_eq!(kernel.last_start, Some(started + second.max(life)));
        }
    }
}
