//! The personality of s6.

use crate::{STAYS, saying, service};
use harness::{DEADLINE, Signal, Tree, process, wait_for, wait_until};
use std::time::{SystemTime, UNIX_EPOCH};
use system::{
    assert_exit_0, replace_supervise, state, stop_supervise, tree, wait_settled, wait_state,
};

#[test]
fn s6_run_and_finish_get_their_arguments() {
    let tree = service("s6", "#!/bin/sh\necho run \"$@\" >>order\nexec sleep 1000\n");
    tree.script("a/finish", saying("finish"));
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run a"]);
    assert_eq!(process::session(pid), Some(pid));
    tree.svc("-k", "a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!(lines[1..], [&format!("finish 256 9 a {pid}")[..], "run a"]);
    // Also for a service that was adopted.
    let pid = wait_settled(&tree, "a");
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.script("a/run", "#!/bin/sh\necho $$ >>group\nexit 7\n");
    tree.svc("-t", "a");
    let lines = tree.wait_lines("a/order", 5);
    let group = &tree.wait_lines("a/group", 1)[0];
    // An older kernel does not tell the signal.
    assert!(lines[3].starts_with("finish 256 ") && lines[3].ends_with(&format!(" a {pid}")));
    assert_eq!(lines[4], format!("finish 7 0 a {group}"));
    // It may end what is left of `run`.
    tree.script("a/run", "#!/bin/sh\nsleep 1000 &\necho $! >>left\nkill -KILL $$\n");
    tree.script("a/finish", "#!/bin/sh\nkill -s KILL -- -$4\nexit 125\n");
    wait_state(&tree, "a", "phase", "failed");
    let left = tree.wait_lines("a/left", 1)[0].parse().expect("a pid");
    wait_until("the rest of the group has ended", DEADLINE, || !process::is_alive(left));
    // Without a session it leads no group.
    tree.write("a/nosetsid", "");
    tree.script("a/finish", saying("finish"));
    tree.script("a/run", "#!/bin/sh\nexit 9\n");
    tree.remove("a/order");
    tree.svc("-o", "a");
    assert_eq!(tree.wait_lines("a/order", 1), ["finish 9 0 a"]);
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
}

#[test]
fn s6_finish_with_code_125_means_failed() {
    let tree = service("s6", "#!/bin/sh\necho run >>order\n");
    tree.script("a/finish", "#!/bin/sh\necho finish >>order\nexit 125\n");
    let supervise = tree.supervise("a");
    wait_state(&tree, "a", "phase", "failed");
    assert_eq!(state(&tree, "a", "reason").as_deref(), Some("finish-125"));
    assert_eq!(tree.wait_want("a", b'd').pid(), 0);
    assert_eq!(tree.text("a/order"), "run\nfinish\n");
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 4);
    wait_state(&tree, "a", "phase", "failed");
    tree.svc("-x", "a");
    assert_exit_0(supervise);
}

/// Sends a letter that only s6's client has.
fn send(tree: &Tree, letter: &str) {
    tree.sh(&format!("printf {letter} >a/supervise/control")).run().is(0, "", "");
}

#[test]
fn s6_letters_of_its_client_are_obeyed() {
    let run = "#!/bin/sh\ntrap 'echo ABRT >>order; exit' ABRT\ntrap 'echo WINCH >>order' WINCH\n\
               trap 'echo INT >>order; exit' INT\necho run >>order\nwhile :; do sleep 0.05; done\n";
    let tree = service("s6", run);
    tree.write("a/down-signal", "INT\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/order", 1);
    send(&tree, "y");
    tree.wait_lines("a/order", 2);
    send(&tree, "r");
    tree.wait_lines("a/order", 4);
    // It runs on, and is not started again.
    let pid = tree.wait_up("a");
    send(&tree, "O");
    assert_eq!(tree.wait_want("a", 0).pid(), pid);
    send(&tree, "b");
    wait_state(&tree, "a", "phase", "down");
    let lines = ["run", "WINCH", "INT", "run", "ABRT"];
    assert_eq!(tree.wait_lines("a/order", 5), lines);
    // A service that is down is not started.
    send(&tree, "O");
    tree.svc("-x", "a");
    assert_exit_0(supervise);
    assert_eq!(tree.wait_lines("a/order", 5), lines);
}

#[test]
fn s6_letters_are_ignored_elsewhere() {
    let tree = service("daemontools", "#!/bin/sh\necho run >>order\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    send(&tree, "OrbyDUQ");
    tree.svc("-c", "a");
    assert_eq!(tree.wait_want("a", b'u').pid(), pid);
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    assert_eq!(tree.wait_lines("a/order", 1), ["run"]);
}

#[test]
fn s6_finish_that_takes_too_long_is_killed() {
    let tree = service("s6", STAYS);
    tree.script("a/finish", "#!/bin/sh\necho $$ >>order\ntrap '' TERM\nexec sleep 1000\n");
    tree.write("a/timeout-finish", "200\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/order", 1);
    tree.svc("-t", "a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!((&*lines[0], &*lines[2]), ("run", "run"));
    assert!(!process::is_alive(lines[1].parse().expect("a pid")));
    assert_ne!(tree.wait_restart("a", pid), pid);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn s6_readiness_comes_on_notification_fd() {
    let run = "#!/bin/sh\n[ -p go ] || mkfifo go\nread -r line <go\necho >&5\nexec sleep 1000\n";
    let tree = service("s6", run);
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_state(&tree, "a", "phase", "starting");
    wait_until("it waits", DEADLINE, || tree.exists("a/go"));
    tree.write("a/go", "go\n");
    wait_state(&tree, "a", "phase", "ready");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn s6_down_signal_stops_the_service() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "INT"]);
    tree.write("a/personality", "s6\n");
    tree.write("a/down-signal", "SIGUSR1\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    process::wait_gone(pid);
    assert_eq!(tree.text("a/signals"), "");
    tree.svc("-x", "a");
    assert_exit_0(supervise);
}

#[test]
fn s6_timeout_kill_kills_the_process_or_the_group() {
    // The service and its child ignore TERM.
    let run = "#!/bin/sh\ntrap '' TERM\nsleep 1000 >&- 2>&- &\necho $! >child\n\
               echo $$ >>started\nwhile :; do wait; done\n";
    for group in [false, true] {
        let tree = service("s6", run);
        tree.write("a/timeout-kill", "300\n");
        if group {
            tree.write("a/flag-timeout-killpg", "");
        }
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
        tree.svc("-d", "a");
        process::wait_gone(pid);
        tree.wait_down("a");
        if group {
            process::wait_gone(child);
        } else {
            assert!(process::is_alive(child));
        }
        tree.svc("-x", "a");
        assert_exit_0(supervise);
    }
}

/// The deaths in s6's `death_tally`: seconds since 1970, exit code and signal.
fn deaths(tree: &Tree) -> Vec<(u64, u8, u8)> {
    let list = tree.read("a/supervise/death_tally");
    assert_eq!(list.len() % 14, 0);
    let seconds = |death: &[u8]| u64::from_be_bytes(death[..8].try_into().expect("eight bytes"));
    // TAI was 10 s ahead in 1970, and 27 leap seconds have come since.
    let unix = |death: &[u8]| seconds(death) - (1 << 62) - 37;
    list.chunks(14).map(|death| (unix(death), death[12], death[13])).collect()
}

#[test]
fn s6_death_tally_lists_the_deaths() {
    let tree = service("s6", "#!/bin/sh\n[ -e again ] && kill -9 $$\n>again\nexit 3\n");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let supervise = tree.supervise("a");
    let deaths = wait_for("two deaths", DEADLINE, || Some(deaths(&tree)).filter(|d| d.len() >= 2));
    stop_supervise(&tree, supervise, "a");
    assert_eq!([(deaths[0].1, deaths[0].2), (deaths[1].1, deaths[1].2)], [(3, 0), (0, 9)]);
    assert!(deaths.iter().all(|(when, ..)| (before..before + 60).contains(when)), "{deaths:?}");
}

#[test]
fn max_death_tally_limits_the_death_tally() {
    // The option file works without the personality.
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run >>order\nexit $(wc -l <order)\n");
    tree.write("a/max-death-tally", "2\n");
    let supervise = tree.supervise("a");
    let codes = || deaths(&tree).iter().map(|death| death.1).collect::<Vec<_>>();
    wait_until("three deaths", DEADLINE, || codes() == [2, 3]);
    stop_supervise(&tree, supervise, "a");
    // Without both there is no death tally.
    tree.idle_service("b");
    let supervise = tree.supervise("b");
    let pid = tree.wait_up("b");
    tree.svc("-t", "b");
    tree.wait_restart("b", pid);
    assert!(!tree.exists("b/supervise/death_tally"));
    tree.svc("-dx", "b");
    assert_exit_0(supervise);
}

#[test]
fn s6_lock_fd_is_held_by_a_leftover_of_the_service() {
    let run = "#!/bin/sh\necho $$ >>order\n[ -e child ] || { sleep 1000 >&- 2>&- & echo $! >child; }\n\
               exec sleep 1000\n";
    let tree = service("s6", run);
    tree.write("a/lock-fd", "9\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
    wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    supervise.wait_stderr("a waits until another copy of it has ended");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/order", 1).len(), 1);
    process::signal(child, Signal::KILL);
    tree.wait_lines("a/order", 2);
    stop_supervise(&tree, supervise, "a");
}
