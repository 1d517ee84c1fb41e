//! The cost of many services: one tree of ours after the other, each ten times as large, with a
//! logger for each service.

use crate::suite::Suite;
use crate::table::{median, two_digits};
use crate::tree::{DEADLINE, ScanTree, Start};
use crate::{Measured, WorkDir, counts, milliseconds, now};
use harness::{Signal, process};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// A service and its supervise, its logger and that one's supervise.
const PROCESSES: u64 = 4;

/// Upper bound of the memory of each of these, with the kernel's part, in KiB.
const KIBIBYTES: u64 = 150;

/// svscan has both ends of a service's pipe open.
const DESCRIPTORS: u64 = 2;

/// How often an event is measured.
const EVENTS: u32 = 10;

/// A minute at least, to see what happens once a minute.
const WINDOW: Duration = Duration::from_secs(61);

/// The measures of one tree; times in milliseconds.
const MEASURES: [(&str, Growth); 14] = [
    ("all services run after, ms", Growth::Linear),
    ("processor time of svscan and supervises until then, ms", Growth::Linear),
    ("private memory of all supervises, KiB", Growth::Linear),
    ("private memory of all loggers, KiB", Growth::Linear),
    ("private memory of svscan, KiB", Growth::Linear),
    ("descriptors of svscan", Growth::Linear),
    ("wake-ups of svscan and supervises a minute, idle", Growth::Constant),
    ("their processor time a minute, idle, ms", Growth::Linear),
    ("a new link until its service runs, ms", Growth::Constant),
    ("processor time of svscan for one, ms", Growth::Constant),
    ("a killed service until it runs again, ms", Growth::Constant),
    ("a killed supervise until there is another, ms", Growth::Constant),
    ("processor time of svscan for one, ms", Growth::Constant),
    ("svscan and all have ended after, ms", Growth::Linear),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// With the number of services.
    Linear,
    /// Independent of it: the measure is about one of them.
    Constant,
}

/// Measures 10, 100, 1,000 and 10,000 services, or as many as the machine carries, and prints the
/// tables. Returns whether all work was done.
pub(crate) fn measure(work_dir: &WorkDir, ours: &Suite, most: Option<u32>, machine: &str) -> bool {
    let wanted = most.unwrap_or(10_000);
    let (capacity, why) = capacity();
    if wanted > capacity {
        println!("At most {capacity} services, because {why}.\n");
    }
    let wanted = wanted.min(capacity);
    let mut sizes: Vec<u32> =
        [10, 100, 1000, 10_000].into_iter().filter(|&size| size < wanted).collect();
    sizes.push(wanted);
    let mut columns: Vec<(u32, Vec<f64>)> = vec![];
    let mut failure = None;
    for size in sizes {
        eprintln!("{size} services");
        match measure_one(work_dir, ours, size) {
            Ok(values) => columns.push((size, values)),
            Err(why) => {
                failure = Some(format!("FAILED: {size} services: {why}"));
                break;
            }
        }
    }
    print!("{}", render(&columns));
    if let Some(failure) = &failure {
        println!("{failure}");
    }
    println!("{machine}");
    failure.is_none()
}

/// The number of services with loggers that the machine carries, and the obstacle to more.
fn capacity() -> (u32, String) {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // root may raise the hard limit.
    let mut files = getrlimit(Resource::Nofile);
    let enough = number("/proc/sys/fs/nr_open").map(|most| most.min(1 << 17));
    if setrlimit(Resource::Nofile, Rlimit { current: files.current, maximum: enough }).is_ok() {
        files.maximum = enough;
    }
    let processes = process::descendants(0).len() as u64;
    // Other programs on the machine need processes too.
    let left = |most: u64| most.saturating_sub(processes) / 4 * 3 / PROCESSES;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = memory.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    let mut limits = vec![];
    for name in ["pid_max", "threads-max"] {
        if let Some(most) = number(&format!("/proc/sys/kernel/{name}")) {
            limits.push((left(most), format!("kernel.{name} is {most}")));
        }
    }
    if let Some(most) = getrlimit(Resource::Nproc).current.filter(|_| !harness::is_root()) {
        limits.push((left(most), format!("ulimit -u is {most}")));
    }
    if let Some(most) = files.maximum {
        limits.push((most.saturating_sub(100) / DESCRIPTORS, format!("ulimit -Hn is {most}")));
    }
    if let Some(free) = available {
        let most = free / 4 * 3 / (PROCESSES * KIBIBYTES);
        limits.push((most, format!("{} MiB of memory are free", free / 1024)));
    }
    let (most, why) = limits.into_iter().min().unwrap_or((10_000, String::new()));
    (u32::try_from(most).unwrap_or(u32::MAX), why)
}

/// Takes all measures with so many services.
fn measure_one(work_dir: &WorkDir, ours: &Suite, size: u32) -> Measured<Vec<f64>> {
    let patience = DEADLINE + Duration::from_millis(u64::from(size) * 10);
    let mut tree = ScanTree::new(work_dir, ours, size, true)?;
    let mut values = vec![];

    let before = tree.start()?;
    let last = tree.wait_up(size, patience)?;
    values.push(milliseconds(before, last));
    tree.wait_logged(size, patience)?;
    let found = tree.wait_complete(size, patience)?;
    let supervision: Vec<u32> = found.supervises.iter().copied().chain([tree.scanner()]).collect();
    values.push(counts::all(&supervision, counts::cpu)? / 1e6);
    values.push(counts::all(&found.supervises, counts::private_memory)?);
    values.push(counts::all(&found.loggers, counts::private_memory)?);
    values.push(counts::private_memory(tree.scanner())?);
    values.push(counts::descriptors(tree.scanner())?);

    eprintln!("  a minute of idleness");
    thread::sleep(Duration::from_secs(5));
    let count = || -> Measured<(f64, f64)> {
        Ok((counts::all(&supervision, counts::wake_ups)?, counts::all(&supervision, counts::cpu)?))
    };
    let (since, before) = (Instant::now(), count()?);
    thread::sleep(WINDOW);
    let (after, minutes) = (count()?, since.elapsed().as_secs_f64() / 60.0);
    values.push((after.0 - before.0) / minutes);
    values.push((after.1 - before.1) / 1e6 / minutes);

    eprintln!("  events");
    let (time, cost) = events(&mut tree, |tree, number| new_link(tree, size + number))?;
    values.extend([time, cost]);
    let (time, _) = events(&mut tree, |tree, number| killed_service(tree, nth(size, number)))?;
    values.push(time);
    let (time, cost) = events(&mut tree, |tree, number| killed_supervise(tree, nth(size, number)))?;
    values.extend([time, cost]);

    tree.wait_complete(size + EVENTS, patience)?;
    values.push(tree.stop(patience)?.as_secs_f64() * 1e3);
    Ok(values)
}

/// Service numbers spread over the directory.
fn nth(size: u32, number: u32) -> u32 {
    number * (size / EVENTS)
}

/// Repeats an event. Returns its median time, and the processor time of svscan for one event.
fn events(
    tree: &mut ScanTree,
    event: impl Fn(&mut ScanTree, u32) -> Measured<f64>,
) -> Measured<(f64, f64)> {
    let before = counts::cpu(tree.scanner())?;
    let mut times = vec![];
    for number in 0..EVENTS {
        times.push(event(tree, number)?);
        // The work of svscan after the event belongs to it.
        thread::sleep(Duration::from_millis(200));
    }
    let cost = (counts::cpu(tree.scanner())? - before) / 1e6 / f64::from(EVENTS);
    Ok((median(&times).ok_or("no events")?, cost))
}

fn new_link(tree: &mut ScanTree, number: u32) -> Measured<f64> {
    tree.make(number)?;
    let before = now();
    tree.link(number)?;
    Ok(milliseconds(before, tree.wait_start(number, 0, DEADLINE)?.at))
}

fn start_of(tree: &ScanTree, number: u32) -> Measured<Start> {
    tree.starts.get(&number).copied().ok_or_else(|| format!("service {number} never started"))
}

fn killed_service(tree: &mut ScanTree, number: u32) -> Measured<f64> {
    let old = start_of(tree, number)?.pid;
    let before = now();
    process::signal(old, Signal::KILL);
    Ok(milliseconds(before, tree.wait_start(number, old, DEADLINE)?.at))
}

/// Measures the time until the next supervise listens. The service must run on.
fn killed_supervise(tree: &mut ScanTree, number: u32) -> Measured<f64> {
    let service = start_of(tree, number)?.pid;
    let supervise = process::parent(service).ok_or("the service has gone")?;
    let ok: PathBuf = tree.service(number).join("supervise/ok");
    let listens = || {
        openat(CWD, &ok, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).is_ok()
    };
    let before = now();
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    let end = Instant::now() + DEADLINE;
    while !listens() {
        if Instant::now() > end {
            return Err(format!("no supervise came for service {number}"));
        }
        thread::yield_now();
    }
    let after = now();
    if !process::is_alive(service) {
        return Err("a service has noticed the death of its supervise".to_owned());
    }
    Ok(milliseconds(before, after))
}

/// The table of the measures, and the table for one service.
fn render(columns: &[(u32, Vec<f64>)]) -> String {
    let head: String = columns.iter().map(|(size, _)| format!(" {size} |")).collect();
    let rule = "---:|".repeat(columns.len());
    let mut text = format!("| services, with a logger each |{head}\n|---|{rule}\n");
    for (at, (name, _)) in MEASURES.iter().enumerate() {
        let cells = columns
            .iter()
            .filter_map(|(_, values)| Some(format!(" {} |", two_digits(*values.get(at)?))));
        text += &format!("| {name} |{}\n", cells.collect::<String>());
    }
    text += &format!(
        "\nFor one service; or, where it is about one event, as it is. Constant in a row is linear in all.\n\n\
         | |{head} last to first |\n|---|{rule}---:|\n"
    );
    for (at, &(name, growth)) in MEASURES.iter().enumerate() {
        let each: Vec<f64> = columns
            .iter()
            .filter_map(|(size, values)| {
                let services = if growth == Growth::Linear { f64::from(*size) } else { 1.0 };
                Some(values.get(at)? / services)
            })
            .collect();
        let cells: String = each.iter().map(|&value| format!(" {} |", two_digits(value))).collect();
        let ratio = match (each.first(), each.last()) {
            (Some(&first), Some(&last)) if first > 0.0 => two_digits(last / first),
            _ => String::new(),
        };
        text += &format!("| {name} |{cells} {ratio} |\n");
    }
    text.push('\n');
    text
}
