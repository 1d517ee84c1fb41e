//! The personality of daemontools-encore.

use crate::{STAYS, TALKS, saying, service, svstat, wait_svstat};
use harness::{DEADLINE, Signal, Status, Tree, process, wait_until};
use rustix::io::ioctl_fionread;
use std::fs::File;
use system::{
    PROMPT, assert_exit_0, count, stop_supervise, tree, wait_reaped, wait_settled, wait_state,
};

/// encore's state in the first or second record of a status.
fn code(status: &Status, record: usize) -> Option<u8> {
    status.0.get(20 * record + 18).copied()
}

/// The pid in the second record of a status.
fn log_pid(status: &Status) -> u32 {
    let bytes = status.0.get(32..36).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

/// Waits until the log runs as another process than `before`.
#[track_caller]
fn wait_log(tree: &Tree, before: u32) -> u32 {
    let up = |s: &Status| log_pid(s) != before && process::is_alive(log_pid(s));
    log_pid(&tree.wait_status("a", "its log is up", up))
}

#[test]
fn encore_start_comes_before_run_and_stop_after_it() {
    let tree = service("encore", STAYS);
    tree.script("a/start", saying("start"));
    tree.script("a/stop", saying("stop"));
    let supervise = tree.supervise("a");
    let status = tree.wait_status("a", "runs", |s| code(s, 0) == Some(3));
    assert_eq!((status.0.len(), status.want(), status.0[19]), (20, b'u', 0));
    assert_eq!(svstat(&tree), "up (pid x) x seconds, running");
    let pid = tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/order", 2), ["start", "run"]);
    // A restart runs only run.
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/order", 3)[2], "run");
    tree.svc("-d", "a");
    assert_eq!(tree.wait_lines("a/order", 4)[3], "stop");
    wait_svstat(&tree, "down x seconds, normally up, stopped");
    // `svc -u` after a stop runs start too.
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/order", 6)[4..], ["start", "run"]);
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.wait_lines("a/order", 7)[6..], ["stop"]);
}

#[test]
fn encore_start_that_fails_means_failed() {
    for how in ["exit 1", "kill $$"] {
        let tree = service("encore", STAYS);
        tree.script("a/start", format!("#!/bin/sh\necho start >>order\n{how}\n"));
        tree.script("a/stop", saying("stop"));
        let supervise = tree.supervise("a");
        wait_svstat(&tree, "down x seconds, normally up, failed");
        wait_state(&tree, "a", "phase", "failed");
        assert_eq!(tree.wait_want("a", b'd').pid(), 0);
        assert_eq!(tree.text("a/order"), "start\n");
        tree.svc("-x", "a");
        assert_exit_0(supervise);
        assert_eq!(tree.text("a/order"), "start\n");
    }
}

#[test]
fn encore_exit_code_100_means_failed_until_svc_u() {
    let tree = service("encore", "#!/bin/sh\necho run >>order\nexit 100\n");
    let supervise = tree.supervise("a");
    wait_svstat(&tree, "down x seconds, normally up, failed");
    wait_state(&tree, "a", "reason", "code-100");
    assert_eq!(tree.text("a/order"), "run\n");
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 2);
    wait_svstat(&tree, "down x seconds, normally up, failed");
    // Exit code 100 in a restart by command does not mean failed.
    tree.script(
        "a/run",
        "#!/bin/sh\ntrap 'exit 100' TERM\necho up >>order\nsleep 1000 >&- 2>&- & wait\n",
    );
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 3);
    tree.svc("-du", "a");
    tree.wait_lines("a/order", 4);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_notify_runs_at_every_start_and_end() {
    let tree = service("encore", "#!/bin/sh\nexec sleep 1000\n");
    tree.script("a/start", "#!/bin/sh\n");
    tree.script("a/stop", "#!/bin/sh\nexit 3\n");
    let say = "#!/bin/sh\necho \"$#:$*:$SERVICE_EVENT:$SERVICE_SCRIPT:$SERVICE_PID:\
               $SERVICE_OLD_STATE:$SERVICE_STATE:$SERVICE_EXIT:$SERVICE_SIGNAL\" >>notified\n";
    tree.script("a/notify", say);
    let supervise = tree.supervise("a");
    let pid = tree.wait_status("a", "runs", |s| code(s, 0) == Some(3)).pid();
    tree.wait_lines("a/notified", 3);
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    let mut lines = tree.wait_lines("a/notified", 6);
    lines.sort();
    let assert_notified = |script: &str, event: &str, more: &str| {
        let found = lines.iter().filter(|line| {
            let parts: Vec<&str> = line.split(':').collect();
            let words: Vec<&str> = parts[1].split(' ').collect();
            let own = script != "run" || words[2] == pid.to_string();
            own && parts[0] == "4"
                && words[..2] == [script, event]
                && parts[2..5] == [event, script, words[2]]
                && line.ends_with(&format!(":{more}"))
        });
        assert_eq!(found.count(), 1, "{script} {event} {more}: {lines:?}");
    };
    assert_notified("start", "start", "down:starting::");
    assert_notified("start", "exit", "0:");
    assert_notified("run", "start", "up::");
    assert_notified("run", "killed", ":15");
    assert_notified("stop", "start", "finishing::");
    assert_notified("stop", "exit", "down:3:");
    assert_eq!(lines.len(), 6);
}

#[test]
fn encore_starts_a_session_unless_no_setsid() {
    let run = "#!/bin/sh\necho $$ >>order\nsleep 1000 >&- 2>&- &\necho $! >child\nwait\n";
    for own in [true, false] {
        let tree = service("encore", run);
        if !own {
            tree.write("a/no-setsid", "");
        }
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
        assert_eq!(process::session(pid) == Some(pid), own);
        // `+` signals the process group, if the service has its own.
        tree.svc("-+h", "a");
        if own {
            process::wait_gone(child);
            tree.wait_lines("a/order", 2);
        } else {
            // When a later command is obeyed, the signal was sent.
            tree.svc("-p", "a");
            tree.wait_status("a", "paused", |s| s.paused() == 1);
            assert!(process::is_alive(child) && process::is_alive(pid));
        }
        stop_supervise(&tree, supervise, "a");
    }
}

#[test]
fn encore_knows_more_signals() {
    let tree = tree();
    tree.trapping_service("a", &["QUIT", "USR1", "USR2", "WINCH"]);
    tree.write("a/personality", "encore\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    for (n, (letter, name)) in
        [("-q", "QUIT"), ("-1", "USR1"), ("-2", "USR2"), ("-w", "WINCH")].into_iter().enumerate()
    {
        tree.svc(letter, "a");
        assert_eq!(tree.wait_lines("a/signals", n + 1)[n], name);
    }
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_status_says_stopping() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    tree.write("a/personality", "encore\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 1);
    wait_svstat(&tree, "up (pid x) x seconds, want down, stopping");
    tree.svc("-kx", "a");
    assert_exit_0(supervise);
}

#[test]
fn encore_status_says_once() {
    let tree = service("encore", STAYS);
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    wait_svstat(&tree, "down x seconds, stopped");
    tree.svc("-o", "a");
    wait_svstat(&tree, "up (pid x) x seconds, normally down, once, running");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_needs_no_run() {
    let tree = service("encore", STAYS);
    tree.remove("a/run");
    tree.script("a/start", saying("start"));
    tree.script("a/stop", saying("stop"));
    let supervise = tree.supervise("a");
    wait_svstat(&tree, "down x seconds, normally up, started");
    let status = tree.status("a").expect("a status");
    assert_eq!((status.pid(), status.want(), code(&status, 0)), (0, 0, Some(2)));
    tree.svc("-d", "a");
    assert_eq!(tree.wait_lines("a/order", 2), ["start", "stop"]);
    wait_svstat(&tree, "down x seconds, normally up, stopped");
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 3);
    wait_svstat(&tree, "down x seconds, normally up, started");
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.wait_lines("a/order", 4), ["start", "stop", "start", "stop"]);
}

// The log script

/// A log script that names its process.
const LOGGER: &str = "#!/bin/sh\necho \"log $$\" >>logged\nexec cat >>logged\n";

fn logged_service(run: &str) -> Tree {
    let tree = service("encore", run);
    tree.script("a/log", LOGGER);
    tree
}

#[test]
fn encore_log_reads_what_all_scripts_write() {
    let tree = logged_service("#!/bin/sh\necho running\nexec sleep 1000\n");
    tree.script("a/start", "#!/bin/sh\necho starting\n");
    tree.script("a/stop", "#!/bin/sh\necho stopping\necho it\n");
    let supervise = tree.supervise("a");
    tree.wait_text("a/logged", "running\n");
    let status = tree.wait_status("a", "runs", |s| code(s, 0) == Some(3));
    assert_eq!((status.0.len(), code(&status, 1)), (40, Some(3)));
    let log = log_pid(&status);
    assert_eq!(process::session(log), Some(log));
    let lines = tree.cmd("svstat").arg("a").run().out();
    assert_eq!(count(&lines, ", running"), 2, "{lines}");
    assert!(lines.contains(&format!("\na log: up (pid {log}) ")), "{lines}");
    // The log script ends at the end of its input, after reading everything.
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.text("a/logged"), format!("log {log}\nstarting\nrunning\nstopping\nit\n"));
    assert!(!process::is_alive(log));
    assert!(!tree.exists("a/supervise/log-process"));
}

#[test]
fn encore_log_has_its_own_commands() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    tree.svc("-Lt", "a");
    let second = wait_log(&tree, log);
    assert_eq!(tree.wait_up("a"), main);
    tree.svc("-Ld", "a");
    let down = |s: &Status| log_pid(s) == 0 && s.0.get(37) == Some(&b'd');
    let status = tree.wait_status("a", "its log is down", down);
    assert_eq!((code(&status, 1), status.pid()), (Some(0), main));
    process::wait_gone(second);
    // The pipe keeps what the service writes meanwhile.
    tree.write("a/talk", "while the log is down\n");
    tree.svc("-Lu", "a");
    tree.wait_text("a/logged", "while the log is down\n");
    // Commands without L are for the service.
    let third = wait_log(&tree, second);
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    tree.wait_restart("a", main);
    assert_eq!(wait_log(&tree, 0), third);
    stop_supervise(&tree, supervise, "a");
    wait_reaped(third);
}

#[test]
fn encore_log_is_started_again_and_loses_nothing() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let log = wait_log(&tree, 0);
    tree.wait_text("a/logged", "run ");
    process::signal(log, Signal::STOP);
    wait_until("the log is stopped", PROMPT, || process::is_stopped(log));
    tree.write("a/talk", "one\ntwo\n");
    process::signal(log, Signal::KILL);
    wait_log(&tree, log);
    tree.wait_text("a/logged", "one\ntwo\n");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_is_down_if_the_service_is() {
    let tree = logged_service(TALKS);
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let status = tree.wait_status("a", "both are there", |s| s.0.len() == 40);
    assert_eq!((status.pid(), log_pid(&status)), (0, 0));
    tree.svc("-uLu", "a");
    tree.wait_text("a/logged", "run ");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_with_exit_code_100_has_failed() {
    let tree = logged_service(TALKS);
    tree.script("a/log", "#!/bin/sh\necho log >>logged\nexit 100\n");
    let supervise = tree.supervise("a");
    let status = tree.wait_status("a", "its log has failed", |s| code(s, 1) == Some(5));
    assert_eq!(log_pid(&status), 0);
    assert_eq!(tree.text("a/logged"), "log\n");
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_and_service_are_adopted_with_their_pipe() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    supervise.kill();
    let supervise = tree.supervise("a");
    assert_eq!((tree.wait_up("a"), wait_log(&tree, 0)), (main, log));
    // The next process of the service writes to the same log.
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    let second = tree.wait_restart("a", main);
    tree.wait_text("a/logged", &format!("run {second}\n"));
    assert_eq!(wait_log(&tree, 0), log);
    // The next process of the log reads from the same pipe.
    process::signal(log, Signal::KILL);
    wait_log(&tree, log);
    tree.write("a/talk", "still there\n");
    tree.wait_text("a/logged", "still there\n");
    assert_eq!(tree.wait_up("a"), second);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_pipe_is_recovered_from_the_service_if_the_log_died() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    process::signal(log, Signal::STOP);
    wait_until("the log is stopped", PROMPT, || process::is_stopped(log));
    tree.write("a/talk", "unread\n");
    wait_until("it is in the pipe", DEADLINE, || {
        let pipe = File::open(format!("/proc/{log}/fd/0")).expect("the pipe");
        ioctl_fionread(pipe).expect("ask how much is in it") > 0
    });
    supervise.kill();
    process::signal(log, Signal::KILL);
    process::wait_gone(log);
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), main);
    wait_log(&tree, log);
    tree.wait_text("a/logged", "unread\n");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_survives_an_upgrade() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    // No other process has the pipe open, so the handover must carry it.
    tree.svc("-dLd", "a");
    tree.wait_status("a", "all down", |s| s.pid() == 0 && log_pid(s) == 0);
    supervise.signal(Signal::USR2);
    tree.svc("-uLu", "a");
    let (again, log_again) = (tree.wait_restart("a", main), wait_log(&tree, log));
    supervise.signal(Signal::USR2);
    // When supervise obeys a command, the upgrade is over.
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-c", "a");
    assert_eq!((tree.wait_up("a"), wait_log(&tree, 0)), (again, log_again));
    tree.write("a/talk", "after it\n");
    tree.wait_text("a/logged", "after it\n");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn encore_log_that_does_not_see_its_end_gets_term() {
    let tree = logged_service(STAYS);
    tree.script(
        "a/log",
        "#!/bin/sh\ntrap 'echo term >>logged; exit' TERM\n\
                          sleep 1000 >&- 2>&- &\nwait\n",
    );
    let supervise = tree.supervise("a");
    let log = wait_log(&tree, 0);
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.text("a/logged"), "term\n");
    assert!(!process::is_alive(log));
}

#[test]
fn encore_svc_x_alone_leaves_when_the_service_ends() {
    let tree = logged_service(STAYS);
    let supervise = tree.supervise("a");
    let (pid, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.svc("-x", "a");
    process::signal(pid, Signal::TERM);
    assert_exit_0(supervise);
    assert!(!process::is_alive(log));
}
