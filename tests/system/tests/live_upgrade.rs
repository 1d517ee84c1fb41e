//! Live upgrade: svscan and the supervises execute the newly installed program, as the same
//! processes with the same services.

use harness::{DEADLINE, Process, Signal, Suite, Tree, original, process, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use system::{
    PROMPT, assert_exit_0, count, original_program, tree, wait_all_gone, wait_descendant,
    wait_settled, whole_log,
};

/// Installs our programs into a directory of the tree, where they can be replaced.
fn install(tree: &Tree) {
    tree.mkdir("bin");
    replace(tree);
    for entry in fs::read_dir(Suite::get().bin()).expect("our programs").flatten() {
        let name = entry.file_name();
        if name != "daemontools" {
            symlink("daemontools", tree.path("bin").join(name)).expect("a link");
        }
    }
}

/// Installs the executable again, as another file.
fn replace(tree: &Tree) {
    let program = fs::canonicalize(Suite::get().bin().join("svscan")).expect("an executable");
    tree.copy_program(program, "bin/new");
    tree.rename("bin/new", "bin/daemontools");
}

/// Starts svscan from that directory on `s`. It finds its supervise there too.
fn svscan(tree: &Tree) -> Process {
    let path = format!("{}:/usr/bin:/bin", tree.path("bin").display());
    let program = tree.path("bin/svscan");
    let command = tree.sh(&format!("exec {} s", program.display()));
    command.env("PATH", path).start()
}

/// The inode of the executable of a process.
fn executable(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/exe")).ok().map(|file| file.ino())
}

#[track_caller]
fn wait_upgraded(tree: &Tree, pids: &[u32]) {
    let installed = fs::metadata(tree.path("bin/daemontools")).expect("installed").ino();
    wait_until("all run the new program", PROMPT, || {
        pids.iter().all(|pid| executable(*pid) == Some(installed))
    });
}

/// Waits until another program has executed that of a process, for an upgrade.
#[track_caller]
fn wait_executed(pid: u32) {
    wait_until("it is upgraded", DEADLINE, || {
        let variables = process::environment(pid);
        variables.iter().any(|it| it.to_string_lossy().starts_with("DAEMONTOOLS_UPGRADE="))
    });
}

/// What [`blocked`] returns for a program without blocked signals, as the harness starts it.
const NONE_BLOCKED: &str = "SigBlk:\t0000000000000000";

/// The blocked signals of a process.
fn blocked(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    status.lines().find(|line| line.starts_with("SigBlk")).expect("a mask").to_owned()
}

#[test]
fn the_same_processes_run_the_new_program_and_no_line_is_lost() {
    let tree = tree();
    install(&tree);
    tree.service(
        "s/a",
        "#!/bin/sh\necho start >>started\nn=0\nwhile :; do echo $n; n=$((n+1)); done\n",
    );
    tree.service(
        "s/a/log",
        "#!/bin/sh\necho start >>started\nexec multilog s16000000 n1000 ./main\n",
    );
    tree.idle_service("s/b");
    let svscan = svscan(&tree);
    let services = [tree.wait_up("s/a"), tree.wait_up("s/a/log"), wait_settled(&tree, "s/b")];
    let since = tree.status("s/b");
    let supervises = [["supervise", "a"], ["supervise", "b"], ["supervise", "log"]]
        .map(|arguments| wait_descendant(svscan.pid(), &arguments));
    let all = [&supervises[..], &[svscan.pid()]].concat();
    let few: Vec<usize> = all.iter().map(|pid| process::descriptors(*pid).len()).collect();
    for _ in 0..5 {
        replace(&tree);
        tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
        wait_upgraded(&tree, &all);
    }
    // Commands work, and the wanted state stays.
    tree.svc("-o", "s/b");
    tree.wait_want("s/b", 0);
    replace(&tree);
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    wait_upgraded(&tree, &all);
    tree.svc("-u", "s/b");
    tree.wait_want("s/b", b'u');
    let now = [tree.wait_up("s/a"), tree.wait_up("s/a/log"), tree.wait_up("s/b")];
    assert_eq!(now, services);
    assert_eq!(tree.status("s/b"), since);
    wait_until("no descriptor is left over", PROMPT, || {
        let counts = all.iter().map(|pid| process::descriptors(*pid).len());
        counts.eq(few.iter().copied())
    });
    // A new process of the service inherits the same as before.
    process::signal(services[2], Signal::KILL);
    let next = tree.wait_restart("s/b", services[2]);
    wait_until("it runs its program", PROMPT, || executable(next) != executable(svscan.pid()));
    assert_eq!(blocked(next), NONE_BLOCKED);
    assert!(
        !process::environment(next)
            .iter()
            .any(|entry| { entry.to_string_lossy().starts_with("DAEMONTOOLS_UPGRADE") })
    );
    let stderr = svscan.stderr();
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(stderr, "");
    for dir in ["s/a/started", "s/a/log/started"] {
        assert_eq!(tree.text(dir), "start\n");
    }
    let text = whole_log(&tree, "s/a/log/main");
    for (number, line) in text.lines().enumerate() {
        assert_eq!(line, number.to_string());
    }
}

#[test]
fn an_adopted_supervise_is_found_while_it_upgrades() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    tree.idle_service("s/b");
    tree.service("s/b/log", "#!/bin/sh\nexec cat\n");
    let first = svscan(&tree);
    let services = [wait_settled(&tree, "s/a"), tree.wait_up("s/b"), tree.wait_up("s/b/log")];
    let supervises = [["supervise", "a"], ["supervise", "b"], ["supervise", "log"]]
        .map(|arguments| wait_descendant(first.pid(), &arguments));
    system::kill(first);
    let svscan = svscan(&tree);
    wait_until("the next svscan works", PROMPT, || {
        tree.cmd("svscan").args(["-u", "s"]).run().code == Some(0)
    });
    wait_upgraded(&tree, &[svscan.pid()]);
    supervises.into_iter().for_each(wait_executed);
    // While it tries the program, a supervise stands in the scan directory.
    let program = fs::canonicalize(Suite::get().bin().join("svscan")).expect("an executable");
    tree.copy_program(program, "real/daemontools");
    let real = tree.symlink("daemontools", "real/supervise");
    tree.script(
        "bin/new",
        format!(
            "#!/bin/sh\n[ \"$DAEMONTOOLS_UPGRADE\" != trial ] || {{ echo >>{}; sleep 0.3; }}\nexec {} \"$@\"\n",
            tree.path("trials").display(),
            real.display()
        ),
    );
    tree.rename("bin/new", "bin/supervise");
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    let installed = fs::metadata(tree.path("real/daemontools")).expect("installed").ino();
    wait_until("all supervises run the new program", DEADLINE, || {
        supervises.iter().all(|pid| executable(*pid) == Some(installed))
    });
    tree.wait_lines("trials", 3);
    // svscan has not found them then, and looks again a second later. An upgrade before that reaches them.
    tree.copy_program(fs::canonicalize(&real).expect("an executable"), "real/new");
    tree.rename("real/new", "real/daemontools");
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    let installed = fs::metadata(tree.path("real/daemontools")).expect("installed").ino();
    wait_until("all supervises run the next program", DEADLINE, || {
        supervises.iter().all(|pid| executable(*pid) == Some(installed))
    });
    // svscan notices the death of an adopted one.
    process::signal(supervises[0], Signal::KILL);
    wait_until("svscan has started another one", DEADLINE, || {
        let children = process::descendants(svscan.pid());
        children
            .into_iter()
            .any(|pid| matches!(&process::arguments(pid)[..], [_, name] if name == "a"))
    });
    assert_eq!([tree.wait_up("s/a"), tree.wait_up("s/b"), tree.wait_up("s/b/log")], services);
    let stderr = svscan.stderr();
    assert!(!stderr.contains("fatal"), "{stderr}");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_supervise_that_still_begins_is_upgraded_when_it_reads_signals() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    tree.fifo("go", 0o600);
    let [go, waiting] = ["go", "waiting"].map(|name| tree.path(name).display().to_string());
    let supervise = tree.path("bin/supervise");
    let slow = format!(
        "#!/bin/sh\necho >>{waiting}\nread -r line <{go}\nexec {} \"$@\"\n",
        supervise.display()
    );
    tree.script("slow/supervise", slow);
    let program = tree.path("bin/svscan");
    let path = format!("{}:/usr/bin:/bin", tree.path("slow").display());
    let svscan = tree.sh(&format!("exec {} s", program.display())).env("PATH", path).start();
    tree.wait_lines("waiting", 1);
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    tree.write("go", "\n");
    tree.wait_up("s/a");
    let supervise = supervise.to_str().expect("ASCII");
    wait_executed(wait_descendant(svscan.pid(), &[supervise, "a"]));
    assert_eq!(tree.wait_lines("waiting", 1).len(), 1);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_program_that_cannot_run_is_reported_and_the_old_one_goes_on() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    let svscan = svscan(&tree);
    let pid = wait_settled(&tree, "s/a");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    let upgrade = || tree.cmd("svscan").args(["-u", "s"]).run();
    let refused = |reason: &str| {
        let line = format!("svscan: fatal: unable to upgrade the svscan of s: {reason}\n");
        upgrade().is(111, "", line);
    };
    tree.remove("bin/daemontools");
    refused("file does not exist");
    svscan.wait_stderr("supervise: warning: unable to run ");
    let printed = svscan.wait_stderr("svscan: warning: unable to run ");
    assert!(printed.contains(", going on without upgrade: file does not exist\n"), "{printed}");
    tree.write("bin/daemontools", "\x7fELF of another machine");
    tree.chmod("bin/daemontools", 0o755);
    refused("exec format error");
    svscan.wait_stderr("exec format error");
    assert_eq!(wait_descendant(svscan.pid(), &["supervise", "a"]), supervise);
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", pid);
    tree.script("bin/new", "#!/bin/sh\nexit 1\n");
    tree.rename("bin/new", "bin/daemontools");
    refused("it has failed in a trial");
    replace(&tree);
    // The answer comes from the new program.
    upgrade().is(0, "", "");
    wait_upgraded(&tree, &[svscan.pid(), supervise]);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_sender_of_usr2_that_does_not_ask_gets_no_text() {
    let tree = tree();
    install(&tree);
    tree.mkdir("s");
    let svscan = svscan(&tree);
    process::wait_asleep(svscan.pid(), tree.path("bin/svscan").to_str().expect("ASCII"));
    // Its standard input is a pipe, but for reading.
    let script = format!("echo from the pipe | {{ kill -USR2 {}; cat; }}", svscan.pid());
    replace(&tree);
    tree.sh(&script).run().is(0, "from the pipe\n", "");
    wait_upgraded(&tree, &[svscan.pid()]);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn svscan_u_reports_a_svscan_that_dies() {
    let tree = tree();
    install(&tree);
    tree.mkdir("s");
    let svscan = svscan(&tree);
    process::wait_asleep(svscan.pid(), tree.path("bin/svscan").to_str().expect("ASCII"));
    process::signal(svscan.pid(), Signal::STOP);
    let asking = tree.cmd("svscan").args(["-u", "s"]).start();
    wait_until("the signal is pending", DEADLINE, || {
        // Not the stop signal: bit 11 is USR2.
        let pending = system::status_line(svscan.pid(), "ShdPnd");
        pending.is_some_and(|mask| u64::from_str_radix(&mask, 16).is_ok_and(|m| m & 0x800 != 0))
    });
    process::signal(svscan.pid(), Signal::KILL);
    let line = "svscan: fatal: unable to upgrade the svscan of s: it has ended\n";
    asking.wait().is(111, "", line);
}

#[test]
fn a_program_that_dies_at_its_start_harms_no_service() {
    let tree = tree();
    install(&tree);
    tree.idle_service("a");
    let supervise = tree.path("bin/supervise");
    let start = || tree.sh(&format!("exec {} a", supervise.display())).start();
    let first = start();
    let pid = wait_settled(&tree, "a");
    let since = tree.status("a");
    install_script(&tree, "[ $DAEMONTOOLS_UPGRADE = trial ] || exit 3\n");
    first.signal(Signal::USR2);
    assert_eq!(first.wait().code, Some(3));
    assert!(process::is_alive(pid));
    tree.script("bin/supervise", "#!/bin/sh\nexec real/supervise \"$@\"\n");
    let second = start();
    wait_until("it is adopted", PROMPT, || tree.is_supervised("a"));
    assert_eq!(tree.status("a"), since);
    tree.svc("-dx", "a");
    assert_exit_0(second);
    assert!(!process::is_alive(pid));
}

#[test]
fn a_program_that_fails_its_trial_is_not_executed() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    let svscan = svscan(&tree);
    let pid = wait_settled(&tree, "s/a");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    let before = [supervise, svscan.pid()].map(executable);
    let program = fs::read(tree.path("bin/daemontools")).expect("our program");
    let original = fs::read(original().join("svscan")).expect("the original's program");
    let bad = [
        fs::read("/bin/false").expect("a program"),
        program.get(..20_000).expect("a longer program").to_vec(),
        b"#!/bin/sh\nkill -SEGV $$\n".to_vec(),
        // The original does not know the trial.
        original,
        b"#!/bin/sh\nexec sleep 1000\n".to_vec(),
    ];
    for (tried, program) in bad.iter().enumerate() {
        tree.script("bin/new", program);
        tree.rename("bin/new", "bin/daemontools");
        svscan.signal(Signal::USR2);
        for name in ["svscan", "supervise"] {
            wait_until("it is reported", DEADLINE, || {
                let line = format!("{name}: warning: unable to run ");
                count(&svscan.stderr(), &line) == tried + 1
            });
        }
    }
    assert_eq!(count(&svscan.stderr(), ", going on without upgrade: "), 2 * bad.len());
    assert_eq!([supervise, svscan.pid()].map(executable), before);
    assert_eq!(tree.wait_up("s/a"), pid);
    wait_until("no other process is left", PROMPT, || tree.processes().len() == 3);
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", pid);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_supervise_of_the_original_is_not_upgraded() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    tree.idle_service("s/b");
    let original = original_program(&tree, "supervise").arg("s/a").start();
    tree.wait_supervised("s/a");
    let svscan = svscan(&tree);
    let pids = [tree.wait_up("s/a"), wait_settled(&tree, "s/b")];
    let upgraded = wait_descendant(svscan.pid(), &["supervise", "b"]);
    for _ in 0..2 {
        replace(&tree);
        tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
        wait_upgraded(&tree, &[svscan.pid(), upgraded]);
    }
    assert!(process::is_alive(original.pid()));
    assert_eq!([tree.wait_up("s/a"), tree.wait_up("s/b")], pids);
    assert_eq!(tree.wait_lines("s/a/started", 1).len(), 1);
    assert_eq!(svscan.stderr(), "");
    tree.svc("-dx", "s/a");
    assert_exit_0(original);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_link_removed_during_an_upgrade_is_noticed() {
    let tree = tree();
    install(&tree);
    for dir in ["a", "b"] {
        tree.idle_service(dir);
        tree.service(format!("{dir}/log"), "#!/bin/sh\nexec cat >>log\n");
        tree.mkdir("s");
        tree.symlink(format!("../{dir}"), format!("s/{dir}"));
    }
    let svscan = svscan(&tree);
    let kept = [tree.wait_up("s/b"), tree.wait_up("s/b/log")];
    let removed = [tree.wait_up("s/a"), tree.wait_up("s/a/log")];
    let supervises = ["a", "b"].map(|name| wait_descendant(svscan.pid(), &["supervise", name]));
    replace(&tree);
    // svscan gets the signal for the upgrade before it can scan.
    svscan.signal(Signal::STOP);
    wait_until("svscan is stopped", PROMPT, || process::is_stopped(svscan.pid()));
    svscan.signal(Signal::USR2);
    tree.remove("s/a");
    svscan.signal(Signal::CONT);
    wait_upgraded(&tree, &[svscan.pid(), supervises[1]]);
    wait_all_gone(&removed);
    process::wait_gone(supervises[0]);
    wait_until("its logger's supervise leaves", PROMPT, || !tree.is_supervised("a/log"));
    assert_eq!([tree.wait_up("s/b"), tree.wait_up("s/b/log")], kept);
    assert_eq!(svscan.stderr(), "");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn an_upgrade_waits_for_a_service_that_is_being_stopped() {
    let tree = tree();
    install(&tree);
    tree.trapping_service("a", &["TERM"]);
    tree.service("a/log", "#!/bin/sh\nexec cat >>log\n");
    tree.mkdir("s");
    tree.symlink("../a", "s/a");
    let svscan = svscan(&tree);
    let pids = [tree.wait_up("s/a"), tree.wait_up("s/a/log")];
    tree.wait_lines("a/started", 1);
    tree.remove("s/a");
    tree.wait_want("a", b'd');
    replace(&tree);
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    process::signal(pids[0], Signal::KILL);
    wait_upgraded(&tree, &[svscan.pid()]);
    wait_all_gone(&pids);
    wait_until("no other process is left", PROMPT, || tree.processes() == [svscan.pid()]);
    assert_eq!(svscan.stderr(), "");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

/// Installs a script in the place of every program, which executes the real program after these
/// lines.
fn install_script(tree: &Tree, lines: &str) {
    let real = tree.path("real");
    tree.rename("bin", "real");
    tree.mkdir("bin");
    let script = format!("#!/bin/sh\n{lines}exec {}/${{0##*/}} \"$@\"\n", real.display());
    for entry in fs::read_dir(real).expect("our programs").flatten() {
        tree.script(tree.path("bin").join(entry.file_name()), &script);
    }
}

/// Makes svscan wait before it executes the new program, without a child of its own.
const WAIT_FOR_GO: &str = "case $0$DAEMONTOOLS_UPGRADE in
        */svscantrial) ;;
        */svscan*) echo >waiting; read line <go;;
    esac\n";

#[test]
fn a_supervise_that_dies_while_svscan_upgrades_is_started_again() {
    let tree = tree();
    install(&tree);
    tree.idle_service("s/a");
    let svscan = svscan(&tree);
    let pid = wait_settled(&tree, "s/a");
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    // The new program is slow to start, and has no child.
    tree.fifo("go", 0o600);
    install_script(&tree, WAIT_FOR_GO);
    svscan.signal(Signal::USR2);
    tree.wait_lines("waiting", 1);
    process::signal(supervise, Signal::KILL);
    tree.write("go", "\n");
    svscan.wait_stderr("svscan: warning: supervise a was killed by signal 9\n");
    wait_until("another one is there", PROMPT, || tree.is_supervised("s/a"));
    assert_eq!(tree.wait_up("s/a"), pid);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

/// Upgrades to a program that runs these lines first and gets no handover, so that it starts as
/// after a KILL. Returns svscan, and the processes of the service and its logger.
fn upgrade_without_handover(tree: &Tree, lines: &str, leftovers: bool) -> (Process, [u32; 2]) {
    install(tree);
    tree.service("s/a", "#!/bin/sh\necho first\nexec sleep 1000\n");
    tree.service("s/a/log", "#!/bin/sh\nexec cat >>log\n");
    let svscan = svscan(tree);
    let services = [wait_settled(tree, "s/a"), wait_settled(tree, "s/a/log")];
    let supervises = ["a", "log"].map(|name| wait_descendant(svscan.pid(), &["supervise", name]));
    let all = [supervises[0], supervises[1], svscan.pid()];
    let counts = || all.map(|pid| process::descriptors(pid).len());
    let before = counts();
    tree.fifo("go", 0o600);
    install_script(tree, &[lines, WAIT_FOR_GO].concat());
    svscan.signal(Signal::USR2);
    let real = tree.path("real");
    let has_begun = |pid: u32, file: &str| {
        let arguments = process::arguments(pid);
        let signals = |(_, target): (i32, PathBuf)| target.ends_with("anon_inode:[signalfd]");
        arguments.first().is_some_and(|program| Path::new(program).starts_with(&real))
            && process::descriptors(pid).into_iter().any(signals)
            && process::has_open(pid, &tree.path(file))
    };
    // If svscan were first, it would start other supervises, which would be refused.
    wait_until("the supervises have begun", PROMPT, || {
        has_begun(supervises[0], "s/a/supervise/ok")
            && has_begun(supervises[1], "s/a/log/supervise/ok")
    });
    tree.write("go", "\n");
    wait_until("svscan has begun", PROMPT, || has_begun(svscan.pid(), "s"));
    // The new programs watch both processes and have the log pipe.
    let lines = tree.wait_lines("s/a/log/log", 1).len();
    process::signal(services[1], Signal::KILL);
    let logger = tree.wait_restart("s/a/log", services[1]);
    assert_eq!(tree.wait_up("s/a"), services[0]);
    process::signal(services[0], Signal::KILL);
    let service = tree.wait_restart("s/a", services[0]);
    tree.wait_lines("s/a/log/log", lines + 1);
    assert_eq!(svscan.stderr(), "");
    wait_until("no descriptor is left over", PROMPT, || leftovers || counts() == before);
    (svscan, [service, logger])
}

#[test]
fn a_version_that_cannot_read_the_handover_starts_as_after_a_kill() {
    let tree = tree();
    let lines = "case $DAEMONTOOLS_UPGRADE in [0-9]*)
            file=/proc/self/fd/$DAEMONTOOLS_UPGRADE
            text=$(sed 's/version=1/version=2/; s/^lock/look/' $file)
            echo \"$text\" >$file
        esac\n";
    let (svscan, services) = upgrade_without_handover(&tree, lines, false);
    for pid in services {
        assert_eq!(blocked(pid), NONE_BLOCKED);
    }
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    wait_all_gone(&services);
}

#[test]
fn a_program_without_the_handover_variable_takes_over_its_own_lock() {
    let tree = tree();
    let lines = "[ \"$DAEMONTOOLS_UPGRADE\" = trial ] || unset DAEMONTOOLS_UPGRADE\n";
    // It does not know the old signal mask either.
    let (svscan, _) = upgrade_without_handover(&tree, lines, true);
    svscan.kill();
}

#[test]
fn a_supervise_that_was_leaving_still_leaves_after_an_upgrade() {
    let tree = tree();
    install(&tree);
    tree.idle_service("a");
    let supervise = tree.sh(&format!("exec {} a", tree.path("bin/supervise").display())).start();
    let pid = wait_settled(&tree, "a");
    tree.svc("-x", "a");
    let record = |text: &str| tree.text("a/supervise/process").contains(text);
    wait_until("it knows that it leaves", PROMPT, || record("leaving=yes"));
    replace(&tree);
    supervise.signal(Signal::USR2);
    wait_upgraded(&tree, &[supervise.pid()]);
    assert_eq!(tree.wait_up("a"), pid);
    process::signal(pid, Signal::KILL);
    assert_exit_0(supervise);
}

#[test]
fn svscan_u_without_a_svscan_is_an_error() {
    let tree = tree();
    tree.mkdir("s");
    let fatal = "svscan: fatal: no svscan runs on s\n";
    tree.cmd("svscan").args(["-u", "s"]).run().is(100, "", fatal);
    let fatal = "svscan: fatal: unable to open none: file does not exist\n";
    tree.cmd("svscan").args(["-u", "none"]).run().is(111, "", fatal);
}
