//! multilog: what is done with each line, and the life of a log directory.

pub mod batch;
pub mod directory;
pub mod pattern;
pub mod rate;
pub mod router;
pub mod script;
pub mod stamp;
