//! The token in a header `Authorization`. The fuzzer reads this file on its own.

use std::borrow::Cow;

/// The token that a header names: `Bearer TOKEN`, or `Basic` with it as the password. A text with more than
/// four times `most` bytes is not decoded.
pub(crate) fn named_token(header: &[u8], allows_basic: bool, most: usize) -> Option<Cow<'_, [u8]>> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = header.split_at(space);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.into());
    }
    if !allows_basic || !scheme.eq_ignore_ascii_case(b"basic") || rest.len() > 4 * most {
        return None;
    }
    let text = decode_base64(rest)?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some(text.get(colon + 1..).unwrap_or_default().to_vec().into())
}

/// Decodes RFC 4648 text with its padding.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |at| at + 1);
    let (digits, padding) = text.split_at(end);
    if padding.len() > 2 || !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}
