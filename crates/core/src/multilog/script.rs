//! The script: what multilog's arguments say.

use alloc::vec::Vec;

/// Smallest limit of a file's size.
pub const SMALLEST_SIZE: u64 = 4096;

/// The limit without `s`.
pub const DEFAULT_SIZE: u64 = 99_999;

/// The largest limit, daemontools-encore's. The original stops at 16777215.
pub const LARGEST_SIZE: u64 = 2_147_483_647;

/// The number of files in a directory without `n`.
pub const DEFAULT_FILES: u64 = 10;

/// What is done with a line, in the script's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// `-`: a selected line that matches is no longer selected.
    Deselect(&'a [u8]),
    /// `+`: a line that is not selected and matches is selected.
    Select(&'a [u8]),
    /// `e`: copy it to stderr, if it is selected.
    Stderr,
    /// `=`: show it in the status file of this number, if it is selected.
    Status(usize),
    /// Write it to the log directory of this number, if it is selected.
    Directory(usize),
}

/// A log directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a> {
    /// Its name, as given.
    pub name: &'a [u8],
    /// The largest size of a file, in bytes.
    pub size: u64,
    /// How many files there are at most: one in use, the others old.
    pub files: u64,
    /// The command that old files go through.
    pub processor: Option<&'a [u8]>,
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script<'a> {
    /// Whether lines get a label.
    pub stamp: bool,
    /// What is done with each line.
    pub actions: Vec<Action<'a>>,
    /// The status files.
    pub statuses: Vec<&'a [u8]>,
    /// The log directories.
    pub directories: Vec<Settings<'a>>,
}

impl<'a> Script<'a> {
    /// Reads the arguments. Nothing in them is an error: what is not known is passed over.
    pub fn parse(args: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut script = Script::default();
        let (mut size, mut files, mut processor) = (DEFAULT_SIZE, DEFAULT_FILES, None);
        for (n, arg) in args.enumerate() {
            let Some((&first, rest)) = arg.split_first() else {
                continue;
            };
            match first {
                b't' if n == 0 => script.stamp = true,
                b'-' => script.actions.push(Action::Deselect(rest)),
                b'+' => script.actions.push(Action::Select(rest)),
                b'e' => script.actions.push(Action::Stderr),
                b'=' => {
                    script.actions.push(Action::Status(script.statuses.len()));
                    script.statuses.push(rest);
                }
                b's' => size = leading_number(rest).clamp(SMALLEST_SIZE, LARGEST_SIZE),
                b'n' => files = leading_number(rest).max(2),
                b'!' => processor = Some(rest),
                b'.' | b'/' => {
                    script.actions.push(Action::Directory(script.directories.len()));
                    script.directories.push(Settings { name: arg, size, files, processor });
                }
                _ => {}
            }
        }
        script
    }
}

/// The number at the beginning of a text, 0 without one; wraps around like the original's.
fn leading_number(text: &[u8]) -> u64 {
    text.iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0, |n: u64, c| n.wrapping_mul(10).wrapping_add(u64::from(c - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(args: &[&'a str]) -> Script<'a> {
        Script::parse(args.iter().map(|a| a.as_bytes()))
    }

    #[test]
    fn settings_are_for_later_directories() {
        let script =
            parse(&["t", "s5000", "./a", "s12k", "n1", "!cat", "/b", "n18446744073709551619"]);
        assert!(script.stamp);
        let a = Settings { name: b"./a", size: 5000, files: 10, processor: None };
        let b = Settings { name: b"/b", size: 4096, files: 2, processor: Some(b"cat") };
        assert_eq!(script.directories, [a, b]);
        assert_eq!(script.actions, [Action::Directory(0), Action::Directory(1)]);
    }

    #[test]
    fn a_stamp_is_asked_for_by_the_first_word_only() {
        assert!(parse(&["test"]).stamp);
        assert!(!parse(&["", "t"]).stamp);
        assert_eq!(parse(&["", "x", "Q9"]), Script::default());
    }

    #[test]
    fn everything_else_keeps_its_place() {
        let script = parse(&["-*", "+a*", "e", "=s", "-", "+", "=t"]);
        assert_eq!(
            script.actions,
            [
                Action::Deselect(b"*"),
                Action::Select(b"a*"),
                Action::Stderr,
                Action::Status(0),
                Action::Deselect(b""),
                Action::Select(b""),
                Action::Status(1),
            ]
        );
        assert_eq!(script.statuses, [b"s", b"t"]);
    }
}
