//! Patterns, of two kinds. The original's are anchored at both ends, and a star takes every byte
//! up to the next one that the pattern names; there is no going back. The shell's are those of
//! fnmatch, which daemontools-encore knows as well.

/// How far a pattern of the original's kind has come in a line. It takes a line in parts, so that
/// a stamp need not be copied in front of it, and what all lines of a batch begin with is looked
/// at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The next byte has to be the first of these; without one, the line has to end here.
    Literal(&'a [u8]),
    /// Everything is passed over up to the first of these, of which there is at least one.
    Star(&'a [u8]),
    /// A star at the end takes everything.
    All,
    /// It does not match, whatever follows.
    Failed,
}

impl<'a> Progress<'a> {
    /// A pattern before the first byte of a line.
    #[must_use]
    pub fn new(pattern: &'a [u8]) -> Self {
        match pattern {
            [b'*'] => Self::All,
            [b'*', rest @ ..] => Self::Star(rest),
            literal => Self::Literal(literal),
        }
    }

    /// After the next part of the line.
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
                    // A star is looked for as a byte, and is a star again where it is found.
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

    /// Whether the pattern matches, now that the line is over.
    #[must_use]
    pub const fn matches(self) -> bool {
        matches!(self, Self::Literal(&[]) | Self::All)
    }
}

/// Whether a pattern of the shell's kind matches a line: `*`, `?`, `[a-z]`, `[!a-z]` with classes
/// like `[:digit:]`, and `\` before a byte that stands for itself. A slash or a period is a byte
/// like others, and a byte is a character.
#[must_use]
pub fn shell_matches(pattern: &[u8], line: &[u8]) -> bool {
    let (mut pattern, mut line) = (pattern, line);
    // Where to go on when what follows the last star does not match: one byte further.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            pattern = rest;
            again = Some((rest, line));
            continue;
        }
        let next = match (pattern.is_empty(), line.split_first()) {
            (true, None) => return true,
            (false, Some((&byte, rest))) => one(pattern, byte).map(|left| (left, rest)),
            (true, Some(_)) | (false, None) => None,
        };
        match (next, again) {
            (Some((left, rest)), _) => (pattern, line) = (left, rest),
            (None, Some((after_star, from))) => {
                let Some((_, further)) = from.split_first() else {
                    return false;
                };
                again = Some((after_star, further));
                (pattern, line) = (after_star, further);
            }
            (None, None) => return false,
        }
    }
}

/// What is left of a pattern, which does not begin with a star, if its first element takes `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        // Without its end, a bracket is a byte like others.
        [b'[', rest @ ..] => match bracket(rest, byte) {
            Some((takes, rest)) => takes.then_some(rest),
            None => (byte == b'[').then_some(rest),
        },
        [b'\\', escaped, rest @ ..] => (*escaped == byte).then_some(rest),
        // fnmatch: a backslash at the very end matches nothing.
        [b'\\'] | [] => None,
        [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether a bracket, whose text begins behind the `[`, takes `byte`; and what follows it. `None`
/// without an end.
fn bracket(text: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut text) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut takes = false;
    let mut first = true;
    loop {
        if let [b']', rest @ ..] = text
            && !first
        {
            return Some((takes != negated, rest));
        }
        first = false;
        if let Some((class, rest)) = class_name(text) {
            takes |= in_class(class, byte);
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
        takes |= (low..=high).contains(&byte);
    }
}

/// A member of a bracket, and what follows.
fn member(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// The name in a `[:name:]` at the beginning of a text, and what follows it.
fn class_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"[:")?;
    let end = memchr::memmem::find(text, b":]")?;
    Some((text.get(..end)?, text.get(end + 2..)?))
}

const fn in_class(name: &[u8], byte: u8) -> bool {
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
mod tests {
    use super::*;

    /// The same answer, however the line is cut.
    fn matches(pattern: &str, line: &str) -> bool {
        let whole = Progress::new(pattern.as_bytes()).feed(line.as_bytes()).matches();
        for at in 0..=line.len() {
            let (a, b) = line.as_bytes().split_at(at);
            assert_eq!(Progress::new(pattern.as_bytes()).feed(a).feed(b).matches(), whole);
        }
        whole
    }

    #[test]
    fn the_specs_table() {
        for (pattern, yes, no) in [
            ("a*b", &["axxb", "ab"][..], &["axbxb", "xab"][..]),
            ("*ab*", &["xab", "abz", "ab"], &["aab", ""]),
            ("**", &["x*y", "*"], &["xy", ""]),
            ("*a", &["bca", "a"], &["aba", ""]),
            ("", &[""], &["x"]),
            ("*", &["", "x", "**"], &[]),
            ("a**", &["a*", "ax*y"], &["a", "ax"]),
            ("***", &["*", "a*b*c"], &["a", ""]),
        ] {
            for line in yes {
                assert!(matches(pattern, line), "{pattern} {line}");
            }
            for line in no {
                assert!(!matches(pattern, line), "{pattern} {line}");
            }
        }
    }

    #[test]
    fn the_shells_patterns() {
        for (pattern, yes, no) in [
            ("*ab*", &["aab", "ab", "xaby"][..], &["a", "ba"][..]),
            ("a*b*c", &["abc", "axbxbxc"], &["ab", "abcx"]),
            ("?x?", &["axb", "/x."], &["xx", "axbc"]),
            ("[a-c]", &["a", "b", "c"], &["d", "", "-", "aa"]),
            ("[!a-c]", &["d", "]", "["], &["a", ""]),
            ("[^a]", &["b"], &["a"]),
            ("[]]", &["]"], &["["]),
            ("[]a]x", &["]x", "ax"], &["[x"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[[:digit:][:upper:]_]*", &["1", "Zx", "_"], &["a", ""]),
            ("[\\]]", &["]"], &["\\"]),
            ("\\*\\?", &["*?"], &["ab", "\\*\\?"]),
            ("[", &["["], &["a", ""]),
            ("[a", &["[a"], &["a"]),
            ("a\\", &[], &["a", "a\\"]),
            ("", &[""], &["a"]),
            ("**", &["", "abc"], &[]),
            ("*.log: *err*", &["x/y.log: an error"], &["x.log error"]),
        ] {
            for line in yes {
                assert!(shell_matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
            }
            for line in no {
                assert!(!shell_matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
            }
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = b"*a".repeat(40);
        let line = b"a".repeat(1000);
        assert!(shell_matches(&pattern, &line));
        let pattern = [&pattern[..], b"b"].concat();
        assert!(!shell_matches(&pattern, &line));
    }
}
