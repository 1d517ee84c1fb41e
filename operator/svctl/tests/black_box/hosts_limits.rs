//! `--host`: a machine whose user wants the others to be lost, and the history of machines.

use crate::Services;
use crate::hosts::{machines, with_fake_ssh};
use harness::{Output, Signal, Tree, wait_until};
use serde_json::Value;

/// A machine that answers, and those that answer too much.
fn hostile_machines() -> Tree {
    let tree = Tree::new();
    tree.mkdir("bin");
    let line = r#"{\"service\":\"%s\",\"time\":\"2026-11-30T14:41:32Z\",\"label\":null,\"message\":\"%s\"}"#;
    tree.script(
        "bin/ssh",
        format!(
            "#!/bin/sh
while [ \"$1\" != -- ]; do shift; done
line() {{ printf \"{line}\\n\" \"$1\" \"$2\"; }}
case $2 in
good) case $3 in
    *events*) while [ ! -e told ]; do sleep 0.1; done
        echo '{{\"name\":\"web\",\"state\":\"up\",\"event\":\"changed\"}}'; exec sleep 1000 ;;
    *) line web fine ;;
    esac ;;
endless) head -c 8000000 /dev/zero; exec sleep 1000 ;;
names) seq 1 2000 | while read number; do line \"$number\" x; done ;;
wide) line $(head -c 5000 /dev/zero | tr '\\0' x) message ;;
label) echo '{{\"service\":\"web\",\"time\":\"2026-11-30T14:41:32Z\",\"label\":\"x\\\",\\\"host\\\":\\\"good\",\"message\":\"forged\"}}' ;;
large) x=$(head -c 3000000 /dev/zero | tr '\\0' x); for i in $(seq 25); do line web $x; done ;;
esac
"
        ),
    );
    tree
}

fn logs(tree: &Tree, words: &[&str]) -> Output {
    with_fake_ssh(tree).arg("logs").args(words).env("NO_COLOR", "1").env("TZ", "UTC").run()
}

const TOO_LONG: &str = "svctl: warning: endless: its svctl printed a line that is too long; its other lines are left out\n";

#[test]
fn a_line_without_an_end_loses_only_its_machine() {
    let tree = hostile_machines();
    let output = logs(&tree, &["-o", "cat", "--host", "endless", "--host", "good"]);
    output.is(111, "fine\n", TOO_LONG);
    let words = ["events", "--json", "--host", "endless", "--host", "good"];
    let events = with_fake_ssh(&tree).args(words).start();
    events.wait_stderr(TOO_LONG);
    tree.write("told", "");
    wait_until("the change of the other one", harness::DEADLINE, || {
        events.stdout().contains("\"host\":\"good\"")
    });
    events.signal(Signal::TERM);
    assert_eq!(events.wait().code, Some(0));
}

#[test]
fn names_of_services_of_a_machine_are_limited() {
    let tree = hostile_machines();
    let output = logs(&tree, &["-o", "tai", "--host", "names", "--host", "good"]);
    let names = "svctl: warning: names: its svctl names more than 1000 services; its other lines are left out\n";
    assert_eq!((output.code, output.err()), (Some(111), names.to_owned()));
    assert_eq!(output.out().lines().count(), 1001, "{output}");
    assert!(output.out().contains("good web | fine\n"), "{output}");
    let output = logs(&tree, &["-o", "iso", "--host", "wide", "--host", "good"]);
    assert!(output.err().contains("wide: a line that is not of a log was skipped"), "{output}");
    assert!(output.out().ends_with("+00:00 good web | fine\n"), "{output}");
}

#[test]
fn the_last_lines_of_machines_take_limited_memory() {
    let tree = hostile_machines();
    let output = logs(&tree, &["-o", "cat", "-n", "100", "--host", "large"]);
    let message = "svctl: warning: the lines before the last 64 MiB are left out\n";
    assert_eq!((output.code, output.err()), (Some(111), message.to_owned()));
    assert_eq!(output.out().lines().count(), 22);
}

#[test]
fn a_label_of_another_machine_adds_no_members() {
    let tree = hostile_machines();
    let output = logs(&tree, &["-o", "json", "--host", "label"]);
    let value: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!((&value["host"], &value["label"]), (&"label".into(), &Value::Null), "{output}");
}

#[test]
fn the_history_of_all_machines_is_one_answer() {
    let services: Services = machines();
    services.run(&["down", "web"]);
    let ask = |words: &[&str]| services.with_ssh(&[&["history"], words].concat()).run();
    let output = ask(&["--host", "one", "--host", "far", "web"]);
    assert!(output.out().starts_with("== one ==\n"), "{output}");
    assert!(output.out().contains("command d (down)"), "{output}");
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().starts_with("svctl: warning: far: unable to reach it"), "{output}");
    let output = ask(&["--json", "--since", "-1h", "--host", "one", "web"]);
    let answer: Value = serde_json::from_str(&output.out()).unwrap();
    let service = &answer["services"][0];
    assert_eq!((&service["host"], &service["name"]), (&"one".into(), &"web".into()), "{output}");
    assert!(!service["changes"].as_array().unwrap().is_empty(), "{output}");
    // The same moment for all.
    let output = ask(&["--json", "--since", "now", "--host", "one", "web"]);
    let answer: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(answer["services"][0]["changes"], serde_json::json!([]), "{output}");
    // A machine that has a part of the answer.
    let output = ask(&["--host", "root@two", "--host", "one", "*b"]);
    assert!(output.out().contains("== one ==\n") && output.code == Some(111), "{output}");
    let message = "root@two: db has no history: it was never supervised\n";
    assert!(output.err().contains(message), "{output}");
    ask(&["--host", "one"]).is(100, "", "svctl: fatal: usage: svctl history --host HOST NAME...\n");
}
