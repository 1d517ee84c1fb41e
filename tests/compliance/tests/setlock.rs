//! setlock: it runs a program while it holds a lock on a file.

use harness::{DEADLINE, Process, Signal, Tree, process, wait_until};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

const USAGE: &str = "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]\n";

/// The message for a held lock.
const HELD: &str = "setlock: fatal: unable to lock lock: temporary failure\n";

/// Whether a process holds the lock.
fn is_held(tree: &Tree, file: &str) -> bool {
    let output = tree.cmd("flock").args(["--nonblock", file, "true"]).run();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    output.code == Some(1)
}

/// Holds the lock with `flock` until it is killed.
#[track_caller]
fn flock(tree: &Tree, file: &str) -> Process {
    let holder = tree.cmd("flock").args(["--no-fork", file, "sleep", "1000"]).start();
    wait_until("flock holds the lock", DEADLINE, || is_held(tree, file));
    holder
}

/// Holds the lock with setlock until it is killed.
#[track_caller]
fn setlock(tree: &Tree, file: &str) -> Process {
    let holder = tree.cmd("setlock").args([file, "sleep", "1000"]).start();
    process::wait_asleep(holder.pid(), "sleep");
    holder
}

/// Starts a setlock that waits, with these options.
#[track_caller]
fn waiting(tree: &Tree, options: &[&str]) -> Process {
    let waiter = tree.cmd("setlock").args(options).args(["lock", "echo", "done"]).start();
    let lock = tree.path("lock");
    wait_until("setlock waits", DEADLINE, || {
        process::has_open(waiter.pid(), &lock) && process::state(waiter.pid()) == Some('S')
    });
    waiter
}

// Usage

#[test]
fn a_file_and_a_program_are_needed() {
    let tree = Tree::new();
    for words in [&[][..], &["lock"], &["-n"], &["-n", "lock"], &["--"], &["--", "-n"], &["-"]] {
        tree.cmd("setlock").args(words).run().is(100, "", USAGE);
    }
    // The usage error comes before -x counts and before the lock.
    tree.cmd("setlock").args(["-x", "lock"]).run().is(100, "", USAGE);
    assert!(!tree.exists("lock"));
}

#[test]
fn an_unknown_letter_is_a_usage_error() {
    let tree = Tree::new();
    for (options, letter) in [
        ("-z", "z"),
        ("-nz", "z"),
        ("-?", "?"),
        ("-:", ":"),
        ("-n-", "-"),
        ("-xn1", "1"),
        ("-w", "w"),
        ("- ", " "),
    ] {
        let lines = format!("setlock: illegal option -- {letter}\n{USAGE}");
        tree.cmd("setlock").args([options, "lock", "true"]).run().is(100, "", &lines);
        tree.cmd("setlock").args(["-x", options, "lock", "true"]).run().is(100, "", lines);
    }
    assert!(!tree.exists("lock"));
}

#[test]
fn the_option_parser_names_the_program_as_it_was_called() {
    let tree = Tree::new();
    for (name, shown) in [("/some/where/locker", "locker"), ("x/", ""), ("", "")] {
        let lines = format!("{shown}: illegal option -- z\n{USAGE}");
        tree.cmd("setlock").arg0(name).arg("-z").run().is(100, "", lines);
        tree.cmd("setlock").arg0(name).run().is(100, "", USAGE);
    }
    let mut lines = b"setlock: illegal option -- \xff\n".to_vec();
    lines.extend(USAGE.as_bytes());
    tree.cmd("setlock").arg(OsStr::from_bytes(b"-\xff")).run().is(100, "", lines);
}

#[test]
fn anything_which_begins_with_two_dashes_ends_the_options() {
    let tree = Tree::new();
    for mark in ["--", "--foo", "--help"] {
        tree.cmd("setlock").args(["-n", mark, "-lock", "echo", "hi"]).run().is(0, "hi\n", "");
        tree.remove("-lock");
    }
}

#[test]
fn options_end_at_the_file() {
    let tree = Tree::new();
    tree.cmd("setlock").args(["lock", "echo", "-x", "--", "-z"]).run().is(0, "-x -- -z\n", "");
    tree.cmd("setlock").args(["-", "echo", "-x"]).run().is(0, "-x\n", "");
    assert!(tree.exists("-") && tree.exists("lock"));
    let line = "setlock: fatal: unable to run -n: file does not exist\n";
    tree.cmd("setlock").args(["lock", "-n", "true"]).run().is(111, "", line);
}

// The file

#[test]
fn a_missing_file_is_made_with_mode_0600() {
    let tree = Tree::new();
    for (umask, mode) in [("0", 0o600), ("022", 0o600), ("077", 0o600), ("0277", 0o400)] {
        let script = format!("umask {umask}; exec setlock lock-{umask} true");
        tree.sh(&script).run().is(0, "", "");
        assert_eq!(tree.mode(format!("lock-{umask}")), mode);
        assert_eq!(tree.read(format!("lock-{umask}")), b"");
    }
}

#[test]
fn an_existing_file_is_left_as_it_is() {
    let tree = Tree::new();
    tree.write("lock", "content");
    tree.chmod("lock", 0o644);
    for options in [&[][..], &["-n"], &["-x"]] {
        tree.cmd("setlock").args(options).args(["lock", "echo", "hi"]).run().is(0, "hi\n", "");
        assert_eq!(tree.text("lock"), "content");
        assert_eq!(tree.mode("lock"), 0o644);
    }
}

#[test]
fn writing_permission_is_enough() {
    let tree = Tree::new();
    tree.write("lock", "");
    tree.chmod("lock", 0o200);
    let command = tree.cmd("setlock").args(["lock", "echo", "hi"]);
    command.unprivileged().run().is(0, "hi\n", "");
}

#[test]
fn links_are_followed() {
    let tree = Tree::new();
    tree.symlink("real", "lock");
    tree.cmd("setlock").args(["lock", "true"]).run().is(0, "", "");
    assert_eq!(tree.mode("real"), 0o600);
    let _holder = setlock(&tree, "lock");
    assert!(is_held(&tree, "real"));
}

#[test]
fn a_file_which_cannot_be_opened_is_fatal() {
    let tree = Tree::new();
    tree.write("file", "");
    tree.mkdir("dir");
    tree.symlink("loop", "loop");
    tree.fifo("fifo", 0o600);
    tree.write("closed", "");
    tree.chmod("closed", 0o400);
    tree.mkdir("sealed");
    tree.chmod("sealed", 0o555);
    let long = "x".repeat(300);
    for (name, error) in [
        ("", "file does not exist"),
        ("none/lock", "file does not exist"),
        ("file/lock", "not a directory"),
        ("dir", "is a directory"),
        (".", "is a directory"),
        ("dir/", "is a directory"),
        ("loop", "symbolic link loop"),
        ("fifo", "device not configured"),
        ("closed", "access denied"),
        ("sealed/lock", "access denied"),
        (&long, "file name too long"),
    ] {
        let line = format!("setlock: fatal: unable to open {name}: {error}\n");
        for options in [&[][..], &["-n"], &["-N"], &["-X"], &["-xX"]] {
            let command = tree.cmd("setlock").args(options).args([name, "touch", "ran"]);
            command.unprivileged().run().is(111, "", &line);
        }
        // -x hides this error too.
        for options in [&["-x"][..], &["-nx"], &["-X", "-x", "-N"]] {
            let command = tree.cmd("setlock").args(options).args([name, "touch", "ran"]);
            command.unprivileged().run().is(0, "", "");
        }
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    let mut line = b"setlock: fatal: unable to open \xff\n//x: ".to_vec();
    line.extend(b"file does not exist\n");
    let command = tree.cmd("setlock").arg(OsStr::from_bytes(b"\xff\n//x")).arg("true");
    command.run().is(111, "", line);
}

// Held locks

#[test]
fn with_n_a_held_lock_is_an_error() {
    let tree = Tree::new();
    let holder = flock(&tree, "lock");
    for options in [&["-n"][..], &["-Nn"], &["-N", "-X", "-n"], &["-nxX"], &["-nX", "--"]] {
        let command = tree.cmd("setlock").args(options).args(["lock", "touch", "ran"]);
        command.run().is(111, "", HELD);
    }
    holder.kill();
    tree.cmd("setlock").args(["-n", "lock", "echo", "free"]).run().is(0, "free\n", "");
    assert!(!tree.exists("ran"));
}

#[test]
fn with_n_and_x_a_held_lock_is_silent_success() {
    let tree = Tree::new();
    let _holder = flock(&tree, "lock");
    for options in [&["-nx"][..], &["-xn"], &["-n", "-x"], &["-NnXx"], &["-XxnNn"]] {
        let command = tree.cmd("setlock").args(options).args(["lock", "touch", "ran"]);
        command.run().is(0, "", "");
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn setlock_waits_for_a_held_lock() {
    let tree = Tree::new();
    for options in [&[][..], &["-N"], &["-nN"], &["-x"], &["-n", "-x", "-N"]] {
        let holder = flock(&tree, "lock");
        let mut waiter = waiting(&tree, options);
        assert!(!waiter.has_ended());
        holder.kill();
        waiter.wait().is(0, "done\n", "");
    }
}

#[test]
fn flock_waits_for_setlock() {
    let tree = Tree::new();
    let holder = setlock(&tree, "lock");
    assert!(is_held(&tree, "lock"));
    let mut waiter = tree.cmd("flock").args(["lock", "echo", "done"]).start();
    let lock = tree.path("lock");
    wait_until("flock waits", DEADLINE, || process::has_open(waiter.pid(), &lock));
    assert!(!waiter.has_ended());
    holder.kill();
    waiter.wait().is(0, "done\n", "");
}

#[test]
fn setlock_waits_for_a_shared_lock_too() {
    let tree = Tree::new();
    let holder = tree.cmd("flock").args(["--shared", "-F", "lock", "sleep", "1000"]).start();
    wait_until("flock holds the lock", DEADLINE, || is_held(&tree, "lock"));
    tree.cmd("setlock").args(["-n", "lock", "true"]).run().is(111, "", HELD);
    holder.kill();
    let _holder = setlock(&tree, "lock");
    let output = tree.cmd("flock").args(["--shared", "-n", "lock", "true"]).run();
    assert_eq!(output.code, Some(1), "{output}");
}

#[test]
fn a_stopped_setlock_goes_on_waiting() {
    let tree = Tree::new();
    let holder = flock(&tree, "lock");
    let waiter = waiting(&tree, &[]);
    waiter.signal(Signal::STOP);
    wait_until("setlock is stopped", DEADLINE, || process::is_stopped(waiter.pid()));
    waiter.signal(Signal::CONT);
    let pid = waiter.pid();
    wait_until("setlock waits again", DEADLINE, || process::state(pid) == Some('S'));
    holder.kill();
    waiter.wait().is(0, "done\n", "");
}

#[test]
fn a_waiting_setlock_can_be_ended() {
    let tree = Tree::new();
    let _holder = flock(&tree, "lock");
    for signal in [Signal::TERM, Signal::USR1, Signal::KILL] {
        let waiter = waiting(&tree, &[]);
        waiter.signal(signal);
        let output = waiter.wait();
        assert_eq!(output.signal, Some(signal.as_raw()), "{output}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn only_one_of_many_runs_at_a_time() {
    let tree = Tree::new();
    // If two ran at once, mkdir would fail.
    let words = ["lock", "sh", "-c", "mkdir alone && echo x >>count && rmdir alone"];
    let all: Vec<_> = (0..20).map(|_| tree.cmd("setlock").args(words).start()).collect();
    for setlock in all {
        setlock.wait().is(0, "", "");
    }
    assert_eq!(tree.wait_lines("count", 20).len(), 20);
}

// Holding a lock

#[test]
fn the_lock_is_held_by_the_program_and_released_by_its_end() {
    let tree = Tree::new();
    let holder = setlock(&tree, "lock");
    assert_eq!(process::arguments(holder.pid()), ["sleep", "1000"]);
    tree.cmd("setlock").args(["-n", "lock", "true"]).run().is(111, "", HELD);
    assert!(is_held(&tree, "lock"));
    holder.kill();
    assert!(!is_held(&tree, "lock"));
    assert!(tree.exists("lock"));
}

#[test]
fn the_descriptor_is_inherited_and_is_the_lowest_free_one() {
    let tree = Tree::new();
    let holder = setlock(&tree, "lock");
    let lock = tree.path("lock");
    let held: Vec<_> =
        process::descriptors(holder.pid()).into_iter().filter(|(_, file)| *file == lock).collect();
    assert_eq!(held, [(3, lock)]);
    let script = "exec 3</dev/null 4</dev/null; exec setlock other sleep 1000";
    let holder = tree.sh(script).start();
    process::wait_asleep(holder.pid(), "sleep");
    let other = tree.path("other");
    assert!(process::descriptors(holder.pid()).contains(&(5, other)));
}

#[test]
fn writing_to_the_descriptor_appends() {
    let tree = Tree::new();
    tree.write("lock", "old\n");
    tree.cmd("setlock").args(["lock", "sh", "-c", "echo new >&3"]).run().is(0, "", "");
    assert_eq!(tree.text("lock"), "old\nnew\n");
}

#[test]
fn the_program_can_release_the_lock() {
    let tree = Tree::new();
    let script = "exec 3>&-; exec sleep 1000";
    let holder = tree.cmd("setlock").args(["lock", "sh", "-c", script]).start();
    process::wait_asleep(holder.pid(), "sleep");
    assert!(!is_held(&tree, "lock"));
}

#[test]
fn a_background_process_keeps_the_lock() {
    let tree = Tree::new();
    let script = "sleep 1000 & echo $! >pid";
    tree.cmd("setlock").args(["lock", "sh", "-c", script]).run().is(0, "", "");
    let pid: u32 = tree.text("pid").trim().parse().expect("a pid");
    assert!(is_held(&tree, "lock"));
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    assert!(!is_held(&tree, "lock"));
}

#[test]
fn locks_of_different_files_are_independent() {
    let tree = Tree::new();
    let _holder = setlock(&tree, "one");
    let words = ["-n", "two", "setlock", "-n", "three", "echo", "all"];
    tree.cmd("setlock").args(words).run().is(0, "all\n", "");
    let words = ["-n", "two", "setlock", "-n", "two", "echo", "all"];
    let line = "setlock: fatal: unable to lock two: temporary failure\n";
    tree.cmd("setlock").args(words).run().is(111, "", line);
}

// The program

#[test]
fn a_program_which_cannot_be_run_is_an_error_even_with_x() {
    let tree = Tree::new();
    let line = "setlock: fatal: unable to run no-such-prog: file does not exist\n";
    for options in [&[][..], &["-x"], &["-nx"], &["-X"]] {
        let command = tree.cmd("setlock").args(options).args(["lock", "no-such-prog"]);
        command.run().is(111, "", line);
    }
    assert!(!is_held(&tree, "lock"));
    assert_eq!(tree.mode("lock"), 0o600);
    assert_eq!(tree.text("lock"), "");
}
