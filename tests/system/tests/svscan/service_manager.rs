//! svscan and svscanboot report to a service manager at the socket in `NOTIFY_SOCKET`.

use super::{Cmd, Process, Tree};
use harness::{DEADLINE, Signal, process};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use system::{assert_exit_0, tree, wait_descendant};

/// A socket in the tree, in the place of the service manager's.
fn manager(tree: &Tree) -> UnixDatagram {
    with_deadline(UnixDatagram::bind(tree.path("manager")).expect("a socket"))
}

fn with_deadline(socket: UnixDatagram) -> UnixDatagram {
    socket.set_read_timeout(Some(DEADLINE)).expect("a time");
    socket
}

/// The next message.
#[track_caller]
fn message(manager: &UnixDatagram) -> String {
    let mut room = [0; 256];
    let length = manager.recv(&mut room).expect("a message");
    String::from_utf8_lossy(&room[..length]).into_owned()
}

#[track_caller]
fn assert_no_message(manager: &UnixDatagram) {
    manager.set_nonblocking(true).expect("a socket");
    assert!(manager.recv(&mut [0; 1]).is_err());
    manager.set_nonblocking(false).expect("a socket");
}

/// Whether a process has that variable.
fn has_variable(pid: u32, name: &str) -> bool {
    let prefix = format!("{name}=");
    process::environment(pid).iter().any(|entry| entry.as_bytes().starts_with(prefix.as_bytes()))
}

/// `svscan` or `svscanboot`, which reports to the manager.
fn reporting<'t>(tree: &'t Tree, program: &str) -> Cmd<'t> {
    tree.cmd(program).env("NOTIFY_SOCKET", tree.path("manager"))
}

fn boot(tree: &Tree) -> Process {
    tree.mkdir("s");
    let path = format!("{}:/usr/bin:/bin\n", tree.suite().bin().display());
    tree.write("env/PATH", path);
    reporting(tree, "svscanboot").args(["-l", "log", "-e", "env", "s"]).start()
}

#[test]
fn svscan_is_ready_when_it_has_read_the_directory() {
    let tree = tree();
    let manager = manager(&tree);
    tree.service("s/a", "#!/bin/sh\ntrap 'exit 0' TERM\nuntil [ -e go ]; do sleep 0.05; done\n");
    let svscan = reporting(&tree, "svscan").arg("s").start();
    assert_eq!(message(&manager), "READY=1");
    // The supervise was started before that. Neither it nor its service can report.
    let supervise = wait_descendant(svscan.pid(), &["supervise", "a"]);
    let service = tree.wait_up("s/a");
    for pid in [supervise, service] {
        assert!(!has_variable(pid, "NOTIFY_SOCKET"));
    }
    // Later scans report nothing.
    svscan.signal(Signal::HUP);
    tree.idle_service("b");
    tree.symlink("../b", "s/b");
    tree.wait_up("s/b");
    assert_no_message(&manager);
    svscan.signal(Signal::TERM);
    assert_eq!(message(&manager), "STOPPING=1");
    tree.write("s/a/go", "");
    assert_exit_0(svscan);
    assert_no_message(&manager);
}

#[test]
fn a_live_upgrade_reports_again_from_the_same_process() {
    let tree = tree();
    let manager = manager(&tree);
    tree.idle_service("s/a");
    let svscan = reporting(&tree, "svscan").arg("s").start();
    assert_eq!(message(&manager), "READY=1");
    let service = tree.wait_up("s/a");
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    assert_eq!(message(&manager), "READY=1");
    assert_eq!(tree.wait_up("s/a"), service);
    svscan.signal(Signal::TERM);
    assert_eq!(message(&manager), "STOPPING=1");
    assert_exit_0(svscan);
}

#[test]
fn the_command_gets_no_address() {
    let tree = tree();
    let manager = manager(&tree);
    tree.mkdir("s");
    let line = "echo ${NOTIFY_SOCKET-none}";
    let svscan = reporting(&tree, "svscan").args(["s", "--", "sh", "-c", line]).run();
    svscan.is(0, "none\n", "svscan: info: command sh ended with exit code 0: stopping\n");
    let mut messages = vec![message(&manager)];
    if messages == ["READY=1"] {
        messages.push(message(&manager));
    }
    assert_eq!(messages.last().map(String::as_str), Some("STOPPING=1"));
}

#[test]
fn an_abstract_address_works_and_a_wrong_one_does_no_harm() {
    let tree = tree();
    tree.idle_service("s/a");
    let name = format!("daemontools-test/{}", tree.path("manager").display());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = with_deadline(UnixDatagram::bind_addr(&address).expect("a socket"));
    let svscan = tree.cmd("svscan").arg("s").env("NOTIFY_SOCKET", format!("@{name}")).start();
    assert_eq!(message(&manager), "READY=1");
    drop(manager);
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    for wrong in ["", "relative", "/nonexistent/socket", "@", "vsock:1:1"] {
        let svscan = tree.cmd("svscan").arg("s").env("NOTIFY_SOCKET", wrong).start();
        tree.wait_up("s/a");
        svscan.signal(Signal::TERM);
        assert_exit_0(svscan);
    }
}

#[test]
fn a_full_socket_gets_the_message_later() {
    let tree = tree();
    let manager = manager(&tree);
    tree.idle_service("s/a");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender.set_nonblocking(true).expect("a socket");
    while sender.send_to(b"x", tree.path("manager")).is_ok() {}
    let svscan = reporting(&tree, "svscan").arg("s").start();
    // svscan does not wait for the socket.
    tree.wait_up("s/a");
    let report = loop {
        match message(&manager) {
            filler if filler == "x" => {}
            report => break report,
        }
    };
    assert_eq!(report, "READY=1");
    svscan.signal(Signal::TERM);
    assert_eq!(message(&manager), "STOPPING=1");
    assert_exit_0(svscan);
}

#[test]
fn svscanboot_reports_for_its_svscan() {
    let tree = tree();
    let manager = manager(&tree);
    tree.idle_service("s/a");
    let boot = boot(&tree);
    assert_eq!(message(&manager), "READY=1");
    let svscan = wait_descendant(boot.pid(), &["svscan", "s"]);
    let service = tree.wait_up("s/a");
    assert!(!has_variable(svscan, "NOTIFY_SOCKET"));
    assert!(!has_variable(service, "DAEMONTOOLS_READY"));
    // The next svscan is no news, and neither is the end of one.
    process::signal(svscan, Signal::KILL);
    harness::wait_until("another svscan", DEADLINE, || {
        let svscans = process::descendants(boot.pid());
        svscans.into_iter().any(|pid| pid != svscan && process::arguments(pid) == ["svscan", "s"])
    });
    assert_eq!(tree.wait_up("s/a"), service);
    assert_no_message(&manager);
    boot.signal(Signal::TERM);
    assert_eq!(message(&manager), "STOPPING=1");
    assert_exit_0(boot);
}

#[test]
fn svscanboot_is_ready_when_it_takes_over_a_svscan() {
    let tree = tree();
    let manager = manager(&tree);
    tree.idle_service("s/a");
    let first = boot(&tree);
    assert_eq!(message(&manager), "READY=1");
    let service = tree.wait_up("s/a");
    system::kill(first);
    let second = boot(&tree);
    assert_eq!(message(&manager), "READY=1");
    assert_eq!(tree.wait_up("s/a"), service);
    second.signal(Signal::TERM);
    assert_eq!(message(&manager), "STOPPING=1");
    assert_exit_0(second);
}
