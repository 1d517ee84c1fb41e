//! Names that come, go and change in the scan directory.

use crate::{GRACE, command, link, logger, order, ordered_service, replace, svscan, wait_up_soon};
use harness::{DEADLINE, Process, Signal, Tree, process, strace_works, wait_for, wait_until};
use std::fs;
use std::time::{Duration, Instant};
use system::{
    PROMPT, assert_exit_0, assert_idle, namespace, tree, wait_all_gone, wait_descendant,
    wait_settled,
};

/// What a service does before it stops: reports that, and waits for the file `go`.
const WAIT_FOR_GO: &str = "echo stopping one >>\"$ORDER\"; until [ -e go ]; do sleep .05; done";

/// Makes the services `one`, which waits before it stops, and `two`. Starts svscan with the link `x`
/// to `one`.
#[track_caller]
fn svscan_with_service_that_waits(tree: &Tree) -> Process {
    ordered_service(tree, "real/one", "one", WAIT_FOR_GO);
    ordered_service(tree, "real/two", "two", "");
    tree.symlink("../real/one", "s/x");
    let svscan = svscan(tree);
    order(tree, 1);
    svscan
}

/// Lets the service `one` stop, after svscan has seen all changes of links.
#[track_caller]
fn let_service_stop(tree: &Tree) {
    link(tree, "witness");
    wait_up_soon(tree, "s/witness");
    tree.write("real/one/go", "");
}

#[test]
fn a_new_link_is_followed_at_once() {
    let tree = tree();
    link(&tree, "first");
    let svscan = svscan(&tree);
    tree.wait_up("s/first");
    for name in ["b", "c", "d"] {
        link(&tree, name);
        wait_up_soon(&tree, format!("s/{name}"));
    }
    // The same for a directory that was hidden before.
    tree.idle_service("s/.dir");
    tree.rename("s/.dir", "s/dir");
    wait_up_soon(&tree, "s/dir");
    assert_eq!((svscan.stdout(), svscan.stderr()), (String::new(), String::new()));
}

#[test]
fn a_single_change_does_not_rescan_the_directory() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    link(&tree, "first");
    let strace = ["strace", "-qq", "-y", "-o", "calls", "-e", "trace=getdents64,openat"];
    let tracer = command(&tree).arg("s").under(strace).start();
    let service = tree.wait_up("s/first");
    let parent = |pid| process::parent(pid).expect("it has a parent");
    let supervise = parent(service);
    let svscan = parent(supervise);
    // svscan gets both events, of the directory and of the link, in one read.
    process::signal(svscan, Signal::STOP);
    tree.wait_text("calls", "stopped by SIGSTOP");
    link(&tree, "second");
    process::signal(svscan, Signal::CONT);
    wait_up_soon(&tree, "s/second");
    process::signal(supervise, Signal::KILL);
    wait_until("there is another supervise", PROMPT, || {
        !process::is_alive(supervise) && tree.is_supervised("s/first")
    });
    // When this service runs, svscan has handled the earlier events.
    link(&tree, "third");
    wait_up_soon(&tree, "s/third");
    process::signal(svscan, Signal::TERM);
    tracer.wait();
    let calls = tree.text("calls");
    // A scan reads the names and the end.
    let scans = calls.lines().filter(|call| call.starts_with("getdents64") && call.contains("/s>"));
    assert_eq!(scans.count(), 2, "{calls}");
    assert!(!calls.contains("/proc/locks"), "{calls}");
}

#[test]
fn services_inherit_the_descriptors_of_svscan() {
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
    assert_exit_0(svscan);
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
    // The witness was removed later, so its end comes later.
    tree.remove("s/witness");
    tree.wait_unsupervised("real/witness");
    assert!(!process::is_alive(witness));
    assert_eq!(tree.status("real/a"), before);
    assert!(process::is_alive(pid));
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_link_that_comes_back_soon_changes_nothing() {
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
fn a_service_runs_as_long_as_it_has_a_name() {
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
    // The service now has the remaining name.
    wait_settled(&tree, "real/a");
    let supervise = process::parent(pid).expect("it has a parent");
    process::signal(supervise, Signal::KILL);
    let _again = wait_descendant(svscan.pid(), &["supervise", "b"]);
    tree.remove("s/b");
    tree.wait_unsupervised("real/a");
}

#[test]
fn a_removed_link_ends_the_service_then_its_logger_and_nothing_is_lost() {
    let tree = tree();
    ordered_service(&tree, "real/a", "a", "seq 2000");
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
    // The same service can start again.
    tree.symlink("../real/a", "s/again");
    wait_up_soon(&tree, "real/a");
    assert_eq!(order(&tree, 4)[3], "start a");
}

#[test]
fn a_link_that_leads_to_no_directory_any_more_ends_the_service() {
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
    wait_up_soon(&tree, "s/witness");
    for (name, pid) in ["a", "b", "c"].into_iter().zip(pids) {
        assert_eq!(tree.wait_up(format!("real/{name}")), pid);
    }
    // A service that has ended does not come back. A service with a link again counts again. The
    // rest ends with svscan.
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
    ordered_service(&tree, "real/one", "one", "sleep .3");
    ordered_service(&tree, "real/two", "two", "");
    logger(&tree, "real/one", "one");
    tree.symlink("../real/one", "s/x");
    let svscan = svscan(&tree);
    order(&tree, 1);
    tree.wait_lines("real/one/log/started", 1);
    replace(&tree, "../real/two", "s/x");
    assert_eq!(order(&tree, 4), ["start one", "stop one", "stop one/log", "start two"]);
    // The other way round, in two steps.
    tree.remove("s/x");
    tree.symlink("../real/one", "s/x");
    let lines = order(&tree, 6);
    assert_eq!(lines[4..], ["stop two", "start one"]);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_link_replaced_twice_waits_for_the_first_service() {
    let tree = tree();
    let _svscan = svscan_with_service_that_waits(&tree);
    ordered_service(&tree, "real/three", "three", "");
    replace(&tree, "../real/two", "s/x");
    order(&tree, 2);
    replace(&tree, "../real/three", "s/x");
    let_service_stop(&tree);
    assert_eq!(order(&tree, 4), ["start one", "stopping one", "stop one", "start three"]);
}

#[test]
fn a_new_service_waits_for_the_end_of_the_old_one_of_its_name() {
    let tree = tree();
    let _svscan = svscan_with_service_that_waits(&tree);
    tree.remove("s/x");
    // The grace period is over, and the name is used again before the service has ended.
    order(&tree, 2);
    tree.symlink("../real/two", "s/x");
    let_service_stop(&tree);
    assert_eq!(order(&tree, 4), ["start one", "stopping one", "stop one", "start two"]);
}

#[test]
fn a_service_replaced_and_put_back_is_started_again() {
    let tree = tree();
    let _svscan = svscan_with_service_that_waits(&tree);
    replace(&tree, "../real/two", "s/x");
    order(&tree, 2);
    replace(&tree, "../real/one", "s/x");
    let_service_stop(&tree);
    assert_eq!(order(&tree, 4), ["start one", "stopping one", "stop one", "start one"]);
    wait_up_soon(&tree, "s/x");
}

#[test]
fn a_new_directory_under_the_same_name_is_a_new_service() {
    let tree = tree();
    ordered_service(&tree, "s/x", "old", "");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    fs::remove_dir_all(tree.path("s/x")).expect("remove the old directory");
    ordered_service(&tree, "s/.x", "new", "");
    tree.rename("s/.x", "s/x");
    assert_eq!(order(&tree, 3), ["start old", "stop old", "start new"]);
    let pid = wait_up_soon(&tree, "s/x");
    assert_eq!(process::directory(pid), Some(tree.path("s/x")));
    // The old directory may also be renamed away.
    tree.rename("s/x", "s/.old");
    ordered_service(&tree, "s/.x", "newest", "");
    tree.rename("s/.x", "s/x");
    assert_eq!(order(&tree, 5)[3..], ["stop new", "start newest"]);
}

#[test]
fn a_new_directory_behind_the_same_link_is_a_new_service() {
    let tree = tree();
    ordered_service(&tree, "real/x", "old", "");
    tree.mkdir("s");
    tree.symlink("../real/x", "s/x");
    tree.symlink(tree.path("real/x/"), "s/.hidden");
    let _svscan = svscan(&tree);
    order(&tree, 1);
    // Removed and made again, as configuration management does.
    fs::remove_dir_all(tree.path("real/x")).expect("remove the old directory");
    ordered_service(&tree, "real/.x", "new", "");
    tree.rename("real/.x", "real/x");
    assert_eq!(order(&tree, 3), ["start old", "stop old", "start new"]);
    let pid = wait_up_soon(&tree, "s/x");
    assert_eq!(process::directory(pid), Some(tree.path("real/x")));
    // Without a directory behind the link, the service ends.
    tree.rename("real/x", "real/y");
    assert_eq!(order(&tree, 4)[3..], ["stop new"]);
}

/// Less than the time between two scans.
const ANNOUNCED: Duration = Duration::from_secs(30);

#[track_caller]
fn wait_runs_in(tree: &Tree, name: &str, dir: &str) {
    let dir = tree.path(dir);
    wait_until(&format!("{name} runs in {}", dir.display()), ANNOUNCED, || {
        let status = tree.is_supervised(name).then(|| tree.status(name)).flatten();
        status.is_some_and(|status| process::directory(status.pid()).as_ref() == Some(&dir))
    });
}

#[test]
fn a_change_anywhere_on_the_way_to_a_service_is_noticed() {
    let tree = tree();
    for release in ["r/1", "r/2", "r/3"] {
        tree.idle_service(format!("{release}/sv"));
    }
    tree.symlink("1", "r/.current");
    tree.symlink("../r/.current/sv", "s/through");
    let _svscan = svscan(&tree);
    wait_runs_in(&tree, "s/through", "r/1/sv");
    // A link in the middle of the path.
    tree.symlink("2", "r/.new");
    tree.rename("r/.new", "r/.current");
    wait_runs_in(&tree, "s/through", "r/2/sv");
    // A directory in the middle of the path.
    tree.rename("r/2", "r/old");
    tree.rename("r/3", "r/2");
    wait_runs_in(&tree, "s/through", "r/2/sv");
    // The directory that is there now is watched too.
    tree.rename("r/2/sv", "r/2/old");
    tree.idle_service("r/2/.sv");
    tree.rename("r/2/.sv", "r/2/sv");
    wait_until("the old one is gone", ANNOUNCED, || !tree.is_supervised("r/2/old"));
    wait_runs_in(&tree, "s/through", "r/2/sv");
    // A link to a link in the scan directory.
    tree.idle_service("other");
    tree.symlink("through", "s/chain");
    tree.symlink("../other", "s/.new");
    tree.rename("s/.new", "s/through");
    wait_runs_in(&tree, "s/chain", "other");
}

#[test]
fn mounts_and_layers_of_an_overlay_are_noticed() {
    let tree = tree();
    let Some(wrapper) = namespace(&tree) else { return };
    ordered_service(&tree, "real/one", "one", "");
    ordered_service(&tree, "real/two", "two", "");
    tree.symlink("../real/one", "s/x");
    let script = "(until [ -e go ]; do sleep .1; done; mount --bind real/two real/one) & \
                  exec svscan s";
    let svscan = tree.sh(script).env("ORDER", tree.path("order")).under(wrapper).start();
    assert_eq!(order(&tree, 1), ["start one"]);
    tree.write("go", "");
    wait_until("two starts", ANNOUNCED, || order(&tree, 1).len() == 3);
    assert_eq!(order(&tree, 3), ["start one", "stop one", "start two"]);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);

    let tree = system::tree();
    ordered_service(&tree, "real/x", "x", "");
    tree.mkdir("s");
    tree.mkdir("t");
    let script = "mount -t tmpfs none t && mkdir t/low t/up t/work && mount -t overlay none \
                  -o lowerdir=t/low,upperdir=t/up,workdir=t/work s || { touch refused; exit; }
                  (until [ -e s/made ]; do sleep .1; done; cp -R real/x t/low/x) & touch s/made
                  exec svscan s";
    let svscan = tree.sh(script).env("ORDER", tree.path("order")).under(wrapper).start();
    wait_until("x starts", ANNOUNCED, || tree.exists("refused") || tree.exists("order"));
    if tree.exists("order") {
        svscan.signal(Signal::TERM);
        assert_exit_0(svscan);
    }
}

// Unfinished directories

#[test]
fn a_directory_that_is_copied_in_steps_starts_when_it_is_complete() {
    let tree = tree();
    link(&tree, "witness");
    let svscan = svscan(&tree);
    wait_up_soon(&tree, "s/witness");
    // A slow copy. svscan does not look between the steps, so there is no condition to wait for.
    let pause = || std::thread::sleep(Duration::from_millis(400));
    tree.idle_service("s/a");
    tree.idle_service("s/b");
    pause();
    tree.mkdir("s/a/log");
    tree.write("s/b/down", "");
    pause();
    tree.idle_service("s/a/log");
    for dir in ["s/a", "s/a/log"] {
        wait_up_soon(&tree, dir);
    }
    wait_until("b is supervised", PROMPT, || tree.is_supervised("s/b"));
    tree.wait_down("s/b");
    assert!(!tree.exists("s/b/started"));
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_directory_without_run_has_time_to_get_one() {
    let tree = tree();
    link(&tree, "witness");
    let svscan = svscan(&tree);
    tree.wait_up("s/witness");
    tree.mkdir("s/a");
    link(&tree, "b");
    wait_up_soon(&tree, "s/b");
    assert!(!tree.exists("s/a/supervise"));
    // In a natural order of creation.
    tree.idle_service("s/a/log");
    tree.idle_service("s/a");
    tree.wait_up("s/a");
    tree.wait_up("s/a/log");
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_directory_that_disappears_soon_starts_nothing() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "witness");
    wait_up_soon(&tree, "s/witness");
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

// Costs

#[test]
fn an_idle_svscan_sleeps() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "b");
    tree.idle_service("real/b/log");
    let svscan = svscan(&tree);
    for dir in ["s/a", "s/b", "s/b/log"] {
        wait_settled(&tree, dir);
    }
    // Some events have happened before.
    tree.remove("s/a");
    tree.wait_unsupervised("real/a");
    link(&tree, "c");
    wait_up_soon(&tree, "s/c");
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
