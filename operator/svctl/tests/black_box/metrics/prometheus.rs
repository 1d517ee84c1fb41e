//! Prometheus and its promtool.

use super::{free_address, get};
use crate::Services;
use harness::{DEADLINE, Process, Tree, note, requires, wait_until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// Answers every request with the metrics of a scan directory, until the test ends.
fn serve(scan: PathBuf, options: &'static [&'static str], media_type: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let mut svctl = Command::new(env!("CARGO_BIN_EXE_svctl"));
            svctl.arg("-d").arg(&scan).arg("metrics").args(options);
            let body = svctl.output().expect("run svctl").stdout;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

/// A Prometheus that scrapes these addresses once a second.
pub(super) struct Prometheus {
    /// It ends with this.
    _process: Process,
    address: SocketAddr,
}

impl Prometheus {
    pub(super) fn start(tree: &Tree, targets: &[SocketAddr]) -> Self {
        let address = free_address();
        let targets: Vec<String> = targets.iter().map(|it| format!("\"{it}\"")).collect();
        tree.write(
            "prometheus.yml",
            format!(
                "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: daemontools\n  \
                 static_configs:\n  - targets: [{}]\n",
                targets.join(", ")
            ),
        );
        let process = tree
            .cmd("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={address}"))
            .start();
        Self { _process: process, address }
    }

    /// The values of a query, by the label `service`.
    pub(super) fn query(&self, query: &str) -> Vec<(String, String)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let Some(body) = get(self.address, &format!("/api/v1/query?query={encoded}")) else {
            return Vec::new();
        };
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut values: Vec<_> = results
            .iter()
            .map(|result| (text(&result["metric"]["service"]), text(&result["value"][1])))
            .collect();
        values.sort();
        values
    }

    #[track_caller]
    pub(super) fn wait_answer(&self, query: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut found = Vec::new();
        wait_until(&format!("{query} is {expected:?}"), DEADLINE, || {
            let now = self.query(query);
            if found != now {
                note(&format!("{query} is {now:?}"));
                found = now;
            }
            found == expected
        });
    }
}

fn services() -> Services {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec sleep 1000\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.service("s/bad", "#!/bin/sh\nexit 3\n");
        tree.write("s/bad/restart-limit", "2 in 60s\n");
        tree.idle_service("s/früh \"1\"");
        tree.write("s/früh \"1\"/down", "");
    });
    services.wait_state("web", "up");
    services.wait_state("bad", "failed");
    services
}

#[test]
fn promtool_has_no_objection() {
    if !requires("promtool") {
        return;
    }
    let services = services();
    services.wait_series("service_log_bytes{service=\"web\"}", "0");
    let text = services.run(&["metrics"]).out();
    let output = services.tree.cmd("promtool").args(["check", "metrics"]).stdin(&text).run();
    assert_eq!((output.code, output.err(), output.out()), (Some(0), String::new(), String::new()));
}

#[test]
fn prometheus_answers_queries_about_services() {
    if !requires("prometheus") {
        return;
    }
    let services = services();
    let scan = services.tree.path("s");
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let target = serve(scan, &[], text);
    let prometheus = Prometheus::start(&services.tree, &[target]);
    let up = [("bad", "0"), ("früh \"1\"", "0"), ("web", "1")];
    prometheus.wait_answer("daemontools_service_up", &up);
    prometheus.wait_answer("daemontools_service_failed == 1", &[("bad", "1")]);
    prometheus
        .wait_answer("sum by (service) (daemontools_service_deaths_total) > 0", &[("bad", "2")]);
    prometheus.wait_answer("daemontools_scanner_up", &[("", "1")]);
    prometheus.wait_answer("count(daemontools_build_info)", &[("", "1")]);
    // A change is seen by the next scrape.
    services.run(&["down", "web"]);
    prometheus.wait_answer("daemontools_service_up{service=\"web\"}", &[("web", "0")]);
    prometheus.wait_answer("daemontools_service_deaths_total{cause=\"stop\"} > 0", &[("web", "1")]);
}

#[test]
fn prometheus_reads_openmetrics() {
    if !requires("prometheus") {
        return;
    }
    let services = services();
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let target = serve(services.tree.path("s"), &["--openmetrics"], text);
    let prometheus = Prometheus::start(&services.tree, &[target]);
    prometheus.wait_answer(
        "daemontools_service_starts_total",
        &[("bad", "2"), ("früh \"1\"", "0"), ("web", "1")],
    );
    prometheus.wait_answer("daemontools_service_last_exit_code", &[("bad", "3")]);
    prometheus.wait_answer("count(daemontools_build_info)", &[("", "1")]);
    prometheus.wait_answer("up", &[("", "1")]);
}
