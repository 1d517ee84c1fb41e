//! multilog: what is done with each line, and the life of a log directory.

pub mod directory;
pub mod pattern;
pub mod script;
