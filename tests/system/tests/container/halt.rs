//! `svc -H`: a tree ends with a code.

use harness::{DEADLINE, account, is_root};
use rustix::process::Signal;
use system::{namespace, tree};

#[test]
fn a_tree_ends_with_the_code() {
    for code in [0, 3, 255] {
        let tree = tree();
        tree.idle_service("s/a");
        let svscan = tree.cmd("svscan").arg("s").start();
        tree.wait_up("s/a");
        tree.cmd("svc").args(["-H", &code.to_string(), "s"]).run().is(0, "", "");
        let output = svscan.wait_within(DEADLINE);
        assert_eq!(output.code, Some(code), "{output}");
        let line = format!("svscan: info: told to exit with code {code}: stopping\n");
        assert_eq!(output.err(), line);
    }
}

#[test]
fn a_service_can_end_its_tree() {
    let tree = tree();
    tree.service("s/main", "#!/bin/sh\nexit 7\n");
    tree.write("s/main/personality", "s6\n");
    tree.script("s/main/finish", "#!/bin/sh\nsvc -H \"$1\" ..\nexit 125\n");
    let output = tree.cmd("svscan").arg("s").start().wait_within(DEADLINE);
    assert_eq!(output.code, Some(7), "{output}");
}

#[test]
fn the_command_beside_the_services_ends_first() {
    let tree = tree();
    tree.mkdir("s");
    let script =
        "trap 'echo end >end; exit 5' TERM; mkfifo idle; echo >started; read -r line <idle";
    let svscan = tree.cmd("svscan").args(["s", "--", "sh", "-c", script]).start();
    tree.wait_lines("started", 1);
    tree.cmd("svc").args(["-H", "9", "s"]).run().is(0, "", "");
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(9), "{output}");
    assert_eq!(tree.text("end"), "end\n");
}

#[test]
fn mistakes_are_reported() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    let refused = |arguments: &[&str], why: &str| {
        let output = tree.cmd("svc").args(arguments).run();
        output.is(100, "", format!("svc: fatal: {why}\n"));
    };
    refused(&["-H", "256", "s"], "unable to halt with code 256: not a number from 0 to 255");
    refused(&["-H", "x", "s"], "unable to halt with code x: not a number from 0 to 255");
    refused(&["-dH", "1", "s"], "unable to use -H with other options");
    tree.mkdir("other");
    refused(&["-H", "1", "other"], "no svscan runs on other");
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait().code, Some(0));
}

#[test]
fn a_svscan_that_cannot_be_found_is_reported_as_such() {
    let tree = tree();
    tree.chmod("", 0o755);
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    let find = "unable to find the svscan of s";
    if let Some(namespace) = namespace(&tree) {
        let without_proc = |command: &str| {
            let script = format!("mount -t tmpfs none /proc && exec {command}");
            tree.sh(&script).under(namespace).run()
        };
        let why = "/proc does not show which process has locked it";
        without_proc("svc -H 1 s").is(111, "", format!("svc: fatal: {find}: {why}\n"));
        without_proc("svscan -u s").is(111, "", format!("svscan: fatal: {find}: {why}\n"));
    }
    if is_root() {
        let (name, ..) = account();
        let why = format!("access denied (held by pid {})", svscan.pid());
        let of_user = |command: &[&str]| tree.cmd("setuidgid").arg(&name).args(command).run();
        of_user(&["svc", "-H", "1", "s"]).is(111, "", format!("svc: fatal: {find}: {why}\n"));
        of_user(&["svscan", "-u", "s"]).is(111, "", format!("svscan: fatal: {find}: {why}\n"));
    }
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait().code, Some(0));
}
