//! Logs whose owner wants the reader to read for ever.

use super::{label, logs, numbered};
use crate::Services;
use harness::process::wait_asleep;
use harness::{DEADLINE, Signal, Terminal, Tree, requires, wait_until};
use std::fs::{File, OpenOptions};
use std::io::Write as _;

const NOT_FOUND: &str = "the newest line was not found in the last 8 MiB of the log";
const EARLIER: &str = "earlier lines were not found in the last 8 MiB of the log";

/// A service whose log directory another user fills, and which dies again and again.
fn service(fill: impl FnOnce(&Tree)) -> Services {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexit 1\n");
        tree.write("s/web/restart-limit", "1 in 60s\n");
        tree.service("s/web/log", "#!/bin/sh\n: ./main\nexec sleep 1000\n");
        tree.mkdir("s/web/log/main");
        tree.write("s/web/log/main/current", "");
        fill(tree);
    });
    services.wait_state("web", "failed");
    services
}

/// Appends a terabyte of nothing.
fn append_hole(tree: &Tree, path: &str) {
    let file = OpenOptions::new().create(true).append(true).open(tree.path(path)).expect("open");
    let length = file.metadata().expect("a file").len();
    file.set_len(length + (1 << 40)).expect("a sparse file");
}

fn append(tree: &Tree, path: &str, text: &str) {
    let file = OpenOptions::new().append(true).open(tree.path(path));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
}

/// Whether a process has read so many bytes.
fn has_read(pid: u32, bytes: u64) -> bool {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    io.split_whitespace()
        .nth(1)
        .is_some_and(|read| read.parse().is_ok_and(|read: u64| read > bytes))
}

/// Each verb that shows the last lines says where its search has ended.
#[track_caller]
fn all_say(services: &Services, words: &str) {
    for verb in [&["status", "web"][..], &["why", "web"], &["doctor"]] {
        let output = services.run(verb).out();
        let text = output.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{verb:?}: {output}");
    }
    for verb in ["status", "why"] {
        let value = services.json(&[verb, "--json", "web"]);
        assert_eq!(value["services"][0]["log_limit"], words, "{verb}");
    }
}

#[test]
fn a_sparse_log_is_searched_up_to_a_limit() {
    let services = service(|tree| {
        tree.write("s/web/log/main/current", numbered(0..3));
        append_hole(tree, "s/web/log/main/current");
    });
    all_say(&services, NOT_FOUND);
    append(&services.tree, "s/web/log/main/current", &format!("\n{} newest\n", label(9)));
    all_say(&services, EARLIER);
    assert!(services.run(&["status", "web"]).out().contains("newest"));
    // What was asked for is there, and the limit does not matter.
    let value = services.json(&["status", "--json", "-n", "1", "web"]);
    assert_eq!(value["services"][0]["log_limit"], serde_json::Value::Null);
    let output = services.run(&["logs", "-n", "1", "-o", "cat", "web"]);
    output.is(0, "newest\n", "");
}

#[test]
fn a_small_file_with_a_long_text_is_read_up_to_a_limit() {
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        if !requires(program) {
            continue;
        }
        let services = service(|tree| {
            let name = format!("s/web/log/main/{}.s", label(1));
            let script = format!("head -c 64M /dev/zero | {program} -c >{name}");
            assert_eq!(tree.sh(&script).run().code, Some(0));
        });
        let value = services.json(&["status", "--json", "web"]);
        assert_eq!(value["services"][0]["log_limit"], NOT_FOUND, "{program}");
    }
}

#[test]
fn a_long_file_without_text_is_read_up_to_a_limit() {
    for program in ["gzip", "xz"] {
        if !requires(program) {
            continue;
        }
        let services = service(|tree| {
            let name = format!("s/web/log/main/{}.s", label(1));
            // Streams without text; xz allows zeros behind one.
            let script = format!(
                "printf '' | {program} -c >one; i=0; while [ $i -lt 20 ]; do \
                 cat one one >two; mv two one; i=$((i+1)); done; mv one {name}"
            );
            assert_eq!(tree.sh(&script).run().code, Some(0));
            if program == "xz" {
                append_hole(tree, &name);
            }
        });
        let value = services.json(&["status", "--json", "web"]);
        assert_eq!(value["services"][0]["log_limit"], NOT_FOUND, "{program}");
    }
}

#[test]
fn many_names_in_a_log_directory_are_looked_at_up_to_a_limit() {
    let services = service(|tree| {
        tree.write("s/web/log/main/current", numbered(0..3));
        tree.write("one", "");
        for number in 0..100_100 {
            let name = format!("s/web/log/main/{}.s", label(number));
            // A file may have 65,000 names.
            if number % 50_000 == 0 {
                tree.remove("one");
                tree.write("one", "");
            }
            std::fs::hard_link(tree.path("one"), tree.path(name)).expect("a second name");
        }
    });
    let output = services.run(&["status", "web"]).out();
    assert!(output.contains("(at least "), "{output}");
    assert!(output.contains("(only 100000 names of the log directory were looked at)"), "{output}");
    assert!(output.contains(" 2\n"), "{output}");
}

#[test]
fn top_ends_at_a_signal_and_says_where_its_search_has_ended() {
    if !requires("tmux") {
        return;
    }
    let services = service(|tree| append_hole(tree, "s/web/log/main/current"));
    for key in ["l", "Enter", "w"] {
        let top = Terminal::start(&services.tree, services.svctl().arg("top"), 120, 40);
        top.wait_screen("the service", |screen| screen.contains("web"));
        top.keys(&[key]);
        top.wait_screen(NOT_FOUND, |screen| screen.contains(NOT_FOUND));
        let pid = top.pid().to_string();
        assert_eq!(services.tree.cmd("kill").args(["-TERM", &pid]).run().code, Some(0));
        assert_eq!(top.wait_end(), 0, "{key}");
    }
}

#[test]
fn a_signal_ends_logs_while_lines_come_without_a_pause() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..3));
    for signal in [Signal::INT, Signal::TERM] {
        let words = ["--log-dir", "d", "-o", "cat", "-f", "-g", "^[0-9]+$"];
        let process = logs(&tree, &words).start();
        wait_until("the lines", DEADLINE, || process.stdout().contains("2\n"));
        append_hole(&tree, "d/current");
        wait_until("it reads", DEADLINE, || has_read(process.pid(), 64 * 1024 * 1024));
        process.signal(signal);
        assert_eq!(process.wait().code, Some(0));
        tree.write("d/current", numbered(0..3));
    }
}

#[test]
fn a_signal_ends_logs_though_their_reader_does_not_read() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..1));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let process = logs(&tree, &["--log-dir", "d", "-f"]).stdout_to(writer).start();
    let mut first = [0; 8];
    std::io::Read::read_exact(&mut reader, &mut first).unwrap();
    append(&tree, "d/current", &numbered(1..20_000));
    wait_until("the pipe is full", DEADLINE, || {
        rustix::io::ioctl_fionread(&reader).unwrap() > 60_000
    });
    wait_asleep(process.pid(), env!("CARGO_BIN_EXE_svctl"));
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn ctrl_c_ends_the_reading_below_a_pager() {
    if !requires("tmux") {
        return;
    }
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..3));
    append_hole(&tree, "d/current");
    let command = logs(&tree, &["--log-dir", "d", "-g", "nothing", "--cursor", "c"]);
    let command = command.env("PAGER", "trap : INT; cat; echo the pager has ended");
    let terminal = Terminal::start(&tree, command, 80, 24);
    wait_until("it reads", DEADLINE, || has_read(terminal.pid(), 64 * 1024 * 1024));
    terminal.keys(&["C-c"]);
    assert_eq!(terminal.wait_end(), 0);
    // What was not read comes the next time.
    assert!(terminal.screen().contains("the pager has ended") && !tree.exists("c"));
}

#[test]
fn a_warning_comes_behind_the_lines_before_it() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..1));
    let out = File::create(tree.path("out")).unwrap();
    let process = logs(&tree, &["--log-dir", "d", "-o", "cat", "-f"])
        .stdout_to(out.try_clone().unwrap())
        .stderr_to(out)
        .start();
    tree.wait_text("out", "0\n");
    process.signal(Signal::STOP);
    append(&tree, "d/current", &numbered(1..2));
    for second in 2..4 {
        tree.rename("d/current", format!("d/{}.s", label(second)));
        tree.write("d/current", numbered(second..second + 1));
    }
    tree.remove(format!("d/{}.s", label(3)));
    process.signal(Signal::CONT);
    tree.wait_text("out", "3\n");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code, Some(0));
    let text = tree.text("out");
    let order = ["0\n1\n", "lines are missing", "3\n"].map(|part| text.rfind(part));
    assert!(order.is_sorted() && order[0].is_some(), "{text}");
}
