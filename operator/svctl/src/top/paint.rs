//! Lines of the commands, with the colours of [`Output`](crate::output::Output), as ratatui has them.

use crate::output::Colour;
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How much deeper the rows behind the first one of a long line begin.
const INDENT: usize = 2;

/// The style of a colour; plain if there are to be no colours.
pub(crate) const fn style(colour: Colour, is_coloured: bool) -> Style {
    let style = Style::new();
    match colour {
        Colour::Bold => style.add_modifier(Modifier::BOLD),
        _ if !is_coloured => style,
        Colour::Green => style.fg(Color::Green),
        Colour::Yellow => style.fg(Color::Yellow),
        Colour::Red => style.fg(Color::Red),
        Colour::Cyan => style.fg(Color::Cyan),
        Colour::Dim => style.add_modifier(Modifier::DIM),
    }
}

/// The parts of a line, each with its style. The text of outside has no escape sequences any more.
fn parts(line: &str) -> Vec<(Style, &str)> {
    let mut pieces = line.split("\x1b[");
    let mut parts = vec![(Style::new(), pieces.next().unwrap_or_default())];
    for piece in pieces {
        let (code, text) = piece.split_once('m').unwrap_or_default();
        let colour = match code {
            "1" => Some(Colour::Bold),
            "2" => Some(Colour::Dim),
            "31" => Some(Colour::Red),
            "32" => Some(Colour::Green),
            "33" => Some(Colour::Yellow),
            "36" => Some(Colour::Cyan),
            _ => None,
        };
        parts.push((colour.map_or_else(Style::new, |colour| style(colour, true)), text));
    }
    parts.retain(|(_, text)| !text.is_empty());
    parts
}

/// A line without its colours.
pub(crate) fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return Cow::Borrowed(line);
    }
    Cow::Owned(parts(line).into_iter().map(|(_, text)| text).collect())
}

/// A line in rows of so many columns, broken between words where that is possible. An empty line has
/// one row.
pub(crate) fn rows(line: &str, width: usize) -> Vec<Line<'static>> {
    let text = plain(line);
    let indent = text.len() - text.trim_start_matches(' ').len() + INDENT;
    // Most of a row is for the text.
    let indent = if indent * 4 < width { indent } else { 0 };
    let mut rows = Vec::new();
    let mut row: Vec<(char, Style)> = Vec::new();
    let mut column = 0;
    for (style, text) in parts(line) {
        for character in text.chars() {
            let columns = character.width().unwrap_or(0);
            if column + columns > width && row.len() > indent {
                // A space behind which at least half of the row is free would waste too much of it.
                let space = row.iter().rposition(|(it, _)| *it == ' ');
                let end = space.filter(|at| at * 2 > row.len()).map_or(row.len(), |at| at + 1);
                let rest = row.split_off(end);
                rows.push(spans(&row));
                row = std::iter::repeat_n((' ', Style::new()), indent).chain(rest).collect();
                column = row.iter().map(|(it, _)| it.width().unwrap_or(0)).sum();
            }
            column += columns;
            row.push((character, style));
        }
    }
    rows.push(spans(&row));
    rows
}

/// Characters as spans of one style each.
fn spans(row: &[(char, Style)]) -> Line<'static> {
    let same = row.chunk_by(|one, other| one.1 == other.1);
    let spans = same.map(|part| {
        let style = part.first().map_or_else(Style::new, |(_, style)| *style);
        Span::styled(part.iter().map(|(character, _)| *character).collect::<String>(), style)
    });
    Line::from_iter(spans)
}

/// A text of at most so many columns. The end of one that is cut is `…`.
pub(crate) fn fit(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut columns = 0;
    let kept = text.chars().take_while(|character| {
        columns += character.width().unwrap_or(0);
        columns < width
    });
    let mut kept: String = kept.collect();
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_commands_become_styles() {
        let line = "\x1b[32m●\x1b[0m web \x1b[1mup\x1b[0m";
        assert_eq!(plain(line), "● web up");
        let rows = rows(line, 80);
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        let found: Vec<_> = row.spans.iter().map(|it| (it.content.as_ref(), it.style)).collect();
        assert_eq!(
            found,
            [
                ("●", style(Colour::Green, true)),
                (" web ", Style::new()),
                ("up", style(Colour::Bold, false))
            ]
        );
    }

    #[test]
    fn foreign_sequences_are_dropped() {
        assert_eq!(plain("a\x1b[2Jb\x1b]0;x"), "a");
    }

    #[test]
    fn long_lines_have_several_rows() {
        let text = |width| -> Vec<String> {
            rows("abcdefghij日本", width).iter().map(ToString::to_string).collect()
        };
        assert_eq!(text(14), ["abcdefghij日本"]);
        assert_eq!(text(13), ["abcdefghij日", "  本"]);
        assert_eq!(text(9), ["abcdefghi", "  j日本"]);
        assert_eq!(text(4), ["abcd", "efgh", "ij日", "本"]);
        // A character that is wider than the screen gets its row.
        assert_eq!(text(1).len(), 12);
        assert_eq!(text(0).len(), 12);
        assert_eq!(rows("", 5).len(), 1);
        let broken: Vec<String> =
            rows("one two three four", 12).iter().map(ToString::to_string).collect();
        assert_eq!(broken, ["one two ", "  three four"]);
    }

    #[test]
    fn texts_that_are_cut_say_so() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abcd", 1), "…");
        assert_eq!(fit("abcd", 0), "");
    }
}
