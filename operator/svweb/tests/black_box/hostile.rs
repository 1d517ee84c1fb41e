//! Names, states and logs that an attacker has chosen.

use crate::Site;
use harness::{DEADLINE, wait_until};

/// What a browser must not take for markup.
const SCRIPT: &str = "<script>alert(1)</script>";

#[test]
fn names_and_log_lines_are_text() {
    let name = "<img src=x onerror=alert(1)>";
    let site = Site::start(&[], |tree| {
        let run =
            format!("#!/bin/sh\necho '{SCRIPT}'\nprintf 'a\\033[31m\\377\\n'\nexec sleep 1000\n");
        tree.service(format!("s/{name}"), &run);
        tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
        tree.idle_service("s/\u{202e}txt.exe\u{1b}[2J");
    });
    site.wait_state(name, "up");
    let id = "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E";
    wait_until("the log", DEADLINE, || {
        site.get(&format!("/service/{id}")).body.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    });
    for path in ["/".to_owned(), format!("/service/{id}")] {
        let page = site.get(&path);
        assert_eq!(page.status, 200, "{page}");
        assert!(!page.body.contains("<img") && !page.body.contains(SCRIPT), "{page}");
        assert!(page.body.contains("&lt;img src=x onerror=alert(1)&gt;"), "{page}");
        assert!(!page.body.contains('\u{1b}') && !page.body.contains('\u{202e}'), "{page}");
    }
    let log = site.get(&format!("/api/v1/services/{id}/logs")).json();
    assert_eq!(log["lines"][0]["message"], SCRIPT);
    assert_eq!(log["lines"][1]["message"], "a\u{1b}[31m\u{fffd}");
}

#[test]
fn a_directory_of_an_attacker_stops_nothing() {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/good");
        // FIFOs, links and large files in the place of what svweb reads.
        for name in ["fifo", "loop", "huge", "device"] {
            tree.mkdir(format!("s/{name}/supervise"));
            tree.service(format!("s/{name}"), "#!/bin/sh\nexec sleep 1000\n");
        }
        tree.fifo("s/fifo/supervise/status", 0o666);
        tree.fifo("s/fifo/needs", 0o666);
        tree.symlink("loop", "s/loop/supervise/loop");
        tree.symlink("loop", "s/loop/supervise/status");
        tree.symlink("/dev/zero", "s/device/supervise/status");
        tree.symlink("/dev/zero", "s/device/supervise/state");
        let huge = tree.write("s/huge/supervise/state", "");
        std::fs::File::options()
            .write(true)
            .open(huge)
            .and_then(|it| it.set_len(1 << 40))
            .expect("a file");
    });
    site.wait_state("good", "up");
    for name in ["fifo", "loop", "huge", "device"] {
        assert_eq!(site.get(&format!("/service/{name}")).status, 200, "{name}");
        assert_eq!(site.get(&format!("/api/v1/services/{name}/logs")).status, 200, "{name}");
        assert_eq!(site.get(&format!("/api/v1/services/{name}/findings")).status, 200, "{name}");
    }
    let memory = harness::process::memory(site.web().pid(), "Private_Dirty");
    assert!(memory < 64 * 1024, "{memory} KiB");
}
