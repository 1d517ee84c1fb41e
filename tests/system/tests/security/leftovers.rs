//! Which processes belong to a service: what helper scripts and services leave behind.

use crate::notify::SEND;
use crate::records::ControlGroup;
use harness::{DEADLINE, Process, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use system::{state, stop_supervise, tree};

/// Leaves a process in the background, in a session of its own, and writes its number to `left`.
const LEAVE: &str = "#!/bin/sh\n[ -e left ] && exit 0\n\
    setsid sh -c 'echo $$ >left.new; mv left.new left; exec sleep 1000' &\n\
    until [ -e left ]; do sleep 0.01; done\nexit 0\n";

/// The number that a process has written to a file.
fn number_in(tree: &Tree, file: &str) -> u32 {
    tree.wait_lines(file, 1).remove(0).parse().expect("a number")
}

/// Starts a supervise that has no control group for its service.
fn supervise_without_group(tree: &Tree) -> Process {
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", "/none").start();
    tree.wait_supervised("a");
    supervise
}

/// A service whose helper script leaves a process behind. The service names that process.
#[track_caller]
fn assert_not_of_the_service(script: &str, options: &[(&str, &str)], provoke: &str) {
    for has_group in [false, true] {
        let tree = tree();
        tree.script("a/send", SEND);
        tree.script(format!("a/{script}"), LEAVE);
        tree.service(
            "a",
            "#!/bin/sh\necho $$ >>started\nuntil [ -e left ]; do sleep 0.01; done\n\
             ./send MAINPID=$(cat left) STATUS=said\nuntil [ -e end ]; do sleep 0.01; done\nexit 0\n",
        );
        for (name, text) in [("notify-socket", ""), ("stop-scope", "tree\n")].iter().chain(options)
        {
            tree.write(format!("a/{name}"), text);
        }
        let supervise =
            if has_group { tree.supervise("a") } else { supervise_without_group(&tree) };
        tree.wait_lines("a/started", 1);
        if !provoke.is_empty() {
            tree.svc(provoke, "a");
        }
        let left = number_in(&tree, "a/left");
        tree.wait_text("a/supervise/state", "message=said");
        let run = tree.wait_lines("a/started", 1).pop().expect("a line");
        assert_eq!(tree.wait_up("a").to_string(), run, "{script}");
        // A live upgrade does not forget what is no process of the service.
        supervise.signal(Signal::USR2);
        tree.svc("-p", "a");
        tree.wait_status("a", "paused", |s| s.paused() == 1);
        tree.svc("-c", "a");
        // Nor is it followed when the service ends, or swept.
        tree.write("a/end", "");
        tree.wait_lines("a/started", 2);
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
        assert!(process::is_alive(left), "{script}");
        stop_supervise(&tree, supervise, "a");
        process::signal(left, Signal::KILL);
        process::wait_gone(left);
    }
}

#[test]
fn what_a_check_leaves_behind_is_no_process_of_the_service() {
    let options = [("check-interval", "50ms\n"), ("background", "follow\n")];
    assert_not_of_the_service("check", &options, "");
}

#[test]
fn what_a_control_script_leaves_behind_is_no_process_of_the_service() {
    let options = [("personality", "runit\n"), ("background", "follow\n")];
    assert_not_of_the_service("control/h", &options, "-h");
}

#[test]
fn what_notify_leaves_behind_is_no_process_of_the_service() {
    let options = [("personality", "encore\n"), ("background", "follow\n")];
    assert_not_of_the_service("notify", &options, "");
}

#[test]
fn a_check_beyond_its_timeout_is_killed_with_what_it_has_started() {
    let tree = tree();
    tree.idle_service("a");
    tree.script("a/check", "#!/bin/sh\nsleep 1000 &\necho $! >>left\necho $$ >>checks\nwait\n");
    for (name, text) in [("stop-scope", "tree\n"), ("check-interval", "50ms\n")] {
        tree.write(format!("a/{name}"), text);
    }
    tree.write("a/timeout-check", "200ms\n");
    let supervise = supervise_without_group(&tree);
    tree.wait_lines("a/checks", 2);
    for file in ["a/checks", "a/left"] {
        process::wait_gone(number_in(&tree, file));
    }
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_user_names_no_main_process_that_it_may_not_signal() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let (user, uid, _) = account();
    let tree = tree();
    tree.script("a/send", SEND);
    tree.write("a/notify-socket", "");
    tree.service(
        "a",
        &format!(
            "#!/bin/sh\nsleep 1000 &\necho $! >roots\n\
             STAY=1 setuidgid {user} ./send MAINPID=$! STATUS=user &\n\
             until [ -e go ]; do sleep 0.01; done\n./send MAINPID=$(cat roots) STATUS=root\n\
             exec sleep 1001\n"
        ),
    );
    tree.write("a/stop-scope", "tree\n");
    let supervise = tree.supervise("a");
    let run = tree.wait_up("a");
    let roots = number_in(&tree, "a/roots");
    tree.wait_text("a/supervise/state", "message=user");
    assert_eq!(tree.wait_up("a"), run);
    let line = format!(
        "supervise: warning: process {roots} does not become the main process of a: user {uid} has \
         named it, and may not signal it\n"
    );
    assert_eq!(supervise.stderr(), line);
    // root may.
    tree.write("a/go", "");
    tree.wait_status("a", "is the named process", |status| status.pid() == roots);
    tree.wait_text("a/supervise/state", "message=root");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_pid_file_of_a_user_names_no_process_that_the_user_may_not_signal() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let (user, ..) = account();
    let tree = tree();
    tree.mkdir("a/run.d");
    tree.chmod("a/run.d", 0o777);
    tree.write("a/background", "pid-file run.d/pid\n");
    let leave = |file: &str| {
        format!(
            "setsid sh -c 'echo $$ >{file}; exec sleep 1000' &\nuntil [ -s {file} ]; do sleep 0.01; done\n"
        )
    };
    tree.service(
        "a",
        &format!(
            "#!/bin/sh\n{}{}setuidgid {user} sh -c 'cat second >run.d/pid'\nexit 0\n",
            leave("first"),
            leave("second")
        ),
    );
    let supervise = tree.supervise("a");
    let first = number_in(&tree, "a/first");
    tree.wait_status("a", "the oldest one is followed", |s| s.pid() == first);
    supervise.wait_stderr("may not signal it\n");
    stop_supervise(&tree, supervise, "a");
    for file in ["a/first", "a/second"] {
        process::wait_gone(number_in(&tree, file));
    }
}

#[test]
fn a_process_that_leaves_its_control_group_does_not_survive_the_stop() {
    let Some(base) = ControlGroup::new("left") else { return };
    let (user, uid, _) = account();
    let tree = tree();
    // Delegated: this user may move its processes between the groups below.
    for path in [base.0.clone(), base.0.join("cgroup.procs")] {
        chown(path, Some(uid), None).expect("give it away");
    }
    let other = base.group_of("other", uid);
    tree.mkdir("a");
    fs::set_permissions(tree.path("a"), fs::Permissions::from_mode(0o777)).expect("open it");
    let leave = format!(
        "echo $$ >{}/cgroup.procs || exit; echo $$ >moved; exec sleep 1000",
        other.display()
    );
    tree.script("a/leave", format!("#!/bin/sh\n{leave}\n"));
    tree.service(
        "a",
        &format!("#!/bin/sh\nexec setuidgid {user} sh -c 'setsid ./leave & exec sleep 1001'\n"),
    );
    tree.write("a/stop-scope", "tree\n");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base.0).start();
    tree.wait_supervised("a");
    let moved = number_in(&tree, "a/moved");
    assert!(state(&tree, "a", "cgroup").is_some());
    let members = fs::read_to_string(other.join("cgroup.procs")).expect("a list");
    assert_eq!(members.trim(), moved.to_string());
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
    assert!(!process::is_alive(moved));
    stop_supervise(&tree, supervise, "a");
}

/// Starts a process group of ours with this number, whose leader has ended. Returns the member that is
/// left; `None` if other processes are faster.
fn group_without_leader(tree: &Tree, group: u32) -> Option<u32> {
    for _ in 0..500 {
        fs::write("/proc/sys/kernel/ns_last_pid", (group - 1).to_string()).ok()?;
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $! >member.$$"])
            .current_dir(tree.path("."))
            .process_group(0)
            .spawn()
            .expect("start it");
        let number = leader.id();
        leader.wait().expect("reap it");
        let member = number_in(tree, &format!("member.{number}"));
        if number == group {
            return Some(member);
        }
        process::signal(member, Signal::KILL);
    }
    None
}

#[test]
fn a_group_that_has_got_the_number_of_an_earlier_main_process_is_not_swept() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    tree.script("a/send", SEND);
    tree.write("a/notify-socket", "");
    tree.write("a/stop-scope", "group\n");
    tree.write("a/timeout-kill", "100ms\n");
    tree.service(
        "a",
        "#!/bin/sh\nsetsid sleep 1000 &\nfirst=$!\nsetsid sleep 1001 &\necho $first >first\n\
         until ./send MAINPID=$first; [ -e named ]; do sleep 0.01; done\n\
         ./send MAINPID=$! STATUS=second\nkill $first\nwait $first\n: >reaped\nwait\n",
    );
    let supervise = supervise_without_group(&tree);
    let first = number_in(&tree, "a/first");
    tree.wait_status("a", "the first one is the main process", |s| s.pid() == first);
    tree.write("a/named", "");
    tree.wait_text("a/supervise/state", "message=second");
    wait_until("it is reaped", DEADLINE, || tree.exists("a/reaped"));
    let Some(victim) = group_without_leader(&tree, first) else {
        return skip("the number is not to be had again");
    };
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
    assert!(process::is_alive(victim));
    process::signal(victim, Signal::KILL);
    stop_supervise(&tree, supervise, "a");
}
