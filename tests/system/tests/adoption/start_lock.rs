//! The start-up lock, and commands that a killed supervise has not read.

use harness::{DEADLINE, Process, Signal, Tree, process, strace_works, wait_for, wait_until};
use rustix::fs::FlockOperation;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use system::{PROMPT, assert_exit_0, kill, stop_supervise, tree, wait_descendant};

/// Starts a supervise whose first system call of that name is slow, also in its child. Returns the
/// tracer, the supervise and its child as soon as the child exists.
#[track_caller]
fn start_slowly(tree: &Tree, call: &str, time: Duration) -> (Process, u32, u32) {
    tree.idle_service("a");
    let inject = format!("inject={call}:delay_enter={}:when=1", time.as_micros());
    let tracer = ["strace", "-f", "-qq", "-o", "calls", "-e", &inject];
    let tracer = tree.cmd("supervise").arg("a").under(tracer).start();
    let name = tree.suite().program("supervise");
    let supervise = wait_descendant(tracer.pid(), &[name.to_str().expect("a name in ASCII"), "a"]);
    let child = wait_for("it forks", DEADLINE, || process::descendants(supervise).first().copied());
    (tracer, supervise, child)
}

#[test]
fn a_process_before_its_exec_holds_the_start_up_lock() {
    if !strace_works(&tree()) {
        return;
    }
    // The system calls of the child before its exec, in this order.
    let calls = ["getpid", "openat", "read", "close", "pwrite64", "rt_sigprocmask", "execve"];
    thread::scope(|scope| {
        for call in calls {
            // On a busy machine the moment may have passed.
            scope.spawn(move || assert!((0..20).any(|_| child_holds_the_lock(call)), "{call}"));
        }
    });
}

/// Kills a supervise whose child is in that system call, and starts another one. Returns false if
/// the child has already executed the service.
fn child_holds_the_lock(call: &str) -> bool {
    let tree = tree();
    let (tracer, supervise, child) = start_slowly(&tree, call, Duration::from_millis(800));
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    if !is_before_exec(&tree, child) {
        process::signal(child, Signal::KILL);
        tracer.wait();
        return false;
    }
    // The child still has `ok` open, so `ok` does not prove that the second supervise is there.
    let second = tree.supervise("a");
    let ok = tree.path("a/supervise/ok");
    wait_until(call, DEADLINE, || process::has_open(second.pid(), &ok));
    assert_eq!(tree.status("a").map(|s| s.pid()), Some(child), "{call}");
    assert_eq!(tree.wait_lines("a/started", 1), [child.to_string()], "{call}");
    assert_eq!(second.stderr(), "", "{call}");
    stop_supervise(&tree, second, "a");
    tracer.wait();
    true
}

#[test]
fn a_second_supervise_is_refused_after_two_seconds() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    tree.wait_up("a");
    let refused = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure (held by pid \
         {})\n",
        first.pid()
    );
    let start = Instant::now();
    tree.cmd("supervise").arg("a").run().is(111, "", &refused);
    assert!(start.elapsed() >= Duration::from_secs(2));
    stop_supervise(&tree, first, "a");
}

#[test]
fn a_lock_that_a_dying_process_still_holds_is_waited_for() {
    let tree = tree();
    tree.idle_service("a");
    tree.idle_service("s/b");
    tree.mkdir("a/supervise");
    tree.mkdir("m");
    tree.write("a/supervise/lock", "");
    tree.write("m/lock", "");
    // This process is the dying one.
    let start_locked_out = |program: &str, argument: &str, lock: &str| {
        let file = fs::File::open(tree.path(lock)).expect("open the locked file");
        rustix::fs::flock(&file, FlockOperation::LockExclusive).expect("take the lock");
        let mut second = tree.cmd(program).arg(argument).stdin("x\n").start();
        let waits = || process::has_open(second.pid(), &tree.path(lock));
        wait_until("it waits for the lock", PROMPT, waits);
        process::wait_asleep(second.pid(), program);
        assert!(!second.has_ended(), "{program}");
        second
    };
    let second = start_locked_out("supervise", "a", "a/supervise/lock");
    tree.wait_up("a");
    assert_eq!(second.stderr(), "");
    stop_supervise(&tree, second, "a");
    let second = start_locked_out("svscan", "s", "s");
    tree.wait_up("s/b");
    assert_eq!(second.stderr(), "");
    second.signal(Signal::TERM);
    assert_exit_0(second);
    start_locked_out("multilog", "./m", "m/lock").wait().is(0, "", "");
    assert_eq!(tree.text("m/current"), "x\n");
}

fn is_before_exec(tree: &Tree, pid: u32) -> bool {
    process::arguments(pid).first().is_some_and(|name| *name == tree.suite().program("supervise"))
}

/// Whether the tests run in the first PID namespace, whose inode is Linux's `PROC_PID_INIT_INO`.
fn in_first_pid_namespace() -> bool {
    let namespace = std::fs::read_link("/proc/self/ns/pid").expect("read the PID namespace");
    namespace.as_os_str() == "pid:[4026531836]"
}

#[test]
fn supervise_gives_up_on_a_process_that_is_slow_to_exec() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    let slow = Duration::from_secs(6);
    let (tracer, supervise, child) = start_slowly(&tree, "execve", slow);
    process::signal(supervise, Signal::KILL);
    process::wait_gone(supervise);
    // In other PID namespaces, /proc/locks leaves out the locks of reaped processes.
    let holder = if in_first_pid_namespace() {
        format!(" (held by pid {supervise})")
    } else {
        String::new()
    };
    let refused = format!(
        "supervise: fatal: unable to acquire a/supervise/lock: temporary failure{holder}\n"
    );
    tree.cmd("supervise").arg("a").run().is(111, "", refused);
    // svscan would try again too.
    wait_until("it becomes the service", DEADLINE, || !is_before_exec(&tree, child));
    let second = tree.supervise("a");
    assert_eq!(tree.wait_lines("a/started", 1), [child.to_string()]);
    stop_supervise(&tree, second, "a");
    tracer.wait();
}

// Commands

/// A supervise killed with a command in its FIFO, and the svc that sent the command.
fn kill_before_it_reads(tree: &Tree, options: &str) -> Process {
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    supervise.signal(Signal::STOP);
    wait_until("it is stopped", PROMPT, || process::is_stopped(supervise.pid()));
    let svc = tree.cmd("svc").args([options, "a"]).start();
    let fifo = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(tree.path("a/supervise/control"))
        .expect("open the FIFO");
    wait_until("svc has written", PROMPT, || {
        rustix::io::ioctl_fionread(&fifo).is_ok_and(|bytes| bytes > 0)
    });
    drop(fifo);
    kill(supervise);
    svc
}

#[test]
fn the_next_supervise_obeys_a_command_that_a_killed_one_did_not_read() {
    let tree = tree();
    let svc = kill_before_it_reads(&tree, "-d");
    let second = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    svc.wait().is(0, "", "");
    assert_eq!(second.stderr(), "");
    tree.svc("-x", "a");
    assert_exit_0(second);
}

#[test]
fn svc_warns_if_supervise_died_before_it_read_the_command() {
    let tree = tree();
    let svc = kill_before_it_reads(&tree, "-d");
    svc.wait().is(0, "", "svc: warning: unable to control a: supervise not running\n");
    let second = tree.supervise("a");
    assert_eq!(tree.status("a").map(|status| status.want()), Some(b'u'));
    stop_supervise(&tree, second, "a");
}

#[test]
fn svc_warns_that_a_stopped_supervise_has_not_read_the_command() {
    let tree = tree();
    for dir in ["a", "b"] {
        tree.idle_service(dir);
    }
    let [first, second] = ["a", "b"].map(|dir| tree.supervise(dir));
    tree.wait_up("a");
    tree.wait_up("b");
    first.signal(Signal::STOP);
    wait_until("it is stopped", PROMPT, || process::is_stopped(first.pid()));
    let line = "svc: warning: a has not read the command yet\n";
    // `b` first: svc waits two seconds in all, and only 50 milliseconds for what comes behind `a`.
    tree.cmd("svc").args(["-d", "b", "a"]).run().is(0, "", line);
    tree.wait_down("b");
    // What comes behind `a` gets its commands as well.
    let output = tree.cmd("svc").args(["-u", "a", "b"]).run();
    assert!(output.code == Some(0) && output.err().starts_with(line), "{output}");
    tree.wait_up("b");
    tree.cmd("svc").args(["-d", "b", "a"]).run().is(0, "", line);
    first.signal(Signal::CONT);
    tree.wait_down("a");
    stop_supervise(&tree, first, "a");
    stop_supervise(&tree, second, "b");
}

#[test]
fn svc_warns_between_two_supervises() {
    let tree = tree();
    tree.idle_service("a");
    kill(tree.supervise("a"));
    let line = "svc: warning: unable to control a: supervise not running\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    let supervise = tree.supervise("a");
    tree.svc("-d", "a");
    tree.wait_down("a");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_wanted_state_is_on_disk_before_the_process_starts() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.idle_service("a");
    tree.write("a/down", "");
    // strace kills supervise right after its first fork.
    let tracer = ["strace", "-qq", "-o", "calls", "-e", "inject=clone,fork:signal=KILL:when=1"];
    let mut first = tree.cmd("supervise").arg("a").under(tracer).start();
    tree.wait_supervised("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    tree.svc("-u", "a");
    wait_until("it dies", DEADLINE, || first.has_ended());
    assert_eq!(tree.status("a").map(|s| (s.pid(), s.want())), Some((0, b'u')));
    let second = tree.supervise("a");
    tree.wait_up("a");
    stop_supervise(&tree, second, "a");
}
