//! That no death in the supervision tree is noticed by a service, with real processes: random kills
//! while services count and their loggers write it down, and a look at what has come of it.
//!
//! The short form is a test like any other. The long form, and the same against the original, as a
//! table:
//!
//! ```text
//! cargo test -p system --test proof -- --ignored --nocapture --test-threads=1
//! ```
//!
//! `DAEMONTOOLS_SEED` chooses another course of events.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, note, process, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use system::{original, tree};

/// Writes lines of its pid and a number, from 1 on, and the newest number to `newest.PID` before.
const SERVICE: &str = r#"#!/bin/sh
echo $$ >>started
exec perl -e '
    $SIG{TERM} = sub { $end = 1 };
    open(NEWEST, ">", "newest.$$") or die;
    until ($end) {
        $n++;
        sysseek(NEWEST, 0, 0);
        syswrite(NEWEST, sprintf("%09d", $n));
        syswrite(STDOUT, "$$ $n\n");
        select(undef, undef, undef, 0.005);
    }'
"#;

const LOGGER: &str = "#!/bin/sh\necho $$ >>started\nexec multilog s16777215 n50 ./main\n";

/// How much is killed.
#[derive(Clone, Copy)]
struct Plan {
    services: usize,
    /// Single supervises, of services and of loggers.
    supervises: usize,
    /// svscan alone.
    svscans: usize,
    /// svscan and every supervise.
    trees: usize,
    /// Upgrades in place of all of them, which the original has not.
    upgrades: usize,
}

const SHORT: Plan = Plan { services: 10, supervises: 100, svscans: 10, trees: 3, upgrades: 3 };
const LONG: Plan = Plan { services: 50, supervises: 1000, svscans: 100, trees: 20, upgrades: 20 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    KillSupervise,
    KillSvscan,
    KillTree,
    Upgrade,
}

/// What has come of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Starts beyond the first of each.
    restarted_services: usize,
    restarted_loggers: usize,
    /// Services and loggers of which more than one process lived at the end.
    doubled: usize,
    lines: usize,
    lost_lines: usize,
    doubled_lines: usize,
    zombies: usize,
    leaked_descriptors: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("services started again", self.restarted_services),
            ("loggers started again", self.restarted_loggers),
            ("running twice at the end", self.doubled),
            ("lines written", self.lines),
            ("lines lost", self.lost_lines),
            ("lines doubled", self.doubled_lines),
            ("zombies", self.zombies),
            ("descriptors leaked", self.leaked_descriptors),
        ];
        rows.iter().try_for_each(|(what, n)| writeln!(f, "| {what:24} | {n:8} |"))
    }
}

/// Numbers that look random and are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn pause(&mut self, most: usize) {
        // Nothing is waited for: any moment is a good one for a kill.
        thread::sleep(Duration::from_micros(self.below(most * 1000) as u64));
    }
}

/// The scene.
struct Stage {
    tree: Tree,
    /// The programs, if they are not those under test.
    bin: Option<PathBuf>,
    services: Vec<String>,
    /// Whatever was seen, which must not be left as a zombie.
    seen: BTreeSet<u32>,
}

impl Stage {
    fn new(tree: Tree, bin: Option<PathBuf>, services: usize) -> Self {
        let services: Vec<String> = (0..services).map(|n| format!("s/{n}")).collect();
        for dir in &services {
            tree.service(dir, SERVICE);
            tree.service(Path::new(dir).join("log"), LOGGER);
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

    /// The directories of everything that runs.
    fn dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.services.iter().flat_map(|dir| [PathBuf::from(dir), Path::new(dir).join("log")])
    }

    /// All supervises.
    fn supervises(&mut self) -> Vec<u32> {
        let found = self.tree.processes();
        self.seen.extend(&found);
        let is_one = |pid: &u32| process::arguments(*pid).first().is_some_and(|n| n == "supervise");
        found.into_iter().filter(is_one).collect()
    }

    /// Waits until there is a supervise everywhere, one and no more.
    fn wait_complete(&mut self) -> Vec<u32> {
        let wanted = 2 * self.services.len();
        let mut found = Vec::new();
        wait_until("there is a supervise everywhere", DEADLINE, || {
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

    /// Does what is planned, in any order; `svscan` is there at the beginning and at the end.
    fn play(&mut self, plan: Plan, random: &mut Random, mut svscan: Process) -> Process {
        let mut acts = vec![Act::KillSupervise; plan.supervises];
        acts.extend(vec![Act::KillSvscan; plan.svscans]);
        acts.extend(vec![Act::KillTree; plan.trees]);
        acts.extend(vec![Act::Upgrade; plan.upgrades]);
        while !acts.is_empty() {
            match acts.swap_remove(random.below(acts.len())) {
                Act::KillSupervise => {
                    let mut found = self.supervises();
                    wait_until("there is a supervise", DEADLINE, || {
                        found = self.supervises();
                        !found.is_empty()
                    });
                    process::signal(found[random.below(found.len())], Signal::KILL);
                }
                Act::KillSvscan => {
                    svscan.kill();
                    random.pause(50);
                    svscan = self.svscan();
                }
                Act::Upgrade => {
                    // One that has just been started is not yet there for others.
                    wait_until("it is told", DEADLINE, || {
                        self.tree.cmd("svscan").args(["-u", "s"]).run().code == Some(0)
                    });
                }
                Act::KillTree => {
                    svscan.signal(Signal::KILL);
                    for pid in self.supervises() {
                        process::signal(pid, Signal::KILL);
                    }
                    svscan.kill();
                    random.pause(50);
                    svscan = self.svscan();
                }
            }
            random.pause(50);
        }
        svscan
    }

    /// Compares the logs with what was written.
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
                    // Half a line is one that is lost.
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

    /// Counts what nobody has reaped in time.
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

/// The open descriptors but those by which processes are watched, and these.
fn descriptors(pid: u32) -> (usize, usize) {
    let found = process::descriptors(pid);
    let watching = found.iter().filter(|(_, to)| to.to_string_lossy().contains("pidfd")).count();
    let polling = found.iter().filter(|(_, to)| to.to_string_lossy().contains("eventpoll")).count();
    (found.len() - watching - polling, watching)
}

fn seed() -> u64 {
    let chosen = env::var("DAEMONTOOLS_SEED").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or(0x5eed_0005)
}

/// Ours: nothing may come of it.
#[track_caller]
fn ours(plan: Plan) -> Outcome {
    let mut random = Random(seed());
    let mut stage = Stage::new(tree(), None, plan.services);
    let svscan = stage.svscan();
    let supervises = stage.wait_complete();
    stage.wait_lines(10);
    let of_svscan = descriptors(svscan.pid()).0;
    let of_supervise = supervises.iter().map(|&pid| descriptors(pid).0).max().expect("some");

    let svscan = stage.play(plan, &mut random, svscan);
    let supervises = stage.wait_complete();
    stage.wait_lines(100);

    let mut outcome = Outcome::default();
    stage.count_processes(&mut outcome);
    let foreign = |pid: &&u32| process::parent(**pid) != Some(svscan.pid());
    let foreign = supervises.iter().filter(foreign).count();
    let (mine, watching) = descriptors(svscan.pid());
    outcome.leaked_descriptors += mine.saturating_sub(of_svscan) + watching.saturating_sub(foreign);
    for &pid in &supervises {
        let (mine, watching) = descriptors(pid);
        outcome.leaked_descriptors +=
            mine.saturating_sub(of_supervise) + watching.saturating_sub(1);
    }
    stage.count_zombies(&mut outcome);
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(stage.tree.processes(), []);
    stage.count_lines(&mut outcome);
    outcome
}

/// The original: whatever comes of it. Its descriptors are not looked at.
fn theirs(plan: Plan) -> Outcome {
    let mut random = Random(seed());
    let mut stage = Stage::new(tree(), Some(original()), plan.services);
    let svscan = stage.svscan();
    stage.wait_complete();
    stage.wait_lines(10);
    let svscan = stage.play(Plan { upgrades: 0, ..plan }, &mut random, svscan);
    // It looks every five seconds.
    thread::sleep(Duration::from_secs(6));
    let mut outcome = Outcome::default();
    let supervises = stage.supervises();
    stage.count_processes(&mut outcome);
    stage.count_zombies(&mut outcome);
    // Nobody is to start anything any more; then the services end, and the loggers see that.
    svscan.kill();
    for &pid in &supervises {
        process::signal(pid, Signal::KILL);
    }
    for dir in &stage.services {
        for pid in stage.pids(Path::new(dir)) {
            if process::directory(pid) == Some(stage.tree.path(dir)) {
                process::signal(pid, Signal::TERM);
            }
        }
    }
    let since = Instant::now();
    while !stage.tree.processes().is_empty() && since.elapsed() < Duration::from_secs(15) {
        thread::sleep(Duration::from_millis(50));
    }
    stage.count_lines(&mut outcome);
    outcome
}

#[track_caller]
fn nothing_happens(plan: Plan) -> Outcome {
    let outcome = ours(plan);
    let wanted = Outcome { lines: outcome.lines, ..Outcome::default() };
    assert_eq!(outcome, wanted, "seed {}", seed());
    outcome
}

#[test]
fn no_death_is_noticed_by_a_service() {
    nothing_happens(SHORT);
}

#[test]
#[ignore = "takes minutes"]
fn no_death_is_noticed_by_a_service_long() {
    let outcome = nothing_happens(LONG);
    note(&format!("ours, seed {}\n{outcome}", seed()));
}

#[test]
#[ignore = "shows what the original does"]
fn the_original_short() {
    note(&format!("the original, short, seed {}\n{}", seed(), theirs(SHORT)));
}

#[test]
#[ignore = "shows what the original does, and takes minutes"]
fn the_original_long() {
    note(&format!("the original, seed {}\n{}", seed(), theirs(LONG)));
}
