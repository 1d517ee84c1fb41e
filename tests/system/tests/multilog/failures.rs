//! Pauses of multilog, odd names in its directory, and the memory that it uses.

use crate::{multilog, start};
use harness::{DEADLINE, Process, Pty, Signal, Tree, process, strace_works, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::io::{PipeWriter, pipe};
use std::os::unix::fs::symlink;
use system::{PROMPT, finished_files, memory, status_line, tree, whole_log};

#[test]
fn a_signal_ends_a_pause() {
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    // The limit also applies to the file of the messages.
    let limit = ["prlimit", "--fsize=3000:1000000"];
    let logger = multilog(&tree, &["./d"]).under(limit).stdin_from(reader).start();
    let line = "x".repeat(4000) + "\n";
    input.write_all(line.as_bytes()).expect("write");
    logger.wait_stderr("unable to write to ./d/current, pausing");
    let pid = logger.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=1000000:1000000"]);
    raise.run().is(0, "", "");
    // Without the signal it would try again after five seconds.
    logger.signal(Signal::TERM);
    assert_eq!(logger.wait_within(PROMPT).code, Some(0));
    assert_eq!(tree.text("d/current"), line);
}

/// Sends a signal to a multilog that pauses, then lifts the limit.
#[track_caller]
fn in_a_pause(signal: Signal) -> (Tree, Process, PipeWriter) {
    let tree = tree();
    let limit = ["prlimit", "--fsize=100:100000"];
    let (logger, mut input) = start(multilog(&tree, &["./d"]).under(limit));
    input.write_all(&[b'x'; 200]).expect("write");
    input.write_all(b"\n").expect("write");
    logger.wait_stderr("unable to write to ./d/current, pausing: file too big\n");
    logger.signal(signal);
    let pid = logger.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=100000:100000"]);
    raise.run().is(0, "", "");
    (tree, logger, input)
}

#[test]
fn term_in_a_pause_is_obeyed_without_more_input() {
    let (tree, logger, _input) = in_a_pause(Signal::TERM);
    assert_eq!(logger.wait().code, Some(0));
    assert_eq!(tree.text("d/current"), "x".repeat(200) + "\n");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn alrm_in_a_pause_is_obeyed_without_more_input() {
    let (tree, _logger, _input) = in_a_pause(Signal::ALARM);
    wait_until("there is an old file", DEADLINE, || finished_files(&tree, "d").len() == 1);
    let name = finished_files(&tree, "d").remove(0);
    assert_eq!(tree.text(format!("d/{name}")), "x".repeat(200) + "\n");
}

#[test]
fn term_ends_a_pause_for_a_status_file() {
    let tree = tree();
    symlink("/dev/full", tree.path("full")).expect("a link");
    let (logger, mut input) = start(multilog(&tree, &["=full", "./d"]));
    input.write_all(b"one\ntwo\nthree\n").expect("write");
    logger.wait_stderr("unable to write full, pausing: out of disk space\n");
    logger.signal(Signal::TERM);
    assert_eq!(logger.wait_within(PROMPT).code, Some(0));
    assert_eq!(tree.text("d/current"), "one\ntwo\nthree\n");
}

// Files that another program removes

/// Lines of 64 bytes.
fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{n:05} {}\n", "z".repeat(57))).collect()
}

#[test]
fn a_logger_goes_on_after_its_files_have_been_removed() {
    const ALL: &str = "rm d/* d/.m* 2>/dev/null; :";
    const DIRECTORY: &str = "multilog: warning: ./d has been removed, created it again\n";
    const CURRENT: &str =
        "multilog: warning: ./d/current has been removed or renamed, beginning a new one\n";
    for (command, message) in [
        ("rm d/current", CURRENT),
        ("mv d/current d/away", CURRENT),
        (ALL, CURRENT),
        ("rm -rf d", DIRECTORY),
        ("rm -rf d; mkdir d", DIRECTORY),
    ] {
        for script in [&["s4096", "./d"][..], &["s4096", "!cat", "./d"]] {
            let tree = tree();
            let (logger, mut input) = start(multilog(&tree, script));
            input.write_all(lines(10).as_bytes()).expect("write");
            tree.wait_text("d/current", "00009 ");
            tree.sh(command).run().is(0, "", "");
            input.write_all(lines(60).as_bytes()).expect("write");
            logger.wait_stderr(message);
            wait_until("it reads on", DEADLINE, || {
                tree.exists("d/current") && whole_log(&tree, "d").ends_with(&lines(60)[59 * 64..])
            });
            logger.signal(Signal::TERM);
            logger.wait_within(PROMPT).is(0, "", message);
        }
    }
}

#[test]
fn lines_that_are_lost_at_the_end_are_reported() {
    let tree = tree();
    let (logger, mut input) = start(multilog(&tree, &["./d"]));
    input.write_all(b"one\n").expect("write");
    tree.wait_text("d/current", "one");
    tree.remove("d/current");
    logger.signal(Signal::TERM);
    let said = "multilog: warning: ./d/current has been removed or renamed, its lines are lost\n";
    logger.wait_within(PROMPT).is(0, "", said);
}

#[test]
fn a_directory_that_cannot_come_back_does_not_delay_term() {
    let tree = tree();
    tree.mkdir("above");
    let (logger, mut input) = start(multilog(&tree, &["s4096", "./above/d"]));
    input.write_all(lines(10).as_bytes()).expect("write");
    tree.wait_text("above/d/current", "00009 ");
    tree.sh("rm -rf above").run().is(0, "", "");
    input.write_all(lines(60).as_bytes()).expect("write");
    let what = "unable to create ./above/d/current";
    logger.wait_stderr(&format!("multilog: warning: {what}, pausing: file does not exist\n"));
    logger.signal(Signal::TERM);
    let end = logger.wait_within(PROMPT);
    assert_eq!(end.code, Some(111));
    let last = format!("multilog: fatal: {what}: file does not exist\n");
    assert!(end.err().ends_with(&last), "{end}");
}

#[test]
fn a_processor_goes_on_without_its_state() {
    let tree = tree();
    let (logger, mut input) = start(multilog(&tree, &["s4096", "!cat; cat <&4; echo >&5", "./d"]));
    input.write_all(lines(10).as_bytes()).expect("write");
    tree.wait_text("d/current", "00009 ");
    tree.remove("d/state");
    input.write_all(lines(60).as_bytes()).expect("write");
    wait_until("the file is finished", DEADLINE, || !finished_files(&tree, "d").is_empty());
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn a_processor_that_fails_does_not_wait_for_a_removed_file() {
    let tree = tree();
    let (logger, mut input) = start(multilog(&tree, &["s4096", "!exit 1", "./d"]));
    input.write_all(lines(60).as_bytes()).expect("write");
    logger.wait_stderr("multilog: warning: processor failed in ./d, pausing\n");
    tree.remove("d/previous");
    logger.signal(Signal::TERM);
    let said = "multilog: warning: processor failed in ./d, pausing\n\
                multilog: warning: ./d/previous has been removed or renamed, continuing without it\n";
    logger.wait().is(0, "", said);
}

#[test]
fn term_ends_a_wait_at_the_start() {
    let tree = tree();
    tree.mkdir("d/previous");
    tree.write("d/processed", "lines\n");
    tree.chmod("d/processed", 0o744);
    let (logger, _input) = start(multilog(&tree, &["./d"]));
    let said = "multilog: warning: unable to remove ./d/previous, pausing: ";
    logger.wait_stderr(said);
    logger.signal(Signal::TERM);
    assert_eq!(logger.wait_within(PROMPT).code, Some(0));
    assert_eq!(tree.text("d/processed"), "lines\n");
}

#[test]
fn odd_names_of_old_files_are_removed_or_left_silently() {
    let tree = tree();
    let name = |digit: &str| format!("@{}.s", digit.repeat(24));
    tree.mkdir(format!("d/{}/below", name("1")));
    tree.write(format!("d/{}", name("2")), "unreadable");
    tree.chmod(format!("d/{}", name("2")), 0);
    symlink("nowhere", tree.path(format!("d/{}", name("3")))).expect("a link");
    tree.fifo(format!("d/{}", name("0")), 0o600);
    tree.write(format!("d/@{}.s{}", "2".repeat(24), "x".repeat(200)), "a long name");
    tree.write(format!("d/{}", name("f")), "of the future");
    for short in ["@", "@short", "@40000000123456780000000"] {
        tree.write(format!("d/{short}"), "no old file");
    }
    let lines = "x".repeat(63) + "\n";
    let logger = multilog(&tree, &["s4096", "n4", "./d"]);
    logger.stdin(lines.repeat(200)).run().is(0, "", "");
    let left = finished_files(&tree, "d");
    // Three files, and the directory, which multilog cannot remove.
    let old: Vec<&String> = left.iter().filter(|name| name.len() >= 25).collect();
    assert_eq!(old.len(), 4, "{left:?}");
    assert_eq!((old[0], old[3]), (&name("1"), &name("f")));
    let kept = old[1..3].iter().map(|name| tree.text(format!("d/{name}")));
    let kept = kept.collect::<String>() + &tree.text("d/current");
    assert!(kept.len() > 4000 && lines.repeat(200).ends_with(&kept));
    assert_eq!(left.len(), 7);
}

#[test]
fn a_terminal_is_an_input_like_others() {
    let tree = tree();
    let (mut user, terminal) = Pty::open();
    let logger = multilog(&tree, &["./d"]).stdin_from(terminal).start();
    user.types(b"one\ntwo\n");
    wait_until("both lines are there", DEADLINE, || tree.text("d/current") == "one\ntwo\n");
    // The first end of file of a terminal only ends the piece, as for every program.
    user.types(b"thr\x04ee\n\x04");
    logger.wait().is(0, "", "");
    assert_eq!(tree.text("d/current"), "one\ntwo\nthree\n");
}

// Costs

#[test]
fn multilog_frees_the_buffers_of_a_burst() {
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let logger = multilog(&tree, &["t", "s1000000", "n2", "./d"]).stdin_from(reader).start();
    let pid = logger.pid();
    input.write_all(b"a line of the log\n").expect("write");
    tree.wait_text("d/current", "log");
    let (few, before) = (process::descriptors(pid).len(), memory(pid, "Anonymous"));
    let text = "a line of the log\n".repeat(100_000);
    input.write_all(text.as_bytes()).expect("write");
    // The batch mark stays.
    wait_until("it has its descriptors back", DEADLINE, || {
        tree.exists("d/.multilog-batch") && process::descriptors(pid).len() == few + 1
    });
    let more = memory(pid, "Anonymous").saturating_sub(before);
    assert!(more <= 12, "{more} KiB");
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn ten_thousand_old_files_are_looked_at_once_for_each_rotation() {
    const FILES: u32 = 10_000;
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.mkdir("d");
    for n in 0..FILES {
        tree.write(format!("d/@40000000{n:08x}00000000.s"), "old\n");
    }
    let line = "x".repeat(99) + "\n";
    let only = "trace=getdents64,linkat,unlinkat,statx,newfstatat";
    multilog(&tree, &["s4096", "n10000", "./d"])
        .under(["strace", "-f", "-qq", "-o", "calls", "-e", only])
        .stdin(line.repeat(1000))
        .run()
        .is(0, "", "");
    let calls = tree.text("calls");
    let count = |name: &str| calls.lines().filter(|line| line.contains(name)).count();
    let rotations = count(" linkat(");
    assert!((20..60).contains(&rotations), "{rotations} rotations");
    // Each rotation removes one file too many, and the name `previous`.
    let gone = count("unlinkat(");
    assert!((2 * rotations..2 * rotations + 6).contains(&gone), "{gone} for {rotations}");
    // One call returns about 40 entries, and multilog looks at none of them separately.
    let looks = count("getdents64(");
    assert!(looks <= 300 * (rotations + 1), "{looks} for {rotations}");
    let stats = count("stat");
    assert!(stats <= 10 * (rotations + 1), "{stats} for {rotations}");
    assert_eq!(finished_files(&tree, "d").len(), FILES as usize - 1);
}

#[test]
fn a_line_of_a_hundred_megabytes_takes_no_more_memory_than_others() {
    const LENGTH: usize = 100_000_000;
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let logger = multilog(&tree, &["t", "s200000000", "./d"]).stdin_from(reader).start();
    for _ in 0..LENGTH / 100_000 {
        input.write_all(&[b'x'; 100_000]).expect("write");
    }
    let size = || fs::metadata(tree.path("d/current")).map_or(0, |meta| meta.len());
    // The line has no end yet.
    wait_until("all of it is written", DEADLINE, || size() == LENGTH as u64 + 26);
    let most = status_line(logger.pid(), "VmHWM").expect("its memory");
    let most: u32 = most.trim_end_matches(" kB").parse().expect("a number");
    assert!(most < 2048, "{most} KiB, the executable among them");
    drop(input);
    logger.wait().is(0, "", "");
    assert_eq!(size(), LENGTH as u64 + 27);
}

#[test]
fn stamps_go_on_after_wrong_readings_of_the_clock() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    // The year 2100, for one reading or for several.
    let wrong = "poke_exit=@arg2=005786f4000000000000000000000000";
    for when in ["9", "12", "12..20"] {
        let inject = format!("inject=clock_gettime:{wrong}:when={when}");
        let under = ["strace", "-qq", "-o", "calls", "-e", "trace=clock_gettime", "-e", &inject];
        let dir = format!("./{when}");
        let (logger, mut input) = start(multilog(&tree, &["t", "a1000000000", &dir]).under(under));
        let current = format!("{when}/current");
        for n in 1..=20 {
            input.write_all(b"a line\n").expect("write");
            wait_until("it is there", DEADLINE, || {
                tree.exists(&current) && whole_log(&tree, &dir).lines().count() == n
            });
        }
        drop(input);
        logger.wait().is(0, "", "");
        let text = whole_log(&tree, &dir);
        let stamps: Vec<&str> = text.lines().map(|line| &line[..25]).collect();
        let is_wrong = |stamp: &&&str| stamp.starts_with("@40000000f");
        let wrong = stamps.iter().filter(is_wrong).count();
        assert!(wrong == 0 || when.len() > 2 && wrong < 10, "{when}: {stamps:?}");
        let distinct: BTreeSet<&&str> = stamps.iter().collect();
        assert!(distinct.len() >= 20 - wrong, "{when}: {stamps:?}");
        assert!(!tree.text("calls").is_empty());
    }
}

#[test]
fn many_names_in_a_directory_take_no_memory() {
    const FILES: u32 = 50_000;
    let tree = tree();
    tree.mkdir("d");
    for n in 0..FILES {
        tree.write(format!("d/@40000000{n:08x}00000000.s"), "");
    }
    let (logger, mut input) = start(multilog(&tree, &["s4096", "n40000", "./d"]));
    let line = "x".repeat(99) + "\n";
    input.write_all(line.repeat(50).as_bytes()).expect("write");
    wait_until("the oldest files are removed", DEADLINE, || {
        finished_files(&tree, "d").len() == 39_999
    });
    let most = status_line(logger.pid(), "VmHWM").expect("its memory");
    let most: u32 = most.trim_end_matches(" kB").parse().expect("a number");
    assert!(most < 2048, "{most} KiB, the executable among them");
    assert!(!tree.exists(format!("d/@40000000{:08x}00000000.s", FILES - 40_000)));
    drop(input);
    logger.wait().is(0, "", "");
}
