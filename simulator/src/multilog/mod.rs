//! multilog under load: killed at any call, with failing calls, without power, and started again.

pub mod check;
pub mod faults;
pub mod history;
pub mod input;
pub mod notation;
pub mod outputs;
mod plan;
pub mod power;
pub mod run;
pub mod scenario;
mod shorter;
pub mod text;

pub use check::Violation;
pub use scenario::Scenario;
