//! Cutting text into lines.

/// The first line of `text` with its newline, or all of it if there is none; and the rest.
#[must_use]
pub fn cut(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1))
}

/// All of `text` up to the end of its last whole line.
#[must_use]
pub fn whole(text: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

/// The lines of `text` with their newlines; the last one may lack it.
pub fn pieces(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (line, rest) = cut(text);
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}
