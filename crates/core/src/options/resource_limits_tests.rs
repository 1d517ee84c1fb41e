use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;

fn read(text: &str) -> ResourceLimits {
    parse(text.as_bytes()).unwrap()
}

#[test]
fn every_setting() {
    let text = "# tight\nnofile 1024:4096\n\n core 0\nas 2G\nnice -20\nioprio best-effort 7\n\
                oom-score -1000\nno-new-privs\ncapabilities net_bind_service CAP_SETUID\n\
                memory 512M\ncpu 50%\npids 100\n";
    let rlimit = |resource, soft, hard| Rlimit { resource, soft, hard };
    let expected = ResourceLimits {
        rlimits: vec![
            rlimit(7, Some(1024), Some(4096)),
            rlimit(4, Some(0), Some(0)),
            rlimit(9, Some(2 << 30), Some(2 << 30)),
        ],
        nice: Some(-20),
        io_priority: Some(IoPriority::BestEffort(7)),
        oom_score: Some(-1000),
        no_new_privileges: true,
        capabilities: Some(1 << 10 | 1 << 7),
        memory: Some(512 << 20),
        cpu: Some(CpuQuota(50)),
        pids: Some(100),
    };
    assert_eq!(parse(text.as_bytes()), Ok(expected.clone()));
    assert!(expected.needs_cgroup() && !expected.is_empty());
    assert!(read("\n# nothing").is_empty());
}

#[test]
fn unlimited_values() {
    assert!(read("memory unlimited\npids unlimited").is_empty());
    let limit = |text| read(text).rlimits[0];
    let expected = Rlimit { resource: 0, soft: Some(5), hard: None };
    assert_eq!(limit("cpu-time 5:unlimited"), expected);
    assert_eq!(limit("rttime unlimited"), Rlimit { resource: 15, soft: None, hard: None });
    assert!(!read("nofile 1").needs_cgroup());
}

#[test]
fn capability_names() {
    let set = |text| read(text).capabilities;
    assert_eq!(set("capabilities none"), Some(0));
    assert_eq!(set("capabilities cap_chown checkpoint_restore chown"), Some(1 << 40 | 1));
    let all: String = CAPABILITIES.map(|c| format!(" {}", str::from_utf8(c).unwrap())).concat();
    assert_eq!(set(&format!("capabilities{all}")), Some((1 << 41) - 1));
}

#[test]
fn priorities_have_the_kernels_numbers() {
    assert_eq!(IoPriority::Realtime(3).class_and_level(), (1, 3));
    assert_eq!(IoPriority::BestEffort(7).class_and_level(), (2, 7));
    assert_eq!(IoPriority::Idle.class_and_level(), (3, 0));
}

#[test]
fn wrong_lines_are_refused() {
    for text in [
        "cpu 5",
        "cpu 0%",
        "cpu 100001%",
        "nice",
        "nice 20",
        "nice -21",
        "nice +1",
        "nice 1 2",
        "oom-score 1001",
        "ioprio",
        "ioprio idle 1",
        "ioprio realtime",
        "ioprio realtime 8",
        "no-new-privs 1",
        "capabilities",
        "capabilities none chown",
        "capabilities cap_",
        "capabilities all",
        "memory",
        "memory 0",
        "memory 1T",
        "memory 17179869184G",
        "pids 0",
        "pids 1K",
        "nofile",
        "nofile 1K",
        "nofile 2:1",
        "nofile unlimited:1",
        "nofile 1:",
        "nofile 1:2:3",
        "nofile -1",
        "nofile 18446744073709551616",
        "files 1",
        "NOFILE 1",
        "nofile 1\nnofile 1",
        "memory unlimited\nmemory 1",
        "nice 1\nnice 1",
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn limits_are_read_back(
        index in 0..RLIMITS.len(), soft in any::<Option<u64>>(), hard in any::<Option<u64>>(),
    ) {
        let name = str::from_utf8(RLIMITS[index].0).unwrap();
        let word = |n: Option<u64>| n.map_or("unlimited".into(), |n| format!("{n}"));
        let result = parse(format!("{name} {}:{}", word(soft), word(hard)).as_bytes());
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            prop_assert!(result.is_err());
        } else {
            let resource = u8::try_from(index).unwrap();
            prop_assert_eq!(result.unwrap().rlimits, [Rlimit { resource, soft, hard }]);
        }
    }

    #[test]
    fn signed_numbers_are_read_back(nice in -20_i8..=19, score in -1000_i16..=1000) {
        let resources = read(&format!("nice {nice}\noom-score {score}"));
        prop_assert_eq!((resources.nice, resources.oom_score), (Some(nice), Some(score)));
    }
}
