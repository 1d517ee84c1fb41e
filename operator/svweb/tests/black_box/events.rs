//! The stream of events: changes without polling, and going on where a client was.

use crate::Site;
use crate::client::Events;
use harness::Signal;

fn site() -> Site {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
        tree.service("s/talk", "#!/bin/sh\nexec 2>&1\necho begins\nexec cat ../../in\n");
        tree.service("s/talk/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.fifo("in", 0o600);
    });
    site.wait_state("web", "up");
    site
}

#[test]
fn changes_new_services_and_removed_ones_are_events() {
    let site = site();
    let mut events = Events::open(site.address, "/api/v1/events", &[]);
    let first = events.wait(|event| event.kind == "services");
    assert_eq!(first.data["services"].as_array().map(Vec::len), Some(2), "{first:?}");
    site.tree.svc("-d", "s/web");
    let down = events.wait_state("web", "down");
    assert!(down.data["pid"].is_null() && down.data["id"] == "web", "{down:?}");
    site.tree.idle_service("late");
    site.tree.symlink("../late", "s/late");
    events.wait_state("late", "up");
    site.tree.remove("s/late");
    events.wait(|event| event.kind == "removed" && event.data["name"] == "late");
}

#[test]
fn a_client_goes_on_behind_the_last_event_that_it_has() {
    let site = site();
    let mut events = Events::open(site.address, "/api/v1/events", &[]);
    let first = events.wait(|event| event.kind == "services");
    site.tree.svc("-d", "s/web");
    let down = events.wait_state("web", "down");
    drop(events);
    // It changes while no client is there.
    site.tree.svc("-u", "s/web");
    site.tree.wait_up("s/web");
    let header = format!("Last-Event-ID: {}", down.id);
    let mut again = Events::open(site.address, "/api/v1/events", &[&header]);
    again.wait_state("web", "up");
    let path = format!("/api/v1/events?after={}", first.id);
    let mut all = Events::open(site.address, &path, &[]);
    all.wait_state("web", "down");
    // An id that svweb does not know: everything comes again.
    for id in ["1-1", "nonsense", ""] {
        let header = format!("Last-Event-ID: {id}");
        let mut events = Events::open(site.address, "/api/v1/events", &[&header]);
        events.wait(|event| event.kind == "services");
    }
}

#[test]
fn more_log_lines_are_an_event_for_those_who_follow_them() {
    let site = site();
    let mut follower = Events::open(site.address, "/api/v1/events?log=talk", &[]);
    let mut other = Events::open(site.address, "/api/v1/events", &[]);
    other.wait(|event| event.kind == "services");
    let page = harness::wait_for("the first line", harness::DEADLINE, || {
        let page = site.get("/api/v1/services/talk/logs").json();
        (page["lines"][0]["message"] == "begins").then_some(page)
    });
    let cursor = page["cursor"].as_str().expect("a cursor").to_owned();
    site.tree.write("in", "one\ntwo\n");
    follower.wait(|event| event.kind == "log" && event.data["id"] == "talk");
    let mut seen = Vec::new();
    harness::wait_until("the new lines", harness::DEADLINE, || {
        let page = site.get(&format!("/api/v1/services/talk/logs?since={cursor}")).json();
        seen = page["lines"].as_array().cloned().unwrap_or_default();
        seen.len() >= 2
    });
    assert_eq!((&seen[0]["message"], &seen[1]["message"]), (&"one".into(), &"two".into()));
    site.tree.svc("-d", "s/web");
    other.wait_state("web", "down");
    assert_eq!(other.count("log"), 0);
}

#[test]
fn the_log_of_a_logger_that_begins_later_is_followed() {
    let site = Site::start(&[], |tree| {
        tree.service("s/talk", "#!/bin/sh\nexec 2>&1\necho begins\nexec cat ../../in\n");
        tree.service("s/talk/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.write("s/talk/log/down", "");
        tree.fifo("in", 0o600);
    });
    site.wait_state("talk", "up");
    let mut follower = Events::open(site.address, "/api/v1/events?log=talk", &[]);
    follower.wait(|event| event.kind == "services");
    site.tree.svc("-u", "s/talk/log");
    follower.wait(|event| event.kind == "log" && event.data["id"] == "talk");
    let before = follower.count("log");
    harness::wait_until("the first line", harness::DEADLINE, || {
        let page = site.get("/api/v1/services/talk/logs").json();
        page["lines"][0]["message"] == "begins"
    });
    site.tree.write("in", "one\n");
    follower.wait_count("log", before + 1);
}

#[test]
fn without_clients_and_changes_svweb_sleeps() {
    let site = site();
    let mut events = Events::open(site.address, "/api/v1/events", &[]);
    events.wait(|event| event.kind == "services");
    let pid = site.web().pid();
    harness::process::assert_idle(&[pid], std::time::Duration::from_secs(2));
    site.web().signal(Signal::TERM);
}
