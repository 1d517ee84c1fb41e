//! list, status, tree, graph, env, is-up: what they show, and their exit codes.

use crate::Services;
use harness::{process, strace_works};
use serde_json::{Value, json};

#[test]
fn each_service_has_a_state_and_a_reason() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/cron");
        tree.write("s/cron/down", "");
        tree.service("s/mail", "#!/bin/sh\nexit 78\n");
        tree.write("s/mail/restart-limit", "2 in 60s\n");
        tree.mkdir("s/empty");
        tree.write("s/file", "");
        tree.symlink("nowhere", "s/lost");
    });
    services.wait_state("mail", "failed");
    services.wait_state("web", "up");
    let list = services.json(&["list", "--json"]);
    assert_eq!(list["schema"], 1);
    let states: Vec<(&str, &str)> = list["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("cron", "down"),
        ("empty", "unsupervised"),
        ("file", "unsupervised"),
        ("lost", "unsupervised"),
        ("mail", "failed"),
        ("web", "up"),
    ];
    assert_eq!(states, expected);
    let mail = services.service("mail");
    assert_eq!(
        (&mail["last_end"]["exit"], &mail["reason"]),
        (&json!(78), &json!("too many deaths"))
    );
    assert_eq!((&mail["pid"], &mail["wanted"]), (&Value::Null, &json!("down")));
    let web = services.service("web");
    let pid = web["pid"].as_u64().unwrap();
    assert!(process::is_alive(u32::try_from(pid).unwrap()));
    assert!(web["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(services.service("empty")["reason"], "run is missing");
    // Programs get tabs, whatever the width.
    let output = services.run(&["list", "cron", "empty"]);
    assert_eq!(output.code, Some(0));
    let lines: Vec<Vec<String>> =
        output.out().lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    assert_eq!(lines[0][..2], ["cron", "down"]);
    assert_eq!(lines[0][4], "wanted down");
    assert_eq!(lines[1], ["empty", "unsupervised", "", "", "not supervised: run is missing"]);
    let output = services.run(&["list", "--failed"]).out();
    let failed: Vec<&str> = output.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(failed, ["empty", "file", "lost", "mail"]);
}

#[test]
fn exit_codes_tell_scripts_the_state() {
    let services = Services::web_up_and_cron_down();
    for (arguments, code) in [
        (&["status", "web"][..], 0),
        (&["status", "cron"], 3),
        (&["status", "web", "cron"], 3),
        (&["status", "nothing"], 4),
        (&["status"], 100),
        (&["is-up", "web"], 0),
        (&["is-up", "web", "cron"], 1),
        (&["is-up", "nothing"], 4),
        (&["is-ready", "web"], 0),
        (&["is-failed", "web"], 1),
        (&["list", "-x"], 100),
        (&["frobnicate"], 100),
        (&["list"], 0),
    ] {
        let output = services.run(arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {output}");
        if arguments[0].starts_with("is-") {
            assert_eq!((output.out(), output.err()), (String::new(), String::new()));
        }
    }
    let output = services.run(&["up", "wbe"]);
    output.is(4, "", "svctl: fatal: unable to find service wbe in s (did you mean web?)\n");
    services.run(&["dwon"]).is(
        100,
        "",
        "svctl: fatal: unable to find verb dwon: did you mean down?\n",
    );
    let missing = services.tree.cmd(env!("CARGO_BIN_EXE_svctl")).args(["-d", "none"]).run();
    assert_eq!(missing.code, Some(111));
    assert!(missing.err().starts_with("svctl: fatal: unable to read none: file does not exist"));
}

#[test]
fn status_shows_needs_and_the_last_log_lines() {
    let services = Services::start(|tree| {
        tree.idle_service("s/db");
        let run = "#!/bin/sh\nfor i in 1 2 3; do echo line $i; done\nexec sleep 1000\n";
        tree.service("s/web", run);
        tree.write("s/web/needs", "db\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
    });
    services.wait_state("web", "up");
    services.tree.wait_text("s/web/log/main/current", "line 3");
    let output = services.run(&["status", "-n", "2", "web"]).out();
    assert!(output.starts_with("● web — up for "), "{output}");
    assert!(output.contains("needs     db (up)"), "{output}");
    assert!(output.contains("s/web/log/main (1 file,"), "{output}");
    assert!(output.contains("line 2") && output.contains("line 3"), "{output}");
    assert!(!output.contains("line 1") && !output.contains('@'), "{output}");
    let output = services.run(&["status", "db"]).out();
    assert!(output.contains("needed by web"), "{output}");
    let json = services.json(&["status", "--json", "web"]);
    let web = &json["services"][0];
    assert_eq!(web["needs"], json!(["db"]));
    assert!(web["memory"].as_u64().unwrap() > 0);
    assert_eq!(web["log_tail"].as_array().unwrap().len(), 3);
    assert!(services.run(&["graph"]).out().contains("web (up) needs db (up)"));
    assert!(services.run(&["graph", "--dot"]).out().contains("    \"web\" -> \"db\";\n"));
    let tree = services.run(&["tree"]).out();
    let svscan = services.svscan.as_ref().unwrap().pid();
    assert!(tree.starts_with(&format!("s  svscan pid {svscan}  ")), "{tree}");
    assert!(tree.contains("multilog pid "), "{tree}");
}

#[test]
fn the_environment_is_shown_without_secrets() {
    let services = Services::start(|tree| {
        let run =
            "#!/bin/sh\nexec env -i PATH=/usr/bin:/bin DB_PASSWORD=hush MODE=slow sleep 1000\n";
        tree.service("s/web", run);
        tree.write("s/web/env/MODE", "fast\n");
    });
    services.wait_state("web", "up");
    harness::wait_until("it has its environment", harness::DEADLINE, || {
        services.run(&["env", "web"]).out().contains("MODE=slow")
    });
    let output = services.run(&["env", "web"]).out();
    assert!(output.contains("DB_PASSWORD=(hidden)") && !output.contains("hush"), "{output}");
    assert!(output.contains("# MODE is fast in env: it counts after a restart"), "{output}");
    assert!(services.run(&["env", "--show-secrets", "web"]).out().contains("DB_PASSWORD=hush"));
}

#[test]
fn the_environment_of_the_next_process_is_shown_without_one() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.write("s/web/down", "");
    });
    services.wait_state("web", "down");
    let message = "svctl: fatal: unable to read the environment of web: it is down\n";
    services.run(&["env", "web"]).is(111, "", message);
    services.tree.write("s/web/env/MODE", "fast\n");
    services.tree.write("s/web/env/DB_PASSWORD", "hush\n");
    services.tree.write("s/web/env/OLD", "");
    let head = "# web is down and has no process. env gives the next one:\n";
    let variables = "DB_PASSWORD=(hidden)\nMODE=fast\n# OLD is removed by env\n";
    services.run(&["env", "web"]).is(0, format!("{head}{variables}"), "");
}

#[test]
fn every_member_of_the_json_is_in_the_manual() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    let manual = include_str!("../../../../man/svctl-json.5");
    let mut objects = vec![services.json(&["status", "--json", "web"])["services"][0].clone()];
    objects.push(services.json(&["why", "--json", "web"])["services"][0].clone());
    for name in objects.iter().flat_map(|it| it.as_object().unwrap().keys()) {
        let is_named = |line: &str| {
            line.starts_with(".B") && line.split([' ', ',', '"']).any(|word| word == name)
        };
        assert!(manual.lines().any(is_named), "{name}");
    }
}

#[test]
fn a_change_that_the_process_does_not_have_yet_is_shown() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.write("s/web/env/MODE", "slow\n");
        tree.write("s/web/notes", "\n");
    });
    services.tree.wait_lines("s/web/started", 1);
    services.wait_state("web", "up");
    assert!(!services.run(&["status", "web"]).out().contains("was changed"));
    services.tree.write("s/web/notes", "no file of supervise\n");
    assert!(!services.run(&["status", "web"]).out().contains("was changed"));
    services.tree.write("s/web/env/MODE", "fast\n");
    for verb in ["status", "why"] {
        let output = services.run(&[verb, "web"]).out();
        assert!(output.contains("env/MODE was changed at "), "{output}");
        assert!(output.contains("(svctl restart web uses it)"), "{output}");
    }
    assert_eq!(services.run(&["restart", "web"]).code, Some(0));
    assert!(!services.run(&["status", "web"]).out().contains("was changed"));
}

#[test]
fn a_list_opens_three_files_of_a_service() {
    let services = Services::web_up_and_cron_down();
    if !strace_works(&services.tree) {
        return;
    }
    // A process that was started lately is shown with the end of the one before.
    let old = std::fs::read(services.tree.path("s/web/supervise/status")).unwrap();
    let status = [&[0x40, 0, 0, 0, 0x60, 0, 0, 0, 0, 0, 0, 0][..], &old[12..]].concat();
    services.tree.write("s/web/supervise/status", status);
    let strace = ["strace", "-qq", "-o", "calls", "-e", "trace=open,openat,openat2"];
    let output = services.svctl().arg("list").under(strace).run();
    assert_eq!(output.out().lines().count(), 2, "{output}");
    let calls = services.tree.text("calls");
    for name in ["web", "cron"] {
        let directory = format!("s/{name}/supervise/");
        let files = calls.lines().filter_map(|call| call.split(&directory).nth(1));
        let files: Vec<_> = files.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(files, ["ok", "status", "state"], "{calls}");
    }
    assert!(!calls.contains("\"/proc/1"), "{calls}");
}
