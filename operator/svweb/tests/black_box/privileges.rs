//! What svweb does on the machine: it reads.

use crate::client::{Events, request};
use crate::{BEARER, TOKEN, address_of, svweb};
use harness::{Tree, strace_works, wait_until};

/// The beginnings of the names of system calls that change files.
const CHANGES: [&str; 14] = [
    "creat", "truncate", "unlink", "rename", "mkdir", "rmdir", "mknod", "symlink", "link", "chmod",
    "chown", "fchmod", "fchown", "utime",
];

/// Whether a line of strace, `PID NAME(ARGUMENTS`, is a call that changes a file or opens one to write.
/// FIFOs and pipes are no files: to open `ok` shows whether a supervise runs, `control` takes commands, and
/// descriptor 1 of a supervise is the pipe to its logger, which the doctor measures.
fn is_change(line: &str) -> bool {
    let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
    let opens = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| call.contains(flag));
    let is_pipe =
        ["/supervise/ok\"", "/supervise/control\"", "/fd/1\""].iter().any(|it| call.contains(it));
    CHANGES.iter().any(|change| call.starts_with(change))
        || call.starts_with("open") && opens && !is_pipe
}

#[test]
fn it_changes_no_file_and_starts_no_program() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    tree.mkdir("s");
    tree.write("token", TOKEN);
    tree.chmod("token", 0o600);
    tree.service("s/talk", "#!/bin/sh\nexec 2>&1\necho begins\nexec sleep 100000\n");
    tree.service("s/talk/log", "#!/bin/sh\nexec multilog t ./main\n");
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/talk");
    tree.wait_text("s/talk/log/main/current", "begins");
    let web = svweb(&tree, &["--listen", "127.0.0.1:0", "--token-file", "token", "--control"])
        .under(["strace", "-f", "-qq", "-o", "calls", "-e", "trace=%file,%process"])
        .start();
    let address = address_of(&web);
    let host = "Host: localhost";
    let mut events = Events::open(address, "/api/v1/events?log=talk", &[]);
    events.wait(|event| event.kind == "services");
    for path in [
        "/",
        "/service/talk",
        "/api/v1/services/talk",
        "/api/v1/services/talk/logs",
        "/api/v1/services/talk/findings",
        "/api/v1/findings",
        "/api/v1/findings/machine",
        "/metrics",
        "/healthz",
    ] {
        assert_eq!(request(address, &format!("GET {path}"), &[host], "").status, 200, "{path}");
    }
    // A command is a byte in the FIFO of the service.
    let json = "Content-Type: application/json";
    let line = "POST /api/v1/services/talk/down";
    assert_eq!(request(address, line, &[host, BEARER, json], "{}").status, 202);
    tree.wait_down("s/talk");
    wait_until("strace has written it", harness::DEADLINE, || {
        tree.text("calls").lines().any(|line| line.contains("supervise/control"))
    });
    let calls = tree.text("calls");
    // The note of who has sent the command.
    let is_note = |line: &str| line.contains("/s/talk/supervise/requests\"");
    assert!(calls.lines().any(is_note), "{calls}");
    let changes: Vec<&str> =
        calls.lines().filter(|line| is_change(line) && !is_note(line)).collect();
    assert_eq!(changes, [""; 0]);
    let starts = calls.lines().filter(|line| line.contains("execve"));
    assert_eq!(starts.count(), 1, "svweb itself:\n{calls}");
    drop(web);
    svscan.signal(harness::Signal::TERM);
    svscan.wait();
}
