//! The pipes of loggers that run as other users.

use harness::{Process, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::path::PathBuf;
use system::{PROMPT, kill, tree};

/// What a logger's descriptor 0 is replaced by, again and again: an `O_PATH` descriptor, which needs
/// no right to the file.
const SWAPS: &str = r#"use POSIX;
sysopen(my $file, $ARGV[0], 0x200000) or die "open: $!";
my $pipe = POSIX::dup(0);
open(my $said, '>', 'said') and close($said);
while (1) { POSIX::dup2(fileno($file), 0); POSIX::dup2($pipe, 0); }
"#;

/// A logger's descriptor 0 is a pipe of its own, and another descriptor is the log pipe.
const OTHER_PIPE: &str = r#"use POSIX;
my $pipe = POSIX::dup(0);
my ($reader, $writer) = POSIX::pipe();
POSIX::dup2($reader, 0);
open(my $said, '>', 'said') and close($said);
sleep(1000);
"#;

/// A service whose logger runs a program as another user.
#[track_caller]
fn service_with_logger(tree: &Tree, program: &str) {
    let (user, uid, gid) = account();
    tree.service("s/a", "#!/bin/sh\necho from the service\nexec sleep 1000\n");
    let run = format!("#!/bin/sh\nexec setuidgid {user} perl ../../../program ../../../canary\n");
    tree.service("s/a/log", &run);
    std::os::unix::fs::chown(tree.path("s/a/log"), Some(uid), Some(gid)).expect("give it away");
    tree.write("program", program);
    tree.write("canary", "canary");
    tree.chmod("canary", 0o600);
}

/// The supervises of the service and of its logger.
fn supervises(tree: &Tree) -> [u32; 2] {
    ["a", "log"].map(|dir| {
        let find = || tree.find(&["supervise", dir]);
        wait_until("its supervise runs", PROMPT, || find().len() == 1);
        find()[0]
    })
}

/// Kills svscan and both supervises.
fn kill_supervisors(tree: &Tree, svscan: Process) {
    let supervises = supervises(tree);
    kill(svscan);
    for pid in supervises {
        process::signal(pid, Signal::KILL);
        process::wait_gone(pid);
    }
}

/// What the standard output of the service's supervise is, once both supervises run.
fn output(tree: &Tree) -> PathBuf {
    tree.wait_supervised("s/a");
    tree.wait_supervised("s/a/log");
    let [main, _] = supervises(tree);
    fs::read_link(format!("/proc/{main}/fd/1")).expect("it is open")
}

#[test]
fn a_logger_that_swaps_its_input_makes_svscan_open_no_other_file() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    service_with_logger(&tree, SWAPS);
    let mut svscan = tree.cmd("svscan").arg("s").start();
    wait_until("the logger swaps", PROMPT, || tree.exists("s/a/log/said"));
    for _ in 0..12 {
        kill_supervisors(&tree, svscan);
        svscan = tree.cmd("svscan").arg("s").start();
        let output = output(&tree);
        assert!(output.to_string_lossy().starts_with("pipe:["), "{}", output.display());
        assert!(!process::has_open(svscan.pid(), &tree.path("canary")));
    }
    assert_eq!(tree.text("canary"), "canary");
}

#[test]
fn a_logger_of_another_user_makes_svscan_take_no_other_pipe() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    service_with_logger(&tree, OTHER_PIPE);
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_until("the logger has its pipe", PROMPT, || tree.exists("s/a/log/said"));
    let logger = tree.wait_up("s/a/log");
    kill_supervisors(&tree, svscan);
    let svscan = tree.cmd("svscan").arg("s").start();
    let output = output(&tree);
    let foreign = fs::read_link(format!("/proc/{logger}/fd/0")).expect("it is open");
    assert_ne!(output, foreign);
    assert_eq!(
        svscan.stderr(),
        "svscan: warning: unable to get back the pipe from a to its logger: the logger runs as \
         another user, and its service has no such pipe; to connect them anew: svc -x a/log; \
         svc -dx a\n"
    );
}

#[test]
fn the_pipe_of_a_logger_of_another_user_is_recovered() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    service_with_logger(&tree, "sleep(1000);");
    let svscan = tree.cmd("svscan").arg("s").start();
    let logger = tree.wait_up("s/a/log");
    let before = || fs::read_link(format!("/proc/{logger}/fd/0")).expect("it is open");
    wait_until("the logger runs", PROMPT, || {
        process::arguments(logger).first().is_some_and(|name| name == "perl")
    });
    tree.wait_up("s/a");
    kill_supervisors(&tree, svscan);
    let svscan = tree.cmd("svscan").arg("s").start();
    assert_eq!(output(&tree), before());
    assert_eq!(svscan.stderr(), "");
}
