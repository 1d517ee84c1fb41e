//! setuidgid and setuser: user, group, supplementary groups and the variables of a login.

use crate::{GROUP, PASSWD, fails, getent, open_tree, traced, with_own_accounts};
use harness::{ENVIRON, Tree, is_root, process, strace_works, variables, without_root};
use std::iter;
use system::tree;

/// A program that prints its ids.
const SHOW: [&str; 4] = ["sed", "-n", "s/^\\(Uid\\|Gid\\|Groups\\):[\t ]*//p", "/proc/self/status"];

/// The output of [`SHOW`] with these ids and groups.
fn ids(uid: u32, gid: u32, groups: &str) -> String {
    format!("{uid}\t{uid}\t{uid}\t{uid}\n{gid}\t{gid}\t{gid}\t{gid}\n{groups} \n")
}

/// All programs that give up rights, with the account 54321.
const IDENTITIES: [&[&str]; 4] = [
    &["setuidgid", "54321:12345"],
    &["setuidgid", "-s", "54321:12345"],
    &["setuidgid", "-e", "54321:12345"],
    &["setuser", "54321:12345"],
];

/// The system calls that change ids, and the exec calls.
fn steps(tree: &Tree) -> Vec<String> {
    let trace = tree.text("trace");
    let calls = trace.lines().filter_map(|line| line.split_whitespace().nth(1));
    let names = calls.map(|call| call.split('(').next().unwrap_or_default().to_owned());
    let wanted = ["setgroups", "setgid", "setuid", "execve"];
    names.filter(|name| wanted.contains(&name.as_str())).collect()
}

#[test]
fn groups_then_group_then_user_are_changed_before_the_program_runs() {
    if !strace_works(&tree()) {
        return;
    }
    for words in IDENTITIES {
        let tree = tree();
        // strace pretends success, so the test needs no rights.
        let pretended = ["-e", "inject=setgroups,setgid,setuid:retval=0"];
        let program = tree.suite().program("true");
        let command = traced(tree.cmd(words[0]), pretended);
        command.args(&words[1..]).arg(program).run().is(0, "", "");
        let expected = if supplementary(words) {
            &["execve", "setgroups", "setgid", "setgroups", "setuid", "execve"][..]
        } else {
            &["execve", "setgroups", "setgid", "setuid", "execve"]
        };
        assert_eq!(steps(&tree), expected, "{words:?}");
    }
}

/// Whether the program sets all groups of the account, in a second step.
fn supplementary(words: &[&str]) -> bool {
    words[0] == "setuser" || words[1] == "-s"
}

#[test]
fn nothing_runs_if_any_step_of_the_identity_change_fails() {
    if !strace_works(&tree()) {
        return;
    }
    for words in IDENTITIES {
        for (step, what) in [
            ("setgroups", "setgid"),
            ("setgid", "setgid"),
            ("second setgroups", "initgroups"),
            ("setuid", "setuid"),
        ] {
            let (call, when) = match step.strip_prefix("second ") {
                None => (step, ""),
                // Then strace cannot pretend the first call.
                Some(call) if supplementary(words) && is_root() => (call, ":when=2"),
                Some(_) => continue,
            };
            for (name, error) in [
                ("EPERM", "permission denied"),
                ("EAGAIN", "temporary failure"),
                ("ENOMEM", "out of memory"),
            ] {
                let tree = open_tree();
                let others = ["setgroups", "setgid", "setuid"].into_iter().filter(|c| *c != call);
                let pretended = others.map(|call| format!("inject={call}:retval=0"));
                let failing = format!("inject={call}:error={name}{when}");
                let injected: Vec<_> = pretended.chain([failing]).collect();
                let options = injected.iter().flat_map(|expression| ["-e", expression.as_str()]);
                let command = traced(tree.cmd(words[0]), options);
                let message = format!("{}: fatal: unable to {what}: {error}", words[0]);
                fails(command.args(&words[1..]).args(["touch", "ran"]), &message);
                assert!(!tree.exists("ran"), "{words:?} {step} {name}");
                let executed = steps(&tree).iter().filter(|call| *call == "execve").count();
                assert_eq!(executed, 1, "{words:?} {step} {name}");
            }
        }
    }
}

#[test]
fn nothing_runs_without_the_right_to_change_ids() {
    let tree = open_tree();
    for words in IDENTITIES {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["touch", "ran"]);
        let message = format!("{}: fatal: unable to setgid: permission denied", words[0]);
        fails(command.unprivileged(), &message);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn nothing_runs_with_the_right_to_change_groups_but_not_the_user() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    for words in IDENTITIES {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["touch", "ran"]);
        let wrapper = ["setpriv", "--inh-caps=-setuid", "--bounding-set=-setuid", "--"];
        let message = format!("{}: fatal: unable to setuid: permission denied", words[0]);
        fails(command.under(wrapper), &message);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_process_limit_of_the_new_user_holds() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    // The kernel allows one process more than the limit.
    let others = [(); 2].map(|()| {
        let other = tree.cmd("setuidgid").args(["54321:12345", "sleep", "1000"]).start();
        process::wait_asleep(other.pid(), "sleep");
        other
    });
    for words in IDENTITIES {
        let touch = tree.path("ran");
        let run = |limit: &str| {
            let command = tree.cmd(words[0]).args(&words[1..]).arg("touch").arg(&touch);
            command.under(["prlimit", limit, "--"])
        };
        let message = format!("{}: fatal: unable to run touch: temporary failure", words[0]);
        fails(run("--nproc=1"), &message);
        assert!(!tree.exists("ran"), "{words:?}");
        // Only the limit was in the way.
        run("--nproc=1000").run().is(0, "", "");
        tree.remove("ran");
    }
    drop(others);
}

#[test]
fn setuidgid_takes_numbers() {
    if without_root() {
        return;
    }
    let tree = tree();
    for options in [&[][..], &["-s"]] {
        let command = tree.cmd("setuidgid").args(options).arg("54321:12345").args(SHOW);
        let command = command.under(["setpriv", "--groups=1,2,77", "--"]);
        command.run().is(0, ids(54321, 12345, "12345"), "");
    }
}

// Supplementary groups

#[test]
fn setuidgid_s_takes_all_groups_of_the_account() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    tree.write("etc/group", GROUP);
    let run = |options: &[&str], name: &str| {
        // None of the caller's groups may be left.
        let command = start("setpriv").args(["--groups=1,2,77", "--", "setuidgid"]);
        command.args(options).arg(name).args(SHOW).run()
    };
    run(&[], "app").is(0, ids(51, 52, "52"), "");
    run(&["-s"], "app").is(0, ids(51, 52, "52 59 60 62 66"), "");
    run(&["-s"], "root").is(0, ids(0, 0, "0"), "");
    let many: Vec<_> = (1000..3000).map(|gid| format!("g{gid}:x:{gid}:app")).collect();
    let all: Vec<_> = iter::once(52).chain(1000..3000).map(|gid| gid.to_string()).collect();
    tree.write("etc/group", many.join("\n"));
    run(&["-s"], "app").is(0, ids(51, 52, &all.join(" ")), "");
    tree.remove("etc/group");
    run(&["-s"], "app").is(0, ids(51, 52, "52"), "");
    assert!(!tree.exists("asked"));
}

/// An administrator comments a line out to take the group away.
#[test]
fn a_group_that_is_commented_out_is_not_taken() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    tree.write("etc/group", "#a:x:60:app\n # b:x:61:app\n+d:x:63:app\nc:x:62:app\n");
    start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52 62"), "");
}

#[test]
fn nothing_runs_if_the_groups_cannot_be_read() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let ran = tree.path("ran");
    let passwd = PASSWD.replace("HOME", "/");
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    tree.mkdir("etc/group");
    for words in [&["setuidgid", "-s", "app", "touch"][..], &["setuser", "app", "touch"]] {
        let command = start(words[0]).args(&words[1..]).arg(&ran);
        fails(command, &format!("{}: fatal: unable to read /etc/group: is a directory", words[0]));
    }
    assert!(!tree.exists("ran"));
    // Only names are members of groups.
    start("setuidgid").args(["-s", "51:52"]).args(SHOW).run().is(0, ids(51, 52, "52"), "");
}

#[test]
fn nothing_runs_if_getent_fails_to_tell_the_groups() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let ran = tree.path("ran");
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for failure in ["exit 1", "exit 3", "kill -KILL $$", "echo app 52 70; kill -KILL $$"] {
        getent(&tree, &format!("case $2 in passwd) echo app:x:51:52::/:/;; *) {failure};; esac"));
        for words in [&["setuidgid", "-s", "app", "touch"][..], &["setuser", "app", "touch"]] {
            for ignored in ["--", "--ignore-signal=CHLD"] {
                let command = start("env").arg(ignored).args(words).arg(&ran);
                fails(
                    command,
                    &format!("{}: fatal: unable to initgroups: getent failed", words[0]),
                );
            }
        }
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_groups_of_an_account_from_getent_are_asked_of_getent() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    tree.write("etc/group", GROUP);
    let passwd = format!("passwd) echo app:x:51:52::{}:/bin/app;;", tree.path("").display());
    getent(&tree, &format!("case $2 in {passwd} *) echo 'app      52 71 70 x 4294967296';; esac"));
    start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52 70 71"), "");
    let path = "PATH=/usr/bin:/bin";
    let asked = format!("[--][passwd][app]\n{path}\n[--][initgroups][app]\n{path}\n");
    assert_eq!(tree.text("asked"), asked);
    start("setuser").arg("app").args(SHOW).run().is(0, ids(51, 52, "52 70 71"), "");
    // No groups, or those of other accounts.
    for answer in ["exit 2", ":", "echo app2 52 72; echo; echo ap 73"] {
        getent(&tree, &format!("case $2 in {passwd} *) {answer};; esac"));
        start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52"), "");
    }
}

// Variables and home directory

#[test]
fn setuidgid_e_sets_the_variables_of_a_login() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    let run = |options: &[&str], name: &str| {
        let command = start("setuidgid").args(options).arg(name).args(ENVIRON);
        variables(command.env("HOME", "/root").env("USER", "root").env("UID", "0"))
    };
    let pwd = format!("PWD={}", tree.path("").display());
    assert_eq!(run(&[], "app"), ["HOME=/root", &pwd, "UID=0", "USER=root"]);
    let wanted = ["HOME=HOME", &pwd, "SHELL=/bin/app", "UID=0", "USER=app"];
    assert_eq!(run(&["-e"], "app"), wanted);
    assert_eq!(run(&["-es"], "app"), wanted);
    let wanted = ["HOME=/", &pwd, "SHELL=/bin/sh", "UID=0", "USER=7:8"];
    assert_eq!(run(&["-e"], "7:8"), wanted);
}

#[test]
fn setuser_runs_the_program_as_the_account_would_log_in() {
    if without_root() {
        return;
    }
    let tree = tree();
    let home = tree.mkdir("home");
    let home = home.to_str().expect("a text");
    let Some(start) = with_own_accounts(&tree, PASSWD.replace("HOME", home)) else { return };
    tree.write("etc/group", GROUP);
    let start = || start("setpriv").args(["--groups=1,2,77", "--", "setuser", "app"]);
    start().args(SHOW).run().is(0, ids(51, 52, "52 59 60 62 66"), "");
    start().args(["readlink", "/proc/self/cwd"]).run().is(0, format!("{home}\n"), "");
    let command = start().args(ENVIRON).env("HOME", "/root").env("UID", "0").env("KEPT", "1");
    let pwd = format!("PWD={}", tree.path("").display());
    let home = format!("HOME={home}");
    let wanted = ["GID=52", &home, "KEPT=1", &pwd, "SHELL=/bin/app", "UID=51", "USER=app"];
    assert_eq!(variables(command), wanted);
}

#[test]
fn setuser_refuses_a_home_where_the_account_cannot_be() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let closed = tree.mkdir("closed");
    // root could change to this directory.
    tree.chmod("closed", 0o700);
    let file = tree.write("file", "");
    let ran = tree.path("ran");
    for (home, error) in [
        (tree.path("none"), "file does not exist"),
        (closed, "access denied"),
        (file, "not a directory"),
        ("".into(), "file does not exist"),
    ] {
        let home = home.to_str().expect("a text");
        let passwd = PASSWD.replace("HOME", home);
        let Some(start) = with_own_accounts(&tree, passwd) else { return };
        let command = start("setuser").args(["app", "touch"]).arg(&ran);
        fails(command, &format!("setuser: fatal: unable to chdir to {home}: {error}"));
    }
    assert!(!tree.exists("ran"));
}
