//! The lines of the copier: what comes in, in whatever parts, goes out in whole lines.

use daemontools_core::copier::pieces::{first, limit};
use daemontools_core::copier::{Form, Stream};
use daemontools_core::time::tai::Tai64n;
use proptest::prelude::*;

const NOW: Tai64n = Tai64n::from_unix(1_796_061_909, 7);

/// What the copier writes for contents that arrive in these parts, as [`first`] and [`Form::append`]
/// decide.
fn copied(form: Form, parts: &[Vec<u8>], capacity: usize) -> Vec<u8> {
    let (mut pipe, mut out, mut continues) = (Vec::new(), Vec::new(), false);
    let name = form.name(b"a");
    for (n, part) in parts.iter().enumerate() {
        pipe.extend_from_slice(part);
        while let Some(piece) = first(&pipe, limit(capacity), n + 1 == parts.len()) {
            assert!(piece.length > 0 && piece.text.len() <= piece.length);
            form.append(&name, Stream::Out, piece, continues, NOW, &mut out);
            continues = piece.is_cut;
            pipe.drain(..piece.length);
        }
    }
    assert!(pipe.is_empty());
    out
}

/// Lines of letters, newlines and any bytes.
fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![4 => Just(b'x'), 2 => Just(b'\n'), 1 => any::<u8>()];
    prop::collection::vec(prop::collection::vec(byte, 0..40), 1..20)
}

proptest! {
    #[test]
    fn every_line_goes_out_whole_and_once(parts in parts()) {
        let text = parts.concat();
        let mut expected = Vec::new();
        let lines = text.strip_suffix(b"\n").unwrap_or(&text);
        if !text.is_empty() {
            for line in lines.split(|&c| c == b'\n') {
                expected.extend_from_slice(&[b"a: ", line, b"\n"].concat());
            }
        }
        prop_assert_eq!(copied(Form::Prefixed, &parts, 65_536), expected);
    }

    #[test]
    fn the_pieces_of_long_lines_join_to_the_same_text(parts in parts()) {
        // A limit of one byte: each part is cut.
        let out = copied(Form::Prefixed, &parts, 0);
        let mut joined = Vec::new();
        for line in out.strip_suffix(b"\n").unwrap_or(&out).split(|&c| c == b'\n') {
            if let Some(text) = line.strip_prefix(b"a+ ") {
                joined.extend_from_slice(text);
            } else if let Some(text) = line.strip_prefix(b"a: ") {
                joined.push(b'\n');
                joined.extend_from_slice(text);
            } else {
                prop_assert!(out.is_empty());
            }
        }
        let text = parts.concat();
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let joined = joined.strip_prefix(b"\n").unwrap_or(&joined);
        prop_assert_eq!(joined.strip_suffix(b"\n").unwrap_or(joined), text.strip_suffix(b"\n").unwrap_or(text));
    }

    #[test]
    fn each_json_line_is_one_object_of_valid_characters(parts in parts()) {
        let out = copied(Form::Json, &parts, 65_536);
        let text = String::from_utf8(out).expect("UTF-8");
        let start = "{\"time\":\"2026-11-30T18:05:09.000000007Z\",\"service\":\"a\",\"stream\":\"stdout\",\"line\":\"";
        for line in text.lines() {
            let inner = line.strip_prefix(start).and_then(|rest| rest.strip_suffix("\"}"));
            let inner = inner.expect("an object");
            prop_assert!(!inner.chars().any(|c| c.is_ascii_control()));
            let mut characters = inner.chars();
            while let Some(c) = characters.next() {
                prop_assert_ne!(c, '"');
                if c == '\\' {
                    match characters.next() {
                        Some('u') => {
                            let hex: String = characters.by_ref().take(4).collect();
                            let number = u32::from_str_radix(&hex, 16).expect("hexadecimal");
                            prop_assert!(number < 0x80);
                        }
                        other => prop_assert!(matches!(other, Some('"' | '\\' | 'n' | 'r' | 't'))),
                    }
                }
            }
        }
        let newlines = parts.concat().iter().filter(|&&c| c == b'\n').count();
        prop_assert!(text.lines().count().abs_diff(newlines) <= 1);
    }
}

#[test]
fn a_name_stays_in_its_place() {
    assert_eq!(&*Form::Prefixed.name(b"a\nb/log"), b"a?b/log");
    assert_eq!(&*Form::Json.name(b"a\n\"b"), b"a\\n\\\"b");
}
