//! `svctl add`, `remove`, `hold` and `release`: what is in the scan directory, and the files `down`.

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, reason, warn};
use crate::options::{DRY_RUN, NO_WAIT, TIMEOUT};
use crate::output::{escape, line};
use crate::selection::{Target, is_svscan_hidden, named, scan_dir};
use crate::verbs::control::{Limits, Progress};
use rustix::fs::{CWD, RenameFlags, renameat_with, symlinkat};
use servicedir::{Command, EntryKind, Goal, ScanDir};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long `add` waits for a supervise: svscan looks every 5 seconds where the kernel announces
/// nothing.
const START_TIMEOUT: Duration = Duration::from_secs(7);

pub(crate) fn add(arguments: &Arguments) -> Result<u8, Failure> {
    let usage = || Failure::new(USAGE, "usage: svctl add DIR [NAME]");
    let (dir, name) = match arguments.operands.as_slice() {
        [dir] => (dir, None),
        [dir, name] => (dir, Some(name.clone())),
        _ => return Err(usage()),
    };
    let shown = escape(&dir.to_string_lossy());
    let path = fs::canonicalize(dir).map_err(|e| Failure::system(format!("find {shown}"), &e))?;
    let name = name.or_else(|| path.file_name().map(OsStr::to_owned)).ok_or_else(usage)?;
    if !path.join("run").exists() && !path.join("command").exists() {
        let path = escape(&path.to_string_lossy());
        return Err(Failure::new(
            CANNOT,
            format!("unable to add {path}: it has no run (svctl help new)"),
        ));
    }
    let scan = scan_dir(arguments);
    link(arguments, &scan, &path, &name)?;
    if arguments.has(&DRY_RUN) || arguments.has(&NO_WAIT) {
        return Ok(DONE);
    }
    wait_for_start(arguments, &scan, &name)
}

/// Links a service directory into the scan directory, complete at once.
pub(crate) fn link(
    arguments: &Arguments,
    scan: &ScanDir,
    path: &Path,
    name: &OsStr,
) -> Result<(), Failure> {
    let bytes = name.as_bytes();
    let shown = escape(&name.to_string_lossy());
    if bytes.is_empty() || bytes.starts_with(b".") || bytes.contains(&b'/') {
        let why = "a name has no slash and no dot at its beginning";
        return Err(Failure::new(USAGE, format!("unable to use the name {shown}: {why}")));
    }
    let to = scan.path().join(name);
    let (to_shown, path_shown) = (escape(&to.to_string_lossy()), escape(&path.to_string_lossy()));
    if to.symlink_metadata().is_ok() {
        return Err(Failure::new(CANNOT, format!("unable to add {to_shown}: it exists already")));
    }
    if arguments.has(&DRY_RUN) {
        line(&format!("would link {to_shown} to {path_shown}"));
        return Ok(());
    }
    let mut temporary = OsString::from(format!(".svctl-{}-", std::process::id()));
    temporary.push(name);
    let temporary = scan.path().join(temporary);
    let failure = |e: io::Error| Failure::system(format!("link {to_shown}"), &e);
    symlinkat(path, CWD, &temporary).map_err(|e| failure(e.into()))?;
    if let Err(error) = renameat_with(CWD, &temporary, CWD, &to, RenameFlags::NOREPLACE) {
        let _ = fs::remove_file(&temporary);
        return Err(failure(error.into()));
    }
    line(&format!("{shown}: linked to {path_shown}"));
    Ok(())
}

/// Waits until a new service is ready, or supervised if it is held.
pub(crate) fn wait_for_start(
    arguments: &Arguments,
    scan: &ScanDir,
    name: &OsStr,
) -> Result<u8, Failure> {
    let shown = escape(&name.to_string_lossy());
    let target = Target::new(name, scan.path().join(name), EntryKind::Service);
    let begin = Instant::now();
    let timeout = arguments.duration(&TIMEOUT)?;
    let mut events =
        target.dir.events().map_err(|e| Failure::system(format!("watch {shown}"), &e))?;
    loop {
        let left = timeout.unwrap_or(START_TIMEOUT).saturating_sub(begin.elapsed());
        match events.next_within(Some(left)) {
            Ok(Some(None)) => {}
            Ok(Some(Some(_))) => break,
            Ok(None) | Err(_) => {
                let path = escape(&scan.path().to_string_lossy());
                let holder = scan.svscan().ok().flatten();
                let why = match holder {
                    None if is_svscan_hidden(scan) => {
                        format!("whether an svscan runs on {path} cannot be seen here")
                    }
                    None => format!("no svscan is known to run on {path} (svscan {path} &)"),
                    Some(pid) => format!("svscan (pid {pid}) has not started its supervise"),
                };
                warn(&format!("{shown} is not supervised: {why}"));
                return Ok(CANNOT);
            }
        }
    }
    if target.dir.path().join("down").exists() {
        line(&format!("{shown}: held (the file down exists); svctl up {shown} starts it"));
        return Ok(DONE);
    }
    let mut wait = Progress::new(arguments)?;
    wait.settles = true;
    wait.begin(&target, &[], Goal::Ready);
    wait.run(&Limits {
        timeout: timeout.map(|all| all.saturating_sub(begin.elapsed())),
        kill_after: None,
    })
}

pub(crate) fn remove(arguments: &Arguments) -> Result<u8, Failure> {
    let targets = named(arguments)?;
    let mut code = DONE;
    for target in &targets {
        code = code.max(remove_one(arguments, target)?);
    }
    Ok(code)
}

fn remove_one(arguments: &Arguments, target: &Target) -> Result<u8, Failure> {
    let link = target.dir.path();
    let (shown, link_shown) = (target.shown(), escape(&link.to_string_lossy()));
    let failure = |e: &io::Error| Failure::system(format!("remove {link_shown}"), e);
    if !link.symlink_metadata().map_err(|e| failure(&e))?.is_symlink() {
        let why = "it is not a link; svctl down and hold keep a service down";
        return Err(Failure::new(CANNOT, format!("unable to remove {link_shown}: {why}")));
    }
    let path = fs::canonicalize(link).ok();
    if arguments.has(&DRY_RUN) {
        line(&format!("would remove {link_shown}, and stop the service and its logger"));
        return Ok(DONE);
    }
    fs::remove_file(link).map_err(|e| failure(&e))?;
    let Some(path) = path else {
        line(&format!("{shown}: removed a link to nothing"));
        return Ok(DONE);
    };
    // The service first: its logger reads to the end.
    let limits = || -> Result<Limits, Failure> {
        Ok(Limits { timeout: arguments.duration(&TIMEOUT)?, kill_after: None })
    };
    let mut code = DONE;
    for (name, dir) in [(target.name.clone(), path.clone()), (log_name(target), path.join("log"))] {
        let part = Target::new(name, dir, EntryKind::Service);
        if !part.dir.is_supervised().unwrap_or(false) {
            continue;
        }
        let mut wait = Progress::new(arguments)?;
        wait.begin(&part, &[Command::Down, Command::Exit], Goal::Gone);
        code = code.max(wait.run(&limits()?)?);
    }
    line(&format!("{shown}: removed; {} stays", escape(&path.to_string_lossy())));
    Ok(code)
}

fn log_name(target: &Target) -> OsString {
    let mut name = target.name.clone();
    name.push("/log");
    name
}

pub(crate) fn hold(arguments: &Arguments) -> Result<u8, Failure> {
    each_down(arguments, |down, shown| {
        let opened = fs::File::options().write(true).create_new(true).open(down);
        match opened {
            Ok(_) => Ok(format!("{shown}: held: it is not started at the next boot")),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(format!("{shown}: held already"))
            }
            Err(error) => Err(error),
        }
    })
}

pub(crate) fn release(arguments: &Arguments) -> Result<u8, Failure> {
    each_down(arguments, |down, shown| match fs::remove_file(down) {
        Ok(()) => Ok(format!("{shown}: released: it is started at the next boot")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(format!("{shown}: was not held"))
        }
        Err(error) => Err(error),
    })
}

/// Does something with the file `down` of each service.
fn each_down(
    arguments: &Arguments,
    change: impl Fn(&Path, &str) -> io::Result<String>,
) -> Result<u8, Failure> {
    let mut code = DONE;
    for target in named(arguments)? {
        let down: PathBuf = target.dir.path().join("down");
        let path = escape(&down.to_string_lossy());
        if arguments.has(&DRY_RUN) {
            line(&format!("would change {path}"));
            continue;
        }
        match change(&down, &target.shown()) {
            Ok(done) => line(&done),
            Err(error) => {
                warn(&format!("unable to change {path}: {}", reason(&error)));
                code = CANNOT;
            }
        }
    }
    Ok(code)
}
