//! Readiness, watchdog and health checks.

use crate::{TALKER, kill_and_wait, last_pid, say, talker, wait_ended, write_into};
use harness::{DEADLINE, Signal, Tree, process, requires, skip, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use system::{
    age, assert_exit_0, assert_idle, count, namespace, notify_socket, replace_supervise, state,
    stop_supervise, tree, wait_phase, wait_settled, wait_state,
};

/// Makes a service that becomes ready on descriptor 5 when the test writes to its FIFO `go`.
fn newline_service(tree: &Tree, ready: &str) {
    let run = format!(
        "#!/bin/sh\necho $$ >>started\nread -r line <go\n{ready}\nexec 5>&-\necho said >>said\n\
         exec sleep 1000\n"
    );
    tree.service("a", &run);
    tree.write("a/notification-fd", "5\n");
    tree.fifo("a/go", 0o600);
}

// The notification descriptor

#[test]
fn a_newline_on_the_descriptor_means_ready() {
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
    // The next process is not ready yet.
    kill_and_wait(&tree, "a", pid);
    wait_phase(&tree, "a", "starting");
    assert_eq!(state(&tree, "a", "ready"), None);
    stop_supervise(&tree, supervise, "a");
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
    let line = "supervise: warning: a has closed descriptor 5 (notification-fd) without a newline: it \
                does not become ready by it\n";
    supervise.wait_stderr(line);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    assert_eq!(supervise.stderr(), line);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_that_ends_before_it_is_ready_has_not_closed_the_descriptor() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho $$ >>started\n[ -e stay ] || exit 1\nexec sleep 1000\n");
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 3);
    tree.write("a/stay", "");
    let pid = tree.wait_up("a");
    kill_and_wait(&tree, "a", pid);
    assert_eq!(count(&supervise.stderr(), "notification-fd"), 0);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_that_is_ready_may_close_the_descriptor() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    write_into(&tree, "a/go", "go");
    tree.wait_lines("a/said", 1);
    wait_phase(&tree, "a", "ready");
    stop_supervise(&tree, supervise, "a");
    // Or it is ready by another channel.
    tree.service(
        "b",
        "#!/bin/sh\nperl -e 'use Socket; socket(S, AF_UNIX, SOCK_DGRAM, 0); \
         send(S, \"READY=1\", 0, sockaddr_un($ENV{NOTIFY_SOCKET}))'\n\
         read -r line <go\nexec 5>&-\necho said >>said\nexec sleep 1000\n",
    );
    tree.write("b/notification-fd", "5\n");
    tree.write("b/notify-socket", "");
    tree.fifo("b/go", 0o600);
    let supervise = tree.supervise("b");
    wait_phase(&tree, "b", "ready");
    write_into(&tree, "b/go", "go");
    tree.wait_lines("b/said", 1);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "b");
}

#[test]
fn the_next_supervise_finds_a_newline_written_without_one() {
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_adopted_service_becomes_ready_by_a_newline() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    write_into(&tree, "a/go", "go");
    wait_phase(&tree, "a", "ready");
    let before = state(&tree, "a", "ready");
    // The next supervise knows that the service is ready.
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("ready"));
    assert_eq!(state(&tree, "a", "ready"), before);
    assert_eq!(tree.wait_up("a"), pid);
    stop_supervise(&tree, supervise, "a");
}

// The notify socket

#[test]
fn messages_on_the_notify_socket_are_published() {
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn messages_of_foreign_processes_are_ignored_with_a_warning() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    wait_phase(&tree, "a", "starting");
    let name = notify_socket(&tree, "a");
    tree.script("b/run", TALKER);
    tree.fifo("b/say", 0o600);
    let foreign = tree.cmd("./run").cwd("b").env("NOTIFY_SOCKET", name).start();
    say(&tree, "b", "READY=1|STATUS=foreign");
    let line = format!(
        "supervise: warning: ignoring what process {} says of a: it is none of its own\n",
        foreign.pid()
    );
    supervise.wait_stderr(&line);
    say(&tree, "a", "STATUS=own");
    wait_state(&tree, "a", "message", "own");
    wait_phase(&tree, "a", "starting");
    // MAINPID= cannot name a foreign process either.
    say(&tree, "a", &format!("MAINPID={}|STATUS=that one", foreign.pid()));
    wait_state(&tree, "a", "message", "that one");
    assert_ne!(tree.wait_up("a"), foreign.pid());
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_sender_that_has_exited_counts_if_it_ran_as_our_user() {
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
    // A stopped supervise reads the message only after the sender has exited.
    let pid = tree.wait_up("a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    process::signal(pid, Signal::KILL);
    supervise.signal(Signal::CONT);
    tree.wait_restart("a", pid);
    wait_phase(&tree, "a", "ready");
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn systemd_notify_works_and_gets_its_barrier() {
    if !requires("systemd-notify") {
        return;
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
    // systemd-notify waits five seconds for the barrier, and then fails.
    assert_eq!(tree.wait_lines("a/said", 1), ["0"]);
    wait_phase(&tree, "a", "ready");
    wait_state(&tree, "a", "message", "from the shell");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_in_another_network_namespace_reaches_the_notify_socket() {
    let tree = tree();
    let namespace = ["unshare", "--map-root-user", "--net"];
    if tree.cmd("true").under(namespace).run().code != Some(0) {
        return skip("this test needs a network namespace");
    }
    talker(&tree, "a");
    tree.rename("a/run", "a/talk");
    tree.service("a", &format!("#!/bin/sh\nexec {} ./talk\n", namespace.join(" ")));
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    say(&tree, "a", "READY=1|STATUS=from elsewhere");
    wait_phase(&tree, "a", "ready");
    wait_state(&tree, "a", "message", "from elsewhere");
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_file_of_the_notify_socket_goes_with_supervise() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let first = notify_socket(&tree, "a");
    let directory = state(&tree, "a", "socket").expect("the directory");
    assert_eq!(Path::new(&first).parent(), Some(Path::new(&directory)));
    assert_eq!(fs::metadata(&directory).expect("it is there").mode() & 0o7777, 0o711);
    // The next supervise of a killed one removes the socket that the killed one has left.
    tree.svc("-d", "a");
    tree.wait_down("a");
    supervise.kill();
    tree.wait_unsupervised("a");
    assert!(Path::new(&first).exists());
    let supervise = tree.supervise("a");
    tree.svc("-u", "a");
    tree.wait_up("a");
    let second = notify_socket(&tree, "a");
    assert_ne!(first, second);
    assert!(!Path::new(&first).exists() && Path::new(&second).exists());
    stop_supervise(&tree, supervise, "a");
    assert!(!Path::new(&directory).exists());
}

#[test]
fn the_notify_socket_goes_when_the_service_does_not_want_it_any_more() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let socket = notify_socket(&tree, "a");
    tree.remove("a/notify-socket");
    kill_and_wait(&tree, "a", pid);
    wait_until("the socket is gone", DEADLINE, || !Path::new(&socket).exists());
    // The service itself may complain that it has no socket.
    assert!(!supervise.stderr().contains("supervise: "), "{}", supervise.stderr());
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_notify_socket_can_be_abstract() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/notify-socket", "abstract\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let name = notify_socket(&tree, "a");
    assert_eq!(name, format!("@{}", state(&tree, "a", "socket").expect("its name")));
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    let supervise = replace_supervise(&tree, supervise, "a");
    say(&tree, "a", "STATUS=after");
    wait_state(&tree, "a", "message", "after");
    // Each start reads the file again.
    tree.write("a/notify-socket", "");
    let pid = kill_and_wait(&tree, "a", tree.wait_up("a"));
    assert!(notify_socket(&tree, "a").starts_with('/'));
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    tree.write("a/down-signal", "TERM\n");
    tree.remove("a/notify-socket");
    tree.idle_service("a");
    let pid = kill_and_wait(&tree, "a", pid);
    tree.wait_lines("a/started", 3);
    assert_eq!(state(&tree, "a", "socket"), None);
    let variables = process::environment(pid);
    assert!(!variables.iter().any(|it| it.to_string_lossy().starts_with("NOTIFY_SOCKET=")));
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_notify_socket_is_abstract_if_its_directory_cannot_be_made() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    talker(&tree, "a");
    let script = "mount -t tmpfs -o ro,mode=755 none /run && exec supervise a";
    let supervise = tree.sh(script).under(namespace).start();
    tree.wait_supervised("a");
    tree.wait_up("a");
    assert!(notify_socket(&tree, "a").starts_with("@daemontools/"));
    let line = "supervise: warning: notify socket of a is abstract, other network namespaces cannot \
                reach it: unable to make a path: read-only file system\n";
    assert_eq!(supervise.stderr(), line);
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_notify_socket_survives_adoption_and_upgrade() {
    let tree = tree();
    talker(&tree, "a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1|STATUS=before");
    wait_state(&tree, "a", "message", "before");
    let ready = state(&tree, "a", "ready");
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("ready"));
    say(&tree, "a", "STATUS=after");
    wait_state(&tree, "a", "message", "after");
    assert_eq!(state(&tree, "a", "ready"), ready);
    // An upgrade changes nothing either.
    supervise.signal(Signal::USR2);
    say(&tree, "a", "STATUS=and later");
    wait_state(&tree, "a", "message", "and later");
    assert_eq!((state(&tree, "a", "ready"), tree.wait_up("a")), (ready, pid));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_process_of_the_service_can_send_mainpid() {
    let tree = tree();
    talker(&tree, "a");
    // The shell is the service, and perl its child.
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
    // The next supervise adopts that process.
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(tree.wait_up("a"), talk);
    // Its end is the end of the service, which restarts once.
    process::signal(talk, Signal::KILL);
    tree.wait_restart("a", talk);
    assert_eq!(tree.wait_lines("a/first", 2).len(), 2);
    assert_eq!(supervise.stderr(), "");
    // The shell ignores TERM.
    tree.svc("-dkx", "a");
    assert_exit_0(supervise);
}

// Health checks

#[test]
fn check_decides_readiness_first_and_health_afterwards() {
    let tree = tree();
    tree.idle_service("a");
    tree.script("a/check", "#!/bin/sh\necho >>checks\nexec test -e well\n");
    tree.write("a/check-interval", "50ms\n");
    tree.write("a/check-failures", "2\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    // Health counts only after readiness.
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_check_beyond_its_timeout_has_failed() {
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
    stop_supervise(&tree, supervise, "a");
    assert_eq!(tree.find(&["sleep", "1000"]), []);
}

// Timeouts

#[test]
fn a_service_that_is_not_ready_in_time_is_restarted() {
    let tree = tree();
    newline_service(&tree, "echo >&5");
    tree.write("a/timeout-ready", "300ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "not-ready");
    wait_state(&tree, "a", "failures", "1");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_can_extend_its_readiness_timeout() {
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
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_service_without_watchdog_messages_is_restarted() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-watchdog", "400ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let started = tree.wait_lines("a/started", 1);
    assert_eq!(started, [format!("{pid} 400000 {pid}")]);
    // The watchdog starts at readiness.
    wait_settled(&tree, "a");
    assert_eq!(tree.wait_up("a"), pid);
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    assert!(supervise.stderr().contains("supervise: warning: stopping a: no sign of life\n"));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn watchdog_messages_prevent_a_restart_and_trigger_demands_one() {
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
    // The service may choose another watchdog timeout.
    say(&tree, "a", "READY=1|WATCHDOG_USEC=100000");
    let third = tree.wait_restart("a", second);
    // That timeout holds only for that process.
    say(&tree, "a", "READY=1");
    wait_settled(&tree, "a");
    assert_eq!(tree.wait_up("a"), third);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_watchdog_survives_adoption() {
    let tree = tree();
    talker(&tree, "a");
    tree.write("a/timeout-watchdog", "1s\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    say(&tree, "a", "READY=1");
    wait_phase(&tree, "a", "ready");
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.wait_restart("a", pid);
    wait_state(&tree, "a", "reason", "watchdog");
    assert!(!process::is_alive(pid));
    let lines = tree.wait_lines("a/started", 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_silent_service_that_ignores_term_is_killed() {
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
    stop_supervise(&tree, supervise, "a");
}

// No options

#[test]
fn a_service_without_options_has_no_state_file() {
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
    stop_supervise(&tree, supervise, "a");
}
