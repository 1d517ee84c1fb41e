//! That nothing grows: services restarted, logs rotated, the scan directory looked at, links removed
//! and made again, supervises killed and followed, as often as in a week, and after each day a look
//! at memory, descriptors, watches, processes and files.
//!
//! The short form, two days of three hours, is a test like any other. The week, as a table:
//!
//!     cargo test -p system --test soak -- --ignored --nocapture
//!
//! An hour takes two seconds or three, because a service is not started more than once a second.

use harness::{DEADLINE, Process, Signal, Tree, note, process, wait_until};
use std::fmt;
use std::fs;
use std::path::Path;
use system::{leaves, memory, tree};

/// Writes something for its log at each start.
const SERVICE: &str = "#!/bin/sh\necho $$ >>started\necho started as $$\nexec sleep 100000\n";
const LOGGER: &str = "#!/bin/sh\nexec multilog t s4096 n3 ./main\n";

const SERVICES: usize = 8;

/// What the tree takes.
#[derive(Debug, Default)]
struct Sample {
    restarts: usize,
    rotations: usize,
    scans: usize,
    links: usize,
    adoptions: usize,
    /// Private memory of svscan, the supervises and the loggers, in KiB.
    memory: u64,
    descriptors: usize,
    watches: usize,
    processes: usize,
    files: usize,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:8} | {:9} | {:5} | {:5} | {:9} | {:6} | {:11} | {:7} | {:9} | {:5}",
            self.restarts,
            self.rotations,
            self.scans,
            self.links,
            self.adoptions,
            self.memory,
            self.descriptors,
            self.watches,
            self.processes,
            self.files
        )
    }
}

const HEADER: &str = "day | restarts | rotations | scans | links | adoptions | KiB    | descriptors | watches | processes | files";

struct Soak {
    tree: Tree,
    svscan: Process,
    dirs: Vec<String>,
    done: Sample,
}

impl Soak {
    fn begin() -> Self {
        let tree = tree();
        let dirs: Vec<String> = (0..SERVICES).map(|n| format!("all/{n}")).collect();
        for (n, dir) in dirs.iter().enumerate() {
            tree.service(dir, SERVICE);
            tree.service(Path::new(dir).join("log"), LOGGER);
            tree.symlink(format!("../{dir}"), format!("s/{n}"));
        }
        let svscan = tree.cmd("svscan").arg("s").start();
        let soak = Self { tree, svscan, dirs, done: Sample::default() };
        soak.wait_supervised();
        soak
    }

    fn loggers(&self) -> impl Iterator<Item = String> {
        self.dirs.iter().map(|dir| format!("{dir}/log"))
    }

    fn wait_supervised(&self) {
        for dir in self.dirs.iter().cloned().chain(self.loggers()) {
            self.tree.wait_supervised(&dir);
            self.tree.wait_up(&dir);
        }
    }

    fn supervise(&self, dir: &str) -> u32 {
        let place = self.tree.path(dir);
        let is_one = |pid: &u32| {
            process::arguments(*pid).first().is_some_and(|name| name == "supervise")
                && process::directory(*pid).as_ref() == Some(&place)
        };
        self.tree.processes().into_iter().find(is_one).expect("it is supervised")
    }

    fn hour(&mut self, hour: usize) {
        let tree = &self.tree;
        // Everything is started again.
        let before: Vec<u32> = self.dirs.iter().map(|dir| tree.wait_up(dir)).collect();
        tree.cmd("svc").arg("-t").args(&self.dirs).run().is(0, "", "");
        for (dir, before) in self.dirs.iter().zip(before) {
            let pid = tree.wait_restart(dir, before);
            // It has said so, and the logger has something to rotate.
            wait_until("its line is logged", DEADLINE, || {
                let current = tree.path(dir).join("log/main/current");
                fs::read_to_string(current).unwrap_or_default().ends_with(&format!(" as {pid}\n"))
            });
        }
        self.done.restarts += self.dirs.len();
        tree.cmd("svc").arg("-a").args(self.loggers()).run().is(0, "", "");
        for dir in self.loggers() {
            wait_until("it is rotated", DEADLINE, || {
                let current = tree.path(&dir).join("main/current");
                fs::metadata(current).is_ok_and(|meta| meta.len() == 0)
            });
        }
        self.done.rotations += self.dirs.len();
        self.svscan.signal(Signal::HUP);
        self.done.scans += 1;
        // One leaves, and comes back.
        let n = hour % self.dirs.len();
        tree.remove(format!("s/{n}"));
        tree.wait_unsupervised(&self.dirs[n]);
        tree.wait_unsupervised(format!("{}/log", self.dirs[n]));
        tree.symlink(format!("../{}", self.dirs[n]), format!("s/{n}"));
        self.done.links += 1;
        self.wait_supervised();
        // Half of the supervises are killed now and then, the others never.
        if hour % 3 == 2 {
            // One that has just begun is started again after a pause only.
            let half = self.dirs.iter().enumerate().take(SERVICES / 2);
            let half: Vec<String> =
                half.filter(|(m, _)| *m != n).map(|(_, dir)| dir.clone()).collect();
            for dir in half {
                for dir in [dir.clone(), format!("{dir}/log")] {
                    let pid = tree.wait_up(&dir);
                    let supervise = self.supervise(&dir);
                    process::signal(supervise, Signal::KILL);
                    wait_until("another supervise", DEADLINE, || {
                        !process::is_alive(supervise) && tree.is_supervised(&dir)
                    });
                    assert_eq!(tree.wait_up(&dir), pid, "{dir}");
                    self.done.adoptions += 1;
                }
            }
        }
    }

    /// A new svscan goes on with everything.
    fn kill_svscan(&mut self) {
        self.svscan.signal(Signal::KILL);
        process::wait_gone(self.svscan.pid());
        self.svscan = self.tree.cmd("svscan").arg("s").start();
        self.done.adoptions += 2 * self.dirs.len();
        self.wait_settled();
    }

    fn upgrade(&mut self) {
        self.tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
        self.wait_settled();
    }

    /// Waits until svscan sees a new link, so that it is done with everything before.
    fn wait_settled(&self) {
        self.tree.idle_service("all/last");
        self.tree.symlink("../all/last", "s/last");
        self.tree.wait_up("all/last");
        self.tree.remove("s/last");
        self.tree.wait_unsupervised("all/last");
    }

    fn sample(&self) -> Sample {
        let wanted = 1 + 4 * self.dirs.len();
        let mut processes = Vec::new();
        wait_until("nobody is there who is leaving", DEADLINE, || {
            processes = self.tree.processes();
            processes.len() == wanted
        });
        let ours = |pid: &&u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            ["svscan", "supervise", "multilog"].contains(&name.trim_end())
        };
        let ours: Vec<u32> = processes.iter().filter(ours).copied().collect();
        assert_eq!(ours.len(), 1 + 3 * self.dirs.len(), "{processes:?}");
        Sample {
            memory: ours.iter().map(|&pid| u64::from(memory(pid, "Private_Dirty"))).sum(),
            descriptors: ours.iter().map(|&pid| process::descriptors(pid).len()).sum(),
            watches: ours.iter().map(|&pid| watches(pid)).sum(),
            processes: processes.len(),
            files: files(&self.tree.path("all")),
            ..self.done
        }
    }

    fn end(self) {
        self.svscan.signal(Signal::TERM);
        leaves(self.svscan);
        assert_eq!(self.tree.processes(), []);
    }
}

/// How many watches for changes it has.
fn watches(pid: u32) -> usize {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("its descriptors");
    let texts = infos.flatten().filter_map(|info| fs::read_to_string(info.path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// How many files there are.
fn files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + files(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// Lives for so many days, and asserts that what is taken at the end of the first is enough for all
/// that follow.
#[track_caller]
fn soak(days: usize, hours: usize) {
    let mut soak = Soak::begin();
    let mut samples: Vec<Sample> = Vec::new();
    for day in 1..=days {
        match day {
            // Two days each without a new svscan, with which a leak of the old one would go.
            3 => soak.kill_svscan(),
            UPGRADE => soak.upgrade(),
            _ => {}
        }
        for hour in 0..hours {
            soak.hour(hour);
        }
        samples.push(soak.sample());
    }
    soak.end();
    let rows: Vec<String> =
        samples.iter().enumerate().map(|(n, sample)| format!("{:3} | {sample}", n + 1)).collect();
    let table = format!("{HEADER}\n{}", rows.join("\n"));
    note(&table);
    let mut first = &samples[0];
    for (day, later) in (1..).zip(&samples) {
        if day == UPGRADE {
            // What was handed over may take some pages in each, for good.
            assert!(later.memory <= first.memory + 16 * later.processes as u64, "memory:\n{table}");
            first = later;
        }
        // A page or two for each of few, once, and not more every day.
        assert!(later.memory <= first.memory + 16 * 4, "memory grows:\n{table}");
        assert_eq!(later.watches, first.watches, "watches:\n{table}");
        assert_eq!(later.processes, first.processes, "processes:\n{table}");
        // Old files of logs come until there are as many as they may be.
        assert!(later.files <= first.files + 2 * SERVICES, "files:\n{table}");
        // A supervise that was taken over is watched, and so is a service.
        assert!(later.descriptors <= first.descriptors + 3 * SERVICES, "descriptors:\n{table}");
    }
}

/// The day with an upgrade.
const UPGRADE: usize = 5;

#[test]
fn nothing_grows() {
    soak(2, 3);
}

#[test]
#[ignore = "the long form"]
fn nothing_grows_in_a_week() {
    soak(7, 24);
}
