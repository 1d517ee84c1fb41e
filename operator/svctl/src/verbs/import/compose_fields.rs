//! The fields of a mapping, taken one by one: what is left has no counterpart.

use super::yaml::{Node, Value, YamlError};

/// What is left of a mapping.
pub(super) struct Fields {
    /// The path of the mapping with a dot at its end; empty for the document.
    prefix: String,
    entries: Vec<(String, Node)>,
}

impl Fields {
    /// The fields of a mapping. Nothing is an empty mapping.
    pub(super) fn of(prefix: String, node: Node) -> Result<Self, YamlError> {
        match node.value {
            Value::Mapping(entries) => Ok(Self { prefix, entries }),
            Value::Null => Ok(Self { prefix, entries: Vec::new() }),
            _ => Err(mistake(node.line, &prefix, "", "a mapping")),
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Takes a scalar, with its line.
    pub(super) fn scalar(&mut self, key: &str) -> Result<Option<(usize, String)>, YamlError> {
        let Some(node) = self.take(key) else { return Ok(None) };
        match node.value {
            Value::Null => Ok(None),
            Value::Scalar(text) => Ok(Some((node.line, text))),
            _ => Err(mistake(node.line, &self.prefix, key, "a scalar")),
        }
    }

    /// Takes a scalar without its line.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, YamlError> {
        Ok(self.scalar(key)?.map(|(_, text)| text))
    }

    /// Takes `true` or `false`; without the field it is false.
    pub(super) fn flag(&mut self, key: &str) -> Result<bool, YamlError> {
        match self.scalar(key)? {
            None => Ok(false),
            Some((line, text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Ok(true),
                "false" | "no" | "off" => Ok(false),
                _ => Err(mistake(line, &self.prefix, key, "true or false")),
            },
        }
    }

    /// Takes a list of scalars with their lines. One scalar is a list of one.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<(usize, String)>, YamlError> {
        let Some(node) = self.take(key) else { return Ok(Vec::new()) };
        let wrong = |line| mistake(line, &self.prefix, key, "a list of words");
        match node.value {
            Value::Null => Ok(Vec::new()),
            Value::Scalar(text) => Ok(vec![(node.line, text)]),
            Value::Sequence(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::Scalar(text) => Ok((item.line, text)),
                    _ => Err(wrong(item.line)),
                })
                .collect(),
            Value::Mapping(_) => Err(wrong(node.line)),
        }
    }

    /// Takes a mapping; without the field it is empty.
    pub(super) fn nested(&mut self, key: &str) -> Result<Self, YamlError> {
        let prefix = format!("{}{key}.", self.prefix);
        match self.take(key) {
            Some(node) => Self::of(prefix, node),
            None => Ok(Self { prefix, entries: Vec::new() }),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order of the file.
    pub(super) fn into_entries(self) -> Vec<(String, Node)> {
        self.entries
    }

    /// Adds what was not taken to `missing`, a line for each scalar.
    pub(super) fn rest(self, missing: &mut Vec<String>) {
        for (key, node) in self.entries {
            add(&format!("{}{key}", self.prefix), &node.value, missing);
        }
    }
}

fn add(path: &str, value: &Value, missing: &mut Vec<String>) {
    match value {
        Value::Null => missing.push(format!("{path}:")),
        Value::Scalar(text) => missing.push(format!("{path}: {text}")),
        Value::Sequence(items) => {
            items.iter().for_each(|item| add(path, &item.value, missing));
        }
        Value::Mapping(entries) => {
            entries
                .iter()
                .for_each(|(key, node)| add(&format!("{path}.{key}"), &node.value, missing));
        }
    }
}

fn mistake(line: usize, prefix: &str, key: &str, expected: &str) -> YamlError {
    let path = format!("{prefix}{key}");
    let path = path.trim_end_matches('.');
    let path = if path.is_empty() { "the document" } else { path };
    YamlError { line, reason: format!("{path} is not {expected}") }
}
