//! `svc -W`: waiting until services are up, down or ready.

use crate::{FakeSupervisor, assert_still_waits, assert_svc_succeeds, pid_of, svc};
use harness::{Output, Process, Signal, original, process};
use std::time::{Duration, Instant};
use system::{PROMPT, assert_exit_0, assert_idle, tree};

#[test]
fn the_state_waited_for_holds_afterwards() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let mut last = 0;
    for _ in 0..3 {
        assert_svc_succeeds(&tree, "-u -W up a");
        let pid = pid_of(&tree, "a");
        assert!(process::is_alive(pid));
        assert_ne!(pid, last, "it was down");
        // A state that is already reached needs no waiting.
        assert_svc_succeeds(&tree, "-u -W ready a");
        assert_svc_succeeds(&tree, "-W up a");
        assert_eq!(pid_of(&tree, "a"), pid);
        assert_svc_succeeds(&tree, "-d -W down a");
        assert_eq!(pid_of(&tree, "a"), 0);
        assert!(process::state(pid).is_none());
        last = pid;
    }
    tree.svc("-x", "a");
    assert_exit_0(supervise);
    // supervise may leave before it has read the command with which svc waits.
    for _ in 0..5 {
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        assert_svc_succeeds(&tree, "-dx -W down a");
        assert_eq!(pid_of(&tree, "a"), 0);
        assert_exit_0(supervise);
    }
}

#[test]
fn a_process_told_to_end_does_not_count_as_up() {
    let tree = tree();
    // The service needs 0.2 s to end.
    let run = "#!/bin/sh\ntrap 'sleep 0.2; exit 0' TERM INT\necho >>started\n\
               while :; do sleep 0.01; done\n";
    tree.service("a", run);
    let _supervise = tree.supervise("a");
    assert_svc_succeeds(&tree, "-W up a");
    for (number, letters) in ["-t", "-du", "-i", "-k"].into_iter().enumerate() {
        tree.wait_lines("a/started", number + 1);
        let pid = pid_of(&tree, "a");
        assert_svc_succeeds(&tree, &format!("{letters} -W up a"));
        let next = pid_of(&tree, "a");
        assert!(next != pid && next != 0, "{letters}");
    }
    // The same if the command came earlier.
    tree.wait_lines("a/started", 5);
    let pid = pid_of(&tree, "a");
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    assert_svc_succeeds(&tree, "-u -W ready a");
    assert_ne!(pid_of(&tree, "a"), pid);
    // Nothing starts the service again.
    tree.wait_lines("a/started", 6);
    let line = "svc: warning: a has ended and is not started again\n";
    svc(&tree, "-do -W up a").run().is(1, "", line);
}

#[test]
fn a_service_run_once_counts_as_up_even_if_it_is_down_again() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho >>started\n");
    tree.write("a/down", "");
    let _supervise = tree.supervise("a");
    for number in 1..=2 {
        assert_svc_succeeds(&tree, "-o -W up a");
        tree.wait_lines("a/started", number);
        // While it still runs, o starts nothing.
        tree.wait_down("a");
    }
    // The second between two starts does not count as down.
    assert_svc_succeeds(&tree, "-o -W down a");
    assert_eq!(tree.text("a/started").lines().count(), 3);
}

#[test]
fn a_timeout_names_the_services_that_are_late() {
    let tree = tree();
    for dir in ["a", "b", "c"] {
        tree.idle_service(dir);
    }
    let _supervises = ["a", "b", "c"].map(|dir| tree.supervise(dir));
    assert_svc_succeeds(&tree, "-W up a b c");
    tree.svc("-d", "b");
    let late = "svc: warning: a is not down after 50 ms\nsvc: warning: c is not down after 50 ms\n";
    svc(&tree, "-W down -T 50 a b c").run().is(99, "", late);
    svc(&tree, "-Wready -T50 b").run().is(99, "", "svc: warning: b is not ready after 50 ms\n");
    svc(&tree, "-d -W down -T 20000 a b c a").run().is(0, "", "");
    assert_eq!(["a", "b", "c"].map(|dir| pid_of(&tree, dir)), [0; 3]);
}

#[test]
fn waiting_without_a_supervise_or_with_bad_arguments_is_an_error() {
    let tree = tree();
    tree.idle_service("a");
    let _supervise = tree.supervise("a");
    tree.mkdir("b/supervise");
    tree.fifo("b/supervise/control", 0o600);
    let refused = "svc: warning: unable to control b: supervise not running\n";
    // The other services get their commands nevertheless.
    svc(&tree, "-d -W down -T 50 b a").run().is(111, "", refused);
    tree.wait_down("a");
    let missing = "svc: warning: unable to chdir to c: file does not exist\n";
    svc(&tree, "-W up c").run().is(111, "", missing);
    svc(&tree, "-W up -T 50 b").run().is(111, "", refused);
    assert_svc_succeeds(&tree, "-W up");
    for (arguments, line) in [
        ("-uW dead a", "svc: fatal: unable to wait for dead: not up, down or ready\n"),
        ("-W up -T 5s a", "svc: fatal: unable to wait 5s milliseconds: not a number\n"),
        ("-uT 50 a", "svc: fatal: unable to use -T without -W\n"),
    ] {
        svc(&tree, arguments).run().is(100, "", line);
    }
    let output = svc(&tree, "-uW").run();
    assert_eq!(output.code, Some(100), "{output}");
    assert!(output.err().starts_with("svc: option requires an argument -- W\n"), "{output}");
    assert_eq!(pid_of(&tree, "a"), 0, "nothing was sent");
}

#[test]
fn a_service_that_was_just_linked_is_waited_for() {
    let tree = tree();
    tree.mkdir("scan");
    let _svscan = tree.cmd("svscan").arg("scan").start();
    for (number, command) in
        ["-u -W up", "-u -W ready", "-o -W up", "-d -W down"].iter().enumerate()
    {
        let name = format!("s{number}");
        tree.idle_service(&name);
        tree.symlink(format!("../{name}"), format!("scan/{name}"));
        assert_svc_succeeds(&tree, &format!("{command} -T 20000 scan/{name}"));
        assert_eq!(pid_of(&tree, &name) == 0, *command == "-d -W down");
    }
}

#[test]
fn a_supervise_that_has_just_left_is_waited_for() {
    let tree = tree();
    tree.idle_service("scan/a");
    let _svscan = tree.cmd("svscan").arg("scan").start();
    tree.wait_up("scan/a");
    // svscan starts it again after five seconds.
    tree.svc("-dx", "scan/a");
    tree.wait_unsupervised("scan/a");
    assert_svc_succeeds(&tree, "-u -W up scan/a");
}

#[test]
fn every_way_in_which_a_supervise_appears_is_noticed() {
    let tree = tree();
    // A directory that was never supervised; one that an earlier supervise has left; a link to a
    // directory that is missing; a state directory elsewhere.
    for dir in ["new", "left", "linked", "elsewhere"] {
        tree.idle_service(dir);
    }
    let supervise = tree.supervise("left");
    tree.svc("-dx", "left");
    assert_exit_0(supervise);
    tree.mkdir("states");
    tree.symlink(tree.path("states/linked"), "linked/supervise");
    let states = tree.path("states/base");
    for dir in ["new", "left", "linked", "elsewhere"] {
        let variable = if dir == "elsewhere" { "SUPERVISEDIR" } else { "UNUSED" };
        let mut waiting =
            svc(&tree, &format!("-u -W up -T 20000 {dir}")).env(variable, &states).start();
        assert_still_waits(&mut waiting);
        if dir == "elsewhere" {
            tree.mkdir("states/base");
        }
        let supervise = tree.cmd("supervise").arg(dir).env(variable, &states).start();
        waiting.wait().is(0, "", "");
        drop(supervise);
    }
}

#[test]
fn the_wait_for_a_supervise_sleeps_and_ends() {
    let tree = tree();
    tree.idle_service("a");
    tree.idle_service("b");
    let _supervise = tree.supervise("b");
    tree.wait_up("b");
    // The other service gets its command at once.
    let mut waiting = svc(&tree, "-d -W down -T 20000 a b").start();
    tree.wait_down("b");
    assert_still_waits(&mut waiting);
    let supervise = tree.supervise("a");
    waiting.wait().is(0, "", "");
    // A service whose supervise has left is down: a wait for that does not last.
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    let left = "svc: warning: unable to control a: supervise not running\n";
    let start = Instant::now();
    svc(&tree, "-d -W down a").run().is(111, "", left);
    assert!(start.elapsed() < Duration::from_secs(6));
    svc(&tree, "-u -W up -T 50 a").run().is(111, "", left);
    tree.idle_service("c");
    let missing = "svc: warning: unable to control c: file does not exist\n";
    svc(&tree, "-u -W up -T 50 c").run().is(111, "", missing);
    let start = Instant::now();
    svc(&tree, "-u -W up c").run().is(111, "", missing);
    // svscan can take 5 seconds to find a link, and then starts its supervise.
    assert!(start.elapsed() >= Duration::from_secs(8));
}

#[test]
fn readiness_is_what_supervise_publishes() {
    let tree = tree();
    let mut fake = FakeSupervisor::new(&tree, "a");
    let mut waits = svc(&tree, "-u -W ready a").start();
    fake.assert_receives(b"u");
    fake.assert_receives(b"l");
    assert_still_waits(&mut waits);
    fake.since += 1;
    fake.state(7, b'u', "phase=starting\n");
    assert_still_waits(&mut waits);
    // A state file whose status is still missing.
    fake.since += 1;
    fake.replace("state", format!("since={}\nphase=ready\n", fake.label()));
    assert_still_waits(&mut waits);
    fake.status(7, b'u');
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_status_from_before_the_command_counts_for_nothing() {
    let tree = tree();
    let mut fake = FakeSupervisor::new(&tree, "a");
    fake.state(0, b'u', "phase=failed\nreason=deaths\n");
    let mut waits = svc(&tree, "-u -W up a").start();
    assert_still_waits(&mut waits);
    fake.assert_receives(b"u");
    // This status is from before the next command.
    assert_still_waits(&mut waits);
    fake.since += 1;
    fake.state(7, b'u', "phase=starting\n");
    assert_still_waits(&mut waits);
    fake.assert_receives(b"l");
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_service_that_has_failed_ends_the_wait() {
    let tree = tree();
    let (mut fake, mut other) = (FakeSupervisor::new(&tree, "a"), FakeSupervisor::new(&tree, "b"));
    let answers = |fakes: [&mut FakeSupervisor<'_>; 2]| -> Process {
        let waits = svc(&tree, "-u -W ready a b").start();
        for fake in fakes {
            fake.assert_receives(b"u");
            fake.assert_receives(b"l");
        }
        waits
    };
    let waits = answers([&mut fake, &mut other]);
    other.state(0, b'u', "phase=failed\nreason=not-ready\n");
    let line = "svc: warning: b has failed: not ready in time\n";
    waits.wait_within(PROMPT).is(1, "", line);
    other.state(0, b'u', "phase=waiting\n");
    let waits = answers([&mut fake, &mut other]);
    fake.state(0, b'u', "phase=failed\n");
    waits.wait_within(PROMPT).is(1, "", "svc: warning: a has failed\n");
    let waits = svc(&tree, "-o -W ready b").start();
    other.assert_receives(b"o");
    other.assert_receives(b"l");
    other.since += 1;
    other.state(0, 0, "phase=down\n");
    waits.wait_within(PROMPT).is(1, "", "svc: warning: b has ended and is not started again\n");
}

#[test]
fn all_services_must_reach_the_state_at_the_same_time() {
    let tree = tree();
    let (mut first, mut second) =
        (FakeSupervisor::new(&tree, "a"), FakeSupervisor::new(&tree, "b"));
    let mut waits = svc(&tree, "-W up a b").start();
    first.assert_receives(b"l");
    second.assert_receives(b"l");
    first.since += 1;
    first.status(7, b'u');
    assert_still_waits(&mut waits);
    first.since += 1;
    first.status(0, b'u');
    second.since += 1;
    second.status(8, b'u');
    assert_still_waits(&mut waits);
    first.since += 1;
    first.status(9, b'u');
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn waiting_is_sleeping() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let mut waits = svc(&tree, "-W down a").start();
    assert_idle(&[waits.pid(), supervise.pid()], Duration::from_millis(500));
    assert!(!waits.has_ended());
    tree.svc("-d", "a");
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::state(pid).is_none());
    // svc also waits for a stopped supervise, without polling.
    supervise.signal(Signal::STOP);
    let mut waits = svc(&tree, "-u -W up a").start();
    assert_still_waits(&mut waits);
    svc(&tree, "-W up -T 50 a").run().is(99, "", "svc: warning: a is not up after 50 ms\n");
    assert!(!waits.has_ended());
    supervise.signal(Signal::CONT);
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::is_alive(pid_of(&tree, "a")));
}

#[test]
fn waiting_survives_a_killed_supervise() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = pid_of(&tree, "a");
    // The killed supervise has read the command, the service runs on, and the next supervise does
    // not know the command.
    let mut waits = svc(&tree, "-t -W up a").start();
    tree.wait_lines("a/signals", 1);
    supervise.kill();
    assert_still_waits(&mut waits);
    let supervise = tree.supervise("a");
    assert_still_waits(&mut waits);
    assert_eq!(pid_of(&tree, "a"), pid);
    process::signal(pid, Signal::KILL);
    waits.wait_within(PROMPT).is(0, "", "");
    let next = pid_of(&tree, "a");
    assert!(next != pid && process::is_alive(next));

    // The same, but the service ends while there is no supervise.
    tree.wait_lines("a/started", 2);
    let mut waits = svc(&tree, "-d -W down a").start();
    tree.wait_lines("a/signals", 2);
    tree.wait_want("a", b'd');
    supervise.kill();
    process::signal(next, Signal::KILL);
    process::wait_gone(next);
    assert_still_waits(&mut waits);
    let supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");

    // supervise is killed before it reads the command. The next one finds it in the FIFO.
    supervise.signal(Signal::STOP);
    let mut waits = svc(&tree, "-u -W up a").start();
    assert_still_waits(&mut waits);
    supervise.kill();
    assert_still_waits(&mut waits);
    let _supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::is_alive(pid_of(&tree, "a")));
}

#[test]
fn a_supervise_that_leaves_in_order_leaves_its_service_down() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    // The wanted state stays up.
    let mut waits = svc(&tree, "-x -W down a").start();
    assert_still_waits(&mut waits);
    process::signal(pid_of(&tree, "a"), Signal::KILL);
    waits.wait_within(PROMPT).is(0, "", "");
    assert_exit_0(supervise);
    // Waiting for up goes on, because a supervise may come again.
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    tree.svc("-dk", "a");
    tree.wait_down("a");
    let mut waits = svc(&tree, "-W up a").start();
    assert_still_waits(&mut waits);
    tree.svc("-x", "a");
    assert_exit_0(supervise);
    assert_still_waits(&mut waits);
    let _supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn waiting_works_with_the_originals_supervise() {
    let tree = tree();
    tree.idle_service("a");
    let path = original().join("supervise");
    let start_original = || {
        let process = tree.cmd(path.to_str().expect("ASCII")).arg("a").start();
        tree.wait_supervised("a");
        process
    };
    let supervise = start_original();
    assert_svc_succeeds(&tree, "-W up a");
    let pid = pid_of(&tree, "a");
    assert_svc_succeeds(&tree, "-t -W ready a");
    let next = pid_of(&tree, "a");
    assert!(next != pid && process::is_alive(next));
    assert_svc_succeeds(&tree, "-d -W down a");
    assert_eq!(pid_of(&tree, "a"), 0);
    assert_svc_succeeds(&tree, "-u -W up a");
    assert!(process::is_alive(pid_of(&tree, "a")));
    let mut waits = svc(&tree, "-x -W down a").start();
    assert_still_waits(&mut waits);
    tree.svc("-t", "a");
    waits.wait_within(PROMPT).is(0, "", "");
    assert_exit_0(supervise);
    let _supervise = start_original();
    tree.wait_up("a");
    assert_svc_succeeds(&tree, "-dx -W down a");
    assert_eq!(pid_of(&tree, "a"), 0);
}

#[test]
fn forty_services_are_waited_for_at_once() {
    let tree = tree();
    let dirs: Vec<String> = (0..40).map(|n| format!("s/{n}")).collect();
    for dir in &dirs {
        tree.idle_service(dir);
        tree.write(format!("{dir}/down"), "");
    }
    let _svscan = tree.cmd("svscan").arg("s").start();
    for dir in &dirs {
        tree.wait_supervised(dir);
    }
    // svc raises its limit of descriptors.
    let run = |arguments: &[&str]| -> Output {
        let svc = tree.cmd("svc").args(arguments).args(&dirs);
        svc.under(["prlimit", "--nofile=20:200"]).run()
    };
    run(&["-u", "-W", "up"]).is(0, "", "");
    let pids: Vec<u32> = dirs.iter().map(|dir| pid_of(&tree, dir)).collect();
    assert!(pids.iter().all(|&pid| process::is_alive(pid)));
    run(&["-t", "-W", "up"]).is(0, "", "");
    assert!(dirs.iter().zip(&pids).all(|(dir, &pid)| ![0, pid].contains(&pid_of(&tree, dir))));
    run(&["-d", "-W", "down"]).is(0, "", "");
    assert!(dirs.iter().all(|dir| pid_of(&tree, dir) == 0));
}
