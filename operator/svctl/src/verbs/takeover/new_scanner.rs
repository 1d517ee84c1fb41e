//! The scanner that takes over: its program, and its start with the environment, the limits and the
//! outputs of the one before.

use super::examine::{Running, Suite, is_ours};
use crate::escape::escape;
use crate::failure::{CANNOT, Failure, reason};
use crate::verbs::doctor::files;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where programs are without a PATH.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The limits that a service inherits, by their names in /proc/PID/limits.
const LIMITS: [(&str, Resource); 9] = [
    ("Max cpu time", Resource::Cpu),
    ("Max file size", Resource::Fsize),
    ("Max data size", Resource::Data),
    ("Max stack size", Resource::Stack),
    ("Max core file size", Resource::Core),
    ("Max processes", Resource::Nproc),
    ("Max open files", Resource::Nofile),
    ("Max locked memory", Resource::Memlock),
    ("Max address space", Resource::As),
];

/// The svscan that takes over.
#[derive(Debug)]
pub(crate) struct NewScanner {
    /// Its path. supervise is in the same directory.
    pub(crate) program: PathBuf,
    pub(crate) suite: Suite,
}

impl NewScanner {
    /// The svscan of a directory of programs, or else the first in PATH.
    pub(crate) fn find(dir: Option<&OsStr>) -> Result<Self, Failure> {
        let path = match dir {
            Some(dir) => dir.to_owned(),
            None => env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into()),
        };
        let found = env::split_paths(&path).map(|dir| dir.join("svscan")).find(|it| is_program(it));
        let where_it_is =
            || dir.map_or_else(|| "PATH".into(), |dir| escape(&dir.to_string_lossy()));
        let missing = |name: &str| {
            Failure::new(CANNOT, format!("unable to find {name} in {}", where_it_is()))
        };
        let program = found.ok_or_else(|| missing("svscan"))?;
        let program = std::path::absolute(&program).unwrap_or(program);
        let file = program.canonicalize().map_err(|_| missing("svscan"))?;
        let it =
            Self { program, suite: if is_ours(&file) { Suite::Ours } else { Suite::Daemontools } };
        if !is_program(&it.dir().join("supervise")) {
            return Err(missing("supervise"));
        }
        it.try_out()?;
        Ok(it)
    }

    fn dir(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }

    pub(crate) fn shown(&self) -> String {
        escape(&self.program.to_string_lossy())
    }

    /// Shows that our program can run on this machine, before anything is changed.
    fn try_out(&self) -> Result<(), Failure> {
        if self.suite != Suite::Ours {
            return Ok(());
        }
        let tried = Command::new(&self.program).arg("--version").stdin(Stdio::null()).output();
        match tried {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let message = format!("unable to run {}: {}", self.shown(), output.status);
                Err(Failure::new(CANNOT, message))
            }
            Err(error) => Err(Failure::system(format!("run {}", self.shown()), &error)),
        }
    }

    /// Prepares the start on a scan directory. The new scanner gets what services inherit from the old
    /// one, which still runs: environment, umask, limits, and the files for the messages.
    pub(crate) fn command(&self, scan: &Path, old: Option<&Running>) -> Command {
        // In a session of its own, so that no terminal stops it.
        let setsid = ["/usr/bin/setsid", "/bin/setsid"].map(Path::new);
        let mut command = match setsid.into_iter().find(|it| is_program(it)) {
            Some(setsid) => {
                let mut command = Command::new(setsid);
                command.arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                command.process_group(0);
                command
            }
        };
        command.arg(scan).stdin(Stdio::null());
        let environment = old.map_or_else(Vec::new, |old| environment(old.pid));
        if !environment.is_empty() {
            command.env_clear().envs(environment.iter().cloned());
        }
        let path = environment.into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| path);
        let path = path.or_else(|| env::var_os("PATH")).unwrap_or_else(|| USUAL_PATH.into());
        command.env("PATH", self.path_before(&path));
        if let Some(old) = old {
            let output = |number: u8| {
                let opened =
                    File::options().append(true).open(format!("/proc/{}/fd/{number}", old.pid));
                opened.map_or_else(|_| Stdio::null(), Stdio::from)
            };
            command.stdout(output(1)).stderr(output(2));
            inherit(old.pid);
        }
        command
    }

    /// The PATH in which our supervise is the first one.
    fn path_before(&self, path: &OsStr) -> OsString {
        let first =
            env::split_paths(path).map(|dir| dir.join("supervise")).find(|it| is_program(it));
        let own = self.dir().join("supervise");
        if first.is_some_and(|it| it == own) {
            return path.to_owned();
        }
        let mut longer = self.dir().as_os_str().to_owned();
        longer.push(":");
        longer.push(path);
        longer
    }

    pub(crate) fn start(&self, command: &mut Command) -> Result<Child, Failure> {
        command.spawn().map_err(|error| {
            let message = format!(
                "unable to start {}: {} (services run on without svscan: start it yourself)",
                self.shown(),
                reason(&error)
            );
            Failure::new(CANNOT, message)
        })
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn environment(pid: u32) -> Vec<(OsString, OsString)> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let pair = |text: &[u8]| {
        let at = text.iter().position(|&byte| byte == b'=').filter(|at| *at > 0)?;
        let (name, value) = text.split_at(at);
        Some((
            OsStr::from_bytes(name).to_owned(),
            OsString::from_vec(value.get(1..).unwrap_or_default().to_vec()),
        ))
    };
    bytes.split(|&byte| byte == 0).filter_map(pair).collect()
}

/// Gives this process, and so its children, the umask and the limits of another one.
fn inherit(pid: u32) {
    let mask =
        files::status_field(pid, "Umask").and_then(|text| u32::from_str_radix(&text, 8).ok());
    if let Some(mask) = mask {
        umask(Mode::from_raw_mode(mask));
    }
    let limits = files::of_process(pid, "limits");
    for (name, resource) in LIMITS {
        if let Some(limit) = limit(&limits, name) {
            // A user who may not raise a limit keeps the lower one.
            let _ = setrlimit(resource, limit);
        }
    }
}

fn limit(text: &str, name: &str) -> Option<Rlimit> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_ascii_whitespace();
    let mut next = || {
        let word = words.next()?;
        if word == "unlimited" { Some(None) } else { word.parse().ok().map(Some) }
    };
    Some(Rlimit { current: next()?, maximum: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_another_process_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max stack size            8388608              unlimited            bytes\n";
        let found = limit(text, "Max stack size");
        assert_eq!(found, Some(Rlimit { current: Some(8_388_608), maximum: None }));
        assert_eq!(limit(text, "Max cpu time"), None);
    }
}
