//! Small text formats: numbers, lines, command-line options, error messages, /proc/locks.

pub mod decimal;
pub mod errno;
pub mod getopt;
pub mod interpreter;
pub mod lines;
pub mod printable;
pub mod proc_locks;
pub mod proctitle;
pub mod words;
