//! wait: states, and the order of things.

use crate::Services;

#[test]
fn wait_returns_when_the_state_is_there() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/cron");
        tree.write("s/cron/down", "");
    });
    services.run(&["wait", "web", "up"]).is(0, "web: up\n", "");
    services.run(&["wait", "web", "ready,failed"]).is(0, "web: up\n", "");
    services.wait_state("cron", "down");
    services.run(&["wait", "web", "cron", "--any", "down"]).is(0, "cron: down\n", "");
    let output = services.run(&["wait", "cron", "up", "-T", "100ms"]);
    output.is(99, "", "svctl: warning: cron is not up: it is down\n");
    let waiting = services.svctl().args(["wait", "cron", "up"]).start();
    services.run(&["up", "cron"]);
    waiting.wait().is(0, "cron: up\n", "");
    let waiting = services.svctl().args(["wait", "cron", "gone"]).start();
    services.tree.svc("-dx", "s/cron");
    waiting.wait().is(0, "cron: gone\n", "");
}

#[test]
fn a_failed_service_does_not_become_ready() {
    let services = Services::start(|tree| {
        tree.service("s/mail", "#!/bin/sh\nexit 1\n");
        tree.write("s/mail/restart-limit", "1 in 60s\n");
        tree.write("s/mail/notification-fd", "3\n");
    });
    services.run(&["wait", "mail", "failed"]).is(0, "mail: failed\n", "");
    let output = services.run(&["wait", "mail", "ready"]);
    output.is(1, "", "svctl: warning: mail does not become ready: it is failed\n");
}
