use super::*;

const MARK: BatchMark = BatchMark {
    pipe: 42,
    batch: Batch {
        length: 65432,
        digest: u64::MAX - 7,
        moment: Tai64n { seconds: 1 << 62, nanoseconds: 999_999_500 },
    },
    stage: BatchStage::Writing,
    before: 100,
    file_id: 77,
    replaced: true,
    start: 5000,
    held: 3,
};

/// The attributes of an incomplete `current`.
fn current(file_id: u64, size: u64) -> FileInfo {
    FileInfo { complete: false, links: 1, size, file_id, modified: 0 }
}

#[test]
fn encoding_and_decoding_give_the_same_mark() {
    let bytes = [&MARK.to_bytes()[..], b"abc"].concat();
    assert_eq!(BatchMark::from_bytes(&bytes), Some((MARK, &b"abc"[..])));
    // The rest of a longer held text may follow.
    let longer = [&bytes[..], b"xyz"].concat();
    assert_eq!(BatchMark::from_bytes(&longer), Some((MARK, &b"abc"[..])));
    for short in 0..bytes.len() {
        assert_eq!(BatchMark::from_bytes(&bytes[..short]), None);
    }
    assert_eq!(BatchMark::from_bytes(&[0; MARK_LEN]), None);
}

#[test]
fn the_written_bytes_follow_from_the_size_of_current() {
    let written = |mark: BatchMark, file_id, size| mark.written(Some(current(file_id, size)));
    assert_eq!(written(MARK, 77, 5000), 100);
    assert_eq!(written(MARK, 77, 5300), 400);
    assert_eq!(written(MARK, 78, 5300), 100);
    assert_eq!(written(MARK, 77, 4000), 100);
    assert_eq!(MARK.written(None), 100);
    // Another program may have changed the file: any number may be in it.
    assert_eq!(written(BatchMark { before: u64::MAX, ..MARK }, 77, 5300), u64::MAX);
}

#[test]
fn a_mark_is_valid_for_one_pipe_and_one_current() {
    let mark = BatchMark { replaced: false, ..MARK };
    let marked = Some(current(77, 6000));
    assert!(mark.is_valid(Some(42), marked));
    assert!(!mark.is_valid(Some(43), marked) && !mark.is_valid(None, marked));
    assert!(!mark.is_valid(Some(42), None) && !mark.is_valid(Some(42), Some(current(78, 0))));
    let complete = FileInfo { complete: true, ..current(77, 6000) };
    assert!(!mark.is_valid(Some(42), Some(complete)));
    assert!(!BatchMark { stage: BatchStage::Done, ..mark }.is_valid(Some(42), marked));
}

#[test]
fn a_mark_is_valid_while_a_new_file_replaces_current() {
    assert!(MARK.is_valid(Some(42), Some(current(77, 6000))) && MARK.is_valid(Some(42), None));
    assert!(MARK.is_valid(Some(42), Some(current(78, 0))));
    assert!(!MARK.is_valid(Some(42), Some(current(78, 1))));
}

#[test]
fn text_that_is_still_in_the_pipe_is_not_held_twice() {
    let batch = Batch { length: 2, ..MARK.batch };
    let held = b"abc".to_vec();
    let mut unfinished = UnfinishedBatch { batch, stage: BatchStage::Holding, written: 0, held };
    assert_eq!((unfinished.held_before(), unfinished.held_after()), (&b"a"[..], &b"abc"[..]));
    unfinished.stage = BatchStage::Held;
    assert_eq!(unfinished.held_after(), b"abc");
    unfinished.stage = BatchStage::Writing;
    assert_eq!((unfinished.held_before(), unfinished.held_after()), (&b"abc"[..], &b""[..]));
}
