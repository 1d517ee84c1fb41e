//! Faults of state directories and supervisors, and file systems that do not fit.

use super::{find, parse, says};
use crate::Services;
use harness::{DEADLINE, Status, Tree, skip, wait_until};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

#[test]
fn a_state_directory_that_others_can_write_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/api");
    });
    services.wait_state("web", "up");
    services.wait_state("api", "up");
    services.tree.chmod("s/web/supervise", 0o777);
    services.tree.chmod("s/api/supervise/control", 0o622);
    let finding = services.finds("web", "state-writable");
    says(&finding, "s/web/supervise has mode 0777");
    super::cure(&services, &finding);
    assert!(find(&services.findings(&["web"]), "web", "state-writable").is_none());
    says(&services.finds("api", "state-writable"), "control has mode 0622");
}

#[test]
fn the_remedy_for_a_foreign_state_directory_trusts_no_foreign_record() {
    if !harness::is_root() {
        return skip("only root can be another user");
    }
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let chowned = services.tree.sh("chown -R 65534 s/web/supervise").run();
    assert_eq!(chowned.code, Some(0), "{chowned}");
    let finding = services.finds("web", "state-writable");
    says(&finding, "s/web/supervise belongs to user 65534");
    super::cure(&services, &finding);
    let owner = |name: &str| {
        let path = services.tree.path("s/web/supervise").join(name);
        std::os::unix::fs::MetadataExt::uid(&fs::symlink_metadata(path).unwrap())
    };
    assert_eq!([owner("."), owner("control"), owner("ok")], [0; 3]);
    assert_eq!(owner("process"), 65534);
    assert!(find(&services.findings(&["web"]), "web", "state-writable").is_none());
}

#[test]
fn a_state_directory_behind_a_link_to_nowhere_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.symlink("../../run/supervise/web", "s/web/supervise");
        tree.idle_service("s/api");
        tree.mkdir("run");
        tree.symlink("../../run/api", "s/api/supervise");
    });
    services.wait_state("api", "up");
    let finding = services.finds("web", "state-dangling");
    says(&finding, "s/web/supervise leads into ");
    super::cure(&services, &finding);
    services.wait_state("web", "up");
    assert_eq!(services.findings(&[]), [Value::Null; 0]);
}

#[test]
fn a_copied_state_directory_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let copied = Command::new("cp")
        .arg("-a")
        .args([services.tree.path("s/web"), services.tree.path("api")])
        .status();
    assert!(copied.unwrap().success());
    let findings = services.findings(&["./api"]);
    says(
        &find(&findings, "./api", "state-copied").unwrap(),
        "./api/supervise is not the directory",
    );
    assert!(find(&services.findings(&["web"]), "web", "state-copied").is_none());
}

#[test]
fn a_status_from_the_future_is_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    // As if the clock had been set back by a day.
    let pid = services.tree.status("s/web").unwrap().pid();
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let seconds = tomorrow.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let record = Status::record(seconds.try_into().unwrap(), pid, 0, b'u');
    fs::write(services.tree.path("s/web/supervise/status"), record).unwrap();
    says(&services.finds("web", "clock"), "which is in ");
}

#[test]
fn a_replaced_executable_is_found() {
    let tree = Tree::new();
    tree.mkdir("s");
    tree.idle_service("s/web");
    tree.mkdir("bin");
    let real = tree.suite().program("svscan").canonicalize().unwrap();
    for name in ["svscan", "supervise"] {
        tree.copy_program(&real, format!("bin/{name}"));
    }
    let path = format!("{}:/usr/bin:/bin", tree.path("bin").display());
    let program = tree.path("bin/svscan");
    let svscan = tree.cmd(program.to_str().unwrap()).env("PATH", path).arg("s").start();
    let services = Services { tree, svscan: Some(svscan) };
    services.wait_state("web", "up");
    assert!(find(&services.findings(&["web"]), "web", "old-executable").is_none());
    for name in ["svscan", "supervise"] {
        services.tree.remove(format!("bin/{name}"));
        services.tree.copy_program(&real, format!("bin/{name}"));
    }
    says(&services.finds("web", "old-executable"), "bin/supervise, which was replaced");
    let all = services.findings(&[]);
    assert!(
        all.iter().any(|it| it["id"] == "old-executable" && it["service"] == Value::Null),
        "{all:?}"
    );
}

/// Runs a shell script with its own mounts, in which `doctor` is the command.
#[track_caller]
fn with_own_mounts(tree: &Tree, script: &str) -> Option<Vec<Value>> {
    let doctor = env!("CARGO_BIN_EXE_svctl");
    let text = format!(
        "mount -t tmpfs -o size=1m none s || exit 77\n{script}\nexec {doctor} -d s doctor --json web\n"
    );
    let output = harness::in_mount_namespace(tree.cmd("sh").arg("-ec").arg(text)).run();
    if output.code == Some(77) {
        skip("no file system can be mounted");
        return None;
    }
    Some(parse(&output))
}

#[test]
fn file_systems_that_do_not_fit_are_found() {
    let tree = Tree::new();
    tree.mkdir("s");
    tree.idle_service("web");
    tree.service("web/log", "#!/bin/sh\nexec multilog t ./main\n");
    tree.mkdir("web/log/main");
    let Some(findings) = with_own_mounts(&tree, "cp -R web s/web\nmount -o remount,bind,noexec s")
    else {
        return;
    };
    let finding = find(&findings, "web", "noexec-mount").unwrap();
    says(&finding, "which is mounted with noexec");
    assert!(finding["remedy"].as_str().unwrap().ends_with("/t/s"), "{finding}");
    let findings = with_own_mounts(&tree, "cp -R web s/web\nmount -o remount,bind,ro s").unwrap();
    says(
        &find(&findings, "web", "state-read-only").unwrap(),
        "s/web is on a read-only file system",
    );
    let findings =
        with_own_mounts(&tree, "cp -R web s/web\ncat /dev/zero >s/web/log/main/current || :")
            .unwrap();
    let finding = find(&findings, "web/log", "disk-full").unwrap();
    says(&finding, "0 B free of 1 MiB");
    let remedy = finding["remedy"].as_str().unwrap();
    assert!(
        remedy.starts_with("du -xah /") && remedy.ends_with("/t/s | sort -h | tail"),
        "{remedy}"
    );
}

#[test]
fn a_wrong_name_is_reported() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    wait_until("it is healthy", DEADLINE, || services.findings(&["web"]).is_empty());
    let output = services.run(&["doctor", "wbe"]);
    assert!(output.code == Some(4) && output.err().contains("did you mean web?"), "{output}");
}
