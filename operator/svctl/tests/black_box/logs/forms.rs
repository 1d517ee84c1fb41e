//! `-o`, `--utc`, colours and the separators of days.

use super::{label, logs, print, succeeds};
use harness::Tree;
use serde_json::{Value, json};

/// Two directories of two lines each, on two days.
fn two() -> Tree {
    let tree = Tree::new();
    for (directory, first, second) in [("a", 0, 40_000), ("bb", 1, 40_001)] {
        tree.mkdir(directory);
        let text = format!("{} one \"x\"\n{} two\n", label(first), label(second));
        tree.write(format!("{directory}/current"), text);
    }
    tree
}

#[track_caller]
fn both(tree: &Tree, arguments: &[&str]) -> String {
    let output = logs(tree, &["--log-dir", "a", "--log-dir", "bb"]).args(arguments).run();
    succeeds(&output);
    output.out()
}

#[test]
fn short_has_times_and_a_line_for_each_day() {
    let expected = "-- 2026-11-30 --\n\
                    14:41:32.000 a  | one \"x\"\n\
                    14:41:33.000 bb | one \"x\"\n\
                    -- 2026-12-01 --\n\
                    01:48:12.000 a  | two\n\
                    01:48:13.000 bb | two\n";
    assert_eq!(both(&two(), &[]), expected);
    assert_eq!(both(&two(), &["-o", "short", "--no-pager"]), expected);
}

#[test]
fn iso_has_the_zone() {
    let expected = "2026-11-30T14:41:32.000000+00:00 a  | one \"x\"\n\
                    2026-11-30T14:41:33.000000+00:00 bb | one \"x\"\n\
                    2026-12-01T01:48:12.000000+00:00 a  | two\n\
                    2026-12-01T01:48:13.000000+00:00 bb | two\n";
    let tree = two();
    assert_eq!(both(&tree, &["-o", "iso"]), expected);
    let local = |arguments: &[&str]| {
        let command = logs(&tree, &["--log-dir", "a", "-o", "iso", "-n", "1"]);
        command.args(arguments).env("TZ", "XYZ-5:30").run().out()
    };
    assert_eq!(local(&[]), "2026-12-01T07:18:12.000000+05:30 two\n");
    assert_eq!(local(&["--utc"]), "2026-12-01T01:48:12.000000+00:00 two\n");
}

#[test]
fn tai_has_the_lines_of_the_files() {
    let tree = two();
    let [first, second] = [0, 40_000].map(label);
    let text = tree.text("a/current");
    tree.rename("a", "d");
    assert_eq!(print(&tree, &["-o", "tai"]), text);
    tree.rename("d", "a");
    let [third, fourth] = [1, 40_001].map(label);
    let expected = format!(
        "a | {first} one \"x\"\nbb | {third} one \"x\"\na | {second} two\nbb | {fourth} two\n"
    );
    assert_eq!(both(&tree, &["-o", "tai"]), expected);
}

#[test]
fn cat_has_the_messages() {
    assert_eq!(both(&two(), &["-o", "cat"]), "one \"x\"\none \"x\"\ntwo\ntwo\n");
}

#[test]
fn json_has_an_object_a_line() {
    let tree = Tree::new();
    tree.mkdir("d");
    let text = [
        b"plain\n",
        format!("{} a\tb \"q\" \\ \u{1b}[2J \u{e9}\n", label(0)).as_bytes(),
        b"after \xff\0\n",
    ]
    .concat();
    tree.write("d/current", text);
    let output = print(&tree, &["-o", "json"]);
    let objects: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let object = |label: Value, message: &str| json!({"service": "d", "time": "2026-11-30T14:41:32.000000000Z", "label": label, "message": message});
    let expected = [
        object(Value::Null, "plain"),
        object(label(0).into(), "a\tb \"q\" \\ \u{1b}[2J \u{e9}"),
        object(Value::Null, "after \u{fffd}\0"),
    ];
    assert_eq!(objects, expected);
    assert!(!output.bytes().any(|byte| byte < b' ' && byte != b'\n'), "{output}");
    let manual = include_str!("../../../../../man/svctl-json.5");
    for name in objects[0].as_object().unwrap().keys() {
        let is_named = |line: &str| {
            line.starts_with(".B") && line.split([' ', ',', '"']).any(|word| word == name)
        };
        assert!(manual.lines().any(is_named), "{name}");
    }
}

#[test]
fn a_service_has_its_colour_and_its_name() {
    let output =
        logs(&two(), &["--log-dir", "a", "--log-dir", "bb", "--color", "always"]).run().out();
    assert!(output.contains("\x1b[36ma  |\x1b[0m one"), "{output:?}");
    assert!(output.contains("\x1b[32mbb |\x1b[0m one"), "{output:?}");
}

#[test]
fn every_stamp_of_the_family_is_read() {
    for stamp in [
        &*label(0),
        "1796049692.000000",
        "2026-11-30T14:41:32.000000Z",
        "2026-11-30_14:41:32.00000",
        "2026-11-30T14:41:32.00000",
        "2026-11-30 14:41:32.000000000 ",
    ] {
        let tree = Tree::new();
        tree.mkdir("d");
        tree.write("d/current", format!("{stamp} hello\n"));
        let expected = "2026-11-30T14:41:32.000000+00:00 hello\n";
        assert_eq!(print(&tree, &["-o", "iso"]), expected, "{stamp}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let tree = two();
    for (arguments, message) in [
        (&["-o", "xml"][..], "unable to use -o xml: not one of short, iso, tai, cat, json"),
        (&["--since", "soon"], "unable to use the time soon: not a time such as"),
        (&["-g", "("], "unable to use pattern (: "),
        (&["--tai", "x"], "unable to use --tai x: not djb or s6"),
        (&["-n", "x"], "unable to use --lines x: not a number"),
        (&["--cursor", "c1;x"], "unable to use the cursor: it is damaged"),
    ] {
        let output = logs(&tree, &["--log-dir", "a"]).args(arguments).run();
        assert_eq!(output.code, Some(100), "{output}");
        assert!(output.err().starts_with(&format!("svctl: fatal: {message}")), "{output}");
    }
}
