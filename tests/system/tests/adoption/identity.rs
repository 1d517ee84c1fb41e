//! Processes that supervise must not adopt, and process records that it ignores.

use crate::{others, record};
use harness::{DEADLINE, Signal, Status, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use system::{PROMPT, age, kill, namespace, stop_supervise, tree, wait_descendant};

/// Replaces the value of a key in the record.
#[track_caller]
fn set_in_record(tree: &Tree, dir: &str, key: &str, value: &str) {
    let old = record(tree, dir);
    let line = old.lines().find(|line| line.starts_with(&format!("{key}="))).expect("such a line");
    tree.write(
        Path::new(dir).join("supervise/process"),
        old.replace(line, &format!("{key}={value}")),
    );
}

/// A service whose supervise was killed, and an unrelated process.
struct OtherProcess {
    tree: Tree,
    service: u32,
    other_process: u32,
}

impl OtherProcess {
    #[track_caller]
    fn new() -> Self {
        let tree = tree();
        tree.idle_service("a");
        let first = tree.supervise("a");
        let service = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        kill(first);
        // The kernel counts start times in hundredths of a second. A pid is not used again within
        // one.
        let old = |s: &Status| age(s) > Duration::from_millis(30);
        tree.wait_status("a", "is older than the other process", old);
        tree.service("b", "#!/bin/sh\nexec sleep 999\n");
        let other = tree.supervise("b");
        let other_process = tree.wait_up("b");
        kill(other);
        Self { tree, service, other_process }
    }

    /// Starts a supervise, and asserts that it starts the service anew. Returns its messages.
    #[track_caller]
    fn is_left_alone(&self) -> String {
        let Self { tree, service, other_process } = self;
        let supervise = tree.supervise("a");
        let next = tree.wait_status("a", "another process", |s| {
            s.pid() != 0 && s.pid() != *service && s.pid() != *other_process
        });
        let said = supervise.stderr();
        stop_supervise(tree, supervise, "a");
        assert!(process::is_alive(*other_process) && !process::is_alive(next.pid()));
        said
    }
}

#[test]
fn a_process_with_the_same_pid_is_not_adopted() {
    let scene = OtherProcess::new();
    let OtherProcess { tree, service, other_process } = &scene;
    process::signal(*service, Signal::KILL);
    // A later process has the pid of the service.
    set_in_record(tree, "a", "pid", &other_process.to_string());
    let line = format!("supervise: warning: process {other_process} of a has ended unseen\n");
    let mut status = tree.read("a/supervise/status");
    status[12..16].copy_from_slice(&other_process.to_le_bytes());
    tree.write("a/supervise/status", status);
    assert_eq!(scene.is_left_alone(), line);
    // The status alone does not lead to an adoption either.
    let status = Status::record(1_700_000_000, *other_process, 0, b'u');
    tree.write("a/supervise/status", status);
    assert_eq!(scene.is_left_alone(), "");
}

#[test]
fn a_wanted_state_from_before_the_last_boot_is_ignored() {
    for (key, value) in [("boot", "00000000-0000-0000-0000-000000000000"), ("init", "1")] {
        let scene = OtherProcess::new();
        set_in_record(&scene.tree, "a", key, value);
        scene.tree.write("a/supervise/status", Status::record(1_700_000_000, 0, 0, b'd'));
        let line = "supervise: warning: ignoring a/supervise/process: made before the last start of \
                    this machine\n";
        assert_eq!(scene.is_left_alone(), line, "{key}");
    }
}

#[test]
fn a_record_of_another_directory_or_namespace_is_ignored_with_the_reason() {
    for (key, value, reason) in [
        ("namespace", "1", "made in another namespace of process ids"),
        ("directory", "0:0:1:0", "made for another directory"),
        ("pid", "-1", "malformed"),
        ("leaving", "", "malformed"),
    ] {
        let scene = OtherProcess::new();
        set_in_record(&scene.tree, "a", key, value);
        let line = format!("supervise: warning: ignoring a/supervise/process: {reason}\n");
        assert_eq!(scene.is_left_alone(), line);
    }
    let scene = OtherProcess::new();
    scene.tree.write("a/supervise/process", [b'\0'; 300]);
    let line = "supervise: warning: ignoring a/supervise/process: malformed\n";
    assert_eq!(scene.is_left_alone(), line);
}

#[test]
fn a_copy_of_a_service_directory_is_another_service() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let before = record(&tree, "a");
    tree.cmd("cp").args(["-a", "a", "b"]).run().is(0, "", "");
    let copy = tree.supervise("b");
    let other = tree.wait_restart("b", pid);
    let line = "supervise: warning: ignoring b/supervise/process: made for another directory\n";
    assert_eq!(copy.stderr(), line);
    stop_supervise(&tree, copy, "b");
    assert!(!process::is_alive(other) && process::is_alive(pid));
    assert_eq!(record(&tree, "a"), before);
    // A directory that is moved stays the same service.
    kill(first);
    tree.rename("a", "c");
    let second = tree.supervise("c");
    assert_eq!(tree.status("c").map(|s| s.pid()), Some(pid));
    stop_supervise(&tree, second, "c");
}

#[test]
fn a_service_of_another_pid_namespace_is_not_adopted() {
    let tree = tree();
    tree.idle_service("a");
    let inside = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if tree.cmd("true").under(inside).run().code != Some(0) {
        skip("this test needs a namespace of process ids");
        return;
    }
    let container = tree.sh("supervise a & sleep 1000").under(inside).start();
    let inner = tree.wait_status("a", "up", |s| s.pid() != 0).pid();
    let supervise = wait_descendant(container.pid(), &["supervise", "a"]);
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    let outside = tree.supervise("a");
    let pid = tree.wait_status("a", "another process", |s| s.pid() != inner && s.pid() != 0).pid();
    assert!(process::is_alive(pid));
    let line = "supervise: warning: ignoring a/supervise/process: made in another namespace of \
        process ids\n";
    assert_eq!(outside.stderr(), line);
    stop_supervise(&tree, outside, "a");
}

#[test]
fn a_service_starts_without_proc_but_none_is_adopted() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.idle_service("a");
    let script = "mount -t tmpfs none /proc && exec supervise a";
    let supervise = tree.sh(script).under(namespace).start();
    tree.wait_lines("a/started", 1);
    let line = "supervise: warning: unable to use /proc: file does not exist\n";
    assert_eq!(supervise.wait_stderr(line), line);
    stop_supervise(&tree, supervise, "a");
    // Without /proc supervise cannot tell whether the process of the record runs, so it starts
    // none.
    let first = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    kill(first);
    let line = "supervise: fatal: unable to use /proc: file does not exist\n";
    tree.sh(script).under(namespace).run().is(111, "", line);
    assert_eq!(tree.text("a/started").lines().count(), 2);
}

#[test]
fn a_process_that_proc_hides_is_not_doubled() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let (_, uid, gid) = account();
    tree.chmod("", 0o777);
    let sleep = tree.copy_program("/bin/sleep", "other");
    tree.chmod("other", 0o4755);
    tree.service("a", &format!("#!/bin/sh\necho $$ >>started\nexec {} 1000\n", sleep.display()));
    tree.chmod("a", 0o777);
    let script = format!(
        "mount -t proc -o hidepid=2 proc /proc &&
        exec setpriv --reuid={uid} --regid={gid} --clear-groups supervise a"
    );
    let command = || tree.sh(&script).under(["unshare", "--mount"]);
    let first = command().start();
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    wait_until("it runs", PROMPT, || process::arguments(pid).first().is_some_and(|p| *p == sleep));
    if fs::metadata(format!("/proc/{pid}")).expect("a process").uid() != 0 {
        skip("set-user-ID has no effect here");
        return stop_supervise(&tree, first, "a");
    }
    kill(first);
    let line = format!("supervise: fatal: unable to watch process {pid} of a: access denied\n");
    command().run().is(111, "", line);
    assert_eq!(tree.text("a/started").lines().count(), 1);
    // After the end of the process there is nothing to adopt.
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let next = command().start();
    tree.wait_lines("a/started", 2);
    stop_supervise(&tree, next, "a");
}

#[test]
fn supervise_starts_nothing_while_the_record_cannot_be_read() {
    let tree = tree();
    tree.idle_service("a");
    tree.mkdir("a/supervise/process");
    let line = "supervise: fatal: unable to open a/supervise/process: is a directory\n";
    tree.cmd("supervise").arg("a").run().is(111, "", line);
    // With too few descriptors supervise adopts, or exits 111 and leaves the process alone.
    tree.idle_service("b");
    let first = tree.supervise("b");
    let pid = tree.wait_up("b");
    kill(first);
    for limit in 3..30 {
        let limit = format!("--nofile={limit}");
        let mut poor = tree.cmd("supervise").arg("b").under(["prlimit", &limit]).start();
        wait_until("it adopts or leaves", DEADLINE, || {
            poor.has_ended() || process::has_open(poor.pid(), &tree.path("b/supervise/ok"))
        });
        if poor.has_ended() {
            assert_eq!(poor.wait().code, Some(111));
        } else {
            kill(poor);
        }
        assert_eq!(tree.wait_up("b"), pid);
        assert_eq!(others(&tree, &[]), [pid]);
    }
}

#[test]
fn a_record_that_cannot_be_created_is_a_warning() {
    let tree = tree();
    tree.idle_service("a");
    stop_supervise(&tree, tree.supervise("a"), "a");
    tree.chmod("a/supervise", 0o500);
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    tree.wait_lines("a/started", 1);
    let line = "supervise: warning: unable to open a/supervise/process: access denied\n";
    assert_eq!(supervise.wait_stderr(line), line);
    tree.chmod("a/supervise", 0o700);
    tree.wait_supervised("a");
    stop_supervise(&tree, supervise, "a");
}
