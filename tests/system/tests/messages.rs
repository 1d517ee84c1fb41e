//! No supervisor waits to print a message: a terminal is stopped, a log disk is full, a collector hangs.

use harness::{DEADLINE, Process, Pty, Signal, Tree, process, wait_until};
use rustix::fs::{Mode, OFlags, fcntl_getfl};
use rustix::termios::{Action, tcflow};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use system::{PROMPT, assert_exit_0, kill, tree, wait_descendant};

/// A pipe that is full of dashes.
struct Full {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Full {
    fn new() -> Self {
        let (reader, writer) = pipe().expect("make a pipe");
        let mut own = without_waiting(&writer, OFlags::WRONLY);
        while own.write(&[b'-'; 4096]).is_ok() {}
        Self { reader, writer }
    }

    fn end(&self) -> OwnedFd {
        self.writer.try_clone().expect("a copy").into()
    }

    /// What is in the pipe, without the dashes at the beginning.
    fn drain(&self) -> String {
        let mut text = String::new();
        // Ends with "would block".
        let _ = without_waiting(&self.reader, OFlags::RDONLY).read_to_string(&mut text);
        text.trim_start_matches('-').to_owned()
    }

    /// Reads until a text has come. Returns everything.
    #[track_caller]
    fn wait(&self, needle: &str) -> String {
        let mut text = String::new();
        wait_until(needle, DEADLINE, || {
            text.push_str(&self.drain());
            text.contains(needle)
        });
        text
    }
}

/// Another open file of a pipe's end, whose reads and writes do not wait.
fn without_waiting(end: &impl AsRawFd, flags: OFlags) -> File {
    let path = format!("/proc/self/fd/{}", end.as_raw_fd());
    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("open the pipe again").into()
}

fn with_messages_to(tree: &Tree, program: &str, arguments: &[&str], to: OwnedFd) -> Process {
    tree.cmd(program).args(arguments).stderr_to(to).start()
}

/// The number of dropped messages that a text reports.
fn dropped(text: &str) -> usize {
    let lines =
        text.lines().filter(|line| line.contains(" dropped: standard error took no more text"));
    lines.map(|line| line.split(' ').nth(2).expect("a number").parse::<usize>().expect(line)).sum()
}

#[test]
fn svscan_works_on_while_its_messages_have_no_room() {
    let tree = tree();
    let full = Full::new();
    tree.idle_service("s/a");
    let svscan = with_messages_to(&tree, "svscan", &["s"], full.end());
    let service = tree.wait_up("s/a");
    // Far more messages than the buffer holds.
    for number in 0..200 {
        tree.symlink("/nonexistent", format!("s/dangling{number}"));
    }
    tree.idle_service("t/b");
    tree.symlink("../t/b", "s/b");
    wait_until("a new service runs", PROMPT, || tree.is_supervised("s/b"));
    // A killed supervise is a message too.
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    process::signal(supervise, Signal::KILL);
    wait_until("it is started again", DEADLINE, || {
        process::descendants(svscan.pid())
            .into_iter()
            .any(|pid| pid != supervise && process::arguments(pid) == ["supervise", "a"])
    });
    assert_eq!(tree.wait_up("s/a"), service);
    // The flag would hold for the services, which have the same open file.
    assert!(!fcntl_getfl(&full.writer).expect("flags").contains(OFlags::NONBLOCK));
    let text = full.wait(" dropped: standard error took no more text\n");
    let whole = text.matches("svscan: warning: unable to stat dangling").count();
    assert_eq!(text.matches(": file does not exist\n").count(), whole, "{text}");
    assert_eq!(whole + dropped(&text), 201, "{text}");
    assert!((30..100).contains(&whole), "{whole}");
    // From now on all is as before.
    tree.symlink("/nonexistent", "s/another");
    full.wait("svscan: warning: unable to stat another: file does not exist\n");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn what_the_buffer_holds_is_printed_as_soon_as_there_is_room() {
    let tree = tree();
    let full = Full::new();
    tree.mkdir("s");
    let svscan = with_messages_to(&tree, "svscan", &["s"], full.end());
    tree.symlink("/nonexistent", "s/dangling");
    tree.idle_service("t/b");
    tree.symlink("../t/b", "s/b");
    tree.wait_supervised("s/b");
    assert_eq!(
        full.wait("exist\n"),
        "svscan: warning: unable to stat dangling: file does not exist\n"
    );
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(full.drain(), "");
}

#[test]
fn supervise_obeys_while_its_messages_have_no_room() {
    let tree = tree();
    let full = Full::new();
    // No run: each start is a message.
    tree.mkdir("a");
    let supervise = with_messages_to(&tree, "supervise", &["a"], full.end());
    tree.wait_supervised("a");
    wait_until("it has started twice", DEADLINE, || {
        tree.status("a").is_some_and(|status| status.pid() != 0)
    });
    tree.svc("-d", "a");
    tree.wait_down("a");
    tree.idle_service("b");
    tree.rename("b/run", "a/run");
    tree.svc("-u", "a");
    tree.wait_up("a");
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
}

#[test]
fn a_program_that_ends_waits_a_second_for_its_last_message() {
    let tree = tree();
    let full = Full::new();
    let output = with_messages_to(&tree, "supervise", &["none"], full.end()).wait_within(PROMPT);
    assert_eq!(output.code, Some(111));
    // With room there is no wait, and nothing is lost.
    full.drain();
    let output = with_messages_to(&tree, "supervise", &["none"], full.end()).wait_within(PROMPT);
    assert_eq!(output.code, Some(111));
    assert_eq!(full.drain(), "supervise: fatal: unable to chdir to none: file does not exist\n");
}

#[test]
fn a_stopped_terminal_stops_no_supervisor() {
    let tree = tree();
    let (mut terminal, end) = Pty::open();
    tree.mkdir("s");
    let copy = end.try_clone().expect("a copy");
    let svscan = with_messages_to(&tree, "svscan", &["s"], copy);
    tree.idle_service("t/a");
    tree.symlink("../t/a", "s/a");
    let service = tree.wait_up("s/a");
    tcflow(&end, Action::OOff).expect("stop the output");
    tree.symlink("/nonexistent", "s/dangling");
    tree.idle_service("t/b");
    tree.symlink("../t/b", "s/b");
    wait_until("a new service runs", PROMPT, || tree.is_supervised("s/b"));
    // supervise has something to say as well.
    tree.remove("t/a/run");
    process::signal(service, Signal::KILL);
    tree.svc("-d", "s/a");
    tree.wait_down("s/a");
    assert!(!fcntl_getfl(&end).expect("flags").contains(OFlags::NONBLOCK));
    tcflow(&end, Action::OOn).expect("let it go on");
    terminal.wait_shown("svscan: warning: unable to stat dangling: file does not exist");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn multilog_logs_while_its_alerts_have_no_reader() {
    let tree = tree();
    let full = Full::new();
    let seq = "seq 100000 | multilog e ./main";
    let logger = tree.sh(seq).stderr_to(full.end()).start();
    wait_until("all is logged", DEADLINE, || {
        let text = std::fs::read_to_string(tree.path("main/current")).unwrap_or_default();
        text.ends_with("100000\n")
    });
    assert_eq!(logger.wait().code, Some(0));
    assert!(!fcntl_getfl(&full.writer).expect("flags").contains(OFlags::NONBLOCK));
}

#[test]
fn a_slow_reader_of_alerts_gets_all_of_them() {
    let tree = tree();
    let (mut reader, writer) = pipe().expect("make a pipe");
    let script = "seq 50000 | multilog e '-*' ./main";
    let logger = tree.sh(script).stderr_to(writer).start();
    wait_until("the pipe is full", DEADLINE, || {
        rustix::io::ioctl_fionread(&reader).is_ok_and(|bytes| bytes > 60_000)
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read the alerts");
    let wanted: String = (1..=50_000).map(|number| format!("{number}\n")).collect();
    assert!(text == wanted, "{} of {} bytes", text.len(), wanted.len());
    assert_eq!(logger.wait().code, Some(0));
}

#[test]
fn multilog_counts_alerts_that_have_no_room() {
    let tree = tree();
    let full = Full::new();
    tree.fifo("in", 0o600);
    let mut input = tree.open_fifo("in");
    drop(input.drain());
    let logger = tree.sh("exec multilog e ./main <in").stderr_to(full.end()).start();
    tree.sh("seq 10000 20000 >in").run().is(0, "", "");
    tree.wait_text("main/current", "20000\n");
    let text = full.wait(" dropped: standard error took no more text\n");
    let lines = text.lines().filter(|line| line.parse::<u32>().is_ok()).count();
    assert_eq!(lines + dropped(&text), 10_001);
    assert!(text.contains("multilog: warning: "), "{text}");
    kill(logger);
}
