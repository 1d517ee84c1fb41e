//! How svscan ends: services first, then their loggers.

use crate::{
    command, link, logger, order, ordered_service, svscan, svscan_with_slow_supervise, wait_up_soon,
};
use harness::{Pty, Signal, Tree, process, wait_until};
use std::time::{Duration, Instant};
use system::{PROMPT, assert_calm, assert_exit_0, count, status_line, tree, wait_settled};

#[test]
fn a_service_that_ignores_term_does_not_delay_others() {
    let tree = tree();
    tree.trapping_service("real/stubborn", &["TERM"]);
    tree.symlink("../real/stubborn", "s/stubborn");
    link(&tree, "a");
    let mut svscan = svscan(&tree);
    tree.wait_lines("real/stubborn/started", 1);
    let pid = tree.wait_up("s/stubborn");
    tree.wait_up("s/a");
    tree.remove("s/stubborn");
    tree.wait_lines("real/stubborn/signals", 1);
    link(&tree, "b");
    wait_up_soon(&tree, "s/b");
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    assert!(process::is_alive(pid));
    // The service gets TERM once.
    assert_eq!(tree.wait_lines("real/stubborn/signals", 1).len(), 1);
    // svscan waits for it at its own end too.
    svscan.signal(Signal::TERM);
    tree.wait_unsupervised("real/b");
    assert!(!svscan.has_ended());
    process::signal(pid, Signal::KILL);
    assert_exit_0(svscan);
}

#[test]
fn a_stop_that_takes_long_names_what_it_waits_for() {
    let tree = tree();
    tree.trapping_service("s/deaf", &["TERM"]);
    link(&tree, "a");
    let svscan = svscan(&tree);
    tree.wait_lines("s/deaf/started", 1);
    let pid = tree.wait_up("s/deaf");
    tree.wait_up("s/a");
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_stderr("waiting"), "svscan: info: waiting for deaf to end\n");
    process::signal(pid, Signal::KILL);
    let output = svscan.wait();
    assert_eq!((output.code, count(&output.err(), "waiting")), (Some(0), 1), "{output}");
}

#[test]
fn a_stop_signal_ends_services_then_loggers_and_nothing_is_lost() {
    // 37 is RTMIN+3.
    for signal in ["TERM", "INT", "QUIT", "PWR", "37"] {
        let tree = tree();
        ordered_service(&tree, "s/a", "a", "seq 2000");
        logger(&tree, "s/a", "a");
        let svscan = svscan(&tree);
        order(&tree, 1);
        tree.wait_lines("s/a/log/started", 1);
        let children = process::descendants(svscan.pid());
        assert_eq!(children.len(), 4);
        tree.sh(&format!("kill -{signal} {}", svscan.pid())).run().is(0, "", "");
        svscan.wait_within(Duration::from_secs(5)).is(0, "", "");
        // The children end before svscan.
        assert!(children.iter().all(|&pid| !process::is_alive(pid)));
        assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
        let logged = tree.wait_lines("s/a/log/logged", 2001);
        assert_eq!((logged.len(), logged[1999].as_str()), (2001, "2000"));
        assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
    }
}

#[test]
fn term_to_every_process_at_once_loses_no_last_word() {
    term_to_every_process(&tree(), None);
}

#[test]
fn a_supervise_that_still_begins_at_a_stop_does_not_die_of_a_signal() {
    // The next supervise of the logger gets its signal before it can read signals.
    let tree = tree();
    let bin = tree.suite().bin().to_owned();
    let slow = format!("#!/bin/sh\nsleep 0.3\nexec {}/supervise \"$@\"\n", bin.display());
    tree.script("slow/supervise", slow);
    let path = format!("{}:{}:/usr/bin:/bin", tree.path("slow").display(), bin.display());
    term_to_every_process(&tree, Some(&path));
}

#[test]
fn a_supervise_of_another_version_that_still_begins_does_not_die_of_a_signal() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = svscan_with_slow_supervise(&tree);
    svscan.signal(Signal::TERM);
    wait_until("svscan has obeyed", PROMPT, || {
        status_line(svscan.pid(), "ShdPnd").is_some_and(|mask| mask == "0000000000000000")
            && process::state(svscan.pid()) == Some('S')
    });
    tree.write("go", "");
    svscan.wait().is(0, "", "");
    // It has begun, and then got the signal.
    assert!(tree.exists("s/a/supervise/status"));
}

/// Sends TERM to svscan and all processes below it at the same moment, as systemd does for a unit
/// without `KillMode`. The service writes on until its logger has ended.
#[track_caller]
fn term_to_every_process(tree: &Tree, path: Option<&str>) {
    let logger_is_gone = "while kill -0 $(head -n 1 log/started) 2>/dev/null; do sleep 0.02; done";
    // svscan repeats the signal, which would begin the last words once more.
    ordered_service(tree, "s/a", "a", &format!("trap : TERM; {logger_is_gone}; seq 2000"));
    logger(tree, "s/a", "a");
    let command = command(tree).arg("s");
    let command = match path {
        Some(path) => command.env("PATH", path),
        None => command,
    };
    let svscan = command.start();
    order(tree, 1);
    tree.wait_lines("s/a/log/started", 1);
    let pids = [process::descendants(svscan.pid()), vec![svscan.pid()]].concat();
    assert_eq!(pids.len(), 5);
    // The first signals may end a process before its own comes.
    pids.into_iter().for_each(|pid| process::signal(pid, Signal::TERM));
    assert_exit_0(svscan);
    let logged = tree.wait_lines("s/a/log/logged", 2001);
    assert_eq!((logged.len(), logged[2000].as_str()), (2001, "last words"));
    assert_eq!(tree.wait_lines("s/a/log/started", 2).len(), 2);
    assert_eq!(order(tree, 3), ["start a", "stop a", "stop a/log"]);
}

#[test]
fn quit_that_is_ignored_at_the_start_stays_ignored() {
    let tree = tree();
    link(&tree, "a");
    let svscan = tree.sh("trap '' QUIT; exec svscan s").start();
    tree.wait_up("s/a");
    svscan.signal(Signal::QUIT);
    link(&tree, "witness");
    wait_up_soon(&tree, "s/witness");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn term_ends_a_svscan_without_services() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "a");
    wait_up_soon(&tree, "s/a");
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    tree.mkdir("s/without-run");
    svscan.signal(Signal::TERM);
    svscan.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_second_term_is_not_repeated_and_ends_loggers_at_once() {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo TERM >>signals; [ -e go ] && exit' TERM\nmkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    tree.idle_service("s/a/log");
    let mut svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let logger = tree.wait_up("s/a/log");
    tree.wait_lines("s/a/log/started", 1);
    svscan.signal(Signal::TERM);
    tree.wait_lines("s/a/signals", 1);
    assert!(!svscan.has_ended());
    tree.write("s/a/go", "");
    svscan.signal(Signal::TERM);
    // Both have taken what there was to take.
    let supervise = process::parent(tree.wait_up("s/a")).expect("a parent");
    for pid in [svscan.pid(), supervise] {
        wait_until("the signal is taken", PROMPT, || {
            let pending = status_line(pid, "ShdPnd").expect("a line");
            pending.bytes().all(|digit| digit == b'0') && process::state(pid) == Some('S')
        });
    }
    assert!(tree.is_supervised("s/a"));
    assert_eq!(tree.wait_lines("s/a/signals", 1).len(), 1);
    tree.svc("-t", "s/a");
    tree.wait_unsupervised("s/a");
    assert!(process::is_alive(logger));
    // This logger ignores the end of its input, so svscan gets another TERM.
    let again = Instant::now();
    wait_until("supervise s/a is reaped", PROMPT, || process::descendants(svscan.pid()).len() == 2);
    svscan.signal(Signal::TERM);
    svscan.wait_within(PROMPT).is(0, "", "");
    assert!(again.elapsed() < Duration::from_secs(4), "{:?}", again.elapsed());
    assert!(!process::is_alive(logger));
    assert_eq!(tree.wait_lines("s/a/signals", 2).len(), 2);
}

#[test]
fn svscan_starts_nothing_and_stays_idle_while_it_ends() {
    let tree = tree();
    tree.trapping_service("s/a", &["TERM"]);
    link(&tree, "b");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let pid = tree.wait_up("s/a");
    tree.wait_up("s/b");
    svscan.signal(Signal::TERM);
    tree.wait_lines("s/a/signals", 1);
    tree.wait_unsupervised("s/b");
    // Changes are too late now.
    svscan.signal(Signal::HUP);
    link(&tree, "c");
    tree.symlink("nowhere", "s/dangling");
    tree.remove("s/b");
    assert_calm(svscan.pid(), Duration::from_secs(1));
    assert!(!tree.exists("real/c/supervise"));
    process::signal(pid, Signal::KILL);
    assert_exit_0(svscan);
}

#[test]
fn loggers_behind_nohup_end_once_and_soon() {
    let tree = tree();
    ordered_service(&tree, "s/a", "a", "");
    logger(&tree, "s/a", "a");
    let svscan = tree.sh("trap '' HUP; exec svscan s").env("ORDER", tree.path("order")).start();
    order(&tree, 1);
    wait_settled(&tree, "s/a/log");
    svscan.signal(Signal::HUP);
    link(&tree, "witness");
    wait_up_soon(&tree, "s/witness");
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
}

#[test]
fn at_a_terminal_the_interrupt_key_ends_everything_in_order() {
    let tree = tree();
    ordered_service(&tree, "s/a", "a", "seq 100");
    logger(&tree, "s/a", "a");
    tree.service(
        "s/b",
        "#!/bin/sh\ntrap 'echo INT >>signals' INT\ntrap 'echo TERM >>signals; exit' TERM\n\
         mkfifo idle\nexec 8<>idle\necho hello\nwhile :; do read -r line <&8; done\n",
    );
    let (mut terminal, svscan) = Pty::start(command(&tree).arg("s"));
    terminal.wait_shown("hello");
    order(&tree, 1);
    tree.wait_lines("s/a/log/started", 1);
    let children = process::descendants(svscan.pid());
    for &pid in &children {
        assert_ne!(process::group(pid), process::group(svscan.pid()));
    }
    terminal.types(b"\x03");
    let output = svscan.wait_within(Duration::from_secs(5));
    assert_eq!(output.code, Some(0), "{output}");
    assert!(children.iter().all(|&pid| !process::is_alive(pid)));
    assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
    assert_eq!(tree.wait_lines("s/a/log/logged", 1).len(), 101);
    assert_eq!(tree.text("s/b/signals"), "TERM\n");
}
