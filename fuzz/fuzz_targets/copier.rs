//! The lines of `svscan -p` and `-j`: whatever arrives in whatever pieces goes out once and in order.
#![no_main]

use daemontools_core::copier::pieces::{Piece, first, limit};
use daemontools_core::copier::{Form, Stream};
use daemontools_core::handover::Handover;
use daemontools_fuzz::{moment, parts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [sizes, name, text] = parts(data);
    // The handover lists the pipes to the copier.
    if let Some(handover) = Handover::parse(text) {
        let again = Handover::parse(&handover.to_text());
        assert!(handover.unknown_version || again == Some(handover));
    }
    let capacity = usize::from(sizes.first().copied().unwrap_or_default()) * 1024;
    let cut = cut(&pieces(text, sizes), limit(capacity));
    let whole: Vec<u8> = cut
        .iter()
        .flat_map(|(text, is_cut)| text.iter().copied().chain((!is_cut).then_some(b'\n')))
        .collect();
    let mut expected = text.to_vec();
    if cut.last().is_some_and(|(_, is_cut)| !is_cut) && !text.ends_with(b"\n") {
        expected.push(b'\n');
    }
    assert_eq!(whole, expected);

    let now = moment(sizes);
    let mut continues = false;
    for (text, is_cut) in &cut {
        let piece = Piece { text, length: text.len(), is_cut: *is_cut };
        let line = |form: Form| {
            let mut out = Vec::new();
            form.append(&form.name(name), Stream::Err, piece, continues, now, &mut out);
            out
        };
        let prefixed = line(Form::Prefixed);
        let rest = prefixed.strip_prefix(&*Form::Prefixed.name(name)).expect("the name");
        assert_eq!(rest, [if continues { b"+ " } else { &b": "[..] }, text, b"\n"].concat());
        let json = String::from_utf8(line(Form::Json)).expect("UTF-8");
        let json = json.strip_suffix(if *is_cut { "\",\"partial\":true}\n" } else { "\"}\n" });
        let json = json.expect("an end");
        let (head, line) =
            json.split_once("\",\"stream\":\"stderr\",\"line\":\"").expect("a stream");
        assert_eq!(unescaped(line), String::from_utf8_lossy(text));
        assert!(!head.chars().any(|c| c.is_ascii_control()));
        continues = *is_cut;
    }
});

/// What the copier writes for text that arrives in these pieces.
fn cut(arriving: &[&[u8]], limit: usize) -> Vec<(Vec<u8>, bool)> {
    let (mut pipe, mut out) = (Vec::new(), Vec::new());
    for (n, part) in arriving.iter().enumerate() {
        pipe.extend_from_slice(part);
        while let Some(piece) = first(&pipe, limit, n + 1 == arriving.len()) {
            assert!(piece.length > 0);
            out.push((piece.text.to_vec(), piece.is_cut));
            let length = piece.length;
            pipe.drain(..length);
        }
    }
    assert!(pipe.is_empty());
    out
}

/// The text of a JSON string.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        assert!(!c.is_ascii_control(), "{c:?}");
        assert_ne!(c, '"');
        out.push(match c {
            '\\' => match characters.next().expect("an escape") {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).expect("digits")).expect("one")
                }
                other => other,
            },
            other => other,
        });
    }
    out
}
