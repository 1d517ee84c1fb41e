//! Sockets that supervise binds for its service.

use crate::{kill_and_wait, last_pid};
use harness::{DEADLINE, Signal, Tree, process, wait_for};
use std::io::Read as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use system::{
    assert_idle, count, replace_supervise, state, stop_supervise, tree, wait_phase, wait_settled,
    wait_state,
};

/// A server that answers each connection on descriptor 3 with its pid.
const SERVER: &str = r#"#!/usr/bin/perl
$SIG{PIPE} = 'IGNORE';
open(my $socket, '+<&=', 3) or die;
open(my $started, '>>', 'started') or die;
print $started "$$ $ENV{LISTEN_FDS} $ENV{LISTEN_PID} $ENV{LISTEN_FDNAMES}\n";
close $started;
while (1) { accept(my $client, $socket) or next; syswrite $client, "$$\n"; close $client }
"#;

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
    listener.local_addr().expect("its address").port()
}

/// Makes a server that listens at a port, and returns its address.
#[track_caller]
fn server(tree: &Tree) -> SocketAddr {
    tree.service("a", SERVER);
    let port = free_port();
    tree.write("a/listen", format!("tcp 127.0.0.1:{port} name=web backlog=1024\n"));
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Connects, and returns the pid of the process that answers; empty if it dies before.
fn ask(at: SocketAddr) -> Result<String, std::io::Error> {
    let mut connection = TcpStream::connect(at)?;
    let mut answer = String::new();
    // A server that dies with the connection does not answer.
    let _ = connection.read_to_string(&mut answer);
    Ok(answer.trim_end().to_owned())
}

#[test]
fn a_service_gets_its_sockets_as_from_systemd() {
    let tree = tree();
    tree.script(
        "a/run",
        r#"#!/usr/bin/perl
use Socket;
$| = 1;
open(STDOUT, '>>', 'got') or die;
print "$$ $ENV{LISTEN_PID} $ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES}\n";
for my $n (3, 4) {
    open(my $socket, '+<&=', $n) or die;
    accept(my $client, $socket) or die;
    print scalar <$client>;
}
for my $n (5, 6) {
    open(my $socket, '+<&=', $n) or die;
    recv($socket, my $text, 100, 0);
    print $text;
}
sleep 1000;
"#,
    );
    let [tcp, udp] = [free_port(), free_port()];
    let listen = format!(
        "# all kinds\ntcp 127.0.0.1:{tcp} name=web\nunix stream.socket mode=0600\n\
         udp 127.0.0.1:{udp} name=dns\nunix-datagram datagram.socket mode=0622 name=x\n"
    );
    tree.write("a/listen", listen);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let line = format!("{pid} {pid} 4 web:unix:dns:x");
    assert_eq!(tree.wait_lines("a/got", 1), [&*line]);
    assert_eq!((tree.mode("a/stream.socket"), tree.mode("a/datagram.socket")), (0o600, 0o622));
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, tcp).into();
    writeln!(TcpStream::connect(address).expect("connect"), "by tcp").expect("write");
    let mut stream = UnixStream::connect(tree.path("a/stream.socket")).expect("connect");
    writeln!(stream, "by unix").expect("write");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket.send_to(b"by udp\n", (Ipv4Addr::LOCALHOST, udp)).expect("send");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to(b"by datagram\n", tree.path("a/datagram.socket")).expect("send");
    let got = tree.wait_lines("a/got", 5);
    assert_eq!(got, [&*line, "by tcp", "by unix", "by udp", "by datagram"]);
    // The next process gets the same sockets; supervise does not create the Unix socket's name
    // again.
    kill_and_wait(&tree, "a", pid);
    tree.wait_lines("a/got", 6);
    let mut stream = UnixStream::connect(tree.path("a/stream.socket")).expect("connect");
    writeln!(stream, "again").expect("write");
    stop_supervise(&tree, supervise, "a");
    // A name that was left behind is no obstacle.
    let supervise = tree.supervise("a");
    tree.wait_lines("a/got", 7);
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}

/// Restarts a service so often under load. No connection may be refused.
fn restart_under_load(restarts: usize) {
    let tree = tree();
    let at = server(&tree);
    let supervise = tree.supervise("a");
    let mut pid = tree.wait_up("a");
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let unanswered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(at).expect("no connection is refused");
                    asked.fetch_add(1, Ordering::Relaxed);
                    unanswered.fetch_add(usize::from(answer.is_empty()), Ordering::Relaxed);
                }
            });
        }
        for n in 0..restarts {
            match n % 2 {
                0 => tree.svc("-t", "a"),
                _ => process::signal(pid, Signal::KILL),
            }
            pid = tree.wait_restart("a", pid);
        }
        harness::wait_until("there were 2000 connections", DEADLINE, || {
            asked.load(Ordering::Relaxed) >= 2000
        });
        stop.store(true, Ordering::Relaxed);
    });
    let unanswered = unanswered.load(Ordering::Relaxed);
    // At most the connections that a dying process had accepted.
    assert!(unanswered <= restarts, "{unanswered} of {asked:?}");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_restart_refuses_no_connection() {
    restart_under_load(5);
}

/// Takes two minutes: `cargo test -p system --test service_options -- --ignored hundred`.
#[test]
#[ignore = "takes two minutes"]
fn a_hundred_restarts_refuse_no_connection() {
    restart_under_load(100);
}

#[test]
fn sockets_survive_supervise_by_the_service_and_an_upgrade_without_one() {
    let tree = tree();
    let at = server(&tree);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let inode = |pid: u32| {
        process::descriptors(pid).into_iter().find(|(number, _)| *number == 3).map(|(_, to)| to)
    };
    let socket = inode(pid).expect("a socket");
    let supervise = replace_supervise(&tree, supervise, "a");
    assert_eq!(ask(at).expect("a connection"), pid.to_string());
    let second = kill_and_wait(&tree, "a", pid);
    assert_eq!(ask(at).expect("a connection"), second.to_string());
    assert_eq!(inode(second), Some(socket.clone()));
    // While the service is down, only supervise has the sockets, and it keeps them over an upgrade.
    tree.svc("-d", "a");
    tree.wait_down("a");
    supervise.signal(Signal::USR2);
    tree.svc("-p", "a");
    let waiting = TcpStream::connect(at).expect("connect while the service is down");
    tree.svc("-u", "a");
    let third = tree.wait_restart("a", second);
    let mut answer = String::new();
    (&waiting).read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, format!("{third}\n"));
    assert_eq!(inode(third), Some(socket));
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
    ask(at).expect_err("the port is closed");
}

#[test]
fn the_first_connection_starts_a_service() {
    let tree = tree();
    let at = server(&tree);
    tree.write("a/listen-on-demand", "");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "listening");
    assert_idle(&[supervise.pid()], Duration::from_millis(500));
    assert!(!tree.exists("a/started"));
    // The next supervise listens again.
    let supervise = replace_supervise(&tree, supervise, "a");
    wait_phase(&tree, "a", "listening");
    let answer = ask(at).expect("a connection");
    assert_eq!(answer, tree.wait_up("a").to_string());
    wait_phase(&tree, "a", "up");
    let pid = wait_settled(&tree, "a");
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    // After the end of the service supervise listens until the next connection.
    process::signal(pid, Signal::KILL);
    wait_phase(&tree, "a", "listening");
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    supervise.signal(Signal::USR2);
    let answer = ask(at).expect("a connection");
    assert_eq!(answer, tree.wait_restart("a", pid).to_string());
    stop_supervise(&tree, supervise, "a");
    assert_eq!(state(&tree, "a", "phase").as_deref(), Some("down"));
}

#[test]
fn an_address_in_use_is_reported_once_and_tried_again() {
    let tree = tree();
    let at = server(&tree);
    let other = TcpListener::bind(at).expect("bind");
    let supervise = tree.supervise("a");
    let line = format!(
        "supervise: warning: not starting a: unable to listen on tcp {at}: address already used\n"
    );
    supervise.wait_stderr(&line);
    wait_state(&tree, "a", "reason", "setup");
    tree.svc("-u", "a");
    tree.svc("-u", "a");
    drop(other);
    // Without a command.
    last_pid(&tree, "a/started", 1);
    ask(at).expect("a connection");
    assert_eq!(count(&supervise.stderr(), "unable to listen"), 1);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_changed_list_of_sockets_holds_from_the_next_start() {
    let tree = tree();
    let at = server(&tree);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let port = free_port();
    tree.write("a/listen", format!("tcp 127.0.0.1:{port}\ntcp [::1]:{port} name=six\n"));
    assert_eq!(ask(at).expect("a connection"), pid.to_string());
    let second = kill_and_wait(&tree, "a", pid);
    let lines = tree.wait_lines("a/started", 2);
    assert_eq!(lines[1], format!("{second} 2 {second} tcp:six"));
    ask(at).expect_err("the port is closed");
    let answer = wait_for("an answer", DEADLINE, || ask((Ipv4Addr::LOCALHOST, port).into()).ok());
    assert_eq!(answer, second.to_string());
    stop_supervise(&tree, supervise, "a");
}
