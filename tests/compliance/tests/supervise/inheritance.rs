//! What `run` inherits.

use crate::finish;
use harness::{Tree, process};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

#[test]
fn run_gets_its_name_and_no_arguments() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho \"$0 $#\" >name\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_lines("a/name", 1), ["./run 0"]);
    finish(&tree, supervise, "a");
}

#[test]
fn run_starts_in_the_service_directory_with_supervises_environment_and_process_group() {
    let tree = Tree::new();
    tree.trapping_service("some/where/a", &[]);
    let dir = "./some/where/a";
    let supervise = tree
        .cmd("supervise")
        .arg(dir)
        .env("EMPTY", "")
        .env("BYTES", OsStr::from_bytes(b"\xfe\xff=x\ny"))
        .env_remove("PATH")
        .start();
    tree.wait_lines("some/where/a/started", 1);
    let pid = tree.wait_up(dir);
    assert_eq!(process::directory(pid), Some(tree.path("some/where/a")));
    assert_eq!(process::group(pid), process::group(supervise.pid()));
    let environment = process::environment(pid);
    assert_eq!(environment, process::environment(supervise.pid()));
    assert_eq!(environment.len(), 3);
}

#[test]
fn run_inherits_only_the_descriptors_that_supervise_inherited() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("in", "");
    let open = "exec 0<in 7<in 9>>out;";
    // Both include the descriptors that the tests inherited.
    let reference = tree.sh(&format!("{open} exec sleep 1000")).start();
    let _supervise = tree.sh(&format!("{open} exec supervise a")).start();
    let descriptors = |pid: u32| {
        process::wait_asleep(pid, "sleep");
        process::descriptors(pid)
    };
    let wanted = descriptors(reference.pid());
    let got = descriptors(tree.wait_up("a"));
    let numbers = |list: &[(i32, std::path::PathBuf)]| list.iter().map(|d| d.0).collect::<Vec<_>>();
    assert_eq!(numbers(&got), numbers(&wanted), "{got:?}");
    for (number, name) in [(0, "in"), (7, "in"), (9, "out")] {
        assert!(got.contains(&(number, tree.path(name))), "{got:?}");
    }
}

#[test]
fn run_uses_the_standard_streams_of_supervise() {
    let tree = Tree::new();
    tree.service(
        "a",
        "#!/bin/sh\nread -r line\necho \"got $line\"\necho oops >&2\nexec sleep 1000\n",
    );
    let supervise = tree.cmd("supervise").arg("a").stdin("hello\n").start();
    supervise.wait_stderr("oops\n");
    assert_eq!(supervise.stdout(), "got hello\n");
    assert_eq!(supervise.stderr(), "oops\n");
}

#[test]
fn run_inherits_umask_and_limits() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\n(umask; ulimit -n; ulimit -c) >found\nexec sleep 1000\n");
    let _supervise = tree.sh("umask 027; ulimit -n 77; ulimit -c 0; exec supervise a").start();
    assert_eq!(tree.wait_lines("a/found", 3), ["0027", "77", "0"]);
}

#[test]
fn run_inherits_ignored_signals_and_a_clean_mask() {
    let tree = Tree::new();
    let look = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
    tree.service("a", &format!("#!/bin/sh\nexec 2>&1 >found\n{look}\n"));
    tree.service("b", &format!("#!/bin/sh\nexec 2>&1 >found\n{look}\n"));
    for (dir, traps) in [("a", ""), ("b", "trap '' HUP USR1 PIPE QUIT;")] {
        let wanted = tree.sh(&format!("{traps} {look}")).run().out();
        let _supervise = tree.sh(&format!("{traps} exec supervise {dir}")).start();
        let got = tree.wait_lines(format!("{dir}/found"), 2);
        assert_eq!(got, wanted.lines().collect::<Vec<_>>());
    }
}

#[test]
fn supervise_sees_exits_when_sigchld_was_ignored() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 0\n");
    let supervise = tree.sh("trap '' CHLD; exec supervise a").start();
    tree.wait_lines("a/started", 3);
    finish(&tree, supervise, "a");
}
