//! `svctl doctor`: what is wrong with services, how one sees it, and what mends it.
//!
//! It executes nothing of a service and writes nothing. [`finding`] has the table of the checks; the
//! other modules look at one subject each.

mod elf;
mod examination;
pub(crate) mod files;
pub(crate) mod finding;
mod limits;
mod loggers;
mod option_files;
mod processes;
mod refused_limits;
mod script;
mod shell_script;
mod sockets;
mod state;
mod system;

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::hosts;
use crate::options::{HOST, JSON};
use crate::output::{Colour, Output, capital, escape, json_line, line, lines, wrap};
use crate::selection::{Target, all, scan_dir, select};
use crate::view::SCHEMA;
use examination::{Examination, Subject};
use finding::{CRASH_LOOP, Finding, LINK_DANGLING, Report, Severity, quote};
use loggers::LogDirs;
use serde_json::{Value, json};
use servicedir::{EntryKind, ScanDir};

/// Exit code: there are warnings.
const WARNINGS: u8 = 1;
/// Exit code: there are errors.
const ERRORS: u8 = 2;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::doctor(arguments);
    }
    let scan = scan_dir(arguments);
    let services = all(&scan);
    let (targets, findings) = if arguments.operands.is_empty() {
        let targets = services?;
        let findings = examine(&scan, &targets, &targets, true)?;
        (targets, findings)
    } else {
        let targets = select(&scan, &arguments.operands)?;
        let findings = examine(&scan, &targets, &services.unwrap_or_default(), false)?;
        (targets, findings)
    };
    if arguments.has(&JSON) {
        let findings: Vec<Value> = findings.iter().map(object).collect();
        json_line(&json!({"schema": SCHEMA, "findings": findings}));
    } else {
        findings.iter().for_each(|finding| lines(&shown(arguments.output, finding)));
        line(&summary(&findings, &targets));
    }
    Ok(match findings.iter().map(|finding| finding.check.severity).max() {
        None => DONE,
        Some(Severity::Warning) => WARNINGS,
        Some(Severity::Error) => ERRORS,
    })
}

/// The findings of some services of a scan directory; of each service, the errors come first.
pub(crate) fn of_services(scan: &ScanDir, targets: &[Target]) -> Vec<Finding> {
    let services = all(scan).unwrap_or_default();
    examine(scan, targets, &services, false).unwrap_or_default()
}

/// The findings of a scan directory with all its services.
pub(crate) fn of_everything(scan: &ScanDir, targets: &[Target]) -> Result<Vec<Finding>, Failure> {
    examine(scan, targets, targets, true)
}

/// The findings that concern all services together.
pub(crate) fn of_machine(scan: &ScanDir, services: &[Target]) -> Result<Vec<Finding>, Failure> {
    let system = Examination::begin(scan).map_err(|e| Failure::system("read /proc", &e))?;
    let mut report = Report::default();
    system::examine(&system, services, &mut report);
    Ok(report.findings)
}

/// What `svctl doctor` prints without arguments.
pub(crate) fn report(scan: &ScanDir, output: Output) -> Result<Vec<String>, Failure> {
    let targets = all(scan)?;
    let findings = examine(scan, &targets, &targets, true)?;
    let mut report: Vec<String> =
        findings.iter().flat_map(|finding| shown(output, finding)).collect();
    report.push(summary(&findings, &targets));
    Ok(report)
}

fn examine(
    scan: &ScanDir,
    targets: &[Target],
    services: &[Target],
    is_everything: bool,
) -> Result<Vec<Finding>, Failure> {
    let system = Examination::begin(scan).map_err(|e| Failure::system("read /proc", &e))?;
    let mut report = Report::default();
    if is_everything {
        system::examine(&system, services, &mut report);
    }
    let mut log_dirs = LogDirs::default();
    for target in services.iter().filter(|target| target.kind == EntryKind::Service) {
        log_dirs.add(target);
    }
    for target in targets {
        let begin = report.findings.len();
        of_target(&system, target, &log_dirs, &mut report);
        system::two_svscans(&system, target, &mut report);
        let mut own = report.findings.split_off(begin);
        leave_out_effects(&mut own);
        let is_error = |finding: &Finding| finding.check.severity == Severity::Error;
        let (errors, warnings): (Vec<_>, Vec<_>) = own.into_iter().partition(is_error);
        report.findings.extend(errors);
        report.findings.extend(warnings);
    }
    Ok(report.findings)
}

/// Leaves out that a service dies again and again, if another error of it is the cause.
fn leave_out_effects(findings: &mut Vec<Finding>) {
    let is_effect = |finding: &Finding| finding.check.id == CRASH_LOOP.id;
    let explained: Vec<_> = findings
        .iter()
        .filter(|it| it.check.severity == Severity::Error && !is_effect(it))
        .map(|finding| finding.service.clone())
        .collect();
    findings.retain(|finding| !is_effect(finding) || !explained.contains(&finding.service));
}

fn of_target(system: &Examination<'_>, target: &Target, log_dirs: &LogDirs, report: &mut Report) {
    match &target.kind {
        EntryKind::Service => {}
        EntryKind::DanglingLink(to) => {
            let path = target.dir.path();
            let evidence =
                format!("{} leads to {}, which does not exist", path.display(), to.display());
            report.add(&LINK_DANGLING, Some(&target.name), evidence, format!("rm {}", quote(path)));
            return;
        }
        _ => return,
    }
    let service = system.subject(target);
    let logger = system.logger(&service);
    of_subject(system, &service, logger.as_ref(), report);
    if let Some(logger) = &logger {
        of_subject(system, logger, None, report);
        loggers::examine(system, &service, logger, report);
        log_dirs.shared(logger, report);
    }
}

fn of_subject(
    system: &Examination<'_>,
    subject: &Subject,
    logger: Option<&Subject>,
    report: &mut Report,
) {
    script::examine(system, subject, report);
    option_files::examine(system, subject, report);
    refused_limits::examine(subject, report);
    processes::examine(system, subject, logger, report);
    state::examine(system, subject, report);
}

/// The object of a finding in the JSON.
pub(crate) fn object(finding: &Finding) -> Value {
    json!({
        "id": finding.check.id,
        "severity": finding.check.severity.word(),
        "service": finding.service.as_ref().map(|name| name.to_string_lossy()),
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "page": finding.check.page,
    })
}

/// The lines of a finding: what it is, its evidence, the remedy and the page.
pub(crate) fn shown(output: Output, finding: &Finding) -> Vec<String> {
    let (symbol, colour) = match finding.check.severity {
        Severity::Error => ("✗", Colour::Red),
        Severity::Warning => ("!", Colour::Yellow),
    };
    let service = finding.service.as_ref().map(|name| escape(&name.to_string_lossy()));
    let service = service.map_or_else(String::new, |name| format!("{name}: "));
    let check = finding.check;
    let mut shown = vec![format!(
        "{} {service}{} ({})",
        output.paint(Some(colour), symbol),
        output.paint(Some(Colour::Bold), check.id),
        check.severity.word(),
    )];
    shown.extend(wrap("  ", 2, &format!("{}.", capital(check.what)), output.width));
    shown.extend(wrap("  ", 2, &finding.evidence, output.width));
    // A command stays on one line, to be copied.
    shown.push(format!("  {} {}", output.paint(Some(Colour::Cyan), "→"), finding.remedy));
    shown.push(format!("    {}", check.page));
    shown
}

fn summary(findings: &[Finding], targets: &[Target]) -> String {
    let count = |severity| findings.iter().filter(|it| it.check.severity == severity).count();
    let words = |number: usize, word: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {word}{plural}")
    };
    let is_denied = |target: &&Target| {
        let looked = target.dir.is_supervised();
        looked.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let hint = match targets.iter().filter(is_denied).count() {
        0 => String::new(),
        denied => format!("; the state of {denied} may not be read (try as root)"),
    };
    format!(
        "{} and {} in {}{hint}",
        words(count(Severity::Error), "error"),
        words(count(Severity::Warning), "warning"),
        words(targets.len(), "service")
    )
}
