//! svscan: what it does better than the original.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, skip, wait_for, wait_until};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use system::{
    PROMPT, Terminal, assert_calm, assert_idle, count, find_below, leaves, tree, wait_all_gone,
    wait_settled,
};

/// Longer than a link may be gone without consequences.
const GRACE: Duration = Duration::from_millis(1500);

/// `svscan s`, in whose services `$ORDER` names the file `order`.
fn command(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("s");
    tree.cmd("svscan").env("ORDER", tree.path("order"))
}

fn svscan(tree: &Tree) -> Process {
    command(tree).arg("s").start()
}

/// Makes an idle service elsewhere, and a link to it.
#[track_caller]
fn link(tree: &Tree, name: &str) {
    tree.idle_service(format!("real/{name}"));
    tree.symlink(format!("../real/{name}"), format!("s/{name}"));
}

/// Waits until a service is there at once.
#[track_caller]
fn comes_soon(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let dir = dir.as_ref();
    wait_until(&format!("{} is supervised", dir.display()), PROMPT, || tree.is_supervised(dir));
    tree.wait_up(dir)
}

/// A service which writes `start NAME` and, when it is told to end, `stop NAME` to `$ORDER`, with
/// something in between; and says `last words`.
#[track_caller]
fn orderly(tree: &Tree, dir: impl AsRef<Path>, name: &str, before_stop: &str) -> PathBuf {
    tree.service(
        dir,
        &format!(
            "#!/bin/sh\ntrap '{before_stop}\necho last words; echo stop {name} >>\"$ORDER\"; \
             exit 0' TERM\n[ -p idle ] || mkfifo idle\nexec 8<>idle\n\
             echo start {name} >>\"$ORDER\"\nwhile :; do read -r line <&8; done\n"
        ),
    )
}

/// A logger which appends what it reads to `logged`, and writes `stop NAME/log` to `$ORDER` at the
/// end of its input. Its starts are in `started`.
#[track_caller]
fn logger(tree: &Tree, dir: impl AsRef<Path>, name: &str) {
    tree.service(
        dir.as_ref().join("log"),
        &format!(
            "#!/bin/sh\necho $$ >>started\n\
             while read -r line; do echo \"$line\"; done >>logged\n\
             echo stop {name}/log >>\"$ORDER\"\n"
        ),
    );
}

/// Waits for so many lines in `order`, and returns them.
#[track_caller]
fn order(tree: &Tree, lines: usize) -> Vec<String> {
    tree.wait_lines("order", lines)
}

/// Lets a link lead to another directory, in one step.
#[track_caller]
fn replace(tree: &Tree, target: &str, name: &str) {
    tree.symlink(target, "s/.new");
    tree.rename("s/.new", name);
}

// What comes and goes

#[test]
fn a_new_link_is_followed_at_once() {
    let tree = tree();
    link(&tree, "first");
    let svscan = svscan(&tree);
    tree.wait_up("s/first");
    for name in ["b", "c", "d"] {
        link(&tree, name);
        comes_soon(&tree, format!("s/{name}"));
    }
    // So is a directory, and what was called otherwise before.
    tree.idle_service("s/.dir");
    tree.rename("s/.dir", "s/dir");
    comes_soon(&tree, "s/dir");
    assert_eq!((svscan.stdout(), svscan.stderr()), (String::new(), String::new()));
}

#[test]
fn what_happens_to_one_service_does_not_look_at_all_of_them() {
    let tree = tree();
    if tree.sh("exec strace -o trial true").run().code != Some(0) {
        return skip("strace is needed, and does not work here");
    }
    link(&tree, "first");
    let strace = ["strace", "-qq", "-y", "-o", "calls", "-e", "trace=getdents64,openat"];
    let tracer = command(&tree).arg("s").under(strace).start();
    let service = tree.wait_up("s/first");
    let parent = |pid| process::parent(pid).expect("it has a parent");
    let supervise = parent(service);
    let svscan = parent(supervise);
    // It hears of the new directory and of the link at the same time.
    process::signal(svscan, Signal::STOP);
    tree.wait_text("calls", "stopped by SIGSTOP");
    link(&tree, "second");
    process::signal(svscan, Signal::CONT);
    comes_soon(&tree, "s/second");
    process::signal(supervise, Signal::KILL);
    wait_until("there is another supervise", PROMPT, || {
        !process::is_alive(supervise) && tree.is_supervised("s/first")
    });
    // What it did because of these it has done before this.
    link(&tree, "third");
    comes_soon(&tree, "s/third");
    process::signal(svscan, Signal::TERM);
    tracer.wait();
    let calls = tree.text("calls");
    // The names, and their end.
    let scans = calls.lines().filter(|call| call.starts_with("getdents64") && call.contains("/s>"));
    assert_eq!(scans.count(), 2, "{calls}");
    assert!(!calls.contains("/proc/locks"), "{calls}");
}

#[test]
fn services_get_the_descriptors_that_svscan_was_started_with() {
    let tree = tree();
    let run = "#!/bin/sh\nreadlink /proc/$$/fd/9 >>nine\n";
    for (dir, program) in [("s/a", "sleep 1000"), ("s/b", "sleep 1000"), ("s/b/log", "cat >logged")]
    {
        tree.service(dir, &format!("{run}exec {program}\n"));
    }
    tree.write("nine", "");
    let svscan = tree.sh("exec 9<nine; exec svscan s").start();
    let nine = tree.path("nine").canonicalize().expect("it was made");
    for dir in ["s/a", "s/b", "s/b/log"] {
        assert_eq!(tree.wait_lines(format!("{dir}/nine"), 1), [nine.to_str().expect("a path")]);
    }
    svscan.signal(Signal::TERM);
    leaves(svscan);
}

#[test]
fn a_renamed_link_changes_nothing_and_a_removed_one_ends_the_service() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "witness");
    let svscan = svscan(&tree);
    let pid = tree.wait_up("s/a");
    let witness = tree.wait_up("s/witness");
    let before = tree.status("s/a");
    tree.rename("s/a", "s/b");
    // What was removed after it is ended after it would have been.
    tree.remove("s/witness");
    tree.wait_unsupervised("real/witness");
    assert!(!process::is_alive(witness));
    assert_eq!(tree.status("real/a"), before);
    assert!(process::is_alive(pid));
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_link_which_comes_back_soon_was_never_gone() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "witness");
    let _svscan = svscan(&tree);
    let pid = tree.wait_up("s/a");
    tree.wait_up("s/witness");
    let before = tree.status("s/a");
    for _ in 0..3 {
        tree.remove("s/a");
        tree.symlink("../real/a", "s/a");
    }
    tree.remove("s/a");
    tree.symlink("../real/a", "s/other");
    tree.remove("s/witness");
    tree.wait_unsupervised("real/witness");
    assert_eq!(tree.status("real/a"), before);
    assert!(process::is_alive(pid));
}

#[test]
fn a_service_lives_as_long_as_one_of_its_names() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "witness");
    tree.symlink("../real/a", "s/b");
    let svscan = svscan(&tree);
    let pid = tree.wait_up("real/a");
    tree.wait_up("s/witness");
    tree.remove("s/a");
    tree.remove("s/witness");
    tree.wait_unsupervised("real/witness");
    assert_eq!(tree.wait_up("real/a"), pid);
    // The name that is left is the one it has now.
    wait_settled(&tree, "real/a");
    let supervise = process::parent(pid).expect("it has a parent");
    process::signal(supervise, Signal::KILL);
    let _again = find_below(svscan.pid(), &["supervise", "b"]);
    tree.remove("s/b");
    tree.wait_unsupervised("real/a");
}

#[test]
fn a_removed_link_ends_the_service_then_its_logger_and_nothing_is_lost() {
    let tree = tree();
    orderly(&tree, "real/a", "a", "seq 2000");
    logger(&tree, "real/a", "a");
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    order(&tree, 1);
    tree.wait_lines("real/a/log/started", 1);
    let supervises = process::descendants(svscan.pid());
    assert_eq!(supervises.len(), 4);
    let removed = Instant::now();
    tree.remove("s/a");
    wait_all_gone(&supervises);
    assert!(removed.elapsed() < Duration::from_secs(10));
    assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
    let mut wanted: Vec<String> = (1..=2000).map(|n: u32| n.to_string()).collect();
    wanted.push("last words".into());
    assert_eq!(tree.wait_lines("real/a/log/logged", 1), wanted);
    assert_eq!(tree.wait_lines("real/a/log/started", 1).len(), 1);
    assert_eq!(svscan.stderr(), "");
    // It can be had again.
    tree.symlink("../real/a", "s/again");
    comes_soon(&tree, "real/a");
    assert_eq!(order(&tree, 4)[3], "start a");
}

#[test]
fn a_link_which_leads_to_no_directory_any_more_ends_the_service() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "b");
    tree.write("file", "");
    let svscan = svscan(&tree);
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    replace(&tree, "../file", "s/a");
    tree.wait_unsupervised("real/a");
    replace(&tree, "../nowhere", "s/b");
    tree.wait_unsupervised("real/b");
    svscan.wait_stderr("svscan: warning: unable to stat b: file does not exist\n");
}

#[test]
fn with_k_a_service_outlives_its_link() {
    let tree = tree();
    for name in ["a", "b", "c"] {
        link(&tree, name);
    }
    let svscan = command(&tree).args(["-k", "s"]).start();
    let pids = ["a", "b", "c"].map(|name| tree.wait_up(format!("real/{name}")));
    let removed = Instant::now();
    for name in ["a", "b", "c"] {
        tree.remove(format!("s/{name}"));
    }
    wait_until("the grace is over", DEADLINE, || removed.elapsed() > GRACE);
    svscan.signal(Signal::HUP);
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    for (name, pid) in ["a", "b", "c"].into_iter().zip(pids) {
        assert_eq!(tree.wait_up(format!("real/{name}")), pid);
    }
    // One that is ended does not come back; one that has a link again is a service again; what is
    // left over ends with everything.
    tree.svc("-dx", "real/a");
    tree.wait_unsupervised("real/a");
    tree.symlink("../real/b", "s/b");
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert!(pids.into_iter().all(|pid| !process::is_alive(pid)));
    assert_eq!(tree.wait_lines("real/a/started", 1).len(), 1);
}

#[test]
fn a_replaced_link_ends_the_old_service_before_the_new_one_starts() {
    let tree = tree();
    orderly(&tree, "real/one", "one", "sleep .3");
    orderly(&tree, "real/two", "two", "");
    logger(&tree, "real/one", "one");
    tree.symlink("../real/one", "s/x");
    let svscan = svscan(&tree);
    order(&tree, 1);
    tree.wait_lines("real/one/log/started", 1);
    replace(&tree, "../real/two", "s/x");
    assert_eq!(order(&tree, 4), ["start one", "stop one", "stop one/log", "start two"]);
    // The other way, in two steps.
    tree.remove("s/x");
    tree.symlink("../real/one", "s/x");
    let lines = order(&tree, 6);
    assert_eq!(lines[4..], ["stop two", "start one"]);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_link_replaced_twice_waits_for_the_first_service() {
    let tree = tree();
    orderly(
        &tree,
        "real/one",
        "one",
        "echo told >>\"$ORDER\"; until [ -e go ]; do sleep .05; done",
    );
    orderly(&tree, "real/two", "two", "");
    orderly(&tree, "real/three", "three", "");
    tree.symlink("../real/one", "s/x");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    replace(&tree, "../real/two", "s/x");
    order(&tree, 2);
    replace(&tree, "../real/three", "s/x");
    // When this one runs, svscan has seen that.
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    tree.write("real/one/go", "");
    assert_eq!(order(&tree, 4), ["start one", "told", "stop one", "start three"]);
}

#[test]
fn a_new_service_waits_for_the_end_of_the_old_one_of_its_name() {
    let tree = tree();
    let slow = "echo told >>\"$ORDER\"; until [ -e go ]; do sleep .05; done";
    orderly(&tree, "real/one", "one", slow);
    orderly(&tree, "real/two", "two", "");
    tree.symlink("../real/one", "s/x");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    tree.remove("s/x");
    // The grace is over, and the name is used again before the service has ended.
    order(&tree, 2);
    tree.symlink("../real/two", "s/x");
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    tree.write("real/one/go", "");
    assert_eq!(order(&tree, 4), ["start one", "told", "stop one", "start two"]);
}

#[test]
fn a_service_replaced_and_put_back_is_started_again() {
    let tree = tree();
    orderly(
        &tree,
        "real/one",
        "one",
        "echo told >>\"$ORDER\"; until [ -e go ]; do sleep .05; done",
    );
    orderly(&tree, "real/two", "two", "");
    tree.symlink("../real/one", "s/x");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    replace(&tree, "../real/two", "s/x");
    order(&tree, 2);
    replace(&tree, "../real/one", "s/x");
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    tree.write("real/one/go", "");
    assert_eq!(order(&tree, 4), ["start one", "told", "stop one", "start one"]);
    comes_soon(&tree, "s/x");
}

#[test]
fn a_directory_made_anew_under_the_same_name_is_a_new_service() {
    let tree = tree();
    orderly(&tree, "s/x", "old", "");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    fs::remove_dir_all(tree.path("s/x")).expect("remove the old directory");
    orderly(&tree, "s/.x", "new", "");
    tree.rename("s/.x", "s/x");
    assert_eq!(order(&tree, 3), ["start old", "stop old", "start new"]);
    let pid = comes_soon(&tree, "s/x");
    assert_eq!(process::directory(pid), Some(tree.path("s/x")));
    // Or put aside, which costs it its name.
    tree.rename("s/x", "s/.old");
    orderly(&tree, "s/.x", "newest", "");
    tree.rename("s/.x", "s/x");
    assert_eq!(order(&tree, 5)[3..], ["stop new", "start newest"]);
}

#[test]
fn a_directory_made_anew_behind_its_link_is_a_new_service() {
    let tree = tree();
    orderly(&tree, "real/x", "old", "");
    tree.mkdir("s");
    tree.symlink("../real/x", "s/x");
    tree.symlink(tree.path("real/x/"), "s/.hidden");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    // Removed and made again, as configuration management does.
    fs::remove_dir_all(tree.path("real/x")).expect("remove the old directory");
    orderly(&tree, "real/.x", "new", "");
    tree.rename("real/.x", "real/x");
    assert_eq!(order(&tree, 3), ["start old", "stop old", "start new"]);
    let pid = comes_soon(&tree, "s/x");
    assert_eq!(process::directory(pid), Some(tree.path("real/x")));
    // And when there is none any more, the service ends.
    tree.rename("real/x", "real/y");
    assert_eq!(order(&tree, 4)[3..], ["stop new"]);
}

#[test]
fn a_stubborn_service_is_no_obstacle_for_others() {
    let tree = tree();
    tree.trapping_service("real/stubborn", &["TERM"]);
    tree.symlink("../real/stubborn", "s/stubborn");
    link(&tree, "a");
    let mut svscan = svscan(&tree);
    tree.wait_lines("real/stubborn/started", 1);
    let pid = tree.wait_up("s/stubborn");
    tree.wait_up("s/a");
    tree.remove("s/stubborn");
    tree.wait_lines("real/stubborn/signals", 1);
    link(&tree, "b");
    comes_soon(&tree, "s/b");
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    assert!(process::is_alive(pid));
    // Told once, not again and again.
    assert_eq!(tree.wait_lines("real/stubborn/signals", 1).len(), 1);
    // Its end is waited for at the end, too.
    svscan.signal(Signal::TERM);
    tree.wait_unsupervised("real/b");
    assert!(!svscan.has_ended());
    process::signal(pid, Signal::KILL);
    leaves(svscan);
}

// Loggers

#[test]
fn a_log_which_is_added_later_is_used_after_the_next_start() {
    let tree = tree();
    orderly(&tree, "real/a", "a", "");
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    order(&tree, 1);
    logger(&tree, "real", "a");
    tree.rename("real/log", "real/a/log");
    tree.svc("-dx", "real/a");
    order(&tree, 2);
    assert_eq!(svscan.stdout(), "last words\n");
    order(&tree, 3);
    tree.wait_up("real/a/log");
    tree.svc("-t", "real/a");
    tree.wait_text("real/a/log/logged", "last words\n");
    assert_eq!((svscan.stdout(), svscan.stderr()), ("last words\n".into(), String::new()));
}

#[test]
fn a_log_which_is_a_file_is_no_logger() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\necho $$ >>started\necho said\nexec sleep 1000\n");
    tree.script("s/a/log", "#!/bin/sh\necho $$ >started-log\n");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    tree.wait_up("s/a");
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    assert!(!tree.exists("s/a/started-log"));
    assert_eq!((svscan.stdout(), svscan.stderr()), ("said\n".into(), String::new()));
}

#[test]
fn a_logger_which_does_not_see_its_end_is_told_to_end() {
    let tree = tree();
    link(&tree, "a");
    tree.idle_service("real/a/log");
    let _svscan = svscan(&tree);
    tree.wait_up("s/a");
    let pid = tree.wait_up("s/a/log");
    let removed = Instant::now();
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    assert!(process::is_alive(pid));
    process::wait_gone(pid);
    let time = removed.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(10)).contains(&time), "{time:?}");
    assert_eq!(tree.wait_lines("real/a/log/started", 1).len(), 1);
}

#[test]
fn the_log_service_gets_everything_and_is_the_last_to_end() {
    let tree = tree();
    orderly(&tree, "s/a", "a", "");
    orderly(&tree, "s/b", "b", "");
    logger(&tree, "s/b", "b");
    tree.script(
        "s/.all/run",
        "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done >>logged\necho stop all >>\"$ORDER\"\n",
    );
    let svscan = command(&tree).args(["s", ".all"]).start();
    order(&tree, 2);
    tree.wait_lines("s/b/log/started", 1);
    tree.symlink("nowhere", "s/dangling");
    let warning = "svscan: warning: unable to stat dangling: file does not exist\n";
    let logged = tree.wait_text("s/.all/logged", warning);
    assert!(logged.starts_with("svscan: info: starting\n"), "{logged}");
    tree.service("s/c", "no interpreter\n");
    tree.wait_text("s/.all/logged", "supervise: fatal: unable to start c/run: exec format error\n");
    let children = process::descendants(svscan.pid());
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    wait_all_gone(&children);
    let logged = tree.text("s/.all/logged");
    assert_eq!(count(&logged, "last words"), 1, "{logged}");
    assert_eq!(tree.text("s/b/log/logged"), "last words\n");
    let order = order(&tree, 6);
    assert_eq!(order[5], "stop all", "{order:?}");
}

#[test]
fn a_log_service_whose_supervise_dies_comes_back_and_loses_nothing() {
    let tree = tree();
    tree.script("s/.all/run", "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n");
    let svscan = command(&tree).args(["s", ".all"]).start();
    tree.wait_text("s/.all/logged", "svscan: info: starting\n");
    let logger = wait_settled(&tree, "s/.all");
    let supervise = find_below(svscan.pid(), &["supervise", ".all"]);
    process::signal(supervise, Signal::KILL);
    process::signal(logger, Signal::KILL);
    tree.wait_lines("s/.all/started", 2);
    tree.symlink("nowhere", "s/dangling");
    tree.wait_text("s/.all/logged", "unable to stat dangling");
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
}

// Directories in the making

#[test]
fn a_directory_in_the_making_is_left_alone_for_a_while() {
    let tree = tree();
    link(&tree, "witness");
    let svscan = svscan(&tree);
    tree.wait_up("s/witness");
    tree.mkdir("s/a");
    link(&tree, "b");
    comes_soon(&tree, "s/b");
    assert!(!tree.exists("s/a/supervise"));
    // In the order in which somebody may well do it.
    tree.idle_service("s/a/log");
    tree.idle_service("s/a");
    tree.wait_up("s/a");
    tree.wait_up("s/a/log");
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn what_goes_away_again_in_the_making_never_was() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    tree.mkdir("s/a");
    fs::remove_dir(tree.path("s/a")).expect("remove the directory");
    tree.mkdir("s/b");
    tree.rename("s/b", "s/.b");
    let made = Instant::now();
    wait_until("it would have been started", DEADLINE, || made.elapsed() > GRACE);
    assert!(!tree.exists("s/.b/supervise"));
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
}

// Only one of them

#[test]
fn a_second_svscan_names_the_first_and_touches_nothing() {
    let tree = tree();
    link(&tree, "a");
    let first = svscan(&tree);
    let pid = tree.wait_up("s/a");
    tree.symlink("s", "same");
    for name in ["s", "same", "./s/"] {
        let line = format!(
            "svscan: fatal: unable to lock {name}: temporary failure (held by pid {})\n",
            first.pid()
        );
        tree.cmd("svscan").arg(name).run().is(111, "", line);
    }
    assert_eq!(tree.wait_up("s/a"), pid);
    link(&tree, "b");
    comes_soon(&tree, "s/b");
    assert_eq!(tree.wait_lines("real/a/started", 1).len(), 1);
    assert_eq!(first.stderr(), "");
    // Whoever is dead is no obstacle, even if what it started lives on.
    first.kill();
    link(&tree, "c");
    let _second = svscan(&tree);
    comes_soon(&tree, "s/c");
}

// The end

#[test]
fn term_and_int_end_services_then_loggers_and_nothing_is_lost() {
    for signal in [Signal::TERM, Signal::INT] {
        let tree = tree();
        orderly(&tree, "s/a", "a", "seq 2000");
        logger(&tree, "s/a", "a");
        let svscan = svscan(&tree);
        order(&tree, 1);
        tree.wait_lines("s/a/log/started", 1);
        let children = process::descendants(svscan.pid());
        assert_eq!(children.len(), 4);
        svscan.signal(signal);
        svscan.wait_within(Duration::from_secs(5)).is(0, "", "");
        // They have gone before.
        assert!(children.iter().all(|&pid| !process::is_alive(pid)));
        assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
        let logged = tree.wait_lines("s/a/log/logged", 2001);
        assert_eq!((logged.len(), logged[1999].as_str()), (2001, "2000"));
        assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
    }
}

#[test]
fn term_ends_a_svscan_which_has_nothing() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "a");
    comes_soon(&tree, "s/a");
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    tree.mkdir("s/without-run");
    svscan.signal(Signal::TERM);
    svscan.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_second_term_is_passed_on_and_ends_loggers_at_once() {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo TERM >>signals; [ -e go ] && exit' TERM\nmkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    tree.idle_service("s/a/log");
    let mut svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let logger = tree.wait_up("s/a/log");
    tree.wait_lines("s/a/log/started", 1);
    svscan.signal(Signal::TERM);
    tree.wait_lines("s/a/signals", 1);
    assert!(!svscan.has_ended());
    tree.write("s/a/go", "");
    svscan.signal(Signal::TERM);
    tree.wait_unsupervised("s/a");
    assert!(process::is_alive(logger));
    // This logger does not care for the end of its input; somebody is impatient.
    let again = Instant::now();
    wait_until("supervise s/a is reaped", PROMPT, || process::descendants(svscan.pid()).len() == 2);
    svscan.signal(Signal::TERM);
    svscan.wait_within(PROMPT).is(0, "", "");
    assert!(again.elapsed() < Duration::from_secs(4), "{:?}", again.elapsed());
    assert!(!process::is_alive(logger));
    assert_eq!(tree.wait_lines("s/a/signals", 2).len(), 2);
}

#[test]
fn nothing_keeps_svscan_busy_or_starts_anew_while_it_ends() {
    let tree = tree();
    tree.trapping_service("s/a", &["TERM"]);
    link(&tree, "b");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let pid = tree.wait_up("s/a");
    tree.wait_up("s/b");
    svscan.signal(Signal::TERM);
    tree.wait_lines("s/a/signals", 1);
    tree.wait_unsupervised("s/b");
    // Whatever happens now is too late.
    svscan.signal(Signal::HUP);
    link(&tree, "c");
    tree.symlink("nowhere", "s/dangling");
    tree.remove("s/b");
    assert_calm(svscan.pid(), Duration::from_secs(1));
    assert!(!tree.exists("real/c/supervise"));
    process::signal(pid, Signal::KILL);
    leaves(svscan);
}

#[test]
fn behind_nohup_loggers_end_once_and_soon() {
    let tree = tree();
    orderly(&tree, "s/a", "a", "");
    logger(&tree, "s/a", "a");
    let svscan = tree.sh("trap '' HUP; exec svscan s").env("ORDER", tree.path("order")).start();
    order(&tree, 1);
    wait_settled(&tree, "s/a/log");
    svscan.signal(Signal::HUP);
    link(&tree, "witness");
    comes_soon(&tree, "s/witness");
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
}

#[test]
fn at_a_terminal_the_interrupt_key_ends_everything_in_order() {
    let tree = tree();
    orderly(&tree, "s/a", "a", "seq 100");
    logger(&tree, "s/a", "a");
    tree.service(
        "s/b",
        "#!/bin/sh\ntrap 'echo INT >>signals' INT\ntrap 'echo TERM >>signals; exit' TERM\n\
         mkfifo idle\nexec 8<>idle\necho hello\nwhile :; do read -r line <&8; done\n",
    );
    let (mut terminal, screen) = Terminal::open();
    let clone = || screen.try_clone().expect("duplicate a descriptor");
    let svscan = command(&tree)
        .arg("s")
        .stdin_from(clone())
        .stdout_to(clone())
        .stderr_to(clone())
        .under(["setsid", "--ctty"])
        .start();
    drop(screen);
    let mut shown = String::new();
    wait_until("b says hello", DEADLINE, || {
        shown += &terminal.shows();
        shown.contains("hello")
    });
    order(&tree, 1);
    tree.wait_lines("s/a/log/started", 1);
    let children = process::descendants(svscan.pid());
    for &pid in &children {
        assert_ne!(process::group(pid), process::group(svscan.pid()));
    }
    terminal.types(b"\x03");
    let output = svscan.wait_within(Duration::from_secs(5));
    assert_eq!(output.code, Some(0), "{output}");
    assert!(children.iter().all(|&pid| !process::is_alive(pid)));
    assert_eq!(order(&tree, 3), ["start a", "stop a", "stop a/log"]);
    assert_eq!(tree.wait_lines("s/a/log/logged", 1).len(), 101);
    assert_eq!(tree.text("s/b/signals"), "TERM\n");
}

// HUP, and what is in a bad state

#[test]
fn hup_is_a_reason_to_look_again() {
    let tree = tree();
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    svscan.wait_stderr("unable to stat a");
    tree.idle_service("real/.a");
    tree.rename("real/.a", "real/a");
    svscan.signal(Signal::HUP);
    comes_soon(&tree, "s/a");
}

#[test]
fn a_dangling_link_is_told_of_once_and_followed_when_it_leads_somewhere() {
    let tree = tree();
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    let warning = "svscan: warning: unable to stat a: file does not exist\n";
    svscan.wait_stderr(warning);
    for name in ["b", "c"] {
        svscan.signal(Signal::HUP);
        link(&tree, name);
        comes_soon(&tree, format!("s/{name}"));
    }
    assert_eq!(svscan.stderr(), warning);
    tree.idle_service("real/.a");
    tree.rename("real/.a", "real/a");
    wait_until("it is found", Duration::from_secs(8), || tree.is_supervised("s/a"));
    assert_eq!(svscan.stderr(), warning);
    // Another time it is worth a word again.
    tree.remove("s/a");
    tree.symlink("../real/none", "s/a");
    wait_until("it is told", PROMPT, || svscan.stderr() == warning.repeat(2));
}

#[test]
fn a_scan_directory_which_cannot_be_read_any_more_does_no_harm() {
    let tree = tree();
    link(&tree, "a");
    let svscan = command(&tree).arg("s").unprivileged().start();
    let pid = tree.wait_up("s/a");
    tree.chmod("s", 0);
    let warning = "svscan: warning: unable to read directory: access denied\n";
    svscan.signal(Signal::HUP);
    svscan.wait_stderr(warning);
    svscan.signal(Signal::HUP);
    assert_calm(svscan.pid(), Duration::from_millis(500));
    assert_eq!(tree.wait_up("real/a"), pid);
    assert_eq!(svscan.stderr(), warning);
    tree.chmod("s", 0o755);
    link(&tree, "b");
    tree.wait_up("s/b");
    tree.chmod("s", 0);
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    tree.chmod("s", 0o755);
}

#[test]
fn a_scan_directory_which_is_removed_ends_its_services_and_no_more() {
    let tree = tree();
    link(&tree, "a");
    let mut svscan = svscan(&tree);
    tree.wait_up("s/a");
    fs::remove_dir_all(tree.path("s")).expect("remove the scan directory");
    tree.wait_unsupervised("real/a");
    assert_calm(svscan.pid(), Duration::from_millis(500));
    assert!(!svscan.has_ended());
    svscan.signal(Signal::TERM);
    leaves(svscan);
}

#[test]
fn a_scan_directory_which_is_renamed_is_the_same() {
    let tree = tree();
    link(&tree, "a");
    let svscan = svscan(&tree);
    let pid = tree.wait_up("s/a");
    tree.rename("s", "t");
    tree.idle_service("real/b");
    tree.symlink("../real/b", "t/b");
    comes_soon(&tree, "t/b");
    assert_eq!(tree.wait_up("t/a"), pid);
    assert_eq!(svscan.stderr(), "");
}

// A supervise that ends

#[test]
fn a_supervise_which_is_killed_is_told_of_and_started_again_at_once() {
    let tree = tree();
    link(&tree, "a");
    tree.idle_service("real/a/log");
    let svscan = svscan(&tree);
    for (dir, arguments, signal, shown) in [
        ("s/a", ["supervise", "a"], Signal::KILL, "a was killed by signal 9"),
        ("s/a/log", ["supervise", "log"], Signal::ABORT, "a/log was killed by signal 6"),
    ] {
        let service = wait_settled(&tree, dir);
        let supervise = find_below(svscan.pid(), &arguments);
        process::signal(supervise, signal);
        wait_until("there is another", PROMPT, || {
            tree.is_supervised(dir) && find_below(svscan.pid(), &arguments) != supervise
        });
        svscan.wait_stderr(&format!("svscan: warning: supervise {shown}\n"));
        process::signal(service, Signal::KILL);
    }
}

#[test]
fn a_supervise_which_left_as_it_was_told_comes_back_after_five_seconds() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "b");
    let svscan = svscan(&tree);
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    // Long enough to take away the link, as scripts do.
    tree.svc("-dx", "s/a");
    tree.svc("-dx", "s/b");
    tree.wait_unsupervised("real/a");
    tree.wait_unsupervised("real/b");
    let left = Instant::now();
    tree.remove("s/b");
    wait_until("it is back", Duration::from_secs(8), || tree.is_supervised("s/a"));
    let time = left.elapsed();
    assert!(time > Duration::from_secs(4), "{time:?}");
    assert!(!tree.is_supervised("real/b"));
    assert_eq!(svscan.stderr(), "");
}

// Names and limits

#[test]
fn services_of_any_name_have_loggers_and_end_in_order() {
    let tree = tree();
    let names: [&[u8]; 7] =
        [b"with space", b"new\nline", b"\xff\xfe", b"-x", b"--", b"*?'\"\\$", &[b'n'; 255]];
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        orderly(&tree, &dir, "x", "");
        logger(&tree, &dir, "x");
    }
    let svscan = svscan(&tree);
    order(&tree, names.len());
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        tree.wait_lines(dir.join("log/started"), 1);
    }
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    for name in names {
        let dir = Path::new("s").join(OsStr::from_bytes(name));
        assert_eq!(tree.text(dir.join("log/logged")), "last words\n");
        assert_eq!(tree.wait_lines(dir.join("log/started"), 1).len(), 1);
    }
}

#[test]
fn without_descriptors_there_is_a_clear_message_and_no_spinning() {
    let mut refused = 0;
    for limit in 3..20 {
        let tree = tree();
        tree.idle_service("s/a");
        let limit = format!("--nofile={limit}");
        let mut svscan = command(&tree).arg("s").under(["prlimit", limit.as_str()]).start();
        wait_until("it starts, says something or ends", PROMPT * 2, || {
            svscan.has_ended() || tree.exists("s/a/supervise") || !svscan.stderr().is_empty()
        });
        if tree.exists("s/a/supervise") {
            break;
        }
        refused += 1;
        if !svscan.has_ended() {
            assert_calm(svscan.pid(), Duration::from_millis(100));
            svscan.signal(Signal::TERM);
        }
        let output = svscan.wait_within(PROMPT);
        let err = output.err();
        assert!(matches!(output.code, Some(0 | 111)), "{output}");
        assert!(err.starts_with("svscan: "), "{output}");
        assert!(err.contains(": process cannot open more files\n"), "{output}");
    }
    assert!(refused > 1, "{refused}");
}

#[test]
fn descriptors_which_are_closed_at_the_start_are_null_for_the_services() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    tree.service("s/a/log", "#!/bin/sh\nexec sleep 1000\n");
    let _svscan = tree.sh("exec svscan s <&- >&- 2>&-").start();
    let files = |dir| {
        let pid = tree.wait_up(dir);
        process::wait_asleep(pid, "sleep");
        process::descriptors(pid).into_iter().take(3).map(|(_, file)| file).collect::<Vec<_>>()
    };
    let null = PathBuf::from("/dev/null");
    let service = files("s/a");
    assert!(service[1].to_string_lossy().starts_with("pipe:"), "{service:?}");
    assert_eq!((&service[0], &service[2]), (&null, &null));
    let logger = files("s/a/log");
    assert_eq!(logger, [service[1].clone(), null.clone(), null]);
}

#[test]
fn idle_means_idle() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "b");
    tree.idle_service("real/b/log");
    let svscan = svscan(&tree);
    for dir in ["s/a", "s/b", "s/b/log"] {
        wait_settled(&tree, dir);
    }
    // Something has happened, and is over.
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    link(&tree, "c");
    comes_soon(&tree, "s/c");
    wait_settled(&tree, "s/c");
    let supervises: Vec<u32> = process::descendants(svscan.pid())
        .into_iter()
        .filter(|&pid| process::parent(pid) == Some(svscan.pid()))
        .collect();
    assert_eq!(supervises.len(), 3);
    let all: Vec<u32> = supervises.into_iter().chain([svscan.pid()]).collect();
    wait_for("all sleep", PROMPT, || {
        all.iter().all(|&pid| process::state(pid) == Some('S')).then_some(())
    });
    assert_idle(&all, Duration::from_secs(3));
}

#[test]
fn a_logger_that_is_slow_is_given_the_time_to_read_what_is_left() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nseq 300\necho $$ >>started\nexec sleep 1000\n");
    tree.service(
        "s/a/log",
        "#!/bin/sh\nwhile read line; do echo $line; sleep 0.02; done >out\nexec sleep 1000\n",
    );
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    let line = "svscan: warning: waiting until the logger of a has read everything\n";
    output.is(0, "", line);
    assert_eq!(tree.text("s/a/log/out").lines().count(), 300);
    assert_eq!(tree.processes(), []);
}
