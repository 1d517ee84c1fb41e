//! The table of one slot of the roster: every phase against every event. The test generates
//! `docs/state-table-svscan.md` and compares it with the file.

#[path = "common/roster_story.rs"]
mod roster_story;
#[path = "common/state_table.rs"]
mod state_table;

use Situation as S;
use daemontools_core::Pid;
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::svscan::slot::{DRAIN_INTERVAL, SlotNo, SlotPhase, UNLINK_GRACE};
use daemontools_core::svscan::supervise_process::SuperviseProcess;
use daemontools_core::svscan::supervise_process::SuperviseRole::{Log, Main};
use roster_story::{A, B, BARE, C, CHANGING, EXITED, FAILED, LOGGED, PLAIN, Story};

const INTRODUCTION: &str = "\
# The table of a slot

svscan keeps one slot for each service: for each directory to which a name in the scan directory
leads. `Slot::step` (`crates/core/src/svscan/slot.rs`) decides what an event changes. This page shows
every phase against every event. The test `roster_table` generates it: after a change of the code, run

    DAEMONTOOLS_WRITE_STATE_TABLE=1 cargo test -p daemontools-core --test roster_table

A cell shows the next phase and the actions, in order. A dot means that neither the phase nor the
actions change. A dash means that the event cannot occur. The columns are the situations of a logged
service `a` in that phase. `main` is the supervise of the service, `log` that of its logger. Each
process that ends here has exited with code 111.

| action | svscan |
|---|---|
| spawn | starts this supervise, or adopts the one that runs already |
| terminate | sends TERM: stop the service and exit |
| finish | sends USR1: exit when the service ends by itself |
| end input | closes its write end of the pipe to the logger |
| check input | looks whether the pipe is empty |
| drop pipe | closes the pipe |
| look | looks at the directory again |
| forget | frees the slot |
| exit | exits |

`ReportLateLog` is missing: `a` has its logger from the start. `Kill` is missing: the roster sends it to the processes that a stop waits for, after the timeout of
`svscan -t`.
";

/// What is known of slot 0 at the beginning of a row: it has the service `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Situation {
    Waiting,
    Settling,
    Spawning,
    Running,
    /// Its supervise died twice within a second.
    Delayed,
    OwnLogger,
    UnlinkedSpawning,
    Unlinked,
    UnlinkedLog,
    KeptSpawning,
    Kept,
    KeptLog,
    StoppingSpawning,
    Stopping,
    StoppingMain,
    StoppingNamed,
    DrainingSpawning,
    Draining,
    DrainingNamed,
    /// Draining, and the logger was told to end.
    Ending,
}

/// A situation, and the head of its column.
type Column = (Situation, &'static str);

/// Each phase, what it means, and the columns of its situations.
const PHASES: &[(&str, &str, &[Column])] = &[
    (
        "Waiting",
        "It took the name of another service, and waits until that service is gone. If its own \
         name leads elsewhere, the next directory waits in its place.",
        &[(S::Waiting, "waiting")],
    ),
    (
        "Settling",
        "Its directory has no file `run` yet. After five seconds it becomes active all the same.",
        &[(S::Settling, "settling")],
    ),
    (
        "Active",
        "Its supervise processes are to run. One that ran for a second restarts at once, after a \
         look at the directory; the restart delay grows with each quick death. A timer runs only \
         for a restart delay.",
        &[
            (S::Spawning, "both spawning"),
            (S::Running, "both run"),
            (S::Delayed, "main in its restart delay"),
            (S::OwnLogger, "svscan's own logger"),
        ],
    ),
    (
        "Unlinked",
        "It has no name. It stops after a second, and at once if its name leads to another \
         directory. A supervise that ended restarts only with a name.",
        &[
            (S::UnlinkedSpawning, "both spawning"),
            (S::Unlinked, "both run"),
            (S::UnlinkedLog, "only log runs"),
        ],
    ),
    (
        "Kept",
        "It has no name, and runs on because of `svscan -k`. Its last name may lead to another \
         directory: the two services are independent, as under the original.",
        &[(S::KeptSpawning, "both spawning"), (S::Kept, "both run"), (S::KeptLog, "only log runs")],
    ),
    (
        "Stopping",
        "Its supervise was told to stop the service and exit. If that of the logger ends before, it \
         starts again, once. A name that comes back counts when both processes have ended.",
        &[
            (S::StoppingSpawning, "both spawning"),
            (S::Stopping, "both run"),
            (S::StoppingMain, "only main runs"),
            (S::StoppingNamed, "both run, named again"),
        ],
    ),
    (
        "Draining",
        "Its supervise has ended, and the logger reads the rest of the pipe. The phase is called \
         `ending` once the logger was told to end.",
        &[
            (S::DrainingSpawning, "log spawning"),
            (S::Draining, "log runs"),
            (S::DrainingNamed, "log runs, named again"),
            (S::Ending, "ending"),
        ],
    ),
];

impl Situation {
    fn story(self) -> Story {
        match self {
            Self::Waiting => {
                // `x` makes way for `a`, so that `a` gets slot 0 and its predecessor has slot 1.
                let mut story = Story::new();
                story.seen("x", C, BARE);
                story.seen("a", B, PLAIN);
                story.spawned(1, Main);
                story.lost("x");
                story.seen("a", A, LOGGED);
                story
            }
            Self::Settling => {
                let mut story = Story::new();
                story.seen("a", A, BARE);
                story
            }
            Self::Spawning => {
                let mut story = Story::new();
                story.seen("a", A, LOGGED);
                story
            }
            Self::Running => Story::running(),
            Self::Delayed => {
                let mut story = Story::running();
                story.ended(0, Main, FAILED);
                assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
                story.spawned(0, Main);
                story.ended(0, Main, FAILED);
                story
            }
            Self::OwnLogger => Story::with_own_logger(),
            Self::UnlinkedSpawning => Self::Spawning.then_lost(),
            Self::Unlinked => Self::Running.then_lost(),
            Self::UnlinkedLog => {
                let mut story = Self::Unlinked.story();
                story.ended(0, Main, EXITED);
                story
            }
            Self::KeptSpawning => Story::kept_spawning(),
            Self::Kept => {
                let mut story = Story::keeping().run_a();
                story.lost("a");
                story
            }
            Self::KeptLog => {
                let mut story = Self::Kept.story();
                story.ended(0, Main, EXITED);
                story
            }
            Self::StoppingSpawning => {
                let mut story = Self::UnlinkedSpawning.story();
                story.tick(UNLINK_GRACE);
                story
            }
            Self::Stopping => Story::stopping(),
            Self::StoppingMain => {
                let mut story = Story::stopping();
                // The first time it starts again.
                story.ended(0, Log, EXITED);
                story.spawned(0, Log);
                story.ended(0, Log, EXITED);
                story
            }
            Self::StoppingNamed => {
                let mut story = Story::stopping();
                story.seen("a", A, LOGGED);
                story
            }
            Self::DrainingSpawning => {
                let mut story = Self::Spawning.story();
                story.spawned(0, Main);
                story.lost("a");
                story.tick(UNLINK_GRACE);
                story.ended(0, Main, EXITED);
                story
            }
            Self::Draining => Story::draining(),
            Self::DrainingNamed => Story::draining_with_name(),
            Self::Ending => {
                let mut story = Story::draining();
                story.tick(DRAIN_INTERVAL);
                story.step(RosterEvent::AllRead(SlotNo(0)));
                story
            }
        }
    }

    fn then_lost(self) -> Story {
        let mut story = self.story();
        story.lost("a");
        story
    }
}

/// An event of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Seen,
    SeenBare,
    SeenChanging,
    Unsure,
    Lost,
    Replaced,
    Released,
    MainSpawned,
    LogSpawned,
    MainFailed,
    LogFailed,
    MainNotStarted,
    LogNotStarted,
    MainEnded,
    LogEnded,
    Unread,
    AllRead,
    TickEarly,
    TickDue,
    Stop,
    MainEndedForGood,
}

const EVENTS: [(When, &str); 21] = [
    (When::Seen, "name seen, with `run` and `log/`"),
    (When::SeenBare, "name seen, without both"),
    (When::SeenChanging, "name seen, still changing"),
    (When::Unsure, "look failed"),
    (When::Lost, "name gone"),
    (When::Replaced, "name leads elsewhere"),
    (When::Released, "predecessor gone"),
    (When::MainSpawned, "main started"),
    (When::LogSpawned, "log started"),
    (When::MainFailed, "main failed to start"),
    (When::LogFailed, "log failed to start"),
    (When::MainNotStarted, "main not started, name gone"),
    (When::LogNotStarted, "log not started, name gone"),
    (When::MainEnded, "main ended"),
    (When::LogEnded, "log ended"),
    (When::Unread, "pipe not empty"),
    (When::AllRead, "pipe empty"),
    (When::TickEarly, "tick, timer not due"),
    (When::TickDue, "tick, timer due"),
    (When::Stop, "svscan stops"),
    (When::MainEndedForGood, "main ended, essential service over"),
];

impl When {
    /// Whether the event can occur: an answer needs a request, and an end a process.
    fn is_possible(self, situation: Situation, story: &Story) -> bool {
        let slot = story.roster.slot(SlotNo(0)).expect("the service");
        let is_spawning = |role| matches!(slot.supervise(role), SuperviseProcess::Spawning { .. });
        let runs = |role| matches!(slot.supervise(role), SuperviseProcess::Running { .. });
        match self {
            // No name in the scan directory leads to the own logger.
            Self::Seen
            | Self::SeenBare
            | Self::SeenChanging
            | Self::Unsure
            | Self::Lost
            | Self::Replaced => situation != Situation::OwnLogger,
            Self::Stop | Self::TickEarly => true,
            Self::Released => situation == Situation::Waiting,
            Self::MainSpawned | Self::MainFailed | Self::MainNotStarted => is_spawning(Main),
            Self::LogSpawned | Self::LogFailed | Self::LogNotStarted => is_spawning(Log),
            Self::MainEnded | Self::MainEndedForGood => runs(Main),
            Self::LogEnded => runs(Log),
            // The answer follows the request of a tick at once.
            Self::Unread | Self::AllRead => {
                matches!(slot.phase(), SlotPhase::Draining { until: Some(_) })
            }
            Self::TickDue => story.roster.deadline().is_some(),
        }
    }

    fn occurs(self, story: &mut Story) -> String {
        match self {
            Self::Seen => story.seen("a", A, LOGGED),
            Self::SeenBare => story.seen("a", A, BARE),
            Self::SeenChanging => story.seen("a", A, CHANGING),
            Self::Unsure => story.unsure("a"),
            Self::Lost => story.lost("a"),
            // Without `run`, so that the other directory adds no actions.
            Self::Replaced => story.seen("a", C, BARE),
            Self::Released => story.ended(1, Main, EXITED),
            Self::MainSpawned => story.spawned(0, Main),
            Self::LogSpawned => story.spawned(0, Log),
            Self::MainFailed => story.failed(0, Main),
            Self::LogFailed => story.failed(0, Log),
            Self::MainNotStarted => story.not_spawned(0, Main),
            Self::LogNotStarted => story.not_spawned(0, Log),
            Self::MainEnded => story.ended(0, Main, FAILED),
            Self::LogEnded => story.ended_before_check(0, Log, FAILED),
            Self::Unread => story.step(RosterEvent::Unread(SlotNo(0))),
            Self::AllRead => story.step(RosterEvent::AllRead(SlotNo(0))),
            Self::TickEarly => story.step(RosterEvent::Tick),
            Self::TickDue => {
                let wait = story.due_in().expect("a deadline");
                story.tick(wait)
            }
            Self::Stop => story.stop(),
            Self::MainEndedForGood => story.ended_for_good(0),
        }
    }
}

/// The rows of an event. A new event of the roster does not compile without rows here. A scan ends with
/// the event `Lost`; `Ended` of the predecessor releases a waiting slot.
const fn rows(event: RosterEvent<'_, u32>) -> &'static [When] {
    match event {
        RosterEvent::Seen(..) => &[When::Seen, When::SeenBare, When::SeenChanging, When::Replaced],
        RosterEvent::Lost(_) => &[When::Lost],
        RosterEvent::Unsure(_) => &[When::Unsure],
        RosterEvent::Spawned(..) => &[When::MainSpawned, When::LogSpawned],
        RosterEvent::SpawnFailed(..) => &[When::MainFailed, When::LogFailed],
        RosterEvent::NotSpawned(..) => &[When::MainNotStarted, When::LogNotStarted],
        RosterEvent::Unread(_) => &[When::Unread],
        RosterEvent::AllRead(_) => &[When::AllRead],
        RosterEvent::Ended(..) => &[When::MainEnded, When::LogEnded, When::Released],
        RosterEvent::Tick => &[When::TickEarly, When::TickDue],
        RosterEvent::Stop => &[When::Stop],
        RosterEvent::EndedForGood(_) => &[When::MainEndedForGood],
    }
}

/// The phase of the service in slot 0. Another directory may have taken the number of a free slot.
fn phase(story: &Story, id: u32) -> &'static str {
    match story.roster.slot(SlotNo(0)) {
        Some(slot) if slot.id() == id => story.phase(0),
        _ => "free",
    }
}

/// Drops the number of the slot itself, and names the other one.
fn words(actions: &str) -> String {
    let words = actions.split(", ").map(|action| match action.split_once(' ') {
        Some(("0", action)) => action.into(),
        Some(("1", action)) => format!("[predecessor: {action}]"),
        _ => action.into(),
    });
    words.collect::<Vec<String>>().join(", ")
}

fn cell(situation: Situation, when: When) -> String {
    let mut story = situation.story();
    let id = story.roster.slot(SlotNo(0)).expect("the service").id();
    if !when.is_possible(situation, &story) {
        return "–".into();
    }
    let before = phase(&story, id);
    let actions = words(&when.occurs(&mut story));
    let after = phase(&story, id);
    match (before == after, actions.is_empty()) {
        (true, true) => "·".into(),
        (true, false) => actions,
        (false, true) => format!("**{after}**"),
        (false, false) => format!("**{after}**: {actions}"),
    }
}

fn table() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (name, meaning, situations) in PHASES {
        let heads: Vec<&str> = situations.iter().map(|&(_, head)| head).collect();
        text += &format!("\n## {name}\n\n{meaning}\n\n");
        text += &format!("| event | {} |\n", heads.join(" | "));
        text += &format!("|---|{}\n", "---|".repeat(heads.len()));
        for (when, event) in EVENTS {
            let cells: Vec<String> =
                situations.iter().map(|&(situation, _)| cell(situation, when)).collect();
            text += &format!("| {event} | {} |\n", cells.join(" | "));
        }
    }
    text
}

#[test]
fn every_event_has_rows() {
    let (no, pid) = (SlotNo(0), Pid::new(1).expect("not zero"));
    let events = [
        RosterEvent::Seen(b"a", A, LOGGED),
        RosterEvent::Lost(b"a"),
        RosterEvent::Unsure(b"a"),
        RosterEvent::Spawned(no, Main, pid),
        RosterEvent::SpawnFailed(no, Main),
        RosterEvent::NotSpawned(no, Main),
        RosterEvent::Unread(no),
        RosterEvent::AllRead(no),
        RosterEvent::Ended(pid, EXITED),
        RosterEvent::Tick,
        RosterEvent::Stop,
        RosterEvent::EndedForGood(pid),
    ];
    let listed: Vec<When> = events.into_iter().flat_map(rows).copied().collect();
    assert_eq!(listed.len(), EVENTS.len());
    assert!(EVENTS.iter().all(|(when, _)| listed.contains(when)));
}

#[test]
fn the_table_in_docs_is_that_of_the_code() {
    state_table::check("state-table-svscan.md", &table());
}
