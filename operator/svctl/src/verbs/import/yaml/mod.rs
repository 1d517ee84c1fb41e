//! The part of YAML 1.2 that files such as process-compose's use: mappings and sequences in block and
//! flow style, plain and quoted scalars, block scalars, comments, and one document.
//!
//! Everything else is refused by its name and line: anchors, aliases, tags, merge keys, complex keys,
//! directives, several documents, tabs as indentation and a key that occurs twice.

mod block_scalar;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};

/// How deep collections may be nested.
const DEPTH: usize = 32;

/// A mistake, or something that is not supported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    /// The line, counted from 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

impl Display for YamlError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

type Parsed<T> = Result<T, YamlError>;

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    /// The keys in the order of the file.
    Mapping(Vec<(String, Node)>),
}

/// A value and the line where it begins, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// Parses a document. An empty one is [`Value::Null`].
pub(super) fn parse(text: &str) -> Parsed<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { lines: text.lines().collect(), row: 0, column: 0, depth: 0 };
    parser.document()
}

/// The place in the text: a line and a column in bytes, both counted from 0.
struct Parser<'a> {
    lines: Vec<&'a str>,
    row: usize,
    column: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        let line = self.row.min(self.lines.len().saturating_sub(1)) + 1;
        Err(YamlError { line, reason: reason.into() })
    }

    /// A line, or an empty one behind the end.
    fn text(&self, row: usize) -> &'a str {
        self.lines.get(row).copied().unwrap_or_default()
    }

    /// What is left of the current line.
    fn rest(&self) -> &'a str {
        self.text(self.row).get(self.column..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.column += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn document(&mut self) -> Parsed<Node> {
        let mut found = self.next_content()?;
        if found && self.rest().starts_with('%') {
            return self.error("a directive (%) is not supported");
        }
        if found && is_marker(self.rest(), "---") {
            self.column = 3;
            found = self.next_content_or_rest()?;
        }
        let node = if found { self.block()? } else { self.null() };
        if self.next_content()? {
            if is_marker(self.rest(), "---") {
                return self.error("a second document (---) is not supported");
            }
            if !is_marker(self.rest(), "...") {
                return self.error("wrong indentation");
            }
            self.column = 3;
            if self.next_content_or_rest()? {
                return self.error("text behind the end of the document (...)");
            }
        }
        Ok(node)
    }

    const fn null(&self) -> Node {
        Node { line: self.row + 1, value: Value::Null }
    }

    /// Goes to the content of the next line that has some, from the beginning of the current line if
    /// nothing of it was read. `false` at the end of the text.
    fn next_content(&mut self) -> Parsed<bool> {
        if self.column > 0 {
            self.row += 1;
        }
        while let Some(line) = self.lines.get(self.row) {
            self.column = line.len() - line.trim_start_matches(' ').len();
            let content = line.get(self.column..).unwrap_or_default();
            if !content.trim_start_matches('\t').trim_end().is_empty() && !content.starts_with('#')
            {
                if content.starts_with('\t') {
                    return self.error("a tab in the indentation");
                }
                return Ok(true);
            }
            self.row += 1;
        }
        self.column = 0;
        Ok(false)
    }

    /// Goes to the content behind an indicator: on the same line, or else on the next one that has some.
    fn next_content_or_rest(&mut self) -> Parsed<bool> {
        self.skip_blanks();
        if self.rest().is_empty() || self.rest().starts_with('#') {
            // Column 0 would mean that nothing of the line was read.
            self.column = self.column.max(1);
            return self.next_content();
        }
        Ok(true)
    }

    /// After a value: only a comment may be left on the line.
    fn end_of_line(&mut self) -> Parsed<()> {
        let before = self.column;
        self.skip_blanks();
        let rest = self.rest();
        if rest.is_empty() || (rest.starts_with('#') && self.column > before) {
            self.column = self.text(self.row).len().max(1);
            return Ok(());
        }
        self.error("text behind the end of a value")
    }

    /// The node at the current place, whose column is its indentation.
    fn block(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.error(format!("more than {DEPTH} levels"));
        }
        let line = self.row + 1;
        let column = self.column;
        let value = if is_entry(self.rest()) {
            self.sequence(column)?
        } else if self.at_key()? {
            self.mapping(column)?
        } else {
            self.inline(column)?
        };
        self.depth -= 1;
        Ok(Node { line, value })
    }

    /// Goes to the next entry of a collection with this indentation; `false` at its end.
    fn next_entry(&mut self, indentation: usize) -> Parsed<bool> {
        if !self.next_content()? || self.column < indentation || self.at_marker() {
            // Read this line again.
            self.column = 0;
            return Ok(false);
        }
        if self.column > indentation {
            return self.error("wrong indentation");
        }
        Ok(true)
    }

    /// Whether the line begins with the mark of the beginning or end of a document.
    fn at_marker(&self) -> bool {
        self.column == 0 && (is_marker(self.rest(), "---") || is_marker(self.rest(), "..."))
    }

    fn sequence(&mut self, indentation: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        while is_entry(self.rest()) {
            let row = self.row;
            self.column += 1;
            let has_content = self.next_content_or_rest()?;
            let is_nested = has_content && (self.row == row || self.column > indentation);
            items.push(if is_nested { self.value(indentation + 1)? } else { self.before(row) });
            if !self.next_entry(indentation)? {
                return Ok(Value::Sequence(items));
            }
        }
        // The lists of a mapping may have its own indentation, so this is its next key.
        self.column = 0;
        Ok(Value::Sequence(items))
    }

    fn mapping(&mut self, indentation: usize) -> Parsed<Value> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut keys = HashSet::new();
        loop {
            if !self.at_key()? {
                return self.error("not KEY: VALUE");
            }
            let key = self.key()?;
            if key == "<<" {
                return self.error("a merge key (<<) is not supported");
            }
            if !keys.insert(key.clone()) {
                return self.error("the same key a second time");
            }
            let row = self.row;
            let has_content = self.next_content_or_rest()?;
            let is_same = self.row == row;
            let is_list = self.column == indentation && is_entry(self.rest());
            let node = if !has_content || !(is_same || self.column > indentation || is_list) {
                self.before(row)
            } else if is_same && (is_entry(self.rest()) || self.at_key()?) {
                return self.error("a list or a mapping on the line of its key");
            } else {
                self.value(indentation + 1)?
            };
            entries.push((key, node));
            if !self.next_entry(indentation)? {
                return Ok(Value::Mapping(entries));
            }
        }
    }

    /// An empty value on an earlier line. The current line is read again.
    const fn before(&mut self, row: usize) -> Node {
        self.column = 0;
        Node { line: row + 1, value: Value::Null }
    }

    /// A nested value. Its further lines have at least the indentation `least`.
    fn value(&mut self, least: usize) -> Parsed<Node> {
        if is_entry(self.rest()) || self.at_key()? {
            return self.block();
        }
        let line = self.row + 1;
        let value = self.inline(least)?;
        Ok(Node { line, value })
    }

    /// A scalar or a flow collection. Its further lines have at least the indentation `least`.
    fn inline(&mut self, least: usize) -> Parsed<Value> {
        match self.rest().chars().next() {
            Some('|' | '>') => self.block_scalar(least).map(Value::Scalar),
            Some('"' | '\'') => {
                let text = self.quoted(least)?;
                self.end_of_line()?;
                Ok(Value::Scalar(text))
            }
            Some('[' | '{') => {
                let node = self.flow(least)?;
                self.end_of_line()?;
                Ok(node.value)
            }
            _ => {
                self.refuse_indicators()?;
                Ok(plain_value(self.plain_lines(least)?))
            }
        }
    }

    /// A value within `[]` or `{}`.
    fn flow(&mut self, least: usize) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.error(format!("more than {DEPTH} levels"));
        }
        let line = self.row + 1;
        let value = match self.rest().chars().next() {
            Some('"' | '\'') => Value::Scalar(self.quoted(least)?),
            Some('[') => self.flow_sequence(least)?,
            Some('{') => self.flow_mapping(least)?,
            _ => {
                self.refuse_indicators()?;
                plain_value(self.plain_in_flow().to_owned())
            }
        };
        self.depth -= 1;
        Ok(Node { line, value })
    }

    fn flow_sequence(&mut self, least: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        self.column += 1;
        loop {
            if self.flow_ends(']')? {
                return Ok(Value::Sequence(items));
            }
            items.push(self.flow(least)?);
            self.flow_next(']')?;
        }
    }

    fn flow_mapping(&mut self, least: usize) -> Parsed<Value> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut keys = HashSet::new();
        self.column += 1;
        loop {
            if self.flow_ends('}')? {
                return Ok(Value::Mapping(entries));
            }
            let Node { value: Value::Scalar(key), .. } = self.flow(least)? else {
                return self.error("a key that is not a word");
            };
            if !keys.insert(key.clone()) {
                return self.error("the same key a second time");
            }
            self.flow_content('}')?;
            let node = if self.rest().starts_with(':') {
                self.column += 1;
                self.flow_content('}')?;
                if self.rest().starts_with([',', '}']) { self.null() } else { self.flow(least)? }
            } else {
                self.null()
            };
            entries.push((key, node));
            self.flow_next('}')?;
        }
    }

    /// Goes to the next character of a flow collection, over line ends and comments.
    fn flow_content(&mut self, end: char) -> Parsed<()> {
        if self.next_content_or_rest()? {
            return Ok(());
        }
        self.error(format!("{end} is missing"))
    }

    /// Whether the flow collection ends here, and goes behind its end.
    fn flow_ends(&mut self, end: char) -> Parsed<bool> {
        self.flow_content(end)?;
        let ends = self.rest().starts_with(end);
        self.column += usize::from(ends);
        Ok(ends)
    }

    /// Goes behind the comma after a value, or to the end of the collection.
    fn flow_next(&mut self, end: char) -> Parsed<()> {
        self.flow_content(end)?;
        if self.rest().starts_with(',') {
            self.column += 1;
        } else if !self.rest().starts_with(end) {
            return self.error(format!("neither , nor {end} behind a value"));
        }
        Ok(())
    }
}

/// Whether a text begins with `- `.
fn is_entry(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn is_marker(text: &str, marker: &str) -> bool {
    text.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn plain_value(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Scalar(text),
    }
}
