//! How a service reports that it is ready, and what keeps it from that.

use crate::output::escape;
use crate::selection::Target;
use crate::verbs::doctor::files;
use crate::view::View;
use servicedir::ProcessTable;
use std::path::Path;

/// Whether a service reports its readiness.
pub(crate) fn is_reported(target: &Target) -> bool {
    let dir = target.dir.path();
    ["notification-fd", "notify-socket", "check-interval"].iter().any(|it| dir.join(it).exists())
}

/// What the service has to do to become ready, in sentences.
pub(crate) fn how(view: &View) -> String {
    let dir = view.target.dir.path();
    let mut sentences = Vec::new();
    if dir.join("notification-fd").exists() {
        sentences.push(by_descriptor(view, dir));
    }
    if dir.join("notify-socket").exists() {
        sentences.push(
            "It is ready when it sends READY=1 to the socket in NOTIFY_SOCKET (notify-socket)."
                .to_owned(),
        );
    }
    if dir.join("check-interval").exists() {
        sentences.push("It is ready when its script check exits with 0.".to_owned());
    }
    if !dir.join("timeout-ready").exists() {
        sentences.push("Without the file timeout-ready supervise waits forever.".to_owned());
    }
    sentences.join(" ")
}

/// Readiness by a line on a descriptor, which a process of the service has to have open.
fn by_descriptor(view: &View, dir: &Path) -> String {
    let text = files::text(dir.join("notification-fd"));
    let number = text.trim();
    let shown = escape(number);
    let how = format!("It is ready when it writes a line to descriptor {shown} (notification-fd).");
    let pid = view.snapshot().and_then(|it| it.status.pid);
    let (Some(pid), Ok(fd), Ok(table)) = (pid, number.parse::<u32>(), ProcessTable::read()) else {
        return how;
    };
    // A process that this user may not look at can have it.
    let has_it = table.tree(pid.get()).iter().any(|process| {
        let link = format!("/proc/{}/fd/{fd}", process.pid);
        std::fs::read_link(link)
            .map_or_else(|error| error.kind() != std::io::ErrorKind::NotFound, |_| true)
    });
    if has_it {
        how
    } else {
        format!("{how} No process of it has descriptor {fd} open, so it cannot report that.")
    }
}
