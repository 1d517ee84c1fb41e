//! multilog under load: killed at any call, with failing calls, and started again.

pub mod check;
pub mod input;
pub mod notation;
pub mod run;
pub mod scenario;
pub mod shrink;

pub use check::Violation;
pub use run::{Report, run};
pub use scenario::Scenario;
pub use shrink::shrink;
