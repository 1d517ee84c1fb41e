//! svscan with broken links, an unreadable directory, dead supervises and too few descriptors.

use crate::{command, link, svscan, wait_up_soon};
use harness::{Cmd, DEADLINE, Signal, is_root, process, wait_until};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use system::{
    PROMPT, assert_calm, assert_exit_0, count, hard_process_limit, namespace, tree,
    wait_descendant, wait_settled,
};

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
    wait_up_soon(&tree, "s/b");
    assert_eq!(tree.wait_lines("real/a/started", 1).len(), 1);
    assert_eq!(first.stderr(), "");
    // A dead svscan does not block the next one, even if its children live.
    first.kill();
    link(&tree, "c");
    let _second = svscan(&tree);
    wait_up_soon(&tree, "s/c");
}

// The scan directory

#[test]
fn hup_rescans_the_directory() {
    let tree = tree();
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    svscan.wait_stderr("unable to stat a");
    tree.idle_service("real/.a");
    tree.rename("real/.a", "real/a");
    svscan.signal(Signal::HUP);
    wait_up_soon(&tree, "s/a");
}

#[test]
fn a_dangling_link_is_one_warning_and_starts_when_its_target_appears() {
    let tree = tree();
    tree.symlink("../real/a", "s/a");
    let svscan = svscan(&tree);
    let warning = "svscan: warning: unable to stat a: file does not exist\n";
    svscan.wait_stderr(warning);
    for name in ["b", "c"] {
        svscan.signal(Signal::HUP);
        link(&tree, name);
        wait_up_soon(&tree, format!("s/{name}"));
    }
    assert_eq!(svscan.stderr(), warning);
    tree.idle_service("real/.a");
    tree.rename("real/.a", "real/a");
    wait_until("it is found", Duration::from_secs(8), || tree.is_supervised("s/a"));
    assert_eq!(svscan.stderr(), warning);
    // A later dangling link is reported again.
    tree.remove("s/a");
    tree.symlink("../real/none", "s/a");
    wait_until("it is reported", PROMPT, || svscan.stderr() == warning.repeat(2));
}

#[test]
fn an_unreadable_scan_directory_does_no_harm() {
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
fn a_removed_scan_directory_ends_its_services_but_not_svscan() {
    let tree = tree();
    link(&tree, "a");
    let mut svscan = svscan(&tree);
    tree.wait_up("s/a");
    fs::remove_dir_all(tree.path("s")).expect("remove the scan directory");
    tree.wait_unsupervised("real/a");
    assert_calm(svscan.pid(), Duration::from_millis(500));
    assert!(!svscan.has_ended());
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_renamed_scan_directory_stays_the_same() {
    let tree = tree();
    link(&tree, "a");
    let svscan = svscan(&tree);
    let pid = tree.wait_up("s/a");
    tree.rename("s", "t");
    tree.idle_service("real/b");
    tree.symlink("../real/b", "t/b");
    wait_up_soon(&tree, "t/b");
    assert_eq!(tree.wait_up("t/a"), pid);
    assert_eq!(svscan.stderr(), "");
}

// A supervise that ends

#[test]
fn a_killed_supervise_is_reported_and_started_again_at_once() {
    let tree = tree();
    link(&tree, "a");
    tree.idle_service("real/a/log");
    let svscan = svscan(&tree);
    for (dir, arguments, signal, shown) in [
        ("s/a", ["supervise", "a"], Signal::KILL, "a was killed by signal 9"),
        ("s/a/log", ["supervise", "log"], Signal::ABORT, "a/log was killed by signal 6"),
    ] {
        let service = wait_settled(&tree, dir);
        let supervise = wait_descendant(svscan.pid(), &arguments);
        process::signal(supervise, signal);
        wait_until("there is another", PROMPT, || {
            tree.is_supervised(dir) && wait_descendant(svscan.pid(), &arguments) != supervise
        });
        svscan.wait_stderr(&format!("svscan: warning: supervise {shown}\n"));
        process::signal(service, Signal::KILL);
    }
}

#[test]
fn a_supervise_that_left_by_command_is_started_after_five_seconds() {
    let tree = tree();
    link(&tree, "a");
    link(&tree, "b");
    let svscan = svscan(&tree);
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    // Scripts need this time to remove the link.
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

// Processes

/// Runs as a user, if the tests run as root.
fn as_user(cmd: Cmd<'_>, user: u32) -> Cmd<'_> {
    if !is_root() {
        return cmd;
    }
    let [user, group] = ["--reuid", "--regid"].map(|option| format!("{option}={user}"));
    cmd.under(["setpriv", &user, &group, "--clear-groups", "--"])
}

#[test]
fn a_supervise_that_dies_while_no_process_is_free_is_back_seconds_after_one_is() {
    dies_while_no_process_is_free(false);
}

#[test]
fn a_link_that_comes_back_while_no_process_is_free_is_supervised_seconds_after_one_is() {
    dies_while_no_process_is_free(true);
}

#[track_caller]
fn dies_while_no_process_is_free(link_comes_back: bool) {
    let tree = tree();
    link(&tree, "a");
    // The limit does not apply to root, and only the user itself may change it.
    let user = 2_000_000 + std::process::id();
    if is_root() {
        tree.sh(&format!("chmod a+x . && chown -R {user} s real")).run().is(0, "", "");
    }
    let svscan = as_user(command(&tree).arg("s"), user).start();
    let limit = |limit: &str| {
        let limit = format!("--nproc={limit}:");
        let prlimit = tree.cmd("prlimit").args(["--pid", &svscan.pid().to_string(), &limit]);
        as_user(prlimit, user).run().is(0, "", "");
    };
    let service = wait_settled(&tree, "s/a");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    limit("0");
    process::signal(supervise, Signal::KILL);
    let warning = "svscan: warning: unable to fork for a: temporary failure";
    // The pauses grow: at 0, 1, 3 and 7 seconds, then every 5.
    wait_until("four starts fail", DEADLINE, || count(&svscan.stderr(), warning) == 4);
    assert_calm(svscan.pid(), Duration::from_millis(500));
    if link_comes_back {
        tree.remove("s/a");
        tree.symlink("../real/a", "s/a");
        wait_until("another start fails", DEADLINE, || count(&svscan.stderr(), warning) > 4);
    }
    assert!(!tree.is_supervised("s/a") && process::is_alive(service));
    limit(&hard_process_limit());
    let most = Duration::from_secs(5) + PROMPT;
    wait_until("it is back", most, || tree.is_supervised("s/a"));
    assert_eq!((tree.wait_up("s/a"), tree.wait_lines("s/a/started", 1).len()), (service, 1));
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

// Descriptors

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
fn without_dev_null_no_file_of_svscan_gets_a_standard_number() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    tree.service("s/b", "#!/bin/sh\nexec sleep 1000\n");
    tree.service("s/b/log", "#!/bin/sh\nexec sleep 1000\n");
    for dev in ["", "touch /dev/null &&"] {
        let script = format!("mount -t tmpfs none /dev && {dev} exec svscan s <&- >&- 2>&-");
        let svscan = tree.sh(&script).under(namespace).start();
        let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
        let mut processes = vec![svscan.pid(), supervise];
        for dir in ["s/a", "s/b", "s/b/log"] {
            let pid = tree.wait_up(dir);
            process::wait_asleep(pid, "sleep");
            processes.push(pid);
        }
        for pid in processes {
            let files = process::descriptors(pid);
            let mut standard =
                files.iter().filter(|(number, _)| *number <= 2).map(|(_, file)| file);
            let is_nothing = |file: &PathBuf| {
                let name = file.to_string_lossy();
                name.starts_with("/memfd:null") || name.starts_with("pipe:")
            };
            assert!(standard.clone().count() == 3 && standard.all(is_nothing), "{files:?}");
        }
        tree.cmd("svc").args(["-t", "s/a", "s/b", "s/b/log"]).run().is(0, "", "");
        svscan.signal(Signal::TERM);
        assert_exit_0(svscan);
    }
}

#[test]
fn services_without_descriptors_start_when_some_are_free_again() {
    const SERVICES: usize = 12;
    let tree = tree();
    let names: Vec<String> = (0..SERVICES).map(|number| number.to_string()).collect();
    for name in &names {
        link(&tree, name);
        tree.idle_service(format!("real/{name}/log"));
    }
    let svscan = command(&tree).arg("s").under(["prlimit", "--nofile=26"]).start();
    svscan.wait_stderr("svscan: warning: unable to create pipe for ");
    let runs = |name: &String| tree.is_supervised(format!("real/{name}"));
    wait_until("some run", DEADLINE, || names.iter().any(runs));
    assert_calm(svscan.pid(), Duration::from_millis(100));
    let (up, held): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| runs(name));
    assert!(held.len() > 3, "{up:?}");
    for name in up {
        tree.remove(format!("s/{name}"));
    }
    wait_until("others start", DEADLINE, || held.iter().filter(|name| runs(name)).count() > 3);
}

#[test]
fn descriptors_closed_at_the_start_are_null_for_the_services() {
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
