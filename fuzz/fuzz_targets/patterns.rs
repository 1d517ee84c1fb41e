//! multilog's patterns of both kinds, beside their definitions, and however the line is cut.
#![no_main]

use daemontools_core::multilog::pattern::{Progress, shell_matches};
use daemontools_fuzz::{parts, pattern, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [sizes, text, line] = parts(data);
    let expected = pattern::simple(text, line);
    assert_eq!(Progress::new(text).feed(line).matches(), expected);
    let cut = pieces(line, sizes).into_iter().fold(Progress::new(text), Progress::feed);
    assert_eq!(cut.matches(), expected);
    assert_eq!(shell_matches(text, line), pattern::shell(text, line));
});
