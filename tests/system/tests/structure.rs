//! The rules of the house that a program can check: no import circle, one subject a file, one name a
//! file and a type, and plain words. CONTRIBUTING.md states them for people.

use harness::checkout;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose files this looks at, from the top of the checkout.
const CRATES: [&str; 6] = [
    "crates/sys",
    "crates/core",
    "crates/tools",
    "operator/servicedir",
    "operator/svctl",
    "operator/svweb",
];

/// The most lines of a file of a program, tests of their own aside.
const MOST_LINES: usize = 700;

/// Lines with these texts may have such a word: the account, a message that scripts know, the rule.
const EXCEPTIONS: [&str; 5] =
    ["so nobody reads it", "\"nobody\"", "user nobody", "`nobody`", "Do not write"];

/// Words that leave open which process, user or thing is meant.
const VAGUE: [&str; 8] =
    ["anybody", "nobody", "somebody", "whoever", "whom", "whomever", "theirs", "stranger"];

/// The files below a directory with one of these extensions, in order; nothing of what Cargo builds.
fn files(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("a directory of the checkout");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        let is =
            |names: &[&str]| names.iter().any(|name| path.file_name().is_some_and(|n| n == *name));
        if path.is_dir() {
            if !is(&["target", ".git", "corpus"]) {
                files(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
            found.push(path);
        }
    }
}

fn sources(of: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&checkout().join(of).join("src"), &["rs"], &mut found);
    found
}

/// A source without its comments and without the tests at its end.
fn product(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// The path of the module that a file is, as `a::b`; empty for the crate itself.
fn module(path: &Path, crate_dir: &str) -> String {
    let below = path.strip_prefix(checkout().join(crate_dir).join("src")).expect("a source");
    let mut parts: Vec<String> = below
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts.join("::")
}

/// The paths that a `use` declaration names, braces expanded.
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let mut depth = 0;
    let mut begin = 0;
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[begin..]);
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        match part.split_once('{') {
            Some((head, rest)) => {
                let rest = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
                expand(&format!("{prefix}{head}"), rest, out);
            }
            None => {
                let name = part.split(" as ").next().unwrap_or_default().trim();
                out.push(format!("{prefix}{name}"));
            }
        }
    }
}

/// The modules of the same crate that a file imports: by `use`, or by a path in its code.
fn imports(code: &str, own: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let mut paths = Vec::new();
    for declaration in code.split("use ").skip(1) {
        expand("", declaration.split(';').next().unwrap_or_default(), &mut paths);
    }
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let path: String = code[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            paths.push(path);
        }
    }
    let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = paths.iter().filter_map(|path| {
        let path = path.split_whitespace().collect::<String>();
        if let Some(rest) = path.strip_prefix("crate::") {
            return Some(rest.to_owned());
        }
        let mut base = parent.to_owned();
        let mut rest = path.strip_prefix("super::")?;
        while let Some(further) = rest.strip_prefix("super::") {
            base = base.rsplit_once("::").map_or("", |(up, _)| up).to_owned();
            rest = further;
        }
        Some(if base.is_empty() { rest.to_owned() } else { format!("{base}::{rest}") })
    });
    let longest = absolute.filter_map(|path| {
        let mut path = path.as_str();
        loop {
            if modules.contains(path) {
                return Some(path.to_owned());
            }
            path = path.rsplit_once("::")?.0;
        }
    });
    // A folder's `mod.rs` gathers its files, which is no import.
    longest.filter(|to| to != own && !own.starts_with(&format!("{to}::"))).collect()
}

/// The modules that import each other, directly or round about: each group once.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from.to_owned()];
        while let Some(next) = todo.pop() {
            for to in edges.get(&next).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    todo.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|module| (module, reach(module))).collect();
    let mut groups = BTreeSet::new();
    for (module, seen) in &reached {
        if seen.contains(*module) {
            let group =
                seen.iter().filter(|other| reached.get(other).is_some_and(|s| s.contains(*module)));
            groups.insert(group.cloned().collect::<Vec<_>>().join(", "));
        }
    }
    groups.into_iter().collect()
}

#[test]
fn no_crate_has_an_import_circle() {
    let mut found = Vec::new();
    for of in CRATES {
        let all = sources(of);
        let modules: BTreeSet<String> =
            all.iter().map(|path| module(path, of)).filter(|name| !name.is_empty()).collect();
        let mut edges = BTreeMap::new();
        for path in &all {
            let own = module(path, of);
            let text = fs::read_to_string(path).expect("a source");
            // The crate itself only lists its modules and types that all of them share.
            if !own.is_empty() {
                edges.insert(own.clone(), imports(&product(&text), &own, &modules));
            }
        }
        found.extend(circles(&edges).into_iter().map(|circle| format!("{of}: {circle}")));
    }
    assert!(found.is_empty(), "files that import each other: {found:#?}");
}

#[test]
fn a_file_of_a_program_has_one_subject() {
    let mut long = Vec::new();
    for path in CRATES.iter().flat_map(|of| sources(of)) {
        let lines = fs::read_to_string(&path).expect("a source").lines().count();
        if lines > MOST_LINES {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "more than {MOST_LINES} lines: split by subject: {long:#?}");
}

#[test]
fn no_two_files_of_a_crate_have_one_name() {
    for of in CRATES {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in sources(of) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name != "mod.rs" && name != "tests.rs" {
                names.entry(name).or_default().push(module(&path, of));
            }
        }
        names.retain(|_, paths| paths.len() > 1);
        assert!(names.is_empty(), "{of}: {names:#?}");
    }
}

/// The types that a file declares, public or not.
fn declared_types(code: &str) -> BTreeSet<String> {
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let declared = words.windows(2).filter(|pair| {
        matches!(pair[0], "struct" | "enum" | "trait") && pair[1].starts_with(char::is_uppercase)
    });
    declared.map(|pair| pair[1].to_owned()).collect()
}

/// Private types count too: a reader who searches for the name finds all of them.
#[test]
fn no_two_types_of_a_crate_have_one_name() {
    for of in CRATES {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in sources(of) {
            let text = fs::read_to_string(&path).expect("a source");
            for name in declared_types(&product(&text)) {
                names.entry(name).or_default().push(module(&path, of));
            }
        }
        names.retain(|_, paths| paths.len() > 1);
        assert!(names.is_empty(), "{of}: {names:#?}");
    }
}

#[test]
fn every_text_names_what_it_is_about() {
    let mut all = Vec::new();
    for (directory, extensions) in [
        ("crates", &["rs", "toml"][..]),
        ("operator", &["rs", "toml", "md"]),
        ("tests", &["rs", "toml", "md"]),
        ("bench", &["rs", "toml", "md"]),
        ("fuzz", &["rs", "toml"]),
        ("docs", &["md"]),
        ("examples", &["md"]),
        ("man", &["5", "7", "8"]),
    ] {
        files(&checkout().join(directory), extensions, &mut all);
    }
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        all.push(checkout().join(page));
    }
    let mut found = Vec::new();
    for path in all.iter().filter(|path| !path.ends_with("structure.rs")) {
        let text = fs::read_to_string(path).expect("a text");
        let lines = (1..).zip(text.lines());
        for (number, line) in lines.filter(|(_, line)| !EXCEPTIONS.iter().any(|e| line.contains(e)))
        {
            let words = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            let vague = words.filter(|w| {
                VAGUE.contains(&w.as_str()) || VAGUE.contains(&w.trim_end_matches('s'))
            });
            for word in vague {
                found.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{} words of the list in CONTRIBUTING.md: {found:#?}", found.len());
}
