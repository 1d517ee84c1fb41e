//! The series of services, and the file for node_exporter.

use super::samples;
use crate::Services;
use harness::{DEADLINE, Signal, note, process, requires, wait_until, without_root};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn a_service_is_measured_through_its_life() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec sleep 1000\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.service("s/bad", "#!/bin/sh\nexit 3\n");
        tree.write("s/bad/restart-limit", "2 in 60s\n");
        tree.service("s/off", "#!/bin/sh\nexec sleep 1000\n");
        tree.write("s/off/down", "");
        tree.symlink("nowhere", "s/gone");
        tree.write("s/README", "");
    });
    services.wait_state("web", "up");
    services.wait_state("bad", "failed");
    services.wait_series("service_log_bytes{service=\"web\"}", "0");
    let text = services.run(&["metrics"]).out();
    for expected in [
        "service_up{service=\"web\"} 1",
        "service_ready{service=\"web\"} 1",
        "service_wanted_up{service=\"web\"} 1",
        "service_starts_total{service=\"web\"} 1",
        "service_deaths_total{service=\"web\",cause=\"exit\"} 0",
        "service_processes{service=\"web\"} 1",
        "service_up{service=\"bad\"} 0",
        "service_failed{service=\"bad\"} 1",
        "service_wanted_up{service=\"bad\"} 0",
        "service_last_exit_code{service=\"bad\"} 3",
        "service_last_signal{service=\"bad\"} 0",
        "service_starts_total{service=\"bad\"} 2",
        "service_deaths_total{service=\"bad\",cause=\"exit\"} 2",
        "service_up{service=\"off\"} 0",
        "service_wanted_up{service=\"off\"} 0",
        "service_starts_total{service=\"off\"} 0",
        "service_up{service=\"gone\"} 0",
        "scanner_up 1",
        "services_denied 0",
    ] {
        assert!(
            text.lines().any(|line| line == format!("daemontools_{expected}")),
            "{expected}: {text}"
        );
    }
    assert!(!text.contains("README"), "{text}");
    let times = [
        "start_time_seconds",
        "state_change_timestamp_seconds",
        "log_last_write_timestamp_seconds",
    ];
    for time in times {
        let time = services.series(&format!("service_{time}{{service=\"web\"}}"));
        let seconds: f64 = time.expect("a time").parse().expect("a number");
        assert!(seconds > 1_600_000_000.0, "{seconds}");
    }
    // The state of one service is asked for.
    let one = services.run(&["metrics", "off"]).out();
    assert!(one.contains("service=\"off\"") && !one.contains("service=\"web\""), "{one}");
    services.run(&["pause", "web"]);
    services.wait_series("service_paused{service=\"web\"}", "1");
}

#[test]
fn counters_go_on_after_a_killed_supervise_and_an_upgrade() {
    let services = Services::start(|tree| drop(tree.idle_service("s/web")));
    services.wait_state("web", "up");
    let pid = || services.service("web")["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    let first = pid().expect("a process");
    process::signal(first, Signal::KILL);
    let starts = "service_starts_total{service=\"web\"}";
    services.wait_series(starts, "2");
    let supervise = || {
        let second = pid()?;
        Some((second, process::parent(second)?))
    };
    let (second, parent) = harness::wait_for("the next process", DEADLINE, supervise);
    process::signal(parent, Signal::KILL);
    // svscan starts the next supervise, which adopts the process.
    let wait_begins = |count| {
        wait_until(&format!("{count} supervises have begun"), DEADLINE, || {
            services.run(&["history", "web"]).out().matches("a supervise began").count() == count
        });
    };
    wait_begins(2);
    assert_eq!(pid(), Some(second));
    assert_eq!(services.series(starts).as_deref(), Some("2"));
    let deaths = "service_deaths_total{service=\"web\",cause=\"signal\"}";
    assert_eq!(services.series(deaths).as_deref(), Some("1"));
    services.svscan.as_ref().expect("an svscan").signal(Signal::USR2);
    wait_begins(3);
    services.run(&["signal", "KILL", "web"]);
    services.wait_series(starts, "3");
    services.wait_series("service_deaths_total{service=\"web\",cause=\"stop\"}", "1");
    assert_eq!(services.series(deaths).as_deref(), Some("1"));
}

#[test]
fn nothing_is_said_of_a_scanner_in_another_pid_namespace() {
    let mut services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/off");
        tree.write("s/off/down", "");
    });
    services.wait_state("web", "up");
    services.wait_state("off", "down");
    let inside = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if services.tree.cmd("true").under(inside).run().code != Some(0) {
        return harness::skip("no PID namespace");
    }
    let run = |services: &Services, words: &[&str]| {
        services.svctl().args(words).under(inside).run().out()
    };
    for state in ["up", "down"] {
        services.run(&[state, "web"]);
        let text = run(&services, &["metrics"]);
        let up = u8::from(state == "up");
        assert!(text.contains(&format!("service_up{{service=\"web\"}} {up}\n")), "{text}");
        assert!(!text.contains("scanner_up"), "{state}: {text}");
        let findings = run(&services, &["doctor", "--json"]);
        assert!(!findings.contains("svscan-missing"), "{state}: {findings}");
    }
    // One that is missing is reported where its services can be seen.
    services.svscan.take().expect("an svscan").kill();
    services.wait_series("scanner_up", "0");
    services.tree.idle_service("s/new");
    let why = run(&services, &["why", "new"]);
    assert!(why.contains("Whether an svscan runs on "), "{why}");
    let why = services.svctl().args(["why", "new"]).run().out();
    assert!(why.contains("No svscan is known to run on "), "{why}");
}

#[test]
fn a_log_is_measured_through_rotations_and_restarts_of_its_logger() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec cat <>../../in\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog s4096 n20 ./main\n");
        tree.fifo("in", 0o600);
    });
    let tree = &services.tree;
    services.wait_series("service_log_bytes{service=\"web\"}", "0");
    let mut scraper = svctl::metrics::Scraper::new(&tree.path("s"));
    let mut last = String::new();
    let mut measured = |bytes: u64| {
        let text = scraper.scrape(svctl::metrics::Form::Prometheus).expect("a scrape");
        let is_of_log = |line: &&str| line.starts_with("daemontools_service_log_bytes");
        let line = text.lines().find(is_of_log).unwrap_or_default().to_owned();
        if line != last {
            note(&line);
            last.clone_from(&line);
        }
        line == format!("daemontools_service_log_bytes{{service=\"web\"}} {bytes}")
    };
    wait_until("an empty log", DEADLINE, || measured(0));
    let line = format!("{}\n", "x".repeat(999));
    for count in 1..=12 {
        tree.write("in", &line);
        wait_until("the line and the files before it", DEADLINE, || measured(count * 1000));
    }
    let before = tree.status("s/web/log").expect("a logger");
    process::signal(before.pid(), Signal::KILL);
    tree.write("in", &line);
    wait_until("a line of the next logger", DEADLINE, || measured(13_000));
    // A file that goes counts no more.
    let files = std::fs::read_dir(tree.path("s/web/log/main")).expect("files").flatten();
    let old = files.map(|file| file.path()).find(|path| path.to_string_lossy().contains("/@"));
    let old = old.expect("an old file");
    let size = old.metadata().expect("a file").len();
    tree.remove(&old);
    wait_until("the other files", DEADLINE, || measured(13_000 - size));
}

#[test]
fn a_scanner_is_seen_through_its_services_and_through_its_lock() {
    let mut services = Services::start(|tree| drop(tree.idle_service("s/web")));
    // Without a process of a service only the lock shows it.
    services.wait_state("web", "up");
    services.wait_series("scanner_up", "1");
    services.run(&["down", "web"]);
    services.wait_series("scanner_up", "1");
    services.run(&["up", "web"]);
    services.svscan.take().expect("an svscan").kill();
    services.wait_series("scanner_up", "0");
    assert_eq!(services.series("service_up{service=\"web\"}").as_deref(), Some("1"));
    services.svscan = Some(services.tree.cmd("svscan").arg("s").start());
    services.wait_series("scanner_up", "1");
    // A service below a supervisor that was left out would have no memory.
    services.wait_series("service_processes{service=\"web\"}", "1");
}

#[test]
fn a_name_of_any_bytes_does_not_spoil_the_text() {
    let names: [&[u8]; 5] = [b"a\nb", b"a\\x0ab", b"\xff\xfe", b"q\"{}", b"<script>"];
    let services = Services::start(|tree| {
        for name in names {
            let dir = std::path::Path::new("s").join(OsStr::from_bytes(name));
            tree.idle_service(&dir);
            tree.write(dir.join("down"), "");
        }
    });
    let output = services.run(&["metrics"]);
    assert_eq!(output.code, Some(0), "{output}");
    let found = samples(&output.out());
    for label in ["a\\\\x0ab", "a\\\\\\\\x0ab", "\\\\xff\\\\xfe", "q\\\"{}", "<script>"] {
        let line = format!("daemontools_service_up{{service=\"{label}\"}} 0");
        assert!(found.contains(&line), "{line}: {found:#?}");
    }
    if requires("promtool") {
        let checked =
            services.tree.cmd("promtool").args(["check", "metrics"]).stdin(output.out()).run();
        assert_eq!((checked.code, checked.err()), (Some(0), String::new()), "{checked}");
    }
}

#[test]
fn a_service_that_may_not_be_read_does_not_fail_the_scrape() {
    if without_root() {
        return;
    }
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.chmod("", 0o755);
    });
    services.wait_state("web", "up");
    let ids = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    let output = services.svctl().arg("metrics").under(ids).run();
    assert_eq!(output.code, Some(0), "{output}");
    let found = samples(&output.out());
    assert!(found.contains(&"daemontools_services_denied 1".to_owned()), "{found:#?}");
    assert!(!found.iter().any(|line| line.contains("service=")), "{found:#?}");
}

#[test]
fn the_file_is_replaced_in_one_step() {
    let services = Services::start(|tree| drop(tree.idle_service("s/web")));
    services.wait_state("web", "up");
    let tree = &services.tree;
    tree.mkdir("metrics");
    tree.write("metrics/services.prom", "old\n");
    tree.chmod("metrics/services.prom", 0o600);
    let output = services
        .svctl()
        .args(["metrics", "--textfile", "metrics/services.prom"])
        .under(["sh", "-c", "umask 077; exec \"$@\"", "sh"])
        .run();
    output.is(0, "", "");
    assert!(
        tree.text("metrics/services.prom").contains("daemontools_service_up{service=\"web\"} 1\n")
    );
    assert_eq!(tree.mode("metrics/services.prom"), 0o644);
    let names = || std::fs::read_dir(tree.path("metrics")).expect("a directory").count();
    assert_eq!(names(), 1, "the temporary file is gone");
    // Without room the old text stays, and no part of the new one.
    let before = tree.text("metrics/services.prom");
    let output = services
        .svctl()
        .args(["metrics", "--textfile", "metrics/services.prom"])
        .under(["prlimit", "--fsize=100", "--"])
        .under(["env", "--ignore-signal=XFSZ"])
        .run();
    let message = "svctl: fatal: unable to write metrics/services.prom: file too large\n";
    output.is(111, "", message);
    assert_eq!((tree.text("metrics/services.prom"), names()), (before, 1));
}

#[test]
fn a_reader_never_finds_a_part_of_the_file() {
    let services = Services::start(|tree| {
        (0..20).for_each(|n| drop(tree.mkdir(format!("s/service-{n}"))));
    });
    let path = services.tree.path("m.prom");
    let write = || services.run(&["metrics", "--textfile", "m.prom"]);
    write();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut reads = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let text = std::fs::read_to_string(&path).expect("the file is there");
                let last = text.lines().last().unwrap_or_default();
                assert!(last.starts_with("daemontools_build_info"), "{last}");
                reads += 1;
            }
            reads
        });
        (0..20).for_each(|_| drop(write()));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().expect("the reader ends") > 0);
    });
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let services = Services::start(|_| {});
    for (words, message) in [
        (&["--compat", "s6"][..], "unable to use --compat s6: not runit or supervisord"),
        (&["--compat", "runit", "--openmetrics"], "unable to use --openmetrics with --compat"),
        (&["--textfile", "x", "--openmetrics"], "unable to use --openmetrics with --textfile"),
    ] {
        let output = services.svctl().arg("metrics").args(words).run();
        output.is(100, "", format!("svctl: fatal: {message}\n"));
    }
    let text = services.run(&["metrics", "--openmetrics"]).out();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    wait_until("the scanner is seen", DEADLINE, || {
        services.series("scanner_up").as_deref() == Some("1")
    });
}
