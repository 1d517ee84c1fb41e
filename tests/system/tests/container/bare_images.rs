//! Images without a shell, /proc, /dev and accounts, and other bare places.

use crate::wait_up_inside;
use harness::{DEADLINE, Process, Tree, account, is_root, process, skip, wait_until};
use rustix::process::Signal;
use std::fs;
use system::{container, count, init_of, namespace, tree};

/// Makes `root` with nothing but our executable in `bin` and a static program `pause`, as an image
/// FROM scratch has it. Returns whether there is such a program.
fn image(tree: &Tree) -> bool {
    tree.mkdir("root/bin");
    for name in fs::read_dir(tree.suite().bin()).expect("the programs").flatten() {
        tree.copy_program(name.path(), format!("root/bin/{}", name.file_name().display()));
    }
    tree.write("pause.c", "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n");
    let made = tree.sh("cc -static -o root/bin/pause pause.c").run();
    if made.code != Some(0) {
        skip(&format!("this test needs a static program: {made}"));
    }
    made.code == Some(0)
}

/// Stops svscan in its container.
fn stop(svscan: Process) -> String {
    process::signal(init_of(&svscan), Signal::TERM);
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    output.err()
}

#[test]
fn an_image_needs_neither_a_shell_nor_proc_nor_dev_nor_accounts() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    if !image(&tree) {
        return;
    }
    tree.mkdir("root/s/program");
    tree.copy_program(tree.path("root/bin/pause"), "root/s/program/run");
    tree.mkdir("root/s/link");
    tree.symlink("/bin/pause", "root/s/link/run");
    tree.mkdir("root/s/list");
    tree.write("root/s/list/command", "pgrphack\npause");
    tree.mkdir("root/s/list/log");
    tree.write("root/s/list/log/command", "multilog\nt\n./main\n");
    let arguments = ["root", "/bin/svscan", "/s"];
    let svscan = tree.cmd("chroot").args(arguments).env("PATH", "/bin").under(wrapper).start();
    for dir in ["program", "link", "list", "list/log"] {
        wait_up_inside(&tree, format!("root/s/{dir}"));
    }
    let err = stop(svscan);
    let line = "supervise: warning: unable to use /proc: file does not exist\n";
    assert_eq!(err.replace(line, ""), "");
    assert_eq!(err.lines().count(), 4);
}

#[test]
fn a_command_runs_beside_services_in_a_bare_image() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    if !image(&tree) {
        return;
    }
    tree.mkdir("root/s/a");
    tree.symlink("/bin/pause", "root/s/a/run");
    let arguments = ["root", "/bin/svscan", "/s", "--", "svstat", "/s/a"];
    let svscan = tree.cmd("chroot").args(arguments).env("PATH", "/bin").under(wrapper).start();
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().starts_with("/s/a: up (pid "), "{output}");
}

#[test]
fn any_user_without_an_account_will_do() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    let (_, uid, _) = account();
    tree.chmod("", 0o777);
    for name in ["s", "s/a"] {
        tree.mkdir(name);
        tree.chmod(name, 0o777);
    }
    tree.idle_service("s/a");
    let user = format!("--reuid={}", uid.max(12_345));
    let options = ["setpriv", &user, "--regid=0", "--clear-groups"];
    let wrapper: Vec<&str> = wrapper.into_iter().filter(|it| *it != "--map-root-user").collect();
    let svscan = tree.cmd("svscan").arg("s").under(options).under(wrapper).start();
    wait_up_inside(&tree, "s/a");
    assert_eq!(stop(svscan), "");
}

#[test]
fn the_standard_descriptors_may_be_closed() {
    let tree = tree();
    let Some(wrapper) = container(&tree) else { return };
    tree.idle_service("s/a");
    let svscan = tree.sh("exec svscan s <&- >&- 2>&-").under(wrapper).start();
    wait_up_inside(&tree, "s/a");
    assert_eq!(stop(svscan), "");
}

#[test]
fn the_root_may_be_read_only_with_the_state_elsewhere() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    tree.mkdir("run");
    let mounts = "mount -t tmpfs -o noexec none run && mount --bind s s &&
        mount -o remount,ro,bind s && ! mkdir s/a/x 2>/dev/null";
    let script =
        format!("{mounts} && SUPERVISEDIR=$PWD/run exec svscan s -- sh -c 'svstat s/a; ls run'");
    let output = tree.sh(&script).under(namespace).run();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().starts_with("s/a: up (pid "), "{output}");
    assert!(!tree.exists("s/a/supervise"));
}

#[test]
fn a_file_system_without_inodes_is_one_clear_message() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.service("s/a", "#!/bin/sh\nexec sleep 1000\n");
    tree.mkdir("run");
    let script = "mount -t tmpfs -o nr_inodes=1 none run && SUPERVISEDIR=$PWD/run exec svscan s";
    let svscan = tree.sh(script).under(namespace).start();
    let err = svscan.wait_stderr("out of disk space");
    assert!(err.starts_with("supervise: fatal: unable to "), "{err}");
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
}

#[test]
fn a_mistake_in_a_command_is_one_clear_message() {
    let tree = tree();
    tree.mkdir("a");
    tree.write("a/command", "");
    let supervise = tree.supervise("a");
    let empty = "command line 1: \"\": want a program on the first line";
    supervise.wait_stderr(empty);
    for (text, message) in [
        ("sleep\r\n1000\r\n", "command line 1: \"sleep?\": want no carriage return"),
        ("sleep\n10\u{0}00\n", "command line 2: \"10?00\": want an argument without a NUL"),
        ("sleep\n\n1000\n", "command line 2: \"\": want a program on the first line"),
        (&"x\n".repeat(100_000), "unable to read a/command: file too big"),
        ("./missing\n", "unable to start ./missing of a/command: file does not exist"),
        ("missing\n", "unable to start missing of a/command: file does not exist"),
    ] {
        tree.write("a/.new", text);
        tree.rename("a/.new", "a/command");
        supervise.wait_stderr(message);
    }
    // As many arguments as fit.
    let many = format!("sh\n-c\necho $# >count; exec sleep 1000\n{}", "x\n".repeat(32_000));
    tree.write("a/.new", many);
    tree.rename("a/.new", "a/command");
    tree.wait_lines("a/count", 1);
    assert_eq!(tree.text("a/count"), "31999\n");
    assert_eq!(count(&supervise.stderr(), empty), 1);
    system::stop_supervise(&tree, supervise, "a");
}

#[test]
fn run_wins_over_a_command() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/command", "\r\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let line = "supervise: warning: ignoring a/command: there is a file run\n";
    supervise.wait_stderr(line);
    tree.svc("-t", "a");
    tree.wait_restart("a", pid);
    assert_eq!(supervise.stderr(), line);
    // Without options there are no details.
    wait_until("the status is alone", DEADLINE, || !tree.exists("a/supervise/state"));
    system::stop_supervise(&tree, supervise, "a");
}
