//! The way of the lines: cuts the input into lines, puts the stamp before each, runs the script on
//! its beginning, and hands it on.

use super::pattern::{Progress, shell_matches};
use super::rate::Limiter;
use super::script::{Action, Language, Script};
use super::stamp::StampText;
use crate::decimal::Decimal;
use crate::lines;
use crate::tai::Tai64n;
use alloc::vec::Vec;

/// How much of a line, its stamp included, patterns, `e` and `=` see.
pub const HEAD: usize = 1000;

/// Where lines go.
pub trait Outputs {
    /// A part of a line, or of several, for the log directory of this number. What is given for
    /// one directory, put together, is what has to be in its files.
    fn directory(&mut self, number: usize, text: &[u8]);
    /// The beginning of a line, at most [`HEAD`] bytes and without its end, for stderr.
    fn stderr(&mut self, line: &[u8]);
    /// The same for the status file of this number.
    fn status(&mut self, number: usize, line: &[u8]);
}

/// Where the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between two lines.
    Between,
    /// In a line whose beginning, in `head`, does not yet say what becomes of it.
    Head,
    /// In a line of which the script has seen what it sees.
    Rest,
}

/// A script at work.
pub struct Router<'a> {
    script: &'a Script<'a>,
    /// The script writes lines to directories and does nothing else, so that nobody needs to look
    /// at them.
    all_to_directories: bool,
    place: Place,
    /// The stamp, and what has come of the line.
    head: Vec<u8>,
    /// Whether each directory gets the line at hand, and how many it takes, by number.
    gates: Vec<Gate>,
    /// How far each action's pattern has come in the stamp.
    past_stamp: Vec<Progress<'a>>,
    /// Stamp and line in one piece, for those who need it so.
    joined: Vec<u8>,
    moment: Tai64n,
    stamp: StampText,
}

#[derive(Debug)]
struct Gate {
    open: bool,
    limiter: Option<Limiter>,
}

impl<'a> Router<'a> {
    /// A router at the beginning of the input.
    #[must_use]
    pub fn new(script: &'a Script<'a>) -> Self {
        let gate = |rate: Option<u64>| Gate { open: false, limiter: rate.map(Limiter::new) };
        let gates: Vec<Gate> = script.directories.iter().map(|d| gate(d.rate)).collect();
        let all = script.actions.iter().all(|a| matches!(a, Action::Directory(_)));
        let moment = Tai64n::default();
        Self {
            script,
            all_to_directories: all && gates.iter().all(|gate| gate.limiter.is_none()),
            place: Place::Between,
            head: Vec::new(),
            gates,
            past_stamp: Vec::with_capacity(script.actions.len()),
            joined: Vec::new(),
            moment,
            stamp: StampText::new(script.stamp, moment),
        }
    }

    /// Whether a line has begun and its end has not come.
    #[must_use]
    pub fn is_in_line(&self) -> bool {
        self.place != Place::Between
    }

    /// Takes a piece of the input; lines that begin in it are stamped with this moment.
    pub fn take(&mut self, mut text: &[u8], now: Tai64n, outputs: &mut impl Outputs) {
        self.moment = now;
        self.stamp = StampText::new(self.script.stamp, now);
        if self.is_in_line() {
            text = self.finish_line(text, outputs);
        }
        if self.all_to_directories {
            text = self.take_lines_unseen(text, outputs);
        } else {
            self.see_stamp();
        }
        while !text.is_empty() {
            let (line, next) = lines::cut(text);
            text = next;
            self.begin_line(line, outputs);
        }
    }

    /// Says what was kept back in a second that is over, unless a line is being written.
    pub fn tell_dropped(&mut self, now: Tai64n, outputs: &mut impl Outputs) {
        if self.is_in_line() {
            return;
        }
        let stamp = StampText::new(self.script.stamp, now);
        for (n, gate) in self.gates.iter_mut().enumerate() {
            if let Some(limiter) = &mut gate.limiter {
                tell(limiter.take_dropped(now), stamp.as_bytes(), n, outputs);
            }
        }
    }

    /// Says at the end what was kept back, although its second is not over.
    pub fn tell_rest(&mut self, now: Tai64n, outputs: &mut impl Outputs) {
        let stamp = StampText::new(self.script.stamp, now);
        for (n, gate) in self.gates.iter_mut().enumerate() {
            let rest = gate.limiter.as_mut().and_then(Limiter::take_rest);
            tell(rest, stamp.as_bytes(), n, outputs);
        }
    }

    /// Whether [`Router::tell_dropped`] will have something to say in the next second.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.gates.iter().any(|gate| gate.limiter.is_some_and(|limiter| limiter.has_dropped()))
    }

    /// All whole lines, without a look at them; gives what follows the last.
    fn take_lines_unseen<'t>(&self, text: &'t [u8], outputs: &mut impl Outputs) -> &'t [u8] {
        let mut whole = lines::whole(text);
        let rest = text.get(whole.len()..).unwrap_or_default();
        let directories = 0..self.gates.len();
        let stamp = self.stamp.as_bytes();
        if stamp.is_empty() {
            if !whole.is_empty() {
                directories.for_each(|n| outputs.directory(n, whole));
            }
            return rest;
        }
        while !whole.is_empty() {
            let (line, next) = lines::cut(whole);
            for n in directories.clone() {
                outputs.directory(n, stamp);
                outputs.directory(n, line);
            }
            whole = next;
        }
        rest
    }

    /// Goes on with a line that began in an earlier piece; gives what follows it.
    fn finish_line<'t>(&mut self, text: &'t [u8], outputs: &mut impl Outputs) -> &'t [u8] {
        let (line, next) = lines::cut(text);
        let mut rest = line;
        if self.place == Place::Head {
            let (body, _) = without_end(line);
            let room = HEAD.saturating_sub(self.head.len());
            let (part, behind) = line.split_at(body.len().min(room));
            self.head.extend_from_slice(part);
            if behind.is_empty() && self.head.len() < HEAD {
                return next;
            }
            rest = behind;
            let head = core::mem::take(&mut self.head);
            self.past_stamp.clear();
            self.run(&[], &head, outputs);
            self.to_open(&head, outputs);
            // Given back for its room.
            self.head = head;
            self.place = Place::Rest;
        }
        self.to_open(rest, outputs);
        if rest.ends_with(b"\n") {
            self.head.clear();
            self.place = Place::Between;
        }
        next
    }

    /// Takes the beginning of a line, and its end if it is there.
    fn begin_line(&mut self, line: &[u8], outputs: &mut impl Outputs) {
        let stamp = self.stamp;
        let stamp = stamp.as_bytes();
        let (body, ended) = without_end(line);
        let room = HEAD.saturating_sub(stamp.len());
        let seen = body.len().min(room);
        if !ended && seen < room {
            self.head.extend_from_slice(stamp);
            self.head.extend_from_slice(line);
            self.place = Place::Head;
            return;
        }
        self.run(stamp, body.get(..seen).unwrap_or_default(), outputs);
        self.to_open(stamp, outputs);
        self.to_open(line, outputs);
        if !ended {
            self.place = Place::Rest;
        }
    }

    fn to_open(&self, text: &[u8], outputs: &mut impl Outputs) {
        for (n, _) in self.gates.iter().enumerate().filter(|(_, gate)| gate.open) {
            outputs.directory(n, text);
        }
    }

    /// Looks at a new stamp.
    fn see_stamp(&mut self) {
        let stamp = self.stamp.as_bytes();
        self.past_stamp.clear();
        self.past_stamp.extend(self.script.actions.iter().map(|action| match action {
            Action::Deselect(Language::Simple, pattern)
            | Action::Select(Language::Simple, pattern) => Progress::new(pattern).feed(stamp),
            _ => Progress::Failed,
        }));
    }

    /// Runs the script on the beginning of a line: the stamp, of which `past_stamp` knows unless it
    /// is empty, and the text behind it.
    fn run(&mut self, stamp: &[u8], text: &[u8], outputs: &mut impl Outputs) {
        let mut joined = core::mem::take(&mut self.joined);
        joined.clear();
        let mut selected = true;
        for (n, action) in self.script.actions.iter().enumerate() {
            match *action {
                Action::Deselect(language, pattern) if selected => {
                    selected = !self.matches(n, language, pattern, stamp, text, &mut joined);
                }
                Action::Select(language, pattern) if !selected => {
                    selected = self.matches(n, language, pattern, stamp, text, &mut joined);
                }
                Action::Stderr if selected => outputs.stderr(join(&mut joined, stamp, text)),
                Action::Status(n) if selected => {
                    outputs.status(n, join(&mut joined, stamp, text));
                }
                Action::Directory(n) => {
                    if let Some(gate) = self.gates.get_mut(n) {
                        gate.open = selected;
                        if selected && let Some(limiter) = &mut gate.limiter {
                            let dropped = limiter.take_dropped(self.moment);
                            tell(dropped, self.stamp.as_bytes(), n, outputs);
                            gate.open = limiter.admits(self.moment);
                        }
                    }
                }
                Action::Deselect(..) | Action::Select(..) | Action::Stderr | Action::Status(_) => {}
            }
        }
        // Kept for its room.
        self.joined = joined;
    }

    fn matches(
        &self,
        action: usize,
        language: Language,
        pattern: &'a [u8],
        stamp: &[u8],
        text: &[u8],
        joined: &mut Vec<u8>,
    ) -> bool {
        match language {
            Language::Simple => {
                let past_stamp = self.past_stamp.get(action).copied();
                past_stamp.unwrap_or_else(|| Progress::new(pattern)).feed(text).matches()
            }
            Language::Shell => shell_matches(pattern, join(joined, stamp, text)),
        }
    }
}

/// Says how many lines a limiter kept back.
fn tell(dropped: Option<u64>, stamp: &[u8], n: usize, outputs: &mut impl Outputs) {
    if let Some(dropped) = dropped {
        outputs.directory(n, stamp);
        outputs.directory(n, b"multilog: dropped ");
        outputs.directory(n, Decimal::new(dropped).as_bytes());
        outputs.directory(n, b" lines\n");
    }
}

/// A line without the newline at its end, and whether there was one.
fn without_end(line: &[u8]) -> (&[u8], bool) {
    line.strip_suffix(b"\n").map_or((line, false), |body| (body, true))
}

/// Stamp and text in one piece; `room` is empty or holds them from an earlier call.
fn join<'b>(room: &'b mut Vec<u8>, stamp: &[u8], text: &'b [u8]) -> &'b [u8] {
    if stamp.is_empty() {
        return text;
    }
    if room.is_empty() {
        room.extend_from_slice(stamp);
        room.extend_from_slice(text);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        directories: Vec<Vec<u8>>,
        stderr: Vec<Vec<u8>>,
        statuses: Vec<Vec<u8>>,
    }

    impl Outputs for Seen {
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

    fn routed(args: &[&str], pieces: &[&[u8]]) -> Seen {
        let script = Script::parse(args.iter().map(|a| a.as_bytes()));
        let mut router = Router::new(&script);
        let mut seen = Seen::default();
        for piece in pieces {
            router.take(piece, NOW, &mut seen);
        }
        let ended = pieces.concat().last().is_none_or(|last| *last == b'\n');
        assert_eq!(router.is_in_line(), !ended);
        seen
    }

    #[test]
    fn selection_is_as_it_stands_at_each_action() {
        let seen = routed(&["-*o*", "./a", "+t*", "e", "./b", "=s"], &[b"one\ntwo\nx\n"]);
        assert_eq!(seen.directories, [&b"x\n"[..], b"two\nx\n"]);
        assert_eq!(seen.stderr, [&b"two"[..], b"x"]);
        assert_eq!(seen.statuses, [b"x"]);
    }

    #[test]
    fn patterns_see_the_stamp_and_a_thousand_bytes() {
        let long = [&b"x".repeat(2000)[..], b"\n"].concat();
        let seen = routed(&["t", "-*", "+@* *", "e", "./a"], &[b"ab\n", &long]);
        assert_eq!(seen.stderr[0], [STAMP, &b"ab"[..]].concat());
        assert_eq!(seen.stderr[1].len(), HEAD);
        assert_eq!(seen.directories[0], [&STAMP[..], b"ab\n", STAMP, &long].concat());
        let pattern = ["+@* ", &"x".repeat(974)].concat();
        let seen = routed(&["t", "-*", &pattern, "./a"], &[&long]);
        assert_eq!(seen.directories[0].len(), 2027);
        let seen = routed(&["t", "-*", "F", "+@??????????????* x*x", "./a"], &[&long]);
        assert_eq!(seen.directories[0].len(), 2027);
    }

    #[test]
    fn a_limited_directory_says_what_it_left_out() {
        let script = Script::parse([&b"R2"[..], b"./a", b"-*", b"+c", b"R1", b"./b"].into_iter());
        let mut router = Router::new(&script);
        let mut seen = Seen::default();
        let at = |seconds| Tai64n::from_unix(seconds, 0);
        router.take(b"a\nb\nc\nd\n", at(1), &mut seen);
        assert_eq!(seen.directories, [&b"a\nb\n"[..], b"c\n"]);
        assert!(router.has_dropped());
        router.take(b"e", at(1), &mut seen);
        router.take(b"f\n", at(2), &mut seen);
        assert_eq!(seen.directories[0], b"a\nb\nmultilog: dropped 2 lines\nef\n");
        router.take(b"g\nh\n", at(2), &mut seen);
        router.tell_dropped(at(2), &mut seen);
        assert!(seen.directories[0].ends_with(b"ef\ng\n"));
        router.tell_dropped(at(3), &mut seen);
        assert!(seen.directories[0].ends_with(b"g\nmultilog: dropped 1 lines\n"));
        assert!(!router.has_dropped());
        assert_eq!(seen.directories[1], b"c\n");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_input_is_cut(
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
            // Without its end, a line may still be in the head when all has come at once.
            input.push(b'\n');
            let whole = routed(&script, &[&input]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
            prop_assert_eq!(routed(&script, &pieces), whole);
        }
    }
}
