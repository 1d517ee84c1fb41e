//! Our programs and the original's side by side, as while one suite replaces the other.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, original, process, wait_until};
use std::ffi::OsString;
use std::fs;
use std::io::{Write, pipe};
use std::os::unix::fs::MetadataExt;
use std::thread;
use system::{PROMPT, assert_exit_0, finished_files, original_program, tree};

/// A program of ours or of the original.
fn either<'t>(tree: &'t Tree, ours: bool, name: &str) -> Cmd<'t> {
    if ours { tree.cmd(name) } else { original_program(tree, name) }
}

#[track_caller]
fn supervise(tree: &Tree, ours: bool, dir: &str) -> Process {
    let supervise = either(tree, ours, "supervise").arg(dir).start();
    tree.wait_supervised(dir);
    supervise
}

/// Controls a supervise of one suite with the tools of the other.
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
    wait_until("svstat says down", PROMPT, || svstat().ends_with(" seconds, normally up\n"));
    svc("-o");
    let pid = tree.wait_restart("a", pid);
    tree.wait_want("a", harness::PENDING);
    svc("-u");
    tree.wait_want("a", b'u');
    svc("-k");
    tree.wait_restart("a", pid);
    // The original ignores letters that it does not know, framed or not.
    if our_tools {
        svc("-q12w+L=l");
    }
    svc("-dx");
    assert_exit_0(supervise);
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

/// Starts the supervise of one suite while one of the other suite runs.
fn assert_second_is_refused(ours_first: bool) {
    let tree = tree();
    tree.idle_service("a");
    let first = supervise(&tree, ours_first, "a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let files = ["control", "lock", "ok", "status"].map(|file| tree.path("a/supervise").join(file));
    let fingerprints = || {
        files.each_ref().map(|file| {
            let meta = fs::symlink_metadata(file).expect("the file is there");
            let content =
                if meta.is_file() { fs::read(file).expect("read it") } else { Vec::new() };
            (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.mode(), content)
        })
    };
    if !ours_first {
        // The original's supervise sleeps for a second after a start, and then writes the status again.
        wait_until("the status is written again", DEADLINE, || {
            let time = |name| fs::metadata(tree.path(name)).and_then(|file| file.modified());
            let times = [time("a/started"), time("a/supervise/status")].map(|t| t.expect("a time"));
            times[1].duration_since(times[0]).is_ok_and(|after| after > PROMPT / 4)
        });
    }
    let before = fingerprints();
    let holder = if ours_first { String::new() } else { format!(" (held by pid {})", first.pid()) };
    let line = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure{holder}\n"
    );
    either(&tree, !ours_first, "supervise").arg("a").run().is(111, "", line);
    assert_eq!(fingerprints(), before);
    assert_eq!(tree.wait_up("a"), pid);
    tree.svc("-dx", "a");
    assert_exit_0(first);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn our_supervise_is_refused_where_the_originals_runs() {
    assert_second_is_refused(false);
}

#[test]
fn the_originals_supervise_is_refused_where_ours_runs() {
    assert_second_is_refused(true);
}

#[test]
fn each_supervise_takes_the_directory_that_the_other_has_left() {
    let tree = tree();
    tree.idle_service("a");
    for (run, ours) in [false, true, false, true].into_iter().enumerate() {
        let supervise = supervise(&tree, ours, "a");
        tree.wait_up("a");
        tree.wait_lines("a/started", run + 1);
        tree.svc("-dx", "a");
        assert_exit_0(supervise);
    }
    for (file, mode) in [("control", 0o600), ("lock", 0o600), ("ok", 0o600), ("status", 0o644)] {
        assert_eq!(tree.mode(format!("a/supervise/{file}")), mode, "{file}");
    }
}

/// All lines of the log `d`, in order. A part of a line at the end of a file counts as a line.
fn logged(tree: &Tree) -> Vec<String> {
    let files = finished_files(tree, "d").into_iter().chain(["current".to_string()]);
    let texts = files.map(|name| tree.text(format!("d/{name}")));
    texts.flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

/// Gives a log directory and a pipe to the multilogs of both suites in turn, while a writer never
/// pauses. Returns how many lines are lost, and how many are doubled.
#[track_caller]
fn change_loggers(end: Signal) -> (usize, usize) {
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
                // Our standby process still had the lock.
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
        // A line of another length was cut by a KILL.
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

/// How often the logger changes.
const TURNS: u64 = 20;

#[test]
fn a_log_changes_between_the_suites_under_load_without_loss() {
    assert_eq!(change_loggers(Signal::TERM), (0, 0));
}

#[test]
fn a_log_changes_between_the_suites_by_kills_with_little_loss() {
    let (lost, doubled) = change_loggers(Signal::KILL);
    // The original loses at most 4 KiB: the lines that it has read and not written. It does not
    // know a part of a line that ours holds. Our standby process finishes everything else.
    let kills = TURNS as usize / 2;
    assert!(lost <= kills * 4096 / 120 + kills, "{lost} lost");
    assert_eq!(doubled, 0);
}

#[test]
fn a_part_of_a_line_that_ours_held_is_dropped_after_the_original_ran() {
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
    for (ours, line) in [(false, "original\n"), (true, "ours\n")] {
        let mut next = start(ours);
        input.write_all(line.as_bytes()).expect("write");
        wait_until("it is logged", DEADLINE, || {
            if next.has_ended() {
                // Our standby process still had the lock.
                next = start(ours);
            }
            tree.text("d/current").ends_with(line)
        });
        next.kill();
    }
    assert_eq!(tree.text("d/current"), "ours\n");
}

/// A PATH in which supervise is the original's, as after a replacement of the programs.
fn path_to_original_supervise(tree: &Tree) -> OsString {
    tree.symlink(original().join("supervise"), "bin/supervise");
    let mut path = tree.path("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    path
}

#[test]
fn our_svscan_ends_services_of_the_originals_supervise_too() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").env("PATH", path_to_original_supervise(&tree)).start();
    let pid = tree.wait_up("s/a");
    let supervise = process::parent(pid).expect("it has a parent");
    let program = fs::read_link(format!("/proc/{supervise}/exe")).expect("it is running");
    assert_eq!(program, original().join("supervise"));
    // The original's supervise dies of TERM, as always. svscan neither waits nor starts another.
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert!(!process::is_alive(supervise));
}

#[test]
fn the_originals_svscan_runs_our_supervise() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    let svscan = original_program(&tree, "svscan").arg("s").start();
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
    let svscan = tree.cmd("svscan").arg("s").env("PATH", path_to_original_supervise(&tree)).start();
    let pid = tree.wait_up("s/a");
    tree.wait_up("s/a/log");
    for dir in ["s/a", "s/a/log"] {
        let supervise = process::parent(tree.wait_up(dir)).expect("it has a parent");
        let program = fs::read_link(format!("/proc/{supervise}/exe")).expect("it is running");
        assert_eq!(program, original().join("supervise"));
    }
    tree.wait_text("s/a/log/logged", &format!("said {pid}\n"));
    // svscan starts the supervise again, and connects both as before.
    let supervise = process::parent(pid).expect("it has a parent");
    tree.svc("-dx", "s/a");
    process::wait_gone(supervise);
    let next = tree.wait_restart("s/a", pid);
    tree.wait_text("s/a/log/logged", &format!("said {pid}\nsaid {next}\n"));
    drop(svscan);
}

/// Kills the svscan of one suite, and starts the one of the other.
#[track_caller]
fn assert_next_svscan_adopts(ours_first: bool) {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    let path = path_to_original_supervise(&tree);
    let svscan = |ours: bool| {
        let command = either(&tree, ours, "svscan").arg("s");
        if ours { command.start() } else { command.env("PATH", &path).start() }
    };
    let first = svscan(ours_first);
    let dirs = ["s/a", "s/a/log"];
    let pids = dirs.map(|dir| tree.wait_up(dir));
    first.kill();
    let _second = svscan(!ours_first);
    // svscan has scanned everything before this service runs.
    tree.idle_service("s/b");
    tree.wait_up("s/b");
    assert_eq!(dirs.map(|dir| tree.wait_up(dir)), pids);
    for dir in dirs {
        assert_eq!(tree.wait_lines(format!("{dir}/started"), 1).len(), 1);
        // Both still obey.
        tree.svc("-d", dir);
        tree.wait_down(dir);
    }
}

#[test]
fn a_svscan_leaves_the_services_of_the_other_suites_svscan_running() {
    assert_next_svscan_adopts(true);
    assert_next_svscan_adopts(false);
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
        assert_exit_0(logger);
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
    let original_path = |name: &str| original().join(name).to_str().expect("a name").to_owned();
    for turn in [true, false] {
        let name = |name, first: bool| if first == turn { ours(name) } else { original_path(name) };
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

// Migration: the original's supervisors are killed, and its services run on.

/// Kills the original's svscan or supervise, and its supervises.
#[track_caller]
fn kill_original(tree: &Tree, first: Process, dirs: &[&str]) -> Vec<u32> {
    let pids: Vec<u32> = dirs.iter().map(|dir| tree.wait_up(dir)).collect();
    let parents = pids.iter().map(|pid| process::parent(*pid).expect("a supervise"));
    let supervises: Vec<u32> = parents.filter(|pid| *pid != first.pid()).collect();
    first.kill();
    for pid in supervises {
        process::signal(pid, Signal::KILL);
        process::wait_gone(pid);
    }
    pids
}

#[test]
fn our_svscan_adopts_the_services_of_the_originals_killed_supervises() {
    let tree = tree();
    let run = "#!/bin/sh\nmkfifo idle\nexec 8<>idle\necho $$ >>started\n\
               trap 'echo said' HUP\nwhile :; do read -r line <&8; done\n";
    tree.service("s/a", run);
    tree.service("s/a/log", "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n");
    let path = path_to_original_supervise(&tree);
    let first = original_program(&tree, "svscan").arg("s").env("PATH", &path).start();
    let dirs = ["s/a", "s/a/log"];
    for dir in dirs {
        tree.wait_lines(format!("{dir}/started"), 1);
    }
    let pids = kill_original(&tree, first, &dirs);
    let svscan = tree.cmd("svscan").arg("s").start();
    for dir in dirs {
        tree.wait_supervised(dir);
    }
    assert_eq!(dirs.map(|dir| tree.wait_up(dir)), pids[..]);
    // Everything obeys, and the pipe is the same.
    tree.svc("-h", "s/a");
    tree.wait_text("s/a/log/logged", "said\n");
    let said = svscan.stderr();
    for (pid, name) in pids.iter().zip(["a", "log"]) {
        let line =
            format!("supervise: info: adopting process {pid} of {name}, which the status names\n");
        assert!(said.contains(&line), "{said}");
    }
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", pids[0]);
    for dir in dirs {
        tree.svc("-d", dir);
        tree.wait_down(dir);
    }
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
}

#[test]
fn our_supervise_adopts_a_program_that_has_changed_its_directory() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\ncd /\nexec sleep 1000\n");
    let first = supervise(&tree, false, "a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    wait_until("it has left the directory", PROMPT, || {
        process::directory(pid).is_some_and(|dir| dir == std::path::Path::new("/"))
    });
    kill_original(&tree, first, &["a"]);
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    let said = format!("supervise: info: adopting process {pid} of a, which the status names\n");
    assert_eq!(second.stderr(), said);
    // The next one finds the process in our record.
    second.kill();
    let third = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(third.stderr(), "");
    tree.svc("-dx", "a");
    assert_exit_0(third);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn our_supervise_adopts_a_program_in_a_directory_of_its_service() {
    let tree = tree();
    tree.mkdir("a/main");
    tree.service("a", "#!/bin/sh\necho $$ >>started\ncd main\nexec sleep 1000\n");
    let first = supervise(&tree, false, "a");
    let pid = tree.wait_up("a");
    let main = tree.path("a/main");
    wait_until("it is there", PROMPT, || process::directory(pid).is_some_and(|dir| dir == main));
    // Paused later, so that the status is newer than the start.
    let is_old = |s: &harness::Status| system::age(s) > std::time::Duration::from_millis(3500);
    tree.wait_status("a", "is older than its writing", is_old);
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    kill_original(&tree, first, &["a"]);
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    tree.svc("-dx", "a");
    assert_exit_0(second);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn the_wanted_state_of_the_original_is_kept() {
    let tree = tree();
    tree.idle_service("a");
    let first = supervise(&tree, false, "a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-o", "a");
    tree.wait_want("a", harness::PENDING);
    let before = tree.status("a");
    kill_original(&tree, first, &["a"]);
    let second = tree.supervise("a");
    assert_eq!(tree.status("a"), before);
    tree.svc("-c", "a");
    process::signal(pid, Signal::KILL);
    tree.wait_down("a");
    tree.svc("-x", "a");
    assert_exit_0(second);
}

#[test]
fn after_the_original_ran_the_record_of_ours_is_outdated() {
    let tree = tree();
    tree.idle_service("a");
    let ours = supervise(&tree, true, "a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    ours.kill();
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let original = supervise(&tree, false, "a");
    tree.wait_restart("a", pid);
    tree.wait_lines("a/started", 2);
    let [pid] = kill_original(&tree, original, &["a"])[..] else { panic!("one service") };
    let _next = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
}

#[test]
fn a_process_that_only_resembles_the_originals_service_is_not_adopted() {
    let tree = tree();
    tree.idle_service("a");
    let first = supervise(&tree, false, "a");
    tree.wait_lines("a/started", 1);
    // Paused later, so that the status is newer than the start.
    let is_old = |s: &harness::Status| system::age(s) > std::time::Duration::from_millis(3500);
    tree.wait_status("a", "is older than its writing", is_old);
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    let [pid] = kill_original(&tree, first, &["a"])[..] else { panic!("one service") };
    // A copy: the process stands in the other directory.
    tree.sh("cp -a a copy; rm copy/started").run().is(0, "", "");
    let copy = tree.supervise("copy");
    assert_ne!(tree.wait_up("copy"), pid);
    let line = format!(
        "supervise: warning: not adopting process {pid} of copy, which the status names: it runs in \
         another directory\n"
    );
    assert_eq!(copy.stderr(), line);
    // The process that has the id now started at another time.
    let mut status = tree.read("a/supervise/status");
    status[7] = status[7].wrapping_sub(7);
    tree.write("a/supervise/status", status);
    let next = tree.supervise("a");
    assert_ne!(tree.wait_restart("a", pid), pid);
    assert_eq!(next.stderr(), "");
    process::signal(pid, Signal::KILL);
}

#[test]
fn a_status_that_others_may_write_names_no_process() {
    let tree = tree();
    tree.idle_service("a");
    let first = supervise(&tree, false, "a");
    tree.wait_lines("a/started", 1);
    let [pid] = kill_original(&tree, first, &["a"])[..] else { panic!("one service") };
    tree.chmod("a/supervise/status", 0o666);
    let next = tree.supervise("a");
    tree.wait_restart("a", pid);
    let line = format!(
        "supervise: warning: not adopting process {pid} of a, which the status names: others can \
         have made the status\n"
    );
    assert_eq!(next.stderr(), line);
    process::signal(pid, Signal::KILL);
}
