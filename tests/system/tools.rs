//! svc, svstat, svok, and the executable behind all names.

use harness::{Fifo, Status, Suite, Tree, process};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system::{assert_idle, leaves, sleeps, tree, workspace};

/// Makes a service directory which looks supervised, with that status.
fn fake(tree: &Tree, dir: &str, status: impl AsRef<[u8]>) -> Fifo {
    let ok = format!("{dir}/supervise/ok");
    tree.fifo(&ok, 0o600);
    tree.write(format!("{dir}/supervise/status"), status);
    tree.open_fifo(&ok)
}

/// A record of the moment to come, so that its age is 0, with encore's state byte.
fn record(pid: u32, want: u8, state: u8) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let later = i64::try_from(now.as_secs() + 1000).expect("it is not that late");
    let mut record = Status::record(later, pid, 0, want);
    record.extend([state, 0]);
    record
}

// svc

#[test]
fn svc_frames_the_letters_of_encore() {
    let tree = tree();
    tree.fifo("a/supervise/control", 0o600);
    let mut control = tree.open_fifo("a/supervise/control");
    for (options, bytes) in [
        // The original's go out as they are.
        (&["-dud"][..], &b"du"[..]),
        (&["-d", "-x"], b"dx"),
        (&["-udopchaitkx"], b"udopchaitkx"),
        // Signals of encore.
        (&["-q"], b"lq"),
        (&["-1"], b"l1"),
        (&["-2"], b"l2"),
        (&["-w"], b"lw"),
        (&["-d1"], b"ld1"),
        // A choice of whom they are for is taken back at the end.
        (&["-+d"], b"l+dl"),
        (&["-+d=u"], b"l+d=ul"),
        (&["-=t"], b"l=t"),
        (&["-Ld"], b"lLdl"),
        (&["-dLd"], b"ldLdl"),
        (&["-dLdldd"], b"ldLdldl"),
        (&["-l"], b"ll"),
        (&[], b""),
    ] {
        tree.cmd("svc").args(options).arg("a").run().is(0, "", "");
        assert_eq!(control.drain(), bytes, "{options:?}");
    }
}

#[test]
fn letters_of_encore_send_their_signals() {
    let tree = tree();
    tree.trapping_service("a", &["QUIT", "USR1", "USR2", "WINCH", "HUP"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    for (number, (letter, name)) in
        [("-q", "QUIT"), ("-1", "USR1"), ("-2", "USR2"), ("-w", "WINCH"), ("-=h", "HUP")]
            .into_iter()
            .enumerate()
    {
        tree.svc(letter, "a");
        assert_eq!(tree.wait_lines("a/signals", number + 1)[number], name);
    }
    // It has no group of its own, which would be the one of whoever started everything; and
    // there is no log script.
    tree.svc("-+hLh", "a");
    tree.svc("-q", "a");
    assert_eq!(tree.wait_lines("a/signals", 6)[5], "QUIT");
}

#[test]
fn svc_warns_of_a_control_which_nobody_reads() {
    let tree = tree();
    tree.write("a/supervise/control", "as it was\n");
    let line = "svc: warning: unable to control a: control is not a FIFO, so nobody reads it\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_eq!(tree.text("a/supervise/control"), "as it was\n");
}

#[test]
fn svc_and_svok_name_the_file_which_they_tried() {
    let tree = tree();
    tree.mkdir("a/state/ok");
    let output = tree.cmd("svok").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(111, "", "svok: fatal: unable to open state/ok: is a directory\n");
    let output = tree.cmd("svstat").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(0, "a: unable to open state/ok: is a directory\n", "");
}

// svok and svstat

#[test]
fn an_ok_which_is_no_fifo_is_no_sign_of_life() {
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
    let _ok = fake(&tree, "both", &both);
    let _other = fake(&tree, "main", record(0, b'u', 5));
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
    // 38 bytes are enough, which leaves out the state of the log script.
    tree.write("both/supervise/status", &both[..38]);
    let log = "both log: up (pid 29922) 0 seconds\n";
    tree.cmd("svstat").arg("both").run().is(0, [main, log].concat(), "");
    tree.write("both/supervise/status", &both[..37]);
    tree.cmd("svstat").arg("both").run().is(0, "both: up (pid 29934) 0 seconds\n", "");
}

#[test]
fn svstat_names_every_state_of_encore() {
    let tree = tree();
    let _ok = fake(&tree, "a", "");
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
fn svstat_tells_of_a_status_which_cannot_be_read() {
    let tree = tree();
    let _good = fake(&tree, "good", Status::record(0, 7, 0, b'u'));
    let _bad = fake(&tree, "bad", "");
    tree.remove("bad/supervise/status");
    tree.mkdir("bad/supervise/status");
    // Not what it read before.
    let output = tree.cmd("svstat").args(["good", "bad"]).run();
    let second = output.out().lines().nth(1).map(str::to_owned);
    assert_eq!(second.as_deref(), Some("bad: unable to read supervise/status: is a directory"));
    // Nor does it wait for somebody who writes one.
    let _fifo = fake(&tree, "fifo", "");
    tree.remove("fifo/supervise/status");
    tree.fifo("fifo/supervise/status", 0o600);
    assert_eq!(tree.svstat("fifo"), "unable to read supervise/status: bad format");
}

// One executable

/// The file behind the names.
fn executable(tree: &Tree) -> PathBuf {
    let program = tree.suite().program("supervise");
    program.canonicalize().expect("a file which exists has a full name")
}

#[test]
fn a_program_is_what_its_link_is_called_whatever_argument_0_says() {
    let tree = tree();
    for name in ["svok", "-svok", "", "supervise", "/usr/bin/svc", "some thing"] {
        tree.cmd("svok").arg0(name).run().is(100, "", "svok: usage: svok dir\n");
    }
    // Complaints about options begin with the name as it was called, as ever.
    let output = tree.cmd("svstat").arg0("/a/b/status").arg("-z").run();
    assert!(output.err().starts_with("status: illegal option -- z\n"), "{output}");
    // A link of another name is none of them, whatever it leads to; argument 0 decides then.
    tree.symlink(executable(&tree), "bin/other");
    let other = tree.path("bin/other");
    let other = other.to_str().expect("a name in ASCII");
    tree.cmd(other).arg0("svok").run().is(100, "", "svok: usage: svok dir\n");
    tree.symlink("other", "bin/svok");
    let svok = tree.path("bin/svok");
    let svok = svok.to_str().expect("a name in ASCII");
    tree.cmd(svok).arg0("other").run().is(100, "", "svok: usage: svok dir\n");
}

#[test]
fn the_executable_itself_lists_the_programs() {
    let tree = tree();
    let executable = executable(&tree);
    let output = tree.cmd(executable.to_str().expect("a name in ASCII")).arg0("daemontools").run();
    let listed = output.out();
    output.is(0, &listed, "");
    let names: BTreeSet<&str> = listed.lines().collect();
    assert_eq!(names.len(), listed.lines().count(), "{listed}");
    for name in
        ["readproctitle", "supervise", "svc", "svok", "svscan", "svscanboot", "svstat", "svup"]
    {
        assert!(names.contains(name), "{listed}");
    }
}

// Installing

/// Runs `install -n` for a directory below the tree; what it installs is the executable under
/// test.
#[track_caller]
fn install(tree: &Tree, dir: &str) -> String {
    let release = tree.path("target/release/daemontools");
    if !release.exists() {
        tree.symlink(executable(tree), &release);
    }
    let script = workspace().join("install");
    let output = tree
        .cmd("sh")
        .arg(script)
        .args(["-n", dir])
        .env("CARGO_TARGET_DIR", tree.path("target"))
        .run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    output.out()
}

#[test]
fn install_makes_a_link_for_every_program() {
    let tree = tree();
    let said = install(&tree, "new directory/bin");
    let dir = tree.path("new directory/bin");
    let listed = tree.cmd(dir.join("daemontools").to_str().expect("ASCII")).run().out();
    for name in listed.lines() {
        assert_eq!(fs::read_link(dir.join(name)).ok(), Some("daemontools".into()), "{name}");
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(tree.mode("new directory/bin/daemontools"), 0o755);
    // Nothing else is left.
    let count = fs::read_dir(&dir).expect("read the directory").count();
    assert_eq!(count, listed.lines().count() + 1);
}

#[test]
fn install_replaces_an_older_version_while_it_runs() {
    let tree = tree();
    install(&tree, "bin");
    let file = tree.path("bin/daemontools");
    let first = fs::metadata(&file).expect("it is installed").ino();
    tree.idle_service("a");
    let supervise = tree.cmd(tree.path("bin/supervise").to_str().expect("ASCII")).arg("a").start();
    let pid = tree.wait_up("a");
    // Somebody calls a program all the time; it is always there.
    let calls = "until [ -e stop ]; do bin/svok a || echo failed; echo >>calls; done";
    let caller = tree.sh(calls).start();
    tree.wait_lines("calls", 1);
    install(&tree, "bin");
    let lines = tree.text("calls").lines().count();
    tree.wait_lines("calls", lines + 2);
    tree.write("stop", "");
    caller.wait().is(0, "", "");
    let second = fs::metadata(&file).expect("it is installed").ino();
    assert_ne!(first, second);
    // What runs, runs on, and listens to the new programs.
    assert_eq!(tree.wait_up("a"), pid);
    let svc = tree.path("bin/svc");
    tree.cmd(svc.to_str().expect("ASCII")).args(["-dx", "a"]).run().is(0, "", "");
    leaves(supervise);
    assert!(!process::is_alive(pid));
}

#[test]
fn install_wants_one_directory() {
    let tree = tree();
    let script = workspace().join("install");
    for args in [&[][..], &["-n"], &["-n", "a", "b"], &["-x", "a"]] {
        let output = tree.cmd("sh").arg(&script).args(args).run();
        assert_eq!(output.code, Some(100), "{output}");
        assert!(output.err().ends_with("install: usage: install [-n] dir\n"), "{output}");
    }
}

// Costs

#[test]
fn asking_does_not_wake_a_supervise() {
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

#[test]
fn the_suite_is_one_executable() {
    let bin = Suite::get().bin();
    let file = |name: &str| fs::metadata(bin.join(name)).map(|meta| (meta.dev(), meta.ino())).ok();
    let first = file("supervise");
    for name in ["svc", "svok", "svscan", "svscanboot", "svstat", "svup", "readproctitle"] {
        assert_eq!(file(name), first, "{name} in {}", Path::new(bin).display());
    }
}
