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
use rustix::time::{ClockId, clock_gettime};
use servicedir::ProcessTable;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::{Duration, Instant, SystemTime};

/// The shortest time from one reading of the doctor, the tree or why to the next.
const BETWEEN_READINGS: Duration = Duration::from_millis(500);

/// Reading takes at most this part of the time: one part reading, and the others not.
const SHARE: u32 = 5;

/// A reading that takes longer stops the keys, so it happens on request only.
const LONGEST_READING: Duration = Duration::from_secs(1);

/// What the page on the screen is made of.
#[derive(Debug, Default)]
pub(super) struct Contents {
    tails: Tails,
    service: Option<ServiceLines>,
    last_reading: Option<LastReading>,
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

/// The last reading of the page of the doctor, of the tree or of why. It decides when the next one may be.
#[derive(Debug)]
struct LastReading {
    /// Whether something has changed since.
    is_stale: bool,
    /// The end of the last reading, and the processor time that it took: on a busy machine it is not
    /// the reading that takes long.
    read: Instant,
    cost: Duration,
}

impl LastReading {
    fn follows_changes(&self) -> bool {
        self.cost <= LONGEST_READING
    }

    /// The time until the next reading; `None` while nothing has changed.
    fn until_reading(&self) -> Option<Duration> {
        let pause = BETWEEN_READINGS.max(self.cost.saturating_mul(SHARE - 1));
        let is_wanted = self.is_stale && self.follows_changes();
        is_wanted.then(|| pause.saturating_sub(self.read.elapsed()))
    }
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
        self.note_any_change();
    }

    /// Some service has changed, or there are others.
    pub(super) fn note_any_change(&mut self) {
        if let Some(reading) = &mut self.last_reading {
            reading.is_stale = true;
        }
    }

    /// The time until the page has to be read again; `None` if nothing asks for it.
    pub(super) fn until_reading(&self) -> Option<Duration> {
        self.last_reading.as_ref()?.until_reading()
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
        let (kind, targets) = (page.kind, page.targets.clone());
        // A watch comes before the look, so that no line is missed.
        match kind {
            PageKind::Service => self.load_service(&targets),
            PageKind::Logs => {
                self.feed.watch_logs(&Tails::dirs_of(&targets));
                self.contents.tails = Tails::of(&targets);
                let lines = self.contents.tails.shown(self.output);
                self.set_lines(lines);
            }
            PageKind::Help => {
                self.feed.watch_logs(&[]);
                self.set_lines(self.help());
            }
            PageKind::Doctor | PageKind::Tree => {
                self.feed.watch_logs(&[]);
                self.read_report();
            }
            PageKind::Why => {
                self.watch_log_of(targets.first());
                self.read_report();
            }
        }
    }

    /// Reads the lines of the doctor, the tree or why.
    fn read_report(&mut self) {
        let Some(page) = self.model.page() else { return };
        let begin = processor_time();
        let lines = match page.kind {
            PageKind::Doctor => doctor::report(self.scan, self.output),
            PageKind::Tree => {
                all(self.scan).and_then(|targets| tree::shown(self.scan, &targets, self.output))
            }
            _ => {
                let explained = page.targets.iter();
                Ok(explained.flat_map(|it| why::shown(self.scan, it, self.output)).collect())
            }
        };
        let cost = processor_time().saturating_sub(begin);
        let reading = LastReading { is_stale: false, read: Instant::now(), cost };
        let lines = match lines {
            Ok(lines) => self.dated(lines, reading.follows_changes()),
            Err(failure) => vec![failure.message],
        };
        self.contents.last_reading = Some(reading);
        self.set_lines(lines);
    }

    /// Watches the log directories of a service, as number 0.
    fn watch_log_of(&mut self, target: Option<&Target>) {
        let dirs = target.and_then(|it| it.dir.log_dirs().ok()).unwrap_or_default();
        let dirs: Vec<_> = dirs.into_iter().map(|dir| (0, dir)).collect();
        self.feed.watch_logs(&dirs);
    }

    fn set_lines(&mut self, lines: Vec<String>) {
        if let Some(page) = self.model.page_mut() {
            page.set_lines(lines);
        }
    }

    /// Not everything in these lines is watched, so they say from when they are.
    fn dated(&self, mut lines: Vec<String>, follows_changes: bool) -> Vec<String> {
        let now = local(SystemTime::now());
        let again =
            if follows_changes { "when a service changes, and with Ctrl-L" } else { "with Ctrl-L" };
        let text = format!("As of {now}; read again {again}.");
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
        self.watch_log_of(Some(target));
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
            Some(PageKind::Doctor | PageKind::Tree | PageKind::Why) => {
                if !std::mem::take(&mut self.contents.unread_logs).is_empty() {
                    self.contents.note_any_change();
                }
                if self.contents.until_reading() == Some(Duration::ZERO) {
                    self.read_report();
                }
            }
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

/// The processor time of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
