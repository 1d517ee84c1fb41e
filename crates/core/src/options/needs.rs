//! `needs`: what has to be there before a service.

use super::{File, Mistake, text};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// A service that another one needs: it has to be ready before that one is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name in the same scan directory.
    pub name: Box<[u8]>,
    /// What its death means.
    pub death: Death,
}

/// What the death of a service means to one that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Nothing.
    Nothing,
    /// It is started again too, once the other one is ready.
    Restart,
}

/// How many services one can need.
const MOST: usize = 1024;

/// How many services are looked at for a cycle.
const MOST_VISITED: usize = 1 << 16;

pub(super) fn parse(text: &[u8]) -> Result<Vec<Need>, Mistake> {
    let mut needs: Vec<Need> = Vec::new();
    for (line, content) in text::lines(text) {
        let wrong = |read, right| Err(Mistake::new(File::Needs, line, (read, right)));
        let (name, rest) = text::head(content);
        if name.len() > 255 || name.starts_with(b".") || name.iter().any(|c| b"/\0".contains(c)) {
            let right = "the name of a service, at most 255 bytes without slash and without dot \
                         at the beginning, as in database";
            return wrong(name, right);
        }
        let death = match rest {
            b"" => Death::Nothing,
            b"restart" => Death::Restart,
            _ => return wrong(rest, "nothing else or the word restart, as in database restart"),
        };
        if needs.iter().any(|need| *need.name == *name) {
            return wrong(name, "each name once, as in database");
        }
        if needs.len() == MOST {
            return wrong(name, "at most 1024 lines, as in database");
        }
        needs.push(Need { name: name.into(), death });
    }
    Ok(needs)
}

/// The chain of names from `start` back to `start`, which is its first and its last, if what it
/// needs leads back to it; one of the shortest. `needs_of` gives what a service needs, and is
/// asked once about each.
///
/// Cycles among the others, without `start`, are theirs to find. After 65536 names it is not
/// looked any further.
pub fn find_cycle(
    start: &[u8],
    mut needs_of: impl FnMut(&[u8]) -> Vec<Box<[u8]>>,
) -> Option<Vec<Box<[u8]>>> {
    // The names in the order in which we came upon them, and at which place the one is that
    // needs it.
    let mut found: Vec<(Box<[u8]>, usize)> = vec![(start.into(), 0)];
    let mut known = BTreeSet::new();
    let mut at = 0;
    while let Some((name, _)) = found.get(at) {
        for need in needs_of(name) {
            if *need == *start {
                return Some(chain(&found, at, need));
            }
            if found.len() < MOST_VISITED && known.insert(need.clone()) {
                found.push((need, at));
            }
        }
        at += 1;
    }
    None
}

/// The names that led from the first one to the one at this place, and then `last`.
fn chain(found: &[(Box<[u8]>, usize)], mut at: usize, last: Box<[u8]>) -> Vec<Box<[u8]>> {
    let mut chain = vec![last];
    while let Some((name, needed_by)) = found.get(at) {
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
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    #[test]
    fn names_and_what_their_deaths_mean() {
        let need = |name: &[u8], death| Need { name: name.into(), death };
        assert_eq!(
            parse(b"# first\n  database \n\ncache\trestart\nna\xffme\n"),
            Ok(vec![
                need(b"database", Death::Nothing),
                need(b"cache", Death::Restart),
                need(b"na\xffme", Death::Nothing),
            ])
        );
        for text in
            [&b"a/b"[..], b".", b"..", b".a", b"a\0b", &[b'x'; 256], b"a b", b"a\na restart"]
        {
            assert!(parse(text).is_err());
        }
        assert!(parse(&[b'x'; 255]).is_ok());
        let lines = |n: usize| (0..n).map(|i| alloc::format!("{i}\n")).collect::<String>();
        assert_eq!(parse(lines(1024).as_bytes()).unwrap().len(), 1024);
        assert_eq!(parse(lines(1025).as_bytes()).unwrap_err().line, 1025);
    }

    /// `a>bc b>a` and so on: one letter each.
    fn cycle(start: &str, all: &str) -> Option<String> {
        let find = |name: &[u8]| {
            let mut needs = all.split(' ').filter_map(|s| s.split_once('>'));
            let needs = needs.find(|(who, _)| who.as_bytes() == name).map_or("", |(_, what)| what);
            needs.bytes().map(|c| Box::from([c])).collect()
        };
        find_cycle(start.as_bytes(), find).map(|names| String::from_utf8(names.concat()).unwrap())
    }

    #[test]
    fn cycles_are_found_from_each_of_their_members() {
        assert_eq!(cycle("a", "a>a"), Some("aa".into()));
        for (start, chain) in [("a", "abca"), ("b", "bcab"), ("c", "cabc")] {
            assert_eq!(cycle(start, "a>xb b>cy c>za x>y y>z").as_deref(), Some(chain));
        }
        assert_eq!(cycle("a", "a>bd b>c c>a d>a").as_deref(), Some("ada"));
        assert_eq!(cycle("a", ""), None);
        assert_eq!(cycle("a", "a>bc b>d c>d"), None);
        assert_eq!(cycle("a", "a>b b>c c>b"), None);
    }

    #[test]
    fn long_chains_and_many_names_end() {
        let next = |step: u32| {
            move |name: &[u8]| {
                let n = u32::from_be_bytes(name.try_into().unwrap());
                vec![Box::from((n.wrapping_add(step) % 60_000).to_be_bytes())]
            }
        };
        let start = 0_u32.to_be_bytes();
        assert_eq!(find_cycle(&start, next(1)).unwrap().len(), 60_001);
        let mut asked = 0_u32;
        let endless = find_cycle(b"start", |_| {
            asked += 1;
            vec![Box::from(asked.to_be_bytes())]
        });
        assert_eq!((endless, asked), (None, 1 << 16));
    }

    proptest! {
        #[test]
        fn every_link_of_a_chain_is_a_need(
            needs in proptest::collection::vec(proptest::collection::vec(0_u8..12, 0..4), 12),
        ) {
            let of = |name: &[u8]| needs[usize::from(name[0])].iter().map(|n| Box::from([*n])).collect();
            let mut asked = [0_u32; 12];
            let chain = find_cycle(&[0], |name| {
                asked[usize::from(name[0])] += 1;
                of(name)
            });
            prop_assert!(asked.iter().all(|n| *n <= 1));
            // What can be reached from 0, the slow way.
            let mut reached = needs[0].clone();
            for _ in 0..12 {
                let more: Vec<u8> =
                    reached.iter().flat_map(|n| needs[usize::from(*n)].clone()).collect();
                reached.extend(more);
                reached.sort_unstable();
                reached.dedup();
            }
            prop_assert_eq!(chain.is_some(), reached.contains(&0));
            if let Some(chain) = chain {
                prop_assert_eq!((&*chain[0], &*chain[chain.len() - 1]), (&[0][..], &[0][..]));
                for link in chain.windows(2) {
                    let needed: Vec<Box<[u8]>> = of(&link[0]);
                    prop_assert!(needed.contains(&link[1]));
                }
            }
        }
    }
}
