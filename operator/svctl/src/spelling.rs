//! How near two words are, to suggest the one that was meant.

/// The number of characters to insert, remove or replace to turn one word into the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, target) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(character != *target);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_edits() {
        for (one, other, edits) in [
            ("web", "web", 0),
            ("web", "wbe", 2),
            ("", "abc", 3),
            ("mail", "mails", 1),
            ("db", "bd", 2),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
            assert_eq!(distance(other, one), edits, "{other} {one}");
        }
    }
}
