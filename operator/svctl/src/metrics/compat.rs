//! The series of node_exporter's collectors for runit and supervisord, which are deprecated there.
//!
//! Dashboards that were made for them go on with `svctl metrics --compat`. Names, labels, help and types are
//! those of node_exporter 1.5.0, and the values are those that it shows for the same services under runit
//! or supervisord.

use super::exposition::{Exposition, Family, FamilyKind, Form, Number, push_label};
use super::facts::{ScanFacts, ServiceFacts, SupervisedFacts};
use super::render::label_of;
use servicedir::{End, State, Want};
use std::time::SystemTime;

/// A collector of node_exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compat {
    /// `--collector.runit`.
    Runit,
    /// `--collector.supervisord`.
    Supervisord,
}

impl Compat {
    /// The words for them.
    pub(crate) const WORDS: [&'static str; 2] = ["runit", "supervisord"];

    /// The collector of a word.
    #[must_use]
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "runit" => Some(Self::Runit),
            "supervisord" => Some(Self::Supervisord),
            _ => None,
        }
    }

    /// The text of the series.
    #[must_use]
    pub(crate) fn render(self, scan: &ScanFacts, form: Form) -> String {
        let (families, label): (&[CompatFamily], fn(&ServiceFacts) -> String) = match self {
            Self::Runit => (RUNIT, runit_labels),
            Self::Supervisord => (SUPERVISORD, supervisord_labels),
        };
        let shown = scan.services.iter().filter_map(|service| {
            // As for node_exporter, a service without a supervisor is not there.
            Some((label(service), service.supervised()?))
        });
        let shown: Vec<(String, &SupervisedFacts)> = shown.collect();
        let mut text = Exposition::new(form, shown.len() * families.len());
        for (family, value) in families {
            text.begin(family);
            for (labels, facts) in &shown {
                if let Some(value) = value(facts) {
                    text.sample(labels, value);
                }
            }
        }
        text.finish()
    }
}

type CompatFamily = (Family, fn(&SupervisedFacts) -> Option<Number>);

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: FamilyKind::Gauge, help }
}

const RUNIT: &[CompatFamily] = &[
    (gauge("node_service_desired_state", "Desired state of runit service."), |facts| {
        Some((facts.want == Want::Up).into())
    }),
    // It looks for the file `down` in the state directory, where there is none.
    (gauge("node_service_normal_state", "Normal state of runit service."), |_| Some(true.into())),
    (gauge("node_service_state", "State of runit service."), |facts| {
        // `runsv` knows down, run and finish.
        Some(Number::Whole(match () {
            () if facts.is_finishing => 2,
            () if facts.is_up() => 1,
            () => 0,
        }))
    }),
    (
        gauge(
            "node_service_state_last_change_timestamp_seconds",
            "Unix timestamp of the last runit service state change.",
        ),
        |facts| Some(seconds(facts.since)),
    ),
];

const SUPERVISORD: &[CompatFamily] = &[
    (gauge("node_supervisord_exit_status", "Process Exit Status"), |facts| {
        Some(Number::Whole(exit_status(facts)))
    }),
    (
        // A counter without _total.
        Family {
            name: "node_supervisord_start_time_seconds",
            kind: FamilyKind::Counter,
            help: "Process start time",
        },
        |facts| is_running(facts).then(|| seconds(facts.since)),
    ),
    (gauge("node_supervisord_state", "Process State"), |facts| {
        Some(Number::Whole(supervisord_state(facts)))
    }),
    (gauge("node_supervisord_up", "Process Up"), |facts| Some(is_running(facts).into())),
];

fn runit_labels(service: &ServiceFacts) -> String {
    let mut labels = label_of(service, "service");
    push_label(&mut labels, "supervisor", b"runit");
    labels
}

/// A program of supervisord is in a group of its own name, unless its configuration makes another one.
fn supervisord_labels(service: &ServiceFacts) -> String {
    let mut labels = label_of(service, "group");
    push_label(&mut labels, "name", &service.name);
    labels
}

/// The number of the state in supervisord's XML-RPC.
fn supervisord_state(facts: &SupervisedFacts) -> i64 {
    match facts.state {
        State::Starting => 10,
        State::Up | State::Ready | State::Paused => 20,
        State::Waiting | State::Blocked => 30,
        State::Stopping => 40,
        // EXITED is a process that ended by itself, and STOPPED is one that was told to stop.
        State::Down if facts.want == Want::Once && facts.last_end.is_some() => 100,
        State::Down => 0,
        State::Failed => 200,
        _ => 1000,
    }
}

/// Whether it is in one of the states that node_exporter counts as up: STARTING, RUNNING and STOPPING.
fn is_running(facts: &SupervisedFacts) -> bool {
    facts.pid.is_some() && matches!(supervisord_state(facts), 10 | 20 | 40)
}

/// The exit status: 0 while it runs and if it could not be started, -1 after a signal.
fn exit_status(facts: &SupervisedFacts) -> i64 {
    match facts.last_end {
        Some(end) if matches!(supervisord_state(facts), 0 | 100) => match end {
            End::Exited(code) => code.into(),
            End::Killed(_) | End::Unknown => -1,
        },
        _ => 0,
    }
}

/// A time in whole seconds since 1970.
fn seconds(time: SystemTime) -> Number {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Number::Whole(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::facts::Supervision;
    use super::super::render::tests::{facts, service};
    use super::*;

    fn values(compat: Compat, facts: SupervisedFacts) -> Vec<String> {
        let scan = ScanFacts { services: vec![service("a", facts)], ..ScanFacts::default() };
        let text = compat.render(&scan, Form::Prometheus);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let last = samples.map(|line| {
            let name = line.split('{').next().unwrap_or_default();
            let short =
                name.trim_start_matches("node_service_").trim_start_matches("node_supervisord_");
            format!("{short} {}", line.rsplit(' ').next().unwrap_or_default())
        });
        last.collect()
    }

    #[test]
    fn a_running_service_looks_like_one_of_runit() {
        let found = values(Compat::Runit, facts());
        let time = "state_last_change_timestamp_seconds 1700000000";
        assert_eq!(found, ["desired_state 1", "normal_state 1", "state 1", time]);
        let finishing =
            SupervisedFacts { pid: None, is_finishing: true, state: State::Stopping, ..facts() };
        assert_eq!(values(Compat::Runit, finishing)[2], "state 2");
        let once = SupervisedFacts { want: Want::Once, ..facts() };
        assert_eq!(values(Compat::Runit, once)[0], "desired_state 0");
    }

    #[test]
    fn states_have_the_numbers_of_supervisord() {
        let start = "start_time_seconds 1700000000";
        let up = values(Compat::Supervisord, facts());
        assert_eq!(up, ["exit_status 0", start, "state 20", "up 1"]);
        let down = SupervisedFacts { pid: None, state: State::Down, ..facts() };
        let ended =
            SupervisedFacts { want: Want::Once, last_end: Some(End::Exited(5)), ..down.clone() };
        assert_eq!(values(Compat::Supervisord, ended), ["exit_status 5", "state 100", "up 0"]);
        let killed =
            SupervisedFacts { want: Want::Down, last_end: Some(End::Killed(15)), ..down.clone() };
        assert_eq!(values(Compat::Supervisord, killed), ["exit_status -1", "state 0", "up 0"]);
        let failed =
            SupervisedFacts { state: State::Failed, last_end: Some(End::Exited(3)), ..down };
        assert_eq!(values(Compat::Supervisord, failed), ["exit_status 0", "state 200", "up 0"]);
    }

    #[test]
    fn a_service_without_a_supervisor_is_left_out() {
        let services =
            vec![ServiceFacts { name: b"a".to_vec(), supervision: Supervision::Unsupervised }];
        let scan = ScanFacts { services, ..ScanFacts::default() };
        for word in Compat::WORDS {
            let text = Compat::from_word(word).unwrap().render(&scan, Form::Prometheus);
            assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
        }
        assert!(Compat::from_word("s6").is_none());
    }
}
