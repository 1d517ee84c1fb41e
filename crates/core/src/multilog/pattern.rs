//! Patterns, in two syntaxes.
//!
//! A simple pattern, the original's, matches a whole line. A star passes over all bytes up to the
//! first byte that equals the next byte of the pattern, and the matcher tries no other place.
//! A shell pattern is one of fnmatch(3), as in daemontools-encore.

/// The state of a simple pattern within a line.
///
/// The matcher accepts a line in parts: the caller need not copy the stamp before the line, and
/// matches a stamp that many lines share once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimpleMatcher<'a> {
    /// The next byte must equal the first of these; if there is none, the line must end here.
    Literal(&'a [u8]),
    /// The matcher passes over all bytes up to the first of these, of which there is at least one.
    Star(&'a [u8]),
    /// The pattern matches, whatever follows.
    All,
    /// The pattern does not match, whatever follows.
    Failed,
}

impl<'a> SimpleMatcher<'a> {
    /// Creates the matcher at the beginning of a line.
    #[must_use]
    pub fn new(pattern: &'a [u8]) -> Self {
        match pattern {
            [b'*'] => Self::All,
            [b'*', rest @ ..] => Self::Star(rest),
            literal => Self::Literal(literal),
        }
    }

    /// Passes over the next part of the line.
    #[must_use]
    pub fn feed(mut self, mut part: &[u8]) -> Self {
        loop {
            match self {
                Self::Literal(pattern) => {
                    let Some((&byte, rest)) = part.split_first() else {
                        return self;
                    };
                    self = match pattern.split_first() {
                        Some((&wanted, left)) if wanted == byte => Self::new(left),
                        _ => return Self::Failed,
                    };
                    part = rest;
                }
                Self::Star(pattern) => {
                    let Some((&wanted, left)) = pattern.split_first() else {
                        return Self::All;
                    };
                    let Some(at) = memchr::memchr(wanted, part) else {
                        return self;
                    };
                    // After a star, a second star stands for the byte `*`, and acts as a star again
                    // from that byte on.
                    if wanted == b'*' {
                        self = Self::new(pattern);
                        part = part.get(at..).unwrap_or_default();
                    } else {
                        self = Self::new(left);
                        part = part.get(at + 1..).unwrap_or_default();
                    }
                }
                Self::All | Self::Failed => return self,
            }
        }
    }

    /// Whether the pattern matches a line that ends here.
    #[must_use]
    pub const fn matches(self) -> bool {
        matches!(self, Self::Literal(&[]) | Self::All)
    }
}

/// Whether a shell pattern matches a line.
///
/// The pattern may contain `*`, `?`, `[a-z]`, `[!a-z]` with classes such as `[:digit:]`, and `\`
/// before a literal byte. Slashes and periods are ordinary bytes. Each byte is a character.
#[must_use]
pub fn shell_matches(pattern: &[u8], line: &[u8]) -> bool {
    let (mut pattern, mut line) = (pattern, line);
    // The pattern after the last star, and the place where it was last tried.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            pattern = rest;
            retry = Some((rest, line));
            continue;
        }
        let next = match (pattern.is_empty(), line.split_first()) {
            (true, None) => return true,
            (false, Some((&byte, rest))) => match_byte(pattern, byte).map(|left| (left, rest)),
            (true, Some(_)) | (false, None) => None,
        };
        match (next, retry) {
            (Some((left, rest)), _) => (pattern, line) = (left, rest),
            (None, Some((after_star, from))) => {
                let Some((_, further)) = from.split_first() else {
                    return false;
                };
                retry = Some((after_star, further));
                (pattern, line) = (after_star, further);
            }
            (None, None) => return false,
        }
    }
}

/// Matches `byte` with the first element of a pattern, which is no star; returns the rest of the
/// pattern if it matches.
fn match_byte(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        // A bracket without an end is an ordinary byte.
        [b'[', rest @ ..] => match bracket(rest, byte) {
            Some((matches, rest)) => matches.then_some(rest),
            None => (byte == b'[').then_some(rest),
        },
        [b'\\', escaped, rest @ ..] => (*escaped == byte).then_some(rest),
        // fnmatch(3): a backslash at the end matches nothing.
        [b'\\'] | [] => None,
        [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Matches `byte` with a bracket expression, whose text begins after the `[`. Returns the result
/// and the text after the expression; `None` if the expression has no end.
fn bracket(text: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut text) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut matches = false;
    let mut first = true;
    loop {
        if let [b']', rest @ ..] = text
            && !first
        {
            return Some((matches != negated, rest));
        }
        first = false;
        if let Some((class, rest)) = class_name(text) {
            matches |= is_in_class(class, byte);
            text = rest;
            continue;
        }
        let (low, rest) = member(text)?;
        text = rest;
        let mut high = low;
        if let [b'-', end, ..] = text
            && *end != b']'
        {
            (high, text) = member(text.get(1..)?)?;
        }
        matches |= (low..=high).contains(&byte);
    }
}

/// The first member of a bracket expression, and the text after it.
fn member(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// The name in a `[:name:]` at the beginning of `text`, and the text after it.
fn class_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"[:")?;
    let end = memchr::memmem::find(text, b":]")?;
    Some((text.get(..end)?, text.get(end + 2..)?))
}

const fn is_in_class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
