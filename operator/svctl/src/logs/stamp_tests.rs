use super::*;
use daemontools_core::time::zone::Zone;

fn reader(tai: Tai) -> StampReader {
    StampReader::new(tai, LocalZone::new(Zone::from_string(b"EET-2")))
}

#[track_caller]
fn reads(tai: Tai, line: &str, seconds: i64, nanoseconds: u32, label: &str, message: &str) {
    let stamped = reader(tai).read(line.as_bytes());
    let expected = Stamped {
        moment: Moment::new(seconds, nanoseconds).unwrap(),
        label: label.as_bytes(),
        message: message.as_bytes(),
    };
    assert_eq!(stamped, Some(expected), "{line}");
}

#[test]
fn every_stamp_of_the_family_is_a_moment() {
    let at = 1_796_049_692; // 2026-11-30 14:41:32 UTC
    let cases = [
        ("@400000006b0d8b2631a046ec hello", 832_587_500, "@400000006b0d8b2631a046ec"),
        ("1796049692.832580 hello", 832_580_000, "1796049692.832580"),
        ("2026-11-30T14:41:32.832580Z hello", 832_580_000, "2026-11-30T14:41:32.832580Z"),
        ("2026-11-30_14:41:32.83258 hello", 832_580_000, "2026-11-30_14:41:32.83258"),
        ("2026-11-30T14:41:32.83258 hello", 832_580_000, "2026-11-30T14:41:32.83258"),
        ("2026-11-30T16:41:32+02:00 hello", 0, "2026-11-30T16:41:32+02:00"),
        ("2026-11-30T09:11:32.5-05:30 hello", 500_000_000, "2026-11-30T09:11:32.5-05:30"),
        ("2026-11-30 16:41:32.823877199  hello", 823_877_199, "2026-11-30 16:41:32.823877199"),
        ("2026-11-30 16:41:32.823877199 hello", 823_877_199, "2026-11-30 16:41:32.823877199"),
    ];
    for (line, nanoseconds, label) in cases {
        reads(Tai::Djb, line, at, nanoseconds, label, "hello");
    }
}

#[test]
fn labels_of_s6_are_ahead() {
    let label = "@400000006b0d8b4130f48c23";
    reads(Tai::S6, &format!("{label} a"), 1_796_049_692, 821_333_027, label, "a");
    let both = format!("{label} 2026-11-30 16:41:32.821333027  a");
    reads(Tai::S6, &both, 1_796_049_692, 821_333_027, label, "a");
    // One space: the second date belongs to the message.
    let message = "2026-11-30 16:41:32.821333027 a";
    reads(Tai::S6, &format!("{label} {message}"), 1_796_049_692, 821_333_027, label, message);
}

#[test]
fn a_stamp_may_be_the_whole_line() {
    reads(Tai::Djb, "@400000000000000a00000000", 0, 0, "@400000000000000a00000000", "");
    reads(Tai::Djb, "@400000000000000a00000000 ", 0, 0, "@400000000000000a00000000", "");
}

#[test]
fn other_lines_have_no_stamp() {
    for line in [
        "",
        "@",
        "hello",
        "@400000006b0d8b2631a046ec.s",
        "@400000006b0d8b2631a046ecf",
        "@400000006B0D8B2631A046EC x",
        "@400000006b0d8b26ffffffff x",
        "@7fffffffffffffff00000000 x",
        "@800000000000000000000000 x",
        " @400000006b0d8b2631a046ec x",
        "5 apples",
        "179604969.83258 x",
        "1796049692 x",
        "1796049692.832580x",
        "123456789012.123456 x",
        "2026-13-30T14:41:32 x",
        "2026-02-29T14:41:32 x",
        "2026-11-30T24:41:32 x",
        "2026-11-30T14:41:32. x",
        "2026-11-30T14:41:32.1234567890 x",
        "2026-11-30/14:41:32 x",
        "2026-11-30T14:41:32x",
        "2026-11-30",
        "202\u{e9}-11-30T14:41:32 x",
    ] {
        assert_eq!(reader(Tai::Djb).read(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn a_damaged_date_does_not_keep_the_one_before() {
    let mut reader = reader(Tai::Djb);
    assert!(reader.read(b"2026-11-30T00:00:00Z x").is_some());
    assert!(reader.read(b"2026-99-30T00:00:00Z x").is_none());
    let next = reader.read(b"2026-12-01T00:00:00Z x").unwrap();
    assert_eq!(next.moment.seconds(), 1_796_083_200);
}
