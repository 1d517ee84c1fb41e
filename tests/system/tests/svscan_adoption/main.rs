//! A killed svscan, and the next one on the same directory that adopts its supervises.

mod pipes;
mod supervises;

use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_for, wait_until};
use std::fs;
use std::path::Path;
use system::counter::{KEEPING_LOGGER, counter_script};
use system::{assert_exit_0, pipe, whole_log};

fn command(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("s");
    tree.cmd("svscan").arg("s")
}

fn svscan(tree: &Tree) -> Process {
    command(tree).start()
}

/// The supervise of a service, once there is one.
#[track_caller]
fn supervise_of(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let ok = tree.path(dir).join("supervise/ok");
    wait_for(&format!("a process that has {} open", ok.display()), DEADLINE, || {
        tree.processes().into_iter().find(|&pid| process::has_open(pid, &ok))
    })
}

fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
    pids.sort_unstable();
    pids
}

/// The processes whose end a svscan waits for by a pidfd. Only pidfds in its epoll set count,
/// because it opens others while it searches.
fn watched(pid: u32) -> Vec<u32> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts: Vec<String> =
        infos.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    let polled = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        words.find(|&word| word == "data:")?;
        u32::from_str_radix(words.next()?, 16).ok()
    });
    // 0 is the mount table.
    sorted(polled.filter(|&pid| pid != 0).collect())
}

/// Waits until a svscan watches exactly these supervises, which are not its children.
#[track_caller]
fn wait_watched(svscan: &Process, supervises: &[u32]) {
    let wanted = sorted(supervises.to_vec());
    wait_until(&format!("{wanted:?} are adopted"), DEADLINE, || watched(svscan.pid()) == wanted);
}

/// Starts the next svscan, and waits until it has adopted these supervises.
#[track_caller]
fn adopt(tree: &Tree, supervises: &[u32]) -> Process {
    let next = svscan(tree);
    wait_watched(&next, supervises);
    next
}

/// Ends svscan by TERM, and asserts that no process is left.
#[track_caller]
fn stop_svscan(tree: &Tree, svscan: Process) {
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(tree.processes(), []);
}

/// Makes a counting service with a multilog.
#[track_caller]
fn counter(tree: &Tree, dir: impl AsRef<Path>, pause: &str) {
    let dir = dir.as_ref();
    tree.service(dir, &counter_script("$n", pause));
    tree.service(dir.join("log"), KEEPING_LOGGER);
}

/// The numbers in the log of a counter.
#[track_caller]
fn numbers(tree: &Tree, dir: impl AsRef<Path>) -> Vec<u32> {
    let main = dir.as_ref().join("log/main");
    if !tree.exists(&main) {
        return Vec::new();
    }
    let number =
        |line: &str| line.parse().unwrap_or_else(|_| panic!("{line:?} in {}", main.display()));
    whole_log(tree, &main).lines().map(number).collect()
}

/// Waits until a counter has written this number.
#[track_caller]
fn wait_counted(tree: &Tree, dir: impl AsRef<Path>, least: u32) {
    let dir = dir.as_ref();
    let what = format!("{} counts to {least}", dir.display());
    wait_until(&what, DEADLINE, || newest(tree, dir) >= least);
}

/// The newest number of the process that was started after `n` others.
fn newest_of(tree: &Tree, dir: &Path, n: usize) -> u32 {
    let started = tree.text(dir.join("started"));
    let pid = started.lines().nth(n).unwrap_or_default();
    tree.text(dir.join(format!("newest.{pid}"))).parse().unwrap_or(0)
}

fn newest(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    newest_of(tree, dir.as_ref(), starts(tree, dir.as_ref()).saturating_sub(1))
}

/// The number of starts of a service.
fn starts(tree: &Tree, dir: impl AsRef<Path>) -> usize {
    tree.text(dir.as_ref().join("started")).lines().count()
}

/// Asserts that a counter, which has ended in order, ran once, and that its log has all numbers.
#[track_caller]
fn assert_all_logged(tree: &Tree, dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    assert_eq!(starts(tree, dir), 1, "{}", dir.display());
    let numbers = numbers(tree, dir);
    let wrong = numbers.iter().zip(1..).find(|&(&found, wanted)| found != wanted);
    assert_eq!(wrong, None, "{}: found and wanted", dir.display());
    assert_eq!(numbers.len(), newest(tree, dir) as usize, "{}", dir.display());
}

/// Asserts that the log pipe connects the supervises of a service and its logger.
#[track_caller]
fn assert_connected(tree: &Tree, dir: &str) {
    let log = format!("{dir}/log");
    let found = pipe(supervise_of(tree, dir), 1);
    assert!(found.is_some(), "{dir}");
    assert_eq!(found, pipe(supervise_of(tree, &log), 0), "{dir}");
}
