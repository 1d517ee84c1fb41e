//! A change of a service in words and as JSON.

use crate::output::escape;
use crate::times::{local, rfc3339};
use crate::view::{end_words, signal_name};
use serde_json::{Value, json};
use servicedir::{Cause, Change, Command, End, Phase, Requester};

/// What the phase became: `up → stopping`, or `up` if it stayed.
pub(crate) fn transition(change: &Change) -> String {
    if change.from == change.to {
        return change.to.word().to_owned();
    }
    format!("{} → {}", change.from, change.to)
}

/// What is known about a change: `command d (down) of root on pts/3: svctl down web`.
pub(crate) fn circumstances(change: &Change) -> String {
    let mut words = Vec::new();
    words.extend(change.end.map(end_words));
    // A new process.
    let is_started = (change.to != change.from || change.end.is_some())
        && !matches!(change.to, Phase::Stopping | Phase::Finishing);
    words.extend(change.pid.filter(|_| is_started).map(|pid| format!("pid {pid}")));
    words.extend(change.reason.map(|reason| reason.words().to_owned()));
    words.extend(change.cause.as_ref().map(|cause| cause_words(cause, change.requester.as_ref())));
    words.join(", ")
}

fn cause_words(cause: &Cause, requester: Option<&Requester>) -> String {
    match cause {
        Cause::SuperviseBegan => "a supervise began".to_owned(),
        Cause::Signal(name) => format!("supervise got {}", escape(name)),
        Cause::Command(command) => {
            let letter = command.letter();
            let asked = requester.map_or_else(String::new, |it| format!(" of {}", client(it)));
            format!("command {letter} ({}){asked}", command_word(*command))
        }
        _ => "a cause that this svctl does not know".to_owned(),
    }
}

/// The last change whose cause is a command or a signal to supervise that `is_meant` accepts.
pub(crate) fn last_request(
    changes: &[Change],
    is_meant: impl Fn(&Cause) -> bool,
) -> Option<&Change> {
    let is_request =
        |cause: &Cause| matches!(cause, Cause::Command(_) | Cause::Signal(_)) && is_meant(cause);
    changes.iter().rev().find(|change| change.cause.as_ref().is_some_and(is_request))
}

/// The cause in a sentence: `by svctl down web of root on pts/3 at Nov 29 19:02:44`.
pub(crate) fn requested_by(change: &Change) -> String {
    let at = local(change.at);
    match (&change.cause, &change.requester) {
        (Some(Cause::Command(_)), Some(it)) => {
            format!("by {} of {} at {at}", escape(&it.command), person(it))
        }
        (Some(Cause::Command(command)), None) => {
            format!("by the command {} at {at}, whose sender left no note", command.letter())
        }
        (Some(Cause::Signal(name)), _) => {
            format!("by {} to its supervise at {at}", escape(name))
        }
        _ => format!("at {at}"),
    }
}

/// The user and the terminal, and the command line.
pub(crate) fn client(requester: &Requester) -> String {
    format!("{}: {}", person(requester), escape(&requester.command))
}

fn person(requester: &Requester) -> String {
    let mut words = escape(&requester.user);
    if !requester.login.is_empty() {
        words += &format!(" (login {})", escape(&requester.login));
    }
    if !requester.terminal.is_empty() {
        words += &format!(" on {}", escape(&requester.terminal));
    }
    words
}

fn command_word(command: Command) -> String {
    match command {
        Command::Up => "up".to_owned(),
        Command::Down => "down".to_owned(),
        Command::Once => "once".to_owned(),
        Command::AtMostOnce => "once at most".to_owned(),
        Command::Exit => "exit".to_owned(),
        Command::Pause => "pause".to_owned(),
        Command::Continue => "continue".to_owned(),
        Command::Signal(signal) => signal.name().to_owned(),
        Command::SignalGroup(signal) => format!("{} to the process group", signal.name()),
    }
}

/// The JSON object of a change, as svctl-json(5) describes it.
pub(crate) fn change_object(change: &Change) -> Value {
    let end = change.end.map(|end| match end {
        End::Exited(code) => json!({"exit": code}),
        End::Killed(signal) => json!({"signal": signal_name(signal)}),
        End::Unknown => json!({"unknown": true}),
    });
    let (command, signal, began) = match &change.cause {
        Some(Cause::Command(command)) => {
            (Some((command_word(*command), command.letter().to_string())), None, false)
        }
        Some(Cause::Signal(name)) => (None, Some(name.clone()), false),
        Some(Cause::SuperviseBegan) => (None, None, true),
        _ => (None, None, false),
    };
    let (command, letter) = command.unzip();
    let requester = change.requester.as_ref().map(|it| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "user": some(&it.user),
            "login": some(&it.login),
            "terminal": some(&it.terminal),
            "command": some(&it.command),
        })
    });
    json!({
        "number": change.number,
        "at": rfc3339(change.at),
        "from": change.from.word(),
        "to": change.to.word(),
        "pid": change.pid,
        "reason": change.reason.map(|reason| reason.words()),
        "end": end,
        "command": command,
        "letter": letter,
        "signal": signal,
        "supervise_began": began,
        "requester": requester,
    })
}
