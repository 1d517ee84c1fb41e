//! `needs`: the dependencies of a service.

use super::{OptionError, OptionFile, syntax};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// A service that must be ready before the service that needs it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The name in the same scan directory.
    pub name: Box<[u8]>,
    /// What supervise does when the dependency dies.
    pub on_death: OnDeath,
}

/// What supervise does with a service when a dependency of it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeath {
    /// The service keeps running.
    Ignore,
    /// The service is restarted as soon as the dependency is ready again.
    Restart,
}

/// The most dependencies of a service.
const MOST_DEPENDENCIES: usize = 1024;

/// The most services that a search for a cycle visits.
const MOST_VISITED: usize = 1 << 16;

pub(super) fn parse(text: &[u8]) -> Result<Vec<Dependency>, OptionError> {
    let mut needs: Vec<Dependency> = Vec::new();
    for (line, content) in syntax::lines(text) {
        let error =
            |found, expected| Err(OptionError::new(OptionFile::Needs, line, (found, expected)));
        let (name, rest) = syntax::first_word(content);
        if name.len() > 255 || name.starts_with(b".") || name.iter().any(|c| b"/\0".contains(c)) {
            let expected = "the name of a service, at most 255 bytes without slash and without dot \
                         at the beginning, as in database";
            return error(name, expected);
        }
        let on_death = match rest {
            b"" => OnDeath::Ignore,
            b"restart" => OnDeath::Restart,
            _ => return error(rest, "nothing else or the word restart, as in database restart"),
        };
        if needs.iter().any(|need| *need.name == *name) {
            return error(name, "each name once, as in database");
        }
        if needs.len() == MOST_DEPENDENCIES {
            return error(name, "at most 1024 lines, as in database");
        }
        needs.push(Dependency { name: name.into(), on_death });
    }
    Ok(needs)
}

/// Finds a shortest cycle of dependencies through `start`; `None` if there is none.
///
/// The result begins and ends with `start`. `needs_of` returns the dependencies of a service, and
/// is called once for each. Cycles that do not contain `start` are not reported. The search ends
/// after 65536 names.
pub fn find_cycle(
    start: &[u8],
    mut needs_of: impl FnMut(&[u8]) -> Vec<Box<[u8]>>,
) -> Option<Vec<Box<[u8]>>> {
    // Names in the order of a breadth-first search, each with the index of the name that needs it.
    let mut visited: Vec<(Box<[u8]>, usize)> = vec![(start.into(), 0)];
    let mut known = BTreeSet::new();
    let mut at = 0;
    while let Some((name, _)) = visited.get(at) {
        for need in needs_of(name) {
            if *need == *start {
                return Some(chain(&visited, at, need));
            }
            if visited.len() < MOST_VISITED && known.insert(need.clone()) {
                visited.push((need, at));
            }
        }
        at += 1;
    }
    None
}

/// The names from the first one to the one at this index, followed by `last`.
fn chain(visited: &[(Box<[u8]>, usize)], mut at: usize, last: Box<[u8]>) -> Vec<Box<[u8]>> {
    let mut chain = vec![last];
    while let Some((name, needed_by)) = visited.get(at) {
        chain.push(name.clone());
        if at == 0 {
            break;
        }
        at = *needed_by;
    }
    chain.reverse();
    chain
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
