//! Random kills in a supervision tree whose services count and whose loggers write the numbers down,
//! and a count of the damage.
//!
//! `DAEMONTOOLS_SEED` chooses another course of events.

use crate::counter::{KEEPING_LOGGER, counter_script};
use crate::random::Random;
use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How many of each event happen, in random order.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Services; each has a logger.
    pub services: usize,
    /// Kills of one supervise, of a service or of a logger.
    pub supervises: usize,
    /// Kills of svscan alone.
    pub svscans: usize,
    /// Kills of svscan and every supervise.
    pub trees: usize,
    /// Live upgrades of svscan and every supervise; the original has none.
    pub upgrades: usize,
}

impl Plan {
    /// Seconds.
    pub const SHORT: Self =
        Self { services: 10, supervises: 100, svscans: 10, trees: 3, upgrades: 3 };
    /// Minutes.
    pub const LONG: Self =
        Self { services: 50, supervises: 1000, svscans: 100, trees: 20, upgrades: 20 };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    KillSupervise,
    KillSvscan,
    KillTree,
    Upgrade,
}

/// The damage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Starts of services beyond the first of each.
    pub restarted_services: usize,
    /// Starts of loggers beyond the first of each.
    pub restarted_loggers: usize,
    /// Services and loggers that run as more than one process at the end.
    pub doubled: usize,
    /// Lines that the services have written.
    pub lines: usize,
    /// Lines that are not in a log.
    pub lost_lines: usize,
    /// Lines that are in a log more than once.
    pub doubled_lines: usize,
    /// Processes that no parent has reaped.
    pub zombies: usize,
    /// Descriptors that svscan and the supervises have beyond those of a fresh start.
    pub leaked_descriptors: usize,
}

impl Outcome {
    /// Each count with its name.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, usize); 8] {
        [
            ("services started again", self.restarted_services),
            ("loggers started again", self.restarted_loggers),
            ("running twice at the end", self.doubled),
            ("lines written", self.lines),
            ("lines lost", self.lost_lines),
            ("lines doubled", self.doubled_lines),
            ("zombies", self.zombies),
            ("descriptors leaked", self.leaked_descriptors),
        ]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().iter().try_for_each(|(what, n)| writeln!(f, "| {what:24} | {n:8} |"))
    }
}

/// Sleeps for a random time. A kill needs no condition: any moment is good.
fn pause(random: &mut Random, most_milliseconds: usize) {
    thread::sleep(Duration::from_micros(random.below(most_milliseconds * 1000) as u64));
}

/// A scan directory with counting services, and the processes that were seen in it.
struct Supervision {
    tree: Tree,
    /// The directory of the programs, if they are not those under test.
    bin: Option<PathBuf>,
    services: Vec<String>,
    /// All processes that were seen. None of them may be left as a zombie.
    seen: BTreeSet<u32>,
}

impl Supervision {
    fn new(tree: Tree, bin: Option<PathBuf>, services: usize) -> Self {
        let services: Vec<String> = (0..services).map(|n| format!("s/{n}")).collect();
        for dir in &services {
            tree.service(dir, &counter_script("$$ $n", "0.005"));
            tree.service(Path::new(dir).join("log"), KEEPING_LOGGER);
        }
        Self { tree, bin, services, seen: BTreeSet::new() }
    }

    fn svscan(&mut self) -> Process {
        let command: Cmd<'_> = match &self.bin {
            None => self.tree.cmd("svscan"),
            Some(bin) => {
                let program = bin.join("svscan");
                let path = format!("{}:/usr/bin:/bin", bin.display());
                self.tree.cmd(program.to_str().expect("a name in ASCII")).env("PATH", path)
            }
        };
        let svscan = command.arg("s").start();
        self.seen.insert(svscan.pid());
        svscan
    }

    /// The directories of all services and loggers.
    fn dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.services.iter().flat_map(|dir| [PathBuf::from(dir), Path::new(dir).join("log")])
    }

    fn supervises(&mut self) -> Vec<u32> {
        let found = self.tree.processes();
        self.seen.extend(&found);
        let is_one = |pid: &u32| process::arguments(*pid).first().is_some_and(|n| n == "supervise");
        found.into_iter().filter(is_one).collect()
    }

    /// Waits until each directory has exactly one supervise.
    fn wait_complete(&mut self) -> Vec<u32> {
        let wanted = 2 * self.services.len();
        let mut found = Vec::new();
        wait_until("each directory has a supervise", DEADLINE, || {
            found = self.supervises();
            found.len() == wanted && self.dirs().all(|dir| self.tree.is_supervised(dir))
        });
        found
    }

    fn pids(&self, dir: &Path) -> Vec<u32> {
        let text = self.tree.text(dir.join("started"));
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn newest(&self, dir: &Path, pid: u32) -> usize {
        self.tree.text(dir.join(format!("newest.{pid}"))).parse().unwrap_or(0)
    }

    /// Waits until every service has written so many more lines.
    fn wait_lines(&self, more: usize) {
        for dir in &self.services {
            let newest = || {
                let pids = self.pids(Path::new(dir));
                pids.last().map_or(0, |&pid| self.newest(Path::new(dir), pid))
            };
            let before = newest();
            wait_until(&format!("{dir} goes on"), DEADLINE, || newest() >= before + more);
        }
    }

    /// Runs the plan in random order. Takes the running svscan, and returns the last one.
    fn run(&mut self, plan: Plan, random: &mut Random, mut svscan: Process) -> Process {
        let mut events = vec![Event::KillSupervise; plan.supervises];
        events.extend(vec![Event::KillSvscan; plan.svscans]);
        events.extend(vec![Event::KillTree; plan.trees]);
        events.extend(vec![Event::Upgrade; plan.upgrades]);
        while !events.is_empty() {
            match events.swap_remove(random.below(events.len())) {
                Event::KillSupervise => {
                    let mut found = self.supervises();
                    wait_until("there is a supervise", DEADLINE, || {
                        found = self.supervises();
                        !found.is_empty()
                    });
                    process::signal(found[random.below(found.len())], Signal::KILL);
                }
                Event::KillSvscan => {
                    svscan.kill();
                    pause(random, 50);
                    svscan = self.svscan();
                }
                Event::Upgrade => {
                    // A svscan that has just been started has not yet locked the directory.
                    wait_until("svscan -u finds svscan", DEADLINE, || {
                        self.tree.cmd("svscan").args(["-u", "s"]).run().code == Some(0)
                    });
                }
                Event::KillTree => {
                    svscan.signal(Signal::KILL);
                    for pid in self.supervises() {
                        process::signal(pid, Signal::KILL);
                    }
                    svscan.kill();
                    pause(random, 50);
                    svscan = self.svscan();
                }
            }
            pause(random, 50);
        }
        svscan
    }

    /// Compares the logs with what the services wrote.
    fn count_lines(&self, outcome: &mut Outcome) {
        for dir in &self.services {
            let dir = Path::new(dir);
            let mut found: BTreeMap<(u32, usize), usize> = BTreeMap::new();
            for entry in fs::read_dir(self.tree.path(dir).join("log/main")).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                if name != "current" && !name.starts_with('@') {
                    continue;
                }
                for line in fs::read_to_string(&path).unwrap_or_default().lines() {
                    let parsed = line
                        .split_once(' ')
                        .and_then(|(pid, number)| Some((pid.parse().ok()?, number.parse().ok()?)));
                    // A part of a line counts as lost.
                    if let Some(key) = parsed {
                        *found.entry(key).or_default() += 1;
                    }
                }
            }
            for pid in self.pids(dir) {
                let newest = self.newest(dir, pid);
                outcome.lines += newest;
                outcome.lost_lines +=
                    (1..=newest).filter(|&n| !found.contains_key(&(pid, n))).count();
            }
            outcome.doubled_lines += found.values().map(|times| times - 1).sum::<usize>();
        }
    }

    fn count_processes(&self, outcome: &mut Outcome) {
        for dir in self.dirs() {
            let pids = self.pids(&dir);
            if dir.ends_with("log") {
                outcome.restarted_loggers += pids.len() - 1;
            } else {
                outcome.restarted_services += pids.len() - 1;
            }
            let here = self.tree.path(&dir);
            let lives = |pid: &&u32| process::directory(**pid).as_ref() == Some(&here);
            outcome.doubled += usize::from(pids.iter().filter(lives).count() > 1);
        }
    }

    /// Counts the processes that no parent reaps within two seconds.
    fn count_zombies(&self, outcome: &mut Outcome) {
        let is_zombie = |pid: &&u32| process::state(**pid) == Some('Z');
        let since = Instant::now();
        loop {
            outcome.zombies = self.seen.iter().filter(is_zombie).count();
            if outcome.zombies == 0 || since.elapsed() > Duration::from_secs(2) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The open descriptors without pidfds and epoll descriptors, and the pidfds.
fn descriptors(pid: u32) -> (usize, usize) {
    let found = process::descriptors(pid);
    let watching = found.iter().filter(|(_, to)| to.to_string_lossy().contains("pidfd")).count();
    let polling = found.iter().filter(|(_, to)| to.to_string_lossy().contains("eventpoll")).count();
    (found.len() - watching - polling, watching)
}

/// The seed that `DAEMONTOOLS_SEED` names, or the usual one.
#[must_use]
pub fn seed() -> u64 {
    let chosen = env::var("DAEMONTOOLS_SEED").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or(0x5eed_0005)
}

/// Runs the plan on our programs under test.
///
/// # Panics
///
/// If svscan does not end in order, or a process is left.
#[track_caller]
#[must_use]
pub fn run_ours(plan: Plan) -> Outcome {
    let mut random = Random::new(seed());
    let mut supervision = Supervision::new(crate::tree(), None, plan.services);
    let svscan = supervision.svscan();
    let supervises = supervision.wait_complete();
    supervision.wait_lines(10);
    let of_svscan = descriptors(svscan.pid()).0;
    let of_supervise = supervises.iter().map(|&pid| descriptors(pid).0).max().expect("some");

    let svscan = supervision.run(plan, &mut random, svscan);
    let supervises = supervision.wait_complete();
    supervision.wait_lines(100);

    let mut outcome = Outcome::default();
    supervision.count_processes(&mut outcome);
    // svscan has a pidfd of each supervise that it has adopted.
    let is_adopted = |pid: &&u32| process::parent(**pid) != Some(svscan.pid());
    let adopted = supervises.iter().filter(is_adopted).count();
    let (mine, watching) = descriptors(svscan.pid());
    outcome.leaked_descriptors += mine.saturating_sub(of_svscan) + watching.saturating_sub(adopted);
    for &pid in &supervises {
        let (mine, watching) = descriptors(pid);
        outcome.leaked_descriptors +=
            mine.saturating_sub(of_supervise) + watching.saturating_sub(1);
    }
    supervision.count_zombies(&mut outcome);
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(supervision.tree.processes(), []);
    supervision.count_lines(&mut outcome);
    outcome
}

/// Runs the plan on the original's programs in `bin`, without upgrades. Does not count descriptors.
#[must_use]
pub fn run_original(plan: Plan, bin: &Path) -> Outcome {
    let mut random = Random::new(seed());
    let tree = Tree::new();
    let mut supervision = Supervision::new(tree, Some(bin.to_owned()), plan.services);
    let svscan = supervision.svscan();
    supervision.wait_complete();
    supervision.wait_lines(10);
    let svscan = supervision.run(Plan { upgrades: 0, ..plan }, &mut random, svscan);
    // The original scans every five seconds.
    thread::sleep(Duration::from_secs(6));
    let mut outcome = Outcome::default();
    let supervises = supervision.supervises();
    supervision.count_processes(&mut outcome);
    supervision.count_zombies(&mut outcome);
    // Without svscan and supervises nothing starts again. The services end, then their loggers.
    svscan.kill();
    for &pid in &supervises {
        process::signal(pid, Signal::KILL);
    }
    for dir in &supervision.services {
        for pid in supervision.pids(Path::new(dir)) {
            if process::directory(pid) == Some(supervision.tree.path(dir)) {
                process::signal(pid, Signal::TERM);
            }
        }
    }
    let since = Instant::now();
    while !supervision.tree.processes().is_empty() && since.elapsed() < Duration::from_secs(15) {
        thread::sleep(Duration::from_millis(50));
    }
    supervision.count_lines(&mut outcome);
    outcome
}
