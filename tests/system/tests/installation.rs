//! The one executable behind all names, and `install`.

use harness::{Cmd, Output, Suite, Tree, checkout, process};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use system::{assert_exit_0, tree};

// One executable

/// The file behind the names.
fn executable(tree: &Tree) -> PathBuf {
    let program = tree.suite().program("supervise");
    program.canonicalize().expect("a file which exists has a full name")
}

#[test]
fn the_name_of_the_link_decides_and_not_argument_0() {
    let tree = tree();
    for name in ["svok", "-svok", "", "supervise", "/usr/bin/svc", "some thing"] {
        tree.cmd("svok").arg0(name).run().is(100, "", "svok: usage: svok dir\n");
    }
    // As always, getopt's messages begin with argument 0.
    let output = tree.cmd("svstat").arg0("/a/b/status").arg("-z").run();
    assert!(output.err().starts_with("status: illegal option -- z\n"), "{output}");
    // A link with an unknown name does not decide, whatever its target is called. Then argument 0
    // decides.
    tree.symlink(executable(&tree), "bin/other");
    let other = tree.path("bin/other");
    let other = other.to_str().expect("a name in ASCII");
    tree.cmd(other).arg0("svok").run().is(100, "", "svok: usage: svok dir\n");
    tree.symlink("other", "bin/svok");
    let svok = tree.path("bin/svok");
    let svok = svok.to_str().expect("a name in ASCII");
    tree.cmd(svok).arg0("other").run().is(100, "", "svok: usage: svok dir\n");
}

#[test]
fn the_executable_itself_lists_the_programs() {
    let tree = tree();
    let executable = executable(&tree);
    let output = tree.cmd(executable.to_str().expect("a name in ASCII")).arg0("daemontools").run();
    let listed = output.out();
    output.is(0, &listed, "");
    let names: BTreeSet<&str> = listed.lines().collect();
    assert_eq!(names.len(), listed.lines().count(), "{listed}");
    for name in
        ["readproctitle", "supervise", "svc", "svok", "svscan", "svscanboot", "svstat", "svup"]
    {
        assert!(names.contains(name), "{listed}");
    }
}

// --help and --version

/// The names of all programs.
fn programs(tree: &Tree) -> Vec<String> {
    let executable = executable(tree);
    let output = tree.cmd(executable.to_str().expect("a name in ASCII")).arg0("daemontools").run();
    output.out().lines().map(str::to_owned).collect()
}

#[test]
fn every_program_answers_help_and_version() {
    let tree = tree();
    // What would run, and show that it did.
    tree.script("a/run", "#!/bin/sh\necho >../started\nexec sleep 100\n");
    tree.symlink("a", "log");
    for program in programs(&tree) {
        let output = tree.cmd(&program).arg("--help").run();
        let text = output.out();
        output.is(0, &text, "");
        let [first, empty, summary, ..] =
            text.lines().filter(|line| !line.starts_with("       ")).collect::<Vec<_>>()[..]
        else {
            panic!("{text}");
        };
        assert!(first.starts_with(&format!("Usage: {program}")), "{text}");
        assert_eq!(empty, "");
        assert!(summary.starts_with(&format!("{program} - ")), "{text}");
        assert!(text.ends_with(&format!("\n\nThe manual is {program}(8).\n")), "{text}");
        let version = format!("{program} (daemontools-rs) {}\n", env!("CARGO_PKG_VERSION"));
        tree.cmd(&program).arg("--version").run().is(0, version, "");
    }
    assert!(!tree.exists("started"));
    assert!(!tree.exists("a/supervise"));
}

#[test]
fn an_answer_that_cannot_be_written_fails() {
    let tree = tree();
    for word in ["--help", "--version"] {
        let line = format!("exec svscan {word} >/dev/full");
        tree.sh(&line).run().is(111, "", "");
    }
}

#[test]
fn help_and_version_mean_nothing_beside_other_arguments() {
    let tree = tree();
    tree.cmd("svok").args(["--help", "x"]).run().is(
        111,
        "",
        "svok: fatal: unable to chdir to --help: file does not exist\n",
    );
    let words = ["--version", "lock", "echo", "hi", "--help"];
    tree.cmd("setlock").args(words).run().is(0, "hi --help\n", "");
    // svscan passes the names of its directory to supervise.
    tree.idle_service("--version");
    let supervise = tree.cmd("supervise").arg("--version").start();
    tree.wait_up("--version");
    tree.cmd("svc").args(["-dx", "./--version"]).run().is(0, "", "");
    assert_exit_0(supervise);
}

#[test]
fn the_suite_is_one_executable() {
    let bin = Suite::get().bin();
    let file = |name: &str| fs::metadata(bin.join(name)).map(|meta| (meta.dev(), meta.ino())).ok();
    let first = file("supervise");
    for name in ["svc", "svok", "svscan", "svstat", "svup", "readproctitle"] {
        assert_eq!(file(name), first, "{name} in {}", Path::new(bin).display());
    }
}

// install

/// Runs `install -n` for a directory below the tree. It installs the executable under test.
#[track_caller]
fn install(tree: &Tree, dir: &str) -> String {
    let release = tree.path("target/release/daemontools");
    if !release.exists() {
        tree.symlink(executable(tree), &release);
    }
    let script = checkout().join("install");
    let output = tree
        .cmd("sh")
        .arg(script)
        .args(["-n", dir])
        .env("CARGO_TARGET_DIR", tree.path("target"))
        .run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    output.out()
}

#[test]
fn install_makes_a_link_for_every_program() {
    let tree = tree();
    let said = install(&tree, "new directory/bin");
    let dir = tree.path("new directory/bin");
    let listed = tree.cmd(dir.join("daemontools").to_str().expect("ASCII")).run().out();
    for name in listed.lines() {
        let link = (name != "svscanboot").then(|| "daemontools".into());
        assert_eq!(fs::read_link(dir.join(name)).ok(), link, "{name}");
        assert!(said.contains(name), "{said}");
    }
    for name in ["daemontools", "svscanboot"] {
        assert_eq!(tree.mode(format!("new directory/bin/{name}")), 0o755);
    }
    // The directory has no other files.
    let count = fs::read_dir(&dir).expect("read the directory").count();
    assert_eq!(count, listed.lines().count() + 1);
}

#[test]
fn install_replaces_an_older_version_while_it_runs() {
    let tree = tree();
    install(&tree, "bin");
    let file = tree.path("bin/daemontools");
    let first = fs::metadata(&file).expect("it is installed").ino();
    tree.idle_service("a");
    let supervise = tree.cmd(tree.path("bin/supervise").to_str().expect("ASCII")).arg("a").start();
    let pid = tree.wait_up("a");
    // While a caller runs a program all the time, the program is never missing.
    let calls = "until [ -e stop ]; do bin/svok a || echo failed; echo >>calls; done";
    let caller = tree.sh(calls).start();
    tree.wait_lines("calls", 1);
    install(&tree, "bin");
    let lines = tree.text("calls").lines().count();
    tree.wait_lines("calls", lines + 2);
    tree.write("stop", "");
    caller.wait().is(0, "", "");
    let second = fs::metadata(&file).expect("it is installed").ino();
    assert_ne!(first, second);
    // The running supervise runs on, and obeys the new programs.
    assert_eq!(tree.wait_up("a"), pid);
    let svc = tree.path("bin/svc");
    tree.cmd(svc.to_str().expect("ASCII")).args(["-dx", "a"]).run().is(0, "", "");
    assert_exit_0(supervise);
    assert!(!process::is_alive(pid));
}

/// The executable itself, as `daemontools`.
fn daemontools(tree: &Tree) -> Cmd<'_> {
    let executable = executable(tree);
    tree.cmd(executable.to_str().expect("a name in ASCII")).arg0("daemontools")
}

#[test]
fn the_executable_answers_and_refuses_other_words() {
    let tree = tree();
    let version = format!("daemontools (daemontools-rs) {}\n", env!("CARGO_PKG_VERSION"));
    daemontools(&tree).arg("--version").run().is(0, version, "");
    let output = daemontools(&tree).arg("--help").run();
    assert!(output.out().starts_with("Usage: daemontools "), "{output}");
    let usage = "daemontools: usage: daemontools [install [-s] dir] | [program [arg]...]\n";
    let install = [&["install"][..], &["install", "a", "b"], &["install", "-s", "a", "b"]];
    for words in install.into_iter().chain([&["remove"][..], &["--help", "a"], &["daemontools"]]) {
        daemontools(&tree).args(words).run().is(100, "", usage);
    }
    assert!(!tree.exists("a"));
}

#[test]
fn the_executable_installs_itself_without_a_shell() {
    let tree = tree();
    for dir in ["some/new/bin", "some/new/bin", "some/new/bin/"] {
        let output = daemontools(&tree).args(["install", dir]).run();
        let said = output.out();
        output.is(0, &said, "");
        assert!(
            said.starts_with(&format!("installed in {dir}: daemontools and envdir ")),
            "{said}"
        );
    }
    let bin = tree.path("some/new/bin");
    let new = fs::read(bin.join("daemontools")).expect("it is installed");
    assert!(new == fs::read(executable(&tree)).expect("the suite is there"));
    assert_eq!(tree.mode("some/new/bin/daemontools"), 0o755);
    let programs = programs(&tree);
    for name in &programs {
        assert_eq!(fs::read_link(bin.join(name)).ok(), Some("daemontools".into()), "{name}");
    }
    let count = fs::read_dir(&bin).expect("read the directory").count();
    assert_eq!(count, programs.len() + 1);
}

#[test]
fn the_executable_runs_a_program_by_its_name() {
    let tree = tree();
    daemontools(&tree).args(["svok"]).run().is(100, "", "svok: usage: svok dir\n");
    daemontools(&tree).args(["envdir", "none", "true"]).run().is(
        111,
        "",
        "envdir: fatal: unable to switch to directory none: file does not exist\n",
    );
    let version = format!("svc (daemontools-rs) {}\n", env!("CARGO_PKG_VERSION"));
    daemontools(&tree).args(["svc", "--version"]).run().is(0, version, "");
    // pgrep and killall find the process under the name of the program.
    tree.idle_service("a");
    let supervise = daemontools(&tree).args(["supervise", "a"]).start();
    tree.wait_up("a");
    assert_eq!(process::arguments(supervise.pid()), ["supervise", "a"]);
    assert_eq!(process::status_line(supervise.pid(), "Name").as_deref(), Some("supervise"));
    tree.cmd("svc").args(["-dx", "a"]).run().is(0, "", "");
    assert_exit_0(supervise);
}

#[test]
fn svscanboot_is_a_link_unless_a_script_is_asked_for() {
    let tree = tree();
    for (args, is_link) in [(&["install"][..], true), (&["install", "-s"], false)] {
        let output = daemontools(&tree).args(args).arg("bin2").run();
        assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
        assert_eq!(fs::read_link(tree.path("bin2/svscanboot")).is_ok(), is_link);
        assert_eq!(tree.mode("bin2/svscanboot"), if is_link { 0o777 } else { 0o755 });
        let version = format!("svscanboot (daemontools-rs) {}\n", env!("CARGO_PKG_VERSION"));
        tree.cmd("bin2/svscanboot").arg("--version").run().is(0, version, "");
    }
}

#[test]
fn an_installation_that_fails_says_at_which_name() {
    let tree = tree();
    tree.write("file", "");
    let reason = "daemontools: fatal: unable to make directory file/bin: not a directory\n";
    daemontools(&tree).args(["install", "file/bin"]).run().is(111, "", reason);
    tree.mkdir("bin2/svc");
    let reason = "daemontools: fatal: unable to install bin2/svc: is a directory\n";
    daemontools(&tree).args(["install", "bin2"]).run().is(111, "", reason);
    let left = fs::read_dir(tree.path("bin2")).expect("read the directory");
    let left = left.map(|entry| entry.expect("an entry").file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

/// Runs `install` with `PREFIX=/opt/p` and `DESTDIR` in the tree. svctl is a script that says what it was
/// asked for.
#[track_caller]
fn install_all(tree: &Tree, args: &[&str]) -> Output {
    let release = tree.path("target/release/daemontools");
    if !release.exists() {
        tree.symlink(executable(tree), &release);
        tree.script("target/release/svctl", "#!/bin/sh\necho \"$@\"\n");
        tree.script("target/release/svweb", "#!/bin/sh\n");
    }
    tree.cmd("sh")
        .arg(checkout().join("install"))
        .args(args)
        .env("CARGO_TARGET_DIR", tree.path("target"))
        .env("PREFIX", "/opt/p")
        .env("DESTDIR", tree.path("destination"))
        .run()
}

/// The paths of all files, links and directories below `destination`.
fn installed(tree: &Tree) -> BTreeSet<String> {
    let listed = tree.sh("cd destination && find . -mindepth 1 | cut -c 2-").run().out();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_whole_installation_is_removed_without_a_trace() {
    let tree = tree();
    tree.mkdir("destination/opt");
    tree.write("destination/opt/p/share/man/man8/other.8", "");
    let before = installed(&tree);
    let output = install_all(&tree, &["-n"]);
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    let after = installed(&tree);
    for name in programs(&tree) {
        assert!(after.contains(&format!("/opt/p/bin/{name}")), "{name}: {after:?}");
        let page = format!("/opt/p/share/man/man8/{name}.8");
        assert!(after.contains(&page), "{page}: {after:?}");
    }
    for path in
        ["bin/svctl", "bin/svweb", "share/man/man1/svctl.1", "share/man/man5/service-directory.5"]
    {
        assert!(after.contains(&format!("/opt/p/{path}")), "{path}: {after:?}");
    }
    for (path, shell) in [
        ("bash-completion/completions/svctl", "bash"),
        ("zsh/site-functions/_svctl", "zsh"),
        ("fish/vendor_completions.d/svctl.fish", "fish"),
    ] {
        let text = tree.text(format!("destination/opt/p/share/{path}"));
        assert_eq!(text, format!("completions {shell}\n"));
    }
    assert_eq!(tree.mode("destination/opt/p/bin/svctl"), 0o755);
    // A second time the same is installed. What only the first had is removed.
    let list = "destination/opt/p/share/daemontools-rs/installed";
    let entries = tree.text(list);
    tree.write("destination/opt/p/bin/dropped", "");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    tree.write(list, format!("file {empty} /opt/p/bin/dropped\n{entries}"));
    assert_eq!(install_all(&tree, &["-n"]).code, Some(0));
    assert_eq!(tree.text(list), entries);
    assert_eq!(installed(&tree), after);
    let output = install_all(&tree, &["--uninstall"]);
    let said = format!("removed from {}/opt/p\n", tree.path("destination").display());
    output.is(0, said, "");
    assert_eq!(installed(&tree), before);
    let output = install_all(&tree, &["--uninstall"]);
    let reason = format!(
        "install: fatal: unable to read {}: file does not exist\n",
        tree.path(list).display()
    );
    output.is(111, "", reason);
}

#[test]
fn an_installation_makes_a_missing_destdir() {
    let tree = tree();
    let output = install_all(&tree, &["-n"]);
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    assert_eq!(tree.mode("destination/opt/p/bin/svctl"), 0o755);
}

#[test]
fn what_has_changed_since_is_not_removed() {
    let tree = tree();
    tree.mkdir("destination");
    assert_eq!(install_all(&tree, &["-n"]).code, Some(0));
    tree.write("destination/opt/p/share/man/man8/svc.8", "changed");
    let svok = tree.path("destination/opt/p/bin/svok");
    fs::remove_file(&svok).expect("a link");
    tree.symlink("elsewhere", &svok);
    tree.write("destination/opt/p/bin/mine", "");
    fs::remove_file(tree.path("destination/opt/p/bin/svup")).expect("a link");
    let output = install_all(&tree, &["--uninstall"]);
    assert_eq!(output.code, Some(0), "{output}");
    let at = tree.path("destination/opt/p");
    let warning =
        |path: &str| format!("install: warning: {}/{path} has changed and is kept", at.display());
    let said = output.err();
    let said: BTreeSet<&str> = said.lines().collect();
    assert_eq!(said, BTreeSet::from([&*warning("bin/svok"), &*warning("share/man/man8/svc.8")]));
    let kept = [
        "",
        "/bin",
        "/bin/mine",
        "/bin/svok",
        "/share",
        "/share/man",
        "/share/man/man8",
        "/share/man/man8/svc.8",
    ];
    let kept = kept.map(|path| format!("/opt/p{path}")).into_iter().chain(["/opt".to_owned()]);
    assert_eq!(installed(&tree), kept.collect());
}

#[test]
fn install_wants_one_directory() {
    let tree = tree();
    let script = checkout().join("install");
    for args in [&[][..], &["-n"], &["-n", "a", "b"], &["-x", "a"], &["--uninstall", "a"]] {
        let output = tree.cmd("sh").arg(&script).args(args).run();
        assert_eq!(output.code, Some(100), "{output}");
        assert!(output.err().ends_with("install: usage: install [-nq] dir\n"), "{output}");
    }
}
