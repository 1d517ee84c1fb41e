//! Text from outside, made safe for a terminal.

/// Text from outside (names, messages, log lines) without control characters: each becomes an escape
/// sequence of Rust's form, which a terminal shows and does not obey.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\t' {
            shown.push(' ');
        } else if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character reorders or hides text: bidirectional controls and the like.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(escape("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(escape("a\tb é"), "a b é");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
    }
}
