//! `svscan DIR -- COMMAND`: a main program beside the services.

use harness::{Cmd, DEADLINE, Process, Pty, Status, Tree, process, wait_until};
use rustix::process::Signal;
use system::tree;

/// `svscan s -- COMMAND`.
fn svscan<'t>(tree: &'t Tree, command: &[&str]) -> Cmd<'t> {
    tree.mkdir("s");
    tree.cmd("svscan").args(["s", "--"]).args(command)
}

/// A shell command that writes `name` to `signals` for each of these signals, and exits with the
/// code at TERM.
fn trapping(code: u8) -> String {
    let traps: String = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "WINCH"]
        .map(|name| format!("trap 'echo {name} >>signals' {name}\n"))
        .concat();
    format!(
        "{traps}trap 'echo TERM >>signals; exit {code}' TERM\nmkfifo idle\nexec 8<>idle\n\
         echo >>started\nwhile :; do read -r line <&8; done\n"
    )
}

/// Waits until the trapping command reads: a signal just before that would wait for the end of the
/// read.
#[track_caller]
fn wait_reading(tree: &Tree, svscan: &Process) {
    tree.wait_lines("started", 1);
    let command = process::descendants(svscan.pid())
        .into_iter()
        .find(|&pid| process::arguments(pid).iter().any(|word| word == "-c"))
        .expect("the command");
    wait_until("the command reads", DEADLINE, || process::state(command) == Some('S'));
}

#[test]
fn the_code_of_the_command_is_that_of_svscan() {
    for (script, code, how) in [
        ("exit 0", 0, "ended with exit code 0"),
        ("exit 7", 7, "ended with exit code 7"),
        ("kill -9 $$", 137, "was killed by signal 9"),
    ] {
        let tree = tree();
        tree.idle_service("s/a");
        let output = svscan(&tree, &["sh", "-c", script]).start().wait_within(DEADLINE);
        assert_eq!(output.code, Some(code), "{output}");
        assert_eq!(output.err(), format!("svscan: info: command sh {how}: stopping\n"));
    }
}

#[test]
fn the_command_has_the_directory_the_environment_and_the_standard_input() {
    let tree = tree();
    let script = "cat; echo $VALUE; ls -d s; ls /proc/self/fd | wc -l";
    let output = svscan(&tree, &["sh", "-c", script])
        .env("VALUE", "given")
        .stdin("typed\n")
        .start()
        .wait_within(DEADLINE);
    // 0, 1, 2 and the directory that ls reads.
    assert_eq!((output.code, output.out().as_str()), (Some(0), "typed\ngiven\ns\n4\n"), "{output}");
}

#[test]
fn the_command_waits_until_the_services_are_ready() {
    let tree = tree();
    tree.service("s/plain", "#!/bin/sh\nexec sleep 1000\n");
    tree.idle_service("s/down");
    tree.write("s/down/down", "");
    tree.service("s/slow", "#!/bin/sh\nmkfifo go\nread -r l <go\necho >&3\nexec sleep 1000\n");
    tree.write("s/slow/notification-fd", "3\n");
    tree.service("s/broken", "#!/bin/sh\nexit 1\n");
    tree.write("s/broken/restart-limit", "1 in 60s\n");
    // Else it would count as ready while it is up.
    tree.write("s/broken/notification-fd", "3\n");
    let svscan = svscan(&tree, &["sh", "-c", "echo >ran; exit 3"]).start();
    let shown = svscan.wait_stderr("starts when these are ready");
    assert!(
        shown.contains("svscan: warning: not waiting for broken, which has failed\n"),
        "{shown}"
    );
    assert!(shown.contains("svscan: info: sh starts when these are ready: slow\n"), "{shown}");
    assert!(!tree.exists("ran"));
    tree.sh("echo >s/slow/go").run();
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(3), "{output}");
    assert!(tree.exists("ran"));
}

#[test]
fn the_command_does_not_believe_a_status_without_a_supervisor() {
    let tree = tree();
    tree.idle_service("s/a");
    // supervise refuses an `ok` that is no FIFO, so that only the old status says anything.
    tree.write("s/a/supervise/ok", "");
    tree.write("s/a/supervise/status", Status::record(1_000_000_000, 0, 0, b'd'));
    let svscan = svscan(&tree, &["sh", "-c", "echo >ran; exit 3"]).start();
    svscan.wait_stderr("svscan: info: sh starts when these are ready: a\n");
    assert!(!tree.exists("ran"));
    tree.remove("s/a/supervise/ok");
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(3), "{output}");
}

#[test]
fn signals_go_to_the_command_and_everything_stops_when_it_has_ended() {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'cat ../../signals >at-stop; exit' TERM\nmkfifo idle\nexec 8<>idle\n\
         while :; do read -r line <&8; done\n",
    );
    let svscan = svscan(&tree, &["sh", "-c", &trapping(5)]).start();
    wait_reading(&tree, &svscan);
    let mut lines = 0;
    for signal in [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::WINCH,
        Signal::TERM,
    ] {
        svscan.signal(signal);
        lines += 1;
        tree.wait_lines("signals", lines);
        if signal != Signal::TERM {
            wait_reading(&tree, &svscan);
        }
    }
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(5), "{output}");
    assert!(tree.text("s/a/at-stop").ends_with("WINCH\nTERM\n"), "{output}");
}

#[test]
fn a_command_that_does_not_end_is_killed_in_time() {
    let tree = tree();
    tree.idle_service("s/a");
    let script = "trap '' TERM; echo >started; while :; do sleep 1; done";
    tree.mkdir("s");
    let svscan = tree.cmd("svscan").args(["-t", "1", "s", "--", "sh", "-c", script]).start();
    tree.wait_lines("started", 1);
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(137), "{output}");
    let err = output.err();
    assert!(err.starts_with("svscan: warning: killing sh, which has not ended in time\n"), "{err}");
}

#[test]
fn a_signal_ends_the_wait_and_a_harmless_one_does_not() {
    let tree = tree();
    tree.service("s/slow", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("s/slow/notification-fd", "3\n");
    let svscan = svscan(&tree, &["sh", "-c", "echo >ran"]).start();
    tree.wait_up("s/slow");
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM] {
        svscan.signal(signal);
    }
    svscan.wait_stderr("starts when these are ready: slow");
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(143), "{output}");
    assert!(!tree.exists("ran"));
}

#[test]
fn the_command_survives_a_live_upgrade() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = svscan(&tree, &["sh", "-c", &trapping(6)]).start();
    wait_reading(&tree, &svscan);
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    svscan.signal(Signal::USR2);
    assert_eq!(tree.wait_lines("signals", 1), ["USR2"]);
    svscan.signal(Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(6), "{output}");
    assert_eq!(tree.text("started"), "\n");
}

#[test]
fn the_command_ends_with_a_killed_svscan() {
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = svscan(&tree, &["sh", "-c", &trapping(6)]).start();
    wait_reading(&tree, &svscan);
    system::kill(svscan);
    assert_eq!(tree.wait_lines("signals", 1), ["TERM"]);
}

#[test]
fn a_missing_command_is_reported() {
    let tree = tree();
    tree.idle_service("s/a");
    let output = svscan(&tree, &["./missing"]).start().wait_within(DEADLINE);
    assert_eq!(output.code, Some(111), "{output}");
    let first = "svscan: fatal: unable to run ./missing: file does not exist\n";
    assert!(output.err().starts_with(first), "{output}");
    let output = svscan(&tree, &[]).run();
    assert_eq!(output.code, Some(100), "{output}");
    assert!(output.err().starts_with("svscan: fatal: there is no command after --\n"), "{output}");
    let output = tree.cmd("svscan").args(["s", ".log", "x", "--", "true"]).run();
    assert_eq!(output.code, Some(100), "{output}");
    let first = "svscan: fatal: there are more arguments than dir and logservice before --\n";
    assert!(output.err().starts_with(first), "{output}");
}

#[test]
fn at_a_terminal_the_command_is_in_the_foreground() {
    let tree = tree();
    tree.idle_service("s/a");
    let script = "trap 'echo interrupted; exit 9' INT; echo ready; read -r line; echo got $line; read -r line";
    let (mut terminal, svscan) = Pty::start(svscan(&tree, &["sh", "-c", script]));
    terminal.wait_shown("ready");
    terminal.types(b"words\n");
    terminal.wait_shown("got words");
    terminal.types(b"\x03");
    terminal.wait_shown("interrupted");
    let children = process::descendants(svscan.pid());
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(9), "{output}");
    assert!(children.iter().all(|&pid| !process::is_alive(pid)));
}
