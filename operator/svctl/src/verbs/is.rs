//! `svctl is-up`, `is-ready`, `is-failed`: answers for scripts, by the exit code alone.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure, NOT_REACHED, UNKNOWN};
use crate::selection::named;
use crate::view::{Found, View};
use servicedir::State;

fn views(arguments: &Arguments) -> Result<Result<Vec<View>, u8>, Failure> {
    match named(arguments) {
        Ok(targets) => Ok(Ok(targets.iter().map(View::read).collect())),
        // Silent: the exit code says it.
        Err(failure) if failure.code == UNKNOWN => Ok(Err(UNKNOWN)),
        Err(failure) => Err(failure),
    }
}

/// 0 if all views hold, 4 if one cannot be looked at, else 1.
fn all(arguments: &Arguments, holds: impl Fn(&View) -> bool) -> Result<u8, Failure> {
    let views = match views(arguments)? {
        Ok(views) => views,
        Err(code) => return Ok(code),
    };
    Ok(if views.iter().any(|view| matches!(view.found, Found::Unknown(_))) {
        UNKNOWN
    } else if views.iter().all(holds) {
        DONE
    } else {
        NOT_REACHED
    })
}

pub(crate) fn up(arguments: &Arguments) -> Result<u8, Failure> {
    all(arguments, |view| {
        view.snapshot().is_some_and(|it| it.status.pid.is_some() || it.state.is_usable())
    })
}

pub(crate) fn ready(arguments: &Arguments) -> Result<u8, Failure> {
    all(arguments, |view| view.snapshot().is_some_and(|it| it.is_ready))
}

pub(crate) fn failed(arguments: &Arguments) -> Result<u8, Failure> {
    let views = match views(arguments)? {
        Ok(views) => views,
        Err(code) => return Ok(code),
    };
    let has_failed = views.iter().any(|view| view.state() == Some(State::Failed));
    Ok(if has_failed { DONE } else { NOT_REACHED })
}
