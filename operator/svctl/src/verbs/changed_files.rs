//! The files of a service directory that are younger than the process that runs.

use crate::output::escape;
use crate::times::local;
use crate::view::View;
use daemontools_core::options::OptionFile;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most variables that are looked at.
const MOST: usize = 1000;

/// The youngest file that the process was started without, and when it was changed. Only files that
/// count for a start: run, its variables, and option files.
pub(crate) fn since_start(view: &View) -> Option<(String, SystemTime)> {
    let snapshot = view.snapshot().filter(|it| it.status.pid.is_some())?;
    let dir = view.target.dir.path();
    let options = OptionFile::ALL.iter().map(|file| PathBuf::from(file.name()));
    let variables = std::fs::read_dir(dir.join("env")).into_iter().flatten().flatten().take(MOST);
    let variables = variables.map(|entry| Path::new("env").join(entry.file_name()));
    let files = [PathBuf::from("run")].into_iter().chain(options).chain(variables);
    let changed = files.filter_map(|file| {
        let time = dir.join(&file).metadata().ok()?.modified().ok()?;
        (time > snapshot.status.since).then_some((time, file))
    });
    let (time, file) = changed.max()?;
    Some((escape(&file.to_string_lossy()), time))
}

/// The same in words.
pub(crate) fn in_words(view: &View) -> Option<String> {
    let (file, time) = since_start(view)?;
    let name = view.target.shown();
    Some(format!(
        "{file} was changed at {}, after the start (svctl restart {name} uses it)",
        local(time)
    ))
}
