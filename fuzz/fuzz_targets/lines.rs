//! A multilog script on lines in pieces, against the reference.
#![no_main]

use daemontools_core::multilog::router::Router;
use daemontools_core::multilog::script::{FEWEST_FILES, LogScript, SMALLEST_SIZE};
use daemontools_core::time::tai::Tai64n;
use daemontools_fuzz::lines::{Written, written};
use daemontools_fuzz::{moment, parts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [sizes, args, text] = parts(data);
    let script = LogScript::parse(args.split(|&c| c == b'\n').filter(|arg| !arg.is_empty()));
    bounds(&script);
    // multilog adds a missing newline at the end.
    let mut text = text.to_vec();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    // Some pieces arrive in the next second.
    let mut now = Tai64n { nanoseconds: 999_999_999, ..moment(sizes) };
    let pieces: Vec<(&[u8], Tai64n)> = pieces(&text, sizes)
        .into_iter()
        .map(|piece| {
            now.seconds = now.seconds.wrapping_add(u64::from(piece.len() % 3 == 0));
            (piece, now)
        })
        .collect();

    let mut router = Router::new(&script);
    let mut outputs = Written::new(&script);
    for (piece, now) in &pieces {
        router.route(piece, *now, &mut outputs);
        assert_eq!(router.is_in_line(), !piece.ends_with(b"\n"));
    }
    assert_eq!(outputs, written(&script, &pieces));
});

fn bounds(script: &LogScript<'_>) {
    for settings in &script.directories {
        assert!(settings.size >= SMALLEST_SIZE && settings.files >= FEWEST_FILES);
        assert!(settings.period != Some(0) && settings.rate != Some(0));
    }
}
