//! Where ours differs from the original on purpose: what either does in the same case. Differences
//! in a point of something larger stand with that, in the other files.

use harness::{DEADLINE, Signal, Status, Tree, is_root, process, wait_until};
use std::fs;

// svc, svstat, svok

#[test]
fn an_ok_which_is_a_plain_file() {
    let tree = Tree::new();
    tree.write("a/supervise/ok", "");
    tree.write("a/supervise/status", Status::record(0, 0, 0, 0));
    let svok = tree.cmd("svok").arg("a").run();
    let svstat = tree.cmd("svstat").arg("a").run().out();
    if tree.suite().differs("a plain file ok is no sign of a supervise") {
        svok.is(100, "", "");
        assert_eq!(svstat, "a: supervise not running\n");
    } else {
        svok.is(0, "", "");
        assert!(svstat.starts_with("a: down "), "{svstat}");
    }
}

#[test]
fn a_control_which_is_a_plain_file() {
    let tree = Tree::new();
    tree.write("a/supervise/control", "");
    let output = tree.cmd("svc").args(["-u", "a"]).run();
    assert_eq!((output.code, output.out()), (Some(0), String::new()));
    if tree.suite().differs("letters are written to a FIFO only") {
        assert!(output.err().starts_with("svc: warning: unable to control a: "), "{output}");
        assert_eq!(tree.text("a/supervise/control"), "");
    } else {
        assert_eq!(output.err(), "");
        assert_eq!(tree.text("a/supervise/control"), "u");
    }
}

#[test]
fn a_status_which_is_a_directory() {
    let tree = Tree::new();
    tree.mkdir("a/supervise/status");
    tree.fifo("a/supervise/ok", 0o600);
    let _reader = tree.open_fifo("a/supervise/ok");
    let output = tree.cmd("svstat").arg("a").run();
    let line = output.out();
    if tree.suite().differs("a status that cannot be read is told") {
        output.is(0, "a: unable to read supervise/status: is a directory\n", "");
    } else {
        // From zeros, or from the directory before.
        assert!(line.starts_with("a: down 4611686") && line.ends_with(", normally up\n"), "{line}");
    }
}

#[test]
fn svstat_with_a_word_that_begins_with_a_hyphen() {
    let tree = Tree::new();
    let output = tree.cmd("svstat").arg("-l").run();
    if tree.suite().differs("svstat has options, as that of daemontools-encore") {
        assert!(!output.out().contains("-l: "), "{output}");
    } else {
        output.is(0, "-l: unable to chdir: file does not exist\n", "");
    }
}

// supervise

#[test]
fn term_for_supervise() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.signal(Signal::TERM);
    let output = supervise.wait();
    if tree.suite().differs("TERM ends the service, and then supervise") {
        output.is(0, "", "");
        assert!(!process::is_alive(pid));
    } else {
        assert_eq!(output.signal, Some(15), "{output}");
        assert!(process::is_alive(pid));
    }
}

#[test]
fn a_supervise_after_one_that_was_killed() {
    let tree = Tree::new();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    first.kill();
    let _second = tree.supervise("a");
    if tree.suite().differs("the next supervise goes on with the process that runs") {
        // It is known as soon as somebody reads `ok`.
        assert_eq!(tree.wait_up("a"), pid);
        assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
        tree.svc("-d", "a");
        process::wait_gone(pid);
    } else {
        assert_ne!(tree.wait_restart("a", pid), pid);
        assert!(process::is_alive(pid));
    }
}

#[test]
fn a_death_in_the_second_after_a_start() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    let mut pid = tree.wait_up("a");
    let seen_at_once = tree.suite().differs("a death is seen at once, only the next start waits");
    // The second may be over before all is looked at, but not every time.
    let found = (0..5).any(|_| {
        process::signal(pid, Signal::KILL);
        wait_until("it has ended", DEADLINE, || matches!(process::state(pid), None | Some('Z')));
        let found = match seen_at_once {
            true => tree.svstat("a").ends_with(", normally up, want up"),
            false => {
                tree.svstat("a").starts_with(&format!("up (pid {pid}) "))
                    && process::state(pid) == Some('Z')
            }
        };
        pid = tree.wait_restart("a", pid);
        found
    });
    assert!(found);
}

// svscan

#[test]
fn term_for_svscan() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").start();
    let pid = tree.wait_up("s/a");
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    if tree.suite().differs("TERM ends all services, and then svscan") {
        assert_eq!(output.code, Some(0), "{output}");
        assert!(!process::is_alive(pid));
    } else {
        assert_eq!(output.signal, Some(15), "{output}");
        assert!(process::is_alive(pid));
    }
}

#[test]
fn a_log_which_is_a_plain_file() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    tree.write("s/a/log", "");
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    if tree.suite().differs("a log that is no directory is no logger") {
        // It has looked at everything when this one runs.
        tree.idle_service("s/b");
        tree.wait_up("s/b");
        assert_eq!(svscan.stderr(), "");
    } else {
        svscan.wait_stderr("supervise: fatal: unable to chdir to log: not a directory\n");
    }
}

#[test]
fn a_link_that_is_removed() {
    let tree = Tree::new();
    tree.idle_service("real/a");
    tree.symlink("../real/a", "s/a");
    let _svscan = tree.cmd("svscan").arg("s").start();
    let pid = tree.wait_up("real/a");
    tree.remove("s/a");
    if tree.suite().differs("a service is stopped when its last name is gone") {
        process::wait_gone(pid);
        tree.wait_unsupervised("real/a");
    } else {
        // It has looked at everything when this one runs.
        tree.idle_service("s/b");
        tree.wait_up("s/b");
        assert_eq!(tree.wait_up("real/a"), pid);
    }
}

#[test]
fn a_link_of_svscan_that_leads_nowhere() {
    let tree = Tree::new();
    tree.symlink("nowhere", "s/a");
    let svscan = tree.cmd("svscan").arg("s").start();
    let line = "svscan: warning: unable to stat a: file does not exist\n";
    if tree.suite().differs("a warning about a name is said once, until it was good or gone") {
        svscan.wait_stderr(line);
        // It has looked again when this one runs.
        tree.idle_service("s/b");
        tree.wait_up("s/b");
        assert_eq!(svscan.stderr(), line);
    } else {
        svscan.wait_stderr(&line.repeat(2));
    }
}

#[test]
fn a_log_that_is_added_later() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let _svscan = tree.cmd("svscan").arg("s").start();
    let pid = tree.wait_up("s/a");
    tree.idle_service("s/a/log");
    tree.svc("-dx", "s/a");
    tree.wait_restart("s/a", pid);
    if tree.suite().differs("a log is looked for again when no supervise of the service runs") {
        tree.wait_up("s/a/log");
    } else {
        // It has looked at everything when this one runs.
        tree.idle_service("s/b");
        tree.wait_up("s/b");
        assert!(!tree.is_supervised("s/a/log"));
    }
}

#[test]
fn two_svscans_in_one_directory() {
    let tree = Tree::new();
    tree.idle_service("s/a");
    let _first = tree.cmd("svscan").arg("s").start();
    let pid = tree.wait_up("s/a");
    let mut second = tree.cmd("svscan").arg("s").start();
    if tree.suite().differs("the second svscan in a directory refuses") {
        assert_eq!(second.wait().code, Some(111));
    } else {
        second.wait_stderr(
            "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n",
        );
        assert!(!second.has_ended());
    }
    assert_eq!(tree.wait_up("s/a"), pid);
}

// Chain loaders

#[test]
fn a_link_of_envdir_that_leads_nowhere() {
    let tree = Tree::new();
    tree.symlink("nowhere", "env/A");
    let output = tree.cmd("envdir").args(["env", "printenv", "A"]).env("A", "old").run();
    if tree.suite().differs("a link that leads nowhere is passed over") {
        output.is(0, "old\n", "");
    } else {
        // Nothing was read before, and so it is as an empty file.
        output.is(1, "", "");
    }
}

#[test]
fn an_account_in_digits() {
    let tree = Tree::new();
    let script = "echo $UID $GID";
    let output = tree.cmd("envuidgid").args(["12:34", "sh", "-c", script]).run();
    if tree.suite().differs("UID:GID is an account") {
        output.is(0, "12 34\n", "");
    } else {
        output.is(111, "", "envuidgid: fatal: unknown account 12:34\n");
    }
}

#[test]
fn a_setuidgid_with_an_option() {
    let tree = Tree::new();
    let output = tree.cmd("setuidgid").args(["-s", "root", "echo", "done"]).run();
    if !tree.suite().differs("setuidgid has options, as that of daemontools-encore") {
        output.is(111, "", "setuidgid: fatal: unknown account -s\n");
    } else if is_root() {
        output.is(0, "done\n", "");
    } else {
        assert!(output.err().starts_with("setuidgid: fatal: unable to "), "{output}");
    }
}

#[test]
fn a_limit_in_the_environment() {
    let tree = Tree::new();
    let command = tree.cmd("softlimit").args(["sh", "-c", "ulimit -Sn"]);
    let output = command.env("SOFTLIMIT_OPENFILES", "41").run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()));
    let obeyed = tree.suite().differs("variables are obeyed, as by that of daemontools-encore");
    assert_eq!(output.out() == "41\n", obeyed);
}

#[test]
fn a_limit_that_is_none() {
    let tree = Tree::new();
    let command = tree.cmd("softlimit").args(["-c", "-", "true"]);
    // A hard limit that is none already: nobody needs a right for that.
    let output = command.under(["prlimit", "--core=0:unlimited"]).run();
    if tree.suite().differs("a hyphen lifts a limit, as with that of daemontools-encore") {
        output.is(0, "", "");
    } else {
        assert_eq!(output.code, Some(100), "{output}");
        assert!(output.err().starts_with("softlimit: usage: "), "{output}");
    }
}

#[test]
fn a_fghack_with_an_option() {
    let tree = Tree::new();
    let output = tree.cmd("fghack").args(["-f", "true"]).run();
    if tree.suite().differs("fghack passes signals on, if asked to") {
        output.is(0, "", "");
    } else {
        output.is(111, "", "fghack: fatal: unable to run -f: file does not exist\n");
    }
}

// Logs

#[test]
fn a_script_of_multilog_that_begins_with_a_capital_t() {
    let tree = Tree::new();
    let output = tree.cmd("multilog").args(["T", "e"]).stdin("one\n").run();
    if tree.suite().differs("T F S w are actions, as with that of daemontools-encore") {
        assert!(output.err().len() > 15 && output.err().ends_with(" one\n"), "{output}");
    } else {
        output.is(0, "", "one\n");
    }
}

#[test]
fn an_old_file_from_the_future() {
    let tree = Tree::new();
    let future = "d/@4fffffffffffffffffffffff.s";
    tree.write(future, "old\n");
    tree.cmd("multilog").args(["n2", "./d"]).stdin("one\n").run().is(0, "", "");
    // As after a rotation: what is in current does not fit any more.
    let line = "x".repeat(5000) + "\n";
    tree.cmd("multilog").args(["s4096", "n2", "./d"]).stdin(&line).run().is(0, "", "");
    let names = || {
        let entries = fs::read_dir(tree.path("d")).expect("a directory");
        let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("name"));
        names.filter(|name| name.starts_with('@')).collect::<Vec<_>>()
    };
    wait_until("one old file is left", DEADLINE, || names().len() == 1);
    let kept = tree.exists(future);
    if tree.suite().differs("the file that was just finished is never the one to go") {
        assert!(!kept, "{:?}", names());
    } else {
        assert!(kept, "{:?}", names());
    }
}

#[test]
fn a_label_of_a_year_below_0() {
    let tree = Tree::new();
    // One second before the year 0.
    let label = (1_i64 << 62) + 10 - 62_167_219_201;
    let line = format!("@{label:016x}00000000 x\n");
    let output = tree.cmd("tai64nlocal").env("TZ", "UTC").stdin(line).run();
    let year = if tree.suite().differs("a year below 0 has a minus sign") {
        "-1"
    } else {
        "18446744073709551615"
    };
    output.is(0, format!("{year}-12-31 23:59:59.000000000 x\n"), "");
}

#[test]
fn a_label_of_many_digits() {
    let tree = Tree::new();
    let line = format!("@{}4000000037c219bf2ef02e94 x\n", "0".repeat(300));
    let output = tree.cmd("tai64nlocal").env("TZ", "UTC").stdin(&line).run();
    if tree.suite().differs("a run of more than 255 digits is no label") {
        output.is(0, line, "");
    } else {
        output.is(0, "1999-08-24 04:04:05.787492500 x\n", "");
    }
}
