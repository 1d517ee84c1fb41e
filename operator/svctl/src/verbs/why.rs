//! `svctl why`: a paragraph that a person can act on.

use crate::change_words::{last_request, requested_by};
use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::options::JSON;
use crate::output::{Colour, Output, escape, fold, json_line, line, lines, wrap};
use crate::selection::{Target, is_svscan_hidden, named, scan_dir};
use crate::times::{age, local, short};
use crate::verbs::doctor::{self, finding::Finding};
use crate::verbs::log_tail::{LogTail, last_lines, log_command};
use crate::verbs::{changed_files, needs, readiness};
use crate::view::SCHEMA;
use crate::view::{DENIED, Found, View, end_words, is_fault};
use serde_json::json;
use servicedir::{Cause, Change, Command, Phase, Reason, ScanDir, Snapshot, State, Want};
use std::fs;
use std::time::Duration;

/// The log lines below an explanation.
const LINES: usize = 5;

/// How long ago deaths are counted.
const RECENT: Duration = Duration::from_secs(600);

/// A process that is younger may end as the one before it.
const YOUNG: Duration = Duration::from_secs(5);

/// The most dependencies that are followed: they may form a circle.
const DEPTH: usize = 20;

/// What is known about the state of a service, and what to do.
#[derive(Default)]
struct Explanation {
    sentences: Vec<String>,
    /// Commands to copy.
    remedies: Vec<String>,
    /// The service whose log says more.
    culprit: Option<Target>,
    /// The findings of doctor that the sentences contain.
    said: Vec<&'static str>,
}

impl Explanation {
    fn of(scan: &ScanDir, view: &View) -> Self {
        let said = vec!["crash-loop", "waits-for-needs", "not-ready"];
        let mut explanation = Self { said, ..Self::default() };
        explanation.service(scan, view, 0);
        explanation
    }

    /// The last lines of the log of the culprit, and the culprit.
    fn log<'a>(&'a self, target: &'a Target) -> (&'a Target, LogTail) {
        let culprit = self.culprit.as_ref().unwrap_or(target);
        (culprit, last_lines(&culprit.dir, LINES))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let targets = named(arguments)?;
    let scan = scan_dir(arguments);
    if !arguments.has(&JSON) {
        for (number, target) in targets.iter().enumerate() {
            if number > 0 {
                line("");
            }
            lines(&shown(&scan, target, arguments.output));
        }
        return Ok(DONE);
    }
    let object = |target: &Target| {
        let view = View::read(target);
        let findings = doctor::of_services(&scan, std::slice::from_ref(target));
        let explanation = Explanation::of(&scan, &view);
        let (culprit, log) = explanation.log(target);
        json!({
            "name": target.name.to_string_lossy(),
            "state": view.word(),
            "explanation": explanation.sentences,
            "remedies": explanation.remedies,
            "log_of": culprit.name.to_string_lossy(),
            "log_tail": log.lines(),
            "log_limit": log.limit,
            "findings": findings.iter().map(doctor::object).collect::<Vec<_>>(),
        })
    };
    let objects: Vec<_> = targets.iter().map(object).collect();
    json_line(&json!({"schema": SCHEMA, "services": objects}));
    Ok(DONE)
}

/// The lines for a service.
pub(crate) fn shown(scan: &ScanDir, target: &Target, output: Output) -> Vec<String> {
    let view = View::read(target);
    let findings = doctor::of_services(scan, std::slice::from_ref(target));
    let explanation = Explanation::of(scan, &view);
    let paint = |colour, text: &str| output.paint(Some(colour), text);
    let sentences = explanation.sentences.join(" ");
    // The symbol and a space take two columns.
    let width = output.width.saturating_sub(2);
    let mut first = paint(view.colour(), view.symbol());
    let mut shown = Vec::new();
    for text in wrap("", 0, &sentences, width) {
        shown.push(format!("{first} {}", paint(Colour::Bold, &text)));
        first = " ".to_owned();
    }
    let (culprit, log) = explanation.log(target);
    let log = log.shown();
    if !log.is_empty() {
        shown.push(format!("   The last lines of the log of {}:", culprit.shown()));
        let width = output.fold_width();
        shown.extend(log.iter().flat_map(|text| fold("      ", 9, text, width)));
    }
    let arrow = paint(Colour::Cyan, "→");
    shown.extend(explanation.remedies.iter().map(|remedy| format!("   {arrow} {remedy}")));
    let is_new = |finding: &&Finding| !explanation.said.contains(&finding.check.id);
    let news = findings.iter().filter(is_new);
    shown.extend(news.flat_map(|finding| doctor::shown(output, finding)));
    shown
}

impl Explanation {
    fn say(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    fn advise(&mut self, remedy: impl Into<String>) {
        self.remedies.push(remedy.into());
    }

    fn service(&mut self, scan: &ScanDir, view: &View, depth: usize) {
        let name = view.target.shown();
        self.culprit = Some(view.target.clone());
        match &view.found {
            Found::Supervised(snapshot) => self.supervised(scan, view, snapshot, depth),
            Found::Unknown(why) => {
                self.say(format!("{name} cannot be looked at: {why}."));
                if why == DENIED {
                    self.say("root sees it, and so does a group that root lets see it.".to_owned());
                    self.advise(format!("sudo svctl why {name}"));
                    self.advise(format!("sudo svctl grant --read GROUP {name}"));
                }
            }
            Found::Starting => {
                self.say(format!("The supervise of {name} is starting and does not listen yet."));
            }
            Found::Unsupervised(why) => self.unsupervised(scan, view, why),
        }
    }

    fn unsupervised(&mut self, scan: &ScanDir, view: &View, why: &str) {
        let name = view.target.shown();
        self.say(format!("{name} is not supervised: {why}."));
        let dir = escape(&scan.path().to_string_lossy());
        let path = view.target.dir.path();
        if !path.join("run").exists() && !path.join("command").exists() {
            self.advise(format!("ls -l {}", escape(&path.to_string_lossy())));
            self.advise("svctl help new");
        } else if scan.svscan().ok().flatten().is_none() && is_svscan_hidden(scan) {
            self.say(format!(
                "Whether an svscan runs on {dir} cannot be seen here, as in another PID namespace."
            ));
        } else if scan.svscan().ok().flatten().is_none() {
            self.say(format!("No svscan is known to run on {dir}."));
            self.advise(format!("svscan {dir} &"));
        } else {
            self.say(
                "svscan writes to its standard error why it cannot start a supervise.".to_owned(),
            );
            self.advise("ps -C readproctitle -o args=".to_owned());
        }
    }

    fn supervised(&mut self, scan: &ScanDir, view: &View, snapshot: &Snapshot, depth: usize) {
        let name = view.target.shown();
        let since = short(age(snapshot.status.since));
        let detail = snapshot.detail.as_ref();
        match snapshot.state {
            State::Up | State::Ready => {
                let word = snapshot.state;
                self.say(format!("{name} has been {word} for {since}."));
                if let Some(reason) = detail.and_then(|it| it.reason) {
                    self.say(format!("supervise restarted it before: {}.", reason.words()));
                }
                if let Some(change) = changed_files::in_words(view) {
                    self.say(format!("{change}."));
                }
                if let Some(end) = snapshot.last_end.filter(|end| is_fault(*end)) {
                    self.say(format!("The process before it ended by itself: {}.", end_words(end)));
                    self.advise(log_command(&view.target.dir, &name));
                    if self.deaths(view) || age(snapshot.status.since) < YOUNG {
                        self.advise(format!("svctl edit {name}"));
                        self.advise(format!("svctl restart {name}"));
                    }
                }
            }
            State::Down => self.down(view, snapshot),
            State::Paused => {
                self.say(format!("{name} was paused: its process is stopped and does nothing."));
                self.request(view, "paused", |cause| *cause == Cause::Command(Command::Pause));
                self.advise(format!("svctl cont {name}"));
            }
            State::Stopping => self.stopping(view, snapshot),
            State::Starting => {
                self.say(format!(
                    "{name} has been starting for {since} and has not reported that it is ready."
                ));
                if let Some(script) = detail.and_then(|it| it.script) {
                    self.say(format!("Its script runs as process {script}."));
                }
                self.say(readiness::how(view));
                self.advise(log_command(&view.target.dir, &name));
            }
            State::Blocked => self.blocked(scan, view, snapshot, depth),
            State::Waiting => self.waiting(view, snapshot),
            State::Failed => self.failed(view, snapshot),
            _ => self.say(format!("{name} is {}.", snapshot.state)),
        }
    }

    fn down(&mut self, view: &View, snapshot: &Snapshot) {
        let name = view.target.shown();
        let when = local(snapshot.status.since);
        let is_held = view.target.dir.path().join("down").exists();
        match (snapshot.status.want, snapshot.last_end) {
            (Want::Once, Some(end)) => {
                self.say(format!("{name} ran once and ended at {when}: {}.", end_words(end)));
            }
            (_, None) if is_held => {
                self.say(format!("{name} has not been started: the file down exists."));
                self.advise(format!("svctl release {name}"));
            }
            (_, end) => {
                let end = end.map_or_else(String::new, |end| format!(" ({})", end_words(end)));
                self.say(format!("{name} was told to stop and has been down since {when}{end}."));
                self.stopper(view);
                if is_held {
                    self.say(
                        "The file down exists, so it is not started at the next boot.".to_owned(),
                    );
                    self.advise(format!("svctl release {name}"));
                }
            }
        }
        self.advise(format!("svctl up {name}"));
    }

    /// Says which command or signal stopped the service, as far as its history tells.
    fn stopper(&mut self, view: &View) {
        self.request(view, "stopped", |cause| {
            matches!(cause, Cause::Command(Command::Down) | Cause::Signal(_))
        });
    }

    /// Says which command or signal has done something to the service, as far as its history tells.
    fn request(&mut self, view: &View, done: &str, is_meant: impl Fn(&Cause) -> bool) {
        let changes = view.target.dir.history().ok().flatten().unwrap_or_default();
        if let Some(change) = last_request(&changes, is_meant) {
            self.say(format!("It was {done} {}.", requested_by(change)));
        }
    }

    /// Says how often the service has ended by itself in the last minutes, if that is more than once. Returns
    /// whether it is.
    fn deaths(&mut self, view: &View) -> bool {
        let changes = view.target.dir.history().ok().flatten().unwrap_or_default();
        let is_death = |change: &&Change| change.end.is_some_and(is_fault);
        let ages = changes.iter().filter(is_death).map(|change| age(change.at));
        let recent: Vec<_> = ages.filter(|age| *age < RECENT).collect();
        let is_often = recent.len() > 1;
        if let Some(first) = recent.iter().max().filter(|_| is_often) {
            let count = recent.len();
            self.say(format!("It has ended {count} times in the last {}.", short(*first)));
        }
        is_often
    }

    fn stopping(&mut self, view: &View, snapshot: &Snapshot) {
        let name = view.target.shown();
        let Some(pid) = snapshot.status.pid else {
            self.say(format!("{name} has ended, and its finish or stop script runs."));
            return;
        };
        self.say(format!("{name} was told to stop, and its process {pid} still runs."));
        self.stopper(view);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        // Bit 14 is TERM.
        for (key, word) in [("SigIgn:", "ignores"), ("SigBlk:", "blocks")] {
            if mask(key).is_some_and(|mask| mask & (1 << 14) != 0) {
                self.say(format!("It {word} TERM."));
            }
        }
        if status.lines().any(|line| line.starts_with("State:") && line.contains('D')) {
            self.say(
                "It waits for a device or a file system, which no signal interrupts.".to_owned(),
            );
        }
        self.advise(format!("svctl signal KILL {name}"));
    }

    fn blocked(&mut self, scan: &ScanDir, view: &View, snapshot: &Snapshot, depth: usize) {
        let name = view.target.shown();
        let detail = snapshot.detail.as_ref();
        let Some(need) = detail.and_then(|it| it.waiting_for.as_ref()) else {
            self.say(format!("{name} waits for a service that it needs."));
            return;
        };
        let shown = escape(&need.to_string_lossy());
        self.say(format!("{name} needs {shown}, which is not ready."));
        match needs::find(scan, need) {
            Some(target) if depth < DEPTH => self.service(scan, &View::read(&target), depth + 1),
            Some(_) => self.say("Its dependencies form a circle.".to_owned()),
            None => {
                let dir = escape(&scan.path().to_string_lossy());
                self.say(format!("There is no {shown} in {dir}."));
                self.advise(format!("svctl edit {name} needs"));
            }
        }
    }

    fn waiting(&mut self, view: &View, snapshot: &Snapshot) {
        let name = view.target.shown();
        let detail = snapshot.detail.as_ref();
        if detail.is_some_and(|it| it.phase == Phase::Listening) {
            self.say(format!("{name} starts with the first connection."));
            return;
        }
        let when = local(snapshot.status.since);
        match snapshot.last_end {
            Some(end) => {
                self.say(format!(
                    "{name} ended at {when} ({}) and is started again.",
                    end_words(end)
                ));
            }
            None => self.say(format!("{name} waits for its start since {when}.")),
        }
        self.out_of_memory(view, snapshot);
        if let Some(detail) = detail {
            if detail.failures > 1 {
                self.say(format!("It died {} times in a row.", detail.failures));
            } else {
                self.deaths(view);
            }
            match detail.reason {
                Some(Reason::Options) => self.mistakes(view),
                Some(reason) => self.say(format!("supervise had stopped it: {}.", reason.words())),
                None => {}
            }
            if let Some(next) = detail.next {
                let left = next.duration_since(std::time::SystemTime::now()).unwrap_or_default();
                self.say(format!("The next start is in {}.", short(left)));
            }
        }
        if detail.is_none_or(|it| it.reason != Some(Reason::Options)) {
            self.advise(log_command(&view.target.dir, &name));
            self.advise(format!("svctl edit {name}"));
            self.advise(format!("svctl restart {name}"));
        }
    }

    fn out_of_memory(&mut self, view: &View, snapshot: &Snapshot) {
        if snapshot.detail.as_ref().is_some_and(|detail| detail.out_of_memory) {
            self.say(
                "The kernel killed it: the memory of its control group was used up.".to_owned(),
            );
            self.advise(format!("svctl edit {} resource-limits", view.target.shown()));
        }
    }

    /// The mistakes in option files, which keep supervise from starting the service.
    fn mistakes(&mut self, view: &View) {
        self.said.push("option-mistake");
        self.say("supervise does not start it because of a mistake in its directory.".to_owned());
        for mistake in view.target.dir.option_mistakes() {
            self.say(format!("{}.", escape(&mistake)));
            // A mistake begins with the name of its file.
            if let Some(file) = mistake.split([' ', ':']).next().filter(|file| !file.is_empty()) {
                self.advise(format!("svctl edit {} {}", view.target.shown(), escape(file)));
            }
        }
    }

    fn failed(&mut self, view: &View, snapshot: &Snapshot) {
        let name = view.target.shown();
        let reason = snapshot.detail.as_ref().and_then(|it| it.reason);
        let why = reason.map_or_else(String::new, |reason| format!(": {}", reason.words()));
        self.say(format!("{name} has failed{why}. supervise does not start it again by itself."));
        if let Some(end) = snapshot.last_end {
            self.say(format!(
                "It last ended at {}: {}.",
                local(snapshot.status.since),
                end_words(end)
            ));
        }
        self.out_of_memory(view, snapshot);
        match reason {
            Some(Reason::Options) => self.mistakes(view),
            Some(Reason::Deaths) => self.say("Mend what makes it die, then start it.".to_owned()),
            Some(Reason::Code100) => {
                self.say("Its exit code 100 says that a restart does not help.".to_owned());
            }
            _ => {}
        }
        self.advise(format!("svctl up {name}"));
    }
}
