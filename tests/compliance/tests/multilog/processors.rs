//! Processors: the action `!`.

use crate::recovery::lay;
use crate::{
    ALRM, TERM, bits, finished, log, multilog, names, numbered, start, start_command,
    wait_finished, whole,
};
use harness::{DEADLINE, Signal, Tree, process, wait_until};
use std::io::Read;

#[test]
fn a_processor_makes_the_finished_file_of_the_full_one() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!tr a-z A-Z", "./d"]);
    logger.log("some text\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert!(name.ends_with(".s"));
    wait_until("it is complete", DEADLINE, || tree.mode(&name) == 0o744);
    assert_eq!(tree.text(&name), "SOME TEXT\n");
    logger.log("more\n");
    logger.end().is(0, "", "");
    assert_eq!(names(&tree, "d")[1..], ["current", "lock", "state"]);
    assert_eq!(tree.text("d/current"), "more\n");
    assert_eq!(tree.mode("d/state"), 0o644);
}

#[test]
fn a_processor_has_its_files_the_directory_and_the_environment() {
    let tree = Tree::new();
    let processor =
        "!exec >&1; for fd in 0 1 2 3 4 5 6 7; do readlink /proc/$$/fd/$fd || echo none; done;
                     umask; pwd; echo \"$MARKER\"; cat /proc/$$/cmdline | tr '\\0' '|'; echo;
                     stat -c %a processed newstate; grep ^Sig /proc/self/status; echo said >&2";
    let command = multilog(&tree, &[processor, "./d"]).env("MARKER", "a b");
    let mut logger = start_command(&tree, command);
    logger.log("text\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    let text = tree.text(&name);
    let lines: Vec<&str> = text.lines().collect();
    let here = tree.path("d");
    let in_dir = |name: &str| here.join(name).display().to_string();
    assert_eq!(lines[0], in_dir("previous"));
    assert_eq!(lines[1], in_dir("processed"));
    assert!(lines[2].ends_with(".err"), "{text}");
    assert_eq!(lines[3], "none");
    assert_eq!(lines[4], in_dir("state"));
    assert_eq!(lines[5], in_dir("newstate"));
    assert_eq!(lines[6..8], ["none", "none"]);
    assert_eq!(lines[8..11], ["0022", &in_dir(""), "a b"].map(|line| line.trim_end_matches('/')));
    assert!(text.contains("|-c|exec >&1; for fd"), "{text}");
    assert!(text.contains("\n644\n644\n"), "{text}");
    for line in lines.iter().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn"))
    {
        let (_, set) = line.split_once(':').expect("a set");
        assert_eq!(bits(set) & (TERM | ALRM), 0, "{line}");
    }
    logger.end().is(0, "", "said\n");
}

#[test]
fn a_processor_hands_its_state_to_the_next() {
    let tree = Tree::new();
    let processor = "!count=$(cat <&4); echo $((count + 1)) >&5; cat";
    let mut logger = start(&tree, &[processor, "./d"]);
    for count in 1..=4 {
        logger.log(format!("line {count}\n"));
        logger.signal(Signal::ALARM);
        wait_until("it has counted", DEADLINE, || {
            tree.text("d/state") == format!("{count}\n") && !tree.exists("d/newstate")
        });
        let files = wait_finished(&tree, "d", count);
        assert_eq!(tree.text(&files[count - 1]), format!("line {count}\n"));
    }
    logger.end().is(0, "", "");
    // The state outlives multilog.
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("line 5\n");
    logger.signal(Signal::ALARM);
    wait_until("it has counted", DEADLINE, || tree.text("d/state") == "5\n");
    logger.end().is(0, "", "");
}

#[test]
fn a_processor_which_writes_no_state_empties_it() {
    let tree = Tree::new();
    lay(&tree, &[("current", "one\n", 0o744), ("state", "old", 0o644)]);
    let logger = start(&tree, &["!cat <&4", "./d"]);
    wait_until("it has begun", DEADLINE, || tree.mode("d/current") == 0o644);
    process::wait_asleep(logger.process.pid(), "multilog");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "old");
    wait_until("it is empty", DEADLINE, || tree.text("d/state").is_empty());
    logger.end().is(0, "", "");
}

#[test]
fn processors_count_for_the_directories_behind_them() {
    let tree = Tree::new();
    let script = ["n50", "s4096", "./raw", "!tr 0 a", "./a", "./too", "!tr 0 b", "./b", "!tr 0 c"];
    let lines = numbered(1000, 16);
    log(&tree, &script, &lines);
    for (dir, zero) in [("raw", "0"), ("a", "a"), ("too", "a"), ("b", "b")] {
        let files = finished(&tree, dir);
        let processed: usize = files.iter().map(|name| tree.read(name).len()).sum();
        let wanted = lines[..processed].replace('0', zero) + &lines[processed..];
        assert!(files.len() > 3 && whole(&tree, dir) == wanted.as_bytes(), "{dir}");
    }
}

#[test]
fn an_empty_processor_leaves_empty_files() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "");
    logger.end().is(0, "", "");
}

#[test]
fn a_processor_which_fails_is_reported_and_run_again() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!echo x >>../runs; test -e ../ok || exit 3; cat", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let said = logger.process.wait_stderr("\n");
    assert_eq!(said, "multilog: warning: processor failed in ./d, pausing\n");
    assert_eq!(finished(&tree, "d"), [""; 0]);
    assert_eq!(tree.text("d/previous"), "one\n");
    tree.write("ok", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    assert!(tree.text("runs").lines().count() >= 2);
    logger.log("two\n");
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
}

#[test]
fn a_processor_which_does_not_exist_fails() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!exec /no/such/program 2>/dev/null", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let line = "multilog: warning: processor failed in ./d, pausing\n";
    assert!(logger.process.wait_stderr(line).starts_with(line));
}

#[test]
fn a_processor_which_is_killed_is_reported_and_run_again() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!test -e ../ok || kill -KILL $$; cat", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    logger.process.wait_stderr("multilog: warning: processor crashed in ./d, pausing");
    tree.write("ok", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
}

#[test]
fn a_missing_state_keeps_the_processor_from_running() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!cat", "./d"]);
    logger.log("one\n");
    tree.remove("d/state");
    logger.signal(Signal::ALARM);
    if tree.suite().differs("a missing state is created again") {
        let name = wait_finished(&tree, "d", 1).pop().expect("a file");
        assert_eq!(tree.text(name), "one\n");
        return logger.end().is(0, "", "");
    }
    let lines = "multilog: fatal: unable to run cat: file does not exist\n\
                 multilog: warning: processor failed in ./d, pausing\n";
    assert!(logger.process.wait_stderr("pausing\n").starts_with(lines));
    assert_eq!(finished(&tree, "d"), [""; 0]);
    tree.write("d/state", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
}

#[test]
fn a_multilog_killed_while_a_processor_runs_loses_nothing() {
    let tree = Tree::new();
    let processor = "!echo part; echo $$ >../pid; exec sleep 1000";
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let pid = tree.wait_lines("pid", 1)[0].parse().expect("a pid");
    wait_until("it has written", DEADLINE, || tree.text("d/processed") == "part\n");
    logger.process.signal(Signal::KILL);
    assert_eq!(logger.process.wait().signal, Some(9));
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    assert_eq!((tree.text("d/previous"), tree.mode("d/previous")), ("one\n".into(), 0o744));
    log(&tree, &["./d"], "two\n");
    let files = finished(&tree, "d");
    assert!(files[0].ends_with(".u") && tree.text(&files[0]) == "one\n", "{files:?}");
    assert_eq!(tree.text("d/current"), "two\n");
    assert!(!tree.exists("d/processed") && !tree.exists("d/previous"));
}

#[test]
fn term_while_a_processor_runs_loses_nothing() {
    let tree = Tree::new();
    tree.fifo("go", 0o600);
    let processor = "!echo $$ >../pid; read x <../go; cat";
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    tree.wait_lines("pid", 1);
    logger.process.signal(Signal::TERM);
    logger.send("two\n");
    tree.sh("echo >go").run().is(0, "", "");
    // The original obeys the signal only with the next input.
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
    let mut rest = Vec::new();
    logger.reader.read_to_end(&mut rest).expect("read the rest");
    assert_eq!([whole(&tree, "d"), rest].concat(), b"one\ntwo\n");
}

#[test]
fn the_number_of_files_holds_with_a_processor() {
    let tree = Tree::new();
    let lines = numbered(1500, 16);
    log(&tree, &["s4096", "n3", "!cat", "./d"], &lines);
    assert_eq!(finished(&tree, "d").len(), 2);
    assert!(lines.as_bytes().ends_with(&whole(&tree, "d")));
    assert_eq!(names(&tree, "d")[2..], ["current", "lock", "state"]);
}
