//! softlimit: one letter for each soft limit.

use harness::{Cmd, Tree, note};
use std::collections::BTreeMap;

/// The soft and the hard limits by their names in `/proc`.
type Limits = BTreeMap<String, (String, String)>;

/// The limits that a command prints.
#[track_caller]
fn limits(command: Cmd<'_>) -> Limits {
    let output = command.run();
    assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
    let text = output.out();
    let found: Limits = text
        .lines()
        .skip(1)
        .map(|line| {
            // The names are padded to 26 characters, the limits to 21.
            let (name, rest) = line.split_at(26);
            let mut values = rest.split_whitespace().map(str::to_owned);
            let soft = values.next().expect("a soft limit");
            (name.trim_end().to_owned(), (soft, values.next().expect("a hard limit")))
        })
        .collect();
    assert!(found.contains_key("Max open files"), "{text}");
    found
}

/// The limits without softlimit.
#[track_caller]
fn bare(tree: &Tree) -> Limits {
    limits(tree.cmd("cat").arg("/proc/self/limits"))
}

/// The limits under `softlimit` with these options.
fn softlimit<'t>(tree: &'t Tree, options: &[&str]) -> Cmd<'t> {
    tree.cmd("softlimit").args(options).args(["cat", "/proc/self/limits"])
}

/// Sets soft limits in the limits without softlimit, up to the hard limits.
#[track_caller]
fn with(mut limits: Limits, changes: &[(&str, u64)]) -> Limits {
    for &(name, value) in changes {
        let (soft, hard) = limits.get_mut(name).expect("a limit of that name");
        let hard = hard.parse().unwrap_or(u64::MAX);
        *soft = match value.min(hard) {
            u64::MAX => "unlimited".to_owned(),
            value => value.to_string(),
        };
    }
    limits
}

/// The letter, the name in `/proc`, the name for prlimit, and a value under which `cat` runs.
const LETTERS: [(char, &str, &str, u64); 10] = [
    ('a', "Max address space", "as", 2_000_000_000),
    ('c', "Max core file size", "core", 23),
    ('d', "Max data size", "data", 1_000_000_000),
    ('f', "Max file size", "fsize", 1_234_567),
    ('l', "Max locked memory", "memlock", 40_960),
    ('o', "Max open files", "nofile", 50),
    ('p', "Max processes", "nproc", 1000),
    ('r', "Max resident set", "rss", 12_345_678),
    ('s', "Max stack size", "stack", 1_000_000),
    ('t', "Max cpu time", "cpu", 1000),
];

// Usage

const USAGE: &str = "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] \
                     [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] \
                     [-r residentbytes] [-s stackbytes] [-t cpusecs] child\n";

#[test]
fn a_program_is_needed() {
    let tree = Tree::new();
    for options in [&[][..], &["-c", "5"], &["-c5"], &["--"], &["--foo"], &["-c", "5", "--"]] {
        tree.cmd("softlimit").args(options).run().is(100, "", USAGE);
    }
}

#[test]
fn an_unknown_letter_is_a_usage_error() {
    let tree = Tree::new();
    for (option, letter) in [
        ("-z", "z"),
        ("-A", "A"),
        ("-?", "?"),
        ("-:", ":"),
        ("-h", "h"),
        ("-n", "n"),
        ("-v", "v"),
        ("- ", " "),
    ] {
        let lines = format!("softlimit: illegal option -- {letter}\n{USAGE}");
        tree.cmd("softlimit").args([option, "5", "touch", "ran"]).run().is(100, "", &lines);
        tree.cmd("softlimit").args(["-c5", option, "touch", "ran"]).run().is(100, "", lines);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn every_letter_takes_a_value() {
    let tree = Tree::new();
    for letter in LETTERS.map(|(letter, ..)| letter).into_iter().chain(['m']) {
        let lines = format!("softlimit: option requires an argument -- {letter}\n{USAGE}");
        tree.cmd("softlimit").arg(format!("-{letter}")).run().is(100, "", &lines);
        tree.cmd("softlimit").args(["-c", "5", &format!("-{letter}")]).run().is(100, "", lines);
    }
}

#[test]
fn the_option_parser_names_the_program_as_it_was_called() {
    let tree = Tree::new();
    for (name, shown) in [("/some/where/limit", "limit"), ("x/", ""), ("", ""), ("lim", "lim")] {
        let lines = format!("{shown}: illegal option -- z\n{USAGE}");
        tree.cmd("softlimit").arg0(name).arg("-z").run().is(100, "", lines);
        let lines = format!("{shown}: option requires an argument -- c\n{USAGE}");
        tree.cmd("softlimit").arg0(name).arg("-c").run().is(100, "", lines);
        tree.cmd("softlimit").arg0(name).run().is(100, "", USAGE);
    }
}

#[test]
fn a_value_is_digits_only() {
    let tree = Tree::new();
    for value in ["x", "5x", "x5", " 5", "5 ", "+5", "-1", "--", "0x5", "5k", "5M", "1.0", "1e3"] {
        tree.cmd("softlimit").args(["-c", value, "touch", "ran"]).run().is(100, "", USAGE);
    }
    for value in ["==", "=5", "5=", "= ", "unlimited", "infinity", "\n", "5\n"] {
        tree.cmd("softlimit").args(["-c", value, "touch", "ran"]).run().is(100, "", USAGE);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn what_follows_a_letter_is_its_value_and_no_other_letter() {
    let tree = Tree::new();
    for option in ["-c5o", "-c5-", "-cc", "-cf5", "-c=o", "-c 5"] {
        tree.cmd("softlimit").args([option, "5", "touch", "ran"]).run().is(100, "", USAGE);
    }
    // The name of the program becomes the value.
    tree.cmd("softlimit").args(["-c", "touch", "ran"]).run().is(100, "", USAGE);
    assert!(!tree.exists("ran"));
}

// Options

#[test]
fn every_letter_sets_its_soft_limit_and_nothing_else() {
    let tree = Tree::new();
    let bare = bare(&tree);
    for (letter, name, _, value) in LETTERS {
        let expected = with(bare.clone(), &[(name, value)]);
        let [letter, value] = [format!("-{letter}"), value.to_string()];
        assert_eq!(limits(softlimit(&tree, &[&letter, &value])), expected, "{letter} {value}");
        assert_eq!(limits(softlimit(&tree, &[&(letter + &value)])), expected);
    }
}

#[test]
fn m_sets_four_limits() {
    let tree = Tree::new();
    let value = 500_000_000;
    let expected = with(
        bare(&tree),
        &[
            ("Max data size", value),
            ("Max stack size", value),
            ("Max locked memory", value),
            ("Max address space", value),
        ],
    );
    assert_eq!(limits(softlimit(&tree, &["-m", "500000000"])), expected);
    assert_eq!(limits(softlimit(&tree, &["-m500000000"])), expected);
}

#[test]
fn many_options_act_together() {
    let tree = Tree::new();
    let expected = with(
        bare(&tree),
        &[("Max core file size", 7), ("Max open files", 33), ("Max cpu time", 999)],
    );
    assert_eq!(limits(softlimit(&tree, &["-c", "7", "-o33", "-t", "999"])), expected);
    assert_eq!(limits(softlimit(&tree, &["-t999", "-c7", "-o", "33", "--"])), expected);
}

#[test]
fn options_act_in_order() {
    let tree = Tree::new();
    let bare = bare(&tree);
    let expected = with(bare.clone(), &[("Max open files", 50)]);
    assert_eq!(limits(softlimit(&tree, &["-o", "20", "-o", "70", "-o", "50"])), expected);
    let value = 500_000_000;
    let memory = [("Max data size", value), ("Max locked memory", value)];
    let expected = with(with(bare.clone(), &memory), &[("Max address space", value)]);
    let expected_after = with(expected.clone(), &[("Max stack size", 1_000_000)]);
    assert_eq!(limits(softlimit(&tree, &["-m500000000", "-s", "1000000"])), expected_after);
    let expected_before = with(expected, &[("Max stack size", value)]);
    assert_eq!(limits(softlimit(&tree, &["-s", "1000000", "-m500000000"])), expected_before);
}

#[test]
fn a_program_without_options_runs_under_the_limits_there_were() {
    let tree = Tree::new();
    let bare = bare(&tree);
    assert_eq!(limits(softlimit(&tree, &[])), bare);
    assert_eq!(limits(softlimit(&tree, &["--"])), bare);
    assert_eq!(limits(softlimit(&tree, &["--foo"])), bare);
}

#[test]
fn anything_which_begins_with_two_dashes_ends_the_options() {
    let tree = Tree::new();
    for mark in ["--", "--foo", "--help", "--c"] {
        tree.cmd("softlimit").args(["-c5", mark, "echo", "hi"]).run().is(0, "hi\n", "");
    }
    tree.script("-c", "#!/bin/sh\necho \"$@\"\n");
    let command = tree.cmd("softlimit").args(["--", "-c", "--", "5"]).env("PATH", ".:/bin");
    command.run().is(0, "-- 5\n", "");
}

#[test]
fn options_end_at_the_program() {
    let tree = Tree::new();
    tree.cmd("softlimit").args(["echo", "-z", "-c", "--"]).run().is(0, "-z -c --\n", "");
    tree.cmd("softlimit").args(["-c5", "echo", "-c5"]).run().is(0, "-c5\n", "");
    let line = "softlimit: fatal: unable to run -: file does not exist\n";
    tree.cmd("softlimit").arg("-").run().is(111, "", line);
    tree.cmd("softlimit").args(["-c5", "-", "-z"]).run().is(111, "", line);
    let line = "softlimit: fatal: unable to run : access denied\n";
    tree.cmd("softlimit").args(["-c5", "", "-z"]).run().is(111, "", line);
}

// Values

#[test]
fn an_empty_value_is_0() {
    let tree = Tree::new();
    let expected = with(bare(&tree), &[("Max core file size", 0), ("Max processes", 0)]);
    assert_eq!(limits(softlimit(&tree, &["-c", "", "-p", ""])), expected);
    assert_eq!(limits(softlimit(&tree, &["-c0", "-p", "00"])), expected);
}

#[test]
fn leading_zeros_do_not_mean_octal() {
    let tree = Tree::new();
    let expected = with(bare(&tree), &[("Max open files", 40)]);
    assert_eq!(limits(softlimit(&tree, &["-o", "00040"])), expected);
    assert_eq!(limits(softlimit(&tree, &["-o", &format!("{}40", "0".repeat(100))])), expected);
}

#[test]
fn values_have_64_bits() {
    let tree = Tree::new();
    let bare = bare(&tree);
    for value in [
        u64::from(u32::MAX),
        u64::from(u32::MAX) + 1,
        5_000_000_000,
        i64::MAX.cast_unsigned(),
        i64::MAX.cast_unsigned() + 1,
        u64::MAX - 1,
        u64::MAX,
    ] {
        // The kernel does not enforce this limit.
        let expected = with(bare.clone(), &[("Max resident set", value)]);
        assert_eq!(limits(softlimit(&tree, &["-r", &value.to_string()])), expected, "{value}");
    }
}

#[test]
fn larger_values_wrap() {
    let tree = Tree::new();
    let bare = bare(&tree);
    for (value, name, wrapped) in [
        ("18446744073709551616", "Max processes", 0),
        ("18446744073709551626", "Max core file size", 10),
        ("99999999999999999999", "Max resident set", 7_766_279_631_452_241_919),
        ("184467440737095516160000000005", "Max core file size", 5),
    ] {
        let letter = LETTERS.iter().find(|entry| entry.1 == name).expect("a letter").0;
        let expected = with(bare.clone(), &[(name, wrapped)]);
        assert_eq!(limits(softlimit(&tree, &[&format!("-{letter}{value}")])), expected);
    }
}

#[test]
fn a_limit_the_program_cannot_live_under_kills_it() {
    let tree = Tree::new();
    for options in [["-m", "0"], ["-a", "0"], ["-s", "0"]] {
        let output = tree.cmd("softlimit").args(options).arg("true").run();
        assert!(output.signal.is_some() && output.stderr.is_empty(), "{output}");
    }
}

// Hard limits

/// The letters whose limits the tests may lower on this machine.
fn limitable(tree: &Tree) -> Vec<(char, &'static str, &'static str, u64)> {
    let bare = bare(tree);
    let enough = |&(_, name, _, value): &(_, &str, _, u64)| {
        let fits = bare[name].1.parse().is_ok_and(|hard: u64| hard < value * 3 / 2);
        if fits {
            note(&format!("{name} is too low to be tested"));
        }
        !fits
    };
    LETTERS.into_iter().filter(enough).collect()
}

#[test]
fn no_soft_limit_gets_above_its_hard_limit() {
    let tree = Tree::new();
    for (letter, name, resource, value) in limitable(&tree) {
        let hard = value * 3 / 2;
        let wrapper = ["prlimit".to_owned(), format!("--{resource}={value}:{hard}")];
        let under = |value: &str| {
            let found = limits(softlimit(&tree, &[&format!("-{letter}"), value]).under(&wrapper));
            assert_eq!(found[name].1, hard.to_string(), "{name}");
            found[name].0.clone()
        };
        let [below, exactly] = [(value + 3).to_string(), hard.to_string()];
        assert_eq!(under(&below), below, "{name}");
        assert_eq!(under(&exactly), exactly, "{name}");
        assert_eq!(under(&(hard + 1).to_string()), exactly, "{name}");
        assert_eq!(under("18446744073709551615"), exactly, "{name}");
    }
}

#[test]
fn an_equals_sign_means_the_hard_limit() {
    let tree = Tree::new();
    for (letter, name, resource, value) in limitable(&tree) {
        let hard = value * 3 / 2;
        let wrapper = ["prlimit".to_owned(), format!("--{resource}={value}:{hard}")];
        for options in [vec![format!("-{letter}=")], vec![format!("-{letter}"), "=".to_owned()]] {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let found = limits(softlimit(&tree, &options).under(&wrapper));
            assert_eq!(found[name], (hard.to_string(), hard.to_string()), "{name}");
        }
    }
}

#[test]
fn m_with_an_equals_sign_raises_each_to_its_own_hard_limit() {
    let tree = Tree::new();
    let command = softlimit(&tree, &["-m", "="]).under([
        "prlimit",
        "--data=1000000000:1000000001",
        "--stack=1000000:1000002",
        "--memlock=3:1003",
        "--as=1000000000:1000000004",
    ]);
    let found = limits(command);
    for (name, hard) in [
        ("Max data size", "1000000001"),
        ("Max stack size", "1000002"),
        ("Max locked memory", "1003"),
        ("Max address space", "1000000004"),
    ] {
        assert_eq!(found[name], (hard.to_owned(), hard.to_owned()), "{name}");
    }
}

#[test]
fn a_lowered_soft_limit_can_be_raised_again() {
    let tree = Tree::new();
    let bare = bare(&tree);
    let expected = with(bare.clone(), &[("Max open files", u64::MAX)]);
    let words = ["-o", "20", "softlimit", "-o", "="];
    assert_eq!(limits(softlimit(&tree, &words)), expected);
    assert_eq!(limits(softlimit(&tree, &["-o", "20", "-o", "="])), expected);
}

#[test]
fn no_privilege_is_needed() {
    let tree = Tree::new();
    let bare = bare(&tree);
    let expected = with(bare, &[("Max core file size", u64::MAX), ("Max open files", 30)]);
    let command = softlimit(&tree, &["-c", "18446744073709551615", "-o30"]);
    assert_eq!(limits(command.unprivileged()), expected);
}

// Effects

#[test]
fn the_limits_hold_for_the_program() {
    let tree = Tree::new();
    let script = "trap '' XFSZ; head -c 100000 /dev/zero >file";
    tree.cmd("softlimit").args(["-f", "4096", "sh", "-c", script]).run();
    assert_eq!(tree.read("file").len(), 4096);
    let script = "exec 3</dev/null 4</dev/null; echo both";
    let output = tree.cmd("softlimit").args(["-o", "4", "sh", "-c", script]).run();
    assert_ne!(output.code, Some(0), "{output}");
    tree.cmd("softlimit").args(["-o", "20", "sh", "-c", script]).run().is(0, "both\n", "");
}

#[test]
fn other_variables_do_not_change_the_options() {
    let tree = Tree::new();
    let expected = with(bare(&tree), &[("Max core file size", 9)]);
    let command = softlimit(&tree, &["-c9"]).env("POSIXLY_CORRECT", "1").env("LC_ALL", "C");
    assert_eq!(limits(command), expected);
}
