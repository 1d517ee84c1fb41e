//! Programs that put themselves into the background: the option file `background`.

use crate::{last_pid, wait_ended};
use harness::{Signal, process};
use std::time::Duration;
use system::{assert_idle, replace_supervise, stop_supervise, tree, wait_settled};

/// A `run` that puts itself into the background as sshd and many others do.
const DAEMON: &str = r#"#!/usr/bin/perl
use POSIX ();
sub note { open(my $f, '>>', $_[0]) or die; print $f "$$\n"; close $f }
note('first');
exit 0 if fork;
POSIX::setsid();
if (fork) { select(undef, undef, undef, 0.1); exit 0 }
if (-e 'pid-wanted') { open(my $f, '>', 'pid.new'); print $f "$$\n"; close $f; rename('pid.new', 'pid') }
note('started');
sleep 1 while 1;
"#;

/// Follows a daemon through its life. `background` is the content of the option file.
fn assert_followed(background: &str) {
    let tree = tree();
    tree.script("a/run", DAEMON);
    tree.write("a/background", background);
    if background.starts_with("pid-file") {
        tree.write("a/pid-wanted", "");
    }
    let supervise = tree.supervise("a");
    let daemon = last_pid(&tree, "a/started", 1);
    tree.wait_status("a", "is the daemon", |s| s.pid() == daemon);
    wait_settled(&tree, "a");
    assert!(process::is_alive(daemon));
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    // Signals reach the daemon, and it is started again.
    tree.svc("-t", "a");
    wait_ended(daemon);
    let second = last_pid(&tree, "a/started", 2);
    tree.wait_status("a", "is the second daemon", |s| s.pid() == second);
    // The next supervise adopts the daemon, and sees it die.
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(tree.wait_up("a"), second);
    process::signal(second, Signal::KILL);
    let third = last_pid(&tree, "a/started", 3);
    tree.wait_status("a", "is the third daemon", |s| s.pid() == third);
    assert_eq!(tree.wait_lines("a/first", 3).len(), 3);
    tree.svc("-d", "a");
    tree.wait_down("a");
    assert!(!process::is_alive(third));
    assert_eq!(tree.wait_lines("a/started", 3).len(), 3);
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.find(&["perl"]), []);
}

#[test]
fn a_program_that_goes_into_the_background_is_followed() {
    assert_followed("follow\n");
}

#[test]
fn a_program_that_writes_a_pid_file_is_followed() {
    assert_followed("pid-file pid\n");
}

#[test]
fn a_pid_file_that_names_a_foreign_process_is_ignored() {
    let tree = tree();
    let foreign = tree.cmd("sleep").arg("1000").start();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 0\n");
    tree.write("a/background", "pid-file pid\n");
    tree.write("a/pid", format!("{}\n", foreign.pid()));
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    stop_supervise(&tree, supervise, "a");
    assert!(process::is_alive(foreign.pid()));
}

#[test]
fn a_daemon_stopped_on_its_way_into_the_background_ends() {
    let tree = tree();
    // TERM ends the first process at once, and would leave the process that it has started.
    tree.service(
        "a",
        "#!/bin/sh\n(setsid sh -c 'echo $$ >>left; exec sleep 1000' &)\n\
         while [ ! -e left ]; do sleep 0.02; done\necho $$ >>started\nexec sleep 1001\n",
    );
    tree.write("a/background", "follow\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let left = last_pid(&tree, "a/left", 1);
    tree.svc("-d", "a");
    tree.wait_down("a");
    assert!(!process::is_alive(left));
    stop_supervise(&tree, supervise, "a");
}
