//! The replacement of a full `current`.

use super::background_work::BackgroundWork;
use super::current::Current;
use super::marker::Marker;
use super::state::{BackgroundState, RotationStep};
use crate::multilog::file_name::{Code, FileName};
use crate::multilog::file_operations::{FailedOperation, FileOperations, Operation};

/// Performs one operation of a rotation; returns the next step, or `None` after the last one.
pub(super) fn step<F: FileOperations>(
    step: RotationStep,
    files: &mut F,
    current: &mut Current,
    marker: &mut Marker,
    background: &mut BackgroundWork,
) -> Result<Option<RotationStep>, FailedOperation<F::Error>> {
    const CURRENT: FileName = FileName::Current;
    const PREVIOUS: FileName = FileName::Previous;
    Ok(Some(match step {
        RotationStep::SyncCurrent => {
            files.sync_current().map_err(Operation::Sync(CURRENT).failed())?;
            RotationStep::SyncNames
        }
        RotationStep::SyncNames => {
            // A file system that writes its whole journal for each file has done this already.
            files.sync_names().map_err(Operation::SyncNames.failed())?;
            RotationStep::LookForPrevious
        }
        RotationStep::LookForPrevious => {
            // Recovery leaves `previous` alone if `current` is complete.
            if files.stat(PREVIOUS).map_err(Operation::Stat(PREVIOUS).failed())?.is_some() {
                background.state = BackgroundState::finish(PREVIOUS, Code::Unfinished);
            }
            RotationStep::DetachMark
        }
        RotationStep::DetachMark => {
            marker.detach(files, *current).map_err(Operation::WriteMark.failed())?;
            RotationStep::RenameCurrent
        }
        RotationStep::RenameCurrent => {
            // A missing file stays missing: only a new one lets the logger continue.
            if !files.rename(CURRENT, PREVIOUS).map_err(Operation::Rename(CURRENT).failed())? {
                files.report_missing(CURRENT);
            }
            RotationStep::OpenCurrent
        }
        RotationStep::OpenCurrent => {
            let file_id = files.open_current().map_err(Operation::Create(CURRENT).failed())?;
            *current = Current { size: 0, file_id, may_end: false };
            RotationStep::SetMode
        }
        RotationStep::SetMode => {
            files.set_mode_of_current(false).map_err(Operation::Mode(CURRENT).failed())?;
            RotationStep::AttachMark
        }
        RotationStep::AttachMark => {
            marker.attach(files, *current).map_err(Operation::WriteMark.failed())?;
            RotationStep::CompletePrevious
        }
        RotationStep::CompletePrevious => {
            if files.complete_previous().map_err(Operation::Mode(PREVIOUS).failed())? {
                background.start_on_previous();
            }
            return Ok(None);
        }
    }))
}
