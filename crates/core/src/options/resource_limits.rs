//! `resource-limits`: the limits and privileges of a service.

use super::{OptionError, OptionFile, syntax};
use crate::text::decimal;
use alloc::vec::Vec;

/// The limits and privileges of a service. The default leaves everything as supervise has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// The limits of setrlimit(2), at most one for each resource.
    pub rlimits: Vec<Rlimit>,
    /// `nice`: -20 to 19.
    pub nice: Option<i8>,
    /// `ioprio`
    pub io_priority: Option<IoPriority>,
    /// `oom-score`: -1000 to 1000.
    pub oom_score: Option<i16>,
    /// `no-new-privs`
    pub no_new_privileges: bool,
    /// `capabilities`: the bounding set that the service keeps, as a bit mask.
    pub capabilities: Option<u64>,
    /// `memory`: the limit of the control group in bytes.
    pub memory: Option<u64>,
    /// `cpu`: the processor time of the control group.
    pub cpu: Option<CpuQuota>,
    /// `pids`: the most processes and threads in the control group.
    pub pids: Option<u64>,
}

impl ResourceLimits {
    /// Whether no limit is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a limit is set that needs a control group.
    #[must_use]
    pub const fn needs_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpu.is_some() || self.pids.is_some()
    }
}

/// A limit of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// The number of the resource in Linux.
    pub resource: u8,
    /// The soft limit, which the kernel enforces; `None` is unlimited.
    pub soft: Option<u64>,
    /// The hard limit, up to which the service may raise the soft one; `None` is unlimited.
    pub hard: Option<u64>,
}

impl Rlimit {
    /// The word for the resource in the file.
    #[must_use]
    pub fn name(&self) -> &'static [u8] {
        RLIMITS.get(usize::from(self.resource)).map_or(b"", |(name, _)| name)
    }
}

/// The I/O scheduling class and priority of a process (ioprio_set(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoPriority {
    /// Before all other classes; the level is 0 (first) to 7.
    Realtime(u8),
    /// The default class; the level is 0 (first) to 7.
    BestEffort(u8),
    /// Only when no other process uses the disk.
    Idle,
}

impl IoPriority {
    /// The numbers of class and level in Linux.
    #[must_use]
    pub const fn class_and_level(self) -> (u8, u8) {
        match self {
            Self::Realtime(level) => (1, level),
            Self::BestEffort(level) => (2, level),
            Self::Idle => (3, 0),
        }
    }
}

/// Processor time in percent of one processor: 1 to 100000 (`cpu.max` of a control group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota(pub u32);

/// The resources of setrlimit(2) by their numbers in Linux, and whether they count bytes.
///
/// `cpu` and `nice` are other settings here, hence `cpu-time` and `nice-limit`.
const RLIMITS: [(&[u8], bool); 16] = [
    (b"cpu-time", false),
    (b"fsize", true),
    (b"data", true),
    (b"stack", true),
    (b"core", true),
    (b"rss", true),
    (b"nproc", false),
    (b"nofile", false),
    (b"memlock", true),
    (b"as", true),
    (b"locks", false),
    (b"sigpending", false),
    (b"msgqueue", true),
    (b"nice-limit", false),
    (b"rtprio", false),
    (b"rttime", false),
];

/// The capabilities by their numbers in Linux, without `CAP_` (capabilities(7)).
const CAPABILITIES: [&[u8]; 41] = [
    b"chown",
    b"dac_override",
    b"dac_read_search",
    b"fowner",
    b"fsetid",
    b"kill",
    b"setgid",
    b"setuid",
    b"setpcap",
    b"linux_immutable",
    b"net_bind_service",
    b"net_broadcast",
    b"net_admin",
    b"net_raw",
    b"ipc_lock",
    b"ipc_owner",
    b"sys_module",
    b"sys_rawio",
    b"sys_chroot",
    b"sys_ptrace",
    b"sys_pacct",
    b"sys_admin",
    b"sys_boot",
    b"sys_nice",
    b"sys_resource",
    b"sys_time",
    b"sys_tty_config",
    b"mknod",
    b"lease",
    b"audit_write",
    b"audit_control",
    b"setfcap",
    b"mac_override",
    b"mac_admin",
    b"syslog",
    b"wake_alarm",
    b"block_suspend",
    b"audit_read",
    b"perfmon",
    b"bpf",
    b"checkpoint_restore",
];

pub(super) fn parse(text: &[u8]) -> Result<ResourceLimits, OptionError> {
    let mut resources = ResourceLimits::default();
    // At most one entry for each kind of setting, so a linear search is enough.
    let mut seen: Vec<&[u8]> = Vec::new();
    for (line, content) in syntax::lines(text) {
        let error = |mismatch| OptionError::new(OptionFile::ResourceLimits, line, mismatch);
        let (setting, value) = syntax::first_word(content);
        if seen.contains(&setting) {
            return Err(error((content, "each setting once, as in nofile 1024")));
        }
        resources.set(setting, value).map_err(|expected| error((content, expected)))?;
        seen.push(setting);
    }
    Ok(resources)
}

impl ResourceLimits {
    /// Applies one setting; the error is a description of correct text.
    fn set(&mut self, setting: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match setting {
            b"nice" => {
                let nice = signed(value, -20, 19).and_then(|n| i8::try_from(n).ok());
                self.nice = Some(nice.ok_or("a number from -20 to 19, as in nice 10")?);
            }
            b"ioprio" => {
                let expected = "realtime or best-effort with a level from 0 to 7, or idle, as in \
                             ioprio best-effort 7";
                self.io_priority = Some(io_priority(value).ok_or(expected)?);
            }
            b"oom-score" => {
                let score = signed(value, -1000, 1000).and_then(|n| i16::try_from(n).ok());
                self.oom_score =
                    Some(score.ok_or("a number from -1000 to 1000, as in oom-score -500")?);
            }
            b"no-new-privs" => {
                if !value.is_empty() {
                    return Err("nothing behind it, as in no-new-privs");
                }
                self.no_new_privileges = true;
            }
            b"capabilities" => {
                let expected =
                    "names of capabilities, or none, as in capabilities net_bind_service";
                self.capabilities = Some(capabilities(value).ok_or(expected)?);
            }
            b"memory" => {
                let expected = "a number of bytes, if need be with K, M or G, or unlimited, as in \
                             memory 512M";
                self.memory = limit(value, bytes).filter(|n| *n != Some(0)).ok_or(expected)?;
            }
            b"cpu" => {
                let percent = value.strip_suffix(b"%").and_then(decimal::parse);
                let percent = percent.and_then(|n| u32::try_from(n).ok());
                let percent = percent.filter(|n| (1..=100_000).contains(n));
                self.cpu = Some(CpuQuota(percent.ok_or("from 1% to 100000%, as in cpu 50%")?));
            }
            b"pids" => {
                let expected = "a number from 1 on, or unlimited, as in pids 100";
                self.pids =
                    limit(value, decimal::parse).filter(|n| *n != Some(0)).ok_or(expected)?;
            }
            _ => self.rlimits.push(rlimit(setting, value)?),
        }
        Ok(())
    }
}

fn rlimit(setting: &[u8], value: &[u8]) -> Result<Rlimit, &'static str> {
    let mut known = (0..).zip(RLIMITS);
    let Some((resource, (_, in_bytes))) = known.find(|(_, (name, _))| *name == setting) else {
        return Err("as, core, cpu-time, data, fsize, locks, memlock, msgqueue, nice-limit, \
                    nofile, nproc, rss, rtprio, rttime, sigpending, stack, nice, ioprio, \
                    oom-score, no-new-privs, capabilities, memory, cpu or pids, as in nofile 1024");
    };
    let number: fn(&[u8]) -> Option<u64> = if in_bytes { bytes } else { decimal::parse };
    let expected = if in_bytes {
        "SOFT or SOFT:HARD in bytes, K, M or G, or unlimited, as in core 0:512M"
    } else {
        "SOFT or SOFT:HARD, numbers or unlimited, as in nofile 1024:4096"
    };
    let mut parts = value.splitn(2, |&c| c == b':');
    let soft = limit(parts.next().unwrap_or_default(), number).ok_or(expected)?;
    let hard = parts.next().map_or(Some(soft), |hard| limit(hard, number)).ok_or(expected)?;
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err("a soft limit that is not above the hard one, as in nofile 1024:4096");
    }
    Ok(Rlimit { resource, soft, hard })
}

/// A number, or `unlimited`, which is `Some(None)`.
fn limit(text: &[u8], number: impl Fn(&[u8]) -> Option<u64>) -> Option<Option<u64>> {
    if text == b"unlimited" { Some(None) } else { number(text).map(Some) }
}

/// A number of bytes, with a binary unit.
fn bytes(text: &[u8]) -> Option<u64> {
    let (number, unit) = match text {
        [number @ .., b'K'] => (number, 1 << 10),
        [number @ .., b'M'] => (number, 1 << 20),
        [number @ .., b'G'] => (number, 1 << 30),
        number => (number, 1),
    };
    decimal::parse(number)?.checked_mul(unit)
}

fn signed(text: &[u8], min: i64, max: i64) -> Option<i64> {
    let (digits, sign) = text.strip_prefix(b"-").map_or((text, 1), |digits| (digits, -1));
    let number = i64::try_from(decimal::parse(digits)?).ok()?.checked_mul(sign)?;
    (min..=max).contains(&number).then_some(number)
}

fn io_priority(text: &[u8]) -> Option<IoPriority> {
    let level = |text: &[u8]| match text {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    };
    match syntax::first_word(text) {
        (b"realtime", value) => level(value).map(IoPriority::Realtime),
        (b"best-effort", value) => level(value).map(IoPriority::BestEffort),
        (b"idle", b"") => Some(IoPriority::Idle),
        _ => None,
    }
}

fn capabilities(text: &[u8]) -> Option<u64> {
    if text == b"none" {
        return Some(0);
    }
    let bit = |word: &[u8]| {
        let name = match word.split_at_checked(4) {
            Some((cap, rest)) if cap.eq_ignore_ascii_case(b"cap_") => rest,
            _ => word,
        };
        CAPABILITIES.iter().position(|c| c.eq_ignore_ascii_case(name)).map(|number| 1 << number)
    };
    let set = syntax::words(text).try_fold(0, |set, word| Some(set | bit(word)?));
    // An empty list could mean all or none.
    set.filter(|set| *set != 0)
}

#[cfg(test)]
#[path = "resource_limits_tests.rs"]
mod tests;
