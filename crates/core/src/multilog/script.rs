//! The script: the actions and settings in multilog's arguments.

use alloc::vec::Vec;

/// The smallest maximum size of a file, in bytes.
pub const SMALLEST_SIZE: u64 = 4096;

/// The maximum size of a file without the action `s`, in bytes.
pub const DEFAULT_SIZE: u64 = 99_999;

/// The maximum number of files without the action `n`.
pub const DEFAULT_FILES: u64 = 10;

/// The smallest maximum number of files.
pub const FEWEST_FILES: u64 = 2;

/// The stamp before each line. The first argument selects it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// No stamp.
    #[default]
    None,
    /// `t`: a TAI64N label.
    Tai64n,
    /// `T`, from daemontools-encore: seconds since 1970 with microseconds, as accustamp(1) writes.
    Seconds,
    /// `I`: date and time in UTC with microseconds, in the format of ISO 8601.
    Date,
}

/// The syntax of patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// The original's syntax: see [`super::pattern::SimpleMatcher`].
    Simple,
    /// The syntax of fnmatch(3): see [`super::pattern::shell_matches`].
    Shell,
}

/// One action of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptAction<'a> {
    /// `-`: deselect a selected line that matches.
    Deselect(Syntax, &'a [u8]),
    /// `+`: select a deselected line that matches.
    Select(Syntax, &'a [u8]),
    /// `e`: copy a selected line to standard error.
    Stderr,
    /// `=`: show a selected line in the status file with this number.
    Status(usize),
    /// `.` or `/`: append a selected line to the output directory with this number.
    Directory(usize),
}

/// The name and the settings of an output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectorySettings<'a> {
    /// The name, as given.
    pub name: &'a [u8],
    /// The maximum size of a file in bytes.
    pub size: u64,
    /// The maximum number of files: `current` and the old files.
    pub files: u64,
    /// The maximum total size of the old files in bytes.
    pub total: Option<u64>,
    /// The period after which a new file begins, in seconds. Periods start at multiples of their
    /// length since 1970: 3600 is every full hour.
    pub period: Option<u64>,
    /// The maximum number of lines a second; the directory counts the others.
    pub rate: Option<u64>,
    /// The code in the names of complete files.
    pub code: &'a [u8],
    /// The command that processes full files.
    pub processor: Option<&'a [u8]>,
}

impl<'a> DirectorySettings<'a> {
    /// The default settings.
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

/// The reason why another number replaces the number in an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// The number is below the minimum.
    TooSmall,
    /// The number exceeds 64 bits.
    TooLarge,
    /// Other text follows the digits.
    NotANumber,
}

/// A number that another one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacedNumber<'a> {
    /// The argument.
    pub arg: &'a [u8],
    /// The reason.
    pub error: NumberError,
    /// The number in use.
    pub used: u64,
}

/// The reason why the parser ignores an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// No action begins with this byte.
    Unknown,
    /// A stamp after the first argument.
    LateStamp,
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogScript<'a> {
    /// The stamp before each line.
    pub stamp: Stamp,
    /// The actions, in the order of the arguments.
    pub actions: Vec<ScriptAction<'a>>,
    /// The names of the status files.
    pub statuses: Vec<&'a [u8]>,
    /// The output directories.
    pub directories: Vec<DirectorySettings<'a>>,
    /// The numbers that others replace.
    pub replaced_numbers: Vec<ReplacedNumber<'a>>,
    /// The arguments that have no effect, except empty ones.
    pub ignored: Vec<(&'a [u8], Ignored)>,
}

impl<'a> LogScript<'a> {
    /// Parses the arguments. As in the original, no argument is an error: the parser ignores
    /// unknown ones, and lists them for a warning.
    pub fn parse(args: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut script = LogScript::default();
        let mut settings = DirectorySettings::default_for(b"");
        let mut syntax = Syntax::Simple;
        for (n, arg) in args.enumerate() {
            let Some((&first, rest)) = arg.split_first() else {
                continue;
            };
            match first {
                b't' if n == 0 => script.stamp = Stamp::Tai64n,
                b'T' if n == 0 => script.stamp = Stamp::Seconds,
                b'I' if n == 0 => script.stamp = Stamp::Date,
                b'F' => syntax = Syntax::Shell,
                b'S' => syntax = Syntax::Simple,
                b'-' => script.actions.push(ScriptAction::Deselect(syntax, rest)),
                b'+' => script.actions.push(ScriptAction::Select(syntax, rest)),
                b'e' => script.actions.push(ScriptAction::Stderr),
                b'=' => {
                    script.actions.push(ScriptAction::Status(script.statuses.len()));
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
                    script.actions.push(ScriptAction::Directory(script.directories.len()));
                    script.directories.push(DirectorySettings { name: arg, ..settings });
                }
                b't' | b'T' | b'I' => script.ignored.push((arg, Ignored::LateStamp)),
                _ => script.ignored.push((arg, Ignored::Unknown)),
            }
        }
        script
    }

    /// Parses the number after the letter, which is at least `smallest`. Unlike the original's, it
    /// does not wrap around.
    fn number(&mut self, arg: &'a [u8], smallest: u64) -> u64 {
        let text = arg.get(1..).unwrap_or_default();
        let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
        let exact = text
            .iter()
            .take(end)
            .try_fold(0, |n: u64, c| n.checked_mul(10)?.checked_add(u64::from(c - b'0')));
        let used = exact.unwrap_or(u64::MAX).max(smallest);
        let error = match exact {
            None => Some(NumberError::TooLarge),
            Some(number) if number < smallest => Some(NumberError::TooSmall),
            Some(_) if end < text.len() => Some(NumberError::NotANumber),
            Some(_) => None,
        };
        self.replaced_numbers.extend(error.map(|error| ReplacedNumber { arg, error, used }));
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn parse<'a>(args: &[&'a str]) -> LogScript<'a> {
        LogScript::parse(args.iter().map(|a| a.as_bytes()))
    }

    #[test]
    fn settings_apply_to_later_directories() {
        let script = parse(&[
            "t", "s5000", "./a", "s12k", "n1", "!cat", "wx", "c9", "a60", "R5", "/b", "n3", "n",
        ]);
        assert_eq!(script.stamp, Stamp::Tai64n);
        let a = DirectorySettings { size: 5000, ..DirectorySettings::default_for(b"./a") };
        let b = DirectorySettings {
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
        assert_eq!(script.actions, [ScriptAction::Directory(0), ScriptAction::Directory(1)]);
    }

    #[test]
    fn unusable_numbers_are_replaced_and_reported() {
        let script = parse(&["s12k", "n1", "s16777216", "n10", "a", "s99999999999999999999"]);
        let replaced: Vec<_> =
            script.replaced_numbers.iter().map(|n| (n.arg, n.error, n.used)).collect();
        let small = NumberError::TooSmall;
        assert_eq!(
            replaced,
            [
                (&b"s12k"[..], small, 4096),
                (b"n1", small, 2),
                (b"a", small, 1),
                (b"s99999999999999999999", NumberError::TooLarge, u64::MAX),
            ]
        );
        let script = parse(&["s5000k", "c 9", "n18446744073709551615", "n18446744073709551616"]);
        let replaced: Vec<_> = script.replaced_numbers.iter().map(|n| (n.error, n.used)).collect();
        let expected = [
            (NumberError::NotANumber, 5000),
            (NumberError::NotANumber, 0),
            (NumberError::TooLarge, u64::MAX),
        ];
        assert_eq!(replaced, expected);
    }

    #[test]
    fn only_the_first_argument_selects_a_stamp() {
        assert_eq!(parse(&["test"]).stamp, Stamp::Tai64n);
        assert_eq!(parse(&["T"]).stamp, Stamp::Seconds);
        assert_eq!(parse(&["I"]).stamp, Stamp::Date);
        assert_eq!(parse(&["", "t"]).stamp, Stamp::None);
        let ignored: Vec<(&[u8], Ignored)> =
            vec![(b"x", Ignored::Unknown), (b"Q9", Ignored::Unknown), (b"t", Ignored::LateStamp)];
        assert_eq!(parse(&["", "x", "Q9", "t"]), LogScript { ignored, ..LogScript::default() });
    }

    #[test]
    fn actions_keep_their_order() {
        let script = parse(&["-*", "+a*", "e", "=s", "F", "-", "S", "+", "=t"]);
        assert_eq!(
            script.actions,
            [
                ScriptAction::Deselect(Syntax::Simple, b"*"),
                ScriptAction::Select(Syntax::Simple, b"a*"),
                ScriptAction::Stderr,
                ScriptAction::Status(0),
                ScriptAction::Deselect(Syntax::Shell, b""),
                ScriptAction::Select(Syntax::Simple, b""),
                ScriptAction::Status(1),
            ]
        );
        assert_eq!(script.statuses, [b"s", b"t"]);
    }
}
