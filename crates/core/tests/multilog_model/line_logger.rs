//! A logger that gets lines one by one.

use super::disk::Disk;
use super::{Clock, Fault};
use daemontools_core::multilog::batch::Batch;
use daemontools_core::multilog::file_operations::FileOperations as _;
use daemontools_core::multilog::output_directory::{OutputDirectory, WriteProgress};
use daemontools_core::multilog::script::DirectorySettings;

/// Works until all text is written or the logger is dead.
pub(crate) fn work(
    directory: &mut OutputDirectory,
    disk: &mut Disk,
    clock: &mut Clock,
) -> Result<(), Fault> {
    loop {
        match directory.work(disk, clock.now()) {
            Ok(WriteProgress::Done) => return Ok(()),
            Ok(WriteProgress::WaitingForProcessor) => end_processor(directory, disk)?,
            Err(failure) if failure.error == Fault::Temporary => {}
            Err(_) => return Err(Fault::Dead),
        }
    }
}

/// Lets the processor run to its end.
pub(crate) fn end_processor(directory: &mut OutputDirectory, disk: &mut Disk) -> Result<(), Fault> {
    assert!(disk.processing, "the processor runs");
    disk.processing = false;
    match disk.run_processor() {
        Ok(()) => directory.processor_ended(true),
        Err(Fault::Temporary) => directory.processor_ended(false),
        Err(Fault::Dead) => return Err(Fault::Dead),
    }
    Ok(())
}

/// Runs a logger: it recovers, writes lines, and completes `current`, unless it dies before.
/// Returns the number of lines that it has taken.
///
/// Each line is a batch that ends after its write.
pub(crate) fn log_lines(
    disk: &mut Disk,
    settings: &DirectorySettings<'_>,
    lines: &[Vec<u8>],
    clock: &mut Clock,
) -> usize {
    let mut taken = 0;
    let _ = run(disk, settings, lines, clock, &mut taken);
    taken
}

fn run(
    disk: &mut Disk,
    settings: &DirectorySettings<'_>,
    lines: &[Vec<u8>],
    clock: &mut Clock,
    taken: &mut usize,
) -> Result<(), Fault> {
    let pipe = Some(disk.boot);
    let mut directory = OutputDirectory::new(settings, pipe);
    disk.current = None;
    disk.processing = false;
    while let Err(error) = directory.recover(disk, clock.now()) {
        if error.failure().error == Fault::Dead {
            return Err(Fault::Dead);
        }
    }
    if directory.unfinished().is_some() {
        let (mark, _) = retry(|| disk.read_mark())?.expect("the mark of the unfinished batch");
        assert_eq!(Some(mark.pipe), pipe, "a mark of an earlier boot is void");
    }
    for line in lines {
        let digest = *taken as u64;
        let batch = Batch { length: line.len() as u64, digest, moment: clock.now() };
        retry(|| directory.begin_batch(disk, batch, &[], 0))?;
        directory.add(line);
        *taken += 1;
        work(&mut directory, disk, clock)?;
        let _ = directory.end_batch(disk);
        // The processor runs for the time of some lines.
        if disk.processing && taken.is_multiple_of(3) {
            end_processor(&mut directory, disk)?;
        }
    }
    work(&mut directory, disk, clock)?;
    while directory.is_processor_running() {
        end_processor(&mut directory, disk)?;
        work(&mut directory, disk, clock)?;
    }
    retry(|| disk.sync_current())?;
    // As in the program, a failure is no obstacle.
    let _ = disk.sync_names();
    retry(|| disk.set_mode_of_current(true))
}

/// Repeats an operation until it succeeds or the logger is dead.
fn retry<T>(mut operation: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    loop {
        match operation() {
            Err(Fault::Temporary) => {}
            other => return other,
        }
    }
}
