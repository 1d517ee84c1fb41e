//! svctl logs against a naive reader, which decompresses all files and sorts all lines: over random
//! directories of real loggers, with KILLs in between, and with random options.

use super::logs;
use harness::random::Random;
use harness::{DEADLINE, Process, Signal, Tree, requires, wait_until};
use std::collections::BTreeMap;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write as _, pipe};
use std::os::unix::fs::MetadataExt as _;

/// The seconds by which the labels of s6 are ahead.
const LEAP_SECONDS: i128 = 27;

const BILLION: i128 = 1_000_000_000;

/// A logger and the stamp of its lines.
#[derive(Clone, Copy, Debug)]
struct Logger {
    program: &'static str,
    stamp: &'static str,
    /// The moment of a line that begins with a stamp.
    moment: fn(&str) -> Option<i128>,
}

const LOGGERS: [Logger; 7] = [
    Logger { program: "multilog", stamp: "t", moment: label },
    Logger { program: "multilog", stamp: "I", moment: date },
    Logger { program: "multilog", stamp: "T", moment: seconds },
    Logger { program: "s6-log", stamp: "t", moment: s6_label },
    Logger { program: "svlogd", stamp: "-t", moment: label },
    Logger { program: "svlogd", stamp: "-tt", moment: date },
    Logger { program: "svlogd", stamp: "-ttt", moment: date },
];

/// A label, in nanoseconds since 1970.
fn label(line: &str) -> Option<i128> {
    let digits = line.strip_prefix('@')?.get(..24)?;
    let seconds = i128::from_str_radix(digits.get(..16)?, 16).ok()?;
    let nanoseconds = i128::from_str_radix(digits.get(16..)?, 16).ok()?;
    Some((seconds - (1 << 62) - 10) * BILLION + nanoseconds)
}

fn s6_label(line: &str) -> Option<i128> {
    Some(label(line)? - LEAP_SECONDS * BILLION)
}

/// `1796049692.123456`.
fn seconds(line: &str) -> Option<i128> {
    let (seconds, rest) = line.split_once('.')?;
    if seconds.len() != 10 {
        return None;
    }
    let microseconds: i128 = rest.get(..6)?.parse().ok()?;
    Some(seconds.parse::<i128>().ok()? * BILLION + microseconds * 1000)
}

/// `2026-11-30T14:41:32.123456`, also with `_` and with fewer digits.
fn date(line: &str) -> Option<i128> {
    let number = |from, to| line.get(from..to)?.parse::<i128>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = (number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?;
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day - 719_468;
    let fraction = line.get(20..)?;
    let digits = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
    let nanoseconds: i128 = format!("{:0<9}", fraction.get(..digits)?).parse().ok()?;
    Some((days * 86_400 + seconds) * BILLION + nanoseconds)
}

/// A log directory that is being written.
struct Writing<'t> {
    tree: &'t Tree,
    name: String,
    logger: Logger,
    command: String,
    has_long_lines: bool,
    input: PipeReader,
    output: PipeWriter,
    process: Process,
}

impl<'t> Writing<'t> {
    fn start(tree: &'t Tree, number: usize, random: &mut Random) -> Self {
        let known: Vec<Logger> = LOGGERS.into_iter().filter(|it| requires(it.program)).collect();
        let logger = random.choose(&known);
        let name = format!("d{number}");
        // Where the logger removes files, the first one may begin within a line, whose moment is unknown.
        let is_kept = random.once_in(2);
        let files = if is_kept { 1000 } else { random.between(3, 40) };
        let processor = if random.once_in(3) { "!gzip" } else { "" };
        let Logger { program, stamp, .. } = logger;
        let command = if program == "svlogd" {
            tree.write(format!("{name}/config"), format!("s4096\nn{files}\n{processor}\n"));
            format!("svlogd {stamp} ./{name}")
        } else {
            format!("{program} {stamp} s4096 n{files} {processor} ./{name}")
        };
        let (input, output) = pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&output, true).expect("a pipe that does not block");
        let process = Self::process(tree, &command, &input);
        // svlogd ends such a line itself, and goes on without a stamp.
        let has_long_lines = is_kept && program != "svlogd";
        Self { tree, name, logger, command, has_long_lines, input, output, process }
    }

    fn process(tree: &Tree, command: &str, input: &PipeReader) -> Process {
        let input = input.try_clone().expect("a descriptor");
        tree.sh(&format!("exec {command}")).stdin_from(input).start()
    }

    fn kill(&mut self) {
        // Some directories that a killed s6-log leaves keep the next one from starting: "unable to
        // finish current .u: File exists".
        let is_s6 = self.logger.program == "s6-log";
        self.process.signal(if is_s6 { Signal::TERM } else { Signal::KILL });
        wait_until("the logger has ended", DEADLINE, || self.process.has_ended());
    }

    /// Starts the next logger on the same pipe if this one has ended. ALRM ends one that does not
    /// expect it yet.
    fn restart(&mut self) {
        if self.process.has_ended() {
            self.process = Self::process(self.tree, &self.command, &self.input);
        }
    }

    fn write(&mut self, random: &mut Random) {
        let mut text = Vec::new();
        for _ in 0..random.between(1, 60) {
            // A line longer than a file is split over several.
            let length = match random.below(40) {
                0 if self.has_long_lines => 10_000,
                1..5 => 1200,
                _ => 60,
            };
            let length = random.below(length);
            // No message begins like a stamp.
            text.extend(b"m");
            text.extend(random.bytes(b"0123456789 abc\t\0\x1b\xff\xc3\xa9", length));
            text.push(b'\n');
        }
        let mut rest = &text[..];
        wait_until("the logger reads", DEADLINE, || {
            self.restart();
            match self.output.write(rest) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => rest = &rest[written.expect("write to the logger")..],
            }
            rest.is_empty()
        });
    }

    /// Ends the logger, which has then written all.
    fn finish(self) -> (String, Logger) {
        let Self { tree, name, logger, command, input, output, mut process, .. } = self;
        drop(output);
        loop {
            let output = process.wait();
            if output.code == Some(0) {
                return (name, logger);
            }
            assert!(output.signal.is_some(), "{command}: {output}");
            process = Self::process(tree, &command, &input);
        }
    }
}

/// A line, its directory and its moment.
#[derive(Clone, Debug)]
struct Line {
    moment: i128,
    directory: String,
    text: Vec<u8>,
    /// How much of the text is the stamp and the space.
    stamp: usize,
}

/// Whether a logger was killed before it has completed a file: the next file does not continue its last
/// line.
fn is_interrupted(tree: &Tree, path: &str) -> bool {
    let mode = std::fs::metadata(tree.path(path)).expect("a log file").mode();
    path.ends_with(".u") && mode & 0o100 == 0
}

/// All lines of a directory: every file decompressed, in the order of the names. A line that is split over
/// several files is one line.
fn naive_lines(tree: &Tree, directory: &str, logger: Logger) -> Vec<Line> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for name in harness::finished_files(tree, directory) {
        // What svlogd's processor has not finished is a copy of a part.
        let label = name[..25].to_owned();
        if !name.ends_with(".t") || !files.contains_key(&label) {
            files.insert(label, name);
        }
    }
    let names = files.into_values().chain(["previous".to_owned(), "current".to_owned()]);
    let names: Vec<String> = names.filter(|it| tree.exists(format!("{directory}/{it}"))).collect();
    let mut lines = Vec::new();
    let mut last = None;
    let mut begun = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let mut text = begun;
        text.extend(tree.cmd("zcat").arg("-f").arg(name).cwd(directory).run().stdout);
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let is_end = at + 1 == names.len() || is_interrupted(tree, &format!("{directory}/{name}"));
        begun = if is_end { Vec::new() } else { text.split_off(whole) };
        for text in text.split_inclusive(|byte| *byte == b'\n') {
            let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
            let stamp = (logger.moment)(&String::from_utf8_lossy(&text));
            // A KILL can end a file within a stamp.
            let moment = stamp.or(last).expect("the first line has a stamp");
            let stamp = match stamp {
                Some(_) => text.iter().position(|byte| *byte == b' ').expect("a space") + 1,
                None => 0,
            };
            last = Some(moment);
            lines.push(Line { moment, directory: directory.to_owned(), text, stamp });
        }
    }
    lines
}

/// Which lines are asked for.
#[derive(Debug, Default)]
struct Wanted {
    since: Option<i128>,
    until: Option<i128>,
    pattern: Option<String>,
    last: Option<usize>,
}

impl Wanted {
    fn random(random: &mut Random, lines: &[Line]) -> Self {
        let mut wanted = Self::default();
        let moment = |random: &mut Random| {
            let line = &lines[random.below(lines.len())];
            // The moment itself, or a little beside it.
            line.moment + [0, 1, -1, 300_000, -300_000][random.below(5)]
        };
        if random.once_in(2) {
            wanted.since = Some(moment(random));
        }
        if random.once_in(2) {
            wanted.until = Some(moment(random));
        }
        if random.once_in(2) {
            wanted.pattern = Some(random.choose(&["0", "m1", "ab", "7 c"]).to_owned());
        }
        if random.once_in(2) {
            wanted.last = Some(random.choose(&[0, 1, 7, 50, 400, 100_000]));
        }
        wanted
    }

    fn of(&self, lines: &[Line]) -> Vec<Line> {
        let has = |line: &Line, pattern: &String| {
            let pattern = pattern.as_bytes();
            line.text[line.stamp..].windows(pattern.len()).any(|part| part == pattern)
        };
        let mut found: Vec<Line> = lines
            .iter()
            .filter(|line| self.since.is_none_or(|since| line.moment >= since))
            .filter(|line| self.until.is_none_or(|until| line.moment <= until))
            .filter(|line| self.pattern.as_ref().is_none_or(|pattern| has(line, pattern)))
            .cloned()
            .collect();
        // The sort is stable: lines of one moment stay in the order of the directories.
        found.sort_by_key(|line| line.moment);
        let surplus = self.last.map_or(0, |last| found.len().saturating_sub(last));
        found.split_off(surplus)
    }

    fn arguments(&self) -> Vec<String> {
        let time = |moment: i128| {
            let (seconds, nanoseconds) =
                (moment.div_euclid(BILLION) + (1 << 62) + 10, moment.rem_euclid(BILLION));
            format!("@{seconds:016x}{nanoseconds:08x}")
        };
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
        };
        add("--since", self.since.map(time));
        add("--until", self.until.map(time));
        add("-g", self.pattern.clone());
        add("-n", self.last.map(|last| last.to_string()));
        arguments
    }
}

#[test]
fn svctl_logs_prints_what_a_naive_reader_finds() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let tree = Tree::new();
        let count = random.between(1, 3);
        let mut writing: Vec<Writing<'_>> =
            (0..count).map(|number| Writing::start(&tree, number, &mut random)).collect();
        for _ in 0..random.between(3, 60) {
            let at = random.below(count);
            writing[at].write(&mut random);
            match random.below(16) {
                0 => writing[at].kill(),
                1 => writing[at].process.signal(Signal::ALARM),
                _ => {}
            }
        }
        // Each has a line in the end.
        writing.iter_mut().for_each(|it| it.write(&mut random));
        let directories: Vec<(String, Logger)> = writing.into_iter().map(Writing::finish).collect();
        let lines: Vec<Line> = directories
            .iter()
            .flat_map(|(name, logger)| naive_lines(&tree, name, *logger))
            .collect();
        let named: Vec<&str> =
            directories.iter().flat_map(|(name, _)| ["--log-dir", name]).collect();
        for _ in 0..12 {
            let wanted = Wanted::random(&mut random, &lines);
            let output = logs(&tree, &named).args(["-o", "tai"]).args(wanted.arguments()).run();
            let what = format!("seed {seed}, {directories:?}, {wanted:?}");
            assert_eq!((output.code, output.err()), (Some(0), String::new()), "{what}");
            let name = |line: &Line| match count {
                1 => String::new(),
                _ => format!("{} | ", line.directory),
            };
            let mut expected = Vec::new();
            for line in wanted.of(&lines) {
                expected.extend([name(&line).as_bytes(), &line.text, b"\n"].concat());
            }
            let shown = |bytes: &[u8]| {
                let lines = bytes.split(|byte| *byte == b'\n');
                lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>()
            };
            let (found, expected) = (shown(&output.stdout), shown(&expected));
            let differs = found.iter().zip(&expected).position(|(one, other)| one != other);
            assert!(
                found == expected,
                "{what}: {} lines instead of {}; the first difference: {:?}",
                found.len(),
                expected.len(),
                differs.map(|at| (at, &found[at], &expected[at]))
            );
        }
    }
}
