//! `svctl takeover`: another suite's supervision of a scan directory passes to ours while services run,
//! or ours to another's.

mod adoptable;
mod conversion;
mod examine;
mod new_scanner;
mod old_unit;
mod plan;

use crate::arguments::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, warn};
use crate::options::{DRY_RUN, NOW, RESTART, TO, UNIT};
use crate::output::{escape, line};
use crate::selection::scan_dir;
use conversion::Conversion;
use examine::{Running, Scene, Suite};
use new_scanner::NewScanner;
use plan::Mode;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use servicedir::{Process, ScanDir};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a killed process may take to end, and a scanner to begin.
const SHORT: Duration = Duration::from_secs(30);

/// The time between two looks at /proc.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let scan = match arguments.operands.as_slice() {
        [] => scan_dir(arguments),
        [dir] => ScanDir::new(dir),
        _ => return Err(Failure::new(USAGE, format!("usage: svctl {}", arguments.synopsis))),
    };
    let new = NewScanner::find(arguments.value(TO.long))?;
    let mode = mode(arguments, &new)?;
    let scene = Scene::look(&scan)?;
    if let Some(s6_process) = &scene.s6_process {
        let remedy =
            format!("stop it first: s6-svscanctl -t {}", escape(&scan.path().to_string_lossy()));
        let message = format!("unable to take the services of {s6_process} over: {remedy}");
        return Err(Failure::new(CANNOT, message));
    }
    let olds: Vec<&Running> = scene.scanners.iter().filter(|it| it.suite != new.suite).collect();
    let runs_already = scene.scanners.iter().any(|it| it.suite == new.suite);
    for old in &olds {
        refuse_vital(old)?;
    }
    let units: Vec<String> = olds.iter().filter_map(|old| old_unit::of(old)).collect();
    let new_unit = arguments.value(UNIT.long).map(|unit| unit.to_string_lossy().into_owned());
    let takeover = Takeover { scan: &scan, new: &new, olds, units, new_unit, runs_already };
    let conversion = Conversion::new(&scan, new.suite, &scene, mode);
    if arguments.has(&DRY_RUN) {
        takeover.show();
        conversion.show();
        return Ok(DONE);
    }
    takeover.perform(conversion)
}

fn mode(arguments: &Arguments, new: &NewScanner) -> Result<Mode, Failure> {
    let mode = match (arguments.has(&NOW), arguments.has(&RESTART)) {
        (_, true) => Mode::Restart,
        (true, false) => Mode::Now,
        (false, false) => Mode::AtEnd,
    };
    if mode == Mode::Now && new.suite != Suite::Ours {
        let why = "its supervise adopts no process (--restart restarts the services)";
        let message = format!("unable to use --now with {}: {why}", new.shown());
        return Err(Failure::new(USAGE, message));
    }
    Ok(mode)
}

/// Refuses to kill a process whose end would end the machine or the container.
fn refuse_vital(old: &Running) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(CANNOT, format!("unable to replace {old}: {why}")));
    if old.pid == 1 {
        return refuse("it is process 1, and its end ends the system");
    }
    let parent = Process::read(old.pid).and_then(|it| Process::read(it.parent));
    match parent.filter(|parent| parent.pid == 1) {
        Some(parent) if parent.name == "runit" => {
            refuse("it is the second stage of runit-init, and its end reboots the system")
        }
        _ => Ok(()),
    }
}

/// The steps that concern the scanners.
struct Takeover<'a> {
    scan: &'a ScanDir,
    new: &'a NewScanner,
    olds: Vec<&'a Running>,
    /// The units of the old scanners.
    units: Vec<String>,
    new_unit: Option<String>,
    runs_already: bool,
}

impl Takeover<'_> {
    fn dir(&self) -> String {
        escape(&self.scan.path().to_string_lossy())
    }

    /// Says what would be done.
    fn show(&self) {
        for unit in &self.units {
            line(&format!("would set KillMode=process and Restart=no for the unit {unit}"));
        }
        for old in &self.olds {
            line(&format!("would kill {old}: services and supervisors run on without it"));
        }
        let new = match &self.new_unit {
            _ if self.runs_already => "the svscan of this suite runs already".to_owned(),
            Some(unit) => format!("would start the unit {unit}"),
            None => format!("would start {} {}", self.new.shown(), self.dir()),
        };
        line(&new);
        for unit in &self.units {
            line(&format!("would stop the unit {unit}"));
        }
    }

    fn perform(self, mut conversion: Conversion<'_>) -> Result<u8, Failure> {
        for unit in &self.units {
            old_unit::keep_services(unit)?;
        }
        // Prepared while the old scanner runs, because it inherits from it.
        let mut command = self.new.command(self.scan.path(), self.olds.first().copied());
        for old in &self.olds {
            kill(old).map_err(|error| Failure::system(format!("kill {old}"), &error))?;
            line(&format!("killed {old}"));
        }
        conversion.before_start()?;
        if !self.runs_already {
            match &self.new_unit {
                Some(unit) => old_unit::systemctl(&["start", unit])?,
                None => drop(self.new.start(&mut command)?),
            }
        }
        let running = self.await_scanner()?;
        line(&format!("{running} runs on {}", self.dir()));
        let code = conversion.after_start()?;
        for unit in &self.units {
            old_unit::systemctl(&["stop", unit])?;
            line(&format!(
                "stopped the unit {unit}; before the next boot: systemctl disable {unit}"
            ));
        }
        if self.new_unit.is_none() && !self.runs_already {
            line("nothing restarts this svscan yet: start it at boot as pkg/ or svscan(8) shows");
        }
        Ok(code.max(self.warn_of_competitors()?))
    }

    /// Waits until the new scanner runs: ours holds the lock of the scan directory then.
    fn await_scanner(&self) -> Result<Running, Failure> {
        let end = Instant::now() + SHORT;
        loop {
            let found = Scene::look(self.scan)?.scanners.into_iter().find(|it| {
                let holder = || self.scan.svscan().ok().flatten().map(std::num::NonZeroU32::get);
                it.suite == self.new.suite && (it.suite != Suite::Ours || holder() == Some(it.pid))
            });
            if let Some(found) = found {
                return Ok(found);
            }
            if Instant::now() >= end {
                let (new, dir) = (self.new.shown(), self.dir());
                let message = format!(
                    "unable to see {new} run on {dir} (services run on without svscan: start it yourself)"
                );
                return Err(Failure::new(CANNOT, message));
            }
            sleep(PAUSE);
        }
    }

    /// Warns of a scanner that init or another program has started again.
    fn warn_of_competitors(&self) -> Result<u8, Failure> {
        let mut code = DONE;
        for other in Scene::look(self.scan)?.scanners {
            if other.suite == self.new.suite {
                continue;
            }
            let parent = Process::read(other.pid).and_then(|it| Process::read(it.parent));
            let by = parent.map_or_else(String::new, |it| {
                format!(" by {} (pid {})", escape(&it.name), it.pid)
            });
            warn(&format!(
                "{other} was started again{by}: remove it from the configuration there, and run this again"
            ));
            code = CANNOT;
        }
        Ok(code)
    }
}

/// Kills a process and waits for its end.
fn kill(process: &Running) -> io::Result<()> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    if pid == getpid() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    // After the handle is open: if the id is still of this program, so is the handle.
    if Process::read(process.pid).is_none_or(|it| it.name != process.name) {
        return Ok(());
    }
    pidfd_send_signal(&handle, Signal::KILL)?;
    let end = Instant::now() + SHORT;
    while Process::read(process.pid).is_some_and(|it| it.state != 'Z') {
        if Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sleep(PAUSE);
    }
    Ok(())
}
