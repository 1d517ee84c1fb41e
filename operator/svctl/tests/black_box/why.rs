//! why: a person learns what keeps a service down, and what to do.

use crate::Services;
use std::fs;
use std::io::Write as _;

#[test]
fn the_reason_and_a_remedy_are_named() {
    let services = Services::start(|tree| {
        tree.service("s/mail", "#!/bin/sh\nexit 78\n");
        tree.write("s/mail/restart-limit", "2 in 60s\n");
        tree.idle_service("s/cron");
        tree.write("s/cron/down", "");
        tree.idle_service("s/web");
        tree.write("s/web/needs", "cron\n");
        tree.mkdir("s/empty");
        tree.idle_service("s/odd");
        tree.write("s/odd/restart-limit", "often\n");
    });
    services.wait_state("mail", "failed");
    services.wait_state("web", "blocked");
    for (name, words) in [
        ("mail", &["mail has failed: too many deaths", "exit 78", "→ svctl up mail"][..]),
        ("cron", &["cron has not been started: the file down exists", "→ svctl release cron"]),
        (
            "web",
            &["web needs cron, which is not ready", "cron has not been started", "→ svctl up cron"],
        ),
        ("empty", &["empty is not supervised: run is missing"]),
        ("odd", &["a mistake in its directory", "restart-limit line 1: \"often\""]),
    ] {
        let output = services.run(&["why", name]);
        assert_eq!(output.code, Some(0), "{output}");
        for word in words {
            assert!(output.out().contains(word), "{name}: {word}: {output}");
        }
    }
    let json = services.json(&["why", "--json", "web"]);
    assert_eq!(json["services"][0]["log_of"], "cron");
}

#[test]
fn a_stop_that_hangs_is_explained() {
    let services = Services::start(|tree| {
        tree.service("s/deaf", "#!/bin/sh\ntrap '' TERM\necho $$ >started\nexec sleep 1000\n");
    });
    services.wait_state("deaf", "up");
    services.tree.wait_lines("s/deaf/started", 1);
    services.run(&["down", "--no-wait", "deaf"]);
    services.wait_state("deaf", "stopping");
    let output = services.run(&["why", "deaf"]).out();
    assert!(output.contains("It ignores TERM."), "{output}");
    assert!(output.contains("→ svctl signal KILL deaf"), "{output}");
    services.run(&["signal", "KILL", "deaf"]).is(0, "deaf: sent KILL\n", "");
}

#[test]
fn an_end_for_want_of_memory_is_explained() {
    let services = Services::start(|tree| {
        tree.service("s/mail", "#!/bin/sh\nkill -KILL $$\n");
        tree.write("s/mail/restart-limit", "1 in 60s\n");
    });
    services.wait_state("mail", "failed");
    // What supervise writes when memory.events of the control group has counted.
    let file = services.tree.path("s/mail/supervise/state");
    let mut state = fs::OpenOptions::new().append(true).open(file).expect("open the state");
    state.write_all(b"out-of-memory=1\n").expect("write the state");
    let output = services.run(&["why", "mail"]).out();
    assert!(output.contains("The kernel killed it: the"), "{output}");
    assert!(output.contains("→ svctl edit mail resource-limits"), "{output}");
    let status = services.run(&["status", "mail"]);
    assert!(status.out().contains("killed by KILL, out of memory\n"), "{status}");
    let json = services.json(&["list", "--json"]);
    assert_eq!(json["services"][0]["out_of_memory"], true);
}

#[test]
fn a_service_that_does_not_become_ready_is_explained() {
    let services = Services::start(|tree| {
        tree.service("s/slow", "#!/bin/sh\necho $$ >started\nexec sleep 1000\n");
        tree.write("s/slow/notification-fd", "3\n");
        tree.service("s/closed", "#!/bin/sh\nexec 3>&-\necho $$ >started\nexec sleep 1000\n");
        tree.write("s/closed/notification-fd", "3\n");
        tree.write("s/closed/timeout-ready", "10m\n");
    });
    for name in ["slow", "closed"] {
        services.tree.wait_lines(format!("s/{name}/started"), 1);
        services.wait_state(name, "starting");
    }
    let output = services.run(&["why", "slow"]).out();
    assert!(output.contains("a line to descriptor 3 (notification-fd)."), "{output}");
    assert!(output.replace("\n ", "").contains("supervise waits forever."), "{output}");
    assert!(output.contains("→ svctl status slow\n"), "{output}");
    let json = services.json(&["why", "--json", "closed"]);
    let explanation = json["services"][0]["explanation"].to_string();
    assert!(explanation.contains("No process of it has descriptor 3 open"), "{explanation}");
    assert!(!explanation.contains("forever"), "{explanation}");
}

#[test]
fn a_service_that_runs_again_after_a_death_says_so() {
    let services = Services::start(|tree| {
        let run = "#!/bin/sh\n[ -e again ] && exec sleep 1000\n>again\nexit 3\n";
        tree.service("s/web", run);
        tree.script("s/web/log/run", "#!/bin/sh\nexec multilog t ./main\n");
    });
    harness::wait_until("it runs again", harness::DEADLINE, || {
        let web = services.service("web");
        let is_logged = services.tree.exists("s/web/log/main/current");
        is_logged && web["state"] == "up" && web["last_end"]["exit"] == 3
    });
    let output = services.run(&["list", "web"]).out();
    assert!(output.ends_with("\tstarted after exit 3\n"), "{output}");
    let output = services.run(&["why", "web"]).out();
    assert!(output.contains("The process before it ended by itself: exit 3."), "{output}");
    assert!(output.contains("→ svctl logs -n 50 web\n"), "{output}");
    assert!(!output.contains(" times "), "{output}");
}

#[test]
fn a_service_that_runs_after_several_deaths_says_how_often_it_has_ended() {
    let services = Services::start(|tree| {
        // The third process stays.
        let run =
            "#!/bin/sh\necho >>starts\n[ $(wc -l <starts) -gt 2 ] && exec sleep 1000\nexit 3\n";
        tree.service("s/web", run);
    });
    harness::wait_until("the third process runs", harness::DEADLINE, || {
        services.tree.exists("s/web/starts") && services.tree.read("s/web/starts").len() == 3
    });
    services.wait_state("web", "up");
    let output = services.run(&["why", "web"]).out();
    assert!(output.replace("\n  ", " ").contains("It has ended 2 times in the last "), "{output}");
    assert!(output.contains("→ svctl edit web\n"), "{output}");
}
