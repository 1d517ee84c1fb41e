//! events: a line for every change.

use crate::Services;
use harness::Signal;
use serde_json::Value;

#[test]
fn changes_and_new_services_are_printed() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("sv/late");
    });
    services.wait_state("web", "up");
    let events = services.svctl().args(["events", "--json"]).start();
    let seen = |kinds: &[&str], name: &str, state: &str| {
        harness::wait_until(&format!("{kinds:?} {name} {state}"), harness::DEADLINE, || {
            let text = events.stdout();
            let objects = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            objects.into_iter().any(|it| {
                kinds.iter().any(|kind| it["event"] == *kind)
                    && it["name"] == name
                    && it["state"] == state
                    && it["at"].is_string()
            })
        });
    };
    seen(&["current"], "web", "up");
    services.run(&["down", "web"]);
    seen(&["changed"], "web", "down");
    services.run(&["add", "sv/late"]);
    // It may be up when svctl sees it first.
    seen(&["added", "changed"], "late", "up");
    services.run(&["remove", "late"]);
    seen(&["removed"], "late", "unsupervised");
    events.signal(Signal::INT);
    assert_eq!(events.wait().code, Some(0));
}
