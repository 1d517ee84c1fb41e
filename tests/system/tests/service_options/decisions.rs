//! What supervise decides by itself is told on its standard error.

use harness::{DEADLINE, Tree, wait_until};
use system::{count, stop_supervise, tree, wait_phase};

/// Asserts that supervise prints this line about a service in `a`.
#[track_caller]
fn assert_told(tree: &Tree, line: &str) {
    let supervise = tree.supervise("a");
    let told = supervise.wait_stderr(line);
    assert!(told.lines().any(|told| told.ends_with(line)), "{told}");
    stop_supervise(tree, supervise, "a");
}

#[test]
fn a_program_that_goes_into_the_background_is_told_once() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\n(exec sleep 1000 >/dev/null 2>&1) &\necho $! >>started\nexit 0\n",
    );
    let supervise = tree.supervise("a");
    let line = "supervise: warning: a goes into the background, and starts again and again: it needs an \
                option that keeps it in the foreground, or the file background\n";
    assert_eq!(supervise.wait_stderr("background"), line);
    tree.wait_lines("a/started", 5);
    assert_eq!(supervise.stderr(), line);
    tree.svc("-dx", "a");
    let output = supervise.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn a_stop_for_bad_health_is_told() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/notification-fd", "3\n");
    tree.write("a/timeout-ready", "300ms\n");
    assert_told(&tree, "supervise: warning: stopping a: not ready in time");
    tree.remove("a/timeout-ready");
    tree.remove("a/notification-fd");
    tree.script("a/check", "#!/bin/sh\n[ ! -e bad ] || exit 1\n: >bad\n");
    tree.write("a/check-interval", "200ms\n");
    tree.write("a/check-failures", "1\n");
    assert_told(&tree, "supervise: warning: stopping a: check failed");
}

#[test]
fn a_failure_is_told() {
    for (personality, script, text, reason) in [
        ("encore", "run", "exit 100", "exit code 100"),
        ("encore", "start", "exit 7", "start script failed"),
        ("s6", "finish", "exit 125", "finish exit code 125"),
    ] {
        let tree = tree();
        tree.service("a", "#!/bin/sh\nexit 1\n");
        tree.write("a/personality", format!("{personality}\n"));
        tree.script(format!("a/{script}"), format!("#!/bin/sh\n{text}\n"));
        let words = format!("warning: a has failed: {reason}; svc -u starts it again");
        assert_told(&tree, &words);
    }
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexit 1\n");
    tree.write("a/restart-limit", "2 in 60s\n");
    assert_told(&tree, "warning: a has failed: too many deaths; svc -u starts it again");
}

#[test]
fn a_kill_is_told() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    tree.write("a/timeout-kill", "300ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    supervise.wait_stderr(&format!(
        "supervise: warning: killing process {pid} of a: it has not ended in time\n"
    ));
    tree.wait_down("a");
    stop_supervise(&tree, supervise, "a");

    tree.write("a/personality", "s6\n");
    tree.script("a/run", "#!/bin/sh\nexit 1\n");
    tree.script("a/finish", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("a/timeout-finish", "200\n");
    assert_told(&tree, " of a/finish: it has not ended in time");
}

#[test]
fn a_longer_restart_delay_is_told() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexit 1\n");
    tree.write("a/restart-delay", "min=100ms max=200ms\n");
    let supervise = tree.supervise("a");
    let told = supervise.wait_stderr("supervise: info: delaying the next start of a by 200 ms\n");
    assert_eq!(count(&told, "by 100 ms"), 0);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn lines_about_a_service_that_fails_again_and_again_are_limited() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/personality", "s6\n");
    tree.script("a/run", "#!/bin/sh\necho $$ >>started\nexit 1\n");
    tree.script("a/finish", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("a/timeout-finish", "10\n");
    let supervise = tree.supervise("a");
    wait_until("it has failed often", DEADLINE, || {
        tree.exists("a/started") && tree.text("a/started").lines().count() >= 13
    });
    assert_eq!(count(&supervise.stderr(), "killing process"), 10);
    wait_phase(&tree, "a", "waiting");
    stop_supervise(&tree, supervise, "a");
}
