//! fghack: waiting for what a program leaves in the background.

use compliance::launcher;
use harness::{DEADLINE, Process, Signal, Tree, process, wait_for, wait_until};

const CRASHED: &str = "fghack: fatal: child crashed\n";

/// Starts `fghack sh -c SCRIPT`.
fn start(tree: &Tree, script: &str) -> Process {
    tree.cmd("fghack").args(["sh", "-c", script]).start()
}

/// Waits until the script has written a pid to a file of that name.
#[track_caller]
fn pid(tree: &Tree, name: &str) -> u32 {
    tree.wait_lines(name, 1)[0].parse().expect("a pid")
}

/// Asserts that fghack runs until the background `sleep` has ended.
#[track_caller]
fn ends_with(tree: &Tree, mut fghack: Process, code: i32, stderr: &str) {
    let launcher = pid(tree, "launcher");
    process::wait_gone(launcher);
    let background = pid(tree, "background");
    process::wait_asleep(background, "sleep");
    assert!(!fghack.has_ended());
    process::signal(background, Signal::KILL);
    fghack.wait().is(code, "", stderr);
}

// Usage

#[test]
fn a_program_is_needed() {
    launcher::needs_a_program("fghack");
}

#[test]
fn there_are_no_options() {
    launcher::has_no_options("fghack");
}

// Exit codes

#[test]
fn the_programs_exit_code_is_fghacks() {
    let tree = Tree::new();
    for code in 0..=255 {
        let words = ["sh", "-c", "exit $1", "sh", &code.to_string()];
        tree.cmd("fghack").args(words).run().is(code, "", "");
    }
}

#[test]
fn a_program_killed_by_a_signal_has_crashed() {
    let tree = Tree::new();
    for signal in ["KILL", "SEGV", "ABRT", "PIPE", "TERM", "USR1"] {
        let script = format!("ulimit -c 0; kill -{signal} $$");
        tree.cmd("fghack").args(["sh", "-c", &script]).run().is(111, "", CRASHED);
    }
}

#[test]
fn a_program_which_cannot_be_run_is_reported_once() {
    let tree = Tree::new();
    let line = "fghack: fatal: unable to run no-such-prog: file does not exist\n";
    tree.cmd("fghack").arg("no-such-prog").run().is(111, "", line);
}

#[test]
fn a_stopped_program_has_not_ended() {
    let tree = Tree::new();
    let mut fghack = start(&tree, "echo $$ >launcher; kill -STOP $$; exit 9");
    let launcher = pid(&tree, "launcher");
    wait_until("the program is stopped", DEADLINE, || process::is_stopped(launcher));
    assert!(!fghack.has_ended());
    process::signal(launcher, Signal::CONT);
    fghack.wait().is(9, "", "");
}

#[test]
fn a_failing_wait_is_an_error() {
    let tree = Tree::new();
    let command = tree.cmd("fghack").args(["sh", "-c", "exit 3"]);
    let line = "fghack: fatal: wait failed: no child processes\n";
    command.under(["env", "--ignore-signal=CHLD"]).run().is(111, "", line);
}

// Waiting

#[test]
fn fghack_waits_for_a_background_process() {
    let tree = Tree::new();
    let fghack = start(&tree, "sleep 1000 & echo $! >background; echo $$ >launcher; exit 5");
    ends_with(&tree, fghack, 5, "");
}

#[test]
fn fghack_waits_for_a_daemon_in_another_session() {
    let tree = Tree::new();
    let script = "here=$PWD; (cd / && exec setsid \
                  sh -c 'echo $$ >\"$0\"/background; exec sleep 1000' \"$here\" \
                  </dev/null >/dev/null 2>&1 &) ; echo $$ >launcher; exit 6";
    let fghack = start(&tree, script);
    ends_with(&tree, fghack, 6, "");
}

#[test]
fn fghack_waits_for_the_background_of_a_crashed_program_too() {
    let tree = Tree::new();
    let script = "sleep 1000 & echo $! >background; echo $$ >launcher; kill -KILL $$";
    ends_with(&tree, start(&tree, script), 111, CRASHED);
}

#[test]
fn fghack_waits_for_all_of_many() {
    let tree = Tree::new();
    let script = "for i in 1 2 3; do sleep 1000 & echo $! >>pids; done; exit 7";
    let mut fghack = start(&tree, script);
    for pid in tree.wait_lines("pids", 3) {
        let pid = pid.parse().expect("a pid");
        process::wait_asleep(pid, "sleep");
        assert!(!fghack.has_ended());
        process::signal(pid, Signal::KILL);
    }
    fghack.wait().is(7, "", "");
}

#[test]
fn one_copy_of_the_pipe_is_enough() {
    let tree = Tree::new();
    // A daemon closes many descriptors, but forgets the last.
    let script = "use POSIX; my ($last) = sort { $b <=> $a }
                      map { m{(\\d+)$} && (readlink($_) || '') =~ /^pipe:/ ? $1 : () } glob '/proc/self/fd/*';
                  if (my $pid = fork) { open F, '>', 'launcher'; print F \"$$\\n\"; exit 8 }
                  POSIX::close($_) for 0 .. $last - 1;
                  open F, '>', 'background'; print F \"$$\\n\"; close F;
                  exec 'sleep', '1000'";
    let fghack = tree.cmd("fghack").args(["perl", "-e", script]).start();
    ends_with(&tree, fghack, 8, "");
}

#[test]
fn fghack_waits_for_the_program_after_the_pipe() {
    let tree = Tree::new();
    let script = "use POSIX; POSIX::close($_) for 0 .. 100;
                  open F, '>', 'pid'; print F \"$$\\n\"; close F;
                  exec 'sleep', '1000'";
    let mut fghack = tree.cmd("fghack").args(["perl", "-e", script]).start();
    let program = pid(&tree, "pid");
    process::wait_asleep(program, "sleep");
    assert!(!fghack.has_ended());
    process::signal(program, Signal::KILL);
    fghack.wait().is(111, "", CRASHED);
}

// The pipe

#[test]
fn the_program_has_31_copies_of_the_pipe() {
    let tree = Tree::new();
    let fghack = tree.cmd("fghack").args(["sleep", "1000"]).start();
    let program =
        wait_for("the program", DEADLINE, || process::descendants(fghack.pid()).first().copied());
    process::wait_asleep(program, "sleep");
    let open = process::descriptors(program);
    let (_, pipe) = open.iter().find(|(number, _)| *number == 3).expect("the first free one");
    assert!(pipe.to_string_lossy().starts_with("pipe:"), "{open:?}");
    assert_eq!(open.iter().filter(|(_, target)| target == pipe).count(), 31, "{open:?}");
}

#[test]
fn what_is_written_to_the_pipe_is_discarded() {
    let tree = Tree::new();
    let script = "head -c 1000000 /dev/zero >&3; head -c 1000 /dev/zero >&9; exit 4";
    tree.cmd("fghack").args(["sh", "-c", script]).run().is(4, "", "");
}

#[test]
fn standard_descriptors_are_the_programs() {
    let tree = Tree::new();
    let command = tree.cmd("fghack").args(["sh", "-c", "cat; echo error >&2; exit 2"]);
    command.stdin("input\n").run().is(2, "input\n", "error\n");
}

// Errors

#[test]
fn a_pipe_which_cannot_be_made_is_fatal() {
    let tree = Tree::new();
    let command = tree.cmd("fghack").args(["touch", "ran"]);
    let line = "fghack: fatal: unable to create pipe: process cannot open more files\n";
    command.under(["prlimit", "--nofile=4"]).run().is(111, "", line);
    assert!(!tree.exists("ran"));
}

#[test]
fn a_process_which_cannot_be_made_is_fatal() {
    let tree = Tree::new();
    tree.chmod("", 0o777);
    let command = tree.cmd("fghack").args(["touch", "ran"]);
    let line = "fghack: fatal: unable to fork: temporary failure\n";
    command.without_forks().run().is(111, "", line);
    assert!(!tree.exists("ran"));
}
