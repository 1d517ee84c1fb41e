//! Simulates many seeds, or shows one.
//!
//! `simulator run COUNT [FIRST]` simulates seeds on all processors; without FIRST it chooses one and prints
//! it. `simulator show SEED` tells a failing seed as a short story, and `simulator trace SEED` prints every
//! system call; in the place of SEED there can be a scenario in its text form. `simulator first COUNT` looks
//! for the first seed that fails.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use simulator::multilog::{Scenario, run, shrink};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    match words[..] {
        ["run", count, ref first @ ..] => {
            let first = first.first().and_then(|first| number(first)).unwrap_or_else(any_seed);
            number(count).map_or(ExitCode::from(100), |count| run_all(first, count))
        }
        ["part", first, count] => part(number(first).unwrap_or(0), number(count).unwrap_or(0)),
        ["first", most] => number(most).map_or(ExitCode::from(100), first_failure),
        ["show", seed] => scenario(seed).map_or(ExitCode::from(100), |it| show(&it)),
        ["trace", seed] => scenario(seed).map_or(ExitCode::from(100), |it| trace(&it)),
        _ => {
            eprintln!("usage: simulator run COUNT [FIRST] | show SEED | trace SEED");
            ExitCode::from(100)
        }
    }
}

/// The scenario of a seed, or in its text form.
fn scenario(text: &str) -> Option<Scenario> {
    text.parse().map(Scenario::new).ok().or_else(|| text.parse().ok())
}

/// A seed that differs from run to run.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000_000
}

/// Simulates seeds in as many processes as there are processors: the variables of the programs exist once
/// in a process.
fn run_all(first: u64, count: u64) -> ExitCode {
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let program = std::env::current_exe().expect("a path of this program");
    let each = count.div_ceil(workers);
    let children: Vec<_> = (0..workers)
        .map(|n| (first + n * each, each.min(count.saturating_sub(n * each))))
        .map(|(first, count)| {
            let numbers = [first, count].map(|number| number.to_string());
            Command::new(&program).arg("part").args(numbers).spawn().expect("a worker")
        })
        .collect();
    let mut passed = true;
    for mut child in children {
        passed &= child.wait().is_ok_and(|ended| ended.success());
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("seeds {first} to {}: {seconds:.1} s", first + count - 1);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn part(first: u64, count: u64) -> ExitCode {
    let (mut calls, mut failed) = (0, 0);
    for seed in first..first + count {
        let report = run(&Scenario::new(seed), false);
        calls += report.calls;
        if let Some(violation) = report.violation {
            failed += 1;
            println!("seed {seed}: {violation}; simulator show {seed}");
        }
    }
    println!("{count} seeds, {failed} failed, {calls} system calls");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Finds the first seed that fails.
fn first_failure(most: u64) -> ExitCode {
    for seed in 0..most {
        if let Some(violation) = run(&Scenario::new(seed), false).violation {
            println!("seed {seed}: {violation}");
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}

fn show(scenario: &Scenario) -> ExitCode {
    let Some(violation) = run(scenario, false).violation else {
        println!("passes");
        return ExitCode::SUCCESS;
    };
    let (shorter, report) = shrink(scenario, &violation);
    let end = report.violation.map_or_else(String::new, |it| it.to_string());
    let events = shorter.describe().into_iter().chain(report.story).chain([end]);
    for (n, event) in events.enumerate() {
        println!("{}. {event}", n + 1);
    }
    println!("every system call: simulator trace '{shorter}'");
    ExitCode::FAILURE
}

fn trace(scenario: &Scenario) -> ExitCode {
    let report = run(scenario, true);
    println!("{scenario}");
    report.story.iter().for_each(|line| println!("{line}"));
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
