//! Patterns: which lines `+` and `-` select.

use crate::{Random, log, split};
use harness::Tree;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Whether a pattern matches, according to the original's documentation.
pub(super) fn matches(mut pattern: &[u8], mut line: &[u8]) -> bool {
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

/// Runs scripts on lines. A script is a list of actions `+` and `-`, followed by its own directory. Each
/// begins with all lines selected.
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

/// A script that deselects all lines and selects those of one pattern.
fn only_matching(pattern: &[u8]) -> Vec<Vec<u8>> {
    vec![b"-*".to_vec(), [b"+", pattern].concat()]
}

/// The lines that a pattern matches.
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
        // Patterns that match often: a line in which a star replaces some bytes.
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
    // The star ends at the first z, so this z must be the last byte that the pattern sees.
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
    // The star ends at the first space, which belongs to the label.
    assert_eq!(split(&tree.text("wanted/current")).1, "wanted\n");
    // 974 bytes and the label are 1000.
    let (short, long) = ("b".repeat(974), "b".repeat(975));
    log(&tree, &["t", "-*", &format!("+* {short}"), "./short"], format!("{short}\n{long}\n"));
    log(&tree, &["t", "-*", &format!("+* {long}"), "./long"], format!("{short}\n{long}\n"));
    assert_eq!(tree.text("short/current").lines().count(), 2);
    assert_eq!(tree.text("long/current"), "");
}
