//! The option files of a service directory.
//!
//! An error names a line of the file and leaves the options unchanged. Accepted values are within
//! their bounds, and a second reading gives the same options.
#![no_main]

use daemontools_core::options::{ListenAddress, OptionFile, ServiceOptions};
use daemontools_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let Some((&which, text)) = data.split_first() else {
        return;
    };
    let file = OptionFile::ALL[usize::from(which) % OptionFile::ALL.len()];
    assert_eq!(OptionFile::named(file.name().as_bytes()), Some(file));
    let mut options = ServiceOptions::default();
    if let Err(error) = options.read(file, text) {
        assert_eq!(options, ServiceOptions::default(), "the options changed");
        assert_eq!(error.file, file.name());
        let mut lines = text.split(|&c| c == b'\n');
        let line = lines.nth(error.line.checked_sub(1).expect("lines begin with 1"));
        let line = line.expect("there is such a line");
        let contains =
            |found: &[u8]| found.is_empty() || line.windows(found.len()).any(|it| it == found);
        assert!(contains(&error.found), "the text is not in the line: {error:?}");
        assert!(error.found.len() <= 60);
        assert_harmless(&error.message());
        return;
    }
    let first = options.clone();
    assert_eq!(options.read(file, text), Ok(()));
    assert_eq!(options, first, "a second reading differs");
    // An empty line is an empty argument, which `command` refuses.
    if file != OptionFile::Command || !text.ends_with(b"\n") {
        assert_eq!(
            options.read(file, &[text, b"\n"].concat()),
            Ok(()),
            "a line end at the end is an error"
        );
        assert_eq!(options, first);
    }
    bounds(&options);
});

fn bounds(options: &ServiceOptions) {
    let least = Duration::from_millis(10);
    if let Some(check) = options.check() {
        assert!(check.interval >= least && check.timeout >= least && check.failures >= 1);
    }
    for limit in
        [options.stop.timeout, options.finish_timeout, options.ready.timeout, options.watchdog]
    {
        assert_ne!(limit, Some(Duration::ZERO));
    }
    assert!((1..=64).contains(&options.stop.signal.number()));
    if let Some(restart) = options.restart_delay {
        assert!(least <= restart.min && restart.min <= restart.max);
        let delays = [1, 2, 3, 100, u32::MAX].map(|failures| restart.delay(failures, u32::MAX));
        assert!(delays.is_sorted() && delays[0] >= restart.min);
    }
    if let Some(limit) = options.restart_limit {
        assert!(limit.deaths > 0 && !limit.within.is_zero());
    }
    assert!(options.listen.len() <= 64 && options.needs.len() <= 1024);
    for socket in &options.listen {
        if let ListenAddress::Unix(path) | ListenAddress::UnixDatagram(path) = &socket.address {
            assert!((1..108).contains(&path.count_bytes()));
        }
        // LISTEN_FDNAMES separates the names by colons.
        assert!(!socket.name.is_empty() && !socket.name.contains(&b':'));
        assert!(socket.mode.is_none_or(|mode| mode <= 0o777));
    }
    for dependency in &options.needs {
        assert!(
            !dependency.name.is_empty()
                && !dependency.name.contains(&b'/')
                && dependency.name[0] != b'.'
        );
    }
    let resources = &options.resources;
    for limit in &resources.rlimits {
        assert!(limit.hard.is_none_or(|hard| limit.soft.is_some_and(|soft| soft <= hard)));
        assert!(!limit.name().is_empty());
    }
    assert!(resources.nice.is_none_or(|nice| (-20..=19).contains(&nice)));
    assert!(resources.oom_score.is_none_or(|score| (-1000..=1000).contains(&score)));
    assert!(resources.io_priority.is_none_or(|priority| priority.class_and_level().1 < 8));
}
