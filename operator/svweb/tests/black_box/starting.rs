//! How svweb starts, is told things, and ends.

use crate::client::{Events, connect, request};
use crate::{BEARER, Site, TOKEN, address_of, svweb};
use harness::{Signal, Tree, wait_until};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Sends a request over a Unix socket; returns the answer.
pub(crate) fn over_socket(tree: &Tree, path: &str, text: &str) -> String {
    let mut stream = UnixStream::connect(tree.path(path)).expect("a connection");
    stream.write_all(text.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn wrong_usage_exits_100_and_a_refusal_of_the_system_111() {
    let tree = Tree::new();
    tree.mkdir("s");
    tree.write("short", "short");
    tree.chmod("short", 0o600);
    tree.write("open", TOKEN);
    tree.chmod("open", 0o644);
    tree.write("file", "");
    tree.fifo("fifo", 0o600);
    for (arguments, code, message) in [
        (&[][..], 100, "unable to serve without a socket"),
        (&["--listen", "0.0.0.0:0"], 100, "--allow-remote"),
        (&["--listen", "0.0.0.0:0", "--allow-remote"], 100, "--token-file"),
        (&["--listen", "127.0.0.1:0", "--control"], 100, "--token-file"),
        (&["--listen", "127.0.0.1:0", "--token-file", "short"], 100, "16 to 512"),
        (&["--listen", "127.0.0.1:0", "--token-file", "open"], 100, "other users may read"),
        (&["--listen", "127.0.0.1:0", "--token-file", "fifo"], 100, "not a regular file"),
        (&["--listen", "127.0.0.1:0", "--token-file", "none"], 111, "file does not exist"),
        (&["--listen", "127.0.0.1:0", "--ready-fd", "77"], 100, "it is not open"),
        (&["--socket", "file"], 111, "unable to listen on file"),
        (&["--socket", "none/sock"], 111, "file does not exist"),
        (&["--listen", "nonsense"], 100, "unable to use address"),
        (&["operand"], 100, "usage: svweb"),
    ] {
        let output = svweb(&tree, arguments).run();
        assert_eq!(output.code, Some(code), "{arguments:?}: {output}");
        assert!(output.err().starts_with("svweb: fatal: unable to "), "{arguments:?}: {output}");
        assert!(output.err().contains(message), "{arguments:?}: {output}");
    }
    let help = svweb(&tree, &["--help"]).run();
    assert!(help.code == Some(0) && help.out().contains("--allow-host"), "{help}");
}

#[test]
fn a_socket_that_a_killed_svweb_has_left_is_replaced() {
    let tree = Tree::new();
    tree.mkdir("s");
    let first = svweb(&tree, &["--socket", "sock"]).start();
    first.wait_stderr("serving on");
    assert!(over_socket(&tree, "sock", HEALTH).contains("\r\n\r\nok\n"));
    let taken = svweb(&tree, &["--socket", "sock"]).run();
    assert!(taken.code == Some(111) && taken.err().contains("in use"), "{taken}");
    first.kill();
    assert!(tree.exists("sock"));
    let second = svweb(&tree, &["--socket", "sock"]).start();
    second.wait_stderr("serving on");
    assert!(over_socket(&tree, "sock", HEALTH).contains("\r\n\r\nok\n"));
    second.signal(Signal::TERM);
    assert_eq!(second.wait().code, Some(0));
    assert!(!tree.exists("sock"));
}

#[test]
fn hup_reads_the_token_again_and_keeps_the_old_one_after_a_mistake() {
    let site = Site::controlled();
    let works = |token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        let headers = ["Host: localhost", "Content-Type: application/json", &bearer];
        request(site.address, "POST /api/v1/services/web/cont", &headers, "{}").status == 202
    };
    assert!(works(TOKEN));
    site.tree.write("token", "another-token-of-ours");
    site.tree.chmod("token", 0o600);
    site.web().signal(Signal::HUP);
    site.web().wait_stderr("token read again");
    assert!(works("another-token-of-ours") && !works(TOKEN));
    site.tree.write("token", "short");
    site.web().signal(Signal::HUP);
    site.web().wait_stderr("the old token stays");
    assert!(works("another-token-of-ours"));
    assert!(!site.web().stderr().contains("another-token-of-ours"));
}

#[test]
fn a_remote_address_needs_the_token_for_everything() {
    let tree = Tree::new();
    tree.mkdir("s");
    tree.write("token", TOKEN);
    tree.chmod("token", 0o600);
    let web = svweb(
        &tree,
        &[
            "--listen",
            "0.0.0.0:0",
            "--allow-remote",
            "--token-file",
            "token",
            "--listen",
            "127.0.0.1:0",
        ],
    )
    .start();
    let mut address = address_of(&web);
    // A loopback client of this socket is of this machine; the test of another address needs one.
    address.set_ip("127.0.0.1".parse().expect("an address"));
    assert_eq!(request(address, "GET /", &["Host: localhost"], "").status, 200);
    let Some(own) = own_address() else {
        return harness::skip("this machine has no other address than the loopback");
    };
    address.set_ip(own);
    let host = format!("Host: {address}");
    for path in ["/", "/api/v1/services", "/api/v1/events", "/svweb.js", "/metrics"] {
        let answer = request(address, &format!("GET {path}"), &[&host], "");
        assert_eq!(answer.status, 401, "{path}: {answer}");
        assert!(
            answer.header("www-authenticate").is_some_and(|it| it.starts_with("Basic ")),
            "{answer}"
        );
    }
    assert_eq!(request(address, "GET /", &[&host, BEARER], "").status, 200);
    let basic = "Authorization: Basic OjAxMjM0NTY3ODlhYmNkZWYtdG9rZW4=";
    assert_eq!(request(address, "GET /", &[&host, basic], "").status, 200);
    assert_eq!(request(address, "GET /", &["Host: evil.example", BEARER], "").status, 403);
}

/// An address of this machine that is not the loopback. No packet is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|it| it.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

/// A client whose connection svweb has taken gets its answer, also if svweb is told to end meanwhile. A stream
/// does not hold the end up.
#[test]
fn a_request_at_the_end_is_answered() {
    let mut site = Site::start(&[], |tree| drop(tree.idle_service("s/web")));
    site.wait_state("web", "up");
    let web = site.web.take().expect("svweb");
    let _events = Events::open(site.address, "/api/v1/events", &[]);
    let sockets = || harness::process::sockets(web.pid());
    let before = sockets();
    let mut late = connect(site.address);
    wait_until("svweb has the connection", harness::DEADLINE, || sockets() > before);
    web.signal(Signal::TERM);
    late.write_all(HEALTH.as_bytes()).expect("a request");
    let mut answer = String::new();
    late.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\r\n\r\nok\n"), "{answer:?}");
    assert_eq!(web.wait().code, Some(0));
}

/// examples/web, with a Unix socket in the place of its port, which may be taken.
#[test]
fn the_example_serves_on_a_socket_of_listen_and_says_that_it_is_ready() {
    let tree = Tree::new();
    tree.mkdir("s");
    let example = harness::checkout().join("examples/web");
    tree.cmd("cp").arg("-R").arg(example).arg("s/web").run().is(0, "", "");
    tree.write("s/web/listen", format!("unix {}\n", tree.path("sock").display()));
    let programs = Path::new(env!("CARGO_BIN_EXE_svweb")).parent().expect("its directory");
    let path = format!("{}:{}:/usr/bin:/bin", tree.suite().bin().display(), programs.display());
    let svscan = tree.cmd("svscan").arg("s").env("PATH", path).env("SVDIR", tree.path("s")).start();
    let service = servicedir::ServiceDir::new(tree.path("s/web"));
    wait_until("svweb is ready", harness::DEADLINE, || {
        service.snapshot().ok().flatten().is_some_and(|it| it.detail.is_some() && it.is_ready)
    });
    assert!(over_socket(&tree, "sock", HEALTH).contains("\r\n\r\nok\n"));
    let list = "GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(over_socket(&tree, "sock", list).contains("\"name\":\"web\""));
    tree.wait_text("s/web/log/main/current", "svweb: serving on ");
    let pid = tree.wait_up("s/web");
    tree.svc("-h", "s/web");
    assert!(over_socket(&tree, "sock", HEALTH).contains("\r\n\r\nok\n"));
    assert_eq!(tree.wait_up("s/web"), pid);
    // A restart refuses no client: the socket is that of supervise.
    tree.svc("-t", "s/web");
    assert!(over_socket(&tree, "sock", HEALTH).contains("\r\n\r\nok\n"));
    tree.wait_restart("s/web", pid);
    svscan.signal(Signal::TERM);
    svscan.wait();
}
