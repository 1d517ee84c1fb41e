//! `svscan -p` and `-j` beside other ways to put the name of a service in front of its lines.

use crate::suite::{Kind, Suite};
use crate::table::two_digits;
use crate::{Context, Measured, WorkDir, counts, guard, milliseconds, now};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(300);

/// The length of a line, with its newline.
const LENGTH: u64 = 100;

/// What has been used for all lines.
struct Used {
    milliseconds: f64,
    /// The processor time of the process that adds the names, in milliseconds.
    cpu: f64,
    /// Its private memory at the end, in KiB.
    memory: f64,
}

/// Measures and prints the table. Returns whether all work was done.
pub(crate) fn measure(
    work_dir: &WorkDir,
    suites: &[Suite],
    most: Option<u32>,
    machine: &str,
) -> Measured<bool> {
    let lines = u64::from(most.unwrap_or(1_000_000));
    let dir = work_dir.fresh("output")?;
    let text = dir.join("lines");
    write_lines(&text, lines)?;
    let ours = suites.first().ok_or("no suite")?;
    let mut rows = vec![];
    for option in ["-p", "-j"] {
        rows.push((format!("`svscan {option}`"), copied(ours, &dir, &text, option, lines)));
    }
    let mut filters = vec![vec!["sed", "s/^/web: /"]];
    if suites.iter().any(|suite| suite.kind == Kind::S6) {
        filters.insert(0, vec!["s6-log", "pweb: ", "1"]);
    }
    for filter in filters {
        rows.push((format!("`{}`", filter.join(" ")), filtered(&filter, &text, lines)));
    }
    println!(
        "{lines} lines of {LENGTH} bytes of one service, read by a program that counts them\n"
    );
    println!(
        "| | million lines/s | processor time, s | private memory, KiB |\n|---|---:|---:|---:|"
    );
    let mut is_good = true;
    for (name, used) in rows {
        match used {
            Ok(Used { milliseconds, cpu, memory }) => {
                #[expect(clippy::cast_precision_loss, reason = "millions")]
                let rate = lines as f64 / milliseconds / 1000.0;
                let [rate, cpu] = [rate, cpu / 1000.0].map(two_digits);
                println!("| {name} | {rate} | {cpu} | {memory:.0} |");
            }
            Err(why) => {
                is_good = false;
                println!("| {name} | failed: {why} | | |");
            }
        }
    }
    println!("\n{machine}");
    Ok(is_good)
}

fn write_lines(path: &Path, lines: u64) -> Measured<()> {
    let mut file = BufWriter::new(File::create(path).context("make the lines")?);
    for n in 0..lines {
        let width = usize::try_from(LENGTH).unwrap_or(0) - 1;
        writeln!(file, "{n:0width$}").context("write the lines")?;
    }
    file.flush().context("write the lines")
}

/// Reads this many lines. Returns the time of it in milliseconds.
fn read_lines(from: &mut ChildStdout, lines: u64) -> Measured<f64> {
    let mut room = vec![0; 1 << 18];
    let (mut begin, mut found) = (None, 0);
    while found < lines {
        if !guard::readable(from, DEADLINE) {
            return Err("no line in time".to_owned());
        }
        let length = from.read(&mut room).context("read the lines")?;
        if length == 0 {
            return Err(format!("{found} lines of {lines}"));
        }
        begin.get_or_insert_with(now);
        let newlines = room.get(..length).unwrap_or_default().iter().filter(|&&c| c == b'\n');
        found += u64::try_from(newlines.count()).unwrap_or(0);
    }
    Ok(milliseconds(begin.unwrap_or_default(), now()))
}

/// The same lines through svscan with this option.
fn copied(ours: &Suite, dir: &Path, text: &Path, option: &str, lines: u64) -> Measured<Used> {
    let scan_dir = dir.join(option);
    let service = scan_dir.join("web");
    fs::create_dir_all(&service).context("make a service")?;
    let run = service.join("run");
    fs::write(&run, format!("#!/bin/sh\ncat {}\nexec sleep 1000\n", text.display()))
        .context("make a service")?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).context("make a service")?;
    let mut svscan = Command::new("svscan")
        .arg(option)
        .arg(&scan_dir)
        .env("PATH", ours.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start svscan")?;
    let mut out = svscan.stdout.take().ok_or("no output")?;
    let milliseconds = read_lines(&mut out, lines);
    // The child with the arguments of svscan.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", svscan.id()));
    let used = children.context("read the children").and_then(|children| {
        let is_copier = |pid: &u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments.starts_with(b"svscan")
        };
        let mut pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let copier = pids.find(is_copier).ok_or("no copier")?;
        used_by(copier, milliseconds?)
    });
    end(&mut svscan);
    used
}

/// The same lines through a filter.
fn filtered(filter: &[&str], text: &Path, lines: u64) -> Measured<Used> {
    let (program, arguments) = filter.split_first().ok_or("no program")?;
    // A pipe that stays open, as that of a service.
    let feed = format!("cat {}; exec sleep 1000", text.display());
    let mut feeder = Command::new("sh")
        .args(["-c", &feed])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start a shell")?;
    let from = feeder.stdout.take().ok_or("no output")?;
    let started = Command::new(program).args(arguments).stdin(from).stdout(Stdio::piped()).spawn();
    let used = started.context("start the filter").and_then(|mut filter| {
        let mut out = filter.stdout.take().ok_or("no output")?;
        // sed keeps the last lines in its buffer until its end.
        let used = read_lines(&mut out, lines - 100).and_then(|time| used_by(filter.id(), time));
        end(&mut filter);
        used
    });
    end(&mut feeder);
    used
}

fn used_by(pid: u32, milliseconds: f64) -> Measured<Used> {
    Ok(Used { milliseconds, cpu: cpu(pid)?, memory: counts::private_memory(pid)? })
}

/// The processor time of a process in milliseconds, counted in hundredths of a second.
fn cpu(pid: u32) -> Measured<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read /proc")?;
    let after = stat.rsplit_once(')').map(|(_, after)| after).unwrap_or_default();
    // utime and stime are fields 14 and 15; the first after the name is number 3.
    let ticks = after.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(10.0 * ticks.sum::<Result<f64, _>>().context("understand /proc")?)
}

/// Ends a program with TERM.
fn end(child: &mut Child) {
    if let Some(pid) = guard::pid_of(child.id()) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if guard::wait(child, Duration::from_secs(20)).is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
