//! svscan with its supervises, services and loggers: killed at any call, with failing calls, started again and
//! upgraded, while names come and go.

pub mod check;
pub mod errors;
pub mod notation;
pub mod run;
pub mod scenario;
pub mod scripted;
mod shorter;
pub mod watch;

pub use check::Violation;
pub use scenario::Scenario;
