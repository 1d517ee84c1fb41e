use super::*;
use proptest::prelude::*;

#[derive(Debug, Default, PartialEq)]
struct Received {
    directories: Vec<Vec<u8>>,
    stderr: Vec<Vec<u8>>,
    statuses: Vec<Vec<u8>>,
}

impl Outputs for Received {
    fn directory(&mut self, number: usize, text: &[u8]) {
        self.directories.resize(self.directories.len().max(number + 1), Vec::new());
        self.directories[number].extend_from_slice(text);
    }
    fn stderr(&mut self, line: &[u8]) {
        self.stderr.push(line.to_vec());
    }
    fn status(&mut self, number: usize, line: &[u8]) {
        self.statuses.resize(self.statuses.len().max(number + 1), Vec::new());
        self.statuses[number] = line.to_vec();
    }
}

const NOW: Tai64n = Tai64n::from_unix(0, 500);
const STAMP: &[u8; 26] = b"@400000000000000a000001f4 ";

fn routed(args: &[&str], pieces: &[&[u8]]) -> Received {
    let script = LogScript::parse(args.iter().map(|a| a.as_bytes()));
    let mut router = Router::new(&script);
    let mut received = Received::default();
    for piece in pieces {
        router.route(piece, NOW, &mut received);
    }
    let ended = pieces.concat().last().is_none_or(|last| *last == b'\n');
    assert_eq!(router.is_in_line(), !ended);
    received
}

#[test]
fn each_output_depends_on_the_actions_before_it() {
    let received = routed(&["-*o*", "./a", "+t*", "e", "./b", "=s"], &[b"one\ntwo\nx\n"]);
    assert_eq!(received.directories, [&b"x\n"[..], b"two\nx\n"]);
    assert_eq!(received.stderr, [&b"two"[..], b"x"]);
    assert_eq!(received.statuses, [b"x"]);
}

#[test]
fn patterns_match_the_stamp_and_a_thousand_bytes() {
    let long = [&b"x".repeat(2000)[..], b"\n"].concat();
    let received = routed(&["t", "-*", "+@* *", "e", "./a"], &[b"ab\n", &long]);
    assert_eq!(received.stderr[0], [STAMP, &b"ab"[..]].concat());
    assert_eq!(received.stderr[1].len(), HEAD);
    assert_eq!(received.directories[0], [&STAMP[..], b"ab\n", STAMP, &long].concat());
    let pattern = ["+@* ", &"x".repeat(974)].concat();
    let received = routed(&["t", "-*", &pattern, "./a"], &[&long]);
    assert_eq!(received.directories[0].len(), 2027);
    let received = routed(&["t", "-*", "F", "+@??????????????* x*x", "./a"], &[&long]);
    assert_eq!(received.directories[0].len(), 2027);
}

#[test]
fn a_rate_limit_reports_the_lines_it_dropped() {
    let script = LogScript::parse([&b"R2"[..], b"./a", b"-*", b"+c", b"R1", b"./b"].into_iter());
    let mut router = Router::new(&script);
    let mut received = Received::default();
    let at = |seconds| Tai64n::from_unix(seconds, 0);
    router.route(b"a\nb\nc\nd\n", at(1), &mut received);
    assert_eq!(received.directories, [&b"a\nb\n"[..], b"c\n"]);
    assert!(router.has_dropped());
    router.route(b"e", at(1), &mut received);
    router.route(b"f\n", at(2), &mut received);
    assert_eq!(received.directories[0], b"a\nb\nmultilog: dropped 2 lines\nef\n");
    router.route(b"g\nh\n", at(2), &mut received);
    router.report_dropped(at(2), &mut received);
    assert!(received.directories[0].ends_with(b"ef\ng\n"));
    router.report_dropped(at(3), &mut received);
    assert!(received.directories[0].ends_with(b"g\nmultilog: dropped 1 lines\n"));
    assert!(!router.has_dropped());
    assert_eq!(received.directories[1], b"c\n");
}

proptest! {
    #[test]
    fn the_output_does_not_depend_on_the_pieces_of_the_input(
        lines in prop::collection::vec(
            prop_oneof![3 => "[ab*]{0,5}", 1 => "[ab]{990,1010}", 1 => "[ab]{2000}"], 0..6
        ),
        script in prop::collection::vec(
            prop_oneof![
                "[-+][ab*]{0,3}", "[-+]@\\* [ab*]{0,3}", Just("e".into()), Just("=s".into()),
                Just("./d".into()), Just("F".into()), Just("S".into()), Just("t".into()),
            ],
            0..7,
        ),
        cuts in prop::collection::vec(0_usize..4000, 0..8),
    ) {
        let script: Vec<&str> =
            script.iter().map(|word: &alloc::string::String| &word[..]).collect();
        let mut input = lines.join("\n").into_bytes();
        // The router keeps a line without an end in its head.
        input.push(b'\n');
        let whole = routed(&script, &[&input]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
        prop_assert_eq!(routed(&script, &pieces), whole);
    }
}
