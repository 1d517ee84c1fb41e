//! Block scalars: `|` keeps the line ends, `>` folds them.

use super::{Parsed, Parser};

/// What happens with the line ends at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    /// One line end.
    Clip,
    /// `-`: no line end.
    Strip,
    /// `+`: all of them.
    Keep,
}

impl Parser<'_> {
    /// A block scalar, whose lines have at least the indentation `least`.
    pub(super) fn block_scalar(&mut self, least: usize) -> Parsed<String> {
        let is_folded = self.rest().starts_with('>');
        let mut chomping = Chomping::Clip;
        let mut indentation = None;
        self.column += 1;
        loop {
            match self.rest().bytes().next() {
                Some(b'-') => chomping = Chomping::Strip,
                Some(b'+') => chomping = Chomping::Keep,
                Some(digit @ b'1'..=b'9') => {
                    indentation = Some((least + usize::from(digit - b'0')).saturating_sub(1));
                }
                _ => break,
            }
            self.column += 1;
        }
        self.end_of_line()?;
        let lines = self.scalar_lines(least, indentation)?;
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        let (content, empty_lines) = lines.split_at_checked(end).unwrap_or_default();
        let mut text = if is_folded { folded(content) } else { content.join("\n") };
        if !content.is_empty() && chomping != Chomping::Strip {
            text.push('\n');
        }
        if chomping == Chomping::Keep {
            text.extend(empty_lines.iter().map(|_| '\n'));
        }
        Ok(text)
    }

    /// The lines of a block scalar without their indentation, which the first line shows if it is not
    /// given.
    fn scalar_lines(&mut self, least: usize, given: Option<usize>) -> Parsed<Vec<String>> {
        let mut lines = Vec::new();
        let mut indentation = given;
        while self.row + 1 < self.lines.len() {
            let line = self.text(self.row + 1);
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let is_blank = spaces == line.len();
            if indentation.is_none() && !is_blank {
                indentation = Some(spaces.max(least));
            }
            let indented = indentation.unwrap_or(spaces);
            if !is_blank && spaces < indented {
                break;
            }
            self.row += 1;
            lines.push(line.get(indented..).unwrap_or_default().to_owned());
        }
        self.column = self.text(self.row).len().max(1);
        Ok(lines)
    }
}

/// The text of a folded scalar: a line end between two lines of text is a space. Lines that begin
/// with a blank stay lines.
fn folded(lines: &[String]) -> String {
    let is_text = |line: &String| !line.is_empty() && !line.starts_with([' ', '\t']);
    let mut text = String::new();
    let mut last: Option<&String> = None;
    let mut empty_lines = 0;
    for line in lines {
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        if let Some(last) = last {
            let folds = is_text(last) && is_text(line);
            if !folds {
                text.push('\n');
            } else if empty_lines == 0 {
                text.push(' ');
            }
        }
        text.extend(std::iter::repeat_n('\n', empty_lines));
        empty_lines = 0;
        text.push_str(line);
        last = Some(line);
    }
    text
}
