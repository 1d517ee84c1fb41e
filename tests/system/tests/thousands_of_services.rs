//! svscan with many services. This is a test binary of its own, so that tests with tight time
//! limits do not run beside it.

use harness::{Process, Signal, Tree, process, wait_for, wait_until};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use system::{assert_idle, assert_thousand_lines, thousand_lines_service, tree, wait_all_gone};

/// Upper bound for the work of many processes together.
const LONG: Duration = Duration::from_secs(30);

/// The pid and name of every supervise of svscan.
fn supervises(svscan: &Process) -> BTreeMap<u32, String> {
    let named = |pid: u32| Some((pid, process::arguments(pid).get(1)?.to_str()?.to_owned()));
    process::descendants(svscan.pid())
        .into_iter()
        .filter(|&pid| process::parent(pid) == Some(svscan.pid()))
        .filter_map(named)
        .collect()
}

/// Waits until all these services run.
#[track_caller]
fn wait_all_up(tree: &Tree, dirs: &[String]) {
    let mut waiting: Vec<&String> = dirs.iter().collect();
    wait_until(&format!("{} services run", dirs.len()), LONG, || {
        waiting.retain(|dir| tree.status(dir).is_none_or(|s| !process::is_alive(s.pid())));
        waiting.is_empty()
    });
}

#[test]
fn eleven_hundred_services_run_and_sleep() {
    let tree = tree();
    let dirs: Vec<String> = (0..1100).map(|number| format!("s/{number}")).collect();
    tree.script("run", "#!/bin/sh\nexec sleep 1000\n");
    for dir in &dirs {
        tree.symlink("../../run", format!("{dir}/run"));
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_all_up(&tree, &dirs);
    let supervises: Vec<u32> = supervises(&svscan).into_keys().collect();
    assert_eq!(supervises.len(), 1100);
    // All of them sleep together.
    let all: Vec<u32> = supervises.iter().copied().chain([svscan.pid()]).collect();
    wait_for("all sleep", LONG, || {
        all.iter().all(|&pid| process::state(pid) == Some('S')).then_some(())
    });
    assert_idle(&all, Duration::from_secs(20));
    // One more service starts as soon as the first did.
    tree.idle_service("s/.one-more");
    tree.rename("s/.one-more", "s/one-more");
    let renamed = Instant::now();
    tree.wait_up("s/one-more");
    assert!(renamed.elapsed() < Duration::from_secs(2), "{:?}", renamed.elapsed());
    let children = process::descendants(svscan.pid());
    assert_eq!(children.len(), 2202);
    svscan.signal(Signal::TERM);
    svscan.wait_within(LONG).is(0, "", "");
    assert!(children.into_iter().all(|pid| !process::is_alive(pid)));
}

#[test]
fn many_loggers_need_no_higher_limit_of_descriptors() {
    let tree = tree();
    let dirs: Vec<String> = (0..300).map(|number| format!("s/{number}")).collect();
    tree.script("service", "#!/bin/sh\nulimit -Sn >limit\necho said\nexec sleep 1000\n");
    tree.script("logger", "#!/bin/sh\nulimit -Sn >limit\nexec cat >>logged\n");
    for (number, dir) in dirs.iter().enumerate() {
        tree.symlink("../../service", format!("{dir}/run"));
        tree.symlink("../../../logger", format!("{dir}/log/run"));
        if number % 10 != 0 {
            tree.write(format!("{dir}/down"), "");
            tree.write(format!("{dir}/log/down"), "");
        }
    }
    let svscan = tree.cmd("svscan").arg("s").under(["prlimit", "--nofile=256:"]).start();
    wait_until("all are supervised", LONG, || supervises(&svscan).len() == 600);
    for dir in dirs.iter().step_by(10) {
        for file in ["limit", "log/limit"] {
            assert_eq!(tree.wait_lines(format!("{dir}/{file}"), 1), ["256"], "{dir}/{file}");
        }
        assert_eq!(tree.wait_lines(format!("{dir}/log/logged"), 1), ["said"]);
    }
    // The supervises have the old limit too.
    let (&supervise, _) = supervises(&svscan).first_key_value().expect("there are supervises");
    let limit = ["--noheadings", "--raw", "--output=SOFT", "--nofile", "--pid"];
    let supervise = supervise.to_string();
    tree.cmd("prlimit").args(limit).arg(&supervise).run().is(0, "256\n", "");
    let children = process::descendants(svscan.pid());
    svscan.signal(Signal::TERM);
    svscan.wait_within(LONG).is(0, "", "");
    wait_all_gone(&children);
}

#[test]
fn twenty_services_end_in_order_and_lose_nothing() {
    let tree = tree();
    let names: Vec<String> = (0..20).map(|number| format!("{number}")).collect();
    for name in &names {
        thousand_lines_service(&tree, &format!("s/{name}"));
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    for name in &names {
        tree.wait_lines(format!("s/{name}/started"), 1);
        tree.wait_lines(format!("s/{name}/log/started"), 1);
    }
    let children = process::descendants(svscan.pid());
    assert_eq!(children.len(), 80);
    svscan.signal(Signal::TERM);
    svscan.wait_within(LONG).is(0, "", "");
    assert!(children.into_iter().all(|pid| !process::is_alive(pid)));
    for name in &names {
        assert_thousand_lines(&tree, &format!("s/{name}"));
    }
}
