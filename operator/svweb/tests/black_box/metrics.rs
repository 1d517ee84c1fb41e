//! `/metrics`: what Prometheus reads from svweb.

use crate::client::{Answer, request};
use crate::{Site, address_of, svweb};
use harness::{DEADLINE, Signal, process, requires, wait_until};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

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

/// The metrics that do not depend on the moment.
fn lasting(address: SocketAddr) -> Vec<String> {
    let text = metrics(address, "Accept: */*").body;
    let is_lasting = |line: &&str| {
        ["memory_bytes{", "cpu_seconds_total{"].iter().all(|family| !line.contains(family))
    };
    text.lines().filter(is_lasting).map(str::to_owned).collect()
}

#[test]
fn a_scrape_that_remembers_says_what_a_first_one_says() {
    let shell = "#!/bin/sh\nsh -c 'sleep 1000 & wait' &\nexec sleep 1001\n";
    let logged = "#!/bin/sh\necho one\nexec sleep 1000\n";
    let site = Site::start(&[], |tree| {
        tree.service("s/shell", shell);
        tree.service("s/logged", logged);
        tree.service("s/logged/log", "#!/bin/sh\nexec multilog s4096 n2 ./main\n");
        tree.symlink("later", "s/link");
        tree.write("s/file", "");
    });
    let says = |line: &str| wait_line(&site, &format!("daemontools_service_{line}"));
    // A new svweb each time has nothing to remember.
    let agrees = |line: &str| {
        says(line);
        wait_until(line, DEADLINE, || {
            let fresh = svweb(&site.tree, &["--listen", "127.0.0.1:0"]).start();
            lasting(site.address) == lasting(address_of(&fresh))
        });
    };
    agrees("processes{service=\"shell\"} 3");
    agrees("log_bytes{service=\"logged\"} 4");
    let pid = site.tree.wait_up("s/shell");
    process::signal(pid, Signal::KILL);
    site.tree.wait_restart("s/shell", pid);
    agrees("deaths_total{service=\"shell\",cause=\"signal\"} 1");
    agrees("last_signal{service=\"shell\"} 9");
    site.tree.svc("-p", "s/shell");
    agrees("paused{service=\"shell\"} 1");
    // The child stays as a zombie, because its parent does not run, and the grandchild loses its parent.
    let child = site.tree.find(&["sh", "-c", "sleep 1000 & wait"]);
    child.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
    agrees("processes{service=\"shell\"} 2");
    // A line in `current`, and then a rotation.
    let line = "x".repeat(3000);
    site.tree.script("s/logged/run", format!("#!/bin/sh\necho {line}\nexec sleep 1000\n"));
    site.tree.svc("-t", "s/logged");
    agrees("log_bytes{service=\"logged\"} 3005");
    site.tree.svc("-t", "s/logged");
    agrees("starts_total{service=\"logged\"} 3");
    wait_until("a rotation", DEADLINE, || {
        lasting(site.address).iter().all(|it| !it.ends_with(" 3005"))
    });
    agrees("up{service=\"logged\"} 1");
    // Names that come and go, also behind a link.
    site.tree.idle_service("s/new");
    agrees("up{service=\"new\"} 1");
    site.tree.mkdir("s/later");
    agrees("up{service=\"link\"} 0");
    let supervise = site.tree.find(&["supervise", "new"]);
    supervise.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
    agrees("up{service=\"new\"} 1");
    site.tree.rename("s/new", "gone");
    wait_until("no new", DEADLINE, || {
        lasting(site.address).iter().all(|it| !it.contains("\"new\""))
    });
    agrees("up{service=\"shell\"} 1");
}

#[test]
fn a_scrape_opens_no_file_of_a_service_that_has_not_changed() {
    let site = site();
    let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).expect("an inotify descriptor");
    for name in ["web", "a\"b"] {
        let state = site.tree.path(format!("s/{name}/supervise"));
        inotify::add_watch(&watch, state, WatchFlags::OPEN).expect("a watch");
    }
    let opens = || {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&watch, &mut room);
        let mut names = Vec::new();
        while let Ok(event) = reader.next() {
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names
    };
    // The last changes of the start may be unread yet.
    wait_until("a scrape without a change", DEADLINE, || {
        opens();
        metrics(site.address, "Accept: */*");
        opens().is_empty()
    });
    site.tree.svc("-d", "s/web");
    site.tree.wait_down("s/web");
    wait_line(&site, "daemontools_service_up{service=\"web\"} 0");
    assert!(opens().iter().any(|name| name == "history"));
}

#[test]
fn changes_between_scrapes_wake_nothing() {
    let site = site();
    let pid = site.web().pid();
    harness::process::assert_idle(&[pid], Duration::from_millis(200));
    let before = process::sleeps(pid);
    for _ in 0..10 {
        site.tree.svc("-d", "s/web");
        site.tree.wait_down("s/web");
        site.tree.svc("-u", "s/web");
        site.tree.wait_up("s/web");
    }
    assert_eq!(process::sleeps(pid), before);
    wait_line(&site, "daemontools_service_starts_total{service=\"web\"} 11");
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
