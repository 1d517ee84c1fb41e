//! history: who stopped a service, when, and what happened before.

use crate::Services;
use harness::{Signal, original, process};
use std::fs;
use std::process::Command;

/// Services with one service that keeps running.
fn one_service() -> Services {
    let services = Services::start(|tree| drop(tree.idle_service("s/web")));
    services.wait_state("web", "up");
    services
}

/// The name of this user, as svctl finds it.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("run id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_stop_is_shown_with_its_client() {
    let services = one_service();
    services.run(&["restart", "web"]);
    let output = services.run(&["down", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    let output = services.run(&["history", "web"]);
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    let text = output.out();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("down → up") && lines[0].contains("a supervise began"), "{text}");
    let stop = lines.iter().rev().find(|line| line.contains("command d (down)")).unwrap();
    assert!(stop.contains("up → stopping"), "{text}");
    assert!(stop.contains(&format!(" of {}", user())), "{text}");
    assert!(stop.ends_with(": svctl -d s down web"), "{text}");
    let last = lines.last().unwrap();
    assert!(last.contains("stopping → down") && last.contains("killed by TERM"), "{text}");
    // Both letters of the restart are noted.
    let restart = |letter| {
        let needle = format!("command {letter}");
        text.lines().any(|it| it.contains(&needle) && it.ends_with("svctl -d s restart web"))
    };
    assert!(restart("d (down)") && restart("u (up)"), "{text}");
    let status = services.run(&["status", "web"]).out();
    assert!(status.contains("changed   ") && status.contains("killed by TERM"), "{status}");
    assert!(status.contains("asked     ") && status.contains(": svctl -d s down web"), "{status}");
    let why = services.run(&["why", "web"]).out();
    let words = why.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains(&format!("It was stopped by svctl -d s down web of {}", user())),
        "{why}"
    );
}

#[test]
fn a_command_of_svc_is_shown_without_a_client() {
    let services = one_service();
    services.tree.svc("-d", "s/web");
    services.wait_state("web", "down");
    let text = services.run(&["history", "web"]).out();
    assert!(text.lines().any(|line| line.ends_with("command d (down)")), "{text}");
    let why = services.run(&["why", "web"]).out();
    assert!(why.contains("by the command d at "), "{why}");
}

#[test]
fn the_json_has_every_value() {
    let services = one_service();
    let pid = services.tree.wait_up("s/web");
    services.run(&["signal", "HUP", "web"]);
    // Without a process, a stop has no end.
    services.tree.wait_restart("s/web", pid);
    services.run(&["down", "web"]);
    let json = services.json(&["history", "--json", "web"]);
    let changes = json["services"][0]["changes"].as_array().unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!((&changes[0]["number"], &changes[0]["supervise_began"]), (&1.into(), &true.into()));
    let hup = changes.iter().find(|it| it["letter"] == "h").unwrap();
    assert_eq!((&hup["command"], &hup["requester"]["user"]), (&"HUP".into(), &user().into()));
    assert_eq!(hup["requester"]["command"], "svctl -d s signal HUP web");
    let last = changes.last().unwrap();
    assert_eq!((&last["to"], &last["end"]["signal"]), (&"down".into(), &"TERM".into()));
    let status = services.json(&["status", "--json", "web"]);
    assert_eq!(&status["services"][0]["last_change"], last);
    assert_eq!(status["services"][0]["last_request"]["letter"], "d");
}

#[test]
fn status_has_the_time_of_the_last_end_of_a_service_that_runs_again() {
    let services = one_service();
    let output = services.run(&["restart", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    let history = services.json(&["history", "--json", "web"]);
    let changes = history["services"][0]["changes"].as_array().unwrap().clone();
    let mut ends = changes.iter().filter(|change| !change["end"].is_null());
    let at = ends.next_back().expect("an end")["at"].clone();
    let web = services.json(&["status", "--json", "web"])["services"][0].clone();
    assert!(web["pid"].is_u64(), "{web}");
    assert_eq!(web["last_end"]["at"], at, "{web}");
    assert_eq!(web["last_end"]["signal"], "TERM", "{web}");
    let shown = services.run(&["status", "web"]).out();
    let line = shown.lines().find(|line| line.contains("last end")).expect("a line");
    let (when, how) = line.trim().split_at("last end  Dec 01 12:56:07  ".len());
    assert!(when.ends_with("  ") && when.contains(':') && how == "killed by TERM", "{shown}");
}

#[test]
fn since_leaves_out_what_is_older() {
    let services = one_service();
    // A change of the year 2009.
    let line = "@400000004990d0f200000000 900000 up down end=exit:3";
    let dir = services.tree.path("s/web/supervise/history");
    let mut text = fs::read(&dir).unwrap();
    text.resize(128 * 64, 0);
    text[128 * 60..128 * 61].copy_from_slice(format!("{line:127}\n").as_bytes());
    fs::write(&dir, text).unwrap();
    let count = |since| {
        let output = services.run(&["history", "--since", since, "web"]);
        assert_eq!(output.code, Some(0), "{output}");
        output.out().lines().count()
    };
    let all = services.run(&["history", "web"]).out();
    assert!(all.contains("2009-02-10"), "{all}");
    assert_eq!((count("-1h"), count("2009-01-01"), count("@400000004990d0f300000000")), (1, 2, 1));
    let output = services.run(&["history", "--since", "soon", "web"]);
    assert_eq!(output.code, Some(100), "{output}");
}

#[test]
fn a_service_without_a_history_is_reported() {
    let services = one_service();
    services.run(&["down", "web"]);
    // As under a supervise without a history.
    services.tree.remove("s/web/supervise/history");
    let output = services.run(&["history", "web"]);
    assert_eq!((output.code, output.out()), (Some(111), String::new()), "{output}");
    assert!(
        output.err().starts_with("svctl: warning: web has no history: its supervise keeps none")
    );
    assert_eq!(services.run(&["status", "web"]).code, Some(3));
    let json = services.json(&["history", "--json", "web"]);
    assert!(json["services"][0]["changes"].is_null());
    // No notes either: nothing reads them.
    services.tree.remove("s/web/supervise/requests");
    services.run(&["up", "web"]);
    assert!(!services.tree.exists("s/web/supervise/requests"));
}

#[test]
fn the_original_keeps_no_history() {
    let services = one_service();
    services.tree.idle_service("old/web");
    let program = original().join("supervise");
    let supervise = services.tree.cmd(program.to_str().expect("a path")).arg("old/web").start();
    services.tree.wait_up("old/web");
    let output = services.run(&["down", "./old/web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!services.tree.exists("old/web/supervise/requests"));
    let output = services.run(&["history", "./old/web"]);
    assert_eq!((output.code, output.out()), (Some(111), String::new()), "{output}");
    assert!(output.err().contains("its supervise keeps none (the original's"), "{output}");
    let why = services.run(&["why", "./old/web"]).out();
    assert!(why.contains("was told to stop") && !why.contains("It was stopped"), "{why}");
    services.tree.svc("-x", "old/web");
    supervise.wait();
}

#[test]
fn a_killed_supervise_keeps_the_history() {
    let services = one_service();
    services.run(&["restart", "web"]);
    let before = services.run(&["history", "web"]).out();
    let supervise = services.tree.find(&["supervise", "web"]);
    process::signal(supervise[0], Signal::KILL);
    harness::wait_until("the next one has begun", harness::DEADLINE, || {
        let text = services.run(&["history", "web"]).out();
        text.starts_with(&before) && text.lines().last().unwrap().contains("a supervise began")
    });
}

#[test]
fn hostile_notes_do_not_reach_the_terminal() {
    let services = one_service();
    services.run(&["down", "web"]);
    let path = services.tree.path("s/web/supervise/requests");
    let notes = fs::read_to_string(&path).unwrap();
    let note = notes.lines().last().unwrap().to_owned();
    let (head, _) = note.split_once(" user=").unwrap();
    let line = format!("{head} user=%1b[2J%0aroot tty=%e2%80%ae command=a%07b");
    fs::write(&path, format!("{line:255}\n")).unwrap();
    for verb in [&["history", "web"][..], &["status", "web"], &["why", "web"]] {
        let output = services.run(verb).out();
        assert!(output.contains("\\u{1b}[2J\\nroot"), "{output:?}");
        assert!(!output.contains(['\x1b', '\x07', '\u{202e}']), "{output:?}");
    }
    // A list of bytes without an end, and a link.
    services.tree.remove("s/web/supervise/requests");
    services.tree.symlink("/dev/zero", "s/web/supervise/requests");
    assert!(services.run(&["history", "web"]).out().contains("command d (down)"));
    let output = services.run(&["up", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
}
