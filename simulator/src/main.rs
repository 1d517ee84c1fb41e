//! Simulates many seeds, or shows one.
//!
//! `simulator run [PROGRAM] COUNT [FIRST]` simulates COUNT seeds of each program, or of PROGRAM alone, on all
//! processors; without FIRST it chooses one and prints it. `simulator show [PROGRAM] SEED` tells a failing seed
//! as a short story, and `simulator trace [PROGRAM] SEED` prints every system call; in the place of SEED there
//! can be a scenario in its text form. `simulator first [PROGRAM] COUNT` looks for the first seed that fails.
//! The programs are multilog, supervise and svscan; where one is needed and none is named, it is multilog.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use simulator::simulation::{self, Simulation};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let named = words.get(1).and_then(|name| simulation::named(name));
    if named.is_some() {
        words.remove(1);
    }
    let one = named.unwrap_or(simulation::ALL[0]);
    let number = |text: &str| text.parse::<u64>().ok();
    match words[..] {
        ["run", count, ref first @ ..] => {
            let first = first.first().and_then(|first| number(first)).unwrap_or_else(any_seed);
            let programs = named.map_or_else(|| simulation::ALL.to_vec(), |named| vec![named]);
            number(count).map_or(ExitCode::from(100), |count| {
                let passed = programs.iter().filter(|it| run_all(it, first, count)).count();
                if passed == programs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            })
        }
        ["part", first, count] => {
            part(&one, number(first).unwrap_or(0), number(count).unwrap_or(0))
        }
        ["first", most] => {
            number(most).map_or(ExitCode::from(100), |most| first_failure(&one, most))
        }
        ["show", seed] => show(&one, seed),
        ["trace", seed] => trace(&one, seed),
        _ => {
            eprintln!(
                "usage: simulator run [PROGRAM] COUNT [FIRST] | show [PROGRAM] SEED | trace [PROGRAM] SEED"
            );
            ExitCode::from(100)
        }
    }
}

/// A seed that differs from run to run.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000_000
}

/// Simulates seeds in as many processes as there are processors: the variables of the programs exist once
/// in a process. Returns whether all passed.
fn run_all(simulation: &Simulation, first: u64, count: u64) -> bool {
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let program = std::env::current_exe().expect("a path of this program");
    let each = count.div_ceil(workers);
    let children: Vec<_> = (0..workers)
        .map(|n| (first + n * each, each.min(count.saturating_sub(n * each))))
        .map(|(first, count)| {
            let numbers = [first, count].map(|number| number.to_string());
            let mut worker = Command::new(&program);
            worker.args(["part", simulation.name]).args(numbers).spawn().expect("a worker")
        })
        .collect();
    let mut passed = true;
    for mut child in children {
        passed &= child.wait().is_ok_and(|ended| ended.success());
    }
    let (seconds, name) = (start.elapsed().as_secs_f64(), simulation.name);
    println!("{name}: seeds {first} to {}: {seconds:.1} s", first + count - 1);
    passed
}

fn part(simulation: &Simulation, first: u64, count: u64) -> ExitCode {
    let (mut calls, mut failed, name) = (0, 0, simulation.name);
    for seed in first..first + count {
        let outcome = (simulation.run)(seed);
        calls += outcome.calls;
        if let Some(violation) = outcome.violation {
            failed += 1;
            println!("seed {seed}: {violation}; simulator show {name} {seed}");
        }
    }
    println!("{count} seeds, {failed} failed, {calls} system calls");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Finds the first seed that fails.
fn first_failure(simulation: &Simulation, most: u64) -> ExitCode {
    for seed in 0..most {
        if let Some(violation) = (simulation.run)(seed).violation {
            println!("seed {seed}: {violation}");
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}

fn show(simulation: &Simulation, seed: &str) -> ExitCode {
    let Some((shorter, outcome)) = (simulation.show)(seed) else { return ExitCode::from(100) };
    let Some(end) = outcome.violation else {
        println!("passes");
        return ExitCode::SUCCESS;
    };
    for (n, event) in outcome.story.into_iter().chain([end]).enumerate() {
        println!("{}. {event}", n + 1);
    }
    println!("every system call: simulator trace {} '{shorter}'", simulation.name);
    ExitCode::FAILURE
}

fn trace(simulation: &Simulation, seed: &str) -> ExitCode {
    let Some((scenario, outcome)) = (simulation.trace)(seed) else { return ExitCode::from(100) };
    println!("{scenario}");
    outcome.story.iter().for_each(|line| println!("{line}"));
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
