//! svscan's roster: a table of every phase against every event, and stories. The world around it
//! is in `roster_world.rs`.

use daemontools_core::roster::{
    AFTER_EXIT, Action, Contents, DRAIN_TIME, Effect, Event, LATE_INTERVAL, LONGEST_PAUSE, Phase,
    QUICK_DEATH, Role, Roster, SETTLE_INTERVAL, SETTLE_TIME, SlotNo, Supervise, UNLINK_GRACE,
};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use std::collections::BTreeMap;
use std::time::Duration;

const KILLED: Ended = Ended::Killed(9);
const FAILED: Ended = Ended::Exited(111);
const LEFT: Ended = Ended::Exited(0);

const MINUTE: Duration = Duration::from_secs(60);

/// A directory with these files.
const BARE: Contents = Contents { log: false, run: false };
const PLAIN: Contents = Contents { log: false, run: true };
const LOGGED: Contents = Contents { log: true, run: true };

/// Directories.
const A: u32 = 1;
const B: u32 = 2;
const C: u32 = 3;
const OWN: u32 = 9;

use Role::{Log, Main};

/// A roster, and the clock it goes by. Spawns are answered only when the test says so.
struct Story {
    roster: Roster<u32>,
    now: Instant,
    pids: BTreeMap<(usize, bool), Pid>,
    next_pid: i32,
}

impl Story {
    fn new() -> Self {
        Self::with(false)
    }

    /// One in which services outlive their links.
    fn keeping() -> Self {
        Self::with(true)
    }

    fn with(keep: bool) -> Self {
        let now = Instant(1_000_000_000_000);
        Self { roster: Roster::new(keep), now, pids: BTreeMap::new(), next_pid: 100 }
    }

    /// One with a logged service `a` in slot 0, both supervises of which have run for a minute.
    fn running() -> Self {
        Self::new().run_a()
    }

    fn run_a(mut self) -> Self {
        assert_eq!(self.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
        self.spawned(0, Log);
        self.spawned(0, Main);
        self.pass(MINUTE);
        self
    }

    fn step(&mut self, event: Event<'_, u32>) -> String {
        let mut out = Vec::new();
        self.roster.step(event, self.now, &mut out);
        self.told(&out)
    }

    /// Effects in words: the slot, what is to be done, and to which supervise.
    fn told(&self, effects: &[Effect]) -> String {
        let role = |pid: Pid| match self.pids.iter().find(|&(_, &other)| other == pid) {
            Some(((_, true), _)) => "main",
            Some(((_, false), _)) => "log",
            None => "nobody",
        };
        let words: Vec<String> = effects
            .iter()
            .map(|&effect| match effect {
                Effect::Exit => "exit".into(),
                Effect::For(SlotNo(no), action) => match action {
                    Action::Spawn(Main) => format!("{no} spawn main"),
                    Action::Spawn(Log) => format!("{no} spawn log"),
                    Action::Terminate(pid) => format!("{no} terminate {}", role(pid)),
                    Action::Finish(pid) => format!("{no} finish {}", role(pid)),
                    Action::Kill(_, pid) => format!("{no} kill {}", role(pid)),
                    Action::EndInput => format!("{no} end input"),
                    Action::CheckInput => format!("{no} check input"),
                    Action::DropPipe => format!("{no} drop pipe"),
                    Action::Look => format!("{no} look"),
                    Action::Forget => format!("{no} forget"),
                },
            })
            .collect();
        words.join(", ")
    }

    fn seen(&mut self, name: &str, id: u32, contents: Contents) -> String {
        self.step(Event::Seen(name.as_bytes(), id, contents))
    }

    fn lost(&mut self, name: &str) -> String {
        self.step(Event::Lost(name.as_bytes()))
    }

    fn unsure(&mut self, name: &str) -> String {
        self.step(Event::Unsure(name.as_bytes()))
    }

    fn spawned(&mut self, no: usize, role: Role) -> String {
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).expect("not zero");
        self.pids.insert((no, role == Main), pid);
        self.step(Event::Spawned(SlotNo(no), role, pid))
    }

    fn failed(&mut self, no: usize, role: Role) -> String {
        self.step(Event::SpawnFailed(SlotNo(no), role))
    }

    fn ended(&mut self, no: usize, role: Role, how: Ended) -> String {
        let pid = self.pids.remove(&(no, role == Main)).expect("a process");
        self.step(Event::Ended(pid, how))
    }

    fn stop(&mut self) -> String {
        self.step(Event::Stop)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Lets time pass and tells the roster.
    fn tick(&mut self, time: Duration) -> String {
        self.pass(time);
        self.step(Event::Tick)
    }

    fn scan(&mut self, seen: &[(&str, u32, Contents)]) -> String {
        self.roster.begin_scan();
        let mut said: Vec<String> =
            seen.iter().map(|&(name, id, contents)| self.seen(name, id, contents)).collect();
        let mut out = Vec::new();
        self.roster.end_scan(self.now, &mut out);
        said.push(self.told(&out));
        said.retain(|words| !words.is_empty());
        said.join(", ")
    }

    fn add_own_logger(&mut self, name: &str) -> String {
        let mut out = Vec::new();
        self.roster.add_own_logger(name.as_bytes(), OWN, self.now, &mut out);
        self.told(&out)
    }

    fn due_in(&self) -> Option<Duration> {
        self.roster.deadline().map(|due| due.after(self.now))
    }

    fn name(&self, no: usize) -> &str {
        let slot = self.roster.slot(SlotNo(no)).expect("a service");
        std::str::from_utf8(slot.name()).expect("a plain name")
    }

    fn phase(&self, no: usize) -> &'static str {
        match self.roster.slot(SlotNo(no)).map(|slot| slot.phase()) {
            None => "forgotten",
            Some(Phase::Held) => "held",
            Some(Phase::Settling { .. }) => "settling",
            Some(Phase::Active) => "active",
            Some(Phase::Unlinked { .. }) => "unlinked",
            Some(Phase::Kept) => "kept",
            Some(Phase::Stopping) => "stopping",
            Some(Phase::Draining { until: Some(_) }) => "draining",
            Some(Phase::Draining { until: None }) => "ending",
        }
    }

    fn count(&self) -> usize {
        self.roster.slots().count()
    }
}

// The table.

/// A logged service `a` in slot 0, and nothing else but where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// It waits for what was `a` before, which is in slot 1.
    Held,
    Settling,
    /// Active, and both supervises were asked for, like in all that end so.
    Asked,
    Active,
    /// Active, and the service's supervise died at once.
    Pausing,
    Unlinked,
    UnlinkedAsked,
    /// Unlinked, and the service's supervise has gone.
    UnlinkedLog,
    Kept,
    KeptAsked,
    /// Kept, and the service's supervise has gone.
    KeptLog,
    /// Its link was gone for too long.
    Stopping,
    StoppingAsked,
    /// Stopping, and the logger's supervise has gone.
    StoppingMain,
    /// Stopping, but there is a link again.
    StoppingLinked,
    Draining,
    DrainingAsked,
    /// Draining, but there is a link again.
    DrainingLinked,
    /// Draining for too long, so that the logger was told to end.
    Ending,
}

impl Given {
    fn story(self) -> Story {
        let mut story = match self {
            Self::Kept | Self::KeptLog => Story::keeping().run_a(),
            Self::Held | Self::Settling | Self::Asked | Self::UnlinkedAsked => Story::new(),
            Self::StoppingAsked | Self::DrainingAsked => Story::new(),
            Self::KeptAsked => Story::keeping(),
            Self::Active
            | Self::Pausing
            | Self::Unlinked
            | Self::UnlinkedLog
            | Self::Stopping
            | Self::StoppingMain
            | Self::StoppingLinked
            | Self::Draining
            | Self::DrainingLinked
            | Self::Ending => Story::running(),
        };
        match self {
            Self::Held => {
                // The first slot is used up and freed, so that the next one gets its number.
                story.seen("x", C, BARE);
                story.seen("a", B, PLAIN);
                story.spawned(1, Main);
                story.lost("x");
                story.seen("a", A, LOGGED);
            }
            Self::Settling => {
                story.seen("a", A, BARE);
            }
            Self::Asked | Self::UnlinkedAsked | Self::KeptAsked | Self::StoppingAsked => {
                story.seen("a", A, LOGGED);
            }
            Self::DrainingAsked => {
                story.seen("a", A, LOGGED);
                story.spawned(0, Main);
            }
            Self::Pausing => {
                story.ended(0, Main, FAILED);
                assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
                story.spawned(0, Main);
                story.ended(0, Main, FAILED);
            }
            _ => {}
        }
        if !matches!(self, Self::Held | Self::Settling | Self::Asked | Self::Active | Self::Pausing)
        {
            story.lost("a");
        }
        match self {
            Self::UnlinkedLog | Self::KeptLog => {
                story.ended(0, Main, LEFT);
            }
            Self::Stopping
            | Self::StoppingAsked
            | Self::StoppingMain
            | Self::StoppingLinked
            | Self::Draining
            | Self::DrainingAsked
            | Self::DrainingLinked
            | Self::Ending => {
                story.tick(UNLINK_GRACE);
            }
            _ => {}
        }
        match self {
            Self::StoppingMain => {
                story.ended(0, Log, LEFT);
            }
            Self::StoppingLinked => {
                story.seen("a", A, LOGGED);
            }
            Self::Draining | Self::DrainingAsked | Self::DrainingLinked | Self::Ending => {
                story.ended(0, Main, LEFT);
            }
            _ => {}
        }
        match self {
            Self::DrainingLinked => {
                story.seen("a", A, LOGGED);
            }
            Self::Ending => {
                story.tick(DRAIN_TIME);
                story.step(Event::AllRead(SlotNo(0)));
            }
            _ => {}
        }
        story
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Seen,
    /// Seen without `run` and `log`.
    SeenBare,
    Unsure,
    Lost,
    /// `a` leads to another directory.
    Replaced,
    /// What was `a` before has gone.
    Released,
    Stop,
    MainSpawned,
    LogSpawned,
    MainFailed,
    LogFailed,
    /// With 111, like all the others.
    MainEnded,
    LogEnded,
    /// The logger has not read everything.
    Unread,
    /// It has.
    AllRead,
    /// A tick before the deadline, or at any time if there is none.
    TooEarly,
    InTime,
}

const EVENTS: [When; 17] = {
    use When::{
        AllRead, InTime, LogEnded, LogFailed, LogSpawned, Lost, MainEnded, MainFailed, MainSpawned,
        Released, Replaced, Seen, SeenBare, Stop, TooEarly, Unread, Unsure,
    };
    [
        Seen,
        SeenBare,
        Unsure,
        Lost,
        Replaced,
        Released,
        Stop,
        MainSpawned,
        LogSpawned,
        MainFailed,
        LogFailed,
        MainEnded,
        LogEnded,
        Unread,
        AllRead,
        TooEarly,
        InTime,
    ]
};

impl When {
    /// Whether it can happen: answers need a question, and deaths a process.
    fn possible(self, given: Given, story: &Story) -> bool {
        let slot = story.roster.slot(SlotNo(0)).expect("the service");
        let asked = |role| matches!(slot.supervise(role), Supervise::Spawning { .. });
        let runs = |role| matches!(slot.supervise(role), Supervise::Running { .. });
        match self {
            Self::Seen | Self::SeenBare | Self::Unsure | Self::Lost | Self::Replaced => true,
            Self::Stop | Self::TooEarly => true,
            Self::Released => given == Given::Held,
            Self::MainSpawned | Self::MainFailed => asked(Main),
            Self::LogSpawned | Self::LogFailed => asked(Log),
            Self::MainEnded => runs(Main),
            Self::LogEnded => runs(Log),
            // The question comes with a tick, and is answered at once.
            Self::Unread | Self::AllRead => {
                matches!(slot.phase(), Phase::Draining { until: Some(_) })
            }
            Self::InTime => story.roster.deadline().is_some(),
        }
    }

    fn happens(self, story: &mut Story) -> String {
        match self {
            Self::Seen => story.seen("a", A, LOGGED),
            Self::SeenBare => story.seen("a", A, BARE),
            Self::Unsure => story.unsure("a"),
            Self::Lost => story.lost("a"),
            // Without `run`, so that it does nothing by itself.
            Self::Replaced => story.seen("a", C, BARE),
            Self::Released => story.ended(1, Main, LEFT),
            Self::Stop => story.stop(),
            Self::MainSpawned => story.spawned(0, Main),
            Self::LogSpawned => story.spawned(0, Log),
            Self::MainFailed => story.failed(0, Main),
            Self::LogFailed => story.failed(0, Log),
            Self::MainEnded => story.ended(0, Main, FAILED),
            Self::LogEnded => story.ended(0, Log, FAILED),
            Self::Unread => story.step(Event::Unread(SlotNo(0))),
            Self::AllRead => story.step(Event::AllRead(SlotNo(0))),
            Self::TooEarly => story.step(Event::Tick),
            Self::InTime => {
                let wait = story.due_in().expect("a deadline");
                story.tick(wait)
            }
        }
    }
}

/// What happens: all effects in order, and where the service is then.
type Row = (When, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[(Given, &[Row])] = &[
    (Given::Held, &[
        (When::Seen,        "",                               "held"),
        (When::SeenBare,    "",                               "held"),
        (When::Unsure,      "",                               "held"),
        (When::Lost,        "0 forget",                       "forgotten"),
        // The newcomer gets the number, and its place in the queue.
        (When::Replaced,    "0 forget",                       "held"),
        (When::Released,    "1 forget, 0 look",               "settling"),
        (When::Stop,        "0 forget, 1 terminate main",     "forgotten"),
        (When::TooEarly,    "",                               "held"),
    ]),
    (Given::Settling, &[
        (When::Seen,        "0 spawn log, 0 spawn main",      "active"),
        (When::SeenBare,    "",                               "settling"),
        (When::Unsure,      "",                               "settling"),
        (When::Lost,        "0 forget",                       "forgotten"),
        (When::Replaced,    "0 forget",                       "settling"),
        (When::Stop,        "0 forget, exit",                 "forgotten"),
        (When::TooEarly,    "",                               "settling"),
        (When::InTime,      "0 look",                         "settling"),
    ]),
    (Given::Asked, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "active"),
        (When::Lost,        "",                               "unlinked"),
        (When::Replaced,    "",                               "stopping"),
        (When::Stop,        "",                               "stopping"),
        (When::MainSpawned, "",                               "active"),
        (When::LogSpawned,  "",                               "active"),
        (When::MainFailed,  "",                               "active"),
        (When::LogFailed,   "",                               "active"),
        (When::TooEarly,    "",                               "active"),
    ]),
    (Given::Active, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "active"),
        (When::Lost,        "",                               "unlinked"),
        (When::Replaced,    "0 terminate main",               "stopping"),
        (When::Stop,        "0 terminate main",               "stopping"),
        // After a minute it is started again at once, if its directory is still there.
        (When::MainEnded,   "0 look",                         "active"),
        (When::LogEnded,    "0 look",                         "active"),
        (When::TooEarly,    "",                               "active"),
    ]),
    (Given::Pausing, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "active"),
        (When::Lost,        "",                               "unlinked"),
        (When::Replaced,    "0 finish log, 0 end input",      "draining"),
        (When::Stop,        "0 finish log, 0 end input",      "draining"),
        (When::LogEnded,    "0 look",                         "active"),
        (When::TooEarly,    "",                               "active"),
        (When::InTime,      "0 look",                         "active"),
    ]),
    (Given::Unlinked, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "unlinked"),
        (When::Lost,        "",                               "unlinked"),
        // The name has gone to another directory: this one is not coming back.
        (When::Replaced,    "0 terminate main",               "stopping"),
        (When::Stop,        "0 terminate main",               "stopping"),
        (When::MainEnded,   "",                               "unlinked"),
        (When::LogEnded,    "",                               "unlinked"),
        (When::TooEarly,    "",                               "unlinked"),
        (When::InTime,      "0 terminate main",               "stopping"),
    ]),
    (Given::UnlinkedAsked, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "unlinked"),
        (When::Lost,        "",                               "unlinked"),
        (When::Replaced,    "",                               "stopping"),
        (When::Stop,        "",                               "stopping"),
        (When::MainSpawned, "",                               "unlinked"),
        (When::LogSpawned,  "",                               "unlinked"),
        (When::MainFailed,  "",                               "unlinked"),
        (When::LogFailed,   "",                               "unlinked"),
        (When::TooEarly,    "",                               "unlinked"),
        (When::InTime,      "",                               "stopping"),
    ]),
    (Given::UnlinkedLog, &[
        // It left by itself, so that it is not started again at once.
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "unlinked"),
        (When::Lost,        "",                               "unlinked"),
        (When::Replaced,    "0 finish log, 0 end input",      "draining"),
        (When::Stop,        "0 finish log, 0 end input",      "draining"),
        (When::LogEnded,    "0 forget",                       "forgotten"),
        (When::TooEarly,    "",                               "unlinked"),
        (When::InTime,      "0 finish log, 0 end input",      "draining"),
    ]),
    (Given::Kept, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "kept"),
        (When::Lost,        "",                               "kept"),
        // As with the original, the two are nothing to each other.
        (When::Replaced,    "",                               "kept"),
        (When::Stop,        "0 terminate main",               "stopping"),
        (When::MainEnded,   "",                               "kept"),
        (When::LogEnded,    "",                               "kept"),
        (When::TooEarly,    "",                               "kept"),
    ]),
    (Given::KeptAsked, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "kept"),
        (When::Lost,        "",                               "kept"),
        (When::Replaced,    "",                               "kept"),
        (When::Stop,        "",                               "stopping"),
        (When::MainSpawned, "",                               "kept"),
        (When::LogSpawned,  "",                               "kept"),
        (When::MainFailed,  "",                               "kept"),
        (When::LogFailed,   "",                               "kept"),
        (When::TooEarly,    "",                               "kept"),
    ]),
    (Given::KeptLog, &[
        (When::Seen,        "",                               "active"),
        (When::SeenBare,    "",                               "active"),
        (When::Unsure,      "",                               "kept"),
        (When::Lost,        "",                               "kept"),
        (When::Replaced,    "",                               "kept"),
        (When::Stop,        "0 finish log, 0 end input",      "draining"),
        (When::LogEnded,    "0 forget",                       "forgotten"),
        (When::TooEarly,    "",                               "kept"),
    ]),
    (Given::Stopping, &[
        (When::Seen,        "",                               "stopping"),
        (When::SeenBare,    "",                               "stopping"),
        (When::Unsure,      "",                               "stopping"),
        (When::Lost,        "",                               "stopping"),
        (When::Replaced,    "",                               "stopping"),
        // Told again.
        (When::Stop,        "0 terminate main",               "stopping"),
        (When::MainEnded,   "0 finish log, 0 end input",      "draining"),
        (When::LogEnded,    "",                               "stopping"),
        (When::TooEarly,    "",                               "stopping"),
    ]),
    (Given::StoppingAsked, &[
        (When::Seen,        "",                               "stopping"),
        (When::SeenBare,    "",                               "stopping"),
        (When::Unsure,      "",                               "stopping"),
        (When::Lost,        "",                               "stopping"),
        (When::Replaced,    "",                               "stopping"),
        (When::Stop,        "",                               "stopping"),
        (When::MainSpawned, "0 terminate main",               "stopping"),
        (When::LogSpawned,  "",                               "stopping"),
        // The logger will be told when its answer is there.
        (When::MainFailed,  "0 end input",                    "draining"),
        (When::LogFailed,   "",                               "stopping"),
        (When::TooEarly,    "",                               "stopping"),
    ]),
    (Given::StoppingMain, &[
        (When::Seen,        "",                               "stopping"),
        (When::SeenBare,    "",                               "stopping"),
        (When::Unsure,      "",                               "stopping"),
        (When::Lost,        "",                               "stopping"),
        (When::Replaced,    "",                               "stopping"),
        (When::Stop,        "0 terminate main",               "stopping"),
        (When::MainEnded,   "0 forget",                       "forgotten"),
        (When::TooEarly,    "",                               "stopping"),
    ]),
    (Given::StoppingLinked, &[
        (When::Seen,        "",                               "stopping"),
        (When::SeenBare,    "",                               "stopping"),
        (When::Unsure,      "",                               "stopping"),
        (When::Lost,        "",                               "stopping"),
        (When::Replaced,    "",                               "stopping"),
        (When::Stop,        "0 terminate main",               "stopping"),
        (When::MainEnded,   "0 finish log, 0 end input",      "draining"),
        (When::LogEnded,    "",                               "stopping"),
        (When::TooEarly,    "",                               "stopping"),
    ]),
    (Given::Draining, &[
        (When::Seen,        "",                               "draining"),
        (When::SeenBare,    "",                               "draining"),
        (When::Unsure,      "",                               "draining"),
        (When::Lost,        "",                               "draining"),
        (When::Replaced,    "",                               "draining"),
        // The second word about it is less patient.
        (When::Stop,        "0 terminate log",                "ending"),
        (When::LogEnded,    "0 forget",                       "forgotten"),
        (When::Unread,      "",                               "draining"),
        (When::AllRead,     "0 terminate log",                "ending"),
        (When::TooEarly,    "",                               "draining"),
        (When::InTime,      "0 check input",                  "draining"),
    ]),
    (Given::DrainingAsked, &[
        (When::Seen,        "",                               "draining"),
        (When::SeenBare,    "",                               "draining"),
        (When::Unsure,      "",                               "draining"),
        (When::Lost,        "",                               "draining"),
        (When::Replaced,    "",                               "draining"),
        (When::Stop,        "",                               "ending"),
        (When::LogSpawned,  "0 finish log",                   "draining"),
        (When::LogFailed,   "0 forget",                       "forgotten"),
        (When::Unread,      "",                               "draining"),
        (When::AllRead,     "",                               "ending"),
        (When::TooEarly,    "",                               "draining"),
        (When::InTime,      "0 check input",                  "draining"),
    ]),
    (Given::DrainingLinked, &[
        (When::Seen,        "",                               "draining"),
        (When::SeenBare,    "",                               "draining"),
        (When::Unsure,      "",                               "draining"),
        (When::Lost,        "",                               "draining"),
        (When::Replaced,    "",                               "draining"),
        (When::Stop,        "0 terminate log",                "ending"),
        // It begins anew.
        (When::LogEnded,    "0 drop pipe, 0 look",            "settling"),
        (When::Unread,      "",                               "draining"),
        (When::AllRead,     "0 terminate log",                "ending"),
        (When::TooEarly,    "",                               "draining"),
        (When::InTime,      "0 check input",                  "draining"),
    ]),
    (Given::Ending, &[
        (When::Seen,        "",                               "ending"),
        (When::SeenBare,    "",                               "ending"),
        (When::Unsure,      "",                               "ending"),
        (When::Lost,        "",                               "ending"),
        (When::Replaced,    "",                               "ending"),
        (When::Stop,        "0 terminate log",                "ending"),
        (When::LogEnded,    "0 forget",                       "forgotten"),
        (When::TooEarly,    "",                               "ending"),
    ]),
];

#[test]
fn every_phase_answers_every_event_as_the_table_says() {
    let mut wrong = String::new();
    for &(given, rows) in TABLE {
        let story = given.story();
        let possible: Vec<When> =
            EVENTS.into_iter().filter(|when| when.possible(given, &story)).collect();
        let listed: Vec<When> = rows.iter().map(|row| row.0).collect();
        assert_eq!(listed, possible, "{given:?}: the table is not complete");
        for &(when, effects, leads_to) in rows {
            let mut story = given.story();
            let did = when.happens(&mut story);
            let led_to = story.phase(0);
            if (did.as_str(), led_to) != (effects, leads_to) {
                wrong += &format!(
                    "{given:?}, {when:?}: \"{did}\" and {led_to}, not \"{effects}\" and {leads_to}\n"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

// Names come and go.

#[test]
fn a_service_is_started_after_its_logger() {
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
    assert_eq!(story.seen("b", B, PLAIN), "1 spawn main");
    assert!(story.roster.slot(SlotNo(0)).unwrap().is_logged());
    assert!(!story.roster.slot(SlotNo(1)).unwrap().is_logged());
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_supervise_is_found_by_its_process_until_it_ends() {
    let mut story = Story::running();
    let (main, log) = (story.pids[&(0, true)], story.pids[&(0, false)]);
    assert_eq!(story.roster.service_of(main), Some((SlotNo(0), Main)));
    assert_eq!(story.roster.service_of(log), Some((SlotNo(0), Log)));
    story.ended(0, Main, KILLED);
    assert_eq!(story.roster.service_of(main), None);
    // The children of whoever became us by exec are nobody's.
    assert_eq!(story.step(Event::Ended(main, KILLED)), "");
}

#[test]
fn two_names_for_one_directory_are_one_service() {
    let mut story = Story::running();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.count(), 1);
    assert_eq!(story.name(0), "b");
    assert_eq!(story.lost("b"), "");
    assert_eq!(story.phase(0), "active");
    assert_eq!(story.name(0), "a", "known by the name that is left");
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.phase(0), "unlinked");
}

#[test]
fn a_renamed_link_is_the_same_service_under_its_new_name() {
    // In whatever order it is noticed.
    let mut story = Story::running();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!((story.phase(0), story.name(0), story.count()), ("active", "b", 1));
    assert_eq!(story.due_in(), None);
    let mut story = Story::running();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.lost("a"), "");
    assert_eq!((story.phase(0), story.name(0), story.count()), ("active", "b", 1));
    // The new name is used at the next restart.
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.name(0), "b");
}

#[test]
fn a_scan_loses_the_names_it_did_not_see() {
    let mut story = Story::running();
    assert_eq!(story.scan(&[("a", A, LOGGED), ("b", B, PLAIN)]), "1 spawn main");
    story.spawned(1, Main);
    assert_eq!(story.scan(&[("b", B, PLAIN)]), "");
    assert_eq!((story.phase(0), story.phase(1)), ("unlinked", "active"));
    // A scan that failed loses nothing.
    story.roster.begin_scan();
    story.pass(Duration::from_millis(1));
    assert_eq!(story.phase(1), "active");
    assert_eq!(story.scan(&[("a", A, LOGGED), ("b", B, PLAIN)]), "");
    assert_eq!((story.phase(0), story.phase(1)), ("active", "active"));
}

#[test]
fn a_name_that_a_scan_was_unsure_about_is_not_lost() {
    let mut story = Story::running();
    story.roster.begin_scan();
    assert_eq!(story.unsure("a"), "");
    let mut out = Vec::new();
    story.roster.end_scan(story.now, &mut out);
    assert_eq!(out, []);
    assert_eq!(story.phase(0), "active");
    assert_eq!(story.unsure("nobody"), "", "it was never sure about this one");
    assert_eq!(story.count(), 1);
}

#[test]
fn a_removed_service_is_stopped_after_a_second_and_its_logger_after_it() {
    let mut story = Story::running();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.due_in(), Some(UNLINK_GRACE));
    assert_eq!(story.tick(UNLINK_GRACE / 2), "");
    assert_eq!(story.tick(UNLINK_GRACE / 2), "0 terminate main");
    assert_eq!(story.due_in(), None, "it may take its time");
    // First it is told to leave at the end of file, then it gets that end.
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    assert_eq!(story.due_in(), Some(DRAIN_TIME));
    assert_eq!(story.ended(0, Log, LEFT), "0 forget");
    assert_eq!((story.count(), story.due_in()), (0, None));
}

#[test]
fn a_logger_that_does_not_heed_the_end_of_its_pipe_is_told_to_end() {
    let mut story = Given::Draining.story();
    assert_eq!(story.tick(DRAIN_TIME), "0 check input");
    assert_eq!(story.step(Event::Unread(SlotNo(0))), "");
    assert_eq!(story.tick(DRAIN_TIME), "0 check input");
    assert_eq!(story.step(Event::AllRead(SlotNo(0))), "0 terminate log");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget");
}

#[test]
fn a_service_without_logger_is_gone_with_its_supervise() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.lost("a");
    assert_eq!(story.tick(UNLINK_GRACE), "0 terminate main");
    assert_eq!(story.ended(0, Main, LEFT), "0 forget");
    assert_eq!(story.count(), 0);
}

#[test]
fn removed_and_back_within_the_second_is_as_if_nothing_had_been() {
    let mut story = Story::running();
    story.lost("a");
    story.pass(UNLINK_GRACE / 2);
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!((story.phase(0), story.due_in()), ("active", None));
    assert_eq!(story.tick(UNLINK_GRACE), "");
}

#[test]
fn a_service_that_comes_back_while_it_is_stopped_begins_anew() {
    let mut story = Given::Stopping.story();
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, LEFT), "0 drop pipe, 0 look");
    assert_eq!(story.name(0), "b");
    // At once: that its supervise left was our doing.
    assert_eq!(story.seen("b", A, LOGGED), "0 spawn log, 0 spawn main");
}

#[test]
fn a_service_that_comes_back_and_goes_again_while_it_is_stopped_is_gone() {
    let mut story = Given::Stopping.story();
    story.seen("a", A, LOGGED);
    story.lost("a");
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, LEFT), "0 forget");
}

#[test]
fn a_service_that_begins_anew_has_a_logger_only_if_there_still_is_one() {
    let mut story = Given::DrainingLinked.story();
    assert_eq!(story.ended(0, Log, LEFT), "0 drop pipe, 0 look");
    // Otherwise it would write into a pipe which nobody reads.
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
}

#[test]
fn slots_are_used_again() {
    let mut story = Story::new();
    for n in 0..5 {
        story.seen(&format!("s{n}"), n, BARE);
    }
    for n in 0..5 {
        assert_eq!(story.lost(&format!("s{n}")), format!("{n} forget"));
    }
    assert_eq!((story.count(), story.due_in()), (0, None));
    for n in 5..10 {
        story.seen(&format!("s{n}"), n, BARE);
    }
    assert!(story.roster.slots().all(|(no, _)| no.0 < 5));
}

// Another directory under the same name.

#[test]
fn a_replaced_service_is_stopped_at_once_and_the_new_one_waits_for_that() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!((story.phase(0), story.phase(1)), ("stopping", "held"));
    assert_eq!(story.seen("a", B, PLAIN), "");
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, 1 look");
    assert_eq!(story.seen("a", B, PLAIN), "1 spawn main");
}

#[test]
fn a_directory_removed_and_made_again_is_another_one() {
    // As it looks when the old one was noticed to be gone.
    let mut story = Story::running();
    story.lost("a");
    story.pass(UNLINK_GRACE / 2);
    assert_eq!(story.seen("a", B, BARE), "0 terminate main");
    assert_eq!((story.phase(0), story.phase(1)), ("stopping", "held"));
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, 1 look");
    assert_eq!(story.seen("a", B, BARE), "");
    assert_eq!(story.phase(1), "settling");
}

#[test]
fn what_takes_the_place_of_a_dead_service_need_not_wait() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.failed(0, Main);
    assert_eq!(story.seen("a", B, PLAIN), "0 forget, 0 spawn main");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn the_place_of_a_service_that_is_still_stopping_is_waited_for() {
    // Whether the new link comes before or after the second of grace makes no difference.
    let mut story = Given::Stopping.story();
    assert_eq!(story.seen("a", B, PLAIN), "");
    assert_eq!(story.phase(1), "held");
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, 1 look");
}

#[test]
fn who_takes_the_place_of_a_waiting_one_waits_in_its_place() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!(story.seen("a", C, PLAIN), "1 forget", "the first service is still there");
    assert_eq!(story.phase(1), "held");
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, 1 look");
    assert_eq!(story.seen("a", C, PLAIN), "1 spawn main");
}

#[test]
fn a_service_with_another_name_left_is_nothing_to_wait_for() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.seen("a", B, PLAIN), "1 spawn main");
    assert_eq!((story.phase(0), story.name(0)), ("active", "b"));
}

#[test]
fn a_link_made_under_a_new_name_before_the_old_one_is_replaced_stops_nothing() {
    // `ln -s A b; ln -sfn B a`, which is how to move a service aside.
    let mut story = Story::running();
    assert_eq!(story.scan(&[("b", A, LOGGED), ("a", B, PLAIN)]), "1 spawn main");
    assert_eq!((story.phase(0), story.phase(1)), ("active", "active"));
}

#[test]
fn who_waits_is_let_go_when_the_service_waited_for_begins_anew() {
    let mut story = Story::running();
    assert_eq!(story.seen("a", B, PLAIN), "0 terminate main");
    assert_eq!(story.seen("c", A, LOGGED), "");
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    let done = story.ended(0, Log, LEFT);
    assert_eq!(story.phase(0), "settling");
    assert_eq!(story.phase(1), "settling", "{done}");
    assert!(done.contains("0 look") && done.contains("1 look"), "{done}");
}

#[test]
fn swapped_names_leave_both_services_running() {
    let mut story = Story::running();
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    let done = story.scan(&[("a", B, PLAIN), ("b", A, LOGGED)]);
    // The first is stopped, because nothing shows yet that it has a new name; it comes back.
    assert_eq!(done, "0 terminate main");
    story.ended(0, Main, LEFT);
    story.ended(0, Log, LEFT);
    assert_eq!(story.seen("b", A, LOGGED), "0 spawn log, 0 spawn main");
    assert_eq!((story.name(0), story.name(1)), ("b", "a"));
}

#[test]
fn with_keep_a_replaced_service_is_left_running_beside_the_new_one() {
    let mut story = Story::keeping().run_a();
    assert_eq!(story.seen("a", B, PLAIN), "1 spawn main");
    assert_eq!((story.phase(0), story.phase(1)), ("kept", "active"));
}

#[test]
fn with_keep_a_service_outlives_its_link_but_is_not_started_again() {
    let mut story = Story::keeping().run_a();
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.tick(60 * MINUTE), "");
    assert_eq!(story.ended(0, Main, LEFT), "");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget");
}

#[test]
fn with_keep_a_service_is_adopted_when_its_link_comes_back() {
    let mut story = Story::keeping().run_a();
    story.lost("a");
    assert_eq!(story.seen("b", A, LOGGED), "");
    assert_eq!((story.phase(0), story.name(0)), ("active", "b"));
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
}

#[test]
fn with_keep_a_service_that_could_not_be_started_is_forgotten() {
    let mut story = Given::KeptAsked.story();
    story.failed(0, Log);
    assert_eq!(story.failed(0, Main), "0 forget");
    let mut story = Story::keeping();
    story.seen("a", A, PLAIN);
    story.failed(0, Main);
    assert_eq!(story.lost("a"), "0 forget");
}

// New directories.

#[test]
fn a_directory_without_run_is_looked_at_every_second() {
    let mut story = Story::new();
    assert_eq!(story.seen("a", A, BARE), "");
    for _ in 0..3 {
        assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
        assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
        assert_eq!(story.due_in(), None, "the answer comes at once");
        assert_eq!(story.seen("a", A, BARE), "");
    }
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
}

#[test]
fn a_directory_without_run_is_started_in_the_end() {
    // Then the supervise says what is missing, as the original's does.
    let mut story = Story::new();
    story.seen("a", A, BARE);
    assert_eq!(story.tick(SETTLE_TIME), "0 look");
    assert_eq!(story.seen("a", A, BARE), "0 spawn main");
}

#[test]
fn a_settling_directory_that_cannot_be_looked_at_is_looked_at_again() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.unsure("a"), "");
    assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
}

#[test]
fn a_settling_directory_that_goes_was_nothing() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.tick(SETTLE_INTERVAL);
    assert_eq!(story.lost("a"), "0 forget");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_logger_added_later_is_started_when_both_are_down() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    story.spawned(0, Main);
    story.pass(MINUTE);
    assert_eq!(story.seen("a", A, LOGGED), "", "its output goes elsewhere already");
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn log, 0 spawn main");
}

#[test]
fn a_logger_removed_is_kept_while_it_runs() {
    let mut story = Story::running();
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
    assert!(story.roster.slot(SlotNo(0)).unwrap().is_logged());
}

// Restarts.

#[test]
fn a_supervise_that_ran_long_enough_is_started_again_at_once() {
    for how in [KILLED, FAILED] {
        for role in [Main, Log] {
            let mut story = Story::running();
            assert_eq!(story.ended(0, role, how), "0 look");
            let spawn = if role == Main { "0 spawn main" } else { "0 spawn log" };
            assert_eq!(story.seen("a", A, LOGGED), spawn, "{role:?} {how:?}");
        }
    }
}

#[test]
fn a_supervise_that_left_of_its_own_accord_comes_back_after_five_seconds() {
    // However long it ran: scripts say `svc -x` and remove the link meanwhile.
    for age in [Duration::ZERO, MINUTE] {
        let mut story = Story::running();
        story.ended(0, Main, KILLED);
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        story.pass(age);
        assert_eq!(story.ended(0, Main, LEFT), "");
        assert_eq!(story.due_in(), Some(AFTER_EXIT));
        assert_eq!(story.tick(AFTER_EXIT / 2), "");
        assert_eq!(story.seen("a", A, LOGGED), "", "seen again, and yet not due");
        assert_eq!(story.tick(AFTER_EXIT / 2), "0 look");
        assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
    }
}

#[test]
fn a_supervise_that_dies_at_once_is_started_with_growing_pauses() {
    for how in [KILLED, FAILED] {
        let mut story = Story::running();
        story.ended(0, Main, how);
        for pause in [1, 2, 4, 5, 5] {
            assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
            story.spawned(0, Main);
            story.pass(QUICK_DEATH / 2);
            assert_eq!(story.ended(0, Main, how), "");
            assert_eq!(story.due_in(), Some(Duration::from_secs(pause)));
            assert_eq!(story.tick(Duration::from_secs(pause)), "0 look");
        }
        // One that lives is forgiven.
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        story.pass(QUICK_DEATH);
        assert_eq!(story.ended(0, Main, how), "0 look");
        story.seen("a", A, LOGGED);
        story.spawned(0, Main);
        assert_eq!(story.ended(0, Main, how), "");
        assert_eq!(story.due_in(), Some(Duration::from_secs(1)));
    }
}

#[test]
fn a_supervise_that_cannot_be_started_is_tried_again_with_growing_pauses() {
    let mut story = Story::new();
    story.seen("a", A, PLAIN);
    for pause in [1, 2, 4, 5, 5] {
        assert_eq!(story.failed(0, Main), "");
        assert_eq!(story.due_in(), Some(Duration::from_secs(pause)));
        assert_eq!(story.tick(Duration::from_secs(pause)), "0 look");
        assert_eq!(story.seen("a", A, PLAIN), "0 spawn main");
    }
}

#[test]
fn a_directory_that_cannot_be_looked_at_now_is_looked_at_in_five_seconds() {
    let mut story = Story::running();
    assert_eq!(story.unsure("a"), "", "what runs, runs");
    assert_eq!(story.due_in(), None);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.unsure("a"), "");
    assert_eq!(story.due_in(), Some(LONGEST_PAUSE));
    assert_eq!(story.tick(LONGEST_PAUSE), "0 look");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
}

#[test]
fn a_dead_supervise_whose_directory_has_gone_is_not_started() {
    let mut story = Story::running();
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.lost("a"), "");
    assert_eq!(story.tick(UNLINK_GRACE), "0 finish log, 0 end input");
}

#[test]
fn a_look_at_a_name_that_has_gone_goes_on_with_the_next_name() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    // Nobody has said yet that `b` was removed; the look tells.
    assert_eq!(story.lost("b"), "0 look");
    assert_eq!(story.name(0), "a");
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
}

#[test]
fn a_look_that_finds_another_directory_goes_on_with_the_next_name() {
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    let done = story.seen("b", B, PLAIN);
    assert!(done.contains("0 look"), "{done}");
    assert!(done.contains("1 spawn main"), "{done}");
}

#[test]
fn a_supervise_is_started_by_the_name_that_was_just_seen() {
    // The other one may lead elsewhere by now, where nobody could look.
    let mut story = Story::running();
    story.seen("b", A, LOGGED);
    assert_eq!(story.ended(0, Main, KILLED), "0 look");
    assert_eq!(story.unsure("b"), "");
    story.pass(LONGEST_PAUSE);
    assert_eq!(story.seen("a", A, LOGGED), "0 spawn main");
    assert_eq!(story.name(0), "a");
}

#[test]
fn a_settling_directory_with_two_names_is_looked_at_by_the_other_one() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.seen("b", A, BARE);
    assert_eq!(story.tick(SETTLE_INTERVAL), "0 look");
    assert_eq!(story.lost("b"), "0 look");
    assert_eq!(story.seen("a", A, BARE), "");
    assert_eq!(story.due_in(), Some(SETTLE_INTERVAL));
}

// The end.

#[test]
fn an_empty_roster_leaves_when_it_is_told_to_stop() {
    assert_eq!(Story::new().stop(), "exit");
}

#[test]
fn stop_ends_services_then_their_loggers_and_then_leaves() {
    let mut story = Story::running();
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "0 terminate main, 1 terminate main");
    assert!(story.roster.is_stopping());
    assert_eq!(story.ended(0, Main, LEFT), "0 finish log, 0 end input");
    assert_eq!(story.ended(1, Main, LEFT), "1 forget");
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
    assert_eq!(story.count(), 0);
}

#[test]
fn nothing_new_is_taken_on_after_stop() {
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.seen("b", B, PLAIN), "");
    assert_eq!(story.seen("a", A, LOGGED), "");
    assert_eq!(story.count(), 1);
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit", "although a name leads to it");
}

#[test]
fn what_dies_while_everything_stops_is_not_started_again() {
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.ended(0, Log, KILLED), "");
    assert_eq!(story.tick(MINUTE), "");
    assert_eq!(story.ended(0, Main, KILLED), "0 forget, exit");
}

#[test]
fn a_second_stop_tells_again_and_does_not_wait_for_the_pipe() {
    let mut story = Story::running();
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.stop(), "0 terminate main");
    story.ended(0, Main, LEFT);
    assert_eq!(story.stop(), "0 terminate log");
    assert_eq!(story.stop(), "0 terminate log");
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
}

#[test]
fn stop_kills_what_is_there_after_its_deadline() {
    let mut story = Story::running();
    story.roster.limit_stop(MINUTE);
    story.seen("b", B, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "0 terminate main, 1 terminate main");
    assert_eq!(story.due_in(), Some(MINUTE));
    // Said again, it gives no more time.
    story.pass(MINUTE / 2);
    story.stop();
    assert_eq!(story.ended(1, Main, LEFT), "1 forget");
    assert_eq!(story.tick(MINUTE / 2), "0 kill main");
    assert_eq!(story.tick(LATE_INTERVAL), "0 kill main");
    // The logger may read what is left, but not for ever.
    assert_eq!(story.ended(0, Main, KILLED), "0 finish log, 0 end input");
    assert!(story.tick(LATE_INTERVAL).contains("0 kill log"));
    assert_eq!(story.ended(0, Log, KILLED), "0 forget, exit");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_stop_in_time_kills_nobody_nor_one_without_a_deadline() {
    let mut story = Story::running();
    story.roster.limit_stop(MINUTE);
    story.stop();
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
    assert_eq!(story.tick(MINUTE), "");
    let mut story = Story::running();
    story.stop();
    assert_eq!(story.due_in(), None);
}

#[test]
fn stop_forgets_at_once_what_never_ran_and_says_exit_once() {
    let mut story = Story::new();
    story.seen("a", A, BARE);
    story.seen("b", B, BARE);
    assert_eq!(story.stop(), "0 forget, 1 forget, exit");
}

#[test]
fn stop_ends_what_was_on_its_way_out_and_who_waited_for_it() {
    let mut story = Story::running();
    story.seen("a", B, PLAIN);
    assert_eq!(story.stop(), "0 terminate main, 1 forget");
    story.ended(0, Main, LEFT);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
}

#[test]
fn stop_ends_services_without_a_link_too() {
    let mut story = Story::keeping().run_a();
    story.lost("a");
    assert_eq!(story.stop(), "0 terminate main");
    let mut story = Story::running();
    story.lost("a");
    assert_eq!(story.stop(), "0 terminate main");
    assert_eq!(story.due_in(), None);
}

#[test]
fn a_supervise_that_was_just_asked_for_is_ended_when_it_is_there() {
    let mut story = Story::new();
    story.seen("a", A, LOGGED);
    story.spawned(0, Log);
    assert_eq!(story.stop(), "");
    assert_eq!(story.spawned(0, Main), "0 terminate main");
    story.ended(0, Main, KILLED);
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
}

// The logger of svscan's own messages.

/// A story with it in slot 0, and nothing else.
fn with_own_logger() -> Story {
    let mut story = Story::new();
    assert_eq!(story.add_own_logger(".log"), "0 spawn log");
    story.spawned(0, Log);
    story.pass(MINUTE);
    story
}

#[test]
fn the_own_logger_is_a_logger_and_nothing_else() {
    let mut story = with_own_logger();
    let slot = story.roster.slot(SlotNo(0)).unwrap();
    assert!(slot.is_own_logger() && slot.is_logged());
    assert_eq!(slot.name(), b".log");
    assert_eq!(story.tick(60 * MINUTE), "");
    // No scan sees a name with a dot, and it is none the worse for it.
    assert_eq!(story.scan(&[]), "");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn the_own_logger_is_started_again_although_it_has_no_log_directory() {
    let mut story = with_own_logger();
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
    story.spawned(0, Log);
    assert!(story.roster.slot(SlotNo(0)).unwrap().is_logged());
}

#[test]
fn the_own_logger_is_started_again_after_a_look_that_failed() {
    let mut story = with_own_logger();
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        assert_eq!(story.unsure(".log"), "");
        let wait = story.due_in().expect("another look");
        done = story.tick(wait);
        assert_eq!(done, "0 look");
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn the_own_logger_is_started_again_while_everything_stops() {
    // The services and their supervises write to its pipe until they end.
    let mut story = with_own_logger();
    story.seen("a", A, PLAIN);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "1 terminate main");
    let mut done = story.ended(0, Log, KILLED);
    if done == "0 look" {
        done = story.seen(".log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn the_own_logger_in_the_scanned_directory_is_no_service() {
    let mut story = with_own_logger();
    assert_eq!(story.scan(&[("log", OWN, LOGGED)]), "");
    assert_eq!(story.count(), 1);
    assert_eq!(story.scan(&[]), "", "and its link is nothing to it");
    assert_eq!(story.tick(MINUTE), "");
    assert_eq!(story.phase(0), "active");
}

#[test]
fn the_own_logger_stays_a_logger_when_a_scan_sees_it_while_it_is_down() {
    let mut story = with_own_logger();
    assert_eq!(story.ended(0, Log, LEFT), "");
    assert_eq!(story.scan(&[("log", OWN, PLAIN)]), "");
    let mut done = story.tick(AFTER_EXIT);
    if done == "0 look" {
        done = story.seen("log", OWN, PLAIN);
    }
    assert_eq!(done, "0 spawn log");
}

#[test]
fn who_takes_a_name_from_the_own_logger_does_not_wait_for_it() {
    let mut story = with_own_logger();
    story.seen("log", OWN, PLAIN);
    assert_eq!(story.seen("log", A, PLAIN), "1 spawn main");
}

#[test]
fn the_own_logger_is_stopped_last() {
    let mut story = with_own_logger();
    story.seen("a", A, LOGGED);
    story.spawned(1, Log);
    story.spawned(1, Main);
    assert_eq!(story.stop(), "1 terminate main");
    assert_eq!(story.stop(), "1 terminate main", "its turn has not come");
    assert_eq!(story.ended(1, Main, LEFT), "1 finish log, 1 end input");
    assert_eq!(story.ended(1, Log, LEFT), "1 forget, 0 finish log, 0 end input");
    assert_eq!(story.due_in(), Some(DRAIN_TIME));
    assert_eq!(story.ended(0, Log, LEFT), "0 forget, exit");
}

#[test]
fn the_own_logger_gets_to_read_its_pipe_even_if_nothing_else_had_to_be_stopped() {
    let mut story = with_own_logger();
    assert_eq!(story.stop(), "0 finish log, 0 end input");
    assert_eq!(story.stop(), "0 terminate log", "the second word about it is less patient");
    let mut story = with_own_logger();
    story.seen("a", A, BARE);
    assert_eq!(story.stop(), "1 forget, 0 finish log, 0 end input");
    assert_eq!(story.phase(0), "draining");
}
