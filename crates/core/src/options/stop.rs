//! How a service is stopped: `down-signal`, `stop-scope`, `timeout-kill`, `flag-timeout-killpg`.

use crate::state_dir::control::{Scope, Signal};
use crate::text::decimal;
use core::time::Duration;

/// How a service is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// The first signal. CONT follows it.
    pub signal: Signal,
    /// The time after which KILL follows; `None` is never.
    pub timeout: Option<Duration>,
    /// The processes that get the signals.
    pub scope: Scope,
    /// Whether KILL goes to the process group even if `scope` is the process (s6).
    pub kill_group: bool,
}

pub(super) const SIGNAL_EXPECTED: &str = "the name or number of a signal, as in HUP or 1";

/// The value of `down-signal`: a signal by its name or number.
pub(super) fn signal(text: &[u8]) -> Option<Signal> {
    match decimal::parse(text) {
        Some(number) => Signal::from_number(u8::try_from(number).ok()?),
        None => Signal::from_name(text),
    }
}

pub(super) const SCOPE_EXPECTED: &str = "process, group or tree, as in group";

/// The value of `stop-scope`.
pub(super) fn scope(text: &[u8]) -> Option<Scope> {
    Some(match text {
        b"process" => Scope::Process,
        b"group" => Scope::Group,
        b"tree" => Scope::Tree,
        _ => return None,
    })
}
