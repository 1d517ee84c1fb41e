//! The option files and scripts of a service directory.

use crate::random::Random;
use std::time::Duration;

/// A file beside `run`, by its name, and its text.
pub type File = (String, String);

/// The files of a service directory beside `run` and `down`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(pub Vec<File>);

/// The members of the family.
const PERSONALITIES: [&str; 5] = ["daemontools", "daemontools", "s6", "runit", "encore"];

/// Single option files, each with texts that it can have.
const SINGLE: [(&str, &[&str]); 9] = [
    ("timeout-kill", &["300ms", "2s", "0"]),
    ("down-signal", &["INT", "USR1", "SIGHUP"]),
    ("restart-delay", &["2s", "100ms", "min=1500ms max=3s"]),
    ("restart-limit", &["2 in 10s", "3 in 60s"]),
    ("stop-scope", &["process", "group", "tree", "tree"]),
    ("flag-timeout-killpg", &[""]),
    ("max-death-tally", &["0", "3"]),
    ("timeout-finish", &["500ms", "0"]),
    ("nosetsid", &[""]),
];

impl Options {
    /// Those of a seed, for this kind of service.
    pub(super) fn new(random: &mut Random, service: &str) -> Self {
        let mut files = Vec::new();
        let mut add = |name: &str, text: &str| files.push((name.to_owned(), text.to_owned()));
        let personality = random.one_of(&PERSONALITIES);
        if personality != "daemontools" {
            add("personality", personality);
        }
        let forks = service.starts_with("forks");
        for (name, texts) in SINGLE {
            let is_about_forks = forks && name == "stop-scope" && !random.one_in(4);
            if is_about_forks || random.one_in(4) {
                add(name, random.one_of(texts));
            }
        }
        if service.starts_with("readies") || random.one_in(6) {
            add("notification-fd", "3");
            if random.one_in(2) {
                add("timeout-ready", random.one_of(&["500ms", "2s"]));
            }
        }
        if !forks && random.one_in(8) {
            add("lock-fd", "9");
        }
        if random.one_in(8) {
            add("essential", "any");
        }
        if random.one_in(6) {
            add("check-interval", random.one_of(&["50ms", "1s"]));
            add("timeout-check", "300ms");
            add("check-failures", random.one_of(&["1", "2"]));
            let (time, code) = (random.one_of(&[0, 10, 1000]), random.one_of(&[0, 0, 1, 2]));
            add("check", &format!("#!/bin/script check {time} {code}\n"));
        }
        let scripts: &[&str] = match personality {
            "encore" => &["start", "stop", "notify"],
            "s6" | "runit" => &["finish"],
            _ => &[],
        };
        for script in scripts {
            if random.one_in(2) {
                let time = if script == &"notify" { 10 } else { random.one_of(&[0, 0, 10, 1200]) };
                let code = random.one_of(&[0, 0, 0, 1, 100, 125]);
                add(script, &format!("#!/bin/script {script} {time} {code}\n"));
            }
        }
        Self(files)
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|file| file.0 == name).map(|file| &file.1[..])
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// The member of the family.
    #[must_use]
    pub fn is(&self, personality: &str) -> bool {
        self.text("personality").unwrap_or("daemontools") == personality
    }

    /// Whether there is a script that the personality runs.
    #[must_use]
    pub fn finishes(&self) -> bool {
        self.has("finish") && (self.is("s6") || self.is("runit"))
    }

    /// The time in a file that has one.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<Duration> {
        time(self.text(name)?)
    }

    /// The time until KILL, if supervise sends one.
    #[must_use]
    pub fn kill_time(&self) -> Option<Duration> {
        self.time("timeout-kill").filter(|time| !time.is_zero())
    }

    /// The least time from a failure to the next start.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        let text = self.text("restart-delay")?;
        let first = text.split(' ').next().unwrap_or_default();
        time(first.strip_prefix("min=").unwrap_or(first))
    }

    /// So many failures within so much time make the service fail.
    #[must_use]
    pub fn limit(&self) -> Option<(usize, Duration)> {
        let (count, within) = self.text("restart-limit")?.split_once(" in ")?;
        Some((count.parse().ok()?, time(within)?))
    }

    /// Whether processes in sessions of their own end with the service.
    #[must_use]
    pub fn stops_tree(&self) -> bool {
        self.text("stop-scope") == Some("tree")
    }

    /// Whether the processes of its group end with the service.
    #[must_use]
    pub fn stops_group(&self) -> bool {
        self.stops_tree() || self.text("stop-scope") == Some("group")
    }

    /// Whether `run` leads a process group of its own.
    #[must_use]
    pub fn leads_group(&self) -> bool {
        let leads_session = (self.is("s6") || self.is("encore")) && !self.has("nosetsid");
        let is_group = self.text("stop-scope") == Some("group");
        leads_session || is_group || self.has("flag-timeout-killpg")
    }

    /// Whether the service can fail, so that only a command starts it again.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        self.has("restart-limit") || self.is("encore") || self.is("s6")
    }

    /// Whether supervise ends the service by itself.
    #[must_use]
    pub fn can_end_it(&self) -> bool {
        self.has("check") || self.has("timeout-ready") || self.has("start")
    }
}

/// A time as `300ms` or `2s`.
fn time(text: &str) -> Option<Duration> {
    let number = |text: &str| text.parse().ok();
    match text.strip_suffix("ms") {
        Some(digits) => number(digits).map(Duration::from_millis),
        None => number(text.strip_suffix('s').unwrap_or(text)).map(Duration::from_secs),
    }
}
