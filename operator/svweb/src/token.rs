//! The token that a client has to know.

use crate::authorization::named_token;
use crate::failure::Failure;
use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The least and the most bytes of a token.
const LEAST: usize = 16;
const MOST: usize = 512;

/// A token from a file.
pub(crate) struct Token(Vec<u8>);

impl Token {
    /// Reads the first line of a file. Other users must not be able to read it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let failure = |e: &std::io::Error| Failure::system(format!("read token file {shown}"), e);
        let wrong = |why: &str| Failure::usage(format!("unable to use token file {shown}: {why}"));
        // A FIFO in its place must not stop svweb.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(nonblocking).open(path);
        let file = file.map_err(|e| failure(&e))?;
        let found = file.metadata().map_err(|e| failure(&e))?;
        if !found.is_file() {
            return Err(wrong("it is not a regular file"));
        }
        if found.mode() & 0o007 != 0 {
            return Err(wrong("other users may read or write it (chmod o= removes that)"));
        }
        let mut text = Vec::new();
        file.take(MOST as u64 + 2).read_to_end(&mut text).map_err(|e| failure(&e))?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        if !(LEAST..=MOST).contains(&line.len()) {
            return Err(wrong("the first line has not 16 to 512 characters"));
        }
        if !line.iter().all(u8::is_ascii_graphic) {
            return Err(wrong("the token has other characters than printable ASCII"));
        }
        Ok(Self(line.to_vec()))
    }

    /// Whether a client has named the token. The time does not depend on where the two differ.
    pub(crate) fn is(&self, named: &[u8]) -> bool {
        let mut difference = usize::from(self.0.len() != named.len());
        for at in 0..MOST {
            let one = self.0.get(at).copied().unwrap_or_default();
            let other = named.get(at).copied().unwrap_or_default();
            difference |= usize::from(black_box(one ^ other));
        }
        black_box(difference) == 0
    }

    /// Whether an Authorization header names the token.
    pub(crate) fn is_in(&self, header: &[u8], allows_basic: bool) -> bool {
        named_token(header, allows_basic, MOST).is_some_and(|named| self.is(&named))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Token")
    }
}

/// Why the token could not be read again.
pub(crate) fn reload_trouble(failure: &Failure) -> String {
    format!("warning: {}; the old token stays", failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = Token(b"0123456789abcdef".to_vec());
        for (header, is) in [
            (&b"Bearer 0123456789abcdef"[..], true),
            (b"bearer  0123456789abcdef", true),
            (b"Bearer 0123456789abcdeF", false),
            (b"Bearer 0123456789abcde", false),
            (b"Bearer 0123456789abcdef0", false),
            (b"Bearer", false),
            (b"Bearer ", false),
            (b"0123456789abcdef", false),
            (b"Basic eDowMTIzNDU2Nzg5YWJjZGVm", true),
            (b"Basic OjAxMjM0NTY3ODlhYmNkZWY=", true),
            (b"Basic MDEyMzQ1Njc4OWFiY2RlZg==", false),
            (b"Basic ====", false),
            (b"Basic \xff\xff\xff\xff", false),
        ] {
            assert_eq!(token.is_in(header, true), is, "{}", header.escape_ascii());
        }
        assert!(!token.is_in(b"Basic eDowMTIzNDU2Nzg5YWJjZGVm", false));
        assert!(!token.is(&[b'0'; 4096]));
        assert_eq!(format!("{token:?}"), "Token");
    }
}
