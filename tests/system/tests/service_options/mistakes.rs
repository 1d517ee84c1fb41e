//! Mistakes in option files.

use crate::kill_and_wait;
use harness::{Tree, process};
use std::time::Duration;
use system::{
    assert_idle, count, replace_supervise, state, stop_supervise, tree, wait_phase, wait_state,
};

#[test]
fn a_mistake_is_reported_once_with_line_and_expected_form() {
    for (file, text, message) in [
        (
            "timeout-kill",
            "5x\n",
            "line 1: \"5x\": want a time in milliseconds, or with ms, s, m or h, as in 5000 or 5s",
        ),
        (
            "resource-limits",
            "nice 1\n\nnofile many\n",
            "line 3: \"nofile many\": want SOFT or SOFT:HARD, numbers or unlimited, as in nofile 1024:4096",
        ),
        (
            "listen",
            "# here\ntcp nowhere\n",
            "line 2: \"tcp nowhere\": want an address and a port, as in 127.0.0.1:80, [::1]:80 or 80",
        ),
        (
            "needs",
            "../b\n",
            "line 1: \"../b\": want the name of a service, at most 255 bytes without slash and without dot at the beginning, as in database",
        ),
        (
            "restart-limit",
            "5\n",
            "line 1: \"5\": want a number from 1 to 4096, the word in and a time, as in 5 in 60s",
        ),
        ("stop-scope", "all\n", "line 1: \"all\": want process, group or tree, as in group"),
        (
            "background",
            "yes\n",
            "line 1: \"yes\": want follow, or pid-file and a path, as in pid-file /run/name.pid",
        ),
        (
            "down-signal",
            "SIGNOTHING\n",
            "line 1: \"SIGNOTHING\": want the name or number of a signal, as in HUP or 1",
        ),
        (
            "personality",
            "systemd\n",
            "line 1: \"systemd\": want daemontools, encore, s6 or runit, as in s6",
        ),
    ] {
        let tree = tree();
        tree.idle_service("a");
        tree.write(format!("a/{file}"), text);
        let supervise = tree.supervise("a");
        let line = format!("supervise: warning: a/{file} {message}\n");
        assert_eq!(supervise.wait_stderr("want"), line);
        wait_wanted_up_and_down(&tree);
        // `svc -u` reads the file again, and does not repeat the report.
        tree.svc("-u", "a");
        tree.svc("-u", "a");
        assert!(!tree.exists("a/started"));
        tree.remove(format!("a/{file}"));
        tree.svc("-u", "a");
        tree.wait_up("a");
        assert_eq!(supervise.stderr(), line);
        stop_supervise(&tree, supervise, "a");
    }
}

/// Waits until the service is wanted up, and is down.
#[track_caller]
fn wait_wanted_up_and_down(tree: &Tree) {
    tree.wait_status("a", "waits", |s| s.pid() == 0 && s.want() == b'u');
}

#[test]
fn a_mistake_does_not_disturb_a_running_service() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down-signal", "INT\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.write("a/down-signal", "INTERRUPT\n");
    tree.write("a/timeout-kill", "soon\n");
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(supervise.stderr(), "");
    // The next supervise leaves the service alone too, and reports the mistake.
    let supervise = replace_supervise(&tree, supervise, "a");
    let said = supervise.wait_stderr(" line 1: ");
    assert_eq!(count(&said, ""), 1);
    assert_eq!(tree.wait_up("a"), pid);
    process::signal(pid, harness::Signal::KILL);
    tree.wait_status("a", "waits", |s| s.pid() == 0 && s.want() == b'u');
    wait_state(&tree, "a", "reason", "options");
    // The next report is about the other file. The file system decides which one comes first.
    let correct_signal = || tree.write("a/down-signal", "INT\n");
    let correct_timeout = || tree.remove("a/timeout-kill");
    if said.contains("a/down-signal line 1: \"INTERRUPT\"") {
        correct_signal();
        supervise.wait_stderr("a/timeout-kill line 1: \"soon\"");
        correct_timeout();
    } else {
        correct_timeout();
        supervise.wait_stderr("a/down-signal line 1: \"INTERRUPT\"");
        correct_signal();
    }
    // supervise finds the corrections without a command.
    let pid = tree.wait_restart("a", pid);
    assert_eq!(supervise.stderr().lines().count(), 2);
    wait_phase(&tree, "a", "up");
    assert_eq!(state(&tree, "a", "reason"), None);
    kill_and_wait(&tree, "a", pid);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_unreadable_option_file_is_reported_with_its_path() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down-signal", "INT\n");
    tree.chmod("a/down-signal", 0);
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    let said = supervise.wait_stderr("\n");
    assert_eq!(said, "supervise: warning: unable to read a/down-signal: access denied\n");
    wait_wanted_up_and_down(&tree);
    assert!(!tree.exists("a/started"));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_link_without_a_target_is_a_mistake() {
    let tree = tree();
    tree.idle_service("a");
    tree.symlink("../essential", "a/essential");
    let supervise = tree.cmd("supervise").arg("a").start();
    let said = supervise.wait_stderr("\n");
    assert_eq!(said, "supervise: warning: unable to read a/essential: file does not exist\n");
    wait_wanted_up_and_down(&tree);
    assert!(!tree.exists("a/started"));
    tree.write("essential", "any\n");
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_option_without_its_counterpart_is_a_mistake() {
    for (files, message) in [
        (&["check-interval=1s"][..], "check-interval: want a program check beside it"),
        (
            &["timeout-ready=1s"],
            "timeout-ready: want notification-fd, notify-socket or check-interval beside it",
        ),
        (&["timeout-watchdog=1s"], "timeout-watchdog: want notify-socket beside it"),
        (&["listen-on-demand="], "listen-on-demand: want listen beside it"),
        (
            &["notification-fd=3", "listen=unix x"],
            "notification-fd: want another descriptor than those from 3 on that listen has",
        ),
        (
            &["lock-fd=4", "notification-fd=4"],
            "lock-fd: want another descriptor than that of notification-fd",
        ),
    ] {
        let tree = tree();
        tree.idle_service("a");
        for file in files {
            let (name, text) = file.split_once('=').expect("a name and a text");
            tree.write(format!("a/{name}"), text);
        }
        let supervise = tree.supervise("a");
        let said = supervise.wait_stderr("\n");
        assert_eq!(said, format!("supervise: warning: a/{message}\n"));
        wait_wanted_up_and_down(&tree);
        assert!(!tree.exists("a/started"));
        stop_supervise(&tree, supervise, "a");
    }
}

#[test]
fn a_descriptor_beyond_the_limit_of_open_files_is_named_with_the_limit() {
    for (file, number) in [("notification-fd", 104), ("lock-fd", 64)] {
        let tree = tree();
        tree.idle_service("a");
        tree.write(format!("a/{file}"), format!("{number}\n"));
        let supervise = tree.sh("ulimit -n 64; exec supervise a").start();
        supervise.wait_stderr(&format!(
            "supervise: fatal: unable to set up descriptor {number} of {file} for a: file descriptor \
             not open: the limit of open files is 64\n"
        ));
        stop_supervise(&tree, supervise, "a");
    }
    // The limit of the service itself.
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/notification-fd", "30\n");
    tree.write("a/resource-limits", "nofile 20\n");
    let supervise = tree.supervise("a");
    supervise.wait_stderr("unable to set up descriptor 30 of notification-fd for a: ");
    assert!(supervise.stderr().contains(": the limit of open files is 20\n"));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_unknown_file_that_looks_like_an_option_file_is_reported_once() {
    let tree = tree();
    tree.idle_service("a");
    for name in ["flag-newpidns", "timeout-kil", "notification_fd"] {
        tree.write(format!("a/{name}"), "");
    }
    // None of these looks like one.
    for name in ["README", "conf", "needs.orig", "timeout-kill~", "#timeout-kill#", "seed"] {
        tree.write(format!("a/{name}"), "");
    }
    tree.mkdir("a/timeout-directory");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    kill_and_wait(&tree, "a", pid);
    let said = supervise.stderr();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let head = "supervise: warning: ignoring a/";
    let right = "no option file has this name; want ";
    let expected = [
        format!("{head}flag-newpidns: this option file is not supported"),
        format!("{head}notification_fd: {right}notification-fd"),
        format!("{head}timeout-kil: {right}timeout-kill"),
    ];
    assert_eq!(lines, expected);
    // A service with option files is no different, and a new file is reported too.
    tree.write("a/timeout-up", "");
    tree.write("a/down-signal", "INT\n");
    let pid = tree.wait_up("a");
    kill_and_wait(&tree, "a", pid);
    supervise.wait_stderr("supervise: warning: ignoring a/timeout-up: ");
    assert_eq!(count(&supervise.stderr(), ""), 4);
    stop_supervise(&tree, supervise, "a");
}
