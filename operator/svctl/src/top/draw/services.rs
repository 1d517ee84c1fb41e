//! The list of services.

use super::{ABOVE_LIST, Canvas};
use crate::output::{Colour, pad};
use crate::times::{age, short};
use crate::top::measurements::{Measured, Usages};
use crate::top::model::Model;
use crate::top::order::{Filter, Sort};
use crate::top::paint;
use crate::top::row::Row;
use crate::usage::bytes;
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthStr as _;

/// The cursor, the mark, the symbol, and a space.
const BEFORE_NAME: usize = 4;

/// The columns that a note needs to say something.
const USUAL_NOTE: usize = 20;

/// The cells of a service, apart from the symbol.
struct Cells {
    name: String,
    word: &'static str,
    age: String,
    pid: String,
    memory: String,
    processor: String,
    note: String,
    has_process: bool,
}

/// The widths of the columns. Zero for one that has no room.
struct Widths {
    name: usize,
    word: usize,
    age: usize,
    pid: usize,
    memory: usize,
    processor: usize,
}

impl Cells {
    fn of(row: &Row, usages: &Usages) -> Self {
        let snapshot = row.view.snapshot();
        let pid = snapshot.and_then(|it| it.status.pid);
        let measured = pid.and_then(|pid| usages.get(pid.get()));
        let percent = measured.and_then(|it: &Measured| it.percent);
        Self {
            name: row.view.target.shown(),
            word: if row.is_read { row.view.word() } else { "…" },
            age: snapshot.map_or_else(|| "-".to_owned(), |it| short(age(it.status.since))),
            pid: pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            memory: measured.map_or_else(|| "-".to_owned(), |it| bytes(it.usage.memory)),
            processor: percent.map_or_else(|| "-".to_owned(), |it| format!("{it}%")),
            note: if row.is_read { row.view.note() } else { String::new() },
            has_process: pid.is_some(),
        }
    }
}

impl Widths {
    /// Widths for these services on a screen of so many columns.
    fn of(cells: &[Cells], width: usize) -> Self {
        let widest = |least: usize, cell: &dyn Fn(&Cells) -> usize| {
            cells.iter().map(cell).max().unwrap_or(0).max(least)
        };
        let most = if width < 60 { (width / 3).max(8) } else { width / 4 };
        let mut widths = Self {
            name: widest(4, &|it| it.name.width()).min(most),
            word: widest(6, &|it| it.word.width()),
            age: widest(7, &|it| it.age.width()),
            pid: widest(6, &|it| it.pid.width()),
            memory: widest(8, &|it| it.memory.width()),
            processor: widest(4, &|it| it.processor.width()),
        };
        // The note of a service without a process has the room of the numbers.
        let note = |it: &Cells| if it.has_process { it.note.width() } else { 0 };
        let note = widest(0, &note).min(USUAL_NOTE);
        // A narrow screen shows the note instead of numbers.
        if widths.sum() + note > width {
            widths.processor = 0;
        }
        if widths.sum() + note > width {
            widths.memory = 0;
        }
        if widths.sum() + note > width {
            widths.pid = 0;
        }
        widths
    }

    /// The column of the note.
    fn sum(&self) -> usize {
        let behind = [self.name, self.word, self.age, self.pid, self.memory, self.processor];
        BEFORE_NAME
            + behind.iter().filter(|width| **width > 0).map(|width| width + 2).sum::<usize>()
    }
}

pub(super) fn draw(model: &Model, usages: &Usages, canvas: &mut Canvas<'_>) {
    head(model, canvas);
    let (visible, cursor) = model.rows.on_screen();
    let rows: Vec<&Row> = visible.iter().filter_map(|at| model.rows.get(*at)).collect();
    let cells: Vec<Cells> = rows.iter().map(|row| Cells::of(row, usages)).collect();
    let widths = Widths::of(&cells, canvas.width());
    titles(model, &widths, canvas);
    let bottom = canvas.height().saturating_sub(2);
    let above = u16::try_from(ABOVE_LIST).unwrap_or(0);
    for (((row, cells), y), at) in rows.iter().zip(&cells).zip(above..bottom).zip(0..) {
        line(row, cells, &widths, y, at == cursor, canvas);
    }
    if rows.is_empty() {
        let text = match (model.rows.len(), model.rows.filter) {
            (0, _) => "There is no service here (svctl help add).".to_owned(),
            (_, Filter::All) => "No name has this text: Esc shows all.".to_owned(),
            (_, filter) => {
                format!("No service is shown ({}): f or Esc shows others.", filter.word())
            }
        };
        canvas.put(0, 2, &text, Style::new());
    }
}

/// `/service  3 of 12 services (trouble): 9 ready, 1 failed`.
fn head(model: &Model, canvas: &mut Canvas<'_>) {
    let (counts, unread) = model.rows.counts();
    let mut parts: Vec<String> =
        counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    if unread > 0 {
        parts.push(format!("{unread} not read yet"));
    }
    let rows = &model.rows;
    let mut narrowed = Vec::new();
    if rows.filter != Filter::All {
        narrowed.push(rows.filter.word().to_owned());
    }
    if !rows.search.is_empty() {
        narrowed.push(format!("/{}", crate::output::escape(&rows.search)));
    }
    let all = rows.len();
    let plural = if all == 1 { "" } else { "s" };
    // A narrow screen has no room for the word.
    let word = if canvas.width() < 60 { String::new() } else { format!(" service{plural}") };
    let mut number = format!("{all}{word}");
    if !narrowed.is_empty() {
        number = format!("{} of {all} ({})", rows.shown_count(), narrowed.join(", "));
    }
    let marked = rows.marked_count();
    if marked > 0 {
        number += &format!(", {marked} marked");
    }
    let states = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let whole = format!("{}  ", model.scan);
    // The states are more important than the path.
    let has_room = whole.width() + number.width() + states.width() + 18 <= canvas.width();
    canvas.head(model, if has_room { &whole } else { "" }, &format!("{number}{states}"));
}

/// The names of the columns; an arrow shows the order.
fn titles(model: &Model, widths: &Widths, canvas: &mut Canvas<'_>) {
    let title = |name: &str, sort| {
        if model.rows.sort == sort { format!("{name}↓") } else { name.to_owned() }
    };
    let style = canvas.style(Colour::Dim);
    let mut x = BEFORE_NAME;
    for (text, width) in [
        (title("NAME", Sort::Name), widths.name),
        (title("STATE", Sort::State), widths.word),
        (title("SINCE", Sort::Since), widths.age),
    ] {
        canvas.put(x, 1, &text, style);
        x += width + 2;
    }
    for (text, width) in [("PID", widths.pid), ("MEMORY", widths.memory), ("CPU", widths.processor)]
    {
        if width > 0 {
            canvas.put(x + width.saturating_sub(text.width()), 1, text, style);
            x += width + 2;
        }
    }
    if x + 4 <= canvas.width() {
        canvas.put(x, 1, "NOTE", style);
    }
}

fn line(
    row: &Row,
    cells: &Cells,
    widths: &Widths,
    y: u16,
    has_cursor: bool,
    canvas: &mut Canvas<'_>,
) {
    let plain = Style::new();
    let state = if row.is_read { canvas.style(row.view.colour()) } else { plain };
    canvas.put(0, y, if has_cursor { ">" } else { " " }, plain);
    canvas.put(1, y, if row.is_marked { "*" } else { " " }, plain);
    canvas.put(2, y, if row.is_read { row.view.symbol() } else { " " }, state);
    let mut x = BEFORE_NAME;
    let name_style = if row.is_marked { canvas.style(Colour::Bold) } else { plain };
    for (text, width, style) in [
        (&*cells.name, widths.name, name_style),
        (cells.word, widths.word, state),
        (&cells.age, widths.age, plain),
    ] {
        canvas.put(x, y, &paint::fit(text, width), style);
        x += width + 2;
    }
    for (text, width) in [
        (&cells.pid, widths.pid),
        (&cells.memory, widths.memory),
        (&cells.processor, widths.processor),
    ] {
        if width > 0 && cells.has_process {
            let missing = width.saturating_sub(text.width());
            canvas.put(x, y, &format!("{}{}", pad("", missing), paint::fit(text, width)), plain);
            x += width + 2;
        }
    }
    canvas.put(x, y, &cells.note, plain);
    if has_cursor {
        canvas.reverse(y);
    }
}
