//! The filters that write and read labels.

use crate::tree::quiet;
use crate::{Bench, Context, Measured, Row, Table, guard};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// 2024-03-09 16:00:00 in the seconds of a label.
const FIRST: u64 = (1 << 62) + 10 + 1_710_000_000;

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let lines = if bench.long { 2_000_000 } else { 500_000 };
    let dir = match prepare(bench, lines) {
        Ok(dir) => dir,
        Err(why) => return table.add(Row::Tai64n, 0, Err(why)),
    };
    for trial in 0..if bench.long { 9 } else { 3 } {
        // The output of the original is the reference.
        let original = bench.suites.iter().position(|suite| suite.name == "daemontools");
        for (row, name, input) in
            [(Row::Tai64n, "tai64n", "bare"), (Row::Tai64nlocal, "tai64nlocal", "stamped")]
        {
            let mut said: Vec<(usize, Vec<u8>)> = vec![];
            for column in bench.turn(trial) {
                let suite = &bench.suites[column];
                let Some(command) = suite.labels(name) else { continue };
                let value = filter(quiet(suite, &command), &dir, input, lines);
                let value = value.and_then(|speed| {
                    let output = fs::read(dir.join("out")).context("read the output")?;
                    check(row, &output, &dir)?;
                    if row == Row::Tai64nlocal {
                        said.push((column, output));
                    }
                    Ok(speed)
                });
                table.add(row, column, value);
            }
            compare(bench, table, &said, original);
            let limit = table.limit();
            table.add(row, limit, filter(Command::new("cat"), &dir, input, lines));
        }
    }
    let _ = fs::remove_dir_all(dir);
}

fn prepare(bench: &Bench, lines: u64) -> Measured<std::path::PathBuf> {
    let dir = bench.work_dir.fresh("labels")?;
    let (mut bare, mut stamped) = (String::new(), String::new());
    for number in 0..lines {
        let text = format!(
            "GET /some/path/{number:07} HTTP/1.1 200 and so many bytes: {}\n",
            number % 9973
        );
        bare.push_str(&text);
        // A thousand lines a second.
        let label =
            format!("@{:016x}{:08x} ", FIRST + number / 1000, number % 1000 * 1_000_000 + 123_456);
        stamped.push_str(&label);
        stamped.push_str(&text);
    }
    fs::write(dir.join("bare"), bare).context("write the lines")?;
    fs::write(dir.join("stamped"), stamped).context("write the lines")?;
    Ok(dir)
}

/// Returns millions of lines a second.
#[expect(clippy::cast_precision_loss, reason = "there are not so many lines")]
fn filter(mut command: Command, dir: &Path, input: &str, lines: u64) -> Measured<f64> {
    command.stdin(File::open(dir.join(input)).context("open the lines")?);
    command.stdout(File::create(dir.join("out")).context("make the output")?);
    let before = Instant::now();
    let mut child = command.spawn().context("start a filter")?;
    match guard::wait(&mut child, Duration::from_secs(60)) {
        Some(status) if status.success() => Ok(lines as f64 / 1e6 / before.elapsed().as_secs_f64()),
        status => Err(format!("it ended with {status:?}")),
    }
}

/// Checks that each line has a label or a time, and its text.
fn check(row: Row, output: &[u8], dir: &Path) -> Measured<()> {
    let (form, length): (fn(u8) -> bool, usize) = match row {
        Row::Tai64n => (|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte), 26),
        _ => (|byte| byte.is_ascii_digit() || b"-:. ".contains(&byte), 30),
    };
    let bare = fs::read(dir.join("bare")).context("read the lines")?;
    let mut expected = bare.split_inclusive(|&byte| byte == b'\n');
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        let (before, text) = line.split_at_checked(length).ok_or("a line is too short")?;
        let label = before.strip_prefix(b"@").unwrap_or(before);
        let good = label.strip_suffix(b" ").is_some_and(|label| label.iter().all(|&b| form(b)));
        if !good || Some(text) != expected.next() {
            return Err(format!("a line is wrong: {}", String::from_utf8_lossy(line)));
        }
    }
    if expected.next().is_some() { Err("lines are missing".to_owned()) } else { Ok(()) }
}

/// Compares the outputs with the original's. Programs of the same names must print the same bytes;
/// s6 may count leap seconds.
fn compare(bench: &Bench, table: &mut Table, said: &[(usize, Vec<u8>)], original: Option<usize>) {
    let Some((_, right)) = said.iter().find(|(column, _)| Some(*column) == original) else {
        return;
    };
    let first =
        |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..29).unwrap_or_default()).into_owned();
    for (column, output) in said.iter().filter(|(_, output)| output != right) {
        let suite = &bench.suites[*column];
        let what = format!("says {} where daemontools says {}", first(output), first(right));
        if suite.kind == crate::suite::Kind::Daemontools {
            table.add(Row::Tai64nlocal, *column, Err(what));
        } else {
            table.note(format!("{}: tai64nlocal {what} (leap seconds)", suite.name));
        }
    }
}
