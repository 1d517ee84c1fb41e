//! The script: directories, sizes, numbers of files, and words that mean nothing.

use crate::{finished, is_between, log, multilog, names, now, only, split};
use harness::{Output, Tree};

#[test]
fn lines_are_kept_in_a_directory() {
    let tree = Tree::new();
    log(&tree, &["./d"], "one\n\ntwo\n");
    assert_eq!(tree.text("d/current"), "one\n\ntwo\n");
    let absolute = tree.path("absolute");
    log(&tree, &[absolute.to_str().expect("a name")], "x\n");
    assert_eq!(tree.text("absolute/current"), "x\n");
    tree.mkdir("here");
    multilog(&tree, &["."]).cwd("here").stdin("y\n").run().is(0, "", "");
    assert_eq!(tree.text("here/current"), "y\n");
    log(&tree, &["./slash/"], "z\n");
    assert_eq!(tree.text("slash/current"), "z\n");
    // The whole argument is the name.
    tree.mkdir(".hidden");
    log(&tree, &[".hidden"], "h\n");
    assert_eq!(tree.text(".hidden/current"), "h\n");
}

#[test]
fn without_a_script_lines_are_read_and_dropped() {
    let tree = Tree::new();
    log(&tree, &[], "one\ntwo");
    log(&tree, &[], "");
    assert_eq!(names(&tree, ""), [""; 0]);
}

#[test]
fn a_first_argument_which_begins_with_t_stamps_every_line() {
    for first in ["t", "test", "t999", "t./x"] {
        let tree = Tree::new();
        let before = now();
        log(&tree, &[first, "./d"], "one\n\nlast");
        let after = now();
        let text = tree.text("d/current");
        assert!(text.ends_with("last\n"));
        let lines: Vec<_> = text.lines().map(split).collect();
        assert_eq!(lines.iter().map(|(_, line)| *line).collect::<Vec<_>>(), ["one", "", "last"]);
        lines.iter().for_each(|(digits, _)| is_between(&before, digits, &after));
        assert!(lines.is_sorted_by_key(|(digits, _)| *digits));
        assert_eq!(names(&tree, ""), ["d"]);
    }
}

/// Runs multilog on an input with a script that contains this number of ignored arguments.
#[track_caller]
fn log_with_ignored(tree: &Tree, script: &[&str], ignored: usize, input: &str) {
    let output = multilog(tree, script).stdin(input).run();
    if tree.suite().differs("an ignored argument causes a warning") {
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(output.err().matches(", ignored\n").count(), ignored, "{output}");
    } else {
        output.is(0, "", "");
    }
}

#[test]
fn t_elsewhere_is_ignored() {
    for script in
        [&["./d", "t"][..], &["+*", "t", "./d"], &["", "t", "./d"], &["n5", "test", "./d"]]
    {
        let tree = Tree::new();
        log_with_ignored(&tree, script, 1, "one\n");
        assert_eq!(tree.text("d/current"), "one\n");
    }
}

#[test]
fn unknown_actions_and_empty_arguments_are_ignored() {
    let tree = Tree::new();
    let unknown = ["", "9", "@x", "%", ",", ":x", "\x01", " ", "\u{ff}", "Z", "{", "\n", "~/d"];
    let script = [&unknown[..], &["./d"], &unknown[..]].concat();
    log_with_ignored(&tree, &script, 2 * (unknown.len() - 1), "one\n");
    assert_eq!(tree.text("d/current"), "one\n");
    assert_eq!(names(&tree, ""), ["d"]);
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    log(&tree, &["--", "-h", "--help", "./d"], "-\nh\n-help\n--\nx\n");
    assert_eq!(tree.text("d/current"), "--\nx\n");
}

#[test]
fn the_script_is_run_in_order_for_each_line() {
    let tree = Tree::new();
    let script = [
        "./all", "-a*", "./not-a", "e", "+ab*", "./ab-too", "=last", "-*", "./none", "e", "+*z",
        "./z", "=z-last",
    ];
    let output = multilog(&tree, &script).stdin("a\nab\nb\nz\nabz\n").run();
    output.is(0, "", "b\nz\n");
    for (dir, lines) in [
        ("all", "a\nab\nb\nz\nabz\n"),
        ("not-a", "b\nz\n"),
        ("ab-too", "ab\nb\nz\nabz\n"),
        ("none", ""),
        ("z", "z\nabz\n"),
    ] {
        assert_eq!(tree.text(format!("{dir}/current")), lines, "{dir}");
    }
    assert!(tree.text("last").starts_with("abz\n"));
    assert!(tree.text("z-last").starts_with("abz\n"));
}

#[test]
fn a_line_begins_selected() {
    let tree = Tree::new();
    log(&tree, &["+x", "./a", "-x", "./b", "-*", "./c", "+y", "./d"], "x\ny\n");
    assert_eq!(tree.text("a/current"), "x\ny\n");
    assert_eq!(tree.text("b/current"), "y\n");
    assert_eq!(tree.text("c/current"), "");
    assert_eq!(tree.text("d/current"), "y\n");
}

#[test]
fn sizes_count_for_the_directories_behind_them() {
    let tree = Tree::new();
    let script = ["./before", "s5000", "./small", "s10000", "./a", "./b", "s7000"];
    log(&tree, &script, "x".repeat(99_999 + 1));
    // Without newlines a file reaches exactly its size.
    for (dir, size) in [("before", 99_999), ("small", 5000), ("a", 10_000), ("b", 10_000)] {
        for name in finished(&tree, dir) {
            assert_eq!(tree.read(&name).len(), size, "{name}");
        }
    }
    assert_eq!(finished(&tree, "before").len(), 1);
    assert_eq!(tree.text("before/current"), "x\n");
    assert_eq!(finished(&tree, "a").len(), 9);
}

/// Asserts that ours warns of the numbers it changes. The original is silent about them.
#[track_caller]
fn reports_changed_numbers(tree: &Tree, output: &Output, script: &[&str]) {
    let mut warns = false;
    if tree.suite().differs("ours warns of a number that is too small or malformed") {
        warns = script.iter().any(|action| {
            let (least, number) = match action.split_at_checked(1) {
                Some(("s", number)) => (4096, number),
                Some(("n", number)) => (2, number),
                _ => return false,
            };
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            !digits || number.parse::<u128>().unwrap_or(0) < least
        });
    }
    let said = output.err();
    let wanted = if warns { said.starts_with("multilog: warning: ") } else { said.is_empty() };
    assert!(output.code == Some(0) && wanted, "{script:?}: {output}");
}

/// The size of the files: the length of the first file, from input without newlines.
#[track_caller]
fn size_of(argument: &str, at_most: usize) -> Option<usize> {
    let tree = Tree::new();
    let output = multilog(&tree, &[argument, "n2", "./d"]).stdin("x".repeat(at_most)).run();
    reports_changed_numbers(&tree, &output, &[argument]);
    finished(&tree, "d").first().map(|name| tree.read(name).len())
}

#[test]
fn a_size_is_at_least_4096_and_only_its_leading_digits_count() {
    let small = [
        "s0", "s1", "s4095", "s4096", "s", "sabc", "s12k", "s-99999", "s 99999", "s+5000",
        "s0x9999",
    ];
    for argument in small {
        assert_eq!(size_of(argument, 4100), Some(4096), "{argument}");
    }
    for (argument, size) in
        [("s4097", 4097), ("s005000", 5000), ("s5000k", 5000), ("s5000.9", 5000)]
    {
        assert_eq!(size_of(argument, 5100), Some(size), "{argument}");
    }
}

#[test]
fn the_usual_size_is_99999() {
    let tree = Tree::new();
    log(&tree, &["./d"], "x".repeat(100_000));
    assert_eq!(tree.read(only(&tree, "d")).len(), 99_999);
}

#[test]
fn large_sizes_are_possible() {
    assert_eq!(size_of("s16777215", 16_777_217), Some(16_777_215));
    assert_eq!(size_of("s16000000", 16_777_217), Some(16_000_000));
    // daemontools-encore allows larger sizes too, up to its own limit.
    let limitless = Tree::new().suite().differs("ours has no largest size");
    let limit = (!limitless).then_some(16_777_215);
    assert_eq!(size_of("s16800000", 16_777_217), limit);
    assert_eq!(size_of("s99999999", 17_000_000), limit);
}

/// How many files a log keeps, `current` included.
#[track_caller]
fn kept(script: &[&str]) -> usize {
    let tree = Tree::new();
    let output = multilog(&tree, script).stdin("x".repeat(16 * 4096)).run();
    reports_changed_numbers(&tree, &output, script);
    finished(&tree, "d").len() + 1
}

#[test]
fn the_number_of_files_is_at_least_2_and_only_its_leading_digits_count() {
    for argument in ["n0", "n1", "n2", "n", "nabc", "n-5", "n 5", "n2x", "n02"] {
        assert_eq!(kept(&["s4096", argument, "./d"]), 2, "{argument}");
    }
    for (argument, number) in [("n3", 3), ("n3abc", 3), ("n007", 7), ("n16", 16), ("n1000", 17)] {
        assert_eq!(kept(&["s4096", argument, "./d"]), number, "{argument}");
    }
}

#[test]
fn the_usual_number_of_files_is_10() {
    assert_eq!(kept(&["s4096", "./d"]), 10);
    // A number after the directory counts for later directories.
    assert_eq!(kept(&["s4096", "./d", "n2"]), 10);
    assert_eq!(kept(&["n3", "s4096", "n4", "./d", "n2"]), 4);
}
