use super::*;
use crate::multilog::file_name::Code;
use crate::time::tai::Tai64n;

fn name(n: i64) -> OldFileName {
    OldFileName { moment: Tai64n::from_unix(n, 0), code: Code::Safe }
}

/// Five files of 100 bytes, oldest first.
fn five_files() -> Vec<(Vec<u8>, u64)> {
    (0..5).map(|n| (name(n).text(b"s"), 100)).collect()
}

/// All files that a selection removes, and its number of passes.
fn files_to_remove(
    files: &[(Vec<u8>, u64)],
    retention: &Retention,
    newest: Option<&[u8]>,
) -> (Vec<Vec<u8>>, usize) {
    let mut selection = Selection::new(retention, newest);
    let (mut removed, mut passes) = (Vec::new(), 0);
    while !selection.is_complete() {
        passes += 1;
        // A file that cannot be removed is still there in the next pass.
        files.iter().for_each(|(name, size)| selection.add(name, || *size));
        removed.extend(selection.end_pass());
    }
    (removed, passes)
}

/// The number of the five files that stay, after a check that the oldest go.
fn remaining(retention: Retention) -> usize {
    let newest = retention.newest.map(|name| name.text(b"s"));
    let (removed, passes) = files_to_remove(&five_files(), &retention, newest.as_deref());
    assert_eq!(passes, 1);
    let oldest: Vec<_> = five_files().into_iter().map(|file| file.0).take(removed.len()).collect();
    assert_eq!(removed, oldest);
    5 - removed.len()
}

const NO_LIMITS: Retention = Retention { files: 10, total: None, newest: None };

#[test]
fn the_number_of_files_includes_current() {
    assert_eq!(remaining(NO_LIMITS), 5);
    assert_eq!(remaining(Retention { files: 6, ..NO_LIMITS }), 5);
    assert_eq!(remaining(Retention { files: 5, ..NO_LIMITS }), 4);
    assert_eq!(remaining(Retention { files: 2, ..NO_LIMITS }), 1);
    assert_eq!(remaining(Retention { files: 0, ..NO_LIMITS }), 0);
}

#[test]
fn the_total_size_counts_old_files() {
    assert_eq!(remaining(Retention { total: Some(499), ..NO_LIMITS }), 4);
    assert_eq!(remaining(Retention { total: Some(300), files: 5, ..NO_LIMITS }), 3);
    assert_eq!(remaining(Retention { total: Some(0), ..NO_LIMITS }), 0);
}

#[test]
fn the_newest_file_stays() {
    let newest = Some(name(4));
    assert_eq!(remaining(Retention { total: Some(0), newest, ..NO_LIMITS }), 1);
    // The clock went back: the newest file has the name that sorts first.
    let retention = Retention { files: 3, total: None, newest: Some(name(0)) };
    let files = five_files();
    let (removed, _) = files_to_remove(&files, &retention, Some(&name(0).text(b"s")));
    assert_eq!(removed, [files[1].0.clone(), files[2].0.clone(), files[3].0.clone()]);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of names take minutes under Miri")]
fn many_files_are_selected_oldest_first_in_several_passes() {
    let all: Vec<_> = (0..5000).map(|n| (name(n).text(b"s"), 1)).collect();
    let mut shuffled = all.clone();
    shuffled.sort_by_key(|(name, _)| name.iter().rev().copied().collect::<Vec<u8>>());
    for (retention, left, passes) in [
        (Retention { files: 10, ..NO_LIMITS }, 9, 5),
        (Retention { files: 5000, ..NO_LIMITS }, 4999, 1),
        (Retention { files: 10_000, total: Some(1000), newest: None }, 1000, 4),
        (Retention { files: 10_000, ..NO_LIMITS }, 5000, 1),
    ] {
        let (removed, took) = files_to_remove(&shuffled, &retention, None);
        assert_eq!((removed.len(), took), (5000 - left, passes), "{retention:?}");
        assert!(removed.iter().zip(&all).all(|(name, (expected, _))| name == expected));
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of names take minutes under Miri")]
fn a_selection_has_few_names_in_memory() {
    let mut selection = Selection::new(&NO_LIMITS, None);
    (0..50_000).rev().for_each(|n| selection.add(&name(n).text(b"s"), || 0));
    assert_eq!(selection.oldest.len(), MOST_NAMES);
    assert_eq!(selection.end_pass()[0], name(0).text(b"s"));
}
