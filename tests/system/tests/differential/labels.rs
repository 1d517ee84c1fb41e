//! tai64n and tai64nlocal print the same as the original.

use crate::case::line;
use crate::{SIDES, program, seeds, send, short, try_all};
use harness::{Output, Tree};
use rustix::fs::{OFlags, fcntl_setfl};
use std::io::pipe;
use system::random::Random;

/// Runs a filter on an input in pieces, and returns its output.
fn filter(tree: &Tree, is_original: bool, name: &str, zone: &str, pieces: &[&[u8]]) -> Output {
    let (reader, input) = pipe().expect("a pipe");
    fcntl_setfl(&input, OFlags::NONBLOCK).expect("set a pipe's flags");
    let filter = program(tree, is_original, name).env("TZ", zone).stdin_from(reader).start();
    for piece in pieces {
        send(&input, piece);
    }
    drop(input);
    filter.wait()
}

/// Cuts a text at random places.
fn cut<'a>(random: &mut Random, mut text: &'a [u8]) -> Vec<&'a [u8]> {
    let longest = random.choose(&[1, 30, 3000, 20_000]);
    let mut pieces = Vec::new();
    while !text.is_empty() {
        // At most about 200 pieces.
        let least = text.len().min(1 + text.len() / 200);
        let (piece, rest) = text.split_at(random.between(least, text.len().min(least + longest)));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[test]
fn tai64n_prints_what_the_original_prints() {
    try_all(seeds(100), |tree, seed| {
        let random = &mut Random::new(seed);
        let mut text: Vec<u8> =
            (0..random.below(60)).flat_map(|_| [line(random), b"\n".to_vec()].concat()).collect();
        if random.once_in(2) {
            text.pop();
        }
        let pieces = cut(random, &text);
        let [original, ours] =
            SIDES.map(|is_original| filter(tree, is_original, "tai64n", "UTC", &pieces));
        let masked = |output: &Output| {
            let mut text = Vec::new();
            for line in output.stdout.split_inclusive(|c| *c == b'\n') {
                let (label, rest) = line.split_at(line.len().min(26));
                text.extend(label.iter().map(|c| if c.is_ascii_hexdigit() { b'0' } else { *c }));
                text.extend(rest);
            }
            (output.code, text, output.stderr.clone())
        };
        (masked(&original) != masked(&ours)).then(|| format!("on {}", short(&text)))
    });
}

/// A line that begins like a label, and whether the original survives it.
fn label(random: &mut Random) -> (Vec<u8>, bool) {
    let digits = b"0123456789abcdef";
    let seconds = match random.below(4) {
        0 => random.next_u64() % 4_000_000_000,
        // From the year five million on, the summer times of the C library overflow.
        1 => random.next_u64() % 100_000_000_000_000,
        2 => (random.next_u64() % 60_000_000_000).wrapping_neg(),
        _ => random.next_u64() % 253_402_300_800,
    };
    let good =
        format!("{:016x}{:08x}", seconds.wrapping_add((1 << 62) + 10), random.next_u64() >> 32);
    let mut line = b"@".to_vec();
    let good = match random.below(8) {
        // Leading digits that do not count.
        0 => {
            let count = random.choose(&[1, 2, 8, 100, 200, 231]);
            line.extend(random.bytes(digits, count));
            line.extend(good.bytes());
            true
        }
        // The beginning of a label.
        1 => {
            line.extend(&good.as_bytes()[..random.below(24)]);
            false
        }
        // A label that is too long for ours, or has no date.
        2 => {
            let count = random.choose(&[256, 300, 2000, 10_000]);
            line.extend(random.bytes(digits, count));
            false
        }
        3 => {
            line.extend(
                random.choose(&[&b"ffffffffffffffff00000000"[..], b"000000000000000000000000"]),
            );
            false
        }
        4 => {
            let mut damaged = good.into_bytes();
            damaged[random.below(24)] = random.choose(b"ABCDEFgG@ \0\xff/:`");
            line.extend(damaged);
            false
        }
        _ => {
            line.extend(good.bytes());
            true
        }
    };
    if !random.once_in(6) {
        line.push(random.choose(b" @gA.\0\r\xff:`/"));
        let length = random.below(40);
        line.extend(random.bytes(b" x@4:-\0\xff", length));
    }
    line.push(b'\n');
    (line, good)
}

#[test]
fn tai64nlocal_prints_what_the_original_prints_unless_that_crashes() {
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "right/UTC",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+0330>-3:30",
        "EST5EDT",
    ];
    try_all(seeds(100), |tree, seed| {
        let random = &mut Random::new(seed);
        let zone = random.choose(&zones);
        let lines: Vec<(Vec<u8>, bool)> = (0..random.below(200))
            .map(|_| {
                if random.once_in(3) {
                    let mut line = line(random);
                    // An ordinary line does not begin with `@`.
                    if line.first() == Some(&b'@') {
                        line[0] = b'a';
                    }
                    line.push(b'\n');
                    (line, true)
                } else {
                    label(random)
                }
            })
            .collect();
        let survivable: Vec<u8> =
            lines.iter().filter(|(_, good)| *good).flat_map(|(line, _)| line.clone()).collect();
        let original = filter(tree, true, "tai64nlocal", zone, &cut(random, &survivable));
        let mut dates = original.stdout.split_inclusive(|c| *c == b'\n');
        let wanted: Vec<u8> = lines
            .iter()
            .flat_map(|(line, good)| {
                // Ours copies a line that is no label.
                if *good { dates.next().unwrap_or_default().to_vec() } else { line.clone() }
            })
            .collect();
        let all: Vec<u8> = lines.iter().flat_map(|(line, _)| line.clone()).collect();
        let ours = filter(tree, false, "tai64nlocal", zone, &cut(random, &all));
        if original.code != Some(0) {
            return Some(format!("the original does not survive: {original}"));
        }
        let same = ours.code == Some(0) && ours.stderr.is_empty() && ours.stdout == wanted;
        let differs = ours
            .stdout
            .split_inclusive(|c| *c == b'\n')
            .zip(wanted.split_inclusive(|c| *c == b'\n'))
            .find(|(ours, wanted)| ours != wanted);
        (!same).then(|| match differs {
            Some((ours, wanted)) => {
                format!("{zone}: \"{}\" instead of \"{}\"", short(ours), short(wanted))
            }
            None => format!("{zone}: {} bytes of {}", ours.stdout.len(), wanted.len()),
        })
    });
}
