//! The simulated kernel answers small sequences of calls as the real one does.

use daemontools_sys::process::{self, Forked};
use daemontools_sys::{AsFd as _, fd, fs};
use simulator::conformance;
use simulator::kernel::{Content, Kernel};
use simulator::program;
use simulator::world::{Calm, Step, World};
use std::ffi::CString;

/// The results on the real kernel, of a process of its own.
fn real() -> String {
    let place = std::env::temp_dir().join(format!("simulator-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("an empty directory");
    let path = CString::new(place.to_str().expect("a path")).expect("a path");
    let directory = fs::open_dir(fs::HERE, &path).expect("the directory");
    let (reader, writer) = fd::pipe().expect("a pipe");
    let Forked::Parent(child) = process::fork().expect("a process") else {
        let told = conformance::run_all(directory.as_fd());
        let _ = fd::write_all(writer.as_fd(), told.as_bytes());
        process::exit(0)
    };
    drop(writer);
    let (mut told, mut room) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = fd::read(reader.as_fd(), &mut room) {
        told.extend_from_slice(&room[..n]);
    }
    process::wait_for(child).expect("the child");
    std::fs::remove_dir_all(place).expect("the directory");
    String::from_utf8_lossy(&told).into_owned()
}

/// The results on the simulated kernel, and the calls that it does not know.
fn simulated(seed: u64) -> (String, Vec<usize>) {
    let _alone = machine::lock();
    let mut kernel = Kernel::new(&program::ALL);
    kernel.make_file("/trace", b"");
    let trace = kernel.open_for_appending("/trace");
    let mut world = World::new(kernel, seed);
    let pid =
        world.kernel.start(&["/bin/conformance"], "/work", &[(0, trace), (1, trace), (2, trace)]);
    while world.kernel.reap(pid).is_none() {
        assert_eq!(world.step(&mut Calm), Step::Done, "every process waits");
    }
    let told = match world.kernel.look_up("/trace").map(|inode| &inode.content) {
        Some(Content::File(told)) => String::from_utf8_lossy(told).into_owned(),
        _ => String::new(),
    };
    (told, world.kernel.unknown.iter().copied().collect())
}

#[test]
fn both_kernels_answer_alike() {
    let real = real();
    assert!(real.lines().count() > 60, "{real}");
    for seed in 0..50 {
        let (simulated, unknown) = simulated(seed);
        assert_eq!(unknown, [], "calls that are not simulated");
        for (real, simulated) in real.lines().zip(simulated.lines()) {
            assert_eq!(real, simulated, "seed {seed}; the left one is real");
        }
        assert_eq!(real.lines().count(), simulated.lines().count(), "{simulated}");
    }
}
