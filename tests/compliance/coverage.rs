//! Whether the list of what the original does has a hole. See `coverage/README.md` for its form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Names a variable with which the table is written anew instead of compared.
const WRITE: &str = "DAEMONTOOLS_WRITE_COMPLIANCE";

/// The directory of the compliance tests.
fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a directory with that extension, by their names without it.
#[track_caller]
fn files(dir: &Path, extension: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|e| e == extension));
    wanted
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name");
            (name.to_owned(), read(&path))
        })
        .collect()
}

/// One thing that the original does.
struct Requirement {
    /// Where it is written down.
    place: String,
    text: String,
    /// As `file::test`.
    tests: Vec<String>,
}

impl Requirement {
    /// Whether ours does something else, which the text then tells.
    fn is_different(&self) -> bool {
        self.text.contains("*Different*")
    }

    /// Whether it could be tried on ours alone, as the text then admits.
    fn is_ours_alone(&self) -> bool {
        self.text.contains("*Tried on ours alone*")
    }
}

/// The requirements of one list: every line that begins with `- ` begins one, and what is indented
/// below goes on with it.
fn requirements(list: &str, text: &str) -> Vec<Requirement> {
    let mut found: Vec<Requirement> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = match (line.strip_prefix("- "), line.strip_prefix("  "), found.last_mut()) {
            (Some(words), ..) => {
                let place = format!("coverage/{list}.md:{number}");
                found.push(Requirement { place, text: String::new(), tests: Vec::new() });
                words
            }
            (None, Some(words), Some(_)) => words,
            _ => continue,
        };
        let last = found.last_mut().expect("there is one");
        last.text.push_str(words.trim());
        last.text.push(' ');
    }
    for Requirement { text, tests, .. } in &mut found {
        // What stands between backticks has odd numbers.
        let written = std::mem::take(text);
        for (number, part) in written.split('`').enumerate() {
            match (number % 2, part.contains("::")) {
                (1, true) => tests.push(part.to_owned()),
                (1, false) => write!(text, "`{part}`").expect("text"),
                _ => text.push_str(part),
            }
        }
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    found
}

fn lists() -> BTreeMap<String, Vec<Requirement>> {
    let mut lists = files(&here().join("coverage"), "md");
    lists.remove("README");
    lists.into_iter().map(|(name, text)| (name.clone(), requirements(&name, &text))).collect()
}

/// The functions of a source, each with its text, in order, and whether it is a test.
fn functions(source: &str) -> Vec<(String, String, bool)> {
    let mut found: Vec<(String, String, bool)> = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        if line == "#[test]" {
            is_test = true;
        }
        let signature = line.trim_start_matches("pub ").strip_prefix("fn ");
        if let Some(name) = signature.and_then(|rest| rest.split(['(', '<']).next()) {
            found.push((name.to_owned(), String::new(), is_test));
            is_test = false;
        }
        if let Some((_, text, _)) = found.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

fn tests(source: &str) -> BTreeSet<String> {
    functions(source).into_iter().filter(|(.., is_test)| *is_test).map(|(name, ..)| name).collect()
}

/// The reasons that are given to `Suite::differs`.
#[track_caller]
fn reasons(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in text.split(".differs(").skip(1) {
        let literal = call.trim_start().strip_prefix('"').expect("the reason is a literal");
        let (reason, _) =
            literal.split_once("\")").or_else(|| literal.split_once("\",")).expect("");
        // A literal of several lines.
        found.push(reason.split("\\\n").map(str::trim).collect::<Vec<_>>().join(" "));
    }
    found
}

/// The tests of a file that is named as in the lists: of this directory, or `system/NAME`.
fn source(file: &str) -> PathBuf {
    match file.split_once('/') {
        Some(_) => here().join("..").join(format!("{file}.rs")),
        None => here().join(format!("{file}.rs")),
    }
}

#[test]
fn every_requirement_names_tests_which_exist() {
    let mut wrong = Vec::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for requirement in lists().values().flatten() {
        let Requirement { place, text, tests: named } = requirement;
        if named.is_empty() || text.is_empty() {
            wrong.push(format!("{place}: no test: {text}"));
        }
        for name in named {
            let (file, test) = name.split_once("::").expect("a file and a test");
            let there = known.entry(file.to_owned()).or_insert_with(|| {
                fs::read_to_string(source(file)).map_or_else(|_| BTreeSet::new(), |s| tests(&s))
            });
            if !there.contains(test) {
                wrong.push(format!("{place}: there is no test {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files of tests in which the original's programs are run beside ours.
const BESIDE: [&str; 2] = ["system/mixed", "system/differential"];

#[test]
fn what_is_the_same_is_tried_on_the_original() {
    let lists = lists();
    let requirements = lists.iter().filter(|(list, _)| *list != "together").flat_map(|(_, r)| r);
    let mut wrong = Vec::new();
    for requirement in requirements.filter(|r| !r.is_different() && !r.is_ours_alone()) {
        let mut files = requirement.tests.iter().filter_map(|name| name.split("::").next());
        if !files.any(|file| !file.contains('/') || BESIDE.contains(&file)) {
            wrong.push(format!("{}: {}", requirement.place, requirement.text));
        }
    }
    assert!(wrong.is_empty(), "tried on ours alone:\n{}", wrong.join("\n"));
}

#[test]
fn every_test_belongs_to_a_requirement() {
    let lists = lists();
    let named: BTreeSet<&str> =
        lists.values().flatten().flat_map(|r| &r.tests).map(String::as_str).collect();
    let mut missing = Vec::new();
    for (file, source) in files(here(), "rs") {
        let tests = tests(&source).into_iter().map(|test| format!("{file}::{test}"));
        missing.extend(tests.filter(|name| file != "coverage" && !named.contains(name.as_str())));
    }
    assert!(missing.is_empty(), "in no list of coverage/:\n{}", missing.join("\n"));
}

#[test]
fn every_difference_has_its_reason() {
    for (file, source) in files(here(), "rs") {
        // Who asks only which suite it is would not be listed.
        let asks = source.contains(concat!("is_", "original()"));
        assert!(!asks, "{file}.rs: a difference is told by Suite::differs");
    }
}

/// The table of `docs/compliance.md`.
fn table() -> String {
    let mut text = String::from(
        "# How far daemontools-rs agrees with the original\n\n\
         This page is made from the lists in `tests/compliance/coverage`, which say what the \
         original\ndoes and which tests prove it, and from the reasons in the tests. A test fails \
         if it is stale;\n`DAEMONTOOLS_WRITE_COMPLIANCE=1 cargo test -p compliance --test \
         coverage` writes it anew.\n\n\
         *Same* are the requirements whose tests pass on the original's programs and on ours \
         alike. Of those\nthat are *different*, the tests state what ours does instead, and fail \
         as soon as it does not. What could not be provoked on the original is *tried on ours \
         alone*,\nand its behaviour known from its source.\n\n\
         | List | Requirements | Same | Different | Tests |\n|---|---|---|---|---|\n",
    );
    let lists = lists();
    let (mut sum, mut sum_different, mut all) = (0, 0, BTreeSet::new());
    for (list, requirements) in &lists {
        let different = requirements.iter().filter(|r| r.is_different()).count();
        let tests: BTreeSet<_> = requirements.iter().flat_map(|r| &r.tests).collect();
        let (count, same) = (requirements.len(), requirements.len() - different);
        writeln!(
            text,
            "| [{list}](../tests/compliance/coverage/{list}.md) | {count} | {same} | {different} \
             | {} |",
            tests.len()
        )
        .expect("text");
        (sum, sum_different) = (sum + count, sum_different + different);
        all.extend(tests);
    }
    let same = sum - sum_different;
    writeln!(text, "| all | {sum} | {same} | {sum_different} | {} |", all.len()).expect("text");
    text.push_str(
        "\n## Differences in the tests that run on both\n\nOne test, two expectations: the \
         original's, and ours with its reason.\n",
    );
    for (file, source) in files(here(), "rs") {
        let mut lines = String::new();
        for (function, body, _) in functions(&source) {
            for reason in reasons(&body).into_iter().filter(|_| file != "coverage") {
                writeln!(lines, "- {reason} (`{function}`)").expect("text");
            }
        }
        if !lines.is_empty() {
            write!(text, "\n**{file}.rs**\n\n{lines}").expect("text");
        }
    }
    text.push_str("\n## Requirements that ours fulfils differently\n");
    for (list, requirements) in &lists {
        let mut different = requirements.iter().filter(|r| r.is_different()).peekable();
        if different.peek().is_some() {
            write!(text, "\n**{list}**\n\n").expect("text");
        }
        for requirement in different {
            writeln!(text, "- {}", requirement.text).expect("text");
        }
    }
    text
}

#[test]
fn the_table_in_the_documentation_is_up_to_date() {
    let path = here().join("../../docs/compliance.md");
    let table = table();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &table).expect("write the table");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == table, "docs/compliance.md is stale: set {WRITE}=1 and run this test again");
}
