//! What multilog makes of its input, by the manual: line after line, with all of it at hand.

use crate::pattern::{shell, simple};
use daemontools_core::multilog::router::{HEAD, Outputs};
use daemontools_core::multilog::script::{Action, Language, Script, Stamp};
use daemontools_core::tai::Tai64n;

/// What came out, by where it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// To each log directory.
    pub directories: Vec<Vec<u8>>,
    /// To stderr, a line each.
    pub stderr: Vec<Vec<u8>>,
    /// To the status files: which, and the line.
    pub statuses: Vec<(usize, Vec<u8>)>,
}

impl Written {
    /// Nothing yet.
    #[must_use]
    pub fn new(script: &Script<'_>) -> Self {
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

/// A stamp as text, by `format!`.
#[must_use]
pub fn stamp(kind: Stamp, moment: Tai64n) -> Vec<u8> {
    let micros = moment.nanoseconds / 1000;
    match kind {
        Stamp::None => String::new(),
        Stamp::Tai64n => format!("@{:016x}{:08x} ", moment.seconds, moment.nanoseconds),
        Stamp::Seconds => format!("{}.{micros:06} ", moment.to_unix()),
        Stamp::Date => {
            let seconds = moment.to_unix();
            let (year, month, day) = crate::local::date(seconds.div_euclid(86_400));
            let sign = if year < 0 { "-" } else { "" };
            let year = year.unsigned_abs();
            let of_day = seconds.rem_euclid(86_400);
            let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            format!("{sign}{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{micros:06}Z ")
        }
    }
    .into_bytes()
}

/// What becomes of whole lines which come in these pieces, each at its moment.
#[must_use]
pub fn written(script: &Script<'_>, pieces: &[(&[u8], Tai64n)]) -> Written {
    let text: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.to_vec()).collect();
    // When each byte came.
    let when: Vec<Tai64n> =
        pieces.iter().flat_map(|(piece, moment)| vec![*moment; piece.len()]).collect();
    let mut written = Written::new(script);
    // For each directory: the second, and how many lines it has had and has kept back.
    let mut rates = vec![(0_u64, 0_u64, 0_u64); script.directories.len()];
    let mut start = 0;
    for line in text.split_inclusive(|&c| c == b'\n') {
        let mark = stamp(script.stamp, when[start]);
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        // The script sees the beginning, as soon as that is there.
        let stamped = [&mark, body].concat();
        let seen = &stamped[..stamped.len().min(HEAD)];
        let decided = if stamped.len() < HEAD { line.len() } else { HEAD - mark.len() };
        let now = when[start + decided.max(1) - 1];
        let whole = [&mark, line].concat();
        start += line.len();

        let matches = |language, pattern: &[u8]| match language {
            Language::Simple => simple(pattern, seen),
            Language::Shell => shell(pattern, seen),
        };
        let mut selected = true;
        let mut open = vec![false; script.directories.len()];
        for action in &script.actions {
            match *action {
                Action::Deselect(language, pattern) => {
                    selected = selected && !matches(language, pattern);
                }
                Action::Select(language, pattern) => {
                    selected = selected || matches(language, pattern);
                }
                Action::Stderr if selected => written.stderr(seen),
                Action::Status(n) if selected => written.status(n, seen),
                Action::Stderr | Action::Status(_) => {}
                Action::Directory(n) => {
                    open[n] = selected;
                    if let Some(rate) = script.directories[n].rate.filter(|_| selected) {
                        let (second, had, kept) = &mut rates[n];
                        if *second != now.seconds {
                            if *kept > 0 {
                                let stamp = stamp(script.stamp, now);
                                let told = format!("multilog: dropped {kept} lines\n");
                                written.directory(n, &[&stamp, told.as_bytes()].concat());
                            }
                            (*second, *had, *kept) = (now.seconds, 0, 0);
                        }
                        open[n] = *had < rate;
                        *(if open[n] { had } else { kept }) += 1;
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
