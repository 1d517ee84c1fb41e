use super::super::facts::LogFacts;
use super::*;
use servicedir::Usage;
use std::time::Duration;

fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// A service that runs and has not ended yet.
pub(in super::super) fn facts() -> SupervisedFacts {
    SupervisedFacts {
        state: State::Up,
        pid: std::num::NonZeroU32::new(4711),
        since: at(1_700_000_000_250),
        want: Want::Up,
        paused: false,
        is_ready: true,
        is_finishing: false,
        failures: 0,
        next_start: None,
        last_end: None,
        counters: None,
        usage: None,
        logger: None,
        log: None,
    }
}

pub(in super::super) fn service(name: &str, facts: SupervisedFacts) -> ServiceFacts {
    ServiceFacts { name: name.into(), supervision: Supervision::Supervised(Box::new(facts)) }
}

/// The samples of a text, without `daemontools_`.
fn samples(services: Vec<ServiceFacts>) -> Vec<String> {
    let text = render(&ScanFacts { scanner_up: Some(true), services }, Form::Prometheus);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.trim_start_matches("daemontools_").to_owned()).collect()
}

#[test]
fn a_plain_service_has_the_series_that_are_known() {
    assert_eq!(
        samples(vec![service("web", facts())]),
        [
            "service_up{service=\"web\"} 1",
            "service_ready{service=\"web\"} 1",
            "service_wanted_up{service=\"web\"} 1",
            "service_paused{service=\"web\"} 0",
            "service_failed{service=\"web\"} 0",
            "service_start_time_seconds{service=\"web\"} 1700000000.250",
            "service_state_change_timestamp_seconds{service=\"web\"} 1700000000.250",
            "service_consecutive_failures{service=\"web\"} 0",
            "scanner_up 1",
            "services_denied 0",
            concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ]
    );
}

#[test]
fn a_service_that_waits_has_all_others() {
    let mut usage = Usage::default();
    (usage.processes, usage.memory, usage.processor) = (2, 8192, Duration::from_millis(1230));
    let mut counters = servicedir::Counters::default();
    (counters.starts, counters.deaths) = (9, [5, 1, 2, 0, 1]);
    let waiting = SupervisedFacts {
        state: State::Waiting,
        pid: None,
        is_ready: false,
        failures: 3,
        next_start: Some(at(1_700_000_008_000)),
        last_end: Some(End::Killed(11)),
        counters: Some(counters),
        usage: Some(usage),
        log: Some(LogFacts { bytes: 100, last_write: Some(at(1_700_000_001_000)) }),
        ..facts()
    };
    let found = samples(vec![service("a", waiting)]);
    for expected in [
        "service_up{service=\"a\"} 0",
        "service_ready{service=\"a\"} 0",
        "service_wanted_up{service=\"a\"} 1",
        "service_next_start_timestamp_seconds{service=\"a\"} 1700000008.000",
        "service_consecutive_failures{service=\"a\"} 3",
        "service_last_signal{service=\"a\"} 11",
        "service_starts_total{service=\"a\"} 9",
        "service_deaths_total{service=\"a\",cause=\"exit\"} 5",
        "service_deaths_total{service=\"a\",cause=\"signal\"} 1",
        "service_deaths_total{service=\"a\",cause=\"stop\"} 2",
        "service_deaths_total{service=\"a\",cause=\"unhealthy\"} 0",
        "service_deaths_total{service=\"a\",cause=\"unknown\"} 1",
        "service_memory_bytes{service=\"a\"} 8192",
        "service_cpu_seconds_total{service=\"a\"} 1.230",
        "service_processes{service=\"a\"} 2",
        "service_log_bytes{service=\"a\"} 100",
        "service_log_last_write_timestamp_seconds{service=\"a\"} 1700000001.000",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    assert!(!found.iter().any(|line| line.starts_with("service_start_time_seconds")), "{found:#?}");
    assert!(!found.iter().any(|line| line.starts_with("service_last_exit_code")), "{found:#?}");
}

#[test]
fn a_service_that_may_not_be_read_is_counted() {
    let of = |name: &str, supervision| ServiceFacts { name: name.into(), supervision };
    let services = vec![of("secret", Supervision::Unknown), of("gone", Supervision::Unsupervised)];
    let found = samples(services);
    assert_eq!(found[..3], ["service_up{service=\"gone\"} 0", "scanner_up 1", "services_denied 1"]);
}

#[test]
fn a_service_that_runs_once_is_wanted_until_it_ends() {
    let once = SupervisedFacts { want: Want::Once, ..facts() };
    let ended = SupervisedFacts { pid: None, state: State::Down, ..once.clone() };
    let of = |facts| samples(vec![service("a", facts)])[2].clone();
    assert_eq!(of(once), "service_wanted_up{service=\"a\"} 1");
    assert_eq!(of(ended), "service_wanted_up{service=\"a\"} 0");
}

#[test]
fn openmetrics_has_its_end_and_each_family_once() {
    let scan = ScanFacts { scanner_up: Some(false), services: Vec::new() };
    let text = render(&scan, Form::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let mut types: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!((types.len(), count), (21, 21), "{types:#?}");
}
