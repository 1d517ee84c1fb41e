//! The script: what multilog's arguments say.

use alloc::vec::Vec;

/// Smallest limit of a file's size.
pub const SMALLEST_SIZE: u64 = 4096;

/// The limit without `s`.
pub const DEFAULT_SIZE: u64 = 99_999;

/// The number of files in a directory without `n`.
pub const DEFAULT_FILES: u64 = 10;

/// The smallest number of files in a directory.
pub const FEWEST_FILES: u64 = 2;

/// What stands before each line. Asked for by the first argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Nothing.
    #[default]
    None,
    /// `t`: a TAI64N label.
    Tai64n,
    /// `T`, daemontools-encore's: seconds since 1970 with microseconds, as accustamp writes them.
    Seconds,
    /// `I`: date and time of day in UTC, as ISO 8601 has them, with microseconds.
    Date,
}

/// How patterns are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The original's: see [`super::pattern::Progress`].
    Simple,
    /// fnmatch's: see [`super::pattern::shell_matches`].
    Shell,
}

/// What is done with a line, in the script's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// `-`: a selected line that matches is no longer selected.
    Deselect(Language, &'a [u8]),
    /// `+`: a line that is not selected and matches is selected.
    Select(Language, &'a [u8]),
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
    /// How many bytes the old files may have together.
    pub total: Option<u64>,
    /// After how many seconds a new file is begun, in step with the clock: 3600 is on the hour.
    pub period: Option<u64>,
    /// How many lines a second are written; the others are counted.
    pub rate: Option<u64>,
    /// What the names of files that were finished in order end with.
    pub code: &'a [u8],
    /// The command that old files go through.
    pub processor: Option<&'a [u8]>,
}

impl<'a> Settings<'a> {
    /// What holds for a directory if nothing else was said.
    #[must_use]
    pub const fn default_for(name: &'a [u8]) -> Self {
        Self {
            name,
            size: DEFAULT_SIZE,
            files: DEFAULT_FILES,
            total: None,
            period: None,
            rate: None,
            code: b"s",
            processor: None,
        }
    }
}

/// Why a number is not taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is less than the smallest one.
    TooSmall,
    /// It is more than can be counted.
    TooLarge,
    /// Something follows it.
    NoNumber,
}

/// A number of an argument which is not taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<'a> {
    /// The argument.
    pub arg: &'a [u8],
    /// Why.
    pub why: Wrong,
    /// What is taken instead.
    pub taken: u64,
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script<'a> {
    /// What stands before each line.
    pub stamp: Stamp,
    /// What is done with each line.
    pub actions: Vec<Action<'a>>,
    /// The status files.
    pub statuses: Vec<&'a [u8]>,
    /// The log directories.
    pub directories: Vec<Settings<'a>>,
    /// Numbers that could not be taken as they stand.
    pub changed: Vec<Changed<'a>>,
}

impl<'a> Script<'a> {
    /// Reads the arguments. Nothing in them is an error: what is not known is passed over, as the
    /// original does.
    pub fn parse(args: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut script = Script::default();
        let mut settings = Settings::default_for(b"");
        let mut language = Language::Simple;
        for (n, arg) in args.enumerate() {
            let Some((&first, rest)) = arg.split_first() else {
                continue;
            };
            match first {
                b't' if n == 0 => script.stamp = Stamp::Tai64n,
                b'T' if n == 0 => script.stamp = Stamp::Seconds,
                b'I' if n == 0 => script.stamp = Stamp::Date,
                b'F' => language = Language::Shell,
                b'S' => language = Language::Simple,
                b'-' => script.actions.push(Action::Deselect(language, rest)),
                b'+' => script.actions.push(Action::Select(language, rest)),
                b'e' => script.actions.push(Action::Stderr),
                b'=' => {
                    script.actions.push(Action::Status(script.statuses.len()));
                    script.statuses.push(rest);
                }
                b's' => settings.size = script.number(arg, SMALLEST_SIZE),
                b'n' => settings.files = script.number(arg, FEWEST_FILES),
                b'c' => settings.total = Some(script.number(arg, 0)),
                b'a' => settings.period = Some(script.number(arg, 1)),
                b'R' => settings.rate = Some(script.number(arg, 1)),
                b'w' => settings.code = rest,
                b'!' => settings.processor = Some(rest),
                b'.' | b'/' => {
                    script.actions.push(Action::Directory(script.directories.len()));
                    script.directories.push(Settings { name: arg, ..settings });
                }
                _ => {}
            }
        }
        script
    }

    /// The number that follows the letter, at least `smallest`. Other than the original's, it
    /// does not wrap around.
    fn number(&mut self, arg: &'a [u8], smallest: u64) -> u64 {
        let text = arg.get(1..).unwrap_or_default();
        let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
        let exact = text
            .iter()
            .take(end)
            .try_fold(0, |n: u64, c| n.checked_mul(10)?.checked_add(u64::from(c - b'0')));
        let taken = exact.unwrap_or(u64::MAX).max(smallest);
        let why = match exact {
            None => Some(Wrong::TooLarge),
            Some(number) if number < smallest => Some(Wrong::TooSmall),
            Some(_) if end < text.len() => Some(Wrong::NoNumber),
            Some(_) => None,
        };
        self.changed.extend(why.map(|why| Changed { arg, why, taken }));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(args: &[&'a str]) -> Script<'a> {
        Script::parse(args.iter().map(|a| a.as_bytes()))
    }

    #[test]
    fn settings_are_for_later_directories() {
        let script = parse(&[
            "t", "s5000", "./a", "s12k", "n1", "!cat", "wx", "c9", "a60", "R5", "/b", "n3", "n",
        ]);
        assert_eq!(script.stamp, Stamp::Tai64n);
        let a = Settings { size: 5000, ..Settings::default_for(b"./a") };
        let b = Settings {
            name: b"/b",
            size: 4096,
            files: 2,
            total: Some(9),
            period: Some(60),
            rate: Some(5),
            code: b"x",
            processor: Some(b"cat"),
        };
        assert_eq!(script.directories, [a, b]);
        assert_eq!(script.actions, [Action::Directory(0), Action::Directory(1)]);
    }

    #[test]
    fn what_is_not_taken_as_it_stands_is_told() {
        let script = parse(&["s12k", "n1", "s16777216", "n10", "a", "s99999999999999999999"]);
        let changed: Vec<_> = script.changed.iter().map(|c| (c.arg, c.why, c.taken)).collect();
        let small = Wrong::TooSmall;
        assert_eq!(
            changed,
            [
                (&b"s12k"[..], small, 4096),
                (b"n1", small, 2),
                (b"a", small, 1),
                (b"s99999999999999999999", Wrong::TooLarge, u64::MAX),
            ]
        );
        let script = parse(&["s5000k", "c 9", "n18446744073709551615", "n18446744073709551616"]);
        let changed: Vec<_> = script.changed.iter().map(|c| (c.why, c.taken)).collect();
        let expected = [(Wrong::NoNumber, 5000), (Wrong::NoNumber, 0), (Wrong::TooLarge, u64::MAX)];
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_stamp_is_asked_for_by_the_first_word_only() {
        assert_eq!(parse(&["test"]).stamp, Stamp::Tai64n);
        assert_eq!(parse(&["T"]).stamp, Stamp::Seconds);
        assert_eq!(parse(&["I"]).stamp, Stamp::Date);
        assert_eq!(parse(&["", "t"]).stamp, Stamp::None);
        assert_eq!(parse(&["", "x", "Q9"]), Script::default());
    }

    #[test]
    fn everything_else_keeps_its_place() {
        let script = parse(&["-*", "+a*", "e", "=s", "F", "-", "S", "+", "=t"]);
        assert_eq!(
            script.actions,
            [
                Action::Deselect(Language::Simple, b"*"),
                Action::Select(Language::Simple, b"a*"),
                Action::Stderr,
                Action::Status(0),
                Action::Deselect(Language::Shell, b""),
                Action::Select(Language::Simple, b""),
                Action::Status(1),
            ]
        );
        assert_eq!(script.statuses, [b"s", b"t"]);
    }
}
