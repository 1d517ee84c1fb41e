//! `SUPERVISEDIR`, what a service inherits, and run scripts of several kinds.

use crate::is_just_down;
use harness::{
    DEADLINE, Status, Tree, account, checkout, is_root, process, skip, wait_for, wait_until,
};
use std::path::Path;
use system::{PROMPT, age, namespace, stop_supervise, tree, wait_settled};

// SUPERVISEDIR

#[test]
fn supervisedir_names_a_directory_in_the_service_directory() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").env("SUPERVISEDIR", "state").start();
    tree.wait_lines("a/started", 1);
    assert!(!tree.exists("a/supervise"));
    for (file, mode) in [("control", 0o600), ("lock", 0o600), ("ok", 0o600), ("status", 0o644)] {
        assert_eq!(tree.mode(format!("a/state/{file}")), mode, "{file}");
    }
    controlled_by(&tree, "state", Path::new("a/state"));
    tree.cmd("svc").args(["-dx", "a"]).env("SUPERVISEDIR", "state").run().is(0, "", "");
    supervise.wait().is(0, "", "");
}

#[test]
fn an_absolute_supervisedir_has_a_directory_for_every_service() {
    let tree = tree();
    tree.idle_service("in/a");
    tree.symlink("in/a", "link");
    let base = tree.mkdir("base");
    // Through a link too: the directory itself counts.
    let supervise = tree.cmd("supervise").arg("link").env("SUPERVISEDIR", &base).start();
    tree.wait_lines("in/a/started", 1);
    let service = tree.path("in/a").to_str().expect("a name in ASCII").replace('/', ":");
    let state = base.join(service.trim_start_matches(':'));
    assert!(state.join("control").exists(), "{}", state.display());
    assert!(!tree.exists("in/a/supervise"));
    tree.symlink("in/a", "a");
    controlled_by(&tree, base.to_str().expect("a name in ASCII"), &state);
    let holder = format!("/lock: temporary failure (held by pid {})\n", supervise.pid());
    let line = format!("supervise: fatal: unable to acquire {}{holder}", state.display());
    tree.cmd("supervise").arg("in/a").env("SUPERVISEDIR", &base).run().is(111, "", line);
    tree.cmd("svc").args(["-dx", "a"]).env("SUPERVISEDIR", base).run().is(0, "", "");
    supervise.wait().is(0, "", "");
}

/// Controls service `a`, whose state directory is `state`.
#[track_caller]
fn controlled_by(tree: &Tree, variable: &str, state: &Path) {
    let run = |program: &str, args: &[&str]| {
        tree.cmd(program).args(args).arg("a").env("SUPERVISEDIR", variable).run()
    };
    run("svok", &[]).is(0, "", "");
    wait_until("svstat says up", PROMPT, || run("svstat", &[]).out().starts_with("a: up (pid "));
    run("svc", &["-d"]).is(0, "", "");
    wait_until("it is down", PROMPT, || Status(tree.read(state.join("status"))).pid() == 0);
    let said = run("svstat", &[]).out();
    let said = said.strip_prefix("a: ").and_then(|said| said.strip_suffix('\n'));
    assert!(said.is_some_and(|said| is_just_down(said, "")), "{said:?}");
    // A client without the variable finds nothing.
    tree.cmd("svok").arg("a").run().is(100, "", "");
    assert_eq!(tree.svstat("a"), "unable to open supervise/ok: file does not exist");
}

#[test]
fn an_empty_supervisedir_counts_as_unset() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").env("SUPERVISEDIR", "").start();
    tree.wait_supervised("a");
    tree.cmd("svok").arg("a").env("SUPERVISEDIR", "").run().is(0, "", "");
    stop_supervise(&tree, supervise, "a");
}

// Inheritance

#[test]
fn descriptors_closed_at_the_start_are_closed_for_the_service() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.sh("exec supervise a <&- >&- 2>&-").start();
    let pid = tree.wait_up("a");
    process::wait_asleep(pid, "sleep");
    let numbers = |pid| process::descriptors(pid).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    let reference = tree.sh("exec sleep 1000 <&- >&- 2>&-").start();
    process::wait_asleep(reference.pid(), "sleep");
    assert_eq!(numbers(pid), numbers(reference.pid()));
    assert!(numbers(pid).iter().all(|&n| n > 2));
    // None of supervise's own files has these numbers.
    let files = process::descriptors(supervise.pid());
    assert!(files.iter().take(3).all(|(_, file)| file == Path::new("/dev/null")), "{files:?}");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn without_dev_null_the_standard_descriptors_are_closed_for_the_service_too() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.idle_service("a");
    let script = "mount -t tmpfs none /dev && exec supervise a <&- >&- 2>&-";
    let supervise = tree.sh(script).under(namespace).start();
    let pid = tree.wait_up("a");
    process::wait_asleep(pid, "sleep");
    let files = process::descriptors(pid);
    assert!(files.iter().all(|(number, _)| *number > 2), "{files:?}");
    let files = process::descriptors(supervise.pid());
    let standard = files.iter().filter(|(number, _)| *number <= 2);
    assert_eq!(standard.clone().count(), 3, "{files:?}");
    assert!(
        standard.clone().all(|(_, file)| file.starts_with("/memfd:null (deleted)")),
        "{files:?}"
    );
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn messages_do_not_go_to_control_with_closed_descriptors() {
    for closed in ["2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"] {
        let tree = tree();
        tree.mkdir("a");
        // The message about the missing run contains letters that would be commands.
        let supervise = tree.sh(&format!("exec supervise a {closed}")).start();
        tree.wait_supervised("a");
        tree.wait_status("a", "waits for run", |s| s.pid() == 0 && age(s) < PROMPT);
        let seen = tree.status("a").expect("a status").time();
        tree.wait_status("a", "has tried again", |s| s.time() > seen);
        tree.idle_service("a");
        tree.wait_lines("a/started", 1);
        let pid = tree.wait_up("a");
        assert_eq!(tree.status("a").map(|s| (s.pid(), s.want())), Some((pid, b'u')));
        stop_supervise(&tree, supervise, "a");
    }
}

// Run scripts

/// Runs a copy of an example until it has written so many lines, and returns them.
#[track_caller]
fn example(name: &str, lines: usize) -> Vec<String> {
    let tree = tree();
    let source = checkout().join("examples").join(name);
    tree.cmd("cp").arg("-R").arg(source).arg("a").run().is(0, "", "");
    let supervise = tree.supervise("a");
    let shown = || supervise.stdout().lines().map(str::to_owned).collect::<Vec<_>>();
    let shown = wait_for("the example says something", DEADLINE, || {
        Some(shown()).filter(|shown| shown.len() >= lines)
    });
    stop_supervise(&tree, supervise, "a");
    shown
}

#[test]
fn the_chain_example_works() {
    let wanted = ["hello from env/GREETING", "DISPLAY is not set", "at most 50 open files"];
    assert_eq!(example("chain", 3), wanted.map(|line| format!("chain: {line}")));
}

#[test]
fn the_account_example_works() {
    if !is_root() {
        skip("only root can change ids");
        return;
    }
    let group = tree().cmd("id").args(["-g", "nobody"]).run().out();
    let wanted = [
        "hello from env/GREETING".into(),
        format!("user nobody, groups {}", group.trim()),
        "at most 97656 KiB of memory".into(),
    ];
    assert_eq!(example("account", 3), wanted.map(|line| format!("account: {line}")));
}

/// su stays, and starts the program as its child in its own session.
#[test]
fn a_run_script_may_end_in_su() {
    if !is_root() {
        skip("su asks others than root for a password");
        return;
    }
    let tree = tree();
    tree.chmod("", 0o755);
    let (user, uid, _) = account();
    let out = tree.write("started", "");
    tree.chmod("started", 0o666);
    let run = format!(
        "#!/bin/sh\nexec su -s /bin/sh - {user} -c \
         'echo $(id -u) $$ >>{}; exec sleep 1000' 2>/dev/null\n",
        out.display()
    );
    tree.service("a", &run);
    let supervise = tree.supervise("a");
    let line = tree.wait_lines("started", 1).remove(0);
    let (id, pid) = line.split_once(' ').expect("a user and a process");
    let pid = pid.parse().expect("a pid");
    assert_eq!(id, uid.to_string());
    let su = wait_settled(&tree, "a");
    assert!(tree.svstat("a").starts_with(&format!("up (pid {su}) ")), "{}", tree.svstat("a"));
    tree.svc("-d", "a");
    tree.wait_down("a");
    assert!(tree.svstat("a").starts_with("down "), "{}", tree.svstat("a"));
    process::wait_gone(pid);
    assert_eq!(tree.wait_lines("started", 1).len(), 1);
    stop_supervise(&tree, supervise, "a");
}
