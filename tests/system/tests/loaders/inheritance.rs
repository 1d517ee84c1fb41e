//! What a loader's program inherits unchanged. The compliance tests state the same for the loaders
//! of the original.

use crate::{GROUP, PASSWD, getent, with_own_accounts};
use harness::{Cmd, Tree, process, without_root};
use std::fs;
use system::tree;

/// Shell commands that set conditions and run their arguments, and how the condition shows in
/// [`inherited`].
const CONDITIONS: [(&str, &str); 7] = [
    ("exec", "\n0 -> "),
    ("exec <&- >&- 2>&-; exec", "\nSigIgn:"),
    ("exec 3<in 4>>out 5<>err 7</ 9<&3; umask 0137; cd sub; exec", "\nUmask:\t0137\n"),
    (
        "trap '' HUP INT QUIT USR1 PIPE ALRM TERM TSTP; exec env --ignore-signal=CHLD",
        "97207\nSigCgt:",
    ),
    (
        "exec env --block-signal=PIPE,USR2,TERM,CHLD sh -c 'kill -s USR2 $$; exec \"$@\"' sh",
        "\nShdPnd:\t0000000000000800\n",
    ),
    (
        "exec env --block-signal=CHLD sh -c 'kill -s CHLD $$; exec \"$@\"' sh",
        "\nShdPnd:\t0000000000010000\n",
    ),
    (
        "exec prlimit --nofile=70:80 --fsize=1000000:2000000 --nproc=1000:2000 \
         --stack=1000000:2000000 --data=1000000000:2000000000 --as=1000000000:2000000000 \
         --rss=1000000:2000000 --memlock=10000:20000 --sigpending=10:20 --core=0:10",
        "\nMax open files            70                   80 ",
    ),
];

/// What a program inherits, without ids and environment: descriptors, directory, signals, umask and
/// limits.
#[track_caller]
fn inherited(pid: u32) -> String {
    let file =
        |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the program runs");
    let mut seen = format!("{}\n", process::directory(pid).expect("a directory").display());
    for (number, target) in process::descriptors(pid) {
        seen += &format!("{number} -> {}\n", target.display());
        let info = file(&format!("fdinfo/{number}"));
        // The mount id differs between namespaces.
        let kept =
            info.lines().filter(|line| line.starts_with("pos:") || line.starts_with("flags:"));
        seen.extend(kept.map(|line| format!("  {line}\n")));
    }
    let status = file("status");
    let kept = ["Sig", "ShdPnd", "Umask", "NoNewPrivs", "Seccomp", "CapBnd", "CapInh"];
    let lines = status.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    // The kernel counts queued signals for each user.
    seen.extend(lines.filter(|line| !line.starts_with("SigQ")).map(|line| format!("{line}\n")));
    seen + &file("limits")
}

/// Compares loaders with no loader, under each condition. `start` starts a program.
#[track_caller]
fn inherit_alike<'t>(tree: &'t Tree, start: impl Fn(&str) -> Cmd<'t>, loaders: &[&[&str]]) {
    for name in ["in", "out", "err"] {
        tree.write(name, "");
    }
    tree.mkdir("sub");
    for (condition, visible) in CONDITIONS {
        let script = format!("exec <in >>out 2>>err; {condition} \"$@\"");
        let run = |loader: &[&str]| {
            let command = start("sh").args(["-c", &script, "sh"]).args(loader);
            let started = command.args(["sleep", "1000"]).start();
            process::wait_asleep(started.pid(), "sleep");
            assert_eq!(process::descendants(started.pid()), [], "nothing is left behind");
            inherited(started.pid())
        };
        let bare = run(&[]);
        assert!(bare.contains(visible), "no {visible:?} in {bare}");
        for loader in loaders {
            let mut seen = run(loader);
            if loader[0] == "setuser" {
                // Changing the directory is setuser's purpose.
                let (directory, rest) = seen.split_once('\n').expect("a line");
                assert_eq!(directory, "/");
                seen = format!("{}\n{rest}", bare.lines().next().expect("a line"));
            }
            assert!(seen == bare, "{loader:?}, {condition}: {seen}\nbut without it {bare}");
        }
    }
    assert_eq!((tree.text("out"), tree.text("err")), (String::new(), String::new()));
}

#[test]
fn a_loader_that_sets_variables_changes_nothing_else() {
    let tree = tree();
    let file = tree.write("file", "A=1\nB=2\n");
    let file = file.to_str().expect("a text");
    tree.write("env/A", "1");
    let env = tree.path("env");
    let env = env.to_str().expect("a text");
    inherit_alike(
        &tree,
        |program| tree.cmd(program),
        &[
            &["envini", file],
            &["envini", "-p", "X_", file],
            &["envini", "none"],
            &["envfile", file],
            &["envdir", "-p", "X_", env],
            &["envuidgid", "7:8"],
        ],
    );
}

#[test]
fn a_loader_that_gives_up_rights_changes_nothing_else() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD.replace("HOME", "/")) else { return };
    tree.write("etc/group", GROUP);
    let passwd = "passwd) echo remote:x:61:62::/:/bin/sh;;";
    getent(&tree, &format!("case $2 in {passwd} *) echo remote 62 71;; esac"));
    inherit_alike(
        &tree,
        start,
        &[
            &["setuidgid", "54321:12345"],
            &["setuidgid", "-s", "54321:12345"],
            &["setuidgid", "-e", "54321:12345"],
            &["setuidgid", "-se", "app"],
            &["setuidgid", "-se", "remote"],
            &["setuser", "54321:12345"],
            &["setuser", "app"],
            &["setuser", "remote"],
            &["envuidgid", "remote"],
        ],
    );
    assert!(tree.exists("asked"));
}
