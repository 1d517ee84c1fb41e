//! Checks of the processes of a service.

use super::examination::{Examination, Subject};
use super::files;
use super::finding::{self as check, Report, quote};
use super::limits;
use super::shell_script::SHELLS;
use super::sockets;
use crate::times::{age, short};
use crate::verbs::log_tail::log_command;
use crate::verbs::readiness;
use crate::view::end_words;
use servicedir::{End, Process, State};
use std::time::Duration;

/// A child of a shell that is older than this is the service, and no step on the way to it.
const SETTLED: Duration = Duration::from_secs(2);

/// A start that takes longer than this is worth a look.
const LONG_START: Duration = Duration::from_secs(60);

/// Words of scripts whose shell does something after its child has started.
const WORKING_SHELL: [&str; 8] =
    ["while", "until", "for", "trap", "wait", "select", "coproc", "kill"];

/// The bit of TERM in the signal masks of /proc.
const TERM: u64 = 1 << 14;

/// The log lines that an explanation quotes.
const LINES: usize = 3;

pub(crate) fn examine(
    system: &Examination<'_>,
    subject: &Subject,
    logger: Option<&Subject>,
    report: &mut Report,
) {
    if let Some(pid) = subject.pid() {
        shell(system, subject, pid, report);
        stop(subject, pid, report);
        limits::examine(system, subject, pid, report);
    }
    orphans(subject, &strays(system, subject, logger.is_some()), report);
    if subject.is_dying() {
        crash(system, subject, report);
    }
    not_ready(subject, report);
}

/// A service that does not become ready.
fn not_ready(subject: &Subject, report: &mut Report) {
    let Some(snapshot) = subject.snapshot() else { return };
    let age = age(snapshot.status.since);
    if snapshot.state != State::Starting || age < LONG_START {
        return;
    }
    let how = readiness::how(&subject.view);
    let evidence = format!("{} has been starting for {}. {how}", subject.shown(), short(age));
    let remedy = log_command(&subject.target.dir, &quote(subject.name()));
    report.add(&check::NOT_READY, Some(subject.name()), evidence, remedy);
}

/// A shell that waits for its last command, which it could have executed in its own place.
fn shell(system: &Examination<'_>, subject: &Subject, pid: u32, report: &mut Report) {
    let Some(script) = &subject.script else { return };
    if script.has_exec() || script.contains(&WORKING_SHELL) {
        return;
    }
    let shell = files::link(pid, "exe")
        .and_then(|exe| exe.file_name().map(|it| it.to_string_lossy().into_owned()));
    if !shell.as_ref().is_some_and(|name| SHELLS.contains(&&**name)) {
        return;
    }
    let mut children = system.table.children(pid).filter(|child| child.state != 'Z');
    let (Some(child), None) = (children.next(), children.next()) else { return };
    if uptime().saturating_sub(child.started) < SETTLED {
        return;
    }
    // A function of the script may do the work: the child is then none of the words.
    let Some(line) = script.lines.last().filter(|line| line.names(&child.name)) else { return };
    let run = subject.path().join("run");
    let evidence = format!(
        "process {pid} is {}, and {} ({}) is its child; line {} of {}: \"{}\"",
        shell.unwrap_or_default(),
        child.name,
        child.pid,
        line.number,
        run.display(),
        line.text
    );
    let remedy = format!("sed -i '{}s/^/exec /' {}", line.number, quote(&run));
    report.add(&check::SHELL_WITHOUT_EXEC, Some(subject.name()), evidence, remedy);
}

/// The time since the boot.
fn uptime() -> Duration {
    let text = files::text("/proc/uptime");
    let seconds = text.split(['.', ' ']).next().and_then(|word| word.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// A service that was told to stop and does not get the signal.
fn stop(subject: &Subject, pid: u32, report: &mut Report) {
    if subject.snapshot().is_none_or(|it| it.state != State::Stopping) {
        return;
    }
    let has = |key: &str| {
        let mask = files::status_field(pid, key);
        mask.and_then(|mask| u64::from_str_radix(&mask, 16).ok())
            .is_some_and(|mask| mask & TERM != 0)
    };
    let state = files::status_field(pid, "State").unwrap_or_default();
    let has_own_signal = subject.has_file("down-signal");
    let why = if state.starts_with('D') {
        "waits for a device or a file system, which no signal interrupts"
    } else if !has_own_signal && has("SigIgn") {
        "ignores TERM (SigIgn in its /proc/PID/status)"
    } else if !has_own_signal && has("SigBlk") && (has("SigPnd") || has("ShdPnd")) {
        "blocks TERM, which is pending (SigBlk in its /proc/PID/status)"
    } else {
        return;
    };
    let evidence = format!("{} was told to stop; its process {pid} {why}", subject.shown());
    let remedy = format!("svctl signal KILL {}", quote(subject.name()));
    report.add(&check::STOP_HANGS, Some(subject.name()), evidence, remedy);
}

/// The processes outside the service that have its pipe to the logger open, or its directory.
fn strays<'a>(
    system: &'a Examination<'_>,
    subject: &Subject,
    has_logger: bool,
) -> Vec<&'a Process> {
    let Ok(directory) = subject.path().canonicalize() else { return Vec::new() };
    let pipe = has_logger.then(|| system.logger_pipe(subject)).flatten();
    let tree = subject.pid().map(|pid| system.table.tree(pid)).unwrap_or_default();
    let strays = system.strays().iter().filter(|stray| stray.is_of(pipe.as_deref(), &directory));
    strays
        .map(|stray| &stray.process)
        .filter(|process| tree.iter().all(|own| own.pid != process.pid))
        .collect()
}

fn orphans(subject: &Subject, strays: &[&Process], report: &mut Report) {
    let Some(snapshot) = subject.snapshot() else { return };
    let Some(stray) = strays.first().filter(|_| !subject.has_file("background")) else { return };
    let name = Some(subject.name());
    let more = match strays.len() {
        1 => String::new(),
        count => format!(" and {} others", count - 1),
    };
    let which = format!("process {} ({}){more}", stray.pid, stray.name);
    // A daemon that forks ends with exit 0, and supervise starts it again.
    let is_restarted = snapshot.state == State::Waiting || age(snapshot.status.since) < SETTLED;
    if is_restarted && snapshot.last_end.is_some_and(|end| matches!(end, End::Exited(_))) {
        let end = snapshot.last_end.map(end_words).unwrap_or_default();
        let evidence =
            format!("{} ended ({end}), and {which} runs on with its output", subject.shown());
        let remedy = format!("${{EDITOR:-vi}} {}", quote(subject.start_file()));
        report.add(&check::GOES_BACKGROUND, name, evidence, remedy);
    } else {
        let evidence = format!(
            "{which} has the directory or the pipe to the logger of {}, and is no process of it",
            subject.shown()
        );
        report.add(&check::ORPHAN, name, evidence, format!("kill {}", stray.pid));
    }
}

fn crash(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let Some(snapshot) = subject.snapshot() else { return };
    let tail = subject.last_lines(LINES);
    let lines = tail.lines();
    if let Some(line) = lines.iter().rev().find(|line| sockets::is_address_in_use(line)) {
        return port(system, subject, line, report);
    }
    let end = snapshot.last_end.map_or_else(|| "it ended".to_owned(), end_words);
    let mut evidence = format!("{} is {}; last end: {end}", subject.shown(), snapshot.state);
    if let Some(detail) = &snapshot.detail {
        if detail.failures > 1 {
            evidence += &format!("; {} deaths in a row", detail.failures);
        }
        if let Some(reason) = detail.reason {
            evidence += &format!("; {}", reason.words());
        }
    }
    if snapshot.status.pid.is_some() {
        evidence += &format!("; started {} ago", short(age(snapshot.status.since)));
    }
    if !lines.is_empty() {
        evidence += &format!("; last log lines: \"{}\"", lines.join("\" \""));
    }
    evidence.extend(tail.limit.map(|limit| format!("; {limit}")));
    let remedy = log_command(&subject.target.dir, &quote(subject.name()));
    report.add(&check::CRASH_LOOP, Some(subject.name()), evidence, remedy);
}

/// The numbers in the script run that can be ports, for a log line that names none.
fn ports_in_run(subject: &Subject) -> Vec<u16> {
    let lines = subject.script.iter().flat_map(|script| &script.lines);
    let words = lines.flat_map(|line| line.text.split(|c: char| !c.is_ascii_alphanumeric()));
    words.filter_map(|word| word.parse().ok()).filter(|port| *port > 9).collect()
}

/// The service says that its address is in use.
fn port(system: &Examination<'_>, subject: &Subject, line: &str, report: &mut Report) {
    let port = sockets::port_of(line);
    let holder = port.and_then(|port| sockets::listener(&system.table, port));
    let from_run = || {
        ports_in_run(subject)
            .into_iter()
            .find_map(|port| Some((port, sockets::listener(&system.table, port)?)))
    };
    let (port, holder) = match port.is_none().then(from_run).flatten() {
        Some((port, holder)) => (Some(port), Some(holder)),
        None => (port, holder),
    };
    let (evidence, remedy) = match (port, holder) {
        (Some(port), Some(holder)) => {
            let service = system.service_of(holder.pid);
            let of = service
                .as_ref()
                .map_or_else(String::new, |name| format!(", of the service {name}"));
            let evidence = format!(
                "\"{line}\": process {} ({}){of} listens on port {port}",
                holder.pid, holder.name
            );
            // Which of two services gives way, a person decides.
            let remedy = match service {
                Some(name) if name != subject.name().to_string_lossy() => {
                    format!("svctl edit {}", quote(subject.name()))
                }
                _ => format!("ps -fp {}", holder.pid),
            };
            (evidence, remedy)
        }
        (Some(port), None) => (format!("\"{line}\""), format!("ss -ltnp 'sport = :{port}'")),
        (None, _) => (format!("\"{line}\""), "ss -ltnp".to_owned()),
    };
    report.add(&check::PORT_TAKEN, Some(subject.name()), evidence, remedy);
}
