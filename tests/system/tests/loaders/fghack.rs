//! fghack, and its option -f that hands signals on.

use crate::fails;
use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_until};
use std::path::Path;
use std::time::Duration;
use system::{PROMPT, tree, wait_descendant, wait_reaped};

/// Writes a daemon that appends the names of all signals of `svc` that can be caught to `signals`,
/// and ends after TERM. Its pid is in `started`.
fn write_daemon(tree: &Tree) {
    let mut script = String::from("#!/bin/sh\n");
    for (name, _) in SIGNALS {
        let end = if name == "TERM" { "; exit 9" } else { "" };
        script += &format!("trap 'echo {name} >>signals{end}' {name}\n");
    }
    // Reading from a FIFO without a writer's end waits without a child.
    script += "mkfifo idle; exec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n";
    tree.script("daemon", script);
}

const SIGNALS: [(&str, Signal); 9] = [
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("CONT", Signal::CONT),
    ("WINCH", Signal::WINCH),
    ("TERM", Signal::TERM),
];

/// The daemon's pid, once it runs.
#[track_caller]
fn daemon(tree: &Tree) -> u32 {
    tree.wait_lines("started", 1)[0].parse().expect("a pid")
}

/// Starts `fghack OPTIONS sh -c SCRIPT`. Waits until the daemon has lost its parent and, if fghack
/// hands signals on, has fghack as its new parent.
#[track_caller]
fn fghack(tree: &Tree, options: &[&str], script: &str) -> (Process, u32) {
    write_daemon(tree);
    let fghack = tree.cmd("fghack").args(options).args(["sh", "-c", script]).start();
    let pid = daemon(tree);
    wait_until("the daemon is in the background", DEADLINE, || {
        let started = process::descendants(fghack.pid());
        let alone = !started.iter().any(|&pid| process::arguments(pid).iter().any(|a| a == script));
        alone && (options.is_empty() || process::parent(pid) == Some(fghack.pid()))
    });
    (fghack, pid)
}

#[test]
fn signals_reach_a_program_that_went_into_the_background() {
    // The shell makes a background program ignore INT and QUIT.
    for (script, ignored) in [
        ("./daemon & exit 7", &["INT", "QUIT"][..]),
        ("(./daemon &) ; exit 7", &["INT", "QUIT"]),
        ("(setsid ./daemon &) ; exit 7", &["INT", "QUIT"]),
        ("setsid -f ./daemon; exit 7", &[]),
        ("setsid -f setsid -f ./daemon; exit 7", &[]),
    ] {
        let tree = tree();
        let (fghack, pid) = fghack(&tree, &["-f"], script);
        let sent = SIGNALS.iter().filter(|(name, _)| !ignored.contains(name));
        for (number, (name, signal)) in sent.enumerate() {
            fghack.signal(*signal);
            let lines = tree.wait_lines("signals", number + 1);
            assert_eq!(lines[number], *name, "{script}");
        }
        // The exit code is the launcher's, as without -f.
        fghack.wait().is(7, "", "");
        // A process closes its files before it is gone.
        process::wait_gone(pid);
    }
}

#[test]
fn signals_reach_a_program_in_the_foreground() {
    let tree = tree();
    write_daemon(&tree);
    let fghack = tree.cmd("fghack").args(["-f", "./daemon"]).start();
    let pid = daemon(&tree);
    assert_eq!(process::parent(pid), Some(fghack.pid()));
    for (number, (name, signal)) in SIGNALS.iter().enumerate() {
        fghack.signal(*signal);
        assert_eq!(tree.wait_lines("signals", number + 1)[number], *name);
    }
    fghack.wait().is(9, "", "");
}

#[test]
fn signals_reach_every_program_in_the_background() {
    let tree = tree();
    write_daemon(&tree);
    tree.script("second", "#!/bin/sh\ncd two && exec ../daemon\n");
    tree.mkdir("two");
    let script = "setsid -f ./daemon; setsid -f ./second; exit 0";
    let fghack = tree.cmd("fghack").args(["-f", "sh", "-c", script]).start();
    let mut pids = Vec::new();
    for started in ["started", "two/started"] {
        let pid = tree.wait_lines(started, 1)[0].parse().expect("a pid");
        wait_until("it is fghack's", DEADLINE, || process::parent(pid) == Some(fghack.pid()));
        pids.push(pid);
    }
    // The signal would kill a launcher that still runs.
    wait_until("the launcher has ended", DEADLINE, || {
        process::descendants(fghack.pid()).iter().all(|pid| pids.contains(pid))
    });
    fghack.signal(Signal::USR1);
    assert_eq!(tree.wait_lines("signals", 1), ["USR1"]);
    assert_eq!(tree.wait_lines("two/signals", 1), ["USR1"]);
    // If one program ends, it is reaped, and the other stays.
    process::signal(pids[1], Signal::KILL);
    wait_reaped(pids[1]);
    fghack.signal(Signal::TERM);
    fghack.wait().is(0, "", "");
    process::wait_gone(pids[0]);
}

/// Starts a program, and exits 7 when that has ended. Records signals, and survives them.
const LAUNCHER: &str = "#!/bin/sh
trap 'echo launcher >>signals' USR1 TERM
\"$@\" &
wait; wait; wait
exit 7
";

#[test]
fn signals_reach_each_process_below_a_waiting_launcher_once() {
    let tree = tree();
    write_daemon(&tree);
    tree.script("launcher", LAUNCHER);
    let command = tree.cmd("fghack").args(["-f", "./launcher", "setsid", "./launcher"]);
    let fghack = command.arg("./daemon").start();
    let pid = daemon(&tree);
    fghack.signal(Signal::USR1);
    let mut lines = tree.wait_lines("signals", 3);
    lines.sort();
    assert_eq!(lines, ["USR1", "launcher", "launcher"]);
    fghack.signal(Signal::TERM);
    fghack.wait().is(7, "", "");
    process::wait_gone(pid);
    let mut lines = tree.wait_lines("signals", 6);
    lines.sort();
    assert_eq!(lines, ["TERM", "USR1", "launcher", "launcher", "launcher", "launcher"]);
}

#[test]
fn a_signal_that_ends_the_launcher_reaches_the_daemon_as_well() {
    for script in ["setsid ./daemon & wait", "(./daemon & wait) & wait", "./daemon; exit 7"] {
        let tree = tree();
        write_daemon(&tree);
        let fghack = tree.cmd("fghack").args(["-f", "sh", "-c", script]).start();
        let pid = daemon(&tree);
        fghack.signal(Signal::TERM);
        fghack.wait().is(111, "", "fghack: fatal: child crashed\n");
        process::wait_gone(pid);
        assert_eq!(tree.wait_lines("signals", 1), ["TERM"], "{script}");
    }
}

#[test]
fn without_f_a_signal_ends_fghack_only() {
    let tree = tree();
    let (fghack, pid) = fghack(&tree, &[], "setsid -f ./daemon; exit 7");
    fghack.signal(Signal::TERM);
    let output = fghack.wait();
    assert_eq!((output.code, output.signal), (None, Some(15)), "{output}");
    assert!(process::is_alive(pid));
    assert!(!tree.exists("signals"));
}

#[test]
fn only_f_as_a_word_of_its_own_is_an_option_of_fghack() {
    let tree = tree();
    for words in [&["-ff", "true"][..], &["-Q", "true"], &["--", "true"], &["-f", "-f", "true"]] {
        let program = words[words.len() - 2];
        let message = format!("fghack: fatal: unable to run {program}: file does not exist");
        fails(tree.cmd("fghack").args(words), &message);
    }
    tree.cmd("fghack").args(["-f", "echo", "-f"]).run().is(0, "-f\n", "");
}

#[test]
fn with_f_the_exit_code_is_reported_as_without() {
    let tree = tree();
    for code in [0, 1, 100, 111, 255] {
        let script = format!("exit {code}");
        tree.cmd("fghack").args(["-f", "sh", "-c", &script]).run().is(code, "", "");
    }
    let command = tree.cmd("fghack").args(["-f", "sh", "-c", "kill -KILL $$"]);
    fails(command, "fghack: fatal: child crashed");
    // TERM kills a program that does not handle it.
    let fghack = tree.cmd("fghack").args(["-f", "sleep", "1000"]).start();
    process::wait_asleep(wait_descendant(fghack.pid(), &["sleep", "1000"]), "sleep");
    fghack.signal(Signal::TERM);
    fghack.wait().is(111, "", "fghack: fatal: child crashed\n");
}

#[test]
fn signals_reach_a_program_that_closed_fghacks_pipe() {
    // The program is still fghack's child, and fghack waits for its exit code.
    const SCRIPT: &str = "use POSIX; POSIX::close($_) for 3 .. 99;
        $SIG{TERM} = sub { exit 3 }; open F, '>ready'; close F; sleep 1 while 1";
    let tree = tree();
    let fghack = tree.cmd("fghack").args(["-f", "perl", "-e", SCRIPT]).start();
    wait_until("it is ready", DEADLINE, || tree.exists("ready"));
    process::wait_asleep(fghack.pid(), "fghack");
    fghack.signal(Signal::TERM);
    fghack.wait_within(Duration::from_secs(10)).is(3, "", "");
}

#[test]
fn fghacks_program_inherits_blocked_and_ignored_signals() {
    let tree = tree();
    let show = ["grep", "-E", "^Sig(Blk|Ign|Pnd)", "/proc/self/status"];
    for wrapper in [
        &[][..],
        &["--block-signal=USR1,TERM,CHLD,PIPE"],
        &["--ignore-signal=HUP,USR1,PIPE"],
        &["--block-signal=HUP", "--ignore-signal=TERM,INT,QUIT"],
    ] {
        let run = |command: Cmd<'_>| command.args(show).under(["env"].iter().chain(wrapper)).run();
        let bare = run(tree.cmd("env"));
        assert!(bare.code == Some(0) && bare.out().lines().count() == 3, "{bare}");
        assert_eq!(run(tree.cmd("fghack")), bare, "{wrapper:?}");
        assert_eq!(run(tree.cmd("fghack").arg("-f")), bare, "{wrapper:?} with -f");
    }
}

/// The program may handle a signal that fghack inherited as ignored, so fghack hands it on. nohup
/// and background shells ignore HUP and INT on purpose; they stay ignored.
#[test]
fn ignored_signals_are_handed_on_except_hup_and_int() {
    let names = SIGNALS.map(|(name, _)| name);
    let script = format!(
        "for my $name (qw({})) {{
             $SIG{{$name}} = sub {{ open F, '>>signals'; print F \"$name\\n\"; close F;
                                   exit 9 if $name eq 'TERM' }}
         }}
         open F, '>started'; close F; sleep 1 while 1",
        names.join(" ")
    );
    let tree = tree();
    let ignored = format!("--ignore-signal={}", names.join(","));
    let command = tree.cmd("fghack").args(["-f", "perl", "-e", &script]);
    let fghack = command.under(["env", &ignored]).start();
    wait_until("the program is ready", DEADLINE, || tree.exists("started"));
    let mut count = 0;
    for (name, signal) in SIGNALS {
        fghack.signal(signal);
        if !["HUP", "INT"].contains(&name) {
            count += 1;
            assert_eq!(tree.wait_lines("signals", count)[count - 1], name);
        }
    }
    fghack.wait().is(9, "", "");
}

#[test]
fn fghacks_program_inherits_an_ignored_sigchld() {
    let tree = tree();
    let run = |command: Cmd<'_>| {
        let command = command.args(["grep", "^SigIgn", "/proc/self/status"]);
        command.under(["env", "--ignore-signal=CHLD"]).run()
    };
    let bare = run(tree.cmd("env"));
    assert_eq!(bare.code, Some(0), "{bare}");
    assert_eq!(run(tree.cmd("fghack").arg("-f")), bare);
}

#[test]
fn fghacks_program_gets_the_pipe_and_nothing_else() {
    let tree = tree();
    // The test process may have more than three descriptors itself.
    let bare = tree.cmd("sleep").arg("1000").start();
    process::wait_asleep(bare.pid(), "sleep");
    let bare = process::descriptors(bare.pid());
    for options in [&[][..], &["-f"]] {
        let fghack = tree.cmd("fghack").args(options).args(["sleep", "1000"]).start();
        let pid = wait_descendant(fghack.pid(), &["sleep", "1000"]);
        process::wait_asleep(pid, "sleep");
        let files = process::descriptors(pid);
        assert_eq!(files.len(), bare.len() + 31, "{files:?}");
        let copies = |pipe: &Path| files.iter().filter(|(_, file)| file == pipe).count();
        assert!(files.iter().any(|(_, file)| copies(file) == 31), "{files:?}");
    }
}

#[test]
fn fghack_ends_as_soon_as_the_last_descendant_does() {
    let tree = tree();
    let (fghack, pid) = fghack(&tree, &["-f"], "setsid -f ./daemon; exit 5");
    process::wait_asleep(fghack.pid(), "fghack");
    process::signal(pid, Signal::KILL);
    fghack.wait_within(PROMPT).is(5, "", "");
}
