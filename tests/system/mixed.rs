//! Our programs and the original's beside each other, as while one replaces the other.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_until};
use std::ffi::OsString;
use std::fs;
use std::io::{Write, pipe};
use std::os::unix::fs::MetadataExt;
use std::thread;
use system::{PROMPT, leaves, original, theirs, tree};

/// A program of ours or of the original's.
fn either<'t>(tree: &'t Tree, ours: bool, name: &str) -> Cmd<'t> {
    if ours { tree.cmd(name) } else { theirs(tree, name) }
}

#[track_caller]
fn supervise(tree: &Tree, ours: bool, dir: &str) -> Process {
    let supervise = either(tree, ours, "supervise").arg(dir).start();
    tree.wait_supervised(dir);
    supervise
}

/// Lets the tools of one suite ask and control a supervise of the other.
fn tools_control_a_supervise(our_tools: bool) {
    let tree = tree();
    tree.trapping_service("a", &["HUP", "ALRM", "INT"]);
    let supervise = supervise(&tree, !our_tools, "a");
    let svc = |letters: &str| {
        either(&tree, our_tools, "svc").args([letters, "a"]).run().is(0, "", "");
    };
    let svstat = || either(&tree, our_tools, "svstat").arg("a").run().out();
    let svok = || either(&tree, our_tools, "svok").arg("a").run().code;
    assert_eq!(svok(), Some(0));
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    assert!(svstat().starts_with(&format!("a: up (pid {pid}) ")), "{}", svstat());
    svc("-hai");
    let mut signals = tree.wait_lines("a/signals", 3);
    signals.sort();
    assert_eq!(signals, ["ALRM", "HUP", "INT"]);
    svc("-p");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    assert!(svstat().ends_with(" seconds, paused\n"), "{}", svstat());
    svc("-c");
    tree.wait_status("a", "not paused", |s| s.paused() == 0);
    svc("-d");
    tree.wait_down("a");
    wait_until("it says so", PROMPT, || svstat().ends_with(" seconds, normally up\n"));
    svc("-o");
    let pid = tree.wait_restart("a", pid);
    tree.wait_want("a", harness::PENDING);
    svc("-u");
    tree.wait_want("a", b'u');
    svc("-k");
    tree.wait_restart("a", pid);
    // Letters which the original does not know do no harm there, framed or not.
    if our_tools {
        svc("-q12w+L=l");
    }
    svc("-dx");
    leaves(supervise);
    assert_eq!(svok(), Some(100));
    assert_eq!(svstat(), "a: supervise not running\n");
}

#[test]
fn our_tools_control_the_originals_supervise() {
    tools_control_a_supervise(true);
}

#[test]
fn the_originals_tools_control_our_supervise() {
    tools_control_a_supervise(false);
}

/// Starts the supervise of one suite beside one of the other.
fn the_second_is_refused(ours_first: bool) {
    let tree = tree();
    tree.idle_service("a");
    let first = supervise(&tree, ours_first, "a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let files = ["control", "lock", "ok", "status"].map(|file| tree.path("a/supervise").join(file));
    let look = || {
        files.each_ref().map(|file| {
            let meta = fs::symlink_metadata(file).expect("the file is there");
            let content =
                if meta.is_file() { fs::read(file).expect("read it") } else { Vec::new() };
            (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.mode(), content)
        })
    };
    let before = look();
    let holder = if ours_first { String::new() } else { format!(" (held by pid {})", first.pid()) };
    let line = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure{holder}\n"
    );
    either(&tree, !ours_first, "supervise").arg("a").run().is(111, "", line);
    assert_eq!(look(), before);
    assert_eq!(tree.wait_up("a"), pid);
    tree.svc("-dx", "a");
    leaves(first);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn our_supervise_is_refused_where_the_originals_runs() {
    the_second_is_refused(false);
}

#[test]
fn the_originals_supervise_is_refused_where_ours_runs() {
    the_second_is_refused(true);
}

#[test]
fn each_takes_over_what_the_other_has_left() {
    let tree = tree();
    tree.idle_service("a");
    for (run, ours) in [false, true, false, true].into_iter().enumerate() {
        let supervise = supervise(&tree, ours, "a");
        tree.wait_up("a");
        tree.wait_lines("a/started", run + 1);
        tree.svc("-dx", "a");
        leaves(supervise);
    }
    for (file, mode) in [("control", 0o600), ("lock", 0o600), ("ok", 0o600), ("status", 0o644)] {
        assert_eq!(tree.mode(format!("a/supervise/{file}")), mode, "{file}");
    }
}

/// All lines of a log, in order, with what may be the end of one at the end of each file.
fn logged(tree: &Tree) -> Vec<String> {
    let entries = fs::read_dir(tree.path("d")).expect("a directory");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let mut old: Vec<String> = names.filter(|name| name.starts_with('@')).collect();
    old.sort();
    let files = old.into_iter().chain(["current".to_string()]);
    let texts = files.map(|name| tree.text(format!("d/{name}")));
    texts.flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

/// Lets the multilogs of both suites have a log and a pipe in turn, while a writer never pauses.
/// Gives how many lines were lost, and how many are there twice.
#[track_caller]
fn in_turn(end: Signal) -> (usize, usize) {
    const LINES: usize = 800_000;
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let line = |n: usize| format!("{n:07} {:x<111}", "");
    let writer = thread::spawn(move || {
        let text: String = (0..LINES).map(|n| line(n) + "\n").collect();
        for piece in text.as_bytes().chunks(50_003) {
            input.write_all(piece).expect("write to the pipe");
        }
    });
    let size = || {
        let Ok(entries) = fs::read_dir(tree.path("d")) else { return 0 };
        entries.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum::<u64>()
    };
    let script = ["s1000000", "n1000", "./d"];
    for turn in 0..TURNS {
        let start = || {
            let own = reader.try_clone().expect("another reader");
            either(&tree, turn % 2 == 0, "multilog").args(script).stdin_from(own).start()
        };
        let mut logger = start();
        let far = size() + 300_000 + turn * 7919;
        wait_until("it logs", DEADLINE, || {
            if logger.has_ended() {
                // The heir of ours still had the lock.
                logger = start();
            }
            size() > far || writer.is_finished()
        });
        assert!(!writer.is_finished(), "the input is too short");
        logger.signal(end);
        logger.wait();
    }
    tree.cmd("multilog").args(script).stdin_from(reader).run().is(0, "", "");
    writer.join().expect("all is written");
    let (mut next, mut doubled, mut lost) = (0, 0, 0);
    for text in logged(&tree) {
        // What has another length was cut by a KILL.
        let number = text.get(..7).and_then(|digits| digits.parse::<usize>().ok());
        let Some(number) = number.filter(|n| text == line(*n)) else { continue };
        if number < next {
            doubled += 1;
        } else {
            lost += number - next;
            next = number + 1;
        }
    }
    (lost + LINES - next, doubled)
}

/// How often the log is handed on.
const TURNS: u64 = 20;

#[test]
fn a_log_goes_from_one_suite_to_the_other_and_back_under_load() {
    assert_eq!(in_turn(Signal::TERM), (0, 0));
}

#[test]
fn a_log_goes_from_one_suite_to_the_other_and_back_after_kills() {
    let (lost, doubled) = in_turn(Signal::KILL);
    // The original loses what it has read and what it has not written: not more than 4 KiB. It does
    // not know the beginning of a line that ours holds. The rest, the heir of ours has finished.
    let kills = TURNS as usize / 2;
    assert!(lost <= kills * 4096 / 120 + kills, "{lost} lost");
    assert_eq!(doubled, 0);
}

#[test]
fn a_beginning_that_ours_held_is_forgotten_when_the_original_was_there() {
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let start = |ours| {
        let own = reader.try_clone().expect("another reader");
        either(&tree, ours, "multilog").arg("./d").stdin_from(own).start()
    };
    let logger = start(true);
    let burst = "a line of the log\n".repeat(1000) + "the beginning ";
    input.write_all(burst.as_bytes()).expect("write");
    wait_until("it holds the beginning", DEADLINE, || {
        fs::read(tree.path("d/.multilog-batch")).is_ok_and(|m| m.ends_with(b"the beginning "))
    });
    logger.kill();
    for (ours, line) in [(false, "theirs\n"), (true, "ours\n")] {
        let next = start(ours);
        input.write_all(line.as_bytes()).expect("write");
        wait_until("it is logged", DEADLINE, || tree.text("d/current").ends_with(line));
        next.kill();
    }
    assert_eq!(tree.text("d/current"), "ours\n");
}

/// As when the programs were replaced while everything runs: a PATH in which supervise is the
/// original's.
fn path_to_their_supervise(tree: &Tree) -> OsString {
    tree.symlink(original().join("supervise"), "bin/supervise");
    let mut path = tree.path("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    path
}

#[test]
fn our_svscan_ends_services_of_the_originals_supervise_too() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").env("PATH", path_to_their_supervise(&tree)).start();
    let pid = tree.wait_up("s/a");
    let supervise = process::parent(pid).expect("it has a parent");
    let program = fs::read_link(format!("/proc/{supervise}/exe")).expect("it is running");
    assert_eq!(program, original().join("supervise"));
    // It dies of TERM, as ever; that is no reason for svscan to wait or to start another.
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert!(!process::is_alive(supervise));
}

#[test]
fn the_originals_svscan_runs_our_supervise() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    let svscan = theirs(&tree, "svscan").arg("s").start();
    for dir in ["s/a", "s/a/log"] {
        let pid = tree.wait_up(dir);
        let supervise = process::parent(pid).expect("it has a parent");
        let program = fs::read_link(format!("/proc/{supervise}/exe")).expect("it is running");
        let ours = tree.suite().program("supervise").canonicalize().expect("a full name");
        assert_eq!(program, ours);
        tree.svc("-d", dir);
        tree.wait_down(dir);
    }
    assert_eq!(svscan.stderr(), "");
}

#[test]
fn our_svscan_runs_the_originals_supervise() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\necho $$ >>started\necho said $$\nexec sleep 1000\n");
    tree.service("s/a/log", "#!/bin/sh\nexec cat >>logged\n");
    let svscan = tree.cmd("svscan").arg("s").env("PATH", path_to_their_supervise(&tree)).start();
    let pid = tree.wait_up("s/a");
    tree.wait_up("s/a/log");
    for dir in ["s/a", "s/a/log"] {
        let supervise = process::parent(tree.wait_up(dir)).expect("it has a parent");
        let program = fs::read_link(format!("/proc/{supervise}/exe")).expect("it is running");
        assert_eq!(program, original().join("supervise"));
    }
    tree.wait_text("s/a/log/logged", &format!("said {pid}\n"));
    // Its supervise is started again, and both are connected as before.
    let supervise = process::parent(pid).expect("it has a parent");
    tree.svc("-dx", "s/a");
    process::wait_gone(supervise);
    let next = tree.wait_restart("s/a", pid);
    tree.wait_text("s/a/log/logged", &format!("said {pid}\nsaid {next}\n"));
    drop(svscan);
}

/// Lets the svscan of one suite be killed and that of the other start.
#[track_caller]
fn svscan_comes_after(ours_first: bool) {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    let path = path_to_their_supervise(&tree);
    let svscan = |ours: bool| {
        let command = either(&tree, ours, "svscan").arg("s");
        if ours { command.start() } else { command.env("PATH", &path).start() }
    };
    let first = svscan(ours_first);
    let dirs = ["s/a", "s/a/log"];
    let pids = dirs.map(|dir| tree.wait_up(dir));
    first.kill();
    let _second = svscan(!ours_first);
    // It has looked at everything when this one runs.
    tree.idle_service("s/b");
    tree.wait_up("s/b");
    assert_eq!(dirs.map(|dir| tree.wait_up(dir)), pids);
    for dir in dirs {
        assert_eq!(tree.wait_lines(format!("{dir}/started"), 1).len(), 1);
        // Both are still obeyed.
        tree.svc("-d", dir);
        tree.wait_down(dir);
    }
}

#[test]
fn svscan_of_one_suite_comes_after_the_others() {
    svscan_comes_after(true);
    svscan_comes_after(false);
}

#[test]
fn locks_are_respected_by_the_other_suite() {
    for ours in [true, false] {
        let tree = tree();
        let holder = either(&tree, ours, "setlock").args(["lock", "sleep", "1000"]).start();
        process::wait_asleep(holder.pid(), "sleep");
        let other = || either(&tree, !ours, "setlock");
        let refused = "setlock: fatal: unable to lock lock: temporary failure\n";
        other().args(["-n", "lock", "true"]).run().is(111, "", refused);
        other().args(["-nx", "lock", "true"]).run().is(0, "", "");
        let waiting = other().args(["lock", "echo", "done"]).start();
        process::wait_asleep(waiting.pid(), "setlock");
        holder.kill();
        waiting.wait().is(0, "done\n", "");
    }
}

#[test]
fn a_log_directory_is_locked_for_the_other_suite() {
    for ours in [true, false] {
        let tree = tree();
        let (reader, mut input) = pipe().expect("a pipe");
        let logger = either(&tree, ours, "multilog").arg("./d").stdin_from(reader).start();
        input.write_all(b"one\n").expect("write");
        tree.wait_text("d/current", "one\n");
        let second = either(&tree, !ours, "multilog").arg("./d").stdin("two\n").run();
        let holder = if ours { String::new() } else { format!(" (held by pid {})", logger.pid()) };
        let line = "multilog: fatal: unable to lock directory ./d: temporary failure";
        second.is(111, "", format!("{line}{holder}\n"));
        drop(input);
        leaves(logger);
        either(&tree, !ours, "multilog").arg("./d").stdin("two\n").run().is(0, "", "");
        assert_eq!(tree.text("d/current"), "one\ntwo\n");
    }
}

#[test]
fn labels_of_one_suite_are_read_by_the_other() {
    let tree = tree();
    for ours in [true, false] {
        let labelled = either(&tree, ours, "tai64n").stdin("one\n\ntwo\n").run();
        labelled.is(0, labelled.out(), "");
        let read = |by_ours| {
            let filter = either(&tree, by_ours, "tai64nlocal").env("TZ", "UTC");
            filter.stdin(labelled.out()).run().out()
        };
        assert_eq!(read(!ours), read(ours));
        let text = read(!ours);
        let lines: Vec<&str> = text.lines().filter_map(|line| line.get(29..)).collect();
        assert_eq!(lines, [" one", " ", " two"], "{text}");
    }
}

#[test]
fn loaders_of_both_suites_run_each_other() {
    let tree = tree();
    tree.write("env/A", "x");
    let ours = |name: &str| tree.suite().program(name).to_str().expect("a name").to_owned();
    let theirs = |name: &str| original().join(name).to_str().expect("a name").to_owned();
    for turn in [true, false] {
        let name = |name, first: bool| if first == turn { ours(name) } else { theirs(name) };
        let words = [
            &[name("envdir", true), "env".into()][..],
            &[name("softlimit", false), "-o".into(), "40".into()],
            &[name("setlock", true), "lock".into()],
            &[name("pgrphack", false)],
            &[name("fghack", true)],
            &[name("envuidgid", false), "root".into()],
        ]
        .concat();
        let script = "echo $A $UID $GID $(ulimit -n); exit 7";
        let command = tree.cmd(&words[0]).args(&words[1..]).args(["sh", "-c", script]);
        command.run().is(7, "x 0 0 40\n", "");
    }
}
