//! What a line looks like, and that lines stay whole.

use crate::{copier_of, numbers, once, svscan, wait_out};
use harness::{DEADLINE, Signal, process, wait_until};
use system::{assert_idle, tree};

#[test]
fn each_line_has_the_name_of_its_service() {
    let tree = tree();
    once(&tree, "s/a", "echo one; echo two >&2; printf three");
    once(&tree, "s/b", "printf 'par'; sleep 0.1; printf 'tial\\n\\n\\0\\377\\n'");
    let svscan = svscan(&tree, "-p").start();
    wait_out(&svscan, 4);
    svscan.wait_stderr("two");
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), "a: two\n"), "{output}");
    let out = output.stdout.clone();
    let mut lines: Vec<&[u8]> = out.split_inclusive(|&c| c == b'\n').collect();
    lines.sort_unstable();
    // The last line of a service ends with a newline when the service has ended.
    let expected: [&[u8]; 5] =
        [b"a: one\n", b"a: three\n", b"b: \0\xff\n", b"b: \n", b"b: partial\n"];
    assert_eq!(lines, expected);
}

#[test]
fn json_has_time_service_stream_and_line() {
    let tree = tree();
    once(&tree, "s/a", "printf 'a\\t\"\\377\\n'; echo e >&2");
    once(&tree, "s/l", "echo to the logger; echo beside it >&2");
    tree.service("s/l/log", "#!/bin/sh\necho of the logger\nexec cat >got\n");
    let svscan = svscan(&tree, "-j").start();
    wait_out(&svscan, 2);
    svscan.wait_stderr("beside");
    svscan.wait_stderr("\"e\"");
    process::signal(copier_of(svscan.pid()), Signal::KILL);
    svscan.wait_stderr("killed by signal");
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(tree.text("s/l/log/got"), "to the logger\n");
    let untimed = |text: String| {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                let rest = line.strip_prefix("{\"time\":\"2").expect("a time");
                let (time, rest) = rest.split_once("Z\",").expect("UTC");
                assert_eq!(time.len(), "026-11-30T18:05:09.123456789".len());
                rest.to_owned()
            })
            .collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(
        untimed(output.out()),
        [
            "\"service\":\"a\",\"stream\":\"stdout\",\"line\":\"a\\t\\\"\u{fffd}\"}",
            "\"service\":\"l/log\",\"stream\":\"stdout\",\"line\":\"of the logger\"}",
        ]
    );
    assert_eq!(
        untimed(output.err()),
        [
            "\"service\":\"a\",\"stream\":\"stderr\",\"line\":\"e\"}",
            "\"service\":\"l\",\"stream\":\"stderr\",\"line\":\"beside it\"}",
            "\"service\":\"svscan\",\"stream\":\"stderr\",\"line\":\"svscan: warning: the copier of \
             the output was killed by signal 9\"}",
        ]
    );
}

#[test]
fn lines_of_many_services_stay_whole() {
    let tree = tree();
    let services = 20;
    for n in 0..services {
        once(&tree, &format!("s/{n}"), "seq 3000");
    }
    let svscan = svscan(&tree, "-p").start();
    wait_out(&svscan, services * 3000);
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""));
    let out = output.out();
    assert_eq!(out.lines().count(), services * 3000);
    let expected: Vec<u32> = (1..=3000).collect();
    for n in 0..services {
        assert!(numbers(&out, &n.to_string()) == expected, "{n}");
    }
}

#[test]
fn a_line_of_100_kib_is_whole_and_one_of_a_mebibyte_is_cut() {
    let tree = tree();
    let line = |length: usize| format!("head -c {length} /dev/zero | tr '\\0' x; echo");
    once(&tree, "s/a", &format!("{}; {}; echo end", line(100 << 10), line(1 << 20)));
    once(&tree, "s/b", "for i in $(seq 500); do echo between; done");
    let svscan = svscan(&tree, "-p").start();
    wait_until("the last line", DEADLINE, || svscan.stdout().contains("a: end\n"));
    wait_until("the lines of b", DEADLINE, || {
        svscan.stdout().matches("b: between\n").count() == 500
    });
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0));
    let out = output.out();
    let of_a: Vec<&str> = out.lines().filter(|line| !line.starts_with("b: between")).collect();
    assert_eq!(of_a[0].len(), "a: ".len() + (100 << 10));
    assert!(of_a[1].starts_with("a: x"));
    let pieces = &of_a[1..of_a.len() - 1];
    assert!(pieces.len() > 1);
    assert!(pieces[1..].iter().all(|piece| piece.starts_with("a+ ")));
    let length: usize = pieces.iter().map(|piece| piece.len() - "a: ".len()).sum();
    assert_eq!(length, 1 << 20);
}

#[test]
fn a_write_that_does_not_fit_behind_an_unfinished_line_is_noticed() {
    // The kernel reports no change for it: the pipe was not empty, and the write has not ended.
    let tree = tree();
    let script = "seq 50000 >numbers; printf begin; while ! [ -e go ]; do sleep 0.02; done
        echo; dd if=numbers bs=200k status=none; seq 60000 | dd bs=64k iflag=fullblock status=none";
    once(&tree, "s/a", script);
    once(
        &tree,
        "s/b",
        "printf begin; while ! [ -e ../a/go ]; do sleep 0.02; done; cat ../a/numbers",
    );
    let svscan = svscan(&tree, "-p").start();
    let copier = copier_of(svscan.pid());
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    wait_until("the numbers", DEADLINE, || tree.exists("s/a/numbers"));
    process::wait_asleep(copier, "svscan");
    tree.write("s/a/go", "");
    let out = wait_out(&svscan, 160_001);
    assert!(out.contains("a: begin\n") && out.contains("b: begin1\n"));
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE);
}

#[test]
fn a_service_with_a_logger_keeps_its_pipe() {
    let tree = tree();
    once(&tree, "s/a", "pipe=$(readlink /proc/$$/fd/1); echo one; echo $pipe >&2");
    tree.service("s/a/log", "#!/bin/sh\necho $(readlink /proc/$$/fd/0) >&2\nexec cat >got\n");
    let svscan = svscan(&tree, "-p").start();
    tree.wait_text("s/a/log/got", "one\n");
    svscan.wait_stderr("a: pipe:");
    let err = svscan.wait_stderr("a/log: pipe:");
    let pipes: Vec<&str> =
        err.lines().filter_map(|line| line.split_once(": pipe:")).map(|(_, it)| it).collect();
    assert_eq!(pipes.len(), 2, "{err}");
    assert_eq!(pipes[0], pipes[1]);
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE);
}

#[test]
fn nothing_runs_while_nothing_is_written() {
    let tree = tree();
    once(&tree, "s/a", "printf 'no end'");
    let svscan = svscan(&tree, "-p").start();
    let copier = copier_of(svscan.pid());
    tree.wait_up("s/a");
    process::wait_asleep(copier, "svscan");
    assert_idle(&[copier], std::time::Duration::from_millis(500));
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).out(), "a: no end\n");
}

#[test]
fn without_the_option_there_is_no_copier() {
    let tree = tree();
    once(&tree, "s/a", "echo one");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_out(&svscan, 1);
    let programs = |pid: &u32| process::arguments(*pid).first().cloned().unwrap_or_default();
    let children: Vec<_> = process::descendants(svscan.pid()).iter().map(programs).collect();
    assert_eq!(children, ["supervise", "sleep"]);
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).out(), "one\n");
}
