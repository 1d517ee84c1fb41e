//! setuidgid: a program as another user. Half of the tests need root.

use harness::{Cmd, Tree, account, mounts_work, process, with_mounts, without_root};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Asserts that setuidgid fails with this message.
#[track_caller]
fn fails(command: Cmd<'_>, message: &str) {
    let line = format!("setuidgid: fatal: {message}\n");
    command.run().is(111, "", line);
}

/// `setuidgid ACCOUNT touch ran`. The tests assert that `ran` does not appear.
fn touch<'t>(tree: &'t Tree, account: &str) -> Cmd<'t> {
    tree.chmod("", 0o777);
    tree.cmd("setuidgid").args([account, "touch", "ran"])
}

/// A program that prints its ids.
const SHOW: [&str; 4] = ["sed", "-n", "s/^\\(Uid\\|Gid\\|Groups\\):[\t ]*//p", "/proc/self/status"];

/// The output of [`SHOW`] for a process with only these ids.
fn ids(uid: u32, gid: u32) -> String {
    format!("{uid}\t{uid}\t{uid}\t{uid}\n{gid}\t{gid}\t{gid}\t{gid}\n{gid} \n")
}

// Usage

const USAGE: &str = "setuidgid: usage: setuidgid account child\n";

#[test]
fn an_account_and_a_program_are_needed() {
    let tree = Tree::new();
    tree.cmd("setuidgid").run().is(100, "", USAGE);
    tree.cmd("setuidgid").arg("root").run().is(100, "", USAGE);
    tree.cmd("setuidgid").arg("no-such-account").run().is(100, "", USAGE);
    tree.cmd("setuidgid").arg0("x/other").run().is(100, "", USAGE);
}

#[test]
fn the_programs_own_options_are_left_alone() {
    if without_root() {
        return;
    }
    let command = Tree::new();
    command.cmd("setuidgid").args(["root", "echo", "-s", "--"]).run().is(0, "-s --\n", "");
}

// Accounts

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
        fails(touch(&tree, name), &format!("unknown account {name}"));
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_empty_name_is_unknown() {
    let tree = Tree::new();
    fails(touch(&tree, ""), "unknown account ");
    assert!(!tree.exists("ran"));
}

#[test]
fn a_number_is_a_name_like_any_other() {
    let tree = Tree::new();
    for name in ["0", "65534", "4294967294", "4294967295", "4294967296"] {
        fails(touch(&tree, name), &format!("unknown account {name}"));
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    let command = tree.cmd("setuidgid").arg(OsStr::from_bytes(b"\xff\n")).arg("true");
    command.run().is(111, "", b"setuidgid: fatal: unknown account \xff\n\n");
}

#[test]
fn the_account_is_looked_up_before_anything_is_changed() {
    let tree = Tree::new();
    let command = tree.cmd("setuidgid").args(["no-such-account", "no-such-prog"]);
    fails(command.unprivileged(), "unknown account no-such-account");
}

// Identity

#[test]
fn every_user_and_group_id_becomes_the_accounts() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, uid, gid) = account();
    tree.cmd("setuidgid").arg(name).args(SHOW).run().is(0, ids(uid, gid), "");
}

#[test]
fn the_group_list_becomes_exactly_the_primary_group() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, uid, gid) = account();
    for groups in ["--groups=1,2,77,100000", "--clear-groups", &format!("--groups=1,{gid}")] {
        let command = tree.cmd("setuidgid").arg(&name).args(SHOW);
        command.under(["setpriv", groups, "--"]).run().is(0, ids(uid, gid), "");
        let command = tree.cmd("setuidgid").arg("root").args(SHOW);
        command.under(["setpriv", groups, "--"]).run().is(0, ids(0, 0), "");
    }
}

#[test]
fn an_effective_and_a_saved_id_are_given_up_too() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, uid, gid) = account();
    let command = tree.cmd("setuidgid").arg(name).args(SHOW);
    let command = command.under(["setpriv", "--ruid=1234", "--rgid=1235", "--keep-groups", "--"]);
    command.run().is(0, ids(uid, gid), "");
}

#[test]
fn the_program_has_no_privileges_of_root() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    tree.write("secret", "x");
    tree.chmod("secret", 0o600);
    let (name, ..) = account();
    let command = tree.cmd("setuidgid").args([&name, "cat", "secret"]);
    assert_ne!(command.run().code, Some(0));
    let show = ["grep", "-E", "^Cap(Prm|Eff|Amb)", "/proc/self/status"];
    let none = "0000000000000000";
    let lines = format!("CapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}\n");
    tree.cmd("setuidgid").arg(&name).args(show).run().is(0, lines, "");
}

#[test]
fn a_program_the_account_may_not_run_is_not_run() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    tree.script("mine", "#!/bin/sh\necho ran\n");
    tree.chmod("mine", 0o700);
    tree.cmd("setuidgid").args(["root", "./mine"]).run().is(0, "ran\n", "");
    fails(tree.cmd("setuidgid").args([&name, "./mine"]), "unable to run ./mine: access denied");
    tree.script("dir/prog", "#!/bin/sh\necho ran\n");
    tree.chmod("dir", 0o700);
    let command = tree.cmd("setuidgid").args([&name, "prog"]).env("PATH", "dir:none");
    fails(command, "unable to run prog: access denied");
}

#[test]
fn the_environment_stays_as_it_is() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let with = |command: Cmd<'_>| {
        let command = command.env("HOME", "/root").env("USER", "root").env("UID", "0");
        command.env("LOGNAME", "root").env("SHELL", "/bin/x").arg("/proc/self/environ").run()
    };
    let bare = with(tree.cmd("cat"));
    assert!(bare.out().contains("HOME=/root"));
    with(tree.cmd("setuidgid").args([&name, "cat"])).is(0, bare.stdout, "");
}

#[test]
fn the_directory_stays_and_is_not_home() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let here = format!("{}\n", tree.path("").display());
    tree.cmd("setuidgid").args([&name, "pwd"]).run().is(0, here, "");
}

#[test]
fn the_change_cannot_be_undone() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let command = tree.cmd("setuidgid").args([&name, "setuidgid", "root", "true"]);
    fails(command, "unable to setgid: permission denied");
}

// Without permission

#[test]
fn only_root_can_do_it() {
    let tree = Tree::new();
    let (name, ..) = account();
    for name in ["root", &name] {
        fails(touch(&tree, name).unprivileged(), "unable to setgid: permission denied");
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn only_root_can_do_it_even_for_the_callers_account() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, uid, gid) = account();
    let [ruid, rgid] = [format!("--reuid={uid}"), format!("--regid={gid}")];
    for groups in ["--clear-groups", &format!("--groups={gid}")] {
        let command = touch(&tree, &name).under(["setpriv", &ruid, &rgid, groups, "--"]);
        fails(command, "unable to setgid: permission denied");
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn a_user_id_which_cannot_be_changed_is_fatal() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let wrapper = ["setpriv", "--inh-caps=-setuid", "--bounding-set=-setuid", "--"];
    fails(touch(&tree, &name).under(wrapper), "unable to setuid: permission denied");
    assert!(!tree.exists("ran"));
}

#[test]
fn a_group_id_which_cannot_be_changed_is_fatal() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let wrapper = ["setpriv", "--inh-caps=-setgid", "--bounding-set=-setgid", "--"];
    fails(touch(&tree, &name).under(wrapper), "unable to setgid: permission denied");
    assert!(!tree.exists("ran"));
}

#[test]
fn an_account_with_too_many_processes_is_not_run_as_root() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, ..) = account();
    let one = tree.cmd("setuidgid").args([&name, "sleep", "1000"]).start();
    process::wait_asleep(one.pid(), "sleep");
    let command = touch(&tree, &name).under(["prlimit", "--nproc=0"]);
    fails(command, "unable to run touch: temporary failure");
    assert!(!tree.exists("ran"));
}

// The file

/// setuidgid in a namespace in which the first argument is mounted over the second.
fn setuidgid_with<'t>(tree: &'t Tree, from: &str, over: &str) -> Cmd<'t> {
    with_mounts(tree, &[(from, over)], "setuidgid")
}

#[test]
fn lines_are_read_as_the_system_reads_them() {
    let tree = Tree::new();
    if without_root() || !mounts_work(&tree) {
        return;
    }
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\n\
         12:x:1234:1235::/:/bin/sh\n\
         largest:x:4294967294:4294967293::/:\n\
         toolarge:x:4294967296:7::/:\n\
         negative:x:-5:7::/:\n\
         letters:x:6x:7::/:\n\
         nouser:x::6::/:\n\
         nogroup:x:6:::/:\n\
         short:x:5\n\
         twice:x:1:2::/:\n\
         twice:x:3:4::/:\n\
         +::0:0:::\n\
         +x:x:0:0::/:\n\
         long:x:51:52:{}:/:\n\
         after:x:61:62::/:\n\
         end:x:71:72::/:/bin/sh",
        "l".repeat(100_000)
    );
    tree.write("passwd", passwd);
    for (name, wanted) in [
        ("12", Some((1234, 1235))),
        ("1234", None),
        ("largest", Some((4_294_967_294, 4_294_967_293))),
        ("toolarge", None),
        ("negative", None),
        ("letters", None),
        ("nouser", None),
        ("nogroup", None),
        ("short", None),
        ("twice", Some((1, 2))),
        ("+", None),
        ("+x", None),
        ("long", Some((51, 52))),
        ("after", Some((61, 62))),
        ("end", Some((71, 72))),
        ("", None),
    ] {
        let command = setuidgid_with(&tree, "passwd", "/etc/passwd").arg(name).args(SHOW);
        match wanted {
            Some((uid, gid)) => command.run().is(0, ids(uid, gid), ""),
            None => fails(command, &format!("unknown account {name}")),
        }
    }
}

#[test]
fn the_id_which_means_no_change_is_refused() {
    let tree = Tree::new();
    if without_root() || !mounts_work(&tree) {
        return;
    }
    tree.write("passwd", "user:x:4294967295:5::/:\ngroup:x:5:4294967295::/:\n");
    let run =
        |name: &str| setuidgid_with(&tree, "passwd", "/etc/passwd").args([name, "echo", "ran"]);
    fails(run("user"), "unable to setuid: invalid argument");
    fails(run("group"), "unable to setgid: invalid argument");
}

#[test]
fn without_the_file_every_account_is_unknown() {
    let tree = Tree::new();
    if without_root() || !mounts_work(&tree) {
        return;
    }
    tree.mkdir("etc");
    fails(
        setuidgid_with(&tree, "etc", "/etc").args(["root", "echo", "ran"]),
        "unknown account root",
    );
}

// Chains

#[test]
fn the_classic_chain_of_a_run_script() {
    if without_root() {
        return;
    }
    let tree = Tree::new();
    let (name, uid, gid) = account();
    tree.write("env/GREETING", "hello \n");
    tree.write("env/HOME", "");
    tree.script(
        "prog",
        "#!/bin/sh\necho $GREETING ${HOME-homeless} $(ulimit -S -d) \"$@\"\n\
         sed -n 's/^\\(Uid\\|Gid\\|Groups\\):[\t ]*//p' /proc/self/status\nexit 7\n",
    );
    let script =
        "#!/bin/sh\nexec envdir ./env setuidgid \"$1\" softlimit -m 512000000 ./prog a b\n";
    tree.script("run", script);
    let command = tree.cmd("./run").arg(&name).env("HOME", "/root");
    let lines = format!("hello homeless 500000 a b\n{}", ids(uid, gid));
    command.run().is(7, lines, "");
    let script = "exec envdir ./env envuidgid \"$1\" setuidgid \"$1\" softlimit -m 512000000 \
                  setlock -nx lock pgrphack sh -c 'echo $UID:$GID'";
    let lines = format!("{uid}:{gid}\n");
    let command = tree.sh(script).arg("sh").arg(&name);
    tree.chmod("", 0o777);
    command.run().is(0, lines, "");
}
