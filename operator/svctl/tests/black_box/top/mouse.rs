//! The mouse, which the terminal reports only on request.

use super::{start, wait_cursor, wait_line, wait_text};

/// A report of the wheel, one notch down.
const WHEEL_DOWN: &str = "\u{1b}[<65;5;4M";

const WHEEL_UP: &str = "\u{1b}[<64;5;4M";

#[test]
fn the_wheel_scrolls_and_a_click_selects() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    wait_cursor(&top, "api");
    // Until it is asked for, the mouse selects text as in every program.
    assert!(!top.has_mouse());
    top.keys(&["m"]);
    wait_text(&top, "Mouse: the wheel scrolls, a click selects");
    assert!(top.has_mouse());
    top.text(WHEEL_DOWN);
    wait_cursor(&top, "nginx");
    top.text(WHEEL_UP);
    wait_cursor(&top, "api");
    // The head, the titles, and one line for each service.
    for (row, name) in [(7, "web"), (4, "cron"), (1, "cron"), (2, "cron"), (20, "cron")] {
        top.text(&format!("\u{1b}[<0;9;{row}M\u{1b}[<0;9;{row}m"));
        wait_cursor(&top, name);
        assert_eq!(super::cursor(&top.screen()), Some(name), "row {row}");
    }
    top.keys(&["?"]);
    top.resize(80, 10);
    wait_text(&top, "rows 1 to 7");
    top.text(WHEEL_DOWN);
    wait_text(&top, "rows 4 to 10");
    // A click is no answer, and no command to the service below it.
    top.keys(&["q", "!", "d"]);
    wait_text(&top, "Stop cron? y/n");
    top.text("\u{1b}[<0;9;3M");
    wait_text(&top, "Stop cron? y/n");
    top.keys(&["n", "!", "m"]);
    wait_text(&top, "The mouse selects text again");
    assert!(!top.has_mouse());
    top.keys(&["m", "q"]);
    assert_eq!(top.wait_end(), 0);
    assert!(!top.has_mouse(), "the terminal gets its mouse back");
}
