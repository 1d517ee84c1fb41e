//! Text from outside, made safe for a terminal.
//!
//! Every text that another user may have written goes through one of these functions before it is
//! printed. [`crate::output`] checks once more what reaches a terminal.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Text from outside (names, messages, log lines) without control characters: each becomes an escape
/// sequence of Rust's form, which a terminal shows and does not obey.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\t' {
            shown.push(' ');
        } else if is_unsafe(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a terminal may obey a character, or a person may not see it: control characters, and those
/// that reorder, hide or tag text.
pub(crate) const fn is_unsafe(character: char) -> bool {
    // DEL and the C1 controls.
    matches!(character, '\0'..='\x1f' | '\x7f'..='\u{9f}')
        // Marks and controls of direction, spaces without width, invisible operators.
        || matches!(character, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        // Tags.
        || matches!(character, '\u{e0000}'..='\u{e0fff}')
}

/// An object as a line of JSON. Its strings have escape sequences in the place of all characters that
/// [`is_unsafe`] names: JSON allows most of them as they are, and a terminal obeys some of these.
pub(crate) fn escaped_json(value: &Value) -> String {
    let text = value.to_string();
    // Outside of its strings JSON is ASCII without control characters.
    if !text.contains(is_unsafe) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        push_json(character, &mut escaped);
    }
    escaped
}

/// Appends a character of a string of JSON. The caller escapes quotes and backslashes.
pub(crate) fn push_json(character: char, to: &mut String) {
    if !is_unsafe(character) {
        return to.push(character);
    }
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(to, "\\u{unit:04x}");
    }
}

/// A text that may have our own colours and ends of lines, without all other unsafe characters.
///
/// Every output to a terminal passes it. A text that was escaped before stays as it is.
pub(crate) fn guarded(text: &str) -> Cow<'_, str> {
    let is_suspect = |character: char| is_unsafe(character) && character != '\n';
    if !text.contains(is_suspect) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_suspect) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let length = colour_length(from);
        let (special, behind) = if length > 0 {
            from.split_at(length)
        } else {
            from.split_at(from.chars().next().map_or(0, char::len_utf8))
        };
        match special {
            "\t" => shown.push('\t'),
            _ if length > 0 => shown.push_str(special),
            _ => shown.extend(special.chars().flat_map(char::escape_default)),
        }
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The length of a sequence that sets a colour, at the beginning of a text; 0 without one.
fn colour_length(text: &str) -> usize {
    let Some(codes) = text.strip_prefix("\x1b[") else { return 0 };
    let length = codes.find(|character: char| !character.is_ascii_digit());
    match length {
        Some(length @ 1..=2) if codes.get(length..).is_some_and(|rest| rest.starts_with('m')) => {
            length + "\x1b[m".len()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(escape("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(escape("a\tb é"), "a b é");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
        for hidden in
            ['\x7f', '\u{80}', '\u{9b}', '\u{9f}', '\u{61c}', '\u{2028}', '\u{2066}', '\u{e0041}']
        {
            assert_eq!(escape(&hidden.to_string()), format!("\\u{{{:x}}}", u32::from(hidden)));
        }
        assert!(('\0'..='\u{ffff}').all(|it| !it.is_control() || is_unsafe(it)));
    }

    #[test]
    fn json_has_no_unsafe_characters_and_the_same_value() {
        let text = "a\x1b\x7f\u{80}\u{9b}\u{202e}\u{e0041}\" \\ é日\u{1f600}\n";
        let value = json!({text: [text]});
        let line = escaped_json(&value);
        assert!(!line.contains(is_unsafe), "{line}");
        assert!(line.contains("\\u007f\\u0080\\u009b\\u202e\\udb40\\udc41"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn only_colours_pass_to_a_terminal() {
        for text in ["plain\n", "\x1b[32m●\x1b[0m web\n", "a\tb"] {
            assert_eq!(guarded(text), text);
        }
        assert_eq!(guarded("\x1b[2J\x1b]0;t\x07"), "\\u{1b}[2J\\u{1b}]0;t\\u{7}");
        assert_eq!(guarded("\x1b[38;5;1m\x1b[m\x1b["), "\\u{1b}[38;5;1m\\u{1b}[m\\u{1b}[");
        assert_eq!(guarded("a\u{9b}2J\r\u{202e}\x1b[1mb"), "a\\u{9b}2J\\r\\u{202e}\x1b[1mb");
        assert_eq!(guarded(&escape("\x1b[31m\u{85}")), escape("\x1b[31m\u{85}"));
    }
}
