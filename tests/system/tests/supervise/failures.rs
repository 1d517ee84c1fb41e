//! supervise without a writable directory, disk space, descriptors or processes.

use crate::is_just_down;
use harness::{Signal, is_root, process, wait_for, wait_until};
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};
use system::{
    PROMPT, assert_calm, assert_exit_0, count, hard_process_limit, namespace, stop_supervise, tree,
};

#[test]
fn a_directory_without_permission_to_write_later_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a", 0o555);
    tree.svc("-d", "a");
    tree.wait_down("a");
    tree.svc("-u", "a");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.pid() == pid && s.paused() == 1);
    tree.svc("-c", "a");
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_reported_with_the_cause() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    let remedy = "; SUPERVISEDIR can name another directory\n";
    let head = "supervise: fatal: unable to acquire ";
    let not_there = "/lock: file does not exist: unable to create ";
    tree.idle_service("a");
    tree.mkdir("ro");
    // Read-only: the directory is missing, is a link to a missing one, or is there.
    let read_only = |script: &str| {
        let script = format!("{script} && mount -o remount,ro ro && exec supervise ro/a");
        tree.sh(&format!("mount -t tmpfs none ro && cp -R a ro && {script}")).under(namespace).run()
    };
    let line =
        format!("{head}ro/a/supervise{not_there}ro/a/supervise: read-only file system{remedy}");
    read_only("true").is(111, "", line);
    let target = "the target of ro/a/supervise: read-only file system";
    let line = format!("{head}ro/a/supervise{not_there}{target}{remedy}");
    read_only("ln -s ../state ro/a/supervise").is(111, "", line);
    let line = format!("{head}ro/a/supervise/lock: read-only file system{remedy}");
    read_only("mkdir ro/a/supervise").is(111, "", line);
    // SUPERVISEDIR itself names a place that cannot be written.
    let script = "mount -t tmpfs -o ro none ro && SUPERVISEDIR=$PWD/ro exec supervise a";
    let failed = tree.sh(script).under(namespace).run();
    assert_eq!(failed.code, Some(111));
    assert!(failed.err().ends_with(": read-only file system\n"), "{failed}");
    assert!(failed.err().contains(not_there), "{failed}");
    // SUPERVISEDIR names a directory that is missing.
    let failed = tree.cmd("supervise").arg("a").env("SUPERVISEDIR", tree.path("none")).run();
    assert_eq!(failed.code, Some(111));
    let missing =
        "/lock: file does not exist: the directory that SUPERVISEDIR names does not exist\n";
    assert!(failed.err().ends_with(missing), "{failed}");
    // A FIFO that cannot be made.
    tree.mkdir("b/supervise");
    tree.idle_service("b");
    tree.write("b/supervise/lock", "");
    tree.chmod("b/supervise", 0o500);
    let line = "supervise: fatal: unable to read b/supervise/control: file does not exist: unable to \
                create it: access denied\n";
    tree.cmd("supervise").arg("b").unprivileged().run().is(111, "", line);
}

#[test]
fn an_unwritable_status_is_one_warning_and_is_written_later() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a/supervise/status", 0o400);
    tree.svc("-d", "a");
    let warning = "supervise: warning: unable to open a/supervise/status.new: access denied\n";
    supervise.wait_stderr(warning);
    process::wait_gone(pid);
    // Everything else goes on.
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 2);
    tree.svc("-pc", "a");
    assert_eq!(tree.status("a").map(|s| s.pid()), Some(pid));
    assert_eq!(supervise.stderr(), warning);
    tree.chmod("a/supervise", 0o700);
    wait_until("the status is right", Duration::from_secs(8), || {
        tree.status("a").is_some_and(|s| s.pid() != pid && process::is_alive(s.pid()))
    });
    // A later failure is reported again.
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a/supervise/status", 0o400);
    tree.svc("-p", "a");
    supervise.wait_stderr(&format!("{warning}{warning}"));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_full_disk_is_one_warning_and_the_status_is_written_later() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.mkdir("disk");
    tree.script("run", "#!/bin/sh\nexec sleep 1000\n");
    let setup = "mount -t tmpfs -o size=64k none disk && mkdir disk/a && cp run disk/a/run &&
        { head -c 1000000 /dev/zero >disk/fill || :; } 2>&- && exec supervise disk/a";
    let supervise = tree.sh(setup).under(namespace).start();
    let line = |file: &str| {
        format!("supervise: warning: unable to write disk/a/supervise/{file}: out of disk space\n")
    };
    let warning = line("status.new") + &line("process") + &line("history");
    supervise.wait_stderr(&warning);
    let inside = Path::new("/proc").join(supervise.pid().to_string()).join("root");
    let disk = inside.join(tree.path("disk").strip_prefix("/").expect("an absolute path"));
    let dir = disk.join("a");
    let service = wait_for("the service runs", PROMPT, || {
        process::descendants(supervise.pid()).first().copied()
    });
    tree.svc("-p", &dir);
    wait_until("the service is stopped", PROMPT, || process::is_stopped(service));
    tree.svc("-c", &dir);
    assert_eq!(supervise.stderr(), warning);
    tree.remove(disk.join("fill"));
    wait_until("the status is right", Duration::from_secs(8), || {
        tree.status(&dir).is_some_and(|s| s.pid() == service)
    });
    let record = dir.join("supervise/process");
    tree.wait_text(record, &format!("leaving=no \npid={service}\nstart="));
    // An existing record needs no more room.
    let _ = fs::write(disk.join("fill"), vec![0; 1_000_000]);
    tree.svc("-p", &dir);
    tree.wait_status(&dir, "paused", |s| s.paused() == 1);
    tree.svc("-d", &dir);
    tree.wait_down(&dir);
    assert_eq!(supervise.stderr(), warning);
    tree.svc("-x", &dir);
    assert_exit_0(supervise);
}

/// Runs a supervise with a limit of the file size, and returns its messages.
#[track_caller]
fn with_files_up_to(limit: u32) -> String {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    // The limit would also apply to a file of messages.
    let (mut messages, stderr) = io::pipe().expect("make a pipe");
    let limit = format!("--fsize={limit}");
    let limited = tree.cmd("supervise").arg("a").under(["prlimit", limit.as_str()]);
    let mut supervise = limited.stderr_to(stderr).start();
    wait_until("the service runs", PROMPT, || {
        assert!(!supervise.has_ended(), "it ended");
        tree.is_supervised("a") && !process::descendants(supervise.pid()).is_empty()
    });
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    let mut text = String::new();
    messages.read_to_string(&mut text).expect("read the messages");
    text
}

#[test]
fn a_partly_written_status_is_a_warning() {
    let line = |file: &str| {
        format!("supervise: warning: unable to write a/supervise/{file}: partial write\n")
    };
    let lines = line("status.new") + &line("process") + &line("history");
    assert_eq!(with_files_up_to(10), lines);
}

#[test]
fn a_limit_of_the_file_size_does_not_kill_supervise() {
    let printed = with_files_up_to(0);
    let files: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("supervise: warning: unable to write a/supervise/"))
        .filter_map(|rest| Some(rest.split_once(": ")?.0))
        .collect();
    assert_eq!(files, ["status.new", "process", "history"], "{printed}");
}

#[test]
fn a_missing_interpreter_is_named() {
    let tree = tree();
    let windows = "interpreter \"/bin/sh\" with a carriage return at its end does not exist: \
                   the file has the line ends of Windows";
    for (dir, run, reason) in [
        ("crlf", "#!/bin/sh\r\nexec sleep 100\r\n", windows),
        ("none", "#! /nowhere/bash -e\n", "interpreter \"/nowhere/bash\" does not exist"),
    ] {
        tree.service(dir, run);
        let supervise = tree.supervise(dir);
        let message =
            format!("supervise: fatal: unable to start {dir}/run: file does not exist: {reason}\n");
        supervise.wait_stderr(&message);
    }
    // The helper scripts have the same message.
    tree.idle_service("check");
    tree.write("check/check-interval", "50ms\n");
    tree.script("check/check", "#!/bin/sh\r\nexit 0\r\n");
    let supervise = tree.supervise("check");
    supervise.wait_stderr(&format!(
        "supervise: fatal: unable to start check/check: file does not exist: {windows}\n"
    ));
}

#[test]
fn the_message_about_a_broken_logger_names_its_service() {
    let tree = tree();
    for (dir, run) in [("scan/a", "#!/bin/sh\n"), ("scan/b", "#!/nowhere/sh\n")] {
        tree.idle_service(dir);
        tree.service(format!("{dir}/log"), run);
    }
    tree.chmod("scan/a/log/run", 0o600);
    let svscan = tree.cmd("svscan").arg("scan").start();
    let start = "supervise: fatal: unable to start log/run: ";
    let path = tree.path("scan").canonicalize().expect("it exists");
    svscan.wait_stderr(&format!("{start}access denied: in {}/a/log\n", path.display()));
    let missing = "file does not exist: interpreter \"/nowhere/sh\" does not exist";
    svscan.wait_stderr(&format!("{start}{missing}: in {}/b/log\n", path.display()));
}

#[test]
fn a_removed_service_directory_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let mut supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    fs::remove_dir_all(tree.path("a")).expect("remove the service directory");
    assert_calm(supervise.pid(), Duration::from_millis(300));
    assert!(process::is_alive(pid) && !supervise.has_ended());
    process::signal(pid, Signal::KILL);
    supervise.wait_stderr("supervise: fatal: unable to start a/run: file does not exist\n");
    assert!(!supervise.has_ended());
    supervise.signal(Signal::TERM);
    let output = supervise.wait_within(PROMPT);
    assert_eq!(output.code, Some(0), "{output}");
    let warnings = count(&output.err(), "warning: unable to open a/supervise/status.new");
    assert!(warnings <= 1, "{output}");
}

#[test]
fn term_ends_a_service_whose_directory_was_removed() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    fs::remove_dir_all(tree.path("a")).expect("remove the service directory");
    supervise.signal(Signal::TERM);
    let output = supervise.wait_within(PROMPT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!process::is_alive(pid));
}

// Limits

#[test]
fn without_descriptors_there_is_a_clear_message() {
    let mut refused = 0;
    for limit in 3..30 {
        let tree = tree();
        tree.idle_service("a");
        let limit = format!("--nofile={limit}");
        let mut supervise =
            tree.cmd("supervise").arg("a").under(["prlimit", limit.as_str()]).start();
        wait_until("it starts or ends", PROMPT * 2, || {
            supervise.has_ended() || tree.is_supervised("a")
        });
        if supervise.has_ended() {
            refused += 1;
            let output = supervise.wait();
            let err = output.err();
            assert_eq!((output.code, count(&err, "fatal: unable to ")), (Some(111), 1), "{output}");
            assert!(
                err.lines().all(|line| {
                    line.starts_with("supervise: ")
                        && line.ends_with(": process cannot open more files")
                }),
                "{output}"
            );
            assert!(!tree.exists("a/started"));
        } else {
            stop_supervise(&tree, supervise, "a");
            // One descriptor more, and supervise can write the status as well.
            if tree.status("a").is_some_and(|s| s.pid() == 0) {
                break;
            }
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn without_processes_supervise_tries_again_and_obeys_meanwhile() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let supervise = tree.cmd("supervise").arg("a");
    // The limit does not apply to the real user root, and raising it needs a privilege that root
    // may lack. So as root, supervise runs as an unused user, and another process of that user
    // occupies the limit for a while.
    let unused_user = format!("--ruid={}", 1_000_000 + std::process::id());
    let flags = ["setpriv", &unused_user, "--inh-caps=-all", "--bounding-set=-all", "--"];
    let (occupant, supervise) = if is_root() {
        let occupant = tree.sh("exec sleep 1000").under(flags).start();
        process::wait_asleep(occupant.pid(), "sleep");
        (Some(occupant), supervise.under(["prlimit", "--nproc=2"]).under(flags))
    } else {
        (None, supervise.under(["prlimit", "--nproc=0:"]))
    };
    let supervise = supervise.start();
    let line = |pause| {
        format!(
            "supervise: warning: unable to fork for a, sleeping {pause} seconds: temporary failure\n"
        )
    };
    supervise.wait_stderr(&line(1));
    tree.wait_supervised("a");
    let line_of_svstat = tree.svstat("a");
    assert!(is_just_down(&line_of_svstat, ", want up"), "{line_of_svstat}");
    let printed = supervise.wait_stderr(&line(2));
    assert_eq!(printed, line(1) + &line(2));
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    // A new command is tried at once.
    let before = Instant::now();
    tree.svc("-u", "a");
    wait_until("it tries again", PROMPT, || count(&supervise.stderr(), "sleeping") == 3);
    assert!(before.elapsed() < PROMPT);
    if let Some(occupant) = occupant {
        occupant.kill();
    } else {
        let lifted = format!("--nproc={}:", hard_process_limit());
        let pid = supervise.pid().to_string();
        tree.cmd("prlimit").args(["--pid", &pid, &lifted]).run().is(0, "", "");
    }
    let pid = tree.wait_up("a");
    process::wait_asleep(pid, "sleep");
    assert_eq!(process::descendants(supervise.pid()), [pid]);
    stop_supervise(&tree, supervise, "a");
}
