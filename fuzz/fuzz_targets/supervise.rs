//! The supervise machine with any policy, control bytes and events, in the small kernels of its tests,
//! which check the rules after every step.
#![no_main]

#[expect(dead_code, reason = "only the tests use all of it")]
#[path = "../../crates/core/tests/common/mod.rs"]
mod common;
#[path = "../../crates/core/tests/common/plain_kernel.rs"]
mod plain_kernel;
#[path = "../../crates/core/tests/common/policy_kernel.rs"]
mod policy_kernel;

use daemontools_core::Ended;
use daemontools_core::options::{
    Essential, HealthCheck, Personality, RestartDelay, RestartLimit, StopPolicy,
};
use daemontools_core::state_dir::control::{Command, Decoder, Letters, Scope};
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::sd_notify::{Line, lines};
use daemontools_core::supervise::{Policy, Scripts};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    // The input ends where it is too short for another step.
    let _ = story(&mut Unstructured::new(data));
});

fn story(data: &mut Unstructured<'_>) -> Result<()> {
    if data.arbitrary()? {
        let mut kernel = plain_kernel::Kernel::new(data.arbitrary()?);
        kernel.check();
        for _ in 0..300 {
            for act in plain_acts(data)? {
                kernel.act(act);
            }
        }
    } else {
        let mut kernel = policy_kernel::Kernel::new(policy(data)?, data.arbitrary()?);
        kernel.check();
        for _ in 0..300 {
            if data.ratio(1, 32)? {
                kernel.policy = policy(data)?;
            }
            for act in policy_acts(data)? {
                kernel.act(act);
            }
        }
    }
    Ok(())
}

/// A message as it is read from the FIFO.
fn commands(data: &mut Unstructured<'_>) -> Result<Vec<(u8, Scope)>> {
    let length = data.int_in_range(1..=6)?;
    let mut decoder = Decoder::default();
    Ok(data
        .bytes(length)?
        .iter()
        .filter_map(|&byte| decoder.feed(byte, Letters::Common).map(|(_, _, scope)| (byte, scope)))
        .filter(|(byte, _)| Command::from_byte(*byte).is_some())
        .collect())
}

fn ended(data: &mut Unstructured<'_>) -> Result<Ended> {
    Ok(match data.int_in_range(0..=3)? {
        0 => Ended::Exited(0),
        1 => Ended::Exited(data.arbitrary()?),
        2 => Ended::Killed(data.int_in_range(1..=64)?),
        _ => Ended::Unknown,
    })
}

fn plain_acts(data: &mut Unstructured<'_>) -> Result<Vec<plain_kernel::Act>> {
    use plain_kernel::Act;
    Ok(vec![match data.int_in_range(0..=9)? {
        0 => {
            let commands = commands(data)?.into_iter();
            return Ok(commands.map(|(byte, scope)| Act::Command(byte, scope)).collect());
        }
        1 => {
            // In this kernel a supervisor sees every end, so none is unknown.
            let how = ended(data)?;
            Act::Die(if how == Ended::Unknown { Ended::Exited(0) } else { how })
        }
        2 => Act::Reap,
        3 => Act::Pass { ms: data.int_in_range(0..=3_000)?, ticking: data.arbitrary()? },
        4 => Act::Pass { ms: data.int_in_range(0..=200_000)?, ticking: true },
        5 => Act::Tick,
        6 => Act::Forks(data.arbitrary()?),
        7 => Act::Slow(data.arbitrary()?),
        8 => Act::Answer,
        _ => Act::KillSupervise,
    }])
}

fn policy_acts(data: &mut Unstructured<'_>) -> Result<Vec<policy_kernel::Act>> {
    use policy_kernel::{Act, Directory};
    Ok(vec![match data.int_in_range(0..=15)? {
        0 => {
            let commands = commands(data)?.into_iter();
            return Ok(commands.map(|(byte, scope)| Act::Command(byte, scope)).collect());
        }
        1 | 2 => Act::Die(ended(data)?),
        3 => Act::Sweep,
        4 => Act::Pass(data.int_in_range(0..=3_000)?),
        5 => Act::Pass(data.int_in_range(0..=200_000)?),
        6 => Act::Tick,
        7 => {
            let length = data.int_in_range(0..=40)?;
            let datagram = data.bytes(length)?;
            let acts = lines(datagram).filter_map(|line| match line {
                Line::Notification(notification) => Some(Act::Notify(notification)),
                Line::MainPid(_) => Some(Act::Move),
                Line::Status(_) => None,
            });
            return Ok(acts.collect());
        }
        8 => Act::Check(data.arbitrary()?),
        9 => Act::Available,
        10 => Act::DependencyLost,
        11 => Act::Move,
        12 => Act::Forks(data.arbitrary()?),
        13 => Act::Slow(data.arbitrary()?),
        14 => Act::Directory(match data.int_in_range(0..=3)? {
            0 => Directory::Refused(Reason::Options),
            1 => Directory::Refused(Reason::Cycle),
            2 => Directory::Lacking,
            _ => Directory::Good,
        }),
        _ => Act::Answer,
    }])
}

/// A time as an option file can give it: mostly short, sometimes very long.
fn time(data: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(match data.int_in_range(0..=15)? {
        0 => Duration::from_millis(data.int_in_range(10..=u64::MAX)?),
        _ => Duration::from_millis(data.int_in_range(10..=8_000)?),
    })
}

fn maybe<T>(
    data: &mut Unstructured<'_>,
    make: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if data.arbitrary()? { make(data).map(Some) } else { Ok(None) }
}

fn policy(data: &mut Unstructured<'_>) -> Result<Policy> {
    use Personality::{Daemontools, Encore, Runit, S6};
    let personality = *data.choose(&[Daemontools, Encore, S6, Runit])?;
    let encore = personality == Encore;
    Ok(Policy {
        personality,
        scripts: Scripts {
            start: data.arbitrary()? && encore,
            runless: data.arbitrary()? && encore,
            stop: data.arbitrary()? && encore,
            finish: data.arbitrary()? && matches!(personality, S6 | Runit),
        },
        stop: StopPolicy {
            timeout: maybe(data, time)?,
            scope: *data.choose(&[Scope::Process, Scope::Group, Scope::Tree])?,
            kill_group: data.arbitrary()?,
            ..Policy::ORIGINAL.stop
        },
        finish_timeout: maybe(data, time)?,
        notifies_readiness: data.arbitrary()?,
        ready_timeout: maybe(data, time)?,
        watchdog: maybe(data, time)?,
        check: maybe(data, |data| {
            let failures = data.int_in_range(0..=3)?;
            Ok(HealthCheck { interval: time(data)?, timeout: time(data)?, failures })
        })?,
        restart: maybe(data, |data| {
            let (min, more) = (time(data)?, time(data)?);
            Ok(RestartDelay {
                min,
                max: min.saturating_add(more),
                factor: data.int_in_range(1..=100)?,
                jitter: data.int_in_range(0..=100)?,
                reset: time(data)?,
            })
        })?,
        limit: maybe(data, |data| {
            Ok(RestartLimit { deaths: data.int_in_range(1..=4)?, within: time(data)? })
        })?,
        essential: maybe(data, |data| {
            Ok(if data.arbitrary()? { Essential::Any } else { Essential::Failed })
        })?,
    })
}
