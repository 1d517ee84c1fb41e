//! root's multilog, on paths and in directories of which another user can change a part.

use harness::{DEADLINE, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::io::{Write as _, pipe};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown};
use std::time::SystemTime;
use system::{tree, whole_log};

/// Gives a file or a link to another user; returns `false` if this is impossible.
fn give(tree: &Tree, path: &str) -> bool {
    if !is_root() {
        skip("not root");
        return false;
    }
    let (_, uid, gid) = account();
    lchown(tree.path(path), Some(uid), Some(gid)).expect("give it away");
    true
}

/// The names in a directory.
fn names(tree: &Tree, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(tree.path(dir)).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The message about a link of another user.
fn refusal(what: &str) -> String {
    format!(
        "multilog: fatal: unable to {what}: another user can change a symbolic link in its path\n"
    )
}

#[test]
fn an_output_directory_is_not_reached_through_a_link_of_another_user() {
    let tree = tree();
    tree.mkdir("victim/web");
    tree.mkdir("bob");
    let victim = tree.path("victim");
    for (link, target) in [("web", &victim), ("x", &victim), ("new", &victim.join("made"))] {
        tree.symlink(target, format!("bob/{link}"));
        if !give(&tree, &format!("bob/{link}")) {
            return;
        }
    }
    give(&tree, "bob");
    let before = names(&tree, "victim");
    for dir in ["./bob/web", "./bob/x/web", "./bob/x/other", "./bob/new", "./bob/../bob/web/."] {
        let line = refusal(&format!("open directory {dir}"));
        tree.cmd("multilog").arg(dir).stdin("a\n").run().is(111, "", line);
        assert_eq!(names(&tree, "victim"), before, "{dir}");
        assert_eq!(names(&tree, "victim/web"), [""; 0], "{dir}");
    }
    // Its own directories may lie there.
    tree.cmd("multilog").arg("./bob/own").stdin("a\n").run().is(0, "", "");
    assert_eq!(tree.text("bob/own/current"), "a\n");
}

#[test]
fn an_output_directory_is_not_reached_through_a_foreign_link_in_a_sticky_directory() {
    let tree = tree();
    tree.mkdir("victim");
    tree.mkdir("tmp");
    tree.chmod("tmp", 0o1777);
    tree.symlink("../victim", "tmp/ours");
    tree.symlink("../victim", "tmp/foreign");
    if !give(&tree, "tmp/foreign") {
        return;
    }
    let refused = refusal("open directory ./tmp/foreign");
    tree.cmd("multilog").arg("./tmp/foreign").stdin("a\n").run().is(111, "", refused);
    assert_eq!(names(&tree, "victim"), [""; 0]);
    tree.cmd("multilog").arg("./tmp/ours").stdin("a\n").run().is(0, "", "");
    assert_eq!(tree.text("victim/current"), "a\n");
    // Without the bit, another user can replace every link.
    tree.chmod("tmp", 0o777);
    let refused = refusal("open directory ./tmp/ours");
    tree.cmd("multilog").arg("./tmp/ours").stdin("b\n").run().is(111, "", refused);
    assert_eq!(tree.text("victim/current"), "a\n");
}

#[test]
fn a_status_file_is_not_written_through_a_link_of_another_user() {
    const CONTENTS: &str = "root:x:0:0:root:/root:/bin/sh\n";
    let tree = tree();
    tree.mkdir("a");
    tree.mkdir("victim");
    let passwd = tree.write("victim/passwd", CONTENTS);
    tree.symlink(&passwd, "a/link");
    tree.symlink(tree.path("victim/nologin"), "a/new");
    tree.symlink(tree.path("victim"), "a/dir");
    fs::hard_link(&passwd, tree.path("a/hard")).expect("a second name");
    if !give(&tree, "a") {
        return;
    }
    for name in ["link", "new", "dir/passwd", "dir/nologin", "hard"] {
        let status = format!("=./a/{name}");
        let output = tree.cmd("multilog").args([&status, "./a"]).stdin("evil\n").run();
        assert_eq!(output.code, Some(111), "{name}");
        assert_eq!(tree.text("victim/passwd"), CONTENTS, "{name}");
        assert!(!tree.exists("victim/nologin"), "{name}");
    }
    tree.cmd("multilog").args(["=./a/status", "./a"]).stdin("line\n").run().is(0, "", "");
    assert!(tree.text("a/status").starts_with("line\n"));
}

#[test]
fn links_that_no_other_user_can_change_are_followed() {
    let tree = tree();
    tree.mkdir("var/log/x");
    tree.mkdir("service/log");
    tree.symlink("../../var/log/x", "service/log/main");
    tree.symlink("var/log", "logs");
    tree.symlink("nowhere", "dangling");
    tree.symlink("logs/status", "status");
    for (dir, line) in [("./service/log/main", "a\n"), ("./logs/x", "b\n"), ("./logs/new", "c\n")] {
        tree.cmd("multilog").args([dir, "=./status"]).stdin(line).run().is(0, "", "");
        assert!(tree.text("var/log/status").starts_with(line));
    }
    assert_eq!(tree.text("var/log/x/current"), "a\nb\n");
    assert_eq!(tree.text("var/log/new/current"), "c\n");
    let line = "multilog: fatal: unable to open directory ./dangling: file does not exist\n";
    tree.cmd("multilog").arg("./dangling").stdin("a\n").run().is(111, "", line);
    // The logger's own user may have made the link.
    if !is_root() {
        return skip("not root");
    }
    let (name, uid, gid) = account();
    for path in ["service/log", "var/log/x"] {
        chown(tree.path(path), Some(uid), Some(gid)).expect("give it away");
    }
    fs::remove_dir_all(tree.path("var/log/x")).expect("remove it");
    tree.mkdir("var/log/x");
    give(&tree, "var/log/x");
    lchown(tree.path("service/log/main"), Some(uid), Some(gid)).expect("give it away");
    fs::set_permissions(tree.path("."), fs::Permissions::from_mode(0o755)).expect("open it");
    let multilog = tree.cmd("setuidgid").args([&name, "multilog", "./service/log/main"]);
    multilog.stdin("d\n").run().is(0, "", "");
    assert_eq!(tree.text("var/log/x/current"), "d\n");
}

/// Changes the batch mark in `a/` as the owner of that directory can do: by another file.
#[track_caller]
fn forge_mark(tree: &Tree, change: impl Fn(&mut Vec<u8>)) {
    const MARK: &str = "a/.multilog-batch";
    let mut mark = fs::read(tree.path(MARK)).expect("a batch mark");
    change(&mut mark);
    fs::remove_file(tree.path(MARK)).expect("remove it");
    fs::write(tree.path(MARK), mark).expect("write it");
    give(tree, MARK);
}

#[test]
fn a_forged_batch_mark_puts_no_lines_into_another_directory() {
    const FORGED: &[u8] = b"FORGED: accepted password for root\nFORGED two\n";
    let tree = tree();
    tree.mkdir("a");
    if !give(&tree, "a") {
        return;
    }
    let (reader, mut input) = pipe().expect("a pipe");
    let start = || {
        let own = reader.try_clone().expect("another reader");
        tree.cmd("multilog").args(["t", "./a", "./b"]).stdin_from(own).start()
    };
    let logger = start();
    let count = |text: &str| whole_log(&tree, "b").matches(text).count();
    input.write_all("an honest line\n".repeat(1500).as_bytes()).expect("write");
    wait_until("a batch is done", DEADLINE, || {
        tree.exists("a/.multilog-batch") && tree.exists("b/current") && count("honest") == 1500
    });
    let standby = process::descendants(logger.pid());
    logger.kill();
    standby.into_iter().for_each(process::wait_gone);
    forge_mark(&tree, |mark| {
        mark.truncate(104);
        mark[48..56].copy_from_slice(&3_u64.to_le_bytes());
        mark[88..96].copy_from_slice(&(FORGED.len() as u64).to_le_bytes());
        mark.extend_from_slice(FORGED);
    });
    let logger = start();
    input.write_all(b"another line\n").expect("write");
    wait_until("the line is there", DEADLINE, || count("another line\n") == 1);
    drop(input);
    logger.wait().is(0, "", "");
    assert_eq!((count("FORGED"), count("honest")), (0, 1500));
}

#[test]
fn a_forged_time_in_a_batch_mark_sets_no_stamps_of_another_directory() {
    let tree = tree();
    tree.mkdir("a");
    if !give(&tree, "a") {
        return;
    }
    let (reader, mut input) = pipe().expect("a pipe");
    // The batch stays open while the processor sleeps.
    let processor = "!test -e ../go || sleep 60; cat";
    let start = || {
        let own = reader.try_clone().expect("another reader");
        let script = ["t", "s4096", "n100", processor, "./a", "!cat", "./b"];
        tree.cmd("multilog").args(script).stdin_from(own).start()
    };
    let logger = start();
    input.write_all("an honest line\n".repeat(1500).as_bytes()).expect("write");
    let is_writing = |dir: &str| {
        let mark = fs::read(tree.path(dir).join(".multilog-batch")).unwrap_or_default();
        mark.get(48) == Some(&1)
    };
    wait_until("a batch is open", DEADLINE, || {
        is_writing("a") && is_writing("b") && tree.exists("a/processed")
    });
    for pid in process::descendants(logger.pid()) {
        process::signal(pid, Signal::KILL);
    }
    logger.kill();
    // The digest stays right, the seconds become those of the year 2100.
    forge_mark(&tree, |mark| {
        let seconds = u64::from_le_bytes(mark[32..40].try_into().expect("eight bytes"));
        mark[32..40].copy_from_slice(&(seconds + (74 << 25)).to_le_bytes());
    });
    tree.write("go", "");
    let logger = start();
    wait_until("all is written", DEADLINE, || whole_log(&tree, "b").lines().count() == 1500);
    let log = whole_log(&tree, "b");
    let year = |line: &str| u64::from_str_radix(&line[9..17], 16).expect("a label") >> 25;
    let mut years: Vec<u64> = log.lines().map(year).collect();
    years.dedup();
    assert!(years.last().expect("a line") - years[0] <= 1, "{years:?}");
    logger.kill();
}

#[test]
fn a_forged_label_in_a_log_sets_no_stamps_of_another_directory() {
    const UNIX_EPOCH: u64 = 4_611_686_018_427_387_914;
    let tree = tree();
    tree.mkdir("a");
    if !give(&tree, "a") {
        return;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("later").as_secs();
    let label = |seconds: u64| format!("@{:016x}", seconds + UNIX_EPOCH);
    tree.write("a/current", format!("{}00000000 forged\n", label(now + 80_000)));
    // A complete `current` stays in use.
    tree.chmod("a/current", 0o744);
    give(&tree, "a/current");
    tree.cmd("multilog").args(["t", "./a", "./b"]).stdin("a line\n").run().is(0, "", "");
    let log = tree.text("b/current");
    assert!(label(now).as_str() <= &log[..17] && log[..17] < label(now + 3600)[..], "{log}");
}
