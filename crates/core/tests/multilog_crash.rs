//! Output directories whose logger is killed after any operation.
//!
//! The logger dies after a chosen operation. Then a new logger recovers the directory and continues
//! with the lines that the first one did not take. After each death, the log contains every written
//! line once, in order. If the input is a pipe under load, it contains every line of the input.

mod multilog_model;
#[path = "multilog_model/pipe_logger.rs"]
mod pipe_logger;

use daemontools_core::multilog::batch::HELD_LIMIT;
use daemontools_core::multilog::file_name::FileName;
use daemontools_core::multilog::script::LogScript;
use multilog_model::disk::{Byte, Disk};
use multilog_model::line_logger::log_lines;
use multilog_model::{ALL_FILES, Clock, Random, settings};
use pipe_logger::{Pace, Pipe, READ_SIZE, finish_for_killed_logger, log_pipe};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::rc::Rc;

impl Disk {
    /// The text of all log files.
    fn text(&self) -> Vec<u8> {
        self.log().map(|byte| byte.value).collect()
    }
}

/// Output directories of one logger.
fn disks(count: usize) -> Vec<Disk> {
    let first = Disk::new();
    let operations_left = || Rc::clone(&first.operations_left);
    (0..count).map(|_| Disk { operations_left: operations_left(), ..Disk::new() }).collect()
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    lines_with(1000..3000)
}

/// Lines, some of which have a length in `long`.
fn lines_with(long: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = prop_oneof![
        4 => 10_usize..200,
        1 => long,
    ];
    prop::collection::vec(line, 1..40).prop_map(numbered)
}

/// Lines of about these lengths. Each part of a line occurs in one place only.
fn numbered(lengths: Vec<usize>) -> Vec<Vec<u8>> {
    let line = |(n, length): (usize, usize)| {
        let mut line = format!("{n:04} ").into_bytes();
        while line.len() < length {
            line.extend_from_slice(format!("{n}.{} ", line.len()).as_bytes());
        }
        line.push(b'\n');
        line
    };
    lengths.into_iter().enumerate().map(line).collect()
}

/// Whether the pattern `*7.*` matches: a period follows the first 7.
fn is_deselected(line: &[u8]) -> bool {
    let seven = line.iter().position(|c| *c == b'7');
    seven.is_some_and(|at| line.get(at + 1) == Some(&b'.'))
}

/// Checks that a log contains each line that `is_selected` once and in order, with stamps that
/// never go back.
#[track_caller]
fn assert_complete(disk: &Disk, text: &[u8], stamp: usize, is_selected: impl Fn(&[u8]) -> bool) {
    let logged = disk.text();
    let lines = || logged.split_inclusive(|c| *c == b'\n');
    let got: Vec<u8> = lines().flat_map(|l| l.get(stamp..).unwrap_or_default()).copied().collect();
    let wanted: Vec<&[u8]> =
        text.split_inclusive(|c| *c == b'\n').filter(|line| is_selected(line)).collect();
    assert!(got == wanted.concat(), "{} {}", disk.listing(), wanted.concat().len());
    assert!(lines().map(|line| &line[..stamp]).is_sorted(), "{}", disk.listing());
}

/// Checks that a log contains lines and parts of lines of the input, each once and in order, and
/// that at most `max_lost` bytes are missing.
#[track_caller]
fn assert_ordered(disk: &Disk, text: &[u8], max_lost: usize) {
    let (mut at, mut logged) = (0, 0);
    for file in disk.log_files() {
        let data: Vec<u8> = disk.files[file].data.iter().map(|byte| byte.value).collect();
        for part in data.split_inclusive(|c| *c == b'\n') {
            let found = memchr::memmem::find(&text[at..], part);
            let part_text = String::from_utf8_lossy(part);
            let found = found.unwrap_or_else(|| panic!("{part_text:?} in {}", disk.listing()));
            at += found + part.len();
            logged += part.len();
        }
    }
    let lost = text.len() - logged;
    assert!(lost <= max_lost, "{lost} bytes lost of {}: {}", text.len(), disk.listing());
}

/// Checks that a finished file ends with a line, if a line ends in its last 2000 bytes.
#[track_caller]
fn assert_whole(disk: &Disk) {
    for (name, file) in disk.old_files().into_iter().filter(|(name, _)| name.ends_with(b".s")) {
        let data = &disk.files[file].data;
        let mut end = data.iter().rev().take(2000).map(|byte| byte.value);
        let name = String::from_utf8_lossy(name);
        let ends_line = end.next() == Some(b'\n');
        assert!(ends_line || !end.any(|c| c == b'\n'), "{name} in {}", disk.listing());
    }
}

/// The standby process of a killed logger writes the rest of a batch to a file that the logger was
/// about to replace: not even the first byte of a line goes there.
#[test]
fn a_standby_process_does_not_split_a_line_at_a_full_file() {
    for room in 1..9 {
        let first = [&b"x".repeat(4096 - room - 1)[..], b"\n"].concat();
        let text = [first.clone(), b"a line\n".repeat(1000)].concat();
        let script = LogScript::parse(["s4096", "n1000", "./d"].into_iter().map(str::as_bytes));
        for operations in 0.. {
            let mut disks = disks(1);
            let mut pipe = Pipe::new(text.clone());
            let pace = Pace { step: text.len(), pauses: false };
            disks[0].operations_left.set(operations);
            let ended = log_pipe(&mut disks, &script, &mut pipe, pace, &mut Clock(0)).is_ok();
            disks[0].operations_left.set(usize::MAX);
            finish_for_killed_logger(&mut disks, &script, &mut pipe, &mut Clock(1000))
                .expect("the standby process is not killed");
            assert_whole(&disks[0]);
            if ended {
                break;
            }
        }
    }
}

#[test]
fn a_previous_beside_a_complete_current_is_not_overwritten() {
    let mut disk = Disk::new();
    let previous = disk.create(FileName::Previous);
    let left = b"left\n".iter().map(|&value| Byte { number: 0, value });
    disk.files[previous].data = left.collect();
    let current = disk.create(FileName::Current);
    disk.set_mode(current, true);
    let line = [b"x".repeat(3000), b"\n".to_vec()].concat();
    let lines = [line.clone(), line.clone()];
    log_lines(&mut disk, &settings(4096, ALL_FILES, false), &lines, &mut Clock(0));
    assert_eq!(disk.text(), [b"left\n".to_vec(), line.clone(), line].concat());
    assert!(disk.old_files().iter().any(|(name, _)| name.ends_with(b".u")));
}

/// An input and a script.
struct Case {
    args: Vec<String>,
    text: Vec<u8>,
    pace: Pace,
}

impl Case {
    fn new(random: &mut Random) -> Self {
        let stamp = random.below(2) == 0;
        let mut args = vec![String::from(if stamp { "t" } else { "" }), "n1000".into()];
        for directory in 0..1 + random.below(3) {
            args.push(format!("s{}", 4096 + random.below(1000)));
            args.push(if random.below(3) == 0 { "!cat".into() } else { "!".into() });
            if random.below(3) == 0 && directory > 0 {
                args.push("-*7.*".into());
            }
            args.push(format!("./{directory}"));
        }
        let pauses = !stamp && random.below(2) == 0;
        let mut lengths = Vec::new();
        for _ in 0..6 + random.below(14) {
            let length = match random.below(8) {
                0 | 1 => 500 + random.below(440),
                // Too long to be held.
                2 if pauses => 900 + random.below(2000),
                _ => random.below(300),
            };
            lengths.push(usize::try_from(length).expect("small"));
        }
        let step = usize::try_from(100 + random.below(3000)).expect("small");
        Self { args, text: numbered(lengths).concat(), pace: Pace { step, pauses } }
    }

    fn script(&self) -> LogScript<'_> {
        LogScript::parse(self.args.iter().map(|arg| arg.as_bytes()))
    }

    fn stamp_len(&self) -> usize {
        if self.args[0].is_empty() { 0 } else { 26 }
    }

    fn has_patterns(&self) -> bool {
        self.args.iter().any(|arg| arg.starts_with('-'))
    }

    /// Whether the directory with this number gets a line.
    fn selects(&self, directory: usize, line: &[u8]) -> bool {
        let pattern = self.args.iter().position(|arg| arg.starts_with('-'));
        let place = self.args.iter().position(|arg| *arg == format!("./{directory}"));
        !(pattern.is_some_and(|at| Some(at) < place) && is_deselected(line))
    }

    /// Checks the logs of `text`, after `kills` deaths of loggers.
    fn check(&self, disks: &[Disk], text: &[u8], kills: usize) {
        for (n, disk) in disks.iter().enumerate() {
            assert_whole(disk);
            if !self.pace.pauses {
                assert_complete(disk, text, self.stamp_len(), |line| self.selects(n, line));
            } else if !self.has_patterns() {
                assert_ordered(disk, text, kills * (READ_SIZE + HELD_LIMIT));
            }
        }
    }
}

/// Number of cases of which each operation is the last one of a logger once.
const CASES: usize = 200;

/// Kills the logger after each operation of some hundred cases; in each second case, kills the next
/// logger too. In most cases a standby process finishes for the killed logger, or is killed too.
#[test]
fn no_line_is_lost_or_doubled_after_a_kill_at_any_operation() {
    let mut random = Random(1);
    let (mut runs, mut finished) = (0, 0);
    for _ in 0..CASES {
        let case = Case::new(&mut random);
        let script = case.script();
        let kills_twice = random.below(2) == 0;
        let has_standby = random.below(3) > 0;
        let standby_survives = random.below(2) == 0;
        for operations in 0.. {
            let mut disks = disks(script.directories.len());
            let mut clock = Clock(0);
            let mut pipe = Pipe::new(case.text.clone());
            let mut run = |disks: &mut [Disk], operations, standby: Option<usize>| {
                disks[0].operations_left.set(operations);
                let result = log_pipe(disks, &script, &mut pipe, case.pace, &mut clock);
                let Some(operations) = standby.filter(|_| result.is_err()) else {
                    return result;
                };
                disks[0].operations_left.set(operations);
                let standby = finish_for_killed_logger(disks, &script, &mut pipe, &mut clock);
                if standby.is_ok() && !case.pace.pauses {
                    // A logger that ignores batch marks could continue from here.
                    finished += 1;
                    let consumed = &case.text[..pipe.consumed];
                    let whole = consumed.iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1);
                    case.check(disks, &case.text[..whole], 1);
                }
                result
            };
            let standby = match has_standby {
                true if standby_survives => Some(usize::MAX),
                true => Some(usize::try_from(random.below(30)).expect("small")),
                false => None,
            };
            let is_last = run(&mut disks, operations, standby).is_ok();
            let mut kills = 1;
            if kills_twice {
                kills += 1;
                let operations = usize::try_from(random.below(60)).expect("small");
                let _ = run(&mut disks, operations, standby);
            }
            run(&mut disks, usize::MAX, None).expect("the last logger is not killed");
            case.check(&disks, &case.text, kills);
            runs += 1;
            if is_last {
                break;
            }
        }
    }
    assert!(runs > 10_000 && finished > 2000, "{runs} runs, {finished} by a standby process");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_written_byte_is_lost_or_doubled_after_kills(
        lines in lines(),
        size in 4096_u64..9000,
        processor in any::<bool>(),
        lives in prop::collection::vec(0_usize..90, 0..6),
        failing in prop::collection::vec(0_usize..200, 0..5),
    ) {
        let settings = settings(size, ALL_FILES, processor);
        let removals_fail = !failing.is_empty();
        let mut disk = Disk { failing, ..Disk::new() };
        let mut clock = Clock(0);
        let mut next = 0;
        for operations in lives {
            disk.operations_left.set(operations);
            next += log_lines(&mut disk, &settings, &lines[next..], &mut clock);
            prop_assert!(disk.text() == disk.written, "{}", disk.listing());
        }
        disk.operations_left.set(usize::MAX);
        log_lines(&mut disk, &settings, &lines[next..], &mut clock);
        prop_assert!(disk.text() == disk.written, "{}", disk.listing());
        let old: Vec<usize> = disk.old_files().into_iter().map(|(_, file)| file).collect();
        prop_assert!(old.iter().all(|file| disk.files[*file].data.len() as u64 <= size));
        // Each file has one name.
        prop_assert_eq!(old.len(), old.iter().collect::<BTreeSet<_>>().len());
        let current = disk.find(FileName::Current).unwrap();
        prop_assert!(disk.is_complete(current));
        prop_assert!(disk.find(FileName::Previous).is_none());
        prop_assert!(removals_fail || disk.find(FileName::Processed).is_none());
    }

    #[test]
    fn the_limit_of_files_holds_and_the_newest_files_stay_after_kills(
        lines in lines(),
        files in 2_u64..6,
        lives in prop::collection::vec(0_usize..90, 0..4),
    ) {
        let settings = settings(4096, files, false);
        let mut disk = Disk::new();
        let mut clock = Clock(0);
        let mut next = 0;
        for operations in lives {
            disk.operations_left.set(operations);
            next += log_lines(&mut disk, &settings, &lines[next..], &mut clock);
        }
        disk.operations_left.set(usize::MAX);
        log_lines(&mut disk, &settings, &lines[next..], &mut clock);
        prop_assert!((disk.old_files().len() as u64) < files.max(2) + 1);
        prop_assert!(disk.written.ends_with(&disk.text()));
    }

    #[test]
    fn no_line_of_a_pipe_under_load_is_lost_or_doubled_after_kills(
        // All beginnings of these lines are short enough to be held.
        lines in lines_with(500..HELD_LIMIT - 20),
        size in 4096_u64..9000,
        stamp in any::<bool>(),
        processor in any::<bool>(),
        steps in prop::collection::vec(1_usize..5000, 8),
        lives in prop::collection::vec(0_usize..40, 0..8),
    ) {
        let size = format!("s{size}");
        let processor = if processor { "!cat" } else { "" };
        let stamp = if stamp { "t" } else { "" };
        let args = [stamp, &size, "n1000", processor, "./c", "-*7.*", "./d", "s5000", "./e"];
        let script = LogScript::parse(args.iter().map(|arg| arg.as_bytes()));
        let mut disks = disks(3);
        let mut clock = Clock(0);
        let mut pipe = Pipe::new(lines.concat());
        for (operations, step) in lives.iter().zip(&steps) {
            disks[0].operations_left.set(*operations);
            let pace = Pace { step: *step, pauses: false };
            let _ = log_pipe(&mut disks, &script, &mut pipe, pace, &mut clock);
        }
        disks[0].operations_left.set(usize::MAX);
        let pace = Pace { step: steps[0], pauses: false };
        log_pipe(&mut disks, &script, &mut pipe, pace, &mut clock).expect("not killed");
        let stamp = if stamp.is_empty() { 0 } else { 26 };
        assert_complete(&disks[0], &pipe.text, stamp, |_| true);
        assert_complete(&disks[1], &pipe.text, stamp, |line| !is_deselected(line));
        assert_complete(&disks[2], &pipe.text, stamp, |line| !is_deselected(line));
    }

    #[test]
    fn no_line_is_doubled_or_joined_to_another_after_kills_between_pauses(
        lines in lines(),
        processor in any::<bool>(),
        steps in prop::collection::vec(1_usize..3000, 8),
        lives in prop::collection::vec(0_usize..60, 0..8),
    ) {
        let args = ["s4096", "n1000", if processor { "!cat" } else { "" }, "./c", "s5000", "./d"];
        let script = LogScript::parse(args.iter().map(|arg| arg.as_bytes()));
        let mut disks = disks(2);
        let mut clock = Clock(0);
        let mut pipe = Pipe::new(lines.concat());
        for (operations, step) in lives.iter().zip(&steps) {
            disks[0].operations_left.set(*operations);
            let pace = Pace { step: *step, pauses: true };
            let _ = log_pipe(&mut disks, &script, &mut pipe, pace, &mut clock);
        }
        disks[0].operations_left.set(usize::MAX);
        let pace = Pace { step: steps[0], pauses: true };
        log_pipe(&mut disks, &script, &mut pipe, pace, &mut clock).expect("not killed");
        for disk in &disks {
            assert_ordered(disk, &pipe.text, lives.len() * (READ_SIZE + HELD_LIMIT));
        }
    }
}
