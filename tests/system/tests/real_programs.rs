//! Service directories for daemontools, encore, s6 and runit with real programs in them, from start
//! to end. They are in `tests/fixtures/services`.

use harness::{DEADLINE, Signal, Tree, checkout, process, requires, wait_for, wait_until};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use system::{assert_exit_0, tree, wait_settled, wait_state, whole_log};

/// Copies a directory of the fixtures into the scan directory `s`.
fn install(tree: &Tree, name: &str) {
    let from = checkout().join("tests/fixtures/services").join(name);
    copy(tree, &from, &PathBuf::from("s").join(name));
}

fn copy(tree: &Tree, from: &Path, to: &Path) {
    tree.mkdir(to);
    for entry in fs::read_dir(from).expect("the fixtures are there") {
        let path = entry.expect("a name").path();
        let to = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(tree, &path, &to);
            continue;
        }
        let content = fs::read(&path).expect("a file can be read");
        if content.starts_with(b"#!") {
            tree.script(to, content);
        } else {
            tree.write(to, content);
        }
    }
}

#[test]
fn redis_becomes_ready_and_gets_its_finish_as_under_s6() {
    if !requires("redis-server") {
        return;
    }
    let tree = tree();
    install(&tree, "redis");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_state(&tree, "s/redis", "phase", "ready");
    wait_state(&tree, "s/redis", "message", "Ready to accept connections");
    let ask = || {
        let mut server = UnixStream::connect(tree.path("s/redis/redis.sock")).expect("connected");
        server.write_all(b"PING\r\n").expect("asked");
        let mut answer = [0; 7];
        server.read_exact(&mut answer).expect("answered");
        answer
    };
    assert_eq!(ask(), *b"+PONG\r\n");
    let pid = tree.wait_up("s/redis");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("s/redis", pid);
    wait_state(&tree, "s/redis", "phase", "ready");
    assert_eq!(ask(), *b"+PONG\r\n");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(tree.text("s/redis/finished"), "256 9 redis\n0 0 redis\n");
}

#[test]
fn nginx_refuses_no_connection_during_restarts() {
    if !requires("nginx") {
        return;
    }
    let tree = tree();
    install(&tree, "nginx");
    // A port that is free now. No other program is likely to take it in the next moment.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = free.local_addr().expect("bound");
    tree.write("s/nginx/listen", format!("tcp {address} name=http\n"));
    tree.write("s/nginx/port.conf", format!("listen {address};\n"));
    drop(free);
    let svscan = tree.cmd("svscan").arg("s").start();
    let mut pid = tree.wait_up("s/nginx");
    let get = || {
        let mut server = TcpStream::connect(address).expect("never refused");
        server.set_read_timeout(Some(DEADLINE)).expect("set");
        server.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("asked");
        let mut answer = String::new();
        // The old server's end also ends the connections that it has accepted.
        let _ = server.read_to_string(&mut answer);
        answer.ends_with("served\n")
    };
    wait_until("it serves", DEADLINE, get);
    for _ in 0..3 {
        tree.svc("-t", "s/nginx");
        let mut tries = 0;
        pid = wait_for("the next one serves", DEADLINE, || {
            tries += 1;
            get();
            tree.status("s/nginx").map(|s| s.pid()).filter(|now| *now != 0 && *now != pid)
        });
        assert!(tries > 0);
    }
    wait_until("it serves", DEADLINE, get);
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    assert_eq!(files.split_whitespace().nth(3), Some("1024"));
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn a_daemon_is_followed_into_the_background_and_stopped_with_its_helpers() {
    let tree = tree();
    install(&tree, "daemon");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_state(&tree, "s/daemon", "phase", "ready");
    let pid = tree.wait_up("s/daemon");
    assert_eq!(tree.text("s/daemon/daemon.pid"), format!("{pid}\n"));
    let helper = wait_for("its helper", DEADLINE, || {
        let below = process::descendants(pid);
        below.into_iter().find(|pid| process::arguments(*pid) == ["sleep", "1000"])
    });
    tree.svc("-h", "s/daemon");
    assert_eq!(tree.wait_lines("s/daemon/reloads", 1), ["reloaded"]);
    assert!(process::is_alive(pid), "its control program has taken the place of HUP");
    // supervise follows the daemon wherever it has gone: it sees its death and follows the next
    // one.
    process::signal(pid, Signal::KILL);
    let next = tree.wait_restart("s/daemon", pid);
    process::wait_gone(helper);
    wait_state(&tree, "s/daemon", "phase", "ready");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    process::wait_gone(next);
    assert_eq!(tree.text("s/daemon/finished"), "-1 9\n0 0\n");
}

#[test]
fn a_chatty_service_notifies_as_under_encore_and_loses_no_line() {
    let tree = tree();
    install(&tree, "chatty");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_until("it runs", DEADLINE, || tree.svstat("s/chatty").ends_with(", running"));
    let pid = tree.wait_up("s/chatty");
    tree.wait_lines("s/chatty/log/main/current", 300);
    // After a second of uptime it is started again at once.
    wait_settled(&tree, "s/chatty");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("s/chatty", pid);
    tree.wait_text("s/chatty/events", "run killed 9 starting\n");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert_eq!(tree.text("s/chatty/history"), "started\nstopped\n");
    let lines = whole_log(&tree, "s/chatty/log/main");
    let numbers: Vec<u64> =
        lines.lines().map(|line| line["line ".len()..].parse().expect("a number")).collect();
    // Two processes, each counting from 0 without a gap. The oldest files are gone.
    let breaks: Vec<_> = numbers.windows(2).filter(|two| two[1] != two[0] + 1).collect();
    assert!(breaks.len() <= 1 && breaks.iter().all(|two| two[1] == 0), "{breaks:?}");
}
