//! Whether a text can be shown as it is. Most lines of a log can, so eight bytes are looked at at once.

/// Whether all bytes are printable ASCII or tabs.
#[must_use]
pub fn is_printable(text: &[u8]) -> bool {
    let is_plain = |byte: u8| is_printable_byte(byte) || byte == b'\t';
    let (words, rest) = text.as_chunks::<8>();
    words.iter().all(|word| {
        special_bytes(u64::from_ne_bytes(*word)) == 0 || word.iter().all(|&byte| is_plain(byte))
    }) && rest.iter().all(|&byte| is_plain(byte))
}

/// Whether all bytes stand for themselves in a string of JSON: printable ASCII without `"` and `\`.
#[must_use]
pub fn is_plain_in_json(text: &[u8]) -> bool {
    let is_plain = |byte: u8| is_printable_byte(byte) && byte != b'"' && byte != b'\\';
    let (words, rest) = text.as_chunks::<8>();
    words.iter().all(|word| {
        let number = u64::from_ne_bytes(*word);
        let marks = zeros(number ^ (EACH * b'"' as u64)) | zeros(number ^ (EACH * b'\\' as u64));
        special_bytes(number) | marks == 0 || word.iter().all(|&byte| is_plain(byte))
    }) && rest.iter().all(|&byte| is_plain(byte))
}

const fn is_printable_byte(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x7f
}

const EACH: u64 = 0x0101_0101_0101_0101;

const HIGH: u64 = EACH * 0x80;

/// The high bit of a byte that is zero, and perhaps of bytes above one.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & HIGH
}

/// The high bits of bytes that are not printable ASCII, and perhaps of bytes above one.
const fn special_bytes(word: u64) -> u64 {
    let below_space = word.wrapping_sub(EACH * 0x20) & !word & HIGH;
    (word & HIGH) | below_space | zeros(word ^ (EACH * 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for at in 0..19 {
                let mut line = *b"an ordinary message";
                if let Some(place) = line.get_mut(at) {
                    *place = byte;
                }
                let is_graphic = (b' '..=b'~').contains(&byte);
                assert_eq!(is_printable(&line), is_graphic || byte == b'\t', "{byte} {at}");
                let is_mark = [b'"', b'\\'].contains(&byte);
                assert_eq!(is_plain_in_json(&line), is_graphic && !is_mark, "{byte} {at}");
            }
        }
        assert!(is_printable(b"") && is_plain_in_json(b""));
    }
}
