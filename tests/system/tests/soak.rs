//! No resource use grows: services restart, logs rotate, svscan scans, links are removed and made
//! again, supervises are killed and replaced, as often as in a week. After each day the test counts
//! memory, descriptors, watches, processes and files.
//!
//! The short form, two days of three hours, is a test like any other. The week, as a table:
//!
//!     cargo test -p system --test soak -- --ignored --nocapture
//!
//! An hour takes two or three seconds, because a service starts at most once a second.

use harness::{DEADLINE, Process, Signal, Tree, note, process, wait_until};
use std::fmt;
use std::fs;
use std::path::Path;
use system::{assert_exit_0, memory, tree};

/// Writes a line to its log at each start.
const SERVICE: &str = "#!/bin/sh\necho $$ >>started\necho started as $$\nexec sleep 100000\n";
const LOGGER: &str = "#!/bin/sh\nexec multilog t s4096 n3 ./main\n";

const SERVICES: usize = 8;

/// The resources of the tree, and the number of events so far.
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
        // Restart everything.
        let before: Vec<u32> = self.dirs.iter().map(|dir| tree.wait_up(dir)).collect();
        tree.cmd("svc").arg("-t").args(&self.dirs).run().is(0, "", "");
        for (dir, before) in self.dirs.iter().zip(before) {
            let pid = tree.wait_restart(dir, before);
            // The logger has a line to rotate.
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
        // Remove one link, and make it again.
        let n = hour % self.dirs.len();
        tree.remove(format!("s/{n}"));
        tree.wait_unsupervised(&self.dirs[n]);
        tree.wait_unsupervised(format!("{}/log", self.dirs[n]));
        tree.symlink(format!("../{}", self.dirs[n]), format!("s/{n}"));
        self.done.links += 1;
        self.wait_supervised();
        // Kill half of the supervises from time to time, the others never.
        if hour % 3 == 2 {
            // A service that has just started would have a delay.
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

    /// Kills svscan, and starts the next one.
    fn replace_svscan(&mut self) {
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

    /// Waits until svscan handles a new link; then it has finished all earlier work.
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
        wait_until("all processes that leave have ended", DEADLINE, || {
            processes = self.tree.processes();
            processes.len() == wanted
        });
        let is_program = |pid: &&u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            ["svscan", "supervise", "multilog"].contains(&name.trim_end())
        };
        let programs: Vec<u32> = processes.iter().filter(is_program).copied().collect();
        assert_eq!(programs.len(), 1 + 3 * self.dirs.len(), "{processes:?}");
        Sample {
            memory: programs.iter().map(|&pid| u64::from(memory(pid, "Private_Dirty"))).sum(),
            descriptors: programs.iter().map(|&pid| process::descriptors(pid).len()).sum(),
            watches: programs.iter().map(|&pid| process::watches(pid)).sum(),
            processes: processes.len(),
            files: files(&self.tree.path("all")),
            ..self.done
        }
    }

    fn end(self) {
        self.svscan.signal(Signal::TERM);
        assert_exit_0(self.svscan);
        assert_eq!(self.tree.processes(), []);
    }
}

/// The number of files below a directory.
fn files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + files(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// Runs for so many days, and asserts that no later day needs more than the first.
#[track_caller]
fn soak(days: usize, hours: usize) {
    let mut soak = Soak::begin();
    let mut samples: Vec<Sample> = Vec::new();
    for day in 1..=days {
        match day {
            // Two days without a new svscan, in which a leak would show.
            3 => soak.replace_svscan(),
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
            // A handover may cost a few pages in each process, once.
            assert!(later.memory <= first.memory + 16 * later.processes as u64, "memory:\n{table}");
            first = later;
        }
        // One or two pages in a few processes, once, but not every day.
        assert!(later.memory <= first.memory + 16 * 4, "memory grows:\n{table}");
        assert_eq!(later.watches, first.watches, "watches:\n{table}");
        assert_eq!(later.processes, first.processes, "processes:\n{table}");
        // Finished log files come until their limit.
        assert!(later.files <= first.files + 2 * SERVICES, "files:\n{table}");
        // An adopted supervise has a pidfd, and so has an adopted service.
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
