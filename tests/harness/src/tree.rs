//! Temporary trees.

use crate::caller::temporary_dir;
use crate::command::{Cmd, Process, making};
use crate::process;
use crate::wait::{DEADLINE, wait_for, wait_until};
use crate::{Signal, Status, Suite, note};
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The variable which marks everything started in a tree.
const MARK: &str = "HARNESS_TREE";

/// A fresh directory for one test. All names are taken from its top. Dropped,
/// also by a failing test, it ends every process started in it and goes away.
#[derive(Debug)]
pub struct Tree {
    suite: &'static Suite,
    /// Holds `t`, the tests' tree, and `io`, what programs read and print.
    root: PathBuf,
    count: AtomicU32,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// Makes a tree for the suite under test.
    ///
    /// # Panics
    ///
    /// If there is no suite, or no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let suite = Suite::get();
        let base = temporary_dir();
        let root = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let root = base.join(format!("dt-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o755).create(&root) {
                Ok(()) => break root,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot make {}: {error}", root.display()),
            }
        };
        let tree = Self { suite, root, count: AtomicU32::new(0) };
        fs::create_dir(tree.root.join("io")).expect("make a directory for output");
        tree.mkdir("");
        tree.chmod("", 0o755);
        tree
    }

    /// The programs under test.
    #[must_use]
    pub fn suite(&self) -> &'static Suite {
        self.suite
    }

    /// The full name of something in the tree; `""` is its top.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        let name = name.as_ref();
        let top = self.root.join("t");
        if name.as_os_str().is_empty() { top } else { top.join(name) }
    }

    /// A fresh file outside the tests' part of the tree.
    pub(crate) fn scratch(&self, kind: &str) -> PathBuf {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.root.join("io").join(format!("{number}.{kind}"))
    }

    pub(crate) fn mark(&self) -> (&'static str, &Path) {
        (MARK, &self.root)
    }
}

/// Files. Parent directories are made as needed; modes are as given whatever
/// the umask; every failure is a panic.
impl Tree {
    /// Makes a directory, mode 0755.
    #[track_caller]
    pub fn mkdir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        DirBuilder::new().recursive(true).mode(0o755).create(&path).expect("make a directory");
        path
    }

    /// Writes a file, mode 0644.
    #[track_caller]
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        self.write_mode(name, content, 0o644)
    }

    /// Writes a file that can be executed, mode 0755.
    #[track_caller]
    pub fn script(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        self.write_mode(name, content, 0o755)
    }

    /// Copies a program of the system. No other thread starts a process meanwhile, which would keep
    /// the copy open for writing, and so busy.
    #[track_caller]
    pub fn copy_program(&self, from: impl AsRef<Path>, name: impl AsRef<Path>) -> PathBuf {
        let path = self.parent_of(name);
        let _making = making();
        fs::copy(from, &path).expect("copy a program");
        path
    }

    #[track_caller]
    fn write_mode(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.parent_of(name);
        let _making = making();
        let mut file = File::create(&path).expect("create a file");
        file.set_permissions(Permissions::from_mode(mode)).expect("set the mode of a file");
        file.write_all(content.as_ref()).expect("write a file");
        path
    }

    #[track_caller]
    fn parent_of(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("make the parent directories");
        }
        path
    }

    /// Makes a symbolic link; the target is taken as it is.
    #[track_caller]
    pub fn symlink(&self, target: impl AsRef<Path>, name: impl AsRef<Path>) -> PathBuf {
        let path = self.parent_of(name);
        symlink(target, &path).expect("make a symbolic link");
        path
    }

    /// Makes a FIFO.
    #[track_caller]
    pub fn fifo(&self, name: impl AsRef<Path>, mode: u32) -> PathBuf {
        let path = self.parent_of(name);
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("make a FIFO");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set the mode of a FIFO");
        path
    }

    /// Opens a FIFO for reading and writing, so that it always has a reader.
    #[track_caller]
    pub fn open_fifo(&self, name: impl AsRef<Path>) -> Fifo {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(self.path(name), flags, Mode::empty()).expect("open a FIFO");
        Fifo(fd.into())
    }

    /// Changes a mode.
    #[track_caller]
    pub fn chmod(&self, name: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("set a mode");
    }

    /// The permission bits of something.
    #[must_use]
    #[track_caller]
    pub fn mode(&self, name: impl AsRef<Path>) -> u32 {
        let meta = fs::symlink_metadata(self.path(name)).expect("ask for a mode");
        meta.permissions().mode() & 0o7777
    }

    /// Renames.
    #[track_caller]
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    /// Removes a file or link.
    #[track_caller]
    pub fn remove(&self, name: impl AsRef<Path>) {
        fs::remove_file(self.path(name)).expect("remove a file");
    }

    /// Whether there is anything of that name, if only a dangling link.
    #[must_use]
    pub fn exists(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// The content of a file; of a missing one, nothing.
    #[must_use]
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// The content of a file as text; of a missing one, nothing.
    #[must_use]
    pub fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// Waits until a file contains a text, and returns all of it.
    #[track_caller]
    pub fn wait_text(&self, name: impl AsRef<Path>, needle: &str) -> String {
        let name = name.as_ref();
        wait_for(&format!("{} contains {needle:?}", name.display()), DEADLINE, || {
            Some(self.text(name)).filter(|text| text.contains(needle))
        })
    }

    /// Waits until a file has so many lines, and returns them.
    #[track_caller]
    pub fn wait_lines(&self, name: impl AsRef<Path>, count: usize) -> Vec<String> {
        let name = name.as_ref();
        wait_for(&format!("{} has {count} lines", name.display()), DEADLINE, || {
            // A line being written does not count.
            let text = self.text(name);
            let lines: Vec<_> = text.split_inclusive('\n').filter(|l| l.ends_with('\n')).collect();
            (lines.len() >= count).then(|| lines.iter().map(|l| l.trim_end().to_owned()).collect())
        })
    }
}

/// Programs and services. A service is named by its directory.
impl Tree {
    /// A program: the suite's, or the system's if the suite has none of that
    /// name.
    pub fn cmd(&self, program: &str) -> Cmd<'_> {
        Cmd::new(self, program)
    }

    /// A shell script. `exec`, `umask`, `trap`, `ulimit`, and redirections in
    /// it arrange what a program under test inherits.
    pub fn sh(&self, script: &str) -> Cmd<'_> {
        self.cmd("sh").arg("-c").arg(script)
    }

    /// Makes a service directory with that text as `run`.
    #[track_caller]
    pub fn service(&self, dir: impl AsRef<Path>, run: &str) -> PathBuf {
        self.script(dir.as_ref().join("run"), run);
        self.path(dir)
    }

    /// Makes a service directory whose `run` does nothing until a signal ends
    /// it, and writes its pid to `started` before.
    #[track_caller]
    pub fn idle_service(&self, dir: impl AsRef<Path>) -> PathBuf {
        self.service(dir, "#!/bin/sh\necho $$ >>started\nexec sleep 1000\n")
    }

    /// Makes a service directory whose `run` appends the names of the given
    /// signals to `signals` and goes on. Its pids are in `started`.
    #[track_caller]
    pub fn trapping_service(&self, dir: impl AsRef<Path>, signals: &[&str]) -> PathBuf {
        let mut run = String::from("#!/bin/sh\n");
        for signal in signals {
            run += &format!("trap 'echo {signal} >>signals' {signal}\n");
        }
        // Reading from a FIFO that never has anything waits without a child,
        // and any signal interrupts it.
        run += "[ -p idle ] || mkfifo idle\nexec 8<>idle\necho $$ >>started\n\
                while :; do read -r line <&8; done\n";
        self.service(dir, &run)
    }

    /// Starts `supervise DIR` and waits until it can be controlled.
    #[track_caller]
    pub fn supervise(&self, dir: &str) -> Process {
        let process = self.cmd("supervise").arg(dir).start();
        self.wait_supervised(dir);
        process
    }

    /// Runs `svc OPTIONS DIR`, which must succeed.
    #[track_caller]
    pub fn svc(&self, options: &str, dir: impl AsRef<Path>) {
        self.cmd("svc").arg(options).arg(dir.as_ref()).run().is(0, "", "");
    }

    /// What `svstat DIR` says after the directory's name.
    #[must_use]
    #[track_caller]
    pub fn svstat(&self, dir: impl AsRef<Path>) -> String {
        let dir = dir.as_ref();
        let output = self.cmd("svstat").arg(dir).run();
        let mut start = dir.as_os_str().as_bytes().to_vec();
        start.extend(b": ");
        let line = output.stdout.strip_prefix(start.as_slice());
        let line = line.and_then(|line| line.strip_suffix(b"\n"));
        match (line, output.code, output.stderr.as_slice()) {
            (Some(line), Some(0), b"") => String::from_utf8_lossy(line).into_owned(),
            _ => panic!("svstat {}: {output}", dir.display()),
        }
    }

    /// Whether a supervise has `supervise/ok` open.
    #[must_use]
    pub fn is_supervised(&self, dir: impl AsRef<Path>) -> bool {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(self.path(dir).join("supervise/ok"), flags, Mode::empty()).is_ok()
    }

    /// Waits until a supervise runs for the service.
    #[track_caller]
    pub fn wait_supervised(&self, dir: impl AsRef<Path>) {
        let what = format!("{} is supervised", dir.as_ref().display());
        wait_until(&what, DEADLINE, || self.is_supervised(&dir));
    }

    /// Waits until no supervise runs for the service.
    #[track_caller]
    pub fn wait_unsupervised(&self, dir: impl AsRef<Path>) {
        let what = format!("{} is no longer supervised", dir.as_ref().display());
        wait_until(&what, DEADLINE, || !self.is_supervised(&dir));
    }

    /// The bytes of `supervise/status`, once there are any.
    #[must_use]
    pub fn status(&self, dir: impl AsRef<Path>) -> Option<Status> {
        let raw = self.read(dir.as_ref().join("supervise/status"));
        (!raw.is_empty()).then_some(Status(raw))
    }

    /// Waits until the status fulfils a condition, and returns it.
    #[track_caller]
    pub fn wait_status(
        &self,
        dir: impl AsRef<Path>,
        what: &str,
        mut condition: impl FnMut(&Status) -> bool,
    ) -> Status {
        let dir = dir.as_ref();
        wait_for(&format!("status of {}: {what}", dir.display()), DEADLINE, || {
            self.status(dir).filter(|status| condition(status))
        })
    }

    /// Waits until the service runs, and returns its pid.
    #[track_caller]
    pub fn wait_up(&self, dir: impl AsRef<Path>) -> u32 {
        self.wait_status(dir, "up", |s| s.pid() != 0 && process::is_alive(s.pid())).pid()
    }

    /// Waits until the service runs with another pid than that.
    #[track_caller]
    pub fn wait_restart(&self, dir: impl AsRef<Path>, before: u32) -> u32 {
        let another = |s: &Status| s.pid() != before && s.pid() != 0 && process::is_alive(s.pid());
        self.wait_status(dir, "up again", another).pid()
    }

    /// Waits until the service is down.
    #[track_caller]
    pub fn wait_down(&self, dir: impl AsRef<Path>) -> Status {
        self.wait_status(dir, "down", |s| s.pid() == 0)
    }

    /// Waits until the want byte has that value.
    #[track_caller]
    pub fn wait_want(&self, dir: impl AsRef<Path>, want: u8) -> Status {
        self.wait_status(dir, &format!("wants {:?}", char::from(want)), |s| s.want() == want)
    }

    /// Every live process started in the tree.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.root.display());
        process::all()
            .into_iter()
            .filter(|&pid| {
                // The directory finds those which were given a new environment.
                process::environment(pid).iter().any(|variable| *variable == *mark)
                    || process::directory(pid).is_some_and(|dir| dir.starts_with(&self.root))
            })
            .collect()
    }

    /// The live processes started in the tree with exactly these arguments.
    #[must_use]
    pub fn find(&self, arguments: &[&str]) -> Vec<u32> {
        self.processes().into_iter().filter(|&pid| process::arguments(pid) == arguments).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_output();
        }
        let start = Instant::now();
        // A process being replaced by another program shows neither mark nor
        // directory for an instant, so one empty look is not enough.
        let mut quiet = 0;
        while quiet < 2 {
            let left = self.processes();
            for &pid in &left {
                process::signal(pid, Signal::KILL);
                process::signal(pid, Signal::CONT);
            }
            quiet = if left.is_empty() { quiet + 1 } else { 0 };
            if start.elapsed() > DEADLINE {
                note(&format!("{} keeps processes: {left:?}", self.root.display()));
                break;
            }
            thread::sleep(Duration::from_millis(if left.is_empty() { 1 } else { 5 }));
        }
        unlock(&self.root);
        if let Err(error) = fs::remove_dir_all(&self.root) {
            note(&format!("cannot remove {}: {error}", self.root.display()));
        }
    }
}

impl Tree {
    /// Shows what the programs of a failing test had printed.
    fn show_output(&self) {
        let mut files: Vec<_> =
            fs::read_dir(self.root.join("io")).into_iter().flatten().flatten().collect();
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let content = fs::read(file.path()).unwrap_or_default();
            if !content.is_empty() {
                let end = &content[content.len().saturating_sub(2000)..];
                let text = String::from_utf8_lossy(end);
                note(&format!("{}: {text:?}", file.file_name().display()));
            }
        }
    }
}

/// Makes directories removable again which a test had made inaccessible.
fn unlock(dir: &Path) {
    let _ = fs::set_permissions(dir, Permissions::from_mode(0o755));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}

/// A FIFO held open for reading and writing.
#[derive(Debug)]
pub struct Fifo(File);

impl Fifo {
    /// Everything that is in it now.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut found = Vec::new();
        // It ends with "would block", never with end of file.
        let _ = self.0.read_to_end(&mut found);
        found
    }

    /// Writes until it takes no more, and returns how many bytes it took.
    pub fn fill(&mut self) -> usize {
        let mut taken = 0;
        while let Ok(count) = self.0.write(&[b'-'; 4096]) {
            taken += count;
        }
        while self.0.write(b"-").is_ok() {
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use crate::{DEADLINE, process, wait_until};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    #[test]
    fn a_tree_ends_what_was_started_in_it_and_goes_away() {
        let tree = Tree::new();
        let root = tree.root.clone();
        tree.mkdir("closed/below");
        tree.chmod("closed", 0);
        // Without the mark, elsewhere, stopped, and deaf.
        let script = "env - sleep 1000 & (cd / && exec sleep 1000) &
                      (trap '' HUP INT TERM; kill -STOP $(exec sh -c 'echo $PPID')) &
                      exec sleep 1000";
        let shell = tree.sh(script).start();
        let sleeps = || process::descendants(shell.pid());
        wait_until("all are there", DEADLINE, || {
            sleeps().len() == 3 && sleeps().iter().any(|&pid| process::is_stopped(pid))
        });
        let pids = sleeps();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _tree = tree;
            let _shell = shell;
            panic!("as in a failing test");
        }));
        assert!(failed.is_err());
        assert!(pids.into_iter().all(|pid| !process::is_alive(pid)));
        assert!(!root.exists());
    }

    #[test]
    fn a_program_which_is_late_is_killed_and_what_it_printed_is_shown() {
        let tree = Tree::new();
        let command = tree.sh("echo early; echo bird >&2; exec sleep 1000");
        let command = command.deadline(Duration::from_millis(300));
        let failed = catch_unwind(AssertUnwindSafe(|| command.run()));
        let message = failed.expect_err("it is late");
        let message = message.downcast_ref::<String>().expect("a text");
        assert!(message.contains("early") && message.contains("bird"), "{message}");
        assert_eq!(tree.find(&["sleep", "1000"]), []);
    }

    #[test]
    fn file_modes_count_for_an_unprivileged_program() {
        let tree = Tree::new();
        tree.write("secret", "x");
        tree.chmod("secret", 0);
        assert_ne!(tree.cmd("cat").arg("secret").unprivileged().run().code, Some(0));
        tree.chmod("secret", 0o400);
        tree.cmd("cat").arg("secret").unprivileged().run().is(0, "x", "");
    }
}
