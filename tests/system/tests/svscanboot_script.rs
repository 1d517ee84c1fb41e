//! svscanboot as a script: shells run it, and it becomes the program.

use harness::{Process, Signal, Tree, process};
use std::fs;
use system::{assert_exit_0, tree, wait_descendant};

/// Installs the programs under test into a directory of the tree, with svscanboot as a script.
#[track_caller]
fn install(tree: &Tree, dir: &str) {
    let executable = tree.suite().program("supervise").canonicalize().expect("it is there");
    let executable = executable.to_str().expect("a name in ASCII");
    let output = tree.cmd(executable).arg0("daemontools").args(["install", "-s", dir]).run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
}

/// The shells of this machine.
fn shells(tree: &Tree) -> Vec<&'static str> {
    let all = ["sh", "bash", "dash", "busybox sh", "zsh"];
    all.into_iter()
        .filter(|shell| tree.sh(&format!("exec {shell} -c :")).run().code == Some(0))
        .collect()
}

fn version() -> String {
    format!("svscanboot (daemontools-rs) {}\n", env!("CARGO_PKG_VERSION"))
}

#[test]
fn every_shell_runs_it_by_every_name() {
    let tree = tree();
    install(&tree, "place with spaces/bin");
    tree.mkdir("command");
    tree.symlink("../place with spaces/bin/svscanboot", "command/svscanboot");
    tree.symlink(tree.path("command/svscanboot"), "boot");
    // A file of the current directory, without a slash in its name.
    let mut lines: Vec<String> =
        shells(&tree).iter().map(|shell| format!("{shell} boot")).collect();
    for path in ["command/svscanboot", "./boot", "'place with spaces/bin/svscanboot'"] {
        lines.push(path.to_owned());
        lines.extend(shells(&tree).iter().map(|shell| format!("{shell} {path}")));
    }
    for line in lines {
        let output = tree.sh(&format!("exec {line} --version")).run();
        assert_eq!((output.out(), output.err()), (version(), String::new()), "{line}");
    }
    for line in [
        // In PATH.
        "PATH=$PWD/command:$PATH; exec svscanboot --version",
        // A PATH without any program.
        "PATH=/none; exec command/svscanboot --version",
    ] {
        tree.sh(line).run().is(0, version(), "");
    }
    // bash also looks in PATH for a file without a slash.
    if shells(&tree).contains(&"bash") {
        let line = "PATH=$PWD/command:$PATH; exec bash svscanboot --version";
        tree.sh(line).run().is(0, version(), "");
    }
}

#[test]
fn it_passes_every_argument_on() {
    let tree = tree();
    install(&tree, "bin");
    let usage = "svscanboot: usage: svscanboot [-k] [-e envdir] [-l logfile] [-t seconds] [dir]\n";
    tree.cmd("bin/svscanboot").args(["-e", "two words", "-t", "*"]).run().is(100, "", usage);
    tree.cmd("bin/svscanboot").args(["-l", "", "-t", ""]).run().is(100, "", usage);
}

/// Starts svscanboot on the scan directory `s` by a line of shell.
fn start(tree: &Tree, line: &str) -> Process {
    tree.mkdir("s");
    tree.write("env/PATH", format!("{}:/usr/bin:/bin\n", tree.path("bin").display()));
    let boot = tree.sh(&format!("exec {line} -e env -l log s")).start();
    let _ = wait_descendant(boot.pid(), &["svscan", "s"]);
    boot
}

#[test]
fn the_shell_becomes_the_program() {
    let tree = tree();
    install(&tree, "bin");
    // Without any descriptor it has those that svscanboot itself opens.
    for line in ["bin/svscanboot", "sh bin/svscanboot <&- >&- 2>&-"] {
        let boot = start(&tree, line);
        assert_eq!(process::arguments(boot.pid())[0], "svscanboot");
        // The name for pgrep and killall.
        assert_eq!(process::status_line(boot.pid(), "Name").as_deref(), Some("svscanboot"));
        let open = process::descriptors(boot.pid());
        assert!(open.iter().all(|(_, path)| !path.ends_with("bin/svscanboot")), "{open:?}");
        boot.signal(Signal::TERM);
        assert_exit_0(boot);
    }
}

#[test]
fn the_line_of_old_instructions_starts_services() {
    let tree = tree();
    if !shells(&tree).contains(&"bash") {
        return harness::skip("there is no bash");
    }
    install(&tree, "bin");
    tree.idle_service("s/a");
    let boot = start(&tree, "nohup bash bin/svscanboot");
    let service = tree.wait_up("s/a");
    // An upgrade of the file, and of the process of svscan.
    let svscan = wait_descendant(boot.pid(), &["svscan", "s"]);
    let before = fs::read_link(format!("/proc/{svscan}/exe")).expect("svscan runs");
    install(&tree, "bin");
    tree.cmd("bin/svscan").args(["-u", "s"]).run().is(0, "", "");
    assert_eq!(fs::read_link(format!("/proc/{svscan}/exe")).ok(), Some(before));
    assert_eq!(tree.wait_up("s/a"), service);
    boot.signal(Signal::TERM);
    assert_exit_0(boot);
    assert!(!process::is_alive(service));
}
