//! Documents that are understood, documents that are refused, and any text at all.

use super::{Node, Value, parse};
use std::fmt::Write as _;

/// A value as JSON would show it, for comparisons.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(&item.value)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Mapping(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, node)| format!("{key:?}:{}", shown(&node.value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

#[track_caller]
fn reads(text: &str, expected: &str) {
    match parse(text) {
        Ok(node) => assert_eq!(shown(&node.value), expected, "{text}"),
        Err(error) => panic!("{error}: {text}"),
    }
}

#[test]
fn collections_are_read() {
    reads("", "null");
    reads("# only a comment\n", "null");
    reads("---\na: 1 # one\nb:\n\n  c: 'x'\nd:\n", r#"{"a":"1","b":{"c":"x"},"d":null}"#);
    reads(
        "a:\n- 1\n- b: 2\n  c: 3\n-\n  - x\nd: e\n",
        r#"{"a":["1",{"b":"2","c":"3"},["x"]],"d":"e"}"#,
    );
    reads("a:\n  - - 1\n    - 2\n  -\n", r#"{"a":[["1","2"],null]}"#);
    reads(
        "a: [1, 'b, c' , {d: e, f: , g}, []] # x\n",
        r#"{"a":["1","b, c",{"d":"e","f":null,"g":null},[]]}"#,
    );
    reads("\"a b\" : c\n'd': ~\n", r#"{"a b":"c","d":null}"#);
    reads("a: [\n  1, # one\n  2,\n]\nb: {x: y}", r#"{"a":["1","2"],"b":{"x":"y"}}"#);
}

#[test]
fn scalars_are_read() {
    reads("a: http://x:80/#y z # c\n", r#"{"a":"http://x:80/#y z"}"#);
    reads("a: one\n  two\n\n  three\nb: -x\n", r#"{"a":"one two\nthree","b":"-x"}"#);
    reads("a: \"x\\ty\\u00e9\\\n   z \n\n  w\"\n", "{\"a\":\"x\\tyéz\\nw\"}");
    reads("a: 'it''s\n  here'\n", r#"{"a":"it's here"}"#);
    reads("a: |\n  x\n    y\n\n  z\n\nb: 1\n", r#"{"a":"x\n  y\n\nz\n","b":"1"}"#);
    reads("a: |-\n  x\nb: |+\n  y\n\nc: |2\n   z\n", r#"{"a":"x","b":"y\n\n","c":" z\n"}"#);
    reads(
        "a: >\n  one\n  two\n\n  three\n    more\n  four\n",
        r#"{"a":"one two\nthree\n  more\nfour\n"}"#,
    );
    reads("- |\n a\n- >-\n b\n c\n", r#"["a\n","b c"]"#);
    reads("a: |\nb: |\n", r#"{"a":"","b":""}"#);
    reads("\u{feff}a: b\r\nc: d\r\n...\n", r#"{"a":"b","c":"d"}"#);
}

#[test]
fn what_is_not_supported_is_refused_with_its_name_and_line() {
    for (text, error) in [
        ("a: &x b", "line 1: an anchor (&) is not supported"),
        ("a: b\nc: *x", "line 2: an alias (*) is not supported"),
        ("a: !!str b", "line 1: a tag (!) is not supported"),
        ("a:\n  <<: [b]", "line 2: a merge key (<<) is not supported"),
        ("? a\n: b", "line 1: a complex key (?) is not supported"),
        ("%YAML 1.2\n---\na: b", "line 1: a directive (%) is not supported"),
        ("a: b\n---\nc: d", "line 2: a second document (---) is not supported"),
        ("a: b\na: c", "line 2: the same key a second time"),
        ("a: {b: 1, b: 2}", "line 1: the same key a second time"),
        ("a:\n\tb: c", "line 2: a tab in the indentation"),
        ("a: b\n  c: d", "line 2: a colon and a space within a word without quotes"),
        ("a:\n    b: c\n  d: e", "line 3: wrong indentation"),
        ("a:\n  b: c\n   d: e", "line 3: a colon and a space within a word without quotes"),
        ("a: b: c", "line 1: a list or a mapping on the line of its key"),
        ("a: 'b\nc: d\n", "line 2: wrong indentation in a quoted text"),
        ("a: 'b", "line 1: a quote without its end"),
        ("a: 'b' c", "line 1: text behind the end of a value"),
        ("a: \"\\q\"", "line 1: an unknown escape sequence"),
        ("a: \"\\ud800\"", "line 1: an escape sequence that is not a character"),
        ("a: [b\n\n", "line 2: ] is missing"),
        ("a: [b}", "line 1: neither , nor ] behind a value"),
        ("a: |x\n  b", "line 1: text behind the end of a value"),
        ("a:\n  b\n- c", "line 3: not KEY: VALUE"),
        ("- a\nb: c", "line 2: wrong indentation"),
        ("a: @b", "line 1: a word that begins with @"),
        ("a: b # c\n  d", "line 2: text behind a comment in a value of several lines"),
    ] {
        match parse(text) {
            Err(found) => assert_eq!(found.to_string(), error, "{text:?}"),
            Ok(node) => panic!("{text:?} is {}", shown(&node.value)),
        }
    }
    let deep = "[".repeat(10_000);
    assert_eq!(parse(&deep).unwrap_err().reason, "more than 32 levels");
    let deep: String = (0..10_000).fold(String::new(), |text, _| text + "- ");
    assert_eq!(parse(&deep).unwrap_err().reason, "more than 32 levels");
}

#[test]
fn large_documents_take_no_time_that_grows_with_their_square() {
    let count = 100_000;
    let flow = format!("a: [{}]\n", "b, 'c', {d: e}, ".repeat(count / 2));
    let keys: String = (0..count).map(|number| format!("k{number}:\n")).collect();
    let flow_keys: String = (0..count).map(|number| format!("k{number}: 1, ")).collect();
    let quotes = "- \"\"\n".repeat(count);
    let lines = format!("a: b{}\n", "\n  c".repeat(count));
    for text in [flow, keys, format!("{{{flow_keys}}}"), quotes, lines] {
        assert!(parse(&text).is_ok());
    }
}

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn word(&mut self) -> String {
        let parts =
            ["a", "b c", "'", "\"", "\\", "#", ": ", "\n", " ", "é", "- ", "[", "\t", "\u{1b}"];
        (0..self.below(6)).map(|_| parts[self.below(parts.len())]).collect()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 3 { 2 } else { 4 }) {
            0 => Value::Null,
            1 => Value::Scalar(self.word()),
            2 => Value::Sequence((0..self.below(4)).map(|_| self.node(depth)).collect()),
            _ => Value::Mapping(
                (0..self.below(4))
                    .map(|at| (format!("{at}{}", self.word()), self.node(depth)))
                    .collect(),
            ),
        }
    }

    fn node(&mut self, depth: usize) -> Node {
        Node { line: 0, value: self.value(depth + 1) }
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", text.replace('\t', "\\t").replace('\u{1b}', "\\e"))
}

/// Writes a value in block style, with quoted scalars.
fn write(value: &Value, indentation: usize, text: &mut String) {
    let blanks = " ".repeat(indentation);
    match value {
        Value::Null => text.push_str(" ~\n"),
        Value::Scalar(scalar) => {
            let _ = writeln!(text, " {}", quoted(scalar));
        }
        Value::Sequence(items) if items.is_empty() => text.push_str(" []\n"),
        Value::Mapping(entries) if entries.is_empty() => text.push_str(" {}\n"),
        Value::Sequence(items) => {
            text.push('\n');
            for item in items {
                let _ = write!(text, "{blanks}-");
                write(&item.value, indentation + 1, text);
            }
        }
        Value::Mapping(entries) => {
            text.push('\n');
            for (key, node) in entries {
                let _ = write!(text, "{blanks}{}:", quoted(key));
                write(&node.value, indentation + 2, text);
            }
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for _ in 0..3000 {
        let value = random.value(0);
        let mut text = String::new();
        write(&value, 0, &mut text);
        reads(&text, &shown(&value));
    }
}

#[test]
fn any_text_is_read_or_refused_with_a_line_of_it() {
    let seed = "# c\nv: \"0.5\"\ne:\n- 'A=1 # x'\n- B: {c: [d, e]}\np:\n  a:\n    run: >-\n      x\n\n      y\n    \
                q: \"\\u00e9\\\n      z\"\n    l: |2\n        k\n  b: one\n    two\n...\n";
    let parts = [
        "\t", "\n", " ", "  ", "- ", ": ", ":", "#", "'", "\"", "\\", "[", "]", "{", "}", ",", "|",
        ">", "&", "*", "!", "? ", "---\n", "...", "é", "\r", "\u{feff}", "<<: ", "|9\n", "\\x",
        "\0",
    ];
    let mut random = Random(0xfeed_beef_cafe_0001);
    for _ in 0..20_000 {
        let mut characters: Vec<char> = seed.chars().collect();
        for _ in 0..=random.below(4) {
            let at = random.below(characters.len());
            match random.below(3) {
                0 => drop(characters.drain(at..(at + 1 + random.below(8)).min(characters.len()))),
                1 => drop(characters.splice(at..at, parts[random.below(parts.len())].chars())),
                _ => characters.truncate(at.max(1)),
            }
            if characters.is_empty() {
                characters.push('a');
            }
        }
        let text: String = characters.into_iter().collect();
        if let Err(error) = parse(&text) {
            let lines = text.lines().count().max(1);
            assert!((1..=lines).contains(&error.line), "{error}: {text:?}");
            assert!(!error.reason.is_empty());
        }
    }
}
