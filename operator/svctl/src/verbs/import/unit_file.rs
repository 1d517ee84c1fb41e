//! The syntax of unit files (systemd.syntax(7)): sections, directives and specifiers.

/// The instance of a template, and what specifiers say about it.
pub(super) struct Instance {
    /// The whole name, such as `postgresql@15-main`.
    name: String,
    /// The part before `@`.
    prefix: String,
    /// The part behind `@`; empty without it.
    instance: String,
}

impl Instance {
    pub(super) fn of(name: &str) -> Self {
        let (prefix, instance) = name.split_once('@').unwrap_or((name, ""));
        Self { name: name.to_owned(), prefix: prefix.to_owned(), instance: instance.to_owned() }
    }

    /// The text with its specifiers replaced; `Err` with the first unknown one.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                expanded.push(character);
                continue;
            }
            let specifier = characters.next().unwrap_or_default();
            match specifier {
                '%' => expanded.push('%'),
                'i' => expanded.push_str(&self.instance),
                'I' => expanded.push_str(&unescaped(&self.instance)),
                'n' => expanded.push_str(&format!("{}.service", self.name)),
                'N' => expanded.push_str(&self.name),
                'p' | 'P' => expanded.push_str(&self.prefix),
                't' => expanded.push_str("/run"),
                'S' => expanded.push_str("/var/lib"),
                'C' => expanded.push_str("/var/cache"),
                'L' => expanded.push_str("/var/log"),
                'E' => expanded.push_str("/etc"),
                'T' => expanded.push_str("/tmp"),
                other => return Err(format!("the specifier %{other}")),
            }
        }
        Ok(expanded)
    }
}

/// A name in the form of systemd-escape(1): `-` is a slash, `\xHH` a byte.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = rest.strip_prefix(b"\\x").and_then(|tail| tail.get(..2));
        let code = code.and_then(|code| str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        rest = match code {
            Some(code) => {
                bytes.push(code);
                rest.get(4..).unwrap_or_default()
            }
            None => {
                bytes.push(if *first == b'-' { b'/' } else { *first });
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A directive with all its values.
struct Directive {
    section: String,
    key: String,
    values: Vec<String>,
}

/// The directives of one or more unit files, later ones after earlier ones.
pub(super) struct Unit {
    pub(super) instance: Instance,
    directives: Vec<Directive>,
}

impl Unit {
    pub(super) const fn new(instance: Instance) -> Self {
        Self { instance, directives: Vec::new() }
    }

    /// Adds the directives of a file.
    pub(super) fn read(&mut self, text: &str) {
        let mut section = String::new();
        let mut joined = String::new();
        for line in text.lines() {
            let line = line.trim();
            // Comments may be between the lines of one directive.
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(part) = line.strip_suffix('\\') {
                joined.push_str(part);
                joined.push(' ');
                continue;
            }
            joined.push_str(line);
            let whole = std::mem::take(&mut joined);
            let name = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            if let Some(name) = name {
                section = name.to_owned();
            } else if let Some((key, value)) = whole.split_once('=') {
                self.add(&section, key.trim(), value.trim());
            }
        }
    }

    fn add(&mut self, section: &str, key: &str, value: &str) {
        let known = self.directives.iter_mut().find(|it| it.section == section && it.key == key);
        let values = value.to_owned();
        match known {
            // An empty value forgets the earlier ones.
            Some(directive) if value.is_empty() => directive.values.clear(),
            Some(directive) => directive.values.push(values),
            None => {
                let values = if value.is_empty() { Vec::new() } else { vec![values] };
                let (section, key) = (section.to_owned(), key.to_owned());
                self.directives.push(Directive { section, key, values });
            }
        }
    }

    /// Takes all values of a directive; `None` if it is missing.
    pub(super) fn take(&mut self, section: &str, key: &str) -> Option<Vec<String>> {
        let is_it = |it: &Directive| it.section == section && it.key == key;
        let at = self.directives.iter().position(is_it)?;
        Some(self.directives.remove(at).values)
    }

    /// The directives that were not taken, as `KEY=VALUE`.
    pub(super) fn rest(&self) -> impl Iterator<Item = String> {
        self.directives.iter().flat_map(|it| {
            let one = |value: &String| format!("{}={value}", it.key);
            let empty = it.values.is_empty().then(|| format!("{}=", it.key));
            it.values.iter().map(one).chain(empty)
        })
    }
}

/// Whether a value means yes.
pub(super) fn is_true(value: &str) -> bool {
    ["yes", "true", "on", "1"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let mut unit = Unit::new(Instance::of("x"));
        unit.read("[Service]\n# a\nA=1\nA=2\nB = x \\\n; b\n  y\n[Unit]\nA=3\nC=\n");
        assert_eq!(unit.take("Service", "A").unwrap(), ["1", "2"]);
        assert_eq!(unit.take("Service", "B").unwrap(), ["x  y"]);
        assert_eq!(unit.rest().collect::<Vec<_>>(), ["A=3", "C="]);
        unit.read("[Unit]\nA=\nA=4\n");
        assert_eq!(unit.take("Unit", "A").unwrap(), ["4"]);
    }

    #[test]
    fn specifiers_are_replaced() {
        let instance = Instance::of("db@15-ma\\x2din");
        assert_eq!(
            instance.expand("%p %i %I %t 100%%").unwrap(),
            "db 15-ma\\x2din 15/ma-in /run 100%"
        );
        assert!(instance.expand("%z").is_err());
    }
}
