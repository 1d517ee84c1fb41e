//! The history of a service: what supervise has recorded, and which client asked for it.

use crate::requester::{self, Requester};
use crate::{Command, End, Phase, Reason, ServiceDir, Signal, time};
use daemontools_core::state_dir::control::{self, Scope};
use daemontools_core::state_dir::history::{ServiceChange, Trigger, parse_file};
use daemontools_core::state_dir::request_note::match_notes;
use std::io;
use std::num::NonZeroU32;
use std::time::SystemTime;

/// A change of a service, or a command that it received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its number: changes are numbered in the order in which they happened. The times can be out of
    /// order, because the clock can be set back.
    pub number: u32,
    /// When it happened.
    pub at: SystemTime,
    /// The phase before.
    pub from: Phase,
    /// The phase afterwards. It is the same as before for a command without an effect, and for a restart
    /// in one step.
    pub to: Phase,
    /// The process afterwards.
    pub pid: Option<NonZeroU32>,
    /// Why supervise decided on the change, if it did.
    pub reason: Option<Reason>,
    /// How `run` or `start` ended, if one of them did.
    pub end: Option<End>,
    /// The cause from outside, if there was one.
    pub cause: Option<Cause>,
    /// The client that sent the command, if it has left a note.
    pub requester: Option<Requester>,
}

/// The cause of a change from outside the service and its supervise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A supervise began: the first one, or one after a KILL, an upgrade or a reboot.
    SuperviseBegan,
    /// supervise received this command.
    Command(Command),
    /// supervise itself got this signal, by its name without `SIG`.
    Signal(String),
}

impl Command {
    fn of(command: control::Command, scope: Scope) -> Option<Self> {
        Some(match command {
            control::Command::Up => Self::Up,
            control::Command::Down => Self::Down,
            control::Command::Once => Self::Once,
            control::Command::AtMostOnce => Self::AtMostOnce,
            control::Command::Exit => Self::Exit,
            control::Command::Pause => Self::Pause,
            control::Command::Continue => Self::Continue,
            control::Command::Signal(signal) => {
                let signal = Signal::from_name(str::from_utf8(signal.name()).ok()?)?;
                if scope == Scope::Process {
                    Self::Signal(signal)
                } else {
                    Self::SignalGroup(signal)
                }
            }
        })
    }
}

impl Cause {
    fn of(trigger: Trigger) -> Option<Self> {
        Some(match trigger {
            Trigger::Begin => Self::SuperviseBegan,
            Trigger::Command(command, scope) => Self::Command(Command::of(command, scope)?),
            Trigger::Signal(signal) => {
                Self::Signal(String::from_utf8_lossy(signal.name()).into_owned())
            }
        })
    }
}

fn change(recorded: &ServiceChange, requester: Option<Requester>) -> Change {
    Change {
        number: recorded.number,
        at: time(recorded.when),
        from: recorded.from.into(),
        to: recorded.to.into(),
        pid: recorded.pid.and_then(|pid| NonZeroU32::new(pid.get().unsigned_abs())),
        reason: recorded.reason.map(Into::into),
        end: recorded.end.map(Into::into),
        cause: recorded.trigger.and_then(Cause::of),
        requester,
    }
}

impl ServiceDir {
    /// The recorded changes of the service, the oldest first. `None` if no supervise has recorded any:
    /// daemontools and the versions of ours before 0.2.0 do not.
    ///
    /// supervise keeps at least the last 64 received commands and the last 64 other changes.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] without the right to read the state directory, and the others
    /// of reading it.
    pub fn history(&self) -> io::Result<Option<Vec<Change>>> {
        let bytes = match self.read("history") {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let recorded = parse_file(&bytes);
        // The notes tell more, and nothing depends on them.
        let notes = requester::read_notes(self);
        let found = match_notes(&recorded, &notes);
        let requesters = found.into_iter().map(|index| Some(Requester::of(notes.get(index?)?)));
        Ok(Some(recorded.iter().zip(requesters).map(|(it, by)| change(it, by)).collect()))
    }
}
