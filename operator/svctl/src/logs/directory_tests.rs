use super::*;
use harness::Tree;
use std::fs::{FileTimes, Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

const AT: u64 = 1_796_049_692;

fn label(seconds: u64) -> String {
    let stamp = Tai64n::from_unix(seconds.cast_signed(), 0).stamp();
    String::from_utf8_lossy(&stamp).trim_end().to_owned()
}

/// A file that was last written at a time.
fn write(tree: &Tree, name: &str, text: &str, seconds: u64) {
    tree.write(format!("d/{name}"), text);
    let file = File::options().write(true).open(tree.path(format!("d/{name}"))).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn names(directory: &LogDirectory) -> Vec<String> {
    directory.files.iter().map(|file| file.name.to_string_lossy().into_owned()).collect()
}

fn open_directory(tree: &Tree) -> LogDirectory {
    LogDirectory::open(&tree.path("d"), None, None).unwrap()
}

#[test]
fn files_are_in_the_order_of_writing() {
    let tree = Tree::new();
    tree.mkdir("d");
    let [one, two, three] = [AT, AT + 1, AT + 2].map(label);
    for name in [
        "current",
        "previous",
        "state",
        "newstate",
        "processed",
        "@x.s",
        &format!("{two}.u"),
        &format!("{one}.s"),
        &format!("{three}.gz"),
        &one,
        &format!("{one}."),
        &format!("{one}x.s"),
    ] {
        tree.write(format!("d/{name}"), "");
    }
    tree.mkdir(format!("d/{}.s", label(AT + 5)));
    tree.symlink("current", format!("d/{}.s", label(AT + 6)));
    tree.fifo(format!("d/{}.s", label(AT + 7)), 0o600);
    let directory = open_directory(&tree);
    let finished = [format!("{one}.s"), format!("{two}.u"), format!("{three}.gz")];
    let expected = [&finished[..], &["previous".to_owned(), "current".to_owned()]].concat();
    assert_eq!(names(&directory), expected);
    let moment = Moment::new(AT.cast_signed(), 0).unwrap();
    assert_eq!(directory.files[0].role, FileRole::Finished(moment));
}

#[test]
fn links_and_fifos_are_not_opened() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("secret", "x");
    tree.symlink("../secret", "d/current");
    tree.fifo("d/previous", 0o600);
    let directory = open_directory(&tree);
    assert_eq!(names(&directory), [""; 0]);
    let name = OsString::from("current");
    let file = LogFile { name, role: FileRole::Current };
    assert!(directory.open_file(&file).unwrap().is_none());
}

#[test]
fn one_copy_of_what_svlogd_processes_is_listed() {
    let tree = Tree::new();
    tree.mkdir("d");
    let [one, two, three] = [AT, AT + 1, AT + 2].map(label);
    for name in [
        "lock",
        "config",
        &format!("{one}.s"),
        &format!("{one}.u"),
        &format!("{two}.u"),
        &format!("{two}.t"),
        &format!("{three}.t"),
    ] {
        tree.write(format!("d/{name}"), "");
    }
    let directory = open_directory(&tree);
    assert_eq!(directory.writer, LogWriter::Svlogd);
    let expected = [format!("{one}.s"), format!("{two}.u"), format!("{three}.t")];
    assert_eq!(names(&directory), expected);
}

#[test]
fn the_writer_leaves_traces() {
    for (files, mode, writer) in [
        (&["lock", "state"][..], 0o600, LogWriter::Multilog),
        (&["lock", "state"], 0o644, LogWriter::S6Log),
        (&["lock"], 0o600, LogWriter::Svlogd),
        (&["lock", "config"], 0o600, LogWriter::Svlogd),
        (&[], 0, LogWriter::Unknown),
    ] {
        let tree = Tree::new();
        tree.mkdir("d");
        for file in files {
            tree.write(format!("d/{file}"), "");
            set_permissions(tree.path(format!("d/{file}")), Permissions::from_mode(mode)).unwrap();
        }
        let directory = open_directory(&tree);
        assert_eq!(directory.writer, writer, "{files:?}");
        let tai = if writer == LogWriter::S6Log { Tai::S6 } else { Tai::Djb };
        assert_eq!(directory.tai, tai);
    }
}

#[test]
fn times_of_files_show_how_labels_count() {
    for (name, text, written, tai) in [
        ("current", format!("{} a\n", label(AT + 27)), AT, Tai::S6),
        ("current", format!("{} a\n", label(AT)), AT, Tai::Djb),
        (&*format!("{}.s", label(AT + 27)), String::new(), AT, Tai::S6),
        (&*format!("{}.s", label(AT)), String::new(), AT, Tai::Djb),
        (&*format!("{}.u", label(AT + 27)), String::new(), AT, Tai::Djb),
        ("current", format!("{} a\n", label(AT + 27)), AT + 100, Tai::Djb),
    ] {
        let tree = Tree::new();
        tree.mkdir("d");
        write(&tree, name, &text, written);
        assert_eq!(open_directory(&tree).tai, tai, "{name} {text}");
        let chosen = LogDirectory::open(&tree.path("d"), Some(Tai::S6), None).unwrap();
        assert_eq!(chosen.tai, Tai::S6);
    }
}

#[test]
fn names_of_s6_become_moments() {
    let tree = Tree::new();
    tree.mkdir("d");
    write(&tree, &format!("{}.s", label(AT + 27)), "", AT);
    let moment = Moment::new(AT.cast_signed(), 0).unwrap();
    assert_eq!(open_directory(&tree).files[0].role, FileRole::Finished(moment));
}

#[test]
fn current_stays_the_file_that_was_listed() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", "old");
    let directory = open_directory(&tree);
    std::fs::rename(tree.path("d/current"), tree.path(format!("d/{}.s", label(AT)))).unwrap();
    tree.write("d/current", "new");
    let file = directory.open_file(&directory.files[0]).unwrap().unwrap();
    let mut text = [0; 3];
    file.read_exact_at(&mut text, 0).unwrap();
    assert_eq!(&text, b"old");
    assert_ne!(file_id(&file).ok(), directory.id_of(OsStr::new("current")));
}

#[test]
fn one_name_does_not_show_that_multilog_counts_as_s6() {
    let tree = Tree::new();
    tree.mkdir("d");
    for file in ["lock", "state"] {
        tree.write(format!("d/{file}"), "");
        tree.chmod(format!("d/{file}"), 0o600);
    }
    write(&tree, &format!("{}.s", label(AT + 27)), "", AT);
    assert_eq!(open_directory(&tree).tai, Tai::Djb);
    // s6-log under a strict umask.
    write(&tree, &format!("{}.s", label(AT + 1027)), "", AT + 1000);
    assert_eq!(open_directory(&tree).tai, Tai::S6);
}
