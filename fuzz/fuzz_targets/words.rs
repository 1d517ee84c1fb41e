//! What is said to a supervise and to `svc`: datagrams of a service, control bytes, command lines,
//! and what a wait makes of a status.
#![no_main]

use daemontools_core::command::{
    Command, Decoder, ENCORE_LETTERS, Message, ORIGINAL_LETTERS, Scope, Target,
};
use daemontools_core::detail::Found;
use daemontools_core::getopt::{Getopt, Opt};
use daemontools_core::goal::{Asked, Goal, Keeper, Seen, Verdict};
use daemontools_core::sd_notify::{self, Line};
use daemontools_core::status::{self, Record};
use daemontools_core::supervise::Word;
use daemontools_fuzz::parts;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => datagram(rest),
        1 => message(rest),
        2 => command_line(rest),
        _ => wait(rest),
    }
});

fn datagram(text: &[u8]) {
    let read: Vec<Line<'_>> = sd_notify::lines(text).collect();
    let lines: Vec<&[u8]> = text.split(|&c| c == b'\n').collect();
    let expected: Vec<Line<'_>> = lines.iter().filter_map(|line| said(line)).collect();
    assert_eq!(read, expected);
}

fn said(line: &[u8]) -> Option<Line<'_>> {
    if let Some(text) = line.strip_prefix(b"STATUS=") {
        return Some(Line::Status(text));
    }
    let line = std::str::from_utf8(line).ok()?;
    Some(Line::Word(match line {
        "READY=1" => Word::Ready,
        "RELOADING=1" => Word::Reloading,
        "STOPPING=1" => Word::Stopping,
        "WATCHDOG=1" => Word::Alive,
        "WATCHDOG=trigger" => Word::Sick,
        _ => {
            let (key, value) = line.split_once('=')?;
            let digits = value.bytes().all(|c| c.is_ascii_digit());
            let number: u64 = value.parse().ok().filter(|_| digits)?;
            match key {
                "WATCHDOG_USEC" if number > 0 => Word::WatchdogTime(Duration::from_micros(number)),
                "EXTEND_TIMEOUT_USEC" => Word::Extend(Duration::from_micros(number)),
                "MAINPID" => {
                    let pid = i32::try_from(number).ok().and_then(daemontools_core::Pid::new)?;
                    return Some(Line::Main(pid));
                }
                _ => return None,
            }
        }
    }))
}

fn message(data: &[u8]) {
    let [letters, later] = parts(data);
    let mut message = Message::default();
    letters.iter().for_each(|&letter| message.add(letter));
    let bytes = message.finish();
    // By the description of `Message`.
    let mut expected = Vec::new();
    for segment in letters.chunk_by(|_, next| !b"lL".contains(next)) {
        let mut seen = Vec::new();
        for &letter in segment {
            if !seen.contains(&letter) {
                seen.push(letter);
            }
        }
        expected.extend(seen);
    }
    if letters.iter().any(|letter| ENCORE_LETTERS.contains(letter)) {
        expected.insert(0, b'l');
    }
    let chooses = letters.iter().any(|letter| b"L+".contains(letter));
    if chooses {
        expected.push(b'l');
    }
    assert_eq!(bytes, expected, "{}", letters.escape_ascii());

    let mut decoder = Decoder::default();
    let before: Vec<_> = bytes.iter().filter_map(|&byte| decoder.feed(byte)).collect();
    let commands = bytes.iter().filter_map(|&byte| Command::from_byte(byte));
    assert!(before.iter().map(|(_, command, _)| *command).eq(commands));
    if bytes.iter().all(|byte| ORIGINAL_LETTERS.contains(byte)) {
        assert!(
            before.iter().all(|(to, _, scope)| (*to, *scope) == (Target::Main, Scope::Process))
        );
    }
    // What follows in the same read is not for whom this message chose.
    if chooses {
        let mut fresh = Decoder::default();
        for &byte in later {
            assert_eq!(decoder.feed(byte), fresh.feed(byte));
        }
    }
    let asked = Asked::by(&bytes);
    let main = before.iter().filter(|(to, ..)| *to == Target::Main).map(|(_, command, _)| command);
    let wishes = main.filter(|it| matches!(it, Command::Up | Command::Down | Command::Once));
    let last = wishes.fold(None, |_, command| Some(*command));
    assert_eq!(asked.once, last == Some(Command::Once));
}

fn command_line(data: &[u8]) {
    const LETTERS: &[u8] = b"ab:cd:";
    let args: Vec<&[u8]> = data.split(|&c| c == b'\n').collect();
    let mut options = Getopt::new(|n| args.get(n).copied(), LETTERS);
    let read: Vec<Opt<'_>> = options.by_ref().collect();
    assert_eq!(options.next(), None);

    let mut expected = Vec::new();
    let mut at = 1;
    while let Some(arg) = args.get(at).filter(|arg| arg.len() > 1 && arg[0] == b'-') {
        at += 1;
        if arg[1] == b'-' {
            break;
        }
        for (n, &letter) in arg.iter().enumerate().skip(1) {
            match letter {
                b'a' | b'c' => expected.push(Opt::Letter(letter)),
                b'b' | b'd' => {
                    let (_, value) = arg.split_at(n + 1);
                    if !value.is_empty() {
                        expected.push(Opt::Value(letter, value));
                    } else {
                        let next = args.get(at);
                        at += 1;
                        expected
                            .push(next.map_or(Opt::NeedsValue(letter), |v| Opt::Value(letter, v)));
                    }
                    break;
                }
                _ => expected.push(Opt::Illegal(letter)),
            }
        }
    }
    assert_eq!((read, options.operand()), (expected, at));
}

fn wait(data: &[u8]) {
    let [message, before, status, state] = parts(data);
    // Short ones are filled up, and so are none.
    let record = |text: &[u8]| {
        let mut bytes = [0; status::ENCORE_LEN];
        bytes.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        Record::from_bytes(bytes.get(..if text.len() > 18 { 20 } else { 18 })?)
    };
    let Some(status) = record(status) else {
        return;
    };
    let before = record(before).filter(|_| !before.is_empty());
    let asked = Asked::by(message);
    let found = Found::judge(Some(state).filter(|it| !it.is_empty()), &status);
    for keeper in [Keeper::Supervise, Keeper::Left, Keeper::Killed] {
        let seen = Seen { status, found, keeper };
        let judge = |goal: Goal| goal.judge(asked, before.as_ref(), &seen);
        let [up, down, ready] = [Goal::Up, Goal::Down, Goal::Ready].map(judge);
        assert!(down != Verdict::So || (status.pid == 0 && keeper != Keeper::Killed));
        for verdict in [up, ready] {
            assert!(keeper == Keeper::Supervise || verdict == Verdict::NotYet);
            assert!(verdict != Verdict::So || status.is_up() || asked.once);
        }
        // Who is ready is up; who is not up will not be ready.
        assert!(ready != Verdict::So || up == Verdict::So);
        assert!(!matches!(up, Verdict::Failed(_)) || up == ready);
        // A process that was told to end is not the one that is waited for.
        if asked.end && before.is_some_and(|before| before.pid != 0 && before.pid == status.pid) {
            assert!(up != Verdict::So && ready != Verdict::So);
        }
    }
}
