//! The system calls of the loaders. Every service starts through some of them. The numbers are
//! ceilings and today's needs: they may only go down.

use crate::traced;
use harness::strace_works;
use std::fs;
use std::path::Path;
use system::tree;

/// The system calls of a loader from its own start to that of its program, both included. For a
/// loader that stays: all of its own, and those of its child up to there. Returns their number and
/// the calls. strace pretends that changes of ids succeed.
#[track_caller]
fn calls(words: &[&str]) -> (usize, Vec<String>) {
    let tree = tree();
    for name in ["A", "B", "C", "D", "E"] {
        tree.write(Path::new("env").join(name), "value\n");
    }
    tree.write("file", "A=1\nB=2\nC=3\nD=4\nE=5\n");
    let program = tree.suite().program("true");
    let pretended = ["-e", "inject=setgroups,setgid,setuid,chdir:retval=0"];
    let command = traced(tree.cmd(words[0]), pretended);
    command.args(&words[1..]).arg(&program).run().is(0, "", "");
    let trace = tree.text("trace");
    let start = format!("execve(\"{}\"", program.display());
    let mut became = None;
    let mut again = 0;
    let mut found = Vec::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').expect("a process and what it did");
        let call = call.trim_start();
        // Under strace SIGCHLD interrupts a call, which starts again. Both count as one.
        if became != Some(pid) && call.contains("ERESTART") {
            again += 1;
        }
        // Signals, and the second halves of calls, are no calls.
        if became == Some(pid) || !call.starts_with(|first: char| first.is_ascii_lowercase()) {
            continue;
        }
        if call.starts_with(&start) {
            became = Some(pid);
        }
        found.push(line.to_owned());
    }
    assert!(became.is_some(), "no {start} in {trace}");
    (found.len() - again, found)
}

/// Asserts the largest number of system calls of a loader.
#[track_caller]
fn costs_at_most(words: &[&str], ceiling: usize) {
    if !strace_works(&tree()) {
        return;
    }
    let (count, calls) = calls(words);
    assert!(count <= ceiling, "{count} calls, not {ceiling}:\n{}", calls.join("\n"));
}

#[test]
fn envdir_with_five_files_makes_at_most_20_system_calls() {
    costs_at_most(&["envdir", "env"], 20);
}

#[test]
fn setuidgid_makes_at_most_8_system_calls() {
    // root is the first line of /etc/passwd. A later line may need another read.
    costs_at_most(&["setuidgid", "root"], 8);
}

#[test]
fn softlimit_with_one_limit_makes_at_most_4_system_calls() {
    costs_at_most(&["softlimit", "-o", "100"], 4);
}

#[test]
fn setlock_makes_at_most_4_system_calls() {
    costs_at_most(&["setlock", "lock"], 4);
}

#[test]
fn pgrphack_makes_at_most_3_system_calls() {
    costs_at_most(&["pgrphack"], 3);
}

#[test]
fn envuidgid_makes_at_most_5_system_calls() {
    costs_at_most(&["envuidgid", "root"], 5);
}

#[test]
fn envini_makes_at_most_6_system_calls() {
    costs_at_most(&["envini", "file"], 6);
}

#[test]
fn envfile_makes_at_most_6_system_calls() {
    costs_at_most(&["envfile", "file"], 6);
}

#[test]
fn setuser_makes_at_most_13_system_calls_and_one_for_every_2_kib_of_groups() {
    // root is the first line of /etc/passwd. /etc/group is read to its end.
    let groups = fs::read("/etc/group").map_or(0, |text| text.len());
    costs_at_most(&["setuser", "root"], 13 + groups.div_ceil(2048));
}

#[test]
fn fghack_makes_at_most_41_system_calls() {
    // 30 of them duplicate the pipe.
    costs_at_most(&["fghack"], 41);
}
