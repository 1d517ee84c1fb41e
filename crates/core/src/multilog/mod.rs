//! multilog: the script that runs on each line, and the output directories.

pub mod batch;
pub mod batch_mark;
pub mod begun_lines;
pub mod clock_step;
pub mod file_name;
pub mod file_operations;
pub mod output_directory;
pub mod pattern;
pub mod rate;
pub mod retention;
pub mod router;
pub mod script;
pub mod stamp;
