//! Rare failures of system calls: what the programs print and do. strace makes the calls fail.

use harness::{Cmd, DEADLINE, Output, Process, Tree, strace_works, wait_until};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

/// A tree, if strace works in it.
fn tree() -> Option<Tree> {
    let tree = Tree::new();
    strace_works(&tree).then_some(tree)
}

/// Makes system calls of a program fail. `rule` has the form of strace's `inject`: which call, how, and
/// when. With `files`, only calls on one of these files or on its descriptor fail.
fn failing<'t>(command: Cmd<'t>, rule: &str, files: &[&str]) -> Cmd<'t> {
    let rule = format!("inject={rule}");
    let mut words = vec!["strace", "-qq", "-o", "/dev/null", "-e", &rule];
    for file in files {
        words.extend(["-P", file]);
    }
    command.under(words)
}

/// The start of a rule: every change to a directory by its descriptor fails.
const GO_BACK: &str = "fchdir:error=";

#[test]
fn every_error_has_its_text() {
    let Some(tree) = tree() else { return };
    tree.mkdir("none");
    for number in 1..=133 {
        let word = WORDS.iter().find(|(known, _)| *known == number);
        let word = word.map_or("unknown error", |(_, word)| word);
        let command = tree.cmd("svc").args(["-u", "none"]);
        let command = failing(command, &format!("{GO_BACK}{number}"), &[]);
        let lines = format!(
            "svc: warning: unable to control none: file does not exist\n\
             svc: fatal: unable to set directory: {word}\n"
        );
        command.run().is(111, "", lines);
    }
}

/// The text for each error number of Linux.
const WORDS: [(i32, &str); 86] = [
    (1, "permission denied"),
    (2, "file does not exist"),
    (3, "no such process"),
    (4, "interrupted system call"),
    (5, "input/output error"),
    (6, "device not configured"),
    (7, "argument list too long"),
    (8, "exec format error"),
    (9, "file descriptor not open"),
    (10, "no child processes"),
    (11, "temporary failure"),
    (12, "out of memory"),
    (13, "access denied"),
    (14, "bad address"),
    (15, "not a block device"),
    (16, "device busy"),
    (17, "file already exists"),
    (18, "cross-device link"),
    (19, "device does not support operation"),
    (20, "not a directory"),
    (21, "is a directory"),
    (22, "invalid argument"),
    (23, "system cannot open more files"),
    (24, "process cannot open more files"),
    (25, "not a tty"),
    (26, "text busy"),
    (27, "file too big"),
    (28, "out of disk space"),
    (29, "unseekable descriptor"),
    (30, "read-only file system"),
    (31, "too many links"),
    (32, "broken pipe"),
    (33, "input out of range"),
    (34, "output out of range"),
    (35, "operation would cause deadlock"),
    (36, "file name too long"),
    (37, "no locks available"),
    (38, "system call not available"),
    (39, "directory not empty"),
    (40, "symbolic link loop"),
    (42, "no message of desired type"),
    (43, "identifier removed"),
    (60, "not a stream device"),
    (62, "timer expired"),
    (63, "out of stream resources"),
    (64, "machine not on network"),
    (66, "too many levels of remote in path"),
    (67, "link severed"),
    (68, "advertise error"),
    (69, "srmount error"),
    (70, "communication error"),
    (71, "protocol error"),
    (72, "multihop attempted"),
    (74, "bad message type"),
    (78, "remote address changed"),
    (87, "too many users"),
    (88, "not a socket"),
    (89, "destination address required"),
    (90, "message too long"),
    (91, "incorrect protocol type"),
    (92, "protocol not available"),
    (93, "protocol not supported"),
    (94, "socket type not supported"),
    (95, "operation not supported"),
    (96, "protocol family not supported"),
    (97, "address family not supported"),
    (98, "address already used"),
    (99, "address not available"),
    (100, "network down"),
    (101, "network unreachable"),
    (102, "network reset"),
    (103, "connection aborted"),
    (104, "connection reset"),
    (105, "out of buffer space"),
    (106, "already connected"),
    (107, "not connected"),
    (108, "socket shut down"),
    (109, "too many references"),
    (110, "timed out"),
    (111, "connection refused"),
    (112, "host down"),
    (113, "host unreachable"),
    (114, "operation already in progress"),
    (115, "operation in progress"),
    (116, "stale NFS file handle"),
    (122, "disk quota exceeded"),
];

#[test]
fn a_long_message_in_pieces() {
    let Some(tree) = tree() else { return };
    let name = "x/".repeat(200);
    let tracer = ["strace", "-qq", "-o", "calls", "-e", "trace=write,writev"];
    let line = format!("svok: fatal: unable to chdir to {name}: file does not exist\n");
    tree.cmd("svok").arg(&name).under(tracer).run().is(111, "", line);
    let pieces = tree.text("calls").lines().filter(|call| call.contains("(2, ")).count();
    if tree.suite().differs("ours writes a message at once, so that it does not mix with others") {
        assert_eq!(pieces, 1);
    } else {
        assert!(pieces > 1, "{pieces}");
    }
}

#[test]
fn svc_and_svstat_cannot_go_back() {
    let Some(tree) = tree() else { return };
    tree.mkdir("a");
    let command = failing(tree.cmd("svc").args(["-u", "a", "a"]), &format!("{GO_BACK}EIO"), &[]);
    command.run().is(
        111,
        "",
        "svc: warning: unable to control a: file does not exist\n\
         svc: fatal: unable to set directory: input/output error\n",
    );
    let command = failing(tree.cmd("svstat").args(["a", "a"]), &format!("{GO_BACK}EIO"), &[]);
    let shown = if tree.suite().differs("svstat prints the finished lines before it exits") {
        "a: unable to open supervise/ok: file does not exist\n"
    } else {
        ""
    };
    command.run().is(111, shown, "svstat: fatal: unable to set directory: input/output error\n");
}

#[test]
fn envdir_cannot_go_back() {
    let Some(tree) = tree() else { return };
    tree.write("env/A", "x");
    let command = tree.cmd("envdir").args(["env", "printenv", "A"]);
    let output = failing(command, &format!("{GO_BACK}EIO"), &[]).run();
    if tree.suite().differs("envdir never leaves its starting directory") {
        output.is(0, "x\n", "");
    } else {
        let line = "envdir: fatal: unable to switch to starting directory: input/output error\n";
        output.is(111, "", line);
    }
}

/// Runs a program without memory, from different moments of its start on. How much memory the start
/// needs depends on the C library.
fn without_memory<'t>(command: impl Fn() -> Cmd<'t>) -> Vec<Output> {
    let refused = |(pages, heap)| {
        let pages = format!("inject=mmap:error=ENOMEM:when={pages}+");
        let heap = format!("inject=brk:error=ENOMEM:when={heap}+");
        command().under(["strace", "-qq", "-o", "/dev/null", "-e", &pages, "-e", &heap]).run()
    };
    (1..=12).flat_map(|pages| [(pages, 1), (pages, 2)]).map(refused).collect()
}

#[test]
fn envdir_without_memory() {
    let Some(tree) = tree() else { return };
    tree.write("env/A", "x".repeat(1_000_000));
    let outputs = without_memory(|| tree.cmd("envdir").args(["env", "true"]));
    let says = |output: &Output| {
        output.code == Some(111) && output.err() == "envdir: fatal: out of memory\n"
    };
    if tree.suite().differs("ours reports a lack of memory and does not crash") {
        assert!(outputs.iter().any(says));
    } else {
        assert!(outputs.iter().any(|output| output.signal == Some(11)));
    }
}

#[test]
fn softlimit_cannot_read_or_set_a_limit() {
    let Some(tree) = tree() else { return };
    // How many limits the start of the program reads depends on the C library.
    let outputs: Vec<_> = (1..=4)
        .map(|when| {
            let command = tree.cmd("softlimit").args(["-f", "1000000", "true"]);
            failing(command, &format!("prlimit64:error=EPERM:when={when}"), &[]).run()
        })
        .collect();
    let said = |what: &str| {
        let line = format!("softlimit: fatal: {what} failed: permission denied\n");
        outputs.iter().any(|output| output.code == Some(111) && output.err() == line)
    };
    assert!(said("setrlimit"));
    let never =
        tree.suite().differs("ours has no such message, because the kernel always returns a limit");
    assert_ne!(said("getrlimit"), never);
}

#[test]
fn setlock_cannot_lock() {
    let Some(tree) = tree() else { return };
    let setlock = |option| tree.cmd("setlock").args([option, "lock", "true"]);
    let line = "setlock: fatal: unable to lock lock: no locks available\n";
    failing(setlock("-N"), "flock:error=ENOLCK", &[]).run().is(111, "", line);
    failing(setlock("-n"), "flock:error=ENOLCK", &[]).run().is(111, "", line);
    failing(setlock("-x"), "flock:error=ENOLCK", &[]).run().is(0, "", "");
}

// svscan

/// Starts svscan on `s`. These system calls fail, also in its children.
fn svscan(tree: &Tree, rule: &str) -> Process {
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    let rule = format!("inject={rule}");
    let tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &rule];
    tree.cmd("svscan").cwd("s").under(tracer).start()
}

#[test]
fn svscan_without_descriptors_says_so_and_goes_on() {
    let Some(tree) = tree() else { return };
    tree.idle_service("s/a");
    tree.idle_service("s/a/log");
    // Ours retries before it prints the warning.
    let command = tree.cmd("svscan").arg("s");
    let svscan = failing(command, "pipe,pipe2:error=EMFILE:when=1..2", &[]).start();
    svscan.wait_stderr(
        "svscan: warning: unable to create pipe for a: process cannot open more files\n",
    );
    tree.wait_up("s/a");
    tree.wait_up("s/a/log");
}

#[test]
fn a_process_of_svscan_which_cannot_be_prepared_says_so() {
    let Some(first) = tree() else { return };
    let process = svscan(&first, "dup2,dup3,fcntl:error=EIO");
    for name in ["a", "a/log"] {
        process.wait_stderr(&format!(
            "svscan: warning: unable to set up descriptors for {name}: input/output error\n"
        ));
    }
    let Some(second) = tree() else { return };
    let process = svscan(&second, "chdir:error=EIO");
    process.wait_stderr("svscan: warning: unable to switch to a: input/output error\n");
}

// tai64n, tai64nlocal, readproctitle

#[test]
fn filters_are_interrupted_while_they_read() {
    let Some(tree) = tree() else { return };
    tree.write("in", "one\n");
    let path = tree.path("in").display().to_string();
    let run = |command: Cmd<'_>| {
        let file = fs::File::open(&path).expect("open the input");
        let command = command.stdin_from(file);
        failing(command, "read:error=EINTR:when=1", &[&path]).run()
    };
    let (label, date) = (run(tree.cmd("tai64n")), run(tree.cmd("tai64nlocal")));
    if tree.suite().differs("tai64n repeats a read that a signal interrupts") {
        assert!(label.code == Some(0) && label.out().ends_with(" one\n"), "{label}");
    } else {
        label.is(111, "", "");
    }
    date.is(0, "one\n", "");
    run(tree.cmd("readproctitle").arg(".....")).is(0, "", "");
}

// multilog

/// Makes a complete log in `d`. Returns 300 lines, which fill more than two files.
fn lines(tree: &Tree) -> String {
    tree.cmd("multilog").arg("./d").run().is(0, "", "");
    (0..300).map(|n| format!("line {n:010}\n")).collect()
}

/// The contents of the log, in order.
fn whole(tree: &Tree) -> String {
    let entries = fs::read_dir(tree.path("d")).expect("a directory");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| name.starts_with('@')).collect();
    names.sort();
    names.push("current".into());
    names.iter().map(|name| tree.text(format!("d/{name}"))).collect()
}

/// One failure: the rule for the calls, their files, and the text of the warning.
type Failure = (&'static str, &'static [&'static str], &'static str);

/// The failures of a rotation. `DIR` stands for the path of the log. The digits of a label are left out.
const ROTATION_FAILURES: [Failure; 9] = [
    ("fsync:error=EIO:when=1", &["DIR/current"], "write ./d/current to disk"),
    ("/^rename:error=EIO:when=1", &[], "rename current to previous in directory ./d"),
    ("/^openat?$:error=EIO:when=2", &["current"], "create ./d/current"),
    ("fchmod:error=EIO:when=2", &[], "set mode of ./d/current"),
    ("/^(chmod|fchmodat2?)$:error=EIO:when=1", &[], "set mode of ./d/previous"),
    ("/stat:error=EIO:when=1", &["previous"], "stat ./d/previous"),
    ("/^link:error=EIO:when=1", &[], "link to ./d/@.s"),
    ("/^unlink:error=EIO:when=1", &["previous"], "remove ./d/previous"),
    ("/^getdents:error=EIO:when=1", &[], "read ./d"),
];

/// The failures of a processor and its files.
const PROCESSOR_FAILURES: [Failure; 9] = [
    ("/^(v?fork|clone):error=EAGAIN:when=1", &[], "fork for processor in ./d"),
    ("/^openat?$:error=EIO:when=1", &["processed"], "create ./d/processed"),
    ("fsync:error=EIO:when=1", &["DIR/processed"], "write ./d/processed to disk"),
    ("fchmod:error=EIO:when=1", &["DIR/processed"], "set mode of ./d/processed"),
    ("/^openat?$:error=EIO:when=1", &["newstate"], "create ./d/newstate"),
    ("fsync:error=EIO:when=1", &["DIR/newstate"], "write ./d/newstate to disk"),
    ("/^rename:error=EIO:when=1", &["newstate"], "rename newstate to state in directory ./d"),
    ("/stat:error=EIO:when=1", &["processed"], "stat ./d/processed"),
    ("/^unlink:error=EIO:when=1", &["processed"], "remove ./d/processed"),
];

/// Causes one failure. Returns a description if multilog does not survive it as expected.
fn check_failure((rule, files, what): Failure, script: &[&str]) -> Option<String> {
    let tree = Tree::new();
    let lines = lines(&tree);
    let files: Vec<String> = files
        .iter()
        .map(|file| file.replace("DIR", tree.path("d").to_str().expect("a plain name")))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let command = tree.cmd("multilog").args(script).stdin(&lines).deadline(DEADLINE * 2);
    let output = failing(command, rule, &files).run();
    let error = if rule.contains("EAGAIN") { "temporary failure" } else { "input/output error" };
    let line = format!("multilog: warning: unable to {what}, pausing: {error}\n");
    let said: String = match output.err().split_once('@') {
        Some((before, after)) => before.to_owned() + "@" + after.get(24..).unwrap_or(after),
        None => output.err(),
    };
    let well = output.code == Some(0) && said == line && whole(&tree) == lines;
    (!well).then(|| format!("{what}: {output}"))
}

#[test]
fn multilog_reports_what_fails_and_retries() {
    if tree().is_none() {
        return;
    }
    let plain: &[&str] = &["s4096", "./d"];
    let processor: &[&str] = &["s4096", "!cat", "./d"];
    let cases = ROTATION_FAILURES.map(|failure| (failure, plain));
    let cases: Vec<_> =
        cases.into_iter().chain(PROCESSOR_FAILURES.map(|failure| (failure, processor))).collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Each run mostly waits, so they run in parallel.
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| {
                while let Some(&(failure, script)) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let found = check_failure(failure, script);
                    wrong.lock().expect("no thread panics while it holds the lock").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread has panicked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn multilog_repeats_a_warning() {
    let Some(tree) = tree() else { return };
    let lines = lines(&tree);
    let command = tree.cmd("multilog").args(["s4096", "./d"]).stdin(&lines).deadline(DEADLINE * 2);
    let output = failing(command, "/^rename:error=EIO:when=1..2", &[]).run();
    let line = "multilog: warning: unable to rename current to previous in directory ./d, \
                pausing: input/output error\n";
    let once = tree.suite().differs("ours prints a warning once, until another step fails");
    output.is(0, "", if once { line.to_owned() } else { line.repeat(2) });
    assert_eq!(whole(&tree), lines);
}

#[test]
fn multilog_cannot_write_a_status_file() {
    let Some(tree) = tree() else { return };
    let status = tree.path("status").display().to_string();
    let command = tree.cmd("multilog").args(["=status", "./d"]).stdin("one\n");
    let output = failing(command, "/^p?writev?(64)?$:error=ENOSPC:when=1", &[&status]).run();
    let line = "multilog: warning: unable to write status, pausing: out of disk space\n";
    output.is(0, "", line);
    assert_eq!(tree.read("status").len(), 1001);
    assert!(tree.text("status").starts_with("one\n"));
}

#[test]
fn multilog_has_to_go_to_its_directories() {
    let Some(tree) = tree() else { return };
    let lines = lines(&tree);
    let mut said = Vec::new();
    for when in 1..=3 {
        let command = tree.cmd("multilog").args(["s4096", "./d"]).stdin(&lines);
        let output = failing(command, &format!("{GO_BACK}EIO:when={when}"), &[]).run();
        said.push((output.code, output.err()));
    }
    if tree.suite().differs("multilog never changes its directory") {
        assert_eq!(said, [(); 3].map(|()| (Some(0), String::new())));
    } else {
        let error = "input/output error\n";
        let fatal = |what| (Some(111), format!("multilog: fatal: unable to {what}: {error}"));
        let pause = "switch to ./d, pausing";
        let warning = (Some(0), format!("multilog: warning: unable to {pause}: {error}"));
        let wanted = [fatal("switch to starting directory"), fatal("open directory ./d"), warning];
        assert_eq!(said, wanted);
    }
}

#[test]
fn multilog_cannot_see_the_end_of_its_processor() {
    let tree = Tree::new();
    let lines = lines(&tree);
    // With SIGCHLD ignored, the kernel reaps the processor, and wait fails.
    let command = tree.cmd("multilog").args(["s4096", "!cat", "./d"]).stdin(&lines);
    let command = command.under(["env", "--ignore-signal=CHLD"]);
    if tree.suite().differs("ours works also if SIGCHLD is ignored at its start") {
        command.run().is(0, "", "");
        assert_eq!(whole(&tree), lines);
    } else {
        command.start().wait_stderr(
            "multilog: warning: wait failed for processor in ./d, pausing: no child processes\n\
             multilog: warning: processor failed in ./d, pausing\n",
        );
    }
}

#[test]
fn multilog_without_memory() {
    let Some(tree) = tree() else { return };
    // The original has static memory for a short script, so this one is long. Ours has static memory
    // for little input, so two directories get much.
    let input = "x\n".repeat(10_000);
    let script: Vec<String> = (5000..25000).map(|size| format!("s{size}")).collect();
    let outputs =
        without_memory(|| tree.cmd("multilog").args(&script).args(["./d", "./e"]).stdin(&input));
    let says = |output: &Output| {
        output.code == Some(111) && output.err() == "multilog: fatal: out of memory\n"
    };
    assert!(outputs.iter().any(says));
}

#[test]
fn multilog_cannot_set_the_mode_at_the_start() {
    let Some(tree) = tree() else { return };
    let command = tree.cmd("multilog").arg("./d").stdin("one\n");
    let output = failing(command, "fchmod:error=EIO:when=1", &[]).run();
    let line = "multilog: fatal: unable to set mode of ./d/current: input/output error\n";
    output.is(111, "", line);
}

// supervise

#[test]
fn supervise_cannot_set_up_what_it_needs() {
    let Some(tree) = tree() else { return };
    for (dir, name) in [("a", "lock"), ("b", "control"), ("c", "ok")] {
        tree.idle_service(dir);
        let file = format!("supervise/{name}");
        let command = tree.cmd("supervise").arg(dir);
        let command = failing(command, "/^openat?$:error=EIO", &[&file, name]);
        let what = match name {
            "lock" => "acquire",
            _ => "read",
        };
        let line = format!("supervise: fatal: unable to {what} {dir}/{file}: input/output error\n");
        command.run().is(111, "", line);
        assert_eq!(tree.text(format!("{dir}/started")), "");
    }
}

#[test]
fn supervise_cannot_read_its_link() {
    let Some(tree) = tree() else { return };
    tree.idle_service("a");
    tree.symlink("../state", "a/supervise");
    let command = failing(tree.cmd("supervise").arg("a"), "/^readlink:error=EIO", &["supervise"]);
    command.run().is(111, "", "unable to readlink ./supervise: input/output error\n");
}

#[test]
fn supervise_tries_its_status_again() {
    let Some(tree) = tree() else { return };
    tree.idle_service("a");
    let rule = "/^rename:error=EIO:when=1";
    let command = failing(tree.cmd("supervise").arg("a"), rule, &[]);
    let supervise = command.start();
    tree.wait_up("a");
    let line = "supervise: warning: unable to rename a/supervise/status.new to status: \
                input/output error\n";
    wait_until("it is told", DEADLINE, || supervise.stderr() == line);
    tree.svc("-dx", "a");
    supervise.wait().is(0, "", line);
}
