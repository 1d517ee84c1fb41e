//! The pipes between services and loggers survive svscan.

use crate::{
    assert_connected, command, counter, newest, newest_of, numbers, pipe, starts, stop_svscan,
    supervise_of, svscan, wait_counted, wait_watched,
};
use harness::{DEADLINE, Signal, account, is_root, process, wait_until};
use rustix::fs::{OFlags, fcntl_setfl};
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};
use system::counter::counter_script;
use system::{assert_exit_0, count, hang_up, kill, tree};

/// The processes that are killed together with svscan.
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
fn no_line_is_lost_whichever_processes_die_with_svscan() {
    let tree = tree();
    let dirs: Vec<String> = (0..16).map(|mask| format!("s/{mask}")).collect();
    for dir in &dirs {
        counter(&tree, dir, "0.003");
    }
    let first = svscan(&tree);
    let mut to_kill = Vec::new();
    for (mask, dir) in (0..).zip(&dirs) {
        wait_counted(&tree, dir, 50);
        let victims = Victims::of(mask);
        let log = format!("{dir}/log");
        let candidates = [
            (victims.supervise, supervise_of(&tree, dir)),
            (victims.log_supervise, supervise_of(&tree, &log)),
            (victims.service, tree.wait_up(dir)),
            (victims.logger, tree.wait_up(&log)),
        ];
        to_kill.extend(candidates.into_iter().filter(|&(dies, _)| dies).map(|(_, pid)| pid));
    }
    kill(first);
    for &pid in &to_kill {
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
        // Without a reader of the pipe, a service that writes gets SIGPIPE.
        let no_reader = dead.log_supervise && dead.logger;
        // Without a writer of the pipe, the logger sees its end.
        let no_writer = dead.supervise && (dead.service || no_reader);
        let (service, logger) = (starts(&tree, dir), starts(&tree, format!("{dir}/log")));
        let least = 1 + usize::from(dead.service);
        assert!(service == least || no_reader && service > least, "{dir} {dead:?}: {service}");
        let least = 1 + usize::from(dead.logger);
        assert!(logger == least || no_writer && logger > least, "{dir} {dead:?}: {logger}");
        let numbers = numbers(&tree, dir);
        // A KILL of the logger loses its last read, of at most 2048 bytes (see the manual).
        let most_lost = if dead.logger { 1024 } else { 0 };
        let follows = |a: &u32, b: &u32| b > a && b - a <= 1 + most_lost;
        let mut runs: Vec<&[u32]> = numbers.chunk_by(follows).collect();
        assert!(runs.iter().all(|run| run[0] == 1), "{dir} {dead:?}: {runs:?}");
        // The contents of the pipe are lost with the last process that has it open.
        let lost = no_reader && no_writer;
        let last = runs.pop().expect("there are numbers");
        assert_eq!(last.last(), Some(&newest(&tree, dir)), "{dir} {dead:?}");
        assert!(no_reader || runs.len() + 1 == service, "{dir} {dead:?}: {runs:?}");
        for (n, run) in runs.iter().enumerate() {
            let newest = newest_of(&tree, Path::new(dir), n);
            let end = run.last().copied().unwrap_or(0);
            assert!(lost || end + 1 + most_lost >= newest, "{dir} {dead:?}: {newest} {end}");
        }
    }
    // The only reports are of services that ended without a supervise, and of a supervise that was
    // still dying when svscan adopted it.
    let printed = output.err();
    let expected = count(&printed, "has ended unseen") + count(&printed, "was killed by signal 9");
    assert_eq!(expected, printed.lines().count(), "{printed}");
}

// Which pipe is the log pipe

#[test]
fn a_log_pipe_without_a_reader_is_recovered_with_its_content() {
    let tree = tree();
    // The service writes a line at HUP.
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said; echo >>told' HUP\nmkfifo idle\nexec 8<>idle\necho $$ >>started\n\
         while :; do read -r line <&8; done\n",
    );
    // The logger reads only if `go` exists.
    tree.service(
        "s/a/log",
        "#!/bin/sh\necho $$ >>started\n[ -e go ] || exec sleep 1000\nexec cat >>logged\n",
    );
    let first = svscan(&tree);
    let dirs = ["s/a", "s/a/log"];
    let [main, log] = dirs.map(|dir| supervise_of(&tree, dir));
    for dir in dirs {
        tree.wait_lines(Path::new(dir).join("started"), 1);
    }
    let status = Some(tree.wait_status("s/a", "up", |s| s.pid() != 0));
    hang_up(&tree, "s/a");
    // A write into a pipe without a reader would kill it.
    tree.wait_lines("s/a/told", 1);
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
    hang_up(&tree, "s/a");
    tree.wait_text("s/a/log/logged", "said\nsaid\n");
    assert_eq!(starts(&tree, "s/a"), 1);
    stop_svscan(&tree, svscan);
}

/// The reading end of a pipe.
struct ReadingEnd(io::PipeReader);

impl ReadingEnd {
    fn new() -> (Self, io::PipeWriter) {
        let (reader, writer) = io::pipe().expect("make a pipe");
        fcntl_setfl(&reader, OFlags::NONBLOCK).expect("set its flags");
        (Self(reader), writer)
    }

    /// Waits until exactly this text has come.
    #[track_caller]
    fn receives(&mut self, text: &str) {
        let mut received = Vec::new();
        wait_until(&format!("{text:?} comes"), DEADLINE, || {
            // Ends with "would block".
            let _ = self.0.read_to_end(&mut received);
            assert!(
                text.as_bytes().starts_with(&received),
                "{:?}",
                String::from_utf8_lossy(&received)
            );
            received == text.as_bytes()
        });
    }
}

/// Kills svscan while its output goes into a pipe, and its messages too if `both`. Starts svscan
/// again with the same pipe or another. Meanwhile the service has got a logger.
#[track_caller]
fn assert_output_is_no_log_pipe(both: bool, another: bool) {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\ntrap 'echo said' HUP\n[ -p idle ] || mkfifo idle\nexec 8<>idle\n\
         echo $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    let (mut reader, writer) = ReadingEnd::new();
    let (mut other_reader, other_writer) = ReadingEnd::new();
    let begin = |writer: &io::PipeWriter| {
        let writer = || writer.try_clone().expect("another descriptor");
        let svscan = command(&tree).stdout_to(writer());
        if both { svscan.stderr_to(writer()) } else { svscan }.start()
    };
    let first = begin(&writer);
    tree.wait_lines("s/a/started", 1);
    let main = supervise_of(&tree, "s/a");
    kill(first);
    tree.service("s/a/log", "#!/bin/sh\nexec cat >>logged\n");
    let svscan = begin(if another { &other_writer } else { &writer });
    drop((writer, other_writer));
    tree.wait_up("s/a/log");
    wait_watched(&svscan, &[main]);
    // The next process of the service is to write to the logger, and this one does not.
    let log = supervise_of(&tree, "s/a/log");
    wait_until("it is connected", DEADLINE, || pipe(main, 1) == pipe(log, 0));
    assert_ne!(pipe(tree.wait_up("s/a"), 1), pipe(log, 0));
    for _ in 0..50 {
        hang_up(&tree, "s/a");
        reader.receives("said\n");
    }
    tree.svc("-t", "s/a");
    tree.wait_lines("s/a/started", 2);
    assert_connected(&tree, "s/a");
    hang_up(&tree, "s/a");
    tree.wait_text("s/a/log/logged", "said\n");
    stop_svscan(&tree, svscan);
    reader.receives("");
    other_reader.receives("");
}

#[test]
fn a_pipe_for_output_and_messages_is_no_log_pipe() {
    assert_output_is_no_log_pipe(true, false);
    assert_output_is_no_log_pipe(true, true);
}

#[test]
fn a_pipe_for_output_alone_is_no_log_pipe() {
    assert_output_is_no_log_pipe(false, false);
    assert_output_is_no_log_pipe(false, true);
}

#[test]
fn a_service_that_redirects_its_output_keeps_its_log_pipe() {
    for (case, redirection) in [
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
        // Kill svscan; its supervises too; the logger too.
        for (n, last) in [(0, false), (2, false), (2, true)] {
            let logger = tree.wait_up("s/a/log");
            let supervises = dirs.map(|dir| supervise_of(&tree, dir));
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
                assert!(n == 0 || supervise_of(&tree, dir) != old);
            }
            tree.wait_lines("s/a/log/started", before + usize::from(last));
            assert_eq!(tree.wait_status("s/a", case, |s| s.pid() != 0), status, "{case}");
            for _ in 0..20 {
                hang_up(&tree, "s/a");
                lines += 1;
                if case == "closed" {
                    continue;
                }
                tree.wait_lines("s/a/out", lines);
            }
        }
        assert_eq!(tree.text("s/a/log/logged"), "", "{case}");
        // The next process of the service writes to the logger again.
        tree.service("s/a", "#!/bin/sh\necho $$ >>started\necho later\nexec sleep 1000\n");
        tree.svc("-t", "s/a");
        tree.svc("-k", "s/a");
        tree.wait_text("s/a/log/logged", "later\n");
        svscan.signal(Signal::TERM);
        assert_exit_0(svscan);
    }
}

// svscan's log service

#[test]
fn the_next_svscan_adopts_the_log_service() {
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
    // Kill svscan; its supervises too. Then the same after a restart of the log service's
    // supervise, which then has the pipe as its output.
    let rounds = [(false, false), (true, false), (false, true), (true, true)];
    for (n, (all, again)) in (1..).zip(rounds) {
        if again {
            let old = supervise_of(&tree, "s/.all");
            process::signal(old, Signal::KILL);
            process::wait_gone(old);
            tree.wait_supervised("s/.all");
        }
        let supervises = dirs.map(|dir| supervise_of(&tree, dir));
        kill(svscan);
        if all {
            for pid in supervises {
                process::signal(pid, Signal::KILL);
                process::wait_gone(pid);
            }
        }
        svscan = begin();
        wait_until("the next svscan writes to the log", DEADLINE, || {
            count(&tree.text("s/.all/logged"), "svscan: info: starting") == n + 1
        });
        for (dir, &old) in dirs.iter().zip(&supervises) {
            assert_eq!(supervise_of(&tree, dir) != old, all);
        }
        hang_up(&tree, "s/a");
        wait_until("the service writes to the log", DEADLINE, || {
            count(&tree.text("s/.all/logged"), "said") == n
        });
        assert_eq!(dirs.map(|dir| tree.status(dir)), status);
    }
    stop_svscan(&tree, svscan);
}

// A pipe that cannot be recovered

/// svscan may not look at processes of other users, and the services run as another user.
#[test]
fn a_log_pipe_that_cannot_be_recovered_is_reported_with_a_remedy() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let (account, ..) = account();
    tree.chmod("", 0o777);
    let run = counter_script("$n", "0.001");
    let run = run.replace("exec perl", &format!("exec setuidgid {account} perl"));
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
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
    kill(first);
    // One of the supervises is enough to recover the pipe.
    process::signal(supervises[0], Signal::KILL);
    process::wait_gone(supervises[0]);
    let second = begin();
    wait_until("another", DEADLINE, || tree.is_supervised("s/a"));
    assert_connected(&tree, "s/a");
    assert_eq!(second.stderr(), "");
    let supervises = dirs.map(|dir| supervise_of(&tree, dir));
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
    // The service and its logger still have the old pipe.
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
    stop_svscan(&tree, third);
}
