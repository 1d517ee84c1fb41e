use super::*;
use alloc::string::String;
use proptest::prelude::*;

#[test]
fn names_and_the_word_restart() {
    let need = |name: &[u8], on_death| Dependency { name: name.into(), on_death };
    assert_eq!(
        parse(b"# first\n  database \n\ncache\trestart\nna\xffme\n"),
        Ok(vec![
            need(b"database", OnDeath::Ignore),
            need(b"cache", OnDeath::Restart),
            need(b"na\xffme", OnDeath::Ignore),
        ])
    );
    for text in [&b"a/b"[..], b".", b"..", b".a", b"a\0b", &[b'x'; 256], b"a b", b"a\na restart"] {
        assert!(parse(text).is_err());
    }
    assert!(parse(&[b'x'; 255]).is_ok());
    let lines = |n: usize| (0..n).map(|i| alloc::format!("{i}\n")).collect::<String>();
    assert_eq!(parse(lines(1024).as_bytes()).unwrap().len(), 1024);
    assert_eq!(parse(lines(1025).as_bytes()).unwrap_err().line, 1025);
}

/// The cycle through `start`, where `a>bc b>a` says that `a` needs `b` and `c`.
fn cycle(start: &str, all: &str) -> Option<String> {
    let find = |name: &[u8]| {
        let mut needs = all.split(' ').filter_map(|s| s.split_once('>'));
        let needs =
            needs.find(|(needer, _)| needer.as_bytes() == name).map_or("", |(_, needed)| needed);
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
fn a_search_ends_after_long_chains_and_many_names() {
    let next = |step: u32| {
        move |name: &[u8]| {
            let n = u32::from_be_bytes(name.try_into().unwrap());
            vec![Box::from((n.wrapping_add(step) % 60_000).to_be_bytes())]
        }
    };
    let start = 0_u32.to_be_bytes();
    assert_eq!(find_cycle(&start, next(1)).unwrap().len(), 60_001);
    let mut calls = 0_u32;
    let endless = find_cycle(b"start", |_| {
        calls += 1;
        vec![Box::from(calls.to_be_bytes())]
    });
    assert_eq!((endless, calls), (None, 1 << 16));
}

proptest! {
    #[test]
    fn every_link_of_a_chain_is_a_need(
        needs in proptest::collection::vec(proptest::collection::vec(0_u8..12, 0..4), 12),
    ) {
        let of = |name: &[u8]| needs[usize::from(name[0])].iter().map(|n| Box::from([*n])).collect();
        let mut calls = [0_u32; 12];
        let chain = find_cycle(&[0], |name| {
            calls[usize::from(name[0])] += 1;
            of(name)
        });
        prop_assert!(calls.iter().all(|n| *n <= 1));
        // All names that 0 leads to.
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
