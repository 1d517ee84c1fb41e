//! Input of supervise and svc: notifications, control bytes, command lines, and the goals of a wait.
#![no_main]

use daemontools_core::state_dir::control::{
    Command, Decoder, ENCORE_LETTERS, Letters, Message, ORIGINAL_LETTERS, Scope, Target,
};
use daemontools_core::state_dir::detail::StateFile;
use daemontools_core::state_dir::goal::{Goal, Observed, Progress, SentCommands, SupervisorState};
use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_core::supervise::Notification;
use daemontools_core::supervise::sd_notify::{self, Line};
use daemontools_core::text::getopt::{Getopt, Opt};
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
    let expected: Vec<Line<'_>> = lines.iter().filter_map(|line| parsed(line)).collect();
    assert_eq!(read, expected);
}

fn parsed(line: &[u8]) -> Option<Line<'_>> {
    if let Some(text) = line.strip_prefix(b"STATUS=") {
        return Some(Line::Status(text));
    }
    let line = std::str::from_utf8(line).ok()?;
    Some(Line::Notification(match line {
        "READY=1" => Notification::Ready,
        "RELOADING=1" => Notification::Reloading,
        "STOPPING=1" => Notification::Stopping,
        "WATCHDOG=1" => Notification::KeepAlive,
        "WATCHDOG=trigger" => Notification::WatchdogTrigger,
        _ => {
            let (key, value) = line.split_once('=')?;
            let digits = value.bytes().all(|c| c.is_ascii_digit());
            let number: u64 = value.parse().ok().filter(|_| digits)?;
            match key {
                "WATCHDOG_USEC" if number > 0 => {
                    Notification::WatchdogTimeout(Duration::from_micros(number))
                }
                "EXTEND_TIMEOUT_USEC" => Notification::ExtendTimeout(Duration::from_micros(number)),
                "MAINPID" => {
                    let pid = i32::try_from(number).ok().and_then(daemontools_core::Pid::new)?;
                    return Some(Line::MainPid(pid));
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
    // As the documentation of `Message` says.
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
    let before: Vec<_> =
        bytes.iter().filter_map(|&byte| decoder.feed(byte, Letters::Common)).collect();
    // These two mean something to s6 only.
    let common = bytes.iter().filter(|byte| !b"Ob".contains(byte));
    let commands = common.filter_map(|&byte| Command::from_byte(byte));
    assert!(before.iter().map(|(_, command, _)| *command).eq(commands));
    if bytes.iter().all(|byte| ORIGINAL_LETTERS.contains(byte)) {
        assert!(
            before.iter().all(|(to, _, scope)| (*to, *scope) == (Target::Main, Scope::Process))
        );
    }
    // A message in the same read starts with the default target and scope.
    if chooses {
        let mut fresh = Decoder::default();
        for &byte in later {
            assert_eq!(decoder.feed(byte, Letters::Common), fresh.feed(byte, Letters::Common));
        }
    }
    let sent = SentCommands::decode(&bytes);
    let main = before.iter().filter(|(to, ..)| *to == Target::Main).map(|(_, command, _)| command);
    let wanted = main.filter(|it| matches!(it, Command::Up | Command::Down | Command::Once));
    let last = wanted.fold(None, |_, command| Some(*command));
    assert_eq!(sent.once, last == Some(Command::Once));
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
    // Short texts are padded with zeros.
    let record = |text: &[u8]| {
        let mut bytes = [0; status::ENCORE_LEN];
        bytes.iter_mut().zip(text).for_each(|(out, byte)| *out = *byte);
        StatusRecord::from_bytes(bytes.get(..if text.len() > 18 { 20 } else { 18 })?)
    };
    let Some(status) = record(status) else {
        return;
    };
    let before = record(before).filter(|_| !before.is_empty());
    let sent = SentCommands::decode(message);
    let found = StateFile::classify(Some(state).filter(|it| !it.is_empty()), &status);
    for supervisor in [SupervisorState::Running, SupervisorState::Exited, SupervisorState::Killed] {
        let now = Observed { status, found, supervisor };
        let compare = |goal: Goal| goal.compare(sent, before.as_ref(), &now);
        let [up, down, ready] = [Goal::Up, Goal::Down, Goal::Ready].map(compare);
        assert!(
            down != Progress::Reached || (status.pid == 0 && supervisor != SupervisorState::Killed)
        );
        for progress in [up, ready] {
            assert!(supervisor == SupervisorState::Running || progress == Progress::Pending);
            assert!(progress != Progress::Reached || status.is_up() || sent.once);
        }
        // Ready implies up, and a service that failed to be up fails to be ready.
        assert!(ready != Progress::Reached || up == Progress::Reached);
        assert!(!matches!(up, Progress::Failed(_)) || up == ready);
        // A process that is told to end does not reach a goal.
        if sent.end && before.is_some_and(|before| before.pid != 0 && before.pid == status.pid) {
            assert!(up != Progress::Reached && ready != Progress::Reached);
        }
    }
}
