//! Whether a supervise of ours would adopt the process that another supervisor's status names: the tests
//! of supervise(8), "Adoption", made before the other supervisor is killed.

use crate::verbs::doctor::files;
use daemontools_core::state_dir::process_record::ProcessIdentity;
use daemontools_core::state_dir::status::StatusRecord;
use daemontools_core::time::tai::Tai64n;
use rustix::process::geteuid;
use servicedir::ServiceDir;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long after the start the status may be written.
const WRITE_TIME: Duration = Duration::from_secs(3);

/// The kernel dates files with the time of its last tick.
const TICK: Duration = Duration::from_millis(20);

/// Why the process would not be adopted; `None` if it would.
pub(crate) fn doubt(dir: &ServiceDir, record: &StatusRecord) -> Option<&'static str> {
    let stat = fs::read(format!("/proc/{}/stat", record.pid)).ok();
    let process = stat.and_then(|text| ProcessIdentity::from_stat(&text));
    let (Some(process), Some(up)) = (process, since_boot()) else {
        return Some("its status names a process that has ended");
    };
    if !process.was_started_at(record.since, now(), up) {
        return Some("its process did not start when the status says, or the clock was set since");
    }
    let status = dir.state_dir().join("status");
    let (Ok(file), Ok(state)) = (fs::symlink_metadata(&status), fs::metadata(dir.state_dir()))
    else {
        return Some("its status cannot be read");
    };
    if !file.is_file() || !is_private(&file) || !is_private(&state) {
        return Some("others can have made its status");
    }
    let here = fs::canonicalize(dir.path()).ok();
    let there = files::link(record.pid, "cwd");
    // Such as the output directory of a logger.
    let above = there.as_deref().and_then(Path::parent);
    let stands_here = here.is_some() && (there == here || above == here.as_deref());
    if !stands_here && !was_written_at(&status, record.since) {
        return Some("its process runs in another directory, and its status was changed since");
    }
    None
}

/// Whether only this user can write a file.
fn is_private(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0
}

fn was_written_at(status: &Path, label: Tai64n) -> bool {
    let started = Duration::new(u64::try_from(label.to_unix()).unwrap_or(0), label.nanoseconds);
    let changed = fs::metadata(status).and_then(|found| found.modified());
    let changed = changed.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    changed.is_some_and(|at| at + TICK >= started && at <= started + WRITE_TIME)
}

fn now() -> Tai64n {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Tai64n::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos())
}

/// The time since the boot, with suspended time.
fn since_boot() -> Option<Duration> {
    let text = files::text("/proc/uptime");
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
