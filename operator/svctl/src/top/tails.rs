//! The last log lines of several services, in the order of their times.

use super::paint;
use crate::output::{Colour, Output, pad};
use crate::selection::Target;
use crate::times::local;
use crate::verbs::log_tail::{self, Record, last_lines_within};
use daemontools_core::sorting::sort_by_key;
use servicedir::ServiceDir;
use std::path::PathBuf;
use std::time::SystemTime;
use unicode_width::UnicodeWidthStr as _;

/// The most services whose logs are shown together.
pub(crate) const MOST_SERVICES: usize = 64;

/// The lines that are shown of each service: fewer of many services.
const LINES: usize = 2000;

/// The most bytes of a line that are kept.
const LONGEST: usize = 4096;

/// The colours of the names.
const COLOURS: [Colour; 4] = [Colour::Cyan, Colour::Green, Colour::Yellow, Colour::Bold];

/// The most bytes of all logs together that are searched for the last lines.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// A service and its last lines.
#[derive(Debug)]
struct ServiceTail {
    name: String,
    dir: ServiceDir,
    tail: log_tail::LogTail,
}

/// The last lines of services.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    sources: Vec<ServiceTail>,
    lines: usize,
}

impl Tails {
    /// Reads the logs of services.
    pub(crate) fn of(targets: &[Target]) -> Self {
        let targets = targets.iter().take(MOST_SERVICES);
        let lines = LINES / targets.len().max(1);
        let source = |target: &Target| ServiceTail {
            name: target.shown(),
            dir: target.dir.clone(),
            tail: log_tail::LogTail::default(),
        };
        let mut tails = Self { sources: targets.map(source).collect(), lines };
        for number in 0..tails.sources.len() {
            tails.read(number);
        }
        tails
    }

    /// The log directories of services, each with the number of its service.
    pub(crate) fn dirs_of(targets: &[Target]) -> Vec<(usize, PathBuf)> {
        let targets = targets.iter().take(MOST_SERVICES).enumerate();
        let dirs = targets.flat_map(|(number, target)| {
            let dirs = target.dir.log_dirs().unwrap_or_default();
            dirs.into_iter().map(move |dir| (number, dir))
        });
        dirs.collect()
    }

    /// Reads the last lines of a service again.
    pub(crate) fn read(&mut self, number: usize) {
        let most = MOST_BYTES / self.sources.len().max(1) as u64;
        if let Some(source) = self.sources.get_mut(number) {
            source.tail = last_lines_within(&source.dir, self.lines, most);
            for record in &mut source.tail.records {
                cut(&mut record.text);
            }
        }
    }

    /// All lines in the order of their times. A line without a time follows the line before it.
    pub(crate) fn shown(&self, output: Output) -> Vec<String> {
        let is_single = self.sources.len() == 1;
        // A narrow screen has room for the time of the day only.
        let is_short = output.width < 60;
        let mut lines: Vec<(Option<SystemTime>, usize, &Record)> = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            let mut last = None;
            for record in &source.tail.records {
                last = record.time.or(last);
                lines.push((last, number, record));
            }
        }
        sort_by_key(&mut lines, |(time, ..)| *time);
        let widest = self.sources.iter().map(|it| it.name.width()).max().unwrap_or(0);
        let name_width = widest.min(output.width / 4);
        let shown = lines.into_iter().map(|(_, number, record)| {
            let time = record.time.map(local).unwrap_or_default();
            let time =
                if is_short { time.get(time.len().saturating_sub(8)..) } else { Some(&*time) };
            let time = output.paint(Some(Colour::Dim), time.unwrap_or_default());
            let mut line = if time.is_empty() { time } else { time + " " };
            if !is_single {
                let name = self.sources.get(number).map_or("", |source| &source.name);
                let colour = COLOURS.get(number % COLOURS.len()).copied();
                let name = pad(&paint::fit(name, name_width), name_width);
                line += &format!("{} | ", output.paint(colour, &name));
            }
            line + &record.text
        });
        let mut shown: Vec<String> = shown.collect();
        let limited = self.sources.iter().filter_map(|it| Some((it, it.tail.limit.as_ref()?)));
        shown.extend(limited.map(|(it, limit)| format!("({}: {limit})", it.name)));
        if shown.is_empty() {
            shown.push(self.why_empty());
        }
        shown
    }

    /// Why there are no lines.
    fn why_empty(&self) -> String {
        let names: Vec<&str> = self.sources.iter().map(|it| &*it.name).collect();
        let has_dirs = |it: &ServiceTail| it.dir.log_dirs().is_ok_and(|dirs| !dirs.is_empty());
        if !self.sources.iter().any(has_dirs) {
            let hint = "no log directory was found (svctl doctor says more)";
            return format!("{}: {hint}.", names.join(", "));
        }
        format!("The log of {} is empty.", names.join(", "))
    }
}

/// Cuts a text that is too long to be kept. Its end says so.
fn cut(text: &mut String) {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ColourChoice;
    use std::time::Duration;

    #[test]
    fn lines_are_merged_by_time() {
        let record = |second: Option<u64>, text: &str| Record {
            time: second.map(|second| SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            text: text.to_owned(),
        };
        let source = |name: &str, records| ServiceTail {
            name: name.to_owned(),
            dir: ServiceDir::new(name),
            tail: log_tail::LogTail { records, limit: None },
        };
        let tails = Tails {
            sources: vec![
                source(
                    "web",
                    vec![record(Some(10), "a"), record(None, "b"), record(Some(30), "c")],
                ),
                source("database", vec![record(Some(20), "d"), record(Some(30), "e")]),
            ],
            lines: 10,
        };
        let output = Output { width: 40, ..Output::new(ColourChoice::Never) };
        let texts: Vec<String> = tails.shown(output).iter().map(|it| it[..].to_owned()).collect();
        let ends: Vec<&str> =
            texts.iter().map(|text| text.rsplit("| ").next().unwrap_or_default()).collect();
        assert_eq!(ends, ["a", "b", "d", "c", "e"]);
        assert!(texts[0].ends_with(":10 web      | a"), "{texts:?}");
        assert_eq!(texts[1], "web      | b");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut text = "日".repeat(LONGEST);
        cut(&mut text);
        assert!(text.len() <= LONGEST + 3 && text.ends_with("日…"), "{}", text.len());
        let mut short = "short".to_owned();
        cut(&mut short);
        assert_eq!(short, "short");
    }
}
