//! A logger that appears while its service runs: the service uses it from its next start on.

use crate::{link, svscan, svscan_with_slow_supervise};
use harness::{DEADLINE, PENDING, Process, Signal, Tree, process, wait_until};
use std::path::Path;
use system::{assert_exit_0, hang_up, original_program, pipe, tree, wait_settled};

/// What svscan says once of the logger of `a`.
const TOLD: &str = "svscan: info: a/log has appeared: a uses it from its next start on; to restart \
                    it: svc -t a\n";

const LOGGER: &str = "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n";

/// A service `s/a` that prints the number of its start, and at HUP `said`.
#[track_caller]
fn service(tree: &Tree) {
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said' HUP\n[ -p idle ] || mkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\necho start $(wc -l <started)\nwhile :; do read -r line <&8; done\n",
    );
}

/// Puts a complete logger in place, in one step, as an administrator may do.
#[track_caller]
fn add_logger(tree: &Tree, run: &str) {
    tree.service("new", run);
    tree.rename("new", "s/a/log");
}

/// Starts svscan and the service, which has no logger.
#[track_caller]
fn begin(tree: &Tree) -> Process {
    service(tree);
    let svscan = svscan(tree);
    tree.wait_lines("s/a/started", 1);
    wait_settled(tree, "s/a");
    svscan
}

/// Scans until the supervise of a new logger runs, which needs a second without a change.
#[track_caller]
fn wait_logger(tree: &Tree, svscan: &Process) {
    svscan.signal(Signal::HUP);
    svscan.wait_stderr(TOLD);
    tree.wait_up("s/a/log");
}

/// Waits until a supervise has the pipe to the logger of its service.
#[track_caller]
fn wait_connected(tree: &Tree, supervise: u32) {
    wait_until("the pipe is handed over", DEADLINE, || {
        // Between two svscans no process may have the write end: a logger that sees this ends, and
        // the next one reads.
        let logger = tree.wait_up("s/a/log");
        pipe(logger, 0).is_some() && pipe(supervise, 1) == pipe(logger, 0)
    });
}

#[track_caller]
fn stop(svscan: Process) {
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn a_start_that_follows_at_once_uses_the_new_logger() {
    let tree = tree();
    let svscan = begin(&tree);
    add_logger(&tree, LOGGER);
    tree.svc("-t", "s/a");
    tree.wait_text("s/a/log/logged", "start 2\n");
    // The next start and the next scan say nothing.
    tree.svc("-t", "s/a");
    tree.wait_text("s/a/log/logged", "start 2\nstart 3\n");
    svscan.signal(Signal::HUP);
    link(&tree, "witness");
    tree.wait_up("s/witness");
    assert_eq!((svscan.stdout(), svscan.stderr()), ("start 1\n".into(), TOLD.into()));
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
    stop(svscan);
}

#[test]
fn the_running_process_keeps_its_output_until_its_next_start() {
    let tree = tree();
    let svscan = begin(&tree);
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &svscan);
    for line in ["start 1\nsaid\n", "start 1\nsaid\nsaid\n"] {
        hang_up(&tree, "s/a");
        wait_until("the service says it", DEADLINE, || svscan.stdout() == line);
    }
    let pid = tree.wait_up("s/a");
    process::signal(pid, Signal::KILL);
    tree.wait_text("s/a/log/logged", "start 2\n");
    assert_eq!((svscan.stdout(), svscan.stderr()), ("start 1\nsaid\nsaid\n".into(), TOLD.into()));
    stop(svscan);
}

#[test]
fn a_service_that_is_down_stays_down_and_uses_the_new_logger_then() {
    let tree = tree();
    let svscan = begin(&tree);
    tree.svc("-d", "s/a");
    tree.wait_down("s/a");
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &svscan);
    assert_eq!(tree.wait_want("s/a", b'd').pid(), 0);
    tree.svc("-o", "s/a");
    tree.wait_text("s/a/log/logged", "start 2\n");
    assert_eq!(svscan.stdout(), "start 1\n");
    tree.wait_want("s/a", PENDING);
    stop(svscan);
}

#[test]
fn a_svscan_that_is_killed_before_the_next_start_loses_nothing() {
    let tree = tree();
    let first = begin(&tree);
    // Stopped: it cannot take the pipe from the svscan that dies.
    let supervise = process::parent(tree.wait_up("s/a")).expect("a supervise");
    process::signal(supervise, Signal::STOP);
    wait_until("it is stopped", DEADLINE, || process::is_stopped(supervise));
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &first);
    tree.wait_lines("s/a/log/started", 1);
    first.kill();
    process::signal(supervise, Signal::CONT);
    let svscan = svscan(&tree);
    wait_connected(&tree, supervise);
    tree.svc("-t", "s/a");
    tree.wait_text("s/a/log/logged", "start 2\n");
    assert_eq!((svscan.stdout(), svscan.stderr()), (String::new(), String::new()));
    stop(svscan);
    assert_eq!(tree.processes(), []);
}

#[test]
fn a_log_without_run_is_a_directory_of_the_service() {
    let tree = tree();
    let svscan = begin(&tree);
    tree.mkdir("s/a/log");
    svscan.signal(Signal::HUP);
    tree.svc("-t", "s/a");
    wait_until("it starts again", DEADLINE, || svscan.stdout() == "start 1\nstart 2\n");
    link(&tree, "witness");
    tree.wait_up("s/witness");
    assert!(!tree.exists("s/a/log/supervise"));
    assert_eq!(svscan.stderr(), "");
    // Now it becomes a logger.
    tree.script("s/a/log/run.new", LOGGER);
    tree.rename("s/a/log/run.new", "s/a/log/run");
    tree.svc("-t", "s/a");
    tree.wait_text("s/a/log/logged", "start 3\n");
    assert_eq!((svscan.stdout(), svscan.stderr()), ("start 1\nstart 2\n".into(), TOLD.into()));
    stop(svscan);
}

#[test]
fn a_logger_whose_log_is_removed_before_the_next_start_gets_the_lines() {
    let tree = tree();
    let svscan = begin(&tree);
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &svscan);
    tree.wait_lines("s/a/log/started", 1);
    wait_connected(&tree, process::parent(tree.wait_up("s/a")).expect("a supervise"));
    tree.rename("s/a/log", "removed");
    tree.svc("-t", "s/a");
    tree.wait_text("removed/logged", "start 2\n");
    assert_eq!(svscan.stdout(), "start 1\n");
    stop(svscan);
}

#[test]
fn lines_for_a_broken_logger_wait_until_it_is_mended() {
    let tree = tree();
    let svscan = begin(&tree);
    add_logger(&tree, "#!/bin/sh\necho $$ >>started\nexit 1\n");
    tree.svc("-t", "s/a");
    tree.wait_lines("s/a/started", 2);
    tree.wait_lines("s/a/log/started", 1);
    hang_up(&tree, "s/a");
    tree.script("s/a/log/run.new", LOGGER);
    tree.rename("s/a/log/run.new", "s/a/log/run");
    tree.wait_text("s/a/log/logged", "start 2\nsaid\n");
    assert_eq!(svscan.stdout(), "start 1\n");
    stop(svscan);
}

#[test]
fn a_supervise_of_the_original_is_left_alone_and_the_remedy_is_told() {
    let tree = tree();
    service(&tree);
    let original = original_program(&tree, "supervise").arg("a").cwd(tree.path("s")).start();
    tree.wait_lines("s/a/started", 1);
    let svscan = svscan(&tree);
    // svscan sees the second link when it has done its first scan.
    for name in ["first", "second"] {
        link(&tree, name);
        tree.wait_up(Path::new("s").join(name));
    }
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &svscan);
    let warning = "svscan: warning: unable to connect a to its logger: its supervise is an older \
                   one; to connect them anew: svc -dx a\n";
    svscan.wait_stderr(&[TOLD, warning].concat());
    tree.svc("-dx", "s/a");
    assert_exit_0(original);
    tree.wait_text("s/a/log/logged", "start 2\n");
    stop(svscan);
}

#[test]
fn a_supervise_of_another_version_that_still_begins_gets_the_logger() {
    let tree = tree();
    service(&tree);
    let svscan = svscan_with_slow_supervise(&tree);
    add_logger(&tree, LOGGER);
    wait_logger(&tree, &svscan);
    tree.write("go", "");
    // The first start may come before the pipe.
    wait_connected(&tree, process::parent(tree.wait_up("s/a")).expect("a supervise"));
    tree.wait_lines("s/a/started", 1);
    tree.svc("-t", "s/a");
    tree.wait_text("s/a/log/logged", "start 2\n");
    assert_eq!(svscan.stderr(), TOLD);
    stop(svscan);
}
