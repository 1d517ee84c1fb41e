//! Words that several messages share.

use super::decimal::Decimal;
use crate::Ended;
use alloc::vec::Vec;

/// How many names a list in a message has.
const MOST_NAMED: usize = 20;

/// Names with commas between them. A long list ends with the number of names that it leaves out.
#[inline(never)]
#[must_use]
pub fn list(names: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut words, mut count) = (Vec::new(), 0);
    for name in names {
        if count < MOST_NAMED {
            words.extend_from_slice(if count == 0 { b"" } else { b", " });
            words.extend_from_slice(&name);
        }
        count += 1;
    }
    if let Some(omitted @ 1..) = count.checked_sub(MOST_NAMED) {
        let omitted = Decimal::new(u64::try_from(omitted).unwrap_or(u64::MAX));
        words.extend_from_slice(&[b" and ", omitted.as_bytes(), b" more"].concat());
    }
    words
}

/// How a process has ended. Its name comes before these words.
#[inline(never)]
#[must_use]
pub fn end(how: Ended) -> Vec<u8> {
    let (what, number) = match how {
        Ended::Exited(code) => (&b"ended with exit code "[..], code),
        Ended::Killed(signal) => (&b"was killed by signal "[..], signal),
        Ended::Unknown => return b"ended, and nothing tells how".to_vec(),
    };
    [what, Decimal::new(number.into()).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn a_long_list_tells_how_many_names_it_leaves_out() {
        let shown = |count: usize| {
            let words = list((0..count).map(|n| format!("n{n}").into_bytes()));
            String::from_utf8(words).unwrap()
        };
        assert_eq!(shown(0), "");
        assert_eq!(shown(1), "n0");
        assert!(shown(20).ends_with("n18, n19"));
        assert!(shown(21).ends_with("n18, n19 and 1 more"));
        assert!(shown(1000).ends_with("n18, n19 and 980 more"));
    }

    #[test]
    fn every_end_has_words() {
        assert_eq!(end(Ended::Exited(3)), b"ended with exit code 3");
        assert_eq!(end(Ended::Killed(9)), b"was killed by signal 9");
        assert_eq!(end(Ended::Unknown), b"ended, and nothing tells how");
    }
}
