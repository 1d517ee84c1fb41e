//! What a supervise costs besides what all processes share.

use std::fs;
use system::{stop_supervise, tree, wait_settled};

/// How many pages of the file that it executes a process has changed for itself.
fn pages_written_of_the_executable(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("its memory");
    let (mut counts, mut page, mut pages) = (false, 0, 0);
    for line in maps.lines() {
        let Some((name, size)) = line.split_once(": ") else {
            // The first line of a mapping ends with the name of its file.
            counts = line.ends_with("/daemontools");
            continue;
        };
        let size = || size.trim().strip_suffix(" kB").and_then(|size| size.parse::<usize>().ok());
        match name {
            "KernelPageSize" => page = size().expect("a size"),
            "Private_Dirty" if counts => pages += size().expect("a size") / page,
            _ => {}
        }
    }
    pages
}

#[test]
fn a_supervise_writes_to_a_single_page_of_its_executable() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").start();
    wait_settled(&tree, "a");
    assert_eq!(pages_written_of_the_executable(supervise.pid()), 1);
    stop_supervise(&tree, supervise, "a");
}
