//! The text of option files: values, lines, words.

/// The first line, without blanks at both ends.
pub(super) fn first(text: &[u8]) -> &[u8] {
    text.split(|&c| c == b'\n').next().unwrap_or_default().trim_ascii()
}

/// The lines that mean something, without blanks at both ends, and their numbers from 1 on.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|&c| c == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// What is between the blanks of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The first word of a line that begins with one, and what follows its blanks.
pub(super) fn head(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii())
}
