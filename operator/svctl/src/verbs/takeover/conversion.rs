//! The services and loggers of a takeover: from their old supervisors to those of the new suite.

use super::examine::{Part, Running, Scene, Suite};
use super::plan::{self, Mode, Transfer};
use super::{PAUSE, kill};
use crate::escape::escape;
use crate::failure::{DONE, Failure, NOT_REACHED, TIMED_OUT, reason, warn};
use crate::output::line;
use daemontools_core::state_dir::status::Want;
use servicedir::{Command, ScanDir, Signal};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the new supervisors may take. svscan starts one 5 seconds after another that was told to
/// leave; the rest is for a loaded machine.
const CHANGED: Duration = Duration::from_secs(60);

/// A file `down` that keeps a service down during the change of its supervisor.
struct TemporaryDown(PathBuf);

impl Drop for TemporaryDown {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            let path = escape(&self.0.to_string_lossy());
            warn(&format!("unable to remove {path}: {}", reason(&error)));
        }
    }
}

/// The change of every service and logger of a scan directory.
pub(crate) struct Conversion<'a> {
    scan: &'a ScanDir,
    to: Suite,
    /// Whether the svscan of this suite has run before.
    runs_already: bool,
    parts: Vec<(&'a Part, Transfer)>,
    downs: Vec<TemporaryDown>,
}

impl<'a> Conversion<'a> {
    pub(crate) fn new(scan: &'a ScanDir, to: Suite, scene: &'a Scene, mode: Mode) -> Self {
        let parts = scene.parts.iter().map(|part| (part, plan::change(part, to, mode))).collect();
        let runs_already = scene.scanners.iter().any(|it| it.suite == to);
        Self { scan, to, runs_already, parts, downs: Vec::new() }
    }

    /// Says what would be done with each.
    pub(crate) fn show(&self) {
        for (part, change) in &self.parts {
            let under = part.supervisor.as_ref().map_or_else(
                || "not supervised".to_owned(),
                |supervisor| format!("{} under {supervisor}", part.shown_process()),
            );
            let what = match change {
                Transfer::None => "nothing to do",
                Transfer::New if self.runs_already => "svctl doctor says why",
                Transfer::New => "svscan would start a supervise",
                Transfer::StaysDown => "would stay down under its next supervise",
                Transfer::Adopted => "its supervise would adopt the process now",
                Transfer::AtEnd(why) => &format!(
                    "would keep its process, and change when that ends{}",
                    later(part, *why)
                ),
                Transfer::Restarted => "would be restarted",
                Transfer::Left(why) => &format!("would stay as it is: {why}{}", remedy(part, why)),
            };
            line(&format!("{}: {under}: {what}", part.name));
            self.show_notes(part);
        }
    }

    fn show_notes(&self, part: &Part) {
        for note in plan::notes(part, self.to) {
            line(&format!("{}: note: {note}", part.name));
        }
    }

    /// Makes the files that keep services down, and kills each runsv that changes: a supervise cannot
    /// run beside it.
    pub(crate) fn before_start(&mut self) -> Result<(), Failure> {
        for (part, change) in &self.parts {
            if *change == Transfer::StaysDown {
                self.downs.extend(keep_down(part)?);
            }
        }
        let mut killed: Vec<u32> = Vec::new();
        for (part, change) in &self.parts {
            let changes = matches!(change, Transfer::StaysDown | Transfer::Adopted);
            let runsv = part.supervisor.as_ref().filter(|it| it.suite == Suite::Runit);
            if let Some(runsv) = runsv.filter(|_| changes && part.doubt.is_none())
                && !killed.contains(&runsv.pid)
            {
                kill(runsv).map_err(|error| Failure::system(format!("kill {runsv}"), &error))?;
                killed.push(runsv.pid);
            }
        }
        Ok(())
    }

    /// Changes everything, and says what has happened. Returns the exit code.
    pub(crate) fn after_start(&mut self) -> Result<u8, Failure> {
        let mut code = DONE;
        let mut pending = Vec::new();
        for (part, change) in self.parts.clone() {
            if let Err(error) = begin(part, change) {
                warn(&format!(
                    "{}: unable to change its supervisor: {}",
                    part.name,
                    reason(&error)
                ));
                code = code.max(NOT_REACHED);
                continue;
            }
            match change {
                Transfer::None => line(&format!("{}: nothing to do", part.name)),
                Transfer::New if self.runs_already => {
                    line(&format!("{}: not supervised: svctl doctor says why", part.name));
                }
                Transfer::AtEnd(why) => line(&format!(
                    "{}: {} as before; changes when that ends{}",
                    part.name,
                    part.shown_process(),
                    later(part, why)
                )),
                Transfer::Left(why) => {
                    line(&format!("{}: stays as it is: {why}{}", part.name, remedy(part, why)));
                    code = code.max(NOT_REACHED);
                }
                Transfer::New | Transfer::StaysDown | Transfer::Adopted | Transfer::Restarted => {
                    pending.push((part, change));
                }
            }
            self.show_notes(part);
        }
        code = code.max(self.await_changes(pending)?);
        // Each new supervisor has looked for its file by now.
        self.downs.clear();
        Ok(code)
    }

    /// Waits until each part has its new supervisor.
    fn await_changes(&self, mut pending: Vec<(&Part, Transfer)>) -> Result<u8, Failure> {
        let mut code = DONE;
        let end = Instant::now() + CHANGED;
        while !pending.is_empty() {
            let scene = Scene::look(self.scan)?;
            let mut rest = Vec::new();
            for (before, change) in pending {
                let now =
                    scene.part(&before.name).filter(|part| has_changed(part, before, self.to));
                match now {
                    Some(now) if comes_up(before, now, change) => {
                        // The file down has kept it from being started.
                        if now.want() == Want::Down {
                            let _ = now.dir.send(&[Command::Up]);
                        }
                        rest.push((before, change));
                    }
                    Some(now) => code = code.max(report(before, now, change)),
                    None => rest.push((before, change)),
                }
            }
            pending = rest;
            if !pending.is_empty() && Instant::now() >= end {
                for (part, _) in pending {
                    let now = scene.part(&part.name);
                    let has_changed = now.is_some_and(|now| has_changed(now, part, self.to));
                    let what = if has_changed { "is down under its" } else { "has no" };
                    let seconds = CHANGED.as_secs();
                    warn(&format!("{}: {what} new supervisor after {seconds} seconds", part.name));
                }
                return Ok(code.max(TIMED_OUT));
            }
            sleep(PAUSE);
        }
        Ok(code)
    }
}

/// What the user can do for a part that stays as it is.
fn remedy(part: &Part, why: &str) -> &'static str {
    // --now does not help these, and is in the reason of the others.
    let needs_restart = part.is_under(Suite::Runit) || part.has_encore_logger();
    let others = [plan::NEEDS_PERSONALITY, plan::LOGGER_STAYS_DOWN, plan::LOGGER_ENDS];
    let helps = !others.contains(&why);
    if needs_restart && helps { " (--restart)" } else { "" }
}

/// What is special about a part that changes when its process ends: why it was not adopted, and that a
/// file keeps it down.
fn later(part: &Part, why: Option<&str>) -> String {
    let mut text = why.map_or_else(String::new, |why| format!(" (not now: {why})"));
    if part.down_file().exists() {
        text.push_str(", and stays down then: it has a file down");
    }
    text
}

/// Whether a part has a supervisor of the suite, which has published a status.
fn has_changed(now: &Part, before: &Part, to: Suite) -> bool {
    let is_new = now.supervisor != before.supervisor && now.is_under(to);
    is_new && now.dir.is_supervised().unwrap_or(false)
}

/// Whether a part is down under its new supervisor, and is still to come up.
fn comes_up(before: &Part, now: &Part, change: Transfer) -> bool {
    change == Transfer::Restarted && before.want() == Want::Up && now.pid() == 0
}

/// Tells the old supervisor of a part to go, or kills it.
fn begin(part: &Part, change: Transfer) -> io::Result<()> {
    let Some(old) = &part.supervisor else { return Ok(()) };
    let is_runsv = old.suite == Suite::Runit;
    match change {
        // A runsv without doubt was killed before the start.
        Transfer::Adopted | Transfer::StaysDown if is_runsv && part.doubt.is_none() => Ok(()),
        Transfer::Adopted => kill(old),
        Transfer::Restarted if part.has_encore_logger() => {
            part.dir.send(&[Command::Down, Command::Exit])
        }
        Transfer::StaysDown | Transfer::AtEnd(_) => part.dir.send(&[Command::Exit]),
        // x ends the service as well.
        Transfer::Restarted if is_runsv => part.dir.send(&[Command::Exit]),
        Transfer::Restarted => {
            let term = Command::Signal(Signal::Term);
            part.dir.send(&[Command::Exit, term, Command::Continue])
        }
        Transfer::None | Transfer::New | Transfer::Left(_) => Ok(()),
    }
}

/// Says what has become of a part.
fn report(before: &Part, now: &Part, change: Transfer) -> u8 {
    let by = now.supervisor.as_ref().map_or_else(String::new, Running::to_string);
    let (name, process) = (&before.name, now.shown_process());
    let what = match change {
        Transfer::Adopted if before.pids() == now.pids() => {
            format!("{process} as before, under {by}")
        }
        Transfer::StaysDown if now.pid() == 0 => format!("down as before, under {by}"),
        Transfer::Restarted | Transfer::New => format!("{process}, started under {by}"),
        _ => {
            let before = before.shown_process();
            warn(&format!("{name}: {process} under {by}, but it was {before}"));
            return NOT_REACHED;
        }
    };
    line(&format!("{name}: {what}"));
    DONE
}

/// Makes the file `down` of a service, unless it has one.
fn keep_down(part: &Part) -> Result<Option<TemporaryDown>, Failure> {
    let path = part.down_file();
    match File::options().write(true).create_new(true).open(&path) {
        Ok(_) => Ok(Some(TemporaryDown(path))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => {
            let path = escape(&path.to_string_lossy());
            Err(Failure::system(format!("make {path}"), &error))
        }
    }
}
