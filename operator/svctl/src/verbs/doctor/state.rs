//! Checks of the state directory and of the supervisor.

use super::examination::{Examination, Subject};
use super::files;
use super::finding::{self as check, Report, quote};
use super::loggers;
use crate::times::{local, short};
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

/// Clocks of one machine never differ so much.
const AHEAD: Duration = Duration::from_secs(60);

pub(crate) fn examine(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    read_only(system, subject, report);
    dangling(subject, report);
    writable(subject, report);
    clock(subject, report);
    let dir = subject.target.dir.state_dir();
    if subject.snapshot().is_some() {
        loggers::disk(subject.name(), dir, report);
    } else if subject.target.dir.is_state_copied() {
        let evidence = format!(
            "{} is not the directory that {} names",
            dir.display(),
            dir.join("process").display()
        );
        report.add(
            &check::STATE_COPIED,
            Some(subject.name()),
            evidence,
            format!("rm -r {}", quote(dir)),
        );
    }
    if let Some(pid) = subject.supervise {
        old_executable(
            pid,
            &format!("the supervise of {}", subject.shown()),
            Some(subject),
            system,
            report,
        );
    }
}

fn read_only(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    if subject.snapshot().is_some() || subject.supervise.is_some() {
        return;
    }
    // SUPERVISEDIR of svscan leads elsewhere.
    let elsewhere = system.svscan().and_then(|pid| files::variable(pid, "SUPERVISEDIR"));
    if elsewhere.is_some_and(|dir| !dir.is_empty()) {
        return;
    }
    let dir = subject.target.dir.state_dir();
    let place = if dir.exists() { dir } else { subject.path() };
    if !statvfs(place).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return;
    }
    let evidence = format!("{} is on a read-only file system", place.display());
    let remedy =
        format!("mkdir -p /run/sv && SUPERVISEDIR=/run/sv svscan {}", quote(system.scan.path()));
    report.add(&check::STATE_READ_ONLY, Some(subject.name()), evidence, remedy);
}

/// A link such as runit's packages make, to a directory that nothing has made since the boot.
fn dangling(subject: &Subject, report: &mut Report) {
    if subject.snapshot().is_some() || subject.supervise.is_some() {
        return;
    }
    let dir = subject.target.dir.state_dir();
    let Ok(target) = fs::read_link(dir) else { return };
    // supervise makes the last directory of the path, and no other.
    let parent = dir.with_file_name(target);
    let Some(parent) = parent.parent().filter(|parent| !parent.exists()) else { return };
    let evidence = format!("{} leads into {}", dir.display(), parent.display());
    report.add(
        &check::STATE_DANGLING,
        Some(subject.name()),
        evidence,
        format!("mkdir -p {}", quote(parent)),
    );
}

fn writable(subject: &Subject, report: &mut Report) {
    let dir = subject.target.dir.state_dir();
    let Ok(found) = fs::symlink_metadata(dir) else { return };
    let files =
        [(dir.to_owned(), 0o022), (dir.join("control"), 0o002), (dir.join("status"), 0o022)];
    if !found.is_dir() {
        return;
    }
    for (path, bits) in files {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let mode = found.mode() & 0o7777;
        if mode & bits != 0 {
            let evidence = format!("{} has mode {mode:04o}", path.display());
            let letters = if bits == 0o002 { "o-w" } else { "go-w" };
            report.add(
                &check::STATE_WRITABLE,
                Some(subject.name()),
                evidence,
                format!("chmod {letters} {}", quote(&path)),
            );
            return;
        }
    }
    let uid = subject.supervise.and_then(files::user_of);
    if let Some(uid) = uid.filter(|uid| found.uid() != *uid && found.uid() != 0) {
        let evidence = format!(
            "{} belongs to user {}, and its supervise runs as user {uid}",
            dir.display(),
            found.uid()
        );
        // Not all that is in it: a process record that the other user has made must not become ours.
        let own = [dir.to_owned(), dir.join("control"), dir.join("ok")];
        let own: Vec<String> = own.iter().map(quote).collect();
        let remedy = format!("chown -h {uid} {}", own.join(" "));
        report.add(&check::STATE_WRITABLE, Some(subject.name()), evidence, remedy);
    }
}

fn clock(subject: &Subject, report: &mut Report) {
    let Some(snapshot) = subject.snapshot() else { return };
    let ahead = snapshot.status.since.duration_since(SystemTime::now()).unwrap_or_default();
    if ahead > AHEAD {
        let when = local(snapshot.status.since);
        let evidence =
            format!("{} changed at {when}, which is in {}", subject.shown(), short(ahead));
        report.add(&check::CLOCK, Some(subject.name()), evidence, "date");
    }
}

/// Whether a supervisor's executable was replaced since its start.
pub(crate) fn old_executable(
    pid: u32,
    which: &str,
    subject: Option<&Subject>,
    system: &Examination<'_>,
    report: &mut Report,
) {
    let Some(exe) = files::link(pid, "exe") else { return };
    let Some(path) = exe.to_str().and_then(|it| it.strip_suffix(" (deleted)")) else { return };
    let evidence = format!("{which} (process {pid}) runs {path}, which was replaced or removed");
    let remedy = format!("svscan -u {}", quote(system.scan.path()));
    report.add(&check::OLD_EXECUTABLE, subject.map(Subject::name), evidence, remedy);
}
