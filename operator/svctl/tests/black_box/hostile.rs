//! Directories that another user arranged: nothing blocks, and nothing reaches the terminal.

use crate::Services;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let name = "evil\x1b]0;title\x07\u{202e}";
    let services = Services::start(|tree| {
        tree.service(
            format!("s/{name}"),
            "#!/bin/sh\nprintf '\\033[2Jhello\\n'\nexec sleep 1000\n",
        );
        tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
        tree.write(format!("s/{name}/needs"), "\x1b[31mred\n");
        tree.write(format!("s/{name}/restart-limit"), "\x1b[31m\n");
        tree.symlink("\x1b[2Jnowhere", "s/lost");
    });
    harness::wait_until("it is supervised", harness::DEADLINE, || {
        services.tree.is_supervised(format!("s/{name}"))
    });
    for verb in ["list", "status", "why", "doctor", "tree", "graph", "env", "signal"] {
        let words: &[&str] = match verb {
            "list" | "tree" | "graph" => &[verb],
            "signal" => &[verb, "HUP", name],
            _ => &[verb, name],
        };
        let output = services.run(words);
        for stream in [&output.stdout, &output.stderr] {
            let is_control = |byte: &u8| *byte < 0x20 && !b"\n\t".contains(byte);
            assert!(!stream.iter().any(is_control), "{verb}: {output}");
        }
        assert!(!output.out().contains('\u{202e}'), "{verb}");
    }
}

#[test]
fn fifos_devices_and_large_files_do_not_block() {
    let services = Services::start(|tree| {
        tree.mkdir("s/trap/supervise");
        for file in ["run", "needs", "supervise/status", "supervise/state", "supervise/process"] {
            tree.fifo(format!("s/trap/{file}"), 0o600);
        }
        tree.mkdir("s/trap/log");
        tree.symlink("/dev/zero", "s/trap/log/run");
        tree.mkdir("s/trap2/supervise");
        tree.write("s/trap2/run", "#!/bin/sh\n");
        tree.symlink("/dev/zero", "s/trap2/supervise/status");
        tree.symlink("/dev/zero", "s/trap2/needs");
        tree.symlink("/dev/tty", "s/trap2/supervise/ok");
        fs::File::create(tree.path("s/trap2/restart-limit")).unwrap().set_len(1 << 40).unwrap();
    });
    for verb in ["list", "status", "why", "doctor", "tree", "graph", "is-up"] {
        let words: &[&str] = match verb {
            "list" | "tree" | "graph" => &[verb],
            _ => &[verb, "trap", "trap2"],
        };
        let output = services.run(words);
        assert!(output.code.is_some(), "{verb}: {output}");
    }
}

#[test]
fn names_of_any_bytes_are_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/with space");
        tree.idle_service("s/new\nline");
        let raw = tree.path("s").join(std::ffi::OsStr::from_bytes(b"raw\xff"));
        fs::create_dir(raw).unwrap();
    });
    services.wait_state("with space", "up");
    services.wait_state("new\nline", "up");
    let output = services.run(&["list"]);
    assert_eq!(output.out().lines().count(), 3, "{output}");
    let output = services.run(&["down", "new\nline"]);
    assert!(output.out().starts_with("new\\nline: down after "), "{output}");
}
