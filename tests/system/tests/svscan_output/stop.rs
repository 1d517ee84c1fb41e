//! The end: everything is written, and a reader that does not read holds nothing up.

use crate::{numbers, once, svscan, wait_out};
use harness::{DEADLINE, Signal, Tree, process, wait_until};
use std::io::{Read as _, pipe};
use std::time::{Duration, Instant};
use system::{count, tree};

/// A service that writes 3000 numbers, and 3000 more when it gets TERM.
fn last_words(tree: &Tree, dir: &str) {
    tree.service(
        dir,
        "#!/bin/sh\ntrap 'seq 3001 6000; printf last; exit' TERM\nmkfifo idle\nexec 8<>idle\nseq 3000\n\
         echo >started\nwhile :; do read -r line <&8; done\n",
    );
}

#[test]
fn no_line_is_lost_at_the_stop() {
    let tree = tree();
    for n in 0..5 {
        last_words(&tree, &format!("s/{n}"));
    }
    let svscan = svscan(&tree, "-p").start();
    for n in 0..5 {
        tree.wait_lines(format!("s/{n}/started"), 1);
    }
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""));
    let (out, expected) = (output.out(), (1..=6000).collect::<Vec<u32>>());
    for n in 0..5 {
        let name = n.to_string();
        let words = out.replace(&format!("{n}: last\n"), "");
        assert_eq!(out.len() - words.len(), 8);
        assert!(numbers(&words, &name) == expected, "{n}");
    }
}

#[test]
fn a_removed_service_is_written_to_its_end() {
    let tree = tree();
    last_words(&tree, "real/a");
    tree.mkdir("s");
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree, "-p").start();
    tree.wait_lines("real/a/started", 1);
    tree.remove("s/a");
    assert_eq!(wait_out(&svscan, 6001).lines().last(), Some("a: last"));
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
}

#[test]
fn a_slow_reader_gets_everything() {
    let tree = tree();
    last_words(&tree, "s/a");
    let (mut reader, writer) = pipe().expect("a pipe");
    let svscan = svscan(&tree, "-p").stdout_to(writer).start();
    tree.wait_lines("s/a/started", 1);
    svscan.signal(Signal::TERM);
    // svscan waits as long as something is read.
    let mut out = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = reader.read(&mut part) {
        out.extend_from_slice(&part[..n]);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
    let out = String::from_utf8(out).expect("text").replace("a: last\n", "");
    assert_eq!(numbers(&out, "a"), (1..=6000).collect::<Vec<u32>>());
}

#[test]
fn a_reader_that_does_not_read_does_not_hold_the_stop() {
    let tree = tree();
    once(&tree, "s/a", "yes");
    let (reader, writer) = pipe().expect("a pipe");
    let svscan = svscan(&tree, "-pt2").stdout_to(writer).start();
    let service = tree.wait_up("s/a");
    // Its pipe is full, and it waits as with any logger.
    wait_until("the service waits", DEADLINE, || {
        rustix::io::ioctl_fionread(&reader).is_ok_and(|bytes| bytes > 32_768)
            && process::descendants(service).iter().all(|&pid| process::state(pid) == Some('S'))
    });
    let begin = Instant::now();
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(
        (output.code, count(&output.err(), "the output takes too long")),
        (Some(0), 1),
        "{output}"
    );
    drop(reader);
}

#[test]
fn without_a_reader_the_output_is_dropped() {
    let tree = tree();
    once(&tree, "s/a", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; echo >done");
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let svscan = svscan(&tree, "-p").stdout_to(writer).start();
    tree.wait_lines("s/a/done", 1);
    let line = "svscan: warning: unable to write to standard output, dropping the output of services: \
                broken pipe\n";
    assert_eq!(svscan.wait_stderr("broken"), line);
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE).is(0, "", line);
}

#[test]
fn a_process_that_stays_behind_keeps_its_output() {
    let tree = tree();
    let script = "setsid sh -c 'while ! [ -e go ]; do sleep 0.1; done; echo late' & echo early";
    once(&tree, "s/a", script);
    let svscan = svscan(&tree, "-p").start();
    wait_out(&svscan, 1);
    svscan.signal(Signal::TERM);
    let pid = svscan.pid();
    let output = svscan.wait_within(Duration::from_secs(4));
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""));
    assert!(!process::is_alive(pid));
    tree.write("s/a/go", "");
    // The copier writes it, and ends.
    wait_until("all have ended", DEADLINE, || tree.processes().is_empty());
}

#[test]
fn the_own_logger_gets_the_lines_with_names() {
    let tree = tree();
    last_words(&tree, "s/a");
    tree.service("s/.own", "#!/bin/sh\nexec cat >got\n");
    let svscan = tree.cmd("svscan").args(["-p", "s", ".own"]).start();
    tree.wait_lines("s/a/started", 1);
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE).is(0, "", "");
    let got = tree.text("s/.own/got");
    assert!(got.starts_with("svscan: info: starting\n"), "{got}");
    assert_eq!(numbers(&got.replace("a: last\n", ""), "a"), (1..=6000).collect::<Vec<u32>>());
}
