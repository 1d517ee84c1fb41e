//! `/metrics`: what Prometheus reads from svweb.

use crate::client::{Answer, request};
use crate::{Site, address_of, svweb};
use harness::{DEADLINE, Signal, process, requires, wait_until};
use std::net::{SocketAddr, TcpListener};

/// The header `Accept` of Prometheus 2.42.
const PROMETHEUS: &str = "Accept: application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

fn site() -> Site {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/a\"b");
        tree.write("s/a\"b/down", "");
    });
    wait_line(&site, "daemontools_service_up{service=\"web\"} 1");
    site
}

fn metrics(address: SocketAddr, accept: &str) -> Answer {
    request(address, "GET /metrics", &["Host: localhost", accept], "")
}

#[track_caller]
fn wait_line(site: &Site, line: &str) {
    wait_until(line, DEADLINE, || {
        metrics(site.address, "Accept: */*").body.lines().any(|it| it == line)
    });
}

#[test]
fn the_client_chooses_the_format() {
    let site = site();
    let text = metrics(site.address, "Accept: */*");
    assert_eq!(text.status, 200, "{text}");
    assert_eq!(text.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("Vary"), Some("Accept"));
    assert!(text.body.contains("\ndaemontools_service_up{service=\"a\\\"b\"} 0\n"), "{text}");
    assert!(text.body.contains("\ndaemontools_scanner_up 1\n"), "{text}");
    assert!(!text.body.contains("# EOF"), "{text}");
    let openmetrics = metrics(site.address, PROMETHEUS);
    let kind = openmetrics.header("Content-Type");
    assert_eq!(kind, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(openmetrics.body.ends_with("\n# EOF\n"), "{openmetrics}");
    if requires("promtool") {
        let checked = site.tree.cmd("promtool").args(["check", "metrics"]).stdin(text.body).run();
        assert_eq!((checked.code, checked.err()), (Some(0), String::new()), "{checked}");
    }
}

#[test]
fn counters_survive_a_restart_of_svweb() {
    let mut site = site();
    let pid = site.tree.wait_up("s/web");
    process::signal(pid, Signal::KILL);
    wait_line(&site, "daemontools_service_starts_total{service=\"web\"} 2");
    let counters = |address| -> Vec<String> {
        let text = metrics(address, "Accept: */*").body;
        let is_counter = |line: &&str| line.contains("_total{") && !line.contains("cpu_seconds");
        text.lines().filter(is_counter).map(str::to_owned).collect()
    };
    let before = counters(site.address);
    site.web.take().expect("svweb runs").kill();
    let web = svweb(&site.tree, &["--listen", "127.0.0.1:0"]).start();
    let after = counters(address_of(&web));
    assert_eq!(before, after);
    let death = "daemontools_service_deaths_total{service=\"web\",cause=\"signal\"} 1";
    assert!(after.iter().any(|line| line == death), "{after:?}");
}

#[test]
fn prometheus_scrapes_svweb() {
    if !requires("prometheus") {
        return;
    }
    let site = site();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    site.tree.write(
        "prometheus.yml",
        format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: services\n  \
             static_configs:\n  - targets: [\"{}\"]\n",
            site.address
        ),
    );
    let prometheus = site
        .tree
        .cmd("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
        .arg(format!("--web.listen-address={free}"))
        .start();
    wait_until("Prometheus listens", DEADLINE, || std::net::TcpStream::connect(free).is_ok());
    let answers = |query: &str, part: &str| {
        let line = format!("GET /api/v1/query?query={query}");
        request(free, &line, &["Host: localhost"], "").body.contains(part)
    };
    wait_until("Prometheus knows web", DEADLINE, || {
        answers("daemontools_service_up==1", "\"service\":\"web\"")
    });
    site.tree.svc("-d", "s/web");
    wait_until("Prometheus knows that web is down", DEADLINE, || {
        answers("daemontools_service_deaths_total>0", "\"cause\":\"stop\"")
    });
    drop(prometheus);
}
