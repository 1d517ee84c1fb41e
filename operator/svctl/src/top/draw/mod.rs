//! The picture: the head, the list or a page, and the two lines at the bottom.

mod footer;
mod services;
mod text;

use super::measurements::Usages;
use super::model::Model;
use super::paint;
use crate::output::Colour;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

/// The lines above and below the list: the head, the names of the columns, and two at the bottom.
pub(crate) const AROUND_LIST: usize = 4;

/// Those of them above the list.
pub(crate) const ABOVE_LIST: usize = 2;

/// The lines above and below the text of a page.
pub(crate) const AROUND_TEXT: usize = 3;

/// Where and how to draw.
pub(crate) struct Canvas<'a> {
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) is_coloured: bool,
}

impl Canvas<'_> {
    fn width(&self) -> usize {
        usize::from(self.buffer.area.width)
    }

    fn height(&self) -> u16 {
        self.buffer.area.height
    }

    fn style(&self, colour: Colour) -> Style {
        paint::style(colour, self.is_coloured)
    }

    /// Writes a text, and returns the column behind it. What does not fit is cut with `…`.
    fn put(&mut self, x: usize, y: u16, text: &str, style: Style) -> usize {
        let room = self.width().saturating_sub(x);
        let Ok(column) = u16::try_from(x) else { return x };
        if room == 0 || y >= self.height() {
            return x;
        }
        let text = paint::fit(text, room);
        self.buffer.set_stringn(column, y, &text, room, style);
        x + text.width()
    }

    /// Shows a line in reverse.
    fn reverse(&mut self, y: u16) {
        let area = Rect { x: 0, y, width: self.buffer.area.width, height: 1 };
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
    }

    /// The head: a text on the left and the mode on the right.
    fn head(&mut self, model: &Model, left: &str, rest: &str) {
        let (mode, style) = if model.is_paused {
            ("PAUSED: p goes on", self.style(Colour::Yellow).add_modifier(Modifier::BOLD))
        } else if model.is_unlocked {
            ("CONTROL", self.style(Colour::Yellow).add_modifier(Modifier::BOLD))
        } else {
            ("read-only", self.style(Colour::Dim))
        };
        let room = self.width().saturating_sub(mode.width() + 1);
        let left = paint::fit(left, room).into_owned();
        let x = self.put(0, 0, &left, self.style(Colour::Bold));
        let rest = paint::fit(rest, room.saturating_sub(x)).into_owned();
        self.put(x, 0, &rest, Style::new());
        self.put(self.width().saturating_sub(mode.width()), 0, mode, style);
    }
}

/// Draws everything.
pub(crate) fn picture(model: &Model, usages: &Usages, canvas: &mut Canvas<'_>) {
    match model.page() {
        None => services::draw(model, usages, canvas),
        Some(page) => text::draw(model, page, canvas),
    }
    footer::draw(model, canvas);
}
