//! Control: who may, what is sent, and what is said of it.

use crate::client::{Answer, request};
use crate::{BEARER, Site};

/// Sends a POST with the headers of a page of our own, less and more.
fn post(site: &Site, path: &str, headers: &[&str], body: &str) -> Answer {
    let all: Vec<&str> = ["Host: localhost"].iter().chain(headers).copied().collect();
    request(site.address, &format!("POST {path}"), &all, body)
}

const JSON: &str = "Content-Type: application/json";

#[test]
fn control_is_off_without_the_option() {
    let site = Site::start(&["--token-file", "token"], |tree| {
        tree.idle_service("s/web");
    });
    site.wait_state("web", "up");
    let answer = post(&site, "/api/v1/services/web/down", &[JSON, BEARER], "{}");
    assert_eq!(answer.status, 403, "{answer}");
    site.web().wait_stderr("down of web refused for 127.0.0.1:");
    assert_eq!(site.get("/api/v1/services/web").json()["state"], "up");
}

#[test]
fn control_needs_the_token_json_and_a_page_of_ours() {
    let site = Site::controlled();
    let pid = site.get("/api/v1/services/web").json()["pid"].clone();
    let path = "/api/v1/services/web/down";
    for (headers, body, status) in [
        (&[JSON][..], "{}", 401),
        (&[JSON, "Authorization: Bearer 0123456789abcdef-tokeN"], "{}", 401),
        (&[JSON, "Authorization: Bearer "], "{}", 401),
        (&[JSON, "Authorization: Basic OjAxMjM0NTY3ODlhYmNkZWYtdG9rZW4="], "{}", 401),
        (&[JSON, "Cookie: token=0123456789abcdef-token"], "{}", 401),
        (&[BEARER], "{}", 415),
        (&[BEARER, "Content-Type: text/plain"], "{}", 415),
        (&[BEARER, "Content-Type: application/x-www-form-urlencoded"], "a=b", 415),
        (&[BEARER, JSON], "", 400),
        (&[BEARER, JSON], "[]", 400),
        (&[BEARER, JSON], "{\"x\":1}", 400),
        (&[BEARER, JSON, "Origin: http://evil.example"], "{}", 403),
        (&[BEARER, JSON, "Origin: null"], "{}", 403),
        (&[BEARER, JSON, "Sec-Fetch-Site: cross-site"], "{}", 403),
        (&[BEARER, JSON, "Sec-Fetch-Site: same-site"], "{}", 403),
        (&[BEARER, JSON, "Sec-Fetch-Site: none"], "{}", 403),
    ] {
        let answer = post(&site, path, headers, body);
        assert_eq!(answer.status, status, "{headers:?} {body}: {answer}");
    }
    let long = "x".repeat(5000);
    assert_eq!(post(&site, path, &[BEARER, JSON], &long).status, 413);
    for (method, path) in [("GET", path), ("HEAD", path), ("PUT", path)] {
        let answer =
            request(site.address, &format!("{method} {path}"), &["Host: localhost", BEARER], "");
        assert_eq!(answer.status, 405, "{method}: {answer}");
    }
    for path in ["/api/v1/services/web/explode", "/api/v1/services/other/down"] {
        assert_eq!(post(&site, path, &[BEARER, JSON], "{}").status, 404, "{path}");
    }
    let now = site.get("/api/v1/services/web").json();
    assert_eq!((&now["state"], &now["pid"]), (&"up".into(), &pid));
}

#[test]
fn each_action_is_sent_and_said_with_its_sender() {
    let site = Site::controlled();
    let headers =
        [BEARER, "Content-Type: application/json; charset=utf-8", "Origin: http://localhost"];
    let pid = site.get("/api/v1/services/web").json()["pid"].clone();
    for (action, state) in [("down", "down"), ("up", "up"), ("pause", "paused"), ("cont", "up")] {
        let answer = post(&site, &format!("/api/v1/services/web/{action}"), &headers, "{}");
        assert_eq!(
            (answer.status, answer.json()["sent"].as_str()),
            (202, Some(action)),
            "{answer}"
        );
        site.wait_state("web", state);
        site.web().wait_stderr(&format!("svweb: web: {action} sent for 127.0.0.1:"));
    }
    let said = site.web().stderr();
    if said.contains(" uid ") {
        let user = format!(" uid {}", rustix::process::getuid().as_raw());
        let mut sent = said.lines().filter(|line| line.contains(" sent for 127.0.0.1:"));
        assert!(sent.all(|line| line.ends_with(&user)), "{said}");
    } else {
        harness::skip("sock_diag");
    }
    let second = site.get("/api/v1/services/web").json()["pid"].clone();
    assert_ne!(pid, second);
    post(&site, "/api/v1/services/web/restart", &headers, "{}");
    harness::wait_until("another process", harness::DEADLINE, || {
        let now = site.get("/api/v1/services/web").json();
        now["state"] == "up" && now["pid"] != second
    });
    // The history of the service has it, too.
    let request = site.get("/api/v1/services/web").json()["last_request"].to_string();
    assert!(request.contains("svweb restart web for 127.0.0.1:"), "{request}");
}

#[test]
fn a_client_of_the_socket_is_named_by_its_user() {
    let site = Site::start(&["--token-file", "token", "--control", "--socket", "sock"], |tree| {
        tree.idle_service("s/web");
    });
    site.wait_state("web", "up");
    assert_eq!(site.tree.mode("sock") & 0o777, 0o660);
    let text = format!(
        "POST /api/v1/services/web/down HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{BEARER}\r\n{JSON}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    let answer = crate::starting::over_socket(&site.tree, "sock", &text);
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let user = rustix::process::getuid().as_raw();
    let pid = std::process::id();
    site.web().wait_stderr(&format!("svweb: web: down sent for uid {user} pid {pid}"));
    site.wait_state("web", "down");
}
