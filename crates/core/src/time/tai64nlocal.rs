//! The filter of tai64nlocal: labels at the beginning of lines become local times.

use crate::text::lines;
use crate::time::calendar::Date;
use crate::time::tai::{self, DIGITS, Tai64n};
use crate::time::zone::{Span, Zone};
use alloc::vec::Vec;

/// A run of this many digits is copied, and not read as a label. It bounds the part of an incomplete
/// line that the filter keeps.
const LONGEST_RUN: usize = 256;

/// Rewrites a stream of text, which it gets in parts of any size.
pub struct Filter {
    writer: Writer,
    state: LinePosition,
    /// In [`LinePosition::Run`]: the `@` and the digits so far.
    run: Vec<u8>,
}

enum LinePosition {
    /// Before the first byte of a line.
    Start,
    /// In the digits after an `@` at the beginning of a line.
    Run,
    /// In the rest of a line, which is copied.
    Rest,
}

impl Filter {
    /// A filter for local time in a zone.
    #[must_use]
    pub const fn new(zone: Zone) -> Self {
        Self { writer: Writer::new(zone), state: LinePosition::Start, run: Vec::new() }
    }

    /// Rewrites the next part of the input, and appends the result to `out`.
    ///
    /// Digits at the end of the part that may belong to a label are kept for the next call.
    pub fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(&first) = input.first() {
            match self.state {
                LinePosition::Start if first == b'@' => {
                    input = match self.whole_label(input, out) {
                        Some(rest) => rest,
                        None => {
                            self.state = LinePosition::Run;
                            self.run.clear();
                            self.run.push(b'@');
                            input.get(1..).unwrap_or_default()
                        }
                    };
                }
                LinePosition::Start | LinePosition::Rest => {
                    let (line, rest) = lines::split_first(input);
                    out.extend_from_slice(line);
                    self.state = if line.ends_with(b"\n") {
                        LinePosition::Start
                    } else {
                        LinePosition::Rest
                    };
                    input = rest;
                }
                LinePosition::Run => {
                    let digits = input.iter().take_while(|c| tai::is_digit(**c)).count();
                    let room = (LONGEST_RUN + 1).saturating_sub(self.run.len());
                    let (run, rest) = input.split_at(digits.min(room));
                    self.run.extend_from_slice(run);
                    if !rest.is_empty() {
                        self.end_run(out);
                    }
                    input = rest;
                }
            }
        }
    }

    /// Ends the input: appends the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let LinePosition::Run = self.state {
            self.end_run(out);
        }
    }

    /// Rewrites a label of 24 digits that is complete in `input`, with the byte after it: the
    /// common case. Returns the rest of the input.
    fn whole_label<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let (digits, rest) = input.get(1..)?.split_first_chunk::<DIGITS>()?;
        if tai::is_digit(*rest.first()?) {
            return None;
        }
        let label = Tai64n::from_digits(digits)?;
        if !self.writer.write(label, out) {
            return None;
        }
        self.state = LinePosition::Rest;
        Some(rest)
    }

    /// Ends a run of digits. Its last 24 digits are the label; a shorter run and a time beyond the
    /// calendar are copied.
    fn end_run(&mut self, out: &mut Vec<u8>) {
        self.state = LinePosition::Rest;
        let label = self.run.get(1..).filter(|run| run.len() < LONGEST_RUN).and_then(|run| {
            let (_, digits) = run.split_last_chunk::<DIGITS>()?;
            Tai64n::from_digits(digits)
        });
        if !label.is_some_and(|label| self.writer.write(label, out)) {
            out.extend_from_slice(&self.run);
        }
    }
}

/// Writes local times. It keeps the parts that consecutive lines have in common.
struct Writer {
    zone: Zone,
    span: Span,
    /// The local day of `date`, counted from 1970-01-01.
    day: i64,
    date: Vec<u8>,
    /// The second of `text`, which is its text up to the fraction.
    second: Option<u64>,
    text: Vec<u8>,
}

const NO_SPAN: Span = Span { from: 1, until: 0, offset: 0, extra: 0 };

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        #[expect(clippy::cast_possible_truncation, reason = "below 100")]
        let digits = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        pairs[n] = digits;
        n += 1;
    }
    pairs
};

/// Two decimal digits.
fn pair(n: u32) -> [u8; 2] {
    PAIRS.get(n as usize).copied().unwrap_or([b'?'; 2])
}

impl Writer {
    const fn new(zone: Zone) -> Self {
        Self {
            zone,
            span: NO_SPAN,
            day: i64::MIN,
            date: Vec::new(),
            second: None,
            text: Vec::new(),
        }
    }

    /// Appends `YYYY-MM-DD HH:MM:SS.NNNNNNNNN`; appends nothing and returns `false` if the year does
    /// not fit into the C library's `tm_year`.
    fn write(&mut self, label: Tai64n, out: &mut Vec<u8>) -> bool {
        if self.second != Some(label.seconds) && !self.set_second(label) {
            return false;
        }
        out.extend_from_slice(&self.text);
        let n = label.nanoseconds;
        // Nine digits; ten in invalid labels, as in the original.
        if n >= 1_000_000_000 {
            let [_, first] = pair(n / 1_000_000_000);
            out.push(first);
        }
        let [_, a] = pair(n / 100_000_000 % 10);
        let [b, c] = pair(n / 1_000_000 % 100);
        let [d, e] = pair(n / 10_000 % 100);
        let [f, g] = pair(n / 100 % 100);
        let [h, i] = pair(n % 100);
        out.extend_from_slice(&[a, b, c, d, e, f, g, h, i]);
        true
    }

    fn set_second(&mut self, label: Tai64n) -> bool {
        let time = label.to_unix();
        if time < self.span.from || time >= self.span.until {
            self.span = self.zone.at(time);
        }
        let Some(local) = time.checked_add(self.span.offset) else {
            return false;
        };
        let day = local.div_euclid(86400);
        if day != self.day && !self.set_day(day) {
            return false;
        }
        let of_day = u32::try_from(local.rem_euclid(86400)).unwrap_or(0);
        let extra = u32::try_from(self.span.extra).unwrap_or(0);
        let [h1, h2] = pair(of_day / 3600);
        let [m1, m2] = pair(of_day / 60 % 60);
        let [s1, s2] = pair(of_day % 60 + extra);
        self.second = Some(label.seconds);
        self.text.clear();
        self.text.extend_from_slice(&self.date);
        self.text.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2, b'.']);
        true
    }

    fn set_day(&mut self, day: i64) -> bool {
        let Date { year, month, day: of_month } = Date::of_day(day);
        if i32::try_from(year - 1900).is_err() {
            return false;
        }
        self.day = day;
        self.date.clear();
        if year < 0 {
            self.date.push(b'-');
        }
        self.date
            .extend_from_slice(crate::text::decimal::Decimal::new(year.unsigned_abs()).as_bytes());
        for part in [month, of_month] {
            let [tens, ones] = pair(part.into());
            self.date.extend_from_slice(&[b'-', tens, ones]);
        }
        self.date.push(b' ');
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
        let mut filter = Filter::new(Zone::utc());
        let mut out = Vec::new();
        for piece in pieces {
            filter.feed(piece, &mut out);
        }
        filter.finish(&mut out);
        out
    }

    #[track_caller]
    fn becomes(input: &str, output: &str) {
        assert_eq!(filtered(&[input.as_bytes()]).escape_ascii().to_string(), output);
    }

    #[test]
    fn labels_become_local_times() {
        becomes("@4000000037c219bf2ef02e94 mark\n", "1999-08-24 04:04:05.787492500 mark\\n");
        becomes("@400000000000000a00000000 x", "1970-01-01 00:00:00.000000000 x");
        becomes("@4000000000000009000001f4 x", "1969-12-31 23:59:59.000000500 x");
        becomes("@4000000000000009ffffffff x", "1969-12-31 23:59:59.4294967295 x");
        becomes("@4000000037c219bf2ef02e94", "1999-08-24 04:04:05.787492500");
        becomes("@4000000037c219bf2ef02e94\n@\n", "1999-08-24 04:04:05.787492500\\n@\\n");
        becomes("@004000000037c219bf2ef02e94 x", "1999-08-24 04:04:05.787492500 x");
    }

    #[test]
    fn other_text_is_copied() {
        for line in [
            "",
            "@",
            "@foo",
            " @4000000037c219bf2ef02e94 x",
            "x @4000000037c219bf2ef02e94 x",
            "@4000000037C219BF2EF02E94 x",
            "@4000000037c219bf2ef02e9 x",
            "@4000000037c219bf2ef02e941 x",
            "@400000000000000a",
            "@ffffffffffffffff00000000 x",
            "@000000000000000000000000 x",
        ] {
            becomes(line, line);
        }
        let long = alloc::format!("@{}4000000037c219bf2ef02e94 x", "0".repeat(1000));
        becomes(&long, &long);
    }

    proptest! {
        #[test]
        fn the_parts_of_the_input_do_not_matter(
            lines in prop::collection::vec(
                prop_oneof!["@40000000[0-9a-f]{16} [a-z]{0,9}", "@[0-9a-fg]{0,30}", "[^\n]{0,9}"], 0..5
            ),
            cuts in prop::collection::vec(0_usize..200, 0..6),
        ) {
            let input = lines.join("\n").into_bytes();
            let whole = filtered(&[&input]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
            prop_assert_eq!(filtered(&pieces), whole);
        }
    }
}
