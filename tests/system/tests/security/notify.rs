//! Messages of other processes to the notify socket.

use harness::{DEADLINE, Process, Signal, Tree, account, is_root, process, skip, wait_until};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with, sockopt,
};
use std::fs;
use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;
use system::{count, notify_socket, state, stop_supervise, tree, wait_phase};

/// Sends its arguments to the notify socket; without end if the variable FLOOD is set. With STAY it
/// does not end afterwards: supervise can find out whose it is.
pub(crate) const SEND: &str = r#"#!/usr/bin/perl
use Socket;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
(my $name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
my $to = sockaddr_un($name);
do { send($socket, $_, 0, $to) for @ARGV } while ($ENV{FLOOD});
sleep while $ENV{STAY};
"#;

/// Starts a service with a notify socket, whose option file has the text `kind`, and puts the program
/// `send` into the tree. Returns supervise, the service process, and the name of the socket.
fn notified(tree: &Tree, kind: &str) -> (Process, u32, String) {
    tree.script("send", SEND);
    tree.idle_service("a");
    tree.write("a/notify-socket", kind);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let name = notify_socket(tree, "a");
    (supervise, pid, name)
}

#[test]
fn a_service_cannot_name_its_supervise_or_its_log_as_main_process() {
    let tree = tree();
    tree.script("a/send", SEND);
    tree.write("a/notify-socket", "");
    tree.write("a/personality", "encore\n");
    tree.script("a/log", "#!/bin/sh\necho $$ >log-started\nexec cat\n");
    let run = "#!/bin/sh\nuntil [ -s log-started ]; do sleep 0.01; done\n\
               ./send MAINPID=$PPID \"MAINPID=$(cat log-started)\" MAINPID=1 STATUS=said\n\
               echo $$ >>started\nexec sleep 1000\n";
    tree.service("a", run);
    let supervise = tree.supervise("a");
    tree.wait_text("a/supervise/state", "message=said");
    let started = tree.wait_lines("a/started", 1).remove(0);
    let log = tree.wait_lines("a/log-started", 1).remove(0).parse().expect("a number");
    assert_eq!(tree.wait_up("a").to_string(), started);
    tree.svc("-k", "a");
    tree.wait_restart("a", started.parse().expect("a number"));
    assert!(process::is_alive(supervise.pid()) && process::is_alive(log));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_empty_message_is_a_message() {
    let tree = tree();
    tree.script("send", SEND);
    tree.script("a/send", SEND);
    tree.write("a/notify-socket", "");
    tree.fifo("a/go", 0o600);
    tree.service(
        "a",
        "#!/bin/sh\n./send ''\nread -r line <go\n./send '' STATUS=after\nexec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let name = notify_socket(&tree, "a");
    tree.cmd("./send").args(["", ""]).env("NOTIFY_SOCKET", &name).run().is(0, "", "");
    fs::write(tree.path("a/go"), "go\n").expect("write into the FIFO");
    tree.wait_text("a/supervise/state", "message=after");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_flood_of_messages_does_not_keep_supervise_from_its_work() {
    let tree = tree();
    let (supervise, _, name) = notified(&tree, "");
    let senders: Vec<Process> = (0..4)
        .map(|_| {
            let send = tree.cmd("./send").arg("STATUS=foreign").env("FLOOD", "1");
            send.env("NOTIFY_SOCKET", &name).start()
        })
        .collect();
    supervise.wait_stderr("supervise: warning: ignoring what process ");
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "10000", "a"]).run().is(0, "", "");
    assert_eq!(count(&supervise.stderr(), "ignoring"), 1);
    for sender in senders {
        sender.kill();
    }
    stop_supervise(&tree, supervise, "a");
}

/// The address of a notify socket, from the variable.
fn address(name: &str) -> SocketAddrUnix {
    match name.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(name),
    }
    .expect("an address")
}

/// A connection whose close waits for ten minutes: its peer never reads. The peer is the second one.
fn lingering() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let at = listener.local_addr().expect("an address");
    let mut sender = TcpStream::connect(at).expect("connect");
    let (peer, _) = listener.accept().expect("accept");
    sender.set_nonblocking(true).expect("set its mode");
    while sender.write(&[b'x'; 65536]).is_ok() {}
    sockopt::set_socket_linger(&sender, Some(Duration::from_secs(600))).expect("set its linger");
    (sender, peer)
}

/// Sends messages with such a descriptor until the socket is full. No other copy of it is left.
fn send_lingering(name: &str) -> TcpStream {
    let (sender, peer) = lingering();
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).expect("a socket");
    for _ in 0..8 {
        let descriptors = [sender.as_fd()];
        let mut space = [MaybeUninit::uninit(); 64];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let text = [IoSlice::new(b"BARRIER=1")];
        let at = address(name);
        if sendmsg_addr(&socket, &at, &text, &mut beside, SendFlags::empty()).is_err() {
            break;
        }
    }
    // If this were the last copy, its close would wait.
    std::thread::spawn(move || drop(sender));
    peer
}

#[test]
fn a_descriptor_whose_close_waits_does_not_hang_supervise() {
    for kind in ["", "abstract"] {
        let tree = tree();
        tree.script("a/send", SEND);
        tree.fifo("a/go", 0o600);
        tree.service("a", "#!/bin/sh\nread -r line <go\nSTAY=1 exec ./send READY=1\n");
        tree.write("a/notify-socket", kind);
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        let name = notify_socket(&tree, "a");
        assert_eq!(name.starts_with('@'), !kind.is_empty(), "{name}");
        let _peer = send_lingering(&name);
        // The messages of the service come behind those of the attacker.
        fs::write(tree.path("a/go"), "go\n").expect("write into the FIFO");
        wait_phase(&tree, "a", "ready");
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "10000", "a"]).run().is(0, "", "");
        stop_supervise(&tree, supervise, "a");
    }
}

#[test]
fn an_attack_that_waits_in_the_socket_does_not_hang_supervise() {
    // The options are removed while messages wait in the socket.
    let tree = tree();
    let (supervise, pid, name) = notified(&tree, "");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    let _peer = send_lingering(&name);
    tree.remove("a/notify-socket");
    process::signal(pid, Signal::KILL);
    supervise.signal(Signal::CONT);
    tree.wait_restart("a", pid);
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "10000", "a"]).run().is(0, "", "");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_sender_that_has_ended_is_not_believed_on_an_abstract_socket() {
    let tree = tree();
    let (supervise, _, name) = notified(&tree, "abstract\n");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    // It has our user id, like a set-user-ID program that another user has started.
    tree.cmd("./send").args(["READY=1"]).env("NOTIFY_SOCKET", &name).run().is(0, "", "");
    supervise.signal(Signal::CONT);
    supervise.wait_stderr(" says of a: it has ended, and supervise cannot tell whose it was\n");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("starting"));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn other_users_do_not_find_the_notify_socket() {
    let tree = tree();
    let (supervise, _, socket) = notified(&tree, "");
    let (directory, secret) = socket.rsplit_once('/').expect("a path");
    for public in ["/proc/net/unix", tree.path("a/supervise/state").to_str().expect("a path")] {
        let text = fs::read_to_string(public).expect("read it");
        assert!(text.contains(directory) && !text.contains(secret), "{public}");
    }
    // The name in /proc/net/unix leads nowhere.
    assert!(!Path::new(directory).join("new").exists());
    if !is_root() {
        stop_supervise(&tree, supervise, "a");
        return skip("half of this test needs another user");
    }
    let (user, ..) = account();
    let as_user = |script: String| tree.sh(&format!("setuidgid {user} {script}")).run();
    assert_ne!(as_user(format!("ls {directory}")).code, Some(0));
    assert_ne!(as_user(format!("rm -f {socket}")).code, Some(0));
    assert_ne!(as_user(format!("mv {socket} {directory}/old")).code, Some(0));
    assert_ne!(as_user(format!("ln -s /nonexistent {directory}/new")).code, Some(0));
    // A service that runs as this user has the secret name, and reaches the socket.
    as_user(format!("test -w {socket}")).is(0, "", "");
    stop_supervise(&tree, supervise, "a");
}
