//! Compares the lists in `coverage/` with the tests. `coverage/README.md` describes their form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variable that makes the last test write `docs/compliance.md` before it compares.
const WRITE: &str = "DAEMONTOOLS_WRITE_COMPLIANCE";

/// The directory `tests/compliance`.
fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a directory with that extension: path and name without the extension, in order.
#[track_caller]
fn files(dir: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name");
            let name = name.to_owned();
            (path, name)
        })
        .collect();
    found.sort();
    found
}

/// One source file of the compliance tests.
struct Source {
    /// The test binary: the name of the file, or of the folder that holds it. The lists name tests
    /// as `binary::test`.
    binary: String,
    /// The path below `tests/compliance/tests`.
    name: String,
    text: String,
}

/// The sources of all test binaries but this one, in the order of their names.
#[track_caller]
fn sources() -> Vec<Source> {
    let tests = here().join("tests");
    let mut found: Vec<Source> = files(&tests, "rs")
        .into_iter()
        .filter(|(_, binary)| binary != "coverage")
        .map(|(path, binary)| Source { name: format!("{binary}.rs"), text: read(&path), binary })
        .collect();
    for entry in fs::read_dir(&tests).expect("list the tests") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        let binary = folder.file_name().and_then(|name| name.to_str()).expect("a plain name");
        found.extend(files(&folder, "rs").into_iter().map(|(path, name)| Source {
            binary: binary.to_owned(),
            name: format!("{binary}/{name}.rs"),
            text: read(&path),
        }));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// One thing that the original does.
struct Requirement {
    /// The list and the line.
    place: String,
    text: String,
    /// As `binary::test` for a compliance test, as `system/FILE::test` for a system test.
    tests: Vec<String>,
}

impl Requirement {
    /// Whether ours does something else. The text says what.
    fn is_different(&self) -> bool {
        self.text.contains("*Different*")
    }

    /// Whether no test provokes it on the original.
    fn is_ours_alone(&self) -> bool {
        self.text.contains("*Tried on ours alone*")
    }
}

/// The requirements of one list. A line that begins with `- ` starts one; indented lines continue it.
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
        // The parts between backticks have odd numbers.
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
    files(&here().join("coverage"), "md")
        .into_iter()
        .filter(|(_, name)| name != "README")
        .map(|(path, name)| {
            let requirements = requirements(&name, &read(&path));
            (name, requirements)
        })
        .collect()
}

/// The functions of a source in order: name, text, and whether it is a test.
fn functions(source: &str) -> Vec<(String, String, bool)> {
    let mut found: Vec<(String, String, bool)> = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        if line == "#[test]" {
            is_test = true;
        }
        let item = line.trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
        let signature = item.strip_prefix("fn ");
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

/// The reasons in the calls of `Suite::differs`.
#[track_caller]
fn reasons(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in text.split(".differs(").skip(1) {
        let literal = call.trim_start().strip_prefix('"').expect("the reason is a literal");
        let (reason, _) =
            literal.split_once("\")").or_else(|| literal.split_once("\",")).expect("a literal");
        // A literal may have several lines.
        found.push(reason.split("\\\n").map(str::trim).collect::<Vec<_>>().join(" "));
    }
    found
}

/// The names of the tests of every compliance test binary.
#[track_caller]
fn compliance_tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Source { binary, name, text } in sources() {
        let known = found.entry(binary.clone()).or_default();
        for test in tests(&text) {
            assert!(
                known.insert(test.clone()),
                "{name}: another file of `{binary}` has a test `{test}`; rename one of them"
            );
        }
    }
    found
}

/// The tests of a file of `tests/system/tests`, or none if there is no such file.
fn system_tests(file: &str) -> BTreeSet<String> {
    let path = here().join("../system/tests").join(format!("{file}.rs"));
    fs::read_to_string(path).map_or_else(|_| BTreeSet::new(), |source| tests(&source))
}

#[test]
fn every_requirement_names_tests_which_exist() {
    let mut wrong = Vec::new();
    let mut known = compliance_tests();
    for requirement in lists().values().flatten() {
        let Requirement { place, text, tests: named } = requirement;
        if named.is_empty() {
            wrong.push(format!("{place}: name a test behind this requirement: {text}"));
        }
        if text.is_empty() {
            wrong.push(format!("{place}: write the requirement before its tests"));
        }
        for name in named {
            let (file, test) = name.split_once("::").expect("a file and a test");
            let there = known.entry(file.to_owned()).or_insert_with(|| {
                file.strip_prefix("system/").map_or_else(BTreeSet::new, system_tests)
            });
            if !there.contains(test) {
                wrong.push(format!("{place}: `{name}` does not exist; correct or remove the name"));
            }
        }
    }
    assert!(wrong.is_empty(), "in tests/compliance/:\n{}", wrong.join("\n"));
}

/// Files of system tests that run the original's programs beside ours.
const BESIDE: [&str; 3] =
    ["system/mixed_suites", "system/differential/multilog", "system/differential/labels"];

#[test]
fn requirements_that_both_fulfil_are_tested_on_the_original() {
    let lists = lists();
    let requirements = lists.iter().filter(|(list, _)| *list != "together").flat_map(|(_, r)| r);
    let mut wrong = Vec::new();
    for requirement in requirements.filter(|r| !r.is_different() && !r.is_ours_alone()) {
        let mut files = requirement.tests.iter().filter_map(|name| name.split("::").next());
        if !files.any(|file| !file.contains('/') || BESIDE.contains(&file)) {
            wrong.push(format!("{}: {}", requirement.place, requirement.text));
        }
    }
    assert!(
        wrong.is_empty(),
        "only system tests prove these requirements, and they run ours alone. Name a compliance \
         test, or write `*Different*` or `*Tried on ours alone*`:\n{}",
        wrong.join("\n")
    );
}

/// The list that should name a test of that binary: the list of that name, otherwise the only list
/// that names tests of the binary, otherwise the list of the program that the test runs.
fn list_for(binary: &str, lists: &BTreeMap<String, Vec<Requirement>>) -> String {
    if lists.contains_key(binary) {
        return binary.to_owned();
    }
    let prefix = format!("{binary}::");
    let names = |r: &Requirement| r.tests.iter().any(|test| test.starts_with(&prefix));
    let mut with = lists.iter().filter(|(_, requirements)| requirements.iter().any(names));
    match (with.next(), with.next()) {
        (Some((list, _)), None) => list.clone(),
        _ => String::from("PROGRAM"),
    }
}

/// The instruction for tests that are in no list.
fn instruction(missing: &[String], lists: &BTreeMap<String, Vec<Requirement>>) -> String {
    let mut text = String::from(
        "these compliance tests are in no list. Add the line to the list, below the heading of its \
         subject, and\nwrite in it what the original does. PROGRAM is the program that the test \
         runs. If a requirement in\nthe list says it already, add only the name in backticks to \
         that requirement.\n",
    );
    for test in missing {
        let binary = test.split("::").next().expect("a binary");
        let list = list_for(binary, lists);
        write!(
            text,
            "\ntests/compliance/coverage/{list}.md:\n- WHAT THE ORIGINAL DOES. `{test}`\n"
        )
        .expect("text");
    }
    write!(text, "\nThen, in operator/: {WRITE}=1 cargo test -p compliance --test coverage")
        .expect("text");
    text
}

#[test]
fn every_test_belongs_to_a_requirement() {
    let lists = lists();
    let named: BTreeSet<&str> =
        lists.values().flatten().flat_map(|r| &r.tests).map(String::as_str).collect();
    let tests = compliance_tests()
        .into_iter()
        .flat_map(|(binary, tests)| tests.into_iter().map(move |test| format!("{binary}::{test}")));
    let missing: Vec<String> = tests.filter(|name| !named.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{}", instruction(&missing, &lists));
}

#[test]
fn a_test_in_no_list_gets_an_instruction() {
    let lists = lists();
    let missing = ["multilog::a_new_one", "running::a_new_one", "differences::a_new_one"];
    let text = instruction(&missing.map(String::from), &lists);
    for line in [
        "tests/compliance/coverage/multilog.md:\n- WHAT THE ORIGINAL DOES. `multilog::a_new_one`\n",
        "tests/compliance/coverage/all-programs.md:\n- WHAT THE ORIGINAL DOES. `running::a_new_one`\n",
        "tests/compliance/coverage/PROGRAM.md:\n- WHAT THE ORIGINAL DOES. `differences::a_new_one`\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// Cargo does not run a file of a folder that the folder's `main.rs` does not name.
#[test]
fn every_file_in_a_folder_is_a_module_of_its_main() {
    let sources = sources();
    for Source { binary, name, .. } in &sources {
        let Some((_, file)) = name.split_once('/') else { continue };
        let main = format!("{binary}/main.rs");
        let text = &sources.iter().find(|source| source.name == main).expect("a main.rs").text;
        let line = format!("mod {};", file.trim_end_matches(".rs"));
        assert!(
            file == "main.rs" || text.lines().any(|there| there == line),
            "{name} does not run: add `{line}` to tests/compliance/tests/{main}"
        );
    }
}

#[test]
fn every_difference_has_its_reason() {
    for Source { name, text, .. } in sources() {
        // The page lists only the reasons that `differs` gets.
        let asks = text.contains(concat!("is_", "original()"));
        assert!(!asks, "{name}: use Suite::differs(\"reason\") where the two suites differ");
    }
}

/// The table of `docs/compliance.md`.
fn table() -> String {
    let mut text = String::from(
        "# How far daemontools-rs agrees with the original\n\n\
         A test generates this page from two sources: the lists in `tests/compliance/coverage`, \
         which say what\nthe original does and which tests prove it, and the reasons in the tests. \
         The test fails if the page is\nstale. To write it, run\n\
         `DAEMONTOOLS_WRITE_COMPLIANCE=1 cargo test -p compliance --test coverage` in \
         `operator/`.\n\n\
         - *Same*: the tests pass on the original's programs and on ours.\n\
         - *Different*: the tests state what ours does instead.\n\
         - *Tried on ours alone*: no test provokes the case on the original. Its source shows what \
         it does.\n\n\
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
        "\n## Differences in the tests that run on both\n\nEach of these tests has two \
         expectations: the original's, and ours with its reason.\n",
    );
    for Source { name, text: source, .. } in sources() {
        let mut lines = String::new();
        for (function, body, _) in functions(&source) {
            for reason in reasons(&body) {
                writeln!(lines, "- {reason} (`{function}`)").expect("text");
            }
        }
        if !lines.is_empty() {
            write!(text, "\n**{name}**\n\n{lines}").expect("text");
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
    assert!(
        there == table,
        "docs/compliance.md is stale. Run in operator/, and commit the page:\n\
         {WRITE}=1 cargo test -p compliance --test coverage"
    );
}
