//! svscan: it runs a supervise for every directory, and one for its log.

use compliance::unusable_directories;
use harness::{DEADLINE, Process, Tree, process, wait_for, wait_until};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Starts svscan on the directory `s`. Makes `s` if it is missing.
fn svscan(tree: &Tree) -> Process {
    tree.mkdir("s");
    tree.cmd("svscan").arg("s").start()
}

/// Waits until svscan has scanned the directory again: it runs a service that was added just now.
#[track_caller]
fn another_scan(tree: &Tree, name: &str) {
    tree.idle_service(format!("real/{name}"));
    tree.symlink(format!("../real/{name}"), format!("s/{name}"));
    tree.wait_up(format!("s/{name}"));
}

/// Waits for the only supervise with this argument. Returns its pid.
#[track_caller]
fn supervise_of(tree: &Tree, name: &str) -> u32 {
    wait_for(&format!("a supervise {name}"), DEADLINE, || match tree.find(&["supervise", name])[..]
    {
        [pid] => Some(pid),
        _ => None,
    })
}

/// A logger that appends its input to `logged`.
const LOGGER: &str = "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n";

/// A service that prints the bytes written to its FIFO `say`.
const SPEAKER: &str =
    "#!/bin/sh\nexec 5<>say\necho $$ >>started\nwhile read -r line <&5; do echo \"$line\"; done\n";

#[track_caller]
fn speaker(tree: &Tree, dir: &str) {
    tree.fifo(format!("{dir}/say"), 0o600);
    tree.service(dir, SPEAKER);
}

#[track_caller]
fn say(tree: &Tree, dir: &str, line: &str) {
    tree.sh(&format!("echo {line} >{dir}/say")).run().is(0, "", "");
}

// The directory

#[test]
fn the_directory_must_be_one() {
    let tree = Tree::new();
    unusable_directories(&tree);
    let long = "x".repeat(300);
    for (dir, error) in [
        ("none", "file does not exist"),
        ("no//../such/", "file does not exist"),
        ("", "file does not exist"),
        ("file", "not a directory"),
        ("loop", "symbolic link loop"),
        ("closed", "access denied"),
        (&long, "file name too long"),
    ] {
        let line = format!("svscan: fatal: unable to chdir to {dir}: {error}\n");
        tree.cmd("svscan").arg(dir).unprivileged().run().is(111, "", line);
    }
}

#[test]
fn the_current_directory_is_the_default() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let _svscan = tree.cmd("svscan").cwd("s").start();
    tree.wait_up("s/a");
}

#[test]
fn a_second_argument_which_is_no_directory_does_no_harm() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").args(["s", "none"]).start();
    tree.wait_up("s/a");
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_directory_which_cannot_be_read_is_a_warning_until_it_can() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    tree.chmod("s", 0o311);
    let svscan = tree.cmd("svscan").arg("s").unprivileged().start();
    svscan.wait_stderr("svscan: warning: unable to read directory: access denied\n");
    assert!(!tree.exists("s/a/supervise"));
    tree.chmod("s", 0o755);
    tree.wait_up("s/a");
}

#[test]
fn svscan_runs_on_an_empty_directory() {
    let tree = Tree::new();
    let mut svscan = svscan(&tree);
    another_scan(&tree, "a");
    another_scan(&tree, "b");
    assert!(!svscan.has_ended());
    assert_eq!((svscan.stdout(), svscan.stderr()), (String::new(), String::new()));
}

// What is a service

#[test]
fn every_directory_gets_a_supervise() {
    let tree = Tree::new();
    for name in ["a", "b", "c"] {
        tree.idle_service(format!("s/{name}"));
    }
    let svscan = svscan(&tree);
    for name in ["a", "b", "c"] {
        tree.wait_up(format!("s/{name}"));
        let supervise = supervise_of(&tree, name);
        assert_eq!(process::parent(supervise), Some(svscan.pid()));
        assert_eq!(process::directory(supervise), Some(tree.path("s").join(name)));
    }
    assert_eq!((svscan.stdout(), svscan.stderr()), (String::new(), String::new()));
}

#[test]
fn links_to_directories_are_services() {
    let tree = Tree::new();
    tree.idle_service("real/a");
    tree.symlink("../real/a", "s/link");
    tree.idle_service("real/b");
    tree.symlink(tree.path("real/b"), "s/absolute");
    let _svscan = svscan(&tree);
    tree.wait_up("real/a");
    tree.wait_up("real/b");
    supervise_of(&tree, "link");
    supervise_of(&tree, "absolute");
}

#[test]
fn names_with_a_dot_in_front_are_skipped() {
    let tree = Tree::new();
    tree.idle_service("s/.a");
    tree.idle_service("s/...");
    tree.idle_service("s/a.b.");
    tree.symlink("nowhere", "s/.dangling");
    let svscan = svscan(&tree);
    tree.wait_up("s/a.b.");
    another_scan(&tree, "last");
    assert!(!tree.exists("s/.a/supervise"));
    assert!(!tree.exists("s/.../supervise"));
    assert_eq!(svscan.stderr(), "");
    // A name with a dot hides a directory until it is complete.
    tree.rename("s/.a", "s/a");
    tree.wait_up("s/a");
}

#[test]
fn files_other_than_directories_are_skipped_silently() {
    let tree = Tree::new();
    tree.write("s/file", "");
    tree.fifo("s/fifo", 0o600);
    tree.symlink("file", "s/link");
    tree.symlink("/dev/null", "s/device");
    let svscan = svscan(&tree);
    another_scan(&tree, "a");
    another_scan(&tree, "b");
    assert_eq!(svscan.stderr(), "");
    assert_eq!(process::descendants(svscan.pid()).len(), 4);
}

#[test]
fn a_link_which_leads_nowhere_is_a_warning_until_it_leads_somewhere() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    tree.symlink("../real/b", "s/b");
    tree.symlink("loop", "s/loop");
    let svscan = svscan(&tree);
    svscan.wait_stderr("svscan: warning: unable to stat b: file does not exist\n");
    svscan.wait_stderr("svscan: warning: unable to stat loop: symbolic link loop\n");
    tree.wait_up("s/a");
    tree.idle_service("real/.b");
    tree.rename("real/.b", "real/b");
    tree.wait_up("s/b");
}

#[test]
fn new_services_are_found() {
    let tree = Tree::new();
    let _svscan = svscan(&tree);
    another_scan(&tree, "link");
    tree.idle_service("s/.dir");
    tree.rename("s/.dir", "s/dir");
    tree.wait_up("s/dir");
    tree.idle_service("real/moved");
    tree.rename("real/moved", "s/moved");
    tree.wait_up("s/moved");
}

#[test]
fn a_directory_without_run_is_a_service_too() {
    let tree = Tree::new();
    tree.mkdir("s/a");
    let svscan = svscan(&tree);
    svscan.wait_stderr("supervise: fatal: unable to start a/run: file does not exist\n");
    tree.wait_supervised("s/a");
}

#[test]
fn names_may_hold_any_bytes() {
    let tree = Tree::new();
    let names: [&[u8]; 8] =
        [b"with space", b" ", b"new\nline", b"\xff\xfe", b"-x", b"--", b"*?'\"\\$", &[b'n'; 255]];
    for name in names {
        tree.idle_service(Path::new("s").join(OsStr::from_bytes(name)));
    }
    let svscan = svscan(&tree);
    for name in names {
        tree.wait_up(Path::new("s").join(OsStr::from_bytes(name)));
    }
    let mut started: Vec<OsString> = process::descendants(svscan.pid())
        .into_iter()
        .filter(|&pid| process::parent(pid) == Some(svscan.pid()))
        .filter_map(|pid| process::arguments(pid).into_iter().nth(1))
        .collect();
    let mut wanted: Vec<OsString> =
        names.iter().map(|name| OsStr::from_bytes(name).to_owned()).collect();
    started.sort();
    wanted.sort();
    assert_eq!(started, wanted);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn there_may_be_many_services() {
    let tree = Tree::new();
    let names: Vec<String> = (0..40).map(|number| format!("s/{number}")).collect();
    for name in &names {
        tree.idle_service(name);
        tree.write(format!("{name}/down"), "");
    }
    let svscan = svscan(&tree);
    for name in &names {
        tree.wait_supervised(name);
    }
    assert_eq!(process::descendants(svscan.pid()).len(), 40);
}

// One directory, one service

#[test]
fn two_links_to_one_directory_are_one_service() {
    let tree = Tree::new();
    tree.idle_service("real/a");
    tree.symlink("../real/a", "s/one");
    tree.symlink("../real/a", "s/two");
    let svscan = svscan(&tree);
    tree.wait_up("real/a");
    another_scan(&tree, "b");
    tree.symlink("../real/a", "s/three");
    another_scan(&tree, "c");
    assert_eq!(svscan.stderr(), "");
    let count = |name: &str| tree.find(&["supervise", name]).len();
    assert_eq!(count("one") + count("two") + count("three"), 1);
}

#[test]
fn a_link_which_was_renamed_is_the_same_service() {
    let tree = Tree::new();
    tree.idle_service("real/a");
    tree.symlink("../real/a", "s/old");
    let svscan = svscan(&tree);
    let pid = tree.wait_up("real/a");
    let supervise = supervise_of(&tree, "old");
    tree.rename("s/old", "s/new");
    another_scan(&tree, "b");
    another_scan(&tree, "c");
    let renamed = tree.suite().differs("ours shows the new name of a link in ps and in messages");
    let name = if renamed { "new" } else { "old" };
    assert_eq!(supervise_of(&tree, name), supervise);
    assert_eq!(tree.wait_up("real/a"), pid);
    // The next start uses the new name.
    tree.svc("-dx", "real/a");
    process::wait_gone(supervise);
    supervise_of(&tree, "new");
    tree.wait_restart("real/a", pid);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn without_a_link_an_ended_supervise_is_not_started_again() {
    let tree = Tree::new();
    tree.idle_service("real/a");
    tree.symlink("../real/a", "s/a");
    let _svscan = svscan(&tree);
    let pid = tree.wait_up("real/a");
    let supervise = supervise_of(&tree, "a");
    tree.remove("s/a");
    // Ours stops it after the removal, perhaps before svc sends its letters.
    let output = tree.cmd("svc").args(["-dx", "real/a"]).run();
    assert_eq!(output.code, Some(0));
    process::wait_gone(supervise);
    assert!(!process::is_alive(pid));
    another_scan(&tree, "b");
    another_scan(&tree, "c");
    assert!(!tree.is_supervised("real/a"));
    // A new link is a new service.
    tree.symlink("../real/a", "s/again");
    tree.wait_restart("real/a", pid);
    supervise_of(&tree, "again");
}

// Restarts

#[test]
fn a_supervise_which_ended_is_started_again() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let _svscan = svscan(&tree);
    let pid = tree.wait_up("s/a");
    let first = supervise_of(&tree, "a");
    tree.svc("-dx", "s/a");
    process::wait_gone(first);
    tree.wait_restart("s/a", pid);
    assert_ne!(supervise_of(&tree, "a"), first);
}

#[test]
fn a_supervise_which_was_killed_is_started_again() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    tree.write("s/a/down", "");
    let _svscan = svscan(&tree);
    tree.wait_supervised("s/a");
    let first = supervise_of(&tree, "a");
    process::signal(first, harness::Signal::KILL);
    process::wait_gone(first);
    tree.wait_supervised("s/a");
    assert_ne!(supervise_of(&tree, "a"), first);
}

#[test]
fn svscan_takes_over_when_another_supervise_ends() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let old = tree.supervise("s/a");
    let pid = tree.wait_up("s/a");
    let svscan = svscan(&tree);
    let quiet = tree.suite().differs("ours waits silently while another supervise runs");
    if !quiet {
        let refused = "supervise: fatal: unable to acquire a/supervise/lock: temporary failure";
        svscan.wait_stderr(refused);
    }
    assert_eq!(tree.wait_up("s/a"), pid);
    tree.svc("-dx", "s/a");
    old.wait().is(0, "", "");
    tree.wait_restart("s/a", pid);
    supervise_of(&tree, "a");
}

#[test]
fn supervises_survive_a_killed_svscan() {
    let tree = Tree::new();
    tree.service("s/a/log", LOGGER);
    speaker(&tree, "s/a");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let pid = tree.wait_up("s/a");
    let logger = tree.wait_up("s/a/log");
    svscan.kill();
    say(&tree, "s/a", "after");
    tree.wait_text("s/a/log/logged", "after\n");
    tree.svc("-c", "s/a");
    assert_eq!(tree.wait_up("s/a"), pid);
    assert_eq!(tree.wait_up("s/a/log"), logger);
}

// Loggers

#[test]
fn what_a_service_prints_goes_to_its_logger() {
    let tree = Tree::new();
    tree.service("s/a", "#!/bin/sh\necho hello\necho oops >&2\nexec sleep 1000\n");
    tree.service("s/a/log", LOGGER);
    let svscan = svscan(&tree);
    tree.wait_text("s/a/log/logged", "hello\n");
    svscan.wait_stderr("oops\n");
    assert_eq!(svscan.stdout(), "");
    assert_eq!(svscan.stderr(), "oops\n");
    assert_eq!(tree.text("s/a/log/logged"), "hello\n");
    let supervise = supervise_of(&tree, "log");
    assert_eq!(process::directory(supervise), Some(tree.path("s/a/log")));
    assert_eq!(process::parent(supervise), Some(svscan.pid()));
}

#[test]
fn what_a_logger_prints_and_a_service_without_one_goes_where_svscan_prints() {
    let tree = Tree::new();
    tree.service("s/a", "#!/bin/sh\necho hello\nexec sleep 1000\n");
    tree.service("s/b", "#!/bin/sh\nexec sleep 1000\n");
    tree.service("s/b/log", "#!/bin/sh\necho logger\necho oops >&2\nexec sleep 1000\n");
    let svscan = svscan(&tree);
    wait_until("both have printed", DEADLINE, || {
        let text = svscan.stdout();
        text.contains("hello\n") && text.contains("logger\n")
    });
    svscan.wait_stderr("oops\n");
}

#[test]
fn a_log_is_no_service_of_its_own_and_may_be_a_link() {
    let tree = Tree::new();
    tree.service("s/a", "#!/bin/sh\necho hello\nexec sleep 1000\n");
    tree.service("real/log", LOGGER);
    tree.symlink("../../real/log", "s/a/log");
    tree.service("s/b", "#!/bin/sh\nexec sleep 1000\n");
    tree.symlink("nowhere", "s/b/log");
    let svscan = svscan(&tree);
    tree.wait_text("real/log/logged", "hello\n");
    tree.wait_up("s/b");
    assert_eq!(svscan.stderr(), "");
    assert_eq!(tree.find(&["supervise", "log"]).len(), 1);
}

#[test]
fn a_log_which_cannot_be_looked_at_is_a_warning_and_nothing_starts() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    tree.symlink("log", "s/a/log");
    let svscan = svscan(&tree);
    svscan.wait_stderr("svscan: warning: unable to stat a/log: symbolic link loop\n");
    another_scan(&tree, "b");
    assert!(!tree.exists("s/a/supervise"));
    tree.remove("s/a/log");
    tree.wait_up("s/a");
}

#[test]
fn logger_and_service_restart_without_losing_anything() {
    let tree = Tree::new();
    tree.service("s/a/log", LOGGER);
    speaker(&tree, "s/a");
    let _svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let logger = tree.wait_up("s/a/log");
    say(&tree, "s/a", "one");
    tree.wait_text("s/a/log/logged", "one\n");
    // The pipe keeps a line while no logger reads.
    tree.svc("-d", "s/a/log");
    tree.wait_down("s/a/log");
    say(&tree, "s/a", "two");
    tree.svc("-u", "s/a/log");
    tree.wait_text("s/a/log/logged", "one\ntwo\n");
    // The exit of the service is no end of file for the logger.
    let logger = tree.wait_restart("s/a/log", logger);
    tree.wait_lines("s/a/log/started", 2);
    let service = tree.wait_up("s/a");
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", service);
    say(&tree, "s/a", "three");
    tree.wait_text("s/a/log/logged", "one\ntwo\nthree\n");
    assert_eq!(tree.wait_up("s/a/log"), logger);
    // The pipe outlives both supervises.
    let supervise = supervise_of(&tree, "log");
    tree.svc("-dx", "s/a/log");
    process::wait_gone(supervise);
    say(&tree, "s/a", "four");
    tree.wait_text("s/a/log/logged", "one\ntwo\nthree\nfour\n");
    let supervise = supervise_of(&tree, "a");
    tree.svc("-dx", "s/a");
    process::wait_gone(supervise);
    tree.wait_up("s/a");
    say(&tree, "s/a", "five");
    tree.wait_text("s/a/log/logged", "one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn every_service_has_a_pipe_of_its_own() {
    let tree = Tree::new();
    for name in ["a", "b"] {
        tree.service(format!("s/{name}"), &format!("#!/bin/sh\necho {name}\nexec sleep 1000\n"));
        tree.service(format!("s/{name}/log"), LOGGER);
    }
    let _svscan = svscan(&tree);
    for name in ["a", "b"] {
        tree.wait_lines(format!("s/{name}/log/logged"), 1);
        assert_eq!(tree.text(format!("s/{name}/log/logged")), format!("{name}\n"));
    }
}

// What services inherit

/// The open descriptors of a service that sleeps.
fn open_files(pid: u32) -> Vec<(i32, PathBuf)> {
    process::wait_asleep(pid, "sleep");
    process::descriptors(pid)
}

#[test]
fn only_descriptors_that_svscan_inherited_are_passed_on() {
    let tree = Tree::new();
    let run = "#!/bin/sh\nexec sleep 1000\n";
    for dir in ["s/a", "s/b", "s/b/log", "s/c", "s/c/log"] {
        tree.service(dir, run);
    }
    tree.write("in", "");
    let open = "exec 0<in 7<in 9>>out;";
    // Both include the descriptors that the tests inherited.
    let reference = tree.sh(&format!("{open} exec sleep 1000")).start();
    let svscan = tree.sh(&format!("{open} exec svscan s")).start();
    let numbers = |files: &[(i32, PathBuf)]| files.iter().map(|f| f.0).collect::<Vec<_>>();
    let wanted = numbers(&open_files(reference.pid()));
    let of = |dir: &str| {
        let files = open_files(tree.wait_up(dir));
        assert_eq!(numbers(&files), wanted, "{dir}: {files:?}");
        assert!(files.contains(&(7, tree.path("in"))), "{dir}: {files:?}");
        assert!(files.contains(&(9, tree.path("out"))), "{dir}: {files:?}");
        files
    };
    let plain = of("s/a");
    assert!(plain.contains(&(0, tree.path("in"))));
    let (service, logger) = (of("s/b"), of("s/b/log"));
    assert!(service.contains(&(0, tree.path("in"))));
    assert_eq!(service[1].1, logger[0].1, "one pipe");
    assert!(logger[0].1.to_string_lossy().starts_with("pipe:"));
    assert_eq!(logger[1].1, plain[1].1);
    let (other_service, other_logger) = (of("s/c"), of("s/c/log"));
    assert_eq!(other_service[1].1, other_logger[0].1, "one pipe");
    assert_ne!(other_service[1].1, service[1].1, "not the same");
    drop(svscan);
}

#[test]
fn the_environment_and_process_group_are_passed_on() {
    let tree = Tree::new();
    tree.trapping_service("s/a", &[]);
    tree.trapping_service("s/a/log", &[]);
    let svscan = tree
        .cmd("svscan")
        .arg("s")
        .env("EMPTY", "")
        .env("BYTES", OsStr::from_bytes(b"\xfe\xff=x\ny"))
        .start();
    for dir in ["s/a", "s/a/log"] {
        tree.wait_lines(format!("{dir}/started"), 1);
        let pid = tree.wait_up(dir);
        assert_eq!(process::environment(pid), process::environment(svscan.pid()));
        assert_eq!(process::group(pid), process::group(svscan.pid()));
    }
}

#[test]
fn umask_limits_and_signals_are_passed_on() {
    let tree = Tree::new();
    let look = "umask; ulimit -n; exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
    tree.service("s/a", &format!("#!/bin/sh\nexec >found\n{look}\n"));
    tree.service("s/a/log", &format!("#!/bin/sh\nexec >found\n{look}\n"));
    let settings = "umask 027; ulimit -n 99; trap '' USR1 PIPE;";
    let wanted = tree.sh(&format!("{settings} {look}")).run().out();
    let _svscan = tree.sh(&format!("{settings} exec svscan s")).start();
    for dir in ["s/a", "s/a/log"] {
        let got = tree.wait_lines(format!("{dir}/found"), 4);
        assert_eq!(got, wanted.lines().collect::<Vec<_>>());
    }
}

// Limits

#[test]
fn a_failing_fork_is_a_warning_and_svscan_goes_on() {
    let tree = Tree::new();
    tree.mkdir("s/a");
    tree.mkdir("s/b");
    let mut svscan = tree.cmd("svscan").arg("s").without_forks().start();
    svscan.wait_stderr("svscan: warning: unable to fork for a: temporary failure\n");
    svscan.wait_stderr("svscan: warning: unable to fork for b: temporary failure\n");
    assert!(!svscan.has_ended());
}

// Finding supervise

/// A replacement for supervise that records its arguments.
const STAND_IN: &str = "#!/bin/sh\necho \"$# $1 in ${PWD##*/}\" >>\"$CALLS\"\nexec sleep 1000\n";

#[test]
fn supervise_is_searched_in_path() {
    let tree = Tree::new();
    tree.mkdir("s/a/log");
    tree.mkdir("s/b");
    tree.write("first/supervise", STAND_IN);
    tree.mkdir("second/supervise");
    tree.script("third/supervise", STAND_IN);
    // The search skips missing, unexecutable and non-regular files.
    let dirs = ["none", "first", "second", "third"].map(|dir| tree.path(dir).into_os_string());
    let mut path = dirs.join(OsStr::new(":"));
    path.push(":/usr/bin:/bin");
    let svscan =
        tree.cmd("svscan").arg("s").env("PATH", path).env("CALLS", tree.path("calls")).start();
    let mut calls = tree.wait_lines("calls", 3);
    calls.sort();
    assert_eq!(calls, ["1 a in s", "1 b in s", "1 log in a"]);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn an_empty_component_of_path_is_the_current_directory() {
    let tree = Tree::new();
    tree.mkdir("s/a");
    tree.script("s/supervise", STAND_IN);
    let _svscan = tree
        .cmd("svscan")
        .arg("s")
        .env("PATH", ":/usr/bin:/bin")
        .env("CALLS", tree.path("calls"))
        .start();
    assert_eq!(tree.wait_lines("calls", 1), ["1 a in s"]);
}

#[test]
fn a_supervise_which_cannot_be_started_is_a_warning() {
    let tree = Tree::new();
    tree.mkdir("s/a/log");
    tree.mkdir("none");
    tree.write("mode/supervise", STAND_IN);
    tree.script("plain/supervise", "exit 0\n");
    tree.write("file", "");
    for (path, error) in [
        ("none", "file does not exist"),
        ("mode", "access denied"),
        ("plain", "exec format error"),
        ("file", "not a directory"),
    ] {
        let svscan = tree.cmd("svscan").arg("s").env("PATH", tree.path(path)).start();
        for name in ["a", "a/log"] {
            let line = format!("svscan: warning: unable to start supervise {name}: {error}\n");
            svscan.wait_stderr(&line);
        }
    }
}
