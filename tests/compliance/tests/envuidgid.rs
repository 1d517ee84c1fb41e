//! envuidgid: an account's ids as variables.

use harness::{ENVIRON, Tree, account, mounts_work, variables, with_mounts};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Asserts that envuidgid fails with this message.
#[track_caller]
fn fails(tree: &Tree, account: &str, message: &str) {
    let line = format!("envuidgid: fatal: {message}\n");
    tree.cmd("envuidgid").args([account, "touch", "ran"]).run().is(111, "", line);
    assert!(!tree.exists("ran"));
}

// Usage

const USAGE: &str = "envuidgid: usage: envuidgid account child\n";

#[test]
fn an_account_and_a_program_are_needed() {
    let tree = Tree::new();
    tree.cmd("envuidgid").run().is(100, "", USAGE);
    tree.cmd("envuidgid").arg("root").run().is(100, "", USAGE);
    tree.cmd("envuidgid").arg("no-such-account").run().is(100, "", USAGE);
    tree.cmd("envuidgid").arg0("x/other").run().is(100, "", USAGE);
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    for name in ["-", "--", "--help", "-x"] {
        fails(&tree, name, &format!("unknown account {name}"));
    }
    tree.cmd("envuidgid").args(["root", "echo", "-x", "--"]).run().is(0, "-x --\n", "");
}

// Accounts

#[test]
fn root_has_the_ids_0() {
    let tree = Tree::new();
    assert_eq!(variables(tree.cmd("envuidgid").arg("root").args(ENVIRON)), ["GID=0", "UID=0"]);
}

#[test]
fn the_user_and_the_primary_group_are_the_accounts() {
    let tree = Tree::new();
    let (name, uid, gid) = account();
    let found = variables(tree.cmd("envuidgid").arg(name).args(ENVIRON));
    assert_eq!(found, [format!("GID={gid}"), format!("UID={uid}")]);
}

#[test]
fn ids_which_were_there_are_replaced_and_nothing_else_is() {
    let tree = Tree::new();
    let (name, uid, gid) = account();
    let command = tree.cmd("envuidgid").arg(name).env("UID", "x").env("GID", "y");
    let command =
        command.env("USER", "me").env("HOME", "/nowhere").env("UIDS", "1").env("EUID", "");
    let [uid, gid] = [format!("UID={uid}"), format!("GID={gid}")];
    assert_eq!(
        variables(command.args(ENVIRON)),
        ["EUID=", &gid, "HOME=/nowhere", &uid, "UIDS=1", "USER=me"]
    );
}

#[test]
fn no_id_is_changed() {
    let tree = Tree::new();
    let (name, ..) = account();
    let show = ["grep", "-E", "^(Uid|Gid|Groups|Cap|NoNewPrivs)", "/proc/self/status"];
    let bare = tree.cmd("grep").args(&show[1..]).run();
    assert!(bare.out().contains("Uid:"));
    tree.cmd("envuidgid").arg(name).args(show).run().is(0, bare.stdout, "");
}

#[test]
fn no_privilege_is_needed() {
    let tree = Tree::new();
    let command = tree.cmd("envuidgid").args(["root", "sh", "-c", "echo $UID:$GID"]);
    command.unprivileged().run().is(0, "0:0\n", "");
}

#[test]
fn an_unknown_account_is_fatal() {
    let tree = Tree::new();
    let long = "x".repeat(5000);
    for name in [
        "no-such-account",
        "Root",
        "roo",
        "root ",
        " root",
        "root:x",
        "root:",
        "/root",
        "*",
        ".",
        "root\n",
        long.as_str(),
    ] {
        fails(&tree, name, &format!("unknown account {name}"));
    }
}

#[test]
fn the_empty_name_is_unknown() {
    fails(&Tree::new(), "", "unknown account ");
}

#[test]
fn a_number_is_a_name_like_any_other() {
    let tree = Tree::new();
    for name in ["0", "65534", "4294967294", "4294967295", "4294967296", "-1", "+0"] {
        fails(&tree, name, &format!("unknown account {name}"));
    }
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    let command = tree.cmd("envuidgid").arg(OsStr::from_bytes(b"\xff\n")).arg("true");
    command.run().is(111, "", b"envuidgid: fatal: unknown account \xff\n\n");
}

#[test]
fn the_account_is_looked_up_before_the_program() {
    let tree = Tree::new();
    let line = "envuidgid: fatal: unknown account no-such-account\n";
    tree.cmd("envuidgid").args(["no-such-account", "no-such-prog"]).run().is(111, "", line);
}

// The file

#[test]
fn lines_are_read_as_the_system_reads_them() {
    let tree = Tree::new();
    if !mounts_work(&tree) {
        return;
    }
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\n\
         12:x:1234:1235::/:/bin/sh\n\
         largest:x:4294967295:4294967294::/:\n\
         toolarge:x:4294967296:7::/:\n\
         negative:x:-5:7::/:\n\
         letters:x:6x:7::/:\n\
         hexadecimal:x:0x10:5::/:\n\
         zeros:x:007:010::/:\n\
         nouser:x::6::/:\n\
         nogroup:x:6:::/:\n\
         short:x:5\n\
         #comment:x:5:6::/:\n\
         twice:x:1:2::/:\n\
         twice:x:3:4::/:\n\
         +::0:0:::\n\
         +x:x:0:0::/:\n\
         -x:x:0:0::/:\n\
         \n\
         long:x:51:52:{}:/:\n\
         after:x:61:62::/:\n\
         end:x:71:72::/:/bin/sh",
        "l".repeat(100_000)
    );
    tree.write("passwd", passwd);
    for (name, wanted) in [
        ("12", Some("1234:1235")),
        ("1234", None),
        ("largest", Some("4294967295:4294967294")),
        ("toolarge", None),
        ("negative", None),
        ("letters", None),
        ("hexadecimal", None),
        ("zeros", Some("7:10")),
        ("nouser", None),
        ("nogroup", None),
        ("short", None),
        ("#comment", None),
        ("twice", Some("1:2")),
        ("+", None),
        ("+x", None),
        ("-x", None),
        ("long", Some("51:52")),
        ("after", Some("61:62")),
        ("end", Some("71:72")),
        ("", None),
    ] {
        let command = with_mounts(&tree, &[("passwd", "/etc/passwd")], "envuidgid");
        let output = command.args([name, "sh", "-c", "echo $UID:$GID"]).run();
        match wanted {
            Some(ids) => output.is(0, format!("{ids}\n"), ""),
            None => {
                output.is(111, "", format!("envuidgid: fatal: unknown account {name}\n"));
            }
        }
    }
}

#[test]
fn without_the_file_every_account_is_unknown() {
    let tree = Tree::new();
    if !mounts_work(&tree) {
        return;
    }
    tree.mkdir("etc");
    let line = "envuidgid: fatal: unknown account root\n";
    with_mounts(&tree, &[("etc", "/etc")], "envuidgid")
        .args(["root", "true"])
        .run()
        .is(111, "", line);
}
