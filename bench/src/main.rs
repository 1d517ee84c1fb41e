//! Measures the programs beside their peers, and the cost of ten thousand services. `README.md`
//! explains each number. The script `run` builds everything and calls this program.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what it is for")]

mod control;
mod counts;
mod guard;
mod kills;
mod labels;
mod list;
mod loaders;
mod logger;
mod logs;
mod memory;
mod metrics;
mod output;
mod scale;
mod suite;
mod table;
mod tree;

use std::cell::Cell;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fs, thread};
use suite::{Kind, Suite};
use table::{Row, Table};

/// A measured value, or why there is none.
pub(crate) type Measured<T> = Result<T, String>;

/// Adds to an error what failed.
trait Context<T> {
    fn context(self, what: &str) -> Measured<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: &str) -> Measured<T> {
        self.map_err(|error| format!("unable to {what}: {error}"))
    }
}

/// The directory of the benchmark.
struct WorkDir {
    dir: PathBuf,
    /// The helper program, copied to the same file system.
    probe: PathBuf,
    count: Cell<u32>,
}

impl WorkDir {
    fn new(dir: PathBuf) -> Measured<Self> {
        // The helper has no std and is built in the other workspace.
        let built =
            env::var("DAEMONTOOLS_PROBE").context("read DAEMONTOOLS_PROBE: use bench/run")?;
        let probe = dir.join("probe");
        fs::copy(built, &probe).context("copy the helper")?;
        Ok(Self { dir, probe, count: Cell::new(0) })
    }

    /// Makes a new directory.
    fn fresh(&self, name: &str) -> Measured<PathBuf> {
        self.count.set(self.count.get() + 1);
        let dir = self.dir.join(format!("{name}.{}", self.count.get()));
        fs::create_dir(&dir).context("make a directory")?;
        Ok(dir)
    }
}

/// The suites to compare, the directory, and the duration.
struct Bench {
    suites: Vec<Suite>,
    work_dir: WorkDir,
    long: bool,
}

impl Bench {
    /// The columns, starting with another one in each trial.
    fn turn(&self, trial: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.suites.len();
        (0..count).map(move |at| (at + trial) % count)
    }
}

/// The seed of all random numbers, so that every suite gets the same work in every run.
const SEED: u64 = 1;

/// The monotonic clock in nanoseconds; the helper program uses it too.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a run takes minutes")]
fn milliseconds(before: u64, after: u64) -> f64 {
    after.saturating_sub(before) as f64 / 1e6
}

/// Runs a program again and again. Returns the microseconds of one run.
fn exec_loop(suite: &Suite, command: &[String]) -> Measured<f64> {
    const TIMES: u32 = 40;
    let nothing = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    let nothing = nothing.context("open /dev/null")?;
    let mut made = tree::quiet(suite, command);
    for set in [Command::stdin::<Stdio>, Command::stdout, Command::stderr] {
        set(&mut made, nothing.try_clone().context("duplicate a descriptor")?.into());
    }
    let before = Instant::now();
    for _ in 0..TIMES {
        let status = made.status().context("start a program")?;
        if !status.success() {
            return Err(format!("{} ended with {status}", command.join(" ")));
        }
    }
    Ok(before.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

const USAGE: &str = "usage: bench [scale | kills | logs | output | list | metrics] --ours dir [--original dir] \
                     [--peer name=dir]... [--short | --long] [--most services-or-lines] [--dir dir]";

/// The command line.
#[derive(Default)]
struct Options {
    scale: bool,
    kills: bool,
    logs: bool,
    output: bool,
    list: bool,
    metrics: bool,
    long: bool,
    most: Option<u32>,
    suites: Vec<Suite>,
    missing: Vec<String>,
    base: Option<PathBuf>,
    inside: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Measured<Self> {
        let mut options = Self::default();
        let mut original = None;
        let mut peers = vec![];
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| USAGE.to_owned());
            match argument.as_str() {
                "scale" => options.scale = true,
                "kills" => options.kills = true,
                "logs" => options.logs = true,
                "output" => options.output = true,
                "list" => options.list = true,
                "metrics" => options.metrics = true,
                "--short" => options.long = false,
                "--long" => options.long = true,
                "--most" => options.most = Some(value()?.parse().context("read --most")?),
                "--dir" => options.base = Some(value()?.into()),
                "--inside" => options.inside = Some(value()?.into()),
                "--ours" => peers.push(("ours".to_owned(), value()?)),
                "--original" => original = Some(value()?),
                "--peer" => {
                    let peer = value()?;
                    let (name, dir) = peer.split_once('=').ok_or_else(|| USAGE.to_owned())?;
                    peers.push((name.to_owned(), dir.to_owned()));
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
        if peers.first().is_none_or(|(name, _)| name != "ours") {
            return Err(USAGE.to_owned());
        }
        if let Some(original) = original {
            peers.insert(1, ("daemontools".to_owned(), original));
        } else {
            options.missing.push("daemontools (Debian's package daemontools)".to_owned());
        }
        for (name, dir) in peers {
            let suite = Suite::daemontools(&name, Path::new(&dir));
            options.suites.push(suite.ok_or_else(|| format!("no programs of {name} in {dir}"))?);
        }
        for (name, kind, scanner) in
            [("s6", Kind::S6, "s6-svscan"), ("runit", Kind::Runit, "runsvdir")]
        {
            match Suite::installed(name, kind, scanner) {
                Some(suite) => options.suites.push(suite),
                None => options.missing.push(format!("{name} (Debian's package {name})")),
            }
        }
        Ok(options)
    }
}

/// The line that describes the machine.
fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let date = Command::new("date").arg("+%F").output().map(|output| output.stdout);
    format!(
        "{} processors, Linux {}, {}, load before {}",
        thread::available_parallelism().map_or(0, Into::into),
        kernel.trim(),
        String::from_utf8_lossy(&date.unwrap_or_default()).trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Prints the table of the README.
fn compare(bench: &Bench, missing: &[String]) -> bool {
    let mut table = Table::new(bench.suites.iter().map(|suite| suite.name.clone()));
    let (start, machine) = (Instant::now(), machine());
    let progress = |name: &str| eprintln!("{:4} s  {name}", start.elapsed().as_secs());
    progress("idle services, which go on meanwhile");
    let mut idle = memory::Idle::start(bench);
    progress("memory");
    memory::measure(bench, &mut table);
    idle.begin();
    progress("a thousand services");
    memory::thousand(bench, &mut table);
    progress("new, killed and controlled services");
    control::measure(bench, &mut table);
    progress("chain loaders");
    loaders::measure(bench, &mut table);
    progress("loggers");
    logger::throughput(bench, &mut table);
    progress("killed loggers");
    logger::killed(bench, &mut table);
    progress("labels");
    labels::measure(bench, &mut table);
    progress("idle services");
    idle.end(&mut table);
    progress("done");
    for name in missing {
        table.note(format!("not here: {name}"));
    }
    print!("{}\n{machine}\n", table.render());
    table.is_good()
}

fn work(arguments: &[String]) -> Measured<bool> {
    if let [option, dir] = arguments
        && option == "--clean"
    {
        guard::clean_up(Path::new(dir));
        return Ok(false);
    }
    let options = Options::parse(arguments.iter().cloned())?;
    let Some(dir) = options.inside else {
        let base = options.base.unwrap_or_else(|| "/dev/shm".into());
        return guard::watch(&base, arguments).map(|code| code == 0);
    };
    guard::clean_up_after_first(dir.clone())?;
    if options.kills {
        kills::compare(options.long, &machine());
        return Ok(true);
    }
    let work_dir = WorkDir::new(dir)?;
    if options.scale {
        let ours = options.suites.first().ok_or("no suite")?;
        return Ok(scale::measure(&work_dir, ours, options.most, &machine()));
    }
    if options.logs {
        let Options { suites, long, most, .. } = options;
        return logs::measure(&work_dir, &suites, long, most, &machine());
    }
    if options.output {
        return output::measure(&work_dir, &options.suites, options.most, &machine());
    }
    if options.list {
        return list::measure(&work_dir, options.long, options.most, &machine());
    }
    if options.metrics {
        let ours = options.suites.first().ok_or("no suite")?;
        return metrics::measure(&work_dir, ours, options.long, options.most, &machine());
    }
    let bench = Bench { suites: options.suites, work_dir, long: options.long };
    Ok(compare(&bench, &options.missing))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match work(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("bench: fatal: {why}");
            ExitCode::from(if why == USAGE { 100 } else { 111 })
        }
    }
}
