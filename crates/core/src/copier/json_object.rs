//! A line as a JSON object (RFC 8259), with a time in the form of RFC 3339.

use super::Stream;
use super::pieces::Piece;
use crate::time::calendar::{Date, SECONDS_PER_DAY};
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// The last second that a time of RFC 3339 can have: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Appends the object, without a newline. `name` is escaped already.
pub(super) fn append(
    name: &[u8],
    stream: Stream,
    piece: Piece<'_>,
    now: Tai64n,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"time\":\"");
    append_time(now, out);
    out.extend_from_slice(b"\",\"service\":\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.word());
    out.extend_from_slice(b"\",\"line\":\"");
    escape(piece.text, out);
    out.extend_from_slice(if piece.is_cut { b"\",\"partial\":true}" } else { b"\"}" });
}

/// Appends a time as `2026-11-30T18:05:09.000000007Z`.
fn append_time(now: Tai64n, out: &mut Vec<u8>) {
    let seconds = now.to_unix().clamp(0, LAST_SECOND);
    let Date { year, month, day } = Date::of_day(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY).unsigned_abs();
    digits(year.unsigned_abs(), 4, b'-', out);
    digits(month.into(), 2, b'-', out);
    digits(day.into(), 2, b'T', out);
    digits(of_day / 3600, 2, b':', out);
    digits(of_day / 60 % 60, 2, b':', out);
    digits(of_day % 60, 2, b'.', out);
    digits(now.nanoseconds.into(), 9, b'Z', out);
}

/// Appends the last `count` digits of a number, and what follows them.
fn digits(mut number: u64, count: usize, then: u8, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + count, b'0');
    for place in out.iter_mut().skip(start).rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.push(then);
}

/// Appends a text as it stands in a JSON string. A part that is not UTF-8 becomes U+FFFD.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest.iter().position(|&c| matches!(c, 0..=0x1f | b'"' | b'\\' | 0x7f))
        {
            let (plain, special) = rest.split_at(at);
            out.extend_from_slice(plain);
            let Some((&c, after)) = special.split_first() else { break };
            escape_byte(c, out);
            rest = after;
        }
        out.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape_byte(c: u8, out: &mut Vec<u8>) {
    const DIGIT: &[u8; 16] = b"0123456789abcdef";
    let letter = match c {
        b'"' | b'\\' => c,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| DIGIT.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(c >> 4), digit(c & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape(text, &mut out);
        out
    }

    #[test]
    fn control_characters_are_escaped_and_other_bytes_replaced() {
        assert_eq!(escaped("grün \"a\\b\"".as_bytes()), "grün \\\"a\\\\b\\\"".as_bytes());
        assert_eq!(escaped(b"\0\t\r\n\x1b[1m\x7f"), b"\\u0000\\t\\r\\n\\u001b[1m\\u007f");
        assert_eq!(escaped(b"a\xffb\xe2\x82c"), "a\u{fffd}b\u{fffd}c".as_bytes());
    }

    #[test]
    fn times_are_in_the_form_of_rfc_3339() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, 999_999_999, "2000-02-29T00:00:00.999999999Z"),
            (1_796_061_909, 7, "2026-11-30T18:05:09.000000007Z"),
            (i64::MAX, 1, "9999-12-31T23:59:59.000000001Z"),
            (-1, 1, "1970-01-01T00:00:00.000000001Z"),
        ] {
            let mut out = Vec::new();
            append_time(Tai64n::from_unix(seconds, nanoseconds), &mut out);
            assert_eq!(str::from_utf8(&out), Ok(expected));
        }
    }
}
