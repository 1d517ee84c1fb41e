//! Checks of processes that are near a limit of their own (setrlimit(2)).

use super::examination::{Examination, Subject};
use super::files;
use super::finding::{self as check, Report};
use crate::usage::bytes;
use servicedir::Process;

/// Limits of memory: their names in /proc/PID/limits and in prlimit(1), and the field of
/// /proc/PID/status that they bound.
const MEMORY: [(&str, &str, &str, &str); 3] = [
    ("Max address space", "as", "VmSize", "address space"),
    ("Max data size", "data", "VmData", "data"),
    ("Max locked memory", "memlock", "VmLck", "locked memory"),
];

/// Whether a limit is nearly used up.
pub(super) const fn is_near(used: u64, most: u64) -> bool {
    used.saturating_mul(10) >= most.saturating_mul(9)
}

/// The soft limit of a name in /proc/PID/limits; `None` without a limit.
pub(super) fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The processes of a service, and its supervise.
pub(super) fn examine(system: &Examination<'_>, subject: &Subject, pid: u32, report: &mut Report) {
    let mut processes = system.table.tree(pid);
    for process in &processes {
        let limits = files::of_process(process.pid, "limits");
        memory(subject, process, &limits, report);
        user_processes(system, subject, process, &limits, report);
    }
    processes.extend(subject.supervise.and_then(|pid| system.table.get(pid)));
    for process in processes {
        if let Some((open, limit)) = open_files(process.pid) {
            let evidence = format!("{} has {open} of at most {limit} open files", shown(process));
            let remedy = raise(process, "nofile", limit);
            report.add(&check::DESCRIPTORS, Some(subject.name()), evidence, remedy);
        }
    }
}

fn shown(process: &Process) -> String {
    format!("{} ({})", process.name, process.pid)
}

/// The command that raises a soft limit.
fn raise(process: &Process, resource: &str, limit: u64) -> String {
    format!("prlimit --pid {} --{resource}={}:", process.pid, limit.saturating_mul(4))
}

/// The open files of a process and its limit, if they are close.
pub(super) fn open_files(pid: u32) -> Option<(u64, u64)> {
    let limit = soft_limit(&files::of_process(pid, "limits"), "Max open files")?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    (open >= 10 && is_near(open, limit)).then_some((open, limit))
}

fn memory(subject: &Subject, process: &Process, limits: &str, report: &mut Report) {
    for (name, resource, field, what) in MEMORY {
        let Some(most) = soft_limit(limits, name) else { continue };
        let used = files::status_field(process.pid, field);
        let used = used.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let used = used.unwrap_or_default().saturating_mul(1024);
        if used > 0 && is_near(used, most) {
            let (who, used, limit) = (shown(process), bytes(used), bytes(most));
            let evidence = format!("{who} has {used} of {what}, of at most {limit} ({name})");
            let remedy = raise(process, resource, most);
            report.add(&check::MEMORY_LIMIT, Some(subject.name()), evidence, remedy);
        }
    }
}

/// The kernel counts the threads of a user; root has no such limit.
fn user_processes(
    system: &Examination<'_>,
    subject: &Subject,
    process: &Process,
    limits: &str,
    report: &mut Report,
) {
    let Some(most) = soft_limit(limits, "Max processes") else { return };
    let Some(user) = files::real_user_of(process.pid).filter(|user| *user != 0) else { return };
    let used = system.threads_of(user);
    if is_near(used, most) {
        let who = shown(process);
        let evidence = format!("user {user} has {used} threads, of at most {most} for {who}");
        let remedy = raise(process, "nproc", most);
        report.add(&check::PROCESS_LIMIT, Some(subject.name()), evidence, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::soft_limit;

    #[test]
    fn soft_limits_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max data size             unlimited            unlimited            bytes     \n\
                      Max processes             63405                63405                processes \n";
        assert_eq!(soft_limit(limits, "Max processes"), Some(63405));
        assert_eq!(soft_limit(limits, "Max data size"), None);
        assert_eq!(soft_limit(limits, "Max address space"), None);
    }
}
