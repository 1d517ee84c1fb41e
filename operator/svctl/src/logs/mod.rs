//! Reading logs: from the files of log directories to lines in the order of time.
//!
//! [`log_source`] finds the directories, [`directory`] lists the files of one, [`directory_reader`] reads
//! its lines through [`file_scan`] and [`line_reader`], [`merge`] puts those of several directories in
//! order, and [`line_printer`] prints them. [`follow`] passes on the lines that come later, which
//! [`live_lines`] puts in order.

mod compression;
pub(crate) mod cursor;
mod cursor_place;
pub(crate) mod directory;
pub(crate) mod directory_reader;
mod directory_watch;
mod file_queue;
pub(crate) mod file_scan;
pub(crate) mod filter;
pub(crate) mod follow;
pub(crate) mod follow_event;
mod followed_directory;
mod known_labels;
mod last_lines;
mod leap_seconds;
mod line_assembly;
pub(crate) mod line_printer;
pub(crate) mod line_reader;
mod line_text;
pub(crate) mod live_lines;
pub(crate) mod local_text;
pub(crate) mod local_zone;
pub(crate) mod log_output;
pub(crate) mod log_source;
mod look_back;
pub(crate) mod merge;
pub(crate) mod read_budget;
mod read_place;
mod required_text;
mod search;
pub(crate) mod source_watch;
pub(crate) mod stamp;
pub(crate) mod time_argument;

pub(crate) use last_lines::start_with_last;

/// The memory for the buffers of all directories.
const ALL_BUFFERS: usize = 2 * 1024 * 1024;

/// The size of the buffer of each of `count` directories.
pub(crate) fn buffer_size(count: usize) -> usize {
    (ALL_BUFFERS / count.max(1)).clamp(4 * 1024, 256 * 1024)
}
