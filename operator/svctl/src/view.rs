//! What svctl knows of a service, and its JSON object (svctl-json(5)).

use crate::failure::reason;
use crate::output::{Colour, escape};
use crate::selection::Target;
use crate::times::{age, rfc3339, short};
use serde_json::{Map, Value, json};
use servicedir::{End, EntryKind, Phase, Snapshot, State, Want};
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

/// The reason of a service that this user may not look at.
pub(crate) const DENIED: &str = "access denied";

/// What a user without rights can do, at the end of a message.
pub(crate) const RIGHTS: &str = "try as root, or let root grant rights: svctl help grant";

/// The reason of a service whose supervise publishes nothing yet.
const SUPERVISE_STARTS: &str = "its supervise is starting";

/// How long the end before the last start is worth a note.
const RECENT: Duration = Duration::from_secs(600);

/// The version of the JSON.
pub(crate) const SCHEMA: u32 = 1;

/// A service at one moment.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) target: Target,
    pub(crate) found: Found,
}

/// What can be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What its supervise publishes.
    Supervised(Box<Snapshot>),
    /// Its supervise starts, and publishes nothing yet.
    Starting,
    /// No supervise runs, with the reason.
    Unsupervised(String),
    /// This user may not look, or the files are damaged, with the reason.
    Unknown(String),
}

impl View {
    pub(crate) fn read(target: &Target) -> Self {
        Self::read_with(target.clone(), |_| true)
    }

    /// Reads what the note needs: how it last ended only if the note says so.
    pub(crate) fn read_for_note(target: Target) -> Self {
        Self::read_with(target, |snapshot| has_trouble(snapshot) || is_started_lately(snapshot))
    }

    fn read_with(target: Target, is_end_wanted: impl FnOnce(&Snapshot) -> bool) -> Self {
        let found = match &target.kind {
            EntryKind::Service => of_service(&target, is_end_wanted),
            EntryKind::NotADirectory => Found::Unsupervised("not a directory".to_owned()),
            EntryKind::DanglingLink(to) => {
                let to = escape(&to.to_string_lossy());
                Found::Unsupervised(format!("a link to {to}, which does not exist"))
            }
            kind => Found::Unknown(format!("unable to look at it: {kind:?}")),
        };
        Self { target, found }
    }

    /// Its name in the scan directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.target.name
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        match &self.found {
            Found::Supervised(snapshot) => Some(snapshot),
            Found::Starting | Found::Unsupervised(_) | Found::Unknown(_) => None,
        }
    }

    /// The state of a supervised service.
    pub(crate) fn state(&self) -> Option<State> {
        self.snapshot().map(|snapshot| snapshot.state)
    }

    /// The state in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.found {
            Found::Supervised(snapshot) => snapshot.state.word(),
            Found::Starting => State::Starting.word(),
            Found::Unsupervised(_) => "unsupervised",
            Found::Unknown(_) => "unknown",
        }
    }

    /// The symbol of the state.
    #[must_use]
    pub fn symbol(&self) -> &'static str {
        symbol_of(self.word())
    }

    pub(crate) fn colour(&self) -> Colour {
        colour_of(self.word())
    }

    /// Whether it needs a look: it has failed, or starts again after a death.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        match self.snapshot() {
            Some(snapshot) => match snapshot.state {
                State::Failed => true,
                State::Waiting => {
                    snapshot.detail.as_ref().is_none_or(|it| it.phase != Phase::Listening)
                }
                _ => false,
            },
            None => !matches!(self.found, Found::Starting),
        }
    }

    /// What to know beyond the state, in a few words: the reason, the next start, the last end.
    #[must_use]
    pub fn note(&self) -> String {
        let snapshot = match &self.found {
            Found::Supervised(snapshot) => snapshot,
            Found::Starting => return SUPERVISE_STARTS.to_owned(),
            Found::Unsupervised(why) => return format!("not supervised: {why}"),
            Found::Unknown(why) => return why.clone(),
        };
        let mut notes = Vec::new();
        let detail = snapshot.detail.as_ref();
        if let Some(detail) = detail {
            if detail.phase == Phase::Listening {
                notes.push("starts with the first connection".to_owned());
            } else if detail.phase == Phase::Reloading {
                notes.push("reloading".to_owned());
            }
            if let Some(name) = &detail.waiting_for {
                notes.push(format!("waiting for {}", escape(&name.to_string_lossy())));
            }
        }
        let has_trouble = has_trouble(snapshot);
        match snapshot.last_end {
            Some(end) if is_fault(end) && is_started_lately(snapshot) => {
                notes.push(format!("started after {}", end_words(end)));
            }
            Some(end) if has_trouble && snapshot.status.pid.is_none() => notes.push(end_words(end)),
            _ => {}
        }
        if has_trouble && detail.is_some_and(|detail| detail.out_of_memory) {
            notes.push("out of memory".to_owned());
        }
        if let Some(detail) = detail {
            if detail.failures > 0 {
                let plural = if detail.failures == 1 { "" } else { "s" };
                notes.push(format!("{} death{plural} in a row", detail.failures));
            }
            if let Some(next) = detail.next {
                let left = next.duration_since(std::time::SystemTime::now()).unwrap_or_default();
                notes.push(format!("next start in {}", short(left)));
            }
        }
        notes.extend(self.reason());
        let status = snapshot.status;
        match (snapshot.state, status.want) {
            (State::Down, Want::Down) => notes.push("wanted down".to_owned()),
            (State::Down, Want::Once) => notes.push("ran once".to_owned()),
            (State::Up | State::Ready, Want::Once) => notes.push("runs once".to_owned()),
            _ => {}
        }
        notes.join("; ")
    }

    /// Why supervise restarted it by itself, or does not start it.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.found {
            Found::Supervised(snapshot) => {
                snapshot.detail.as_ref()?.reason.map(|reason| reason.words().to_owned())
            }
            Found::Starting => Some(SUPERVISE_STARTS.to_owned()),
            Found::Unsupervised(why) | Found::Unknown(why) => Some(why.clone()),
        }
    }

    /// The time since its last start or exit.
    #[must_use]
    pub fn age(&self) -> String {
        self.snapshot().map_or_else(|| "-".to_owned(), |it| short(age(it.status.since)))
    }

    /// Its object in the JSON.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        let snapshot = self.snapshot();
        let detail = snapshot.and_then(|it| it.detail.as_ref());
        let status = snapshot.map(|it| it.status);
        // A plain service does not say whether it is ready.
        let ready = snapshot.filter(|it| it.detail.is_some()).map(|it| it.is_ready);
        let at = status.filter(|status| status.pid.is_none()).map(|status| rfc3339(status.since));
        let last_end = snapshot.and_then(|it| it.last_end).map(|end| match end {
            End::Exited(code) => json!({"exit": code, "at": at}),
            End::Killed(signal) => json!({"signal": signal_name(signal), "at": at}),
            End::Unknown => json!({"unknown": true, "at": at}),
        });
        let object = json!({
            "name": self.target.name.to_string_lossy(),
            "path": self.target.dir.path().to_string_lossy(),
            "state": self.word(),
            "pid": status.and_then(|status| status.pid),
            "since": status.map(|status| rfc3339(status.since)),
            "wanted": status.map(|status| status.want.word()),
            "ready": ready,
            "last_end": last_end,
            "out_of_memory": detail.is_some_and(|detail| detail.out_of_memory),
            "failures": detail.map_or(0, |detail| detail.failures),
            "next_start": detail.and_then(|detail| detail.next).map(rfc3339),
            "reason": self.reason(),
            "phase": detail.map(|detail| detail.phase.word()),
            "waiting_for": detail.and_then(|detail| detail.waiting_for.as_ref()).map(|name| name.to_string_lossy()),
            "message": detail.and_then(|detail| detail.message.as_ref()),
        });
        match object {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// The symbol of a state.
#[must_use]
pub fn symbol_of(state: &str) -> &'static str {
    match state {
        "up" | "ready" => "●",
        "failed" => "▲",
        "waiting" | "blocked" | "starting" | "stopping" => "↻",
        "down" => "○",
        "paused" => "‖",
        _ => "?",
    }
}

/// The colour of a state.
pub(crate) fn colour_of(state: &str) -> Colour {
    match state {
        "up" | "ready" => Colour::Green,
        "failed" => Colour::Red,
        // Dim text vanishes on some terminals.
        "down" => Colour::Bold,
        _ => Colour::Yellow,
    }
}

/// Whether it neither serves nor is down.
fn has_trouble(snapshot: &Snapshot) -> bool {
    !snapshot.state.is_usable() && snapshot.state != State::Down
}

/// Whether its process is so new that the end of the one before is worth a note.
fn is_started_lately(snapshot: &Snapshot) -> bool {
    snapshot.status.pid.is_some() && age(snapshot.status.since) < RECENT
}

fn of_service(target: &Target, is_end_wanted: impl FnOnce(&Snapshot) -> bool) -> Found {
    match target.dir.snapshot_with_end(is_end_wanted) {
        Ok(Some(snapshot)) => Found::Supervised(Box::new(snapshot)),
        Ok(None) => unsupervised(target),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Found::Unknown(DENIED.to_owned())
        }
        Err(error) => Found::Unknown(reason(&error)),
    }
}

/// What there is of a directory where no supervise listens.
fn unsupervised(target: &Target) -> Found {
    let run = target.dir.path().join("run");
    let is_missing = run.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let why = if is_missing && !target.dir.path().join("command").exists() {
        "run is missing"
    } else if !target.dir.state_dir().join("process").exists() {
        "no supervise runs"
    } else {
        // supervise makes the process record before it listens, and removes it at its orderly end.
        match target.dir.is_supervise_starting() {
            Ok(true) => return Found::Starting,
            Ok(false) => "its supervise was killed",
            // Without the right to look at `control` it can be either.
            Err(_) => "no supervise runs",
        }
    };
    Found::Unsupervised(why.to_owned())
}

/// How a process ended, in words.
pub(crate) fn end_words(end: End) -> String {
    match end {
        End::Exited(code) => format!("exit {code}"),
        End::Killed(signal) => format!("killed by {}", signal_name(signal)),
        End::Unknown => "ended, unknown how".to_owned(),
    }
}

/// Whether an end looks like a fault: not an exit 0, and not a signal that people send.
pub(crate) fn is_fault(end: End) -> bool {
    match end {
        // Shells and Java exit with 128 and the number of the signal.
        End::Exited(code) => ![0, 129, 130, 137, 143].contains(&code),
        // HUP, INT, KILL and TERM.
        End::Killed(signal) => ![1, 2, 9, 15].contains(&signal),
        End::Unknown => false,
    }
}

/// The name of a signal without SIG, or its number.
pub(crate) fn signal_name(number: u8) -> String {
    let name = signal_hook::low_level::signal_name(number.into());
    name.map_or_else(|| number.to_string(), |name| name.trim_start_matches("SIG").to_owned())
}
