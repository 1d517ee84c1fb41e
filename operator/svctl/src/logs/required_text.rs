//! Texts that a line has to contain to match a regular expression. Most lines lack them, and to find a
//! text is many times faster than to match an expression.

/// Shorter texts are in too many lines.
const SHORTEST: usize = 2;

/// The texts of a pattern that is nothing but texts with `.*` between them: a line matches if it has them
/// in this order. `None` for another pattern.
pub(super) fn texts_in_order(pattern: &str) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '.' => {
                characters.next_if_eq(&'*')?;
                // A greedy mark and a lazy one choose among matches, and here every match counts.
                characters.next_if_eq(&'?');
                texts.push(String::new());
                // Another repetition would belong to the mark.
                if characters.peek().is_some_and(|next| "*+?{".contains(*next)) {
                    return None;
                }
            }
            '\\' => {
                let escaped = characters.next().filter(char::is_ascii_punctuation)?;
                texts.last_mut()?.push(escaped);
            }
            // An invalid byte of a line matches as this character.
            '\u{fffd}' => return None,
            special if "+*?()|[]{}^$".contains(special) => return None,
            literal => texts.last_mut()?.push(literal),
        }
    }
    texts.retain(|text| !text.is_empty());
    Some(texts)
}

/// Texts of which every matching line has at least one; `None` if they are not known.
pub(super) fn required_texts(pattern: &str) -> Option<Vec<String>> {
    // Groups can be repeated, and can change the meaning of what follows.
    if pattern.contains(['(', ')']) {
        return None;
    }
    let mut texts = Vec::new();
    let mut alternative = Alternative::default();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '|' => texts.push(std::mem::take(&mut alternative).longest()?),
            // The character before may be missing.
            '*' | '?' => alternative.drop_last(),
            '{' => {
                alternative.drop_last();
                characters.find(|&it| it == '}')?;
            }
            '+' | '.' | '^' | '$' => alternative.end_run(),
            '[' => {
                alternative.end_run();
                skip_class(&mut characters)?;
            }
            '\\' => match characters.next()? {
                'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'b' | 'B' | 'A' | 'z' => alternative.end_run(),
                escaped if escaped.is_ascii_punctuation() => alternative.run.push(escaped),
                _ => return None,
            },
            // An invalid byte of a line matches as this character.
            '\u{fffd}' => alternative.end_run(),
            literal => alternative.run.push(literal),
        }
    }
    texts.push(alternative.longest()?);
    Some(texts)
}

/// Skips a class of characters behind its bracket; `None` if it is not a plain one.
fn skip_class(characters: &mut std::str::Chars<'_>) -> Option<()> {
    let mut is_first = true;
    loop {
        match characters.next()? {
            '^' if is_first => continue,
            ']' if is_first => return None,
            ']' => return Some(()),
            '[' | '\\' | '&' | '~' => return None,
            _ => is_first = false,
        }
    }
}

/// The literal texts of an alternative.
#[derive(Default)]
struct Alternative {
    run: String,
    longest: String,
}

impl Alternative {
    fn end_run(&mut self) {
        if self.run.len() > self.longest.len() {
            std::mem::swap(&mut self.run, &mut self.longest);
        }
        self.run.clear();
    }

    fn drop_last(&mut self) {
        self.run.pop();
        self.end_run();
    }

    fn longest(mut self) -> Option<String> {
        self.end_run();
        (self.longest.len() >= SHORTEST).then_some(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_their_order_are_the_pattern() {
        for (pattern, texts) in [
            ("", Some(&[][..])),
            ("a text", Some(&["a text"])),
            ("GET.*bytes.*?9", Some(&["GET", "bytes", "9"])),
            (".*", Some(&[])),
            ("a\\.b\\*", Some(&["a.b*"])),
            ("a.b", None),
            ("a.*+b", None),
            ("a.*??b", None),
            ("a.*{2}b", None),
            ("ab*", None),
            ("\\d.*a", None),
            ("a|b", None),
            ("^a", None),
            ("a\\", None),
            ("\u{fffd}", None),
        ] {
            let found = texts_in_order(pattern);
            let found: Option<Vec<&str>> =
                found.as_ref().map(|texts| texts.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), texts, "{pattern}");
        }
    }

    #[test]
    fn texts_are_found_in_expressions() {
        for (pattern, texts) in [
            ("session [a-d]d3f", Some(&["session "][..])),
            ("error|fatal", Some(&["error", "fatal"])),
            ("colou?r", Some(&["colo"])),
            ("ab*cde", Some(&["cde"])),
            ("x{2,3}abc+", Some(&["abc"])),
            ("^took \\d+ ms\\.$", Some(&["took "])),
            ("[^]]abc", None),
            ("[[:alpha:]]abc", None),
            ("a|error", None),
            (".*", None),
            ("(?i)error", None),
            ("(error)?", None),
            ("\\x{41}bcd", None),
            ("", None),
            ("took\u{fffd}a", Some(&["took"])),
        ] {
            let found = required_texts(pattern);
            let found: Option<Vec<&str>> =
                found.as_ref().map(|texts| texts.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), texts, "{pattern}");
        }
    }
}
