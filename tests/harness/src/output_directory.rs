//! The files of multilog's output directories.

use crate::Tree;
use std::fs;
use std::path::Path;

/// The names of the finished files of an output directory, the oldest first.
///
/// # Panics
///
/// If there is no such directory.
#[must_use]
#[track_caller]
pub fn finished_files(tree: &Tree, dir: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(tree.path(dir)).expect("an output directory");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let mut finished: Vec<String> = names.filter(|name| name.starts_with('@')).collect();
    finished.sort();
    finished
}

/// All lines of an output directory, the oldest first.
///
/// # Panics
///
/// If there is no such directory.
#[must_use]
#[track_caller]
pub fn whole_log(tree: &Tree, dir: impl AsRef<Path>) -> String {
    let dir = dir.as_ref();
    let names = finished_files(tree, dir).into_iter().chain(["current".to_owned()]);
    names.map(|name| tree.text(dir.join(name))).collect()
}
