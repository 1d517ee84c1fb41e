//! What multilog promises.

use super::history::History;
use super::input::Input;
use super::outputs::{Directory, HEAD, Outputs, StatusFile};
use super::scenario::Scenario;
use super::text::{LogFile, Part, log_files, missing, parts, without_stamps};
use crate::kernel::{Content, Ended, FileSystem, Kernel};
use crate::simulation;
use std::fmt;

/// What one KILL may lose: the last read, and the beginning of the line that this read continues.
const LOST_BY_KILL: usize = 2048 + HEAD;

/// A finished file ends with a line if a line ends in this many of its last bytes.
const END: usize = 2000;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Every process waits for ever.
    Stuck,
    /// The processes never come to rest.
    Endless,
    /// The last logger has ended in this way.
    Ended(Ended),
    /// A program has panicked.
    Panic,
    /// A program has made a system call that the simulated kernel does not know.
    UnknownCall(usize),
    /// A part of a log that is not the next part of the input.
    NotNext {
        /// The directory and the file.
        file: String,
        /// The text.
        text: String,
        /// The input contains it before.
        is_doubled: bool,
    },
    /// A line that the patterns deselect.
    NotSelected {
        /// The directory.
        directory: String,
        /// The line.
        line: String,
    },
    /// More of the input is missing than the KILLs explain.
    Lost {
        /// The directory.
        directory: String,
        /// The missing bytes.
        bytes: usize,
        /// The number of KILLs.
        kills: u64,
    },
    /// Text of a complete file is missing after a loss of power.
    LostAfterSync {
        /// The directory.
        directory: String,
        /// The missing bytes.
        bytes: usize,
    },
    /// A finished file has lost a part of its text with the power.
    Incomplete(String),
    /// The standby process has ended, and text in the pipe is already in a log.
    NotConsumed {
        /// The directory.
        directory: String,
        /// The number of bytes.
        bytes: usize,
    },
    /// A finished file ends inside a line.
    Split(String),
    /// A file with a wrong name, mode or size.
    WrongFile(String),
    /// A directory has more or fewer files than the script asks for.
    WrongNumber {
        /// The directory.
        directory: String,
        /// The number of old files.
        files: usize,
    },
    /// A status file does not show the last line.
    WrongStatus(String),
    /// The state of the processor is not what a processor has written.
    WrongState(String),
    /// A stamp is earlier than the one before it.
    StampGoesBack(String),
}

impl simulation::Violation for Violation {
    const PANIC: Self = Self::Panic;

    fn unknown_call(number: usize) -> Self {
        Self::UnknownCall(number)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck => f.write_str("every process waits for ever"),
            Self::Endless => f.write_str("the processes never come to rest"),
            Self::Ended(how) => write!(f, "the last logger has ended: {how:?}"),
            Self::Panic => f.write_str("a program has panicked"),
            Self::UnknownCall(number) => write!(f, "system call {number} is not simulated"),
            Self::NotNext { file, text, is_doubled } => {
                let why = if *is_doubled { "is there twice" } else { "is not in the input" };
                write!(f, "{file}: {text:?} {why}")
            }
            Self::NotSelected { directory, line } => {
                write!(f, "{directory}: {line:?} is there and not selected")
            }
            Self::Lost { directory, bytes, kills } => {
                write!(f, "{directory}: {bytes} bytes are missing after {kills} KILLs")
            }
            Self::LostAfterSync { directory, bytes } => {
                write!(f, "{directory}: {bytes} bytes of a complete file are lost with the power")
            }
            Self::Incomplete(file) => write!(f, "{file} has lost text with the power"),
            Self::NotConsumed { directory, bytes } => {
                write!(f, "{directory}: the next {bytes} bytes of the pipe are there already")
            }
            Self::Split(file) => write!(f, "{file} ends inside a line"),
            Self::WrongFile(file) => write!(f, "{file}: wrong name, mode or size"),
            Self::WrongNumber { directory, files } => {
                write!(f, "{directory} has {files} old files")
            }
            Self::WrongStatus(file) => write!(f, "{file} does not show the last line"),
            Self::WrongState(file) => write!(f, "{file} is not what a processor has written"),
            Self::StampGoesBack(file) => write!(f, "{file}: a stamp goes back"),
        }
    }
}

/// Checks the outputs at the end of a scenario.
///
/// # Errors
/// The first broken promise.
pub fn logs(
    kernel: &Kernel,
    scenario: &Scenario,
    outputs: &Outputs,
    input: &Input,
    history: &History,
) -> Result<(), Violation> {
    directories(kernel, scenario, outputs, history)?;
    for directory in &outputs.directories {
        number(kernel, scenario, directory, history)?;
        let files = log_files(kernel, &directory.path);
        if outputs.has_stamps && !history.has_gone_back && !scenario.has_original() {
            stamps(&files, directory)?;
        }
        text(&files, directory, input, history)?;
    }
    for status in &outputs.status_files {
        status_file(kernel, outputs, status, input, history)?;
    }
    Ok(())
}

/// Checks the directories at the end of any logger.
///
/// # Errors
/// The first broken promise.
pub fn directories(
    kernel: &Kernel,
    scenario: &Scenario,
    outputs: &Outputs,
    history: &History,
) -> Result<(), Violation> {
    for directory in &outputs.directories {
        names(kernel, scenario, directory, history)?;
        state(kernel, directory)?;
        // Before the oldest file is removed there is one more. A loss of power can take back a removal.
        let is_exact =
            history.power_cuts == 0 && !history.has_failed_removal && !scenario.has_original();
        let files = old_files(kernel, directory);
        if is_exact && files > directory.files {
            return Err(Violation::WrongNumber { directory: directory.path.clone(), files });
        }
    }
    Ok(())
}

/// The number of old files.
fn old_files(kernel: &Kernel, directory: &Directory) -> usize {
    let files = kernel.list(&directory.path);
    files.into_iter().filter(|(name, ..)| name.starts_with(b"@")).count()
}

/// Names, modes, sizes and ends of the files.
fn names(
    kernel: &Kernel,
    scenario: &Scenario,
    directory: &Directory,
    history: &History,
) -> Result<(), Violation> {
    const OTHERS: [&[u8]; 7] =
        [b"current", b"lock", b"state", b"newstate", b"previous", b"processed", b".multilog-batch"];
    // The mode needs a sync of the file after the change.
    let may_lose_mode = history.power_cuts > 0 && scenario.disk == Some(FileSystem::Posix);
    for (name, _, inode) in kernel.list(&directory.path) {
        let file = format!("{}/{}", directory.path, String::from_utf8_lossy(&name));
        let Content::File(bytes) = &inode.content else { return Err(Violation::WrongFile(file)) };
        let Some(label) = name.strip_prefix(b"@") else {
            if OTHERS.contains(&&name[..]) {
                continue;
            }
            return Err(Violation::WrongFile(file));
        };
        let (digits, end) = label.split_at(label.len().min(24));
        let is_label = digits.iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c));
        let is_named = is_label && digits.len() == 24 && (end == b".s" || end == b".u");
        let has_mode = inode.mode == 0o744 || end == b".u" || may_lose_mode;
        if !is_named || !has_mode || bytes.len() > directory.size {
            let (mode, length) = (inode.mode, bytes.len());
            return Err(Violation::WrongFile(format!("{file} {mode:o} {length}")));
        }
        let last = &bytes[bytes.len().saturating_sub(END)..];
        // A rotation by ALRM does not wait for the end of a line.
        let may_split = history.has_alarm || end == b".u";
        if !may_split && !last.ends_with(b"\n") && last.contains(&b'\n') {
            return Err(Violation::Split(file));
        }
    }
    Ok(())
}

/// The number of old files after a logger that nothing has killed. The original counts only after a rotation.
fn number(
    kernel: &Kernel,
    scenario: &Scenario,
    directory: &Directory,
    history: &History,
) -> Result<(), Violation> {
    let files = old_files(kernel, directory);
    if history.has_failed_removal || scenario.has_original() {
        return Ok(());
    }
    let is_too_few = scenario.directories() == 1
        && history.has_pruned
        && history.power_cuts == 0
        && files + 1 < directory.files;
    if files >= directory.files || is_too_few {
        return Err(Violation::WrongNumber { directory: directory.path.clone(), files });
    }
    Ok(())
}

/// The state is empty or a number and a newline, as the processors write it.
pub(super) fn state(kernel: &Kernel, directory: &Directory) -> Result<(), Violation> {
    let path = format!("{}/state", directory.path);
    let Some(Content::File(text)) = kernel.look_up(&path).map(|inode| &inode.content) else {
        return Ok(());
    };
    let is_number = text
        .strip_suffix(b"\n")
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    if is_number || text.is_empty() { Ok(()) } else { Err(Violation::WrongState(path)) }
}

/// Stamps never go back.
fn stamps(files: &[LogFile], directory: &Directory) -> Result<(), Violation> {
    let mut last: &[u8] = b"";
    for file in files {
        for line in file.text.split(|c| *c == b'\n') {
            let Some(stamp) = line.get(..26).filter(|it| it.starts_with(b"@4")) else { continue };
            if !stamp[1..25].iter().all(u8::is_ascii_hexdigit) {
                continue;
            }
            if stamp < last {
                let stamp = String::from_utf8_lossy(stamp);
                let file = format!("{}/{} {stamp}", directory.path, file.name);
                return Err(Violation::StampGoesBack(file));
            }
            last = stamp;
        }
    }
    Ok(())
}

/// Each selected line once and in order, except what the KILLs may lose.
fn text(
    files: &[LogFile],
    directory: &Directory,
    input: &Input,
    history: &History,
) -> Result<(), Violation> {
    let parts = parts(files, directory, input, history.cuts())?;
    // The oldest file can begin with the end of a line, which may be that of another line too.
    let is_start =
        |part: &&Part| part.range.start == 0 || input.text[part.range.start - 1] == b'\n';
    let first = parts.iter().find(is_start).map_or(input.text.len(), |part| part.range.start);
    let from = if history.has_pruned { first.max(history.from) } else { history.from };
    let bytes = missing(&parts, directory, input, from)?;
    // The rest of a line whose beginning is lost can be deselected; and of a longer line than a logger
    // holds, all that came before its end can be lost.
    let longest = input.longest_line();
    let each = if directory.selection.is_all() { LOST_BY_KILL } else { LOST_BY_KILL + longest };
    let kills = history.recent_kills;
    if bytes > usize::try_from(kills).unwrap_or(0) * each.max(longest) {
        return Err(Violation::Lost { directory: directory.path.clone(), bytes, kills });
    }
    Ok(())
}

/// A status file shows the beginning of the last selected line, and newlines up to its size.
fn status_file(
    kernel: &Kernel,
    outputs: &Outputs,
    status: &StatusFile,
    input: &Input,
    history: &History,
) -> Result<(), Violation> {
    let wrong = || Violation::WrongStatus(status.path.clone());
    let Some(Content::File(shown)) = kernel.look_up(&status.path).map(|inode| &inode.content)
    else {
        return Err(wrong());
    };
    // Nothing is synced here, and TERM does not wait for a failing write.
    if history.power_cuts > 0 || history.has_term || history.standby_faults > 0 {
        return Ok(());
    }
    let lines = input.text.split_inclusive(|c| *c == b'\n').map(|line| &line[..line.len() - 1]);
    let last = lines.rev().find(|line| status.selection.selects(line));
    if history.kills == 0 {
        let Some(last) = last else {
            return if shown.is_empty() { Ok(()) } else { Err(wrong()) };
        };
        let seen = if outputs.has_stamps { HEAD - 26 } else { HEAD };
        let mut wanted = last[..last.len().min(seen)].to_vec();
        let text = without_stamps(shown);
        wanted.resize(text.len(), b'\n');
        return if text == wanted && shown.len() == HEAD + 1 { Ok(()) } else { Err(wrong()) };
    }
    // A KILL can lose the last line, or its beginning. What is shown is a part of a line.
    let text = without_stamps(shown);
    let end = text.iter().rposition(|c| *c != b'\n').map_or(0, |at| at + 1);
    let is_part = memchr::memmem::find(&input.text, &text[..end]).is_some();
    let is_size = shown.len() == HEAD + 1 || shown.is_empty();
    if is_part && is_size { Ok(()) } else { Err(wrong()) }
}

/// Checks the directories after the end of a killed logger's standby process: the pipe begins behind
/// everything that is in a log, so that a logger that ignores the mark, as the original, writes nothing
/// again. `taken` is the place in the input of the first byte in the pipe.
///
/// # Errors
/// The first broken promise.
pub fn pipe(
    kernel: &Kernel,
    outputs: &Outputs,
    input: &Input,
    taken: usize,
    history: &History,
) -> Result<(), Violation> {
    for directory in &outputs.directories {
        let files = log_files(kernel, &directory.path);
        let parts = parts(&files, directory, input, history.cuts())?;
        let end = parts.last().map_or(0, |part| part.range.end);
        if end > taken {
            let directory = directory.path.clone();
            return Err(Violation::NotConsumed { directory, bytes: end - taken });
        }
    }
    Ok(())
}
