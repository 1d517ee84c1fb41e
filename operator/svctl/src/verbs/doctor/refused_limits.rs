//! The check of limits that supervise may not set, so that the service does not start.

use super::examination::Subject;
use super::files;
use super::finding::{self as check, Report, quote};
use daemontools_core::options::{OptionFile, ResourceLimits, ServiceOptions};
use servicedir::End;

/// The bits of CAP_SYS_NICE and CAP_SYS_RESOURCE.
const SYS_NICE: u32 = 23;
const SYS_RESOURCE: u32 = 24;

/// The exit code of a process that supervise has made, and that could not become `run`.
const CANNOT: u8 = 111;

pub(crate) fn examine(subject: &Subject, report: &mut Report) {
    let end = subject.snapshot().and_then(|it| it.last_end);
    if !subject.is_dying() || !matches!(end, Some(End::Exited(CANNOT))) {
        return;
    }
    let Some(supervise) = subject.supervise else { return };
    let path = subject.path().join(OptionFile::ResourceLimits.name());
    let Ok(Some(text)) = files::read(&path) else { return };
    let mut options = ServiceOptions::default();
    if options.read(OptionFile::ResourceLimits, &text).is_err() {
        return;
    }
    if let Some(why) = refusal(&options.resources, supervise) {
        let evidence = format!("{}: {why}", path.display());
        let remedy = format!("${{EDITOR:-vi}} {}", quote(&path));
        report.add(&check::LIMIT_REFUSED, Some(subject.name()), evidence, remedy);
    }
}

/// The first setting that the kernel refuses to a child of supervise, and what is allowed.
fn refusal(resources: &ResourceLimits, supervise: u32) -> Option<String> {
    let capabilities = files::status_field(supervise, "CapEff")?;
    let capabilities = u64::from_str_radix(&capabilities, 16).ok()?;
    let has = |bit: u32| capabilities & (1 << bit) != 0;
    let limits = files::of_process(supervise, "limits");
    for rlimit in &resources.rlimits {
        let name = String::from_utf8_lossy(rlimit.name());
        let wanted = rlimit.hard.unwrap_or(u64::MAX);
        let shown = rlimit.hard.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string());
        if name == "nofile"
            && let Some(most) = files::number("/proc/sys/fs/nr_open").filter(|most| wanted > *most)
        {
            return Some(format!("nofile {shown}, and /proc/sys/fs/nr_open allows {most}"));
        }
        if !has(SYS_RESOURCE)
            && let Some(most) = hard_limit(&limits, rlimit.resource).filter(|most| wanted > *most)
        {
            return Some(format!(
                "{name} {shown}, and supervise ({supervise}) has the hard limit {most} and may not raise it"
            ));
        }
    }
    let number = |file: &str| files::of_process(supervise, file).trim().parse::<i16>().ok();
    if let Some(score) = resources.oom_score
        && let Some(own) = number("oom_score_adj").filter(|own| score < *own)
        && !has(SYS_RESOURCE)
    {
        return Some(format!(
            "oom-score {score}, and supervise ({supervise}) has {own} and may not lower it"
        ));
    }
    let nice = resources.nice?;
    let own = nice_of(supervise).filter(|own| i64::from(nice) < *own && !has(SYS_NICE))?;
    // The limit nice-limit allows 20 less its value.
    let floor = 20 - i64::try_from(hard_limit(&limits, 13)?).ok()?;
    (i64::from(nice) < floor)
        .then(|| format!("nice {nice}, and supervise ({supervise}) has {own} and may not lower it"))
}

/// The hard limit of the number of a resource in /proc/PID/limits, whose lines are in the order of the numbers;
/// `None` without a limit.
fn hard_limit(limits: &str, resource: u8) -> Option<u64> {
    let line = limits.lines().nth(usize::from(resource) + 1)?;
    // The columns of the name and of the soft limit.
    line.get(26..)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The nice value of a process: the seventeenth field behind its name.
fn nice_of(pid: u32) -> Option<i64> {
    let stat = files::of_process(pid, "stat");
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(16)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{hard_limit, nice_of, refusal};
    use daemontools_core::options::{OptionFile, ServiceOptions};

    #[test]
    fn hard_limits_are_found_by_the_number_of_the_resource() {
        let limits = std::fs::read_to_string("/proc/self/limits").expect("read the limits");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let hard = line.and_then(|line| line.split_ascii_whitespace().nth(1)).expect("a limit");
        assert_eq!(hard_limit(&limits, 7), hard.parse().ok());
        assert_eq!(hard_limit(&limits, 16), None);
    }

    #[test]
    fn what_a_process_has_is_not_refused() {
        let pid = std::process::id();
        let mut options = ServiceOptions::default();
        let nice = nice_of(pid).expect("a nice value");
        let text = format!("nice {nice}\noom-score 1000\nnofile 10\n");
        options.read(OptionFile::ResourceLimits, text.as_bytes()).expect("read the options");
        assert_eq!(refusal(&options.resources, pid), None);
    }
}
