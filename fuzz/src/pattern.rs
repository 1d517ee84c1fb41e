//! A reference implementation of multilog's patterns.

/// Matches a simple pattern.
///
/// A star matches everything up to the first occurrence of the byte after it in the pattern, or to
/// the end if it is last. Every other byte matches itself.
#[must_use]
pub fn simple(pattern: &[u8], line: &[u8]) -> bool {
    let mut at = 0;
    for (n, &element) in pattern.iter().enumerate() {
        if element != b'*' {
            if line.get(at) != Some(&element) {
                return false;
            }
            at += 1;
            continue;
        }
        let Some(next) = pattern.get(n + 1) else {
            return true;
        };
        while line.get(at) != Some(next) {
            if at == line.len() {
                return false;
            }
            at += 1;
        }
    }
    at == line.len()
}

/// An element of a shell pattern.
enum Element {
    Star,
    /// Matches one of these bytes.
    One(Vec<u8>),
}

/// Matches a shell pattern, by trying all ways to divide the line among the elements.
#[must_use]
pub fn shell(pattern: &[u8], line: &[u8]) -> bool {
    // The indices of the line where the elements so far can end.
    let mut ends = vec![false; line.len() + 1];
    ends[0] = true;
    for element in elements(pattern) {
        match element {
            Element::Star => {
                let first = ends.iter().position(|&it| it).unwrap_or(ends.len());
                ends[first..].fill(true);
            }
            Element::One(set) => {
                for at in (0..line.len()).rev() {
                    ends[at + 1] = ends[at] && set.contains(&line[at]);
                }
                ends[0] = false;
            }
        }
    }
    ends[line.len()]
}

fn elements(pattern: &[u8]) -> Vec<Element> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        at += 1;
        all.push(match byte {
            b'*' => Element::Star,
            b'?' => Element::One((0..=255).collect()),
            b'\\' => {
                at += 1;
                // A backslash at the end matches no byte.
                Element::One(pattern.get(at - 1).copied().into_iter().collect())
            }
            b'[' => match bracket(pattern, at) {
                Some((set, end)) => {
                    at = end;
                    Element::One(set)
                }
                None => Element::One(vec![b'[']),
            },
            _ => Element::One(vec![byte]),
        });
    }
    all
}

/// The bytes that a bracket expression matches, and the index after it. `at` is the index after `[`.
fn bracket(pattern: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let negated = matches!(pattern.get(at)?, b'!' | b'^');
    at += usize::from(negated);
    let first = at;
    let mut listed = [false; 256];
    loop {
        if pattern.get(at)? == &b']' && at > first {
            let set = (0..=255).filter(|&byte| listed[usize::from(byte)] != negated);
            return Some((set.collect(), at + 1));
        }
        if pattern[at..].starts_with(b"[:")
            && let Some(length) = pattern[at + 2..].windows(2).position(|two| two == b":]")
        {
            let name = &pattern[at + 2..at + 2 + length];
            for byte in 0..128_u8 {
                listed[usize::from(byte)] |= is(name, byte);
            }
            at += length + 4;
            continue;
        }
        let (low, next) = member(pattern, at)?;
        at = next;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|&end| end != b']') {
            (high, at) = member(pattern, at + 1)?;
        }
        for byte in low..=high {
            listed[usize::from(byte)] = true;
        }
    }
}

/// A byte of a bracket expression, and the index after it.
fn member(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match pattern.get(at)? {
        // A backslash at the end: the bracket expression is not closed.
        b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
        byte => Some((*byte, at + 1)),
    }
}

/// Whether a character class contains a byte.
fn is(class: &[u8], byte: u8) -> bool {
    let c = char::from(byte);
    match class {
        b"alnum" => c.is_ascii_alphanumeric(),
        b"alpha" => c.is_ascii_alphabetic(),
        b"blank" => c == ' ' || c == '\t',
        b"cntrl" => c.is_ascii_control(),
        b"digit" => c.is_ascii_digit(),
        b"graph" => (33..127).contains(&byte),
        b"lower" => c.is_ascii_lowercase(),
        b"print" => (32..127).contains(&byte),
        b"punct" => c.is_ascii_punctuation(),
        b"space" => byte == 32 || (9..14).contains(&byte),
        b"upper" => c.is_ascii_uppercase(),
        b"xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}
