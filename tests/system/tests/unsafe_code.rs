//! `docs/unsafe.md` lists all unsafe code in the sources, with its argument and a reader's verdict.
//! These tests find missing and stale rows.
//!
//! After a change, `UNSAFE_LIST=write cargo test -p system --test unsafe_code` writes the list
//! anew. A verdict stays if neither the code nor its argument has changed. For a row without a
//! verdict, read the code and write one.

use harness::checkout;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const BEGINNING: &str =
    "<!-- from here on: UNSAFE_LIST=write cargo test -p system --test unsafe_code -->";

/// A piece of unsafe code.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Item {
    file: String,
    /// The function, macro or impl that it is in, or that it defines.
    place: String,
    /// The code, in one line.
    code: String,
    /// Its argument, or its demands on callers.
    argument: String,
    /// Whether it is part of a test.
    tests: bool,
}

/// Collects all Rust files below a directory, in order.
fn sources(directory: &Path, all: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
}

/// The text with spaces in the place of comments and literals, of the same length, so that a search
/// finds only code.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut blank = |from: usize, to: usize| {
        for place in &mut out[from..to] {
            if *place != b'\n' {
                *place = b' ';
            }
        }
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|&c| c == b'\n').unwrap_or(rest.len())
        } else if rest[0] == b'"' {
            let mut end = 1;
            while rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            end + 1
        } else if rest[0] == b'\'' && rest.get(1) == Some(&b'\\') {
            4 + rest[3..].iter().position(|&c| c == b'\'').expect("the end of a byte")
        } else if rest[0] == b'\'' && rest.get(2) == Some(&b'\'') {
            3
        } else {
            at += 1;
            continue;
        };
        blank(at, at + length);
        at += length;
    }
    String::from_utf8(out).expect("whole characters were replaced")
}

/// The offset behind the bracket that closes the one at `open`.
fn closed(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (n, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return n + 1;
        }
    }
    panic!("a bracket without its end");
}

/// The text in one line, as a table shows it.
fn in_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The comment before a line, from `start` to its end.
fn comment_before(lines: &[&str], line: usize, mark: &str, start: &str) -> String {
    // The line may continue a statement, and attributes may be in between.
    let mut end = line;
    while end > 0 && !lines[end - 1].trim_start().starts_with(mark) {
        let before = lines[end - 1].trim();
        if before.is_empty() || before.ends_with(';') || before.ends_with('}') || line - end > 6 {
            return String::new();
        }
        end -= 1;
    }
    let mut begin = end;
    while begin > 0 && lines[begin - 1].trim_start().starts_with(mark) {
        begin -= 1;
    }
    let comment = lines[begin..end].iter().map(|line| line.trim_start().trim_start_matches(mark));
    let comment = in_line(&comment.collect::<Vec<_>>().join(" "));
    comment.split_once(start).map_or(String::new(), |(_, argument)| argument.trim().into())
}

/// The last of these words before an offset that begins a definition, and its name.
fn enclosing(code: &str, at: usize) -> String {
    let mut found = (0, String::new());
    for word in ["fn ", "macro_rules! ", "impl ", "static "] {
        for (place, _) in code[..at].match_indices(word) {
            let name = &code[place + word.len()..];
            let end = match word {
                "impl " => name.find(" {").unwrap_or(0),
                _ => name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0),
            };
            // A type like `fn() -> i32` has no name, `'static` is a lifetime, and an `impl` behind
            // other words is a type too.
            let before = &code[..place];
            let begins = before.rsplit('\n').next().is_some_and(|it| it.trim().is_empty());
            let is_item = end > 0 && !before.ends_with('\'') && (begins || word != "impl ");
            if is_item && place >= found.0 {
                found = (place, in_line(&format!("{word}{}", &name[..end])));
            }
        }
    }
    found.1.trim_start_matches("fn ").into()
}

/// The name of the next function or static.
fn defined(code: &str) -> String {
    let next = ["fn ", "static "].map(|word| code.find(word).map(|at| at + word.len()));
    let start = next.into_iter().flatten().min().unwrap_or(code.len());
    let end = code[start..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
    code[start..start + end].into()
}

fn items_of(file: &str, text: &str) -> Vec<Item> {
    let code = code_of(text);
    let lines: Vec<&str> = text.lines().collect();
    let tests_from = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    let mut items = Vec::new();
    for (at, _) in code.match_indices("unsafe") {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if is_word(code[..at].chars().next_back()) || is_word(code[at + 6..].chars().next()) {
            continue;
        }
        let line = code[..at].matches('\n').count();
        let behind = code[at + 6..].trim_start();
        let open = code.len() - behind.len();
        let safety = comment_before(&lines, line, "//", "SAFETY:");
        // A definition is shown with its own name, a block with the function around it.
        let mut place = enclosing(&code, at);
        let (end, argument) = if behind.starts_with('{') {
            (closed(&code, open), safety)
        } else if behind.starts_with('(') {
            // An unsafe attribute, whose name states the promise.
            let end = closed(&code, open);
            place = defined(&code[end..]);
            (end, safety)
        } else if behind.starts_with("impl") {
            place.clear();
            (at + code[at..].find('{').expect("a body"), safety)
        } else {
            let open = at + code[at..].find('(').expect("a function");
            if code[..open].ends_with("fn") {
                continue; // a type
            }
            place = defined(&code[at..]);
            (closed(&code, open), comment_before(&lines, line, "///", "# Safety"))
        };
        items.push(Item {
            file: file.into(),
            place,
            code: in_line(&text[at..end]),
            argument,
            tests: at > tests_from || file.ends_with("_tests.rs") || file.ends_with("_support.rs"),
        });
    }
    items
}

fn items() -> Vec<Item> {
    let mut paths = Vec::new();
    sources(&checkout().join("crates"), &mut paths);
    let mut items = Vec::new();
    for path in paths {
        let name = path.strip_prefix(checkout()).expect("below the root").display().to_string();
        items.extend(items_of(&name, &fs::read_to_string(&path).expect("a text")));
    }
    items
}

/// The verdicts of a list by their code, in order for equal code.
fn verdicts(list: &str) -> HashMap<String, Vec<String>> {
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    for row in list.lines().filter(|row| row.starts_with("| ")) {
        if let Some((subject, verdict)) = row.trim_end_matches(" |").rsplit_once(" | ") {
            all.entry(subject.into()).or_default().push(verdict.into());
        }
    }
    all
}

/// The part of the list that comes from the sources.
fn listed(items: &[Item], old: &str) -> String {
    let mut verdicts = verdicts(old);
    let mut out = String::new();
    let (tests, programs): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.tests);
    let mut file = "";
    for item in &programs {
        if item.file != file {
            file = &item.file;
            let count = programs.iter().filter(|other| other.file == file).count();
            let _ = write!(
                out,
                "\n## {file}: {count}\n\n| in | code | argument | verdict |\n|---|---|---|---|\n"
            );
        }
        let Item { place, code, argument, .. } = item;
        let subject = format!("| `{place}` | `{code}` | {argument}");
        let known = verdicts.get_mut(&subject).filter(|known| !known.is_empty());
        let verdict = known.map_or_else(String::new, |known| known.remove(0));
        let _ = writeln!(out, "{subject} | {verdict} |");
    }
    let _ = write!(
        out,
        "\n## In tests: {}\n\n| file | in | code | argument |\n|---|---|---|---|\n",
        tests.len()
    );
    for Item { file, place, code, argument, .. } in tests {
        let _ = writeln!(out, "| {file} | `{place}` | `{code}` | {argument} |");
    }
    out
}

#[test]
fn the_list_of_unsafe_code_is_complete_and_up_to_date() {
    let path = checkout().join("docs/unsafe.md");
    let text = fs::read_to_string(&path).expect("the list");
    let (before, old) = text.split_once(BEGINNING).expect("the line before the list");
    let items = items();
    let new = listed(&items, old);
    if std::env::var_os("UNSAFE_LIST").is_some_and(|what| what == "write") {
        fs::write(&path, format!("{before}{BEGINNING}\n{new}")).expect("the list is written");
        return;
    }
    let first = old.trim().lines().zip(new.trim().lines()).find(|(old, new)| old != new);
    assert!(
        old.trim() == new.trim(),
        "docs/unsafe.md is stale: see tests/system/tests/unsafe_code.rs. The first difference: {first:#?}"
    );
    for row in old.lines().filter(|row| row.starts_with("| `")) {
        assert!(!row.ends_with("|  |"), "a row without a verdict: {row}");
    }
    // Unsafe code states why it is sound. Exceptions: an attribute, whose name is all there is, and
    // a function that a trait or the compiler demands, whose verdict says so.
    for Item { file, place, code, argument, .. } in &items {
        let needs_none = code.starts_with("unsafe(") || code.contains("fn ");
        assert!(!argument.is_empty() || needs_none, "{file}: {place}: {code}");
    }
}

#[test]
fn unsafe_code_is_only_in_sys() {
    for Item { file, code, .. } in items() {
        assert!(file.starts_with("crates/sys/"), "{file}: {code}");
    }
}
