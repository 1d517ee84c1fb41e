//! What multilog promises after a loss of power.

use super::check::Violation;
use super::history::History;
use super::input::Input;
use super::outputs::Outputs;
use super::text::{LogFile, log_files, parts, without_stamps};
use crate::kernel::{Content, InodeNumber, Kernel};
use std::collections::BTreeMap;

/// What a directory has just before a loss of power.
struct Promise {
    /// The text of each complete file. A processor copies it.
    complete: Vec<Vec<u8>>,
    /// The content of all files.
    contents: BTreeMap<InodeNumber, Vec<u8>>,
}

/// What the directories must have after a loss of power, in the order of the script.
pub struct Promises(Vec<Promise>);

impl Promises {
    /// Those of the present files.
    ///
    /// # Errors
    /// The logs are wrong already.
    pub fn new(
        kernel: &Kernel,
        outputs: &Outputs,
        input: &Input,
        history: &History,
    ) -> Result<Self, Violation> {
        let mut promises = Vec::new();
        for directory in &outputs.directories {
            let files = log_files(kernel, &directory.path);
            parts(&files, directory, input, history.cuts())?;
            let complete = files.iter().filter(|file| file.is_complete);
            let complete = complete.map(|file| without_stamps(&file.text)).collect();
            let contents = kernel.list(&directory.path).into_iter();
            let contents = contents.filter_map(|(_, number, inode)| match &inode.content {
                Content::File(text) => Some((number, text.clone())),
                _ => None,
            });
            promises.push(Promise { complete, contents: contents.collect() });
        }
        Ok(Self(promises))
    }

    /// Compares them with what is left.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(
        &self,
        kernel: &Kernel,
        outputs: &Outputs,
        input: &Input,
        history: &History,
    ) -> Result<(), Violation> {
        for (directory, promise) in outputs.directories.iter().zip(&self.0) {
            let files = log_files(kernel, &directory.path);
            parts(&files, directory, input, history.cuts())?;
            let left: Vec<Vec<u8>> = files.iter().map(|file| without_stamps(&file.text)).collect();
            let is_lost = |text: &&Vec<u8>| {
                !left.iter().any(|left| memchr::memmem::find(left, text).is_some())
            };
            if let Some(lost) = promise.complete.iter().find(is_lost) {
                return Err(Violation::LostAfterSync {
                    directory: directory.path.clone(),
                    bytes: lost.len(),
                });
            }
            let is_cut = |file: &&LogFile| {
                let before = promise.contents.get(&file.inode);
                file.name.ends_with(".s") && before.is_some_and(|before| *before != file.text)
            };
            if let Some(file) = files.iter().find(is_cut) {
                return Err(Violation::Incomplete(format!("{}/{}", directory.path, file.name)));
            }
        }
        Ok(())
    }
}
