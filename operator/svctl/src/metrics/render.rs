//! The metrics of daemontools: their names, and the text of them.

use super::exposition::{Exposition, Family, FamilyKind, Form, Number, push_label};
use super::facts::{ScanFacts, ServiceFacts, SupervisedFacts, Supervision};
use servicedir::{DeathCause, End, State, Want};
use std::time::SystemTime;

/// A family with one sample a service, and the value of a service that has one.
struct ServiceFamily {
    family: Family,
    value: fn(&ServiceFacts) -> Option<Number>,
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&ServiceFacts) -> Option<Number>,
) -> ServiceFamily {
    ServiceFamily { family: Family { name, kind: FamilyKind::Gauge, help }, value }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&ServiceFacts) -> Option<Number>,
) -> ServiceFamily {
    ServiceFamily { family: Family { name, kind: FamilyKind::Counter, help }, value }
}

/// The value of a supervised service.
fn of(
    service: &ServiceFacts,
    value: impl FnOnce(&SupervisedFacts) -> Option<Number>,
) -> Option<Number> {
    service.supervised().and_then(value)
}

/// The metrics of a service, in the order of the text. Deaths have a label more and stand alone.
const SERVICE: &[ServiceFamily] = &[
    gauge(
        "daemontools_service_up",
        "Whether the service runs; 0 without a supervise too, absent if this user may not look.",
        |service| match &service.supervision {
            Supervision::Supervised(facts) => Some(facts.is_up().into()),
            Supervision::Unsupervised => Some(false.into()),
            Supervision::Unknown => None,
        },
    ),
    gauge(
        "daemontools_service_ready",
        "Whether the service is ready; one that does not report readiness is ready once it is up.",
        |service| of(service, |facts| Some((facts.is_up() && facts.is_ready).into())),
    ),
    gauge(
        "daemontools_service_wanted_up",
        "Whether the service is wanted up, or runs once.",
        |service| {
            of(service, |facts| {
                Some((facts.want == Want::Up || facts.want == Want::Once && facts.is_up()).into())
            })
        },
    ),
    gauge("daemontools_service_paused", "Whether a command has stopped the process.", |service| {
        of(service, |facts| Some(facts.paused.into()))
    }),
    gauge(
        "daemontools_service_failed",
        "Whether only a command starts the service again.",
        |service| of(service, |facts| Some((facts.state == State::Failed).into())),
    ),
    gauge(
        "daemontools_service_start_time_seconds",
        "Unix time of the start of the running process.",
        |service| of(service, |facts| facts.pid.map(|_| unix(facts.since))),
    ),
    gauge(
        "daemontools_service_state_change_timestamp_seconds",
        "Unix time of the last start or end of the process.",
        |service| of(service, |facts| Some(unix(facts.since))),
    ),
    gauge(
        "daemontools_service_next_start_timestamp_seconds",
        "Unix time of the next start of a service that waits for it.",
        |service| of(service, |facts| facts.next_start.map(unix)),
    ),
    gauge(
        "daemontools_service_consecutive_failures",
        "Failures in a row, as the restart delay counts them; 0 for a service without option files.",
        |service| of(service, |facts| Some(facts.failures.into())),
    ),
    gauge(
        "daemontools_service_last_exit_code",
        "Exit code of the last end; absent before the first end and if a signal was the cause.",
        |service| {
            of(service, |facts| match facts.last_end? {
                End::Exited(code) => Some(u32::from(code).into()),
                End::Killed(_) | End::Unknown => None,
            })
        },
    ),
    gauge(
        "daemontools_service_last_signal",
        "Signal that caused the last end, or 0 for an exit; absent before the first end.",
        |service| {
            of(service, |facts| match facts.last_end? {
                End::Exited(_) => Some(Number::Whole(0)),
                End::Killed(signal) => Some(u32::from(signal).into()),
                End::Unknown => None,
            })
        },
    ),
    counter(
        "daemontools_service_starts_total",
        "Starts of the service, which supervise counts across kills, upgrades and reboots; 0 again if \
         supervise/history is removed.",
        |service| of(service, |facts| Some(facts.counters?.starts.into())),
    ),
];

/// The deaths of a service.
const DEATHS: Family = Family {
    name: "daemontools_service_deaths_total",
    kind: FamilyKind::Counter,
    help: "Ends of the service by cause: exit, signal, stop (a command or a lost dependency), unhealthy \
           (watchdog, health check or readiness timeout), unknown; they reset as the starts do.",
};

/// What a service uses, in the order of the text, behind the deaths.
const USAGE: &[ServiceFamily] = &[
    gauge(
        "daemontools_service_memory_bytes",
        "Resident memory of the process and its descendants; shared pages count for each.",
        |service| of(service, |facts| Some(whole(facts.usage?.memory))),
    ),
    counter(
        "daemontools_service_cpu_seconds_total",
        "Processor time of the process, its descendants and the children that they have reaped; falls at a \
         restart and when a descendant is left behind.",
        |service| {
            of(service, |facts| {
                let time = facts.usage?.processor.as_millis();
                Some(Number::Milliseconds(u64::try_from(time).unwrap_or(u64::MAX)))
            })
        },
    ),
    gauge("daemontools_service_processes", "The process and its descendants.", |service| {
        of(service, |facts| Some(whole(facts.usage?.processes as u64)))
    }),
    gauge(
        "daemontools_service_log_bytes",
        "Size of all files in the log directories of the service.",
        |service| of(service, |facts| Some(whole(facts.log?.bytes))),
    ),
    gauge(
        "daemontools_service_log_last_write_timestamp_seconds",
        "Unix time of the last write to a log of the service.",
        |service| of(service, |facts| facts.log?.last_write.map(unix)),
    ),
];

const SCANNER: Family = Family {
    name: "daemontools_scanner_up",
    kind: FamilyKind::Gauge,
    help: "Whether an svscan holds the scan directory; absent if its processes cannot be seen.",
};

const DENIED: Family = Family {
    name: "daemontools_services_denied",
    kind: FamilyKind::Gauge,
    help: "Services that this user may not look at, or whose files are damaged; svctl grant gives the right.",
};

const BUILD: Family = Family {
    name: "daemontools_build_info",
    kind: FamilyKind::Info,
    help: "The version of svctl, with the value 1.",
};

/// The text of all metrics.
#[must_use]
pub(crate) fn render(scan: &ScanFacts, form: Form) -> String {
    let services = &scan.services;
    let per_service = SERVICE.len() + USAGE.len() + DeathCause::ALL.len();
    let mut text = Exposition::new(form, services.len() * per_service);
    let labels: Vec<String> = services.iter().map(|it| label_of(it, "service")).collect();
    let add = |text: &mut Exposition, families: &[ServiceFamily]| {
        for ServiceFamily { family, value } in families {
            text.begin(family);
            for (service, labels) in services.iter().zip(&labels) {
                if let Some(value) = value(service) {
                    text.sample(labels, value);
                }
            }
        }
    };
    add(&mut text, SERVICE);
    text.begin(&DEATHS);
    for (service, labels) in services.iter().zip(&labels) {
        let Some(counters) = service.supervised().and_then(|facts| facts.counters) else {
            continue;
        };
        let mut labels = labels.clone();
        let length = labels.len();
        for cause in DeathCause::ALL {
            labels.truncate(length);
            push_label(&mut labels, "cause", cause.word().as_bytes());
            text.sample(&labels, counters.deaths_by(cause));
        }
    }
    add(&mut text, USAGE);
    if let Some(is_up) = scan.scanner_up {
        text.begin(&SCANNER);
        text.sample("", is_up);
    }
    text.begin(&DENIED);
    let denied = services.iter().filter(|it| it.supervision == Supervision::Unknown).count();
    text.sample("", whole(denied as u64));
    text.begin(&BUILD);
    text.sample(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), true);
    text.finish()
}

/// The label with the name of a service.
pub(super) fn label_of(service: &ServiceFacts, key: &str) -> String {
    let mut labels = String::with_capacity(32);
    push_label(&mut labels, key, &service.name);
    labels
}

/// A time in seconds since 1970.
fn unix(time: SystemTime) -> Number {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Number::Milliseconds(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn whole(number: u64) -> Number {
    Number::Whole(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "render_tests.rs"]
pub(super) mod tests;
