//! The loggers: their speed, and the lines that a KILL loses.

use crate::suite::{Logging, Suite};
use crate::tree::{DEADLINE, quiet};
use crate::{Bench, Context, Measured, Row, Table, guard};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{PipeReader, Write, pipe};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use system::random::Random;

/// The size of a write, as much as a pipe holds.
const BATCH: usize = 65536;

/// The number of old files, where the log need not keep all lines.
const KEEP: u32 = 5;

/// Lines like those of a web server, and those that the five patterns select.
struct Lines {
    all: Vec<u8>,
    selected: Vec<u8>,
}

impl Lines {
    /// About 16 MB, in lines of 120 bytes on average.
    fn new() -> Self {
        let (mut all, mut selected) = (vec![], vec![]);
        let mut random = Random::new(crate::SEED);
        let agents =
            ["Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "curl/8.5.0 (libcurl; OpenSSL)"];
        while all.len() < 16 << 20 {
            let mut below = |limit: usize| random.below(limit);
            let address = format!("10.{}.{}.{}", below(256), below(256), below(256));
            let method = if below(10) == 0 { "POST" } else { "GET" };
            let health = below(9) == 0;
            let path = if health {
                "/health".to_owned()
            } else {
                format!("/api/v1/items/{}", below(1 << 24))
            };
            let status = match below(100) {
                0 => 500,
                1..=4 => 404,
                _ => 200,
            };
            let agent = agents.get(usize::from(below(3) == 0)).copied().unwrap_or_default();
            let line = format!(
                "{address} {method} {path} {status} {} \"https://www.example.org/list?page={}\" \"{agent}\"\n",
                below(60000),
                below(1000)
            );
            all.extend(line.as_bytes());
            if !health && (method == "POST" || status != 200) {
                selected.extend(line.as_bytes());
            }
        }
        Self { all, selected }
    }
}

pub(crate) fn throughput(bench: &Bench, table: &mut Table) {
    let lines = Lines::new();
    let (trials, times) = if bench.long { (15, 32) } else { (5, 8) };
    for trial in 0..trials {
        for column in bench.turn(trial) {
            let suite = &bench.suites[column];
            let value = throughput_of(bench, suite, &lines, Logging::Stamped, times);
            table.add(Row::Stamped, column, value);
            let kind = Logging::Selected;
            if suite.logger(kind, KEEP, "").is_some() && (trial < 2 || bench.long) {
                table.add(
                    Row::Selected,
                    column,
                    throughput_of(bench, suite, &lines, kind, times.min(3)),
                );
            }
        }
        let limit = table.limit();
        table.add(Row::Stamped, limit, cat(bench, &lines, times));
    }
}

/// Writes the lines so many times through a pipe into the logger. Returns megabytes a second until
/// the logger has ended.
fn throughput_of(
    bench: &Bench,
    suite: &Suite,
    lines: &Lines,
    logging: Logging,
    times: usize,
) -> Measured<f64> {
    let dir = bench.work_dir.fresh("log")?;
    let to = dir.join("main");
    let logger = suite.logger(logging, KEEP, &to.to_string_lossy()).ok_or("it has no logger")?;
    let speed = feed(quiet(suite, &logger.command), lines, times);
    let expected = if logging == Logging::Selected { &lines.selected } else { &lines.all };
    let checked = speed.and_then(|speed| {
        is_the_end(&without_labels(&read(&to)?, logger.label)?, expected, times, logger.label)?;
        Ok(speed)
    });
    fs::remove_dir_all(dir).context("remove a log")?;
    checked
}

/// The limit: `cat` into a file.
fn cat(bench: &Bench, lines: &Lines, times: usize) -> Measured<f64> {
    let dir = bench.work_dir.fresh("cat")?;
    let mut command = Command::new("cat");
    command.stdout(File::create(dir.join("all")).context("make a file")?);
    let speed = feed(command, lines, times);
    let size = fs::metadata(dir.join("all")).context("look at a file")?.len();
    fs::remove_dir_all(dir).context("remove a file")?;
    if size == (lines.all.len() * times) as u64 {
        speed
    } else {
        Err("bytes are missing".to_owned())
    }
}

#[expect(clippy::cast_precision_loss, reason = "gigabytes fit")]
fn feed(mut command: Command, lines: &Lines, times: usize) -> Measured<f64> {
    let (reader, mut writer) = pipe().context("make a pipe")?;
    let before = Instant::now();
    let mut child = command.stdin(reader).spawn().context("start the logger")?;
    // Only the child keeps the reading end.
    drop(command);
    let (wrote, status) = thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut batches = (0..times).flat_map(|_| lines.all.chunks(BATCH));
            batches.try_for_each(|batch| writer.write_all(batch)).is_ok()
        });
        let status = guard::wait(&mut child, Duration::from_secs(60));
        (writing.join().unwrap_or(false), status)
    });
    let seconds = before.elapsed().as_secs_f64();
    match status {
        Some(status) if wrote && status.success() => {
            Ok((lines.all.len() * times) as f64 / 1e6 / seconds)
        }
        status => Err(format!("the logger ended with {status:?}")),
    }
}

/// All files of a log directory, the oldest first.
fn read(dir: &Path) -> Measured<Vec<u8>> {
    let entries = fs::read_dir(dir).context("read a log directory")?;
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.retain(|name| name.as_encoded_bytes().starts_with(b"@"));
    names.sort();
    names.push("current".into());
    let mut all = vec![];
    for name in names {
        all.extend(fs::read(dir.join(name)).context("read a log file")?);
    }
    Ok(all)
}

/// The lines without the first bytes of each.
fn without_labels(log: &[u8], label: usize) -> Measured<Vec<u8>> {
    let mut bare = Vec::with_capacity(log.len());
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        let text = line.get(label..).filter(|_| line.ends_with(b"\n"));
        bare.extend(text.ok_or("a line of the log is too short")?);
    }
    Ok(bare)
}

/// Checks that a log is exactly the end of the input, and as long as the script keeps it.
fn is_the_end(log: &[u8], block: &[u8], times: usize, label: usize) -> Measured<()> {
    let (mut rest, mut blocks) = (log, 0);
    while !rest.is_empty() && blocks < times {
        let (before, last) = rest.split_at(rest.len().saturating_sub(block.len()));
        if !block.ends_with(last) {
            return Err("the log is not what was sent".to_owned());
        }
        (rest, blocks) = (before, blocks + 1);
    }
    // The share of the text in the kept files, for lines of 120 bytes. One file is not full yet.
    let kept = (KEEP as usize - 1) * (16 << 20) * 110 / (120 + label);
    match (rest.is_empty(), log.len()) {
        (true, size) if size >= (block.len() * times).min(kept) => Ok(()),
        (_, size) => Err(format!("the log has {size} bytes of {}", block.len() * times)),
    }
}

/// Kills the logger of a writer without pauses again and again; the next logger reads the same
/// pipe.
pub(crate) fn killed(bench: &Bench, table: &mut Table) {
    for trial in 0..if bench.long { 9 } else { 3 } {
        for column in bench.turn(trial) {
            table.add(Row::LostByKill, column, lost(bench, &bench.suites[column]));
        }
    }
    let limit = table.limit();
    table.add(Row::LostByKill, limit, Ok(0.0));
}

const KILLS: u32 = 10;

fn numbered(number: u64) -> String {
    format!("{number:010} is what a service has to say, {:07}\n", number * 7 % 1_000_003)
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many lines")]
fn lost(bench: &Bench, suite: &Suite) -> Measured<f64> {
    let dir = bench.work_dir.fresh("kill")?;
    let to = dir.join("main");
    let logger =
        suite.logger(Logging::Stamped, 1000, &to.to_string_lossy()).ok_or("it has no logger")?;
    let (reader, mut writer) = pipe().context("make a pipe")?;
    let stop = AtomicBool::new(false);
    let (written, killed) = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let batch: String = (written..written + 20).map(numbered).collect();
                if writer.write_all(batch.as_bytes()).is_err() {
                    break;
                }
                written += 20;
            }
            drop(writer);
            written
        });
        // The reader moves into the call, so the writer ends too when no logger is left.
        let killed = kill_in_turn(quiet(suite, &logger.command), reader, &stop);
        stop.store(true, Ordering::Relaxed);
        (writing.join().unwrap_or(0), killed)
    });
    killed?;
    let seen: HashSet<u64> = read(&to)?
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let text = std::str::from_utf8(line.get(logger.label..)?).ok()?;
            let number: u64 = text.get(..10)?.parse().ok()?;
            (number < written && numbered(number).trim_end() == text).then_some(number)
        })
        .collect();
    fs::remove_dir_all(dir).context("remove a log")?;
    let seen = seen.len() as u64;
    if written < 1000 * u64::from(KILLS) || seen < written / 2 {
        return Err(format!("{seen} of {written} lines are there"));
    }
    Ok((written - seen) as f64 / f64::from(KILLS))
}

fn kill_in_turn(mut command: Command, reader: PipeReader, stop: &AtomicBool) -> Measured<()> {
    let mut random = Random::new(crate::SEED);
    command.stdin(Stdio::from(reader));
    for _ in 0..KILLS {
        let mut child = command.spawn().context("start the logger")?;
        thread::sleep(Duration::from_millis(20 + random.below(20) as u64));
        if child.try_wait().context("look at the logger")?.is_some() {
            return Err("the logger ended by itself".to_owned());
        }
        child.kill().context("kill the logger")?;
        child.wait().context("wait for the logger")?;
    }
    let mut last = command.spawn().context("start the logger")?;
    thread::sleep(Duration::from_millis(20));
    stop.store(true, Ordering::Relaxed);
    match guard::wait(&mut last, DEADLINE) {
        Some(status) if status.success() => Ok(()),
        status => Err(format!("the last logger ended with {status:?}")),
    }
}
