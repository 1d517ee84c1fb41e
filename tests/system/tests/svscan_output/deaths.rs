//! Deaths of the processes between a service and its output.

use crate::{copier_of, numbers, once, svscan, wait_out};
use harness::random::Random;
use harness::{DEADLINE, Process, Signal, Tree, process, wait_for, wait_until};
use std::thread;
use std::time::Duration;
use system::tree;

/// A service that counts to `last`, slowly enough to be interrupted.
fn counter(tree: &Tree, dir: &str, last: u32) {
    let script = format!(
        "i=0; while [ $i -lt {last} ]; do i=$((i+1)); echo $i; [ $((i % 50)) != 0 ] || sleep 0.01; done"
    );
    once(tree, dir, &script);
}

/// Waits for the last number of each service, and stops svscan.
#[track_caller]
fn finish(svscan: Process, services: u32, last: u32) -> String {
    wait_until("the last numbers", DEADLINE, || {
        let out = svscan.stdout();
        (0..services).all(|n| out.contains(&format!("\n{n}: {last}\n")))
    });
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    output.out()
}

#[test]
fn a_killed_copier_loses_no_line() {
    let tree = tree();
    let (services, last) = (4, 1500);
    (0..services).for_each(|n| counter(&tree, &format!("s/{n}"), last));
    let svscan = svscan(&tree, "-p").start();
    let mut random = Random::new(17);
    let mut killed = 0;
    let is_done = |out: &str| (0..services).all(|n| out.contains(&format!("\n{n}: {last}\n")));
    while killed < 3 || (killed < 6 && !is_done(&svscan.stdout())) {
        let copier = copier_of(svscan.pid());
        thread::sleep(Duration::from_millis(random.below(60) as u64));
        process::signal(copier, Signal::KILL);
        wait_until("it is gone", DEADLINE, || !process::is_alive(copier));
        killed += 1;
    }
    let out = finish(svscan, services, last);
    for n in 0..services {
        let mut numbers = numbers(&out, &n.to_string());
        // A line that was written and not yet removed from the pipe is written again.
        let doubled = numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        assert!(doubled <= killed, "{doubled}");
        numbers.sort_unstable();
        numbers.dedup();
        assert!(numbers == (1..=last).collect::<Vec<u32>>(), "{n}");
    }
}

#[test]
fn the_beginning_of_a_line_survives_the_copier() {
    let tree = tree();
    once(&tree, "s/a", "printf begin; while ! [ -e go ]; do sleep 0.02; done; echo ning");
    let svscan = svscan(&tree, "-p").start();
    let copier = copier_of(svscan.pid());
    tree.wait_up("s/a");
    process::wait_asleep(copier, "svscan");
    process::signal(copier, Signal::KILL);
    let next = wait_for("another copier", DEADLINE, || {
        Some(copier_of(svscan.pid())).filter(|&pid| pid != copier && process::is_alive(pid))
    });
    process::wait_asleep(next, "svscan");
    tree.write("s/a/go", "");
    assert_eq!(wait_out(&svscan, 1), "a: beginning\n");
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE);
}

#[test]
fn a_killed_supervise_loses_no_line() {
    let tree = tree();
    counter(&tree, "s/0", 2000);
    let svscan = svscan(&tree, "-p").start();
    wait_out(&svscan, 100);
    let supervise = process::parent(tree.wait_up("s/0")).expect("a supervise");
    process::signal(supervise, Signal::KILL);
    let out = finish(svscan, 1, 2000);
    assert_eq!(numbers(&out, "0"), (1..=2000).collect::<Vec<u32>>());
}

#[test]
fn an_upgrade_changes_nothing() {
    let tree = tree();
    counter(&tree, "s/0", 2000);
    let svscan = svscan(&tree, "-p").start();
    wait_out(&svscan, 100);
    let copier = copier_of(svscan.pid());
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    assert_eq!(copier_of(svscan.pid()), copier);
    // A new service goes to the same copier, and the next copier gets every pipe.
    once(&tree, "s/b", "echo new");
    wait_until("the new one", DEADLINE, || svscan.stdout().contains("b: new\n"));
    process::signal(copier, Signal::KILL);
    let out = finish(svscan, 1, 2000);
    let mut numbers = numbers(&out, "0");
    numbers.dedup();
    assert_eq!(numbers, (1..=2000).collect::<Vec<u32>>());
}

#[test]
fn after_a_killed_svscan_the_copier_goes_on_and_the_next_one_takes_over() {
    let tree = tree();
    let script =
        "i=0; while ! [ -e done ]; do i=$((i+1)); echo $i; sleep 0.001; done; echo $i >last";
    once(&tree, "s/0", script);
    let first = svscan(&tree, "-p").start();
    wait_out(&first, 100);
    let copier = copier_of(first.pid());
    let service = tree.wait_up("s/0");
    first.signal(Signal::KILL);
    let lines = first.stdout().lines().count();
    // Without a svscan.
    wait_out(&first, lines + 100);
    let second = svscan(&tree, "-p").start();
    wait_until("the old copier has ended", DEADLINE, || !process::is_alive(copier));
    assert_eq!(tree.wait_up("s/0"), service);
    let before = first.stdout();
    wait_out(&second, 100);
    tree.write("s/0/done", "");
    tree.wait_lines("s/0/last", 1);
    let last = tree.text("s/0/last").trim().parse().expect("a number");
    let after = finish(second, 1, last);
    assert_eq!(first.stdout(), before);
    assert_eq!(numbers(&(before + &after), "0"), (1..=last).collect::<Vec<u32>>());
}

#[test]
fn a_service_that_locks_its_pipe_is_taken_over_too() {
    for lock in ["flock --shared 9", "flock 9"] {
        let tree = tree();
        let wait = "while ! [ -e go ]; do sleep 0.02; done";
        once(&tree, "s/a", &format!("exec 9>/proc/self/fd/1; {lock}; echo one; {wait}; echo two"));
        let first = svscan(&tree, "-p").start();
        wait_out(&first, 1);
        let copier = copier_of(first.pid());
        first.kill();
        let second = svscan(&tree, "-p").start();
        wait_until("the old copier has ended", DEADLINE, || !process::is_alive(copier));
        tree.write("s/a/go", "");
        assert_eq!(wait_out(&second, 1), "a: two\n");
        second.signal(Signal::TERM);
        second.wait_within(DEADLINE).is(0, "a: two\n", "");
    }
}

#[test]
fn when_svscan_and_copier_are_killed_the_next_one_takes_the_pipes() {
    let tree = tree();
    once(&tree, "s/a", "echo one; while ! [ -e go ]; do sleep 0.02; done; echo two");
    let first = svscan(&tree, "-p").start();
    wait_out(&first, 1);
    let copier = copier_of(first.pid());
    let service = tree.wait_up("s/a");
    process::signal(first.pid(), Signal::KILL);
    process::signal(copier, Signal::KILL);
    let second = svscan(&tree, "-p").start();
    copier_of(second.pid());
    assert_eq!(tree.wait_up("s/a"), service);
    tree.write("s/a/go", "");
    assert_eq!(wait_out(&second, 1), "a: two\n");
    second.signal(Signal::TERM);
    second.wait_within(DEADLINE).is(0, "a: two\n", "");
}

/// A service that writes a part of a line that is too long, and its end when `go` exists.
fn long_line(tree: &Tree) {
    let part = |letter| format!("head -c 600000 /dev/zero | tr '\\0' {letter}");
    let script = format!(
        "{}; while ! [ -e go ]; do sleep 0.02; done; {}; echo; echo next",
        part('x'),
        part('y')
    );
    once(tree, "s/a", &script);
}

/// Waits until a beginning has been written, and the copier waits for the rest. Returns the copier.
#[track_caller]
fn begun(svscan: &Process) -> u32 {
    wait_until("most of the beginning", DEADLINE, || svscan.stdout().len() > 400_000);
    let copier = copier_of(svscan.pid());
    process::wait_asleep(copier, "svscan");
    copier
}

/// Every piece after the first continues the line, and nothing is lost.
#[track_caller]
fn check_pieces(out: &str) {
    let mut lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.pop(), Some("a: next"));
    let continues: Vec<bool> = lines.iter().map(|line| line.starts_with("a+ ")).collect();
    assert!(continues.len() > 2);
    assert!(!continues[0] && continues[1..].iter().all(|&it| it), "{continues:?}");
    let line: String = lines.iter().filter_map(|line| line.get(3..)).collect();
    assert!(line == "x".repeat(600_000) + &"y".repeat(600_000), "{} bytes", line.len());
}

#[test]
fn a_cut_line_continues_after_the_death_of_the_copier() {
    let tree = tree();
    long_line(&tree);
    let svscan = svscan(&tree, "-p").start();
    let copier = begun(&svscan);
    process::signal(copier, Signal::KILL);
    wait_until("it is gone", DEADLINE, || !process::is_alive(copier));
    tree.write("s/a/go", "");
    wait_until("the next line", DEADLINE, || svscan.stdout().contains("\na: next\n"));
    svscan.signal(Signal::TERM);
    check_pieces(&svscan.wait_within(DEADLINE).out());
}

#[test]
fn a_cut_line_continues_when_another_svscan_takes_the_pipe_over() {
    for kills_copier in [false, true] {
        let tree = tree();
        long_line(&tree);
        let first = svscan(&tree, "-p").start();
        let copier = begun(&first);
        let service = tree.wait_up("s/a");
        first.signal(Signal::KILL);
        if kills_copier {
            process::signal(copier, Signal::KILL);
        }
        let second = svscan(&tree, "-p").start();
        wait_until("the old copier has ended", DEADLINE, || !process::is_alive(copier));
        copier_of(second.pid());
        assert_eq!(tree.wait_up("s/a"), service);
        let before = first.stdout();
        tree.write("s/a/go", "");
        wait_until("the next line", DEADLINE, || second.stdout().contains("\na: next\n"));
        second.signal(Signal::TERM);
        check_pieces(&(before + &second.wait_within(DEADLINE).out()));
    }
}

#[test]
fn a_pipe_that_is_none_of_a_copier_is_left_alone() {
    let tree = tree();
    once(&tree, "s/a", "echo one; while ! [ -e go ]; do sleep 0.02; done; echo two");
    // The supervisor that stays behind writes into this pipe.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let first = tree.cmd("svscan").arg("s").stdout_to(writer).start();
    tree.wait_up("s/a");
    first.kill();
    let second = svscan(&tree, "-p").start();
    once(&tree, "s/b", "echo new");
    wait_out(&second, 1);
    tree.write("s/a/go", "");
    let mut text = [0; 8];
    std::io::Read::read_exact(&mut reader, &mut text).expect("two lines");
    assert_eq!(&text, b"one\ntwo\n");
    second.signal(Signal::TERM);
    second.wait_within(DEADLINE).is(0, "b: new\n", "");
}
