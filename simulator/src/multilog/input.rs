//! The text that the writer of a scenario writes.

use crate::random::Random;
use std::time::Duration;

/// Lines in which no part occurs twice.
pub struct Input {
    seed: u64,
    /// The text.
    pub text: Vec<u8>,
}

/// What the writer does next.
pub enum Piece<'a> {
    /// It writes this with one call.
    Text(&'a [u8]),
    /// It waits.
    Pause(Duration),
}

impl Input {
    /// The input of a seed, with this many lines.
    #[must_use]
    pub fn new(seed: u64, lines: usize) -> Self {
        let mut random = Random::new(seed);
        let mut text = Vec::new();
        for n in 0..lines {
            let length = match random.below(20) {
                0 => 1000 + random.below(2500),
                1 => 0,
                _ => 10 + random.below(120),
            };
            let start = text.len();
            text.extend(format!("{n}:").bytes());
            while text.len() - start < usize::try_from(length).unwrap_or(0) {
                text.extend(format!("{n}.{} ", text.len() - start).bytes());
            }
            text.push(b'\n');
        }
        Self { seed, text }
    }

    /// The length of the longest line.
    #[must_use]
    pub fn longest_line(&self) -> usize {
        self.text.split_inclusive(|c| *c == b'\n').map(<[u8]>::len).max().unwrap_or(0)
    }

    /// The pieces in which the writer writes the text from a place on.
    pub fn pieces(&self, from: usize, end: usize) -> impl Iterator<Item = Piece<'_>> {
        let mut random = Random::new(!self.seed ^ from as u64);
        // A flood, or single lines, or both.
        let largest = random.one_of(&[10, 100, 1000, 5000, 40_000]);
        let pauses = random.one_of(&[2, 3, 20, 1000]);
        let mut rest = self.text.get(from..end).unwrap_or_default();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            if random.one_in(pauses) {
                let milliseconds = random.one_of(&[1, 10, 100, 1500]);
                return Some(Piece::Pause(Duration::from_millis(milliseconds)));
            }
            let length = 1 + usize::try_from(random.below(largest)).unwrap_or(0);
            let (piece, others) = rest.split_at(length.min(rest.len()));
            rest = others;
            Some(Piece::Text(piece))
        })
    }
}
