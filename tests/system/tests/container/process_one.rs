//! svscan as process 1 of a PID namespace: it stops in order and in time, and leaves no process.

use crate::wait_up_inside;
use harness::{DEADLINE, Tree, process, wait_until};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use system::{container, count, init_of, tree};

/// A service that writes `TERM` to `signals` and goes on.
fn stubborn(tree: &Tree, dir: &str) {
    tree.service(
        dir,
        "#!/bin/sh\ntrap 'echo TERM >>signals' TERM\nmkfifo idle\nexec 8<>idle\n\
         echo >>started\nwhile :; do read -r line <&8; done\n",
    );
}

#[test]
fn every_stop_signal_stops_in_order() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    for (number, signal) in [
        ("TERM", Signal::TERM),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("PWR", Signal::POWER),
    ] {
        let dir = format!("{number}/a");
        tree.service(&dir, "#!/bin/sh\nexec sleep 1000\n");
        tree.service(format!("{dir}/log"), "#!/bin/sh\ncat >/dev/null\necho end >>../ended\n");
        let svscan = tree.cmd("svscan").arg(number).under(wrapper).start();
        wait_up_inside(&tree, &dir);
        wait_up_inside(&tree, format!("{dir}/log"));
        process::signal(init_of(&svscan), signal);
        let output = svscan.wait_within(DEADLINE);
        assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{number}: {output}");
        assert_eq!(tree.text(format!("{dir}/ended")), "end\n", "{number}");
    }
    let tree = self::tree();
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    let svscan = tree.cmd("svscan").arg("s").under(wrapper).start();
    wait_up_inside(&tree, "s/a");
    let script = format!("kill -s 37 {}", init_of(&svscan));
    assert_eq!(tree.sh(&script).run().code, Some(0));
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
}

#[test]
fn the_time_is_limited_and_nothing_is_left() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    stubborn(&tree, "s/a");
    tree.service("s/b", "#!/bin/sh\nexec sleep 1000\n");
    let svscan = tree.cmd("svscan").arg("s").under(wrapper).start();
    tree.wait_lines("s/a/started", 1);
    wait_up_inside(&tree, "s/b");
    let all = process::descendants(svscan.pid());
    let start = Instant::now();
    process::signal(init_of(&svscan), Signal::TERM);
    tree.wait_lines("s/a/signals", 1);
    // The service gets no TERM for this.
    process::signal(init_of(&svscan), Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    let time = start.elapsed();
    assert!(time > Duration::from_secs(8), "{time:?}");
    let err = output.err();
    assert_eq!(count(&err, "svscan: info: waiting for a to end"), 1, "{err}");
    assert_eq!(count(&err, "svscan: warning: killing a, which has not ended in time"), 1, "{err}");
    assert_eq!(
        count(&err, "svscan: warning: killing the processes that have not ended"),
        1,
        "{err}"
    );
    assert!(all.iter().all(|&pid| !process::is_alive(pid)));
    // The first one, and at the deadline one to every process and one by its supervise.
    let signals = tree.text("s/a/signals").lines().count();
    assert!((2..=3).contains(&signals), "{signals}");
}

#[test]
fn daemons_that_services_leave_get_term_before_the_end() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    let daemon = "trap 'echo TERM >>signals; exit' TERM; mkfifo idle; exec 8<>idle; echo >>started; read -r l <&8";
    tree.script("daemon", format!("#!/bin/sh\n{daemon}\n"));
    tree.service("s/a", "#!/bin/sh\nsetsid ../../daemon &\nexec sleep 1000\n");
    let svscan = tree.cmd("svscan").args(["-t", "60", "s"]).under(wrapper).start();
    tree.wait_lines("s/a/started", 1);
    let start = Instant::now();
    process::signal(init_of(&svscan), Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(tree.text("s/a/signals"), "TERM\n");
}

#[test]
fn hup_reads_the_directory_and_an_essential_service_ends_the_container() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    tree.service("s/main", "#!/bin/sh\nmkfifo idle\nread -r line <idle\nexit 7\n");
    tree.write("s/main/essential", "any\n");
    let svscan = tree.cmd("svscan").arg("s").under(wrapper).start();
    wait_up_inside(&tree, "s/main");
    tree.idle_service("s/added");
    process::signal(init_of(&svscan), Signal::HUP);
    wait_up_inside(&tree, "s/added");
    tree.sh("echo 1<>s/main/idle").run();
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(7), "{output}");
}

#[test]
fn the_command_gets_signals_from_outside_and_gives_the_code() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    tree.mkdir("s");
    let script = "trap 'echo USR1 >>signals' USR1; trap 'exit 9' TERM; mkfifo idle; exec 8<>idle
        echo >>started; while :; do read -r line <&8; done";
    let svscan = tree.cmd("svscan").args(["s", "--", "sh", "-c", script]).under(wrapper).start();
    tree.wait_lines("started", 1);
    process::signal(init_of(&svscan), Signal::USR1);
    tree.wait_lines("signals", 1);
    process::signal(init_of(&svscan), Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(9), "{output}");
}

/// Makes orphans as fast as it can, fifty of each parent, and waits until none is left.
fn reap_orphans(fifties: u32, limit: Duration) {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    let fifty = ": & ".repeat(50);
    tree.service(
        "s/a",
        &format!(
            "#!/bin/sh\ni=0\nwhile [ $i -lt {fifties} ]; do ({fifty}); i=$((i+1)); done\n\
             echo >>done\nexec sleep 1000\n"
        ),
    );
    let svscan = tree.cmd("svscan").arg("s").under(wrapper).start();
    wait_until("all orphans are made", limit, || tree.exists("s/a/done"));
    let init = init_of(&svscan);
    // svscan, its supervise and the service.
    wait_until("all orphans are reaped", DEADLINE, || process::descendants(init).len() == 2);
    process::signal(init, Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
}

#[test]
fn orphans_are_reaped() {
    reap_orphans(80, Duration::from_secs(120));
}

#[test]
#[ignore = "takes up to minutes"]
fn a_hundred_thousand_orphans_are_reaped() {
    reap_orphans(2000, Duration::from_secs(3600));
}
