//! What a person sees: colours, columns, and the width of the terminal.

pub(crate) use crate::escape::escape;
pub(crate) use crate::folding::{fold, shortened};

use crate::escape::{escaped_json, guarded};
use crate::failure::{Failure, USAGE};
use crate::folding::width_of;
use serde_json::Value;
use std::env;
use std::io::{self, IsTerminal as _};
use unicode_width::UnicodeWidthStr as _;

/// The colours that svctl uses. Each state also has a symbol and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
    Cyan,
    Dim,
    Bold,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Cyan => "36",
            Self::Dim => "2",
            Self::Bold => "1",
        }
    }
}

/// When to use colours: `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ColourChoice {
    #[default]
    Auto,
    Always,
    Never,
}

impl ColourChoice {
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(Failure::new(
                USAGE,
                format!("unable to use --color {word}: not auto, always or never"),
            )),
        }
    }
}

/// The properties of standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    /// Whether colours may be used.
    pub(crate) coloured: bool,
    /// The columns of the terminal.
    pub(crate) width: usize,
}

impl Output {
    pub(crate) fn new(choice: ColourChoice) -> Self {
        let terminal = io::stdout().is_terminal();
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let capable = env::var_os("TERM").is_none_or(|term| term != "dumb");
        let coloured = match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => terminal && capable && !is_set("NO_COLOR"),
        };
        Self { terminal, coloured, width: width_of(io::stdout()) }
    }

    /// The width at which long lines are folded: programs get whole lines.
    pub(crate) fn fold_width(&self) -> Option<usize> {
        self.terminal.then_some(self.width)
    }

    /// The text in a colour, if there are colours.
    pub(crate) fn paint(&self, colour: Option<Colour>, text: &str) -> String {
        match colour.filter(|_| self.coloured && !text.is_empty()) {
            Some(colour) => format!("\x1b[{}m{text}\x1b[0m", colour.code()),
            None => text.to_owned(),
        }
    }
}

/// The text with spaces behind it, up to a number of columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// A text with a capital letter at its beginning.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

/// A text behind a heading, in lines of at most `width` columns; further lines are indented. A longer
/// word gets a line of its own.
pub(crate) fn wrap(heading: &str, indent: usize, text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = heading.to_owned();
    let mut is_empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !is_empty && current.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent)));
            is_empty = true;
        }
        if !is_empty {
            current.push(' ');
        }
        current.push_str(word);
        is_empty = false;
    }
    lines.push(current);
    lines
}

/// Prints a line to standard output. A reader that has gone ends svctl quietly, as it ends `cat`.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints lines to standard output with one write, as far as the system takes it.
pub(crate) fn lines(lines: &[String]) {
    print(&lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>());
}

/// Prints an object as a line of JSON.
pub(crate) fn json_line(object: &Value) {
    line(&escaped_json(object));
}

/// Prints a text with one write, as far as the system takes it.
///
/// Programs get the text as it is. A terminal obeys some characters, so none of another user passes.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let mut out = io::stdout();
    let text = if out.is_terminal() { guarded(text) } else { text.into() };
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // EPIPE, a full disk: the rest would not arrive either.
        if error.kind() != io::ErrorKind::BrokenPipe {
            crate::failure::warn(&format!(
                "unable to write output: {}",
                crate::failure::reason(&error)
            ));
        }
        std::process::exit(crate::failure::CANNOT.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_at_words() {
        assert_eq!(wrap("a: ", 3, "one two  three", 10), ["a: one two", "   three"]);
        assert_eq!(wrap("", 2, "abcdefghijkl x", 5), ["abcdefghijkl", "  x"]);
        assert_eq!(wrap("h", 1, "", 5), ["h"]);
    }

    #[test]
    fn padding_counts_columns() {
        assert_eq!(pad("é", 3), "é  ");
        assert_eq!(pad("日本", 3), "日本");
        assert_eq!(pad("日本", 5), "日本 ");
    }
}
