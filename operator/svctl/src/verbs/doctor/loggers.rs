//! Checks of the logger of a service, of its directories, and of the pipe to it.

use super::examination::{Examination, FileId, Run, Subject, file_id};
use super::files;
use super::finding::{self as check, Report, quote};
use super::script::mount_point;
use super::shell_script::{SHELLS, ShellScript};
use crate::selection::Target;
use crate::usage::bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open, statvfs};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_getpipe_size;
use servicedir::{Process, State};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file system with less than this is full.
const LITTLE: u64 = 1024 * 1024;

/// A logger that reads its pipe makes room in this time.
const READ_WITHIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The programs that write log directories.
const LOGGERS: [&str; 3] = ["multilog", "svlogd", "s6-log"];

pub(crate) fn examine(
    system: &Examination<'_>,
    service: &Subject,
    logger: &Subject,
    report: &mut Report,
) {
    for dir in &directories(logger.path(), logger.script.as_ref()) {
        owner(system, logger, dir, report);
        disk(logger.name(), dir, report);
    }
    let (Some(snapshot), Some(pid)) = (service.snapshot(), service.pid()) else { return };
    let Some(pipe) = system.logger_pipe(service) else {
        // Without a supervise, its output is unknown.
        let is_complete = matches!(&logger.run, Run::File(..)) || logger.command.is_some();
        if service.supervise.is_some() && is_complete {
            not_picked_up(service, logger, report);
        }
        return;
    };
    if logger.snapshot().is_none() {
        return;
    }
    let is_full = full_pipe(system, service, logger, pid, report);
    if logger.pid().is_none() && !is_full && snapshot.state.is_usable() {
        let evidence =
            format!("{} is {}: {}", logger.shown(), logger.view.word(), logger.view.note());
        let verb =
            if logger.snapshot().is_some_and(|it| it.state == State::Down) { "up" } else { "why" };
        let remedy = format!("svctl {verb} {}", quote(logger.name()));
        report.add(
            &check::LOGGER_DOWN,
            Some(service.name()),
            evidence.trim_end_matches([':', ' ']),
            remedy,
        );
    }
    stderr(service, pid, &pipe, report);
}

fn not_picked_up(service: &Subject, logger: &Subject, report: &mut Report) {
    let output = service.supervise.and_then(|pid| files::link(pid, "fd/1"));
    let output = output.map_or_else(String::new, |to| {
        format!(", and the output of its supervise goes to {}", to.display())
    });
    let evidence = format!("{} exists{output}", logger.path().display());
    let path = service.path();
    let hidden = path.with_file_name(format!(".{}", service.name().to_string_lossy()));
    let (from, to) = (quote(path), quote(&hidden));
    let remedy = format!("mv {from} {to} && svc -dx {to} && sleep 6 && mv {to} {from}");
    report.add(&check::LOGGER_NOT_PICKED_UP, Some(service.name()), evidence, remedy);
}

/// The existing directories behind the program that writes them, in `log/run` or `log/command`.
fn directories(logger: &Path, script: Option<&ShellScript>) -> Vec<PathBuf> {
    let Some(script) = script else { return Vec::new() };
    let mut found = Vec::new();
    for line in &script.lines {
        let mut words = line.words();
        let is_logger = |word: &str| LOGGERS.contains(&word.rsplit('/').next().unwrap_or_default());
        if !words.by_ref().any(is_logger) {
            continue;
        }
        let dirs = words
            .filter(|word| word.starts_with(['.', '/']))
            .map(|word| logger.join(word.trim_start_matches("./")));
        found.extend(dirs.filter(|dir| dir.is_dir()));
    }
    found
}

/// The user who writes the log directories: that of the running logger, or of `log/run`.
fn writer(system: &Examination<'_>, logger: &Subject) -> Option<(u32, String)> {
    let users = logger.script.as_ref()?.users();
    // envuidgid does not change the user.
    let (_, name) = users.into_iter().rfind(|(program, _)| !program.ends_with("envuidgid"))?;
    Some((system.accounts().of(name.as_bytes())?.uid, name.to_owned()))
}

fn owner(system: &Examination<'_>, logger: &Subject, dir: &Path, report: &mut Report) {
    let Some((uid, user)) = writer(system, logger).filter(|(uid, _)| *uid != 0) else { return };
    // Debian's scripts set the owner themselves.
    if logger.script.as_ref().is_some_and(|script| script.contains(&["chown"])) {
        return;
    }
    for file in [dir.to_owned(), dir.join("current"), dir.join("lock")] {
        let Ok(found) = fs::metadata(&file) else { continue };
        // The groups of the user are not known here.
        if found.uid() != uid && found.mode() & 0o022 == 0 {
            let owner = found.uid();
            let evidence = format!(
                "{} belongs to user {owner}, and the logger runs as {user} ({uid})",
                file.display()
            );
            let remedy = format!("chown -R {} {}", quote(&user), quote(dir));
            return report.add(&check::LOG_DIR_OWNER, Some(logger.name()), evidence, remedy);
        }
    }
}

/// Whether the file system of a path has room.
pub(crate) fn disk(name: &OsStr, path: &Path, report: &mut Report) {
    let Ok(found) = statvfs(path) else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let why = if found.f_blocks > 0
        && free < LITTLE.min(found.f_blocks.saturating_mul(found.f_frsize) / 20)
    {
        format!("{} free of {}", bytes(free), bytes(found.f_blocks.saturating_mul(found.f_frsize)))
    } else if found.f_files > 0 && found.f_favail == 0 {
        format!("no inode free of {}", found.f_files)
    } else {
        return;
    };
    let evidence = format!("the file system of {} has {why}", path.display());
    // What fills it can be anywhere on the file system, and one file.
    let mount = mount_point(path).unwrap_or_else(|| path.to_string_lossy().into_owned());
    let remedy = format!("du -xah {} | sort -h | tail", quote(mount));
    report.add(&check::DISK_FULL, Some(name), evidence, remedy);
}

/// Whether the pipe to the logger is full.
fn full_pipe(
    system: &Examination<'_>,
    service: &Subject,
    logger: &Subject,
    pid: u32,
    report: &mut Report,
) -> bool {
    let Some(supervise) = service.supervise else { return false };
    let path = format!("/proc/{supervise}/fd/1");
    // The write end: another reader could hide from the service that the logger has gone.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(pipe) = open(&path, flags, Mode::empty()) else { return false };
    let (Ok(held), Ok(size)) = (ioctl_fionread(&pipe), fcntl_getpipe_size(&pipe)) else {
        return false;
    };
    // A pipe is full when all its pages are used, also in part: writes of 2,500 bytes fill it with 40,000. The pipe
    // of a logger that reads has room again within the time.
    let mut polled = [PollFd::new(&pipe, PollFlags::OUT)];
    if poll(&mut polled, Some(&READ_WITHIN)) != Ok(0) {
        return false;
    }
    // Not one that waits for another pipe.
    let name = fs::read_link(&path).ok();
    let writes = |process: &&Process| {
        let links = [1, 2].map(|fd| fs::read_link(format!("/proc/{}/fd/{fd}", process.pid)).ok());
        links.contains(&name) && files::of_process(process.pid, "wchan").contains("pipe_w")
    };
    let waits = system.table.tree(pid).into_iter().find(writes);
    let waits =
        waits.map_or_else(String::new, |it| format!("; {} ({}) waits in a write", it.name, it.pid));
    let state = logger.view.word();
    let evidence =
        format!("the pipe to {} ({state}) holds {held} of {size} bytes{waits}", logger.shown());
    let verb = match logger.snapshot().map(|it| it.state) {
        Some(State::Down) => "up",
        Some(State::Paused) => "cont",
        _ => "why",
    };
    report.add(
        &check::LOG_PIPE_FULL,
        Some(service.name()),
        evidence,
        format!("svctl {verb} {}", quote(logger.name())),
    );
    true
}

/// Whether the standard error of the service is that of svscan.
fn stderr(service: &Subject, pid: u32, pipe: &Path, report: &mut Report) {
    let Some(supervise) = service.supervise else { return };
    let link = |pid, fd| files::link(pid, fd);
    let is_shell = link(pid, "exe").is_none_or(|exe| {
        exe.file_name().is_some_and(|name| SHELLS.iter().any(|shell| name == *shell))
    });
    let Some(error) = link(supervise, "fd/2") else { return };
    // A script prints little itself, and its programs may be redirected.
    let is_unchanged =
        link(pid, "fd/1").as_deref() == Some(pipe) && link(pid, "fd/2").as_ref() == Some(&error);
    if is_shell || !is_unchanged {
        return;
    }
    let evidence = format!("descriptor 2 of process {pid} is {}, that of svscan", error.display());
    let file = service.start_file();
    let remedy = if file.ends_with("command") {
        // The shell takes the lines behind its own as arguments.
        format!("sed -i '1i sh\\n-c\\nexec \"$@\" 2>&1\\nsh' {}", quote(file))
    } else {
        format!("sed -i '1a exec 2>&1' {}", quote(file))
    };
    report.add(&check::STDERR_NOT_LOGGED, Some(service.name()), evidence, remedy);
}

/// The loggers of each log directory.
#[derive(Debug, Default)]
pub(crate) struct LogDirs {
    /// Of each directory the loggers, with their service directories.
    found: HashMap<FileId, Vec<(OsString, FileId, PathBuf)>>,
}

impl LogDirs {
    /// Adds the directories of the logger of a service, if it has one.
    pub(crate) fn add(&mut self, service: &Target) {
        let Some(logger) = service.dir.logger() else { return };
        let script = match logger.command() {
            Some(command) => Some(ShellScript::of_arguments(&command)),
            None => {
                let text = files::read(&logger.path().join("run")).ok().flatten();
                ShellScript::parse(&text.unwrap_or_default())
            }
        };
        let dirs = directories(logger.path(), script.as_ref());
        for dir in dirs {
            if let (Some(id), Some(own)) = (file_id(&dir), file_id(logger.path())) {
                let loggers = self.found.entry(id).or_default();
                // A service that is linked twice has one logger.
                if loggers.iter().all(|(_, other, _)| *other != own) {
                    let mut name = service.name.clone();
                    name.push("/log");
                    loggers.push((name, own, dir));
                }
            }
        }
    }

    /// Reports the directories that a logger shares with another one.
    pub(crate) fn shared(&self, logger: &Subject, report: &mut Report) {
        for loggers in self.found.values().filter(|loggers| loggers.len() > 1) {
            let own = loggers.iter().find(|(name, ..)| name == logger.name());
            let other = loggers.iter().find(|(name, ..)| name != logger.name());
            if let (Some((_, _, dir)), Some((other, ..))) = (own, other) {
                let evidence = format!(
                    "{} is the directory of {} and of {}",
                    dir.display(),
                    logger.shown(),
                    other.to_string_lossy()
                );
                let remedy = format!("${{EDITOR:-vi}} {}", quote(logger.start_file()));
                report.add(&check::LOG_DIR_SHARED, Some(logger.name()), evidence, remedy);
            }
        }
    }
}
