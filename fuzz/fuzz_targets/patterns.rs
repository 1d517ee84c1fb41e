//! multilog's patterns of both kinds, against the references, with the line in any pieces.
#![no_main]

use daemontools_core::multilog::pattern::{SimpleMatcher, shell_matches};
use daemontools_fuzz::{parts, pattern, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [sizes, text, line] = parts(data);
    let expected = pattern::simple(text, line);
    assert_eq!(SimpleMatcher::new(text).feed(line).matches(), expected);
    let cut = pieces(line, sizes).into_iter().fold(SimpleMatcher::new(text), SimpleMatcher::feed);
    assert_eq!(cut.matches(), expected);
    assert_eq!(shell_matches(text, line), pattern::shell(text, line));
});
