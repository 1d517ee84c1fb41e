//! supervise under load: killed at any call, with failing calls, started again, and told what to do.

pub mod check;
pub mod errors;
pub mod notation;
pub mod options;
mod promises;
pub mod run;
pub mod scenario;
pub mod scripted;
mod shorter;
pub mod watch;

pub use check::Violation;
pub use scenario::Scenario;
