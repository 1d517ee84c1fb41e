//! up, down, restart, once, signal: they wait for the result.

use crate::Services;
use harness::{DEADLINE, Signal, process, wait_until};
use std::time::Duration;

#[test]
fn commands_wait_for_their_result() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let pid = || services.service("web")["pid"].as_u64();
    let first = pid().unwrap();
    let output = services.run(&["restart", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    let second = pid().unwrap();
    assert_ne!(first, second);
    assert!(output.out().starts_with("web: up after "), "{output}");
    assert!(output.out().ends_with(&format!(", pid {second}\n")), "{output}");
    let output = services.run(&["down", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(pid(), None);
    assert!(!process::is_alive(u32::try_from(second).unwrap()));
    let output = services.run(&["up", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(pid().is_some());
    services.run(&["down", "--no-wait", "web"]).is(0, "web: command sent\n", "");
    services.wait_state("web", "down");
    let output = services.run(&["once", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(services.service("web")["wanted"], "once");
}

#[test]
fn a_command_waits_for_readiness() {
    let services = Services::start(|tree| {
        let run =
            "#!/bin/sh\n[ -p gate ] || mkfifo gate\nread line <gate\necho >&3\nexec sleep 1000\n";
        tree.service("s/db", run);
        tree.write("s/db/notification-fd", "3\n");
    });
    services.wait_state("db", "starting");
    let output = services.run(&["up", "-T", "200ms", "db"]);
    assert_eq!(output.code, Some(99), "{output}");
    let message = output.err();
    assert!(
        message.contains("svctl: warning: db is not ready after 0.2s: it is starting"),
        "{message}"
    );
    let waiting = services.svctl().args(["up", "db"]).start();
    services.tree.write("s/db/gate", "go\n");
    let output = waiting.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().starts_with("db: ready after "), "{output}");
}

#[test]
fn a_service_that_fails_ends_the_wait() {
    let services = Services::start(|tree| {
        tree.service("s/mail", "#!/bin/sh\nexit 78\n");
        tree.write("s/mail/restart-limit", "2 in 60s\n");
        tree.write("s/mail/notification-fd", "3\n");
        tree.write("s/mail/down", "");
    });
    services.wait_state("mail", "down");
    let output = services.run(&["up", "mail"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.err().contains("mail has failed: too many deaths (svctl why mail)"), "{output}");
}

#[test]
fn a_service_that_ignores_term_is_killed_after_a_time() {
    let services = Services::start(|tree| {
        tree.trapping_service("s/stubborn", &["TERM"]);
    });
    services.wait_state("stubborn", "up");
    services.tree.wait_lines("s/stubborn/started", 1);
    let output = services.run(&["down", "--kill-after", "300ms", "stubborn"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().contains("stubborn: sent KILL\n"), "{output}");
    assert_eq!(services.service("stubborn")["last_end"]["signal"], "KILL");
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_command() {
    let services = Services::start(|tree| {
        tree.trapping_service("s/stubborn", &["TERM"]);
    });
    services.wait_state("stubborn", "up");
    services.tree.wait_lines("s/stubborn/started", 1);
    let waiting = services.svctl().args(["down", "stubborn"]).start();
    services.wait_state("stubborn", "stopping");
    // The message about the wait says that the handler is in place.
    waiting.wait_stderr("waiting");
    waiting.signal(Signal::INT);
    let output = waiting.wait_within(Duration::from_secs(20));
    assert_eq!(output.code, Some(130), "{output}");
    assert!(
        output.err().contains("no longer waiting for stubborn: the command was sent"),
        "{output}"
    );
    let output = services.run(&["signal", "KILL", "stubborn"]);
    output.is(0, "stubborn: sent KILL\n", "");
}

#[test]
fn several_services_are_controlled_at_once_or_one_after_the_other() {
    let services = Services::start(|tree| {
        for name in ["a1", "a2", "a3"] {
            tree.idle_service(format!("s/{name}"));
        }
        tree.service("s/bad", "#!/bin/sh\nexit 1\n");
        tree.write("s/bad/restart-limit", "1 in 60s\n");
        tree.write("s/bad/notification-fd", "3\n");
    });
    for name in ["a1", "a2", "a3"] {
        services.wait_state(name, "up");
    }
    services.wait_state("bad", "failed");
    let output = services.run(&["down", "a*"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.out().lines().count(), 3);
    let output = services.run(&["restart", "--rolling", "a1", "bad", "a2", "a3"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.err().contains("svctl: warning: not restarted: a2, a3\n"), "{output}");
    assert_eq!(services.service("a1")["state"], "up");
    assert_eq!(services.service("a2")["state"], "down");
    // One that is unsupervised does not hold up the others.
    services.tree.mkdir("s/empty");
    let output = services.run(&["up", "empty", "a2"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.out().starts_with("a2: up after "), "{output}");
}

#[test]
fn signals_reach_the_process_or_its_group() {
    let services = Services::start(|tree| {
        tree.trapping_service("s/web", &["USR1", "HUP"]);
    });
    services.wait_state("web", "up");
    services.tree.wait_lines("s/web/started", 1);
    services.run(&["signal", "usr1", "web"]).is(0, "web: sent USR1\n", "");
    assert_eq!(services.tree.wait_lines("s/web/signals", 1), ["USR1"]);
    services.run(&["reload", "web"]).is(0, "web: sent HUP\n", "");
    assert_eq!(services.tree.wait_lines("s/web/signals", 2)[1], "HUP");
    let output = services.run(&["signal", "SEGV", "web"]);
    assert_eq!(output.code, Some(100), "{output}");
    let output = services.run(&["signal", "--group", "USR1", "web"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.err().contains("web leads no process group"), "{output}");
}

#[test]
fn a_signal_reaches_the_group_that_a_service_leads() {
    let services = Services::start(|tree| {
        tree.trapping_service("s/web", &["USR1"]);
        tree.rename("s/web/run", "s/web/main");
        tree.service("s/web", "#!/bin/sh\nexec pgrphack ./main\n");
    });
    services.tree.wait_lines("s/web/started", 1);
    services.run(&["signal", "--group", "SIGUSR1", "web"]).is(0, "web: sent USR1\n", "");
    assert_eq!(services.tree.wait_lines("s/web/signals", 1), ["USR1"]);
}

/// A service that announces its readiness, and its reloads on HUP until the file `go` appears.
const RELOADER: &str = "#!/usr/bin/perl\nuse strict; use Socket;\n(my $path = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/;\n\
     socket(my $s, AF_UNIX, SOCK_DGRAM, 0);\nsub say_it { send($s, $_[0], 0, pack_sockaddr_un($path)) or die $! }\n\
     $SIG{HUP} = sub {\n    say_it('RELOADING=1');\n    select(undef, undef, undef, 0.01) until -e 'go';\n    say_it('READY=1');\n};\n\
     say_it('READY=1');\nsleep 1 while 1;\n";

#[test]
fn reload_waits_for_a_service_that_announces_it() {
    let services = Services::start(|tree| {
        tree.service("s/web", RELOADER);
        tree.write("s/web/notify-socket", "");
        tree.service("s/mute", &RELOADER.replace("RELOADING=1", "STATUS=x"));
        tree.write("s/mute/notify-socket", "");
        tree.write("s/mute/go", "");
        tree.service("s/frail", &RELOADER.replace("say_it('RELOADING=1');", "exit 7;"));
        tree.write("s/frail/notify-socket", "");
    });
    for name in ["web", "mute", "frail"] {
        services.wait_state(name, "ready");
    }
    let output = services.run(&["reload", "web", "-T", "300ms"]);
    assert_eq!(output.code, Some(99), "{output}");
    assert!(output.err().contains("web: it has not announced the end of its reload"), "{output}");
    let reload = services.svctl().args(["reload", "web", "mute"]).start();
    wait_until("the other one is done", DEADLINE, || {
        reload.stdout() == "mute: sent HUP; it has announced no reload\n"
    });
    services.tree.write("s/web/go", "");
    let output = reload.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().contains("\nweb: reloaded after "), "{output}");
    let output = services.run(&["reload", "frail"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.err().contains("frail: the process that got HUP has ended"), "{output}");
    services.run(&["reload", "web", "--no-wait"]).is(0, "web: sent HUP\n", "");
}

#[test]
fn reload_waits_until_supervise_has_read_the_command() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let supervise = services.tree.wait_up("s/web");
    let supervise = process::parent(supervise).unwrap();
    process::signal(supervise, Signal::STOP);
    let output = services.run(&["reload", "web", "-T", "200ms"]);
    process::signal(supervise, Signal::CONT);
    assert_eq!(output.code, Some(99), "{output}");
    assert!(
        output.err().contains("web: supervise has not read the command after 0.2s"),
        "{output}"
    );
}

#[test]
fn a_service_that_dies_right_after_its_start_is_not_reported_as_up() {
    let services = Services::start(|tree| {
        // One that the kernel starts, and one that it cannot start.
        tree.service("s/broken", "#!/bin/sh\nexit 3\n");
        tree.service("s/windows", "#!/bin/sh\r\nexit 0\n");
        tree.idle_service("s/web");
        for name in ["broken", "windows", "web"] {
            tree.write(format!("s/{name}/down"), "");
        }
    });
    for name in ["broken", "windows", "web"] {
        services.wait_state(name, "down");
    }
    let output = services.run(&["up", "broken", "windows", "web"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.out().starts_with("web: up after 0."), "{output}");
    assert_eq!(output.out().lines().count(), 1, "{output}");
    for (name, end) in [("broken", "exit 3"), ("windows", "exit 111")] {
        let message = format!("{name} ended right after its start: {end} (svctl why {name})");
        assert!(output.err().contains(&message), "{message}: {output}");
    }
    // The limit of the user comes first.
    let output = services.run(&["restart", "-T", "100ms", "web"]);
    assert!(matches!(output.code, Some(0 | 99)), "{output}");
    let output = services.run(&["restart", "--rolling", "broken", "web"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.err().contains("svctl: warning: not restarted: web\n"), "{output}");
}

#[test]
fn a_user_without_rights_learns_how_to_get_them() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/db");
    });
    services.wait_state("web", "up");
    services.wait_state("db", "up");
    for name in ["web", "db"] {
        services.tree.chmod(format!("s/{name}/supervise"), 0);
    }
    let run = |words: &[&str]| services.svctl().args(words).unprivileged().run();
    let hint = "access denied (try as root, or let root grant rights: svctl help grant)\n";
    let output = run(&["restart", "web"]);
    output.is(111, "", format!("svctl: warning: unable to control web: {hint}"));
    run(&["status", "web"]).is(4, format!("? web — unknown: {hint}"), "");
    let output = run(&["why", "web"]);
    assert!(output.out().contains("→ sudo svctl grant --read GROUP web\n"), "{output}");
    // Columns have no hints.
    run(&["list", "web"]).is(0, "web\tunknown\t\t\taccess denied\n", "");
}

#[test]
fn halt_ends_everything_with_a_code() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let output = services.run(&["halt", "256"]);
    assert_eq!(output.code, Some(100), "{output}");
    assert!(services.tree.is_supervised("s/web"));
    let output = services.run(&["halt", "7"]);
    assert_eq!((output.code, output.out().as_str()), (Some(0), ""), "{output}");
    services.tree.wait_unsupervised("s/web");
    let output = services.run(&["-d", "no-such-directory", "halt"]);
    assert_eq!(output.code, Some(111), "{output}");
    let last = "svctl: fatal: unable to end the svscan of no-such-directory\n";
    assert!(output.err().ends_with(last), "{output}");
}

#[test]
fn a_signal_to_a_service_without_a_process_is_not_reported_as_sent() {
    let services = Services::web_up_and_cron_down();
    for (words, done) in [
        (&["reload"][..], "sent HUP"),
        (&["reload", "--no-wait"], "sent HUP"),
        (&["pause"], "sent STOP"),
        (&["cont"], "sent CONT"),
        (&["signal", "HUP"], "sent HUP"),
    ] {
        // The service that has a process gets the signal all the same.
        let output = services.svctl().args(words).args(["cron", "web"]).run();
        assert_eq!(output.code, Some(1), "{words:?}: {output}");
        let complaint = "svctl: warning: cron has no process that gets the signal: it is down";
        assert!(output.err().starts_with(complaint), "{words:?}: {output}");
        if words[0] == "reload" || words[0] == "signal" {
            // HUP has ended the process.
            services.run(&["restart", "web"]);
        }
        assert!(output.out().contains(&format!("web: {done}\n")), "{words:?}: {output}");
    }
}

#[test]
fn an_empty_name_is_no_service() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    for words in [
        &["down", ""][..],
        &["hold", ""],
        &["remove", ""],
        &["status", ""],
        &["grant", "--read", "root", ""],
    ] {
        let output = services.run(words);
        assert_eq!(output.code, Some(100), "{words:?}: {output}");
    }
    assert!(!services.tree.exists("s/down"));
    assert_eq!(services.service("web")["wanted"], "up");
}
