//! pgrphack: a program in a session of its own.

use compliance::launcher;
use harness::{Process, Signal, Tree, process};

/// Starts a program that sleeps with these words.
#[track_caller]
fn start(tree: &Tree, words: &[&str]) -> Process {
    let (name, rest) = words.split_first().expect("a program");
    let started = tree.cmd(name).args(rest).args(["sleep", "1000"]).start();
    process::wait_asleep(started.pid(), "sleep");
    started
}

#[test]
fn a_program_is_needed() {
    launcher::needs_a_program("pgrphack");
}

#[test]
fn there_are_no_options() {
    launcher::has_no_options("pgrphack");
}

#[test]
fn the_program_leads_a_new_session_and_a_new_group() {
    let tree = Tree::new();
    let program = start(&tree, &["pgrphack"]);
    let pid = Some(program.pid());
    assert_eq!(process::session(program.pid()), pid);
    assert_eq!(process::group(program.pid()), pid);
    assert_eq!(process::parent(program.pid()), Some(std::process::id()));
    let bare = start(&tree, &["env"]);
    assert_ne!(process::session(bare.pid()), Some(bare.pid()));
}

#[test]
fn nothing_changes_for_the_leader_of_a_group() {
    let tree = Tree::new();
    // A leader cannot start a session. pgrphack ignores this error.
    let leader = start(&tree, &["perl", "-e", "setpgrp(0, 0); exec @ARGV", "pgrphack"]);
    assert_eq!(process::group(leader.pid()), Some(leader.pid()));
    assert_eq!(process::session(leader.pid()), process::session(std::process::id()));
    assert_eq!(leader.stderr(), "");
}

#[test]
fn nothing_changes_for_the_leader_of_a_session() {
    let tree = Tree::new();
    let leader = start(&tree, &["setsid", "pgrphack", "pgrphack"]);
    assert_eq!(process::session(leader.pid()), Some(leader.pid()));
    assert_eq!(process::group(leader.pid()), Some(leader.pid()));
    assert_eq!(leader.stderr(), "");
}

#[test]
fn a_signal_for_the_old_group_does_not_reach_the_program() {
    let tree = Tree::new();
    let script = "pgrphack sleep 1000 & echo $! >pid; exec sleep 2000";
    let words = ["-e", "setpgrp(0, 0); exec @ARGV", "sh", "-c", script];
    let group = tree.cmd("perl").args(words).start();
    let pid = tree.wait_lines("pid", 1)[0].parse().expect("a pid");
    process::wait_asleep(pid, "sleep");
    process::wait_asleep(group.pid(), "sleep");
    tree.sh("kill -TERM -$1").arg("sh").arg(group.pid().to_string()).run().is(0, "", "");
    let output = group.wait();
    assert_eq!(output.signal, Some(Signal::TERM.as_raw()), "{output}");
    assert!(process::is_alive(pid));
}
