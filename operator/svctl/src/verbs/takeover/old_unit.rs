//! The unit of systemd that has started the old scanner: it must neither kill the services nor start the
//! scanner again.

use super::examine::Running;
use crate::escape::escape;
use crate::failure::{CANNOT, Failure};
use crate::output::line;
use crate::verbs::doctor::files;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where systemd takes units until the next boot.
const RUNTIME: &str = "/run/systemd/system";

const DROP_IN: &str = "[Service]\nKillMode=process\nRestart=no\n";

/// The service unit of a process, such as `daemontools-run.service`; `None` where systemd does not run.
pub(crate) fn of(scanner: &Running) -> Option<String> {
    if !Path::new(RUNTIME).is_dir() {
        return None;
    }
    unit_in(&files::of_process(scanner.pid, "cgroup"))
}

/// The service unit in the text of /proc/PID/cgroup.
fn unit_in(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let path =
            line.strip_prefix("0::").or_else(|| Some(line.split_once(":name=systemd:")?.1))?;
        path.split('/').rfind(|part| part.ends_with(".service")).map(str::to_owned)
    })
}

/// Lets the end and the stop of the unit leave the services running.
pub(crate) fn keep_services(unit: &str) -> Result<(), Failure> {
    let dir = Path::new(RUNTIME).join(format!("{unit}.d"));
    let file = dir.join("svctl-takeover.conf");
    let shown = escape(&file.to_string_lossy());
    let written = fs::create_dir_all(&dir).and_then(|()| fs::write(&file, DROP_IN));
    written.map_err(|error| Failure::system(format!("write {shown}"), &error))?;
    line(&format!("wrote {shown}: KillMode=process, Restart=no"));
    systemctl(&["daemon-reload"])
}

/// Runs systemctl, which prints its own errors.
pub(crate) fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    let failure = |why: String| {
        let words = escape(&arguments.join(" "));
        Failure::new(CANNOT, format!("unable to run systemctl {words}: {why}"))
    };
    let mut command = Command::new(OsStr::new("systemctl"));
    let status = command.args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failure(status.to_string())),
        Err(error) => Err(failure(crate::failure::reason(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_in_the_control_group() {
        let unified = "0::/system.slice/daemontools-run.service/payload\n";
        assert_eq!(unit_in(unified).as_deref(), Some("daemontools-run.service"));
        let hybrid = "3:pids:/x\n1:name=systemd:/system.slice/svscan.service\n0::/\n";
        assert_eq!(unit_in(hybrid).as_deref(), Some("svscan.service"));
        assert_eq!(unit_in("0::/user.slice/user-0.slice/session-1.scope\n"), None);
    }
}
