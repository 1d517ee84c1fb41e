//! A killed svscan, and the next one on the same directory that goes on with what it finds.

use harness::{
    Cmd, DEADLINE, Process, Signal, Suite, Tree, account, is_root, process, skip, wait_for,
    wait_until,
};
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use system::{
    PROMPT, assert_idle, count, find_below, leaves, namespace, original, strace_works, tree,
    wait_all_gone,
};

/// A service that writes the numbers from 1 on, one a line, and the newest to the file `newest.PID`
/// before. Told to end, it does so after a whole line.
const COUNTER: &str = r#"#!/bin/sh
echo $$ >>started
exec perl -e '
    $SIG{TERM} = sub { $end = 1 };
    open(NEWEST, ">", "newest.$$") or die;
    until ($end) {
        $n++;
        sysseek(NEWEST, 0, 0);
        syswrite(NEWEST, sprintf("%09d", $n));
        syswrite(STDOUT, "$n\n");
        select(undef, undef, undef, $ARGV[0]) if $ARGV[0];
    }' PAUSE
"#;

const MULTILOG: &str = "#!/bin/sh\necho $$ >>started\nexec multilog s16777215 n50 ./main\n";

fn command(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("s");
    tree.cmd("svscan").arg("s")
}

fn svscan(tree: &Tree) -> Process {
    command(tree).start()
}

/// Kills a svscan, and waits until it is reaped. What it started goes on.
#[track_caller]
fn kill(svscan: Process) {
    let output = svscan.kill();
    assert_eq!(output.signal, Some(9), "{output}");
}

/// The supervise of a service, once there is one.
#[track_caller]
fn supervise(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let ok = tree.path(dir).join("supervise/ok");
    wait_for(&format!("a process that has {} open", ok.display()), DEADLINE, || {
        tree.processes().into_iter().find(|&pid| process::has_open(pid, &ok))
    })
}

fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
    pids.sort_unstable();
    pids
}

/// The processes whose end this one waits for by a pidfd. While it looks for them it has some
/// pidfds as well, so those count which it polls.
fn watched(pid: u32) -> Vec<u32> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts: Vec<String> =
        infos.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    let polled = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        words.find(|&word| word == "data:")?;
        u32::from_str_radix(words.next()?, 16).ok()
    });
    sorted(polled.collect())
}

/// Waits until this svscan watches exactly these supervises, which are not its children.
#[track_caller]
fn wait_watched(svscan: &Process, supervises: &[u32]) {
    let wanted = sorted(supervises.to_vec());
    wait_until(&format!("{wanted:?} are taken over"), DEADLINE, || watched(svscan.pid()) == wanted);
}

/// The next svscan, when it has taken over these.
#[track_caller]
fn next(tree: &Tree, supervises: &[u32]) -> Process {
    let next = svscan(tree);
    wait_watched(&next, supervises);
    next
}

/// The pipe that a process has as that descriptor, if it is one.
fn pipe(pid: u32, number: i32) -> Option<PathBuf> {
    let found = process::descriptors(pid).into_iter().find(|&(n, _)| n == number);
    found.map(|(_, target)| target).filter(|target| {
        target.starts_with("pipe:") || target.to_string_lossy().starts_with("pipe:[")
    })
}

/// Asks svscan to end, which it must do in order, and without leaving anything behind.
#[track_caller]
fn finish(tree: &Tree, svscan: Process) {
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert_eq!(tree.processes(), []);
}

/// A counter with a multilog.
#[track_caller]
fn counter(tree: &Tree, dir: impl AsRef<Path>, pause: &str) {
    let dir = dir.as_ref();
    tree.service(dir, &COUNTER.replace("PAUSE", pause));
    tree.service(dir.join("log"), MULTILOG);
}

/// The numbers in the log of a counter.
#[track_caller]
fn numbers(tree: &Tree, dir: impl AsRef<Path>) -> Vec<u32> {
    let main = tree.path(dir).join("log/main");
    let mut files: Vec<PathBuf> = fs::read_dir(&main)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "s" || e == "u"))
        .collect();
    files.sort();
    files.push(main.join("current"));
    let text: String =
        files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let number =
        |line: &str| line.parse().unwrap_or_else(|_| panic!("{line:?} in {}", main.display()));
    text.lines().map(number).collect()
}

/// Waits until a counter has come so far.
#[track_caller]
fn wait_counted(tree: &Tree, dir: impl AsRef<Path>, least: u32) {
    let dir = dir.as_ref();
    let what = format!("{} counts to {least}", dir.display());
    wait_until(&what, DEADLINE, || newest(tree, dir) >= least);
}

/// How far a counter has come that was started `n` times before.
fn newest_of(tree: &Tree, dir: &Path, n: usize) -> u32 {
    let started = tree.text(dir.join("started"));
    let pid = started.lines().nth(n).unwrap_or_default();
    tree.text(dir.join(format!("newest.{pid}"))).parse().unwrap_or(0)
}

fn newest(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    newest_of(tree, dir.as_ref(), starts(tree, dir.as_ref()).saturating_sub(1))
}

/// How often a service was started.
fn starts(tree: &Tree, dir: impl AsRef<Path>) -> usize {
    tree.text(dir.as_ref().join("started")).lines().count()
}

/// Asserts that a counter, which has ended in order, ran once, and that all its numbers are in the
/// log.
#[track_caller]
fn assert_all_logged(tree: &Tree, dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    assert_eq!(starts(tree, dir), 1, "{}", dir.display());
    let numbers = numbers(tree, dir);
    let wrong = numbers.iter().zip(1..).find(|&(&found, wanted)| found != wanted);
    assert_eq!(wrong, None, "{}: found and wanted", dir.display());
    assert_eq!(numbers.len(), newest(tree, dir) as usize, "{}", dir.display());
}

// svscan alone

#[test]
fn the_next_svscan_goes_on_with_the_same_processes_and_says_nothing() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    tree.idle_service("s/b");
    let dirs = ["s/a", "s/a/log", "s/b"];
    let first = svscan(&tree);
    let pids = dirs.map(|dir| tree.wait_up(dir));
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    let status = dirs.map(|dir| tree.status(dir));
    kill(first);
    let there = sorted(tree.processes());
    let second = next(&tree, &supervises);
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    let others = tree.processes().into_iter().filter(|&pid| pid != second.pid()).collect();
    assert_eq!(sorted(others), there, "sorted: {pids:?} {supervises:?}");
    assert_idle(&[second.pid()], Duration::from_secs(2));
    assert_eq!((second.stdout(), second.stderr()), (String::new(), String::new()));
    finish(&tree, second);
    for dir in dirs {
        assert_eq!(starts(&tree, dir), 1, "{dir}");
    }
}

#[test]
fn files_may_be_on_another_device_than_their_locks() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.idle_service("low/s/a");
    tree.service("low/s/a/log", "#!/bin/sh\nexec cat >>log\n");
    tree.mkdir("top");
    tree.mkdir("over");
    // With its two directories on two file systems, overlayfs gives each a device.
    let mount = "mount -t tmpfs none top && mkdir top/files top/work && mount -t overlay none \
        -o lowerdir=low,upperdir=top/files,workdir=top/work over && cd over";
    let trial = tree.sh(mount).under(namespace).run();
    if trial.code != Some(0) {
        return skip(&format!("there is no overlayfs: {trial}"));
    }
    let script = format!("{mount} && {{ svscan s; exec svscan s; }}");
    let second = tree.sh(&script).under(namespace).start();
    let first = find_below(second.pid(), &["svscan", "s"]);
    let inside = Path::new("/proc").join(second.pid().to_string()).join("root");
    let over = inside.join(tree.path("over").strip_prefix("/").expect("an absolute path"));
    let dirs = ["s/a", "s/a/log"].map(|dir| over.join(dir));
    let pids = dirs.each_ref().map(|dir| tree.wait_up(dir));
    let device = |path: &Path| fs::metadata(path).expect("it is there").dev();
    assert_ne!(device(&dirs[0].join("supervise/lock")), device(&over));
    let supervises = ["a", "log"].map(|name| find_below(first, &["supervise", name]));
    process::signal(first, Signal::KILL);
    wait_watched(&second, &supervises);
    assert_eq!(count(&second.stderr(), "supervise"), 0);
    // A second supervise names the first.
    let again = format!("cd {} && exec supervise a", over.join("s").display());
    let refused = tree.sh(&again).run();
    assert!(refused.err().contains(&format!(" (held by pid {})\n", supervises[0])), "{refused}");
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    wait_until("the next one is there", DEADLINE, || tree.is_supervised(&dirs[0]));
    assert_eq!(dirs.each_ref().map(|dir| tree.wait_up(dir)), pids);
    finish(&tree, second);
}

#[test]
fn a_hundred_kills_of_svscan_are_not_noticed() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    let mut svscan = svscan(&tree);
    let supervises = ["s/a", "s/a/log"].map(|dir| supervise(&tree, dir));
    for _ in 0..100 {
        kill(svscan);
        svscan = next(&tree, &supervises);
    }
    let pipes = process::descriptors(svscan.pid());
    let pipes = pipes.iter().filter(|(_, to)| Some(to) == pipe(supervises[0], 1).as_ref()).count();
    assert_eq!(pipes, 2, "both ends, once");
    assert_eq!(svscan.stderr(), "");
    finish(&tree, svscan);
    assert_all_logged(&tree, "s/a");
    assert_eq!(tree.wait_lines("s/a/log/started", 1).len(), 1);
}

#[test]
fn a_supervise_that_was_taken_over_is_started_again_when_it_dies() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    let dirs = ["s/a", "s/a/log"];
    let first = svscan(&tree);
    let pids = dirs.map(|dir| tree.wait_up(dir));
    let status = dirs.map(|dir| tree.status(dir));
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    kill(first);
    let svscan = next(&tree, &supervises);
    for (dir, old) in dirs.into_iter().zip(supervises) {
        process::signal(old, Signal::KILL);
        process::wait_gone(old);
        let new = supervise(&tree, dir);
        assert_eq!(process::parent(new), Some(svscan.pid()));
    }
    wait_until("none is watched any more", PROMPT, || watched(svscan.pid()).is_empty());
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    let said = svscan.stderr();
    // How it ended is known where the kernel tells.
    assert_eq!(count(&said, "was killed by signal 9"), said.lines().count(), "{said}");
    // These are its own: their ends are seen, and their orphans reaped.
    wait_counted(&tree, "s/a", newest(&tree, "s/a") + 100);
    for (dir, pid) in dirs.into_iter().zip(pids) {
        let new = supervise(&tree, dir);
        process::signal(new, Signal::KILL);
        wait_until("it is reaped", PROMPT, || process::state(new).is_none());
        let newer = supervise(&tree, dir);
        assert_eq!(process::parent(newer), Some(svscan.pid()));
        assert!(process::is_alive(pid));
    }
    assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    finish(&tree, svscan);
    assert_all_logged(&tree, "s/a");
}

#[test]
fn the_next_svscan_ends_everything_in_order() {
    let tree = tree();
    for name in ["a", "b"] {
        tree.service(
            format!("s/{name}"),
            "#!/bin/sh\ntrap 'seq 501 1000; echo stop >>order; exit' TERM\nmkfifo idle\n\
             exec 8<>idle\nseq 500\necho $$ >>started\nwhile :; do read -r line <&8; done\n",
        );
        tree.service(
            format!("s/{name}/log"),
            "#!/bin/sh\necho $$ >>started\nwhile read -r line; do echo \"$line\"; done >>logged\n\
             echo end of log >>../order\n",
        );
    }
    let first = svscan(&tree);
    let dirs = ["s/a", "s/a/log", "s/b", "s/b/log"];
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    kill(first);
    let svscan = next(&tree, &supervises);
    let started = Instant::now();
    svscan.signal(Signal::TERM);
    svscan.wait().is(0, "", "");
    assert!(started.elapsed() < Duration::from_secs(5), "the loggers saw the end of their input");
    assert_eq!(tree.processes(), []);
    let wanted: String = (1..=1000).map(|number: u32| format!("{number}\n")).collect();
    for name in ["a", "b"] {
        assert_eq!(tree.text(format!("s/{name}/order")), "stop\nend of log\n", "{name}");
        assert_eq!(tree.text(format!("s/{name}/log/logged")), wanted, "{name}");
        assert_eq!(tree.wait_lines(format!("s/{name}/log/started"), 1).len(), 1, "{name}");
    }
}

#[test]
fn links_come_and_go_as_before() {
    let tree = tree();
    counter(&tree, "real/a", "0.001");
    tree.idle_service("real/b");
    tree.idle_service("real/c");
    for name in ["a", "b"] {
        tree.symlink(format!("../real/{name}"), format!("s/{name}"));
    }
    let first = svscan(&tree);
    let dirs = ["real/a", "real/a/log", "real/b"];
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    let status = dirs.map(|dir| {
        tree.wait_up(dir);
        tree.status(dir)
    });
    kill(first);
    // Renamed while nobody looked.
    tree.rename("s/b", "s/other");
    let svscan = next(&tree, &supervises);
    tree.symlink("../real/c", "s/c");
    tree.wait_up("real/c");
    tree.rename("s/other", "s/b");
    tree.remove("s/a");
    wait_all_gone(&supervises[..2]);
    assert_all_logged(&tree, "real/a");
    assert_eq!(tree.status("real/b"), status[2]);
    // It can be had again, with the same pipe.
    tree.symlink("../real/a", "s/a");
    tree.wait_lines("real/a/started", 2);
    assert_eq!(svscan.stderr(), "");
    finish(&tree, svscan);
}

#[test]
fn a_link_that_was_removed_meanwhile_leaves_its_service_running() {
    let tree = tree();
    for name in ["a", "b"] {
        tree.idle_service(format!("real/{name}"));
        tree.symlink(format!("../real/{name}"), format!("s/{name}"));
    }
    let first = svscan(&tree);
    let pids = ["real/a", "real/b"].map(|dir| tree.wait_up(dir));
    let supervises = ["real/a", "real/b"].map(|dir| supervise(&tree, dir));
    kill(first);
    tree.remove("s/a");
    let svscan = next(&tree, &supervises[1..]);
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert!(process::is_alive(pids[0]) && !process::is_alive(pids[1]));
    // Nobody's any more, but svc still reaches it, and so does a svscan that gets a link.
    tree.symlink("../real/a", "s/a");
    let svscan = next(&tree, &supervises[..1]);
    assert_eq!(tree.wait_up("real/a"), pids[0]);
    finish(&tree, svscan);
}

// More than svscan

/// Who else is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Victims {
    supervise: bool,
    log_supervise: bool,
    service: bool,
    logger: bool,
}

impl Victims {
    fn of(mask: u32) -> Self {
        let bit = |n: u32| mask >> n & 1 == 1;
        Self { supervise: bit(0), log_supervise: bit(1), service: bit(2), logger: bit(3) }
    }
}

#[test]
fn whoever_dies_with_svscan_no_line_is_lost_and_who_lives_is_not_disturbed() {
    let tree = tree();
    let dirs: Vec<String> = (0..16).map(|mask| format!("s/{mask}")).collect();
    for dir in &dirs {
        counter(&tree, dir, "0.003");
    }
    let first = svscan(&tree);
    let mut doomed = Vec::new();
    for (mask, dir) in (0..).zip(&dirs) {
        wait_counted(&tree, dir, 50);
        let victims = Victims::of(mask);
        let log = format!("{dir}/log");
        let candidates = [
            (victims.supervise, supervise(&tree, dir)),
            (victims.log_supervise, supervise(&tree, &log)),
            (victims.service, tree.wait_up(dir)),
            (victims.logger, tree.wait_up(&log)),
        ];
        doomed.extend(candidates.into_iter().filter(|&(dies, _)| dies).map(|(_, pid)| pid));
    }
    kill(first);
    for &pid in &doomed {
        process::signal(pid, Signal::KILL);
    }
    let svscan = svscan(&tree);
    for dir in &dirs {
        let before = numbers(&tree, dir).len();
        let what = format!("{dir} is logged again");
        wait_until(&what, DEADLINE, || numbers(&tree, dir).len() > before + 200);
    }
    let stopped = Instant::now();
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(tree.processes(), []);
    assert!(stopped.elapsed() < Duration::from_secs(5), "the loggers saw the end of their input");
    for (mask, dir) in (0..).zip(&dirs) {
        let dead = Victims::of(mask);
        // Without anybody who has the pipe open for reading, a service that writes gets SIGPIPE.
        let deaf = dead.log_supervise && dead.logger;
        // Without anybody who has it open for writing, the logger sees its end.
        let mute = dead.supervise && (dead.service || deaf);
        let (service, logger) = (starts(&tree, dir), starts(&tree, format!("{dir}/log")));
        let least = 1 + usize::from(dead.service);
        assert!(service == least || deaf && service > least, "{dir} {dead:?}: {service}");
        let least = 1 + usize::from(dead.logger);
        assert!(logger == least || mute && logger > least, "{dir} {dead:?}: {logger}");
        let numbers = numbers(&tree, dir);
        let mut runs: Vec<&[u32]> = numbers.chunk_by(|a, b| *b == a + 1).collect();
        assert!(runs.iter().all(|run| run[0] == 1), "{dir} {dead:?}: {runs:?}");
        // What was in the pipe is lost with the last who has it open.
        let gone = deaf && mute;
        let last = runs.pop().expect("there are numbers");
        assert_eq!(last.len(), newest(&tree, dir) as usize, "{dir} {dead:?}");
        assert!(deaf || runs.len() + 1 == service, "{dir} {dead:?}: {runs:?}");
        for (n, run) in runs.iter().enumerate() {
            let newest = newest_of(&tree, Path::new(dir), n) as usize;
            assert!(gone || run.len() + 1 >= newest, "{dir} {dead:?}: {newest} {}", run.len());
        }
    }
    // Nothing is said but how things stand.
    let said = output.err();
    assert_eq!(count(&said, "has ended unseen"), said.lines().count(), "{said}");
}

// The pipe

/// Asserts that the ends of one pipe are between a service and its logger, and in nobody else's
/// hands but svscan's.
#[track_caller]
fn assert_connected(tree: &Tree, dir: &str) {
    let log = format!("{dir}/log");
    let found = pipe(supervise(tree, dir), 1);
    assert!(found.is_some(), "{dir}");
    assert_eq!(found, pipe(supervise(tree, &log), 0), "{dir}");
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_not_lost_and_its_content_neither() {
    let tree = tree();
    // It says something only when it is asked to.
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said' HUP\nmkfifo idle\nexec 8<>idle\necho $$ >>started\n\
         while :; do read -r line <&8; done\n",
    );
    // It reads only when it may.
    tree.service(
        "s/a/log",
        "#!/bin/sh\necho $$ >>started\n[ -e go ] || exec sleep 1000\nexec cat >>logged\n",
    );
    let first = svscan(&tree);
    let dirs = ["s/a", "s/a/log"];
    let [main, log] = dirs.map(|dir| supervise(&tree, dir));
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    let status = Some(tree.wait_status("s/a", "up", |s| s.pid() != 0));
    tree.svc("-h", "s/a");
    let logger = tree.wait_up("s/a/log");
    kill(first);
    for pid in [main, log, logger] {
        process::signal(pid, Signal::KILL);
        process::wait_gone(pid);
    }
    tree.write("s/a/log/go", "");
    let svscan = svscan(&tree);
    tree.wait_text("s/a/log/logged", "said\n");
    tree.wait_supervised("s/a");
    assert_eq!(tree.status("s/a"), status);
    assert_connected(&tree, "s/a");
    tree.svc("-h", "s/a");
    tree.wait_text("s/a/log/logged", "said\nsaid\n");
    assert_eq!(starts(&tree, "s/a"), 1);
    finish(&tree, svscan);
}

/// A pipe, of which the test has the end for reading.
struct Ear(io::PipeReader);

impl Ear {
    fn new() -> (Self, io::PipeWriter) {
        let (reader, writer) = io::pipe().expect("make a pipe");
        fcntl_setfl(&reader, OFlags::NONBLOCK).expect("set its flags");
        (Self(reader), writer)
    }

    /// Waits until exactly this has come.
    #[track_caller]
    fn hears(&mut self, text: &str) {
        let mut heard = Vec::new();
        wait_until(&format!("{text:?} is heard"), DEADLINE, || {
            // It ends with "would block".
            let _ = self.0.read_to_end(&mut heard);
            assert!(text.as_bytes().starts_with(&heard), "{:?}", String::from_utf8_lossy(&heard));
            heard == text.as_bytes()
        });
    }
}

/// Lets svscan die while its output goes into a pipe, and its messages too if `both`, and start
/// again with the same pipe or with another; meanwhile, the service has got a logger.
#[track_caller]
fn output_is_not_taken_for_a_log(both: bool, another: bool) {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said' HUP\n[ -p idle ] || mkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    let (mut ear, writer) = Ear::new();
    let (mut other_ear, other_writer) = Ear::new();
    let begin = |writer: &io::PipeWriter| {
        let writer = || writer.try_clone().expect("another descriptor");
        let svscan = command(&tree).stdout_to(writer());
        if both { svscan.stderr_to(writer()) } else { svscan }.start()
    };
    let first = begin(&writer);
    tree.wait_lines("s/a/started", 1);
    let main = supervise(&tree, "s/a");
    kill(first);
    tree.service("s/a/log", "#!/bin/sh\nexec cat >>logged\n");
    let svscan = begin(if another { &other_writer } else { &writer });
    drop((writer, other_writer));
    tree.wait_up("s/a/log");
    wait_watched(&svscan, &[main]);
    assert_ne!(pipe(main, 1), pipe(supervise(&tree, "s/a/log"), 0));
    for _ in 0..50 {
        tree.svc("-h", "s/a");
        ear.hears("said\n");
    }
    // It has its logger from the next supervise on.
    tree.svc("-dx", "s/a");
    tree.wait_lines("s/a/started", 2);
    assert_connected(&tree, "s/a");
    tree.svc("-h", "s/a");
    tree.wait_text("s/a/log/logged", "said\n");
    finish(&tree, svscan);
    ear.hears("");
    other_ear.hears("");
}

#[test]
fn a_pipe_for_output_and_messages_is_not_taken_for_that_to_a_logger() {
    output_is_not_taken_for_a_log(true, false);
    output_is_not_taken_for_a_log(true, true);
}

#[test]
fn a_pipe_for_output_alone_is_not_taken_for_that_to_a_logger() {
    output_is_not_taken_for_a_log(false, false);
    output_is_not_taken_for_a_log(false, true);
}

#[test]
fn a_service_may_do_with_its_output_what_it_likes() {
    for (habit, redirection) in [
        ("closed", "exec 1>&-"),
        ("to a file", "exec 1>out"),
        ("to another program", "mkfifo to; cat <to >>out & exec 3>&1 1>to; rm to"),
        (
            "through a pipe",
            "exec perl -e 'pipe(R, W); $p = fork; if (!$p) { close W; open(O, \">>\", \"out\"); while (<R>) { syswrite(O, $_) } exit } close R; open(STDOUT, \">&W\"); $| = 1; $SIG{HUP} = sub { print \"said\\n\" }; open(S, \">>\", \"started\"); print S \"$$\\n\"; close S; sleep 1000 while 1'",
        ),
    ] {
        let tree = tree();
        let text = format!(
            "#!/bin/sh\n{redirection}\ntrap 'echo said 2>&-' HUP\n[ -p idle ] || mkfifo idle\n\
             exec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n"
        );
        tree.service("s/a", &text);
        tree.service("s/a/log", "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n");
        let mut svscan = svscan(&tree);
        let dirs = ["s/a", "s/a/log"];
        for dir in dirs {
            tree.wait_lines(Path::new(dir).join("started"), 1);
        }
        let status = tree.wait_status("s/a", "up", |s| s.pid() != 0);
        let mut lines = 0;
        // Its logger and nobody; all of its supervision; all but itself.
        for (n, last) in [(0, false), (2, false), (2, true)] {
            let logger = tree.wait_up("s/a/log");
            let supervises = dirs.map(|dir| supervise(&tree, dir));
            let before = starts(&tree, "s/a/log");
            kill(svscan);
            for &pid in &supervises[..n] {
                process::signal(pid, Signal::KILL);
                process::wait_gone(pid);
            }
            if last {
                process::signal(logger, Signal::KILL);
                process::wait_gone(logger);
            }
            svscan = command(&tree).start();
            for (dir, &old) in dirs.iter().zip(&supervises) {
                wait_until("it has a supervise", DEADLINE, || tree.is_supervised(dir));
                assert!(n == 0 || supervise(&tree, dir) != old);
            }
            tree.wait_lines("s/a/log/started", before + usize::from(last));
            assert_eq!(tree.wait_status("s/a", habit, |s| s.pid() != 0), status, "{habit}");
            for _ in 0..20 {
                tree.svc("-h", "s/a");
                lines += 1;
                if habit == "closed" {
                    continue;
                }
                tree.wait_lines("s/a/out", lines);
            }
        }
        assert_eq!(tree.text("s/a/log/logged"), "", "{habit}");
        // What it says later is for the logger again.
        tree.service("s/a", "#!/bin/sh\necho $$ >>started\necho later\nexec sleep 1000\n");
        tree.svc("-t", "s/a");
        tree.svc("-k", "s/a");
        tree.wait_text("s/a/log/logged", "later\n");
        svscan.signal(Signal::TERM);
        leaves(svscan);
    }
}

// svscan's own logger

#[test]
fn the_log_service_of_svscan_goes_on_with_the_next_one() {
    let tree = tree();
    tree.script("s/.all/run", "#!/bin/sh\necho $$ >>started\nexec cat >>logged\n");
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said' HUP\nmkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    let begin = || command(&tree).arg(".all").start();
    let mut svscan = begin();
    tree.wait_lines("s/a/started", 1);
    let dirs = ["s/.all", "s/a"];
    let status = dirs.map(|dir| {
        tree.wait_up(dir);
        tree.status(dir)
    });
    // Nobody else; everybody; and the same when the logger's supervise has the pipe as its output,
    // because it was started again.
    let rounds = [(false, false), (true, false), (false, true), (true, true)];
    for (n, (all, again)) in (1..).zip(rounds) {
        if again {
            let old = supervise(&tree, "s/.all");
            process::signal(old, Signal::KILL);
            process::wait_gone(old);
            tree.wait_supervised("s/.all");
        }
        let supervises = dirs.map(|dir| supervise(&tree, dir));
        kill(svscan);
        if all {
            for pid in supervises {
                process::signal(pid, Signal::KILL);
                process::wait_gone(pid);
            }
        }
        svscan = begin();
        wait_until("the next svscan is heard", DEADLINE, || {
            count(&tree.text("s/.all/logged"), "svscan: info: starting") == n + 1
        });
        for (dir, &old) in dirs.iter().zip(&supervises) {
            assert_eq!(supervise(&tree, dir) != old, all);
        }
        tree.svc("-h", "s/a");
        wait_until("the service is heard", DEADLINE, || {
            count(&tree.text("s/.all/logged"), "said") == n
        });
        assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    }
    finish(&tree, svscan);
}

// svscanboot

#[test]
fn svscanboot_starts_the_next_svscan_and_no_service_notices() {
    let tree = tree();
    counter(&tree, "s/a", "0.001");
    tree.service(
        "s/b",
        "#!/bin/sh\ntrap 'echo said' HUP\nmkfifo idle\nexec 8<>idle\necho $$ >>started\n\
         while :; do read -r line <&8; done\n",
    );
    let mut path = tree.suite().bin().as_os_str().as_bytes().to_vec();
    path.extend(b":/usr/bin:/bin\n");
    tree.write("env/PATH", path);
    let boot = tree.cmd("svscanboot").args(["-e", "env", "-l", "log", "s"]).start();
    let dirs = ["s/a", "s/a/log", "s/b"];
    let mut svscan = find_below(boot.pid(), &["svscan", "s"]);
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    let status = dirs.map(|dir| tree.wait_status(dir, "up", |s| s.pid() != 0));
    for all in [false, true] {
        let supervises = dirs.map(|dir| supervise(&tree, dir));
        process::signal(svscan, Signal::KILL);
        if all {
            for pid in supervises {
                process::signal(pid, Signal::KILL);
            }
        }
        svscan = wait_for("the next svscan", DEADLINE, || {
            let found = tree.find(&["svscan", "s"]);
            found.into_iter().find(|&pid| pid != svscan && process::is_alive(pid))
        });
        for dir in dirs {
            tree.wait_supervised(dir);
        }
        tree.svc("-h", "s/b");
        wait_until("it is heard", DEADLINE, || {
            count(&tree.text("log"), "said") == 1 + usize::from(all)
        });
    }
    for (dir, status) in dirs.into_iter().zip(status) {
        assert_eq!(tree.status(dir), Some(status));
    }
    boot.signal(Signal::TERM);
    leaves(boot);
    assert_eq!(tree.processes(), []);
    assert_all_logged(&tree, "s/a");
    let said = tree.text("log");
    assert_eq!(count(&said, "svscan was killed by signal 9; it is started again"), 2, "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}

// Between svscan and a new supervise

/// Starts svscan with another program as its supervise.
fn with_supervise(tree: &Tree, path: &Path) -> Process {
    let path = format!("{}:/usr/bin:/bin", path.display());
    command(tree).env("PATH", path).start()
}

/// How many locks a process has by what it has open.
fn locks(pid: u32) -> usize {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = infos.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter(|text| text.lines().any(|line| line.starts_with("lock:"))).count()
}

#[test]
fn a_supervise_that_nobody_can_find_yet_is_waited_for() {
    let tree = tree();
    counter(&tree, "s/a", "0.01");
    let real = Suite::get().bin().join("supervise");
    let text = format!(
        "#!/bin/sh\necho $$ >>../begun\nwhile ! [ -e {} ]; do sleep 0.01; done\n\
         exec {} \"$@\"\n",
        tree.path("go").display(),
        real.display()
    );
    tree.mkdir("bin");
    tree.script("bin/supervise", text);
    tree.symlink(Suite::get().bin().join("multilog"), "bin/multilog");
    let first = with_supervise(&tree, &tree.path("bin"));
    let begun = [tree.wait_lines("begun", 1), tree.wait_lines("s/begun", 1)].concat();
    kill(first);
    tree.write("go", "");
    let second = with_supervise(&tree, &tree.path("bin"));
    let dirs = ["s/a", "s/a/log"];
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    wait_watched(&second, &supervises);
    assert_connected(&tree, "s/a");
    wait_counted(&tree, "s/a", 10);
    assert_eq!(second.stderr(), "");
    let again = [tree.wait_lines("begun", 1), tree.wait_lines("s/begun", 1)].concat();
    assert_eq!(begun, again, "started once");
    for (dir, pid) in dirs.into_iter().zip(supervises) {
        let service = tree.wait_up(dir);
        wait_until("it has its own environment", PROMPT, || {
            let environment = process::environment(service);
            !environment.iter().any(|v| v.to_string_lossy().starts_with("DAEMONTOOLS_GATE"))
        });
        assert_eq!(locks(pid), 1, "its own, and no more that of the scan directory");
    }
    finish(&tree, second);
}

#[test]
fn a_supervise_that_keeps_what_it_inherits_does_not_keep_the_next_svscan_out() {
    let tree = tree();
    tree.idle_service("s/a");
    let first = with_supervise(&tree, &original());
    let pid = tree.wait_up("s/a");
    kill(first);
    let second = with_supervise(&tree, &original());
    wait_watched(&second, &[supervise(&tree, "s/a")]);
    assert_eq!(tree.wait_up("s/a"), pid);
    assert_eq!(second.stderr(), "");
    second.signal(Signal::TERM);
    leaves(second);
    // The original's supervise leaves its service behind.
    process::signal(pid, Signal::KILL);
}

// What cannot be had

/// Without the right to look at the processes of other users, and with services that are others'.
#[test]
fn a_pipe_that_cannot_be_had_back_is_said_with_the_remedy() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let (account, ..) = account();
    tree.chmod("", 0o777);
    let run = COUNTER
        .replace("PAUSE", "0.001")
        .replace("exec perl", &format!("exec setuidgid {account} perl"));
    tree.service("s/a", &run);
    tree.chmod("s/a", 0o777);
    tree.service(
        "s/a/log",
        &format!(
            "#!/bin/sh\necho $$ >>started\nexec setuidgid {account} multilog s16777215 n50 ./main\n"
        ),
    );
    tree.chmod("s/a/log", 0o777);
    let begin = || {
        let without = ["setpriv", "--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace", "--"];
        command(&tree).under(without).start()
    };
    let first = begin();
    wait_counted(&tree, "s/a", 100);
    let dirs = ["s/a", "s/a/log"];
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    kill(first);
    // As long as one of the supervises lives, nothing is missing.
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    let second = begin();
    wait_until("another", DEADLINE, || tree.is_supervised("s/a"));
    assert_connected(&tree, "s/a");
    assert_eq!(second.stderr(), "");
    let supervises = dirs.map(|dir| supervise(&tree, dir));
    kill(second);
    for pid in supervises {
        process::signal(pid, Signal::KILL);
        process::wait_gone(pid);
    }
    let third = begin();
    for dir in dirs {
        wait_until("another", DEADLINE, || tree.is_supervised(dir));
    }
    let line = "svscan: warning: unable to get back the pipe from a to its logger: access denied; \
                to connect them anew: svc -x a/log; svc -dx a\n";
    assert_eq!(third.stderr(), line);
    // Nothing has happened yet: they still have the old one.
    let pid = tree.wait_up("s/a");
    wait_counted(&tree, "s/a", newest(&tree, "s/a") + 100);
    assert_eq!((starts(&tree, "s/a"), starts(&tree, "s/a/log")), (1, 1));
    tree.svc("-x", "s/a/log");
    tree.svc("-dx", "s/a");
    process::wait_gone(pid);
    tree.wait_lines("s/a/started", 2);
    tree.wait_lines("s/a/log/started", 2);
    wait_counted(&tree, "s/a", 100);
    assert_connected(&tree, "s/a");
    assert_eq!(third.stderr(), line);
    finish(&tree, third);
}

#[test]
fn there_may_be_more_to_take_over_than_descriptors() {
    for logged in [false, true] {
        more_than_descriptors(logged);
    }
}

fn more_than_descriptors(logged: bool) {
    let tree = tree();
    let dirs: Vec<String> = (0..60).map(|n| format!("s/{n}")).collect();
    for (n, dir) in dirs.iter().enumerate() {
        tree.idle_service(dir);
        if logged && n % 3 == 0 {
            tree.idle_service(format!("{dir}/log"));
        }
    }
    let begin = || command(&tree).under(["prlimit", "--nofile=32:"]).start();
    let first = begin();
    let mut all = dirs.clone();
    let logged = dirs.iter().filter(|dir| tree.exists(format!("{dir}/log")));
    all.extend(logged.map(|dir| format!("{dir}/log")));
    for dir in &all {
        tree.wait_up(dir);
    }
    let status: Vec<_> = all.iter().map(|dir| tree.status(dir)).collect();
    let supervises: Vec<u32> = all.iter().map(|dir| supervise(&tree, dir)).collect();
    kill(first);
    let svscan = begin();
    wait_watched(&svscan, &supervises);
    assert_eq!(svscan.stderr(), "");
    assert_eq!(all.iter().map(|dir| tree.status(dir)).collect::<Vec<_>>(), status);
    // What it starts later has the limit that svscan was started with.
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    let pid = supervise(&tree, "s/0").to_string();
    let limit = ["--noheadings", "--raw", "--output=SOFT", "--nofile", "--pid"];
    tree.cmd("prlimit").args(limit).arg(&pid).run().is(0, "32\n", "");
    finish(&tree, svscan);
}

#[test]
fn svscan_tells_how_a_service_ended_where_the_kernel_does_not() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.service("s/a", "#!/bin/sh\ntrap 'exit 7' USR1\nmkfifo idle\nexec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n");
    let svscan = svscan(&tree);
    tree.wait_lines("s/a/started", 1);
    let pid = tree.wait_up("s/a");
    for (signal, end) in [(Signal::USR1, "code 7"), (Signal::KILL, "signal 9")] {
        let pid = match signal {
            Signal::USR1 => pid,
            _ => tree.wait_restart("s/a", pid),
        };
        system::wait_settled(&tree, "s/a");
        let first = supervise(&tree, "s/a");
        process::signal(first, Signal::KILL);
        process::wait_gone(first);
        let next = supervise(&tree, "s/a");
        tree.wait_supervised("s/a");
        // As before Linux 6.15.
        let number = next.to_string();
        let tracer = ["-qq", "-o", "calls", "-e", "inject=ioctl:error=ENOTTY", "-p", &number];
        let tracer = tree.sh("exec strace \"$@\"").arg("strace").args(tracer).start();
        wait_until("it is traced", DEADLINE, || {
            let status = fs::read_to_string(format!("/proc/{next}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        });
        process::signal(pid, signal);
        let line = format!("ended={pid} {end}");
        tree.wait_text("s/a/supervise/process", &line);
        tree.wait_restart("s/a", pid);
        tracer.signal(Signal::TERM);
        let _ = tracer.wait();
    }
    finish(&tree, svscan);
}
