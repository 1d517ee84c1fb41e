//! What svstat, svok and svup tell of a service.

use crate::{FakeSupervisor, assert_svc_succeeds, record, supervised_directory};
use harness::{Status, Tree};
use std::fs;
use std::time::Duration;
use system::{assert_exit_0, assert_idle, sleeps, tree};

// svok and svstat

#[test]
fn an_ok_that_is_no_fifo_means_no_supervise() {
    let tree = tree();
    tree.write("a/supervise/ok", "");
    tree.write("a/supervise/status", record(1, b'u', 3));
    tree.cmd("svok").arg("a").run().is(100, "", "");
    assert_eq!(tree.svstat("a"), "supervise not running");
    assert_eq!(tree.text("a/supervise/ok"), "");
}

#[test]
fn svstat_shows_the_records_of_encore() {
    let tree = tree();
    let both = [record(29934, b'u', 3), record(29922, 0, 3)].concat();
    let _ok = supervised_directory(&tree, "both", &both);
    let _other = supervised_directory(&tree, "main", record(0, b'u', 5));
    let (main, log) = (
        "both: up (pid 29934) 0 seconds, running\n",
        "both log: up (pid 29922) 0 seconds, once, running\n",
    );
    let failed = "main: down 0 seconds, normally up, want up, failed\n";
    let none = "main: no log service\n";
    for (options, lines) in [
        (&[][..], [main, log, failed].concat()),
        (&["-l"], [main, failed].concat()),
        (&["-L"], [log, none].concat()),
        (&["-lL"], [log, none].concat()),
        (&["-Ll"], [main, failed].concat()),
    ] {
        tree.cmd("svstat").args(options).args(["both", "main"]).run().is(0, lines, "");
    }
    // 38 bytes hold both records, without the state of the log script.
    tree.write("both/supervise/status", &both[..38]);
    let log = "both log: up (pid 29922) 0 seconds\n";
    tree.cmd("svstat").arg("both").run().is(0, [main, log].concat(), "");
    tree.write("both/supervise/status", &both[..37]);
    tree.cmd("svstat").arg("both").run().is(0, "both: up (pid 29934) 0 seconds\n", "");
}

#[test]
fn svstat_names_every_state_of_encore() {
    let tree = tree();
    let _ok = supervised_directory(&tree, "a", "");
    tree.write("a/down", "");
    for (state, name) in [
        (0, "stopped"),
        (1, "starting"),
        (2, "started"),
        (3, "running"),
        (4, "stopping"),
        (5, "failed"),
        (6, "status unknown"),
        (255, "status unknown"),
    ] {
        tree.write("a/supervise/status", record(0, b'd', state));
        assert_eq!(tree.svstat("a"), format!("down 0 seconds, {name}"));
    }
}

#[test]
fn svstat_has_options_and_a_usage() {
    let tree = tree();
    let usage = "svstat: illegal option -- z\nsvstat: usage: svstat [-L] [-l] [-x] dir [dir ...]\n";
    tree.cmd("svstat").arg("-z").run().is(100, "", usage);
    tree.mkdir("-l");
    let line = "./-l: unable to open supervise/ok: file does not exist\n";
    tree.cmd("svstat").arg("./-l").run().is(0, line, "");
}

#[test]
fn svstat_reports_a_status_that_cannot_be_read() {
    let tree = tree();
    let _good = supervised_directory(&tree, "good", Status::record(0, 7, 0, b'u'));
    let _bad = supervised_directory(&tree, "bad", "");
    tree.remove("bad/supervise/status");
    tree.mkdir("bad/supervise/status");
    // svstat does not show the status of the directory before.
    let output = tree.cmd("svstat").args(["good", "bad"]).run();
    let second = output.out().lines().nth(1).map(str::to_owned);
    assert_eq!(second.as_deref(), Some("bad: unable to read supervise/status: is a directory"));
    // svstat does not wait for a writer of a FIFO.
    let _fifo = supervised_directory(&tree, "fifo", "");
    tree.remove("fifo/supervise/status");
    tree.fifo("fifo/supervise/status", 0o600);
    assert_eq!(tree.svstat("fifo"), "unable to read supervise/status: bad format");
}

#[test]
fn svok_and_svstat_do_not_wake_a_supervise() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    assert_idle(&[supervise.pid()], Duration::from_millis(100));
    let before = sleeps(supervise.pid());
    for _ in 0..5 {
        tree.cmd("svok").arg("a").run().is(0, "", "");
        assert!(tree.svstat("a").starts_with("up (pid "));
    }
    assert_eq!(sleeps(supervise.pid()), before);
}

// svup

#[test]
fn svup_tells_up_from_down() {
    let tree = tree();
    tree.idle_service("a");
    let answers = |code: i32| tree.cmd("svup").arg("a").run().is(code, "", "");
    answers(100);
    let supervise = tree.supervise("a");
    assert_svc_succeeds(&tree, "-W up a");
    answers(0);
    tree.cmd("svup").args(["-r", "a", "ignored"]).run().is(0, "", "");
    assert_svc_succeeds(&tree, "-d -W down a");
    answers(100);
    assert_svc_succeeds(&tree, "-u -W up a");
    answers(0);
    tree.svc("-xk", "a");
    assert_exit_0(supervise);
    answers(100);
}

#[test]
fn svup_knows_the_records_of_encore() {
    let tree = tree();
    let fake = FakeSupervisor::new(&tree, "a");
    let record = |pid: u32, state: u8| {
        let mut record = Status::record(0, pid, 0, b'u');
        record.extend([state, 0]);
        record
    };
    for (records, answers) in [
        // The answers of plain svup, -l and -L.
        (record(7, 3), [0, 0, 100]),
        (record(0, 0), [100, 100, 100]),
        (record(0, 2), [0, 0, 100]),
        (record(0, 3), [0, 0, 100]),
        (record(0, 5), [100, 100, 100]),
        ([record(7, 3), record(8, 3)].concat(), [0, 0, 0]),
        ([record(7, 3), record(0, 0)].concat(), [100, 0, 100]),
        ([record(0, 0), record(8, 3)].concat(), [100, 100, 0]),
    ] {
        fake.replace("status", &records);
        for (options, code) in [&[][..], &["-l"], &["-L"]].into_iter().zip(answers) {
            let output = tree.cmd("svup").args(options).arg("a").run();
            assert_eq!(output.code, Some(code), "{options:?} {records:?}");
        }
        tree.cmd("svup").args(["-Ll", "a"]).run().is(answers[1], "", "");
        tree.cmd("svup").args(["-lL", "a"]).run().is(answers[2], "", "");
    }
}

#[test]
fn svup_tells_ready_from_up() {
    let tree = tree();
    let mut fake = FakeSupervisor::new(&tree, "a");
    let answers = |up: i32, ready: i32| {
        tree.cmd("svup").arg("a").run().is(up, "", "");
        tree.cmd("svup").args(["-r", "a"]).run().is(ready, "", "");
    };
    answers(100, 100);
    // Without a state file, up means ready.
    fake.status(7, b'u');
    answers(0, 0);
    for (phase, ready) in
        [("starting", 100), ("ready", 0), ("reloading", 0), ("stopping", 100), ("up", 0)]
    {
        fake.state(7, b'u', &format!("phase={phase}\n"));
        answers(0, ready);
    }
    fake.state(0, b'u', "phase=ready\n");
    answers(100, 100);
    fake.state(7, b'u', "phase=ready\n");
    // A state file that belongs to another status does not count.
    fake.since += 1;
    fake.status(7, b'u');
    answers(0, 100);
    fake.state(7, b'u', "phase=weather\n");
    answers(0, 100);
    // An unreadable state file does not count either.
    tree.remove("a/supervise/state");
    tree.mkdir("a/supervise/state");
    answers(0, 100);
}

#[test]
fn svup_reports_errors_with_the_directory() {
    let tree = tree();
    let usage = "svup: usage: svup [-L] [-l] [-r] dir\n";
    tree.cmd("svup").run().is(100, "", usage);
    let output = tree.cmd("svup").args(["-x", "a"]).run();
    output.is(100, "", format!("svup: illegal option -- x\n{usage}"));
    let output = tree.cmd("svup").args(["none", "second"]).run();
    output.is(111, "", "svup: fatal: unable to chdir to none: file does not exist\n");
    tree.mkdir("a/supervise");
    let answers = |code: i32, line: &str| tree.cmd("svup").arg("a").run().is(code, "", line);
    answers(100, "");
    tree.mkdir("a/supervise/ok");
    answers(111, "svup: fatal: unable to open a/supervise/ok: is a directory\n");
    fs::remove_dir(tree.path("a/supervise/ok")).expect("remove a directory");
    tree.write("a/supervise/ok", "");
    answers(100, "");
    tree.remove("a/supervise/ok");
    tree.fifo("a/supervise/ok", 0o600);
    answers(100, "");
    let _ok = tree.open_fifo("a/supervise/ok");
    answers(100, "");
    tree.write("a/supervise/status", "short");
    answers(111, "svup: fatal: bad data in a/supervise/status: truncated file\n");
    tree.remove("a/supervise/status");
    tree.mkdir("a/supervise/status");
    answers(111, "svup: fatal: unable to read a/supervise/status: is a directory\n");
    tree.mkdir("a/state/ok");
    let output = tree.cmd("svup").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(111, "", "svup: fatal: unable to open state/ok: is a directory\n");
}

// svstat -x

#[track_caller]
fn svstat_x(tree: &Tree, dir: &str) -> String {
    let output = tree.cmd("svstat").args(["-x", dir]).run();
    let line = output.out();
    output.is(0, &line, "");
    let line = line.strip_prefix(&format!("{dir}: ")).expect("the name comes first");
    line.strip_suffix('\n').expect("a line").to_owned()
}

#[test]
fn svstat_x_shows_the_state_file() {
    let tree = tree();
    let mut fake = FakeSupervisor::new(&tree, "a");
    tree.write("a/down", "");
    let said = |plain: &str, more: &str| {
        assert_eq!(tree.svstat("a"), plain);
        assert_eq!(svstat_x(&tree, "a"), format!("{plain}{more}"));
    };
    let later = |fake: &FakeSupervisor<'_>| fake.label();
    said("down 0 seconds", "");
    fake.state(0, b'd', "phase=down\n");
    said("down 0 seconds", "");
    fake.state(0, b'u', "phase=failed\nreason=deaths\nfailures=5\n");
    said("down 0 seconds, want up", ", failed: too many deaths, 5 failures");
    fake.state(0, b'u', "phase=blocked\nwaiting-for=db\n");
    said("down 0 seconds, want up", ", waiting for db");
    let next = later(&fake);
    fake.state(0, b'u', &format!("phase=waiting\nfailures=3\nnext={next}\n"));
    let line = svstat_x(&tree, "a");
    let line = line.strip_prefix("down 0 seconds, want up, next start in ").expect("a time");
    let (seconds, rest) = line.split_once(' ').expect("a number of seconds");
    assert!((900..=1000).contains(&seconds.parse::<u32>().expect("a number")), "{seconds}");
    assert_eq!(rest, "seconds, 3 failures");
    let ready = later(&fake);
    let lines = format!("phase=ready\nready={ready}\nreason=check\nmessage=all \x07 \"well\"\n");
    fake.state(7, b'u', &lines);
    let plain = "up (pid 7) 0 seconds, normally down";
    said(plain, ", ready 0 seconds, reason: check failed, status \"all ? \"well\"\"");
    // A state file that does not belong to the status is not shown.
    fake.since += 1;
    fake.status(7, b'u');
    said(plain, "");
    fake.replace("state", "nonsense");
    said(plain, "");
    // The state file is about the service, not about its log script.
    let both = [Status::record(fake.since, 7, 0, b'u'), vec![3, 0]].concat();
    fake.replace("status", [both.clone(), both].concat());
    fake.replace("state", format!("since={}\nphase=stopping\n", fake.label()));
    let output = tree.cmd("svstat").args(["-x", "a"]).run();
    let plain = "up (pid 7) 0 seconds, normally down, running";
    output.is(0, format!("a: {plain}, stopping\na log: {plain}\n"), "");
}

#[test]
fn svstat_x_shows_how_the_last_process_ended() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\n[ -e fail ] && exit 3\necho >>started\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    assert_svc_succeeds(&tree, "-W up a");
    tree.wait_lines("a/started", 1);
    let line = svstat_x(&tree, "a");
    assert!(line.starts_with("up (pid ") && line.ends_with(" seconds"), "{line}");
    assert_svc_succeeds(&tree, "-k -W up a");
    tree.wait_lines("a/started", 2);
    let line = svstat_x(&tree, "a");
    assert!(line.starts_with("up (pid "), "{line}");
    assert!(line.ends_with(" seconds, last killed by signal 9"), "{line}");
    assert_svc_succeeds(&tree, "-d -W down a");
    let line = svstat_x(&tree, "a");
    assert!(line.ends_with(" seconds, normally up, last killed by signal 15"), "{line}");
    tree.write("a/fail", "");
    assert_svc_succeeds(&tree, "-o -W down a");
    let line = svstat_x(&tree, "a");
    assert!(line.ends_with(" seconds, normally up, last exit 3"), "{line}");
}
