//! Cuts the contents of a pipe into lines.
//!
//! A line stays in the pipe until its end has come, so that the death of the copier loses nothing. A line
//! that does not fit into the pipe is cut: otherwise its writer would wait for room, and the copier for
//! the end of the line.

/// The longest line that is never cut, if the kernel lets the pipe be large enough.
pub const LONGEST: usize = 128 * 1024;

/// The capacity of a pipe in which a line of [`LONGEST`] bytes stays until its end comes.
pub const ROOM_FOR_LONGEST: usize = 512 * 1024;

/// The size of a page. A pipe counts its capacity in pages.
const PAGE: usize = 4096;

/// The beginning of a pipe's contents: a line, or a piece of a line that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The text, without a newline.
    pub text: &'a [u8],
    /// The number of its bytes in the pipe, with the newline if there is one.
    pub length: usize,
    /// More of the same line follows.
    pub is_cut: bool,
}

/// The length from which an unfinished line is cut in a pipe of this capacity.
///
/// Each page of a pipe holds a part of one write, or several short ones that fit. So two neighbouring
/// pages together hold more than one page of bytes, and a full pipe holds more than this many bytes. The
/// first page is an exception: its beginning may have been consumed.
#[must_use]
pub fn limit(capacity: usize) -> usize {
    (capacity / 2).saturating_sub(PAGE).clamp(1, LONGEST)
}

/// The first line of `seen`, the beginning of a pipe's contents; `None` if its end is still to come.
///
/// A line of `limit` bytes without an end is cut. `at_end`: nothing will come any more, and a last line
/// need not have a newline.
#[must_use]
pub fn first(seen: &[u8], limit: usize, at_end: bool) -> Option<Piece<'_>> {
    if let Some(end) = memchr::memchr(b'\n', seen) {
        return Some(Piece { text: seen.get(..end)?, length: end + 1, is_cut: false });
    }
    if seen.len() >= limit.max(1) {
        let text = whole_characters(seen);
        return Some(Piece { text, length: text.len(), is_cut: true });
    }
    let ends = at_end && !seen.is_empty();
    ends.then_some(Piece { text: seen, length: seen.len(), is_cut: false })
}

/// The text without the unfinished character at its end, if it is UTF-8.
fn whole_characters(text: &[u8]) -> &[u8] {
    for back in 1..text.len().min(4) {
        let at = text.len() - back;
        let length = match text.get(at) {
            // Inside a character.
            Some(0x80..=0xbf) => continue,
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        return if length > back { text.get(..at).unwrap_or(text) } else { text };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_waits_for_its_end() {
        assert_eq!(first(b"", 10, false), None);
        assert_eq!(first(b"", 10, true), None);
        assert_eq!(first(b"abc", 10, false), None);
        let piece = |text, length, is_cut| Some(Piece { text, length, is_cut });
        assert_eq!(first(b"abc", 10, true), piece(b"abc", 3, false));
        assert_eq!(first(b"abc\nd", 10, false), piece(b"abc", 4, false));
        assert_eq!(first(b"\n", 10, false), piece(b"", 1, false));
        assert_eq!(first(b"abc\0", 4, false), piece(b"abc\0", 4, true));
        assert_eq!(first(b"abcdef\n", 4, false), piece(b"abcdef", 7, false));
    }

    #[test]
    fn a_cut_is_between_characters() {
        for (text, whole) in [
            (&b"ab\xc3"[..], &b"ab"[..]),
            (b"ab\xc3\xa4", b"ab\xc3\xa4"),
            (b"ab\xe2\x82", b"ab"),
            (b"a\xf0\x9f\x98", b"a"),
            (b"\xf0\x9f\x98\x80", b"\xf0\x9f\x98\x80"),
            // No UTF-8.
            (b"\xc3", b"\xc3"),
            (b"\x80\x80\x80\x80", b"\x80\x80\x80\x80"),
            (b"a\xff\xff", b"a\xff\xff"),
        ] {
            assert_eq!(first(text, 1, false).map(|piece| piece.text), Some(whole), "{text:?}");
        }
    }

    #[test]
    fn every_capacity_has_a_limit() {
        assert_eq!(limit(0), 1);
        assert_eq!(limit(2 * PAGE), 1);
        assert_eq!(limit(64 * 1024), 28 * 1024);
        assert_eq!(limit(ROOM_FOR_LONGEST), LONGEST);
        assert_eq!(limit(usize::MAX), LONGEST);
    }
}
