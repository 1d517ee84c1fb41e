use super::*;
use harness::Tree;

fn file(tree: &Tree, text: &[u8]) -> File {
    tree.write("f", text);
    File::open(tree.path("f")).unwrap()
}

/// The lines of a text with a buffer of 64 bytes, long ones put together.
fn lines(text: &[u8], from: u64, limit: u64) -> Vec<(u64, Vec<u8>, Extent)> {
    let tree = Tree::new();
    let mut reader = LineReader::new(64);
    reader.begin(file(&tree, text), None, from, limit, false).unwrap();
    let mut found = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        let mut bytes = reader.bytes(line.range).to_vec();
        while let Some(piece) = reader.next_piece().unwrap() {
            bytes.extend_from_slice(reader.bytes(piece));
        }
        found.push((line.offset, bytes, line.extent));
    }
    found
}

#[test]
fn lines_of_every_length_are_read() {
    for length in (0..3).chain(59..68).chain(124..131).chain([1000, 5000]) {
        let long = vec![b'x'; length];
        let text = [&b"a\n\n"[..], &long, b"\nb\nend"].concat();
        let extent = if length > 63 { Extent::Long } else { Extent::Whole };
        let after = 4 + length as u64;
        let expected = [
            (0, b"a".to_vec(), Extent::Whole),
            (2, Vec::new(), Extent::Whole),
            (3, long, extent),
            (after, b"b".to_vec(), Extent::Whole),
            (after + 2, b"end".to_vec(), Extent::Unfinished),
        ];
        let found = lines(&text, 0, u64::MAX);
        // A line that fills the buffer exactly may be in it as a whole.
        let texts = |lines: &[(u64, Vec<u8>, Extent)]| {
            lines.iter().map(|(at, text, _)| (*at, text.clone())).collect::<Vec<_>>()
        };
        assert_eq!(texts(&found), texts(&expected), "{length}");
        assert_eq!(found[4].2, Extent::Unfinished);
        if length != 63 {
            assert_eq!(found[2].2, extent, "{length}");
        }
        assert_eq!(lines(&text, 3, after), found[2..3]);
    }
}

#[test]
fn a_long_line_is_skipped() {
    let tree = Tree::new();
    let text = [&[b'x'; 1000][..], b"\nnext\n"].concat();
    let mut reader = LineReader::new(64);
    reader.begin(file(&tree, &text), None, 0, u64::MAX, false).unwrap();
    assert_eq!(reader.next_line().unwrap().unwrap().extent, Extent::Long);
    let next = reader.next_line().unwrap().unwrap();
    assert_eq!((reader.bytes(next.range), next.offset), (&b"next"[..], 1001));
    assert_eq!(reader.next_line().unwrap(), None);
    assert_eq!(reader.offset(), 1006);
}
