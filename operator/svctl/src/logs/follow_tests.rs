use super::*;
use harness::{DEADLINE, Process, Signal, Tree, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::OpenOptions;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write as _, pipe};

/// A follower, and what it has told: lines as they are, everything else in brackets.
struct Told {
    follower: LogFollower,
    lines: Vec<String>,
    part: String,
}

impl Told {
    fn new() -> Self {
        Self { follower: LogFollower::new().unwrap(), lines: Vec::new(), part: String::new() }
    }

    /// Follows `log` of a tree.
    fn of(tree: &Tree, from: FollowFrom) -> Self {
        let mut told = Self::new();
        told.follower.add(&tree.path("log"), from, None).unwrap();
        told.read();
        told
    }

    /// Reads what there is.
    fn read(&mut self) {
        loop {
            let (lines, part) = (&mut self.lines, &mut self.part);
            let progress = self.follower.read(&mut |_, event| match event {
                FollowEvent::Part(text) => part.push_str(&String::from_utf8_lossy(text)),
                FollowEvent::Line(text) => {
                    part.push_str(&String::from_utf8_lossy(text));
                    lines.push(std::mem::take(part));
                }
                FollowEvent::Missing(MissingLines::Removed { files, .. }) => {
                    lines.push(format!("[{files} removed]"));
                }
                FollowEvent::Missing(MissingLines::Unknown) => lines.push("[unknown]".to_owned()),
                FollowEvent::Missing(MissingLines::Truncated) => {
                    lines.push("[truncated]".to_owned());
                }
                FollowEvent::Missing(MissingLines::Unreadable { name, .. }) => {
                    lines.push(format!("[unreadable {}]", name.display()));
                }
                FollowEvent::Gone => lines.push("[gone]".to_owned()),
                FollowEvent::Back => lines.push("[back]".to_owned()),
            });
            if progress.unwrap() == FollowProgress::Done {
                return;
            }
        }
    }

    /// Whether the descriptor is readable at once.
    fn is_woken(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.follower.fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).unwrap() > 0
    }

    /// Waits for the descriptor, and reads, until a line has come.
    #[track_caller]
    fn wait_for(&mut self, last: &str) {
        wait_until(&format!("the line {last:?}"), DEADLINE, || {
            if self.is_woken() {
                self.read();
            }
            self.lines.last().is_some_and(|line| line.ends_with(last))
        });
    }

    #[track_caller]
    fn take(&mut self) -> Vec<String> {
        self.read();
        std::mem::take(&mut self.lines)
    }
}

/// A logger that reads from a pipe and can be killed. The next one reads the same pipe.
struct Logger<'t> {
    tree: &'t Tree,
    script: String,
    input: PipeReader,
    output: PipeWriter,
    process: Option<Process>,
    next: usize,
}

impl<'t> Logger<'t> {
    fn start(tree: &'t Tree, script: &str) -> Self {
        let (input, output) = pipe().unwrap();
        // A logger that does not read fails the test.
        rustix::io::ioctl_fionbio(&output, true).unwrap();
        let script = script.to_owned();
        let mut logger = Self { tree, script, input, output, process: None, next: 0 };
        logger.restart();
        logger
    }

    fn restart(&mut self) {
        let script = self.tree.sh(&format!("exec {}", self.script));
        self.process = Some(script.stdin_from(self.input.try_clone().unwrap()).start());
    }

    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
        self.restart();
    }

    /// Writes numbered lines.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let line = format!("line {}\n", self.next);
            wait_until("the logger reads", DEADLINE, || {
                match self.output.write_all(line.as_bytes()) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => false,
                    written => written.map(|()| true).unwrap(),
                }
            });
            self.next += 1;
        }
    }

    /// Ends the logger. All lines are in the files then.
    fn finish(mut self) {
        drop(self.output);
        drop(self.input);
        if let Some(process) = self.process.take() {
            assert_eq!(process.wait().code, Some(0));
        }
    }
}

/// All lines of the directory, which has lost none.
fn whole(tree: &Tree) -> Vec<String> {
    let script = "cd log; for file in @* current; do [ ! -e $file ] || zcat -f $file; done";
    tree.sh(script).run().out().lines().map(ToOwned::to_owned).collect()
}

fn numbers(lines: &[String]) -> Vec<usize> {
    let text = |line: &String| line.rsplit_once("line ").map(|(_, number)| number.to_owned());
    lines.iter().filter_map(text).map(|number| number.parse().unwrap()).collect()
}

fn append(tree: &Tree, name: &str, text: &str) {
    let path = tree.path(name);
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A finished file's name.
fn finished(seconds: i64, code: &str) -> String {
    let stamp = daemontools_core::time::tai::Tai64n::from_unix(1_800_000_000 + seconds, 0).stamp();
    format!("log/{}.{code}", String::from_utf8_lossy(&stamp).trim_end())
}

/// A logger that writes while the follower reads: each line comes once, in order.
#[track_caller]
fn all_lines_come_once(script: &str, setup: impl FnOnce(&Tree)) {
    let tree = Tree::new();
    setup(&tree);
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    let mut logger = Logger::start(&tree, script);
    for round in 0..60 {
        logger.write(200);
        // The follower is late in different ways: some rounds it sees several rotations at once.
        if round % 3 != 0 {
            told.read();
        }
    }
    logger.finish();
    told.read();
    told.lines.retain(|line| line != "[back]");
    assert_eq!(told.lines, whole(&tree), "{script}");
    assert_eq!(numbers(&told.lines), (0..12_000).collect::<Vec<_>>(), "{script}");
}

#[test]
fn multilogs_lines_come_once() {
    all_lines_come_once("multilog t s4096 n1000 ./log", |_| {});
    all_lines_come_once("multilog s4096 n1000 ./log", |_| {});
}

#[test]
fn the_lines_of_a_log_with_a_processor_come_once() {
    all_lines_come_once("multilog t s4096 n1000 !gzip ./log", |_| {});
}

#[test]
fn svlogds_lines_come_once() {
    if !harness::requires("svlogd") {
        return;
    }
    let config = |text: &'static str| {
        move |tree: &Tree| {
            tree.write("log/config", text);
        }
    };
    all_lines_come_once("svlogd -t ./log", config("s4096\nn1000\n"));
    all_lines_come_once("svlogd ./log", config("s4096\nn1000\n!gzip\n"));
}

#[test]
fn s6_logs_lines_come_once() {
    if !harness::requires("s6-log") {
        return;
    }
    all_lines_come_once("s6-log t s4096 n1000 ./log", |_| {});
    // It starts a processor by this program.
    if !harness::requires("execlineb") {
        return;
    }
    all_lines_come_once("s6-log s4096 n1000 !gzip ./log", |_| {});
}

#[test]
fn a_killed_loggers_lines_come_once() {
    for script in ["multilog t s4096 n1000 ./log", "multilog s4096 n1000 !gzip ./log"] {
        let tree = Tree::new();
        let mut told = Told::of(&tree, FollowFrom::Beginning);
        let mut logger = Logger::start(&tree, script);
        for round in 0..30 {
            logger.write(100 + 40 * (round % 7));
            if round % 2 == 0 {
                told.read();
            }
            logger.kill();
        }
        logger.finish();
        told.read();
        told.lines.retain(|line| line != "[back]");
        assert_eq!(told.lines, whole(&tree), "{script}");
    }
}

/// With few files, the logger removes some before they are read. That is told in their place.
#[test]
fn removed_lines_are_told() {
    for script in ["multilog t s4096 n5 ./log", "multilog t s4096 n3 !gzip ./log"] {
        let tree = Tree::new();
        let mut told = Told::of(&tree, FollowFrom::Beginning);
        let mut logger = Logger::start(&tree, script);
        // A follower that has seen no line yet cannot know that some are gone.
        logger.write(1);
        told.wait_for("line 0");
        for round in 0..60 {
            logger.write(700);
            if round % 4 == 0 {
                told.read();
            }
        }
        let count = logger.next;
        logger.finish();
        told.read();
        let mut next = 0;
        let mut is_gap = false;
        for line in &told.lines {
            match numbers(std::slice::from_ref(line))[..] {
                [number] => {
                    assert!(number == next || (is_gap && number > next), "{script}: {line} {next}");
                    next = number + 1;
                    is_gap = false;
                }
                _ => is_gap |= line.ends_with("removed]"),
            }
        }
        assert_eq!(next, count, "{script}");
        assert!(told.lines.iter().any(|line| line.ends_with("removed]")), "{script}");
    }
}

/// A follower that keeps up loses nothing even with tiny files.
#[test]
fn a_quick_follower_misses_nothing_of_few_tiny_files() {
    let tree = Tree::new();
    let mut told = Told::of(&tree, FollowFrom::Now);
    let mut logger = Logger::start(&tree, "multilog t s4096 n2 ./log");
    for _ in 0..100 {
        // Less than a file.
        logger.write(40);
        told.wait_for(&format!("line {}", logger.next - 1));
    }
    assert_eq!(numbers(&told.lines), (0..4000).collect::<Vec<_>>());
    assert!(!told.lines.iter().any(|line| line.ends_with("removed]")), "{:?}", told.lines);
    logger.finish();
    told.read();
    assert!(!told.is_woken(), "an idle log wakes nothing");
}

#[test]
fn only_new_lines_come_from_now_on() {
    let tree = Tree::new();
    tree.write("log/current", "old\nbegun");
    tree.write(finished(1, "s"), "older\n");
    let mut told = Told::of(&tree, FollowFrom::Now);
    assert_eq!(told.take(), [""; 0]);
    append(&tree, "log/current", " and ended\nnew\n");
    assert_eq!(told.take(), ["begun and ended", "new"]);
}

/// What was read elsewhere is not read again, whatever has happened to the files meanwhile.
#[test]
fn following_continues_behind_a_list() {
    let tree = Tree::new();
    tree.write("log/current", "1\n2\n");
    tree.write(finished(1, "s"), "0\n");
    let directory = LogDirectory::open(&tree.path("log"), None, None).unwrap();
    append(&tree, "log/current", "3\n");
    tree.rename("log/current", finished(2, "s"));
    tree.write(finished(3, "s"), "4\n");
    tree.write("log/previous", "5\n");
    tree.write("log/current", "6\n");
    let mut told = Told::of(&tree, FollowFrom::Behind(Box::new(directory), 2, None));
    assert_eq!(told.take(), ["2", "3", "4", "5", "6"]);
}

#[test]
fn a_line_goes_on_in_the_next_file_unless_the_logger_was_killed() {
    let tree = Tree::new();
    tree.write("log/current", "a\nbeg");
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), ["a"]);
    tree.rename("log/current", "log/previous");
    tree.write("log/current", "un\nkill");
    assert_eq!(told.take(), ["begun"]);
    tree.rename("log/current", finished(1, "u"));
    tree.write("log/current", "b\n");
    assert_eq!(told.take(), ["kill", "b"]);
}

#[test]
fn long_lines_and_any_bytes_come_through() {
    let tree = Tree::new();
    let long = "x".repeat(1_000_000);
    tree.write("log/current", format!("{long}\n\0\x1b[31m\n"));
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), [long.as_str(), "\0\x1b[31m"]);
    append(&tree, "log/current", &long);
    told.read();
    assert!(told.part.len() > 900_000, "a line without an end is passed on");
    append(&tree, "log/current", "\n");
    assert_eq!(told.take(), [long]);
}

#[test]
fn a_truncated_file_is_told() {
    let tree = Tree::new();
    tree.write("log/current", "1\n2\n3\n");
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), ["1", "2", "3"]);
    tree.write("log/current", "4\n");
    assert_eq!(told.take(), ["[truncated]", "4"]);
}

#[test]
fn a_removed_current_is_read_until_there_is_another() {
    let tree = Tree::new();
    tree.write("log/current", "1\n");
    let mut held = OpenOptions::new().append(true).open(tree.path("log/current")).unwrap();
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), ["1"]);
    tree.remove("log/current");
    held.write_all(b"2\n").unwrap();
    assert_eq!(told.take(), ["2"]);
    tree.write("log/current", "3\n");
    assert_eq!(told.take(), ["3"]);
}

#[test]
fn a_directory_that_is_made_again_is_followed() {
    let tree = Tree::new();
    let mut told = Told::of(&tree, FollowFrom::Now);
    assert_eq!(told.take(), [""; 0]);
    tree.write("log/current", "1\n");
    assert_eq!(told.take(), ["[back]", "1"]);
    append(&tree, "log/current", "2\n");
    std::fs::remove_dir_all(tree.path("log")).unwrap();
    assert_eq!(told.take(), ["2", "[gone]"]);
    tree.write("log/current", "3\n");
    assert_eq!(told.take(), ["[back]", "3"]);
    // A logger goes on writing in a directory that gets another name.
    tree.rename("log", "other");
    append(&tree, "other/current", "4\n");
    assert_eq!(told.take(), ["4"]);
    tree.write("log/current", "5\n");
    append(&tree, "other/current", "6\n");
    assert_eq!(told.take(), ["6", "[gone]", "[back]", "5"]);
}

#[test]
fn a_directory_behind_links_is_replaced() {
    let tree = Tree::new();
    tree.write("one/log/current", "1\n");
    tree.symlink("one", "now");
    tree.symlink("now/log", "log");
    let mut told = Told::of(&tree, FollowFrom::Now);
    append(&tree, "one/log/current", "2\n");
    assert_eq!(told.take(), ["2"]);
    tree.write("two/log/current", "3\n");
    tree.symlink("two", "next");
    tree.rename("next", "now");
    assert_eq!(told.take(), ["[gone]", "[back]", "3"]);
    append(&tree, "one/log/current", "no\n");
    append(&tree, "two/log/current", "4\n");
    assert_eq!(told.take(), ["4"]);
}

/// The kernel keeps so many events at most. Behind lost ones, the files tell what has happened.
#[test]
fn lost_events_lose_no_line() {
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    for script in ["multilog t s4096 n1000 ./log", "multilog t s4096 n1000 !gzip ./log"] {
        let tree = Tree::new();
        let mut told = Told::of(&tree, FollowFrom::Beginning);
        let mut logger = Logger::start(&tree, script);
        logger.write(1000);
        wait_until("all lines", DEADLINE, || numbers(&whole(&tree)).last() == Some(&999));
        told.read();
        for number in 0..most / 2 + 10 {
            tree.write(format!("log/x{number}"), "");
            tree.remove(format!("log/x{number}"));
        }
        logger.write(3000);
        logger.finish();
        told.read();
        told.lines.retain(|line| line != "[back]");
        assert_eq!(numbers(&told.lines), (0..4000).collect::<Vec<_>>(), "{script}");
    }
}

/// A processor has made a complete file, the logger has removed `previous`, and the final name is not
/// there yet.
#[test]
fn a_processed_file_is_read_before_it_has_a_final_name() {
    let tree = Tree::new();
    let processed = |text: &str| {
        tree.write("log/new", text);
        tree.chmod("log/new", 0o744);
        tree.rename("log/new", "log/processed");
    };
    tree.write(finished(1, "s"), "1\n");
    processed("2\n");
    tree.write("log/current", "3\n");
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), ["1", "2", "3"]);
    tree.rename("log/processed", finished(2, "s"));
    append(&tree, "log/current", "4\n");
    assert_eq!(told.take(), ["4"]);
    // The logger has been faster: the next file is complete as well.
    tree.rename("log/current", finished(3, "s"));
    processed("5\n");
    tree.write("log/current", "6\n");
    assert_eq!(told.take(), ["5", "6"]);
    tree.rename("log/processed", finished(4, "s"));
    // What the processor has made of the file that was read.
    tree.remove("log/current");
    processed("6\n");
    tree.write("log/current", "7\n");
    assert_eq!(told.take(), ["7"]);
    tree.rename("log/processed", finished(5, "s"));
    append(&tree, "log/current", "8\n");
    assert_eq!(told.take(), ["8"]);
}

#[test]
fn no_fifo_blocks_and_no_link_is_followed() {
    let tree = Tree::new();
    tree.write("secret", "secret\n");
    tree.fifo("log/current", 0o600);
    tree.symlink("../secret", finished(1, "s"));
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    assert_eq!(told.take(), [""; 0]);
    tree.remove("log/current");
    tree.symlink("../secret", "log/current");
    assert_eq!(told.take(), [""; 0]);
}

/// Files beside the directories of the path wake nothing. The links and directories of the path do.
#[test]
fn a_busy_directory_on_the_path_wakes_nothing() {
    let tree = Tree::new();
    tree.write("a/b/log/current", "1\n");
    tree.symlink("a", "link");
    let mut told = Told::new();
    told.follower.add(&tree.path("link/b/log"), FollowFrom::Beginning, None).unwrap();
    assert_eq!(told.take(), ["1"]);
    for name in ["file", "a/file", "other/file"] {
        tree.write(name, "");
        tree.remove(name);
    }
    assert!(!told.is_woken());
    tree.rename("a/b", "a/c");
    tree.write("a/b/log/current", "2\n");
    assert!(told.is_woken());
    assert_eq!(told.take(), ["[gone]", "[back]", "2"]);
    tree.remove("link");
    assert!(told.is_woken());
    assert_eq!(told.take(), [""; 0]);
    tree.write("c/b/log/current", "3\n");
    tree.symlink("c", "link");
    assert_eq!(told.take(), ["[gone]", "[back]", "3"]);
}

#[test]
fn several_directories_share_a_descriptor() {
    let tree = Tree::new();
    tree.write("a/current", "");
    tree.write("a/b/current", "");
    let mut told = Told::new();
    let outer = told.follower.add(&tree.path("a"), FollowFrom::Now, None).unwrap();
    told.follower.add(&tree.path("a/b"), FollowFrom::Now, None).unwrap();
    told.follower.add(&tree.path("a/../a/b"), FollowFrom::Now, None).unwrap();
    assert_eq!(told.take(), [""; 0]);
    append(&tree, "a/current", "outer\n");
    assert!(told.is_woken());
    assert_eq!(told.take(), ["outer"]);
    append(&tree, "a/b/current", "inner\n");
    assert_eq!(told.take(), ["inner", "inner"]);
    told.follower.remove(outer);
    append(&tree, "a/current", "no\n");
    append(&tree, "a/b/current", "inner\n");
    assert_eq!(told.take(), ["inner", "inner"]);
}

#[test]
fn a_signal_ends_nothing() {
    let tree = Tree::new();
    let mut told = Told::of(&tree, FollowFrom::Beginning);
    let mut logger = Logger::start(&tree, "multilog s4096 n9 ./log");
    logger.write(10);
    told.wait_for("line 9");
    // ALRM rotates at once.
    if let Some(process) = &logger.process {
        process.signal(Signal::ALARM);
    }
    wait_until("the rotation", DEADLINE, || harness::finished_files(&tree, "log").len() == 1);
    logger.write(10);
    told.wait_for("line 19");
    assert_eq!(numbers(&told.lines), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_name_from_before_the_watch_is_older_than_one_with_an_event() {
    let tree = Tree::new();
    tree.mkdir("log");
    for (seconds, text) in [(1, "one\n"), (2, "two\n")] {
        tree.write(finished(seconds, "s"), text);
    }
    tree.write("log/current", "three\n");
    let directory = LogDirectory::open(&tree.path("log"), None, None).unwrap();
    let mut followed = FollowedDirectory::from_beginning(directory);
    let second = finished(2, "s");
    followed.note_name(std::ffi::OsStr::new(second.trim_start_matches("log/")), true);
    let names = followed.look().unwrap();
    followed.settle(names).unwrap();
    let mut lines = Vec::new();
    let mut room = vec![0; 4096];
    let mut sink = |event: FollowEvent<'_>| {
        if let FollowEvent::Line(line) = event {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
    };
    while followed.read(&mut room, &mut sink).unwrap() {}
    assert_eq!(lines, ["one", "two", "three"]);
}
