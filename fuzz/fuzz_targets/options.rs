//! The option files of a service directory: a mistake is told with a line that is there, and takes
//! nothing with it; what is taken is in its bounds, and stays the same when it is read again.
#![no_main]

use daemontools_core::options::{Address, File, Options};
use daemontools_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let Some((&which, text)) = data.split_first() else {
        return;
    };
    let file = File::ALL[usize::from(which) % File::ALL.len()];
    assert_eq!(File::named(file.name().as_bytes()), Some(file));
    let mut options = Options::default();
    if let Err(mistake) = options.read(file, text) {
        assert_eq!(options, Options::default(), "something was taken");
        assert_eq!(mistake.file, file.name());
        let mut lines = text.split(|&c| c == b'\n');
        let line = lines.nth(mistake.line.checked_sub(1).expect("lines begin with 1"));
        let line = line.expect("there is such a line");
        let is_there =
            |read: &[u8]| read.is_empty() || line.windows(read.len()).any(|it| it == read);
        assert!(is_there(&mistake.read), "that was not read there: {mistake:?}");
        assert!(mistake.read.len() <= 60);
        assert_harmless(&mistake.message());
        return;
    }
    let first = options.clone();
    assert_eq!(options.read(file, text), Ok(()));
    assert_eq!(options, first, "another reading is another");
    assert_eq!(options.read(file, &[text, b"\n"].concat()), Ok(()), "without a line end only");
    assert_eq!(options, first);
    bounds(&options);
});

fn bounds(options: &Options) {
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
    if let Some(restart) = options.restart {
        assert!(least <= restart.min && restart.min <= restart.max);
        let waits = [1, 2, 3, 100, u32::MAX].map(|failures| restart.delay(failures, u32::MAX));
        assert!(waits.is_sorted() && waits[0] >= restart.min);
    }
    if let Some(limit) = options.limit {
        assert!(limit.deaths > 0 && !limit.within.is_zero());
    }
    assert!(options.listen.len() <= 64 && options.needs.len() <= 1024);
    for socket in &options.listen {
        if let Address::Unix(path) | Address::UnixDatagram(path) = &socket.address {
            assert!((1..108).contains(&path.count_bytes()));
        }
        // It goes into a variable in which colons stand between the names.
        assert!(!socket.name.is_empty() && !socket.name.contains(&b':'));
        assert!(socket.mode.is_none_or(|mode| mode <= 0o777));
    }
    for need in &options.needs {
        assert!(!need.name.is_empty() && !need.name.contains(&b'/') && need.name[0] != b'.');
    }
    let resources = &options.resources;
    for limit in &resources.rlimits {
        assert!(limit.hard.is_none_or(|hard| limit.soft.is_some_and(|soft| soft <= hard)));
        assert!(!limit.name().is_empty());
    }
    assert!(resources.nice.is_none_or(|nice| (-20..=19).contains(&nice)));
    assert!(resources.oom_score.is_none_or(|score| (-1000..=1000).contains(&score)));
    assert!(resources.priority.is_none_or(|priority| priority.class_and_level().1 < 8));
}
