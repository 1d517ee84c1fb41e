//! Service directories of every member of the family, with real programs in them, from start to end:
//! those in `tests/fixtures/services`.

use harness::{DEADLINE, Signal, Tree, process, skip, wait_for, wait_until};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use system::{leaves, tree, workspace};

/// Copies a directory of the fixtures into the scan directory `s`.
fn install(tree: &Tree, name: &str) {
    let from = workspace().join("tests/fixtures/services").join(name);
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

/// Whether a program is installed, which CI sees to.
fn is_there(program: &str) -> bool {
    let look = format!("PATH=$PATH:/usr/sbin command -v {program}");
    let there = Command::new("sh").args(["-c", &look]).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        skip(&format!("{program} is not installed"));
    }
    there
}

/// Waits until `supervise/state` of a service has this line.
#[track_caller]
fn wait_state(tree: &Tree, service: &str, line: &str) {
    let file = format!("s/{service}/supervise/state");
    wait_until(&format!("{service}: {line}"), DEADLINE, || {
        tree.exists(&file) && tree.text(&file).lines().any(|read| read == line)
    });
}

#[test]
fn a_database_says_that_it_is_ready_and_is_finished_as_under_s6() {
    if !is_there("redis-server") {
        return;
    }
    let tree = tree();
    install(&tree, "redis");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_state(&tree, "redis", "phase=ready");
    wait_state(&tree, "redis", "message=Ready to accept connections");
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
    wait_state(&tree, "redis", "phase=ready");
    assert_eq!(ask(), *b"+PONG\r\n");
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert_eq!(tree.text("s/redis/finished"), "256 9 redis\n0 0 redis\n");
}

#[test]
fn a_web_server_refuses_nobody_while_it_is_started_again() {
    if !is_there("nginx") {
        return;
    }
    let tree = tree();
    install(&tree, "nginx");
    // A port that is free now; nobody else is to take it in the next moment.
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
        // A connection that the old server had accepted ends with it.
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
    leaves(svscan);
}

#[test]
fn a_daemon_is_followed_into_the_background_and_stopped_with_all_it_has_started() {
    let tree = tree();
    install(&tree, "daemon");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_state(&tree, "daemon", "phase=ready");
    let pid = tree.wait_up("s/daemon");
    assert_eq!(tree.text("s/daemon/daemon.pid"), format!("{pid}\n"));
    let helper = wait_for("its helper", DEADLINE, || {
        let below = process::descendants(pid);
        below.into_iter().find(|pid| process::arguments(*pid) == ["sleep", "1000"])
    });
    tree.svc("-h", "s/daemon");
    assert_eq!(tree.wait_lines("s/daemon/reloads", 1), ["reloaded"]);
    assert!(process::is_alive(pid), "its control program has taken the place of HUP");
    // It is the service, wherever it has put itself: its death is seen, and the next one found.
    process::signal(pid, Signal::KILL);
    let next = tree.wait_restart("s/daemon", pid);
    process::wait_gone(helper);
    wait_state(&tree, "daemon", "phase=ready");
    svscan.signal(Signal::TERM);
    leaves(svscan);
    process::wait_gone(next);
    assert_eq!(tree.text("s/daemon/finished"), "-1 9\n0 0\n");
}

#[test]
fn a_chatty_service_tells_its_life_as_under_encore_and_loses_no_line() {
    let tree = tree();
    install(&tree, "chatty");
    let svscan = tree.cmd("svscan").arg("s").start();
    wait_until("it runs", DEADLINE, || tree.svstat("s/chatty").ends_with(", running"));
    let pid = tree.wait_up("s/chatty");
    tree.wait_lines("s/chatty/log/main/current", 300);
    // Up for a second, so that it is started again at once.
    system::wait_settled(&tree, "s/chatty");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("s/chatty", pid);
    assert!(tree.wait_lines("s/chatty/events", 4).contains(&"run killed 9 starting".to_owned()));
    svscan.signal(Signal::TERM);
    leaves(svscan);
    assert_eq!(tree.text("s/chatty/history"), "started\nstopped\n");
    let lines = log(&tree.path("s/chatty/log/main"));
    let numbers: Vec<u64> =
        lines.lines().map(|line| line["line ".len()..].parse().expect("a number")).collect();
    // Two lives, each counting from 0 without a gap; the oldest files are gone.
    let breaks: Vec<_> = numbers.windows(2).filter(|two| two[1] != two[0] + 1).collect();
    assert!(breaks.len() <= 1 && breaks.iter().all(|two| two[1] == 0), "{breaks:?}");
}

/// All that is in a log directory, from the oldest file to the newest.
fn log(dir: &Path) -> String {
    let mut names: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a log directory")
        .map(|entry| entry.expect("a name").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@')))
        .collect();
    names.sort();
    names.push(dir.join("current"));
    names.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}
