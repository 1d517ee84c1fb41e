//! Running programs.

use crate::caller::unblock_signals;
use crate::process;
use crate::tree::Tree;
use crate::wait::DEADLINE;
use crate::wait_for;
use crate::{Signal, is_root};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Held while a child is made and while an executable is written. A child made
/// meanwhile would hold the descriptor for writing a moment longer, and
/// starting the executable would fail as "text busy".
pub(crate) fn making() -> MutexGuard<'static, ()> {
    static MAKING: Mutex<()> = Mutex::new(());
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program about to be started, from [`Tree::cmd`] or [`Tree::sh`].
///
/// It starts in the tree, with a minimal environment (`PATH` with the suite
/// first, and the tree's mark), standard input from `/dev/null`, standard
/// output and error in files.
#[must_use]
pub struct Cmd<'t> {
    tree: &'t Tree,
    program: PathBuf,
    name: OsString,
    under: Vec<OsString>,
    args: Vec<OsString>,
    cwd: PathBuf,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    deadline: Duration,
}

impl<'t> Cmd<'t> {
    pub(crate) fn new(tree: &'t Tree, name: &str) -> Self {
        Self {
            tree,
            program: tree.suite().program(name),
            name: name.into(),
            under: Vec::new(),
            args: Vec::new(),
            cwd: tree.path(""),
            env: Vec::new(),
            stdin: None,
            stdout: None,
            stderr: None,
            deadline: DEADLINE,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets `argv[0]`, which otherwise is the plain name.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.name = name.as_ref().into();
        self
    }

    /// Starts the program in another directory, named from the tree's top.
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = self.tree.path(dir);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), Some(value.as_ref().into())));
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), None));
        self
    }

    /// Gives the program bytes on standard input, and then end of file.
    ///
    /// # Panics
    ///
    /// If the file for them cannot be written.
    pub fn stdin(self, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.tree.scratch("in");
        fs::write(&path, bytes).expect("write standard input");
        let file = File::open(path).expect("open standard input");
        self.stdin_from(file)
    }

    /// Standard input from a descriptor.
    pub fn stdin_from(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(fd.into());
        self
    }

    /// Standard output to a descriptor instead of a file.
    pub fn stdout_to(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdout = Some(fd.into());
        self
    }

    /// Standard error to a descriptor instead of a file.
    pub fn stderr_to(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(fd.into());
        self
    }

    /// How long [`Cmd::run`] waits for the end.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Lets another program start this one: `under(["prlimit", "--nofile=9"])`.
    /// Called again, it adds an outer one. `argv[0]` becomes the full name.
    pub fn under<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let mut under: Vec<OsString> = Vec::new();
        for word in wrapper {
            let word = word.as_ref();
            under.push(match word.to_str() {
                Some(name) if under.is_empty() => self.tree.suite().program(name).into(),
                _ => word.to_owned(),
            });
        }
        under.append(&mut self.under);
        self.under = under;
        self
    }

    /// Makes file modes count even if the tests run as root: the program keeps
    /// the user id but none of root's privileges.
    pub fn unprivileged(self) -> Self {
        if is_root() {
            self.under(["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"])
        } else {
            self
        }
    }

    /// Makes every fork of the program fail as "temporary failure".
    pub fn without_forks(self) -> Self {
        let limited = self.under(["prlimit", "--nproc=0"]);
        if is_root() {
            // The limit does not count for the real user root.
            let flags = ["--ruid=65534", "--inh-caps=-all", "--bounding-set=-all", "--"];
            limited.under(["setpriv"].into_iter().chain(flags))
        } else {
            limited
        }
    }

    /// Starts the program.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn start(mut self) -> Process {
        let stdout = self.tree.scratch("out");
        let stderr = self.tree.scratch("err");
        let shown = format!("{} {:?}", self.name.display(), self.args);
        let mut command = match self.under.split_first() {
            None => {
                let mut command = Command::new(&self.program);
                command.arg0(&self.name);
                command
            }
            Some((wrapper, words)) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(&self.program);
                command
            }
        };
        command
            .args(&self.args)
            .current_dir(&self.cwd)
            .env_clear()
            .env("PATH", self.tree.suite().search_path())
            .env(self.tree.mark().0, self.tree.mark().1)
            .stdin(self.stdin.take().map_or_else(Stdio::null, Stdio::from))
            .stdout(self.stdout.take().map_or_else(|| capture(&stdout), Stdio::from))
            .stderr(self.stderr.take().map_or_else(|| capture(&stderr), Stdio::from));
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = {
            let _making = making();
            unblock_signals();
            command.spawn()
        };
        // The command holds the descriptors it was given; a test waiting for
        // the end of a pipe would wait for them.
        drop(command);
        let child = child.unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        Process { child, shown, stdout, stderr, status: None }
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    ///
    /// If it does not end in time; it is killed, and the message shows what it
    /// had printed.
    #[track_caller]
    pub fn run(self) -> Output {
        let deadline = self.deadline;
        self.start().wait_within(deadline)
    }
}

/// A file to print into. All writers append, so none overwrites another.
fn capture(path: &Path) -> Stdio {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("create a file for output")
        .into()
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code, unless a signal ended the program.
    pub code: Option<i32>,
    /// The signal which ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// Its diagnostics.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts the exit code and everything printed.
    ///
    /// # Panics
    ///
    /// If anything differs.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: impl AsRef<[u8]>, stderr: impl AsRef<[u8]>) {
        let wanted = Self {
            code: Some(code),
            signal: None,
            stdout: stdout.as_ref().into(),
            stderr: stderr.as_ref().into(),
        };
        assert!(*self == wanted, "wanted {wanted}\nbut got {self}");
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}")?,
            (_, Some(signal)) => write!(f, "signal {signal}")?,
            _ => write!(f, "no end")?,
        }
        write!(f, ", stdout {:?}, stderr {:?}", self.out(), self.err())
    }
}

/// A started program. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    shown: String,
    stdout: PathBuf,
    stderr: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it, and everything started by it, has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it, and everything started by it, has said on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until standard error contains a text, and returns all of it.
    ///
    /// # Panics
    ///
    /// If it never does.
    #[track_caller]
    pub fn wait_stderr(&self, needle: &str) -> String {
        wait_for(&format!("{} says {needle:?}", self.shown), DEADLINE, || {
            Some(self.stderr()).filter(|text| text.contains(needle))
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            process::signal(self.pid(), signal);
        }
    }

    /// Whether it has ended.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to tell.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("ask for the child's end");
        }
        self.status.is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end in time, with everything it printed.
    #[track_caller]
    pub fn wait(self) -> Output {
        self.wait_within(DEADLINE)
    }

    /// Waits for its end no longer than that.
    ///
    /// # Panics
    ///
    /// If it does not end in time, with everything it printed.
    #[track_caller]
    pub fn wait_within(mut self, deadline: Duration) -> Output {
        let start = std::time::Instant::now();
        let mut pause = Duration::from_millis(1);
        while !self.has_ended() {
            if start.elapsed() > deadline {
                let (shown, output) = (self.shown.clone(), self.output());
                drop(self);
                panic!("{shown} did not end in {} s: {output}", deadline.as_secs_f32());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        self.output()
    }

    /// Kills it and waits for that. What it started goes on.
    pub fn kill(mut self) -> Output {
        self.end();
        self.output()
    }

    fn end(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    fn output(&self) -> Output {
        Output {
            code: self.status.and_then(|status| status.code()),
            signal: self.status.and_then(|status| status.signal()),
            stdout: fs::read(&self.stdout).unwrap_or_default(),
            stderr: fs::read(&self.stderr).unwrap_or_default(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
