use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;

fn read(file: File, text: &str) -> Options {
    let mut options = Options::default();
    options.read(file, text.as_bytes()).unwrap();
    options
}

fn message(file: File, text: &[u8]) -> String {
    let mut options = Options::default();
    let mistake = options.read(file, text).unwrap_err();
    assert_eq!(options, Options::default(), "nothing of it is taken");
    String::from_utf8(mistake.message()).unwrap()
}

#[test]
fn values() {
    let none = Options::default;
    let ready = none().ready;
    let stop = none().stop;
    let second = Some(Duration::from_secs(1));
    for (file, text, expected) in [
        (File::Background, "follow\n", Options { background: Some(Background::Follow), ..none() }),
        (
            File::Background,
            "  pid-file   run/a b.pid \nignored",
            Options { background: Some(Background::PidFile(c"run/a b.pid".into())), ..none() },
        ),
        (File::CheckFailures, "65535", Options { check_failures: 65535, ..none() }),
        (File::CheckInterval, "1s", Options { check_interval: second, ..none() }),
        (
            File::DownSignal,
            "SIGquit\n",
            Options { stop: Stop { signal: Signal::Quit, ..stop }, ..none() },
        ),
        (File::DownSignal, "3", Options { stop: Stop { signal: Signal::Quit, ..stop }, ..none() }),
        (
            File::DownSignal,
            "pwr",
            Options { stop: Stop { signal: Signal::Other(30), ..stop }, ..none() },
        ),
        (
            File::FlagTimeoutKillpg,
            "no",
            Options { stop: Stop { kill_group: true, ..stop }, ..none() },
        ),
        (File::ListenOnDemand, "", Options { on_demand: true, ..none() }),
        (File::LockFd, "3", Options { lock_descriptor: Some(3), ..none() }),
        (File::MaxDeathTally, "0", Options { tally: Some(0), ..none() }),
        (File::MaxDeathTally, "4096", Options { tally: Some(4096), ..none() }),
        (
            File::Needs,
            "a",
            Options {
                needs: vec![Need { name: b"a"[..].into(), death: Death::Nothing }],
                ..none()
            },
        ),
        (File::NoSetsid, "\0", Options { no_session: true, ..none() }),
        (
            File::NotificationFd,
            "\t1 \n",
            Options { ready: Ready { descriptor: Some(1), ..ready }, ..none() },
        ),
        (File::NotifySocket, "", Options { ready: Ready { socket: true, ..ready }, ..none() }),
        (File::Personality, "s6", Options { personality: Some(Personality::S6), ..none() }),
        (
            File::ResourceLimits,
            "nice 1",
            Options { resources: Resources { nice: Some(1), ..none().resources }, ..none() },
        ),
        (
            File::RestartLimit,
            "5 in 1000",
            Options { limit: Some(Limit { deaths: 5, within: Duration::from_secs(1) }), ..none() },
        ),
        (File::StopScope, "tree", Options { stop: Stop { reach: Reach::Tree, ..stop }, ..none() }),
        (File::TimeoutCheck, "10", Options { check_timeout: Duration::from_millis(10), ..none() }),
        (File::TimeoutFinish, "0", Options { finish_timeout: None, ..none() }),
        (File::TimeoutFinish, "1s", Options { finish_timeout: second, ..none() }),
        (File::TimeoutKill, "1000", Options { stop: Stop { timeout: second, ..stop }, ..none() }),
        (File::TimeoutKill, "0s", none()),
        (
            File::TimeoutReady,
            "1000ms",
            Options { ready: Ready { timeout: second, ..ready }, ..none() },
        ),
        (File::TimeoutWatchdog, "1s", Options { watchdog: second, ..none() }),
    ] {
        assert_eq!(read(file, text), expected, "{file:?} {text:?}");
    }
}

#[test]
fn a_file_replaces_what_it_said_before() {
    let mut options = read(File::Listen, "tcp 80\ntcp 81");
    options.read(File::Listen, b"tcp 82").unwrap();
    assert_eq!(options, read(File::Listen, "tcp 82"));
    options.read(File::Listen, b"").unwrap();
    assert_eq!(options, Options::default());
}

#[test]
fn a_check_needs_an_interval() {
    assert_eq!(Options::default().check(), None);
    let interval = Duration::from_secs(60);
    let expected = Check { interval, timeout: Duration::from_secs(5), failures: 3 };
    assert_eq!(read(File::CheckInterval, "1m").check(), Some(expected));
}

#[test]
fn every_file_has_its_messages() {
    let flags = [File::FlagTimeoutKillpg, File::ListenOnDemand, File::NoSetsid, File::NotifySocket];
    let time = "want a time in milliseconds, or with ms, s, m or h, as in 5000 or 5s";
    let all = [
        (
            File::Background,
            "pid-file \n",
            "\"pid-file\": want follow, or pid-file and a path, as in pid-file /run/name.pid"
                .into(),
        ),
        (File::CheckFailures, "0", "\"0\": want a number from 1 to 65535, as in 3".into()),
        (File::CheckInterval, "0", "\"0\": want a time of at least 10 ms, as in 30s".into()),
        (
            File::DownSignal,
            "SIGNOTHING",
            "\"SIGNOTHING\": want the name or number of a signal, as in HUP or 1".into(),
        ),
        (
            File::Listen,
            "tcp localhost:80",
            "\"tcp localhost:80\": want an address and a port, as in 127.0.0.1:80, [::1]:80 or 80"
                .into(),
        ),
        (
            File::LockFd,
            "2",
            "\"2\": want the number of a descriptor from 3 to 65535, as in 9".into(),
        ),
        (File::MaxDeathTally, "4097", "\"4097\": want a number from 0 to 4096, as in 100".into()),
        (
            File::Needs,
            "a stop",
            "\"stop\": want nothing else or the word restart, as in database restart".into(),
        ),
        (
            File::NotificationFd,
            "0",
            "\"0\": want the number of a descriptor from 1 to 65535, as in 3".into(),
        ),
        (
            File::Personality,
            "systemd\n",
            "\"systemd\": want daemontools, encore, s6 or runit, as in s6".into(),
        ),
        (
            File::ResourceLimits,
            "nofile 4096:1024",
            "\"nofile 4096:1024\": want a soft limit that is not above the hard one, as in nofile \
             1024:4096"
                .into(),
        ),
        (
            File::RestartDelay,
            "min=1s jitter=10",
            "\"jitter=10\": want from 0% to 100%, as in jitter=10%".into(),
        ),
        (
            File::RestartLimit,
            "5 per 60s",
            "\"5 per 60s\": want a number from 1 to 4096, the word in and a time, as in 5 in 60s"
                .into(),
        ),
        (File::StopScope, "all", "\"all\": want process, group or tree, as in group".into()),
        (File::TimeoutCheck, "9ms", "\"9ms\": want a time of at least 10 ms, as in 5s".into()),
        (File::TimeoutFinish, "", format!("\"\": {time}")),
        (File::TimeoutKill, "5 s", format!("\"5 s\": {time}")),
        (File::TimeoutReady, "\n5s", format!("\"\": {time}")),
        (File::TimeoutWatchdog, "99999999999999999h", format!("\"99999999999999999h\": {time}")),
    ];
    for file in File::ALL {
        let mut messages = all.iter().filter(|(of, ..)| *of == file).peekable();
        assert_ne!(flags.contains(&file), messages.peek().is_some(), "{file:?}");
        for (_, text, expected) in messages {
            let expected = format!("{} line 1: {expected}", file.name());
            assert_eq!(message(file, text.as_bytes()), expected);
        }
    }
}

#[test]
fn lines_are_counted_with_those_that_mean_nothing() {
    assert_eq!(
        message(File::RestartDelay, b"# slowly\n\nmin=1m\n max=1s jitter=5%"),
        "restart-delay line 4: \"max=1s\": want a max that is not less than min, which is 1s if \
         not given, as in min=1s max=1m"
    );
    assert_eq!(
        message(File::RestartDelay, b"1s 2s"),
        "restart-delay line 1: \"2s\": want one time and nothing else, or words as in min=1s max=1m"
    );
    assert_eq!(
        message(File::Needs, b"a\n\n# b\na restart"),
        "needs line 4: \"a\": want each name once, as in database"
    );
}

/// Text that is close to right.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "follow",
        "pid-file",
        "/run/x",
        "TERM",
        "sig",
        "5",
        "0",
        "-1",
        "in",
        "60s",
        "1h",
        "min=1s",
        "max=1m",
        "factor=2",
        "jitter=10%",
        "reset=",
        "restart",
        "tcp",
        "[::1]:80",
        "80",
        "unix",
        "mode=0660",
        "name=a",
        "backlog=1",
        "nofile",
        "1024:4096",
        "unlimited",
        ":",
        "cpu",
        "50%",
        "ioprio",
        "realtime",
        "idle",
        "capabilities",
        "none",
        "cap_",
        "chown",
        "memory",
        "512M",
        "%",
        "K",
        "=",
        "#",
        "18446744073709551615",
        "18446744073709551616",
        "\0",
        "é",
        "\n",
        "\n",
        " ",
        " ",
        "\t",
        "\r",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..3),
    ];
    let blank = proptest::sample::select(vec![&b""[..], b" ", b" ", b"\n"]);
    proptest::collection::vec((piece, blank), 0..12)
        .prop_map(|all| all.iter().flat_map(|(p, b)| [p, *b].concat()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_is_read_or_refused_as_a_whole(
        text in prop_oneof![any::<Vec<u8>>(), nearly_right()],
    ) {
        let lines = text.split(|&c| c == b'\n').count();
        for file in File::ALL {
            let mut options = Options::default();
            match options.read(file, &text) {
                Ok(()) => {
                    let mut again = options.clone();
                    prop_assert!(again.read(file, &text).is_ok());
                    prop_assert_eq!(again, options);
                }
                Err(mistake) => {
                    prop_assert_eq!(options, Options::default());
                    prop_assert!((1..=lines).contains(&mistake.line));
                    prop_assert!(mistake.read.len() <= 60 && mistake.right.contains("as in "));
                    prop_assert!(!mistake.message().iter().any(u8::is_ascii_control));
                }
            }
        }
    }

    #[test]
    fn signals_are_read_back(number in 1_u8..=31) {
        let signal = read(File::DownSignal, &format!("{number}\n")).stop.signal;
        prop_assert_eq!(signal.number(), number);
    }
}
