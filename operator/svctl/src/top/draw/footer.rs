//! The two lines at the bottom: what is asked or was done, and the keys.

use super::Canvas;
use crate::output::{Colour, escape};
use crate::top::keys::Control;
use crate::top::model::{Model, Question, names};
use crate::top::page::PageKind;
use crate::top::paint;
use ratatui_core::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

/// Keys and what they do.
type Keys = &'static [(&'static str, &'static str)];

const LIST: Keys = &[
    ("?", "help"),
    ("Enter", "open"),
    ("w", "why"),
    ("l", "logs"),
    ("/", "search"),
    ("f", "filter"),
    ("s", "sort"),
    ("Space", "mark"),
    ("d", "doctor"),
    ("t", "tree"),
    ("!", "control"),
    ("q", "quit"),
];

const CONTROL: Keys = &[
    ("u", "up"),
    ("d", "down"),
    ("r", "restart"),
    ("h", "HUP"),
    ("o", "once"),
    ("!", "only look"),
    ("Space", "mark"),
    ("Enter", "open"),
    ("?", "help"),
    ("q", "quit"),
];

const PAGE: Keys =
    &[("Esc", "back"), ("/", "search"), ("n", "next"), ("Ctrl-L", "read again"), ("?", "help")];

const SERVICE: Keys = &[
    ("Esc", "back"),
    ("w", "why"),
    ("l", "logs"),
    ("/", "search"),
    ("!", "control"),
    ("Ctrl-L", "read again"),
    ("?", "help"),
];

const SERVICE_CONTROL: Keys = &[
    ("u", "up"),
    ("d", "down"),
    ("r", "restart"),
    ("h", "HUP"),
    ("o", "once"),
    ("!", "only look"),
    ("Esc", "back"),
    ("?", "help"),
];

pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let height = canvas.height();
    let (Some(above), Some(last)) = (height.checked_sub(2), height.checked_sub(1)) else { return };
    say(model, above, canvas);
    let keys = match (&model.question, &model.typing) {
        (Some(_), _) => &[("y", "yes"), ("n", "no")],
        (None, Some(_)) => &[("Enter", "keep"), ("Esc", "no search")][..],
        _ => match model.page() {
            None if model.is_unlocked => CONTROL,
            None => LIST,
            Some(page) if page.is_of_one_service() && model.is_unlocked => SERVICE_CONTROL,
            Some(page) if page.is_of_one_service() => SERVICE,
            Some(_) => PAGE,
        },
    };
    let mut x = 0;
    for (key, what) in keys {
        if x + key.width() + what.width() + 1 > canvas.width() {
            break;
        }
        x = canvas.put(x, last, key, canvas.style(Colour::Bold));
        x = canvas.put(x + 1, last, what, canvas.style(Colour::Dim)) + 2;
    }
}

/// The line above the keys.
fn say(model: &Model, y: u16, canvas: &mut Canvas<'_>) {
    let loud = canvas.style(Colour::Yellow).add_modifier(Modifier::BOLD);
    if let Some(question) = &model.question {
        canvas.put(0, y, &ask(question, canvas.width()), loud);
    } else if let Some(text) = &model.typing {
        // The end of a long text is what is being typed.
        let shown = escape(text);
        let begin = shown.char_indices().rev().nth(canvas.width().saturating_sub(3));
        let shown = shown.get(begin.map_or(0, |(at, _)| at)..).unwrap_or_default();
        let x = canvas.put(0, y, &format!("/{shown}"), Style::new());
        canvas.put(x, y, " ", Style::new().add_modifier(Modifier::REVERSED));
    } else if let Some(message) = &model.message {
        canvas.put(0, y, message, loud);
    } else if let Some(warning) = &model.warning {
        canvas.put(0, y, warning, loud);
    } else if let Some(page) = model.page() {
        let (first, last, all) = page.place();
        let is_logs = page.kind == PageKind::Logs;
        let follow = if is_logs && page.is_following() { ", following" } else { "" };
        let text = match all - (last + 1 - first.max(1)) {
            0 => format!("all rows{follow}"),
            _ => format!("rows {first} to {last} of {all}{follow}"),
        };
        canvas.put(0, y, &text, canvas.style(Colour::Dim));
    } else if let Some(row) = model.rows.selected() {
        let note = row.view.note();
        let name = row.view.target.shown();
        let text = if note.is_empty() { String::new() } else { format!("{name}: {note}") };
        canvas.put(0, y, &text, canvas.style(Colour::Dim));
    }
}

/// The question, with as many names as fit: the number of services and `?` are always there.
fn ask(question: &Question, width: usize) -> String {
    let count = question.targets.len();
    let verb = match question.control {
        // The whole text needs more than the screen has.
        Control::Hup if width < 60 => "HUP (ends many)",
        control => control.verb(),
    };
    let number = if count == 1 { String::new() } else { format!(" {count} services:") };
    for most in (1..=count.min(20)).rev() {
        let text = format!("{verb}{number} {}? y/n", names(&question.targets, most));
        if text.width() <= width {
            return text;
        }
    }
    if count == 1 {
        let name = names(&question.targets, 1);
        let room = width.saturating_sub(verb.width() + 6);
        return format!("{verb} {}? y/n", paint::fit(&name, room));
    }
    format!("{verb} {count} services? y/n")
}
