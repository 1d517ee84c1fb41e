//! FIFOs and endless files, the notification descriptor, and what children inherit.

use harness::{DEADLINE, Signal, process, wait_until};
use std::fs;
use std::path::Path;
use system::{assert_exit_0, replace_supervise, state, status_line, stop_supervise, tree};

// FIFOs and files without an end

/// The option files, and other files of a service directory.
const FILES: [&str; 26] = [
    "down",
    "start",
    "run",
    "stop",
    "finish",
    "check",
    "notify",
    "log",
    "control",
    "personality",
    "notification-fd",
    "notify-socket",
    "check-interval",
    "timeout-ready",
    "timeout-watchdog",
    "restart-delay",
    "restart-limit",
    "down-signal",
    "timeout-kill",
    "stop-scope",
    "background",
    "command",
    "essential",
    "needs",
    "listen",
    "resource-limits",
];

#[test]
fn a_fifo_in_the_place_of_any_file_blocks_no_program() {
    let tree = tree();
    for name in FILES {
        let dir = format!("s/{name}");
        if name != "run" {
            tree.idle_service(&dir);
        }
        tree.fifo(format!("{dir}/{name}"), 0o755);
    }
    for name in ["status", "state", "death_tally", "status.new", "process"] {
        tree.idle_service(format!("s/{name}"));
        tree.write(format!("s/{name}/max-death-tally"), "5\n");
        tree.fifo(format!("s/{name}/supervise/{name}"), 0o600);
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    for entry in fs::read_dir(tree.path("s")).expect("it is there").flatten() {
        let dir = Path::new("s").join(entry.file_name());
        tree.wait_supervised(&dir);
        // The service is up, or supervise has reported why not. In both cases it obeys.
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000"]).arg(&dir).run().is(0, "", "");
        assert!(tree.svstat(&dir).starts_with("down "), "{}", dir.display());
    }
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    // A FIFO in the place of the lock has no reader.
    tree.idle_service("a");
    tree.fifo("a/supervise/lock", 0o600);
    let line = "supervise: fatal: unable to acquire a/supervise/lock: device not configured\n";
    tree.cmd("supervise").arg("a").run().is(111, "", line);
    // multilog does not wait for a reader either.
    tree.fifo("log/current", 0o744);
    let line = "multilog: fatal: unable to append to ./log/current: device not configured\n";
    tree.cmd("multilog").arg("./log").stdin("a\n").run().is(111, "", line);
}

#[test]
fn a_huge_option_file_is_refused_without_using_memory() {
    let tree = tree();
    for name in &FILES[9..] {
        let dir = format!("s/{name}");
        tree.idle_service(&dir);
        if *name == "command" {
            // Beside `run` it is not read.
            tree.remove(format!("{dir}/run"));
        }
        let file = fs::File::create(tree.path(&dir).join(name)).expect("create");
        // A hole needs no room on disk.
        file.set_len(1 << 36).expect("make it long");
        let supervise = tree.cmd("supervise").arg(&dir).under(["prlimit", "--data=8388608"]);
        let supervise = supervise.start();
        tree.wait_supervised(&dir);
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", &dir]).run().is(0, "", "");
        if *name != "notify-socket" {
            supervise.wait_stderr(&format!("supervise: warning: unable to read {dir}/{name}: "));
        }
        stop_supervise(&tree, supervise, &dir);
    }
}

#[test]
fn a_pid_file_that_is_a_link_or_a_fifo_is_not_read() {
    let tree = tree();
    tree.fifo("canary", 0o600);
    let mut canary = tree.open_fifo("canary");
    for make in ["ln -sf ../canary pid", "ln -f ../canary pid"] {
        fs::write(tree.path("canary"), "1\n1\n").expect("write into the FIFO");
        tree.service("a", &format!("#!/bin/sh\n{make}\necho $$ >>started\nexit 0\n"));
        tree.write("a/background", "pid-file pid\n");
        tree.write("a/started", "");
        let supervise = tree.supervise("a");
        tree.wait_lines("a/started", 2);
        supervise.wait_stderr("supervise: warning: ignoring pid file pid: ");
        stop_supervise(&tree, supervise, "a");
        assert_eq!(canary.drain(), b"1\n1\n", "{make}");
    }
}

// The notification descriptor

#[test]
fn a_full_notification_pipe_does_not_keep_supervise_from_its_work() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\nexec perl -e 'open(F, \">&=5\"); syswrite(F, \"x\" x 4096) while 1'\n",
    );
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
    stop_supervise(&tree, supervise, "a");
}

/// A service that puts an `O_PATH` descriptor of the canary at its notification descriptor. That needs
/// no right to the canary.
const OTHER_DESCRIPTOR: &str = r#"#!/usr/bin/perl
use POSIX;
sysopen(my $file, '../canary', 0x200000) or die "open: $!";
POSIX::dup2(fileno($file), 5);
open(my $said, '>>', 'said') and close($said);
sleep(1000);
"#;

#[test]
fn a_notification_descriptor_that_leads_elsewhere_is_not_opened() {
    let tree = tree();
    tree.fifo("canary", 0o600);
    let mut canary = tree.open_fifo("canary");
    fs::write(tree.path("canary"), "commands\n").expect("write into the FIFO");
    tree.service("a", OTHER_DESCRIPTOR);
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    wait_until("the descriptor is replaced", DEADLINE, || tree.exists("a/said"));
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(tree.wait_up("a"), pid);
    // After an upgrade too: supervise reads the descriptors before it obeys.
    supervise.signal(Signal::USR2);
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    assert!(!process::has_open(supervise.pid(), &tree.path("canary")));
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    assert_eq!(canary.drain(), b"commands\n");
    tree.svc("-c", "a");
    stop_supervise(&tree, supervise, "a");
}

// What children inherit

/// Writes its descriptors, and its variables that only supervision uses, to a file.
const SHOW_INHERITED: &str = r#"#!/usr/bin/perl
my ($name) = $0 =~ m{([^/]*)$};
opendir(my $all, "/proc/$$/fd") or die;
# The script itself, and this directory, are its own.
my @inherited = grep { /\d/ && readlink("/proc/$$/fd/$_") !~ m{^/proc/|/\Q$name\E$} } readdir($all);
closedir($all);
open(my $out, '>', "shown.$name") or die;
print $out join(' ', sort { $a <=> $b } @inherited), "\n";
print $out map { "$_\n" } grep { /^DAEMONTOOLS_(UPGRADE|GATE)/ } keys(%ENV);
print $out "end\n";
close($out);
"#;

#[test]
fn children_inherit_only_their_own_descriptors_and_variables() {
    let tree = tree();
    // Children also inherit the descriptors of the test process.
    tree.script("show", SHOW_INHERITED);
    tree.cmd("./show").run().is(0, "", "");
    let inherited = tree.text("shown.show");
    assert!(inherited.starts_with("0 1 2") && inherited.ends_with("\nend\n"), "{inherited}");
    let forever = format!("{SHOW_INHERITED}sleep(1000);\n");
    tree.service("s/plain", &forever);
    tree.service("s/plain/log", &forever);
    // A service for which supervise holds many descriptors open.
    tree.service("s/rich", &forever);
    tree.write("s/rich/listen", "tcp 127.0.0.1:0\n");
    tree.write("s/rich/notify-socket", "");
    tree.write("s/rich/needs", "plain\n");
    tree.write("s/rich/personality", "runit\n");
    for name in ["check", "finish", "control/t"] {
        tree.script(format!("s/rich/{name}"), format!("{SHOW_INHERITED}exit(1);\n"));
    }
    tree.service("s/encore", &forever);
    tree.write("s/encore/personality", "encore\n");
    tree.write("s/encore/notify-socket", "");
    for name in ["start", "stop", "notify"] {
        tree.script(format!("s/encore/{name}"), SHOW_INHERITED);
    }
    tree.script("s/encore/log", &forever);
    let svscan = tree.cmd("svscan").arg("s").start();
    let shown = |name: &str| tree.wait_text(format!("s/{name}"), "end\n");
    assert_eq!(shown("plain/shown.run"), inherited);
    assert_eq!(shown("plain/log/shown.run"), inherited);
    let mut numbers: Vec<u32> =
        inherited.split_whitespace().filter_map(|number| number.parse().ok()).chain([3]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    assert_eq!(shown("rich/shown.run"), format!("{}\nend\n", numbers.join(" ")));
    assert_eq!(shown("rich/shown.check"), inherited);
    assert_eq!(shown("encore/shown.run"), inherited);
    for dir in ["s/rich", "s/encore"] {
        tree.svc("-t", dir);
        tree.svc("-d", dir);
    }
    for name in ["rich/shown.t", "rich/shown.finish"] {
        assert_eq!(shown(name), inherited, "{name}");
    }
    for name in ["start", "stop", "notify", "log"] {
        assert_eq!(shown(&format!("encore/shown.{name}")), inherited, "{name}");
    }
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn files_are_closed_to_others_without_a_umask() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/max-death-tally", "5\n");
    tree.service("b", "#!/bin/sh\nwhile :; do echo line; sleep 0.1; done | multilog ./log\n");
    let [a, b] = ["a", "b"].map(|dir| {
        let supervise = tree.sh(&format!("umask 0; exec supervise {dir}")).start();
        tree.wait_supervised(dir);
        supervise
    });
    let pid = tree.wait_up("a");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    assert_eq!(tree.mode("a/supervise"), 0o700);
    for (name, mode) in [
        ("lock", 0o600),
        ("control", 0o600),
        ("ok", 0o600),
        ("status", 0o644),
        ("state", 0o644),
        ("death_tally", 0o644),
        ("process", 0o1644),
    ] {
        assert_eq!(tree.mode(format!("a/supervise/{name}")), mode, "{name}");
    }
    tree.wait_text("b/log/current", "line");
    assert_eq!(tree.mode("b/log"), 0o700);
    assert_eq!(tree.mode("b/log/lock"), 0o600);
    assert_eq!(tree.mode("b/log/current"), 0o644);
    stop_supervise(&tree, a, "a");
    stop_supervise(&tree, b, "b");
}

#[test]
fn a_forged_handover_is_ignored_at_start() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("long", vec![b'9'; 1 << 20]);
    tree.write(
        "forged",
        "daemontools handover 1\nlock=0\ncontrol=1\ncontrol-writer=2\nok=999999\n",
    );
    for value in ["0", "1", "2", "5", "6", "7", "-1", "99999999999999999999", "x", "/etc/passwd"] {
        let start =
            format!("DAEMONTOOLS_UPGRADE={value} exec supervise a 5<long 6<forged 7</dev/null");
        let supervise = tree.sh(&start).start();
        tree.wait_supervised("a");
        tree.wait_up("a");
        stop_supervise(&tree, supervise, "a");
    }
}

#[test]
fn needs_names_siblings_and_no_paths() {
    let tree = tree();
    for name in ["../elsewhere", "/elsewhere", "..", "."] {
        tree.idle_service("a");
        tree.write("a/needs", format!("{name}\n"));
        let supervise = tree.supervise("a");
        supervise.wait_stderr("supervise: warning: a/needs");
        assert!(!tree.exists("a/started"));
        stop_supervise(&tree, supervise, "a");
    }
}

// Processes of a service

#[test]
fn thousands_of_processes_are_stopped_in_bounded_time_and_memory() {
    for scope in ["group", "tree"] {
        let tree = tree();
        tree.service(
            "a",
            "#!/bin/sh\ntrap '' TERM\ni=0\nwhile [ $i -lt 1500 ]; do sleep 1000 & i=$((i + 1)); done\n\
             echo $$ >>started\nwait\n",
        );
        tree.write("a/stop-scope", scope);
        tree.write("a/timeout-kill", "100\n");
        let supervise = tree.supervise("a");
        let peak = || -> u32 {
            let line = status_line(supervise.pid(), "VmHWM").expect("it runs");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        tree.wait_lines("a/started", 1);
        let processes = process::descendants(supervise.pid());
        assert_eq!(processes.len(), 1501);
        let before = peak();
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
        assert!(!processes.iter().any(|&pid| process::is_alive(pid)), "{scope}");
        let after = peak();
        assert!(after <= before + 512, "{scope}: {before} and {after} KiB");
        stop_supervise(&tree, supervise, "a");
    }
}
