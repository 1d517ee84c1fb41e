//! The limits of a unit, as lines of the option file `resource-limits`.

use super::unit_file::{Unit, is_true};
use servicedir::option_mistake;

/// The directives and the words for them.
const LIMITS: [(&str, &str); 16] = [
    ("LimitCPU", "cpu-time"),
    ("LimitFSIZE", "fsize"),
    ("LimitDATA", "data"),
    ("LimitSTACK", "stack"),
    ("LimitCORE", "core"),
    ("LimitRSS", "rss"),
    ("LimitNPROC", "nproc"),
    ("LimitNOFILE", "nofile"),
    ("LimitMEMLOCK", "memlock"),
    ("LimitAS", "as"),
    ("LimitLOCKS", "locks"),
    ("LimitSIGPENDING", "sigpending"),
    ("LimitMSGQUEUE", "msgqueue"),
    ("LimitNICE", "nice-limit"),
    ("LimitRTPRIO", "rtprio"),
    ("LimitRTTIME", "rttime"),
];

const OTHERS: [(&str, &str); 5] = [
    ("Nice", "nice"),
    ("OOMScoreAdjust", "oom-score"),
    ("MemoryMax", "memory"),
    ("CPUQuota", "cpu"),
    ("TasksMax", "pids"),
];

/// The text of `resource-limits`. What supervise would refuse is added to `missing`.
pub(super) fn text(unit: &mut Unit, has_user: bool, missing: &mut Vec<String>) -> String {
    let mut lines = Vec::new();
    for (key, word) in LIMITS.into_iter().chain(OTHERS) {
        let Some(value) = unit.take("Service", key).and_then(|mut values| values.pop()) else {
            continue;
        };
        let line = format!("{word} {}", value.replace("infinity", "unlimited"));
        keep_if_right(line, format!("{key}={value}"), &mut lines, missing);
    }
    if let Some(values) = unit.take("Service", "NoNewPrivileges") {
        let is_set = values.last().is_some_and(|value| is_true(value));
        lines.extend(is_set.then(|| "no-new-privs".to_owned()));
    }
    if let Some(values) = unit.take("Service", "CapabilityBoundingSet") {
        let written = format!("CapabilityBoundingSet={}", values.join(" "));
        if has_user {
            // A process that is not root's has no capabilities anyway, unless it starts a program
            // that gives some, which no-new-privs forbids.
            missing.push(format!("{written} (setuidgid needs capabilities)"));
        } else if values.iter().any(|value| value.starts_with('~')) {
            missing.push(format!("{written} (resource-limits lists what stays)"));
        } else {
            let names = values.join(" ").to_ascii_lowercase();
            let names = if names.is_empty() { "none".to_owned() } else { names };
            keep_if_right(format!("capabilities {names}"), written, &mut lines, missing);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn keep_if_right(
    line: String,
    written: String,
    lines: &mut Vec<String>,
    missing: &mut Vec<String>,
) {
    if option_mistake("resource-limits", line.as_bytes()).is_none() {
        lines.push(line);
    } else {
        missing.push(written);
    }
}
