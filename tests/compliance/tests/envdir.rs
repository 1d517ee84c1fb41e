//! envdir: variables from a directory.

use harness::{Cmd, DEADLINE, ENVIRON, Tree, variables, wait_until};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// `envdir env` with a program that prints its environment. `PATH` and the harness' own variable are
/// part of it; see [`variables`].
fn envdir(tree: &Tree) -> Cmd<'_> {
    tree.mkdir("env");
    tree.cmd("envdir").arg("env").args(ENVIRON)
}

/// The value of `A` after a file with this content.
#[track_caller]
fn value(content: impl AsRef<[u8]>) -> String {
    let tree = Tree::new();
    tree.write("env/A", content);
    let found = variables(envdir(&tree).env("A", "inherited"));
    let [variable] = found.as_slice() else { panic!("not one variable: {found:?}") };
    variable.strip_prefix("A=").expect("it is A").to_owned()
}

/// Asserts that envdir fails with this message. File modes apply to it, also for root.
#[track_caller]
fn fails(tree: &Tree, dir: &str, message: &str) {
    let line = format!("envdir: fatal: {message}\n");
    let command = tree.cmd("envdir").args([dir, "touch", "ran"]).unprivileged();
    command.run().is(111, "", line);
    assert!(!tree.exists("ran"));
}

// Usage

const USAGE: &str = "envdir: usage: envdir dir child\n";

#[test]
fn a_usage_error_is_111_unlike_everywhere_else() {
    let tree = Tree::new();
    tree.mkdir("env");
    tree.cmd("envdir").run().is(111, "", USAGE);
    tree.cmd("envdir").arg("env").run().is(111, "", USAGE);
    tree.cmd("envdir").arg("none").run().is(111, "", USAGE);
    tree.cmd("envdir").arg0("/some/where/else").run().is(111, "", USAGE);
}

#[test]
fn the_programs_own_options_are_left_alone() {
    let tree = Tree::new();
    tree.mkdir("env");
    tree.cmd("envdir").args(["env", "echo", "-p", "--", "x"]).run().is(0, "-p -- x\n", "");
}

// Values

#[test]
fn the_first_line_is_the_value() {
    assert_eq!(value("one"), "one");
    assert_eq!(value("one\n"), "one");
    assert_eq!(value("one\ntwo\nthree"), "one");
    assert_eq!(value("two words"), "two words");
    assert_eq!(value("x=y=z"), "x=y=z");
    assert_eq!(value("'quoted' \"$HOME\" \\n"), "'quoted' \"$HOME\" \\n");
}

#[test]
fn blanks_and_tabs_at_the_end_are_removed() {
    assert_eq!(value("one \t \t\n"), "one");
    assert_eq!(value("one \t"), "one");
    assert_eq!(value("one\ttwo \n three"), "one\ttwo");
    assert_eq!(value(" \t one"), " \t one");
}

#[test]
fn only_blanks_and_tabs_are_removed() {
    assert_eq!(value("one\r\n"), "one\r");
    assert_eq!(value("one \r\n"), "one \r");
    assert_eq!(value("one\x0b\x0c\n"), "one\x0b\x0c");
}

#[test]
fn a_nul_becomes_a_newline() {
    assert_eq!(value(b"one\0two\0\0three\nfour"), "one\ntwo\n\nthree");
    assert_eq!(value(b"\0"), "\n");
    // The NUL becomes a newline only after blanks were removed.
    assert_eq!(value(b"one\0 \t\n"), "one\n");
    assert_eq!(value(b"one \0\n"), "one \n");
}

#[test]
fn any_other_byte_is_kept() {
    let tree = Tree::new();
    let bytes: Vec<u8> = (1..=255).filter(|&byte| byte != b'\n').collect();
    tree.write("env/A", &bytes);
    tree.cmd("envdir").args(["env", "printenv", "A"]).run().is(0, [&bytes[..], b"\n"].concat(), "");
}

#[test]
fn an_empty_line_sets_an_empty_value() {
    assert_eq!(value("\n"), "");
    assert_eq!(value("\none\n"), "");
    assert_eq!(value(" \t"), "");
    assert_eq!(value(" \t \n"), "");
}

#[test]
fn an_empty_file_removes_the_variable() {
    let tree = Tree::new();
    tree.write("env/A", "");
    tree.write("env/B", "");
    tree.write("env/NEVER", "");
    let found = variables(envdir(&tree).env("A", "1").env("B", "").env("AB", "3").env("C", "4"));
    assert_eq!(found, ["AB=3", "C=4"]);
}

#[test]
fn an_empty_directory_changes_nothing() {
    let tree = Tree::new();
    assert_eq!(variables(envdir(&tree).env("A", "1").env("B", "")), ["A=1", "B="]);
}

#[test]
fn a_variable_is_replaced_or_added_and_others_are_kept() {
    let tree = Tree::new();
    tree.write("env/A", "new");
    tree.write("env/D", "new");
    let found = variables(envdir(&tree).env("A", "1").env("AA", "2").env("B", "3").env("a", "4"));
    assert_eq!(found, ["A=new", "AA=2", "B=3", "D=new", "a=4"]);
}

#[test]
fn many_variables_are_passed() {
    let tree = Tree::new();
    let mut expected = vec!["KEPT=yes".to_owned()];
    for number in 0..1000 {
        tree.write(format!("env/V{number}"), format!("value {number} \n"));
        expected.push(format!("V{number}=value {number}"));
    }
    expected.sort();
    let mut command = envdir(&tree).env("KEPT", "yes");
    for number in (0..1000).step_by(3) {
        command = command.env(format!("V{number}"), "old");
    }
    assert_eq!(variables(command), expected);
}

#[test]
fn a_long_value_is_passed_in_full() {
    for length in [255, 256, 257, 4095, 4096, 4097, 65536, 100_000] {
        let long = "x".repeat(length);
        assert_eq!(value(&long), long);
        assert_eq!(value(format!("{long} \t\n{long}\n")), long);
        let blanks = format!("{}y", " ".repeat(length));
        assert_eq!(value(&blanks), blanks);
        assert_eq!(value(format!("z{blanks}\n")), format!("z{blanks}"));
        assert_eq!(value(format!("z{}", " ".repeat(length))), "z");
    }
}

#[test]
fn only_the_first_line_of_a_huge_file_counts() {
    let mut content = b"first \n".to_vec();
    content.resize(10_000_000, b'x');
    assert_eq!(value(content), "first");
    assert_eq!(value(vec![b' '; 10_000_000]), "");
}

#[test]
fn a_value_no_program_can_take_is_reported() {
    let tree = Tree::new();
    tree.write("env/A", vec![b'x'; 10_000_000]);
    fails(&tree, "env", "unable to run touch: argument list too long");
}

#[test]
fn more_variables_than_a_program_can_take_are_reported() {
    let tree = Tree::new();
    let dir = tree.mkdir("env");
    // The kernel accepts at most 6 MB.
    let value = "x".repeat(1000);
    for number in 0..7000 {
        fs::write(dir.join(format!("V{number}")), &value).expect("write a file");
    }
    fails(&tree, "env", "unable to run touch: argument list too long");
}

// Names

#[test]
fn names_which_begin_with_a_dot_are_skipped() {
    let tree = Tree::new();
    tree.write("env/.A", "new");
    tree.write("env/.B", "");
    tree.write("env/...", "new");
    tree.mkdir("env/.git");
    tree.symlink("nowhere", "env/.dangling");
    tree.write("env/.closed", "new");
    tree.chmod("env/.closed", 0);
    tree.write("env/A.B", "new");
    let found = variables(envdir(&tree).env(".A", "1").env(".B", "2").unprivileged());
    assert_eq!(found, [".A=1", ".B=2", "A.B=new"]);
}

#[test]
fn a_name_may_have_any_other_byte() {
    let tree = Tree::new();
    for name in ["a b", "new\nline", "-p", "~", "1", "x-y", "\u{f6}"] {
        tree.write(Path::new("env").join(name), "v");
    }
    tree.write("env/gone with", "");
    let found = variables(envdir(&tree).env("gone with", "1").env("a b", "2"));
    assert_eq!(found, ["-p=v", "1=v", "a b=v", "new\nline=v", "x-y=v", "~=v", "\u{f6}=v"]);
    let tree = Tree::new();
    tree.write(Path::new("env").join(OsStr::from_bytes(b"\xff")), "v");
    let output = envdir(&tree).run();
    assert!(output.stdout.windows(4).any(|bytes| bytes == b"\xff=v\0"), "{output}");
}

#[test]
fn a_long_name_is_taken_in_full() {
    let tree = Tree::new();
    let name = "N".repeat(255);
    tree.write(Path::new("env").join(&name), "v");
    assert_eq!(variables(envdir(&tree).env(&name, "old")), [format!("{name}=v")]);
}

#[test]
fn an_equals_sign_in_a_name_ends_the_variables_name() {
    let tree = Tree::new();
    tree.write("env/P=Q", "val");
    let found = variables(envdir(&tree).env("P", "old").env("Q", "1"));
    assert_eq!(found, ["P=Q=val", "Q=1"]);
}

#[test]
fn an_empty_file_with_an_equals_sign_in_its_name_sets_the_rest_of_it() {
    let tree = Tree::new();
    tree.write("env/R=S", "");
    tree.write("env/T=", "");
    let found = variables(envdir(&tree).env("R", "old").env("S", "1").env("T", "2"));
    assert_eq!(found, ["R=S", "S=1", "T="]);
}

#[test]
fn a_variable_which_is_inherited_twice_is_replaced_at_least_once() {
    // perl calls the kernel directly, because no tool passes a variable twice.
    const TWICE: &str = "my ($call, $count) = splice @ARGV, 0, 2;
        my @variables = splice @ARGV, 0, $count;
        my $arguments = pack('p*', @ARGV) . \"\\0\" x 8;
        my $environment = pack('p*', @variables) . \"\\0\" x 8;
        syscall($call + 0, $ARGV[0], $arguments, $environment);
        die $!";
    let call = if cfg!(target_arch = "x86_64") { "59" } else { "221" };
    let tree = Tree::new();
    tree.write("env/A", "new");
    tree.write("env/B", "");
    let perl = ["perl", "-e", TWICE, call, "8"];
    let inherited = ["A=1", "B=1", "C=1", "PATH=/usr/bin:/bin", "A=2", "B=2", "C=1", "B"];
    let command = envdir(&tree).under(perl.into_iter().chain(inherited));
    let found = variables(command);
    // Programs differ in which of the two they use.
    if tree.suite().differs("ours replaces all entries of a variable") {
        assert_eq!(found, ["A=new", "B", "C=1", "C=1"]);
    } else {
        assert_eq!(found, ["A=2", "A=new", "B", "B=2", "C=1", "C=1"]);
    }
}

// PATH

#[test]
fn the_program_is_searched_in_the_inherited_path() {
    let tree = Tree::new();
    tree.script("one/prog", "#!/bin/sh\necho one $PATH\n");
    tree.script("two/prog", "#!/bin/sh\necho two $PATH\n");
    tree.write("env/PATH", "two");
    let command = tree.cmd("envdir").args(["env", "prog"]);
    command.env("PATH", "one").run().is(0, "one two\n", "");
    let line = "envdir: fatal: unable to run prog: file does not exist\n";
    tree.cmd("envdir").args(["env", "prog"]).env("PATH", "none").run().is(111, "", line);
}

#[test]
fn the_program_is_found_even_if_path_is_removed() {
    let tree = Tree::new();
    tree.script("bin/prog", "#!/bin/sh\nexec cat /proc/self/environ\n");
    tree.script("bin/show", "#!/bin/cat\n");
    tree.write("env/PATH", "");
    let command = tree.cmd("envdir").args(["env", "show"]);
    command.env("PATH", "bin").run().is(0, "#!/bin/cat\n", "");
    let command = tree.cmd("envdir").arg("env").args(ENVIRON).run();
    assert!(!command.out().contains("PATH="), "{command}");
}

#[test]
fn a_path_of_the_directory_is_not_used_even_if_none_is_inherited() {
    let tree = Tree::new();
    tree.script("two/prog", "#!/bin/sh\necho two\n");
    tree.write("env/PATH", "two");
    let line = "envdir: fatal: unable to run prog: file does not exist\n";
    tree.cmd("envdir").args(["env", "prog"]).env_remove("PATH").run().is(111, "", line);
    tree.cmd("envdir").args(["env", "echo", "found"]).env_remove("PATH").run().is(0, "found\n", "");
}

#[test]
fn the_program_is_searched_from_where_envdir_was_started() {
    let tree = Tree::new();
    tree.script("prog", "#!/bin/sh\npwd -P\n");
    tree.write("env/A", "x");
    tree.script("env/.d/prog", "#!/bin/sh\necho wrong\n");
    let here = format!("{}\n", tree.path("").display());
    for name in ["prog", "./prog"] {
        let command = tree.cmd("envdir").args(["env", name]).env("PATH", "none::also");
        command.run().is(0, &here, "");
    }
}

// Errors

#[test]
fn the_directory_must_be_one() {
    let tree = Tree::new();
    tree.write("file", "");
    tree.symlink("loop", "loop");
    tree.symlink("nowhere", "dangling");
    let long = "x".repeat(256);
    for (dir, error) in [
        ("none", "file does not exist"),
        ("", "file does not exist"),
        ("dangling", "file does not exist"),
        ("file", "not a directory"),
        ("file/x", "not a directory"),
        ("loop", "symbolic link loop"),
        (&long, "file name too long"),
    ] {
        fails(&tree, dir, &format!("unable to switch to directory {dir}: {error}"));
    }
}

#[test]
fn a_lone_dash_is_a_directory() {
    let tree = Tree::new();
    fails(&tree, "-", "unable to switch to directory -: file does not exist");
    tree.write("-/A", "x");
    tree.cmd("envdir").args(["-", "printenv", "A"]).run().is(0, "x\n", "");
}

#[test]
fn a_directory_may_begin_with_a_dash() {
    let tree = Tree::new();
    tree.write("-p/A", "x");
    tree.cmd("envdir").args(["./-p", "printenv", "A"]).run().is(0, "x\n", "");
    if tree.suite().differs("envdir has the option -p, and -- ends the options") {
        let usage = "envdir: usage: envdir dir child\n";
        let bad = format!("envdir: illegal option -- x\n{usage}");
        tree.cmd("envdir").args(["-x", "true"]).run().is(111, "", bad);
        for end in ["--", "--help"] {
            tree.cmd("envdir").args([end, "true"]).run().is(111, "", usage);
            tree.cmd("envdir").args([end, "-p", "printenv", "A"]).run().is(0, "x\n", "");
        }
        let line = "envdir: fatal: unable to switch to directory A: file does not exist\n";
        tree.cmd("envdir").args(["-p", "printenv", "A", "true"]).run().is(111, "", line);
    } else {
        for dir in ["-x", "--", "--help"] {
            fails(&tree, dir, &format!("unable to switch to directory {dir}: file does not exist"));
        }
        tree.cmd("envdir").args(["-p", "printenv", "A"]).run().is(0, "x\n", "");
    }
}

#[test]
fn any_name_of_the_directory_will_do() {
    let tree = Tree::new();
    tree.write("sub/env/A", "x");
    tree.symlink("sub/env", "link");
    let absolute = tree.path("sub/env");
    for dir in ["sub/env", "./sub//env/", "link", "link/", "sub/../link/."] {
        tree.cmd("envdir").args([dir, "printenv", "A"]).run().is(0, "x\n", "");
    }
    tree.cmd("envdir").arg(absolute).args(["printenv", "A"]).run().is(0, "x\n", "");
    tree.cmd("envdir").args([".", "printenv", "A"]).cwd("sub/env").run().is(0, "x\n", "");
}

#[test]
fn a_directory_without_permission_is_fatal() {
    let tree = Tree::new();
    tree.write("env/A", "x");
    for (mode, wanted) in [
        (0o000, "unable to switch to directory env: access denied"),
        (0o600, "unable to switch to directory env: access denied"),
        (0o100, "unable to read directory env: access denied"),
        (0o300, "unable to read directory env: access denied"),
    ] {
        tree.chmod("env", mode);
        fails(&tree, "env", wanted);
    }
    tree.chmod("env", 0o500);
    tree.cmd("envdir").args(["env", "printenv", "A"]).unprivileged().run().is(0, "x\n", "");
}

#[test]
fn a_current_directory_without_permission_is_fatal() {
    let tree = Tree::new();
    tree.write("env/A", "x");
    tree.mkdir("cwd");
    let line = "envdir: fatal: unable to switch to current directory: access denied\n";
    tree.chmod("cwd", 0o311);
    let run = |dir| tree.cmd("envdir").args([dir, "true"]).cwd("cwd").unprivileged().run();
    if tree.suite().differs("ours stays in the current directory and need not read it") {
        run("../env").is(0, "", "");
        let line = "envdir: fatal: unable to switch to directory ../none: file does not exist\n";
        run("../none").is(111, "", line);
    } else {
        run("../env").is(111, "", line);
        run("../none").is(111, "", line);
    }
}

#[test]
fn a_current_directory_which_was_removed_will_do() {
    let tree = Tree::new();
    tree.write("env/A", "x");
    tree.mkdir("cwd");
    let script = "cd cwd && rmdir ../cwd && exec envdir \"$1\" printenv A";
    tree.sh(script).arg("sh").arg(tree.path("env")).run().is(0, "x\n", "");
}

#[test]
fn a_subdirectory_is_an_error() {
    let tree = Tree::new();
    tree.mkdir("env/sub");
    fails(&tree, "env", "unable to read env/sub: is a directory");
    fails(&tree, "./env/", "unable to read ./env//sub: is a directory");
}

#[test]
fn a_file_which_cannot_be_read_is_an_error() {
    let tree = Tree::new();
    tree.write("env/A", "x");
    tree.chmod("env/A", 0o200);
    fails(&tree, "env", "unable to read env/A: access denied");
    let other = |name: &str, target: &str| {
        let dir = format!("env-{name}");
        tree.symlink(target, Path::new(&dir).join("B"));
        dir
    };
    let dir = other("loop", "B");
    fails(&tree, &dir, &format!("unable to read {dir}/B: symbolic link loop"));
    let dir = other("file", "../env/A/x");
    fails(&tree, &dir, &format!("unable to read {dir}/B: not a directory"));
    let dir = other("directory", "../env");
    fails(&tree, &dir, &format!("unable to read {dir}/B: is a directory"));
    // open succeeds and read fails.
    let dir = other("memory", "/proc/self/mem");
    fails(&tree, &dir, &format!("unable to read {dir}/B: input/output error"));
    tree.mkdir("env-socket");
    let _socket = UnixListener::bind(tree.path("env-socket/B")).expect("make a socket");
    fails(&tree, "env-socket", "unable to read env-socket/B: device not configured");
}

#[test]
fn names_are_printed_as_they_are() {
    let tree = Tree::new();
    let mut line = b"envdir: fatal: unable to switch to directory \xff\n: ".to_vec();
    line.extend(b"file does not exist\n");
    let command = tree.cmd("envdir").arg(OsStr::from_bytes(b"\xff\n")).arg("true");
    command.run().is(111, "", line);
    tree.mkdir(Path::new("env").join(OsStr::from_bytes(b"\xff\n")));
    let line = b"envdir: fatal: unable to read env/\xff\n: is a directory\n";
    tree.cmd("envdir").args(["env", "true"]).run().is(111, "", line);
    let dir = format!("{}env", "./".repeat(500));
    tree.write("env2/file", "");
    let line =
        format!("envdir: fatal: unable to switch to directory {dir}2/file: not a directory\n");
    tree.cmd("envdir").args([&format!("{dir}2/file"), "true"]).run().is(111, "", line);
}

// Special files

#[test]
fn links_are_followed() {
    let tree = Tree::new();
    tree.write("file", "x\n");
    tree.symlink("../file", "env/A");
    tree.symlink("/dev/null", "env/B");
    assert_eq!(variables(envdir(&tree).env("B", "old")), ["A=x"]);
}

#[test]
fn a_fifo_without_writer_removes_the_variable() {
    let tree = Tree::new();
    tree.fifo("env/A", 0o600);
    assert_eq!(variables(envdir(&tree).env("A", "old").env("B", "1")), ["B=1"]);
}

#[test]
fn envdir_does_not_wait_for_the_writer_of_a_fifo() {
    let tree = Tree::new();
    tree.fifo("env/A", 0o600);
    let mut fifo = tree.open_fifo("env/A");
    fails(&tree, "env", "unable to read env/A: temporary failure");
    assert!(fifo.fill() > 0);
    fails(&tree, "env", "unable to read env/A: temporary failure");
}

#[test]
fn what_a_finished_writer_left_in_a_fifo_is_the_value() {
    let tree = Tree::new();
    tree.fifo("env/A", 0o600);
    // A stopped reader keeps the contents of the pipe.
    let script = "exec 3<>env/A; echo left >&3; exec 4<env/A 3>&-; exec envdir env printenv A";
    let mut shell = tree.sh(script).start();
    wait_until("envdir has ended", DEADLINE, || shell.has_ended());
    shell.wait().is(0, "left\n", "");
}

// Chains

#[test]
fn one_envdir_after_the_other() {
    let tree = Tree::new();
    tree.write("one/A", "1");
    tree.write("one/B", "1");
    tree.write("two/B", "2");
    tree.write("two/A", "");
    let command = tree.cmd("envdir").args(["one", "envdir", "two"]).args(ENVIRON);
    assert_eq!(variables(command.env("C", "0")), ["B=2", "C=0"]);
}
