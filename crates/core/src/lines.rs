//! Cutting text into lines.

/// The lines of `text` with their newlines; the last one may lack it.
pub fn pieces(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
        let (line, rest) = text.split_at(end);
        text = rest;
        Some(line)
    })
}
