//! Asking for more than a status, and waiting: svup, svstat -x, svc -W.

use harness::{DEADLINE, Fifo, Output, Process, Signal, Status, Tree, process, wait_until};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system::{PROMPT, assert_idle, leaves, original, tree};

/// A directory which looks supervised: the test is its supervise.
struct Fake<'t> {
    tree: &'t Tree,
    dir: &'static str,
    control: File,
    _ok: Fifo,
    /// The moment of the last change.
    since: i64,
}

impl<'t> Fake<'t> {
    fn new(tree: &'t Tree, dir: &'static str) -> Self {
        let ok = format!("{dir}/supervise/ok");
        tree.fifo(&ok, 0o600);
        let ok = tree.open_fifo(&ok);
        let control = tree.fifo(format!("{dir}/supervise/control"), 0o600);
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let control = open(&control, flags, Mode::empty()).expect("open a FIFO").into();
        // To come, so that its age is 0.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let since = i64::try_from(now.as_secs() + 1000).expect("it is not that late");
        let fake = Self { tree, dir, control, _ok: ok, since };
        fake.status(0, b'd');
        fake
    }

    /// The label of the status.
    fn label(&self) -> String {
        format!("@{:016x}000001f4", (1_i64 << 62) + 10 + self.since)
    }

    /// Replaces a file of the state directory in one step.
    fn replace(&self, file: &str, content: impl AsRef<[u8]>) {
        let state = format!("{}/supervise", self.dir);
        self.tree.write(format!("{state}/{file}.new"), content);
        self.tree.rename(format!("{state}/{file}.new"), format!("{state}/{file}"));
    }

    fn status(&self, pid: u32, want: u8) {
        self.replace("status", Status::record(self.since, pid, 0, want));
    }

    /// Publishes both, with these lines in the state file.
    fn state(&self, pid: u32, want: u8, lines: &str) {
        self.replace("state", format!("since={}\n{lines}", self.label()));
        self.status(pid, want);
    }

    /// Waits until svc has sent this, and reads it and no more.
    #[track_caller]
    fn gets(&mut self, bytes: &[u8]) {
        let mut read = Vec::new();
        wait_until(&format!("svc sends {:?}", bytes.escape_ascii().to_string()), DEADLINE, || {
            let left = u64::try_from(bytes.len() - read.len()).expect("a small number");
            // It ends with "would block" where there is less.
            let _ = (&mut self.control).take(left).read_to_end(&mut read);
            read.len() == bytes.len()
        });
        assert_eq!(read.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

fn svc<'t>(tree: &'t Tree, arguments: &str) -> harness::Cmd<'t> {
    tree.cmd("svc").args(arguments.split(' '))
}

/// The state of a service, which must not need time to become so.
#[track_caller]
fn pid_of(tree: &Tree, dir: &str) -> u32 {
    tree.status(dir).expect("there is a status").pid()
}

/// Runs svc, which must find things as they should be.
#[track_caller]
fn reached(tree: &Tree, arguments: &str) {
    svc(tree, arguments).run().is(0, "", "");
}

/// Asserts that svc waits on, and sleeps meanwhile.
#[track_caller]
fn still_waits(svc: &mut Process) {
    assert_idle(&[svc.pid()], Duration::from_millis(100));
    assert!(!svc.has_ended());
}

// svup

#[test]
fn svup_tells_up_from_down() {
    let tree = tree();
    tree.idle_service("a");
    let answers = |code: i32| tree.cmd("svup").arg("a").run().is(code, "", "");
    answers(100);
    let supervise = tree.supervise("a");
    reached(&tree, "-W up a");
    answers(0);
    tree.cmd("svup").args(["-r", "a", "ignored"]).run().is(0, "", "");
    reached(&tree, "-d -W down a");
    answers(100);
    reached(&tree, "-u -W up a");
    answers(0);
    tree.svc("-xk", "a");
    leaves(supervise);
    answers(100);
}

#[test]
fn svup_knows_the_records_of_encore() {
    let tree = tree();
    let fake = Fake::new(&tree, "a");
    let record = |pid: u32, state: u8| {
        let mut record = Status::record(0, pid, 0, b'u');
        record.extend([state, 0]);
        record
    };
    for (records, answers) in [
        // What plain svup, -l and -L say.
        (record(7, 3), [0, 0, 100]),
        (record(0, 0), [100, 100, 100]),
        (record(0, 2), [0, 0, 100]),
        (record(0, 3), [0, 0, 100]),
        (record(0, 5), [100, 100, 100]),
        ([record(7, 3), record(8, 3)].concat(), [0, 0, 0]),
        ([record(7, 3), record(0, 0)].concat(), [100, 0, 100]),
        ([record(0, 0), record(8, 3)].concat(), [100, 100, 0]),
    ] {
        fake.replace("status", &records);
        for (options, code) in [&[][..], &["-l"], &["-L"]].into_iter().zip(answers) {
            let output = tree.cmd("svup").args(options).arg("a").run();
            assert_eq!(output.code, Some(code), "{options:?} {records:?}");
        }
        tree.cmd("svup").args(["-Ll", "a"]).run().is(answers[1], "", "");
        tree.cmd("svup").args(["-lL", "a"]).run().is(answers[2], "", "");
    }
}

#[test]
fn svup_tells_ready_from_up() {
    let tree = tree();
    let mut fake = Fake::new(&tree, "a");
    let answers = |up: i32, ready: i32| {
        tree.cmd("svup").arg("a").run().is(up, "", "");
        tree.cmd("svup").args(["-r", "a"]).run().is(ready, "", "");
    };
    answers(100, 100);
    // One that cannot tell is ready when it is up.
    fake.status(7, b'u');
    answers(0, 0);
    for (phase, ready) in
        [("starting", 100), ("ready", 0), ("reloading", 0), ("stopping", 100), ("up", 0)]
    {
        fake.state(7, b'u', &format!("phase={phase}\n"));
        answers(0, ready);
    }
    fake.state(0, b'u', "phase=ready\n");
    answers(100, 100);
    fake.state(7, b'u', "phase=ready\n");
    // The state that belongs to a later status is not known.
    fake.since += 1;
    fake.status(7, b'u');
    answers(0, 100);
    fake.state(7, b'u', "phase=weather\n");
    answers(0, 100);
    // Nor is one that cannot be read.
    tree.remove("a/supervise/state");
    tree.mkdir("a/supervise/state");
    answers(0, 100);
}

#[test]
fn svup_says_what_is_wrong_with_which_directory() {
    let tree = tree();
    let usage = "svup: usage: svup [-L] [-l] [-r] dir\n";
    tree.cmd("svup").run().is(100, "", usage);
    let output = tree.cmd("svup").args(["-x", "a"]).run();
    output.is(100, "", format!("svup: illegal option -- x\n{usage}"));
    let output = tree.cmd("svup").args(["none", "second"]).run();
    output.is(111, "", "svup: fatal: unable to chdir to none: file does not exist\n");
    tree.mkdir("a/supervise");
    let answers = |code: i32, line: &str| tree.cmd("svup").arg("a").run().is(code, "", line);
    answers(100, "");
    tree.mkdir("a/supervise/ok");
    answers(111, "svup: fatal: unable to open a/supervise/ok: is a directory\n");
    fs::remove_dir(tree.path("a/supervise/ok")).expect("remove a directory");
    tree.write("a/supervise/ok", "");
    answers(100, "");
    tree.remove("a/supervise/ok");
    tree.fifo("a/supervise/ok", 0o600);
    answers(100, "");
    let _ok = tree.open_fifo("a/supervise/ok");
    answers(100, "");
    tree.write("a/supervise/status", "short");
    answers(111, "svup: fatal: bad data in a/supervise/status: truncated file\n");
    tree.remove("a/supervise/status");
    tree.mkdir("a/supervise/status");
    answers(111, "svup: fatal: unable to read a/supervise/status: is a directory\n");
    tree.mkdir("a/state/ok");
    let output = tree.cmd("svup").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(111, "", "svup: fatal: unable to open state/ok: is a directory\n");
}

// svstat -x

#[track_caller]
fn extended(tree: &Tree, dir: &str) -> String {
    let output = tree.cmd("svstat").args(["-x", dir]).run();
    let line = output.out();
    output.is(0, &line, "");
    let line = line.strip_prefix(&format!("{dir}: ")).expect("the name comes first");
    line.strip_suffix('\n').expect("a line").to_owned()
}

#[test]
fn svstat_shows_what_supervise_says_beyond_the_status() {
    let tree = tree();
    let mut fake = Fake::new(&tree, "a");
    tree.write("a/down", "");
    let said = |plain: &str, more: &str| {
        assert_eq!(tree.svstat("a"), plain);
        assert_eq!(extended(&tree, "a"), format!("{plain}{more}"));
    };
    let later = |fake: &Fake<'_>| fake.label();
    said("down 0 seconds", "");
    fake.state(0, b'd', "phase=down\n");
    said("down 0 seconds", "");
    fake.state(0, b'u', "phase=failed\nreason=deaths\nfailures=5\n");
    said("down 0 seconds, want up", ", failed: too many deaths, 5 failures");
    fake.state(0, b'u', "phase=blocked\nwaiting-for=db\n");
    said("down 0 seconds, want up", ", waiting for db");
    let next = later(&fake);
    fake.state(0, b'u', &format!("phase=waiting\nfailures=3\nnext={next}\n"));
    let line = extended(&tree, "a");
    let line = line.strip_prefix("down 0 seconds, want up, next start in ").expect("a time");
    let (seconds, rest) = line.split_once(' ').expect("a number of seconds");
    assert!((900..=1000).contains(&seconds.parse::<u32>().expect("a number")), "{seconds}");
    assert_eq!(rest, "seconds, 3 failures");
    let ready = later(&fake);
    let lines = format!("phase=ready\nready={ready}\nreason=check\nmessage=all \x07 \"well\"\n");
    fake.state(7, b'u', &lines);
    let plain = "up (pid 7) 0 seconds, normally down";
    said(plain, ", ready 0 seconds, reason: check failed, status \"all ? \"well\"\"");
    // What does not belong to the status is not shown.
    fake.since += 1;
    fake.status(7, b'u');
    said(plain, "");
    fake.replace("state", "nonsense");
    said(plain, "");
    // It is the service's, not the log script's.
    let both = [Status::record(fake.since, 7, 0, b'u'), vec![3, 0]].concat();
    fake.replace("status", [both.clone(), both].concat());
    fake.replace("state", format!("since={}\nphase=stopping\n", fake.label()));
    let output = tree.cmd("svstat").args(["-x", "a"]).run();
    let plain = "up (pid 7) 0 seconds, normally down, running";
    output.is(0, format!("a: {plain}, stopping\na log: {plain}\n"), "");
}

#[test]
fn svstat_shows_how_the_last_process_ended() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\n[ -e fail ] && exit 3\necho >>started\nexec sleep 1000\n");
    let _supervise = tree.supervise("a");
    reached(&tree, "-W up a");
    tree.wait_lines("a/started", 1);
    assert_eq!(extended(&tree, "a"), tree.svstat("a"));
    reached(&tree, "-k -W up a");
    tree.wait_lines("a/started", 2);
    let line = extended(&tree, "a");
    assert!(line.starts_with("up (pid "), "{line}");
    assert!(line.ends_with(" seconds, last killed by signal 9"), "{line}");
    reached(&tree, "-d -W down a");
    let line = extended(&tree, "a");
    assert!(line.ends_with(" seconds, normally up, last killed by signal 15"), "{line}");
    tree.write("a/fail", "");
    reached(&tree, "-o -W down a");
    let line = extended(&tree, "a");
    assert!(line.ends_with(" seconds, normally up, last exit 3"), "{line}");
}

// svc -W

#[test]
fn what_is_waited_for_is_so_afterwards() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let mut last = 0;
    for _ in 0..3 {
        reached(&tree, "-u -W up a");
        let pid = pid_of(&tree, "a");
        assert!(process::is_alive(pid));
        assert_ne!(pid, last, "it was down");
        // What is so already is not waited for.
        reached(&tree, "-u -W ready a");
        reached(&tree, "-W up a");
        assert_eq!(pid_of(&tree, "a"), pid);
        reached(&tree, "-d -W down a");
        assert_eq!(pid_of(&tree, "a"), 0);
        assert!(process::state(pid).is_none());
        last = pid;
    }
    tree.svc("-x", "a");
    leaves(supervise);
    // The supervise may leave before it has read that we wait.
    for _ in 0..5 {
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        reached(&tree, "-dx -W down a");
        assert_eq!(pid_of(&tree, "a"), 0);
        leaves(supervise);
    }
}

#[test]
fn a_process_that_was_told_to_end_is_not_what_is_waited_for() {
    let tree = tree();
    // It takes its time.
    let run = "#!/bin/sh\ntrap 'sleep 0.2; exit 0' TERM INT\necho >>started\n\
               while :; do sleep 0.01; done\n";
    tree.service("a", run);
    let _supervise = tree.supervise("a");
    reached(&tree, "-W up a");
    for (number, letters) in ["-t", "-du", "-i", "-k"].into_iter().enumerate() {
        tree.wait_lines("a/started", number + 1);
        let pid = pid_of(&tree, "a");
        reached(&tree, &format!("{letters} -W up a"));
        let next = pid_of(&tree, "a");
        assert!(next != pid && next != 0, "{letters}");
    }
    // Also when that was said before.
    tree.wait_lines("a/started", 5);
    let pid = pid_of(&tree, "a");
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    reached(&tree, "-u -W ready a");
    assert_ne!(pid_of(&tree, "a"), pid);
    // Nobody starts it again.
    tree.wait_lines("a/started", 6);
    let line = "svc: warning: a has ended and is not started again\n";
    svc(&tree, "-do -W up a").run().is(1, "", line);
}

#[test]
fn a_service_that_runs_once_has_been_up_when_it_is_down_again() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho >>started\n");
    tree.write("a/down", "");
    let _supervise = tree.supervise("a");
    for number in 1..=2 {
        reached(&tree, "-o -W up a");
        tree.wait_lines("a/started", number);
    }
    // The second between two starts is not mistaken for the end.
    reached(&tree, "-o -W down a");
    assert_eq!(tree.text("a/started").lines().count(), 3);
}

#[test]
fn when_the_time_is_over_those_that_are_late_are_named() {
    let tree = tree();
    for dir in ["a", "b", "c"] {
        tree.idle_service(dir);
    }
    let _supervises = ["a", "b", "c"].map(|dir| tree.supervise(dir));
    reached(&tree, "-W up a b c");
    tree.svc("-d", "b");
    let late = "svc: warning: a is not down after 50 ms\nsvc: warning: c is not down after 50 ms\n";
    svc(&tree, "-W down -T 50 a b c").run().is(99, "", late);
    svc(&tree, "-Wready -T50 b").run().is(99, "", "svc: warning: b is not ready after 50 ms\n");
    svc(&tree, "-d -W down -T 20000 a b c a").run().is(0, "", "");
    assert_eq!(["a", "b", "c"].map(|dir| pid_of(&tree, dir)), [0; 3]);
}

#[test]
fn what_cannot_be_waited_for_is_an_error() {
    let tree = tree();
    tree.idle_service("a");
    let _supervise = tree.supervise("a");
    tree.mkdir("b/supervise");
    tree.fifo("b/supervise/control", 0o600);
    let nobody = "svc: warning: unable to control b: supervise not running\n";
    // The others get their commands all the same.
    svc(&tree, "-d -W down b a").run().is(111, "", nobody);
    tree.wait_down("a");
    let missing = "svc: warning: unable to chdir to c: file does not exist\n";
    svc(&tree, "-W up c").run().is(111, "", missing);
    svc(&tree, "-W up -T 50 b").run().is(111, "", nobody);
    reached(&tree, "-W up");
    for (arguments, line) in [
        ("-uW dead a", "svc: fatal: unable to wait for dead: not up, down or ready\n"),
        ("-W up -T 5s a", "svc: fatal: unable to wait 5s milliseconds: not a number\n"),
        ("-uT 50 a", "svc: fatal: unable to use -T without -W\n"),
    ] {
        svc(&tree, arguments).run().is(100, "", line);
    }
    let output = svc(&tree, "-uW").run();
    assert_eq!(output.code, Some(100), "{output}");
    assert!(output.err().starts_with("svc: option requires an argument -- W\n"), "{output}");
    assert_eq!(pid_of(&tree, "a"), 0, "nothing was sent");
}

#[test]
fn ready_is_what_supervise_says() {
    let tree = tree();
    let mut fake = Fake::new(&tree, "a");
    let mut waits = svc(&tree, "-u -W ready a").start();
    fake.gets(b"u");
    fake.gets(b"l");
    still_waits(&mut waits);
    fake.since += 1;
    fake.state(7, b'u', "phase=starting\n");
    still_waits(&mut waits);
    // A state whose status is still to come.
    fake.since += 1;
    fake.replace("state", format!("since={}\nphase=ready\n", fake.label()));
    still_waits(&mut waits);
    fake.status(7, b'u');
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_status_from_before_the_command_counts_for_nothing() {
    let tree = tree();
    let mut fake = Fake::new(&tree, "a");
    fake.state(0, b'u', "phase=failed\nreason=deaths\n");
    let mut waits = svc(&tree, "-u -W up a").start();
    still_waits(&mut waits);
    fake.gets(b"u");
    // It is published before the next command is read.
    still_waits(&mut waits);
    fake.since += 1;
    fake.state(7, b'u', "phase=starting\n");
    still_waits(&mut waits);
    fake.gets(b"l");
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn a_service_that_has_failed_ends_the_wait() {
    let tree = tree();
    let (mut fake, mut other) = (Fake::new(&tree, "a"), Fake::new(&tree, "b"));
    let answers = |fakes: [&mut Fake<'_>; 2]| -> Process {
        let waits = svc(&tree, "-u -W ready a b").start();
        for fake in fakes {
            fake.gets(b"u");
            fake.gets(b"l");
        }
        waits
    };
    let waits = answers([&mut fake, &mut other]);
    other.state(0, b'u', "phase=failed\nreason=not-ready\n");
    let line = "svc: warning: b has failed: not ready in time\n";
    waits.wait_within(PROMPT).is(1, "", line);
    other.state(0, b'u', "phase=waiting\n");
    let waits = answers([&mut fake, &mut other]);
    fake.state(0, b'u', "phase=failed\n");
    waits.wait_within(PROMPT).is(1, "", "svc: warning: a has failed\n");
    let waits = svc(&tree, "-o -W ready b").start();
    other.gets(b"o");
    other.gets(b"l");
    other.since += 1;
    other.state(0, 0, "phase=down\n");
    waits.wait_within(PROMPT).is(1, "", "svc: warning: b has ended and is not started again\n");
}

#[test]
fn all_have_to_be_so_at_once() {
    let tree = tree();
    let (mut first, mut second) = (Fake::new(&tree, "a"), Fake::new(&tree, "b"));
    let mut waits = svc(&tree, "-W up a b").start();
    first.gets(b"l");
    second.gets(b"l");
    first.since += 1;
    first.status(7, b'u');
    still_waits(&mut waits);
    first.since += 1;
    first.status(0, b'u');
    second.since += 1;
    second.status(8, b'u');
    still_waits(&mut waits);
    first.since += 1;
    first.status(9, b'u');
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn waiting_is_sleeping() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let mut waits = svc(&tree, "-W down a").start();
    assert_idle(&[waits.pid(), supervise.pid()], Duration::from_millis(500));
    assert!(!waits.has_ended());
    tree.svc("-d", "a");
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::state(pid).is_none());
    // A supervise that is stopped is waited for as well, without a look every now and then.
    supervise.signal(Signal::STOP);
    let mut waits = svc(&tree, "-u -W up a").start();
    still_waits(&mut waits);
    svc(&tree, "-W up -T 50 a").run().is(99, "", "svc: warning: a is not up after 50 ms\n");
    assert!(!waits.has_ended());
    supervise.signal(Signal::CONT);
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::is_alive(pid_of(&tree, "a")));
}

#[test]
fn a_supervise_that_is_killed_is_not_missed() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = pid_of(&tree, "a");
    // The command is read, the service runs on, and the next supervise knows nothing of it.
    let mut waits = svc(&tree, "-t -W up a").start();
    tree.wait_lines("a/signals", 1);
    supervise.kill();
    still_waits(&mut waits);
    let supervise = tree.supervise("a");
    still_waits(&mut waits);
    assert_eq!(pid_of(&tree, "a"), pid);
    process::signal(pid, Signal::KILL);
    waits.wait_within(PROMPT).is(0, "", "");
    let next = pid_of(&tree, "a");
    assert!(next != pid && process::is_alive(next));

    // The same, but it ends while nobody looks.
    tree.wait_lines("a/started", 2);
    let mut waits = svc(&tree, "-d -W down a").start();
    tree.wait_lines("a/signals", 2);
    tree.wait_want("a", b'd');
    supervise.kill();
    process::signal(next, Signal::KILL);
    process::wait_gone(next);
    still_waits(&mut waits);
    let supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");

    // It is killed before it has read the command, which the next one finds.
    supervise.signal(Signal::STOP);
    let mut waits = svc(&tree, "-u -W up a").start();
    still_waits(&mut waits);
    supervise.kill();
    still_waits(&mut waits);
    let _supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");
    assert!(process::is_alive(pid_of(&tree, "a")));
}

#[test]
fn a_supervise_that_leaves_in_order_leaves_its_service_down() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    // The wish stays up.
    let mut waits = svc(&tree, "-x -W down a").start();
    still_waits(&mut waits);
    process::signal(pid_of(&tree, "a"), Signal::KILL);
    waits.wait_within(PROMPT).is(0, "", "");
    leaves(supervise);
    // While others wait for the opposite: it may come again.
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 2);
    tree.svc("-dk", "a");
    tree.wait_down("a");
    let mut waits = svc(&tree, "-W up a").start();
    still_waits(&mut waits);
    tree.svc("-x", "a");
    leaves(supervise);
    still_waits(&mut waits);
    let _supervise = tree.supervise("a");
    waits.wait_within(PROMPT).is(0, "", "");
}

#[test]
fn the_originals_supervise_is_waited_for_in_the_same_way() {
    let tree = tree();
    tree.idle_service("a");
    let path = original().join("supervise");
    let theirs = || {
        let process = tree.cmd(path.to_str().expect("ASCII")).arg("a").start();
        tree.wait_supervised("a");
        process
    };
    let supervise = theirs();
    reached(&tree, "-W up a");
    let pid = pid_of(&tree, "a");
    reached(&tree, "-t -W ready a");
    let next = pid_of(&tree, "a");
    assert!(next != pid && process::is_alive(next));
    reached(&tree, "-d -W down a");
    assert_eq!(pid_of(&tree, "a"), 0);
    reached(&tree, "-u -W up a");
    assert!(process::is_alive(pid_of(&tree, "a")));
    let mut waits = svc(&tree, "-x -W down a").start();
    still_waits(&mut waits);
    tree.svc("-t", "a");
    waits.wait_within(PROMPT).is(0, "", "");
    leaves(supervise);
    let _supervise = theirs();
    tree.wait_up("a");
    reached(&tree, "-dx -W down a");
    assert_eq!(pid_of(&tree, "a"), 0);
}

#[test]
fn many_are_waited_for_at_once() {
    let tree = tree();
    let dirs: Vec<String> = (0..40).map(|n| format!("s/{n}")).collect();
    for dir in &dirs {
        tree.idle_service(dir);
        tree.write(format!("{dir}/down"), "");
    }
    let _svscan = tree.cmd("svscan").arg("s").start();
    for dir in &dirs {
        tree.wait_supervised(dir);
    }
    // Not more descriptors than there are by default in hard times: the limit is raised.
    let run = |arguments: &[&str]| -> Output {
        let svc = tree.cmd("svc").args(arguments).args(&dirs);
        svc.under(["prlimit", "--nofile=20:200"]).run()
    };
    run(&["-u", "-W", "up"]).is(0, "", "");
    let pids: Vec<u32> = dirs.iter().map(|dir| pid_of(&tree, dir)).collect();
    assert!(pids.iter().all(|&pid| process::is_alive(pid)));
    run(&["-t", "-W", "up"]).is(0, "", "");
    assert!(dirs.iter().zip(&pids).all(|(dir, &pid)| ![0, pid].contains(&pid_of(&tree, dir))));
    run(&["-d", "-W", "down"]).is(0, "", "");
    assert!(dirs.iter().all(|dir| pid_of(&tree, dir) == 0));
}
