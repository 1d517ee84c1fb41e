//! `svctl wait`: waits for states, and sends nothing.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure, NOT_REACHED, TIMED_OUT, USAGE, warn};
use crate::options::{ANY, TIMEOUT};
use crate::output::{escape, line};
use crate::selection::{Target, scan_dir, select};
use crate::view::View;
use servicedir::{Goal, Outcome, ServiceDir, Waits};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let usage = || Failure::new(USAGE, "usage: svctl wait NAME... STATE[,STATE...]");
    let (states, names) = arguments.operands.split_last().ok_or_else(usage)?;
    if names.is_empty() {
        return Err(usage());
    }
    let states = states.to_string_lossy();
    let goals: Vec<Goal> = states
        .split(',')
        .map(|word| {
            Goal::from_word(word).ok_or_else(|| {
                let word = escape(word);
                let message =
                    format!("unable to wait for {word}: not up, ready, down, failed or gone");
                Failure::new(USAGE, message)
            })
        })
        .collect::<Result<_, _>>()?;
    let targets = select(&scan_dir(arguments), names)?;
    let timeout = arguments.duration(&TIMEOUT)?;
    wait(arguments, &targets, (&states, &goals), timeout)
}

fn wait(
    arguments: &Arguments,
    targets: &[Target],
    (states, goals): (&str, &[Goal]),
    timeout: Option<Duration>,
) -> Result<u8, Failure> {
    let error = |error: &std::io::Error| Failure::system("wait for services", error);
    let mut waits = Waits::new().map_err(|e| error(&e))?;
    let mut owners: Vec<&Target> = Vec::new();
    for target in targets {
        // Without the state gone, a service that was just linked is waited for.
        if !goals.contains(&Goal::Gone) {
            appear(&target.dir, timeout).map_err(|e| error(&e))?;
        }
        for &goal in goals {
            match waits.begin(&target.dir, &[], goal) {
                Ok(_) => owners.push(target),
                Err(_) if goals.contains(&Goal::Gone) && goal != Goal::Gone => {}
                Err(e) => {
                    return Err(Failure::system(format!("watch {}", target.shown()), &e));
                }
            }
        }
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut reached = BTreeSet::new();
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match waits.next_within(left).map_err(|e| error(&e))? {
            Some((number, Outcome::Reached(snapshot))) => {
                let Some(target) = owners.get(number) else { continue };
                let word = snapshot.map_or("gone", |it| it.state.word());
                if reached.insert(target.shown()) {
                    line(&format!("{}: {word}", target.shown()));
                }
                if reached.len() == targets.len() || arguments.has(&ANY) {
                    return Ok(DONE);
                }
            }
            Some((number, _)) => {
                // Another of the states may still be reached.
                let Some(target) = owners.get(number) else { continue };
                let is_over = |(at, owner): (usize, &&Target)| {
                    owner.shown() != target.shown() || !waits.unfinished().any(|left| left == at)
                };
                if owners.iter().enumerate().all(is_over) && !reached.contains(&target.shown()) {
                    let now = View::read(target).word();
                    warn(&format!("{} does not become {states}: it is {now}", target.shown()));
                    return Ok(NOT_REACHED);
                }
            }
            None => {
                for target in targets.iter().filter(|target| !reached.contains(&target.shown())) {
                    let now = View::read(target).word();
                    warn(&format!("{} is not {states}: it is {now}", target.shown()));
                }
                return Ok(TIMED_OUT);
            }
        }
    }
}

/// Waits until a supervise runs for the directory.
fn appear(dir: &ServiceDir, timeout: Option<Duration>) -> std::io::Result<()> {
    if dir.is_supervised().is_ok_and(|runs| runs) {
        return Ok(());
    }
    let mut events = dir.events()?;
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match events.next_within(left)? {
            Some(None) => {}
            Some(Some(_)) | None => return Ok(()),
        }
    }
}
