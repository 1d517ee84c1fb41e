//! What a script asks for, read again and without the product's code.

/// The length of a stamp of `t`, with the space.
const STAMP: usize = 26;

/// Patterns and status files see this much of a line, the stamp included.
pub const HEAD: usize = 1000;

/// The patterns before an action: whether each selects, and its text.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    patterns: Vec<(bool, Vec<u8>)>,
    has_stamps: bool,
}

/// An output directory.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The path from the root.
    pub path: String,
    /// The most bytes of a file.
    pub size: usize,
    /// The most files.
    pub files: usize,
    /// The lines that it gets.
    pub selection: Selection,
}

/// A status file.
#[derive(Clone, Debug)]
pub struct StatusFile {
    /// The path from the root.
    pub path: String,
    /// The lines that it shows.
    pub selection: Selection,
}

/// The outputs of a script.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Lines have stamps.
    pub has_stamps: bool,
    /// The directories in the order of the script.
    pub directories: Vec<Directory>,
    /// The status files in the order of the script.
    pub status_files: Vec<StatusFile>,
}

/// Whether a pattern matches, as multilog(8) describes it: a star takes everything up to the first byte
/// that follows it in the pattern.
fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    while let Some((first, rest)) = pattern.split_first() {
        pattern = rest;
        if *first == b'*' {
            let Some(next) = rest.first() else { return true };
            let Some(at) = text.iter().position(|c| c == next) else { return false };
            text = &text[at..];
        } else {
            let Some(rest) = text.strip_prefix(&[*first]) else { return false };
            text = rest;
        }
    }
    text.is_empty()
}

impl Selection {
    /// Whether it selects a line, which has no newline and no stamp. The patterns of the scenarios do not
    /// depend on the stamp.
    #[must_use]
    pub fn selects(&self, line: &[u8]) -> bool {
        let seen = if self.has_stamps { HEAD - STAMP } else { HEAD };
        let head = &line[..line.len().min(seen)];
        self.patterns.iter().fold(true, |selected, (selects, pattern)| {
            if selected != *selects && matches(pattern, head) { *selects } else { selected }
        })
    }

    /// Whether it selects all lines.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl Outputs {
    /// The outputs of a script.
    #[must_use]
    pub fn new(script: &[String]) -> Self {
        let has_stamps = script.first().is_some_and(|first| first == "t");
        let mut outputs = Self { has_stamps, ..Self::default() };
        let mut selection = Selection { patterns: Vec::new(), has_stamps };
        let (mut size, mut files) = (99_999, 10);
        for argument in script {
            let (first, rest) = argument.split_at(argument.len().min(1));
            match first {
                "s" => size = rest.parse().unwrap_or(0),
                "n" => files = rest.parse().unwrap_or(0),
                "-" | "+" => selection.patterns.push((first == "+", rest.into())),
                "=" => outputs
                    .status_files
                    .push(StatusFile { path: format!("/{rest}"), selection: selection.clone() }),
                "." => outputs.directories.push(Directory {
                    path: rest.into(),
                    size,
                    files,
                    selection: selection.clone(),
                }),
                _ => {}
            }
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_manual() {
        for (pattern, text, wanted) in [
            ("a*b", "axxb", true),
            ("a*b", "axbxb", false),
            ("*ab*", "xab", true),
            ("*ab*", "aab", false),
            ("**", "x*y", true),
            ("**", "x", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
        }
    }
}
