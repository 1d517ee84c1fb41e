//! Pages and the API as clients read them.

use crate::Site;
use harness::{DEADLINE, wait_until};

#[test]
fn the_page_has_all_services_without_javascript() {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
        tree.service("s/broken", "#!/bin/sh\nexit 3\n");
    });
    site.wait_state("web", "up");
    wait_until("the problem comes first", DEADLINE, || {
        let page = site.get("/").body;
        let place = |text: &str| page.find(text).unwrap_or(usize::MAX);
        page.contains("1 problem in 2 services") && place("/service/broken") < place("/service/web")
    });
    let page = site.get("/service/web");
    assert!(
        page.status == 200 && page.body.contains("<h1") && page.body.contains(">web<"),
        "{page}"
    );
}

#[test]
fn an_empty_directory_says_so_and_one_that_is_missing_is_an_error() {
    let site = Site::start(&[], |_| {});
    let page = site.get("/");
    assert!(page.status == 200 && page.body.contains("No services"), "{page}");
    assert_eq!(site.get("/api/v1/services").json()["services"], serde_json::json!([]));
    assert_eq!(site.get("/healthz").status, 200);
    site.tree.rename("s", "elsewhere");
    for path in ["/", "/api/v1/services", "/healthz", "/api/v1/findings", "/api/v1/events"] {
        wait_until(&format!("{path} is an error"), DEADLINE, || site.get(path).status == 503);
    }
    let why = site.get("/api/v1/services").json()["error"].to_string();
    assert!(why.contains("unable to") && why.contains("file does not exist"), "{why}");
    // It comes back.
    site.tree.rename("elsewhere", "s");
    site.tree.idle_service("s/web");
    site.wait_state("web", "up");
}

#[test]
fn a_service_has_details_findings_and_log_lines() {
    let site = Site::start(&[], |tree| {
        tree.service("s/talk", "#!/bin/sh\necho one; echo two; echo three\nexec sleep 1000\n");
        tree.service("s/talk/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.service("s/crlf", "#!/bin/sh\r\nexec sleep 1000\r\n");
    });
    wait_until("three lines", DEADLINE, || {
        let log = site.get("/api/v1/services/talk/logs?lines=2").json();
        log["lines"].as_array().is_some_and(|lines| {
            lines.len() == 2 && lines[1]["message"] == "three" && lines[1]["time"].is_string()
        }) && log["has_earlier"] == true
    });
    let object = site.get("/api/v1/services/talk").json();
    for key in ["schema", "name", "id", "state", "why", "needs", "log_dirs", "control", "failing"] {
        assert!(!object[key].is_null(), "{key}: {object}");
    }
    let since = site.get("/api/v1/services/talk/logs?since=-1h").json();
    assert_eq!(since["lines"].as_array().map(Vec::len), Some(3), "{since}");
    for lines in ["0", "x", "5000", "-1"] {
        assert_eq!(site.get(&format!("/api/v1/services/talk/logs?lines={lines}")).status, 400);
    }
    wait_until("the finding", DEADLINE, || {
        let found = site.get("/api/v1/services/crlf/findings").json();
        found["findings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|it| it["severity"] == "error"))
    });
    let all = site.get("/api/v1/findings").json();
    assert!(all["findings"].is_array(), "{all}");
}
