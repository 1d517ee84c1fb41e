//! Loggers of services, and svscan's own log service.

use crate::{command, link, logger, order, ordered_service, svscan, wait_up_soon};
use harness::{DEADLINE, Signal, process, wait_until};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use system::{count, tree, wait_all_gone, wait_descendant, wait_settled};

#[test]
fn a_log_that_is_a_file_is_no_logger() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\necho $$ >>started\necho said\nexec sleep 1000\n");
    tree.script("s/a/log", "#!/bin/sh\necho $$ >started-log\n");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    tree.wait_up("s/a");
    link(&tree, "witness");
    wait_up_soon(&tree, "s/witness");
    wait_until("the service has written", DEADLINE, || svscan.stdout() == "said\n");
    assert!(!tree.exists("s/a/started-log"));
    assert_eq!((svscan.stdout(), svscan.stderr()), ("said\n".into(), String::new()));
}

#[test]
fn a_logger_that_does_not_see_its_end_gets_term() {
    let tree = tree();
    link(&tree, "a");
    tree.idle_service("real/a/log");
    let _svscan = svscan(&tree);
    tree.wait_up("s/a");
    let pid = tree.wait_up("s/a/log");
    let removed = Instant::now();
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    assert!(process::is_alive(pid));
    process::wait_gone(pid);
    let time = removed.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(10)).contains(&time), "{time:?}");
    assert_eq!(tree.wait_lines("real/a/log/started", 1).len(), 1);
}

#[test]
fn a_slow_logger_has_time_to_read_the_rest() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nseq 300\necho $$ >>started\nexec sleep 1000\n");
    tree.service(
        "s/a/log",
        "#!/bin/sh\nwhile read line; do echo $line; sleep 0.02; done >out\nexec sleep 1000\n",
    );
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    // After five seconds svscan also says for which process it waits.
    let mut said: Vec<String> = output.err().lines().map(str::to_owned).collect();
    said.sort();
    let waiting = "svscan: info: waiting for a/log to end";
    let reading = "svscan: warning: waiting until the logger of a has read everything";
    assert_eq!((output.code, &said[..]), (Some(0), &[waiting.into(), reading.into()][..]));
    assert_eq!(tree.text("s/a/log/out").lines().count(), 300);
    assert_eq!(tree.processes(), []);
}

#[test]
fn services_with_odd_names_have_loggers_and_end_in_order() {
    let tree = tree();
    let names: [&[u8]; 7] =
        [b"with space", b"new\nline", b"\xff\xfe", b"-x", b"--", b"*?'\"\\$", &[b'n'; 255]];
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        ordered_service(&tree, &dir, "x", "");
        logger(&tree, &dir, "x");
    }
    let svscan = svscan(&tree);
    order(&tree, names.len());
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        tree.wait_lines(dir.join("log/started"), 1);
    }
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        assert_eq!(tree.text(dir.join("log/logged")), "last words\n");
        assert_eq!(tree.wait_lines(dir.join("log/started"), 1).len(), 1);
    }
}

// The log service

#[test]
fn the_log_service_gets_everything_and_is_the_last_to_end() {
    let tree = tree();
    ordered_service(&tree, "s/a", "a", "");
    ordered_service(&tree, "s/b", "b", "");
    logger(&tree, "s/b", "b");
    tree.script(
        "s/.all/run",
        "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done >>logged\necho stop all >>\"$ORDER\"\n",
    );
    let svscan = command(&tree).args(["s", ".all"]).start();
    order(&tree, 2);
    tree.wait_lines("s/b/log/started", 1);
    tree.symlink("nowhere", "s/dangling");
    let warning = "svscan: warning: unable to stat dangling: file does not exist\n";
    let logged = tree.wait_text("s/.all/logged", warning);
    assert!(logged.starts_with("svscan: info: starting\n"), "{logged}");
    tree.service("s/c", "no interpreter\n");
    tree.wait_text("s/.all/logged", "supervise: fatal: unable to start c/run: exec format error\n");
    let children = process::descendants(svscan.pid());
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    wait_all_gone(&children);
    let logged = tree.text("s/.all/logged");
    assert_eq!(count(&logged, "last words"), 1, "{logged}");
    assert_eq!(tree.text("s/b/log/logged"), "last words\n");
    let order = order(&tree, 6);
    assert_eq!(order[5], "stop all", "{order:?}");
}

#[test]
fn a_log_service_whose_supervise_dies_comes_back_and_loses_nothing() {
    let tree = tree();
    tree.script("s/.all/run", "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n");
    let svscan = command(&tree).args(["s", ".all"]).start();
    tree.wait_text("s/.all/logged", "svscan: info: starting\n");
    let logger = wait_settled(&tree, "s/.all");
    let supervise = wait_descendant(svscan.pid(), &["supervise", ".all"]);
    process::signal(supervise, Signal::KILL);
    process::signal(logger, Signal::KILL);
    tree.wait_lines("s/.all/started", 2);
    tree.symlink("nowhere", "s/dangling");
    tree.wait_text("s/.all/logged", "unable to stat dangling");
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
}
