//! Checks of what concerns all services: svscan, its unit, and the limits of the system.

use super::examination::{Examination, file_id};
use super::files;
use super::finding::{self as check, Report, quote};
use super::limits::{is_near, open_files, soft_limit};
use super::sockets;
use super::state::old_executable;
use crate::selection::Target;
use daemontools_core::sorting::sort;
use servicedir::ScanDir;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Where units of systemd are. A name in an earlier directory hides those in later ones.
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The scan directories of an svscan that is started without one.
const USUAL: [&str; 2] = ["/etc/service", "/service"];

pub(crate) fn examine(system: &Examination<'_>, all: &[Target], report: &mut Report) {
    match system.svscan() {
        // The original's svscan takes no lock: this may be the one.
        None if system.is_svscan_hidden => {}
        // In another PID namespace nothing is known of it.
        None if ScanDir::are_supervisors_hidden(all.iter().map(|target| &target.dir)) => {}
        None => no_svscan(system, report),
        Some(pid) => {
            old_executable(pid, "svscan", None, system, report);
            if let Some((open, limit)) = open_files(pid) {
                let evidence = format!("svscan ({pid}) has {open} of at most {limit} open files");
                let remedy = format!("prlimit --pid {pid} --nofile={}:", limit.saturating_mul(4));
                report.add(&check::DESCRIPTORS, None, evidence, remedy);
            }
            inotify(system, pid, report);
            process_limit(system, pid, report);
        }
    }
    units(system, report);
    linked_twice(all, report);
}

fn no_svscan(system: &Examination<'_>, report: &mut Report) {
    let dir = system.scan.path();
    let shown = dir.display();
    let others: Vec<String> = system
        .svscans
        .iter()
        .map(|it| format!("process {} on {}", it.pid, it.dir.display()))
        .collect();
    let evidence = if others.is_empty() {
        format!("no process holds the lock of {shown}, and no svscan runs")
    } else {
        format!("no process holds the lock of {shown}; svscan runs as {}", others.join(" and as "))
    };
    report.add(&check::SVSCAN_MISSING, None, evidence, format!("svscan {} &", quote(dir)));
}

/// Another svscan that has the same service as well: a supervise of the service is its child.
pub(crate) fn two_svscans(system: &Examination<'_>, target: &Target, report: &mut Report) {
    let Some(own) = system.scan.path().canonicalize().ok() else { return };
    for pid in system.supervises_of(target) {
        let parent = system.table.get(*pid).map(|process| process.parent);
        let other = system.svscans.iter().find(|it| Some(it.pid) == parent && it.dir != own);
        if let Some(other) = other {
            let (dir, svscan) = (other.dir.display(), other.pid);
            let evidence = format!(
                "the svscan on {dir}, process {svscan}, has started a supervise for {}",
                target.shown()
            );
            let remedy = format!("svctl -d {} list", quote(&other.dir));
            report.add(&check::TWO_SVSCANS, Some(&target.name), evidence, remedy);
        }
    }
}

fn linked_twice(all: &[Target], report: &mut Report) {
    let mut known: HashMap<_, &Target> = HashMap::new();
    for target in all {
        let Some(id) = file_id(target.dir.path()) else { continue };
        if let Some(first) = known.insert(id, target) {
            let evidence =
                format!("{} and {} are the same directory", first.shown(), target.shown());
            let remedy = format!("rm {}", quote(target.dir.path()));
            report.add(&check::LINKED_TWICE, Some(&target.name), evidence, remedy);
        }
    }
}

/// Whether the user of svscan has nearly as many inotify instances or watches as he may have.
fn inotify(system: &Examination<'_>, svscan: u32, report: &mut Report) {
    let Some(user) = files::user_of(svscan) else { return };
    // A user namespace can have lower limits than the system.
    let limit = |one: &str, other: &str| {
        [one, other].iter().filter_map(|path| files::number(format!("/proc/sys/{path}"))).min()
    };
    let most_instances = limit("fs/inotify/max_user_instances", "user/max_inotify_instances");
    let most_watches = limit("fs/inotify/max_user_watches", "user/max_inotify_watches");
    let (mut instances, mut watches) = (0_u64, 0_u64);
    let mut seen = std::collections::HashSet::new();
    for process in system.table.iter().filter(|it| files::user_of(it.pid) == Some(user)) {
        for (fd, to) in sockets::descriptors(process.pid) {
            // Processes that inherit a descriptor share its instance, and its watches tell it apart.
            if to.contains("inotify") {
                let info = files::of_process(process.pid, &format!("fdinfo/{fd}"));
                let own = info.lines().filter(|line| line.starts_with("inotify ")).count() as u64;
                if own == 0 || seen.insert(info) {
                    instances += 1;
                    watches += own;
                }
            }
        }
    }
    for (used, most, what, key) in [
        (instances, most_instances, "inotify instances", "max_user_instances"),
        (watches, most_watches, "inotify watches", "max_user_watches"),
    ] {
        if let Some(most) = most.filter(|most| is_near(used, *most)) {
            let evidence = format!("user {user} has {used} of at most {most} {what}");
            let remedy = format!("sysctl fs.inotify.{key}={}", most.saturating_mul(8).max(1024));
            report.add(&check::INOTIFY_LIMIT, None, evidence, remedy);
        }
    }
}

/// Whether the system, or the control group of svscan, has nearly as many processes as it may have.
fn process_limit(system: &Examination<'_>, svscan: u32, report: &mut Report) {
    let threads = files::text("/proc/loadavg");
    let threads = threads.split(['/', ' ']).nth(4).and_then(|word| word.parse().ok()).unwrap_or(0);
    for key in ["kernel/pid_max", "kernel/threads-max"] {
        if let Some(most) =
            files::number(format!("/proc/sys/{key}")).filter(|most| is_near(threads, *most))
        {
            let evidence =
                format!("the system has {threads} threads of at most {most} (/proc/sys/{key})");
            let remedy = format!("sysctl {}={}", key.replace('/', "."), most.saturating_mul(4));
            report.add(&check::PROCESS_LIMIT, None, evidence, remedy);
        }
    }
    let groups = files::of_process(svscan, "cgroup");
    let group = groups.lines().find_map(|line| {
        let (kind, path) = line.rsplit_once(':')?;
        let base = if kind == "0:" {
            ""
        } else if kind.ends_with(":pids") {
            "/pids"
        } else {
            return None;
        };
        Some(PathBuf::from(format!("/sys/fs/cgroup{base}{path}")))
    });
    if let Some(group) = group
        && let (Some(used), Some(most)) =
            (files::number(group.join("pids.current")), files::number(group.join("pids.max")))
        && is_near(used, most)
    {
        let evidence = format!(
            "the control group {} of svscan has {used} of at most {most} processes",
            group.display()
        );
        let remedy = format!("echo {} >{}", most.saturating_mul(4), quote(group.join("pids.max")));
        report.add(&check::PROCESS_LIMIT, None, evidence, remedy);
    }
    // root has no such limit.
    let Some(user) = files::user_of(svscan).filter(|user| *user != 0) else { return };
    let most = soft_limit(&files::of_process(svscan, "limits"), "Max processes");
    let used = system.threads_of(user);
    if let Some(most) = most.filter(|most| is_near(used, *most)) {
        let evidence = format!("user {user} has {used} threads, and svscan may start only {most}");
        let remedy = format!("prlimit --pid {svscan} --nproc={}:", most.saturating_mul(4));
        report.add(&check::PROCESS_LIMIT, None, evidence, remedy);
    }
}

/// Units that start svscan and let systemd kill what it has started.
fn units(system: &Examination<'_>, report: &mut Report) {
    let mut seen: Vec<PathBuf> = Vec::new();
    for dir in UNITS {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        sort(&mut names);
        for name in
            names.into_iter().filter(|it| Path::new(it).extension() == Some(OsStr::new("service")))
        {
            let path = Path::new(dir).join(&name);
            let is_new = !seen.iter().any(|other| other.file_name() == Some(&name));
            if is_new && let Some(evidence) = unit_that_kills(&path, system.scan.path()) {
                let drop_in = format!("/etc/systemd/system/{}.d", name.to_string_lossy());
                let (drop_in, file) = (quote(&drop_in), quote(format!("{drop_in}/kill-mode.conf")));
                let remedy = format!(
                    "mkdir -p {drop_in} && printf '[Service]\\nKillMode=process\\n' >{file} && systemctl daemon-reload"
                );
                report.add(&check::UNIT_KILLS_SERVICES, None, evidence, remedy);
            }
            seen.push(path);
        }
    }
}

/// Why a unit is wrong, if it is one that starts svscan on this scan directory.
fn unit_that_kills(path: &Path, scan: &Path) -> Option<String> {
    let mut text = files::text(path);
    let name = path.file_name()?.to_string_lossy().into_owned();
    let starts = text
        .lines()
        .find(|line| line.trim_start().starts_with("ExecStart=") && line.contains("svscan"))?
        .trim()
        .to_owned();
    // Drop-ins come later, and the last value counts.
    for dir in UNITS {
        let mut drop_ins: Vec<_> = fs::read_dir(format!("{dir}/{name}.d"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        sort(&mut drop_ins);
        for drop_in in drop_ins.iter().filter(|it| it.extension() == Some(OsStr::new("conf"))) {
            text.push('\n');
            text += &files::text(drop_in);
        }
    }
    let same = |dir: &str| file_id(Path::new(dir)).is_some_and(|id| Some(id) == file_id(scan));
    let mut dirs =
        starts.split_ascii_whitespace().skip(1).filter(|word| word.starts_with('/')).peekable();
    let is_ours =
        if dirs.peek().is_some() { dirs.any(same) } else { USUAL.iter().any(|dir| same(dir)) };
    let mode = text.lines().filter_map(|line| line.trim().strip_prefix("KillMode=")).next_back();
    if !is_ours || matches!(mode, Some("process" | "none")) {
        return None;
    }
    let mode = mode.map_or_else(
        || "has no KillMode, which means control-group".to_owned(),
        |mode| format!("has KillMode={mode}"),
    );
    Some(format!("{} has \"{starts}\" and {mode}", path.display()))
}
