//! Memory and processor time of the services on the screen.

use servicedir::{ProcessTable, Usage};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The time between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// A measurement may take this part of the time.
const PART: u32 = 20;

/// What services use, by the ids of their processes.
#[derive(Debug, Default)]
pub(crate) struct Usages {
    known: HashMap<u32, Measured>,
    next: Option<Instant>,
}

/// What a service uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) usage: Usage,
    /// Hundredths of a processor since the measurement before; `None` after the first one.
    pub(crate) percent: Option<u32>,
    at: Instant,
}

impl Usages {
    /// Measures these services, and forgets all others. Those that are known are measured again once
    /// it is time.
    pub(crate) fn measure(&mut self, pids: &[u32]) {
        let begin = Instant::now();
        let is_time = self.next.is_none_or(|next| begin >= next);
        self.known.retain(|pid, _| pids.contains(pid));
        let wanted = pids.iter().filter(|pid| is_time || !self.known.contains_key(pid));
        let wanted: Vec<u32> = wanted.copied().collect();
        if wanted.is_empty() {
            return;
        }
        let table = ProcessTable::of_trees(wanted.iter().copied()).unwrap_or_default();
        for pid in wanted {
            if table.get(pid).is_none() {
                self.known.remove(&pid);
                continue;
            }
            let usage = table.usage(pid);
            let percent = self.known.get(&pid).and_then(|before| {
                let passed = begin.duration_since(before.at);
                let used = usage.processor.saturating_sub(before.usage.processor);
                percent(used, passed)
            });
            self.known.insert(pid, Measured { usage, percent, at: begin });
        }
        if is_time {
            let now = Instant::now();
            self.next = Some((begin + INTERVAL).max(now + (now - begin) * PART));
        }
    }

    /// What was measured, for pictures in tests.
    #[cfg(test)]
    pub(crate) fn known(measured: impl IntoIterator<Item = (u32, Usage, Option<u32>)>) -> Self {
        let at = Instant::now();
        let entry = |(pid, usage, percent)| (pid, Measured { usage, percent, at });
        Self { known: measured.into_iter().map(entry).collect(), next: None }
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Measured> {
        self.known.get(&pid)
    }
}

/// How many hundredths of a processor these are.
fn percent(used: Duration, passed: Duration) -> Option<u32> {
    let hundredths = used.as_micros().checked_mul(100)?.checked_div(passed.as_micros())?;
    u32::try_from(hundredths).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_becomes_a_percentage() {
        let second = Duration::from_secs(1);
        assert_eq!(percent(second / 2, second), Some(50));
        assert_eq!(percent(second * 3, second), Some(300));
        assert_eq!(percent(second, Duration::ZERO), None);
    }

    #[test]
    fn only_what_is_on_the_screen_is_known() {
        let mut usages = Usages::default();
        let me = std::process::id();
        usages.measure(&[me, 0]);
        let first = *usages.get(me).expect("this process runs");
        assert!(first.usage.memory > 0 && first.percent.is_none());
        assert!(usages.get(0).is_none());
        // It is not time yet.
        usages.measure(&[me]);
        assert_eq!(usages.get(me).map(|it| it.at), Some(first.at));
        usages.measure(&[]);
        assert!(usages.get(me).is_none());
    }
}
