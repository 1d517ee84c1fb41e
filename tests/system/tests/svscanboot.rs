//! svscanboot: what the original's script cannot do. Arguments name all paths, so the tests leave
//! those of the machine alone. A namespace stands in for the default paths.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_for, wait_until};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use system::{PROMPT, assert_exit_0, count, namespace, tree, wait_all_gone, wait_descendant};

/// Upper bound for the restart of a program, which happens at most every five seconds.
const AGAIN: Duration = Duration::from_secs(8);

/// `svscanboot` with the log `log`, and an environment directory that leads to the programs under
/// test.
fn command(tree: &Tree) -> Cmd<'_> {
    bare(tree).args(["-l", "log"])
}

/// The same without a log.
fn bare(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("s");
    let mut path = tree.suite().bin().as_os_str().as_bytes().to_vec();
    path.extend(b":/usr/bin:/bin\n");
    tree.write("env/PATH", path);
    tree.cmd("svscanboot").args(["-e", "env"])
}

/// A child with that name.
fn find_child(boot: &Process, name: &str) -> Option<u32> {
    process::descendants(boot.pid()).into_iter().find(|&pid| {
        process::parent(pid) == Some(boot.pid())
            && process::arguments(pid).first().is_some_and(|first| first == name)
    })
}

/// Waits for a child with that name, and returns it.
#[track_caller]
fn child(boot: &Process, name: &str) -> u32 {
    wait_for(&format!("a process {name}"), DEADLINE, || find_child(boot, name))
}

/// Waits for a child with that name that is not `before`.
#[track_caller]
fn another(boot: &Process, name: &str, before: u32) -> u32 {
    wait_for(&format!("another {name}"), AGAIN, || {
        find_child(boot, name).filter(|&pid| pid != before && process::is_alive(pid))
    })
}

/// The arguments of a process as one text.
fn title(pid: u32) -> String {
    let words = process::arguments(pid);
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// The lines of a log without their labels.
#[track_caller]
fn without_labels(log: &str) -> Vec<&str> {
    log.lines()
        .map(|line| {
            let (label, text) = line.split_once(' ').expect("a label and a text");
            let digits = label.strip_prefix("@4000").expect("a label begins with @4000");
            assert_eq!(digits.len(), 20, "{line}");
            assert!(digits.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{line}");
            text
        })
        .collect()
}

// Paths

#[test]
fn the_scan_directory_is_the_argument_svdir_or_the_default() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.idle_service("t/b");
    let by_argument = command(&tree).arg("s").env("SVDIR", tree.path("t")).start();
    let svscan = child(&by_argument, "svscan");
    let supervise = wait_descendant(svscan, &["supervise", "a"]);
    assert_eq!(process::parent(supervise), Some(svscan));
    assert_eq!(process::arguments(svscan), ["svscan", "s"]);
    tree.wait_up("s/a");
    let by_variable = command(&tree).env("SVDIR", tree.path("t")).start();
    let svscan = child(&by_variable, "svscan");
    assert_eq!(process::arguments(svscan), [OsStr::new("svscan"), tree.path("t").as_os_str()]);
    tree.wait_up("t/b");
    // svscanboot passes options of svscan on.
    tree.mkdir("u");
    let keeping = command(&tree).args(["-k", "u"]).start();
    assert_eq!(process::arguments(child(&keeping, "svscan")), ["svscan", "-k", "u"]);
    tree.mkdir("v");
    let timed = command(&tree).args(["-t5", "-k", "v"]).start();
    assert_eq!(process::arguments(child(&timed, "svscan")), ["svscan", "-t", "5", "-k", "v"]);
}

#[test]
fn a_bad_option_is_a_usage_error() {
    let tree = tree();
    let usage = "svscanboot: usage: svscanboot [-k] [-e envdir] [-l logfile] [-t seconds] [dir]\n";
    let line = format!("svscanboot: illegal option -- x\n{usage}");
    tree.cmd("svscanboot").arg("-x").run().is(100, "", line);
    let line = format!("svscanboot: option requires an argument -- e\n{usage}");
    tree.cmd("svscanboot").arg("-e").run().is(100, "", line);
    tree.cmd("svscanboot").args(["-t", "soon"]).run().is(100, "", usage);
}

#[test]
fn a_second_svscanboot_leaves_the_first_one_alone() {
    let tree = tree();
    tree.idle_service("s/a");
    let first = command(&tree).arg("s").start();
    let svscan = child(&first, "svscan");
    let pid = tree.wait_up("s/a");
    let second = command(&tree).arg("s").run();
    let line =
        format!("svscanboot: fatal: unable to lock s: temporary failure (held by pid {svscan})\n");
    assert_eq!((second.code, second.err()), (Some(111), line));
    assert_eq!(tree.wait_up("s/a"), pid);
    first.signal(Signal::TERM);
    assert_exit_0(first);
}

#[test]
fn the_default_paths_are_those_of_the_machine() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.service("etc/service/a", "#!/bin/sh\necho \"$GREETING\"\nexec sleep 1000\n");
    tree.write("etc/daemontools/env/GREETING", "good morning\n");
    tree.mkdir("log");
    // In the default PATH.
    let setup = "mount --bind etc /etc && mount --bind log /var/log && \
                 mount --bind \"$1\" /usr/local/bin && exec svscanboot 2>/dev/null";
    let boot = tree.sh(setup).arg("sh").arg(tree.suite().bin()).under(namespace).start();
    let log = tree.wait_lines("log/svscanboot.log", 1).join("\n");
    assert_eq!(without_labels(&log), ["good morning"]);
    assert_eq!(process::arguments(child(&boot, "svscan")), ["svscan", "/etc/service"]);
    boot.signal(Signal::TERM);
    boot.wait().is(0, "", "");
}

#[test]
fn a_svscanboot_in_another_directory_runs_the_programs_beside_it() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.service("s/a", "#!/bin/sh\necho \"$PATH\" >path\nexec sleep 1000\n");
    // Another version is in the usual place, first alone and then as a link to the same programs.
    tree.script("other/svscan", "#!/bin/sh\necho $$ >>seen\nexec sleep 1000\n");
    tree.mkdir("links");
    for program in ["svscan", "supervise", "readproctitle"] {
        tree.symlink(tree.suite().bin().join(program), format!("links/{program}"));
    }
    let usual =
        "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";
    let bin = tree.suite().bin().display();
    for (place, path) in [("other", format!("{bin}:{usual}\n")), ("links", format!("{usual}\n"))] {
        let setup = format!(
            "mount --bind {place} /usr/local/bin && exec \"$1\"/svscanboot -e none s 2>>errors"
        );
        let boot = tree.sh(&setup).arg("sh").arg(tree.suite().bin()).under(namespace).start();
        tree.wait_lines("s/a/path", 1);
        assert_eq!(tree.text("s/a/path"), path);
        boot.signal(Signal::TERM);
        boot.wait();
        tree.remove("s/a/path");
    }
    assert!(!tree.exists("seen"));
}

// The environment

#[test]
fn an_environment_directory_is_the_whole_environment() {
    let tree = tree();
    tree.idle_service("s/a");
    let boot = command(&tree).arg("s").env("EMPTY", "not").env("OTHER", "neither");
    tree.write("env/EMPTY", "");
    tree.write("env/BLANK", "\n");
    tree.write("env/TWO", b"first line \t\nsecond line\n");
    tree.write("env/NUL", b"with\0newline");
    tree.write("env/.hidden", "x");
    let boot = boot.start();
    tree.wait_up("s/a");
    let mut path = OsString::from("PATH=");
    path.push(tree.suite().bin());
    path.push(":/usr/bin:/bin");
    let wanted: BTreeSet<OsString> = ["BLANK=", "TWO=first line", "NUL=with\nnewline"]
        .map(OsString::from)
        .into_iter()
        .chain([path])
        .collect();
    let svscan = child(&boot, "svscan");
    let supervise = wait_descendant(svscan, &["supervise", "a"]);
    for pid in [svscan, supervise, child(&boot, "readproctitle")] {
        let mut got: BTreeSet<OsString> = process::environment(pid).into_iter().collect();
        // svscan gives this variable to the supervise alone.
        got.retain(|entry| pid != supervise || !entry.as_bytes().starts_with(b"DAEMONTOOLS_GATE="));
        assert_eq!(got, wanted);
    }
}

#[test]
fn an_environment_file_that_cannot_be_read_is_a_warning() {
    let tree = tree();
    tree.idle_service("s/a");
    let boot = command(&tree).arg("s").unprivileged();
    // Whatever the order of the directory, PATH is used.
    for name in ["A", "SECRET", "Z"] {
        tree.write(format!("env/{name}"), "x");
        tree.chmod(format!("env/{name}"), 0);
    }
    let boot = boot.start();
    tree.wait_up("s/a");
    for name in ["A", "SECRET", "Z"] {
        let warning = format!("svscanboot: warning: unable to read env/{name}: access denied\n");
        tree.wait_text("log", &warning);
    }
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn services_get_the_first_three_descriptors_and_no_more() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    let reference = tree.sh("exec sleep 1000").start();
    process::wait_asleep(reference.pid(), "sleep");
    let numbers =
        |files: &[(i32, std::path::PathBuf)]| files.iter().map(|f| f.0).collect::<Vec<_>>();
    let wanted = numbers(&process::descriptors(reference.pid()));
    // Closed descriptors make no difference.
    for redirection in ["", "<&- >&- 2>&-"] {
        let script = format!("exec svscanboot \"$@\" {redirection}");
        drop(bare(&tree));
        let boot = tree.sh(&script).args(["sh", "-e", "env", "-l", "log", "s"]).start();
        let service = tree.wait_up("s/a");
        process::wait_asleep(service, "sleep");
        let readproctitle = child(&boot, "readproctitle");
        process::wait_asleep(readproctitle, "readproctitle");
        let files = process::descriptors(service);
        assert_eq!(numbers(&files), wanted, "{files:?}");
        assert_eq!(files[0].1, OsStr::new("/dev/null"));
        assert!(files[1].1.to_string_lossy().starts_with("pipe:"), "{files:?}");
        assert_eq!(files[1].1, files[2].1);
        let files = process::descriptors(readproctitle);
        assert_eq!(numbers(&files), wanted, "{files:?}");
        assert!(files[0].1.to_string_lossy().starts_with("pipe:"), "{files:?}");
        boot.signal(Signal::TERM);
        assert_exit_0(boot);
    }
}

// The log

#[test]
fn both_streams_go_to_the_log_with_labels() {
    let tree = tree();
    tree.service(
        "s/a",
        "#!/bin/sh\necho to-output\necho to-error >&2\nprintf 'in ' \nread -r line <go\n\
         echo pieces\nexec sleep 1000\n",
    );
    tree.fifo("s/a/go", 0o600);
    let boot = command(&tree).arg("s").start();
    tree.wait_text("log", "in ");
    tree.sh("echo >s/a/go").run().is(0, "", "");
    tree.wait_text("log", "pieces\n");
    assert_eq!(without_labels(&tree.text("log")), ["to-output", "to-error", "in pieces"]);
    // The named log is used even if stderr is a file.
    assert_eq!((boot.stdout(), boot.stderr()), (String::new(), String::new()));
    let readproctitle = child(&boot, "readproctitle");
    wait_until("ps shows it", DEADLINE, || title(readproctitle).ends_with("in pieces\n"));
}

#[test]
fn a_log_over_one_mebibyte_is_renamed_to_old() {
    let tree = tree();
    tree.write("log.old", "older\n");
    tree.service("s/a", "#!/bin/sh\nseq 40000\nexec sleep 1000\n");
    let boot = command(&tree).arg("s").start();
    tree.wait_text("log", " 40000\n");
    let (old, new) = (tree.text("log.old"), tree.text("log"));
    assert!((1 << 20..(1 << 20) + 200_000).contains(&old.len()), "{}", old.len());
    let lines = [without_labels(&old), without_labels(&new)].concat();
    assert_eq!(lines.len(), 40000);
    assert!(lines.iter().zip(1..).all(|(line, number)| *line == number.to_string()));
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn the_log_goes_to_stderr_if_that_is_a_file_or_pipe() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\necho out\necho err >&2\nexec sleep 1000\n");
    // A file.
    let boot = bare(&tree).arg("s").start();
    boot.wait_stderr("out\nerr\n");
    boot.signal(Signal::TERM);
    boot.wait().is(0, "", "out\nerr\n");
    // A pipe.
    let (mut pipe, end) = io::pipe().expect("make a pipe");
    let boot = bare(&tree).arg("s").stderr_to(end).start();
    let mut text = [0; 8];
    pipe.read_exact(&mut text).expect("read from the pipe");
    assert_eq!(&text, b"out\nerr\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_log_that_cannot_be_written_does_no_harm() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nseq 3000\necho $$ >>started\nexec sleep 1000\n");
    let boot = bare(&tree).args(["-l", "none/log", "s"]).start();
    tree.wait_lines("s/a/started", 1);
    let readproctitle = child(&boot, "readproctitle");
    wait_until("ps shows it", DEADLINE, || title(readproctitle).ends_with("3000\n"));
    // As soon as the log can be written, it is.
    tree.mkdir("none");
    tree.svc("-t", "s/a");
    tree.wait_text("none/log", " 3000\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_stopped_readproctitle_blocks_no_service() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\n[ -e go ] && seq 30000\necho $$ >>started\nexec sleep 1000\n");
    let boot = command(&tree).arg("s").start();
    tree.wait_lines("s/a/started", 1);
    let readproctitle = child(&boot, "readproctitle");
    process::signal(readproctitle, Signal::STOP);
    tree.write("s/a/go", "");
    tree.svc("-t", "s/a");
    tree.wait_lines("s/a/started", 2);
    tree.wait_text("log", " 30000\n");
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn a_service_that_writes_without_end_delays_nothing() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nexec yes\n");
    let boot = command(&tree).arg("s").start();
    tree.wait_text("log", " y\n");
    let before = child(&boot, "readproctitle");
    process::signal(before, Signal::KILL);
    another(&boot, "readproctitle", before);
    boot.signal(Signal::TERM);
    let output = boot.wait_within(Duration::from_secs(5));
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn an_argument_that_is_no_directory_is_ignored_with_a_warning() {
    let tree = tree();
    tree.mkdir("s");
    tree.idle_service("s/a");
    for (argument, why) in [("/dev/null", "not a directory"), ("start", "file does not exist")] {
        let boot = command(&tree).arg(argument).env("SVDIR", tree.path("s")).start();
        tree.wait_up("s/a");
        let s = tree.path("s");
        let line = format!(
            "svscanboot: warning: ignoring the argument {argument}: {why}; scanning {}",
            s.display()
        );
        tree.wait_text("log", &line);
        boot.signal(Signal::TERM);
        assert_exit_0(boot);
    }
}

// The end

#[test]
fn a_stop_with_a_time_limit_kills_what_remains() {
    let tree = tree();
    tree.trapping_service("s/a", &["TERM"]);
    let boot = command(&tree).args(["-t", "1", "s"]).start();
    tree.wait_lines("s/a/started", 1);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    assert_eq!(tree.processes(), []);
}

#[test]
fn a_stop_signal_ends_everything_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::POWER] {
        let tree = tree();
        tree.service(
            "s/a",
            "#!/bin/sh\ntrap 'seq 500; echo service >>order; exit' TERM\nmkfifo idle\n\
             exec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n",
        );
        tree.service(
            "s/a/log",
            "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done >>logged\n\
             echo logger >>../order\necho the end\n",
        );
        let boot = command(&tree).arg("s").start();
        tree.wait_lines("s/a/started", 1);
        tree.wait_up("s/a/log");
        let children = process::descendants(boot.pid());
        let svscan = child(&boot, "svscan");
        boot.signal(signal);
        boot.wait_within(Duration::from_secs(5)).is(0, "", "");
        assert!(!process::is_alive(svscan));
        wait_all_gone(&children);
        assert_eq!(tree.text("s/a/order"), "service\nlogger\n");
        assert_eq!(tree.wait_lines("s/a/log/logged", 500).len(), 500);
        // The last line of all.
        assert_eq!(without_labels(&tree.text("log")), ["the end"]);
    }
}

#[test]
fn hup_is_passed_on() {
    let tree = tree();
    let boot = command(&tree).arg("s").start();
    tree.symlink("../real/a", "s/a");
    tree.wait_text("log", "svscan: warning: unable to stat a: file does not exist\n");
    tree.idle_service("real/.a");
    tree.rename("real/.a", "real/a");
    boot.signal(Signal::HUP);
    wait_until("it is found", PROMPT, || tree.is_supervised("s/a"));
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn svscan_and_readproctitle_are_started_again_when_they_die() {
    let tree = tree();
    tree.idle_service("s/a");
    let mut boot = command(&tree).arg("s").start();
    let pid = tree.wait_up("s/a");
    let readproctitle = child(&boot, "readproctitle");
    let svscan = child(&boot, "svscan");
    process::signal(readproctitle, Signal::KILL);
    process::signal(svscan, Signal::KILL);
    another(&boot, "svscan", svscan);
    let readproctitle = another(&boot, "readproctitle", readproctitle);
    tree.wait_text(
        "log",
        "svscanboot: warning: svscan was killed by signal 9; it is started again\n",
    );
    assert!(process::is_alive(pid));
    // Both work.
    tree.service("s/.b", "#!/bin/sh\necho from b\nexec sleep 1000\n");
    tree.rename("s/.b", "s/b");
    tree.wait_text("log", " from b\n");
    wait_until("ps shows it", DEADLINE, || title(readproctitle).contains("from b\n"));
    assert!(!boot.has_ended());
}

#[test]
fn a_svscan_that_cannot_run_is_tried_again() {
    let tree = tree();
    let boot = command(&tree).arg("./none").start();
    let text = "svscan: fatal: unable to chdir to ./none: file does not exist\n";
    tree.wait_text("log", text);
    tree.wait_text(
        "log",
        "svscanboot: warning: svscan ended with exit code 111; it is started again\n",
    );
    tree.idle_service("none/a");
    wait_until("it is found", AGAIN, || tree.is_supervised("none/a"));
    assert_eq!(count(&tree.text("log"), "svscan ended"), 1);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn term_before_svscan_is_started_again_ends_it_at_once() {
    let tree = tree();
    let boot = command(&tree).arg("./none").start();
    tree.wait_text("log", "it is started again\n");
    boot.signal(Signal::TERM);
    boot.wait_within(PROMPT).is(0, "", "");
}

/// Starts svscanboot with a service that writes more than a pipe takes. Returns that pipe, which
/// has no reader.
fn with_a_full_pipe(tree: &Tree) -> (Process, std::io::PipeReader) {
    tree.service("s/a", "#!/bin/sh\nseq 100000\necho $$ >>said\nexec sleep 1000\n");
    let (reader, writer) = std::io::pipe().expect("make a pipe");
    let boot = bare(tree).arg("s").stderr_to(writer).start();
    wait_until("it is full", DEADLINE, || {
        rustix::io::ioctl_fionread(&reader).is_ok_and(|bytes| bytes > 60_000)
    });
    (boot, reader)
}

#[test]
fn services_wait_while_stderr_has_no_reader() {
    use std::io::BufRead as _;
    let tree = tree();
    let (boot, reader) = with_a_full_pipe(&tree);
    let mut lines = std::io::BufReader::new(reader).lines();
    for number in 1..=100_000 {
        assert_eq!(lines.next().expect("a line").expect("text"), number.to_string());
    }
    tree.wait_lines("s/a/said", 1);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
}

#[test]
fn svscanboot_obeys_term_while_stderr_has_no_reader() {
    let tree = tree();
    let (boot, _reader) = with_a_full_pipe(&tree);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    assert_eq!(tree.processes(), []);
}
