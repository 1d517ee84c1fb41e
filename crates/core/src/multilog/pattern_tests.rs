use super::*;

/// Matches a line in one part and in any two parts, with the same result.
fn matches(pattern: &str, line: &str) -> bool {
    let whole = SimpleMatcher::new(pattern.as_bytes()).feed(line.as_bytes()).matches();
    for at in 0..=line.len() {
        let (a, b) = line.as_bytes().split_at(at);
        assert_eq!(SimpleMatcher::new(pattern.as_bytes()).feed(a).feed(b).matches(), whole);
    }
    whole
}

#[test]
fn simple_patterns() {
    for (pattern, yes, no) in [
        ("a*b", &["axxb", "ab"][..], &["axbxb", "xab"][..]),
        ("*ab*", &["xab", "abz", "ab"], &["aab", ""]),
        ("**", &["x*y", "*"], &["xy", ""]),
        ("*a", &["bca", "a"], &["aba", ""]),
        ("", &[""], &["x"]),
        ("*", &["", "x", "**"], &[]),
        ("a**", &["a*", "ax*y"], &["a", "ax"]),
        ("***", &["*", "a*b*c"], &["a", ""]),
    ] {
        for line in yes {
            assert!(matches(pattern, line), "{pattern} {line}");
        }
        for line in no {
            assert!(!matches(pattern, line), "{pattern} {line}");
        }
    }
}

#[test]
fn shell_patterns() {
    for (pattern, yes, no) in [
        ("*ab*", &["aab", "ab", "xaby"][..], &["a", "ba"][..]),
        ("a*b*c", &["abc", "axbxbxc"], &["ab", "abcx"]),
        ("?x?", &["axb", "/x."], &["xx", "axbc"]),
        ("[a-c]", &["a", "b", "c"], &["d", "", "-", "aa"]),
        ("[!a-c]", &["d", "]", "["], &["a", ""]),
        ("[^a]", &["b"], &["a"]),
        ("[]]", &["]"], &["["]),
        ("[]a]x", &["]x", "ax"], &["[x"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[[:digit:][:upper:]_]*", &["1", "Zx", "_"], &["a", ""]),
        ("[\\]]", &["]"], &["\\"]),
        ("\\*\\?", &["*?"], &["ab", "\\*\\?"]),
        ("[", &["["], &["a", ""]),
        ("[a", &["[a"], &["a"]),
        ("a\\", &[], &["a", "a\\"]),
        ("", &[""], &["a"]),
        ("**", &["", "abc"], &[]),
        ("*.log: *err*", &["x/y.log: an error"], &["x.log error"]),
    ] {
        for line in yes {
            assert!(shell_matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
        }
        for line in no {
            assert!(!shell_matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
        }
    }
}

#[test]
fn the_time_for_many_stars_is_not_exponential() {
    let pattern = b"*a".repeat(40);
    let line = b"a".repeat(1000);
    assert!(shell_matches(&pattern, &line));
    let pattern = [&pattern[..], b"b"].concat();
    assert!(!shell_matches(&pattern, &line));
}
