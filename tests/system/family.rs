//! Service directories made for the other members of the family: encore, s6 and runit.

use harness::{DEADLINE, Process, Signal, Status, Tree, process, wait_for, wait_until};
use rustix::io::ioctl_fionread;
use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system::{PROMPT, age, count, leaves, tree, wait_reaped, wait_settled};

/// A `run` that says what it is and stays until a signal ends it.
const STAYS: &str = "#!/bin/sh\necho run >>order\nexec sleep 1000\n";

/// A script that writes its name and what it was called with.
fn saying(name: &str) -> String {
    format!("#!/bin/sh\necho {name} \"$@\" >>order\n")
}

/// A tree with a service that follows somebody's customs, and has this `run`.
fn service(personality: &str, run: &str) -> Tree {
    let tree = tree();
    tree.service("a", run);
    tree.write("a/personality", format!("{personality}\n"));
    tree
}

/// Ends the service and its supervise in the orderly way.
#[track_caller]
fn end(tree: &Tree, supervise: Process) {
    tree.svc("-dx", "a");
    leaves(supervise);
}

/// What supervise/state says under a key.
fn state(tree: &Tree, key: &str) -> Option<String> {
    let text = tree.text("a/supervise/state");
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.to_owned())
}

#[track_caller]
fn wait_state(tree: &Tree, key: &str, value: &str) {
    wait_until(&format!("{key} is {value}"), DEADLINE, || {
        state(tree, key).as_deref() == Some(value)
    });
}

/// What svstat says, with x for every number.
#[track_caller]
fn svstat(tree: &Tree) -> String {
    let line = tree.svstat("a");
    let parts = line.split_inclusive([' ', ')']).map(|part| {
        let number = part.trim_end_matches([' ', ')']);
        if number.parse::<u32>().is_ok() { part.replace(number, "x") } else { part.to_owned() }
    });
    parts.collect()
}

/// Waits until svstat says this.
#[track_caller]
fn wait_svstat(tree: &Tree, line: &str) {
    wait_until(&format!("svstat says {line:?}"), DEADLINE, || svstat(tree) == line);
}

/// encore's state in the status of the service, or of its log.
fn code(status: &Status, record: usize) -> Option<u8> {
    status.0.get(20 * record + 18).copied()
}

/// The pid in the second record of a status.
fn log_pid(status: &Status) -> u32 {
    let bytes = status.0.get(32..36).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

/// Waits until the log runs, and not as this process.
#[track_caller]
fn wait_log(tree: &Tree, before: u32) -> u32 {
    let up = |s: &Status| log_pid(s) != before && process::is_alive(log_pid(s));
    log_pid(&tree.wait_status("a", "its log is up", up))
}

// encore

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
    // A restart is only of run.
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/order", 3)[2], "run");
    tree.svc("-d", "a");
    assert_eq!(tree.wait_lines("a/order", 4)[3], "stop");
    wait_svstat(&tree, "down x seconds, normally up, stopped");
    // Up anew is from the start.
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/order", 6)[4..], ["start", "run"]);
    end(&tree, supervise);
    assert_eq!(tree.wait_lines("a/order", 7)[6..], ["stop"]);
}

#[test]
fn encore_start_that_fails_is_the_end_of_it() {
    for how in ["exit 1", "kill $$"] {
        let tree = service("encore", STAYS);
        tree.script("a/start", format!("#!/bin/sh\necho start >>order\n{how}\n"));
        tree.script("a/stop", saying("stop"));
        let supervise = tree.supervise("a");
        wait_svstat(&tree, "down x seconds, normally up, failed");
        wait_state(&tree, "phase", "failed");
        assert_eq!(tree.wait_want("a", b'd').pid(), 0);
        assert_eq!(tree.text("a/order"), "start\n");
        tree.svc("-x", "a");
        leaves(supervise);
        assert_eq!(tree.text("a/order"), "start\n");
    }
}

#[test]
fn encore_code_100_is_failure_until_somebody_says_otherwise() {
    let tree = service("encore", "#!/bin/sh\necho run >>order\nexit 100\n");
    let supervise = tree.supervise("a");
    wait_svstat(&tree, "down x seconds, normally up, failed");
    wait_state(&tree, "reason", "code-100");
    assert_eq!(tree.text("a/order"), "run\n");
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 2);
    wait_svstat(&tree, "down x seconds, normally up, failed");
    // To end and come back, it may end as it likes.
    tree.script(
        "a/run",
        "#!/bin/sh\ntrap 'exit 100' TERM\necho up >>order\nsleep 1000 >&- 2>&- & wait\n",
    );
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 3);
    tree.svc("-du", "a");
    tree.wait_lines("a/order", 4);
    end(&tree, supervise);
}

#[test]
fn encore_notify_is_told_of_every_start_and_end() {
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
    leaves(supervise);
    let mut lines = tree.wait_lines("a/notified", 6);
    lines.sort();
    let told = |script: &str, event: &str, more: &str| {
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
    told("start", "start", "down:starting::");
    told("start", "exit", "0:");
    told("run", "start", "up::");
    told("run", "killed", ":15");
    told("stop", "start", "finishing::");
    told("stop", "exit", "down:3:");
    assert_eq!(lines.len(), 6);
}

#[test]
fn encore_gives_a_session_unless_told_not_to() {
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
        // With a group there is somebody else to hit.
        tree.svc("-+h", "a");
        if own {
            process::wait_gone(child);
            tree.wait_lines("a/order", 2);
        } else {
            // The next command is obeyed after it.
            tree.svc("-p", "a");
            tree.wait_status("a", "paused", |s| s.paused() == 1);
            assert!(process::is_alive(child) && process::is_alive(pid));
        }
        end(&tree, supervise);
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
    end(&tree, supervise);
}

#[test]
fn encore_says_that_it_is_stopping() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    tree.write("a/personality", "encore\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 1);
    wait_svstat(&tree, "up (pid x) x seconds, want down, stopping");
    tree.svc("-kx", "a");
    leaves(supervise);
}

#[test]
fn encore_once_is_shown() {
    let tree = service("encore", STAYS);
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    wait_svstat(&tree, "down x seconds, stopped");
    tree.svc("-o", "a");
    wait_svstat(&tree, "up (pid x) x seconds, normally down, once, running");
    end(&tree, supervise);
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
    end(&tree, supervise);
    assert_eq!(tree.wait_lines("a/order", 4), ["start", "stop", "start", "stop"]);
}

/// A logger inside the service, which says who it is.
const LOGGER: &str = "#!/bin/sh\necho \"log $$\" >>logged\nexec cat >>logged\n";

/// A service that writes what comes out of a FIFO.
const TALKS: &str = "#!/bin/sh\n[ -p talk ] || mkfifo talk\necho run $$\nexec cat <>talk\n";

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
    // It ends because there is no more, and has read everything.
    end(&tree, supervise);
    assert_eq!(tree.text("a/logged"), format!("log {log}\nstarting\nrunning\nstopping\nit\n"));
    assert!(!process::is_alive(log));
    assert!(!tree.exists("a/supervise/log-process"));
}

#[test]
fn encore_log_is_commanded_by_itself() {
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
    // What is written meanwhile stays in the pipe.
    tree.write("a/talk", "while nobody listens\n");
    tree.svc("-Lu", "a");
    tree.wait_text("a/logged", "while nobody listens\n");
    // Commands without L are for the service.
    let third = wait_log(&tree, second);
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    tree.wait_restart("a", main);
    assert_eq!(wait_log(&tree, 0), third);
    end(&tree, supervise);
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
    end(&tree, supervise);
}

#[test]
fn encore_log_down_with_the_service() {
    let tree = logged_service(TALKS);
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let status = tree.wait_status("a", "both are there", |s| s.0.len() == 40);
    assert_eq!((status.pid(), log_pid(&status)), (0, 0));
    tree.svc("-uLu", "a");
    tree.wait_text("a/logged", "run ");
    end(&tree, supervise);
}

#[test]
fn encore_log_that_fails_for_good() {
    let tree = logged_service(TALKS);
    tree.script("a/log", "#!/bin/sh\necho log >>logged\nexit 100\n");
    let supervise = tree.supervise("a");
    let status = tree.wait_status("a", "its log has failed", |s| code(s, 1) == Some(5));
    assert_eq!(log_pid(&status), 0);
    assert_eq!(tree.text("a/logged"), "log\n");
    tree.wait_up("a");
    end(&tree, supervise);
}

#[test]
fn encore_log_and_service_are_taken_over_with_their_pipe() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    supervise.kill();
    let supervise = tree.supervise("a");
    assert_eq!((tree.wait_up("a"), wait_log(&tree, 0)), (main, log));
    // The service's next process writes to the same log.
    wait_settled(&tree, "a");
    tree.svc("-t", "a");
    let second = tree.wait_restart("a", main);
    tree.wait_text("a/logged", &format!("run {second}\n"));
    assert_eq!(wait_log(&tree, 0), log);
    // And the log's next process reads from it.
    process::signal(log, Signal::KILL);
    wait_log(&tree, log);
    tree.write("a/talk", "still there\n");
    tree.wait_text("a/logged", "still there\n");
    assert_eq!(tree.wait_up("a"), second);
    end(&tree, supervise);
}

#[test]
fn encore_pipe_is_found_with_the_service_if_its_log_died_too() {
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
    end(&tree, supervise);
}

#[test]
fn encore_log_survives_an_upgrade() {
    let tree = logged_service(TALKS);
    let supervise = tree.supervise("a");
    let (main, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.wait_text("a/logged", "run ");
    // Without processes that could have it, the pipe is handed over.
    tree.svc("-dLd", "a");
    tree.wait_status("a", "all down", |s| s.pid() == 0 && log_pid(s) == 0);
    supervise.signal(Signal::USR2);
    tree.svc("-uLu", "a");
    let (again, log_again) = (tree.wait_restart("a", main), wait_log(&tree, log));
    supervise.signal(Signal::USR2);
    // It is there again when it obeys.
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-c", "a");
    assert_eq!((tree.wait_up("a"), wait_log(&tree, 0)), (again, log_again));
    tree.write("a/talk", "after it\n");
    tree.wait_text("a/logged", "after it\n");
    end(&tree, supervise);
}

#[test]
fn encore_log_that_does_not_notice_the_end_is_told() {
    let tree = logged_service(STAYS);
    tree.script(
        "a/log",
        "#!/bin/sh\ntrap 'echo told >>logged; exit' TERM\n\
                          sleep 1000 >&- 2>&- &\nwait\n",
    );
    let supervise = tree.supervise("a");
    let log = wait_log(&tree, 0);
    tree.wait_up("a");
    end(&tree, supervise);
    assert_eq!(tree.text("a/logged"), "told\n");
    assert!(!process::is_alive(log));
}

#[test]
fn encore_x_alone_leaves_with_the_service() {
    let tree = logged_service(STAYS);
    let supervise = tree.supervise("a");
    let (pid, log) = (tree.wait_up("a"), wait_log(&tree, 0));
    tree.svc("-x", "a");
    process::signal(pid, Signal::TERM);
    leaves(supervise);
    assert!(!process::is_alive(log));
}

// s6

#[test]
fn s6_run_and_finish_get_their_arguments() {
    let tree = service("s6", "#!/bin/sh\necho run \"$@\" >>order\nexec sleep 1000\n");
    tree.script("a/finish", saying("finish"));
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run a"]);
    assert_eq!(process::session(pid), Some(pid));
    tree.svc("-k", "a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!(lines[1..], ["finish 256 9 a", "run a"]);
    tree.script("a/run", "#!/bin/sh\nexit 7\n");
    tree.svc("-t", "a");
    let lines = tree.wait_lines("a/order", 5);
    assert_eq!(lines[3..5], ["finish 256 15 a", "finish 7 0 a"]);
    tree.svc("-dx", "a");
    leaves(supervise);
}

#[test]
fn s6_finish_can_say_that_it_is_enough() {
    let tree = service("s6", "#!/bin/sh\necho run >>order\n");
    tree.script("a/finish", "#!/bin/sh\necho finish >>order\nexit 125\n");
    let supervise = tree.supervise("a");
    wait_state(&tree, "phase", "failed");
    assert_eq!(state(&tree, "reason").as_deref(), Some("finish-125"));
    assert_eq!(tree.wait_want("a", b'd').pid(), 0);
    assert_eq!(tree.text("a/order"), "run\nfinish\n");
    tree.svc("-u", "a");
    tree.wait_lines("a/order", 4);
    wait_state(&tree, "phase", "failed");
    tree.svc("-x", "a");
    leaves(supervise);
}

#[test]
fn s6_finish_that_takes_too_long_is_killed() {
    let tree = service("s6", STAYS);
    tree.script("a/finish", "#!/bin/sh\necho $$ >>order\ntrap '' TERM\nexec sleep 1000\n");
    tree.write("a/timeout-finish", "200\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/order", 1);
    tree.svc("-t", "a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!((&*lines[0], &*lines[2]), ("run", "run"));
    assert!(!process::is_alive(lines[1].parse().expect("a pid")));
    assert_ne!(tree.wait_restart("a", pid), pid);
    end(&tree, supervise);
}

#[test]
fn s6_notification_comes_on_its_descriptor() {
    let run = "#!/bin/sh\n[ -p go ] || mkfifo go\nread -r line <go\necho >&5\nexec sleep 1000\n";
    let tree = service("s6", run);
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_state(&tree, "phase", "starting");
    wait_until("it waits", DEADLINE, || tree.exists("a/go"));
    tree.write("a/go", "go\n");
    wait_state(&tree, "phase", "ready");
    end(&tree, supervise);
}

#[test]
fn s6_down_signal_is_what_ends_it() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "INT"]);
    tree.write("a/personality", "s6\n");
    tree.write("a/down-signal", "SIGUSR1\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    process::wait_gone(pid);
    assert_eq!(tree.text("a/signals"), "");
    tree.svc("-x", "a");
    leaves(supervise);
}

#[test]
fn s6_timeout_kill_and_killpg() {
    // Deaf in the first half, and its child in the second.
    let run = "#!/bin/sh\ntrap '' TERM\nsleep 1000 >&- 2>&- &\necho $! >child\n\
               echo $$ >>started\nwhile :; do wait; done\n";
    for group in [false, true] {
        let tree = service("s6", run);
        tree.write("a/timeout-kill", "300\n");
        if group {
            tree.write("a/flag-timeout-killpg", "");
        }
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
        tree.svc("-d", "a");
        process::wait_gone(pid);
        tree.wait_down("a");
        if group {
            process::wait_gone(child);
        } else {
            assert!(process::is_alive(child));
        }
        tree.svc("-x", "a");
        leaves(supervise);
    }
}

/// The deaths in s6's list: when in seconds since 1970, exit code and signal.
fn deaths(tree: &Tree) -> Vec<(u64, u8, u8)> {
    let list = tree.read("a/supervise/death_tally");
    assert_eq!(list.len() % 14, 0);
    let seconds = |death: &[u8]| u64::from_be_bytes(death[..8].try_into().expect("eight bytes"));
    // TAI was 10 s ahead in 1970, and 27 leap seconds have come since.
    let unix = |death: &[u8]| seconds(death) - (1 << 62) - 37;
    list.chunks(14).map(|death| (unix(death), death[12], death[13])).collect()
}

#[test]
fn s6_deaths_are_written_down() {
    let tree = service("s6", "#!/bin/sh\n[ -e again ] && kill -9 $$\n>again\nexit 3\n");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let supervise = tree.supervise("a");
    let deaths = wait_for("two deaths", DEADLINE, || Some(deaths(&tree)).filter(|d| d.len() >= 2));
    end(&tree, supervise);
    assert_eq!([(deaths[0].1, deaths[0].2), (deaths[1].1, deaths[1].2)], [(3, 0), (0, 9)]);
    assert!(deaths.iter().all(|(when, ..)| (before..before + 60).contains(when)), "{deaths:?}");
}

#[test]
fn the_list_of_deaths_is_as_long_as_it_is_to_be() {
    // The file alone is enough.
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run >>order\nexit $(wc -l <order)\n");
    tree.write("a/max-death-tally", "2\n");
    let supervise = tree.supervise("a");
    let codes = || deaths(&tree).iter().map(|death| death.1).collect::<Vec<_>>();
    wait_until("three deaths", DEADLINE, || codes() == [2, 3]);
    end(&tree, supervise);
    // And without both there is no list.
    tree.idle_service("b");
    let supervise = tree.supervise("b");
    let pid = tree.wait_up("b");
    tree.svc("-t", "b");
    tree.wait_restart("b", pid);
    assert!(!tree.exists("b/supervise/death_tally"));
    tree.svc("-dx", "b");
    leaves(supervise);
}

#[test]
fn s6_lock_is_held_by_what_a_service_has_left_behind() {
    let run = "#!/bin/sh\necho $$ >>order\n[ -e child ] || { sleep 1000 >&- 2>&- & echo $! >child; }\n\
               exec sleep 1000\n";
    let tree = service("s6", run);
    tree.write("a/lock-fd", "9\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
    wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    supervise.wait_stderr("a waits until another copy of it has ended");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/order", 1).len(), 1);
    process::signal(child, Signal::KILL);
    tree.wait_lines("a/order", 2);
    end(&tree, supervise);
}

// runit

#[test]
fn runit_finish_gets_its_arguments_and_all_the_time_it_wants() {
    let tree = service("runit", "#!/bin/sh\necho run \"$@\" >>order\nexec sleep 1000\n");
    let slow = "#!/bin/sh\necho finish \"$@\" >>order\n[ -p go ] || mkfifo go\nread -r line <go\n\
                echo done >>order\n";
    tree.script("a/finish", slow);
    tree.write("a/timeout-finish", "10\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run"]);
    assert_ne!(process::session(pid), Some(pid));
    tree.svc("-t", "a");
    assert_eq!(tree.wait_lines("a/order", 2)[1], "finish -1 15");
    wait_state(&tree, "phase", "finishing");
    wait_until("it waits", DEADLINE, || tree.exists("a/go"));
    tree.script("a/run", "#!/bin/sh\nexit 7\n");
    tree.write("a/go", "go\n");
    let lines = tree.wait_lines("a/order", 4);
    assert_eq!(lines[2..], ["done", "finish 7 0"]);
    // 125 means nothing here, and 100 neither.
    tree.script("a/finish", "#!/bin/sh\necho finish >>order\nexit 125\n");
    tree.script("a/run", "#!/bin/sh\necho run >>order\nexit 100\n");
    tree.write("a/go", "go\n");
    assert_eq!(tree.wait_lines("a/order", 9)[5..9], ["run", "finish", "run", "finish"]);
    tree.svc("-dx", "a");
    leaves(supervise);
}

#[test]
fn runit_check_says_when_it_is_ready() {
    let tree = service("runit", STAYS);
    tree.script("a/check", "#!/bin/sh\necho asked >>asked\n[ -e well ]\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/asked", 2);
    assert_eq!(state(&tree, "phase").as_deref(), Some("starting"));
    tree.write("a/well", "");
    wait_state(&tree, "phase", "ready");
    // Then nobody asks any more, and that it is not well any more does nothing.
    tree.remove("a/well");
    assert_eq!(tree.wait_up("a"), pid);
    end(&tree, supervise);
}

#[test]
fn runit_control_sees_to_it_or_leaves_it() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "HUP", "CONT", "ALRM"]);
    tree.write("a/personality", "runit\n");
    // t sees to it, h does not, a is none.
    tree.script("a/control/t", "#!/bin/sh\necho t >>asked\n");
    tree.script("a/control/h", "#!/bin/sh\necho h >>asked\nexit 1\n");
    tree.write("a/control/a", "#!/bin/sh\necho a >>asked\n");
    tree.script("a/control/c", "#!/bin/sh\necho c >>asked\nexit 1\n");
    tree.script("a/control/d", "#!/bin/sh\necho d >>asked\nexit 1\n");
    tree.script("a/control/u", "#!/bin/sh\necho u >>asked\n");
    tree.script("a/control/k", "#!/bin/sh\necho k >>asked\nexit 3\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-t", "a");
    assert_eq!(tree.wait_lines("a/asked", 1), ["t"]);
    tree.svc("-h", "a");
    assert_eq!(tree.wait_lines("a/signals", 1), ["HUP"]);
    tree.svc("-a", "a");
    assert_eq!(tree.wait_lines("a/signals", 2), ["HUP", "ALRM"]);
    tree.svc("-c", "a");
    assert_eq!(tree.wait_lines("a/signals", 3), ["HUP", "ALRM", "CONT"]);
    assert_eq!(tree.text("a/asked"), "t\nh\nc\n");
    // Down asks t and tells d, and not c; who sees to it has to end it.
    tree.svc("-d", "a");
    let mut asked = tree.wait_lines("a/asked", 5)[3..].to_vec();
    asked.sort();
    assert_eq!(asked, ["d", "t"]);
    tree.wait_want("a", b'd');
    assert!(process::is_alive(pid));
    assert!(!tree.text("a/signals").contains("TERM"));
    tree.svc("-k", "a");
    process::wait_gone(pid);
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/asked", 7)[5..], ["k", "u"]);
    let pid = tree.wait_restart("a", pid);
    tree.wait_lines("a/started", 2);
    tree.remove("a/control/t");
    process::signal(pid, Signal::KILL);
    tree.wait_lines("a/started", 3);
    tree.svc("-dkx", "a");
    leaves(supervise);
}

#[test]
fn runit_log_is_a_service_of_its_own_below_svscan() {
    let tree = service("runit", TALKS);
    tree.script("a/log/run", "#!/bin/sh\nexec cat >>../logged\n");
    let svscan = tree.cmd("svscan").arg(".").start();
    let line = tree.wait_text("a/logged", "run ");
    assert_eq!(line, format!("run {}\n", tree.wait_up("a")));
    // Where the personality looks for a file, a directory is none.
    tree.write("a/personality", "encore\n");
    let pid = wait_settled(&tree, "a");
    tree.svc("-t", "a");
    let second = tree.wait_restart("a", pid);
    tree.wait_text("a/logged", &format!("run {second}\n"));
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(20));
    svscan.signal(Signal::TERM);
    leaves(svscan);
}

#[test]
fn a_supervise_that_is_a_link_to_nowhere_is_made() {
    for personality in ["daemontools", "encore", "s6", "runit"] {
        let tree = service(personality, STAYS);
        tree.mkdir("run");
        tree.symlink("../run/a", "a/supervise");
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        assert!(tree.exists("run/a/status"));
        end(&tree, supervise);
    }
}

// Whose customs

#[test]
fn the_file_wins_over_the_variable() {
    let tree = service("s6", "#!/bin/sh\necho run \"$@\" >>order\nexit 100\n");
    tree.script("a/finish", saying("finish"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!(lines[..3], ["run a", "finish 100 0 a", "run a"]);
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(18));
    tree.svc("-dx", "a");
    leaves(supervise);
    // The original's own, in the midst of others.
    let tree = service("daemontools", "#!/bin/sh\necho run \"$@\" >>order\nexit 100\n");
    tree.script("a/start", saying("start"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    assert_eq!(tree.wait_lines("a/order", 2)[..2], ["run", "run"]);
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(18));
    tree.svc("-dx", "a");
    leaves(supervise);
}

#[test]
fn the_variable_alone_chooses_too() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run >>order\nexit 100\n");
    tree.script("a/start", saying("start"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    wait_svstat(&tree, "down x seconds, normally up, failed");
    assert_eq!(tree.text("a/order"), "start\nrun\n");
    tree.svc("-x", "a");
    leaves(supervise);
}

#[test]
fn an_unknown_word_is_said_and_starts_nothing() {
    let tree = service("deamontools", STAYS);
    let supervise = tree.supervise("a");
    let said = "supervise: warning: a/personality line 1: \"deamontools\": want daemontools, \
                encore, s6 or runit, as in s6\n";
    supervise.wait_stderr("\n");
    assert_eq!(supervise.stderr(), said);
    tree.wait_status("a", "not started", |s| s.pid() == 0 && s.want() == b'u');
    // As soon as it is right, somebody who asks for it gets it.
    tree.write("a/personality", "daemontools\n");
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run"]);
    end(&tree, supervise);
    // The same for the variable.
    tree.remove("a/personality");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "ecnore").start();
    tree.wait_supervised("a");
    supervise.wait_stderr(
        "a/DAEMONTOOLS_PERSONALITY: \"ecnore\": want daemontools, encore, s6 or runit",
    );
    tree.svc("-dx", "a");
    leaves(supervise);
    assert_eq!(tree.text("a/order"), "run\n");
}

#[test]
fn a_mistake_leaves_a_running_service_alone() {
    let tree = service("encore", STAYS);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.write("a/personality", "who\n");
    supervise.kill();
    let supervise = tree.supervise("a");
    supervise.wait_stderr("a/personality line 1: \"who\"");
    assert_eq!(tree.wait_up("a"), pid);
    wait_settled(&tree, "a");
    process::signal(pid, Signal::TERM);
    tree.wait_down("a");
    tree.svc("-dx", "a");
    leaves(supervise);
    assert_eq!(tree.text("a/order"), "run\n");
}

#[test]
fn the_original_takes_no_notice_of_any_of_these_names() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run \"$@\" >>order\n>>ran\nexit 100\n");
    for name in ["start", "stop", "finish", "notify", "check", "log", "control/t", "control/d"] {
        tree.script(format!("a/{name}"), saying(name));
    }
    let supervise = tree.supervise("a");
    tree.wait_lines("a/order", 2);
    tree.script("a/run", STAYS);
    let pid = wait_settled(&tree, "a");
    assert_ne!(process::session(pid), Some(pid));
    let status = tree.status("a").expect("a status");
    assert!(status.0.len() == 18 && age(&status) > Duration::from_secs(1));
    for command in ["-t", "-d", "-u"] {
        tree.svc(command, "a");
    }
    tree.wait_restart("a", pid);
    end(&tree, supervise);
    assert!(!tree.exists("a/supervise/state"));
    let order = tree.text("a/order");
    assert!(order.lines().all(|line| line == "run"), "{order}");
}
