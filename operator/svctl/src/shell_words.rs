//! Words for a shell.

/// A word for the shell: as it is, or in single quotes.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        return word.to_vec();
    }
    let mut quoted = b"'".to_vec();
    for &byte in word {
        if byte == b'\'' {
            quoted.extend_from_slice(b"'\\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The same for text.
pub(crate) fn quoted_text(word: &str) -> String {
    String::from_utf8_lossy(&quoted(word.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted(b"/usr/sbin/webd"), b"/usr/sbin/webd");
        assert_eq!(quoted(b""), b"''");
        assert_eq!(quoted(b"it's $HOME"), b"'it'\\''s $HOME'");
    }
}
