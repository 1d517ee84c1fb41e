//! A running supervision tree of one suite, with services that report their starts.

use crate::guard::{self, readable};
use crate::suite::Suite;
use crate::{Context, Measured, WorkDir, now};
use harness::process;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};
use rustix::pipe::fcntl_setpipe_size;
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Upper bound for an event that should happen at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// The start of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The monotonic clock at the first instruction of its program, in nanoseconds.
    pub(crate) at: u64,
    pub(crate) pid: u32,
    service: u32,
}

/// The processes of a tree by kind.
#[derive(Default, Debug)]
pub(crate) struct Processes {
    pub(crate) supervises: Vec<u32>,
    pub(crate) loggers: Vec<u32>,
    pub(crate) services: Vec<u32>,
    /// All others; after the start there should be none.
    pub(crate) others: Vec<u32>,
}

/// Services in a fresh directory, and the scanner that runs them. Its drop ends all processes and
/// removes the directory.
pub(crate) struct ScanTree<'s> {
    pub(crate) suite: &'s Suite,
    pub(crate) dir: PathBuf,
    probe: PathBuf,
    fifo: File,
    scanner: Option<Child>,
    /// The newest start of each service.
    pub(crate) starts: HashMap<u32, Start>,
    logs: bool,
}

impl<'s> ScanTree<'s> {
    /// Makes a tree of that many services, with or without loggers.
    ///
    /// # Errors
    ///
    /// If a file cannot be made.
    pub(crate) fn new(
        work_dir: &WorkDir,
        suite: &'s Suite,
        services: u32,
        logs: bool,
    ) -> Measured<Self> {
        let dir = work_dir.fresh(&suite.name)?;
        fs::create_dir(dir.join("scan")).context("make the scan directory")?;
        fs::create_dir(dir.join("sv")).context("make the services' directory")?;
        let name = dir.join("sv/fifo");
        mknodat(CWD, &name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .context("make a FIFO")?;
        // Open for writing too, so that the FIFO never ends.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fifo = openat(CWD, &name, flags, Mode::empty()).context("open the FIFO")?;
        // The FIFO has room for the reports of all services, so no service waits.
        fcntl_setpipe_size(&fifo, 1 << 20).context("enlarge the FIFO")?;
        let fifo = fifo.into();
        let (probe, starts) = (work_dir.probe.clone(), HashMap::new());
        let tree = Self { suite, dir, probe, fifo, scanner: None, starts, logs };
        for number in 0..services {
            tree.make(number)?;
            tree.link(number)?;
        }
        Ok(tree)
    }

    /// The directory of a service.
    #[must_use]
    pub(crate) fn service(&self, number: u32) -> PathBuf {
        self.dir.join(format!("sv/{number:05}"))
    }

    /// Makes a service outside of the scan directory.
    ///
    /// # Errors
    ///
    /// If a file cannot be made.
    pub(crate) fn make(&self, number: u32) -> Measured<()> {
        let dir = self.service(number);
        fs::create_dir(&dir).context("make a service directory")?;
        symlink(&self.probe, dir.join("run")).context("make run")?;
        if self.logs {
            fs::create_dir(dir.join("log")).context("make log")?;
            // svlogd does not create its directory.
            if self.suite.kind == crate::suite::Kind::Runit {
                fs::create_dir(dir.join("log/main")).context("make log/main")?;
            }
            let run = dir.join("log/run");
            let (path, name, arguments) = self.suite.log_script().ok_or("it has no logger")?;
            // A link, because the kernel limits the length of the first line.
            symlink(path, dir.join("log").join(name)).context("make a link")?;
            let script = format!("#!{} exec ./{name} {arguments}\n", self.probe.display());
            fs::write(&run, script).context("write log/run")?;
            fs::set_permissions(&run, Permissions::from_mode(0o755)).context("change log/run")?;
            // The sticky bit tells the original's svscan that there is a log.
            fs::set_permissions(&dir, Permissions::from_mode(0o1755)).context("change a mode")?;
        }
        Ok(())
    }

    /// Links a service into the scan directory.
    ///
    /// # Errors
    ///
    /// If the link cannot be made.
    pub(crate) fn link(&self, number: u32) -> Measured<()> {
        let name = self.dir.join(format!("scan/{number:05}"));
        symlink(format!("../sv/{number:05}"), name).context("make a link")
    }

    /// A program with the suite's `PATH`, without input and output.
    #[must_use]
    pub(crate) fn command(&self, command: &[String]) -> Command {
        quiet(self.suite, command)
    }

    /// Starts the scanner. Returns the moment before.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(&mut self) -> Measured<u64> {
        let scan = self.dir.join("scan");
        let services =
            u32::try_from(fs::read_dir(&scan).context("read scan")?.count()).unwrap_or(0);
        // runsvdir waits if the directory was changed in the current second.
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        File::open(&scan).and_then(|dir| dir.set_modified(long_ago)).context("change a time")?;
        let scanner = self.suite.scanner(&scan.to_string_lossy(), services);
        let scanner = scanner.ok_or("it has no scanner")?;
        let messages = File::create(self.dir.join("messages")).context("make a file")?;
        let mut command = self.command(&scanner);
        command.current_dir(&self.dir).stderr(messages);
        let before = now();
        self.scanner = Some(command.spawn().context("start the scanner")?);
        Ok(before)
    }

    /// Starts a service without supervision.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start_bare(&self, number: u32) -> Measured<Child> {
        let mut command = self.command(&["./run".to_owned()]);
        command.current_dir(self.service(number)).spawn().context("start a service")
    }

    /// The pid of the scanner.
    #[must_use]
    pub(crate) fn scanner(&self) -> u32 {
        self.scanner.as_ref().map_or(0, Child::id)
    }

    /// The messages of the scanner and its children.
    #[must_use]
    pub(crate) fn messages(&self) -> String {
        fs::read_to_string(self.dir.join("messages")).unwrap_or_default()
    }

    /// Reads the reports of services. Waits for one if there is none.
    fn listen(&mut self, patience: Duration) {
        let mut records = [0; 16 * 256];
        if !readable(&self.fifo, patience) {
            return;
        }
        while let Ok(size) = self.fifo.read(&mut records) {
            for record in records.get(..size).unwrap_or_default().chunks_exact(16) {
                let part = |at: usize| {
                    let bytes = record.get(at..at + 4).and_then(|part| part.try_into().ok());
                    u32::from_ne_bytes(bytes.unwrap_or_default())
                };
                let time = record.get(..8).and_then(|part| part.try_into().ok());
                let at = u64::from_ne_bytes(time.unwrap_or_default());
                let start = Start { at, pid: part(8), service: part(12) };
                self.starts.insert(start.service, start);
            }
        }
    }

    /// Waits until that many different services have started and live. Returns the last start.
    ///
    /// # Errors
    ///
    /// After the deadline, with the number of services that live.
    pub(crate) fn wait_up(&mut self, services: u32, deadline: Duration) -> Measured<u64> {
        let end = Instant::now() + deadline;
        while self.starts.len() < services as usize && Instant::now() < end {
            self.listen(Duration::from_millis(200));
        }
        let living = self.starts.values().filter(|start| process::is_alive(start.pid)).count();
        if living != services as usize {
            let messages = self.messages().lines().take(3).collect::<Vec<_>>().join("; ");
            return Err(format!("{living} of {services} services are up ({messages})"));
        }
        Ok(self.starts.values().map(|start| start.at).max().unwrap_or(0))
    }

    /// Waits until a service runs as another process than `before`.
    ///
    /// # Errors
    ///
    /// After the deadline.
    pub(crate) fn wait_start(
        &mut self,
        number: u32,
        before: u32,
        deadline: Duration,
    ) -> Measured<Start> {
        let end = Instant::now() + deadline;
        loop {
            match self.starts.get(&number) {
                Some(&start) if start.pid != before => return Ok(start),
                _ if Instant::now() > end => return Err(format!("service {number} did not start")),
                _ => self.listen(Duration::from_millis(100)),
            }
        }
    }

    /// Waits until the status of a service says down, or names its newest process. Returns the
    /// moment.
    ///
    /// # Errors
    ///
    /// After the deadline.
    pub(crate) fn wait_status(&self, number: u32, down: bool) -> Measured<u64> {
        let (dir, end) = (self.service(number), Instant::now() + DEADLINE);
        let newest = self.starts.get(&number).map(|start| start.pid);
        while Instant::now() < end {
            let pid = self.suite.status(&dir);
            if pid.is_some() && pid == if down { Some(0) } else { newest } {
                return Ok(now());
            }
            std::thread::yield_now();
        }
        Err(format!("the status did not say {}", if down { "down" } else { "up" }))
    }

    /// The processes of the tree without the scanner.
    #[must_use]
    pub(crate) fn processes(&self) -> Processes {
        let mut found = Processes::default();
        for pid in process::descendants(self.scanner()) {
            let arguments = process::arguments(pid);
            let first = arguments.first().map(Path::new).and_then(Path::file_name);
            let list = match first.and_then(|name| name.to_str()).unwrap_or_default() {
                "run" => &mut found.services,
                name if name == self.suite.supervise() => &mut found.supervises,
                name if Suite::is_logger(name) => &mut found.loggers,
                _ => &mut found.others,
            };
            list.push(pid);
        }
        found
    }

    /// Waits until the number of processes of each kind is right.
    ///
    /// # Errors
    ///
    /// After the deadline, with the numbers.
    pub(crate) fn wait_complete(&self, services: u32, deadline: Duration) -> Measured<Processes> {
        let services = services as usize;
        let loggers = if self.logs { services } else { 0 };
        // runsv supervises both the service and its logger.
        let one_each = self.suite.kind == crate::suite::Kind::Runit;
        let supervises = if one_each { services } else { services + loggers };
        let end = Instant::now() + deadline;
        loop {
            let found = self.processes();
            let counts = [found.services.len(), found.loggers.len(), found.supervises.len()];
            if counts == [services, loggers, supervises] && found.others.is_empty() {
                return Ok(found);
            }
            if Instant::now() > end {
                return Err(format!(
                    "{counts:?} services, loggers, supervises and {} others",
                    found.others.len()
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the log of each service has its one line, with a stamp.
    ///
    /// # Errors
    ///
    /// After the deadline, with the first service without it.
    pub(crate) fn wait_logged(&self, services: u32, deadline: Duration) -> Measured<()> {
        let end = Instant::now() + deadline;
        for number in 0..services {
            let name = self.service(number).join("log/main/current");
            let good = || {
                let log = fs::read_to_string(&name).unwrap_or_default();
                log.ends_with(" up\n") && log.lines().count() == 1
            };
            while !good() {
                if Instant::now() > end {
                    return Err(format!("{} does not have the line", name.display()));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Sends TERM to the scanner, and waits until it has ended. Returns the duration.
    ///
    /// # Errors
    ///
    /// If it does not end, or a process is left.
    pub(crate) fn stop(&mut self, deadline: Duration) -> Measured<Duration> {
        let pid = self.scanner();
        let mut scanner = self.scanner.take().ok_or("no scanner")?;
        let all = process::descendants(pid);
        let before = Instant::now();
        process::signal(pid, harness::Signal::TERM);
        let status = guard::wait(&mut scanner, deadline);
        let took = before.elapsed();
        let left = all.iter().filter(|&&pid| process::is_alive(pid)).count();
        match status {
            Some(status) if status.success() && left == 0 => Ok(took),
            _ => Err(format!("the scanner ended with {status:?} and left {left} processes")),
        }
    }
}

impl Drop for ScanTree<'_> {
    fn drop(&mut self) {
        // The scanner first, then the supervises, so that they start nothing again.
        let mut first = vec![];
        if let Some(mut scanner) = self.scanner.take() {
            first = self.processes_of(scanner.id());
            let _ = scanner.kill();
            let _ = scanner.wait();
        }
        guard::end_all(&self.dir, &first);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl ScanTree<'_> {
    fn processes_of(&self, scanner: u32) -> Vec<u32> {
        let name = self.suite.supervise();
        let is_supervise = |pid: &u32| {
            process::arguments(*pid).first().is_some_and(|first| Path::new(first).ends_with(name))
        };
        process::descendants(scanner).into_iter().filter(is_supervise).collect()
    }
}

/// A program with the `PATH` of a suite, without input and output.
#[must_use]
pub(crate) fn quiet(suite: &Suite, command: &[String]) -> Command {
    let (program, arguments) = command.split_first().map_or(("", [].as_slice()), |(p, a)| (p, a));
    let mut made = Command::new(program);
    made.args(arguments)
        .env_clear()
        .env("PATH", suite.path())
        .env("HOME", "/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    made
}
