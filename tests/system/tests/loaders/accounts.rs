//! Where the loaders look for an account: numbers, /etc/passwd, getent.

use crate::{fails, getent, open_tree, with_own_accounts};
use harness::{Cmd, in_mount_namespace, skip};
use std::path::Path;
use std::time::Duration;
use system::tree;

/// Asserts that an account has these ids, or that it is unknown.
#[track_caller]
fn assert_account(command: Cmd<'_>, name: &str, wanted: Option<(u32, u32)>) {
    let command = command.args([name, "sh", "-c", "echo $UID:$GID"]);
    match wanted {
        Some((uid, gid)) => command.run().is(0, format!("{uid}:{gid}\n"), ""),
        None => fails(command, &format!("envuidgid: fatal: unknown account {name}")),
    }
}

#[test]
fn a_numeric_uid_and_gid_are_an_account_without_a_lookup() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "7:8:1:2::/:/\n") else { return };
    for (name, wanted) in [
        ("7:8", (7, 8)),
        ("0:0", (0, 0)),
        ("4294967294:1", (4_294_967_294, 1)),
        ("1:4294967294", (1, 4_294_967_294)),
    ] {
        assert_account(start("envuidgid"), name, Some(wanted));
    }
    assert!(!tree.exists("asked"));
}

#[test]
fn other_numbers_are_unknown() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    // The system's getent would print the line of the user with that id.
    getent(&tree, "echo app:x:7:8::/:/");
    for name in ["0", "7", "65534", "4294967295"] {
        assert_account(start("envuidgid"), name, None);
    }
    tree.remove("asked");
    for name in [
        "4294967296:1",
        "1:4294967296",
        "18446744073709551617:1",
        "-1:1",
        "+1:1",
        " 1:1",
        "1:1 ",
        "0x1:1",
        "1:",
        ":1",
        ":",
        "1:2:3",
        "root:0",
        "0:root",
    ] {
        assert_account(start("envuidgid"), name, None);
    }
    assert!(!tree.exists("asked"));
}

/// To some system calls 4294967295 means "no change" as a user or group. A program that trusts such
/// a UID would stay root.
#[test]
fn the_number_that_means_no_change_is_no_account() {
    let tree = open_tree();
    for name in ["4294967295:1", "1:4294967295", "4294967295:4294967295"] {
        for program in ["setuidgid", "setuser", "envuidgid"] {
            let command = tree.cmd(program).args([name, "touch", "ran"]);
            fails(command, &format!("{program}: fatal: unknown account {name}"));
            assert!(!tree.exists("ran"), "{program} {name}");
        }
        assert_account(tree.cmd("envuidgid"), name, None);
    }
}

#[test]
fn impossible_account_names_are_unknown_without_a_lookup() {
    let tree = tree();
    let passwd = ":x:1:1::/:/\nroot:x:0:0::/:/\napp:x:1:1::/:/\n+::0:0:::\n-x:x:1:1::/:/\n";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    getent(&tree, "echo \"$3:x:7:8::/:/\"");
    for name in
        ["", "app:", "app:x", ":", "\n", "app\n", "\napp", "x\napp", "+", "+x", "-x", "--help"]
    {
        assert_account(start("envuidgid"), name, None);
    }
    assert!(!tree.exists("asked"));
}

#[test]
fn a_name_with_a_colon_does_not_shift_the_fields_of_a_line() {
    let tree = tree();
    let passwd = "app:x:51:52:53:54:55:56:57:58\n";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    assert_account(start("envuidgid"), "app", Some((51, 52)));
    for name in ["app:x", "app:x:51"] {
        assert_account(start("envuidgid"), name, None);
    }
}

#[test]
fn a_line_of_a_megabyte_does_no_harm() {
    let tree = tree();
    let long = "x".repeat(1_000_000);
    let passwd = format!("{long}\n{long}:x:1:1::/:/\nlong:x:51:52:{long}:/:/\napp:x:61:62::/:/");
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    assert_account(start("envuidgid"), "long", Some((51, 52)));
    assert_account(start("envuidgid"), "app", Some((61, 62)));
    assert_account(start("envuidgid"), "x", None);
}

#[test]
fn damaged_lines_of_passwd_are_skipped() {
    let tree = tree();
    let passwd = b"\n\0\n:::::::::\nshort:x:5\nshort:x:5:6\nnouser:x::6::/:/\nnogroup:x:6:::/:/\n\
        large:x:4294967296:7::/:/\n\
        huge:x:99999999999999999999:7::/:/\nminus:x:-5:7::/:/\nletters:x:6x:7::/:/\n \
        blank:x:1:1::/:/\nnul:x:1:1::/\0:/\n+:x:1:1::/:/\n+app\n#note:x:1:1::/:/\n\xff\xfe:x:1:1::/:/\n\
        twice:x:damaged:1::/:/\ntwice:x:3:4::/:/\napp:x:61:62::/:/";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    for name in
        ["short", "nouser", "nogroup", "large", "huge", "minus", "letters", "nul", "note", "#note"]
    {
        assert_account(start("envuidgid"), name, None);
    }
    // Leading blanks do not count, as in the C library.
    assert_account(start("envuidgid"), "blank", Some((1, 1)));
    assert_account(start("envuidgid"), "twice", Some((3, 4)));
    assert_account(start("envuidgid"), "app", Some((61, 62)));
}

#[test]
fn without_passwd_every_account_is_asked_of_getent() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for remove in [false, true] {
        if remove {
            tree.remove("etc/passwd");
        }
        assert_account(start("envuidgid"), "app", Some((51, 52)));
        assert_account(start("envuidgid"), "root", None);
    }
}

/// Otherwise an account of the unreadable file would be another account elsewhere, or unknown.
#[test]
fn an_unreadable_passwd_is_reported_and_getent_is_not_asked() {
    let tree = open_tree();
    for program in ["envuidgid", "setuidgid", "setuser"] {
        let command = tree.cmd(program).args(["root", "touch", "ran"]);
        let why = "unable to read /etc/passwd: process cannot open more files";
        fails(command.under(["prlimit", "--nofile=3"]), &format!("{program}: fatal: {why}"));
    }
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    tree.remove("etc/passwd");
    tree.mkdir("etc/passwd");
    let command = start("envuidgid").args(["app", "touch", "ran"]);
    fails(command, "envuidgid: fatal: unable to read /etc/passwd: is a directory");
    assert!(!tree.exists("ran") && !tree.exists("asked"));
    // Numbers need no lookup.
    assert_account(start("envuidgid"), "7:8", Some((7, 8)));
}

// getent

#[test]
fn a_name_that_is_not_in_passwd_is_asked_of_getent() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\napp:x:1:2::/:/\n") else { return };
    getent(&tree, "echo remote:x:51:52:::/bin/sh");
    assert_account(start("envuidgid"), "app", Some((1, 2)));
    assert!(!tree.exists("asked"), "what passwd has is not asked for");
    let command = start("envuidgid").env("LD_PRELOAD", "").env("A", "1").env("IFS", "x");
    assert_account(command, "remote", Some((51, 52)));
    // getent gets nothing of the caller's environment, which another user may control.
    assert_eq!(tree.text("asked"), "[--][passwd][remote]\nPATH=/usr/bin:/bin\n");
    // getent takes a name as one argument, never as a pattern or a command.
    for name in ["a b", "*", "$(touch ran)", "root "] {
        tree.remove("asked");
        assert_account(start("envuidgid"), name, None);
        let asked = tree.text("asked");
        assert!(asked.starts_with(&format!("[--][passwd][{name}]\n")), "{asked}");
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn getent_is_asked_even_with_closed_descriptors_or_ignored_sigchld() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for closed in ["<&-", ">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec envuidgid app sh -c 'echo $UID:$GID >out' {closed}");
        start("sh").arg("-c").arg(script).run().is(0, "", "");
        assert_eq!(tree.text("out"), "51:52\n", "{closed}");
        tree.remove("out");
    }
    assert_account(start("env").args(["--ignore-signal=CHLD", "envuidgid"]), "app", Some((51, 52)));
}

#[test]
fn an_answer_of_getent_for_another_account_is_ignored() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for answer in [
        "echo other:x:51:52::/:/",
        "echo root:x:0:0::/:/",
        "echo APP:x:51:52::/:/",
        "echo app2:x:51:52::/:/",
        "echo app:x:51",
        "echo app:x:4294967296:52::/:/",
        "echo app",
        "echo",
        ":",
        "exit 2",
    ] {
        getent(&tree, answer);
        assert_account(start("envuidgid"), "app", None);
        assert_account(start("env").args(["--ignore-signal=CHLD", "envuidgid"]), "app", None);
    }
    // One right line among others is enough.
    getent(&tree, "echo other:x:1:1::/:/; printf app:x:51:52::/:/; exit 3");
    assert_account(start("envuidgid"), "app", Some((51, 52)));
}

#[test]
fn a_getent_that_fails_is_reported() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for answer in ["exit 1", "exit 3", "kill -KILL $$", "echo other:x:51:52::/:/; exit 1"] {
        getent(&tree, answer);
        let why = "unknown account app (not found in /etc/passwd, and getent failed)";
        for ignored in ["--", "--ignore-signal=CHLD"] {
            let command = start("env").args([ignored, "envuidgid", "app", "true"]);
            fails(command, &format!("envuidgid: fatal: {why}"));
        }
    }
}

#[test]
fn an_ignored_sigchld_is_inherited_although_getent_was_waited_for() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for ignored in ["--", "--ignore-signal=CHLD"] {
        let run = |loader: &[&str]| {
            let command = start("env").arg(ignored).args(loader);
            command.args(["grep", "^SigIgn", "/proc/self/status"]).run()
        };
        let bare = run(&[]);
        assert_eq!(bare.code, Some(0), "{bare}");
        assert_eq!(run(&["envuidgid", "app"]), bare);
    }
    assert!(tree.exists("asked"));
}

#[test]
fn a_getent_that_prints_without_end_is_not_waited_for() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/; exec cat /dev/zero");
    let command = start("envuidgid").deadline(Duration::from_secs(10));
    assert_account(command, "app", Some((51, 52)));
}

#[test]
fn without_getent_the_message_says_so() {
    let tree = tree();
    tree.write("etc/passwd", "root:x:0:0::/:/\n");
    tree.mkdir("empty");
    let script = "mount --bind \"$1\" /etc && mount --bind \"$2\" /usr/bin && exec \"$3\" app x";
    let start = |program: &Path| {
        let command = tree.sh(script).arg("sh").arg(tree.path("etc")).arg(tree.path("empty"));
        in_mount_namespace(command.arg(program))
    };
    // This path exists, but is no program.
    let trial = start(&tree.path("etc/passwd")).run();
    if trial.code != Some(126)
        || Path::new("/bin/getent").exists() && !Path::new("/bin").is_symlink()
    {
        skip(&format!("a namespace without getent is needed: {trial}"));
        return;
    }
    for program in ["envuidgid", "setuidgid", "setuser"] {
        let why = "unknown account app (not found in /etc/passwd, and getent could not be asked)";
        let command = start(&tree.suite().program(program));
        fails(command, &format!("{program}: fatal: {why}"));
    }
}
