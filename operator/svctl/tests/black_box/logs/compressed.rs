//! Files that a processor of the logger has compressed.

use super::{label, logs, numbered, numbers};
use harness::{Tree, requires};

#[test]
fn compressed_files_are_read() {
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        if !requires(program) {
            continue;
        }
        let tree = Tree::new();
        tree.mkdir("d");
        for (file, lines) in [(1, 0..5000), (2, 5000..9000)] {
            let name = format!("d/{}.s", label(file * 10_000));
            let output = tree.sh(&format!("{program} -c >{name}")).stdin(numbered(lines)).run();
            assert_eq!(output.code, Some(0), "{output}");
        }
        tree.write("d/current", numbered(9000..9010));
        assert_eq!(numbers(&tree, &[]), (0..9010).collect::<Vec<_>>(), "{program}");
        assert_eq!(numbers(&tree, &["-n", "4500"]), (4510..9010).collect::<Vec<_>>(), "{program}");
        let since = label(4000);
        assert_eq!(numbers(&tree, &["--since", &since, "--until", &since]), [4000], "{program}");
    }
}

#[test]
fn several_streams_in_a_file_are_read() {
    for program in ["gzip", "zstd"] {
        if !requires(program) {
            continue;
        }
        let tree = Tree::new();
        tree.mkdir("d");
        let name = format!("d/{}.s", label(100));
        for lines in [0..10, 10..20] {
            tree.sh(&format!("{program} -c >>{name}")).stdin(numbered(lines)).run();
        }
        assert_eq!(numbers(&tree, &[]), (0..20).collect::<Vec<_>>(), "{program}");
    }
}

#[test]
fn a_damaged_file_is_named_and_the_rest_is_shown() {
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        if !requires(program) {
            continue;
        }
        let tree = Tree::new();
        tree.mkdir("d");
        let name = format!("d/{}.s", label(100));
        tree.sh(&format!("{program} -c | head -c 60 >{name}")).stdin(numbered(0..100)).run();
        tree.write("d/current", numbered(200..202));
        let output = logs(&tree, &["--log-dir", "d", "-o", "cat"]).run();
        assert_eq!(output.code, Some(111), "{output}");
        assert!(output.out().ends_with("200\n201\n"), "{output}");
        let message = format!("svctl: warning: unable to read {name}: ");
        assert!(output.err().starts_with(&message), "{program}: {output}");
    }
}
