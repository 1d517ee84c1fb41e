//! `svctl list`: the time to its first byte, and to its end, with few and with many services.

use crate::table::{median, two_digits};
use crate::{Context, Measured, WorkDir, guard, milliseconds, now};
use rustix::fs::{FileType, Mode, OFlags, mknodat, open};
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// The numbers of services.
const SIZES: [u32; 3] = [10, 1000, 10_000];

const DEADLINE: Duration = Duration::from_secs(60);

/// 2024-03-09 16:00:00 UTC in the seconds of a label.
const SINCE: u64 = (1 << 62) + 10 + 1_710_000_000;

/// Measures and prints the table. Returns whether all work was done.
pub(crate) fn measure(
    work_dir: &WorkDir,
    long: bool,
    most: Option<u32>,
    machine: &str,
) -> Measured<bool> {
    let svctl = env::var("DAEMONTOOLS_SVCTL").context("read DAEMONTOOLS_SVCTL: use bench/run")?;
    let most = most.unwrap_or(u32::MAX);
    let mut text = "| services | the first byte, ms | the longest | the end, ms | the longest |\n\
                    |---:|---:|---:|---:|---:|\n"
        .to_owned();
    let dir = work_dir.fresh("list")?;
    let _supervisors = make_supervisor(&dir)?;
    let mut is_good = true;
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        eprintln!("{size} services");
        let scan_dir = dir.join(size.to_string());
        make_services(&dir, &scan_dir, size)?;
        match trials(&svctl, &scan_dir, size, long) {
            Ok((first, end)) => {
                let cell = |times: &[f64]| {
                    let longest = times.iter().copied().fold(0.0, f64::max);
                    let middle = median(times).map_or_else(|| "-".to_owned(), two_digits);
                    format!("{middle} | {}", two_digits(longest))
                };
                let _ = writeln!(text, "| {size} | {} | {} |", cell(&first), cell(&end));
            }
            Err(why) => {
                is_good = false;
                let _ = writeln!(text, "| {size} | failed | | | |\n\nFAILED: {why}\n");
            }
        }
    }
    print!("{text}");
    println!("\n{machine}");
    Ok(is_good)
}

/// Makes a FIFO with a reader. As `ok` of a service, it looks like a supervise.
fn make_supervisor(dir: &Path) -> Measured<OwnedFd> {
    let ok = dir.join("ok");
    mknodat(rustix::fs::CWD, &ok, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .context("make a FIFO")?;
    open(&ok, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .context("open a FIFO")
}

/// Makes services that are down, except each tenth, which is up as this process.
fn make_services(dir: &Path, scan_dir: &Path, count: u32) -> Measured<()> {
    for number in 0..count {
        let service = scan_dir.join(format!("service{number:05}"));
        let state = service.join("supervise");
        fs::create_dir_all(&state).context("make a directory")?;
        fs::write(service.join("run"), "#!/bin/sh\nexec sleep 1000\n").context("write run")?;
        fs::hard_link(dir.join("ok"), state.join("ok")).context("make a link")?;
        let (pid, want) = if number % 10 == 0 { (std::process::id(), b'u') } else { (0, b'd') };
        // A label of 12 bytes, the process, whether it is paused, and what is wanted.
        let mut status = SINCE.to_be_bytes().to_vec();
        status.extend([0; 4]);
        status.extend(pid.to_le_bytes());
        status.extend([0, want]);
        fs::write(state.join("status"), status).context("write a status")?;
    }
    Ok(())
}

/// The times of the first byte and of the end. The first run does not count.
fn trials(svctl: &str, scan_dir: &Path, count: u32, long: bool) -> Measured<(Vec<f64>, Vec<f64>)> {
    let (mut first, mut end) = (vec![], vec![]);
    for trial in 0..if long { 101 } else { 21 } {
        let (begin, done) = run(svctl, scan_dir, count)?;
        if trial > 0 {
            first.push(begin);
            end.push(done);
        }
    }
    Ok((first, end))
}

/// Runs `svctl list`, and checks its lines.
fn run(svctl: &str, scan_dir: &Path, count: u32) -> Measured<(f64, f64)> {
    let before = now();
    let mut child = Command::new(svctl)
        .arg("-d")
        .arg(scan_dir)
        .arg("list")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start svctl")?;
    let mut output = child.stdout.take().ok_or("no pipe")?;
    let mut room = vec![0; 64 * 1024];
    let (mut lines, mut first) = (0_usize, None);
    loop {
        let read = output.read(&mut room).context("read the output")?;
        if read == 0 {
            break;
        }
        first.get_or_insert_with(now);
        lines += room[..read].iter().filter(|byte| **byte == b'\n').count();
    }
    let status = guard::wait(&mut child, DEADLINE).ok_or("no end")?;
    let end = now();
    if !status.success() || lines != usize::try_from(count).unwrap_or(0) {
        return Err(format!("svctl list ended with {status} and {lines} lines"));
    }
    Ok((milliseconds(before, first.unwrap_or(end)), milliseconds(before, end)))
}
