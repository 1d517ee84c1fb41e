//! Output directories whose machine loses power after any operation.
//!
//! A loss of power truncates files down to their synced data, and takes back changes of names and
//! modes since their last sync, the latest first, as on a file system with a journal. The sync of a
//! file may or may not write the journal. After each loss, the log contains all data that `current`
//! had at a sync, each byte once and in order, and files with the code for safe are complete.

mod multilog_model;

use daemontools_core::multilog::file_name::FileName;
use daemontools_core::multilog::output_directory::{OutputDirectory, WriteProgress};
use daemontools_core::multilog::script::DirectorySettings;
use daemontools_core::time::tai::Tai64n;
use multilog_model::disk::{Disk, Journal};
use multilog_model::line_logger::log_lines;
use multilog_model::{ALL_FILES, Clock, Random, settings};
use proptest::prelude::*;
use std::collections::BTreeMap;

impl Disk {
    /// Loses power. `choose` returns a number from 0 to its argument.
    fn lose_power(&mut self, mut choose: impl FnMut(usize) -> usize) {
        let kept = self.versions[choose(self.versions.len() - 1)].clone();
        for (n, file) in self.files.iter_mut().enumerate() {
            let limit = kept.max_length.get(&n).copied().unwrap_or(usize::MAX);
            let longest = limit.min(file.data.len());
            if file.data.starts_with(&file.synced) {
                let shortest = file.synced.len();
                file.data.truncate(shortest + choose(longest.saturating_sub(shortest)));
            } else if choose(1) == 0 {
                // The loss takes back a truncation.
                file.data = file.synced.clone();
            } else {
                file.data.truncate(choose(longest));
            }
            file.synced = file.data.clone();
        }
        self.versions = vec![Journal { max_length: BTreeMap::new(), ..kept }];
        // Any version of the mark survives, but no pipe.
        self.marks.truncate(choose(self.marks.len()));
        self.boot += 1;
    }

    /// The numbers of all bytes in the log files.
    fn numbers(&self) -> Vec<usize> {
        self.log().map(|byte| byte.number).collect()
    }

    /// Describes a violation of the rules, if there is one.
    fn violation(&self, size: u64) -> Option<String> {
        let numbers = self.numbers();
        let violation = |text: String| Some(format!("{text}: {}", self.listing()));
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
            return violation(format!("{} comes before {}", pair[0], pair[1]));
        }
        if let Some(lost) = self.promised.iter().find(|n| numbers.binary_search(n).is_err()) {
            return violation(format!("{lost} is lost"));
        }
        for (name, file) in self.old_files() {
            let data = &self.files[file].data;
            let text = String::from_utf8_lossy(name);
            if data.len() as u64 > size {
                return violation(format!("{text} is too long"));
            }
            let has_gap = data.windows(2).any(|pair| pair[0].number + 1 != pair[1].number);
            if name.ends_with(b".s") && (has_gap || !self.is_complete(file)) {
                return violation(format!("{text} is not complete"));
            }
        }
        None
    }
}

/// The end of a logger.
#[derive(Clone, Debug)]
struct End {
    /// Number of operations before the end.
    operations: usize,
    /// The machine loses power; else a KILL ends the logger.
    power_lost: bool,
    /// Seed of the choice of the lost data.
    seed: u64,
}

fn ends() -> impl Strategy<Value = Vec<End>> {
    let end = (0_usize..90, prop::bool::weighted(0.8), any::<u64>())
        .prop_map(|(operations, power_lost, seed)| End { operations, power_lost, seed });
    prop::collection::vec(end, 0..6)
}

/// Chooses numbers up to a limit; prefers the smallest and the largest one.
fn chooser(seed: u64) -> impl FnMut(usize) -> usize {
    let mut random = Random(seed);
    move |limit| match random.below(4) {
        0 => 0,
        1 => limit,
        _ => usize::try_from(random.below(limit as u64 + 1)).expect("small"),
    }
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![4 => 1_usize..200, 1 => 1000_usize..3000];
    let line = length.prop_map(|n| [vec![b'x'; n - 1], b"\n".to_vec()].concat());
    prop::collection::vec(line, 1..60)
}

/// Runs a logger for each end, and one until it has taken all lines. Returns the first violation,
/// which `check` looks for after each of them.
fn log_through(
    disk: &mut Disk,
    settings: &DirectorySettings<'_>,
    lines: &[Vec<u8>],
    ends: &[End],
    check: impl Fn(&Disk) -> Option<String>,
) -> Option<String> {
    let (mut clock, mut next) = (Clock(0), 0);
    let never_fails = disk.failing.is_empty();
    for end in ends {
        disk.operations_left.set(end.operations);
        next += log_lines(disk, settings, &lines[next..], &mut clock);
        if end.power_lost {
            disk.lose_power(chooser(end.seed));
        }
        if let Some(violation) = check(disk) {
            return Some(violation);
        }
    }
    disk.operations_left.set(usize::MAX);
    log_lines(disk, settings, &lines[next..], &mut clock);
    let remains = [FileName::Previous, FileName::Processed].map(|file| disk.find(file).is_some());
    let current = disk.find(FileName::Current).expect("the last logger leaves current");
    if never_fails && remains.contains(&true) {
        return Some(format!("a file remains: {}", disk.listing()));
    }
    if !disk.is_complete(current) {
        return Some(format!("current is not complete: {}", disk.listing()));
    }
    check(disk)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn synced_data_is_there_once_after_losses_of_power(
        lines in lines(),
        size in 4096_u64..9000,
        processor in any::<bool>(),
        names_follow_files in any::<bool>(),
        ends in ends(),
        failing in prop::collection::vec(0_usize..200, 0..4),
    ) {
        let settings = settings(size, ALL_FILES, processor);
        let mut disk = Disk { failing, names_follow_files, ..Disk::new() };
        let violation =
            log_through(&mut disk, &settings, &lines, &ends, |disk| disk.violation(size));
        prop_assert_eq!(violation, None);
    }

    #[test]
    fn the_limit_of_files_holds_after_losses_of_power(
        lines in lines(),
        files in 2_u64..6,
        processor in any::<bool>(),
        ends in ends(),
    ) {
        let settings = settings(4096, files, processor);
        let mut disk = Disk::new();
        let violation = log_through(&mut disk, &settings, &lines, &ends, |disk| {
            // One more between the link of the newest and the removal of the oldest.
            (disk.old_files().len() as u64 > files).then(|| disk.listing())
        });
        prop_assert_eq!(violation, None);
        prop_assert!((disk.old_files().len() as u64) < files, "{}", disk.listing());
        prop_assert!(disk.numbers().is_sorted_by(|a, b| a < b), "{}", disk.listing());
    }
}

#[test]
fn names_do_not_go_back_with_the_clock() {
    let settings = settings(4096, ALL_FILES, false);
    let mut disk = Disk::new();
    let mut directory = OutputDirectory::new(&settings, None);
    let mut seconds = 1_000_000_000;
    let mut now = || {
        // Back by an hour, forward by a little, and sometimes not at all.
        seconds += [-3600, 1, 0, 7, -1, 3600, 0][usize::try_from(seconds % 7).expect("small")];
        Tai64n::from_unix(seconds, 500)
    };
    directory.recover(&mut disk, now()).expect("an empty directory");
    for _ in 0..50 {
        directory.add(&[vec![b'x'; 3000], b"\n".to_vec()].concat());
        let progress = directory.work(&mut disk, now()).expect("no operation fails");
        assert_eq!(progress, WriteProgress::Done);
    }
    // A restart does not change that.
    let mut directory = OutputDirectory::new(&settings, None);
    directory.recover(&mut disk, Tai64n::from_unix(1000, 500)).expect("no operation fails");
    // The order of the names is the order of the lines.
    assert_eq!(disk.old_files().len(), 51);
    assert_eq!(disk.numbers(), (0..disk.written.len()).collect::<Vec<_>>());
}
