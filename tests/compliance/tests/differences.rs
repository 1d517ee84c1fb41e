//! Intended differences: what each suite does in the same case. A difference in one detail of a larger
//! case is tested in the file of that case.

use harness::{DEADLINE, Signal, Status, Tree, is_root, process, wait_until};
use std::fs;

// All programs

/// The programs that the original has, and what they do with `--help` and nothing else.
const HELPLESS: [(&str, i32); 9] = [
    ("envdir", 111),
    ("envuidgid", 100),
    ("setlock", 100),
    ("setuidgid", 100),
    ("softlimit", 100),
    ("svc", 0),
    ("svok", 111),
    ("tai64n", 0),
    ("tai64nlocal", 0),
];

#[test]
fn a_question_for_help_or_for_the_version() {
    let tree = Tree::new();
    for (name, code) in HELPLESS {
        for word in ["--help", "--version"] {
            let output = tree.cmd(name).arg(word).stdin("").run();
            if tree.suite().differs("every program answers --help and --version") {
                assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
                let start = if word == "--help" { "Usage: " } else { "" };
                assert!(output.out().starts_with(&format!("{start}{name}")), "{output}");
            } else {
                assert_eq!((output.code, output.out()), (Some(code), String::new()), "{output}");
            }
        }
    }
}

// svc, svstat, svok

#[test]
fn an_ok_which_is_a_plain_file() {
    let tree = Tree::new();
    tree.write("a/supervise/ok", "");
    tree.write("a/supervise/status", Status::record(0, 0, 0, 0));
    let svok = tree.cmd("svok").arg("a").run();
    let svstat = tree.cmd("svstat").arg("a").run().out();
    if tree.suite().differs("only a FIFO ok with a reader is a running supervise") {
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
    if tree.suite().differs("ours writes letters only to a FIFO") {
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
    if tree.suite().differs("ours reports a status that it cannot read") {
        output.is(0, "a: unable to read supervise/status: is a directory\n", "");
    } else {
        // The numbers are zeros, or those of the previous directory.
        assert!(line.starts_with("a: down 4611686") && line.ends_with(", normally up\n"), "{line}");
    }
}

#[test]
fn svstat_with_a_word_that_begins_with_a_hyphen() {
    let tree = Tree::new();
    let output = tree.cmd("svstat").arg("-l").run();
    if tree.suite().differs("svstat has the options of daemontools-encore") {
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
    if tree.suite().differs("TERM stops the service, and then supervise exits") {
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
    if tree.suite().differs("the next supervise adopts the running process") {
        // `ok` has a reader only after supervise has adopted the process.
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
    let seen_at_once = tree.suite().differs("ours sees an exit at once; only the next start waits");
    // On a busy machine a try may take longer than the second, but not every try does.
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
    if tree.suite().differs("TERM stops all services, and then svscan exits") {
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
    if tree.suite().differs("only a directory log is a logger") {
        // svscan has scanned the whole directory once this service runs.
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
    if tree.suite().differs("ours stops a service after its last name was removed") {
        process::wait_gone(pid);
        tree.wait_unsupervised("real/a");
    } else {
        // svscan has scanned the whole directory once this service runs.
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
    if tree.suite().differs("ours prints the warning once, until the name is valid or removed") {
        svscan.wait_stderr(line);
        // svscan has scanned the directory again once this service runs.
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
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", pid);
    if tree.suite().differs("ours uses a new log from the next start of the service on") {
        tree.wait_up("s/a/log");
    } else {
        // svscan has scanned the whole directory once this service runs.
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
    if tree.suite().differs("the second svscan in a directory refuses to start") {
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
    if tree.suite().differs("ours skips a dangling link") {
        output.is(0, "old\n", "");
    } else {
        // envdir has read no file before, so the link counts as an empty file.
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
    if !tree.suite().differs("setuidgid has the options of daemontools-encore") {
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
    let obeyed = tree.suite().differs("ours obeys variables, as daemontools-encore does");
    assert_eq!(output.out() == "41\n", obeyed);
}

#[test]
fn a_limit_lifted_by_a_hyphen() {
    let tree = Tree::new();
    let command = tree.cmd("softlimit").args(["-c", "-", "true"]);
    // The hard limit is unlimited already, so no privilege is needed.
    let output = command.under(["prlimit", "--core=0:unlimited"]).run();
    if tree.suite().differs("a hyphen lifts a limit, as in daemontools-encore") {
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
    if tree.suite().differs("fghack -f passes signals on") {
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
    if tree.suite().differs("T, F, S and w are actions, as in daemontools-encore") {
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
    // The line does not fit behind the contents of current, so multilog rotates.
    let line = "x".repeat(5000) + "\n";
    tree.cmd("multilog").args(["s4096", "n2", "./d"]).stdin(&line).run().is(0, "", "");
    let names = || {
        let entries = fs::read_dir(tree.path("d")).expect("a directory");
        let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("name"));
        names.filter(|name| name.starts_with('@')).collect::<Vec<_>>()
    };
    wait_until("one old file is left", DEADLINE, || names().len() == 1);
    let kept = tree.exists(future);
    if tree.suite().differs("ours never removes the file that it has just finished") {
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
    let year = if tree.suite().differs("ours prints a minus sign before a year below 0") {
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
