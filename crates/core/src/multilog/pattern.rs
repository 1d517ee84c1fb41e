//! The original's patterns: anchored at both ends, and a star takes every byte up to the next one
//! that the pattern names. There is no going back.

/// Whether a pattern matches a line; the caller gives at most the first 1000 bytes of it.
#[must_use]
pub fn matches(mut pattern: &[u8], mut line: &[u8]) -> bool {
    while let Some((&c, rest)) = pattern.split_first() {
        pattern = rest;
        if c == b'*' {
            let Some(next) = pattern.first() else {
                return true;
            };
            match memchr::memchr(*next, line) {
                None => return false,
                Some(at) => line = line.get(at..).unwrap_or_default(),
            }
        } else {
            match line.split_first() {
                Some((&first, rest)) if first == c => line = rest,
                _ => return false,
            }
        }
    }
    line.is_empty()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn the_specs_table() {
        for (pattern, yes, no) in [
            ("a*b", &["axxb", "ab"][..], &["axbxb", "xab"][..]),
            ("*ab*", &["xab", "abz", "ab"], &["aab", ""]),
            ("**", &["x*y", "*"], &["xy", ""]),
            ("*a", &["bca", "a"], &["aba", ""]),
            ("", &[""], &["x"]),
            ("*", &["", "x", "**"], &[]),
            ("a**", &["a*", "ax*y"], &["a", "ax"]),
        ] {
            for line in yes {
                assert!(matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
            }
            for line in no {
                assert!(!matches(pattern.as_bytes(), line.as_bytes()), "{pattern} {line}");
            }
        }
    }
}
