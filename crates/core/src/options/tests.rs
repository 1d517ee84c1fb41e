use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;

fn read(file: OptionFile, text: &str) -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.read(file, text.as_bytes()).unwrap();
    options
}

fn message(file: OptionFile, text: &[u8]) -> String {
    let mut options = ServiceOptions::default();
    let error = options.read(file, text).unwrap_err();
    assert_eq!(options, ServiceOptions::default(), "the options changed");
    String::from_utf8(error.message()).unwrap()
}

#[test]
fn single_values() {
    let none = ServiceOptions::default;
    let ready = none().ready;
    let stop = none().stop;
    let second = Some(Duration::from_secs(1));
    for (file, text, expected) in [
        (
            OptionFile::Background,
            "follow\n",
            ServiceOptions { background: Some(Background::Follow), ..none() },
        ),
        (
            OptionFile::Background,
            "  pid-file   run/a b.pid \nignored",
            ServiceOptions {
                background: Some(Background::PidFile(c"run/a b.pid".into())),
                ..none()
            },
        ),
        (OptionFile::CheckFailures, "65535", ServiceOptions { check_failures: 65535, ..none() }),
        (
            OptionFile::Command,
            "a\nb\n",
            ServiceOptions { command: Some(vec![c"a".into(), c"b".into()]), ..none() },
        ),
        (OptionFile::CheckInterval, "1s", ServiceOptions { check_interval: second, ..none() }),
        (
            OptionFile::DownSignal,
            "SIGquit\n",
            ServiceOptions { stop: StopPolicy { signal: Signal::Quit, ..stop }, ..none() },
        ),
        (
            OptionFile::DownSignal,
            "3",
            ServiceOptions { stop: StopPolicy { signal: Signal::Quit, ..stop }, ..none() },
        ),
        (
            OptionFile::DownSignal,
            "pwr",
            ServiceOptions { stop: StopPolicy { signal: Signal::Other(30), ..stop }, ..none() },
        ),
        (
            OptionFile::Essential,
            "",
            ServiceOptions { essential: Some(Essential::Failed), ..none() },
        ),
        (
            OptionFile::Essential,
            " failed \n",
            ServiceOptions { essential: Some(Essential::Failed), ..none() },
        ),
        (
            OptionFile::Essential,
            "any\n",
            ServiceOptions { essential: Some(Essential::Any), ..none() },
        ),
        (
            OptionFile::FlagTimeoutKillpg,
            "no",
            ServiceOptions { stop: StopPolicy { kill_group: true, ..stop }, ..none() },
        ),
        (OptionFile::ListenOnDemand, "", ServiceOptions { on_demand: true, ..none() }),
        (OptionFile::LockFd, "3", ServiceOptions { lock_descriptor: Some(3), ..none() }),
        (OptionFile::MaxDeathTally, "0", ServiceOptions { max_death_tally: Some(0), ..none() }),
        (
            OptionFile::MaxDeathTally,
            "4096",
            ServiceOptions { max_death_tally: Some(4096), ..none() },
        ),
        (
            OptionFile::Needs,
            "a",
            ServiceOptions {
                needs: vec![Dependency { name: b"a"[..].into(), on_death: OnDeath::Ignore }],
                ..none()
            },
        ),
        (OptionFile::NoSetsid, "\0", ServiceOptions { no_session: true, ..none() }),
        (OptionFile::Nosetsid, "", ServiceOptions { no_session: true, ..none() }),
        (
            OptionFile::NotificationFd,
            "\t1 \n",
            ServiceOptions { ready: ReadinessOptions { descriptor: Some(1), ..ready }, ..none() },
        ),
        (
            OptionFile::NotifySocket,
            "",
            ServiceOptions { ready: ReadinessOptions { socket: true, ..ready }, ..none() },
        ),
        (
            OptionFile::Personality,
            "s6",
            ServiceOptions { personality: Some(Personality::S6), ..none() },
        ),
        (
            OptionFile::ResourceLimits,
            "nice 1",
            ServiceOptions {
                resources: ResourceLimits { nice: Some(1), ..none().resources },
                ..none()
            },
        ),
        (
            OptionFile::RestartLimit,
            "5 in 1000",
            ServiceOptions {
                restart_limit: Some(RestartLimit { deaths: 5, within: Duration::from_secs(1) }),
                ..none()
            },
        ),
        (
            OptionFile::StopScope,
            "tree",
            ServiceOptions { stop: StopPolicy { scope: Scope::Tree, ..stop }, ..none() },
        ),
        (
            OptionFile::TimeoutCheck,
            "10",
            ServiceOptions { check_timeout: Duration::from_millis(10), ..none() },
        ),
        (OptionFile::TimeoutFinish, "0", ServiceOptions { finish_timeout: None, ..none() }),
        (OptionFile::TimeoutFinish, "1s", ServiceOptions { finish_timeout: second, ..none() }),
        (
            OptionFile::TimeoutKill,
            "1000",
            ServiceOptions { stop: StopPolicy { timeout: second, ..stop }, ..none() },
        ),
        (OptionFile::TimeoutKill, "0s", none()),
        (
            OptionFile::TimeoutReady,
            "1000ms",
            ServiceOptions { ready: ReadinessOptions { timeout: second, ..ready }, ..none() },
        ),
        (OptionFile::TimeoutWatchdog, "1s", ServiceOptions { watchdog: second, ..none() }),
    ] {
        assert_eq!(read(file, text), expected, "{file:?} {text:?}");
    }
}

#[test]
fn a_new_content_replaces_the_old_one() {
    let mut options = read(OptionFile::Listen, "tcp 80\ntcp 81");
    options.read(OptionFile::Listen, b"tcp 82").unwrap();
    assert_eq!(options, read(OptionFile::Listen, "tcp 82"));
    options.read(OptionFile::Listen, b"").unwrap();
    assert_eq!(options, ServiceOptions::default());
}

#[test]
fn health_checks_need_an_interval() {
    assert_eq!(ServiceOptions::default().check(), None);
    let interval = Duration::from_secs(60);
    let expected = HealthCheck { interval, timeout: Duration::from_secs(5), failures: 3 };
    assert_eq!(read(OptionFile::CheckInterval, "1m").check(), Some(expected));
}

#[test]
fn every_file_with_a_value_has_a_message() {
    let flags = [
        OptionFile::FlagTimeoutKillpg,
        OptionFile::ListenOnDemand,
        OptionFile::NoSetsid,
        OptionFile::Nosetsid,
        OptionFile::NotifySocket,
    ];
    let time = "want a time in milliseconds, or with ms, s, m or h, as in 5000 or 5s";
    let all = [
        (
            OptionFile::Background,
            "pid-file \n",
            "\"pid-file\": want follow, or pid-file and a path, as in pid-file /run/name.pid"
                .into(),
        ),
        (OptionFile::CheckFailures, "0", "\"0\": want a number from 1 to 65535, as in 3".into()),
        (
            OptionFile::Command,
            "a\r\n",
            "\"a?\": want no carriage return at the end of the line, as in nginx".into(),
        ),
        (OptionFile::CheckInterval, "0", "\"0\": want a time of at least 10 ms, as in 30s".into()),
        (
            OptionFile::DownSignal,
            "SIGNOTHING",
            "\"SIGNOTHING\": want the name or number of a signal, as in HUP or 1".into(),
        ),
        (OptionFile::Essential, "all", "\"all\": want failed or any, as in any".into()),
        (
            OptionFile::Listen,
            "tcp localhost:80",
            "\"tcp localhost:80\": want an address and a port, as in 127.0.0.1:80, [::1]:80 or 80"
                .into(),
        ),
        (
            OptionFile::LockFd,
            "2",
            "\"2\": want the number of a descriptor from 3 to 65535, as in 9".into(),
        ),
        (
            OptionFile::MaxDeathTally,
            "4097",
            "\"4097\": want a number from 0 to 4096, as in 100".into(),
        ),
        (
            OptionFile::Needs,
            "a stop",
            "\"stop\": want nothing else or the word restart, as in database restart".into(),
        ),
        (
            OptionFile::NotificationFd,
            "0",
            "\"0\": want the number of a descriptor from 1 to 65535, as in 3".into(),
        ),
        (
            OptionFile::Personality,
            "systemd\n",
            "\"systemd\": want daemontools, encore, s6 or runit, as in s6".into(),
        ),
        (
            OptionFile::ResourceLimits,
            "nofile 4096:1024",
            "\"nofile 4096:1024\": want a soft limit that is not above the hard one, as in nofile \
             1024:4096"
                .into(),
        ),
        (
            OptionFile::RestartDelay,
            "min=1s jitter=10",
            "\"jitter=10\": want from 0% to 100%, as in jitter=10%".into(),
        ),
        (
            OptionFile::RestartLimit,
            "5 per 60s",
            "\"5 per 60s\": want a number from 1 to 4096, the word in and a time, as in 5 in 60s"
                .into(),
        ),
        (OptionFile::StopScope, "all", "\"all\": want process, group or tree, as in group".into()),
        (
            OptionFile::TimeoutCheck,
            "9ms",
            "\"9ms\": want a time of at least 10 ms, as in 5s".into(),
        ),
        (OptionFile::TimeoutFinish, "", format!("\"\": {time}")),
        (OptionFile::TimeoutKill, "5 s", format!("\"5 s\": {time}")),
        (OptionFile::TimeoutReady, "\n5s", format!("\"\": {time}")),
        (
            OptionFile::TimeoutWatchdog,
            "99999999999999999h",
            format!("\"99999999999999999h\": {time}"),
        ),
    ];
    for file in OptionFile::ALL {
        let mut messages = all.iter().filter(|(of, ..)| *of == file).peekable();
        assert_ne!(flags.contains(&file), messages.peek().is_some(), "{file:?}");
        for (_, text, expected) in messages {
            let expected = format!("{} line 1: {expected}", file.name());
            assert_eq!(message(file, text.as_bytes()), expected);
        }
    }
}

#[test]
fn line_numbers_count_empty_lines_and_comments() {
    assert_eq!(
        message(OptionFile::RestartDelay, b"# slowly\n\nmin=1m\n max=1s jitter=5%"),
        "restart-delay line 4: \"max=1s\": want a max that is not less than min, which is 1s if \
         not given, as in min=1s max=1m"
    );
    assert_eq!(
        message(OptionFile::RestartDelay, b"1s 2s"),
        "restart-delay line 1: \"2s\": want one time and nothing else, or words as in min=1s max=1m"
    );
    assert_eq!(
        message(OptionFile::Needs, b"a\n\n# b\na restart"),
        "needs line 4: \"a\": want each name once, as in database"
    );
}

/// Text that is nearly correct.
fn nearly_correct() -> impl Strategy<Value = Vec<u8>> {
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
    fn a_refused_file_changes_nothing(
        text in prop_oneof![any::<Vec<u8>>(), nearly_correct()],
    ) {
        let lines = text.split(|&c| c == b'\n').count();
        for file in OptionFile::ALL {
            let mut options = ServiceOptions::default();
            match options.read(file, &text) {
                Ok(()) => {
                    let mut again = options.clone();
                    prop_assert!(again.read(file, &text).is_ok());
                    prop_assert_eq!(again, options);
                }
                Err(error) => {
                    prop_assert_eq!(options, ServiceOptions::default());
                    prop_assert!((1..=lines).contains(&error.line));
                    prop_assert!(error.found.len() <= 60 && error.expected.contains("as in "));
                    prop_assert!(!error.message().iter().any(u8::is_ascii_control));
                }
            }
        }
    }

    #[test]
    fn signals_are_read_back(number in 1_u8..=31) {
        let signal = read(OptionFile::DownSignal, &format!("{number}\n")).stop.signal;
        prop_assert_eq!(signal.number(), number);
    }
}
