//! The suites that are compared, behind one interface.

use std::env;
use std::path::{Path, PathBuf};

/// The directories of programs that belong to no suite.
const STANDARD: &str = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin";

/// The size of a log file in bytes, the largest that all loggers accept.
const FILE_SIZE: u32 = 16_777_215;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Ours, the original, and other suites with the same names.
    Daemontools,
    S6,
    Runit,
}

/// One column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    bin: PathBuf,
}

/// The output format of a logger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logging {
    /// A stamp before each line.
    Stamped,
    /// The same, and only lines that five patterns select; see [`crate::logger`].
    Selected,
}

/// The command of a logger, and the length of its stamps.
pub(crate) struct Logger {
    pub(crate) command: Vec<String>,
    pub(crate) label: usize,
}

/// The same selection in both languages. multilog's patterns see the stamp, s6-log's do not.
const PATTERNS: [&str; 5] =
    ["-*", "+* * * * 404 *", "+* * * * 500 *", "+* * POST *", "-* * * /health*"];
const EXPRESSIONS: [&str; 5] = [
    "-^",
    "+^[^ ]* [^ ]* [^ ]* 404 ",
    "+^[^ ]* [^ ]* [^ ]* 500 ",
    "+^[^ ]* POST ",
    "-^[^ ]* [^ ]* /health",
];

impl Suite {
    /// A suite in `bin` with the program names of daemontools.
    #[must_use]
    pub(crate) fn daemontools(name: &str, bin: &Path) -> Option<Self> {
        let suite =
            Self { name: name.to_owned(), kind: Kind::Daemontools, bin: bin.canonicalize().ok()? };
        suite.tool("svscan").is_some().then_some(suite)
    }

    /// s6 or runit, if installed.
    #[must_use]
    pub(crate) fn installed(name: &str, kind: Kind, program: &str) -> Option<Self> {
        let path = env::var("PATH").unwrap_or_default();
        let bin = path.split(':').chain(STANDARD.split(':')).map(Path::new);
        let bin = bin.into_iter().find(|bin| bin.join(program).is_file())?;
        Some(Self { name: name.to_owned(), kind, bin: bin.to_owned() })
    }

    /// `PATH` with the suite's own programs first, independent of the caller's.
    #[must_use]
    pub(crate) fn path(&self) -> String {
        format!("{}:{STANDARD}", self.bin.display())
    }

    fn tool(&self, name: &str) -> Option<String> {
        let path = self.bin.join(name);
        path.is_file().then(|| path.to_string_lossy().into_owned())
    }

    /// The suite's name for a program of daemontools.
    fn name_of(&self, program: &str) -> Option<String> {
        match self.kind {
            Kind::Daemontools => self.tool(program),
            Kind::S6 => self.tool(&format!("s6-{program}")),
            Kind::Runit => None,
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Option<Vec<String>> {
        let first = self.name_of(program)?;
        Some(std::iter::once(first).chain(arguments.iter().map(|&a| a.to_owned())).collect())
    }

    /// The command that starts the services of a scan directory.
    #[must_use]
    pub(crate) fn scanner(&self, scan: &str, services: u32) -> Option<Vec<String>> {
        match self.kind {
            Kind::Daemontools => self.command("svscan", &[scan]),
            Kind::S6 => self.command("svscan", &["-c", &(2 * services + 500).to_string(), scan]),
            Kind::Runit => Some(vec![self.tool("runsvdir")?, "-P".to_owned(), scan.to_owned()]),
        }
    }

    /// The command that tells a scanner without a schedule to scan.
    #[must_use]
    pub(crate) fn rescan(&self, scan: &str) -> Option<Vec<String>> {
        (self.kind == Kind::S6).then(|| self.command("svscanctl", &["-a", scan])).flatten()
    }

    /// The name of the supervising program.
    #[must_use]
    pub(crate) fn supervise(&self) -> &'static str {
        match self.kind {
            Kind::Daemontools => "supervise",
            Kind::S6 => "s6-supervise",
            Kind::Runit => "runsv",
        }
    }

    /// `svc -d` or `svc -u`.
    #[must_use]
    pub(crate) fn svc(&self, up: bool, dir: &str) -> Option<Vec<String>> {
        let option = if up { "-u" } else { "-d" };
        match self.kind {
            Kind::Runit => {
                let word = if up { "up" } else { "down" };
                Some(vec![self.tool("sv")?, word.to_owned(), dir.to_owned()])
            }
            _ => self.command("svc", &[option, dir]),
        }
    }

    /// `svstat` of one service, and the beginning of its output for a service that is up.
    #[must_use]
    pub(crate) fn svstat(&self, dir: &str) -> Option<(Vec<String>, String)> {
        match self.kind {
            Kind::Daemontools => {
                Some((self.command("svstat", &[dir])?, format!("{dir}: up (pid ")))
            }
            Kind::S6 => Some((self.command("svstat", &[dir])?, "up (pid ".to_owned())),
            Kind::Runit => {
                let command = vec![self.tool("sv")?, "status".to_owned(), dir.to_owned()];
                Some((command, format!("run: {dir}: (pid ")))
            }
        }
    }

    /// The process in `supervise/status`; 0 if the service is down.
    #[must_use]
    pub(crate) fn status(&self, dir: &Path) -> Option<u32> {
        let record = std::fs::read(dir.join("supervise/status")).ok()?;
        let little = || Some(u32::from_le_bytes(record.get(12..16)?.try_into().ok()?));
        match (self.kind, record.len()) {
            (Kind::Daemontools, 18) => little(),
            (Kind::Runit, 20) => {
                if record.get(19) == Some(&1) {
                    little()
                } else {
                    Some(0)
                }
            }
            // 35 bytes, and 43 since 2.13.
            (Kind::S6, 35 | 43) => {
                u32::try_from(u64::from_be_bytes(record.get(24..32)?.try_into().ok()?)).ok()
            }
            _ => None,
        }
    }

    /// The suite's logger, writing to the directory `to`.
    #[must_use]
    pub(crate) fn logger(&self, logging: Logging, keep: u32, to: &str) -> Option<Logger> {
        let (size, count) = (format!("s{FILE_SIZE}"), format!("n{keep}"));
        let selected = logging == Logging::Selected;
        let stamp = if self.kind == Kind::S6 && !selected { "T" } else { "t" };
        let (first, tail) = match self.kind {
            Kind::Daemontools => (self.name_of("multilog")?, vec![size, count, to.to_owned()]),
            Kind::S6 => (self.name_of("log")?, vec![stamp.to_owned(), to.to_owned()]),
            Kind::Runit if selected => return None,
            Kind::Runit => {
                // svlogd needs an existing directory, and reads its configuration there.
                let config = format!("s{FILE_SIZE}\nn{keep}\n");
                std::fs::create_dir_all(to).ok()?;
                std::fs::write(Path::new(to).join("config"), config).ok()?;
                (self.tool("svlogd")?, vec!["-tt".to_owned(), to.to_owned()])
            }
        };
        let mut command = vec![first];
        match self.kind {
            Kind::Daemontools => {
                command.push("t".to_owned());
                command.extend(PATTERNS.iter().filter(|_| selected).map(|&p| p.to_owned()));
            }
            Kind::S6 => {
                command.extend([format!("n{keep}"), format!("s{FILE_SIZE}")]);
                command.extend(EXPRESSIONS.iter().filter(|_| selected).map(|&e| e.to_owned()));
            }
            Kind::Runit => {}
        }
        command.extend(tail);
        // ISO 8601 in UTC instead of a label of 25 hexadecimal digits.
        let label = match (self.kind, stamp) {
            (Kind::S6, "T") => 31,
            (Kind::Runit, _) => "2000-01-01_00:00:00.00000 ".len(),
            _ => 26,
        };
        Some(Logger { command, label })
    }

    /// The logger in a log script: its path, its name, and its arguments.
    pub(crate) fn log_script(&self) -> Option<(String, &'static str, &'static str)> {
        let (name, arguments) = match self.kind {
            Kind::Daemontools => ("multilog", "t ./main"),
            Kind::S6 => ("s6-log", "T ./main"),
            Kind::Runit => ("svlogd", "-tt ./main"),
        };
        Some((self.tool(name)?, name, arguments))
    }

    /// Whether this is the name of a logger.
    #[must_use]
    pub(crate) fn is_logger(name: &str) -> bool {
        matches!(name, "multilog" | "s6-log" | "svlogd")
    }

    /// `tai64n` or `tai64nlocal`.
    #[must_use]
    pub(crate) fn labels(&self, program: &str) -> Option<Vec<String>> {
        self.command(program, &[])
    }

    /// The loader that sets variables from the files of a directory.
    #[must_use]
    pub(crate) fn envdir(&self, dir: &str) -> Option<Vec<String>> {
        match self.kind {
            Kind::Runit => Some(vec![self.tool("chpst")?, "-e".to_owned(), dir.to_owned()]),
            _ => self.command("envdir", &[dir]),
        }
    }

    /// The loader that takes a lock. With `try_only` it does not wait for it.
    #[must_use]
    pub(crate) fn setlock(&self, try_only: bool, lock: &str) -> Option<Vec<String>> {
        match self.kind {
            Kind::Runit => {
                let option = if try_only { "-L" } else { "-l" };
                Some(vec![self.tool("chpst")?, option.to_owned(), lock.to_owned()])
            }
            _ if try_only => self.command("setlock", &["-n", lock]),
            _ => self.command("setlock", &[lock]),
        }
    }
}
