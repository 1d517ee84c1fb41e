//! What a supervise says beyond the status.

use crate::{Phase, Reason, time};
use daemontools_core::detail;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// What a supervise says of a service that uses more than `run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Where the service is in its life.
    pub phase: Phase,
    /// Why it was last restarted, or is not started.
    pub reason: Option<Reason>,
    /// When it became ready.
    pub ready: Option<SystemTime>,
    /// How many times in a row it has died, as far as these count for the next pause.
    pub failures: u32,
    /// When it is started next.
    pub next: Option<SystemTime>,
    /// The name of the service that it waits for.
    pub waiting_for: Option<OsString>,
    /// What the service says of itself.
    pub message: Option<String>,
    /// The start, stop or finish script that runs now.
    pub script: Option<NonZeroU32>,
    /// The service's cgroup.
    pub cgroup: Option<PathBuf>,
}

impl From<&detail::Detail<'_>> for Detail {
    fn from(detail: &detail::Detail<'_>) -> Self {
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        Self {
            phase: detail.phase,
            reason: detail.reason,
            ready: detail.ready.map(time),
            failures: detail.failures,
            next: detail.next.map(time),
            waiting_for: some(detail.waiting_for).map(OsString::from_vec),
            message: some(detail.message).map(|text| String::from_utf8_lossy(&text).into_owned()),
            script: detail.script.and_then(|pid| NonZeroU32::new(pid.get().unsigned_abs())),
            cgroup: some(detail.cgroup).map(|path| OsString::from_vec(path).into()),
        }
    }
}
