//! The state directory of a service, `supervise/`: its path, and the formats of its files.

pub mod condition;
pub mod control;
pub mod counters;
pub mod death_tally;
pub mod describe;
pub mod detail;
pub mod essential_end;
pub mod goal;
pub mod history;
mod padded_line;
mod path;
pub mod phase;
pub mod probe;
pub mod process_record;
pub mod request_note;
mod service_script;
pub mod status;

pub use path::{DEFAULT, resolve};
pub use service_script::Script;

use crate::Pid;
use crate::text::decimal;

/// A process id from its decimal digits.
fn parse_pid(digits: &[u8]) -> Option<Pid> {
    Pid::new(i32::try_from(decimal::parse(digits)?).ok()?)
}
