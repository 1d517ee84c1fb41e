//! readproctitle: it shows the end of its input in its own arguments.

use harness::{Cmd, DEADLINE, Process, Tree, process, wait_until};
use std::ffi::OsString;
use std::io::{PipeWriter, Write, pipe};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

const NAME: &str = "readproctitle";

/// A readproctitle with its input open.
struct Title {
    process: Process,
    input: PipeWriter,
    length: usize,
}

fn start(command: Cmd<'_>, length: usize) -> Title {
    let (reader, input) = pipe().expect("a pipe");
    let process = command.stdin_from(reader).start();
    Title { process, input, length }
}

/// `readproctitle io errors: ...`, with that many dots.
fn dots(tree: &Tree, length: usize) -> Title {
    let command = tree.cmd(NAME).args(["io", "errors:"]).arg(".".repeat(length));
    start(command, length)
}

impl Title {
    fn arguments(&self) -> Vec<OsString> {
        process::arguments(self.process.pid())
    }

    #[track_caller]
    fn write(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).expect("write to readproctitle");
    }

    /// Waits until the last argument is three dots, more dots as needed, and these bytes.
    #[track_caller]
    fn shows(&self, text: impl AsRef<[u8]>) {
        let wanted = display(self.length, text.as_ref());
        wait_until(&format!("it shows {wanted:?}"), DEADLINE, || {
            self.arguments().last() == Some(&wanted)
        });
    }

    #[track_caller]
    fn end(self) {
        drop(self.input);
        self.process.wait().is(0, "", "");
    }
}

/// The contents of a display of this length after these bytes.
fn display(length: usize, text: &[u8]) -> OsString {
    let mut shown = vec![b'.'; length];
    for &byte in text.iter().filter(|&&byte| byte != 0) {
        shown.remove(3);
        shown.push(byte);
    }
    OsString::from_vec(shown)
}

// Usage

#[test]
fn without_a_place_for_the_text_it_fails_silently() {
    let tree = Tree::new();
    tree.cmd(NAME).run().is(100, "", "");
    for place in ["", ".", "....", "abcd"] {
        tree.cmd(NAME).arg(place).stdin("text\n").run().is(100, "", "");
        tree.cmd(NAME).args(["long enough", place]).stdin("text\n").run().is(100, "", "");
    }
}

#[test]
fn five_bytes_are_enough() {
    let tree = Tree::new();
    let mut title = start(tree.cmd(NAME).arg("....."), 5);
    title.write(b"abc");
    title.shows("bc");
    title.end();
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    let mut title = start(tree.cmd(NAME).args(["-x", "--help", "--", "--------"]), 8);
    title.write(b"abc");
    title.shows("abc");
    assert_eq!(title.arguments()[..4], ["readproctitle", "-x", "--help", "--"]);
    title.end();
}

// The display

#[test]
fn the_place_becomes_dots_whatever_it_was() {
    let tree = Tree::new();
    let title = start(tree.cmd(NAME).args(["label", "ABCDEFGH"]), 8);
    title.shows("");
    title.end();
}

#[test]
fn the_last_of_the_input_is_shown_behind_three_dots() {
    let tree = Tree::new();
    let mut title = dots(&tree, 20);
    title.write(b"fatal error xyz\nwarning abc\n");
    title.shows(" xyz\nwarning abc\n");
    assert_eq!(title.arguments().last(), Some(&OsString::from("... xyz\nwarning abc\n")));
    title.end();
}

#[test]
fn a_short_text_stands_at_the_end() {
    let tree = Tree::new();
    let mut title = dots(&tree, 20);
    title.write(b"abc");
    title.shows("abc");
    assert_eq!(title.arguments().last(), Some(&OsString::from(".................abc")));
    title.end();
}

#[test]
fn a_text_of_exactly_the_size_fills_it() {
    let tree = Tree::new();
    for (length, text) in [(13, "0123456789"), (13, "x0123456789"), (13, "012345678")] {
        let mut title = dots(&tree, length);
        title.write(text.as_bytes());
        title.shows(text);
        title.end();
    }
}

#[test]
fn the_text_moves_on_with_every_write() {
    let tree = Tree::new();
    let mut title = dots(&tree, 40);
    let mut text = Vec::new();
    for number in 0..60 {
        let piece = format!("{number}:{}\n", "z".repeat(number % 17));
        title.write(piece.as_bytes());
        text.extend(piece.bytes());
        title.shows(&text);
    }
    title.end();
}

#[test]
fn nul_bytes_are_dropped_and_every_other_byte_is_shown() {
    let tree = Tree::new();
    let mut title = dots(&tree, 300);
    let bytes: Vec<u8> = (0..=255).chain([0, 0, b'\n', 0, b'x', 0]).collect();
    title.write(&bytes);
    title.shows(&bytes);
    let shown = title.arguments().pop().expect("a last argument");
    assert!(shown.as_bytes().ends_with(b"\xfe\xff\nx"), "{shown:?}");
    title.end();
}

#[test]
fn nul_bytes_alone_change_nothing() {
    let tree = Tree::new();
    let mut title = dots(&tree, 20);
    title.write(b"abc");
    title.shows("abc");
    title.write(&[0; 100]);
    title.write(b"d");
    title.shows("abcd");
    title.end();
}

#[test]
fn a_flood_leaves_its_end() {
    let tree = Tree::new();
    let mut title = dots(&tree, 400);
    let mut text = Vec::new();
    for number in 0..20_000 {
        text.extend(format!("line {number}\n").bytes());
    }
    title.write(&text);
    title.shows(&text[text.len() - 1000..]);
    title.end();
}

#[test]
fn the_command_line_ends_with_the_text() {
    let tree = Tree::new();
    let mut title = dots(&tree, 20);
    title.write(b"fatal error xyz\nwarning abc\n");
    title.shows("fatal error xyz\nwarning abc\n");
    let raw = std::fs::read(format!("/proc/{}/cmdline", title.process.pid())).expect("a process");
    assert_eq!(raw, b"readproctitle\0io\0errors:\0... xyz\nwarning abc\n\0");
    title.end();
}

#[test]
fn other_arguments_and_the_environment_stay_as_they_are() {
    let tree = Tree::new();
    let command = tree.cmd(NAME).arg0("title").args(["a", "", "b c"]).arg("x".repeat(50));
    let mut title = start(command.env("FIRST", "1").env("SECOND", "2"), 50);
    title.shows("");
    let environment = process::environment(title.process.pid());
    assert!(environment.contains(&OsString::from("FIRST=1")), "{environment:?}");
    let text = "y".repeat(5000);
    title.write(text.as_bytes());
    title.shows(&text);
    assert_eq!(title.arguments()[..4], ["title", "a", "", "b c"]);
    assert_eq!(title.arguments().len(), 5);
    assert_eq!(process::environment(title.process.pid()), environment);
    title.end();
}

// The end

#[test]
fn the_end_of_the_input_is_the_end() {
    let tree = Tree::new();
    tree.cmd(NAME).arg(".....").stdin("").run().is(0, "", "");
    tree.cmd(NAME).arg(".....").stdin("text without newline").run().is(0, "", "");
}

#[test]
fn an_input_which_cannot_be_read_is_a_silent_error() {
    let tree = Tree::new();
    tree.sh("exec readproctitle ..... <&-").run().is(111, "", "");
    tree.sh("exec readproctitle ..... </").run().is(111, "", "");
    tree.sh("exec readproctitle ..... 0>out").run().is(111, "", "");
}

#[test]
fn only_standard_input_is_needed() {
    let tree = Tree::new();
    tree.sh("exec readproctitle ..... </dev/null >&- 2>&-").run().is(0, "", "");
}
