//! Restarts, and other ends of processes.

use crate::finish;
use harness::{DEADLINE, Signal, Status, Tree, process, wait_until};
use std::time::{Duration, SystemTime};

#[test]
fn a_service_which_fails_at_once_is_started_once_a_second() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\ndate +%s.%N >>times\n");
    let supervise = tree.supervise("a");
    let lines = tree.wait_lines("a/times", 4);
    let times: Vec<f64> = lines.iter().map(|line| line.parse().expect("a time")).collect();
    for pair in times.windows(2) {
        // The shell reads its clock after a varying delay.
        assert!(pair[1] - pair[0] > 0.8, "{times:?}");
    }
    assert!(times[3] - times[0] > 2.7, "{times:?}");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_which_ran_for_a_second_is_started_again_at_once() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    // A busy machine may delay some restarts. A pause would delay all.
    let at_once = (0..5).any(|_| {
        let old = |s: &Status| {
            let age = SystemTime::now().duration_since(s.time()).unwrap_or_default();
            s.pid() != 0 && age > Duration::from_millis(1200)
        };
        let pid = tree.wait_status("a", "has run for a second", old).pid();
        let killed = SystemTime::now();
        tree.svc("-k", "a");
        tree.wait_restart("a", pid);
        let started = tree.status("a").expect("it is there").time();
        started.duration_since(killed).unwrap_or_default() < Duration::from_millis(500)
    });
    assert!(at_once);
    finish(&tree, supervise, "a");
}

#[test]
fn starts_in_the_status_are_a_second_apart() {
    let tree = Tree::new();
    // The test must see the service up, and it must exit within the second.
    tree.service("a", "#!/bin/sh\nexec sleep 0.2\n");
    let _supervise = tree.supervise("a");
    let mut last = tree.wait_status("a", "up", |s| s.pid() != 0);
    for _ in 0..2 {
        let next = tree.wait_status("a", "up again", |s| s.pid() != 0 && s.pid() != last.pid());
        let gap = next.time().duration_since(last.time()).expect("later");
        assert!(gap >= Duration::from_secs(1), "{gap:?}");
        last = next;
    }
}

#[test]
fn a_service_is_started_again_however_it_ended() {
    let tree = Tree::new();
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>started\ncase $(grep -c . started) in\n1) exit 0 ;;\n2) exit 100 ;;\n\
         3) exit 111 ;;\n4) kill -KILL $$ ;;\n5) kill -SEGV $$ ;;\nesac\nexec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let starts = tree.wait_lines("a/started", 6);
    let pid = tree.wait_status("a", "the last start", |s| s.pid().to_string() == starts[5]).pid();
    assert!(process::is_alive(pid));
    finish(&tree, supervise, "a");
}

#[test]
fn a_stop_by_job_control_is_no_exit() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    process::signal(pid, Signal::STOP);
    wait_until("the service is stopped", DEADLINE, || process::is_stopped(pid));
    tree.svc("-h", "a");
    process::signal(pid, Signal::CONT);
    tree.wait_text("a/signals", "HUP");
    let status = tree.status("a").expect("there is one");
    // The flag shows the last `p` or `c`, not the state of the process.
    assert_eq!((status.pid(), status.paused()), (pid, 0));
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn foreign_children_are_reaped_and_ignored() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.fifo("gate", 0o600);
    let gate = tree.open_fifo("gate");
    let _supervise = tree.sh("(read -r x <gate) & echo $! >foreign; exec supervise a").start();
    tree.wait_supervised("a");
    let foreign: u32 = tree.wait_lines("foreign", 1)[0].parse().expect("a pid");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    wait_until("the foreign child waits", DEADLINE, || {
        process::has_open(foreign, &tree.path("gate"))
    });
    drop(gate);
    wait_until("the foreign child is reaped", DEADLINE, || process::state(foreign).is_none());
    assert_eq!(tree.wait_up("a"), pid);
}
