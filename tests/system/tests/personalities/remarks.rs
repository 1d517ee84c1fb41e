//! The remarks of `svstat -x` about the scripts of a personality.

use crate::service;
use harness::{DEADLINE, Tree, wait_until};
use system::{replace_supervise, stop_supervise, wait_phase};

/// The line of `svstat -x`.
#[track_caller]
fn svstat_x(tree: &Tree) -> String {
    tree.cmd("svstat").args(["-x", "a"]).run().out()
}

#[test]
fn the_last_end_is_that_of_run() {
    for (personality, script) in [("s6", "finish"), ("runit", "finish"), ("encore", "stop")] {
        let tree = service(personality, "#!/bin/sh\nexit 3\n");
        tree.script(format!("a/{script}"), "#!/bin/sh\nexit 0\n");
        tree.write("a/restart-limit", "1 in 10s\n");
        let supervise = tree.supervise("a");
        wait_phase(&tree, "a", "failed");
        let line = svstat_x(&tree);
        assert!(line.contains(", last exit 3\n"), "{personality}: {line}");
        // The next supervisor finds it in the state file.
        let supervise = replace_supervise(&tree, supervise, "a");
        let line = svstat_x(&tree);
        assert!(line.contains(", last exit 3\n"), "{personality}: {line}");
        stop_supervise(&tree, supervise, "a");
    }
}

#[test]
fn no_word_of_encore_is_repeated() {
    let tree = service("encore", "#!/bin/sh\nexit 100\n");
    let supervise = tree.supervise("a");
    wait_until("it has failed", DEADLINE, || svstat_x(&tree).contains("failed"));
    let line = svstat_x(&tree);
    assert!(line.ends_with(", failed, reason: exit code 100, last exit 100\n"), "{line}");
    stop_supervise(&tree, supervise, "a");

    tree.script("a/start", "#!/bin/sh\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "starting");
    let line = svstat_x(&tree);
    assert_eq!(line.matches("starting").count(), 1, "{line}");
    stop_supervise(&tree, supervise, "a");
}
