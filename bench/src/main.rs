//! Measures the programs beside their peers, and what ten thousand services cost. `README.md` says
//! what each number means; `run` builds what is needed and calls this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what it is for")]

mod control;
mod counts;
mod guard;
mod labels;
mod loaders;
mod logger;
mod memory;
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

/// What was measured, or what stands instead of a number.
pub(crate) type Outcome<T> = Result<T, String>;

/// Says of an error what was tried.
trait Step<T> {
    fn step(self, what: &str) -> Outcome<T>;
}

impl<T, E: Display> Step<T> for Result<T, E> {
    fn step(self, what: &str) -> Outcome<T> {
        self.map_err(|error| format!("unable to {what}: {error}"))
    }
}

/// Where everything is.
struct Place {
    dir: PathBuf,
    /// The helper, as a file of the same file system.
    probe: PathBuf,
    count: Cell<u32>,
}

impl Place {
    fn new(dir: PathBuf) -> Outcome<Self> {
        let mine = env::current_exe().step("find myself")?.with_file_name("probe");
        let probe = dir.join("probe");
        fs::copy(mine, &probe).step("copy the helper")?;
        Ok(Self { dir, probe, count: Cell::new(0) })
    }

    /// A new directory.
    fn fresh(&self, name: &str) -> Outcome<PathBuf> {
        self.count.set(self.count.get() + 1);
        let dir = self.dir.join(format!("{name}.{}", self.count.get()));
        fs::create_dir(&dir).step("make a directory")?;
        Ok(dir)
    }
}

/// What is compared, where and how long.
struct Bench {
    suites: Vec<Suite>,
    place: Place,
    long: bool,
}

impl Bench {
    /// The columns, another one first each time.
    fn turn(&self, trial: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.suites.len();
        (0..count).map(move |at| (at + trial) % count)
    }
}

/// The same numbers in each run, so that all suites get the same work.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

/// The monotonic clock in nanoseconds, as the helper tells it.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a run takes minutes")]
fn milliseconds(before: u64, after: u64) -> f64 {
    after.saturating_sub(before) as f64 / 1e6
}

/// A program again and again, one after the other: the microseconds of one.
fn exec_loop(suite: &Suite, command: &[String]) -> Outcome<f64> {
    const TIMES: u32 = 40;
    let nothing = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    let nothing = nothing.step("open /dev/null")?;
    let mut made = tree::quiet(suite, command);
    for set in [Command::stdin::<Stdio>, Command::stdout, Command::stderr] {
        set(&mut made, nothing.try_clone().step("duplicate a descriptor")?.into());
    }
    let before = Instant::now();
    for _ in 0..TIMES {
        let status = made.status().step("start a program")?;
        if !status.success() {
            return Err(format!("{} ended with {status}", command.join(" ")));
        }
    }
    Ok(before.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

const USAGE: &str = "usage: bench [scale] --ours dir [--original dir] [--peer name=dir]... \
                     [--short | --long] [--most services] [--dir dir]";

/// What the command line says.
#[derive(Default)]
struct Options {
    scale: bool,
    long: bool,
    most: Option<u32>,
    suites: Vec<Suite>,
    missing: Vec<String>,
    base: Option<PathBuf>,
    inside: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self::default();
        let mut original = None;
        let mut peers = vec![];
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| USAGE.to_owned());
            match argument.as_str() {
                "scale" => options.scale = true,
                "--short" => options.long = false,
                "--long" => options.long = true,
                "--most" => options.most = Some(value()?.parse().step("read --most")?),
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

/// The line that says where the numbers are from.
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

/// The table of the README.
fn compare(bench: &Bench, missing: &[String]) -> bool {
    let mut table = Table::new(bench.suites.iter().map(|suite| suite.name.clone()));
    let (start, machine) = (Instant::now(), machine());
    let step = |name: &str| eprintln!("{:4} s  {name}", start.elapsed().as_secs());
    step("idle services, which go on meanwhile");
    let mut idle = memory::Idle::start(bench);
    step("memory");
    memory::measure(bench, &mut table);
    idle.begin();
    step("a thousand services");
    memory::thousand(bench, &mut table);
    step("new, killed and controlled services");
    control::measure(bench, &mut table);
    step("chain loaders");
    loaders::measure(bench, &mut table);
    step("loggers");
    logger::throughput(bench, &mut table);
    step("killed loggers");
    logger::kills(bench, &mut table);
    step("labels");
    labels::measure(bench, &mut table);
    step("idle services");
    idle.end(&mut table);
    step("done");
    for name in missing {
        table.note(format!("not here: {name}"));
    }
    print!("{}\n{machine}\n", table.render());
    table.is_good()
}

fn work(arguments: &[String]) -> Outcome<bool> {
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
    guard::obey(dir.clone())?;
    let place = Place::new(dir)?;
    if options.scale {
        let ours = options.suites.first().ok_or("no suite")?;
        return Ok(scale::measure(&place, ours, options.most, &machine()));
    }
    let bench = Bench { suites: options.suites, place, long: options.long };
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
