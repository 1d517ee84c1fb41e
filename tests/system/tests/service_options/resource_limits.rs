//! The option file `resource-limits`: limits, priorities, capabilities and control groups.

use crate::{group_base, kill_and_wait, without_groups};
use harness::{DEADLINE, Tree, is_root, note, skip, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use system::{count, stop_supervise, tree, wait_state};

/// A line of a file in `/proc/PID`, without its name.
fn line_of(pid: u32, file: &str, start: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Starts a service with these limits, and waits until its program runs.
#[track_caller]
fn limited(tree: &Tree, limits: &str) -> (harness::Process, u32) {
    tree.idle_service("a");
    tree.write("a/resource-limits", limits);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    (supervise, pid)
}

#[test]
fn limits_are_applied() {
    let tree = tree();
    let limits = "# all of them\ncpu-time 3600:7200\nfsize 1G\ndata 512M:1G\nstack 4M:8M\n\
        core 0:512\nrss unlimited\nnproc 3000:4000\nnofile 100:200\nmemlock 32K\nas 2G\nlocks 10\n\
        sigpending 70\nmsgqueue 1000\nnice-limit 0\nrtprio 0\nrttime 5000:6000\n";
    let (supervise, pid) = limited(&tree, limits);
    for (name, wanted) in [
        ("Max cpu time", "3600 7200 seconds"),
        ("Max file size", "1073741824 1073741824 bytes"),
        ("Max data size", "536870912 1073741824 bytes"),
        ("Max stack size", "4194304 8388608 bytes"),
        ("Max core file size", "0 512 bytes"),
        ("Max resident set", "unlimited unlimited bytes"),
        ("Max processes", "3000 4000 processes"),
        ("Max open files", "100 200 files"),
        ("Max locked memory", "32768 32768 bytes"),
        ("Max address space", "2147483648 2147483648 bytes"),
        ("Max file locks", "10 10 locks"),
        ("Max pending signals", "70 70 signals"),
        ("Max msgqueue size", "1000 1000 bytes"),
        ("Max nice priority", "0 0"),
        ("Max realtime priority", "0 0"),
        ("Max realtime timeout", "5000 6000 us"),
    ] {
        assert_eq!(line_of(pid, "limits", name), wanted, "{name}");
    }
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn priorities_and_privileges_are_applied() {
    let tree = tree();
    let root = is_root();
    let more = if root { "capabilities net_bind_service CAP_CHOWN\n" } else { "" };
    let limits = format!("nice 7\nioprio best-effort 6\noom-score 300\nno-new-privs\n{more}");
    let (supervise, pid) = limited(&tree, &limits);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    assert_eq!(fields.split_whitespace().nth(16), Some("7"));
    let ionice = tree.cmd("ionice").args(["-p", &pid.to_string()]).run();
    assert_eq!(ionice.out(), "best-effort: prio 6\n");
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
    assert_eq!(score.expect("the process is there"), "300\n");
    assert_eq!(line_of(pid, "status", "NoNewPrivs:"), "1");
    if root {
        assert_eq!(line_of(pid, "status", "CapBnd:"), "0000000000000401");
    }
    // supervise itself keeps its privileges.
    assert_eq!(line_of(supervise.pid(), "status", "NoNewPrivs:"), "0");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn idle_disk_priority_and_no_capabilities_are_applied() {
    if !is_root() {
        return skip("only root has capabilities to lose");
    }
    let tree = tree();
    let (supervise, pid) = limited(&tree, "ioprio idle\ncapabilities none\nnice -3\n");
    let ionice = tree.cmd("ionice").args(["-p", &pid.to_string()]).run();
    assert_eq!(ionice.out(), "idle\n");
    assert_eq!(line_of(pid, "status", "CapBnd:"), "0000000000000000");
    assert_eq!(line_of(pid, "status", "CapEff:"), "0000000000000000");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_is_not_started_without_its_limits() {
    for (limits, what) in [
        ("nice -5\n", "set nice"),
        ("ioprio realtime 0\n", "set ioprio"),
        ("oom-score -900\n", "set oom-score"),
        ("nofile 10:unlimited\n", "limit nofile"),
    ] {
        let tree = tree();
        tree.idle_service("a");
        tree.write("a/resource-limits", limits);
        let supervise = tree.cmd("supervise").arg("a").under(["prlimit", "--nofile=500:500"]);
        let supervise = supervise.unprivileged().start();
        tree.wait_supervised("a");
        let line = format!("supervise: fatal: unable to {what} for a: ");
        supervise.wait_stderr(&line);
        // The next start fails too.
        wait_until("it is tried again", DEADLINE, || count(&supervise.stderr(), &line) == 2);
        assert!(!tree.exists("a/started"), "{limits}");
        stop_supervise(&tree, supervise, "a");
    }
}

// Limits of the control group

#[test]
fn limits_of_the_control_group_are_written_and_reset() {
    let Some(base) = group_base() else { return };
    let controllers = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    if !["memory", "cpu", "pids"].iter().all(|name| controllers.contains(name)) {
        // No machine of the CI has them, so this is not a failure there.
        return note(
            "cgroup2 has no controllers here: the limits of a control group are not tested",
        );
    }
    let tree = tree();
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    let group = base.join(format!("a.{inode}"));
    tree.write("a/resource-limits", "memory 64M\ncpu 50%\npids 20\n");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
    tree.wait_supervised("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let read = |file: &str| fs::read_to_string(group.join(file)).expect("read a limit");
    assert_eq!(read("memory.max"), "67108864\n");
    assert_eq!(read("cpu.max"), "50000 100000\n");
    assert_eq!(read("pids.max"), "20\n");
    assert_eq!(read("cgroup.procs"), format!("{pid}\n"));
    tree.write("a/resource-limits", "memory 32M\n");
    kill_and_wait(&tree, "a", pid);
    let limits = ["memory.max", "cpu.max", "pids.max"].map(read);
    assert_eq!(limits, ["33554432\n", "max 100000\n", "max\n"]);
    stop_supervise(&tree, supervise, "a");
    assert!(!group.exists());
}

#[test]
fn a_service_is_not_started_without_its_control_group() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/resource-limits", "memory 64M\n");
    let supervise = without_groups(&tree, "a");
    supervise.wait_stderr(
        "supervise: warning: not starting a: unable to make a control group: file does not exist\n",
    );
    wait_state(&tree, "a", "reason", "setup");
    let shown = tree.cmd("svstat").args(["-x", "a"]).run().out();
    assert!(shown.contains("what its options ask for cannot be set up"), "{shown}");
    assert!(!tree.exists("a/started"));
    stop_supervise(&tree, supervise, "a");
    // The same if the group exists and the limit cannot be set: a group in which no limits are
    // distributed.
    let Some(base) = group_base() else { return };
    let base = base.join(format!("limits-{}", std::process::id()));
    fs::create_dir(&base).expect("make a control group");
    let child = base.join("threads");
    fs::create_dir(&child).expect("make a control group");
    fs::write(child.join("cgroup.type"), "threaded").expect("make it a group of threads");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
    tree.wait_supervised("a");
    let said = supervise.wait_stderr("not starting a");
    assert!(said.contains("unable to set") && said.contains("/memory.max: "), "{said}");
    assert!(!tree.exists("a/started"));
    // supervise tries again without a second report.
    wait_until("it was looked at again", DEADLINE, || {
        tree.svc("-u", "a");
        tree.write("a/resource-limits", "");
        tree.exists("a/started")
    });
    assert_eq!(count(&supervise.stderr(), "not starting"), 1);
    stop_supervise(&tree, supervise, "a");
    for group in [child, base] {
        fs::remove_dir(group).expect("remove a control group");
    }
}
