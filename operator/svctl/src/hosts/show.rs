//! The services of other machines, for a person and for pipes.

use crate::logs::time_argument;
use crate::output::{Output, escape, line, pad};
use crate::times::{age, local, short};
use crate::usage::usage_words;
use crate::view::{colour_of, symbol_of};
use serde_json::Value;
use servicedir::Usage;
use std::time::{Duration, SystemTime};
use unicode_width::UnicodeWidthStr as _;

/// A text of an object, without control characters; empty if it is missing.
fn text(object: &Value, name: &str) -> String {
    object[name].as_str().map(escape).unwrap_or_default()
}

/// A time of an object.
fn time(object: &Value, name: &str) -> Option<SystemTime> {
    Some(time_argument::with_zone(object[name].as_str()?.as_bytes())?.to_system_time())
}

/// The usage of an object; `None` without a process, and from a svctl that does not tell.
fn usage(object: &Value) -> Option<Usage> {
    let mut usage = Usage::default();
    usage.memory = object["memory"].as_u64()?;
    usage.processor = Duration::try_from_secs_f64(object["cpu_seconds"].as_f64()?).ok()?;
    usage.processes = object["processes"].as_u64()?.try_into().ok()?;
    Some(usage)
}

/// What to know beyond the state, from the members of the JSON.
fn note(object: &Value) -> String {
    let state = text(object, "state");
    let mut notes = Vec::new();
    if ["unsupervised", "unknown"].contains(&&*state) {
        return text(object, "reason");
    }
    if object["waiting_for"].is_string() {
        notes.push(format!("waiting for {}", text(object, "waiting_for")));
    }
    let has_trouble = !["up", "ready", "down"].contains(&&*state);
    if has_trouble && let Some(code) = object["last_end"]["exit"].as_u64() {
        notes.push(format!("exit {code}"));
    }
    if has_trouble && object["last_end"]["signal"].is_string() {
        notes.push(format!("killed by {}", text(&object["last_end"], "signal")));
    }
    match object["failures"].as_u64() {
        None | Some(0) => {}
        Some(1) => notes.push("1 death in a row".to_owned()),
        Some(number) => notes.push(format!("{number} deaths in a row")),
    }
    if let Some(next) = time(object, "next_start") {
        let left = next.duration_since(SystemTime::now()).unwrap_or_default();
        notes.push(format!("next start in {}", short(left)));
    }
    notes.extend(object["reason"].as_str().map(escape));
    if state == "down" && object["wanted"] == "down" {
        notes.push("wanted down".to_owned());
    }
    notes.join("; ")
}

/// The list, with the machine in the first column.
pub(super) fn list(output: Output, services: &[Value], is_long: bool) {
    let pid = |service: &Value| service["pid"].as_u64().map(|pid| pid.to_string());
    if !output.terminal {
        for service in services {
            let seconds = time(service, "since").map(|since| age(since).as_secs().to_string());
            let mut cells = vec![
                text(service, "host"),
                text(service, "name"),
                text(service, "state"),
                seconds.unwrap_or_default(),
                pid(service).unwrap_or_default(),
            ];
            if is_long {
                let cell = |text: Option<String>| text.unwrap_or_default();
                let usage = usage(service);
                cells.push(cell(usage.map(|it| it.memory.to_string())));
                cells.push(cell(usage.map(|it| it.processor.as_millis().to_string())));
                cells.push(cell(usage.map(|it| it.processes.to_string())));
            }
            cells.push(note(service));
            line(&cells.join("\t"));
        }
        return;
    }
    let since = |service: &Value| {
        time(service, "since").map_or_else(|| "-".to_owned(), |since| short(age(since)))
    };
    let widest = |cell: &dyn Fn(&Value) -> String| {
        services.iter().map(|service| cell(service).width()).max().unwrap_or(0)
    };
    let host_width = widest(&|service| text(service, "host")).min(output.width / 3);
    let name_width = widest(&|service| text(service, "name")).min(output.width / 3);
    let state_width = widest(&|service| text(service, "state"));
    let since_width = widest(&since);
    for service in services {
        let state = text(service, "state");
        let colour = Some(colour_of(&state));
        let head = format!(
            "{} {}  {}  {}  {}  ",
            output.paint(colour, symbol_of(&state)),
            pad(&text(service, "host"), host_width),
            pad(&text(service, "name"), name_width),
            output.paint(colour, &pad(&state, state_width)),
            pad(&since(service), since_width),
        );
        let mut rest: Vec<String> =
            pid(service).map(|pid| format!("pid {pid}")).into_iter().collect();
        rest.extend(usage(service).filter(|_| is_long).map(usage_words));
        rest.extend(Some(note(service)).filter(|note| !note.is_empty()));
        line(format!("{head}{}", rest.join("  ")).trim_end());
    }
}

/// A line for a change.
pub(super) fn event(output: Output, object: &Value) {
    let at = local(time(object, "at").unwrap_or_else(SystemTime::now));
    let (host, name) = (text(object, "host"), text(object, "name"));
    if object["event"] == "removed" {
        line(&format!("{at}  {host}  {name}  removed"));
        return;
    }
    let state = text(object, "state");
    let word = output.paint(Some(colour_of(&state)), &pad(&state, 12));
    let pid = object["pid"].as_u64().map_or_else(String::new, |pid| format!("pid {pid}  "));
    let note = note(object);
    line(format!("{at}  {host}  {name}  {word}  {pid}{note}").trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn notes_come_from_the_json() {
        let failed = json!({"state": "failed", "failures": 5, "reason": "it died\u{1b}too often",
                            "last_end": {"exit": 78}});
        assert_eq!(note(&failed), "exit 78; 5 deaths in a row; it died\\u{1b}too often");
        assert_eq!(note(&json!({"state": "down", "wanted": "down"})), "wanted down");
        assert_eq!(note(&json!({"state": 5})), "");
    }
}
