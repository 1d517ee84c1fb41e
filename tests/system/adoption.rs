//! A killed supervise, and the next one that goes on with the same service.

use harness::{
    DEADLINE, Process, Signal, Status, Tree, account, is_root, note, process, skip, wait_for,
    wait_until,
};
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;
use system::{
    PROMPT, age, assert_idle, count, find_below, finish, leaves, namespace, original, strace_works,
    tree, wait_settled,
};

/// Kills a supervise, and waits until it is reaped. What it started goes on.
#[track_caller]
fn kill(supervise: Process) {
    let output = supervise.kill();
    assert_eq!(output.signal, Some(9), "{output}");
}

/// What runs in the tree besides these.
fn others(tree: &Tree, known: &[u32]) -> Vec<u32> {
    tree.processes().into_iter().filter(|pid| !known.contains(pid)).collect()
}

fn record(tree: &Tree, dir: &str) -> String {
    tree.text(Path::new(dir).join("supervise/process"))
}

/// Replaces the value of a key in the record.
#[track_caller]
fn falsify(tree: &Tree, dir: &str, key: &str, value: &str) {
    let old = record(tree, dir);
    let line = old.lines().find(|line| line.starts_with(&format!("{key}="))).expect("such a line");
    tree.write(
        Path::new(dir).join("supervise/process"),
        old.replace(line, &format!("{key}={value}")),
    );
}

// Adoption

#[test]
fn the_next_supervise_goes_on_with_the_same_process() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    let status = tree.status("a");
    kill(first);
    assert!(process::is_alive(pid));
    let second = tree.supervise("a");
    assert_eq!(tree.status("a"), status, "same process, same time, same wish");
    let seconds = age(&status.expect("a status")).as_secs();
    let said = tree.svstat("a");
    let close = |n| said == format!("up (pid {pid}) {n} seconds");
    assert!((seconds..seconds + 3).any(close), "{said}, not {seconds}");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    assert_eq!(others(&tree, &[second.pid()]), [pid]);
    assert_eq!(second.stderr(), "");
    finish(&tree, second, "a");
    assert!(!process::is_alive(pid));
}

#[test]
fn two_hundred_kills_are_not_noticed() {
    let tree = tree();
    tree.idle_service("a");
    let mut supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let status = tree.status("a");
    for _ in 0..200 {
        kill(supervise);
        supervise = tree.supervise("a");
    }
    assert_eq!(tree.status("a"), status);
    assert_eq!(others(&tree, &[supervise.pid()]), [pid]);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    finish(&tree, supervise, "a");
}

#[test]
fn what_was_asked_for_stays_so() {
    for (letter, flags) in [("-o", (0, 0)), ("-p", (1, b'u')), ("-d", (0, b'd'))] {
        let tree = tree();
        // It does not obey.
        tree.trapping_service("a", &["TERM"]);
        let first = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        tree.svc(letter, "a");
        let flagged = |s: &Status| (s.paused(), s.want()) == flags;
        let status = tree.wait_status("a", letter, flagged);
        if letter == "-d" {
            tree.wait_lines("a/signals", 1);
        }
        kill(first);
        let second = tree.supervise("a");
        assert_eq!(tree.status("a"), Some(status), "{letter}");
        if letter == "-p" {
            wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
            tree.svc("-c", "a");
            wait_until("it goes on", PROMPT, || !process::is_stopped(pid));
        }
        // Not asked a second time.
        assert_eq!(tree.text("a/signals"), if letter == "-d" { "TERM\n" } else { "" });
        tree.svc("-k", "a");
        if letter == "-p" {
            tree.wait_restart("a", pid);
        } else {
            let down = tree.wait_down("a");
            assert_eq!(down.want(), flags.1);
            assert_eq!(tree.wait_lines("a/started", 1).len(), 1, "{letter}");
        }
        second.signal(Signal::TERM);
        svc(&tree, "-k");
        leaves(second);
    }
}

#[test]
fn the_end_of_a_process_that_was_taken_over_is_noticed_at_once() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    wait_until("it is started again", PROMPT, || {
        tree.status("a").is_some_and(|s| s.pid() != pid && process::is_alive(s.pid()))
    });
    // From there on it is a child like any other.
    let next = tree.wait_restart("a", pid);
    assert_eq!(process::parent(next), Some(supervise.pid()));
    assert_eq!(others(&tree, &[supervise.pid()]), [next]);
    assert_eq!(supervise.stderr(), "");
    finish(&tree, supervise, "a");
}

#[test]
fn every_command_reaches_a_process_that_was_taken_over() {
    let tree = tree();
    let signals = ["HUP", "INT", "USR1", "TERM"];
    tree.trapping_service("a", &signals);
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    kill(first);
    let supervise = tree.supervise("a");
    for (n, letter) in ["-h", "-i", "-1", "-t"].into_iter().enumerate() {
        tree.svc(letter, "a");
        assert_eq!(tree.wait_lines("a/signals", n + 1), signals[..=n]);
    }
    tree.svc("-p", "a");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    tree.svc("-c", "a");
    wait_until("it goes on", PROMPT, || !process::is_stopped(pid));
    tree.svc("-x", "a");
    assert!(process::is_alive(pid));
    tree.svc("-k", "a");
    leaves(supervise);
    assert!(!process::is_alive(pid) && !tree.exists("a/supervise/process"));
}

#[test]
fn the_group_of_a_process_that_was_taken_over_is_reached_as_well() {
    let tree = tree();
    // A leader of a group, with a child.
    tree.service(
        "a",
        "#!/bin/sh\nexec pgrphack sh -c 'sleep 999 & echo $! >child; exec sleep 1000'\n",
    );
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
    process::wait_asleep(child, "sleep");
    tree.svc("-+t", "a");
    process::wait_gone(child);
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_of_any_habits_is_taken_over() {
    for (habit, run) in [
        ("another session", "exec setsid sleep 1000"),
        ("no descriptors", "exec 0<&- 1>&- 2>&-; exec sleep 1000"),
        ("signals ignored", "trap '' HUP INT TERM USR1 USR2; exec sleep 1000"),
        ("another name", "exec perl -e '$0 = \"a) S 1 2 3\"; sleep 1000'"),
        ("children", "sleep 998 & sleep 999 & wait"),
        ("stopped", "kill -STOP $$; exec sleep 1000"),
        ("stopped later", "exec sleep 1000"),
    ] {
        let tree = tree();
        tree.service("a", &format!("#!/bin/sh\necho $$ >>started\n{run}\n"));
        let first = tree.supervise("a");
        let pid: u32 = tree.wait_lines("a/started", 1)[0].parse().expect("a pid");
        match habit {
            "stopped" => wait_until(habit, PROMPT, || process::is_stopped(pid)),
            "stopped later" => {
                process::signal(pid, Signal::STOP);
                wait_until(habit, PROMPT, || process::is_stopped(pid));
            }
            _ => wait_until(habit, DEADLINE, || process::state(pid) == Some('S')),
        }
        let status = tree.wait_status("a", habit, |s| s.pid() == pid);
        let running = others(&tree, &[first.pid()]);
        kill(first);
        let second = tree.supervise("a");
        assert_eq!(tree.status("a"), Some(status), "{habit}");
        assert_eq!(others(&tree, &[second.pid()]), running, "{habit}");
        assert_eq!(second.stderr(), "", "{habit}");
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
    }
}

#[test]
fn the_originals_tools_work_on_what_was_taken_over() {
    let tree = tree();
    let bin = original();
    let run = |program: &str, args: &[&str]| {
        tree.cmd(bin.join(program).to_str().expect("a name in ASCII")).args(args).run()
    };
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    run("svok", &["a"]).is(0, "", "");
    let said = run("svstat", &["a"]).out();
    assert!(said.starts_with(&format!("a: up (pid {pid}) ")), "{said}");
    run("svc", &["-p", "a"]).is(0, "", "");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    run("svc", &["-d", "a"]).is(0, "", "");
    tree.wait_down("a");
    let said = run("svstat", &["a"]).out();
    assert!(said.starts_with("a: down ") && said.ends_with("normally up\n"), "{said}");
    run("svc", &["-x", "a"]).is(0, "", "");
    leaves(supervise);
}

#[test]
fn watching_what_was_taken_over_costs_nothing() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    assert_idle(&[supervise.pid()], Duration::from_secs(2));
}

// Nobody there when it ended

#[test]
fn what_ended_while_nobody_watched_is_started_again_if_it_is_wanted() {
    for (letter, want) in [("-u", b'u'), ("-o", 0), ("-d", b'd')] {
        let tree = tree();
        tree.trapping_service("a", &["TERM"]);
        let first = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        tree.svc(letter, "a");
        tree.wait_want("a", want);
        kill(first);
        process::signal(pid, Signal::KILL);
        process::wait_gone(pid);
        let second = tree.supervise("a");
        if want == b'u' {
            tree.wait_restart("a", pid);
            tree.wait_lines("a/started", 2);
        } else {
            let down = tree.wait_down("a");
            assert_eq!(down.want(), want);
            assert!(age(&down) < PROMPT);
        }
        assert_eq!(
            second.stderr(),
            format!("supervise: warning: process {pid} of a has ended unseen\n")
        );
        second.signal(Signal::TERM);
        svc(&tree, "-k");
        leaves(second);
        assert_eq!(tree.text("a/started").lines().count(), if want == b'u' { 2 } else { 1 });
    }
}

#[test]
fn nothing_has_ended_where_nothing_was_started() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down", "");
    kill(tree.supervise("a"));
    let second = tree.supervise("a");
    tree.svc("-dx", "a");
    assert_eq!(second.wait().err(), "");
}

#[test]
fn how_a_service_has_ended_is_on_record() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nread code <answer\nexit $code\n");
    tree.sh("mkfifo a/answer").run().is(0, "", "");
    let recorded = |line: String| {
        wait_until(&line, PROMPT, || {
            record(&tree, "a").lines().any(|found| found.trim_end() == line)
        });
    };
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert!(!record(&tree, "a").contains("ended="));
    tree.write("a/answer", "3\n");
    recorded(format!("ended={pid} code 3"));
    let next = tree.wait_restart("a", pid);
    kill(first);
    let second = tree.supervise("a");
    process::signal(next, Signal::KILL);
    // Its parent has to be quick, and the kernel to tell.
    let known = [format!("ended={next} signal 9"), format!("ended={next} unknown")];
    wait_until("its end", PROMPT, || {
        record(&tree, "a").lines().any(|line| known.iter().any(|known| known == line.trim_end()))
    });
    let last = tree.wait_restart("a", next);
    kill(second);
    process::signal(last, Signal::KILL);
    process::wait_gone(last);
    let third = tree.supervise("a");
    recorded(format!("ended={last} unknown"));
    tree.wait_restart("a", last);
    tree.svc("-dx", "a");
    leaves(third);
}

#[test]
fn starts_are_a_second_apart_also_for_different_supervises() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nread -r stat </proc/$$/stat\nset -- ${stat##*)}\nshift 19\necho \"$1\" >>times\n");
    for n in 1..=3 {
        let supervise = tree.supervise("a");
        tree.wait_lines("a/times", n);
        kill(supervise);
    }
    let times: Vec<u64> =
        tree.wait_lines("a/times", 3).iter().map(|line| line.parse().expect("a time")).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 99), "{times:?}");
}

#[test]
fn a_down_file_counts_only_at_a_fresh_start() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    tree.svc("-u", "a");
    let pid = tree.wait_up("a");
    kill(supervise);
    process::signal(pid, Signal::KILL);
    let supervise = tree.supervise("a");
    let pid = tree.wait_restart("a", pid);
    finish(&tree, supervise, "a");
    assert!(!process::is_alive(pid));
    // Left in order, and the next start is as ever.
    assert!(!tree.exists("a/supervise/process"));
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    kill(supervise);
    // And without it: down was not asked for by anybody.
    let supervise = tree.supervise("a");
    tree.svc("-x", "a");
    leaves(supervise);
    tree.remove("a/down");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
}

#[test]
fn one_that_was_killed_while_it_was_leaving_leaves_no_wish() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    // As a system does that goes down: TERM, and some time later KILL.
    first.signal(Signal::TERM);
    tree.wait_want("a", b'd');
    assert!(record(&tree, "a").starts_with("leaving=yes\n"));
    kill(first);
    let second = tree.supervise("a");
    assert_eq!(tree.status("a").map(|s| (s.pid(), s.want())), Some((pid, b'u')));
    assert!(record(&tree, "a").starts_with(&format!("leaving=no \npid={pid}\n")));
    second.signal(Signal::TERM);
    tree.wait_want("a", b'd');
    kill(second);
    process::signal(pid, Signal::KILL);
    let third = tree.supervise("a");
    let pid = tree.wait_restart("a", pid);
    assert_eq!(third.stderr(), "");
    third.signal(Signal::TERM);
    process::signal(pid, Signal::KILL);
    leaves(third);
}

// Whom it must not take over

/// A service whose supervise was killed, with its process and another that has nothing to do with
/// it.
struct Stranger {
    tree: Tree,
    service: u32,
    stranger: u32,
}

impl Stranger {
    #[track_caller]
    fn new() -> Self {
        let tree = tree();
        tree.idle_service("a");
        let first = tree.supervise("a");
        let service = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        kill(first);
        // The kernel counts starts in hundredths of a second; no number is used again that soon.
        let old = |s: &Status| age(s) > Duration::from_millis(30);
        tree.wait_status("a", "is older than the stranger", old);
        tree.service("b", "#!/bin/sh\nexec sleep 999\n");
        let other = tree.supervise("b");
        let stranger = tree.wait_up("b");
        kill(other);
        Self { tree, service, stranger }
    }

    /// Starts a supervise, which must start the service anew, and returns what it said.
    #[track_caller]
    fn is_left_alone(&self) -> String {
        let Self { tree, service, stranger } = self;
        let supervise = tree.supervise("a");
        let next = tree.wait_status("a", "another process", |s| {
            s.pid() != 0 && s.pid() != *service && s.pid() != *stranger
        });
        let said = supervise.stderr();
        finish(tree, supervise, "a");
        assert!(process::is_alive(*stranger) && !process::is_alive(next.pid()));
        said
    }
}

#[test]
fn a_process_with_the_same_number_is_not_taken_over() {
    let world = Stranger::new();
    let Stranger { tree, service, stranger } = &world;
    process::signal(*service, Signal::KILL);
    // The number is used again, by one that was started later.
    falsify(tree, "a", "pid", &stranger.to_string());
    let line = format!("supervise: warning: process {stranger} of a has ended unseen\n");
    let mut status = tree.read("a/supervise/status");
    status[12..16].copy_from_slice(&stranger.to_le_bytes());
    tree.write("a/supervise/status", status);
    assert_eq!(world.is_left_alone(), line);
    // Nor by what the status says alone.
    let status = Status::record(1_700_000_000, *stranger, 0, b'u');
    tree.write("a/supervise/status", status);
    assert_eq!(world.is_left_alone(), "");
}

#[test]
fn what_was_wanted_before_the_last_start_of_the_machine_counts_no_more() {
    for (key, value) in [("boot", "00000000-0000-0000-0000-000000000000"), ("init", "1")] {
        let world = Stranger::new();
        falsify(&world.tree, "a", key, value);
        world.tree.write("a/supervise/status", Status::record(1_700_000_000, 0, 0, b'd'));
        let line = "supervise: warning: ignoring a/supervise/process: made before the last start of \
                    this machine\n";
        assert_eq!(world.is_left_alone(), line, "{key}");
    }
}

#[test]
fn a_record_that_is_not_ours_is_ignored_and_the_reason_is_said() {
    for (key, value, reason) in [
        ("namespace", "1", "made in another namespace of process ids"),
        ("directory", "0:0:1:0", "made for another directory"),
        ("pid", "-1", "malformed"),
        ("leaving", "", "malformed"),
    ] {
        let world = Stranger::new();
        falsify(&world.tree, "a", key, value);
        let line = format!("supervise: warning: ignoring a/supervise/process: {reason}\n");
        assert_eq!(world.is_left_alone(), line);
    }
    let world = Stranger::new();
    world.tree.write("a/supervise/process", [b'\0'; 300]);
    let line = "supervise: warning: ignoring a/supervise/process: malformed\n";
    assert_eq!(world.is_left_alone(), line);
}

#[test]
fn a_copy_of_a_service_directory_is_another_service() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let before = record(&tree, "a");
    tree.cmd("cp").args(["-a", "a", "b"]).run().is(0, "", "");
    let copy = tree.supervise("b");
    let other = tree.wait_restart("b", pid);
    let line = "supervise: warning: ignoring b/supervise/process: made for another directory\n";
    assert_eq!(copy.stderr(), line);
    finish(&tree, copy, "b");
    assert!(!process::is_alive(other) && process::is_alive(pid));
    assert_eq!(record(&tree, "a"), before);
    // A directory that is moved stays itself.
    kill(first);
    tree.rename("a", "c");
    let second = tree.supervise("c");
    assert_eq!(tree.status("c").map(|s| s.pid()), Some(pid));
    finish(&tree, second, "c");
}

#[test]
fn a_service_of_another_namespace_is_not_taken_over() {
    let tree = tree();
    tree.idle_service("a");
    let inside = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if tree.cmd("true").under(inside).run().code != Some(0) {
        skip("this test needs a namespace of process ids");
        return;
    }
    let container = tree.sh("supervise a & sleep 1000").under(inside).start();
    let inner = tree.wait_status("a", "up", |s| s.pid() != 0).pid();
    let supervise = find_below(container.pid(), &["supervise", "a"]);
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    let outside = tree.supervise("a");
    let pid = tree.wait_status("a", "another process", |s| s.pid() != inner && s.pid() != 0).pid();
    assert!(process::is_alive(pid));
    let line = "supervise: warning: ignoring a/supervise/process: made in another namespace of \
        process ids\n";
    assert_eq!(outside.stderr(), line);
    finish(&tree, outside, "a");
}

#[test]
fn without_proc_a_service_runs_all_the_same() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.idle_service("a");
    let script = "mount -t tmpfs none /proc && exec supervise a";
    let supervise = tree.sh(script).under(namespace).start();
    tree.wait_lines("a/started", 1);
    let line = "supervise: warning: unable to use /proc: file does not exist\n";
    assert_eq!(supervise.wait_stderr(line), line);
    finish(&tree, supervise, "a");
    // Where there may be one to take over, there is none to be started.
    let first = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    kill(first);
    let line = "supervise: fatal: unable to use /proc: file does not exist\n";
    tree.sh(script).under(namespace).run().is(111, "", line);
    assert_eq!(tree.text("a/started").lines().count(), 2);
}

#[test]
fn a_process_that_proc_hides_is_not_doubled() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let (_, uid, gid) = account();
    tree.chmod("", 0o777);
    let sleep = tree.path("other");
    fs::copy("/bin/sleep", &sleep).expect("copy");
    tree.chmod("other", 0o4755);
    tree.service("a", &format!("#!/bin/sh\necho $$ >>started\nexec {} 1000\n", sleep.display()));
    tree.chmod("a", 0o777);
    let script = format!(
        "mount -t proc -o hidepid=2 proc /proc &&
        exec setpriv --reuid={uid} --regid={gid} --clear-groups supervise a"
    );
    let command = || tree.sh(&script).under(["unshare", "--mount"]);
    let first = command().start();
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    wait_until("it runs", PROMPT, || process::arguments(pid).first().is_some_and(|p| *p == sleep));
    if fs::metadata(format!("/proc/{pid}")).expect("a process").uid() != 0 {
        skip("a file here cannot make another user of who runs it");
        return finish(&tree, first, "a");
    }
    kill(first);
    let line = format!("supervise: fatal: unable to watch process {pid} of a: access denied\n");
    command().run().is(111, "", line);
    assert_eq!(tree.text("a/started").lines().count(), 1);
    // Once it has ended, there is nothing to watch.
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let next = command().start();
    tree.wait_lines("a/started", 2);
    finish(&tree, next, "a");
}

#[test]
fn a_record_that_cannot_be_read_is_reason_not_to_start_anything() {
    let tree = tree();
    tree.idle_service("a");
    tree.mkdir("a/supervise/process");
    let line = "supervise: fatal: unable to open a/supervise/process: is a directory\n";
    tree.cmd("supervise").arg("a").run().is(111, "", line);
    // Too few descriptors for everything: it comes back when there are more.
    tree.idle_service("b");
    let first = tree.supervise("b");
    let pid = tree.wait_up("b");
    kill(first);
    for limit in 3..30 {
        let limit = format!("--nofile={limit}");
        let mut poor = tree.cmd("supervise").arg("b").under(["prlimit", &limit]).start();
        wait_until("it takes over or leaves", DEADLINE, || {
            poor.has_ended() || process::has_open(poor.pid(), &tree.path("b/supervise/ok"))
        });
        if poor.has_ended() {
            assert_eq!(poor.wait().code, Some(111));
        } else {
            kill(poor);
        }
        assert_eq!(tree.wait_up("b"), pid);
        assert_eq!(others(&tree, &[]), [pid]);
    }
}

#[test]
fn a_record_that_cannot_be_made_is_said_and_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    finish(&tree, tree.supervise("a"), "a");
    tree.chmod("a/supervise", 0o500);
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    tree.wait_lines("a/started", 1);
    let line = "supervise: warning: unable to open a/supervise/process: access denied\n";
    assert_eq!(supervise.wait_stderr(line), line);
    tree.chmod("a/supervise", 0o700);
    tree.wait_supervised("a");
    finish(&tree, supervise, "a");
}

// The gate

/// A supervise whose system calls of that name are slow the first time, those of the process that
/// it forks too; returned as soon as there is such a process, with the two of them.
#[track_caller]
fn slowed_down(tree: &Tree, call: &str, time: Duration) -> (Process, u32, u32) {
    tree.idle_service("a");
    let inject = format!("inject={call}:delay_enter={}:when=1", time.as_micros());
    let tracer = ["strace", "-f", "-qq", "-o", "calls", "-e", &inject];
    let tracer = tree.cmd("supervise").arg("a").under(tracer).start();
    let name = tree.suite().program("supervise");
    let supervise = find_below(tracer.pid(), &[name.to_str().expect("a name in ASCII"), "a"]);
    let half_born =
        wait_for("it forks", DEADLINE, || process::descendants(supervise).first().copied());
    (tracer, supervise, half_born)
}

#[test]
fn a_process_that_is_not_yet_the_service_keeps_others_out() {
    if !strace_works(&tree()) {
        return;
    }
    // What it does between its birth and its exec, in this order.
    let calls = ["getpid", "openat", "read", "close", "pwrite64", "rt_sigprocmask", "execve"];
    thread::scope(|scope| {
        for call in calls {
            // With others at the processors, the moment may have passed.
            scope.spawn(move || assert!((0..20).any(|_| keeps_others_out(call)), "{call}"));
        }
    });
}

/// Kills a supervise whose new process is at that system call, and starts another one. `false` if
/// it came too late.
fn keeps_others_out(call: &str) -> bool {
    let tree = tree();
    let (tracer, supervise, half_born) = slowed_down(&tree, call, Duration::from_millis(800));
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    if !is_half_born(&tree, half_born) {
        process::signal(half_born, Signal::KILL);
        tracer.wait();
        return false;
    }
    // Nor does the FIFO say yet that the second one is there.
    let second = tree.supervise("a");
    let ok = tree.path("a/supervise/ok");
    wait_until(call, DEADLINE, || process::has_open(second.pid(), &ok));
    assert_eq!(tree.status("a").map(|s| s.pid()), Some(half_born), "{call}");
    assert_eq!(tree.wait_lines("a/started", 1), [half_born.to_string()], "{call}");
    assert_eq!(second.stderr(), "", "{call}");
    finish(&tree, second, "a");
    tracer.wait();
    true
}

#[test]
fn beside_a_supervise_that_lives_another_one_does_not_wait() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    tree.wait_up("a");
    let refused = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure (held by pid \
         {})\n",
        first.pid()
    );
    tree.cmd("supervise").arg("a").run().is(111, "", &refused);
    finish(&tree, first, "a");
}

fn is_half_born(tree: &Tree, pid: u32) -> bool {
    process::arguments(pid).first().is_some_and(|name| *name == tree.suite().program("supervise"))
}

#[test]
fn a_process_that_takes_long_to_become_the_service_is_not_waited_for() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    let slow = Duration::from_secs(3);
    let (tracer, supervise, half_born) = slowed_down(&tree, "execve", slow);
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    let refused = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure (held by pid \
         {supervise})\n"
    );
    tree.cmd("supervise").arg("a").run().is(111, "", refused);
    // svscan would try again, too.
    wait_until("it becomes the service", DEADLINE, || !is_half_born(&tree, half_born));
    let second = tree.supervise("a");
    assert_eq!(tree.wait_lines("a/started", 1), [half_born.to_string()]);
    finish(&tree, second, "a");
    tracer.wait();
}

// Commands

/// A supervise that is killed when it has a command in its FIFO, and the svc that has sent it.
fn killed_before_it_reads(tree: &Tree, options: &str) -> Process {
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    supervise.signal(Signal::STOP);
    wait_until("it is stopped", PROMPT, || process::is_stopped(supervise.pid()));
    let svc = tree.cmd("svc").args([options, "a"]).start();
    let fifo = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(tree.path("a/supervise/control"))
        .expect("open the FIFO");
    wait_until("svc has written", PROMPT, || {
        rustix::io::ioctl_fionread(&fifo).is_ok_and(|bytes| bytes > 0)
    });
    drop(fifo);
    kill(supervise);
    svc
}

#[test]
fn what_a_killed_supervise_has_not_read_the_next_one_does() {
    let tree = tree();
    let svc = killed_before_it_reads(&tree, "-d");
    let second = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    svc.wait().is(0, "", "");
    assert_eq!(second.stderr(), "");
    tree.svc("-x", "a");
    leaves(second);
}

#[test]
fn svc_says_that_nobody_has_read_what_it_has_sent() {
    let tree = tree();
    let svc = killed_before_it_reads(&tree, "-d");
    svc.wait().is(0, "", "svc: warning: unable to control a: supervise not running\n");
    let second = tree.supervise("a");
    assert_eq!(tree.status("a").map(|status| status.want()), Some(b'u'));
    finish(&tree, second, "a");
}

#[test]
fn svc_says_that_a_stopped_supervise_has_not_read_yet() {
    let tree = tree();
    for dir in ["a", "b"] {
        tree.idle_service(dir);
    }
    let [first, second] = ["a", "b"].map(|dir| tree.supervise(dir));
    tree.wait_up("a");
    tree.wait_up("b");
    first.signal(Signal::STOP);
    wait_until("it is stopped", PROMPT, || process::is_stopped(first.pid()));
    let line = "svc: warning: a has not read the command yet\n";
    tree.cmd("svc").args(["-d", "a", "b"]).run().is(0, "", line);
    tree.wait_down("b");
    first.signal(Signal::CONT);
    tree.wait_down("a");
    finish(&tree, first, "a");
    finish(&tree, second, "b");
}

#[test]
fn svc_says_that_nobody_listens_between_two_supervises() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let line = "svc: warning: unable to control a: supervise not running\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    let supervise = tree.supervise("a");
    tree.svc("-d", "a");
    tree.wait_down("a");
    finish(&tree, supervise, "a");
}

#[test]
fn a_wish_is_on_disk_before_the_process_that_it_starts() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.idle_service("a");
    tree.write("a/down", "");
    // It dies right after its first fork, without having said a word about it.
    let tracer = ["strace", "-qq", "-o", "calls", "-e", "inject=clone,fork:signal=KILL:when=1"];
    let mut first = tree.cmd("supervise").arg("a").under(tracer).start();
    tree.wait_supervised("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    tree.svc("-u", "a");
    wait_until("it dies", DEADLINE, || first.has_ended());
    assert_eq!(tree.status("a").map(|s| (s.pid(), s.want())), Some((0, b'u')));
    let second = tree.supervise("a");
    tree.wait_up("a");
    finish(&tree, second, "a");
}

// svscan

#[test]
fn svscan_starts_the_supervise_again_and_the_service_does_not_notice() {
    let tree = tree();
    tree.idle_service("service/a");
    tree.idle_service("service/a/log");
    let svscan = tree.cmd("svscan").arg("service").start();
    let dirs = ["service/a", "service/a/log"];
    let pids = dirs.map(|dir| wait_settled(&tree, dir));
    let status = dirs.map(|dir| tree.status(dir));
    for name in ["a", "log"] {
        let old = find_below(svscan.pid(), &["supervise", name]);
        process::signal(old, Signal::KILL);
        wait_for("the next one", DEADLINE, || {
            process::descendants(svscan.pid())
                .into_iter()
                .find(|&pid| pid != old && process::arguments(pid) == ["supervise", name])
        });
    }
    for (dir, status) in dirs.iter().zip(&status) {
        tree.wait_supervised(dir);
        assert_eq!(tree.status(dir), *status);
    }
    for pid in pids {
        assert_eq!(process::parent(pid), Some(svscan.pid()));
    }
    // The next death is noticed, and reaped.
    process::signal(pids[0], Signal::KILL);
    tree.wait_restart("service/a", pids[0]);
    wait_until("it is reaped", PROMPT, || process::state(pids[0]).is_none());
    tree.svc("-t", "service/a/log");
    tree.wait_restart("service/a/log", pids[1]);
    assert_eq!(count(&svscan.stderr(), "was killed by signal 9"), 2);
    assert_eq!(svscan.stderr().lines().count(), 2);
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert_eq!(tree.processes(), []);
}

// At every step

/// A story that is broken off at every step of a supervise.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    /// What has happened before that supervise begins.
    before: fn(&Tree),
    /// What happens then. Tells whether it came to its end; until then the supervise may be killed
    /// at any time.
    plot: fn(&Tree, &Mortal) -> bool,
}

/// A system call by its name and how many of that name come up to it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step(String, usize);

/// A supervise which is killed when it is about to make a certain system call.
struct Mortal {
    tracer: RefCell<Process>,
}

impl Mortal {
    /// Without a step it lives on.
    fn start(tree: &Tree, step: Option<&Step>) -> Self {
        let inject = step.map(|Step(call, n)| format!("inject={call}:signal=KILL:when={n}"));
        let inject = inject.as_deref().map(|inject| ["-e", inject]);
        let tracer =
            ["strace", "-qq", "-o", "steps"].into_iter().chain(inject.into_iter().flatten());
        Self { tracer: tree.cmd("supervise").arg("a").under(tracer).start().into() }
    }

    /// What it has done.
    fn steps(tree: &Tree) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in tree.text("steps").lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            if call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let before = steps.iter().filter(|step| step.0 == call).count();
                steps.push(Step(call.to_owned(), before + 1));
            }
        }
        steps
    }

    fn is_dead(&self) -> bool {
        self.tracer.borrow_mut().has_ended()
    }

    /// The process itself, not what it forks.
    fn pid(&self) -> Option<u32> {
        let tracer = self.tracer.borrow().pid();
        process::descendants(tracer).into_iter().find(|&pid| process::parent(pid) == Some(tracer))
    }

    /// Waits until it has nothing more to do and the status is like that; tells whether it comes to
    /// that.
    #[track_caller]
    fn comes_to_rest(&self, tree: &Tree, condition: impl Fn(&Status) -> bool) -> bool {
        wait_for("it comes to rest or dies", DEADLINE, || {
            if self.is_dead() {
                return Some(false);
            }
            // Asleep it is only while it waits; in between it stops for its tracer.
            let rests = || self.pid().is_some_and(|pid| process::state(pid) == Some('S'));
            let there =
                || tree.is_supervised("a") && tree.status("a").is_some_and(|s| condition(&s));
            (rests() && there() && rests()).then_some(true)
        })
    }

    #[track_caller]
    fn is_up(&self, tree: &Tree) -> bool {
        self.comes_to_rest(tree, |s| process::is_alive(s.pid()))
    }

    #[track_caller]
    fn kill(self) {
        if let Some(pid) = self.pid() {
            process::signal(pid, Signal::KILL);
        }
        self.tracer.into_inner().wait();
    }
}

fn service_of(tree: &Tree) -> u32 {
    tree.status("a").map_or(0, |s| s.pid())
}

/// Sends commands, whether or not anybody listens.
fn svc(tree: &Tree, options: &str) {
    assert_eq!(tree.cmd("svc").args([options, "a"]).run().code, Some(0));
}

/// A supervise that was killed while its service runs.
fn killed(tree: &Tree) {
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    kill(supervise);
}

const STORIES: [Story; 8] = [
    Story { name: "start", before: |_| {}, plot: |tree, mortal| mortal.is_up(tree) },
    Story {
        name: "death within a second",
        before: |_| {},
        plot: |tree, mortal| {
            if !mortal.is_up(tree) {
                return false;
            }
            let pid = service_of(tree);
            process::signal(pid, Signal::KILL);
            mortal.comes_to_rest(tree, |s| s.pid() != pid && process::is_alive(s.pid()))
        },
    },
    Story {
        name: "death later",
        before: |_| {},
        plot: |tree, mortal| {
            let settled =
                |s: &Status| process::is_alive(s.pid()) && age(s) > Duration::from_millis(1100);
            if !mortal.comes_to_rest(tree, settled) {
                return false;
            }
            let pid = service_of(tree);
            process::signal(pid, Signal::KILL);
            mortal.comes_to_rest(tree, |s| s.pid() != pid && process::is_alive(s.pid()))
        },
    },
    Story {
        name: "down, and up again",
        before: |_| {},
        plot: |tree, mortal| {
            mortal.is_up(tree)
                && {
                    svc(tree, "-d");
                    mortal.comes_to_rest(tree, |s| s.pid() == 0 && s.want() == b'd')
                }
                && {
                    svc(tree, "-u");
                    mortal.is_up(tree)
                }
        },
    },
    Story {
        name: "the orderly end",
        before: |_| {},
        plot: |tree, mortal| {
            if !mortal.is_up(tree) {
                return false;
            }
            if let Some(pid) = mortal.pid() {
                process::signal(pid, Signal::TERM);
            }
            wait_until("it ends", DEADLINE, || mortal.is_dead());
            !tree.exists("a/supervise/process")
        },
    },
    Story { name: "adoption", before: killed, plot: |tree, mortal| mortal.is_up(tree) },
    Story {
        name: "death after adoption",
        before: killed,
        plot: |tree, mortal| {
            if !mortal.is_up(tree) {
                return false;
            }
            let pid = service_of(tree);
            process::signal(pid, Signal::KILL);
            mortal.comes_to_rest(tree, |s| s.pid() != pid && process::is_alive(s.pid()))
        },
    },
    Story {
        name: "death unseen",
        before: |tree| {
            killed(tree);
            let pid = service_of(tree);
            process::signal(pid, Signal::KILL);
            process::wait_gone(pid);
        },
        plot: |tree, mortal| mortal.is_up(tree),
    },
];

/// Breaks the story off at one step, and lets another supervise begin. Whatever has happened, there
/// is one instance of the service at most, which that one knows of; if it is wanted, exactly one.
/// Returns what was done.
#[track_caller]
fn broken_off(story: Story, step: Option<&Step>) -> Vec<Step> {
    let tree = tree();
    tree.idle_service("a");
    (story.before)(&tree);
    let mortal = Mortal::start(&tree, step);
    let ended = (story.plot)(&tree, &mortal);
    assert!(ended || step.is_some(), "{}: it does not come to its end", story.name);
    let steps = Mortal::steps(&tree);
    mortal.kill();
    let second = tree.supervise("a");
    let what = format!("{}, {step:?}: nothing runs but what is known", story.name);
    let known = || {
        let status = tree.status("a")?;
        match others(&tree, &[second.pid()])[..] {
            [] => (status.pid() == 0 && status.want() != b'u').then_some(0),
            [pid] => {
                (status.pid() == pid && process::arguments(pid) == ["sleep", "1000"]).then_some(pid)
            }
            _ => None,
        }
    };
    let pid = wait_for(&what, DEADLINE, known);
    let starts = tree.text("a/started");
    assert!(pid == 0 || starts.lines().last() == Some(&pid.to_string()), "{what}: {starts}");
    if story.name == "adoption" {
        assert_eq!(starts, format!("{pid}\n"), "{what}");
    }
    if pid == 0 {
        // Nor is there one that cannot be had.
        tree.svc("-u", "a");
        wait_for(&what, DEADLINE, || known().filter(|&pid| pid != 0));
    }
    steps
}

#[test]
fn killed_at_any_step_a_supervise_leaves_one_service_and_one_only() {
    const PLAYERS: usize = 16;
    if !strace_works(&tree()) {
        return;
    }
    let mut start = 0;
    for story in STORIES {
        let mut steps = broken_off(story, None);
        match story.name {
            "start" => start = steps.len(),
            "adoption" | "death unseen" | "death after adoption" => {}
            // The beginning is the same.
            _ => drop(steps.drain(..start - 5)),
        }
        assert!(steps.len() > 10, "{}: {steps:?}", story.name);
        thread::scope(|scope| {
            for part in steps.chunks(steps.len().div_ceil(PLAYERS)) {
                scope.spawn(move || {
                    part.iter().for_each(|step| drop(broken_off(story, Some(step))))
                });
            }
        });
        note(&format!("{}: {} steps", story.name, steps.len()));
    }
}
