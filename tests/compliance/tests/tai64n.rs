//! tai64n: a label before every line.

use compliance::filter;
use harness::{DEADLINE, Process, Tree, wait_for, wait_until};
use std::io::{PipeWriter, Write, pipe};
use std::time::{SystemTime, UNIX_EPOCH};

/// `@`, 24 digits, a space.
const STAMP: usize = 26;

/// Now, as the digits of a label, which sort as the time does.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    format!("{:016x}{:08x}", (1_u64 << 62) + 10 + now.as_secs(), now.subsec_nanos())
}

/// The digits of the label at the beginning of a line, and the rest of it.
#[track_caller]
fn split(line: &[u8]) -> (String, &[u8]) {
    let (stamp, rest) = line.split_at_checked(STAMP).expect("a line with a label");
    let stamp = std::str::from_utf8(stamp).expect("a label");
    let digits = stamp.strip_prefix('@').and_then(|s| s.strip_suffix(' ')).expect("a label");
    assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{stamp:?}");
    let nano = u32::from_str_radix(&digits[16..], 16).expect("digits");
    assert!(nano < 1_000_000_000 && nano % 1000 == 500, "{stamp:?}");
    (digits.to_owned(), rest)
}

/// The output of tai64n for this input, without its labels, after a check of the labels.
#[track_caller]
fn labelled(input: &[u8]) -> Vec<u8> {
    let tree = Tree::new();
    // A label holds the microsecond of its creation and 500 nanoseconds.
    let mut last = now()[..16].to_owned();
    let output = tree.cmd("tai64n").stdin(input).run();
    let after = now();
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""));
    let mut text = Vec::new();
    for line in output.stdout.split_inclusive(|&b| b == b'\n') {
        let (digits, rest) = split(line);
        assert!(last <= digits, "{last} before {digits}");
        last = digits;
        text.extend(rest);
    }
    assert!(last[..22] <= after[..22], "{last} is after {after}");
    text
}

/// tai64n with its input open.
fn start(tree: &Tree) -> (Process, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    (tree.cmd("tai64n").stdin_from(reader).start(), writer)
}

fn wait_length(process: &Process, length: usize) -> String {
    wait_for(&format!("{length} bytes of output"), DEADLINE, || {
        Some(process.stdout()).filter(|text| text.len() >= length)
    })
}

// Lines

#[test]
fn every_line_gets_a_label() {
    for input in ["a\n", "a\nb c\n", "\n", "\n\n\nx\n\n", "one\ntwo\nthree\n"] {
        assert_eq!(labelled(input.as_bytes()), input.as_bytes());
    }
}

#[test]
fn a_partial_last_line_gets_a_label_and_no_newline() {
    for input in ["a", "a\nb", "\n\nlast"] {
        assert_eq!(labelled(input.as_bytes()), input.as_bytes());
    }
}

#[test]
fn no_input_gives_no_output() {
    let tree = Tree::new();
    tree.cmd("tai64n").stdin("").run().is(0, "", "");
}

#[test]
fn every_other_byte_is_data() {
    let mut input: Vec<u8> = (0..=255).collect();
    input.extend(b"\r\n\0\n\0\r\n @x\n@4000000037c219bf2ef02e94 old\n\0");
    assert_eq!(labelled(&input), input);
}

#[test]
fn a_long_line_has_one_label() {
    for length in [1022, 1023, 1024, 1025, 2047, 2048, 65_535, 65_536, 1_000_000] {
        let mut input = vec![b'x'; length];
        input.extend(b"\nnext\n");
        assert_eq!(labelled(&input), input);
    }
}

#[test]
fn many_lines_of_all_lengths_are_labelled_in_order() {
    let mut input = Vec::new();
    for number in 0..20_000_usize {
        input.extend(format!("{number}").bytes());
        input.extend(std::iter::repeat_n(b'.', number * 7919 % 90));
        input.push(b'\n');
    }
    assert_eq!(labelled(&input), input);
}

#[test]
fn arguments_are_ignored() {
    let tree = Tree::new();
    for arguments in [&["-x"][..], &["--foo"], &["--help", "file"], &[""]] {
        let output = tree.cmd("tai64n").args(arguments).stdin("a\n").run();
        assert_eq!((output.code, output.err().as_str()), (Some(0), ""));
        assert_eq!(split(&output.stdout).1, b"a\n");
    }
}

// Time

#[test]
fn output_appears_while_the_input_is_open() {
    let tree = Tree::new();
    let (process, mut input) = start(&tree);
    let mut length = 0;
    for number in 0..50 {
        let line = format!("line {number}\n");
        let before = now();
        input.write_all(line.as_bytes()).expect("write");
        let text = wait_length(&process, length + STAMP + line.len());
        let (digits, rest) = split(&text.as_bytes()[length..]);
        assert_eq!(rest, line.as_bytes());
        assert!(before[..22] <= digits[..22] && digits <= now(), "{before} {digits}");
        length = text.len();
    }
    drop(input);
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn part_of_a_line_appears_with_its_label_and_the_rest_without_one() {
    let tree = Tree::new();
    let (process, mut input) = start(&tree);
    input.write_all(b"par").expect("write");
    let text = wait_length(&process, STAMP + 3);
    let first = now();
    assert_eq!(split(text.as_bytes()).1, b"par");
    input.write_all(b"tial").expect("write");
    assert_eq!(split(wait_length(&process, STAMP + 7).as_bytes()).1, b"partial");
    input.write_all(b"\n").expect("write");
    let text = wait_length(&process, STAMP + 8);
    let (digits, rest) = split(text.as_bytes());
    assert_eq!(rest, b"partial\n");
    assert!(digits <= first);
    // No byte of the next line has arrived, so it has no label yet.
    input.write_all(b"x").expect("write");
    let text = wait_length(&process, STAMP + 8 + STAMP + 1);
    let (digits, rest) = split(&text.as_bytes()[STAMP + 8..]);
    assert_eq!(rest, b"x");
    assert!(digits >= first);
}

#[test]
fn a_newline_alone_is_labelled_when_it_comes() {
    let tree = Tree::new();
    let (process, mut input) = start(&tree);
    input.write_all(b"\n").expect("write");
    wait_length(&process, STAMP + 1);
    let before = now();
    input.write_all(b"\n").expect("write");
    let text = wait_length(&process, 2 * (STAMP + 1));
    assert!(before[..22] <= split(&text.as_bytes()[STAMP + 1..]).0[..22]);
}

// Errors

#[test]
fn an_input_which_cannot_be_read_is_a_silent_error() {
    filter::fails_silently_without_input("tai64n");
}

#[test]
fn an_output_which_cannot_be_written_is_a_silent_error() {
    filter::fails_silently_without_output("tai64n");
}

#[test]
fn without_a_reader_it_is_killed_or_if_it_ignores_that_fails() {
    filter::ends_without_reader("tai64n");
}

#[test]
fn a_reader_which_goes_away_ends_it_at_the_next_line() {
    let tree = Tree::new();
    let (reader, writer) = pipe().expect("a pipe");
    let (input_reader, mut input) = pipe().expect("a pipe");
    let command = tree.cmd("tai64n").stdin_from(input_reader).stdout_to(writer);
    let mut process = command.under(["env", "--default-signal=PIPE"]).start();
    drop(reader);
    wait_until("it ends at the next line", DEADLINE, || {
        // A child that another test starts at this moment has the reader as well, until its exec.
        let _ = input.write_all(b"a\n");
        process.has_ended()
    });
    assert_eq!(process.wait().signal, Some(13));
}
