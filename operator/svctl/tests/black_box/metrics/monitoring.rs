//! examples/monitoring: the alerts, the dashboard, the service and the recipe for logs.

use crate::Services;
use harness::{DEADLINE, Tree, checkout, requires, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    checkout().join("examples/monitoring").join(name)
}

fn text_of(name: &str) -> String {
    fs::read_to_string(example(name)).expect("read the example")
}

/// The names of our metrics in a text.
fn names_in(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    words.filter(|word| word.starts_with("daemontools_")).collect()
}

/// All strings below these keys in a JSON text.
fn strings(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text.clone()),
                    value => strings(value, keys, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, keys, found)),
        _ => {}
    }
}

#[test]
fn the_alerts_pass_their_tests() {
    if !requires("promtool") {
        return;
    }
    let tree = Tree::new();
    for arguments in [
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules-test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let output = tree.cmd("promtool").args(arguments).cwd(example("")).run();
        assert_eq!(output.code, Some(0), "{output}");
    }
    let (rules, tests) = (text_of("rules.yml"), text_of("rules-test.yml"));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has a test");
    }
}

#[test]
fn the_queries_of_the_dashboard_are_right() {
    let dashboard: Value = serde_json::from_str(&text_of("dashboard.json")).expect("JSON");
    let mut queries = Vec::new();
    strings(&dashboard["panels"], &["expr"], &mut queries);
    strings(&dashboard["annotations"], &["expr"], &mut queries);
    assert!(queries.len() > 10, "{queries:?}");
    if !requires("promtool") {
        return;
    }
    let tree = Tree::new();
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let query = serde_json::to_string(query).expect("JSON");
        rules += &format!("  - {{ record: 'query:{number}', expr: {query} }}\n");
    }
    tree.write("rules.yml", rules);
    let output = tree.cmd("promtool").args(["check", "rules", "rules.yml"]).run();
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn the_examples_name_metrics_that_exist() {
    let services = Services::start(|_| {});
    let text = services.run(&["metrics"]).out();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let known: BTreeSet<&str> = types.collect();
    assert_eq!(known.len(), 21, "{known:?}");
    for file in ["rules.yml", "rules-test.yml", "dashboard.json"] {
        let text = text_of(file);
        let names = names_in(&text);
        assert!(names.len() > 5, "{file}: {names:?}");
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_service_writes_the_metrics_again_and_again() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.script("s/textfile/run", text_of("textfile/run"));
        // As the user of the service would with envdir.
        tree.mkdir("bin");
        tree.symlink(env!("CARGO_BIN_EXE_svctl"), "bin/svctl");
        let path =
            format!("{}:{}", tree.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let file = tree.path("services.prom");
        let run = format!(
            "#!/bin/sh\nPATH={path} SVDIR={} METRICS_FILE={} METRICS_INTERVAL=0.1 exec ./write\n",
            tree.path("s").display(),
            file.display()
        );
        tree.rename("s/textfile/run", "s/textfile/write");
        tree.script("s/textfile/run", run);
    });
    let has = |line: &str| {
        let path: &Path = &services.tree.path("services.prom");
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|it| it == line))
    };
    let up = |value| format!("daemontools_service_up{{service=\"web\"}} {value}");
    wait_until("the file says up", DEADLINE, || has(&up(1)));
    services.run(&["down", "web"]);
    wait_until("the file says down", DEADLINE, || has(&up(0)));
}

#[test]
fn the_script_for_fluent_bit_reads_the_labels_of_multilog() {
    if !requires("lua5.1") {
        return;
    }
    let tree = Tree::new();
    let lua = "dofile(arg[1]) for line in io.lines() do local code, time, record = tai64n('', 7, \
               { log = line, file = '/service/web/log/main/current' }) if code == 1 then \
               print(string.format('%.0f.%09d', time.sec, time.nsec), record.service, record.log) else \
               print(code, time, record.service, record.log) end end";
    tree.write("test.lua", lua);
    let output = tree
        .cmd("lua5.1")
        .args([tree.path("test.lua"), example("tai64n.lua")])
        .stdin(
            "@4000000065a1b2c30ee6b280 one  two \n@40000000ffffffff3b9ac9ff late\n\
             @400000010000000a00000000 later\nplain\n@4000000065a1b2c3 short\n",
        )
        .run();
    let expected = "1705095865.250000000\tweb\tone  two \n4294967285.999999999\tweb\tlate\n\
                    4294967296.000000000\tweb\tlater\n2\t7\tweb\tplain\n2\t7\tweb\t@4000000065a1b2c3 short\n";
    output.is(0, expected, "");
}
