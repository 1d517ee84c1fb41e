//! svscanboot is killed: svscan and the services go on, and the next svscanboot takes their messages over.

use harness::{
    Cmd, DEADLINE, Output, Process, Signal, Tree, is_root, process, requires, wait_for, wait_until,
};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use system::{assert_exit_0, kill, tree};

/// Upper bound for the start of another svscan, which comes at most five seconds after the last.
const AGAIN: Duration = Duration::from_secs(8);

/// Writes each line that it reads from its FIFO. PIPE kills it.
const ECHO: &str = "#!/bin/sh\nmkfifo go\nexec 8<>go\necho begins\n\
                    while read -r line <&8; do echo \"$line\"; done\n";

/// `svscanboot -l log s`, with an environment directory that leads to the programs under test.
fn command(tree: &Tree) -> Cmd<'_> {
    let mut path = tree.suite().bin().as_os_str().as_bytes().to_vec();
    path.extend(b":/usr/bin:/bin\n");
    tree.write("env/PATH", path);
    tree.cmd("svscanboot").args(["-e", "env", "-l", "log", "s"])
}

/// Starts svscanboot on the service `s/a`, which runs [`ECHO`]. Returns the processes of svscan and of
/// the service too.
fn start(tree: &Tree) -> (Process, u32, u32) {
    tree.service("s/a", ECHO);
    let boot = command(tree).start();
    tree.wait_text("log", "begins\n");
    let svscan = wait_for("svscan", DEADLINE, || find(tree, "svscan", boot.pid()));
    (boot, svscan, tree.wait_up("s/a"))
}

/// The process with this name whose parent is `parent`.
fn find(tree: &Tree, name: &str, parent: u32) -> Option<u32> {
    let is_wanted = |pid: u32| {
        process::parent(pid) == Some(parent)
            && process::arguments(pid).first().is_some_and(|first| first == name)
    };
    tree.processes().into_iter().find(|&pid| is_wanted(pid))
}

fn tell(tree: &Tree, line: &str) {
    tree.sh(&format!("echo '{line}' >s/a/go")).run().is(0, "", "");
}

/// The pipe that is descriptor 2 of a process.
fn messages_of(pid: u32) -> PathBuf {
    let files = process::descriptors(pid);
    files.into_iter().find(|file| file.0 == 2).expect("a standard error").1
}

/// Starts another svscanboot, and waits until it has taken over the svscan.
fn take_over(tree: &Tree, svscan: u32) -> Process {
    let boot = command(tree).start();
    tree.wait_text("log", &format!("svscanboot: info: taking over svscan, pid {svscan}\n"));
    boot
}

/// The text of the log without the labels.
fn logged(tree: &Tree) -> Vec<String> {
    let text = tree.text("log");
    text.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
}

#[test]
fn the_next_svscanboot_takes_svscan_and_its_messages_over() {
    let tree = tree();
    let (boot, svscan, service) = start(&tree);
    kill(boot);
    // No reader but svscan.
    tell(&tree, "in between");
    tree.idle_service("t/b");
    tree.symlink("../t/b", "s/b");
    tree.wait_up("s/b");
    let boot = take_over(&tree, svscan);
    tell(&tree, "afterwards");
    tree.wait_text("log", " afterwards\n");
    let taken_over = format!("svscanboot: info: taking over svscan, pid {svscan}");
    assert_eq!(logged(&tree), ["begins", &taken_over, "in between", "afterwards"]);
    let title = wait_for("readproctitle", DEADLINE, || find(&tree, "readproctitle", boot.pid()));
    wait_until("ps shows it", DEADLINE, || {
        let words = process::arguments(title).join(OsStr::new(" "));
        words.to_string_lossy().ends_with("in between\nafterwards\n")
    });
    assert_eq!(tree.wait_up("s/a"), service);
    // As often as one likes.
    kill(boot);
    tell(&tree, "twice");
    let boot = command(&tree).start();
    tree.wait_text("log", " twice\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    assert_eq!(tree.processes(), []);
}

#[test]
fn a_taken_over_svscan_that_dies_is_started_again() {
    let tree = tree();
    let (boot, svscan, service) = start(&tree);
    let pipe = messages_of(svscan);
    kill(boot);
    let boot = take_over(&tree, svscan);
    process::signal(svscan, Signal::KILL);
    let svscan = wait_for("another svscan", AGAIN, || find(&tree, "svscan", boot.pid()));
    assert_eq!(messages_of(svscan), pipe);
    tree.wait_text("log", "; it is started again\n");
    tell(&tree, "still there");
    tree.wait_text("log", " still there\n");
    assert_eq!(tree.wait_up("s/a"), service);
    // It keeps the pipe too.
    kill(boot);
    tell(&tree, "once more");
    let boot = take_over(&tree, svscan);
    tree.wait_text("log", " once more\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    assert_eq!(tree.processes(), []);
}

#[test]
fn the_pipe_survives_a_live_upgrade_without_svscanboot() {
    let tree = tree();
    let (boot, svscan, service) = start(&tree);
    kill(boot);
    tell(&tree, "before");
    // The image changes when the environment does: it names no handover, and then one.
    let upgraded = || {
        let environment = process::environment(svscan);
        environment.iter().any(|entry| entry.as_bytes().starts_with(b"DAEMONTOOLS_UPGRADE="))
    };
    assert!(!upgraded());
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    wait_until("svscan is upgraded", DEADLINE, upgraded);
    tell(&tree, "after");
    let boot = take_over(&tree, svscan);
    tree.wait_text("log", " after\n");
    assert_eq!(logged(&tree).last_chunk(), Some(&["before".to_owned(), "after".to_owned()]));
    assert_eq!(tree.wait_up("s/a"), service);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_stop_ends_services_that_wait_for_room_in_the_pipe() {
    let tree = tree();
    let run = "#!/bin/sh\ntrap 'seq 1000; echo ended >>ended; exit' TERM\necho $$ >>started\n\
               seq 100000\nwhile :; do sleep 0.1; done\n";
    tree.service("s/a", run);
    let boot = command(&tree).start();
    let svscan = wait_for("svscan", DEADLINE, || find(&tree, "svscan", boot.pid()));
    kill(boot);
    tree.wait_lines("s/a/started", 1);
    process::signal(svscan, Signal::TERM);
    tree.wait_lines("s/a/ended", 1);
    process::wait_gone(svscan);
    assert_eq!(tree.processes(), []);
}

#[test]
fn a_svscan_with_a_svscanboot_is_left_alone() {
    let tree = tree();
    let (boot, svscan, service) = start(&tree);
    kill(boot);
    let boot = take_over(&tree, svscan);
    let line =
        format!("svscanboot: fatal: unable to lock s: temporary failure (held by pid {svscan})\n");
    command(&tree).run().is(111, "", line);
    tell(&tree, "undisturbed");
    tree.wait_text("log", " undisturbed\n");
    assert_eq!(tree.wait_up("s/a"), service);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

/// Sets the flag when it goes out of scope.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The kernel shows the list of all locks in parts. Locks that go between two parts move the others, so that
/// a reader of the list misses some.
#[test]
fn a_svscanboot_is_found_while_other_locks_come_and_go() {
    let tree = tree();
    let (boot, svscan, service) = start(&tree);
    tree.mkdir("locks");
    let done = AtomicBool::new(false);
    let outputs: Vec<Output> = thread::scope(|scope| {
        // Each processor has a list of its own.
        for part in 0..4 {
            let (tree, done) = (&tree, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let files = (0..100).map(|n| {
                        let path = tree.path(format!("locks/{part}.{n}"));
                        let file = File::create(path).expect("create a file");
                        file.lock().expect("lock a file");
                        file
                    });
                    // Dropped together.
                    drop(files.collect::<Vec<_>>());
                }
            });
        }
        // The threads also end if the test fails.
        let _stop = Stop(&done);
        let others: Vec<Process> = (0..8).map(|_| command(&tree).start()).collect();
        others.into_iter().map(Process::wait).collect()
    });
    let line =
        format!("svscanboot: fatal: unable to lock s: temporary failure (held by pid {svscan})\n");
    for output in outputs {
        output.is(111, "", &line);
    }
    assert_eq!(tree.wait_up("s/a"), service);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_svscan_that_svscanboot_has_not_started_is_left_alone() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.service("s/.log", "#!/bin/sh\nexec cat >>text\n");
    let (_reader, writer) = std::io::pipe().expect("make a pipe");
    for arguments in [&["s"][..], &["s", ".log"]] {
        let svscan = tree.cmd("svscan").args(arguments);
        let svscan = svscan.stderr_to(writer.try_clone().expect("a copy")).start();
        tree.wait_up("s/a");
        let pid = svscan.pid();
        let line =
            format!("svscanboot: fatal: unable to lock s: temporary failure (held by pid {pid})\n");
        command(&tree).run().is(111, "", line);
        svscan.signal(Signal::TERM);
        assert_eq!(svscan.wait().code, Some(0));
    }
}

#[test]
fn a_lock_of_another_user_on_the_pipe_is_ignored() {
    if !is_root() || !requires("setpriv") || !requires("flock") {
        return;
    }
    let tree = tree();
    // It locks the pipe of the messages, which it has inherited.
    let run = "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups \
               sh -c 'while ! flock -n 2; do sleep 0.05; done; echo locked; exec sleep 1000'\n";
    tree.service("s/a", run);
    let boot = command(&tree).start();
    let svscan = wait_for("svscan", DEADLINE, || find(&tree, "svscan", boot.pid()));
    let service = tree.wait_up("s/a");
    kill(boot);
    process::wait_asleep(service, "sleep");
    let boot = take_over(&tree, svscan);
    tree.wait_text("log", " locked\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_program_that_inherits_the_lock_of_the_messages_does_not_stop_svscanboot() {
    let tree = tree();
    // A user can start a set-user-ID program so, which takes all its ids from root.
    tree.service(
        "s/b",
        "#!/usr/bin/perl\nuse Fcntl ':flock';\nselect(undef, undef, undef, 0.02) until -e 'go';\n\
         flock(STDERR, LOCK_EX) or die;\nexec 'sleep', '1000';\n",
    );
    let (boot, svscan, _) = start(&tree);
    let foe = tree.wait_up("s/b");
    kill(boot);
    tree.write("s/b/go", "");
    process::wait_asleep(foe, "sleep");
    let boot = take_over(&tree, svscan);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}
