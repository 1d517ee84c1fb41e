//! svc: it sends letters to supervise.

use harness::{DEADLINE, Fifo, Tree, process, wait_until};
use std::os::unix::ffi::OsStrExt;

/// Makes a `supervise/control` that the test reads.
fn control(tree: &Tree, dir: &str) -> Fifo {
    let name = format!("{dir}/supervise/control");
    tree.fifo(&name, 0o600);
    tree.open_fifo(&name)
}

/// Runs svc with these arguments, which must succeed. Returns the bytes that arrive.
#[track_caller]
fn sent(arguments: &[&str]) -> String {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    tree.cmd("svc").args(arguments).arg("a").run().is(0, "", "");
    String::from_utf8_lossy(&control.drain()).into_owned()
}

// Usage

const USAGE: &str = "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, \
                     a alarm, i interrupt, t term, k kill\n";

#[test]
fn an_unknown_letter_is_a_usage_error() {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    for (options, letter) in [
        ("-z", "z"),
        ("-uz", "z"),
        ("-D", "D"),
        ("-?", "?"),
        ("-:", ":"),
        ("-u-", "-"),
        ("- ", " "),
    ] {
        let lines = format!("svc: illegal option -- {letter}\n{USAGE}");
        tree.cmd("svc").args([options, "a"]).run().is(100, "", lines);
    }
    tree.cmd("svc").args(["-u", "-d", "-z", "a"]).run().is(
        100,
        "",
        format!("svc: illegal option -- z\n{USAGE}"),
    );
    assert_eq!(control.drain(), b"");
}

#[test]
fn the_option_parser_names_the_program_as_it_was_called() {
    let tree = Tree::new();
    for (name, shown) in [("/some/where/control", "control"), ("x/", ""), ("svc2", "svc2")] {
        let lines = format!("{shown}: illegal option -- z\n{USAGE}");
        tree.cmd("svc").arg0(name).arg("-z").run().is(100, "", lines);
    }
}

#[test]
fn an_unknown_letter_is_printed_as_it_is() {
    let tree = Tree::new();
    let mut lines = b"svc: illegal option -- \xff\n".to_vec();
    lines.extend(USAGE.as_bytes());
    let option = std::ffi::OsStr::from_bytes(b"-\xff");
    tree.cmd("svc").arg(option).run().is(100, "", lines);
}

#[test]
fn nothing_to_do_is_success() {
    let tree = Tree::new();
    tree.cmd("svc").run().is(0, "", "");
    tree.cmd("svc").arg("-d").run().is(0, "", "");
    tree.cmd("svc").arg("--").run().is(0, "", "");
}

// Options

#[test]
fn every_letter_is_sent_as_it_is() {
    for letter in ["u", "d", "o", "p", "c", "h", "a", "i", "t", "k", "x"] {
        assert_eq!(sent(&[&format!("-{letter}")]), letter);
    }
    assert_eq!(sent(&["-xktiahcpodu"]), "xktiahcpodu");
}

#[test]
fn letters_may_be_clustered_or_not() {
    assert_eq!(sent(&["-du"]), "du");
    assert_eq!(sent(&["-d", "-u"]), "du");
    assert_eq!(sent(&["-d", "-uo", "-x"]), "duox");
}

#[test]
fn a_letter_is_sent_once_in_the_order_of_first_appearance() {
    assert_eq!(sent(&["-tdutd", "-c"]), "tduc");
    assert_eq!(sent(&["-d", "-u", "-d"]), "du");
    assert_eq!(sent(&["-uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"]), "u");
}

#[test]
fn no_letters_are_nothing_to_send() {
    assert_eq!(sent(&[]), "");
    assert_eq!(sent(&["--"]), "");
}

#[test]
fn anything_which_begins_with_two_dashes_ends_the_options() {
    assert_eq!(sent(&["-d", "--"]), "d");
    assert_eq!(sent(&["-d", "--help"]), "d");
    assert_eq!(sent(&["-d", "--u"]), "d");
    let tree = Tree::new();
    tree.cmd("svc").arg("--foo").run().is(0, "", "");
    let line = "svc: warning: unable to chdir to -u: file does not exist\n";
    tree.cmd("svc").args(["--", "-u"]).run().is(0, "", line);
    let line = "svc: warning: unable to chdir to --: file does not exist\n";
    tree.cmd("svc").args(["--", "--"]).run().is(0, "", line);
}

#[test]
fn options_end_at_the_first_directory() {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    let line = "svc: warning: unable to chdir to -u: file does not exist\n";
    tree.cmd("svc").args(["-d", "a", "-u"]).run().is(0, "", line);
    assert_eq!(control.drain(), b"d");
}

#[test]
fn a_lone_dash_is_a_directory() {
    let tree = Tree::new();
    let mut control = control(&tree, "-");
    tree.cmd("svc").args(["-d", "-"]).run().is(0, "", "");
    assert_eq!(control.drain(), b"d");
    let line = "svc: warning: unable to chdir to -u: file does not exist\n";
    tree.cmd("svc").args(["-", "-u"]).run().is(0, "", line);
    assert_eq!(control.drain(), b"");
}

#[test]
fn an_empty_argument_is_a_directory() {
    let tree = Tree::new();
    let line = "svc: warning: unable to chdir to : file does not exist\n";
    tree.cmd("svc").args(["-d", ""]).run().is(0, "", line);
}

// Directories

#[test]
fn every_directory_gets_the_letters_in_order_and_whatever_happens_to_others() {
    let tree = Tree::new();
    let mut first = control(&tree, "a");
    let mut second = control(&tree, "sub/b");
    tree.write("file", "");
    tree.fifo("dead/supervise/control", 0o600);
    tree.mkdir("fresh");
    let absolute = tree.path("sub/b");
    let output = tree
        .cmd("svc")
        .args(["-dx", "none", "a", "file", "./sub/b/", "dead", "fresh"])
        .arg(&absolute)
        .arg("a")
        .run();
    output.is(
        0,
        "",
        "svc: warning: unable to chdir to none: file does not exist\n\
         svc: warning: unable to chdir to file: not a directory\n\
         svc: warning: unable to control dead: supervise not running\n\
         svc: warning: unable to control fresh: file does not exist\n",
    );
    assert_eq!(first.drain(), b"dxdx");
    assert_eq!(second.drain(), b"dxdx");
}

#[test]
fn the_control_is_opened_even_without_letters() {
    let tree = Tree::new();
    tree.fifo("a/supervise/control", 0o600);
    let line = "svc: warning: unable to control a: supervise not running\n";
    tree.cmd("svc").arg("a").run().is(0, "", line);
    let line = "svc: warning: unable to chdir to none: file does not exist\n";
    tree.cmd("svc").arg("none").run().is(0, "", line);
}

#[test]
fn the_reason_for_a_control_which_cannot_be_opened_is_reported() {
    let tree = Tree::new();
    tree.mkdir("a");
    tree.write("b/supervise", "");
    tree.mkdir("c/supervise/control");
    tree.symlink("control", "d/supervise/control");
    tree.cmd("svc").args(["-d", "a", "b", "c", "d"]).run().is(
        0,
        "",
        "svc: warning: unable to control a: file does not exist\n\
         svc: warning: unable to control b: not a directory\n\
         svc: warning: unable to control c: is a directory\n\
         svc: warning: unable to control d: symbolic link loop\n",
    );
    assert!(!tree.exists("a/supervise"));
}

#[test]
fn permission_is_needed() {
    let tree = Tree::new();
    let _control = control(&tree, "a");
    tree.chmod("a/supervise/control", 0o400);
    let _control = control(&tree, "b");
    tree.chmod("b/supervise", 0);
    tree.mkdir("c");
    tree.chmod("c", 0);
    tree.cmd("svc").args(["-d", "a", "b", "c"]).unprivileged().run().is(
        0,
        "",
        "svc: warning: unable to control a: access denied\n\
         svc: warning: unable to control b: access denied\n\
         svc: warning: unable to chdir to c: access denied\n",
    );
}

#[test]
fn a_supervise_which_is_gone_is_reported() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.svc("-dx", "a");
    supervise.wait().is(0, "", "");
    let line = "svc: warning: unable to control a: supervise not running\n";
    tree.cmd("svc").args(["-u", "a"]).run().is(0, "", line);
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    let name = std::ffi::OsStr::from_bytes(b"no\n\xff//");
    let mut line = b"svc: warning: unable to chdir to no\n\xff//: ".to_vec();
    line.extend(b"file does not exist\n");
    tree.cmd("svc").arg("-d").arg(name).run().is(0, "", line);
    let long = "y".repeat(300);
    let line = format!("svc: warning: unable to chdir to {long}: file name too long\n");
    tree.cmd("svc").args(["-d", &long]).run().is(0, "", line);
}

#[test]
fn a_current_directory_which_cannot_be_opened_is_fatal() {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    tree.mkdir("cwd");
    tree.chmod("cwd", 0o311);
    let line = "svc: fatal: unable to open current directory: access denied\n";
    let a = tree.path("a");
    tree.cmd("svc").arg("-d").arg(&a).cwd("cwd").unprivileged().run().is(111, "", line);
    // svc opens it even if it does not need it.
    tree.cmd("svc").cwd("cwd").unprivileged().run().is(111, "", line);
    assert_eq!(control.drain(), b"");
}

// Writing

#[test]
fn svc_waits_while_the_control_is_full() {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    assert_eq!(control.fill(), 65536);
    let mut svc = tree.cmd("svc").args(["-dx", "a"]).start();
    let path = tree.path("a/supervise/control");
    wait_until("svc has opened the control", DEADLINE, || process::has_open(svc.pid(), &path));
    assert!(!svc.has_ended());
    let mut found = control.drain();
    svc.wait().is(0, "", "");
    found.extend(control.drain());
    assert_eq!(found.len(), 65538);
    assert!(found.ends_with(b"-dx"));
}

#[test]
fn a_reader_which_goes_away_is_a_warning() {
    let tree = Tree::new();
    let mut first = control(&tree, "a");
    let mut second = control(&tree, "b");
    first.fill();
    let svc = tree.cmd("svc").args(["-d", "a", "b"]).start();
    let path = tree.path("a/supervise/control");
    wait_until("svc has opened the control", DEADLINE, || process::has_open(svc.pid(), &path));
    drop(first);
    // A broken pipe is an error, and SIGPIPE does not kill svc.
    svc.wait().is(0, "", "svc: warning: error writing commands to a: broken pipe\n");
    assert_eq!(second.drain(), b"d");
}

#[test]
fn the_letters_of_one_svc_stay_together() {
    let tree = Tree::new();
    let mut control = control(&tree, "a");
    let running: Vec<_> = (0..20)
        .map(|number| {
            let letters = ["-duoxpc", "-hait"][number % 2];
            tree.cmd("svc").args([letters, "a"]).start()
        })
        .collect();
    for svc in running {
        svc.wait().is(0, "", "");
    }
    let found = control.drain();
    let mut rest = found.as_slice();
    let mut count = 0;
    while !rest.is_empty() {
        let next = rest.strip_prefix(b"duoxpc").or_else(|| rest.strip_prefix(b"hait"));
        rest = next.unwrap_or_else(|| panic!("torn: {:?}", String::from_utf8_lossy(&found)));
        count += 1;
    }
    assert_eq!(count, 20);
}

// With a supervise

#[test]
fn svc_follows_links_to_services() {
    let tree = Tree::new();
    tree.idle_service("real");
    tree.mkdir("services");
    tree.symlink("../real", "services/link");
    let supervise = tree.supervise("real");
    tree.wait_up("real");
    tree.svc("-d", "services/link");
    tree.wait_down("real");
    tree.cmd("svc").args(["-x", "."]).cwd("services/link").run().is(0, "", "");
    supervise.wait().is(0, "", "");
}

#[test]
fn many_services_obey_one_svc() {
    let tree = Tree::new();
    let names = ["a", "b", "c", "d", "e"];
    let supervises: Vec<_> = names
        .iter()
        .map(|name| {
            tree.idle_service(name);
            tree.supervise(name)
        })
        .collect();
    for name in names {
        tree.wait_up(name);
    }
    tree.cmd("svc").arg("-dx").args(names).run().is(0, "", "");
    for supervise in supervises {
        supervise.wait().is(0, "", "");
    }
    assert!(names.iter().all(|name| tree.wait_down(name).want() == b'd'));
}
