//! The terminal as ratatui sees it: cells become escape sequences in a buffer, which the loop writes.

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};
use rustix::termios::tcgetwinsize;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The size of a terminal that does not know its own.
const USUAL: Size = Size { width: 80, height: 24 };

/// Cells as escape sequences.
#[derive(Debug)]
pub(crate) struct Sequences {
    output: Rc<OwnedFd>,
    /// What the terminal has not got yet.
    pub(crate) pending: Vec<u8>,
}

impl Sequences {
    pub(crate) const fn new(output: Rc<OwnedFd>) -> Self {
        Self { output, pending: Vec::new() }
    }

    fn style(&mut self, cell: &Cell) {
        self.pending.extend_from_slice(b"\x1b[0");
        let codes = [
            (Modifier::BOLD, ";1"),
            (Modifier::DIM, ";2"),
            (Modifier::UNDERLINED, ";4"),
            (Modifier::REVERSED, ";7"),
        ];
        for (modifier, code) in codes {
            if cell.modifier.contains(modifier) {
                self.pending.extend_from_slice(code.as_bytes());
            }
        }
        // The other colours are not in use.
        let colour: &[u8] = match cell.fg {
            Color::Red => b";31",
            Color::Green => b";32",
            Color::Yellow => b";33",
            Color::Cyan => b";36",
            _ => b"",
        };
        self.pending.extend_from_slice(colour);
        self.pending.push(b'm');
    }
}

impl Backend for Sequences {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut last: Option<(u16, u16)> = None;
        let mut style = None;
        for (x, y, cell) in content {
            if last.is_none_or(|(column, row)| (x, y) != (column + 1, row)) {
                write!(self.pending, "\x1b[{};{}H", y + 1, x + 1)?;
            }
            last = Some((x, y));
            let wanted = (cell.fg, cell.modifier);
            if style != Some(wanted) {
                self.style(cell);
                style = Some(wanted);
            }
            self.pending.extend_from_slice(cell.symbol().as_bytes());
        }
        if style.is_some() {
            self.pending.extend_from_slice(b"\x1b[0m");
        }
        Ok(())
    }

    /// The cursor is hidden all the time.
    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.pending.extend_from_slice(b"\x1b[0m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        let size = tcgetwinsize(&*self.output)?;
        let is_known = size.ws_col > 0 && size.ws_row > 0;
        Ok(if is_known { Size { width: size.ws_col, height: size.ws_row } } else { USUAL })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::default() })
    }

    /// The loop writes when the terminal takes something.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
