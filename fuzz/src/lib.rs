//! What the targets share: how an input is cut up, and the references which answers are compared
//! with. These are written for being evidently right, from the manual, and share no code with what
//! they judge.

pub mod lines;
pub mod local;
pub mod pattern;

/// What stands between the parts of an input.
pub const SEPARATOR: u8 = 0xff;

/// The input in `N` parts, of which the last has all that is left; parts that are not there are
/// empty.
#[must_use]
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&c| c == SEPARATOR);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A text in pieces whose sizes are these, again and again; large numbers mean much larger pieces.
/// Without sizes it is one piece.
#[must_use]
pub fn pieces<'a>(mut text: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut all = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !text.is_empty() {
        let size = sizes.next().map_or(text.len(), |&n| match n {
            0..200 => 1 + usize::from(n),
            _ => usize::from(n) * 8,
        });
        let (piece, rest) = text.split_at(size.min(text.len()));
        all.push(piece);
        text = rest;
    }
    all
}

/// A moment, from the bytes at the front of a text.
#[must_use]
pub fn moment(text: &[u8]) -> daemontools_core::tai::Tai64n {
    let mut bytes = [0; 12];
    for (place, byte) in bytes.iter_mut().zip(text) {
        *place = *byte;
    }
    daemontools_core::tai::Tai64n::from_bytes(bytes)
}

/// Checks that nothing in it does more to a terminal than to be seen.
pub fn assert_harmless(text: &[u8]) {
    assert!(!text.iter().any(u8::is_ascii_control), "{}", text.escape_ascii());
}
