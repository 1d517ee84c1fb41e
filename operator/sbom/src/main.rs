//! Makes the software bill of materials of a release, in the form CycloneDX 1.5.
//!
//! Usage: `cargo metadata --format-version 1 --filter-platform TARGET | sbom PACKAGE CARGO_LOCK`. It lists
//! the packages that are linked into PACKAGE: its dependencies without those of tests and builds. The
//! same input gives the same bytes.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::{env, fs};

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(text) if io::stdout().write_all(text.as_bytes()).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(111),
        Err(message) => {
            let _ = writeln!(io::stderr(), "sbom: fatal: {message}");
            ExitCode::from(111)
        }
    }
}

fn run() -> Result<String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [root, lock] = arguments.as_slice() else {
        return Err("usage: sbom PACKAGE CARGO_LOCK <METADATA".to_owned());
    };
    let lock = fs::read_to_string(lock).map_err(|e| format!("unable to read {lock}: {e}"))?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|e| format!("unable to read metadata: {e}"))?;
    let metadata =
        serde_json::from_str(&text).map_err(|e| format!("unable to read metadata: {e}"))?;
    let made = document(&metadata, root, &checksums(&lock))?;
    Ok(format!("{made:#}\n"))
}

/// The SHA-256 sums in a Cargo.lock, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let entry = |text: &str| {
        let field = |name: &str| {
            let value =
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(value.trim_matches('"').to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}

fn document(
    metadata: &Value,
    root: &str,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
        .filter_map(|it| Some((it["id"].as_str()?, it)))
        .collect();
    let first = packages.iter().find(|(_, package)| package["name"] == root);
    let (&first, main) =
        first.ok_or_else(|| format!("unable to find package {root} in metadata"))?;

    let mut linked = BTreeSet::from([first]);
    let mut unseen = vec![first];
    while let Some(id) = unseen.pop() {
        let node = nodes.get(id).ok_or_else(|| format!("unable to find {id} in metadata"))?;
        for id in list(&node["deps"]).filter(|it| is_linked(it)).filter_map(|it| it["pkg"].as_str())
        {
            if linked.insert(id) {
                unseen.push(id);
            }
        }
    }

    let mut components: Vec<Value> = linked
        .iter()
        .filter(|id| **id != first)
        .filter_map(|id| packages.get(id))
        .map(|package| component(package, "library", checksums))
        .collect();
    components.sort_by_key(|it| it["bom-ref"].to_string());
    let mut dependencies: Vec<Value> = linked
        .iter()
        .filter_map(|id| Some((packages.get(id)?, nodes.get(id)?)))
        .map(|(package, node)| {
            let direct = list(&node["deps"]).filter(|it| is_linked(it));
            let mut names: Vec<String> = direct
                .filter_map(|it| packages.get(it["pkg"].as_str()?))
                .map(|package| reference(package))
                .collect();
            names.sort();
            names.dedup();
            json!({ "ref": reference(package), "dependsOn": names })
        })
        .collect();
    dependencies.sort_by_key(|it| it["ref"].to_string());
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(main, "application", checksums) },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// Whether a dependency is one of the program, and not of its tests or its build.
fn is_linked(dependency: &Value) -> bool {
    list(&dependency["dep_kinds"]).any(|it| it["kind"].is_null())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// The package URL.
fn reference(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

fn component(package: &Value, kind: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut made = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "purl": reference(package),
    });
    if let Some(license) = package["license"].as_str() {
        made["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(sum) = checksums.get(&(name.to_owned(), version.to_owned())) {
        made["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let package =
            |id: &str| json!({ "id": id, "name": id, "version": "1.0.0", "license": "MIT/Zlib" });
        let dep = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("app"), package("lib"), package("deep"), package("test"), package("other")],
            "resolve": { "nodes": [
                { "id": "app", "deps": [dep("lib", Value::Null), dep("test", "dev".into())] },
                { "id": "lib", "deps": [dep("deep", Value::Null), dep("other", "build".into())] },
                { "id": "deep", "deps": [] },
                { "id": "test", "deps": [] },
                { "id": "other", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"lib\"\nversion = \"1.0.0\"\nchecksum = \"12ab\"\n";
        let made = document(&metadata, "app", &checksums(lock)).unwrap();
        assert_eq!(made["metadata"]["component"]["purl"], "pkg:cargo/app@1.0.0");
        let names: Vec<_> = list(&made["components"]).map(|it| text(it, "name")).collect();
        assert_eq!(names, ["deep", "lib"]);
        assert_eq!(made["components"][1]["hashes"][0]["content"], "12ab");
        assert_eq!(made["components"][0]["licenses"][0]["expression"], "MIT OR Zlib");
        assert_eq!(made["dependencies"][0]["dependsOn"], json!(["pkg:cargo/lib@1.0.0"]));
        assert!(document(&metadata, "missing", &BTreeMap::new()).is_err());
    }
}
