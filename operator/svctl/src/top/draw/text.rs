//! A page: its title and its rows.

use super::Canvas;
use crate::top::model::Model;
use crate::top::page::Page;
use crate::top::paint;
use ratatui_core::style::Style;

pub(super) fn draw(model: &Model, page: &Page, canvas: &mut Canvas<'_>) {
    canvas.head(model, &page.title, "");
    let width = canvas.width();
    let bottom = canvas.height().saturating_sub(2);
    for ((line, part, is_found), y) in page.on_screen().zip(1..bottom) {
        let rows = paint::rows(line, width);
        if let Some(row) = rows.get(part) {
            let mut x = 0;
            for span in &row.spans {
                let style = if canvas.is_coloured { span.style } else { plain(span.style) };
                x = canvas.put(x, y, &span.content, style);
            }
        }
        if is_found {
            canvas.reverse(y);
        }
    }
}

/// A style without its colour.
const fn plain(style: Style) -> Style {
    Style { fg: None, ..style }
}
