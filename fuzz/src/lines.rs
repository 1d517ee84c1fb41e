//! A reference implementation of multilog's script, with the whole input in memory.

use crate::pattern::{shell, simple};
use daemontools_core::multilog::router::{HEAD, Outputs};
use daemontools_core::multilog::script::{LogScript, ScriptAction, Stamp, Syntax};
use daemontools_core::time::tai::Tai64n;

/// The output of a script, by destination.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The text for each output directory.
    pub directories: Vec<Vec<u8>>,
    /// The lines for stderr.
    pub stderr: Vec<Vec<u8>>,
    /// The lines for status files, each with the index of its file.
    pub statuses: Vec<(usize, Vec<u8>)>,
}

impl Written {
    /// No output.
    #[must_use]
    pub fn new(script: &LogScript<'_>) -> Self {
        Self { directories: vec![Vec::new(); script.directories.len()], ..Self::default() }
    }
}

impl Outputs for Written {
    fn directory(&mut self, number: usize, text: &[u8]) {
        self.directories[number].extend_from_slice(text);
    }

    fn stderr(&mut self, line: &[u8]) {
        self.stderr.push(line.to_vec());
    }

    fn status(&mut self, number: usize, line: &[u8]) {
        self.statuses.push((number, line.to_vec()));
    }
}

/// A stamp as text, made by `format!`.
#[must_use]
pub fn stamp(kind: Stamp, moment: Tai64n) -> Vec<u8> {
    let micros = moment.nanoseconds / 1000;
    match kind {
        Stamp::None => String::new(),
        Stamp::Tai64n => format!("@{:016x}{:08x} ", moment.seconds, moment.nanoseconds),
        Stamp::Seconds => format!("{}.{micros:06} ", moment.to_unix()),
        Stamp::Date => {
            let seconds = moment.to_unix();
            let (year, month, day) = crate::tai64nlocal::date(seconds.div_euclid(86_400));
            let sign = if year < 0 { "-" } else { "" };
            let year = year.unsigned_abs();
            let of_day = seconds.rem_euclid(86_400);
            let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            format!("{sign}{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{micros:06}Z ")
        }
    }
    .into_bytes()
}

/// The output for complete lines that arrive in these pieces, each at its time.
#[must_use]
pub fn written(script: &LogScript<'_>, pieces: &[(&[u8], Tai64n)]) -> Written {
    let text: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.to_vec()).collect();
    // The time of arrival of each byte.
    let when: Vec<Tai64n> =
        pieces.iter().flat_map(|(piece, moment)| vec![*moment; piece.len()]).collect();
    let mut written = Written::new(script);
    // For each directory: the second, and the lines written and dropped in it.
    let mut rates = vec![(0_u64, 0_u64, 0_u64); script.directories.len()];
    let mut start = 0;
    for line in text.split_inclusive(|&c| c == b'\n') {
        let mark = stamp(script.stamp, when[start]);
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        // The script decides by the beginning of the line, as soon as that has arrived.
        let stamped = [&mark, body].concat();
        let seen = &stamped[..stamped.len().min(HEAD)];
        let decided = if stamped.len() < HEAD { line.len() } else { HEAD - mark.len() };
        let now = when[start + decided.max(1) - 1];
        let whole = [&mark, line].concat();
        start += line.len();

        let matches = |language, pattern: &[u8]| match language {
            Syntax::Simple => simple(pattern, seen),
            Syntax::Shell => shell(pattern, seen),
        };
        let mut selected = true;
        let mut open = vec![false; script.directories.len()];
        for action in &script.actions {
            match *action {
                ScriptAction::Deselect(language, pattern) => {
                    selected = selected && !matches(language, pattern);
                }
                ScriptAction::Select(language, pattern) => {
                    selected = selected || matches(language, pattern);
                }
                ScriptAction::Stderr if selected => written.stderr(seen),
                ScriptAction::Status(n) if selected => written.status(n, seen),
                ScriptAction::Stderr | ScriptAction::Status(_) => {}
                ScriptAction::Directory(n) => {
                    open[n] = selected;
                    if let Some(rate) = script.directories[n].rate.filter(|_| selected) {
                        let (second, written_lines, dropped) = &mut rates[n];
                        if *second != now.seconds {
                            if *dropped > 0 {
                                let stamp = stamp(script.stamp, now);
                                let notice = format!("multilog: dropped {dropped} lines\n");
                                written.directory(n, &[&stamp, notice.as_bytes()].concat());
                            }
                            (*second, *written_lines, *dropped) = (now.seconds, 0, 0);
                        }
                        open[n] = *written_lines < rate;
                        *(if open[n] { written_lines } else { dropped }) += 1;
                    }
                }
            }
        }
        for n in (0..open.len()).filter(|&n| open[n]) {
            written.directory(n, &whole);
        }
    }
    written
}
