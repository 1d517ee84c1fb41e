//! Clients that send too much, too slowly, or never read.

use crate::client::{Events, connect, exchange};
use crate::{BEARER, Site, address_of};
use harness::{DEADLINE, Process, Tree, process, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn site() -> Site {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
    });
    site.wait_state("web", "up");
    site
}

#[test]
fn a_header_or_a_path_without_end_is_refused() {
    let site = site();
    let line = "x".repeat(100_000);
    let many: String = (0..1000).map(|number| format!("H{number}: x\r\n")).collect();
    for request in [
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {line}\r\n\r\n"),
        format!("GET /{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        format!("{line}\r\n\r\n"),
    ] {
        if let Some(answer) = exchange(site.address, &request) {
            assert!((400..500).contains(&answer.status), "{answer}");
        }
    }
    assert_eq!(site.get("/healthz").status, 200);
}

#[test]
fn a_client_that_sends_slowly_loses_its_connection() {
    let site = site();
    let begin = Instant::now();
    let mut slow = connect(site.address);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").expect("a write");
    let mut silent = connect(site.address);
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    let _ = silent.read_to_end(&mut rest);
    let passed = begin.elapsed();
    assert!(passed >= Duration::from_secs(5) && passed < DEADLINE, "{passed:?}");
    // A body that does not come.
    assert_eq!(site.get("/healthz").status, 200);
}

/// The limit of svweb.
const MOST_CONNECTIONS: usize = 2048;

#[test]
fn ten_thousand_connections_leave_the_others_served() {
    // They are descriptors of this process.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let allowed = limit.maximum.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
    let count = 10_000.min(allowed.saturating_sub(500));
    if count < 10_000 {
        harness::skip("ten thousand descriptors");
        return;
    }
    let site = site();
    let mut page = Events::open(site.address, "/api/v1/events", &[]);
    let mut held = Vec::new();
    for number in 0..count {
        let mut stream = connect(site.address);
        if number % 2 == 0 {
            // svweb may have ended it.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n");
        }
        held.push(stream);
        if number % 1000 == 999 {
            assert_eq!(site.get("/healthz").status, 200, "after {number} connections");
            assert_eq!(site.get("/").status, 200, "after {number} connections");
            let descriptors = process::descriptors(site.web().pid()).len();
            assert!(descriptors < MOST_CONNECTIONS + 100, "{descriptors}");
        }
    }
    // A page that was open stays so.
    site.tree.svc("-d", "s/web");
    page.wait_state("web", "down");
    // The oldest has lost its place, the newest has not.
    let mut rest = Vec::new();
    let _ = held[0].read_to_end(&mut rest);
    let newest = held.last_mut().expect("a connection");
    newest.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut status = [0; 12];
    newest.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
    drop((held, page));
    wait_until("the connections are closed", DEADLINE, || {
        process::descriptors(site.web().pid()).len() < 40
    });
}

/// An svweb with room for 16 connections, and so for 12 streams, on a scan directory without services.
fn small(tree: &Tree) -> (Process, SocketAddr) {
    tree.mkdir("s");
    tree.chmod("s", 0o755);
    tree.write("token", crate::TOKEN);
    tree.chmod("token", 0o600);
    // 128 descriptors are for other things.
    let program = env!("CARGO_BIN_EXE_svweb");
    let script = format!(
        "ulimit -n 144; exec {program} -d s --listen 127.0.0.1:0 --socket sock --token-file token --control"
    );
    let web = tree.sh(&script).start();
    let address = address_of(&web);
    (web, address)
}

/// A request whose body does not come.
fn unfinished(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let head = format!(
        "POST /api/v1/services/x/down HTTP/1.1\r\nHost: localhost\r\n{BEARER}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a request");
    stream
}

#[test]
fn a_client_without_a_place_is_refused() {
    let tree = Tree::new();
    let (_web, address) = small(&tree);
    let mut streams: Vec<Events> =
        (0..12).map(|_| Events::open(address, "/api/v1/events", &[])).collect();
    // They leave a place for other requests.
    let path = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(address, path).expect("an answer");
    assert_eq!(answer.status, 503, "{answer}");
    let health = || exchange(address, "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(health().expect("an answer").status, 200);
    let mut refused = String::new();
    wait_until("a refusal", DEADLINE, || {
        let _held: Vec<TcpStream> = (0..8).map(|_| unfinished(address)).collect();
        refused.clear();
        let _ = connect(address).read_to_string(&mut refused);
        refused.starts_with("HTTP/1.1 503 ")
    });
    let (head, body) = refused.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{refused}");
    streams.pop();
    wait_until("an answer", DEADLINE, || health().is_some_and(|answer| answer.status == 200));
}

/// A Python program that changes to the user `nobody`, opens the given number of event streams, and prints on standard
/// error how many were answered.
const HOLDER: &str = r#"
import os, signal, socket, sys
address, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
def open():
    if path:
        s = socket.socket(socket.AF_UNIX); s.connect(path)
    else:
        host, port = address.split(":")
        s = socket.create_connection((host, int(port)))
    s.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return s, s.recv(12)
all = []
for number in range(count):
    try: all.append(open())
    except OSError: pass
count = len([1 for s, head in all if head == b"HTTP/1.1 200"])
print(f"{count} streams", file=sys.stderr, flush=True)
signal.pause()
"#;

#[test]
fn streams_of_one_user_leave_places_for_those_of_others() {
    if !rustix::process::getuid().is_root() {
        harness::skip("root, for a second user");
        return;
    }
    if !harness::requires("python3") {
        return;
    }
    for socket in ["", "sock"] {
        let tree = Tree::new();
        tree.write("hold.py", HOLDER);
        let (web, address) = small(&tree);
        if !socket.is_empty() {
            tree.chmod(socket, 0o666);
            tree.chmod(".", 0o755);
        }
        let holder =
            tree.cmd("python3").args(["hold.py", &address.to_string(), socket, "40"]).start();
        holder.wait_stderr("12 streams");
        // Another user comes, with half of the places.
        let mut pages: Vec<Events> =
            (0..6).map(|_| Events::open(address, "/api/v1/events", &[])).collect();
        tree.idle_service("s/web");
        pages[0].wait(|event| event.kind == "service" && event.data["name"] == "web");
        // The rest of the user's streams go on, and keep their places.
        let answer = exchange(
            address,
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(answer.expect("an answer").status, 503, "{socket}");
        drop((holder, web));
    }
}

#[test]
fn a_client_that_never_reads_costs_no_memory() {
    let site = site();
    let mut mute: Vec<Events> =
        (0..50).map(|_| Events::open(site.address, "/api/v1/events", &[])).collect();
    let memory = || process::memory(site.web().pid(), "Private_Dirty");
    let before = memory();
    let mut reader = Events::open(site.address, "/api/v1/events", &[]);
    for _ in 0..20 {
        site.tree.svc("-d", "s/web");
        site.tree.wait_down("s/web");
        site.tree.svc("-u", "s/web");
        site.tree.wait_up("s/web");
    }
    site.tree.svc("-d", "s/web");
    reader.wait_state("web", "down");
    let after = memory();
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    // They can still read what they have missed.
    mute.pop().expect("a client").wait_state("web", "down");
}

#[test]
fn a_client_that_takes_nothing_of_an_answer_loses_its_connection() {
    let site = Site::start(&["--socket", "sock"], |tree| {
        for number in 0..3000 {
            tree.symlink("/nowhere", format!("s/service-{number:05}"));
        }
    });
    let mut mute = UnixStream::connect(site.tree.path("sock")).expect("a connection");
    mute.write_all(b"GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let connections = || process::descriptors(site.web().pid()).len();
    let mut head = [0; 12];
    mute.read_exact(&mut head).expect("the begin of an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    let before = connections();
    wait_until("the connection is closed", DEADLINE, || connections() < before);
    // The answer is cut: the length tells the client.
    let mut rest = Vec::new();
    let _ = mute.read_to_end(&mut rest);
    let whole = site.get("/api/v1/services").body;
    assert!(rest.len() < whole.len(), "{} of {}", rest.len(), whole.len());
}
