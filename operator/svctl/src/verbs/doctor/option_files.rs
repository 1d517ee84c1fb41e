//! Checks of the option files, and of what services need.

use super::examination::{Examination, Subject};
use super::finding::{self as check, Report, quote};
use crate::output::escape;
use crate::selection::Target;
use crate::verbs::needs;
use crate::view::View;
use servicedir::State;
use std::collections::HashSet;
use std::ffi::OsString;

pub(crate) fn examine(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let name = Some(subject.name());
    for mistake in subject.target.dir.option_mistakes() {
        let file = mistake.split([' ', ':']).next().unwrap_or_default();
        let path = subject.path().join(file);
        report.add(
            &check::OPTION_MISTAKE,
            name,
            &mistake,
            format!("${{EDITOR:-vi}} {}", quote(path)),
        );
    }
    for (found, right) in subject.target.dir.option_lookalikes() {
        let from = subject.path().join(&found);
        let Some(right) = right else {
            let evidence = format!(
                "{} looks like an option file, and supervise knows no such file",
                from.display()
            );
            report.add(&check::OPTION_MISSPELT, name, evidence, "man 5 service-directory");
            continue;
        };
        let evidence = format!("{}: an option file is called {right}", from.display());
        let to = subject.path().join(right);
        report.add(
            &check::OPTION_MISSPELT,
            name,
            evidence,
            format!("mv {} {}", quote(&from), quote(to)),
        );
    }
    of_needs(system, subject, report);
}

fn of_needs(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    for need in needs::names(&subject.target) {
        if needs::find(system.scan, &need).is_none() {
            let shown = need.to_string_lossy();
            let evidence = format!(
                "{}/needs names {shown}, and {} has no {shown}",
                subject.path().display(),
                system.scan.path().display()
            );
            let remedy = format!("${{EDITOR:-vi}} {}", quote(subject.path().join("needs")));
            report.add(&check::NEEDS_UNKNOWN, Some(subject.name()), evidence, remedy);
        }
    }
    if let Some(circle) = cycle(system, subject) {
        let names: Vec<_> = circle.iter().map(|name| name.to_string_lossy()).collect();
        let evidence = format!("{} needs itself: {}", subject.shown(), names.join(" needs "));
        let remedy = format!("${{EDITOR:-vi}} {}", quote(subject.path().join("needs")));
        report.add(&check::NEEDS_CYCLE, Some(subject.name()), evidence, remedy);
    } else if subject.snapshot().is_some_and(|it| it.state == State::Blocked) {
        waits(system, subject, report);
    }
}

/// The way from a service through what it needs back to itself.
fn cycle(system: &Examination<'_>, subject: &Subject) -> Option<Vec<OsString>> {
    let mut seen = HashSet::new();
    let mut ways = vec![vec![subject.target.name.clone()]];
    while let Some(way) = ways.pop() {
        let Some(target) = way.last().and_then(|name| needs::find(system.scan, name)) else {
            continue;
        };
        for need in needs::names(&target) {
            let mut longer = way.clone();
            longer.push(need.clone());
            if need == subject.target.name {
                return Some(longer);
            }
            if seen.insert(need) {
                ways.push(longer);
            }
        }
    }
    None
}

/// Follows what a service waits for to the one that waits for nothing.
fn waits(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let mut way = vec![subject.shown()];
    let mut view = subject.view.clone();
    let mut end: Option<Target> = None;
    while let Some(name) = waiting_for(&view)
        && let Some(target) = needs::find(system.scan, &name)
        && !way.contains(&target.shown())
    {
        view = View::read(&target);
        way.push(target.shown());
        end = Some(target);
    }
    let Some(end) = end else { return };
    let note = view.note();
    let state =
        if note.is_empty() { view.word().to_owned() } else { format!("{}: {note}", view.word()) };
    let evidence = format!("{} ({})", way.join(" waits for "), escape(&state));
    let verb = if view.state() == Some(State::Down) { "up" } else { "why" };
    report.add(
        &check::WAITS_FOR_NEEDS,
        Some(subject.name()),
        evidence,
        format!("svctl {verb} {}", quote(&end.name)),
    );
}

fn waiting_for(view: &View) -> Option<OsString> {
    view.snapshot()?.detail.as_ref()?.waiting_for.clone()
}
