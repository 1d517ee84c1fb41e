//! multilog: selecting lines, and keeping logs.

use harness::{Cmd, DEADLINE, Output, Process, Signal, Tree, is_root, process, skip, wait_until};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// `@`, 24 digits, a space.
const STAMP: usize = 26;

fn multilog<'t>(tree: &'t Tree, script: &[&str]) -> Cmd<'t> {
    tree.cmd("multilog").args(script)
}

/// Runs multilog on an input; all must be well and nothing be said.
#[track_caller]
fn log(tree: &Tree, script: &[&str], input: impl AsRef<[u8]>) {
    multilog(tree, script).stdin(input).run().is(0, "", "");
}

/// A multilog with its input open.
struct Logger<'t> {
    tree: &'t Tree,
    process: Process,
    input: PipeWriter,
    /// A second reader of the same pipe.
    reader: PipeReader,
}

/// Starts multilog with its input a pipe.
#[track_caller]
fn start<'t>(tree: &'t Tree, script: &[&str]) -> Logger<'t> {
    start_command(tree, multilog(tree, script))
}

#[track_caller]
fn start_command<'t>(tree: &'t Tree, command: Cmd<'t>) -> Logger<'t> {
    let (reader, input) = pipe().expect("a pipe");
    let own = reader.try_clone().expect("another reader");
    Logger { tree, process: command.stdin_from(own).start(), input, reader }
}

impl Logger<'_> {
    #[track_caller]
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.write_all(bytes.as_ref()).expect("write to multilog");
    }

    /// Sends it and waits until `current` of `d` ends with it.
    #[track_caller]
    fn log(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.send(bytes);
        wait_until("it is in d/current", DEADLINE, || self.tree.read("d/current").ends_with(bytes));
    }

    /// Waits until it waits for input.
    #[track_caller]
    fn wait_idle(&self) {
        let pid = self.process.pid();
        wait_until("it waits", DEADLINE, || {
            process::state(pid) == Some('S') && pending(pid) & (TERM | ALRM) == 0
        });
    }

    /// Sends a signal while it waits, and waits until that has been seen.
    #[track_caller]
    fn signal(&self, signal: Signal) {
        self.wait_idle();
        self.process.signal(signal);
        self.wait_idle();
    }

    /// Ends its input and waits for the end.
    #[track_caller]
    fn end(self) -> Output {
        drop(self.input);
        self.process.wait()
    }
}

const ALRM: u64 = 1 << 13;
const TERM: u64 = 1 << 14;

/// The signals which a process has yet to be given.
fn pending(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).map_or(0, bits)
}

fn bits(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).expect("a set of signals")
}

/// The names of everything in a directory, in order.
#[track_caller]
fn names(tree: &Tree, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(tree.path(dir))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    names
}

/// The finished files of a log, in order.
#[track_caller]
fn finished(tree: &Tree, dir: &str) -> Vec<String> {
    let names = names(tree, dir);
    names.into_iter().filter(|n| n.starts_with('@')).map(|n| format!("{dir}/{n}")).collect()
}

/// The only finished file of a log.
#[track_caller]
fn only(tree: &Tree, dir: &str) -> String {
    let [name] = finished(tree, dir).try_into().expect("one finished file");
    name
}

#[track_caller]
fn wait_finished(tree: &Tree, dir: &str, count: usize) -> Vec<String> {
    wait_until(&format!("{count} finished files"), DEADLINE, || {
        finished(tree, dir).len() == count && !tree.exists(format!("{dir}/previous"))
    });
    finished(tree, dir)
}

/// Everything in a log, in order.
#[track_caller]
fn whole(tree: &Tree, dir: &str) -> Vec<u8> {
    let mut all: Vec<u8> = finished(tree, dir).iter().flat_map(|name| tree.read(name)).collect();
    all.extend(tree.read(format!("{dir}/current")));
    all
}

/// Now, as the digits of a label, which sort as the time does.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    format!("{:016x}{:08x}", (1_u64 << 62) + 10 + now.as_secs(), now.subsec_nanos())
}

/// Asserts that these are the digits of a label of a moment between the two.
#[track_caller]
fn is_between(before: &str, digits: &str, after: &str) {
    assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{digits:?}");
    assert_eq!(digits.len(), 24, "{digits:?}");
    let nano = u32::from_str_radix(&digits[16..], 16).expect("digits");
    assert!(nano < 1_000_000_000 && nano % 1000 == 500, "{digits:?}");
    // A label has the microsecond in which it was made and half of one more.
    let micro = |digits: &str| {
        let nano = u32::from_str_radix(&digits[16..], 16).expect("digits");
        (digits[..16].to_owned(), nano / 1000)
    };
    assert!(micro(before) <= micro(digits), "{digits} is before {before}");
    assert!(micro(digits) <= micro(after), "{digits} is after {after}");
}

/// The digits before a line, and the line.
#[track_caller]
fn split(line: &str) -> (&str, &str) {
    let (stamp, rest) = line.split_at_checked(STAMP).expect("a line with a stamp");
    let digits = stamp.strip_prefix('@').and_then(|stamp| stamp.strip_suffix(' '));
    (digits.expect("a stamp"), rest)
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("small") % limit
    }

    fn bytes(&mut self, alphabet: &[u8], longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// The lines of numbers below a limit, each of that length with its newline.
fn numbered(count: usize, length: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "{number:0width$}", width = length - 1).expect("text");
        text
    })
}

// The script

#[test]
fn lines_are_kept_in_a_directory() {
    let tree = Tree::new();
    log(&tree, &["./d"], "one\n\ntwo\n");
    assert_eq!(tree.text("d/current"), "one\n\ntwo\n");
    let absolute = tree.path("absolute");
    log(&tree, &[absolute.to_str().expect("a name")], "x\n");
    assert_eq!(tree.text("absolute/current"), "x\n");
    tree.mkdir("here");
    multilog(&tree, &["."]).cwd("here").stdin("y\n").run().is(0, "", "");
    assert_eq!(tree.text("here/current"), "y\n");
    log(&tree, &["./slash/"], "z\n");
    assert_eq!(tree.text("slash/current"), "z\n");
    // The name is all of the argument.
    tree.mkdir(".hidden");
    log(&tree, &[".hidden"], "h\n");
    assert_eq!(tree.text(".hidden/current"), "h\n");
}

#[test]
fn without_a_script_lines_are_read_and_dropped() {
    let tree = Tree::new();
    log(&tree, &[], "one\ntwo");
    log(&tree, &[], "");
    assert_eq!(names(&tree, ""), [""; 0]);
}

#[test]
fn a_first_argument_which_begins_with_t_stamps_every_line() {
    for first in ["t", "test", "t999", "t./x"] {
        let tree = Tree::new();
        let before = now();
        log(&tree, &[first, "./d"], "one\n\nlast");
        let after = now();
        let text = tree.text("d/current");
        assert!(text.ends_with("last\n"));
        let lines: Vec<_> = text.lines().map(split).collect();
        assert_eq!(lines.iter().map(|(_, line)| *line).collect::<Vec<_>>(), ["one", "", "last"]);
        lines.iter().for_each(|(digits, _)| is_between(&before, digits, &after));
        assert!(lines.is_sorted_by_key(|(digits, _)| *digits));
        assert_eq!(names(&tree, ""), ["d"]);
    }
}

#[test]
fn t_elsewhere_is_ignored() {
    for script in
        [&["./d", "t"][..], &["+*", "t", "./d"], &["", "t", "./d"], &["n5", "test", "./d"]]
    {
        let tree = Tree::new();
        log(&tree, script, "one\n");
        assert_eq!(tree.text("d/current"), "one\n");
    }
}

#[test]
fn unknown_actions_and_empty_arguments_are_ignored() {
    let tree = Tree::new();
    let unknown = ["", "9", "@x", "%", ",", ":x", "\x01", " ", "\u{ff}", "Z", "{", "\n", "~/d"];
    let script = [&unknown[..], &["./d"], &unknown[..]].concat();
    log(&tree, &script, "one\n");
    assert_eq!(tree.text("d/current"), "one\n");
    assert_eq!(names(&tree, ""), ["d"]);
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    log(&tree, &["--", "-h", "--help", "./d"], "-\nh\n-help\n--\nx\n");
    assert_eq!(tree.text("d/current"), "--\nx\n");
}

#[test]
fn the_script_is_run_in_order_for_each_line() {
    let tree = Tree::new();
    let script = [
        "./all", "-a*", "./not-a", "e", "+ab*", "./ab-too", "=last", "-*", "./none", "e", "+*z",
        "./z", "=z-last",
    ];
    let output = multilog(&tree, &script).stdin("a\nab\nb\nz\nabz\n").run();
    output.is(0, "", "b\nz\n");
    for (dir, lines) in [
        ("all", "a\nab\nb\nz\nabz\n"),
        ("not-a", "b\nz\n"),
        ("ab-too", "ab\nb\nz\nabz\n"),
        ("none", ""),
        ("z", "z\nabz\n"),
    ] {
        assert_eq!(tree.text(format!("{dir}/current")), lines, "{dir}");
    }
    assert!(tree.text("last").starts_with("abz\n"));
    assert!(tree.text("z-last").starts_with("abz\n"));
}

#[test]
fn a_line_begins_selected() {
    let tree = Tree::new();
    log(&tree, &["+x", "./a", "-x", "./b", "-*", "./c", "+y", "./d"], "x\ny\n");
    assert_eq!(tree.text("a/current"), "x\ny\n");
    assert_eq!(tree.text("b/current"), "y\n");
    assert_eq!(tree.text("c/current"), "");
    assert_eq!(tree.text("d/current"), "y\n");
}

#[test]
fn sizes_count_for_the_directories_behind_them() {
    let tree = Tree::new();
    let script = ["./before", "s5000", "./small", "s10000", "./a", "./b", "s7000"];
    log(&tree, &script, "x".repeat(99_999 + 1));
    // Without newlines a file is exactly as long as it may be.
    for (dir, size) in [("before", 99_999), ("small", 5000), ("a", 10_000), ("b", 10_000)] {
        for name in finished(&tree, dir) {
            assert_eq!(tree.read(&name).len(), size, "{name}");
        }
    }
    assert_eq!(finished(&tree, "before").len(), 1);
    assert_eq!(tree.text("before/current"), "x\n");
    assert_eq!(finished(&tree, "a").len(), 9);
}

/// The original is silent about numbers.
#[track_caller]
fn says_what_it_changes(tree: &Tree, output: &Output, script: &[&str]) {
    let mut told = false;
    if tree.suite().differs("a number that is too small or has a rest is told") {
        told = script.iter().any(|action| {
            let (least, number) = match action.split_at_checked(1) {
                Some(("s", number)) => (4096, number),
                Some(("n", number)) => (2, number),
                _ => return false,
            };
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            !digits || number.parse::<u128>().unwrap_or(0) < least
        });
    }
    let said = output.err();
    let wanted = if told { said.starts_with("multilog: warning: ") } else { said.is_empty() };
    assert!(output.code == Some(0) && wanted, "{script:?}: {output}");
}

/// The size of the files, as what fits into the first without a newline.
#[track_caller]
fn size_of(argument: &str, at_most: usize) -> Option<usize> {
    let tree = Tree::new();
    let output = multilog(&tree, &[argument, "n2", "./d"]).stdin("x".repeat(at_most)).run();
    says_what_it_changes(&tree, &output, &[argument]);
    finished(&tree, "d").first().map(|name| tree.read(name).len())
}

#[test]
fn a_size_is_at_least_4096_and_only_its_leading_digits_count() {
    let small = [
        "s0", "s1", "s4095", "s4096", "s", "sabc", "s12k", "s-99999", "s 99999", "s+5000",
        "s0x9999",
    ];
    for argument in small {
        assert_eq!(size_of(argument, 4100), Some(4096), "{argument}");
    }
    for (argument, size) in
        [("s4097", 4097), ("s005000", 5000), ("s5000k", 5000), ("s5000.9", 5000)]
    {
        assert_eq!(size_of(argument, 5100), Some(size), "{argument}");
    }
}

#[test]
fn the_usual_size_is_99999() {
    let tree = Tree::new();
    log(&tree, &["./d"], "x".repeat(100_000));
    assert_eq!(tree.read(only(&tree, "d")).len(), 99_999);
}

#[test]
fn large_sizes_are_possible() {
    assert_eq!(size_of("s16777215", 16_777_217), Some(16_777_215));
    assert_eq!(size_of("s16000000", 16_777_217), Some(16_000_000));
    // As daemontools-encore has it, but for its limit.
    let limitless = Tree::new().suite().differs("there is no largest size");
    let limit = (!limitless).then_some(16_777_215);
    assert_eq!(size_of("s16800000", 16_777_217), limit);
    assert_eq!(size_of("s99999999", 17_000_000), limit);
}

/// How many files a log keeps, `current` included.
#[track_caller]
fn kept(script: &[&str]) -> usize {
    let tree = Tree::new();
    let output = multilog(&tree, script).stdin("x".repeat(16 * 4096)).run();
    says_what_it_changes(&tree, &output, script);
    finished(&tree, "d").len() + 1
}

#[test]
fn the_number_of_files_is_at_least_2_and_only_its_leading_digits_count() {
    for argument in ["n0", "n1", "n2", "n", "nabc", "n-5", "n 5", "n2x", "n02"] {
        assert_eq!(kept(&["s4096", argument, "./d"]), 2, "{argument}");
    }
    for (argument, number) in [("n3", 3), ("n3abc", 3), ("n007", 7), ("n16", 16), ("n1000", 17)] {
        assert_eq!(kept(&["s4096", argument, "./d"]), number, "{argument}");
    }
}

#[test]
fn the_usual_number_of_files_is_10() {
    assert_eq!(kept(&["s4096", "./d"]), 10);
    // A number behind the directory is for others.
    assert_eq!(kept(&["s4096", "./d", "n2"]), 10);
    assert_eq!(kept(&["n3", "s4096", "n4", "./d", "n2"]), 4);
}

// Patterns

/// Whether a pattern matches, as the original's documentation says.
fn matches(mut pattern: &[u8], mut line: &[u8]) -> bool {
    while let Some((&wanted, rest)) = pattern.split_first() {
        pattern = rest;
        if wanted == b'*' {
            let Some(&stop) = pattern.first() else { return true };
            let Some(at) = line.iter().position(|&byte| byte == stop) else { return false };
            line = &line[at..];
        } else {
            let Some((&byte, rest)) = line.split_first() else { return false };
            if byte != wanted {
                return false;
            }
            line = rest;
        }
    }
    line.is_empty()
}

/// Runs scripts on lines, each with a directory of its own behind it. A script
/// is a list of actions `+` and `-`; each directory begins with all selected.
#[track_caller]
fn check_scripts(scripts: &[Vec<Vec<u8>>], lines: &[Vec<u8>]) {
    let tree = Tree::new();
    let mut arguments: Vec<OsString> = Vec::new();
    for (number, script) in scripts.iter().enumerate() {
        arguments.push("+*".into());
        arguments.extend(script.iter().map(|action| OsString::from_vec(action.clone())));
        arguments.push(format!("./{number}").into());
    }
    let input: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    tree.cmd("multilog").args(&arguments).stdin(input).run().is(0, "", "");
    for (number, script) in scripts.iter().enumerate() {
        let mut wanted = Vec::new();
        for line in lines {
            let mut selected = true;
            for action in script {
                let select = action[0] == b'+';
                if selected != select && matches(&action[1..], line) {
                    selected = select;
                }
            }
            if selected {
                wanted.extend_from_slice(line);
                wanted.push(b'\n');
            }
        }
        let found = tree.read(format!("{number}/current"));
        assert!(found == wanted, "{}", {
            let script: Vec<_> = script.iter().map(|a| String::from_utf8_lossy(a)).collect();
            let found = String::from_utf8_lossy(&found);
            format!("{script:?}: {found:?} and not {:?}", String::from_utf8_lossy(&wanted))
        });
    }
}

/// `-*` and one pattern to select again.
fn only_matching(pattern: &[u8]) -> Vec<Vec<u8>> {
    vec![b"-*".to_vec(), [b"+", pattern].concat()]
}

/// The lines which a pattern matches.
#[track_caller]
fn matching(pattern: &str, lines: &[&str]) -> Vec<String> {
    let tree = Tree::new();
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    log(&tree, &["-*", &format!("+{pattern}"), "./selected"], &input);
    log(&tree, &[&format!("-{pattern}"), "./rest"], &input);
    let selected = tree.text("selected/current");
    let both = selected.lines().count() + tree.text("rest/current").lines().count();
    assert_eq!(both, lines.len());
    selected.lines().map(str::to_owned).collect()
}

#[test]
fn patterns_match_whole_lines_and_a_star_ends_at_the_next_byte_of_the_pattern() {
    let lines =
        ["", "x", "axxb", "axbxb", "xab", "abz", "aab", "bca", "aba", "a*b", "*", "**", "ab"];
    for (pattern, matched) in [
        ("", &[""][..]),
        ("x", &["x"]),
        ("*", &lines),
        ("a*b", &["axxb", "aab", "a*b", "ab"]),
        ("*ab*", &["xab", "abz", "aba", "ab"]),
        ("**", &["a*b", "*", "**"]),
        ("a**", &["a*b"]),
        ("*a", &["bca"]),
        ("*b", &["axxb", "xab", "aab", "a*b", "ab"]),
        ("a*", &["axxb", "axbxb", "abz", "aab", "aba", "a*b", "ab"]),
        ("***", &["*", "**"]),
        ("ab", &["ab"]),
    ] {
        let model: Vec<_> =
            lines.iter().filter(|line| matches(pattern.as_bytes(), line.as_bytes())).collect();
        if pattern != "***" {
            assert_eq!(model, matched.iter().collect::<Vec<_>>(), "the test's own {pattern:?}");
        }
        assert_eq!(matching(pattern, &lines), model.into_iter().copied().collect::<Vec<_>>());
    }
}

#[test]
fn nothing_but_the_star_is_special() {
    let lines = ["a", "A", "[a]", "?", "\\*", "\\", "a.", ".*", "^a", "a$", "(a|b)", "\\a"];
    for pattern in ["a", "A", "[a]", "?", "\\*", "\\", "^a", "a$", "(a|b)", "[*", "\\a", "."] {
        let wanted: Vec<_> =
            lines.iter().filter(|line| matches(pattern.as_bytes(), line.as_bytes())).collect();
        assert_eq!(matching(pattern, &lines), wanted.into_iter().copied().collect::<Vec<_>>());
    }
}

#[test]
fn all_short_patterns_and_lines_of_a_few_bytes_agree() {
    let words = |longest: usize| {
        let mut words: Vec<Vec<u8>> = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..longest {
            let to = words.len();
            for at in from..to {
                words.extend([b'a', b'b', b'*'].map(|byte| [&words[at][..], &[byte]].concat()));
            }
            from = to;
        }
        words
    };
    let scripts: Vec<_> = words(4).iter().map(|pattern| only_matching(pattern)).collect();
    check_scripts(&scripts, &words(5));
}

#[test]
fn patterns_of_any_bytes_agree() {
    let mut random = Random(1);
    let all: Vec<u8> = (1..=255).collect();
    for alphabet in [&b"ab*"[..], b"abc **", b"a\r\t\x80\xff*", b"0123456789 :*", &all] {
        let mut any: Vec<u8> = alphabet.to_vec();
        any.retain(|&byte| byte != b'\n');
        any.push(0);
        let lines: Vec<_> = (0..300).map(|_| random.bytes(&any, 12)).collect();
        let mut scripts: Vec<_> =
            (0..60).map(|_| only_matching(&random.bytes(alphabet, 6))).collect();
        // Patterns which have something to match: a line with a star for some bytes.
        for _ in 0..60 {
            let mut pattern = lines[random.below(lines.len())].clone();
            pattern.retain(|&byte| byte != 0);
            for _ in 0..=random.below(2) {
                let from = random.below(pattern.len() + 1);
                let to = from + random.below(pattern.len() - from + 1);
                pattern.splice(from..to, [b'*']);
            }
            scripts.push(only_matching(&pattern));
        }
        check_scripts(&scripts, &lines);
    }
}

#[test]
fn scripts_of_many_patterns_agree() {
    let mut random = Random(2);
    let lines: Vec<_> = (0..300).map(|_| random.bytes(b"abc*", 7)).collect();
    let scripts: Vec<Vec<Vec<u8>>> = (0..100)
        .map(|_| {
            let mut actions = Vec::new();
            for _ in 0..=random.below(8) {
                let sign = b"+-"[random.below(2)];
                actions.push([&[sign][..], &random.bytes(b"aabc***", 4)].concat());
            }
            actions
        })
        .collect();
    check_scripts(&scripts, &lines);
}

#[test]
fn a_pattern_sees_the_first_1000_bytes_of_a_line() {
    let line = |length: usize, last: &str| format!("{}{last}", "a".repeat(length - 1));
    let lines =
        [line(999, "z"), line(1000, "z"), line(1001, "z"), line(1000, "zb"), line(5000, "z")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    // Up to the first z, which has to be the last byte that is seen.
    assert_eq!(matching("*z", &lines), [lines[0], lines[1], lines[3]]);
    assert_eq!(matching(&"a".repeat(1000), &lines), [lines[2], lines[4]]);
    assert_eq!(matching(&"a".repeat(1001), &lines), [""; 0]);
    assert_eq!(matching(lines[1], &lines), [lines[1], lines[3]]);
    assert_eq!(matching(lines[2], &lines), [""; 0]);
}

#[test]
fn a_pattern_sees_the_stamp() {
    let tree = Tree::new();
    let script = ["t", "-*", "./none", "+@40000000*: x", "./x", "-*", "+* wanted", "./wanted"];
    log(&tree, &script, ": x\nwanted\n wanted\nun wanted\n");
    assert_eq!(tree.text("none/current"), "");
    assert_eq!(split(&tree.text("x/current")).1, ": x\n");
    // The star ends at the first space, that of the stamp.
    assert_eq!(split(&tree.text("wanted/current")).1, "wanted\n");
    // 974 bytes and the stamp are 1000.
    let (short, long) = ("b".repeat(974), "b".repeat(975));
    log(&tree, &["t", "-*", &format!("+* {short}"), "./short"], format!("{short}\n{long}\n"));
    log(&tree, &["t", "-*", &format!("+* {long}"), "./long"], format!("{short}\n{long}\n"));
    assert_eq!(tree.text("short/current").lines().count(), 2);
    assert_eq!(tree.text("long/current"), "");
}

// Standard error

#[test]
fn e_shows_at_most_200_bytes_of_a_line() {
    let tree = Tree::new();
    for (length, shown) in [
        (0, String::new()),
        (199, "y".repeat(199)),
        (200, "y".repeat(200)),
        (201, format!("{}...", "y".repeat(200))),
        (1000, format!("{}...", "y".repeat(200))),
        (1001, format!("{}...", "y".repeat(200))),
        (100_000, format!("{}...", "y".repeat(200))),
    ] {
        let input = format!("{}\nnext\n", "y".repeat(length));
        multilog(&tree, &["e"]).stdin(input).run().is(0, "", format!("{shown}\nnext\n"));
    }
}

#[test]
fn e_shows_selected_lines_byte_for_byte() {
    let tree = Tree::new();
    let every: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').take(200).collect();
    let input = [&every[..], b"\nhidden\nlast"].concat();
    let output = multilog(&tree, &["-hidden", "e"]).stdin(input).run();
    output.is(0, "", [&every[..], b"\nlast\n"].concat());
}

#[test]
fn e_with_a_rest_is_e_and_each_one_shows_the_line() {
    let tree = Tree::new();
    let script = ["error", "-b", "e1", "exec"];
    multilog(&tree, &script).stdin("a\nb\n").run().is(0, "", "a\na\na\nb\n");
}

#[test]
fn e_shows_the_stamp_which_counts() {
    let tree = Tree::new();
    let (short, long) = ("y".repeat(174), "y".repeat(175));
    let output = multilog(&tree, &["t", "e", "./d"]).stdin(format!("{short}\n{long}\n")).run();
    let (shown, kept) = (output.err(), tree.text("d/current"));
    let (shown, kept): (Vec<_>, Vec<_>) = (shown.lines().collect(), kept.lines().collect());
    assert_eq!(shown, [kept[0], &format!("{}...", &kept[1][..200])]);
}

#[test]
fn a_standard_error_which_takes_nothing_does_not_matter() {
    let tree = Tree::new();
    tree.sh("printf 'a\\nb\\n' | exec multilog e ./d 2>/dev/full").run().is(0, "", "");
    assert_eq!(tree.text("d/current"), "a\nb\n");
}

#[test]
fn e_shows_a_line_at_once() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["e"]);
    let mut shown = String::new();
    for number in 0..20 {
        writeln!(shown, "line {number}").expect("text");
        logger.send(format!("line {number}\n"));
        wait_until("it is shown", DEADLINE, || logger.process.stderr() == shown);
    }
    logger.end().is(0, "", shown);
}

// Status files

/// The first bytes of a line and newlines, 1001 bytes.
fn status(line: &str) -> Vec<u8> {
    let mut text = line.as_bytes()[..line.len().min(1000)].to_vec();
    text.resize(1001, b'\n');
    text
}

#[test]
fn a_status_file_has_the_last_selected_line_and_1001_bytes() {
    let tree = Tree::new();
    log(&tree, &["=all", "-b*", "=some", "-*", "=none"], "a\nlonger\nb\n");
    assert_eq!(tree.read("all"), status("b"));
    assert_eq!(tree.read("some"), status("longer"));
    assert_eq!(tree.read("none"), b"");
    for name in ["all", "some", "none"] {
        assert_eq!(tree.mode(name), 0o600);
    }
}

#[test]
fn a_status_file_has_at_most_1000_bytes_of_a_line() {
    for length in [0, 1, 999, 1000, 1001, 1002, 50_000] {
        let tree = Tree::new();
        let line = "y".repeat(length);
        log(&tree, &["=status"], format!("first\n{line}\n"));
        assert_eq!(tree.read("status"), status(&line), "{length}");
    }
}

#[test]
fn nothing_of_a_long_line_is_left_when_a_short_one_follows() {
    let tree = Tree::new();
    log(&tree, &["=status"], format!("{}\nshort\n", "y".repeat(3000)));
    assert_eq!(tree.read("status"), status("short"));
}

#[test]
fn a_status_file_is_written_over_and_not_cut() {
    let tree = Tree::new();
    tree.write("long", "z".repeat(1500));
    tree.write("short", "z");
    tree.chmod("short", 0o640);
    let inode = fs::metadata(tree.path("long")).expect("a file").ino();
    log(&tree, &["=long", "=short"], "line\n");
    assert_eq!(tree.read("long"), [status("line"), b"z".repeat(499)].concat());
    assert_eq!(tree.read("short"), status("line"));
    assert_eq!(tree.mode("short"), 0o640);
    assert_eq!(fs::metadata(tree.path("long")).expect("a file").ino(), inode);
    // Without a line there is nothing to write.
    tree.write("same", "text");
    log(&tree, &["=same"], "");
    assert_eq!(tree.text("same"), "text");
}

#[test]
fn a_status_file_has_the_stamp() {
    let tree = Tree::new();
    log(&tree, &["t", "=status", "./d"], "line\n");
    assert_eq!(tree.read("status"), status(tree.text("d/current").trim_end()));
}

#[test]
fn status_files_are_found_from_where_multilog_was_started() {
    let tree = Tree::new();
    tree.mkdir("d");
    log(&tree, &["./d", "=a", "./e", "=d/../b"], "line\n");
    assert_eq!(tree.read("a"), status("line"));
    assert_eq!(tree.read("b"), status("line"));
    assert!(!tree.exists("d/a") && !tree.exists("e/b"));
}

#[test]
fn a_status_file_is_written_at_once() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["=status"]);
    for number in 0..20 {
        let line = format!("line {number}");
        logger.send(format!("{line}\n"));
        wait_until("it is there", DEADLINE, || tree.read("status") == status(&line));
    }
    logger.end().is(0, "", "");
}

#[test]
fn a_status_file_which_cannot_be_opened_is_fatal_before_any_directory_is_made() {
    let tree = Tree::new();
    tree.mkdir("directory");
    tree.fifo("fifo", 0o600);
    for (name, error) in [
        ("no/such", "file does not exist"),
        ("", "file does not exist"),
        ("directory", "is a directory"),
        ("fifo", "device not configured"),
    ] {
        let line = format!("multilog: fatal: unable to create {name}: {error}\n");
        let script = ["./d", "=good", &format!("={name}")];
        multilog(&tree, &script).stdin("a\n").run().is(111, "", line);
        assert!(!tree.exists("d"));
        assert!(tree.exists("good"));
    }
}

#[test]
fn a_status_file_of_somebody_else_is_fatal() {
    let tree = Tree::new();
    tree.chmod("", 0o777);
    tree.write("status", "");
    tree.chmod("status", 0o444);
    let line = "multilog: fatal: unable to create status: access denied\n";
    multilog(&tree, &["=status"]).unprivileged().run().is(111, "", line);
}

#[test]
fn a_status_file_in_which_one_cannot_move_is_told() {
    let tree = Tree::new();
    tree.fifo("fifo", 0o600);
    let _reader = tree.open_fifo("fifo");
    let logger = multilog(&tree, &["=fifo"]).stdin("a\n").start();
    let line =
        "multilog: warning: unable to move to beginning of fifo, pausing: unseekable descriptor\n";
    logger.wait_stderr(line);
}

// Directories

#[test]
fn a_log_directory_is_made_with_its_files_and_modes() {
    for umask in ["000", "022", "077", "777"] {
        let tree = Tree::new();
        let script = format!("umask {umask}; exec multilog ./d =status");
        tree.sh(&script).stdin("line\n").run().is(0, "", "");
        assert_eq!(tree.mode("d"), 0o700, "{umask}");
        assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
        assert_eq!(tree.mode("d/current"), 0o744);
        assert_eq!(tree.mode("d/lock"), 0o600);
        assert_eq!(tree.mode("d/state"), 0o644);
        assert_eq!(tree.mode("status"), 0o600);
        assert_eq!((tree.text("d/lock"), tree.text("d/state")), (String::new(), String::new()));
    }
}

#[test]
fn a_directory_which_exists_keeps_its_mode() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.chmod("d", 0o755);
    log(&tree, &["./d"], "line\n");
    assert_eq!(tree.mode("d"), 0o755);
    tree.mkdir("real");
    tree.symlink("real", "link");
    log(&tree, &["./link"], "line\n");
    assert_eq!(tree.text("real/current"), "line\n");
}

#[test]
fn the_current_file_is_not_executable_while_it_is_written() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("line\n");
    assert_eq!(tree.mode("d/current"), 0o644);
    logger.end().is(0, "", "");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn only_one_level_of_directories_is_made() {
    let tree = Tree::new();
    let line = "multilog: fatal: unable to open directory ./x/y: file does not exist\n";
    multilog(&tree, &["./x/y"]).stdin("a\n").run().is(111, "", line);
    assert!(!tree.exists("x"));
}

#[test]
fn a_directory_which_is_a_file_is_fatal() {
    let tree = Tree::new();
    tree.write("file", "content");
    let line = "multilog: fatal: unable to open directory ./file: not a directory\n";
    multilog(&tree, &["./file"]).stdin("a\n").run().is(111, "", line);
    assert_eq!(tree.text("file"), "content");
}

#[test]
fn a_directory_which_is_closed_is_fatal() {
    for (mode, text) in [(0o300, "open"), (0o600, "open"), (0o000, "open"), (0o500, "lock")] {
        let tree = Tree::new();
        tree.mkdir("d");
        tree.chmod("d", mode);
        let line = format!("multilog: fatal: unable to {text} directory ./d: access denied\n");
        multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
    }
    let tree = Tree::new();
    tree.chmod("", 0o555);
    let line = "multilog: fatal: unable to open directory ./d: file does not exist\n";
    multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
}

#[test]
fn files_which_cannot_be_used_are_fatal() {
    let tree = Tree::new();
    let fatal = |line: &str| {
        let line = format!("multilog: fatal: {line}\n");
        multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
        fs::remove_dir_all(tree.path("d")).expect("remove the log");
    };
    tree.mkdir("d/lock");
    fatal("unable to lock directory ./d: is a directory");
    tree.write("d/lock", "");
    tree.chmod("d/lock", 0o444);
    fatal("unable to lock directory ./d: access denied");
    tree.mkdir("d");
    tree.symlink("current", "d/current");
    fatal("unable to stat ./d/current: symbolic link loop");
    tree.mkdir("d");
    tree.symlink("processed", "d/processed");
    fatal("unable to stat ./d/processed: symbolic link loop");
    tree.write("d/current", "");
    tree.chmod("d/current", 0o544);
    fatal("unable to append to ./d/current: access denied");
    tree.mkdir("d/state/x");
    fatal("unable to write to ./d/state: is a directory");
}

#[test]
fn a_current_file_which_is_a_directory_is_told() {
    let tree = Tree::new();
    tree.mkdir("a/current/x");
    tree.chmod("a/current", 0o644);
    tree.mkdir("b/current/x");
    let line = "multilog: fatal: unable to append to ./b/current: is a directory\n";
    multilog(&tree, &["./b"]).stdin("a\n").run().is(111, "", line);
    let logger = multilog(&tree, &["./a"]).stdin("a\n").start();
    logger.wait_stderr(", pausing: ");
    assert!(!tree.exists("a/lost") && finished(&tree, "b").is_empty());
}

/// Whether it is the message for a held lock. Ours adds who has it.
#[track_caller]
fn is_held(tree: &Tree, output: &Output, dir: &str) {
    let line = format!("multilog: fatal: unable to lock directory {dir}: temporary failure");
    let err = output.err();
    let rest = err.strip_prefix(&line);
    let as_wanted = if tree.suite().differs("the process that holds the lock is named") {
        rest.is_some_and(|rest| rest.starts_with(" (held by pid ") && rest.ends_with(")\n"))
    } else {
        rest == Some("\n")
    };
    assert!(output.code == Some(111) && as_wanted, "{output}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_directory_belongs_to_one_multilog() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    is_held(&tree, &multilog(&tree, &["./d"]).stdin("two\n").run(), "./d");
    logger.log("three\n");
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    logger.end().is(0, "", "");
    log(&tree, &["./d"], "four\n");
    assert_eq!(tree.text("d/current"), "one\nthree\nfour\n");
}

#[test]
fn a_directory_named_twice_is_locked_by_itself() {
    let tree = Tree::new();
    is_held(&tree, &multilog(&tree, &["./d", "./d"]).stdin("a\n").run(), "./d");
    is_held(&tree, &multilog(&tree, &["./d", "d/", "./d/"]).stdin("a\n").run(), "./d/");
}

#[test]
fn the_lock_is_one_which_other_programs_can_hold() {
    let tree = Tree::new();
    tree.mkdir("d");
    let holder = tree.cmd("setlock").args(["d/lock", "sleep", "1000"]).start();
    process::wait_asleep(holder.pid(), "sleep");
    is_held(&tree, &multilog(&tree, &["./d"]).stdin("a\n").run(), "./d");
    drop(holder);
    log(&tree, &["./d"], "a\n");
}

#[test]
fn a_place_which_cannot_be_read_is_fatal() {
    let tree = Tree::new();
    tree.mkdir("place");
    tree.chmod("place", 0o300);
    let output = multilog(&tree, &["./d"]).cwd("place").unprivileged().stdin("a\n").run();
    let line = "multilog: fatal: unable to switch to current directory: access denied\n";
    output.is(111, "", line);
}

#[test]
fn arguments_are_shown_as_they_are() {
    let tree = Tree::new();
    let name = OsString::from_vec(b"./\xff/\x01\t".to_vec());
    let output = tree.cmd("multilog").arg(name).run();
    let line = b"multilog: fatal: unable to open directory ./\xff/\x01\t: file does not exist\n";
    output.is(111, "", line);
    let line = "multilog: fatal: unable to open directory ./x/y: file does not exist\n";
    multilog(&tree, &["./x/y"]).arg0("/other/name").run().is(111, "", line);
}

#[test]
fn standard_output_is_not_used() {
    let tree = Tree::new();
    tree.sh("exec multilog e ./d >&-").stdin("a\n").run().is(0, "", "a\n");
    tree.sh("exec multilog e ./d >/dev/full").stdin("b\n").run().is(0, "", "b\n");
    assert_eq!(tree.text("d/current"), "a\nb\n");
}

// Recovery

/// What a log is found as: names, contents, modes.
fn lay(tree: &Tree, files: &[(&str, &str, u32)]) {
    tree.mkdir("d");
    for (name, content, mode) in files {
        tree.write(format!("d/{name}"), content);
        tree.chmod(format!("d/{name}"), *mode);
    }
}

/// Lays files and runs multilog on no input. Asserts that there is a fresh
/// `current` afterwards; returns the contents of the finished files, each with
/// its suffix and mode.
#[track_caller]
fn recovered(tree: &Tree, files: &[(&str, &str, u32)]) -> Vec<(String, &'static str, u32)> {
    lay(tree, files);
    let before = now();
    log(tree, &["./d"], "");
    let after = now();
    let rest: Vec<_> = names(tree, "d").into_iter().filter(|n| !n.starts_with('@')).collect();
    assert_eq!(rest, ["current", "lock", "state"]);
    assert_eq!((tree.text("d/current"), tree.text("d/state")), (String::new(), String::new()));
    assert_eq!((tree.mode("d/current"), tree.mode("d/state")), (0o744, 0o644));
    let laid = |name: &str| files.iter().any(|(laid, ..)| format!("d/{laid}") == name);
    let finished = finished(tree, "d").into_iter().filter(|name| !laid(name));
    finished
        .map(|name| {
            let (digits, suffix) = name[3..].split_at(24);
            is_between(&before, digits, &after);
            let suffix = if suffix == ".s" { ".s" } else { ".u" };
            assert_eq!(&name[27..], suffix);
            (tree.text(&name), suffix, tree.mode(&name))
        })
        .collect()
}

fn found(text: &str, suffix: &'static str, mode: u32) -> (String, &'static str, u32) {
    (text.to_owned(), suffix, mode)
}

#[test]
fn nothing_is_a_new_log() {
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[]), []);
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[("lock", "", 0o600)]), []);
}

#[test]
fn a_log_which_was_ended_well_is_continued() {
    let tree = Tree::new();
    lay(&tree, &[("current", "old\n", 0o744), ("state", "kept", 0o644)]);
    let inode = |name: &str| fs::metadata(tree.path(name)).expect("a file").ino();
    let before = inode("d/current");
    log(&tree, &["./d"], "new\n");
    assert_eq!(tree.text("d/current"), "old\nnew\n");
    assert_eq!(tree.mode("d/current"), 0o744);
    assert_eq!(tree.text("d/state"), "kept");
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    assert_eq!(inode("d/current"), before);
}

#[test]
fn only_the_owners_bit_says_that_a_log_was_ended_well() {
    let tree = Tree::new();
    lay(&tree, &[("current", "old\n", 0o700)]);
    log(&tree, &["./d"], "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("old\n".into(), 0o744));
    let tree = Tree::new();
    assert_eq!(recovered(&tree, &[("current", "a\n", 0o655)]), [found("a\n", ".u", 0o655)]);
}

#[test]
fn a_log_which_was_not_ended_is_put_aside() {
    let tree = Tree::new();
    let files = [("current", "a\npart", 0o644), ("state", "lost", 0o644)];
    assert_eq!(recovered(&tree, &files), [found("a\npart", ".u", 0o644)]);
}

#[test]
fn an_empty_log_which_was_not_ended() {
    let tree = Tree::new();
    let aside = recovered(&tree, &[("current", "", 0o644)]);
    assert_eq!(aside, [found("", ".u", 0o644)]);
}

#[test]
fn a_full_file_is_put_aside() {
    for mode in [0o744, 0o644] {
        let tree = Tree::new();
        let aside = recovered(&tree, &[("previous", "full\n", mode)]);
        assert_eq!(aside, [found("full\n", ".u", mode)]);
    }
}

#[test]
fn a_full_file_comes_before_the_current_one() {
    let tree = Tree::new();
    let aside = recovered(&tree, &[("previous", "1\n", 0o644), ("current", "2\n", 0o644)]);
    assert_eq!(aside, [found("1\n", ".u", 0o644), found("2\n", ".u", 0o644)]);
}

#[test]
fn a_full_file_which_has_its_last_name_already_loses_the_other() {
    let tree = Tree::new();
    let name = "@400000006b0119772131db2c.s";
    lay(&tree, &[(name, "full\n", 0o744)]);
    fs::hard_link(tree.path(format!("d/{name}")), tree.path("d/previous")).expect("a second name");
    log(&tree, &["./d"], "");
    assert_eq!(names(&tree, "d"), [name, "current", "lock", "state"]);
    assert_eq!(tree.text(format!("d/{name}")), "full\n");
}

#[test]
fn a_processor_which_had_finished_is_believed() {
    let tree = Tree::new();
    let files = [
        ("processed", "PROCESSED\n", 0o744),
        ("previous", "raw\n", 0o744),
        ("state", "old", 0o644),
        ("newstate", "new", 0o644),
        ("current", "more\n", 0o644),
    ];
    let wanted = [found("PROCESSED\n", ".s", 0o744), found("more\n", ".u", 0o644)];
    assert_eq!(recovered(&tree, &files), wanted);
}

#[test]
fn a_processor_which_had_not_finished_is_not_believed() {
    let tree = Tree::new();
    let files = [
        ("processed", "PROC", 0o644),
        ("previous", "raw\n", 0o744),
        ("state", "old", 0o644),
        ("newstate", "ne", 0o644),
        ("current", "more\n", 0o644),
    ];
    let wanted = [found("raw\n", ".u", 0o744), found("more\n", ".u", 0o644)];
    assert_eq!(recovered(&tree, &files), wanted);
}

#[test]
fn remains_of_a_processor_alone_are_removed() {
    let tree = Tree::new();
    let files = [("processed", "PROC", 0o644), ("newstate", "n", 0o644), ("state", "s", 0o644)];
    assert_eq!(recovered(&tree, &files), []);
    let tree = Tree::new();
    let aside = recovered(&tree, &[("processed", "PROCESSED\n", 0o744)]);
    assert_eq!(aside, [found("PROCESSED\n", ".s", 0o744)]);
}

#[test]
fn what_is_left_beside_a_well_ended_log_is_left_there_until_the_next_rotation() {
    let tree = Tree::new();
    lay(&tree, &[("current", "2\n", 0o744), ("previous", "1\n", 0o744)]);
    log(&tree, &["./d"], "");
    // It does not even look.
    assert_eq!(names(&tree, "d"), ["current", "lock", "previous"]);
    assert_eq!((tree.text("d/current"), tree.text("d/previous")), ("2\n".into(), "1\n".into()));
    let logger = start(&tree, &["./d"]);
    logger.signal(Signal::ALARM);
    if tree.suite().differs("what is left beside a complete file is kept at the next rotation") {
        let files = wait_finished(&tree, "d", 2);
        let of = |suffix| files.iter().find(|name| name.ends_with(suffix)).expect("there is one");
        assert_eq!(tree.text(of(".u")), "1\n");
        assert_eq!(tree.text(of(".s")), "2\n");
    } else {
        // It is lost.
        let files = wait_finished(&tree, "d", 1);
        assert!(files[0].ends_with(".s"), "{files:?}");
        assert_eq!(tree.text(&files[0]), "2\n");
    }
    logger.end().is(0, "", "");
}

#[test]
fn recovery_keeps_no_more_files_than_are_wanted() {
    let tree = Tree::new();
    let old: Vec<String> = (0..9).map(|n| format!("@400000000000000a0000000{n}.s")).collect();
    let mut files: Vec<_> = old.iter().map(|name| (name.as_str(), "x", 0o744)).collect();
    files.push(("previous", "1\n", 0o744));
    files.push(("current", "2\n", 0o644));
    lay(&tree, &files);
    log(&tree, &["n5", "./d"], "");
    let left = finished(&tree, "d");
    let texts: Vec<_> = left.iter().map(|name| tree.text(name)).collect();
    assert_eq!(texts, ["x", "x", "1\n", "2\n"]);
    assert_eq!(left[..2], [format!("d/{}", old[7]), format!("d/{}", old[8])]);
}

#[test]
fn a_killed_multilog_leaves_what_it_had_written() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    logger.log("two\n");
    logger.process.signal(Signal::KILL);
    assert_eq!(logger.process.wait().signal, Some(9));
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\ntwo\n".into(), 0o644));
    log(&tree, &["./d"], "three\n");
    assert_eq!(tree.text(only(&tree, "d")), "one\ntwo\n");
    assert!(only(&tree, "d").ends_with(".u"));
    assert_eq!(tree.text("d/current"), "three\n");
}

#[test]
fn other_signals_kill_it_as_usual() {
    for (signal, number) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::USR1, 10)] {
        let tree = Tree::new();
        let mut logger = start(&tree, &["./d"]);
        logger.log("one\n");
        logger.process.signal(signal);
        assert_eq!(logger.process.wait().signal, Some(number));
        assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o644));
    }
}

#[test]
fn a_directory_is_passed_on_from_one_run_to_the_next() {
    let tree = Tree::new();
    let lines = numbered(1000, 16);
    for part in lines.as_bytes().chunks(1600) {
        log(&tree, &["s4096", "n100", "./d"], part);
    }
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
    // The size is that of the file, not that of what this run has written.
    let sizes: Vec<_> = finished(&tree, "d").iter().map(|name| tree.read(name).len()).collect();
    assert!(sizes.iter().all(|&size| size > 2000 && size <= 4096), "{sizes:?}");
}

// Lines

#[test]
fn a_line_is_in_current_before_the_next_one_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    let mut wanted = String::new();
    for number in 0..50 {
        let line = format!("line {number} {}\n", "x".repeat(number * 37));
        logger.send(&line);
        wanted += &line;
        wait_until("it is there", DEADLINE, || tree.text("d/current") == wanted);
    }
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), wanted);
}

#[test]
fn the_last_line_gets_its_newline() {
    for (input, kept) in
        [("", ""), ("x", "x\n"), ("a\nb", "a\nb\n"), ("\n", "\n"), ("\n\n", "\n\n")]
    {
        let tree = Tree::new();
        log(&tree, &["./d"], input);
        assert_eq!(tree.text("d/current"), kept);
    }
    for length in [999, 1000, 1001, 5000] {
        let tree = Tree::new();
        log(&tree, &["./d", "-*", "./none"], "y".repeat(length));
        assert_eq!(tree.text("d/current"), format!("{}\n", "y".repeat(length)));
        assert_eq!(tree.text("none/current"), "");
    }
}

#[test]
fn every_byte_is_kept() {
    let tree = Tree::new();
    let mut input: Vec<u8> = (0..=255).collect();
    input.extend(b"\r\n\0\n\0\0x\n\xff\xfe\n \t \n");
    log(&tree, &["./d"], &input);
    assert_eq!(tree.read("d/current"), input);
    let mut random = Random(3);
    let all: Vec<u8> = (0..=255).collect();
    input = (0..1000).flat_map(|_| random.bytes(&all, 300)).collect();
    input.push(b'\n');
    log(&tree, &["s16000000", "./e"], &input);
    assert_eq!(tree.read("e/current"), input);
}

#[test]
fn lines_of_every_length_are_kept() {
    let tree = Tree::new();
    let mut input = String::new();
    for length in (0..600).chain(990..1040).chain(2040..2060).chain([4096, 8192, 65_535, 65_536]) {
        input += &"z".repeat(length);
        input.push('\n');
    }
    log(&tree, &["s16000000", "./d"], &input);
    assert_eq!(tree.text("d/current"), input);
    log(&tree, &["s16000000", "t", "./e"], &input);
    assert_eq!(tree.text("e/current"), input);
    log(&tree, &["t", "s16000000", "./f"], &input);
    let stamped = tree.text("f/current");
    let lines: String = stamped.split_inclusive('\n').map(|line| split(line).1).collect();
    assert_eq!(lines, input);
}

#[test]
fn a_line_of_a_megabyte_goes_through_several_files() {
    let tree = Tree::new();
    let line = format!("start {} end\n", "x".repeat(1_000_000));
    let input = format!("before\n{line}after\n");
    let script = ["n100", "./d", "e", "=status", "-*", "./none"];
    let output = multilog(&tree, &script).stdin(&input).run();
    output.is(0, "", format!("before\n{}...\nafter\n", &line[..200]));
    assert_eq!(whole(&tree, "d"), input.as_bytes());
    for name in finished(&tree, "d") {
        assert!(tree.read(name).len() <= 99_999);
    }
    assert_eq!(tree.read("status"), status("after"));
    assert_eq!(tree.text("none/current"), "");
}

#[test]
fn a_long_line_is_written_before_its_end_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("x".repeat(3000));
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3000);
    logger.send("y");
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3001);
    logger.send("\n");
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3002);
    logger.end().is(0, "", "");
}

#[test]
fn a_line_is_written_when_all_that_the_script_sees_has_come() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("x".repeat(1000));
    logger.send("\n");
    logger.end().is(0, "", "");
}

#[test]
fn part_of_a_short_line_waits_for_its_end() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./a", "-no*", "./d"]);
    logger.log("first\n");
    logger.send("no");
    logger.wait_idle();
    assert_eq!(tree.text("a/current"), "first\n");
    logger.send(" line\nnext\n");
    tree.wait_text("d/current", "next");
    assert_eq!(tree.text("d/current"), "first\nnext\n");
    assert_eq!(tree.text("a/current"), "first\nno line\nnext\n");
    logger.end().is(0, "", "");
}

#[test]
fn a_stamp_is_the_moment_when_the_line_came() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["t", "./d"]);
    for count in 1..20 {
        let before = now();
        logger.send(format!("line {count}\n"));
        let line = tree.wait_lines("d/current", count).pop().expect("a line");
        is_between(&before, split(&line).0, &now());
    }
    // With its first byte, not with its last.
    logger.send("whole\npar");
    tree.wait_text("d/current", "whole");
    let before_the_rest = now();
    logger.send("tial\n");
    let text = tree.wait_text("d/current", "partial");
    let (digits, line) = split(text.lines().next_back().expect("a line"));
    assert_eq!(line, "partial");
    assert!(digits <= &*before_the_rest, "{digits} {before_the_rest}");
    logger.end().is(0, "", "");
}

// Rotation

/// Sends lines singly until there are so many bytes, which must be the end of
/// the first file and not earlier.
#[track_caller]
fn is_full_with_single_lines(length: usize, full: usize) {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    let line = format!("{}\n", "x".repeat(length - 1));
    for sent in (length..full).step_by(length) {
        logger.send(&line);
        wait_until("the line is there", DEADLINE, || tree.read("d/current").len() == sent);
    }
    logger.wait_idle();
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    logger.send(&line);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!((tree.read(name).len(), tree.read("d/current").len()), (full, 0));
    logger.end().is(0, "", "");
}

#[test]
fn a_file_is_full_at_the_end_of_a_line_less_than_2000_bytes_before_its_size() {
    is_full_with_single_lines(16, 2096);
    is_full_with_single_lines(15, 2100);
    is_full_with_single_lines(2096, 2096);
    // A line which ends a byte earlier does not help.
    let tree = Tree::new();
    let line = format!("{}\n", "x".repeat(2094));
    log(&tree, &["s4096", "./d"], line.repeat(2));
    assert_eq!(tree.read(only(&tree, "d")).len(), 4096);
    assert_eq!(tree.read("d/current").len(), 2 * 2095 - 4096);
}

#[test]
fn without_newlines_a_file_is_exactly_full_and_stays_until_more_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    logger.send("x".repeat(4096));
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 4096);
    logger.wait_idle();
    assert_eq!(finished(&tree, "d"), [""; 0]);
    logger.send("y");
    wait_until("it is there", DEADLINE, || tree.text("d/current") == "y");
    assert_eq!(tree.text(only(&tree, "d")), "x".repeat(4096));
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), "y\n");
}

#[test]
fn a_finished_file_has_its_name_and_mode_and_was_current() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    logger.log("first\n");
    let inode = fs::metadata(tree.path("d/current")).expect("a file").ino();
    let before = now();
    logger.send(format!("{}\n", "x".repeat(3000)));
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    let after = now();
    let digits = name.strip_prefix("d/@").and_then(|name| name.strip_suffix(".s"));
    is_between(&before, digits.expect("a name"), &after);
    assert_eq!(tree.mode(&name), 0o744);
    assert_eq!(fs::metadata(tree.path(&name)).expect("a file").ino(), inode);
    assert_eq!(names(&tree, "d")[1..], ["current", "lock", "state"]);
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), (String::new(), 0o644));
    logger.end().is(0, "", "");
}

#[test]
fn no_line_is_lost_or_doubled_and_no_file_is_too_long() {
    let mut random = Random(4);
    for (size, longest) in [(4096, 40), (4096, 300), (5000, 1500), (4096, 6000), (20_000, 9000)] {
        let tree = Tree::new();
        let mut input = Vec::new();
        while input.len() < 40 * size {
            input.extend(random.bytes(b"abcdefgh ", longest));
            input.push(b'\n');
        }
        log(&tree, &[&format!("s{size}"), "n1000", "./d"], &input);
        assert!(whole(&tree, "d") == input, "{size} {longest}");
        for name in finished(&tree, "d") {
            let file = tree.read(&name);
            // At a newline in the last 2000 bytes, else exactly full.
            let at_newline = file.ends_with(b"\n") && file.len() >= size - 2000;
            assert!(file.len() <= size && (at_newline || file.len() == size), "{}", file.len());
            let tail = &file[size - 2000..];
            assert!(at_newline || !tail.contains(&b'\n'), "{size} {longest}");
        }
        assert!(tree.read("d/current").len() <= size);
    }
}

#[test]
fn the_oldest_files_go() {
    let tree = Tree::new();
    let lines = numbered(2000, 16);
    log(&tree, &["s4096", "n4", "./d"], &lines);
    let kept = whole(&tree, "d");
    assert_eq!(finished(&tree, "d").len(), 3);
    assert!(lines.as_bytes().ends_with(&kept));
    assert!(kept.len() >= 3 * 2096 && kept.len() <= 4 * 4096);
}

#[test]
fn only_long_names_with_an_at_sign_count_and_go() {
    let tree = Tree::new();
    let others = ["@short", "@00000000000000000000000", "other", ".@000000000000000000000000.s"];
    let counted =
        ["@000000000000000000000000", "@00000000000000000000000zyx", "@1 has no digits at all..."];
    for name in others.iter().chain(&counted) {
        tree.write(format!("d/{name}"), "x");
    }
    log(&tree, &["s4096", "n4", "./d"], format!("{}\n", "x".repeat(3000)));
    let names = names(&tree, "d");
    for name in others {
        assert!(names.contains(&name.to_owned()), "{name} {names:?}");
    }
    let left: Vec<bool> = counted.iter().map(|name| names.contains(&(*name).to_owned())).collect();
    assert_eq!(left, [false, true, true]);
}

#[test]
fn directories_may_have_different_lines_and_sizes() {
    let tree = Tree::new();
    let script = ["s4096", "n50", "./a", "-*5", "s8192", "./b", "-*", "./c"];
    let lines = numbered(3000, 16);
    log(&tree, &script, &lines);
    assert_eq!(whole(&tree, "a"), lines.as_bytes());
    let selected = |line: &&str| !matches(b"*5", line.trim_end().as_bytes());
    let selected: String = lines.split_inclusive('\n').filter(selected).collect();
    assert_eq!(whole(&tree, "b"), selected.as_bytes());
    assert_eq!(whole(&tree, "c"), b"");
    assert!(finished(&tree, "a").len() > finished(&tree, "b").len());
}

// Signals

#[test]
fn alrm_finishes_the_files_which_are_not_empty() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d", "-*", "./empty"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!((tree.text(&name), tree.mode(&name)), ("one\n".into(), 0o744));
    assert!(name.ends_with(".s"));
    assert_eq!(tree.text("d/current"), "");
    // Now it is empty.
    logger.signal(Signal::ALARM);
    logger.log("two\n");
    assert_eq!(only(&tree, "d"), name);
    logger.signal(Signal::ALARM);
    let files = wait_finished(&tree, "d", 2);
    assert_eq!(tree.text(&files[1]), "two\n");
    assert_eq!(finished(&tree, "empty"), [""; 0]);
    logger.end().is(0, "", "");
    assert_eq!(finished(&tree, "d"), files);
}

#[test]
fn alrm_in_a_line_leaves_the_line_whole() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::ALARM);
    wait_finished(&tree, "d", 1);
    logger.send("o\n");
    wait_until("the line is there", DEADLINE, || tree.text("d/current") == "two\n");
    assert_eq!(tree.text(only(&tree, "d")), "one\n");
    logger.end().is(0, "", "");
}

#[test]
fn term_ends_it_at_once_at_the_end_of_a_line() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    logger.wait_idle();
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o744));
}

#[test]
fn term_before_any_input_ends_it() {
    let tree = Tree::new();
    let logger = start(&tree, &["./d"]);
    wait_until("it has begun", DEADLINE, || tree.exists("d/current"));
    logger.wait_idle();
    process::wait_asleep(logger.process.pid(), "multilog");
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn term_in_a_line_takes_the_rest_of_it_and_not_a_byte_more() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::TERM);
    assert!(!logger.process.has_ended());
    logger.send("o\nthree\nfour");
    drop(logger.input);
    logger.process.wait().is(0, "", "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\ntwo\n".into(), 0o744));
    let mut rest = String::new();
    logger.reader.read_to_string(&mut rest).expect("read the rest");
    assert_eq!(rest, "three\nfour");
}

#[test]
fn term_in_a_long_line_takes_the_rest_of_it_and_not_a_byte_more() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("x".repeat(2000));
    logger.signal(Signal::TERM);
    let rest = "y".repeat(3000);
    logger.send(format!("{rest}\nnext\n"));
    drop(logger.input);
    logger.process.wait().is(0, "", "");
    assert_eq!(tree.text("d/current"), format!("{}{rest}\n", "x".repeat(2000)));
    let mut left = String::new();
    logger.reader.read_to_string(&mut left).expect("read the rest");
    assert_eq!(left, "next\n");
}

#[test]
fn term_in_a_line_which_ends_with_the_input() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::TERM);
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), "one\ntw\n");
}

#[test]
fn what_one_multilog_leaves_in_the_pipe_is_the_next_ones() {
    let tree = Tree::new();
    let (mut reader, input) = pipe().expect("a pipe");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let writer = std::thread::spawn(move || {
        let (mut input, mut number) = (input, 0);
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            // Pieces of all sizes, so that a line is cut anywhere.
            let text = numbered_from(number, 7);
            for piece in text.as_bytes().chunks(61 + number % 50) {
                input.write_all(piece).expect("write");
            }
            number += 7;
        }
        number
    });
    for round in 0..20 {
        let dir = format!("./{round:02}");
        let own = reader.try_clone().expect("another reader");
        let logger = multilog(&tree, &["s16000000", &dir]).stdin_from(own).start();
        wait_until("it logs", DEADLINE, || !tree.read(format!("{dir}/current")).is_empty());
        logger.signal(Signal::TERM);
        logger.wait().is(0, "", "");
        assert_eq!(tree.mode(format!("{dir}/current")), 0o744);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read the rest");
    let count = writer.join().expect("the writer");
    let mut all: String = (0..20).map(|round| tree.text(format!("{round:02}/current"))).collect();
    all += &rest;
    assert!(all == numbered_from(0, count), "{} and {count} lines", all.lines().count());
}

/// Lines with these numbers.
fn numbered_from(first: usize, count: usize) -> String {
    (first..first + count).fold(String::new(), |mut text, number| {
        writeln!(text, "{number} {}", "x".repeat(number % 83)).expect("text");
        text
    })
}

#[test]
fn signals_which_were_blocked_or_ignored_at_the_start_are_obeyed() {
    let tree = Tree::new();
    let wrapper = ["env", "--block-signal=TERM,ALRM", "--ignore-signal=TERM,ALRM"];
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).under(wrapper));
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    wait_finished(&tree, "d", 1);
    logger.log("two\n");
    logger.wait_idle();
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
}

// Processors

#[test]
fn a_processor_makes_the_finished_file_of_the_full_one() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!tr a-z A-Z", "./d"]);
    logger.log("some text\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert!(name.ends_with(".s"));
    wait_until("it is complete", DEADLINE, || tree.mode(&name) == 0o744);
    assert_eq!(tree.text(&name), "SOME TEXT\n");
    logger.log("more\n");
    logger.end().is(0, "", "");
    assert_eq!(names(&tree, "d")[1..], ["current", "lock", "state"]);
    assert_eq!(tree.text("d/current"), "more\n");
    assert_eq!(tree.mode("d/state"), 0o644);
}

#[test]
fn a_processor_has_its_files_the_directory_and_the_environment() {
    let tree = Tree::new();
    let processor =
        "!exec >&1; for fd in 0 1 2 3 4 5 6 7; do readlink /proc/$$/fd/$fd || echo none; done;
                     umask; pwd; echo \"$MARKER\"; cat /proc/$$/cmdline | tr '\\0' '|'; echo;
                     stat -c %a processed newstate; grep ^Sig /proc/self/status; echo said >&2";
    let command = multilog(&tree, &[processor, "./d"]).env("MARKER", "a b");
    let mut logger = start_command(&tree, command);
    logger.log("text\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    let text = tree.text(&name);
    let lines: Vec<&str> = text.lines().collect();
    let here = tree.path("d");
    let in_dir = |name: &str| here.join(name).display().to_string();
    assert_eq!(lines[0], in_dir("previous"));
    assert_eq!(lines[1], in_dir("processed"));
    assert!(lines[2].ends_with(".err"), "{text}");
    assert_eq!(lines[3], "none");
    assert_eq!(lines[4], in_dir("state"));
    assert_eq!(lines[5], in_dir("newstate"));
    assert_eq!(lines[6..8], ["none", "none"]);
    assert_eq!(lines[8..11], ["0022", &in_dir(""), "a b"].map(|line| line.trim_end_matches('/')));
    assert!(text.contains("|-c|exec >&1; for fd"), "{text}");
    assert!(text.contains("\n644\n644\n"), "{text}");
    for line in lines.iter().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn"))
    {
        let (_, set) = line.split_once(':').expect("a set");
        assert_eq!(bits(set) & (TERM | ALRM), 0, "{line}");
    }
    logger.end().is(0, "", "said\n");
}

#[test]
fn a_processor_hands_its_state_to_the_next() {
    let tree = Tree::new();
    let processor = "!count=$(cat <&4); echo $((count + 1)) >&5; cat";
    let mut logger = start(&tree, &[processor, "./d"]);
    for count in 1..=4 {
        logger.log(format!("line {count}\n"));
        logger.signal(Signal::ALARM);
        wait_until("it has counted", DEADLINE, || {
            tree.text("d/state") == format!("{count}\n") && !tree.exists("d/newstate")
        });
        let files = wait_finished(&tree, "d", count);
        assert_eq!(tree.text(&files[count - 1]), format!("line {count}\n"));
    }
    logger.end().is(0, "", "");
    // The state stays from one run to the next.
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("line 5\n");
    logger.signal(Signal::ALARM);
    wait_until("it has counted", DEADLINE, || tree.text("d/state") == "5\n");
    logger.end().is(0, "", "");
}

#[test]
fn a_processor_which_writes_no_state_empties_it() {
    let tree = Tree::new();
    lay(&tree, &[("current", "one\n", 0o744), ("state", "old", 0o644)]);
    let logger = start(&tree, &["!cat <&4", "./d"]);
    wait_until("it has begun", DEADLINE, || tree.mode("d/current") == 0o644);
    process::wait_asleep(logger.process.pid(), "multilog");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "old");
    wait_until("it is empty", DEADLINE, || tree.text("d/state").is_empty());
    logger.end().is(0, "", "");
}

#[test]
fn processors_count_for_the_directories_behind_them() {
    let tree = Tree::new();
    let script = ["n50", "s4096", "./raw", "!tr 0 a", "./a", "./too", "!tr 0 b", "./b", "!tr 0 c"];
    let lines = numbered(1000, 16);
    log(&tree, &script, &lines);
    for (dir, zero) in [("raw", "0"), ("a", "a"), ("too", "a"), ("b", "b")] {
        let files = finished(&tree, dir);
        let processed: usize = files.iter().map(|name| tree.read(name).len()).sum();
        let wanted = lines[..processed].replace('0', zero) + &lines[processed..];
        assert!(files.len() > 3 && whole(&tree, dir) == wanted.as_bytes(), "{dir}");
    }
}

#[test]
fn an_empty_processor_leaves_empty_files() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "");
    logger.end().is(0, "", "");
}

#[test]
fn a_processor_which_fails_is_told_and_run_again() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!echo x >>../runs; test -e ../ok || exit 3; cat", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let said = logger.process.wait_stderr("\n");
    assert_eq!(said, "multilog: warning: processor failed in ./d, pausing\n");
    assert_eq!(finished(&tree, "d"), [""; 0]);
    assert_eq!(tree.text("d/previous"), "one\n");
    tree.write("ok", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    assert!(tree.text("runs").lines().count() >= 2);
    logger.log("two\n");
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
}

#[test]
fn a_processor_which_does_not_exist_fails() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!exec /no/such/program 2>/dev/null", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let line = "multilog: warning: processor failed in ./d, pausing\n";
    assert!(logger.process.wait_stderr(line).starts_with(line));
}

#[test]
fn a_processor_which_is_killed_is_told_and_run_again() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!test -e ../ok || kill -KILL $$; cat", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    logger.process.wait_stderr("multilog: warning: processor crashed in ./d, pausing");
    tree.write("ok", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
}

#[test]
fn a_missing_state_keeps_the_processor_from_running() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["!cat", "./d"]);
    logger.log("one\n");
    tree.remove("d/state");
    logger.signal(Signal::ALARM);
    let lines = "multilog: fatal: unable to run cat: file does not exist\n\
                 multilog: warning: processor failed in ./d, pausing\n";
    assert!(logger.process.wait_stderr("pausing\n").starts_with(lines));
    assert_eq!(finished(&tree, "d"), [""; 0]);
    tree.write("d/state", "");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
}

#[test]
fn a_multilog_killed_while_a_processor_runs_loses_nothing() {
    let tree = Tree::new();
    let processor = "!echo part; echo $$ >../pid; exec sleep 1000";
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let pid = tree.wait_lines("pid", 1)[0].parse().expect("a pid");
    wait_until("it has written", DEADLINE, || tree.text("d/processed") == "part\n");
    logger.process.signal(Signal::KILL);
    assert_eq!(logger.process.wait().signal, Some(9));
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    assert_eq!((tree.text("d/previous"), tree.mode("d/previous")), ("one\n".into(), 0o744));
    log(&tree, &["./d"], "two\n");
    let files = finished(&tree, "d");
    assert!(files[0].ends_with(".u") && tree.text(&files[0]) == "one\n", "{files:?}");
    assert_eq!(tree.text("d/current"), "two\n");
    assert!(!tree.exists("d/processed") && !tree.exists("d/previous"));
}

#[test]
fn term_while_a_processor_runs_loses_nothing() {
    let tree = Tree::new();
    tree.fifo("go", 0o600);
    let processor = "!echo $$ >../pid; read x <../go; cat";
    let mut logger = start(&tree, &[processor, "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    tree.wait_lines("pid", 1);
    logger.process.signal(Signal::TERM);
    logger.send("two\n");
    tree.sh("echo >go").run().is(0, "", "");
    // The original does not see the signal before there is more input.
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
    let mut rest = Vec::new();
    logger.reader.read_to_end(&mut rest).expect("read the rest");
    assert_eq!([whole(&tree, "d"), rest].concat(), b"one\ntwo\n");
}

#[test]
fn the_number_of_files_holds_with_a_processor() {
    let tree = Tree::new();
    let lines = numbered(1500, 16);
    log(&tree, &["s4096", "n3", "!cat", "./d"], &lines);
    assert_eq!(finished(&tree, "d").len(), 2);
    assert!(lines.as_bytes().ends_with(&whole(&tree, "d")));
    assert_eq!(names(&tree, "d")[2..], ["current", "lock", "state"]);
}

// Trouble

#[test]
fn a_directory_in_which_nothing_can_be_renamed_is_told_and_waited_for() {
    let tree = Tree::new();
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).unprivileged());
    logger.log("one\n");
    tree.chmod("d", 0o500);
    logger.signal(Signal::ALARM);
    let line = "multilog: warning: unable to rename current to previous in directory ./d, pausing: access denied\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    tree.chmod("d", 0o700);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    logger.log("two\n");
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
}

#[test]
fn a_file_which_cannot_grow_is_told_and_waited_for() {
    let tree = Tree::new();
    let limit = ["prlimit", "--fsize=3000:1000000", "env", "--ignore-signal=XFSZ"];
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).under(limit));
    let lines = numbered(250, 16);
    logger.send(&lines);
    let line = "multilog: warning: unable to write to ./d/current, pausing: file too big\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    assert!(tree.read("d/current").len() <= 3000);
    let pid = logger.process.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=1000000:1000000"]);
    raise.run().is(0, "", "");
    wait_until("all is there", DEADLINE, || tree.read("d/current").len() == lines.len());
    drop(logger.input);
    assert_eq!(logger.process.wait().code, Some(0));
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
}

#[test]
fn an_old_file_which_cannot_be_removed() {
    let tree = Tree::new();
    tree.mkdir("d/@000000000000000000000000.s/x");
    let mut logger = start(&tree, &["n2", "./d"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let goes_on = tree.suite().differs("an old file that cannot be removed is left");
    if !goes_on {
        let line = "multilog: warning: unable to read ./d, pausing: is a directory\n";
        assert_eq!(logger.process.wait_stderr("\n"), line);
        fs::remove_dir_all(tree.path("d/@000000000000000000000000.s")).expect("remove it");
    }
    wait_until("it is finished", DEADLINE, || {
        let files = finished(&tree, "d");
        files.iter().any(|name| tree.path(name).is_file() && tree.text(name) == "one\n")
    });
    logger.log("two\n");
    if goes_on {
        assert!(tree.exists("d/@000000000000000000000000.s/x"));
        logger.end().is(0, "", "");
    }
}

#[test]
fn an_input_which_cannot_be_read_is_the_end() {
    let tree = Tree::new();
    let output = tree.sh("exec multilog ./d </").run();
    let end = tree.sh("exec multilog ./e 0>out").run();
    let closed = tree.sh("exec multilog ./f <&-").run();
    for output in [output, end, closed] {
        output.is(0, "", "");
    }
    for dir in ["d", "e", "f"] {
        assert_eq!(tree.mode(format!("{dir}/current")), 0o744);
    }
}

#[test]
fn an_input_which_has_nothing_yet() {
    let tree = Tree::new();
    let script = "use Fcntl; fcntl(STDIN, F_SETFL, O_NONBLOCK); exec @ARGV";
    let command = multilog(&tree, &["./d"]).under(["perl", "-e", script]);
    let mut logger = start_command(&tree, command);
    if tree.suite().differs("a descriptor that has nothing yet is waited for") {
        logger.log("one\n");
        logger.log("two\n");
        logger.end().is(0, "", "");
    } else {
        // It takes that for the end.
        logger.process.wait().is(0, "", "");
    }
}

#[test]
fn input_may_come_from_a_file_a_socket_or_a_named_pipe() {
    let tree = Tree::new();
    log(&tree, &["./file"], "one\ntwo\n");
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let logger =
        multilog(&tree, &["./socket"]).stdin_from(std::os::fd::OwnedFd::from(theirs)).start();
    ours.write_all(b"one\ntwo\n").expect("write");
    drop(ours);
    logger.wait().is(0, "", "");
    let fifo = tree.fifo("fifo", 0o600);
    let logger = tree.sh("exec multilog ./fifo.d <fifo").start();
    fs::write(fifo, "one\ntwo\n").expect("write");
    logger.wait().is(0, "", "");
    for dir in ["file", "socket", "fifo.d"] {
        assert_eq!(tree.text(format!("{dir}/current")), "one\ntwo\n", "{dir}");
    }
}

#[test]
fn root_is_not_needed() {
    // Modes hold for root, too, if it lays down its privileges.
    let tree = Tree::new();
    let output = multilog(&tree, &["s4096", "./d"]).unprivileged().stdin(numbered(500, 16)).run();
    output.is(0, "", "");
    assert_eq!(whole(&tree, "d"), numbered(500, 16).as_bytes());
    let owner = fs::metadata(tree.path("d")).expect("a directory").uid();
    assert_eq!(owner == 0, is_root());
}

/// The wrapper in which a shell script may mount.
const MOUNTING: [&str; 3] = ["unshare", "--map-root-user", "--mount"];

/// Whether one may mount here.
fn may_mount(tree: &Tree) -> bool {
    tree.mkdir("m");
    let trial = tree.sh("mount -t tmpfs none m").under(MOUNTING).run();
    if trial.code != Some(0) {
        skip(&format!("nothing can be mounted: {trial}"));
    }
    trial.code == Some(0)
}

#[test]
fn a_file_system_which_can_only_be_read_is_fatal() {
    let tree = Tree::new();
    if !may_mount(&tree) {
        return;
    }
    for (script, what) in [
        ("./m/d", "unable to lock directory ./m/d: read-only file system"),
        ("./m/new", "unable to open directory ./m/new: file does not exist"),
        ("=m/status ./d", "unable to create m/status: read-only file system"),
    ] {
        let shell = "mount -t tmpfs none m && echo 1 | multilog ./m/d &&
                     mount --bind m m && mount -o remount,bind,ro m && exec multilog";
        let output = tree.sh(&format!("{shell} {script}")).under(MOUNTING).run();
        output.is(111, "", format!("multilog: fatal: {what}\n"));
    }
}

/// Lets a small disk be full while it logs, and sees that it goes on where it was.
#[track_caller]
fn bears_a_full_disk(script: &str, options: &str, hog: &str, message: &str) {
    let tree = Tree::new();
    if !may_mount(&tree) {
        return;
    }
    let shell = format!(
        "mount -t tmpfs -o {options} none m && mkdir m/hog && {hog} || exit 1
         exec multilog {script} ./m/d"
    );
    let mut logger = start_command(&tree, tree.sh(&shell).under(MOUNTING));
    let lines = numbered(1500, 16);
    logger.send(&lines);
    let told = logger.process.wait_stderr("\n");
    assert!(told.starts_with(&format!("multilog: warning: {message}: ")), "{told}");
    // Its mounts can be seen from here.
    let mounted = format!("/proc/{}/root{}", logger.process.pid(), tree.path("m").display());
    fs::remove_dir_all(format!("{mounted}/hog")).expect("make room");
    let all = || {
        let dir = format!("{mounted}/d");
        let names = fs::read_dir(&dir).expect("the log directory");
        let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").path()).collect();
        names.retain(|name| name.display().to_string().contains("/@"));
        names.sort();
        names.push(format!("{dir}/current").into());
        names.iter().flat_map(|name| fs::read(name).unwrap_or_default()).collect::<Vec<u8>>()
    };
    wait_until("all is there", DEADLINE, || all().len() == lines.len());
    assert!(all() == lines.as_bytes(), "something is lost or doubled");
    assert_eq!(logger.end().code, Some(0));
}

#[test]
fn a_full_disk_is_told_and_waited_for() {
    let hog = "head -c 40k /dev/zero >m/hog/a";
    let message = "unable to write to ./m/d/current, pausing";
    bears_a_full_disk("s1000000", "size=60k", hog, message);
    bears_a_full_disk("s4096 n1000", "size=60k", hog, message);
}

#[test]
fn a_disk_which_takes_no_more_files_is_told_and_waited_for() {
    // Room for the directory, lock, state and current is made again.
    let hog = "{ i=0; while touch m/hog/$i 2>/dev/null; do i=$((i+1)); done; } &&
               rm m/hog/0 m/hog/1 m/hog/2 m/hog/3";
    let message = "unable to create ./m/d/current, pausing";
    bears_a_full_disk("s4096 n1000", "nr_inodes=60", hog, message);
}

/// Lets a system call of multilog's on a file of the tree fail.
fn failing<'t>(tree: &Tree, command: Cmd<'t>, file: &str, rule: &str) -> Cmd<'t> {
    let (file, rule) = (tree.path(file).display().to_string(), format!("inject={rule}"));
    command.under(["strace", "-qq", "-o", "/dev/null", "-P", &file, "-e", &rule])
}

#[test]
fn a_full_file_which_does_not_get_to_disk_is_told_and_waited_for() {
    let tree = Tree::new();
    let command = multilog(&tree, &["s4096", "./d"]);
    let command = failing(&tree, command, "d/current", "fsync:error=EIO:when=1");
    let mut logger = start_command(&tree, command);
    let lines = numbered(300, 16);
    logger.send(&lines);
    let line =
        "multilog: warning: unable to write ./d/current to disk, pausing: input/output error\n";
    assert_eq!(logger.process.wait_stderr("\n"), line);
    assert_eq!(finished(&tree, "d"), [""; 0]);
    logger.end().is(0, "", line);
    assert_eq!(whole(&tree, "d"), lines.as_bytes());
}

#[test]
fn a_last_file_which_does_not_get_to_disk_is_told_and_waited_for() {
    let tree = Tree::new();
    let command = multilog(&tree, &["./d"]).stdin("one\n");
    let command = failing(&tree, command, "d/current", "fsync:error=EIO:when=1");
    let line =
        "multilog: warning: unable to write ./d/current to disk, pausing: input/output error\n";
    let logger = command.start();
    assert_eq!(logger.wait_stderr("\n"), line);
    assert_eq!(tree.mode("d/current"), 0o644);
    logger.wait().is(0, "", line);
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o744));
}

#[test]
fn an_input_which_breaks_is_the_end_after_what_was_read() {
    let tree = Tree::new();
    let lines = numbered(1000, 16);
    let input = tree.write("in", &lines);
    let file = fs::File::open(&input).expect("open the input");
    let command = multilog(&tree, &["./d"]).stdin_from(file);
    failing(&tree, command, "in", "read:error=EIO:when=3").run().is(0, "", "");
    let kept = tree.text("d/current");
    assert!(lines.starts_with(&kept) && kept.len() >= 2048, "{} bytes", kept.len());
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn a_current_file_which_is_gone_is_told_and_waited_for() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    tree.remove("d/current");
    logger.signal(Signal::ALARM);
    let line = "multilog: warning: unable to rename current to previous in directory ./d, pausing: file does not exist\n";
    assert!(logger.process.wait_stderr("\n").starts_with(line));
    // Anything will do.
    tree.write("d/current", "mine\n");
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "mine\n");
    logger.log("two\n");
    assert_eq!(logger.end().code, Some(0));
}

#[test]
fn a_directory_may_be_moved_while_it_is_written() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    tree.rename("d", "e");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "e", 1).pop().expect("a file");
    assert_eq!(tree.text(name), "one\n");
    logger.send("two\n");
    logger.end().is(0, "", "");
    assert_eq!((tree.text("e/current"), tree.exists("d")), ("two\n".into(), false));
}
