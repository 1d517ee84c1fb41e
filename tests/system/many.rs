//! svscan with many services. In a file of its own, so that tests which look at the clock are not
//! run beside these.

use harness::{Process, Signal, Tree, process, wait_for, wait_until};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use system::{assert_idle, tree, wait_all_gone};

/// How long many processes may take together.
const LONG: Duration = Duration::from_secs(30);

/// The pid and name of every supervise started by svscan.
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
fn there_may_be_more_than_a_thousand_services() {
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
    // With all of them there is nothing to do either.
    let all: Vec<u32> = supervises.iter().copied().chain([svscan.pid()]).collect();
    wait_for("all sleep", LONG, || {
        all.iter().all(|&pid| process::state(pid) == Some('S')).then_some(())
    });
    assert_idle(&all, Duration::from_secs(20));
    // One more is found as soon as the first.
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
        tree.service(
            format!("s/{name}"),
            "#!/bin/sh\ntrap 'seq 501 1000; echo stop >>order; exit' TERM\nmkfifo idle\n\
             exec 8<>idle\nseq 500\necho $$ >>started\nwhile :; do read -r line <&8; done\n",
        );
        tree.service(
            format!("s/{name}/log"),
            "#!/bin/sh\necho $$ >>started\nwhile read -r line; do echo \"$line\"; done >>logged\n\
             echo end of log >>../order\n",
        );
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
    let wanted: String = (1..=1000).map(|number: u32| format!("{number}\n")).collect();
    for name in &names {
        assert_eq!(tree.text(format!("s/{name}/order")), "stop\nend of log\n", "{name}");
        assert_eq!(tree.text(format!("s/{name}/log/logged")), wanted, "{name}");
        assert_eq!(tree.wait_lines(format!("s/{name}/log/started"), 1).len(), 1, "{name}");
    }
}
