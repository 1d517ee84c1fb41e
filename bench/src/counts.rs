//! The kernel's counters of a process.

use crate::{Context, Measured};
use std::fs;

fn read(pid: u32, name: &str) -> Measured<String> {
    fs::read_to_string(format!("/proc/{pid}/{name}")).context("read what /proc knows of a process")
}

/// The sum of the numbers after these names.
fn sum(text: &str, names: &[&str]) -> Option<f64> {
    let number = |name: &&str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    names.iter().map(number).sum()
}

/// The memory that only this process uses, in KiB.
///
/// # Errors
///
/// If the process has gone, or belongs to another user.
pub(crate) fn private_memory(pid: u32) -> Measured<f64> {
    let text = read(pid, "smaps_rollup")?;
    sum(&text, &["Private_Clean", "Private_Dirty"]).ok_or_else(|| "no memory is told".to_owned())
}

/// The most memory that the process has had, in KiB.
///
/// # Errors
///
/// If the process has ended.
pub(crate) fn most_memory(pid: u32) -> Measured<f64> {
    sum(&read(pid, "status")?, &["VmHWM"]).ok_or_else(|| "no memory is told".to_owned())
}

/// How often the process was put on a processor.
///
/// # Errors
///
/// If the process has gone.
pub(crate) fn wake_ups(pid: u32) -> Measured<f64> {
    let names = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
    sum(&read(pid, "status")?, &names).ok_or_else(|| "no switches are told".to_owned())
}

/// The processor time of the process, in nanoseconds.
///
/// # Errors
///
/// If the process has gone, or the kernel does not count it.
pub(crate) fn cpu(pid: u32) -> Measured<f64> {
    let text = read(pid, "schedstat")?;
    let first = text.split_whitespace().next().and_then(|first| first.parse().ok());
    first.ok_or_else(|| "no time is told".to_owned())
}

/// The processor time of all threads of the process, in nanoseconds.
///
/// # Errors
///
/// If the process has gone, or the kernel does not count it.
pub(crate) fn cpu_of_threads(pid: u32) -> Measured<f64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).context("list threads")?;
    let names = threads.flatten().filter_map(|thread| thread.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).map(cpu).sum()
}

/// The processor time of the children that have ended, in milliseconds.
///
/// # Errors
///
/// If the kernel does not tell it.
pub(crate) fn cpu_of_children() -> Measured<f64> {
    let text = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    // Fields 16 and 17 of proc_pid_stat(5), in ticks of 10 ms.
    let ticks = fields.split(' ').skip(13).take(2).map(str::parse::<f64>);
    ticks.sum::<Result<f64, _>>().map(|ticks| ticks * 10.0).context("read /proc/self/stat")
}

/// The sum of a counter of several processes.
///
/// # Errors
///
/// If that fails for one of them.
pub(crate) fn all(pids: &[u32], what: fn(u32) -> Measured<f64>) -> Measured<f64> {
    pids.iter().map(|&pid| what(pid)).sum()
}

/// The mean of a counter of several processes.
///
/// # Errors
///
/// If that fails for one of them.
#[expect(clippy::cast_precision_loss, reason = "there are no 2^52 processes")]
pub(crate) fn mean(pids: &[u32], what: fn(u32) -> Measured<f64>) -> Measured<f64> {
    Ok(all(pids, what)? / pids.len().max(1) as f64)
}

/// The number of open descriptors.
///
/// # Errors
///
/// If the process has gone, or belongs to another user.
pub(crate) fn descriptors(pid: u32) -> Measured<f64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).context("count descriptors")?;
    u32::try_from(entries.count()).map(f64::from).context("count descriptors")
}
