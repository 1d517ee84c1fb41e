//! `svctl list`: one line a service.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::hosts;
use crate::options::{DOWN, FAILED, HOST, JSON, LONG};
use crate::output::{Colour, json_line, line, lines, pad, print};
use crate::selection::{named_or_all, scan_dir};
use crate::times::age;
use crate::usage::{usage_members, usage_words};
use crate::view::{DENIED, Found, RIGHTS, SCHEMA, View};
use daemontools_core::sorting::sort_by_key;
use serde_json::{Value, json};
use servicedir::ProcessTable;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// The length of a list that gets a line with the number of services in each state.
const MANY: usize = 10;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::list(arguments);
    }
    let scan = scan_dir(arguments);
    let targets = named_or_all(&scan, arguments)?;
    let is_wanted = |view: &View| {
        (!arguments.has(&FAILED) || view.is_failing())
            && (!arguments.has(&DOWN) || !view.state().is_some_and(servicedir::State::is_usable))
    };
    let table = arguments.has(&LONG).then(|| ProcessTable::read().unwrap_or_default());
    if arguments.has(&JSON) {
        let views: Vec<View> = targets.iter().map(View::read).filter(is_wanted).collect();
        let services: Vec<Value> = views.iter().map(|view| object(view, table.as_ref())).collect();
        json_line(&json!({"schema": SCHEMA, "services": services}));
        return Ok(DONE);
    }
    let is_none = targets.is_empty();
    let views = targets.into_iter().map(View::read_for_note).filter(is_wanted);
    if arguments.output.terminal {
        let views: Vec<View> = views.collect();
        show(arguments, &views, table.as_ref());
        if views.is_empty() {
            let path = crate::output::escape(&scan.path().to_string_lossy());
            let is_all = arguments.operands.is_empty() && is_none;
            line(&if is_all {
                format!("no service in {path} (svctl help new)")
            } else {
                format!("no such service in {path}")
            });
        }
    } else {
        let mut text = String::new();
        for view in views {
            push_columns(&view, table.as_ref(), &mut text);
        }
        print(&text);
    }
    Ok(DONE)
}

fn object(view: &View, table: Option<&ProcessTable>) -> Value {
    let mut object = view.json();
    if let Some(table) = table {
        let pid = view.snapshot().and_then(|it| it.status.pid);
        object.extend(usage_members(pid.map(|pid| table.usage(pid.get()))));
    }
    Value::Object(object)
}

/// Appends the columns for programs: name, state, seconds, process, note; with `-l` memory in bytes, processor
/// time in milliseconds and the number of processes before the note.
fn push_columns(view: &View, table: Option<&ProcessTable>, text: &mut String) {
    let snapshot = view.snapshot();
    let pid = snapshot.and_then(|it| it.status.pid);
    text.push_str(&view.target.shown());
    text.push('\t');
    text.push_str(view.word());
    let mut push = |number: Option<u64>| {
        text.push('\t');
        if let Some(number) = number {
            let _ = write!(text, "{number}");
        }
    };
    push(snapshot.map(|it| age(it.status.since).as_secs()));
    push(pid.map(|pid| pid.get().into()));
    if let Some(table) = table {
        let usage = pid.map(|pid| table.usage(pid.get()));
        push(usage.map(|usage| usage.memory));
        push(usage.map(|usage| u64::try_from(usage.processor.as_millis()).unwrap_or(u64::MAX)));
        push(usage.map(|usage| usage.processes as u64));
    }
    text.push('\t');
    text.push_str(&view.note());
    text.push('\n');
}

fn show(arguments: &Arguments, views: &[View], table: Option<&ProcessTable>) {
    let output = arguments.output;
    let widest = |cells: &dyn Fn(&View) -> String| {
        views.iter().map(|view| cells(view).width()).max().unwrap_or(0)
    };
    let name_width = widest(&|view| view.target.shown()).min(output.width / 2);
    let state_width = widest(&|view| view.word().to_owned());
    let age_width = widest(&View::age);
    let mut shown = Vec::new();
    for view in views {
        let head = format!(
            "{} {}  {}  {}  ",
            output.paint(Some(view.colour()), view.symbol()),
            pad(&view.target.shown(), name_width),
            output.paint(Some(view.colour()), &pad(view.word(), state_width)),
            pad(&view.age(), age_width),
        );
        let pid = view.snapshot().and_then(|it| it.status.pid);
        let mut rest: Vec<String> = pid.iter().map(|pid| format!("pid {pid}")).collect();
        if let (Some(table), Some(pid)) = (table, pid) {
            let usage = table.usage(pid.get());
            rest.push(usage_words(usage));
        }
        let note = view.note();
        rest.extend((!note.is_empty()).then_some(note));
        let text = format!("{head}{}", rest.join("  "));
        shown.push(text.trim_end().to_owned());
        if view.is_failing() && view.snapshot().is_some() {
            let hint = format!("    svctl why {}", view.target.shown());
            shown.push(output.paint(Some(Colour::Cyan), &hint));
        }
    }
    if views.iter().any(|view| matches!(&view.found, Found::Unknown(why) if why == DENIED)) {
        shown.push(format!("{DENIED}: {RIGHTS}"));
    }
    if views.len() >= MANY {
        shown.push(counts(views));
    }
    lines(&shown);
}

/// The number of services in each state, below a list that may not fit on the screen.
fn counts(views: &[View]) -> String {
    let mut states: Vec<(&str, usize)> = Vec::new();
    for view in views {
        match states.iter_mut().find(|(word, _)| *word == view.word()) {
            Some((_, count)) => *count += 1,
            None => states.push((view.word(), 1)),
        }
    }
    sort_by_key(&mut states, |(word, count)| (std::cmp::Reverse(*count), *word));
    let states: Vec<String> =
        states.iter().map(|(word, count)| format!("{count} {word}")).collect();
    format!("{} services: {}", views.len(), states.join(", "))
}
