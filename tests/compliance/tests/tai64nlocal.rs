//! tai64nlocal: it turns labels at the beginnings of lines into local dates.

use compliance::filter;
use harness::{Cmd, DEADLINE, Process, Tree, skip, wait_until, zoneinfo};
use std::fmt::Write as _;
use std::fs;
use std::io::{PipeWriter, Write, pipe};
use std::path::Path;

/// The label of 1999-08-24 04:04:05.787492500 UTC.
const LABEL: &str = "@4000000037c219bf2ef02e94";
const DATE: &str = "1999-08-24 04:04:05.787492500";

fn utc(tree: &Tree) -> Cmd<'_> {
    tree.cmd("tai64nlocal").env("TZ", "UTC0")
}

/// Input and output in universal time.
#[track_caller]
fn becomes(input: impl AsRef<[u8]>, output: impl AsRef<[u8]>) {
    utc(&Tree::new()).stdin(input).run().is(0, output, "");
}

#[track_caller]
fn stays(input: impl AsRef<[u8]>) {
    becomes(&input, &input);
}

fn label(seconds: i64, nanoseconds: u32) -> String {
    let tai = (1_u64 << 62).wrapping_add(10).wrapping_add_signed(seconds);
    format!("@{tai:016x}{nanoseconds:08x}")
}

/// Gives a program the fetched time zones, if the machine has too few.
fn with_zones(command: Cmd<'_>) -> Cmd<'_> {
    let zones = zoneinfo();
    if zones == Path::new("/usr/share/zoneinfo") { command } else { command.env("TZDIR", zones) }
}

/// Asserts that tai64nlocal and `date` agree on these instants in a zone. `None` is the zone of the
/// machine.
#[track_caller]
fn agree(tree: &Tree, zone: Option<&str>, seconds: &[i64]) {
    let (mut instants, mut labels) = (String::new(), String::new());
    for (number, second) in seconds.iter().enumerate() {
        writeln!(instants, "@{second}").expect("text");
        writeln!(labels, "{} {number}", label(*second, 500)).expect("text");
    }
    let in_zone = |command: Cmd<'_>| match zone {
        Some(zone) => with_zones(command).env("TZ", zone).run(),
        None => command.run(),
    };
    let date = tree.cmd("date").args(["-f", "-", "+%-Y-%m-%d %H:%M:%S"]).stdin(instants);
    let dates = in_zone(date);
    assert_eq!((dates.code, dates.err().as_str()), (Some(0), ""), "{zone:?}");
    let output = in_zone(tree.cmd("tai64nlocal").stdin(labels));
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{zone:?}");
    let (dates, output) = (dates.out(), output.out());
    assert_eq!((dates.lines().count(), output.lines().count()), (seconds.len(), seconds.len()));
    for (number, (date, line)) in dates.lines().zip(output.lines()).enumerate() {
        let wanted = format!("{date}.000000500 {number}");
        assert_eq!(line, wanted, "{zone:?} @{}", seconds[number]);
    }
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

const YEAR: i64 = 31_556_952;

/// Instants: edge cases, both sides of whole hours around the usual changes, random ones between 1850
/// and 2100, and a few far away.
fn instants(random: &mut Random, count: usize) -> Vec<i64> {
    let mut seconds = vec![
        0,
        -1,
        1,
        59,
        86_399,
        86_400,
        -86_400,
        -86_401,
        951_782_399,
        951_782_400,
        951_868_799,
        951_868_800,
        1_078_012_799,
        1_078_012_800,
        4_107_542_399,
        4_107_542_400,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_648,
        -2_147_483_649,
        4_294_967_295,
        4_294_967_296,
        -62_135_596_800,
        -30_610_224_000,
        253_402_300_799,
        253_402_300_800,
    ];
    for year in [1975, 2007, 2024, 2026, 2037, 2038, 2060, 2399] {
        let begin = (year - 1970) * YEAR;
        for day in 0..366_i64 {
            // Instants between the whole hours.
            let noise = i64::try_from(random.below(86_400)).expect("small");
            seconds.push(begin - begin.rem_euclid(86_400) + day * 86_400 + noise);
        }
    }
    for _ in 0..count {
        let span = u64::try_from(250 * YEAR).expect("positive");
        seconds.push(-120 * YEAR + i64::try_from(random.below(span)).expect("small"));
        seconds.push(i64::try_from(random.below(1 << 31)).expect("small") * 100);
    }
    seconds
}

/// Every second between two years at which the zone's offset changes, as `date` shows it, and the seconds
/// before and after it.
fn changes(tree: &Tree, zone: &str, years: std::ops::Range<i64>) -> Vec<i64> {
    let offsets = |seconds: &[i64]| -> Vec<String> {
        let input: String = seconds.iter().map(|second| format!("@{second}\n")).collect();
        let date = tree.cmd("date").args(["-f", "-", "+%z %S"]).stdin(input);
        with_zones(date).env("TZ", zone).run().out().lines().map(str::to_owned).collect()
    };
    let minutes: Vec<i64> =
        ((years.start - 1970) * YEAR..(years.end - 1970) * YEAR).step_by(86_400).collect();
    let found = offsets(&minutes);
    let mut edges: Vec<(i64, i64)> = (1..minutes.len())
        .filter(|&at| found[at - 1][..5] != found[at][..5])
        .map(|at| (minutes[at - 1], minutes[at]))
        .collect();
    // Binary search for all changes at once.
    for _ in 0..17 {
        let middles: Vec<i64> = edges.iter().map(|(low, high)| low.midpoint(*high)).collect();
        let lows: Vec<i64> = edges.iter().map(|(low, _)| *low).collect();
        let (low_offsets, offsets) = (offsets(&lows), offsets(&middles));
        for (at, edge) in edges.iter_mut().enumerate() {
            let side =
                if low_offsets[at][..5] == offsets[at][..5] { &mut edge.0 } else { &mut edge.1 };
            *side = middles[at];
        }
    }
    edges.into_iter().flat_map(|(_, high)| [high - 2, high - 1, high, high + 1]).collect()
}

// Lines

#[test]
fn a_label_at_the_beginning_of_a_line_becomes_a_date() {
    becomes(format!("{LABEL} mark\n"), format!("{DATE} mark\n"));
    becomes("@400000000000000a00000000 x\n", "1970-01-01 00:00:00.000000000 x\n");
    becomes("@4000000000000009000001f4 x\n", "1969-12-31 23:59:59.000000500 x\n");
    becomes(format!("{LABEL}\n{LABEL}\n"), format!("{DATE}\n{DATE}\n"));
}

#[test]
fn only_the_label_is_replaced() {
    for rest in ["", " ", "  x ", "\t", ".s", "ghi", "G", "@", "/", " \0 \r\u{e9}", ":", "-x"] {
        becomes(format!("{LABEL}{rest}\n"), format!("{DATE}{rest}\n"));
    }
    // Only lower-case digits count.
    becomes(format!("{LABEL}A\n"), format!("{DATE}A\n"));
}

#[test]
fn a_second_label_in_a_line_is_left_alone() {
    becomes(format!("{LABEL} {LABEL} x\n"), format!("{DATE} {LABEL} x\n"));
    becomes(format!("{LABEL}{LABEL}\n"), format!("{DATE}{LABEL}\n"));
}

#[test]
fn other_lines_are_unchanged() {
    stays("");
    stays("\n");
    stays("\n\n\n");
    stays(format!(" {LABEL} x\n"));
    stays(format!("foo {LABEL} x\n"));
    stays(format!("{}\n", &LABEL[1..]));
    stays("no newline at the end");
    stays("a\0b\r\n\0\n");
    let every: Vec<u8> = (0..=255).chain(*b"\n\xff@\n").collect();
    stays(every);
}

#[test]
fn lines_with_and_without_labels_may_be_mixed() {
    let input = format!("a\n{LABEL} b\n\n{LABEL}\n {LABEL}\n{LABEL} c");
    becomes(input, format!("a\n{DATE} b\n\n{DATE}\n {LABEL}\n{DATE} c"));
}

#[test]
fn a_partial_last_line_gets_no_newline() {
    becomes(format!("{LABEL} x"), format!("{DATE} x"));
    becomes(format!("{LABEL} "), format!("{DATE} "));
    becomes(format!("{LABEL} a\nb"), format!("{DATE} a\nb"));
}

/// The output for a label at the very end of the input. The original drops it.
fn date_at_the_end() -> &'static str {
    let shown = Tree::new().suite().differs("ours prints a label at the very end of the input");
    if shown { DATE } else { "" }
}

#[test]
fn a_label_at_the_very_end_of_the_input() {
    let date = date_at_the_end();
    becomes(LABEL, date);
    becomes(format!("x\n{LABEL}"), format!("x\n{date}"));
}

#[test]
fn the_nanoseconds_are_printed_as_they_are() {
    for (nanoseconds, shown) in [
        (0, "000000000"),
        (1, "000000001"),
        (500, "000000500"),
        (999_999_999, "999999999"),
        (1_000_000_000, "1000000000"),
        (u32::MAX, "4294967295"),
    ] {
        let line = format!("1970-01-01 00:00:00.{shown} x\n");
        becomes(format!("{} x\n", label(0, nanoseconds)), line);
    }
}

#[test]
fn years_are_as_long_as_they_are() {
    for (seconds, date) in [
        (-62_135_596_800, "1-01-01 00:00:00"),
        (-62_167_219_200, "0-01-01 00:00:00"),
        (-30_610_224_000, "1000-01-01 00:00:00"),
        (-30_610_224_001, "999-12-31 23:59:59"),
        (253_402_300_799, "9999-12-31 23:59:59"),
        (253_402_300_800, "10000-01-01 00:00:00"),
        (67_767_976_233_532_799, "2147483647-12-31 23:59:59"),
    ] {
        becomes(format!("{} x\n", label(seconds, 0)), format!("{date}.000000000 x\n"));
    }
}

#[test]
fn a_label_may_have_leading_zeros_which_do_not_count() {
    for zeros in [1, 8, 100] {
        let line = format!("@{}{} x\n", "0".repeat(zeros), &LABEL[1..]);
        becomes(line, format!("{DATE} x\n"));
    }
}

#[test]
fn what_begins_like_a_label_and_is_none_is_copied() {
    let bad = [
        "@\n",
        "@foo\n",
        "@x@\n",
        "@4000000037c219bf\n",
        "@4000000037c219bf x\n",
        "@4000000037c219bf2ef02e9 x\n",
        "@4000000037C219BF2EF02E94 x\n",
        "@ffffffffffffffff00000000 x\n",
        "@000000000000000000000000 x\n",
        "@",
        "@4000",
    ];
    for line in bad {
        let tree = Tree::new();
        let output = utc(&tree).stdin(format!("before\n{line}")).run();
        if tree.suite().differs("ours copies text that only begins like a label") {
            output.is(0, format!("before\n{line}"), "");
        } else {
            // The original crashes, or drops the text at the end of the input.
            assert!(output.signal == Some(11) || output.out() == "before\n", "{line:?} {output}");
        }
    }
}

#[test]
fn a_bad_label_does_not_harm_the_lines_around_it() {
    let tree = Tree::new();
    let output = utc(&tree).stdin(format!("{LABEL} a\n@foo\n{LABEL} b\n")).run();
    if tree.suite().differs("a bad label affects no other line") {
        output.is(0, format!("{DATE} a\n@foo\n{DATE} b\n"), "");
    } else {
        // The original loses even the previous line.
        assert_eq!((output.signal, output.out().as_str()), (Some(11), ""));
    }
}

#[test]
fn long_lines_and_many_lines_go_through() {
    let (mut input, mut output) = (String::new(), String::new());
    for number in 0..20_000_i64 {
        let rest = "y".repeat(usize::try_from(number * 7919 % 90).expect("small"));
        if number % 3 == 0 {
            writeln!(input, "{rest} {number}").expect("text");
            writeln!(output, "{rest} {number}").expect("text");
        } else {
            let (hour, minute, second) = (number / 3600, number / 60 % 60, number % 60);
            writeln!(input, "{} {rest}", label(number, 500)).expect("text");
            writeln!(output, "1970-01-01 {hour:02}:{minute:02}:{second:02}.000000500 {rest}")
                .expect("text");
        }
    }
    becomes(input, output);
    let long = "z".repeat(1_000_000);
    let last = date_at_the_end();
    becomes(format!("{LABEL} {long}\n{long}\n{LABEL}"), format!("{DATE} {long}\n{long}\n{last}"));
}

#[test]
fn a_label_may_be_cut_anywhere_by_a_read() {
    for length in (8192 - 30..8192 + 5).chain(65_536 - 30..65_536 + 5) {
        let filling = "f".repeat(length);
        becomes(format!("{filling}\n{LABEL} x\n"), format!("{filling}\n{DATE} x\n"));
    }
}

#[test]
fn arguments_are_ignored() {
    let tree = Tree::new();
    for arguments in [&["-x"][..], &["--foo"], &["--help", "file"], &[""]] {
        let command = utc(&tree).args(arguments);
        command.stdin(format!("{LABEL}\n")).run().is(0, format!("{DATE}\n"), "");
    }
}

// Zones

#[test]
fn dates_are_those_of_the_zone() {
    let tree = Tree::new();
    let mut random = Random(1);
    let zones = [
        "UTC",
        "GMT",
        "Europe/Berlin",
        "Europe/London",
        "Europe/Dublin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Nuuk",
        "America/St_Johns",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Asia/Gaza",
        "Asia/Tehran",
        "Africa/Casablanca",
        "Africa/Monrovia",
        "Africa/El_Aaiun",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "Pacific/Chatham",
        "Etc/GMT+12",
        "EST",
        "EST5EDT",
        ":Europe/Berlin",
        "posix/Europe/Berlin",
    ];
    for zone in zones {
        agree(&tree, Some(zone), &instants(&mut random, 500));
    }
}

#[test]
fn dates_are_those_of_every_zone_there_is() {
    let tree = Tree::new();
    let mut random = Random(2);
    let Ok(table) = fs::read_to_string(zoneinfo().join("zone.tab")) else {
        skip("the machine has no list of time zones");
        return;
    };
    let zones = table.lines().filter(|line| !line.starts_with('#'));
    for zone in zones.filter_map(|line| line.split('\t').nth(2)) {
        agree(&tree, Some(zone), &instants(&mut random, 60));
    }
}

#[test]
fn dates_change_in_the_very_second() {
    let tree = Tree::new();
    for zone in
        ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "NZST-12NZDT,M9.5.0,M4.1.0/3"]
    {
        let seconds = changes(&tree, zone, 1910..2050);
        agree(&tree, Some(zone), &seconds);
    }
}

#[test]
fn leap_seconds_count_in_zones_which_have_them() {
    let tree = Tree::new();
    if !zoneinfo().join("right/UTC").exists() {
        skip("the machine has no zones with leap seconds");
    }
    let mut random = Random(3);
    for zone in ["right/UTC", "right/Europe/Berlin", "right/America/New_York", "right/Asia/Kolkata"]
    {
        let mut seconds = instants(&mut random, 500);
        // Each leap second with the number of earlier ones.
        for (before, leap) in [
            78_796_800,
            94_694_400,
            126_230_400,
            157_766_400,
            189_302_400,
            220_924_800,
            252_460_800,
            283_996_800,
            315_532_800,
            362_793_600,
            394_329_600,
            425_865_600,
            489_024_000,
            567_993_600,
            631_152_000,
            662_688_000,
            709_948_800,
            741_484_800,
            773_020_800,
            820_454_400,
            867_715_200,
            915_148_800,
            1_136_073_600,
            1_230_768_000,
            1_341_100_800,
            1_435_708_800,
            1_483_228_800,
        ]
        .into_iter()
        .enumerate()
        {
            let at = leap + i64::try_from(before).expect("few");
            seconds.extend(at - 3..=at + 3);
        }
        agree(&tree, Some(zone), &seconds);
    }
}

#[test]
fn the_zone_may_be_a_rule() {
    let tree = Tree::new();
    let mut random = Random(4);
    // Rules without the dates of the changes, such as "CET-1CEST", are left out: for these the C library
    // uses its own defaults, and others after 2037.
    let zones = [
        "UTC0",
        "EST5",
        "CET-1",
        "EST5EDT,M3.2.0,M11.1.0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
        "IST-2IDT,M3.4.4/26,M10.5.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "XXX3EDT4,0/0,J365/23",
        "AAA3BBB,J60,J300",
        "AAA3BBB,59,299/12:30:15",
        "<+0330>-3:30",
        "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
        "UTC+3:15:30",
        "LMT-0:53:28",
        "ABC24",
        "ABC-24:59:59",
    ];
    for zone in zones {
        agree(&tree, Some(zone), &instants(&mut random, 500));
    }
}

#[test]
fn a_zone_which_makes_no_sense_is_universal_time() {
    let tree = Tree::new();
    let mut random = Random(5);
    for zone in ["", ":", "No/Such_Zone", "nonsense", "A", "AB1", "5", "../../../etc/passwd", "/"] {
        agree(&tree, Some(zone), &instants(&mut random, 50));
    }
}

#[test]
fn without_a_zone_it_is_the_machines() {
    agree(&Tree::new(), None, &instants(&mut Random(6), 500));
}

#[test]
fn the_zone_may_be_a_file_anywhere() {
    let tree = Tree::new();
    let Ok(zone) = fs::read(zoneinfo().join("Asia/Kathmandu")) else {
        skip("the machine has no time zones");
        return;
    };
    let path = tree.write("own", zone);
    let seconds = instants(&mut Random(7), 50);
    agree(&tree, Some(path.to_str().expect("a name")), &seconds);
    agree(&tree, Some(&format!(":{}", path.display())), &seconds);
    let in_directory =
        |command: Cmd<'_>| command.env("TZDIR", tree.path("")).env("TZ", "own").run();
    let output = in_directory(tree.cmd("tai64nlocal").stdin(format!("{LABEL}\n")));
    output.is(0, "1999-08-24 09:49:05.787492500\n", "");
}

// Streaming

/// tai64nlocal with its input open.
fn start(tree: &Tree) -> (Process, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    (utc(tree).stdin_from(reader).start(), writer)
}

#[track_caller]
fn wait_output(process: &Process, text: &str) {
    wait_until(&format!("the output is {text:?}"), DEADLINE, || process.stdout() == text);
}

#[test]
fn output_appears_while_the_input_is_open() {
    let tree = Tree::new();
    let (process, mut input) = start(&tree);
    let mut wanted = String::new();
    for number in 0..50 {
        let (line, shown) = match number % 2 {
            0 => (format!("{LABEL} {number}\n"), format!("{DATE} {number}\n")),
            _ => (format!("line {number}\n"), format!("line {number}\n")),
        };
        input.write_all(line.as_bytes()).expect("write");
        wanted += &shown;
        wait_output(&process, &wanted);
    }
    drop(input);
    process.wait().is(0, wanted, "");
}

#[test]
fn part_of_a_line_appears() {
    let tree = Tree::new();
    let (process, mut input) = start(&tree);
    let pieces = [
        ("no lab", "no lab"),
        ("el\n@40000000", "no label\n"),
        ("37c219bf2ef02e94", "no label\n"),
        (" ", "no label\n1999-08-24 04:04:05.787492500 "),
        ("x", "no label\n1999-08-24 04:04:05.787492500 x"),
    ];
    for (piece, shown) in pieces {
        input.write_all(piece.as_bytes()).expect("write");
        wait_output(&process, shown);
    }
    drop(input);
    process.wait().is(0, "no label\n1999-08-24 04:04:05.787492500 x", "");
}

// Errors

#[test]
fn an_input_which_cannot_be_read_is_a_silent_error() {
    filter::fails_silently_without_input("tai64nlocal");
}

#[test]
fn an_output_which_cannot_be_written_is_a_silent_error() {
    filter::fails_silently_without_output("tai64nlocal");
}

#[test]
fn without_a_reader_it_is_killed_or_if_it_ignores_that_fails() {
    filter::ends_without_reader("tai64nlocal");
}
