//! Shared code of the fuzz targets: the splitting of inputs, and reference implementations.
//!
//! The references are written from the manual pages, as simply as possible. They share no code with
//! the implementations that they are compared with.

pub mod lines;
pub mod pattern;
pub mod tai64nlocal;

/// The byte between the parts of an input.
pub const SEPARATOR: u8 = 0xff;

/// Splits an input into `N` parts. The last one has the rest, and missing parts are empty.
#[must_use]
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&c| c == SEPARATOR);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Splits a text into pieces of the given sizes, which repeat. Sizes from 200 on count eightfold.
/// Without sizes there is one piece.
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

/// A label from the first bytes of a text.
#[must_use]
pub fn moment(text: &[u8]) -> daemontools_core::time::tai::Tai64n {
    let mut bytes = [0; 12];
    for (place, byte) in bytes.iter_mut().zip(text) {
        *place = *byte;
    }
    daemontools_core::time::tai::Tai64n::from_bytes(bytes)
}

/// Checks that the text contains no control characters, which a terminal would obey.
pub fn assert_harmless(text: &[u8]) {
    assert!(!text.iter().any(u8::is_ascii_control), "{}", text.escape_ascii());
}
