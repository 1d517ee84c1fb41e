//! Names that change while services start and run: `ln -sfn`, package managers, `mv`.

use crate::{command, link, svscan, wait_up_soon};
use harness::{DEADLINE, Signal, process, strace_works, wait_for, wait_until};
use std::ffi::OsStr;
use std::time::{Duration, Instant};
use system::{assert_exit_0, count, tree, wait_descendant};

#[test]
fn a_name_that_is_renamed_at_once_gives_no_message() {
    const SERVICES: usize = 60;
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "first");
    wait_up_soon(&tree, "s/first");
    for number in 0..SERVICES {
        tree.idle_service(format!("real/{number}"));
        tree.symlink(format!("../real/{number}"), format!("s/temporary{number}"));
        // Between 0 and 3 ms: at every moment of the start.
        let pause = Duration::from_micros(50 * u64::try_from(number).expect("a small number"));
        let made = Instant::now();
        while made.elapsed() < pause {}
        tree.rename(format!("s/temporary{number}"), format!("s/{number}"));
    }
    for number in 0..SERVICES {
        tree.wait_up(format!("s/{number}"));
    }
    wait_until("all have their last name", DEADLINE, || {
        let mut names: Vec<_> = process::descendants(svscan.pid())
            .into_iter()
            .map(process::arguments)
            .filter(|arguments| arguments.first().is_some_and(|first| first == "supervise"))
            .filter_map(|arguments| arguments.into_iter().nth(1))
            .collect();
        names.sort();
        names.dedup();
        let is_last = |name: &OsStr| !name.to_string_lossy().starts_with("temporary");
        names.len() == SERVICES + 1 && names.iter().all(|name| is_last(name))
    });
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_supervise_takes_the_new_name_of_its_service() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "web.dpkg-new");
    let service = wait_up_soon(&tree, "s/web.dpkg-new");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "web.dpkg-new"]);
    tree.rename("s/web.dpkg-new", "s/web");
    wait_until("ps shows it", DEADLINE, || process::arguments(supervise) == ["supervise", "web"]);
    assert_eq!(tree.wait_up("s/web"), service);
    tree.remove("s/web/run");
    process::signal(service, Signal::KILL);
    let said = wait_for("a message", DEADLINE, || {
        Some(svscan.stderr()).filter(|text| text.contains("unable to start"))
    });
    assert!(said.starts_with("supervise: fatal: unable to start web/run: "), "{said}");
}

#[test]
fn a_supervise_with_two_names_takes_the_second_only_when_the_first_is_gone() {
    let tree = tree();
    let svscan = svscan(&tree);
    link(&tree, "a");
    let service = wait_up_soon(&tree, "s/a");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    tree.symlink("../real/a", "s/b");
    link(&tree, "witness");
    wait_up_soon(&tree, "s/witness");
    assert_eq!(process::arguments(supervise), ["supervise", "a"]);
    tree.remove("s/a");
    wait_until("ps shows it", DEADLINE, || process::arguments(supervise) == ["supervise", "b"]);
    assert_eq!(tree.wait_up("s/b"), service);
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn a_scan_asks_only_new_directories_whether_they_are_complete() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.idle_service("s/dir");
    let strace = ["strace", "-qq", "-o", "calls", "-e", "trace=statx,readlink,readlinkat"];
    let tracer = command(&tree).arg("s").under(strace).start();
    let parent = |pid| process::parent(pid).expect("it has a parent");
    let svscan = parent(parent(tree.wait_up("s/dir")));
    process::signal(svscan, Signal::HUP);
    wait_until("the scan has come to the directory again", DEADLINE, || {
        count(&tree.text("calls"), "\"dir/run\"") >= 2
    });
    // The next look is at a new directory.
    tree.idle_service("s/.new");
    tree.rename("s/.new", "s/new");
    wait_up_soon(&tree, "s/new");
    let calls = tree.text("calls");
    assert_eq!((count(&calls, "\"dir/supervise\""), count(&calls, "readlink(\"dir\"")), (0, 0));
    assert!(count(&calls, "\"new/supervise\"") > 0, "{calls}");
    process::signal(svscan, Signal::TERM);
    assert_exit_0(tracer);
}
