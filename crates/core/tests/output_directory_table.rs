//! The table of an output directory of multilog: every state against every answer of the file
//! system. The test generates `docs/state-table-multilog.md` and compares it with the file.

#[path = "common/state_table.rs"]
mod state_table;

use daemontools_core::multilog::batch::Batch;
use daemontools_core::multilog::batch_mark::BatchMark;
use daemontools_core::multilog::file_name::{Code, FileInfo, FileName, OldFileName};
use daemontools_core::multilog::file_operations::{FailedOperation, FileOperations, Operation};
use daemontools_core::multilog::output_directory::state::{
    BackgroundState, FinishStep, ForegroundState, OutputState, ProcessorStep,
};
use daemontools_core::multilog::output_directory::{OutputDirectory, WriteProgress};
use daemontools_core::multilog::retention::Retention;
use daemontools_core::multilog::script::DirectorySettings;
use daemontools_core::time::tai::Tai64n;
use std::collections::VecDeque;

const INTRODUCTION: &str = "\
# The table of an output directory

multilog keeps one `OutputDirectory` for each output directory
(`crates/core/src/multilog/output_directory/`). Its foreground writes lines and replaces a full
`current`. Its background moves the replaced file to its final name, through the processor if there is
one. `OutputDirectory::step` performs one operation on the files, and the answer of the file system
decides the next state. This page shows every state against every answer. The test
`output_directory_table` generates it: after a change of the code, run

    DAEMONTOOLS_WRITE_STATE_TABLE=1 cargo test -p daemontools-core --test output_directory_table

The background goes first: the foreground continues when the background is idle or, while it writes,
when the processor runs. After a failed operation, multilog prints a warning, waits five seconds, and
continues from the next state of that row. A dash means that a step performs no operation.
";

/// The answer of the file system to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Success,
    Failure,
    /// The file exists and has this number of names.
    Names(u64),
    Missing,
}

impl Answer {
    const ALL: [Self; 5] =
        [Self::Success, Self::Missing, Self::Names(1), Self::Names(2), Self::Failure];

    const fn text(self) -> &'static str {
        match self {
            Self::Success => "succeeds",
            Self::Failure => "fails",
            Self::Names(1) => "exists",
            Self::Names(_) => "exists with two names",
            Self::Missing => "is missing",
        }
    }

    /// Whether an operation can have this answer.
    fn fits(self, operation: &str) -> bool {
        match self {
            Self::Failure => true,
            Self::Success => !operation.starts_with("stat"),
            Self::Names(_) => operation.starts_with("stat"),
            Self::Missing => {
                let steps = ["stat", "rename", "chmod `previous`"];
                steps.iter().any(|step| operation.starts_with(step))
            }
        }
    }
}

/// Files that give one answer to each operation.
struct Files {
    answer: Answer,
    /// The attributes of the files that `answer` does not describe.
    infos: Vec<(FileName, FileInfo)>,
    operations: Vec<String>,
}

impl Files {
    const fn new(answer: Answer) -> Self {
        Self { answer, infos: Vec::new(), operations: Vec::new() }
    }

    fn perform(&mut self, operation: String) -> Result<(), ()> {
        self.operations.push(operation);
        if self.answer == Answer::Failure { Err(()) } else { Ok(()) }
    }

    fn on(&mut self, verb: &str, file: FileName) -> Result<(), ()> {
        self.perform(format!("{verb} `{}`", file.as_str()))
    }
}

/// An incomplete file with some names.
const fn info(links: u64) -> FileInfo {
    FileInfo { complete: false, links, size: 100, file_id: 1, modified: 0 }
}

impl FileOperations for Files {
    type Error = ();

    fn stat(&mut self, file: FileName) -> Result<Option<FileInfo>, ()> {
        self.on("stat", file)?;
        let known = self.infos.iter().find(|(name, _)| *name == file).map(|(_, info)| *info);
        Ok(match self.answer {
            Answer::Names(links) => Some(info(links)),
            Answer::Success | Answer::Failure | Answer::Missing => known,
        })
    }
    fn open_current(&mut self) -> Result<u64, ()> {
        self.on("open", FileName::Current).map(|()| 1)
    }
    fn current_ends_line(&mut self) -> Result<bool, ()> {
        self.perform("read the end of `current`".into()).map(|()| true)
    }
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        self.on("write to", FileName::Current).map(|()| bytes.len())
    }
    fn sync_current(&mut self) -> Result<(), ()> {
        self.on("sync", FileName::Current)
    }
    fn sync_names(&mut self) -> Result<(), ()> {
        self.perform("sync the directory".into())
    }
    fn set_mode_of_current(&mut self, _: bool) -> Result<(), ()> {
        self.on("chmod", FileName::Current)
    }
    fn complete_previous(&mut self) -> Result<bool, ()> {
        self.on("chmod", FileName::Previous).map(|()| self.answer != Answer::Missing)
    }
    fn rename(&mut self, from: FileName, to: FileName) -> Result<bool, ()> {
        let operation = format!("rename `{}` to `{}`", from.as_str(), to.as_str());
        self.perform(operation).map(|()| self.answer != Answer::Missing)
    }
    fn report_missing(&mut self, _: FileName) {}
    fn link(&mut self, file: FileName, name: &OldFileName) -> Result<(), ()> {
        self.perform(format!("link `{}` to `@.{}`", file.as_str(), code(name.code)))
    }
    fn remove(&mut self, file: FileName) -> Result<(), ()> {
        self.on("remove", file)
    }
    fn truncate(&mut self, file: FileName) -> Result<(), ()> {
        self.on("truncate", file)
    }
    fn make_durable(&mut self, file: FileName, complete: bool) -> Result<(), FailedOperation<()>> {
        let verb = if complete { "create, sync and chmod" } else { "create and sync" };
        self.on(verb, file).map_err(Operation::Sync(file).failed())
    }
    fn latest_old_file(&mut self) -> Result<Option<Tai64n>, ()> {
        self.perform("read the directory".into()).map(|()| Some(Tai64n::from_unix(1, 0)))
    }
    fn prune(&mut self, _: &Retention) -> Result<(), ()> {
        self.perform("remove old files beyond the limits".into())
    }
    fn write_mark(&mut self, _: &BatchMark, _: Option<&[u8]>) -> Result<(), ()> {
        self.perform("write the batch mark".into())
    }
    fn read_mark(&mut self) -> Result<Option<(BatchMark, Vec<u8>)>, ()> {
        Ok(None)
    }
    fn start_processor(&mut self) -> Result<(), ()> {
        self.perform("start the processor".into())
    }
}

const fn code(code: Code) -> &'static str {
    match code {
        Code::Safe => "s",
        Code::Unfinished => "u",
    }
}

const NOW: Tai64n = Tai64n::from_unix(1000, 0);

/// A directory with a `current` of this size, which a logger with these settings has recovered.
fn recovered(settings: DirectorySettings<'_>, size: u64) -> OutputDirectory {
    let mut directory = OutputDirectory::new(&settings, Some(1));
    let mut files = Files::new(Answer::Success);
    files.infos.push((FileName::Current, FileInfo { complete: true, size, ..info(1) }));
    directory.recover(&mut files, NOW).expect("no operation fails");
    directory
}

const SETTINGS: DirectorySettings<'_> =
    DirectorySettings { size: 4096, ..DirectorySettings::default_for(b".") };

/// The directories in all states of two rotations, in each of which no operation fails.
fn seeds() -> Vec<OutputDirectory> {
    let mut seeds = Vec::new();
    let processors: [Option<&[u8]>; 2] = [None, Some(b"cat")];
    for (processor, has_batch) in processors.into_iter().flat_map(|p| [(p, false), (p, true)]) {
        let mut directory = recovered(DirectorySettings { processor, ..SETTINGS }, 100);
        let mut files = Files::new(Answer::Success);
        if has_batch {
            let batch = Batch { length: 1, digest: 1, moment: NOW };
            directory.begin_batch(&mut files, batch, b"", 0).expect("no operation fails");
        }
        for _ in 0..2 {
            directory.add(&[b'\n'; 4096]);
            while run_step(&mut directory, &mut files).is_none() {
                seeds.push(directory.clone());
                let mut failed = directory.clone();
                failed.processor_ended(false);
                seeds.push(failed);
                directory.processor_ended(true);
                seeds.push(directory.clone());
                let stat = matches!(directory.state().background, BackgroundState::Finishing(_));
                files.answer = if stat { Answer::Names(1) } else { Answer::Success };
            }
        }
    }
    seeds
}

fn run_step(directory: &mut OutputDirectory, files: &mut Files) -> Option<WriteProgress> {
    directory.step(files, NOW).unwrap_or(None)
}

/// A row: state, operation, answer and next state.
type Row = [String; 4];

/// The rows of all states that a directory can reach from `seeds`, in no particular order.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut queue: VecDeque<OutputDirectory> = seeds().into();
    while let Some(directory) = queue.pop_front() {
        let before = directory.state();
        if before == WRITING {
            continue;
        }
        for answer in Answer::ALL {
            let mut next = directory.clone();
            let mut files = Files::new(answer);
            run_step(&mut next, &mut files);
            assert!(files.operations.len() <= 1, "{before:?}: {:?}", files.operations);
            let operation = files.operations.pop();
            let (operation, answer) = match &operation {
                Some(operation) if answer.fits(operation) => (&operation[..], answer.text()),
                None if answer == Answer::Success => ("-", ""),
                _ => continue,
            };
            let row = row(before, operation, answer, next.state());
            if !rows.contains(&row) {
                rows.push(row);
                queue.push_back(next);
            }
        }
    }
    rows
}

const WRITING: OutputState =
    OutputState { foreground: ForegroundState::Writing, background: BackgroundState::Idle };

fn row(before: OutputState, operation: &str, answer: &str, after: OutputState) -> Row {
    let mut operation = operation.to_owned();
    let (before, after) = if before.background.has_work() {
        assert_eq!(before.foreground, after.foreground, "the background changes the foreground");
        if let BackgroundState::Finishing(finishing) = before.background {
            // The steps are the same for all files and codes.
            operation = operation.replace(finishing.file.as_str(), "FILE");
            operation = operation.replace(&format!("@.{}", code(finishing.code)), "@.CODE");
        }
        let next = match (before.background, after.background) {
            (BackgroundState::Finishing(_), BackgroundState::Finishing(it)) => {
                finish_step(it.step).into()
            }
            (_, next) => background(next),
        };
        (step(before), next)
    } else if after.background == before.background {
        (step(before), foreground(after.foreground))
    } else {
        let next = format!("{}; {}", foreground(after.foreground), background(after.background));
        (step(before), next)
    };
    [before, operation, answer.into(), after]
}

/// The state that decides the next operation.
fn step(state: OutputState) -> String {
    match (state.background, state.foreground) {
        (BackgroundState::Finishing(finishing), _) => finish_step(finishing.step).into(),
        (
            BackgroundState::Processing(ProcessorStep::Running),
            it @ ForegroundState::Rotating(_),
        ) => {
            format!("{}, processor running", foreground(it))
        }
        (BackgroundState::Processing(step), _) => format!("{step:?}"),
        (BackgroundState::Idle, it) => foreground(it),
    }
}

fn foreground(foreground: ForegroundState) -> String {
    match foreground {
        ForegroundState::Writing => "Writing".into(),
        ForegroundState::Rotating(step) => format!("{step:?}"),
    }
}

fn background(background: BackgroundState) -> String {
    match background {
        BackgroundState::Idle => "Idle".into(),
        BackgroundState::Processing(step) => format!("{step:?}"),
        BackgroundState::Finishing(it) => {
            let step = finish_step(it.step);
            format!("{step} of `{}` as `@.{}`", it.file.as_str(), code(it.code))
        }
    }
}

const fn finish_step(step: FinishStep) -> &'static str {
    match step {
        FinishStep::CountNames => "CountNames",
        FinishStep::FindLatest => "FindLatest",
        FinishStep::Link => "Link",
        FinishStep::Remove(_) => "Remove",
        FinishStep::Prune(_) => "Prune",
    }
}

/// The groups of states, each with its states in order and their meaning.
const GROUPS: [(&str, &str, &[&str]); 3] = [
    (
        "Rotating",
        "The foreground replaces `current`. The rows without an operation are those without an open\n\
         batch. If the directory has a processor, `Start` follows `CompletePrevious`.",
        &[
            "SyncCurrent",
            "SyncNames",
            "LookForPrevious",
            "DetachMark",
            "RenameCurrent",
            "OpenCurrent",
            "SetMode",
            "AttachMark",
            "CompletePrevious",
        ],
    ),
    (
        "Processing",
        "The background converts `previous` to `processed`.",
        &[
            "FindInput",
            "Start",
            "CompleteProcessed",
            "SyncNewState",
            "RemovePrevious",
            "RenameNewState",
        ],
    ),
    (
        "Finishing",
        "The background gives FILE, which is `previous`, `processed` or `current`, a final name with\n\
         CODE. `FindLatest` comes once in the life of a logger.",
        &["CountNames", "FindLatest", "Link", "Remove", "Prune"],
    ),
];

fn groups() -> String {
    let rows = rows();
    let mut text = String::new();
    let mut shown = 0;
    for (name, meaning, steps) in GROUPS {
        text += &format!("\n## {name}\n\n{meaning}\n\n");
        text += "| state | operation | answer | next state |\n|---|---|---|---|\n";
        for step in steps {
            let rows: Vec<&Row> = rows.iter().filter(|row| row[0] == *step).collect();
            assert!(!rows.is_empty(), "{step} is not reached");
            shown += rows.len();
            for row in rows {
                text += &format!("| {} |\n", row.join(" | "));
            }
        }
    }
    // A running processor is a wait, which the table of events shows.
    let waits = rows.iter().filter(|row| row[0].ends_with("unning"));
    assert!(waits.clone().all(|row| row[1] == "-" || row[3] == "Writing"), "a wait has work");
    assert_eq!(shown + waits.count(), rows.len(), "a state is missing in the table");
    text
}

/// A step of a directory that writes, and of which the background is idle.
fn writing_row(situation: &str, directory: OutputDirectory, now: Tai64n) -> String {
    let mut text = String::new();
    for answer in [Answer::Success, Answer::Failure] {
        let (mut next, mut files) = (directory.clone(), Files::new(answer));
        let progress = next.step(&mut files, now).unwrap_or(None);
        let operation = files.operations.pop();
        if operation.is_none() && answer == Answer::Failure {
            break;
        }
        let answer = operation.as_ref().map_or("", |_| answer.text());
        let operation = operation.as_deref().unwrap_or("-");
        let waits = if progress == Some(WriteProgress::Done) { ", done" } else { "" };
        let next = foreground(next.state().foreground);
        text += &format!("| {situation} | {operation} | {answer} | {next}{waits} |\n");
    }
    text
}

fn writing() -> String {
    let with_text = |size, text: &[u8]| {
        let mut directory = recovered(SETTINGS, size);
        directory.add(text);
        directory
    };
    let hourly = DirectorySettings { period: Some(3600), ..SETTINGS };
    let later = Tai64n::from_unix(3600, 0);
    let mut old = recovered(hourly, 100);
    let idle = old.clone();
    old.add(b"line\n");
    [
        "\n## Writing\n\nThe background is idle, or the processor runs.\n\n\
         | situation | operation | answer | next state |\n|---|---|---|---|\n"
            .into(),
        writing_row("no text", with_text(100, b""), NOW),
        writing_row("text, `current` far from full", with_text(100, b"line\n"), NOW),
        writing_row(
            "text with the end of a line in the last 2000 bytes of `current`",
            with_text(3000, b"line\n"),
            NOW,
        ),
        writing_row(
            "text that does not fit, `current` of an earlier logger ends with a line in these bytes",
            with_text(4090, b"a line\n"),
            NOW,
        ),
        writing_row("text, `current` full", with_text(4096, b"line\n"), NOW),
        writing_row("no text, period of `current` over", idle, later),
        writing_row("text, period of `current` over", old, later),
    ]
    .concat()
}

fn events() -> String {
    let mut text = String::from(
        "\n## Events\n\nThese come from multilog, and not from an operation.\n\n\
         | state | event | next state |\n|---|---|---|\n",
    );
    let seeds = seeds();
    let running = |directory: &&OutputDirectory| directory.is_processor_running();
    let waiting = seeds.iter().find(running).expect("a running processor");
    for (succeeded, event) in [(true, "the processor succeeds"), (false, "the processor fails")] {
        let mut directory = waiting.clone();
        directory.processor_ended(succeeded);
        let next = background(directory.state().background);
        text += &format!("| Running | {event} | {next} |\n");
        for mut other in seeds.iter().filter(|it| !running(it)).cloned() {
            let before = other.state();
            other.processor_ended(succeeded);
            assert_eq!(other.state(), before, "only a running processor ends");
        }
    }
    let mut rotating = waiting.clone();
    let mut files = Files::new(Answer::Success);
    let progress = rotating.rotate(&mut files, NOW).expect("no operation fails");
    assert_eq!(progress, WriteProgress::WaitingForProcessor);
    text += "| Rotating while Running | any | waits for the end of the processor |\n";
    for (size, situation) in [(0, "Writing, `current` empty"), (100, "Writing")] {
        let mut directory = recovered(SETTINGS, size);
        let mut files = Files::new(Answer::Failure);
        let _ = directory.rotate(&mut files, NOW);
        let next = foreground(directory.state().foreground);
        text += &format!("| {situation} | ALRM | {next} |\n");
    }
    text
}

/// The operations of a recovery that change files.
fn recovery_operations(infos: Vec<(FileName, FileInfo)>) -> Vec<String> {
    let mut files = Files { infos, ..Files::new(Answer::Success) };
    let mut directory = OutputDirectory::new(&SETTINGS, None);
    directory.recover(&mut files, NOW).expect("no operation fails");
    assert_eq!(directory.state(), WRITING);
    let is_change = |text: &String| {
        !["stat", "read", "remove old", "chmod"].iter().any(|verb| text.starts_with(verb))
    };
    files.operations.into_iter().filter(is_change).collect()
}

fn recovery() -> String {
    let complete = FileInfo { complete: true, ..info(1) };
    let mut text = format!(
        "\n## Recovery\n\nThe operations that change files when a logger starts, by the files that\n\
         an earlier one has left. `remove` of a missing file has no effect. The logger also prunes\n\
         old files and sets the mode of `current` to incomplete. An incomplete `processed` counts as\n\
         missing. If `current` is complete, other files do not matter: {}.\n\n\
         | `current` | `processed` | `previous` | operations |\n|---|---|---|---|\n",
        recovery_operations(vec![(FileName::Current, complete)]).join(", ")
    );
    let names = [("missing", None), ("one name", Some(info(1))), ("two names", Some(info(2)))];
    let two_names = FileInfo { links: 2, ..complete };
    let processed =
        [("missing", None), ("complete", Some(complete)), ("complete, two names", Some(two_names))];
    for (current_text, current) in names {
        for (processed_text, processed) in processed {
            for (previous_text, previous) in names {
                let files = |processed| {
                    let files = [
                        (FileName::Current, current),
                        (FileName::Processed, processed),
                        (FileName::Previous, previous),
                    ];
                    files.into_iter().filter_map(|(name, it)| it.map(|it| (name, it))).collect()
                };
                let operations = recovery_operations(files(processed));
                if processed.is_none() {
                    assert_eq!(operations, recovery_operations(files(Some(info(1)))));
                }
                let operations = operations.join(", ");
                text += &format!(
                    "| {current_text} | {processed_text} | {previous_text} | {operations} |\n"
                );
            }
        }
    }
    text
}

#[test]
fn the_table_in_docs_is_that_of_the_code() {
    let table = [INTRODUCTION.into(), writing(), groups(), events(), recovery()].concat();
    state_table::check("state-table-multilog.md", &table);
}
