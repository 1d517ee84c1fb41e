//! Attacks by a user who may write a part of what the programs work with. `docs/security.md` says
//! what that user must not gain, and names these tests and others.

mod file_systems;
mod leftovers;
mod links;
mod locks;
mod log_paths;
mod notify;
mod pipes;
mod records;
mod services;

use harness::checkout;
use std::fs;
use std::path::Path;

/// The names of all functions in Rust sources below a directory.
fn functions(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("it can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("it can be read");
            let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            found.extend(names.filter_map(|name| Some(name.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn the_document_names_existing_tests_and_every_attack() {
    let document = checkout().join("docs/security.md");
    let document = fs::read_to_string(document).expect("it is there");
    // A word in backquotes that can only be the name of a test.
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|c| c == b'_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let named: Vec<&str> = document.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 40, "{named:?}");
    let mut there = Vec::new();
    for dir in ["tests", "crates", "operator/servicedir", "operator/svctl", "operator/svweb"] {
        functions(&checkout().join(dir), &mut there);
    }
    for name in &named {
        assert!(there.iter().any(|function| function == name), "there is no test {name}");
    }
    for file in fs::read_dir(checkout().join("tests/system/tests/security")).expect("list it") {
        let source = fs::read_to_string(file.expect("an entry").path()).expect("it can be read");
        for test in source.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().expect("a name");
            let is_this = name.starts_with("every_test_that_the_document_names");
            assert!(is_this || named.contains(&name), "{name} is not in the document");
        }
    }
}
