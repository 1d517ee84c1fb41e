//! Lines from the blocks of several files in a row.

/// The longest line that is kept until its end arrives. A longer one is passed on in parts.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// A line, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinePiece<'a> {
    /// The begin or the middle of a line that is too long to keep.
    Part(&'a [u8]),
    /// A line without its newline, or the end of the line whose parts came before.
    Line(&'a [u8]),
}

/// Joins the blocks, and keeps the line that has no end yet.
#[derive(Debug, Default)]
pub(crate) struct LineAssembly {
    begun: Vec<u8>,
    /// How much of the line was passed on in parts.
    passed: u64,
}

impl LineAssembly {
    /// Begins with a part of a line, which the blocks continue.
    pub(crate) const fn of_begun(begun: Vec<u8>) -> Self {
        Self { begun, passed: 0 }
    }

    /// Passes on the lines that end in a block.
    pub(crate) fn add(&mut self, block: &[u8], sink: &mut impl FnMut(LinePiece<'_>)) {
        let mut rest = block;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(at);
            rest = behind.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.passed = 0;
                sink(LinePiece::Line(line));
            } else {
                self.keep(line, sink);
                self.end(sink);
            }
        }
        if !rest.is_empty() {
            self.keep(rest, sink);
        }
    }

    /// Passes on a begun line, which gets no end any more.
    pub(crate) fn end(&mut self, sink: &mut impl FnMut(LinePiece<'_>)) {
        if self.begun_length() > 0 {
            sink(LinePiece::Line(&self.begun));
        }
        // A single long line does not occupy its memory for ever.
        self.begun = Vec::new();
        self.passed = 0;
    }

    /// The bytes of the line that has no end yet.
    pub(crate) const fn begun_length(&self) -> u64 {
        self.passed + self.begun.len() as u64
    }

    fn keep(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(LinePiece<'_>)) {
        while self.begun.len() + bytes.len() > LONGEST_LINE {
            let (now, later) = bytes.split_at(LONGEST_LINE.saturating_sub(self.begun.len()));
            self.begun.extend_from_slice(now);
            sink(LinePiece::Part(&self.begun));
            self.passed += self.begun.len() as u64;
            self.begun.clear();
            bytes = later;
        }
        self.begun.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of these blocks and the end: parts end with `+`.
    fn pieces(blocks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut sink = |piece: LinePiece<'_>| {
            found.push(match piece {
                LinePiece::Part(part) => format!("{}+", String::from_utf8_lossy(part)),
                LinePiece::Line(line) => String::from_utf8_lossy(line).into_owned(),
            });
        };
        let mut lines = LineAssembly::default();
        for block in blocks {
            lines.add(block, &mut sink);
        }
        lines.end(&mut sink);
        found
    }

    #[test]
    fn lines_are_whole() {
        assert_eq!(
            pieces(&[b"a\nb", b"", b"c\n\nd", b"\n", b"\ne"]),
            ["a", "bc", "", "d", "", "e"]
        );
        assert_eq!(pieces(&[b"a\n"]), ["a"]);
        assert_eq!(pieces(&[b""]), [""; 0]);
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        let long = vec![b'x'; LONGEST_LINE];
        let text = String::from_utf8(long.clone()).unwrap();
        assert_eq!(pieces(&[&long, b"\nb\n"]), [text.as_str(), "b"]);
        assert_eq!(pieces(&[&long, b"yz\nb\n"]), [&format!("{text}+"), "yz", "b"]);
        assert_eq!(
            pieces(&[&long, &long, b"y", b"\n"]),
            [&format!("{text}+"), &format!("{text}+"), "y"]
        );
        assert_eq!(pieces(&[&long, b"y"]), [&format!("{text}+"), "y"]);
    }
}
