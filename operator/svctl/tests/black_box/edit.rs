//! edit: a text with a mistake does not replace a file, and no text is lost.

use crate::Services;
use harness::Output;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

impl Services {
    /// `svctl edit` with a shell script as the editor, which finds the copy in `$1`.
    #[track_caller]
    fn edit(&self, script: &str, arguments: &[&str]) -> Output {
        self.tree.mkdir("tmp");
        let editor = self.tree.script("editor", format!("#!/bin/sh\n{script}\n"));
        self.svctl()
            .arg("edit")
            .args(arguments)
            .env("TMPDIR", self.tree.path("tmp"))
            .env("EDITOR", editor)
            .env_remove("VISUAL")
            .stdin("")
            .run()
    }

    /// The names that are left in TMPDIR.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.tree.path("tmp")).expect("read TMPDIR");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        names.map(|entry| name(entry).to_string_lossy().into_owned()).collect()
    }
}

fn web() -> Services {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.mkdir("s/web/env");
    });
    services.wait_state("web", "up");
    services
}

#[test]
fn a_file_is_replaced_and_keeps_its_mode() {
    let services = web();
    services.tree.chmod("s/web/run", 0o751);
    let owner = harness::is_root().then(|| {
        std::os::unix::fs::chown(services.tree.path("s/web/run"), Some(12), Some(34)).unwrap();
        (12, 34)
    });
    services.tree.chmod("s/web/run", 0o751);
    let before = fs::metadata(services.tree.path("s/web/run")).unwrap();
    let output = services.edit("echo '# a comment' >>\"$1\"", &["web"]);
    output.is(
        0,
        "s/web/run: changed\n    it counts from the next start on: svctl restart web\n",
        "",
    );
    let after = fs::metadata(services.tree.path("s/web/run")).unwrap();
    assert!(services.tree.text("s/web/run").ends_with("# a comment\n"));
    assert_ne!(before.ino(), after.ino(), "it was replaced and not overwritten");
    assert_eq!(before.mode(), after.mode());
    assert!(owner.is_none_or(|owner| owner == (after.uid(), after.gid())));
    assert!(services.left().is_empty());
    let output = services.edit("exit 0", &["web"]);
    output.is(0, "s/web/run: not changed\n", "");
    // The command line in EDITOR may have arguments.
    let output =
        services.svctl().args(["edit", "web"]).env("EDITOR", "sed -i s/comment/word/").run();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(services.tree.text("s/web/run").ends_with("# a word\n"));
}

#[test]
fn a_mistake_is_refused_and_the_text_is_kept() {
    let services = web();
    let before = services.tree.text("s/web/run");
    for (script, file, message) in [
        ("echo exec true >\"$1\"", "run", "does not begin with #!"),
        ("printf '#!/bin/sh\\r\\nexec true\\r\\n' >\"$1\"", "run", "line ends of Windows"),
        (
            "printf '#!/no/such/shell\\n' >\"$1\"",
            "run",
            "the interpreter /no/such/shell does not exist",
        ),
        ("printf '#! sh\\n' >\"$1\"", "run", "is not an absolute path"),
        ("printf '#!/bin/sh\\nif true; then\\n' >\"$1\"", "run", "yntax error"),
        (": >\"$1\"", "run", "may not be empty"),
        ("echo soon >\"$1\"", "timeout-kill", "timeout-kill: "),
        ("echo a/b >\"$1\"", "needs", "needs: "),
        ("echo 5s >\"$1\"", "timeout-kil", "did you mean timeout-kill?"),
        ("printf 'a\\nb\\n' >\"$1\"", "env/LINES", "only the first line"),
        ("printf '\\033[31m' >\"$1\"", "restart-limit", "restart-limit: "),
    ] {
        let output = services.edit(script, &["web", file]);
        assert_eq!(output.code, Some(111), "{file}: {output}");
        assert!(output.err().contains(message), "{file}: {output}");
        assert!(!output.err().contains('\x1b'), "{output}");
        let kept = output.err().split("it is kept in ").nth(1).unwrap().trim_end().to_owned();
        assert!(fs::metadata(&kept).unwrap().is_file(), "{kept}");
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600, "{kept}");
    }
    assert_eq!(services.tree.text("s/web/run"), before);
    let names = fs::read_dir(services.tree.path("s/web")).unwrap();
    let names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| name != "timeout-kill" && !name.as_encoded_bytes().starts_with(b"."))
    );
}

#[test]
fn an_editor_that_fails_and_a_second_editor_change_nothing() {
    let services = web();
    let output = services.edit("exit 1", &["web"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("the editor failed; nothing was changed\n"), "{output}");
    assert!(services.left().is_empty());
    let output = services.edit("echo '# mine' >>\"$1\"; exit 1", &["web"]);
    assert!(output.err().contains("; the text is kept in "), "{output}");
    assert!(!services.tree.text("s/web/run").contains("# mine"));
    let run = services.tree.path("s/web/run");
    let script = format!("echo '# another' >>{}; echo '# mine' >>\"$1\"", run.display());
    let output = services.edit(&script, &["web"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("another process has changed it; the new text is kept in "));
    assert!(services.tree.text("s/web/run").ends_with("# another\n"));
}

#[test]
fn new_files_are_made_and_it_is_said_when_they_count() {
    let services = web();
    let made = |file: &str, when: &str| format!("s/web/{file}: made\n    {when}\n");
    let next_start = "it counts from the next start on: svctl restart web";
    let output = services.edit("echo 5s >\"$1\"", &["web", "timeout-kill"]);
    output.is(0, made("timeout-kill", next_start), "");
    assert_eq!(services.tree.mode("s/web/timeout-kill"), 0o644);
    let finish = "printf '#!/bin/sh\\nexit 0\\n' >\"$1\"";
    let output = services.edit(finish, &["web", "finish"]);
    output.is(0, made("finish", next_start), "");
    assert_eq!(services.tree.mode("s/web/finish"), 0o755);
    let output = services.edit("echo '# more' >>\"$1\"", &["web", "finish"]);
    output.is(0, "s/web/finish: changed\n    it counts from its next use on\n", "");
    let output = services.edit("echo value >\"$1\"", &["web", "env/NAME"]);
    output.is(0, made("env/NAME", next_start), "");
    let output = services.edit("exit 0", &["web", "start"]);
    output.is(0, "s/web/start: not made, because the text is empty\n", "");
    assert!(!services.tree.exists("s/web/start"));
}

#[test]
fn links_fifos_and_paths_elsewhere_are_refused() {
    let services = web();
    services.tree.write("canary", "canary");
    services.tree.symlink("../../canary", "s/web/link");
    services.tree.fifo("s/web/fifo", 0o600);
    services.tree.symlink("/dev/zero", "s/web/zero");
    fs::File::create(services.tree.path("s/web/large")).unwrap().set_len(1 << 40).unwrap();
    for (file, code, message) in [
        ("link", 111, "it is a link to ../../canary"),
        ("fifo", 111, "it is not a regular file"),
        ("zero", 111, "it is a link to /dev/zero"),
        ("large", 111, "it is larger than 1 MiB"),
        ("env", 111, "it is not a regular file"),
        ("no/such", 111, "file does not exist"),
        ("../canary", 100, "not a path below the service directory"),
        ("/etc/passwd", 100, "not a path below the service directory"),
    ] {
        let output = services.edit("echo x >\"$1\"", &["web", file]);
        assert_eq!(output.code, Some(code), "{file}: {output}");
        assert!(output.err().contains(message), "{file}: {output}");
    }
    assert_eq!(services.tree.text("canary"), "canary");
}

#[test]
fn the_command_of_a_directory_without_run_is_edited() {
    let services = Services::start(|tree| {
        tree.mkdir("s/web");
        tree.write("s/web/command", "/bin/sleep\n1000\n");
        tree.idle_service("s/both");
    });
    services.wait_state("web", "up");
    services.edit("printf '/bin/sleep\\n2000\\n' >\"$1\"", &["web"]).is(
        0,
        "s/web/command: changed\n    it counts from the next start on: svctl restart web\n",
        "",
    );
    assert_eq!(services.tree.mode("s/web/command") & 0o111, 0);
    for (script, name, message) in [
        ("printf 'sleep\\r\\n1\\r\\n' >\"$1\"", "web", "carriage return"),
        (
            "printf '/no/such/program\\n' >\"$1\"",
            "web",
            "the program /no/such/program does not exist",
        ),
        (": >\"$1\"", "web", "command line 1: "),
        ("echo sleep >\"$1\"", "both", "supervise ignores it, because there is a file run"),
    ] {
        let file: &[&str] = if name == "web" { &["web"] } else { &["both", "command"] };
        let output = services.edit(script, file);
        assert_eq!(output.code, Some(111), "{script}: {output}");
        assert!(output.err().contains(message), "{script}: {output}");
    }
    assert_eq!(services.tree.text("s/web/command"), "/bin/sleep\n2000\n");
}
