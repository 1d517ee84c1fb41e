//! The next supervise adopts the service process, or finds that it has ended.

use crate::{others, record, svc};
use harness::{DEADLINE, Signal, Status, original, process, wait_for, wait_until};
use std::time::Duration;
use system::{
    PROMPT, STAMP, age, assert_exit_0, assert_idle, count, kill, stop_supervise, tree,
    wait_descendant, wait_settled,
};

#[test]
fn the_next_supervise_adopts_the_running_process() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    let status = tree.status("a");
    kill(first);
    assert!(process::is_alive(pid));
    let second = tree.supervise("a");
    assert_eq!(tree.status("a"), status, "same process, same time, same wanted state");
    let seconds = age(&status.expect("a status")).as_secs();
    let said = tree.svstat("a");
    let close = |n| said == format!("up (pid {pid}) {n} seconds");
    assert!((seconds..seconds + 3).any(close), "{said}, not {seconds}");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    assert_eq!(others(&tree, &[second.pid()]), [pid]);
    assert_eq!(second.stderr(), "");
    stop_supervise(&tree, second, "a");
    assert!(!process::is_alive(pid));
}

#[test]
fn a_service_survives_two_hundred_kills_of_its_supervise() {
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_wanted_state_survives_a_kill_of_supervise() {
    for (letter, flags) in [("-o", (0, 0)), ("-p", (1, b'u')), ("-d", (0, b'd'))] {
        let tree = tree();
        // The service ignores TERM.
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
        // The next supervise does not send TERM again.
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
        assert_exit_0(second);
    }
}

#[test]
fn the_end_of_an_adopted_process_is_noticed_at_once() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    wait_until("it is started again", PROMPT, || {
        tree.status("a").is_some_and(|s| s.pid() != pid && process::is_alive(s.pid()))
    });
    // The next process is a child of supervise, as usual.
    let next = tree.wait_restart("a", pid);
    assert_eq!(process::parent(next), Some(supervise.pid()));
    assert_eq!(others(&tree, &[supervise.pid()]), [next]);
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn every_command_reaches_an_adopted_process() {
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
    assert_exit_0(supervise);
    assert!(!process::is_alive(pid) && !tree.exists("a/supervise/process"));
}

#[test]
fn a_group_command_reaches_the_group_of_an_adopted_process() {
    let tree = tree();
    // The service leads a process group and has a child in it.
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_is_adopted_whatever_its_session_descriptors_or_signals() {
    for (case, run) in [
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
        match case {
            "stopped" => wait_until(case, PROMPT, || process::is_stopped(pid)),
            "stopped later" => {
                process::signal(pid, Signal::STOP);
                wait_until(case, PROMPT, || process::is_stopped(pid));
            }
            _ => wait_until(case, DEADLINE, || process::state(pid) == Some('S')),
        }
        let status = tree.wait_status("a", case, |s| s.pid() == pid);
        let running = others(&tree, &[first.pid()]);
        kill(first);
        let second = tree.supervise("a");
        assert_eq!(tree.status("a"), Some(status), "{case}");
        assert_eq!(others(&tree, &[second.pid()]), running, "{case}");
        assert_eq!(second.stderr(), "", "{case}");
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
    }
}

#[test]
fn the_originals_tools_work_on_an_adopted_service() {
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
    assert_exit_0(supervise);
}

#[test]
fn an_adopted_service_costs_no_wake_ups() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    assert_idle(&[supervise.pid()], Duration::from_secs(2));
}

// The service ended without a supervise

#[test]
fn a_service_that_ended_without_a_supervise_is_started_again_if_wanted() {
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
        assert_exit_0(second);
        assert_eq!(tree.text("a/started").lines().count(), if want == b'u' { 2 } else { 1 });
    }
}

#[test]
fn a_service_that_never_started_has_not_ended() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/down", "");
    kill(tree.supervise("a"));
    let second = tree.supervise("a");
    tree.svc("-dx", "a");
    assert_eq!(second.wait().err(), "");
}

#[test]
fn the_record_tells_how_a_service_ended() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nread code <answer\nexit $code\n");
    tree.sh("mkfifo a/answer").run().is(0, "", "");
    // The next start replaces the record. It is at once if the start before was a second ago.
    let recorded = |pid: u32, ends: &[&str]| {
        let lines: Vec<_> = ends.iter().map(|end| format!("ended={pid} {end}")).collect();
        let is_next = |status: Status| ![0, pid].contains(&status.pid());
        wait_until(&format!("{lines:?}"), PROMPT, || {
            record(&tree, "a")
                .lines()
                .any(|found| lines.iter().any(|line| line == found.trim_end()))
                || tree.status("a").is_some_and(is_next)
        });
    };
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert!(!record(&tree, "a").contains("ended="));
    tree.write("a/answer", "3\n");
    recorded(pid, &["code 3"]);
    let next = tree.wait_restart("a", pid);
    kill(first);
    let second = tree.supervise("a");
    process::signal(next, Signal::KILL);
    // Only a newer kernel tells the signal, and only after the parent has reaped the process.
    recorded(next, &["signal 9", "unknown"]);
    let last = tree.wait_restart("a", next);
    kill(second);
    process::signal(last, Signal::KILL);
    process::wait_gone(last);
    let third = tree.supervise("a");
    recorded(last, &["unknown"]);
    tree.wait_restart("a", last);
    tree.svc("-dx", "a");
    assert_exit_0(third);
}

#[test]
fn starts_by_different_supervises_are_a_second_apart() {
    let tree = tree();
    tree.service("a", &format!("#!/bin/sh\n{STAMP}"));
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
    stop_supervise(&tree, supervise, "a");
    assert!(!process::is_alive(pid));
    // After an orderly end, the next start ignores the past.
    assert!(!tree.exists("a/supervise/process"));
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    kill(supervise);
    // The wanted state down came from the file; without the file the service starts.
    let supervise = tree.supervise("a");
    tree.svc("-x", "a");
    assert_exit_0(supervise);
    tree.remove("a/down");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_supervise_killed_while_it_leaves_leaves_no_wanted_state() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    // The machine shuts down: TERM, and some time later KILL.
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
    assert_exit_0(third);
}

// svscan

#[test]
fn svscan_restarts_a_supervise_and_its_service_runs_on() {
    let tree = tree();
    tree.idle_service("service/a");
    tree.idle_service("service/a/log");
    let svscan = tree.cmd("svscan").arg("service").start();
    let dirs = ["service/a", "service/a/log"];
    let pids = dirs.map(|dir| wait_settled(&tree, dir));
    let status = dirs.map(|dir| tree.status(dir));
    for name in ["a", "log"] {
        let old = wait_descendant(svscan.pid(), &["supervise", name]);
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
    // The next end of the service is noticed, and svscan reaps it.
    process::signal(pids[0], Signal::KILL);
    tree.wait_restart("service/a", pids[0]);
    wait_until("it is reaped", PROMPT, || process::state(pids[0]).is_none());
    tree.svc("-t", "service/a/log");
    tree.wait_restart("service/a/log", pids[1]);
    assert_eq!(count(&svscan.stderr(), "was killed by signal 9"), 2);
    assert_eq!(svscan.stderr().lines().count(), 2);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(tree.processes(), []);
}
