//! The personality of runit.

use crate::{STAYS, TALKS, service};
use harness::{DEADLINE, Signal, Tree, process, wait_until};
use std::io::Write as _;
use system::{
    assert_exit_0, open_for_writing, state, stop_supervise, tree, wait_settled, wait_state,
};

#[test]
fn runit_finish_gets_its_arguments_and_has_no_timeout() {
    let tree = service("runit", "#!/bin/sh\necho run \"$@\" >>order\nexec sleep 1000\n");
    let slow = "#!/bin/sh\necho finish \"$@\" >>order\n[ -p go ] || mkfifo go\nread -r line <go\n\
                echo done >>order\n";
    tree.script("a/finish", slow);
    tree.write("a/timeout-finish", "10\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run"]);
    assert_ne!(process::session(pid), Some(pid));
    tree.svc("-t", "a");
    assert_eq!(tree.wait_lines("a/order", 2)[1], "finish -1 15");
    wait_state(&tree, "a", "phase", "finishing");
    wait_until("it waits", DEADLINE, || tree.exists("a/go"));
    tree.script("a/run", "#!/bin/sh\nexit 7\n");
    tree.write("a/go", "go\n");
    let lines = tree.wait_lines("a/order", 4);
    assert_eq!(lines[2..], ["done", "finish 7 0"]);
    // The codes 125 and 100 mean nothing here.
    tree.script("a/finish", "#!/bin/sh\necho finish >>order\nexit 125\n");
    tree.script("a/run", "#!/bin/sh\necho run >>order\nexit 100\n");
    tree.write("a/go", "go\n");
    assert_eq!(tree.wait_lines("a/order", 9)[5..9], ["run", "finish", "run", "finish"]);
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
}

#[test]
fn runit_check_decides_when_the_service_is_ready() {
    let tree = service("runit", STAYS);
    tree.script("a/check", "#!/bin/sh\necho asked >>asked\n[ -e well ]\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/asked", 2);
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    tree.write("a/well", "");
    wait_state(&tree, "a", "phase", "ready");
    // After readiness, `check` does not run again, and health does not matter.
    tree.remove("a/well");
    assert_eq!(tree.wait_up("a"), pid);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn runit_control_replaces_a_command_if_it_exits_0() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "HUP", "CONT", "ALRM"]);
    tree.write("a/personality", "runit\n");
    // `t` exits 0, `h` exits 1, `a` is not executable.
    tree.script("a/control/t", "#!/bin/sh\necho t >>asked\n");
    tree.script("a/control/h", "#!/bin/sh\necho h >>asked\nexit 1\n");
    tree.write("a/control/a", "#!/bin/sh\necho a >>asked\n");
    tree.script("a/control/c", "#!/bin/sh\necho c >>asked\nexit 1\n");
    tree.script("a/control/d", "#!/bin/sh\necho d >>asked\nexit 1\n");
    tree.script("a/control/u", "#!/bin/sh\necho u >>asked\n");
    tree.script("a/control/k", "#!/bin/sh\necho k >>asked\nexit 3\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-t", "a");
    assert_eq!(tree.wait_lines("a/asked", 1), ["t"]);
    tree.svc("-h", "a");
    assert_eq!(tree.wait_lines("a/signals", 1), ["HUP"]);
    tree.svc("-a", "a");
    assert_eq!(tree.wait_lines("a/signals", 2), ["HUP", "ALRM"]);
    tree.svc("-c", "a");
    assert_eq!(tree.wait_lines("a/signals", 3), ["HUP", "ALRM", "CONT"]);
    assert_eq!(tree.text("a/asked"), "t\nh\nc\n");
    // `d` asks `t` first, then runs `d`, and not `c`. If `t` exits 0, it must end the service
    // itself.
    tree.svc("-d", "a");
    let mut asked = tree.wait_lines("a/asked", 5)[3..].to_vec();
    asked.sort();
    assert_eq!(asked, ["d", "t"]);
    tree.wait_want("a", b'd');
    assert!(process::is_alive(pid));
    assert!(!tree.text("a/signals").contains("TERM"));
    tree.svc("-k", "a");
    process::wait_gone(pid);
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/asked", 7)[5..], ["k", "u"]);
    let pid = tree.wait_restart("a", pid);
    tree.wait_lines("a/started", 2);
    tree.remove("a/control/t");
    process::signal(pid, Signal::KILL);
    tree.wait_lines("a/started", 3);
    tree.svc("-dkx", "a");
    assert_exit_0(supervise);
}

/// Lets a script go on that reads a line from the FIFO `go`, once it does.
fn let_go(tree: &Tree) {
    drop(open_for_writing(&tree.path("a/go")));
}

#[test]
fn a_control_script_runs_once_at_a_time() {
    let tree = tree();
    tree.trapping_service("a", &["HUP"]);
    tree.write("a/personality", "runit\n");
    tree.fifo("a/go", 0o600);
    tree.script("a/control/u", "#!/bin/sh\necho $$ >>asked-u\nread -r line <go\n");
    tree.script("a/control/h", "#!/bin/sh\necho $$ >>asked-h\nread -r line <go\nexit 1\n");
    let supervise = tree.supervise("a");
    wait_settled(&tree, "a");
    tree.wait_lines("a/started", 1);
    for (letter, file) in [("u", "a/asked-u"), ("h", "a/asked-h")] {
        let mut control = open_for_writing(&tree.path("a/supervise/control"));
        control.write_all(letter.repeat(300).as_bytes()).expect("write commands");
        drop(control);
        tree.wait_lines(file, 1);
        // A command that is read after the others.
        tree.svc("-p", "a");
        wait_until("all commands are obeyed", DEADLINE, || tree.svstat("a").contains("paused"));
        tree.svc("-c", "a");
        assert_eq!(tree.wait_lines(file, 1).len(), 1);
        // Once more for the last one, and not for each.
        let_go(&tree);
        let second: u32 = tree.wait_lines(file, 2)[1].parse().expect("a pid");
        let_go(&tree);
        process::wait_gone(second);
        assert_eq!(tree.wait_lines(file, 2).len(), 2);
    }
    assert_eq!(tree.wait_lines("a/signals", 2), ["HUP", "HUP"]);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn runit_log_is_a_service_of_its_own_below_svscan() {
    let tree = service("runit", TALKS);
    tree.script("a/log/run", "#!/bin/sh\nexec cat >>../logged\n");
    let svscan = tree.cmd("svscan").arg(".").start();
    let line = tree.wait_text("a/logged", "run ");
    assert_eq!(line, format!("run {}\n", tree.wait_up("a")));
    // A directory in the place of the log script is none.
    tree.write("a/personality", "encore\n");
    let pid = wait_settled(&tree, "a");
    tree.svc("-t", "a");
    let second = tree.wait_restart("a", pid);
    tree.wait_text("a/logged", &format!("run {second}\n"));
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(20));
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}
