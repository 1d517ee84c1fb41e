//! `svctl status`: one service on one screen.

use crate::accounts::Accounts;
use crate::change_words::{change_object, circumstances, last_request, transition};
use crate::command_line::Arguments;
use crate::failure::{DONE, Failure, NOT_UP, UNKNOWN};
use crate::hosts;
use crate::options::{HOST, JSON, LINES};
use crate::output::{Colour, Output, escape, fold, json_line, line, lines, pad};
use crate::selection::{Target, all, named, scan_dir};
use crate::times::{age, local, rfc3339, short};
use crate::usage::{bytes, processes, usage_members};
use crate::verbs::log_tail::last_lines;
use crate::verbs::{changed_files, needs};
use crate::view::SCHEMA;
use crate::view::{DENIED, Found, RIGHTS, View, end_words};
use serde_json::{Map, Value, json};
use servicedir::{Change, ProcessTable, ScanDir, Snapshot, Usage};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

/// The most bytes of a command line that are shown.
const LONGEST_COMMAND: u64 = 4096;

/// The most names of a log directory whose sizes are added up.
const MOST_LOG_FILES: usize = 10_000;

/// The lines of the log that are shown without `-n`.
pub(crate) const USUAL_LINES: usize = 10;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::status(arguments);
    }
    let targets = named(arguments)?;
    let count = arguments.number(&LINES)?;
    let screen = Screen {
        output: arguments.output,
        scan: scan_dir(arguments),
        table: ProcessTable::read().unwrap_or_default(),
        lines: count.unwrap_or(USUAL_LINES),
    };
    let views: Vec<View> = targets.iter().map(View::read).collect();
    if arguments.has(&JSON) {
        let services: Vec<Value> =
            views.iter().map(|view| Value::Object(screen.object(view))).collect();
        json_line(&json!({"schema": SCHEMA, "services": services}));
    } else {
        for (number, view) in views.iter().enumerate() {
            if number > 0 {
                line("");
            }
            lines(&screen.shown(view));
        }
    }
    Ok(views.iter().map(code).max().unwrap_or(DONE))
}

/// The exit code of one service.
fn code(view: &View) -> u8 {
    match &view.found {
        Found::Supervised(it) if it.state.is_usable() && it.is_ready => DONE,
        Found::Supervised(_) | Found::Starting | Found::Unsupervised(_) => NOT_UP,
        Found::Unknown(_) => UNKNOWN,
    }
}

/// What the lines of services need.
pub(crate) struct Screen {
    pub(crate) output: Output,
    pub(crate) scan: ScanDir,
    pub(crate) table: ProcessTable,
    /// The log lines to show.
    pub(crate) lines: usize,
}

impl Screen {
    fn usage(&self, snapshot: &Snapshot) -> Option<Usage> {
        snapshot.status.pid.map(|pid| self.table.usage(pid.get()))
    }

    /// A line of the screen. A text that is wider than the terminal goes on below itself.
    fn field(&self, name: &str, text: &str) -> Vec<String> {
        let name = pad(name, 9);
        let mut folded = fold(&format!("   {name} "), 13, text, self.output.fold_width());
        if let Some(first) = folded.first_mut() {
            let painted = self.output.paint(Some(Colour::Dim), &name);
            *first = first.trim_end().replacen(&name, &painted, 1);
        }
        folded
    }

    fn shown(&self, view: &View) -> Vec<String> {
        let mut shown = vec![self.head(view)];
        shown.extend(self.fields(view));
        shown.extend(self.memory(view));
        shown.extend(self.log(view));
        shown
    }

    /// The line of the state and its age.
    pub(crate) fn head(&self, view: &View) -> String {
        let paint = |text: &str| self.output.paint(Some(view.colour()), text);
        let mut head = format!(
            "{} {} — {}",
            paint(view.symbol()),
            self.output.paint(Some(Colour::Bold), &view.target.shown()),
            paint(view.word())
        );
        let Some(snapshot) = view.snapshot() else {
            let why = view.reason().unwrap_or_default();
            let hint = if why == DENIED { format!(" ({RIGHTS})") } else { String::new() };
            return format!("{head}: {why}{hint}");
        };
        let status = snapshot.status;
        head += &format!(" for {}", short(age(status.since)));
        if let Some(pid) = status.pid {
            head += &format!(", pid {pid}");
        }
        head += &format!(", wanted {}", status.want);
        if view.target.dir.path().join("down").exists() {
            head += ", held (the file down exists)";
        }
        head
    }

    /// The lines that change only with the service.
    pub(crate) fn fields(&self, view: &View) -> Vec<String> {
        let Some(snapshot) = view.snapshot() else { return Vec::new() };
        let mut shown = self.command(snapshot).unwrap_or_default();
        let note = view.note();
        // The line of the last end says the same.
        if !note.is_empty() && snapshot.last_end.map(end_words).as_ref() != Some(&note) {
            shown.extend(self.field("note", &note));
        }
        let changes = view.target.dir.history().ok().flatten().unwrap_or_default();
        if let Some(end) = snapshot.last_end {
            let when = ended_at(snapshot, &changes).map(|at| format!("{}  ", local(at)));
            let when = when.unwrap_or_default();
            let is_killed = snapshot.detail.as_ref().is_some_and(|detail| detail.out_of_memory);
            let cause = if is_killed { ", out of memory" } else { "" };
            shown.extend(self.field("last end", &format!("{when}{}{cause}", end_words(end))));
        }
        shown.extend(self.changes(&changes));
        shown.extend(
            changed_files::in_words(view).iter().flat_map(|text| self.field("edited", text)),
        );
        if let Some(ready) = snapshot.detail.as_ref().and_then(|detail| detail.ready) {
            shown.extend(self.field("ready", &format!("since {}", local(ready))));
        }
        if let Some(message) = snapshot.detail.as_ref().and_then(|it| it.message.as_ref()) {
            shown.extend(self.field("says", &escape(message)));
        }
        shown.extend(self.relations(&view.target));
        shown
    }

    /// The line of memory and processor time.
    pub(crate) fn memory(&self, view: &View) -> Option<String> {
        let usage = self.usage(view.snapshot()?)?;
        let cpu = usage.processor.as_millis() / 100;
        let memory = format!("{} in {}", bytes(usage.memory), processes(usage.processes));
        self.field("memory", &format!("{memory}, cpu {}.{} s", cpu / 10, cpu % 10)).pop()
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Vec<String>> {
        let pid = snapshot.status.pid?;
        // The process decides how long it is.
        let file = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
        let mut text = Vec::new();
        file.take(LONGEST_COMMAND).read_to_end(&mut text).ok()?;
        let words = text.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        let command = words.collect::<Vec<_>>().join(" ");
        let user = fs::metadata(format!("/proc/{pid}"))
            .ok()
            .and_then(|it| Accounts::read().ok()?.name_of(it.uid()));
        let user = user.map_or_else(String::new, |name| format!("  (user {name})"));
        Some(self.field("command", &format!("{}{user}", escape(command.trim_end()))))
    }

    /// The last change, and the last command if that is another one.
    fn changes(&self, changes: &[Change]) -> Vec<String> {
        let show = |name, change: &Change| {
            let (when, phases) = (local(change.at), transition(change));
            let text = format!("{when}  {phases}  {}", circumstances(change));
            self.field(name, text.trim_end())
        };
        let Some(last) = changes.last() else { return Vec::new() };
        let mut shown = show("changed", last);
        let asked = last_request(changes, |_| true);
        if let Some(asked) = asked.filter(|it| it.number != last.number) {
            shown.extend(show("asked", asked));
        }
        shown
    }

    /// What it needs, and which services need it.
    fn relations(&self, target: &Target) -> Vec<String> {
        let state = |name| {
            let word = needs::find(&self.scan, name).map_or("missing", |it| View::read(&it).word());
            format!("{} ({word})", escape(&name.to_string_lossy()))
        };
        let mut shown = Vec::new();
        let needed: Vec<String> = needs::names(target).iter().map(state).collect();
        if !needed.is_empty() {
            shown.extend(self.field("needs", &needed.join(", ")));
        }
        let all = all(&self.scan).unwrap_or_default();
        let by: Vec<String> = needs::dependents(&all, target).iter().map(|it| it.shown()).collect();
        if !by.is_empty() {
            shown.extend(self.field("needed by", &by.join(", ")));
        }
        shown
    }

    /// The log directories and the last lines of a supervised service.
    pub(crate) fn log(&self, view: &View) -> Vec<String> {
        let target = &view.target;
        let mut shown = Vec::new();
        let Some(logger) = view.snapshot().and_then(|_| target.dir.logger()) else { return shown };
        for dir in &target.dir.log_dirs().unwrap_or_default() {
            let mut names = fs::read_dir(dir).into_iter().flatten().flatten();
            let sizes: Vec<u64> = names
                .by_ref()
                .take(MOST_LOG_FILES)
                .filter(|file| {
                    file.file_name() == "current"
                        || file.file_name().as_encoded_bytes().starts_with(b"@")
                })
                .filter_map(|file| file.metadata().ok())
                .map(|found| found.len())
                .collect();
            let total = bytes(sizes.iter().fold(0, |sum, size| sum.saturating_add(*size)));
            let least = if names.next().is_some() { "at least " } else { "" };
            let plural = if sizes.len() == 1 { "" } else { "s" };
            let path = escape(&dir.to_string_lossy());
            shown.extend(
                self.field(
                    "log",
                    &format!("{path} ({least}{} file{plural}, {total})", sizes.len()),
                ),
            );
        }
        if let Ok(Some(status)) = logger.status()
            && status.pid.is_none()
        {
            shown.extend(self.field("logger", "down: the service blocks when its pipe is full"));
        }
        let last = last_lines(&target.dir, self.lines).shown();
        let width = self.output.fold_width();
        shown.extend(last.iter().flat_map(|text| fold("   ", 6, text, width)));
        shown
    }

    /// The object of a service in the JSON.
    pub(crate) fn object(&self, view: &View) -> Map<String, Value> {
        let mut object = view.json();
        let history = view.target.dir.history().ok().flatten().unwrap_or_default();
        let ended = view.snapshot().and_then(|snapshot| ended_at(snapshot, &history));
        if let Some(Value::Object(end)) = object.get_mut("last_end") {
            end.insert("at".to_owned(), json!(ended.map(rfc3339)));
        }
        let usage = view.snapshot().and_then(|snapshot| self.usage(snapshot));
        let names = |names: Vec<std::ffi::OsString>| -> Vec<String> {
            names.iter().map(|name| name.to_string_lossy().into_owned()).collect()
        };
        let all = all(&self.scan).unwrap_or_default();
        let by: Vec<String> = needs::dependents(&all, &view.target)
            .iter()
            .map(|it| it.name.to_string_lossy().into_owned())
            .collect();
        let logs = view.target.dir.log_dirs().unwrap_or_default();
        let logs: Vec<String> = logs.iter().map(|dir| dir.to_string_lossy().into_owned()).collect();
        let tail = last_lines(&view.target.dir, self.lines);
        let detail = view.snapshot().and_then(|it| it.detail.as_ref());
        let more = [
            ("needs", json!(names(needs::names(&view.target)))),
            ("needed_by", json!(by)),
            ("held", json!(view.target.dir.path().join("down").exists())),
            ("ready_since", json!(detail.and_then(|it| it.ready).map(rfc3339))),
            ("log_dirs", json!(logs)),
            ("last_change", json!(history.last().map(change_object))),
            ("last_request", json!(last_request(&history, |_| true).map(change_object))),
            ("log_tail", json!(tail.lines())),
            ("log_limit", json!(tail.limit)),
        ];
        object.extend(more.map(|(key, value)| (key.to_owned(), value)));
        object.extend(usage_members(usage));
        object
    }
}

/// When `run` last ended: since then a service without a process is down, and the history has it for the others.
fn ended_at(snapshot: &Snapshot, history: &[Change]) -> Option<SystemTime> {
    if snapshot.status.pid.is_none() {
        return Some(snapshot.status.since);
    }
    let last = history.iter().rev().find(|change| change.end.is_some())?;
    (last.end == snapshot.last_end).then_some(last.at)
}
