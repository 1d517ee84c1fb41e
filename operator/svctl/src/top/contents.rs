//! The lines of the page on the screen, and when they have to be read again.

use super::TopSession;
use super::keys::HELP;
use super::page::PageKind;
use super::tails::Tails;
use crate::output::{Colour, pad};
use crate::selection::{Target, all};
use crate::times::local;
use crate::verbs::status::{self, USUAL_LINES};
use crate::verbs::{doctor, tree, why};
use crate::view::View;
use servicedir::ProcessTable;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::SystemTime;

/// What the page on the screen is made of.
#[derive(Debug, Default)]
pub(super) struct Contents {
    tails: Tails,
    service: Option<ServiceLines>,
    /// The logs that have more lines.
    pub(super) unread_logs: BTreeSet<usize>,
    /// Whether the ages on the page are old.
    pub(super) is_aged: bool,
}

/// The parts of the page of a service.
#[derive(Debug)]
struct ServiceLines {
    name: OsString,
    /// Whether it has an age.
    has_age: bool,
    /// Whether the service has changed since.
    is_stale: bool,
    fields: Vec<String>,
    log: Vec<String>,
}

impl Contents {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the page shows an age.
    pub(super) fn has_age(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.has_age)
    }

    /// A service has changed.
    pub(super) fn note_change(&mut self, target: &Target) {
        if let Some(service) = self.service.as_mut().filter(|it| it.name == target.name) {
            service.is_stale = true;
        }
    }
}

impl TopSession<'_> {
    /// Reads everything that the page on the screen shows.
    pub(super) fn load_contents(&mut self) {
        self.contents.clear();
        let Some(page) = self.model.page() else {
            self.feed.watch_logs(&[]);
            return;
        };
        let targets = page.targets.clone();
        let lines = match page.kind {
            PageKind::Service => {
                self.load_service(&targets);
                return;
            }
            PageKind::Logs => {
                // The watch comes before the look, so that no line is missed.
                let dirs = Tails::dirs_of(&targets);
                self.feed.watch_logs(&dirs);
                self.contents.tails = Tails::of(&targets);
                self.contents.tails.shown(self.output)
            }
            PageKind::Doctor => match doctor::report(self.scan, self.output) {
                Ok(lines) => self.dated(lines),
                Err(failure) => vec![failure.message],
            },
            PageKind::Tree => {
                let lines = all(self.scan)
                    .and_then(|targets| tree::shown(self.scan, &targets, self.output));
                match lines {
                    Ok(lines) => self.dated(lines),
                    Err(failure) => vec![failure.message],
                }
            }
            PageKind::Why => {
                let explained = targets.iter();
                let lines = explained.flat_map(|it| why::shown(self.scan, it, self.output));
                self.dated(lines.collect())
            }
            PageKind::Help => self.help(),
        };
        if page.kind != PageKind::Logs {
            self.feed.watch_logs(&[]);
        }
        self.set_lines(lines);
    }

    fn set_lines(&mut self, lines: Vec<String>) {
        if let Some(page) = self.model.page_mut() {
            page.set_lines(lines);
        }
    }

    /// Lines that do not follow the changes say from when they are.
    fn dated(&self, mut lines: Vec<String>) -> Vec<String> {
        let text = format!("As of {}; Ctrl-L reads again.", local(SystemTime::now()));
        lines.push(String::new());
        lines.push(self.output.paint(Some(Colour::Dim), &text));
        lines
    }

    fn help(&self) -> Vec<String> {
        let keys = HELP.iter().map(|(key, what)| {
            format!("  {} {what}", self.output.paint(Some(Colour::Bold), &pad(key, 12)))
        });
        keys.collect()
    }

    fn load_service(&mut self, targets: &[Target]) {
        let Some(target) = targets.first() else { return };
        let dirs = target.dir.log_dirs().unwrap_or_default();
        let dirs: Vec<_> = dirs.into_iter().map(|dir| (0, dir)).collect();
        self.feed.watch_logs(&dirs);
        self.contents.service = Some(ServiceLines {
            name: target.name.clone(),
            has_age: false,
            is_stale: true,
            fields: Vec::new(),
            log: Vec::new(),
        });
        self.contents.unread_logs.insert(0);
        self.refresh_contents();
    }

    /// Reads again what has changed of the page on the screen.
    pub(super) fn refresh_contents(&mut self) {
        match self.model.kind() {
            Some(PageKind::Logs) if !self.contents.unread_logs.is_empty() => {
                for number in std::mem::take(&mut self.contents.unread_logs) {
                    self.contents.tails.read(number);
                }
                let lines = self.contents.tails.shown(self.output);
                self.set_lines(lines);
            }
            Some(PageKind::Service) => self.refresh_service(),
            _ => {}
        }
    }

    fn refresh_service(&mut self) {
        let Some(target) = self.model.page().and_then(|page| page.targets.first()).cloned() else {
            return;
        };
        let is_aged = std::mem::take(&mut self.contents.is_aged);
        let has_log = self.contents.unread_logs.remove(&0);
        let Some(service) = self.contents.service.as_mut() else { return };
        if !is_aged && !has_log && !service.is_stale {
            return;
        }
        let view = View::read(&target);
        let pid = view.snapshot().and_then(|it| it.status.pid);
        let table = ProcessTable::of_trees(pid.map(|pid| pid.get())).unwrap_or_default();
        let scan = self.scan.clone();
        let screen = status::Screen { output: self.output, scan, table, lines: USUAL_LINES };
        if std::mem::take(&mut service.is_stale) {
            service.fields = screen.fields(&view);
        }
        if has_log {
            service.log = screen.log(&view);
        }
        service.has_age = view.snapshot().is_some();
        let mut lines = vec![screen.head(&view)];
        lines.extend_from_slice(&service.fields);
        lines.extend(screen.memory(&view));
        lines.extend_from_slice(&service.log);
        let changes: Vec<&str> = self.model.rows.changes(&target.name).collect();
        if !changes.is_empty() {
            let title = "   changes while this screen is open";
            lines.extend([String::new(), self.output.paint(Some(Colour::Dim), title)]);
            lines.extend(changes.iter().map(|text| format!("   {text}")));
        }
        self.set_lines(lines);
    }
}
