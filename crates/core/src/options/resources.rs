//! `resource-limits`: what a service may have and may do.

use super::{File, Mistake, text};
use crate::decimal;
use alloc::vec::Vec;

/// What a service may have and may do; empty if it is as its supervise is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The limits of setrlimit, at most one for each resource.
    pub rlimits: Vec<Rlimit>,
    /// `nice`: -20 to 19.
    pub nice: Option<i8>,
    /// `ioprio`
    pub priority: Option<Priority>,
    /// `oom-score`: -1000 to 1000.
    pub oom_score: Option<i16>,
    /// `no-new-privs`
    pub no_new_privileges: bool,
    /// `capabilities`: the bounding set that is kept, a bit for each.
    pub capabilities: Option<u64>,
    /// `memory`: bytes for the control group.
    pub memory: Option<u64>,
    /// `cpu`: its processor time.
    pub cpu: Option<CpuShare>,
    /// `pids`: its processes and threads.
    pub pids: Option<u64>,
}

impl Resources {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is something that only a control group can do.
    #[must_use]
    pub const fn needs_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpu.is_some() || self.pids.is_some()
    }
}

/// A limit of setrlimit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// Linux's number of the resource.
    pub resource: u8,
    /// The limit that holds; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far the service may raise it; `None` is unlimited.
    pub hard: Option<u64>,
}

impl Rlimit {
    /// The word for the resource.
    #[must_use]
    pub fn name(&self) -> &'static [u8] {
        RLIMITS.get(usize::from(self.resource)).map_or(b"", |(name, _)| name)
    }
}

/// When the disk serves a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before all others, by level from 0 (first) to 7.
    Realtime(u8),
    /// Among the others, by level from 0 (first) to 7.
    BestEffort(u8),
    /// When nobody else wants it.
    Idle,
}

impl Priority {
    /// Linux's numbers for the class and for the level in it.
    #[must_use]
    pub const fn class_and_level(self) -> (u8, u8) {
        match self {
            Self::Realtime(level) => (1, level),
            Self::BestEffort(level) => (2, level),
            Self::Idle => (3, 0),
        }
    }
}

/// Processor time in percent of one processor: 1 to 100000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuShare(pub u32);

/// The resources of setrlimit by Linux's numbers, and whether they are bytes. `cpu` and `nice`
/// are other settings here.
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

/// The capabilities by Linux's numbers, without `CAP_`.
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

pub(super) fn parse(text: &[u8]) -> Result<Resources, Mistake> {
    let mut resources = Resources::default();
    // There are no more of them than kinds of setting.
    let mut seen: Vec<&[u8]> = Vec::new();
    for (line, content) in text::lines(text) {
        let mistake = |wrong| Mistake::new(File::ResourceLimits, line, wrong);
        let (what, value) = text::head(content);
        if seen.contains(&what) {
            return Err(mistake((content, "each setting once, as in nofile 1024")));
        }
        resources.set(what, value).map_err(|right| mistake((content, right)))?;
        seen.push(what);
    }
    Ok(resources)
}

impl Resources {
    /// Takes one setting, or says what would be right.
    fn set(&mut self, what: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match what {
            b"nice" => {
                let nice = signed(value, -20, 19).and_then(|n| i8::try_from(n).ok());
                self.nice = Some(nice.ok_or("a number from -20 to 19, as in nice 10")?);
            }
            b"ioprio" => {
                let right = "realtime or best-effort with a level from 0 to 7, or idle, as in \
                             ioprio best-effort 7";
                self.priority = Some(priority(value).ok_or(right)?);
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
                let right = "names of capabilities, or none, as in capabilities net_bind_service";
                self.capabilities = Some(capabilities(value).ok_or(right)?);
            }
            b"memory" => {
                let right = "a number of bytes, if need be with K, M or G, or unlimited, as in \
                             memory 512M";
                self.memory = limit(value, bytes).filter(|n| *n != Some(0)).ok_or(right)?;
            }
            b"cpu" => {
                let percent = value.strip_suffix(b"%").and_then(decimal::parse);
                let percent = percent.and_then(|n| u32::try_from(n).ok());
                let percent = percent.filter(|n| (1..=100_000).contains(n));
                self.cpu = Some(CpuShare(percent.ok_or("from 1% to 100000%, as in cpu 50%")?));
            }
            b"pids" => {
                let right = "a number from 1 on, or unlimited, as in pids 100";
                self.pids = limit(value, decimal::parse).filter(|n| *n != Some(0)).ok_or(right)?;
            }
            _ => self.rlimits.push(rlimit(what, value)?),
        }
        Ok(())
    }
}

fn rlimit(what: &[u8], value: &[u8]) -> Result<Rlimit, &'static str> {
    let mut known = (0..).zip(RLIMITS);
    let Some((resource, (_, in_bytes))) = known.find(|(_, (name, _))| *name == what) else {
        return Err("as, core, cpu-time, data, fsize, locks, memlock, msgqueue, nice-limit, \
                    nofile, nproc, rss, rtprio, rttime, sigpending, stack, nice, ioprio, \
                    oom-score, no-new-privs, capabilities, memory, cpu or pids, as in nofile 1024");
    };
    let number: fn(&[u8]) -> Option<u64> = if in_bytes { bytes } else { decimal::parse };
    let right = if in_bytes {
        "SOFT or SOFT:HARD in bytes, K, M or G, or unlimited, as in core 0:512M"
    } else {
        "SOFT or SOFT:HARD, numbers or unlimited, as in nofile 1024:4096"
    };
    let mut parts = value.splitn(2, |&c| c == b':');
    let soft = limit(parts.next().unwrap_or_default(), number).ok_or(right)?;
    let hard = parts.next().map_or(Some(soft), |hard| limit(hard, number)).ok_or(right)?;
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err("a soft limit that is not above the hard one, as in nofile 1024:4096");
    }
    Ok(Rlimit { resource, soft, hard })
}

/// A limit, where there may be none: `unlimited` is `Some(None)`.
fn limit(text: &[u8], number: impl Fn(&[u8]) -> Option<u64>) -> Option<Option<u64>> {
    if text == b"unlimited" { Some(None) } else { number(text).map(Some) }
}

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

fn priority(text: &[u8]) -> Option<Priority> {
    let level = |text: &[u8]| match text {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    };
    match text::head(text) {
        (b"realtime", value) => level(value).map(Priority::Realtime),
        (b"best-effort", value) => level(value).map(Priority::BestEffort),
        (b"idle", b"") => Some(Priority::Idle),
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
        CAPABILITIES.iter().position(|c| c.eq_ignore_ascii_case(name)).map(|place| 1 << place)
    };
    let set = text::words(text).try_fold(0, |set, word| Some(set | bit(word)?));
    // Without any name it is left open what was meant.
    set.filter(|set| *set != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    fn read(text: &str) -> Resources {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_setting() {
        let text = "# tight\nnofile 1024:4096\n\n core 0\nas 2G\nnice -20\nioprio best-effort 7\n\
                    oom-score -1000\nno-new-privs\ncapabilities net_bind_service CAP_SETUID\n\
                    memory 512M\ncpu 50%\npids 100\n";
        let rlimit = |resource, soft, hard| Rlimit { resource, soft, hard };
        let expected = Resources {
            rlimits: vec![
                rlimit(7, Some(1024), Some(4096)),
                rlimit(4, Some(0), Some(0)),
                rlimit(9, Some(2 << 30), Some(2 << 30)),
            ],
            nice: Some(-20),
            priority: Some(Priority::BestEffort(7)),
            oom_score: Some(-1000),
            no_new_privileges: true,
            capabilities: Some(1 << 10 | 1 << 7),
            memory: Some(512 << 20),
            cpu: Some(CpuShare(50)),
            pids: Some(100),
        };
        assert_eq!(parse(text.as_bytes()), Ok(expected.clone()));
        assert!(expected.needs_cgroup() && !expected.is_empty());
        assert!(read("\n# nothing").is_empty());
    }

    #[test]
    fn no_limit_at_all() {
        assert!(read("memory unlimited\npids unlimited").is_empty());
        let limit = |text| read(text).rlimits[0];
        let expected = Rlimit { resource: 0, soft: Some(5), hard: None };
        assert_eq!(limit("cpu-time 5:unlimited"), expected);
        assert_eq!(limit("rttime unlimited"), Rlimit { resource: 15, soft: None, hard: None });
        assert!(!read("nofile 1").needs_cgroup());
    }

    #[test]
    fn capabilities_in_and_out_of_the_set() {
        let set = |text| read(text).capabilities;
        assert_eq!(set("capabilities none"), Some(0));
        assert_eq!(set("capabilities cap_chown checkpoint_restore chown"), Some(1 << 40 | 1));
        let all: String = CAPABILITIES.map(|c| format!(" {}", str::from_utf8(c).unwrap())).concat();
        assert_eq!(set(&format!("capabilities{all}")), Some((1 << 41) - 1));
    }

    #[test]
    fn priorities_have_the_kernels_numbers() {
        assert_eq!(Priority::Realtime(3).class_and_level(), (1, 3));
        assert_eq!(Priority::BestEffort(7).class_and_level(), (2, 7));
        assert_eq!(Priority::Idle.class_and_level(), (3, 0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "cpu 5",
            "cpu 0%",
            "cpu 100001%",
            "nice",
            "nice 20",
            "nice -21",
            "nice +1",
            "nice 1 2",
            "oom-score 1001",
            "ioprio",
            "ioprio idle 1",
            "ioprio realtime",
            "ioprio realtime 8",
            "no-new-privs 1",
            "capabilities",
            "capabilities none chown",
            "capabilities cap_",
            "capabilities all",
            "memory",
            "memory 0",
            "memory 1T",
            "memory 17179869184G",
            "pids 0",
            "pids 1K",
            "nofile",
            "nofile 1K",
            "nofile 2:1",
            "nofile unlimited:1",
            "nofile 1:",
            "nofile 1:2:3",
            "nofile -1",
            "nofile 18446744073709551616",
            "files 1",
            "NOFILE 1",
            "nofile 1\nnofile 1",
            "memory unlimited\nmemory 1",
            "nice 1\nnice 1",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn limits_are_read_back(
            place in 0..RLIMITS.len(), soft in any::<Option<u64>>(), hard in any::<Option<u64>>(),
        ) {
            let name = str::from_utf8(RLIMITS[place].0).unwrap();
            let word = |n: Option<u64>| n.map_or("unlimited".into(), |n| format!("{n}"));
            let result = parse(format!("{name} {}:{}", word(soft), word(hard)).as_bytes());
            if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
                prop_assert!(result.is_err());
            } else {
                let resource = u8::try_from(place).unwrap();
                prop_assert_eq!(result.unwrap().rlimits, [Rlimit { resource, soft, hard }]);
            }
        }

        #[test]
        fn signed_numbers_are_read_back(nice in -20_i8..=19, score in -1000_i16..=1000) {
            let resources = read(&format!("nice {nice}\noom-score {score}"));
            prop_assert_eq!((resources.nice, resources.oom_score), (Some(nice), Some(score)));
        }
    }
}
