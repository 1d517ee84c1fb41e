//! Recovery: what multilog does with the files that an earlier run left.

use crate::{finished, is_between, log, names, now, numbered, only, start, wait_finished, whole};
use harness::{Signal, Tree};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Makes the files of a log: names, contents, modes.
pub(super) fn lay(tree: &Tree, files: &[(&str, &str, u32)]) {
    tree.mkdir("d");
    for (name, content, mode) in files {
        tree.write(format!("d/{name}"), content);
        tree.chmod(format!("d/{name}"), *mode);
    }
}

/// Makes these files and runs multilog on an empty input. Asserts that `current` is new and empty.
/// Returns the contents of the new finished files, each with its suffix and mode.
#[track_caller]
fn recovered(tree: &Tree, files: &[(&str, &str, u32)]) -> Vec<(String, &'static str, u32)> {
    lay(tree, files);
    let before = now();
    log(tree, &["./d"], "");
    let after = now();
    let rest: Vec<_> = names(tree, "d").into_iter().filter(|n| !n.starts_with('@')).collect();
    assert_eq!(rest, ["current", "lock", "state"]);
    assert_eq!((tree.text("d/current"), tree.text("d/state")), (String::new(), String::new()));
    assert_eq!((tree.mode("d/current"), tree.mode("d/state")), (0o744, 0o644));
    let laid = |name: &str| files.iter().any(|(laid, ..)| format!("d/{laid}") == name);
    let finished = finished(tree, "d").into_iter().filter(|name| !laid(name));
    finished
        .map(|name| {
            let (digits, suffix) = name[3..].split_at(24);
            is_between(&before, digits, &after);
            let suffix = if suffix == ".s" { ".s" } else { ".u" };
            assert_eq!(&name[27..], suffix);
            (tree.text(&name), suffix, tree.mode(&name))
        })
        .collect()
}

fn found(text: &str, suffix: &'static str, mode: u32) -> (String, &'static str, u32) {
    (text.to_owned(), suffix, mode)
}

#[test]
fn nothing_is_a_new_log() {
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[]), []);
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[("lock", "", 0o600)]), []);
}

#[test]
fn a_log_which_was_ended_well_is_continued() {
    let tree = Tree::new();
    lay(&tree, &[("current", "old\n", 0o744), ("state", "kept", 0o644)]);
    let inode = |name: &str| fs::metadata(tree.path(name)).expect("a file").ino();
    let before = inode("d/current");
    log(&tree, &["./d"], "new\n");
    assert_eq!(tree.text("d/current"), "old\nnew\n");
    assert_eq!(tree.mode("d/current"), 0o744);
    assert_eq!(tree.text("d/state"), "kept");
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    assert_eq!(inode("d/current"), before);
}

#[test]
fn only_the_owners_bit_says_that_a_log_was_ended_well() {
    let tree = Tree::new();
    lay(&tree, &[("current", "old\n", 0o700)]);
    log(&tree, &["./d"], "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("old\n".into(), 0o744));
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[("current", "a\n", 0o655)]), [found("a\n", ".u", 0o655)]);
}

#[test]
fn a_log_which_was_not_ended_becomes_a_u_file() {
    let tree = Tree::new();
    let files = [("current", "a\npart", 0o644), ("state", "lost", 0o644)];
    assert_eq!(recovered(&tree, &files), [found("a\npart", ".u", 0o644)]);
}

#[test]
fn an_empty_log_which_was_not_ended() {
    let tree = Tree::new();
    let aside = recovered(&tree, &[("current", "", 0o644)]);
    assert_eq!(aside, [found("", ".u", 0o644)]);
}

#[test]
fn a_full_file_becomes_a_u_file() {
    for mode in [0o744, 0o644] {
        let tree = Tree::new();
        let aside = recovered(&tree, &[("previous", "full\n", mode)]);
        assert_eq!(aside, [found("full\n", ".u", mode)]);
    }
}

#[test]
fn a_full_file_comes_before_the_current_one() {
    let tree = Tree::new();
    let aside = recovered(&tree, &[("previous", "1\n", 0o644), ("current", "2\n", 0o644)]);
    assert_eq!(aside, [found("1\n", ".u", 0o644), found("2\n", ".u", 0o644)]);
}

#[test]
fn a_full_file_which_has_its_last_name_already_loses_the_other() {
    let tree = Tree::new();
    let name = "@400000006b0119772131db2c.s";
    lay(&tree, &[(name, "full\n", 0o744)]);
    fs::hard_link(tree.path(format!("d/{name}")), tree.path("d/previous")).expect("a second name");
    log(&tree, &["./d"], "");
    assert_eq!(names(&tree, "d"), [name, "current", "lock", "state"]);
    assert_eq!(tree.text(format!("d/{name}")), "full\n");
}

#[test]
fn the_output_of_a_processor_which_had_finished_is_kept() {
    let tree = Tree::new();
    let files = [
        ("processed", "PROCESSED\n", 0o744),
        ("previous", "raw\n", 0o744),
        ("state", "old", 0o644),
        ("newstate", "new", 0o644),
        ("current", "more\n", 0o644),
    ];
    let wanted = [found("PROCESSED\n", ".s", 0o744), found("more\n", ".u", 0o644)];
    assert_eq!(recovered(&tree, &files), wanted);
}

#[test]
fn the_output_of_a_processor_which_had_not_finished_is_removed() {
    let tree = Tree::new();
    let files = [
        ("processed", "PROC", 0o644),
        ("previous", "raw\n", 0o744),
        ("state", "old", 0o644),
        ("newstate", "ne", 0o644),
        ("current", "more\n", 0o644),
    ];
    let wanted = [found("raw\n", ".u", 0o744), found("more\n", ".u", 0o644)];
    assert_eq!(recovered(&tree, &files), wanted);
}

#[test]
fn remains_of_a_processor_alone_are_removed() {
    let tree = Tree::new();
    let files = [("processed", "PROC", 0o644), ("newstate", "n", 0o644), ("state", "s", 0o644)];
    assert_eq!(recovered(&tree, &files), []);
    let tree = Tree::new();
    let aside = recovered(&tree, &[("processed", "PROCESSED\n", 0o744)]);
    assert_eq!(aside, [found("PROCESSED\n", ".s", 0o744)]);
}

#[test]
fn files_beside_a_complete_current_stay_until_the_next_rotation() {
    let tree = Tree::new();
    lay(&tree, &[("current", "2\n", 0o744), ("previous", "1\n", 0o744)]);
    log(&tree, &["./d"], "");
    // multilog does not touch `previous`.
    assert_eq!(names(&tree, "d"), ["current", "lock", "previous"]);
    assert_eq!((tree.text("d/current"), tree.text("d/previous")), ("2\n".into(), "1\n".into()));
    let logger = start(&tree, &["./d"]);
    logger.signal(Signal::ALARM);
    if tree.suite().differs("ours keeps a previous beside a complete current at the next rotation")
    {
        let files = wait_finished(&tree, "d", 2);
        let of = |suffix| files.iter().find(|name| name.ends_with(suffix)).expect("there is one");
        assert_eq!(tree.text(of(".u")), "1\n");
        assert_eq!(tree.text(of(".s")), "2\n");
    } else {
        // The original loses it.
        let files = wait_finished(&tree, "d", 1);
        assert!(files[0].ends_with(".s"), "{files:?}");
        assert_eq!(tree.text(&files[0]), "2\n");
    }
    logger.end().is(0, "", "");
}

#[test]
fn recovery_keeps_no_more_files_than_are_wanted() {
    let tree = Tree::new();
    let old: Vec<String> = (0..9).map(|n| format!("@400000000000000a0000000{n}.s")).collect();
    let mut files: Vec<_> = old.iter().map(|name| (name.as_str(), "x", 0o744)).collect();
    files.push(("previous", "1\n", 0o744));
    files.push(("current", "2\n", 0o644));
    lay(&tree, &files);
    log(&tree, &["n5", "./d"], "");
    let left = finished(&tree, "d");
    let texts: Vec<_> = left.iter().map(|name| tree.text(name)).collect();
    assert_eq!(texts, ["x", "x", "1\n", "2\n"]);
    assert_eq!(left[..2], [format!("d/{}", old[7]), format!("d/{}", old[8])]);
}

#[test]
fn a_killed_multilog_leaves_what_it_had_written() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    logger.log("two\n");
    logger.process.signal(Signal::KILL);
    assert_eq!(logger.process.wait().signal, Some(9));
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\ntwo\n".into(), 0o644));
    log(&tree, &["./d"], "three\n");
    assert_eq!(tree.text(only(&tree, "d")), "one\ntwo\n");
    assert!(only(&tree, "d").ends_with(".u"));
    assert_eq!(tree.text("d/current"), "three\n");
}

#[test]
fn other_signals_kill_it_as_usual() {
    for (signal, number) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::USR1, 10)] {
        let tree = Tree::new();
        let mut logger = start(&tree, &["./d"]);
        logger.log("one\n");
        logger.process.signal(signal);
        assert_eq!(logger.process.wait().signal, Some(number));
        assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o644));
    }
}

#[test]
fn a_directory_is_passed_on_from_one_run_to_the_next() {
    let tree = Tree::new();
    let lines = numbered(1000, 16);
    for part in lines.as_bytes().chunks(1600) {
        log(&tree, &["s4096", "n100", "./d"], part);
    }
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
    // The size counts the whole file, including the part from earlier runs.
    let sizes: Vec<_> = finished(&tree, "d").iter().map(|name| tree.read(name).len()).collect();
    assert!(sizes.iter().all(|&size| size > 2000 && size <= 4096), "{sizes:?}");
}
