//! Random cases for multilog: a script, input, and a log directory from an earlier run.

use system::random::Random;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The contents of the directory where multilog starts, in the order of their creation.
    pub(crate) initial: Vec<(String, Item)>,
    pub(crate) runs: Vec<Run>,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Directory(u32),
    File(Vec<u8>, u32),
    /// A hard link to another file.
    Link(String),
    Symlink(String),
}

/// One run of multilog.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) script: Vec<Vec<u8>>,
    /// The input; each piece is one write.
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) feed: Feed,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Feed {
    /// Each read returns one piece, which ends at its only newline. So both suites cut the files at
    /// the same places, however they read and write.
    Packets,
    Pipe,
    File,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Eof,
    Term,
    Kill,
}

impl Run {
    pub(crate) fn stamps(&self) -> bool {
        self.script.first().is_some_and(|word| word.starts_with(b"t"))
    }
}

impl Case {
    /// Whether both suites must cut the files at the same places.
    pub(crate) fn is_exact(&self) -> bool {
        self.runs.iter().all(|run| run.feed == Feed::Packets)
    }
}

/// The leading digits, as multilog reads them.
pub(crate) fn number(text: &[u8]) -> u64 {
    text.iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0, |n: u64, c| n.wrapping_mul(10).wrapping_add(u64::from(c - b'0')))
}

/// The output directories of a script, with their number of files and file size.
pub(crate) fn directories(script: &[Vec<u8>]) -> Vec<(String, u64, u64)> {
    let (mut files, mut size, mut found) = (10, 99_999, Vec::new());
    for word in script {
        match word.first() {
            Some(b'n') => files = number(&word[1..]).max(2),
            Some(b's') => size = number(&word[1..]).clamp(4096, 16_777_215),
            Some(b'.') => found.push((String::from_utf8_lossy(word).into_owned(), files, size)),
            _ => {}
        }
    }
    found
}

pub(crate) const ALPHABET: &[u8] = b"gh xz";

pub(crate) fn any_byte() -> Vec<u8> {
    (0..=255).collect()
}

/// A line without its newline.
pub(crate) fn line(random: &mut Random) -> Vec<u8> {
    let edge = [26, 200, 512, 974, 1000, 1001, 1024, 2000, 2048, 4096, 5000];
    let length = match random.below(10) {
        0 => 0,
        1..=4 => random.below(12),
        5..=7 => random.below(300),
        8 => random.between(301, 1100),
        _ => (random.choose(&edge) + random.below(7)).saturating_sub(3),
    };
    let mut line = match random.below(6) {
        0 => random.bytes(&any_byte(), length),
        1 => vec![b'g'; length],
        2 => random.bytes(b"\0\r\xff", length),
        _ => random.bytes(ALPHABET, length),
    };
    line.iter_mut().filter(|c| **c == b'\n').for_each(|c| *c = b'*');
    // One `z` near the offset up to which patterns look.
    if length > 940 && random.once_in(2) {
        let place = random.choose(&[973, 974, 975, 998, 999, 1000, 1001]);
        line.iter_mut().filter(|c| **c == b'z').for_each(|c| *c = b'h');
        if let Some(byte) = line.get_mut(place) {
            *byte = b'z';
        }
    }
    line
}

pub(crate) fn pattern(random: &mut Random, lines: &[Vec<u8>], stamps: bool) -> Vec<u8> {
    let mut pattern = match random.below(8) {
        0 => random.choose(&[&b"*"[..], b"", b"**", b"*z", b"*z*", b"g*", b"*\xff*"]).to_vec(),
        1..=3 => {
            let length = random.below(6);
            random.bytes(b"gh xz**", length)
        }
        4 => {
            let length = random.below(4);
            random.bytes(&any_byte(), length)
        }
        _ => {
            // A line with holes.
            let mut rest = if lines.is_empty() { &b""[..] } else { &random.choose(lines) };
            let mut pattern = Vec::new();
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(random.between(1, rest.len()));
                if random.once_in(2) {
                    pattern.push(b'*')
                } else {
                    pattern.extend(part)
                }
                rest = behind;
            }
            pattern
        }
    };
    if stamps && random.once_in(2) {
        pattern.splice(0..0, *b"@* ");
    }
    // The digits of labels vary. A star must not end at one.
    pattern.retain(|c| *c != 0 && !(stamps && c.is_ascii_hexdigit()));
    pattern
}

pub(crate) const PROCESSORS: [&str; 9] = [
    "cat",
    "tr g-z G-Z",
    "exec cat",
    "",
    "wc -c",
    "umask; cat",
    "cat >&5; cat <&4",
    "cat <&4; cat; echo next >&5",
    "sort",
];

pub(crate) fn script(random: &mut Random, lines: &[Vec<u8>], exact: bool) -> Vec<Vec<u8>> {
    let mut script: Vec<Vec<u8>> = Vec::new();
    if random.once_in(4) {
        script.push(random.choose(&["t", "t", "t", "test", "t./x"]).into());
    }
    let stamps = !script.is_empty();
    if !random.once_in(4) {
        script.push(random.choose(&["s4096", "s4096", "s0", "s5000"]).into());
    }
    let mut names = vec!["./a", "./b", "./c", "./d"];
    for _ in 0..random.below(9) {
        let word = match random.below(20) {
            0..=3 => [b"-".to_vec(), pattern(random, lines, stamps)].concat(),
            4..=7 => [b"+".to_vec(), pattern(random, lines, stamps)].concat(),
            8 => random.choose(&["e", "e", "else"]).into(),
            9 if random.once_in(12) => random.choose(&["=", "=no/where", "=s/"]).into(),
            9 => random.choose(&["=s", "=s", "=u", "=./v"]).into(),
            10..=11 => {
                let more = ["s4096", "s4097", "s0", "s", "s5000x", "s6000", "s8192"];
                // Numbers that do not fit into 64 bits wrap around in the original.
                let odd = ["s-1", "s 9", "s99999999999999999", "s007777"];
                random.choose(&[&more[..], &more, &odd].concat()).into()
            }
            12..=13 => {
                let few = ["n2", "n3", "n4", "n0", "n1", "n", "n02x"];
                let many = ["n1000", "n-5", "n999999999999", "n10"];
                random.choose(&[&few[..], &many].concat()).into()
            }
            14..=15 => {
                let most = if exact { PROCESSORS.len() } else { 3 };
                let most = if stamps { most.min(PROCESSORS.len() - 1) } else { most };
                [b"!", random.choose(&PROCESSORS[..most]).as_bytes()].concat()
            }
            16 => random.choose(&[&b""[..], b"x", b"Q9", b"q", b"\xff", b"1"]).to_vec(),
            17 if random.once_in(8) => random.choose(&["./a", "./no/where", "./a/"]).into(),
            17 if exact && random.once_in(8) => b".".to_vec(),
            _ if !names.is_empty() => names.remove(random.below(names.len())).into(),
            _ => continue,
        };
        script.push(word);
    }
    if names.len() == 4 {
        script.push(b"./a".to_vec());
    }
    script
}

/// Files of an earlier logger, and foreign ones.
pub(crate) fn random_files(
    random: &mut Random,
    script: &[Vec<u8>],
    exact: bool,
) -> Vec<(String, Item)> {
    let mut initial: Vec<(String, Item)> = Vec::new();
    for (name, content) in [("s", 0), ("u", 3), ("v", 1500)] {
        if random.once_in(4) {
            let mode = random.choose(&[0o600, 0o644, 0o755]);
            initial.push((name.into(), Item::File(vec![b'k'; content], mode)));
        }
    }
    let mut done: Vec<String> = Vec::new();
    for (dir, files, _) in directories(script) {
        let dir = dir.trim_start_matches("./").trim_end_matches('/').to_owned();
        if done.contains(&dir) || dir == "." || dir == "no/where" || random.once_in(3) {
            continue;
        }
        done.push(dir.clone());
        if random.once_in(30) {
            initial.push((
                dir,
                random.choose(&[Item::File(vec![], 0o644), Item::Symlink("e".into())]),
            ));
            continue;
        }
        initial.push((dir.clone(), Item::Directory(random.choose(&[0o700, 0o755, 0o2750]))));
        let text = |random: &mut Random| {
            let (length, end) = (random.choose(&[0, 3, 100, 2000, 3000]), random.once_in(2));
            let length = length + random.below(200);
            let mut text = random.bytes(b"ghxz\n", length);
            // Without a newline at its end, the last line may be cut at the next one.
            text.extend_from_slice(if end { b"" } else { b"\n" });
            text
        };
        let mut put = |name: &str, item| initial.push((format!("{dir}/{name}"), item));
        // 0: no `current`; 1: an incomplete one; 2: a complete one.
        let current = random.below(3);
        let modes: &[u32] = match current {
            1 => &[0o644, 0o600, 0o666, 0o677],
            _ => &[0o744, 0o744, 0o700, 0o777, 0o1744],
        };
        if current > 0 {
            put("current", Item::File(text(random), random.choose(modes)));
        }
        for name in ["processed", "state", "newstate", "previous"] {
            // Beside a complete `current`, ours saves a `previous`, and a processor needs `state`.
            let (never, always) =
                (current == 2 && name == "previous", current == 2 && name == "state");
            if !never && (always || random.once_in(3)) {
                put(name, Item::File(text(random), random.choose(&[0o644, 0o744, 0o600, 0o700])));
            }
        }
        if random.once_in(8) {
            put("lock", Item::File(b"x".to_vec(), 0o640));
        }
        // Ours counts the old files at every start that is not clean, the original only when it
        // finishes a file.
        let most = if current == 0 { files - 1 } else { files + 3 }.min(14);
        // The number of new files decides how many old ones are left.
        let most = if exact { usize::try_from(most).expect("small") } else { 0 };
        let count = random.below(most + 1);
        for n in 0..count {
            let end = random.choose(&[".s", ".s", ".u", "", "x", ".s.gz", " y"]);
            put(&format!("@4000000012345678{n:08x}{end}"), Item::File(text(random), 0o744));
        }
        for name in
            ["@", "@x", "@40000000123456780000000", "x", "@g", "a@4000000012345678900000000.s"]
        {
            if random.once_in(10) {
                put(name, Item::File(b"odd".to_vec(), 0o644));
            }
        }
        if count + 1 < most && random.once_in(3) {
            let of = random.choose(&["current", "previous", "processed"]);
            if initial.iter().any(|(name, _)| *name == format!("{dir}/{of}")) && current != 2 {
                let name = format!("{dir}/@4000000012345678ffffffff.s");
                initial.push((name, Item::Link(format!("{dir}/{of}"))));
            }
        }
        if exact && current == 0 && random.once_in(10) {
            initial.push((format!("{dir}/current"), Item::Symlink("../elsewhere".into())));
            if random.once_in(2) {
                // Incomplete, because a complete `current` needs `state`.
                initial.push(("elsewhere".into(), Item::File(text(random), 0o644)));
            }
        }
    }
    initial
}

pub(crate) fn random_run(random: &mut Random, exact: bool, last: Option<&Run>) -> Run {
    let count = match random.below(4) {
        0 => random.below(4),
        1 => random.below(40),
        _ => random.between(40, 200),
    };
    let lines: Vec<Vec<u8>> = (0..count).map(|_| line(random)).collect();
    let script = match last {
        Some(last) if random.once_in(2) => last.script.clone(),
        _ => script(random, &lines, exact),
    };
    let mut text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    let feed = match random.below(2) {
        _ if exact => Feed::Packets,
        0 => Feed::Pipe,
        _ => Feed::File,
    };
    let mut end = random.choose(&[End::Eof, End::Eof, End::Eof, End::Term, End::Kill]);
    if feed == Feed::File || script.iter().any(|word| word.starts_with(b"!")) {
        end = End::Eof;
    }
    if end != End::Term && random.once_in(4) {
        text.pop();
    }
    let mut pieces = Vec::new();
    let usual = random.choose(&[1000, 1000, 1000, 30]);
    let mut rest = &text[..];
    while !rest.is_empty() {
        let most = if exact {
            let newline = rest.iter().position(|c| *c == b'\n').map_or(rest.len(), |at| at + 1);
            newline.min(1024)
        } else {
            rest.len().min(3000)
        };
        let length = if random.once_in(6) { random.between(1, most) } else { most.min(usual) };
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece.to_vec());
        rest = behind;
    }
    Run { script, pieces, feed, end }
}

pub(crate) fn random_case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let exact = !random.once_in(3);
    let mut runs = vec![random_run(random, exact, None)];
    while random.once_in(3) {
        let next = random_run(random, exact, runs.last());
        runs.push(next);
    }
    let initial =
        if random.once_in(2) { random_files(random, &runs[0].script, exact) } else { vec![] };
    Case { initial, runs }
}
