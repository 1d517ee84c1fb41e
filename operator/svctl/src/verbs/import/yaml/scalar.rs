//! Keys, plain scalars and quoted scalars.

use super::{Parsed, Parser};

impl<'a> Parser<'a> {
    /// Refuses what begins with a character that has another meaning in YAML.
    pub(super) fn refuse_indicators(&self) -> Parsed<()> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        let what = match first {
            '&' => "an anchor (&)",
            '*' => "an alias (*)",
            '!' => "a tag (!)",
            '@' | '`' => return self.error(format!("a word that begins with {first}")),
            '%' => return self.error("a word that begins with %"),
            ',' | '[' | ']' | '{' | '}' | '|' | '>' => {
                return self.error(format!("{first} at the beginning of a word"));
            }
            '?' if is_end(rest.get(1..)) => "a complex key (?)",
            '-' if is_end(rest.get(1..)) => return self.error("a list is not expected here"),
            ':' if is_end(rest.get(1..)) => return self.error("a key is missing before the colon"),
            _ => return Ok(()),
        };
        self.error(format!("{what} is not supported"))
    }

    /// Whether a key begins here, and its colon is on the same line.
    pub(super) fn at_key(&mut self) -> Parsed<bool> {
        if self.rest().starts_with(['"', '\'']) {
            let (row, column) = (self.row, self.column);
            // A quoted value of several lines is no key, whatever its indentation.
            let read = self.quoted(0);
            let is_key = read.is_ok() && self.row == row && {
                self.skip_blanks();
                is_colon(self.rest())
            };
            (self.row, self.column) = (row, column);
            return Ok(is_key);
        }
        if self.rest().starts_with(['[', '{', '|', '>', '#']) {
            return Ok(false);
        }
        let Some(length) = colon(self.rest()) else { return Ok(false) };
        if length == 0 || self.rest().starts_with("? ") {
            self.refuse_indicators()?;
        }
        Ok(true)
    }

    /// Reads a key and its colon.
    pub(super) fn key(&mut self) -> Parsed<String> {
        let key = if self.rest().starts_with(['"', '\'']) {
            self.quoted(0)?
        } else {
            self.refuse_indicators()?;
            let length = colon(self.rest()).unwrap_or_default();
            let key = self.rest().get(..length).unwrap_or_default();
            self.column += length;
            key.trim_end().to_owned()
        };
        self.skip_blanks();
        // The caller has seen the colon.
        self.column += 1;
        Ok(key)
    }

    /// A plain scalar, with its further lines. A line end is a space, and an empty line a line end.
    pub(super) fn plain_lines(&mut self, least: usize) -> Parsed<String> {
        let mut text = self.plain_line()?.to_owned();
        loop {
            let has_comment = !self.rest().is_empty();
            self.column = self.text(self.row).len().max(1);
            let mut row = self.row + 1;
            while row < self.lines.len() && self.text(row).trim().is_empty() {
                row += 1;
            }
            let line = self.text(row);
            let indentation = line.len() - line.trim_start_matches(' ').len();
            let content = line.get(indentation..).unwrap_or_default();
            let is_marker =
                indentation == 0 && (line.starts_with("---") || line.starts_with("..."));
            if row >= self.lines.len()
                || indentation < least
                || content.starts_with('#')
                || is_marker
            {
                return Ok(text);
            }
            let empty_lines = row - self.row - 1;
            (self.row, self.column) = (row, indentation);
            if has_comment {
                return self.error("text behind a comment in a value of several lines");
            }
            if content.starts_with('\t') {
                return self.error("a tab in the indentation");
            }
            fold(&mut text, empty_lines);
            text.push_str(self.plain_line()?);
        }
    }

    /// The plain text up to a comment or the end of the line.
    fn plain_line(&mut self) -> Parsed<&'a str> {
        let rest = self.rest();
        if colon(rest).is_some() {
            return self.error("a colon and a space within a word without quotes");
        }
        let text = rest.get(..comment(rest)).unwrap_or_default();
        self.column += text.len();
        Ok(text.trim_end())
    }

    /// The plain text up to an indicator of a flow collection.
    pub(super) fn plain_in_flow(&mut self) -> &'a str {
        let rest = self.rest();
        // Only this value is searched: a line can have very many.
        let end = rest.find(|it: char| ",[]{}".contains(it)).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let text = text.get(..comment(text)).unwrap_or_default();
        let end = colon(text).unwrap_or(text.len());
        self.column += end;
        text.get(..end).unwrap_or_default().trim_end()
    }

    /// A quoted scalar, with its further lines.
    pub(super) fn quoted(&mut self, least: usize) -> Parsed<String> {
        let first = self.row;
        let is_double = self.rest().starts_with('"');
        let mut text = String::new();
        self.column += 1;
        loop {
            let (ends, is_joined) = self.quoted_line(is_double, &mut text)?;
            if ends {
                return Ok(text);
            }
            let mut row = self.row + 1;
            while row < self.lines.len() && self.text(row).trim().is_empty() {
                row += 1;
            }
            if row >= self.lines.len() {
                self.row = first;
                return self.error("a quote without its end");
            }
            let empty_lines = row - self.row - 1;
            (self.row, self.column) = (row, 0);
            self.skip_blanks();
            if self.column < least {
                return self.error("wrong indentation in a quoted text");
            }
            if is_joined {
                text.extend(std::iter::repeat_n('\n', empty_lines));
            } else {
                fold(&mut text, empty_lines);
            }
        }
    }

    /// Adds what the current line has of a quoted scalar. Whether the quote ends, and whether the
    /// line ends with a backslash, which joins it with the next one.
    fn quoted_line(&mut self, is_double: bool, text: &mut String) -> Parsed<(bool, bool)> {
        // Blanks at the end of a line do not count, unless an escape sequence made them.
        let mut length = text.len();
        loop {
            let rest = self.rest();
            let mut characters = rest.chars();
            let Some(character) = characters.next() else { break };
            let tail = characters.as_str();
            self.column += character.len_utf8();
            match character {
                '"' if is_double => return Ok((true, false)),
                '\'' if !is_double && tail.starts_with('\'') => {
                    self.column += 1;
                    text.push('\'');
                }
                '\'' if !is_double => return Ok((true, false)),
                '\\' if is_double && tail.is_empty() => return Ok((false, true)),
                '\\' if is_double => text.push(self.escape_sequence(tail)?),
                ' ' | '\t' => {
                    text.push(character);
                    continue;
                }
                _ => text.push(character),
            }
            length = text.len();
        }
        text.truncate(length);
        Ok((false, false))
    }

    /// The character of the escape sequence behind a backslash.
    fn escape_sequence(&mut self, tail: &str) -> Parsed<char> {
        let Some(letter) = tail.chars().next() else {
            return self.error("a backslash at the end");
        };
        self.column += letter.len_utf8();
        let digits = match letter {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                return match simple_escape(letter) {
                    Some(character) => Ok(character),
                    None => self.error("an unknown escape sequence"),
                };
            }
        };
        let code =
            tail.get(1..=digits).filter(|code| code.bytes().all(|it| it.is_ascii_hexdigit()));
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        let Some(character) = code.and_then(char::from_u32) else {
            return self.error("an escape sequence that is not a character");
        };
        self.column += digits;
        Ok(character)
    }
}

const fn simple_escape(letter: char) -> Option<char> {
    Some(match letter {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        ' ' | '"' | '/' | '\\' => letter,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        _ => return None,
    })
}

/// Adds the line end before a further line of a scalar.
fn fold(text: &mut String, empty_lines: usize) {
    if empty_lines == 0 {
        text.push(' ');
    }
    text.extend(std::iter::repeat_n('\n', empty_lines));
}

fn is_end(rest: Option<&str>) -> bool {
    rest.is_none_or(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn is_colon(text: &str) -> bool {
    text.starts_with(':') && is_end(text.get(1..))
}

/// The place of the colon behind a key, in a line of plain text.
fn colon(line: &str) -> Option<usize> {
    let line = line.get(..comment(line)).unwrap_or_default();
    line.match_indices(':').map(|(at, _)| at).find(|at| is_end(line.get(at + 1..)))
}

/// The place of a comment in a line of plain text, or its length.
fn comment(line: &str) -> usize {
    let is_comment = |at: &usize| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    };
    line.match_indices('#').map(|(at, _)| at).find(is_comment).unwrap_or(line.len())
}
