//! The detail of a service: the content of `supervise/state`.

use crate::{End, Phase, Reason, time};
use daemontools_core::state_dir::detail;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// The detail of a service whose directory has more than `run`, as `svstat -x` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detail {
    /// The phase of the service.
    pub phase: Phase,
    /// Why it was last restarted, or why it is not started.
    pub reason: Option<Reason>,
    /// The time when it became ready.
    pub ready: Option<SystemTime>,
    /// The number of failures in a row that count for the next restart delay.
    pub failures: u32,
    /// The time of its next start.
    pub next: Option<SystemTime>,
    /// The name of the dependency that it waits for.
    pub waiting_for: Option<OsString>,
    /// The status text that the service sent (`STATUS=`).
    pub message: Option<String>,
    /// The process id of the start, stop or finish script that runs.
    pub script: Option<NonZeroU32>,
    /// The control group of the service.
    pub cgroup: Option<PathBuf>,
    /// How `run` last ended, for a service whose other scripts end as well.
    pub run_end: Option<End>,
    /// Before its last end, the kernel killed a process of the service, because the memory of its control
    /// group was used up.
    pub out_of_memory: bool,
}

impl From<&detail::Detail<'_>> for Detail {
    fn from(detail: &detail::Detail<'_>) -> Self {
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        Self {
            phase: detail.phase.into(),
            reason: detail.reason.map(Into::into),
            ready: detail.ready.map(time),
            failures: detail.failures,
            next: detail.next.map(time),
            waiting_for: some(detail.waiting_for).map(OsString::from_vec),
            message: some(detail.message).map(|text| String::from_utf8_lossy(&text).into_owned()),
            script: detail.script.and_then(|pid| NonZeroU32::new(pid.get().unsigned_abs())),
            cgroup: some(detail.cgroup).map(|path| OsString::from_vec(path).into()),
            run_end: detail.run_end.map(Into::into),
            out_of_memory: detail.out_of_memory,
        }
    }
}
