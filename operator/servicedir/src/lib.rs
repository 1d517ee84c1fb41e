#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod command;
mod counters;
mod detail;
mod events;
mod history;
mod log_dirs;
mod option_files;
mod processes;
mod regular_file;
mod requester;
mod scan_dir;
mod service_dir;
mod status;
mod wait;

pub use command::{Command, Signal};
pub use counters::{Counters, DeathCause};
pub use detail::Detail;
pub use events::Events;
pub use history::{Cause, Change};
pub use option_files::{option_file_names, option_lookalike, option_mistake};
pub use processes::{Process, ProcessTable, Usage};
pub use regular_file::read as read_regular_file;
pub use requester::Requester;
pub use scan_dir::{Entry, EntryKind, ScanDir};
pub use service_dir::{ServiceDir, Snapshot};
pub use status::{End, Phase, Reason, State, Status, Want};
pub use wait::{Goal, Outcome, Waits};

use daemontools_core::time::tai::{Tai64n, UNIX_EPOCH};
use std::time::{Duration, SystemTime};

/// The time of a label.
fn time(label: Tai64n) -> SystemTime {
    let after =
        Duration::new(label.seconds.saturating_sub(UNIX_EPOCH), label.nanoseconds.min(999_999_999));
    // A label beyond the range of SystemTime counts as 1970.
    SystemTime::UNIX_EPOCH.checked_add(after).unwrap_or(SystemTime::UNIX_EPOCH)
}
