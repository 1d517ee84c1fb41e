//! The description of the API against the running server.

use crate::client::request;
use crate::{BEARER, Site};
use serde_json::Value;

/// The description in the documents.
fn description() -> Value {
    let path = harness::checkout().join("docs/openapi.json");
    let text = std::fs::read_to_string(path).expect("docs/openapi.json");
    serde_json::from_str(&text).expect("JSON")
}

/// What of a value does not fit a schema: the part of JSON Schema that the description uses.
fn misfits(all: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        let schema = &all["components"]["schemas"][name];
        assert!(schema.is_object(), "{name} is not described");
        return misfits(all, schema, value, at, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        misfits(all, part, value, at, found);
    }
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => panic!("{at}: an unknown type {kind}"),
    };
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) if kinds.iter().any(is) => {}
        kind if kind.is_string() && is(kind) => {}
        kind => found.push(format!("{at} is {value}, and not {kind}")),
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at} is {value}, and not one of {}", schema["enum"]));
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        found.push(format!("{at} is {value}"));
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            found.push(format!("{at} has no {key}"));
        }
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(key) {
            misfits(all, schema, value, &format!("{at}.{key}"), found);
        }
    }
    if schema.get("items").is_some() {
        for value in value.as_array().into_iter().flatten() {
            misfits(all, &schema["items"], value, &format!("{at}[]"), found);
        }
    }
}

#[test]
fn the_description_is_that_of_the_running_server() {
    let site = Site::start(&["--token-file", "token", "--control"], |tree| {
        tree.service("s/web", "#!/bin/sh\necho begins\nexec sleep 1000\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
        tree.service("s/broken", "#!/bin/sh\nexit 3\n");
        tree.symlink("/nowhere", "s/old");
    });
    site.wait_state("web", "up");
    let all = description();
    assert_eq!(site.get("/api/v1/openapi.json").json(), all);
    let mut count = 0;
    for (path, item) in all["paths"].as_object().expect("paths") {
        for (method, operation) in
            item.as_object().expect("operations").iter().filter(|it| it.0 != "parameters")
        {
            count += 1;
            if path == "/api/v1/events" {
                continue;
            }
            for (name, statuses) in [
                ("web", &["200", "202", "404"][..]),
                ("old", &["200", "404", "409"]),
                ("nothing", &["200", "404"]),
            ] {
                let real = path.replace("{name}", name);
                let (body, headers) = match method.as_str() {
                    "post" => {
                        ("{}", &["Host: localhost", BEARER, "Content-Type: application/json"][..])
                    }
                    _ => ("", &["Host: localhost"][..]),
                };
                let answer = request(
                    site.address,
                    &format!("{} {real}", method.to_uppercase()),
                    headers,
                    body,
                );
                let status = answer.status.to_string();
                let described = &operation["responses"][&status];
                assert!(
                    described.is_object() && statuses.contains(&&*status),
                    "{method} {real}: {answer}"
                );
                let kind = answer.header("content-type").unwrap_or_default();
                let kind = kind.split(';').next().unwrap_or_default();
                let schema = &described["content"][kind]["schema"];
                assert!(schema.is_object(), "{method} {real}: {kind} is not described");
                if kind == "application/json" {
                    let mut found = Vec::new();
                    misfits(&all, schema, &answer.json(), "answer", &mut found);
                    assert!(found.is_empty(), "{method} {real}: {found:#?}");
                }
            }
        }
    }
    assert!(count > 15, "only {count} operations are described");
}
