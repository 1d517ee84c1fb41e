//! Readiness and health: what a service says of itself, and what is asked of it.

use super::{TALKER, finish, kill_and_wait, last_pid, say, state, succeed, talker};
use super::{wait_ended, wait_phase, wait_state, write_into};
use harness::{DEADLINE, Signal, Tree, process, skip, wait_until};
use std::path::Path;
use std::time::Duration;
use system::{age, assert_idle, leaves, tree, wait_settled};

/// Makes a service that becomes ready on descriptor 5 when the test says so, through the FIFO `go`.
fn newline_service(tree: &Tree, ready: &str) {
    let run = format!(
        "#!/bin/sh\necho $$ >>started\nread -r line <go\n{ready}\nexec 5>&-\necho said >>said\n\
         exec sleep 1000\n"
    );
    tree.service("a", &run);
    tree.write("a/notification-fd", "5\n");
    tree.fifo("a/go", 0o600);
}

// A newline

#[test]
fn a_newline_on_the_descriptor_says_that_it_is_ready() {
    let tree = tree();
    newline_service(&tree, "printf x >&5; echo >&5");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    wait_phase(&tree, "a", "starting");
    assert_eq!(state(&tree, "a", "ready"), None);
    write_into(&tree, "a/go", "go");
    wait_phase(&tree, "a", "ready");
    assert!(state(&tree, "a", "ready").is_some_and(|label| label.starts_with("@4")));
    assert_eq!(tree.wait_up("a"), pid);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    // The next one begins anew.
    kill_and_wait(&tree, "a", pid);
    wait_phase(&tree, "a", "starting");
    assert_eq!(state(&tree, "a", "ready"), None);
    finish(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("down"));
}

#[test]
fn the_end_of_the_descriptor_is_no_newline() {
    let tree = tree();
    newline_service(&tree, "printf ready >&5");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    write_into(&tree, "a/go", "go");
    tree.wait_lines("a/said", 1);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    finish(&tree, supervise, "a");
}

#[test]
fn a_newline_while_nobody_supervises_is_found_by_the_next_supervise() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>started\nread -r line <go\necho >&5\necho said >>said\n\
         exec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    supervise.kill();
    tree.wait_unsupervised("a");
    write_into(&tree, "a/go", "go");
    tree.wait_lines("a/said", 1);
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "ready");
    assert_eq!(tree.wait_up("a"), pid);
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_was_taken_over_becomes_ready_by_a_newline() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    write_into(&tree, "a/go", "go");
    wait_phase(&tree, "a", "ready");
    let before = state(&tree, "a", "ready");
    // And what is known is known to the next one.
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("ready"));
    assert_eq!(state(&tree, "a", "ready"), before);
    assert_eq!(tree.wait_up("a"), pid);
    finish(&tree, supervise, "a");
}

// Datagrams

#[test]
fn what_a_service_says_on_the_socket_is_shown() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    wait_phase(&tree, "a", "starting");
    say(&tree, "a", "STATUS=reading 1 of 3");
    wait_state(&tree, "a", "message", "reading 1 of 3");
    wait_phase(&tree, "a", "starting");
    say(&tree, "a", "READY=1|STATUS=at your service");
    wait_phase(&tree, "a", "ready");
    wait_state(&tree, "a", "message", "at your service");
    say(&tree, "a", "RELOADING=1");
    wait_phase(&tree, "a", "reloading");
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    say(&tree, "a", "NONSENSE|FOO=BAR|MAINPID=x|STATUS=\u{1b}[2J");
    wait_state(&tree, "a", "message", "?[2J");
    say(&tree, "a", "STOPPING=1");
    wait_phase(&tree, "a", "stopping");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(supervise.stderr(), "");
    finish(&tree, supervise, "a");
}

#[test]
fn what_strangers_say_is_refused_and_said() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_phase(&tree, "a", "starting");
    let name = state(&tree, "a", "socket").expect("the name of the socket");
    tree.script("b/run", TALKER);
    tree.fifo("b/say", 0o600);
    let stranger = tree.cmd("./run").cwd("b").env("NOTIFY_SOCKET", format!("@{name}")).start();
    say(&tree, "b", "READY=1|STATUS=I am it");
    let line = format!(
        "supervise: warning: ignoring what process {} says of a: it is none of its own\n",
        stranger.pid()
    );
    supervise.wait_stderr(&line);
    say(&tree, "a", "STATUS=no, I am");
    wait_state(&tree, "a", "message", "no, I am");
    wait_phase(&tree, "a", "starting");
    // Nor is it made the service by its number.
    say(&tree, "a", &format!("MAINPID={}|STATUS=that one", stranger.pid()));
    wait_state(&tree, "a", "message", "that one");
    assert_ne!(tree.wait_up("a"), stranger.pid());
    finish(&tree, supervise, "a");
}

#[test]
fn somebody_who_has_gone_is_believed_if_he_could_do_as_he_likes_anyway() {
    let tree = tree();
    tree.script(
        "a/say",
        TALKER.replace("while (1) {", "send($socket, 'READY=1', 0, $to); exit; {"),
    );
    tree.service("a", "#!/bin/sh\n./say\n./say\nexec sleep 1000\n");
    tree.write("a/notify-socket", "");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_phase(&tree, "a", "ready");
    // One that is stopped finds nobody there any more.
    let pid = tree.wait_up("a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    process::signal(pid, Signal::KILL);
    supervise.signal(Signal::CONT);
    tree.wait_restart("a", pid);
    wait_phase(&tree, "a", "ready");
    assert_eq!(supervise.stderr(), "");
    finish(&tree, supervise, "a");
}

#[test]
fn systemds_own_program_is_understood_and_its_barrier_kept() {
    if !Path::new("/usr/bin/systemd-notify").exists() {
        return skip("there is no systemd-notify");
    }
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\nsystemd-notify --ready --status='from the shell'\necho $? >>said\n\
         exec sleep 1000\n",
    );
    tree.write("a/notify-socket", "");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    // It waits five seconds for the barrier and fails then.
    assert_eq!(tree.wait_lines("a/said", 1), ["0"]);
    wait_phase(&tree, "a", "ready");
    wait_state(&tree, "a", "message", "from the shell");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_was_taken_over_is_still_heard() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1|STATUS=before");
    wait_state(&tree, "a", "message", "before");
    let ready = state(&tree, "a", "ready");
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("ready"));
    say(&tree, "a", "STATUS=after");
    wait_state(&tree, "a", "message", "after");
    assert_eq!(state(&tree, "a", "ready"), ready);
    // Not even that much changes by an upgrade.
    supervise.signal(Signal::USR2);
    say(&tree, "a", "STATUS=and later");
    wait_state(&tree, "a", "message", "and later");
    assert_eq!((state(&tree, "a", "ready"), tree.wait_up("a")), (ready, pid));
    finish(&tree, supervise, "a");
}

// Checks

#[test]
fn a_check_is_asked_until_it_succeeds_and_then_for_the_health() {
    let tree = tree();
    tree.idle_service("a");
    tree.script("a/check", "#!/bin/sh\necho >>checks\nexec test -e well\n");
    tree.write("a/check-interval", "50ms\n");
    tree.write("a/check-failures", "2\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    // Before it is ready it cannot be ill.
    tree.wait_lines("a/checks", 5);
    wait_phase(&tree, "a", "starting");
    tree.write("a/well", "");
    wait_phase(&tree, "a", "ready");
    let asked = tree.wait_lines("a/checks", 1).len();
    tree.wait_lines("a/checks", asked + 3);
    assert_eq!(tree.wait_up("a"), pid);
    tree.remove("a/well");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "check");
    wait_phase(&tree, "a", "starting");
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    finish(&tree, supervise, "a");
}

#[test]
fn a_check_that_hangs_has_failed() {
    let tree = tree();
    tree.idle_service("a");
    tree.script("a/check", "#!/bin/sh\n[ -e well ] && exit\necho $$ >>checks\nexec sleep 1000\n");
    tree.write("a/well", "");
    for (file, value) in
        [("check-interval", "50"), ("timeout-check", "100"), ("check-failures", "1")]
    {
        tree.write(format!("a/{file}"), value);
    }
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    wait_phase(&tree, "a", "ready");
    tree.remove("a/well");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "check");
    tree.write("a/well", "");
    wait_phase(&tree, "a", "ready");
    for pid in tree.wait_lines("a/checks", 1) {
        wait_ended(pid.parse().expect("a pid"));
    }
    finish(&tree, supervise, "a");
    assert_eq!(tree.find(&["sleep", "1000"]), []);
}

// Times

#[test]
fn a_service_that_is_not_ready_in_time_is_started_again() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    tree.write("a/timeout-ready", "300ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "not-ready");
    wait_state(&tree, "a", "failures", "1");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_can_ask_for_more_time() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-ready", "1500ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "EXTEND_TIMEOUT_USEC=30000000");
    tree.wait_status("a", "is two seconds old", |s| age(s) > Duration::from_secs(2));
    assert_eq!(tree.wait_up("a"), pid);
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_falls_silent_is_started_again() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-watchdog", "400ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let told = tree.wait_lines("a/started", 1);
    assert_eq!(told, [format!("{pid} 400000 {pid}")]);
    // It need not begin before it is ready.
    wait_settled(&tree, "a");
    assert_eq!(tree.wait_up("a"), pid);
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_speaks_is_left_alone_until_it_says_that_it_is_sick() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-watchdog", "3s\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1");
    wait_until("it has lived for longer than it may be silent", DEADLINE, || {
        say(&tree, "a", "WATCHDOG=1");
        tree.status("a").is_some_and(|s| age(&s) > Duration::from_secs(4))
    });
    assert_eq!(tree.wait_up("a"), pid);
    say(&tree, "a", "WATCHDOG=trigger");
    let second = tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    // It may choose another time itself.
    say(&tree, "a", "READY=1|WATCHDOG_USEC=100000");
    let third = tree.wait_restart("a", second);
    // Which holds for that process alone.
    say(&tree, "a", "READY=1");
    wait_settled(&tree, "a");
    assert_eq!(tree.wait_up("a"), third);
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_was_taken_over_is_watched_as_before() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-watchdog", "1s\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    let supervise = succeed(&tree, supervise, "a");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    assert!(!process::is_alive(pid));
    let lines = tree.wait_lines("a/started", 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_that_is_deaf_as_well_as_silent_is_killed() {
    let tree = tree();
    tree.service("a", &TALKER.replace("use Socket;", "use Socket; $SIG{TERM} = 'IGNORE';"));
    tree.write("a/notify-socket", "");
    tree.fifo("a/say", 0o600);
    tree.write("a/timeout-watchdog", "300ms\n");
    tree.write("a/timeout-kill", "300ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    finish(&tree, supervise, "a");
}

// Nobody else is affected

#[test]
fn a_plain_service_has_no_state_and_a_mended_one_none_any_more() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    assert!(!tree.exists("a/supervise/state"));
    tree.write("a/down-signal", "INT\n");
    let pid = kill_and_wait(&tree, "a", pid);
    wait_phase(&tree, "a", "up");
    tree.remove("a/down-signal");
    kill_and_wait(&tree, "a", pid);
    wait_until("there is no state", DEADLINE, || !tree.exists("a/supervise/state"));
    finish(&tree, supervise, "a");
}

#[test]
fn a_process_of_the_service_can_speak_for_it_and_hand_it_on() {
    let tree = tree();
    talker(&tree, "a");
    // The shell is the service, and perl a child of it.
    tree.rename("a/run", "a/talk");
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>first\n./talk &\ntrap '' TERM\nwait\nexec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let shell = tree.wait_up("a");
    let talk = last_pid(&tree, "a/started", 1);
    assert_ne!(shell, talk);
    say(&tree, "a", "MAINPID=$$|READY=1");
    wait_phase(&tree, "a", "ready");
    tree.wait_status("a", "is the other process", |s| s.pid() == talk);
    // The next supervise knows it, too.
    let supervise = succeed(&tree, supervise, "a");
    assert_eq!(tree.wait_up("a"), talk);
    // Its end is the end of the service, and there is one new one.
    process::signal(talk, Signal::KILL);
    tree.wait_restart("a", talk);
    assert_eq!(tree.wait_lines("a/first", 2).len(), 2);
    assert_eq!(supervise.stderr(), "");
    // The shell does not hear it.
    tree.svc("-dkx", "a");
    leaves(supervise);
}
