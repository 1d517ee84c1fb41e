//! When a service is started again: at once, a second after its last start, or after a back-off.

use crate::is_just_down;
use harness::{Signal, process, strace_works, wait_for, wait_until};
use std::time::{Duration, SystemTime};
use system::{
    PROMPT, STAMP, assert_idle, replace_supervise, state, stop_supervise, time_between, tree,
    wait_phase, wait_reaped, wait_settled, wait_state,
};

/// Well below the second in which the original ignores commands.
const SOON: Duration = Duration::from_millis(700);

/// Runs a trial up to three times, until it takes a short time. A busy machine may delay one trial;
/// a supervise that ignores commands delays all of them.
#[track_caller]
fn assert_soon(what: &str, mut trial: impl FnMut() -> Duration) {
    let mut times = Vec::new();
    while times.iter().all(|&time| time >= SOON) {
        assert!(times.len() < 3, "{what}: {times:?}");
        times.push(trial());
    }
}

#[test]
fn a_command_right_after_a_start_is_obeyed_at_once() {
    assert_soon("from the start to the death", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        let up = tree.status("a").expect("a status");
        tree.wait_lines("a/started", 1);
        tree.svc("-d", "a");
        let down = tree.wait_down("a");
        stop_supervise(&tree, supervise, "a");
        time_between(&up, &down)
    });
}

#[test]
fn a_death_right_after_a_start_is_noticed_at_once() {
    assert_soon("from the start to the death", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        let up = tree.status("a").expect("a status");
        process::signal(pid, Signal::KILL);
        wait_reaped(pid);
        // Until the next start svstat says down.
        let down = tree.wait_status("a", "no longer names the old process", |s| s.pid() != pid);
        let time = time_between(&up, &down);
        if time < SOON {
            assert_eq!((down.pid(), down.want()), (0, b'u'));
        }
        let second = tree.wait_restart("a", pid);
        let again = tree.status("a").expect("a status");
        assert_eq!(again.pid(), second);
        assert!(time_between(&up, &again) >= Duration::from_millis(990));
        stop_supervise(&tree, supervise, "a");
        time
    });
}

#[test]
fn svstat_says_down_while_a_service_waits_for_its_next_start() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexit 1\n");
    let _supervise = tree.supervise("a");
    wait_until("svstat says so", PROMPT, || is_just_down(&tree.svstat("a"), ", want up"));
}

#[test]
fn starts_are_never_closer_than_a_second() {
    let tree = tree();
    tree.service("a", &format!("#!/bin/sh\n{STAMP}"));
    let _supervise = tree.supervise("a");
    let times: Vec<u64> =
        tree.wait_lines("a/times", 5).iter().map(|line| line.parse().expect("a time")).collect();
    for pair in times.windows(2) {
        // Both are rounded down.
        assert!(pair[1] - pair[0] >= 99, "{times:?}");
    }
    assert!(times[4] - times[0] < 600, "{times:?}");
}

#[test]
fn a_service_that_has_run_for_a_second_is_started_again_at_once() {
    assert_soon("from the death to the start", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = wait_settled(&tree, "a");
        let before = SystemTime::now();
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
        let up = tree.status("a").expect("a status");
        stop_supervise(&tree, supervise, "a");
        up.time().duration_since(before).unwrap_or_default()
    });
}

// Back-off and restart limit

#[test]
fn the_restart_delay_grows_with_failures() {
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
    // Both are rounded down.
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((149..199).contains(&pauses[0]) && pauses[1] >= 199 && pauses[2] >= 199, "{pauses:?}");
    // supervise sleeps during the delay, and leaves without waiting for its end.
    wait_phase(&tree, "a", "waiting");
    assert_idle(&[supervise.pid()], Duration::from_millis(200));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_restart_limit_means_failed_until_svc_u() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\n[ -e well ] && exec sleep 1000\nexit 1\n");
    tree.write("a/restart-limit", "2 in 60s\n");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "failed");
    wait_state(&tree, "a", "reason", "deaths");
    assert_idle(&[supervise.pid()], Duration::from_millis(1500));
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    // The next supervise keeps that state.
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("failed"));
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    // `svc -u` allows two deaths again.
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 4);
    wait_phase(&tree, "a", "failed");
    tree.write("a/well", "");
    tree.svc("-u", "a");
    tree.wait_up("a");
    wait_phase(&tree, "a", "up");
    assert_eq!(state(&tree, "a", "reason"), None);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn deaths_by_command_do_not_count_as_failures() {
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
    stop_supervise(&tree, supervise, "a");
}

// Costs

#[test]
fn an_idle_supervise_sleeps() {
    let tree = tree();
    for dir in ["up", "down", "paused", "once"] {
        tree.idle_service(dir);
    }
    let running = ["up", "down", "paused", "once"].map(|dir| (dir, tree.supervise(dir)));
    for (dir, letter) in [("down", "-d"), ("paused", "-p"), ("once", "-o")] {
        tree.wait_up(dir);
        tree.svc(letter, dir);
    }
    wait_settled(&tree, "up");
    tree.wait_down("down");
    tree.wait_status("paused", "paused", |s| s.paused() == 1);
    tree.wait_want("once", harness::PENDING);
    let pids: Vec<u32> = running.iter().map(|(_, supervise)| supervise.pid()).collect();
    assert_idle(&pids, Duration::from_secs(3));
}

#[test]
fn a_restart_takes_few_system_calls() {
    let tree = tree();
    tree.idle_service("a");
    if !strace_works(&tree) {
        return;
    }
    let _supervise = tree.sh("exec strace -o calls supervise a").start();
    let pid = wait_settled(&tree, "a");
    // supervise is in an unfinished call while it waits.
    let calls = || tree.text("calls").lines().count();
    let before = wait_for("it waits", PROMPT, || Some(calls()));
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    let used = calls() - before;
    // Four of them look for option files.
    assert!(used <= 24, "{used} system calls: {}", tree.text("calls"));
}
