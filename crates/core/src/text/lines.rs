//! Splitting text into lines.

/// The first line of `text` with its newline, or all of it without one; and the rest.
#[must_use]
pub fn split_first(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1))
}

/// The complete lines of `text`: everything up to its last newline.
#[must_use]
pub fn complete(text: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

/// The lines of `text` with their newlines; the last one may lack it.
pub fn split(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (line, rest) = split_first(text);
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}
