//! Long lines in a terminal: folded at its width, or shortened.

use std::os::fd::AsFd;
use unicode_width::UnicodeWidthStr as _;

/// The columns of a terminal; 80 if it does not say.
pub(crate) fn width_of(terminal: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal).ok();
    let width = size.map_or(0, |size| usize::from(size.ws_col));
    if width == 0 { 80 } else { width }
}

/// A text behind a heading, in lines of at most `width` columns, with all its spaces; further lines are
/// indented. Lines end at a space where there is one, and words that are longer than a line are cut.
/// Without a width it stays one line.
pub(crate) fn fold(heading: &str, indent: usize, text: &str, width: Option<usize>) -> Vec<String> {
    let mut rest = format!("{heading}{text}");
    let Some(width) = width else { return vec![rest] };
    let mut folded = Vec::new();
    let indent = indent.min(width / 2);
    while end_of(&rest, width, 0) < rest.len() {
        // Each line takes at least one character behind the spaces.
        let least = if folded.is_empty() { 0 } else { indent };
        let fits = end_of(&rest, width, least);
        let head = rest.get(..fits).unwrap_or_default();
        let begin = indent.max(heading.len()).min(fits);
        let space = head.get(begin..).and_then(|part| part.rfind(' ')).map(|at| begin + at);
        // Lines of half the width look worse than a word in two parts.
        let at = space.filter(|at| *at > width / 2).unwrap_or(fits);
        let tail = rest.split_off(at);
        if tail.is_empty() {
            break;
        }
        folded.push(rest.trim_end_matches(' ').to_owned());
        rest = format!("{}{}", " ".repeat(indent), tail.trim_start_matches(' '));
    }
    folded.push(rest);
    folded
}

/// The bytes of a text that fit into a number of columns, but more than `least`.
fn end_of(text: &str, width: usize, least: usize) -> usize {
    let mut columns = 0;
    for (at, character) in text.char_indices() {
        columns += unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
        if columns > width && at > least {
            return at;
        }
    }
    text.len()
}

/// A text of at most `width` columns; three dots stand for what is missing.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let end = end_of(text, width.saturating_sub(3), 0);
    format!("{}...", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_and_keep_their_spaces() {
        let text = "12:00 error  at   line 3 of x";
        assert_eq!(fold("> ", 4, text, None), [format!("> {text}")]);
        assert_eq!(fold("> ", 4, text, Some(40)), [format!("> {text}")]);
        let folded = ["> 12:00 error  at", "    line 3 of x"];
        assert_eq!(fold("> ", 4, text, Some(20)), folded);
        assert_eq!(fold("", 2, "abcdefghij", Some(4)), ["abcd", "  ef", "  gh", "  ij"]);
        assert_eq!(fold("", 2, "日本日本", Some(5)), ["日本", "  日", "  本"]);
        for width in 0..4 {
            assert!(fold("> ", 4, "日本 日本", Some(width)).concat().ends_with('本'));
        }
    }

    #[test]
    fn a_text_that_is_too_long_says_so() {
        assert_eq!(shortened("waiting for web", 15), "waiting for web");
        assert_eq!(shortened("waiting for web", 14), "waiting for...");
        assert_eq!(shortened("日本日本", 7), "日本...");
    }
}
