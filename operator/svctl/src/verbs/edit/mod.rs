//! `svctl edit`: an editor on a copy of a file of a service. A text with a mistake does not replace
//! the file, and no text is lost.

mod checks;
mod replacement;
mod sessions;

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, warn};
use crate::output::{escape, line};
use crate::selection::{Target, scan_dir, select};
use checks::Kind;
use replacement::Place;
use sessions::Session;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Component, Path};

/// The file that is edited if none is named: `run`, or `command` in a directory that has only this.
fn usual(target: &Target) -> &'static Path {
    let is_there = |name: &str| target.dir.path().join(name).exists();
    Path::new(if is_there("command") && !is_there("run") { "command" } else { "run" })
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let (name, file) = match arguments.operands.as_slice() {
        [name] => (name, None),
        [name, file] => (name, Some(Path::new(file))),
        _ => return Err(Failure::new(USAGE, "usage: svctl edit NAME [FILE]")),
    };
    let is_below = |file: &Path| {
        file.components().all(|part| matches!(part, Component::Normal(_)))
            && file.file_name().is_some()
    };
    if let Some(file) = file.filter(|file| !is_below(file)) {
        let shown = escape(&file.to_string_lossy());
        let why = "not a path below the service directory";
        return Err(Failure::new(USAGE, format!("unable to edit {shown}: {why}")));
    }
    let mut targets = select(&scan_dir(arguments), std::slice::from_ref(name))?;
    let (Some(target), true) = (targets.pop(), targets.is_empty()) else {
        let name = escape(&name.to_string_lossy());
        return Err(Failure::new(
            USAGE,
            format!("unable to edit {name}: it names several services"),
        ));
    };
    edit(&target, file.unwrap_or_else(|| usual(&target)))
}

fn edit(target: &Target, file: &Path) -> Result<u8, Failure> {
    let kind = Kind::of(file);
    let place = Place::open(target.dir.path(), file)?;
    let shown = place.shown().to_owned();
    let session = Session::begin(place.name(), place.text())?;
    loop {
        if !session.run_editor()? {
            let kept = session.end_unless_changed(place.text());
            return Err(Failure::new(
                CANNOT,
                format!("unable to edit {shown}: the editor failed; nothing was changed{kept}"),
            ));
        }
        let text = session.text()?;
        if text == place.text() && !place.is_new() {
            session.end();
            line(&format!("{shown}: not changed"));
            return Ok(DONE);
        }
        if text.is_empty() && place.is_new() && kind.needs_text() {
            session.end();
            line(&format!("{shown}: not made, because the text is empty"));
            return Ok(DONE);
        }
        let mistakes = kind.mistakes(file, &text, &place, session.copy());
        for mistake in &mistakes {
            warn(&format!("{shown}: {mistake}"));
        }
        let answer = if mistakes.is_empty() { Choice::Save } else { ask() };
        match answer {
            Choice::Again => {}
            Choice::Quit => {
                let copy = escape(&session.copy().to_string_lossy());
                return Err(Failure::new(
                    CANNOT,
                    format!(
                        "unable to use the new text of {shown}: see above; it is kept in {copy}"
                    ),
                ));
            }
            Choice::Save => {
                place.replace(&text, kind.is_script()).map_err(|failure| {
                    let copy = escape(&session.copy().to_string_lossy());
                    let message = format!("{}; the new text is kept in {copy}", failure.message);
                    Failure { message, ..failure }
                })?;
                session.end();
                line(&format!("{shown}: {}", if place.is_new() { "made" } else { "changed" }));
                line(&format!("    {}", kind.consequence(target, file, place.is_new())));
                return Ok(DONE);
            }
        }
    }
}

enum Choice {
    Again,
    Save,
    Quit,
}

/// Asks what to do with a text that has a mistake. Without a terminal it is not used.
fn ask() -> Choice {
    if !io::stdin().is_terminal() {
        return Choice::Quit;
    }
    loop {
        let _ = write!(io::stderr(), "edit again, save all the same, or quit? [e/s/q] ");
        let mut answer = String::new();
        match io::stdin().read_line(&mut answer) {
            Ok(0) | Err(_) => return Choice::Quit,
            Ok(_) => match answer.trim() {
                "e" | "" => return Choice::Again,
                "s" => return Choice::Save,
                "q" => return Choice::Quit,
                _ => {}
            },
        }
    }
}
