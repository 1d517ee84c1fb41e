//! What a service may have and may do; and mistakes in its option files.

use super::{finish, kill_and_wait, state, succeed, wait_phase, wait_state};
use harness::{DEADLINE, Tree, is_root, process, skip, wait_until};
use std::fs;
use std::time::Duration;
use system::{assert_idle, count, tree};

/// A line of a file about the process.
fn line_of(pid: u32, file: &str, start: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Starts a service with these limits, once its program runs.
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
    finish(&tree, supervise, "a");
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
    // It is a service's own: the supervise goes on as it was.
    assert_eq!(line_of(supervise.pid(), "status", "NoNewPrivs:"), "0");
    finish(&tree, supervise, "a");
}

#[test]
fn idle_disk_time_and_no_capabilities_at_all() {
    if !is_root() {
        return skip("only root has capabilities to lose");
    }
    let tree = tree();
    let (supervise, pid) = limited(&tree, "ioprio idle\ncapabilities none\nnice -3\n");
    let ionice = tree.cmd("ionice").args(["-p", &pid.to_string()]).run();
    assert_eq!(ionice.out(), "idle\n");
    assert_eq!(line_of(pid, "status", "CapBnd:"), "0000000000000000");
    assert_eq!(line_of(pid, "status", "CapEff:"), "0000000000000000");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_is_not_started_with_less_than_it_asks_for() {
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
        // The next time, too.
        wait_until("it is tried again", DEADLINE, || count(&supervise.stderr(), &line) == 2);
        assert!(!tree.exists("a/started"), "{limits}");
        finish(&tree, supervise, "a");
    }
}

// Mistakes

#[test]
fn a_mistake_is_said_once_with_all_that_helps_to_mend_it() {
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
        wait_state_or_down(&tree);
        // Looked at again when somebody says so, and said no more.
        tree.svc("-u", "a");
        tree.svc("-u", "a");
        assert!(!tree.exists("a/started"));
        tree.remove(format!("a/{file}"));
        tree.svc("-u", "a");
        tree.wait_up("a");
        assert_eq!(supervise.stderr(), line);
        finish(&tree, supervise, "a");
    }
}

/// It is wanted up, and is down.
#[track_caller]
fn wait_state_or_down(tree: &Tree) {
    tree.wait_status("a", "waits", |s| s.pid() == 0 && s.want() == b'u');
}

#[test]
fn a_mistake_does_not_disturb_a_service_that_runs() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down-signal", "INT\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.write("a/down-signal", "INTERRUPT\n");
    tree.write("a/timeout-kill", "soon\n");
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(supervise.stderr(), "");
    // Nor by the next supervise, which says it.
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(count(&supervise.wait_stderr("down-signal line 1"), ""), 1);
    assert_eq!(tree.wait_up("a"), pid);
    process::signal(pid, harness::Signal::KILL);
    tree.wait_status("a", "waits", |s| s.pid() == 0 && s.want() == b'u');
    wait_state(&tree, "a", "reason", "options");
    // The next mistake is another one.
    tree.write("a/down-signal", "INT\n");
    supervise.wait_stderr("a/timeout-kill line 1: \"soon\"");
    // And when it is mended, that is found without being told.
    tree.remove("a/timeout-kill");
    let pid = tree.wait_restart("a", pid);
    assert_eq!(supervise.stderr().lines().count(), 2);
    wait_phase(&tree, "a", "up");
    assert_eq!(state(&tree, "a", "reason"), None);
    kill_and_wait(&tree, "a", pid);
    finish(&tree, supervise, "a");
}

#[test]
fn files_that_mean_nothing_without_each_other_are_a_mistake() {
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
        wait_state_or_down(&tree);
        assert!(!tree.exists("a/started"));
        finish(&tree, supervise, "a");
    }
}
