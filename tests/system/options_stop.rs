//! Stops and restarts: signals, times, whom they reach, pauses, and programs that put themselves
//! into the background.

use super::{finish, kill_and_wait, last_pid, state, succeed, wait_ended, wait_phase, wait_state};
use harness::{DEADLINE, Process, Signal, Tree, is_root, process, skip, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system::{PROMPT, assert_idle, between, count, leaves, tree, wait_settled};

/// The time at which a process was made goes into `times`, in hundredths of a second.
const STAMP: &str =
    "read -r stat </proc/$$/stat\nset -- ${stat##*)}\nshift 19\necho \"$1\" >>times\n";

/// Leaves a process behind that is in a session of its own and a child of nobody we know; its
/// number goes into `left`. `trap` is what it does before.
fn leaving(trap: &str) -> String {
    format!(
        "#!/bin/sh\necho $$ >>started\n\
         (setsid sh -c \"{trap} echo \\$\\$ >>left; while :; do sleep 0.05; done\" \
         >/dev/null 2>&1 &)\n\
         while [ ! -e left ]; do sleep 0.02; done\nexec sleep 1000\n"
    )
}

/// A supervise that can make no control group.
#[track_caller]
fn without_groups(tree: &Tree, dir: &str) -> Process {
    let process = tree.cmd("supervise").arg(dir).env("DAEMONTOOLS_CGROUP", "/nowhere").start();
    tree.wait_supervised(dir);
    process
}

/// A directory in which control groups can be made, if there is one.
fn group_base() -> Option<PathBuf> {
    let base = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let base = base.into_iter().find(|base| base.join("cgroup.procs").exists());
    let Some(base) = base.filter(|_| is_root()) else {
        skip("no control groups can be made here");
        return None;
    };
    Some(base.to_owned())
}

// Pauses

#[test]
fn the_pauses_between_failures_grow() {
    let tree = tree();
    tree.service("a", &format!("#!/bin/sh\n{STAMP}exit 1\n"));
    tree.write("a/restart-delay", "min=1500ms factor=2 max=2s\n");
    let supervise = tree.supervise("a");
    wait_state(&tree, "a", "failures", "1");
    wait_phase(&tree, "a", "waiting");
    assert!(state(&tree, "a", "next").is_some_and(|label| label.starts_with("@4")));
    wait_state(&tree, "a", "failures", "3");
    let times: Vec<u64> =
        tree.wait_lines("a/times", 4).iter().map(|line| line.parse().expect("a time")).collect();
    // Rounded down, both.
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((149..199).contains(&pauses[0]) && pauses[1] >= 199 && pauses[2] >= 199, "{pauses:?}");
    // Somebody who knows why need not wait, and begins anew.
    wait_phase(&tree, "a", "waiting");
    assert_idle(&[supervise.pid()], Duration::from_millis(200));
    finish(&tree, supervise, "a");
}

#[test]
fn too_many_deaths_are_a_failure_until_somebody_tries_again() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\n[ -e well ] && exec sleep 1000\nexit 1\n");
    tree.write("a/restart-limit", "2 in 60s\n");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "failed");
    wait_state(&tree, "a", "reason", "deaths");
    assert_idle(&[supervise.pid()], Duration::from_millis(1500));
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    // So it stays for the next supervise.
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("failed"));
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    // Each time anew: two more.
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 4);
    wait_phase(&tree, "a", "failed");
    tree.write("a/well", "");
    tree.svc("-u", "a");
    tree.wait_up("a");
    wait_phase(&tree, "a", "up");
    assert_eq!(state(&tree, "a", "reason"), None);
    finish(&tree, supervise, "a");
}

#[test]
fn deaths_that_somebody_asked_for_are_no_failures() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/restart-limit", "2 in 60s\n");
    tree.write("a/restart-delay", "30s\n");
    let supervise = tree.supervise("a");
    let mut pid = wait_settled(&tree, "a");
    for _ in 0..3 {
        tree.svc("-t", "a");
        pid = tree.wait_restart("a", pid);
    }
    wait_phase(&tree, "a", "up");
    finish(&tree, supervise, "a");
}

// Signals and times

#[test]
fn the_signal_that_ends_it_can_be_another() {
    let tree = tree();
    tree.trapping_service("a", &["HUP", "TERM", "CONT"]);
    tree.write("a/down-signal", "HUP\n");
    tree.write("a/timeout-kill", "500ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "stopping");
    tree.wait_down("a");
    assert!(!process::is_alive(pid));
    let signals = tree.text("a/signals");
    assert!(signals.contains("HUP") && !signals.contains("TERM"), "{signals}");
    finish(&tree, supervise, "a");
}

#[test]
fn what_does_not_end_in_time_is_killed_also_by_the_next_supervise() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    tree.write("a/timeout-kill", "700ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 1);
    tree.wait_want("a", b'd');
    let supervise = succeed(&tree, supervise, "a");
    let status = tree.wait_down("a");
    assert_eq!(status.want(), b'd');
    wait_ended(pid);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    // Without the file nobody is.
    tree.remove("a/timeout-kill");
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 2);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 2);
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    tree.svc("-kx", "a");
    leaves(supervise);
}

#[test]
fn finish_is_waited_for_by_the_next_supervise() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/personality", "s6\n");
    tree.script("a/finish", "#!/bin/sh\necho \"$1 $2\" >>finished\nread -r line <go\n");
    tree.fifo("a/go", 0o600);
    tree.write("a/timeout-finish", "0\n");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    assert_eq!(tree.wait_lines("a/finished", 1), ["256 9"]);
    wait_phase(&tree, "a", "finishing");
    let supervise = succeed(&tree, supervise, "a");
    wait_phase(&tree, "a", "finishing");
    assert_idle(&[supervise.pid()], Duration::from_millis(1200));
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    super::write_into(&tree, "a/go", "go");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    assert_eq!(tree.wait_lines("a/finished", 1).len(), 1);
    assert_eq!(supervise.stderr(), "");
    tree.svc("-dx", "a");
    super::write_into(&tree, "a/go", "go");
    leaves(supervise);
}

// Whom it reaches

#[test]
fn a_group_gets_the_signals_as_a_whole() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>started\nsleep 1000 &\necho $! >>below\nexec sleep 1001\n",
    );
    tree.write("a/stop-scope", "group\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let below = last_pid(&tree, "a/below", 1);
    assert_eq!(process::group(below), Some(pid));
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_ended(below);
    // One that was started before the file was there has no group of its own.
    tree.remove("a/stop-scope");
    tree.svc("-u", "a");
    let below = last_pid(&tree, "a/below", 2);
    tree.write("a/stop-scope", "group\n");
    let supervise = succeed(&tree, supervise, "a");
    finish(&tree, supervise, "a");
    assert!(process::is_alive(below));
}

/// What is left behind is ended, with the service or after it.
fn whole_tree(tree: &Tree, start: impl Fn(&Tree) -> Process) {
    tree.service("a", &leaving(""));
    tree.write("a/stop-scope", "tree\n");
    let supervise = start(tree);
    let pid = wait_settled(tree, "a");
    let left = last_pid(tree, "a/left", 1);
    assert!(process::is_alive(left));
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_phase(tree, "a", "down");
    assert!(!process::is_alive(pid) && !process::is_alive(left));
    // A death that nobody asked for, too, before the next start.
    tree.remove("a/left");
    tree.svc("-u", "a");
    let pid = wait_settled(tree, "a");
    let left = last_pid(tree, "a/left", 1);
    tree.remove("a/left");
    kill_and_wait(tree, "a", pid);
    assert!(!process::is_alive(left));
    assert_eq!(supervise.stderr(), "");
    last_pid(tree, "a/left", 1);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    let left = last_pid(tree, "a/left", 1);
    finish(tree, supervise, "a");
    assert!(!process::is_alive(left));
}

#[test]
fn a_tree_is_ended_whole_without_control_groups() {
    let tree = tree();
    whole_tree(&tree, |tree| without_groups(tree, "a"));
    assert_eq!(state(&tree, "a", "cgroup"), None);
}

#[test]
fn a_tree_is_ended_whole_with_control_groups_which_are_removed() {
    let Some(base) = group_base() else { return };
    let tree = tree();
    whole_tree(&tree, |tree| {
        let process = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
        tree.wait_supervised("a");
        // What all of them take together is known.
        wait_until("its processor time is told", DEADLINE, || {
            tree.cmd("svstat").args(["-x", "a"]).run().out().contains(", processor ")
        });
        process
    });
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    assert!(!base.join(format!("a.{inode}")).exists());
}

#[test]
fn what_is_left_behind_is_ended_although_supervise_was_killed() {
    let Some(base) = group_base() else { return };
    let tree = tree();
    tree.service("a", &leaving(""));
    tree.write("a/stop-scope", "tree\n");
    let start = || {
        let process = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
        tree.wait_supervised("a");
        process
    };
    let supervise = start();
    tree.wait_up("a");
    let left = last_pid(&tree, "a/left", 1);
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    let group = base.join(format!("a.{inode}"));
    wait_state(&tree, "a", "cgroup", &group.display().to_string());
    supervise.kill();
    let supervise = start();
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(left));
    // And if the service ends while nobody watches.
    tree.remove("a/left");
    tree.svc("-u", "a");
    let pid = wait_settled(&tree, "a");
    let left = last_pid(&tree, "a/left", 1);
    supervise.kill();
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let supervise = start();
    tree.wait_restart("a", pid);
    wait_ended(left);
    finish(&tree, supervise, "a");
    assert!(!group.exists());
}

/// What refuses is named, and killed.
fn refusing(tree: &Tree, supervise: Process) {
    tree.wait_up("a");
    let left = last_pid(tree, "a/left", 1);
    tree.svc("-d", "a");
    let said = supervise.wait_stderr("killed");
    // The shell may say something before that, and have a child again that it has just started.
    let start = "supervise: warning: a has left processes that are being killed: ";
    let named = said.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    assert!(named.split(' ').any(|pid| pid == left.to_string()), "{said}");
    wait_phase(tree, "a", "down");
    assert!(!process::is_alive(left));
    finish(tree, supervise, "a");
}

#[test]
fn what_refuses_to_end_is_named_and_killed() {
    let tree = tree();
    tree.service("a", &leaving("trap '' TERM;"));
    tree.write("a/stop-scope", "tree\n");
    tree.write("a/timeout-kill", "300ms\n");
    let supervise = without_groups(&tree, "a");
    refusing(&tree, supervise);
    if group_base().is_some() {
        tree.remove("a/left");
        let supervise = tree.supervise("a");
        refusing(&tree, supervise);
    }
}

#[test]
fn limits_of_the_group_are_written_and_taken_back() {
    let tree = tree();
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    let group = format!("groups/a.{inode}");
    for file in ["cgroup.procs", "memory.max", "cpu.max", "pids.max"] {
        tree.write(format!("{group}/{file}"), "");
    }
    tree.write("groups/cgroup.subtree_control", "");
    tree.write("a/resource-limits", "memory 64M\ncpu 50%\npids 20\n");
    let base = tree.path("groups");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
    tree.wait_supervised("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let read = |file: &str| tree.text(format!("{group}/{file}"));
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!(read("cpu.max"), "50000 100000");
    assert_eq!(read("pids.max"), "20");
    assert_eq!(read("cgroup.procs"), "0");
    // The kernel's files have no length.
    for file in ["memory.max", "cpu.max", "pids.max"] {
        tree.write(format!("{group}/{file}"), "");
    }
    tree.write("a/resource-limits", "memory 1K\n");
    kill_and_wait(&tree, "a", pid);
    assert_eq!(["memory.max", "cpu.max", "pids.max"].map(read), ["1024", "max", "max"]);
    finish(&tree, supervise, "a");
    assert!(tree.exists("groups"));
}

#[test]
fn without_the_group_that_limits_it_a_service_is_not_started() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/resource-limits", "memory 64M\n");
    let supervise = without_groups(&tree, "a");
    supervise.wait_stderr(
        "supervise: warning: not starting a: unable to make a control group: file does not exist\n",
    );
    wait_state(&tree, "a", "reason", "options");
    assert!(!tree.exists("a/started"));
    // Nor without its file.
    tree.mkdir("groups");
    finish(&tree, supervise, "a");
    let base = tree.path("groups");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
    tree.wait_supervised("a");
    let said = supervise.wait_stderr("not starting a");
    assert!(said.contains("unable to set") && said.contains("/memory.max: "), "{said}");
    assert!(!tree.exists("a/started"));
    // Both are tried again without being said again.
    wait_until("it was looked at again", DEADLINE, || {
        tree.svc("-u", "a");
        tree.write("a/resource-limits", "");
        tree.exists("a/started")
    });
    assert_eq!(count(&supervise.stderr(), "not starting"), 1);
    finish(&tree, supervise, "a");
}

// The background

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

/// Follows a daemon through its life. `others` is how the service is found.
fn follows(background: &str) {
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
    // Signals reach it, and it is started again.
    tree.svc("-t", "a");
    wait_ended(daemon);
    let second = last_pid(&tree, "a/started", 2);
    tree.wait_status("a", "is the second daemon", |s| s.pid() == second);
    // It is known to the next supervise, which sees it die.
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(tree.wait_up("a"), second);
    process::signal(second, Signal::KILL);
    let third = last_pid(&tree, "a/started", 3);
    tree.wait_status("a", "is the third daemon", |s| s.pid() == third);
    assert_eq!(tree.wait_lines("a/first", 3).len(), 3);
    tree.svc("-d", "a");
    tree.wait_down("a");
    assert!(!process::is_alive(third));
    assert_eq!(tree.wait_lines("a/started", 3).len(), 3);
    finish(&tree, supervise, "a");
    assert_eq!(tree.find(&["perl"]), []);
}

#[test]
fn a_program_that_goes_into_the_background_is_followed() {
    follows("follow\n");
}

#[test]
fn a_program_that_writes_down_its_number_is_followed() {
    follows("pid-file pid\n");
}

#[test]
fn a_number_that_is_none_of_its_own_is_not_believed() {
    let tree = tree();
    let stranger = tree.cmd("sleep").arg("1000").start();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 0\n");
    tree.write("a/background", "pid-file pid\n");
    tree.write("a/pid", format!("{}\n", stranger.pid()));
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    finish(&tree, supervise, "a");
    assert!(process::is_alive(stranger.pid()));
}

#[test]
fn a_daemon_is_ended_that_was_just_going_into_the_background() {
    let tree = tree();
    // The first process obeys at once, and the one that it has started would stay.
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
    finish(&tree, supervise, "a");
}

// The end of svscan

#[test]
fn svscan_ends_what_does_not_end_in_time_and_names_it() {
    let tree = tree();
    tree.trapping_service("scan/deaf", &["TERM"]);
    tree.idle_service("scan/quick");
    tree.service("scan/leaving", &leaving("trap '' TERM;"));
    tree.write("scan/leaving/stop-scope", "tree\n");
    tree.write("scan/leaving/timeout-kill", "1h\n");
    let svscan = tree.cmd("svscan").args(["-t", "1", "scan"]).start();
    let deaf = last_pid(&tree, "scan/deaf/started", 1);
    tree.wait_up("scan/quick");
    let left = last_pid(&tree, "scan/leaving/left", 1);
    svscan.signal(Signal::TERM);
    tree.wait_lines("scan/deaf/signals", 1);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    let said = output.err();
    for name in ["deaf", "leaving"] {
        let line = format!("svscan: warning: killing {name}, which has not ended in time");
        assert_eq!(count(&said, &line), 1, "{said}");
    }
    assert!(!said.contains("quick"), "{said}");
    assert!(!process::is_alive(deaf) && !process::is_alive(left));
    for name in ["deaf", "quick", "leaving"] {
        assert!(!tree.is_supervised(format!("scan/{name}")));
    }
}

#[test]
fn svscan_obeys_the_times_of_the_services_first() {
    let tree = tree();
    tree.trapping_service("scan/a", &["TERM"]);
    tree.write("scan/a/timeout-kill", "500ms\n");
    let svscan = tree.cmd("svscan").args(["-t", "30", "scan"]).start();
    let pid = last_pid(&tree, "scan/a/started", 1);
    svscan.signal(Signal::TERM);
    svscan.wait_within(Duration::from_secs(15)).is(0, "", "");
    assert!(!process::is_alive(pid));
}

#[test]
fn quit_makes_supervise_kill_its_service_and_leave() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "QUIT"]);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let up = tree.status("a").expect("a status");
    supervise.signal(Signal::QUIT);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert!(!process::is_alive(pid));
    let down = tree.status("a").expect("a status");
    assert_eq!((down.pid(), down.want()), (0, b'd'));
    assert!(between(&up, &down) < DEADLINE);
}
