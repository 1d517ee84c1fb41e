//! The lines of a batch that a killed logger has begun to write.

use super::router::{Outputs, Router};
use super::script::LogScript;
use crate::text::lines;
use crate::time::tai::Tai64n;
use alloc::vec;
use alloc::vec::Vec;

/// The number of output bytes that each directory still misses.
struct Missing(Vec<u64>);

impl Outputs for Missing {
    fn directory(&mut self, number: usize, text: &[u8]) {
        if let Some(missing) = self.0.get_mut(number) {
            *missing = missing.saturating_sub(text.len() as u64);
        }
    }
    fn stderr(&mut self, _: &[u8]) {}
    fn status(&mut self, _: usize, _: &[u8]) {}
}

/// The length of the shortest beginning of a batch that consists of whole lines, and whose output
/// includes all bytes that the directories contain.
///
/// `text` is the held text, `held` bytes long, and the batch. If there is held text, its line
/// counts as begun. `moment` is the time in the stamps. `written` is the number of output bytes in
/// each directory, by number.
#[must_use]
pub fn length_of_begun_lines(
    script: &LogScript<'_>,
    text: &[u8],
    held: usize,
    moment: Tai64n,
    written: impl Iterator<Item = u64>,
) -> usize {
    let mut missing = Missing(vec![0; script.directories.len()]);
    for (place, written) in missing.0.iter_mut().zip(written) {
        *place = written;
    }
    let mut router = Router::new(script);
    let mut rest = text;
    let done = |rest: &[u8]| text.len() - rest.len();
    while !rest.is_empty() && (done(rest) < held || missing.0.iter().any(|bytes| *bytes > 0)) {
        let (line, next) = lines::split_first(rest);
        router.route(line, moment, &mut missing);
        rest = next;
    }
    done(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(args: &[&str], text: &str, held: usize, written: &[u64]) -> usize {
        let script = LogScript::parse(args.iter().map(|arg| arg.as_bytes()));
        let moment = Tai64n::default();
        length_of_begun_lines(&script, text.as_bytes(), held, moment, written.iter().copied())
    }

    #[test]
    fn a_line_of_which_a_byte_is_written_is_begun() {
        let text = "one\ntwo\nthree\n";
        for (written, begun) in
            [(0, 0), (1, 4), (4, 4), (5, 8), (8, 8), (9, 14), (14, 14), (99, 14)]
        {
            assert_eq!(length(&["./d"], text, 0, &[written]), begun, "{written}");
        }
        // A stamp has 26 bytes.
        assert_eq!(length(&["t", "./d"], text, 0, &[30]), 4);
        assert_eq!(length(&["t", "./d"], text, 0, &[31]), 8);
    }

    #[test]
    fn the_directory_that_is_ahead_decides() {
        let text = "one\ntwo\nthree\n";
        let script = ["./d", "-two", "./e"];
        assert_eq!(length(&script, text, 0, &[0, 4]), 4);
        assert_eq!(length(&script, text, 0, &[4, 5]), 14);
        assert_eq!(length(&script, text, 0, &[8, 0]), 8);
    }

    #[test]
    fn the_line_of_the_held_text_is_begun() {
        assert_eq!(length(&["./d"], "one\ntwo\n", 2, &[0]), 4);
        assert_eq!(length(&["-*", "./d"], "one\ntwo\n", 2, &[0]), 4);
    }
}
