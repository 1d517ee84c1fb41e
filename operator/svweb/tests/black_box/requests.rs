//! Which requests are answered: hosts, origins, forms, paths.

use crate::Site;
use crate::client::{exchange, request};
use harness::Tree;

fn site() -> Site {
    Site::start(&["--allow-host", "Status.Example"], |tree: &Tree| {
        tree.idle_service("s/web");
    })
}

#[test]
fn a_foreign_host_is_refused() {
    let site = site();
    let port = site.address.port();
    for (host, status) in [
        ("localhost".to_owned(), 200),
        (format!("127.0.0.1:{port}"), 200),
        ("status.example:443".to_owned(), 200),
        ("evil.example".to_owned(), 403),
        (format!("evil.example:{port}"), 403),
        ("localhost.evil.example".to_owned(), 403),
        ("127.0.0.2".to_owned(), 403),
        ("[::1]".to_owned(), 403),
        ("169.254.169.254".to_owned(), 403),
        (String::new(), 400),
    ] {
        for path in ["/", "/api/v1/services", "/healthz", "/svweb.js", "/service/web"] {
            let answer =
                request(site.address, &format!("GET {path}"), &[&format!("Host: {host}")], "");
            assert_eq!(answer.status, status, "{host} {path}: {answer}");
        }
    }
    let two = request(site.address, "GET /", &["Host: localhost", "Host: evil.example"], "");
    assert_eq!(two.status, 400, "{two}");
    assert_eq!(request(site.address, "GET /", &[], "").status, 400);
}

#[test]
fn a_page_of_another_site_reads_nothing() {
    let site = site();
    for (headers, status) in [
        (&["Origin: http://localhost"][..], 200),
        (&["Origin: https://localhost"], 200),
        (&["Origin: http://evil.example"], 403),
        (&["Origin: http://localhost:1"], 403),
        (&["Origin: null"], 403),
        (&["Origin: "], 403),
        (&["Sec-Fetch-Site: same-origin"], 200),
        (&["Sec-Fetch-Site: none"], 200),
        (&["Sec-Fetch-Site: cross-site"], 403),
        (&["Sec-Fetch-Site: same-site"], 403),
        (&["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"], 403),
        (
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
            403,
        ),
        (
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
            200,
        ),
    ] {
        let all: Vec<&str> = ["Host: localhost"].iter().chain(headers).copied().collect();
        let answer = request(site.address, "GET /api/v1/services", &all, "");
        assert_eq!(answer.status, status, "{headers:?}: {answer}");
    }
}

#[test]
fn every_answer_has_the_headers_of_a_locked_page() {
    let site = site();
    for path in
        ["/", "/service/web", "/api/v1/services", "/missing", "/svweb.css", "/svweb.js", "/healthz"]
    {
        let answer = site.get(path);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for part in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {answer}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn the_pages_name_no_other_server() {
    let site = site();
    for path in ["/", "/service/web", "/svweb.css", "/svweb.js"] {
        let body = site.get(path).body;
        let body = body.replace("http://www.w3.org/", "");
        assert!(
            !body.contains("http://") && !body.contains("https://") && !body.contains("src=\"//"),
            "{path}"
        );
        assert!(!body.contains("innerHTML") && !body.contains("eval("), "{path}");
    }
}

#[test]
fn a_path_leads_nowhere_else() {
    let site = site();
    site.tree.write("secret", "secret text");
    for path in [
        "/service/..%2fsecret",
        "/service/%2e%2e",
        "/../secret",
        "/..%2fsecret",
        "/service/../../secret",
        "/api/v1/services/..%2f..%2fsecret",
        "/api/v1/services/%2e%2e/logs",
        "/service/web%00",
        "/service/%",
        "/service/.",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/service/web/log",
        "/service/web%2flog",
        "/service/nothing",
        "/api/v1/services/nothing",
        "/api/v1/services/nothing/logs",
        "/api/v1/services/nothing/findings",
        "/service/*",
    ] {
        let answer = site.get(path);
        assert_eq!(answer.status, 404, "{path}: {answer}");
        assert!(
            !answer.body.contains("secret text") && !answer.body.contains("root:"),
            "{path}: {answer}"
        );
    }
    // A name that svctl takes for a pattern or a file is only a name, and so is a cursor.
    for since in ["/etc/passwd", "token", "%00", "%ff", "c1;x", "c2"] {
        let answer = site.get(&format!("/api/v1/services/web/logs?since={since}"));
        assert_eq!(answer.status, 400, "{since}: {answer}");
    }
}

#[test]
fn a_request_that_a_proxy_reads_in_another_way_is_refused() {
    let site = site();
    let next = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (head, statuses) in [
        // Two lengths, or a length and pieces: what follows must not count as a request.
        (
            "POST /api/v1/services/web/down HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400, 411][..],
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[411],
        ),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n", &[400, 411]),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            &[400],
        ),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 49\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n", &[400]),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400]),
        ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost : evil\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: localhost\nX: y\r\0\r\n\r\n", &[400]),
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", &[400, 505]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", &[400]),
    ] {
        let answer = exchange(site.address, format!("{head}{next}"));
        let Some(answer) = answer else { continue };
        assert!(statuses.contains(&answer.status), "{head}: {answer}");
        // The connection has ended: there is no second answer.
        assert_eq!(answer.body.matches("HTTP/1.1 ").count(), 0, "{head}: {answer}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "POST"] {
        let answer = request(site.address, &format!("{method} /"), &["Host: localhost"], "");
        assert_eq!(answer.status, 405, "{method}: {answer}");
    }
}
