//! Failures of the disk, the input and the directory.

use crate::{finished, log, multilog, numbered, start, start_command, wait_finished, whole};
use harness::{Cmd, DEADLINE, Signal, Tree, is_root, skip, strace_works, wait_until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

#[test]
fn a_directory_in_which_nothing_can_be_renamed_is_reported_and_retried() {
    let tree = Tree::new();
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).unprivileged());
    logger.log("one\n");
    tree.chmod("d", 0o500);
    logger.signal(Signal::ALARM);
    let line = "multilog: warning: unable to rename current to previous in directory ./d, pausing: access denied\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    tree.chmod("d", 0o700);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    logger.log("two\n");
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
}

#[test]
fn a_file_which_cannot_grow_is_reported_and_retried() {
    let tree = Tree::new();
    let limit = ["prlimit", "--fsize=3000:1000000", "env", "--ignore-signal=XFSZ"];
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).under(limit));
    let lines = numbered(250, 16);
    logger.send(&lines);
    let line = "multilog: warning: unable to write to ./d/current, pausing: file too big\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    assert!(tree.read("d/current").len() <= 3000);
    let pid = logger.process.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=1000000:1000000"]);
    raise.run().is(0, "", "");
    wait_until("all is there", DEADLINE, || tree.read("d/current").len() == lines.len());
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
}

#[test]
fn an_old_file_which_cannot_be_removed() {
    let tree = Tree::new();
    tree.mkdir("d/@000000000000000000000000.s/x");
    let mut logger = start(&tree, &["n2", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let goes_on = tree.suite().differs("ours leaves an old file that it cannot remove");
    if !goes_on {
        let line = "multilog: warning: unable to read ./d, pausing: is a directory\n";
        assert_eq!(logger.process.wait_stderr("\n"), line);
        fs::remove_dir_all(tree.path("d/@000000000000000000000000.s")).expect("remove it");
    }
    wait_until("it is finished", DEADLINE, || {
        let files = finished(&tree, "d");
        files.iter().any(|name| tree.path(name).is_file() && tree.text(name) == "one\n")
    });
    logger.log("two\n");
    if goes_on {
        assert!(tree.exists("d/@000000000000000000000000.s/x"));
        logger.end().is(0, "", "");
    }
}

#[test]
fn an_input_which_cannot_be_read_is_the_end() {
    let tree = Tree::new();
    let output = tree.sh("exec multilog ./d </").run();
    let end = tree.sh("exec multilog ./e 0>out").run();
    let closed = tree.sh("exec multilog ./f <&-").run();
    for output in [output, end, closed] {
        output.is(0, "", "");
    }
    for dir in ["d", "e", "f"] {
        assert_eq!(tree.mode(format!("{dir}/current")), 0o744);
    }
}

#[test]
fn a_nonblocking_input_without_data() {
    let tree = Tree::new();
    let script = "use Fcntl; fcntl(STDIN, F_SETFL, O_NONBLOCK); exec @ARGV";
    let command = multilog(&tree, &["./d"]).under(["perl", "-e", script]);
    let mut logger = start_command(&tree, command);
    if tree.suite().differs("ours waits for input on a nonblocking descriptor") {
        logger.log("one\n");
        logger.log("two\n");
        logger.end().is(0, "", "");
    } else {
        // The original takes this for the end of the input.
        logger.process.wait().is(0, "", "");
    }
}

#[test]
fn input_may_come_from_a_file_a_socket_or_a_named_pipe() {
    let tree = Tree::new();
    log(&tree, &["./file"], "one\ntwo\n");
    let (mut sender, receiver) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let logger =
        multilog(&tree, &["./socket"]).stdin_from(std::os::fd::OwnedFd::from(receiver)).start();
    sender.write_all(b"one\ntwo\n").expect("write");
    drop(sender);
    logger.wait().is(0, "", "");
    let fifo = tree.fifo("fifo", 0o600);
    let logger = tree.sh("exec multilog ./fifo.d <fifo").start();
    fs::write(fifo, "one\ntwo\n").expect("write");
    logger.wait().is(0, "", "");
    for dir in ["file", "socket", "fifo.d"] {
        assert_eq!(tree.text(format!("{dir}/current")), "one\ntwo\n", "{dir}");
    }
}

#[test]
fn root_is_not_needed() {
    // File modes apply to root too, once it has dropped its privileges.
    let tree = Tree::new();
    let output = multilog(&tree, &["s4096", "./d"]).unprivileged().stdin(numbered(500, 16)).run();
    output.is(0, "", "");
    assert_eq!(whole(&tree, "d"), numbered(500, 16).as_bytes());
    let owner = fs::metadata(tree.path("d")).expect("a directory").uid();
    assert_eq!(owner == 0, is_root());
}

/// The wrapper that allows a shell script to mount.
const MOUNTING: [&str; 3] = ["unshare", "--map-root-user", "--mount"];

/// Whether mounts are possible here. Otherwise skips the test.
fn may_mount(tree: &Tree) -> bool {
    tree.mkdir("m");
    let trial = tree.sh("mount -t tmpfs none m").under(MOUNTING).run();
    if trial.code != Some(0) {
        skip(&format!("nothing can be mounted: {trial}"));
    }
    trial.code == Some(0)
}

#[test]
fn a_file_system_which_can_only_be_read_is_fatal() {
    let tree = Tree::new();
    if !may_mount(&tree) {
        return;
    }
    for (script, what) in [
        ("./m/d", "unable to lock directory ./m/d: read-only file system"),
        ("./m/new", "unable to open directory ./m/new: file does not exist"),
        ("=m/status ./d", "unable to create m/status: read-only file system"),
    ] {
        let shell = "mount -t tmpfs none m && echo 1 | multilog ./m/d &&
                     mount --bind m m && mount -o remount,bind,ro m && exec multilog";
        let output = tree.sh(&format!("{shell} {script}")).under(MOUNTING).run();
        output.is(111, "", format!("multilog: fatal: {what}\n"));
    }
}

/// Asserts that multilog waits while a small disk is full, and goes on without loss once there is room.
#[track_caller]
fn survives_a_full_disk(script: &str, options: &str, hog: &str, message: &str) {
    let tree = Tree::new();
    if !may_mount(&tree) {
        return;
    }
    let shell = format!(
        "mount -t tmpfs -o {options} none m && mkdir m/hog && {hog} || exit 1
         exec multilog {script} ./m/d"
    );
    let mut logger = start_command(&tree, tree.sh(&shell).under(MOUNTING));
    let lines = numbered(1500, 16);
    logger.send(&lines);
    let told = logger.process.wait_stderr("\n");
    assert!(told.starts_with(&format!("multilog: warning: {message}: ")), "{told}");
    // /proc shows the mounts of its namespace.
    let mounted = format!("/proc/{}/root{}", logger.process.pid(), tree.path("m").display());
    fs::remove_dir_all(format!("{mounted}/hog")).expect("make room");
    let all = || {
        let dir = format!("{mounted}/d");
        let names = fs::read_dir(&dir).expect("the log directory");
        let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").path()).collect();
        names.retain(|name| name.display().to_string().contains("/@"));
        names.sort();
        names.push(format!("{dir}/current").into());
        names.iter().flat_map(|name| fs::read(name).unwrap_or_default()).collect::<Vec<u8>>()
    };
    wait_until("all is there", DEADLINE, || all().len() == lines.len());
    assert!(all() == lines.as_bytes(), "something is lost or doubled");
    assert_eq!(logger.end().code, Some(0));
}

#[test]
fn a_full_disk_is_reported_and_retried() {
    let hog = "head -c 40k /dev/zero >m/hog/a";
    let message = "unable to write to ./m/d/current, pausing";
    survives_a_full_disk("s1000000", "size=60k", hog, message);
    survives_a_full_disk("s4096 n1000", "size=60k", hog, message);
}

#[test]
fn a_disk_which_takes_no_more_files_is_reported_and_retried() {
    // The four removed files make room for the directory, lock, state and current.
    let hog = "{ i=0; while touch m/hog/$i 2>/dev/null; do i=$((i+1)); done; } &&
               rm m/hog/0 m/hog/1 m/hog/2 m/hog/3";
    let message = "unable to create ./m/d/current, pausing";
    survives_a_full_disk("s4096 n1000", "nr_inodes=60", hog, message);
}

/// Makes a system call of multilog on a file of the tree fail.
fn failing<'t>(tree: &Tree, command: Cmd<'t>, file: &str, rule: &str) -> Cmd<'t> {
    let (file, rule) = (tree.path(file).display().to_string(), format!("inject={rule}"));
    command.under(["strace", "-qq", "-o", "/dev/null", "-P", &file, "-e", &rule])
}

#[test]
fn a_full_file_which_does_not_get_to_disk_is_reported_and_retried() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let command = multilog(&tree, &["s4096", "./d"]);
    let command = failing(&tree, command, "d/current", "fsync:error=EIO:when=1");
    let mut logger = start_command(&tree, command);
    let lines = numbered(300, 16);
    logger.send(&lines);
    let line =
        "multilog: warning: unable to write ./d/current to disk, pausing: input/output error\n";
    assert_eq!(logger.process.wait_stderr("\n"), line);
    assert_eq!(finished(&tree, "d"), [""; 0]);
    logger.end().is(0, "", line);
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
}

#[test]
fn a_last_file_which_does_not_get_to_disk_is_reported_and_retried() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let command = multilog(&tree, &["./d"]).stdin("one\n");
    let command = failing(&tree, command, "d/current", "fsync:error=EIO:when=1");
    let line =
        "multilog: warning: unable to write ./d/current to disk, pausing: input/output error\n";
    let logger = command.start();
    assert_eq!(logger.wait_stderr("\n"), line);
    assert_eq!(tree.mode("d/current"), 0o644);
    logger.wait().is(0, "", line);
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o744));
}

#[test]
fn an_input_which_breaks_is_the_end_after_what_was_read() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let lines = numbered(1000, 16);
    let input = tree.write("in", &lines);
    let file = fs::File::open(&input).expect("open the input");
    let command = multilog(&tree, &["./d"]).stdin_from(file);
    failing(&tree, command, "in", "read:error=EIO:when=3").run().is(0, "", "");
    let kept = tree.text("d/current");
    assert!(lines.starts_with(&kept) && kept.len() >= 2048, "{} bytes", kept.len());
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn a_current_file_which_is_gone_is_reported_and_retried() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    tree.remove("d/current");
    logger.signal(Signal::ALARM);
    if tree.suite().differs("a new current replaces a missing one at once") {
        let said =
            "multilog: warning: ./d/current has been removed or renamed, beginning a new one\n";
        logger.process.wait_stderr(said);
        logger.log("two\n");
        assert_eq!(tree.text("d/current"), "two\n");
        return logger.end().is(0, "", said);
    }
    let line = "multilog: warning: unable to rename current to previous in directory ./d, pausing: file does not exist\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    // multilog accepts any file of this name.
    tree.write("d/current", "mine\n");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "mine\n");
    logger.log("two\n");
    assert_eq!(logger.end().code, Some(0));
}

#[test]
fn a_directory_may_be_moved_while_it_is_written() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    tree.rename("d", "e");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "e", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    logger.send("two\n");
    logger.end().is(0, "", "");
    assert_eq!((tree.text("e/current"), tree.exists("d")), ("two\n".into(), false));
}
