//! Faults of svscan, of its unit, and of the limits of the system.

use super::{find, parse, says};
use crate::Services;
use harness::{DEADLINE, mounts_work, skip, wait_until, with_mounts};
use serde_json::Value;
use std::fs;

/// The finding with this id that concerns no service.
#[track_caller]
fn of_system(findings: &[Value], id: &str) -> Value {
    let found = findings.iter().find(|it| it["id"] == id && it["service"] == Value::Null);
    found.unwrap_or_else(|| panic!("no {id}: {findings:?}")).clone()
}

#[test]
fn a_missing_svscan_is_found_and_the_others_are_named() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.mkdir("other");
        tree.symlink("../s/web", "other/web");
    });
    services.wait_state("web", "up");
    let svscan = services.svscan.as_ref().unwrap().pid();
    let output = services
        .tree
        .cmd(env!("CARGO_BIN_EXE_svctl"))
        .args(["-d", "other", "doctor", "--json"])
        .run();
    let findings = parse(&output);
    let finding = of_system(&findings, "svscan-missing");
    says(&finding, &format!("process {svscan} on {}", services.tree.path("s").display()));
    assert_eq!(finding["remedy"], "svscan other &");
    says(
        &find(&findings, "web", "two-svscans").unwrap(),
        &format!("process {svscan}, has started a supervise for web"),
    );
    assert!(services.findings(&[]).is_empty());
}

#[test]
fn a_service_that_is_linked_twice_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.symlink("web", "s/www");
    });
    says(
        &find(&services.findings(&[]), "www", "linked-twice").unwrap(),
        "web and www are the same directory",
    );
}

#[test]
fn a_unit_that_kills_services_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    let tree = &services.tree;
    if !mounts_work(tree) || !fs::exists("/etc/systemd/system").unwrap() {
        return skip("no mounts, or no directory of units");
    }
    services.wait_state("web", "up");
    let dir = tree.path("s").display().to_string();
    let examine = |kill_mode: &str, dir: &str| {
        tree.write(
            "units/svscan.service",
            format!("[Service]\nExecStart=/usr/bin/svscan {dir}\n{kill_mode}\n"),
        );
        let output =
            with_mounts(tree, &[("units", "/etc/systemd/system")], env!("CARGO_BIN_EXE_svctl"))
                .args(["-d", "s", "doctor", "--json"])
                .run();
        parse(&output)
    };
    tree.mkdir("units");
    says(&of_system(&examine("", &dir), "unit-kills-services"), "has no KillMode");
    says(&of_system(&examine("KillMode=mixed", &dir), "unit-kills-services"), "has KillMode=mixed");
    assert_eq!(examine("KillMode=process", &dir), [Value::Null; 0]);
    assert_eq!(examine("", "/other"), [Value::Null; 0]);
}

#[test]
fn limits_that_are_nearly_reached_are_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    let tree = &services.tree;
    // The limits of a user namespace count for the processes in it.
    let script = "echo 2 >/proc/sys/user/max_inotify_instances || exit 77\n\
        svscan n & until svok n/web; do sleep .1; done\n";
    tree.mkdir("n");
    tree.idle_service("n/web");
    let doctor = env!("CARGO_BIN_EXE_svctl");
    let text = format!("{script}{doctor} -d n doctor --json || :\nkill $!\nwait");
    let output = tree
        .cmd("sh")
        .arg("-c")
        .arg(text)
        .under(["unshare", "--map-root-user", "--mount-proc", "--pid", "--fork"])
        .run();
    if !output.out().starts_with('{') {
        return skip("no user namespace with its own limits");
    }
    says(&of_system(&parse(&output), "inotify-limit"), "of at most 2 inotify instances");
}

#[test]
fn an_svscan_that_may_start_few_processes_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    if !harness::is_root() {
        return skip("only root gives processes to another user");
    }
    let (user, ..) = harness::account();
    let tree = &services.tree;
    tree.mkdir("n");
    tree.idle_service("n/web");
    tree.chmod("n", 0o777);
    tree.chmod("n/web", 0o777);
    let svscan = tree.cmd("prlimit").args(["--nproc=3", "setuidgid", &user, "svscan", "n"]).start();
    let examine = || {
        let output =
            tree.cmd(env!("CARGO_BIN_EXE_svctl")).args(["-d", "n", "doctor", "--json"]).run();
        parse(&output)
    };
    wait_until("the limit is found", DEADLINE, || {
        examine().iter().any(|it| it["id"] == "process-limit")
    });
    says(&of_system(&examine(), "process-limit"), "svscan may start only 3");
    svscan.kill();
}
