//! The syntax that option files share: one value, or lines of words.

/// The value of a file that holds one: its first line, without blanks at both ends.
pub(super) fn value(text: &[u8]) -> &[u8] {
    text.split(|&c| c == b'\n').next().unwrap_or_default().trim_ascii()
}

/// The lines of a file without blanks at both ends, with their numbers counted from 1.
///
/// Empty lines and comments, which begin with `#`, are left out.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|&c| c == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// The words of a line, which blanks separate.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The first word of a line that begins with a word, and the text after its blanks.
pub(super) fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii())
}

/// The key of a word `key=value` with its equal sign, and the value; an empty key without one.
pub(super) fn key_and_value(word: &[u8]) -> (&[u8], &[u8]) {
    word.split_at(word.iter().position(|&c| c == b'=').map_or(0, |at| at + 1))
}
