//! The text formats of Prometheus (version 0.0.4) and OpenMetrics (1.0).

use super::accept::prefers_openmetrics;
use crate::escape::is_unsafe;
use daemontools_core::text::decimal::Decimal;
use std::fmt::Write as _;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text format of Prometheus.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

impl Form {
    /// The media type, for HTTP.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that a client asks for with the header `Accept`.
    #[must_use]
    pub fn from_accept(accept: &str) -> Self {
        if prefers_openmetrics(accept) { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyKind {
    Gauge,
    Counter,
    /// Always 1, with labels that tell something.
    Info,
}

/// A family of samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// The name of the samples. That of a counter ends with `_total`, that of an info with `_info`.
    pub(crate) name: &'static str,
    pub(crate) kind: FamilyKind,
    /// One line.
    pub(crate) help: &'static str,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// A whole number.
    Whole(i64),
    /// Milliseconds, shown as seconds.
    Milliseconds(u64),
}

impl Number {
    /// Appends the text of the number. A scrape has tens of thousands, so it does without the formatter.
    fn push_to(self, text: &mut String) {
        match self {
            Self::Whole(number) => {
                if number < 0 {
                    text.push('-');
                }
                push_digits(text, Decimal::new(number.unsigned_abs()).as_bytes());
            }
            Self::Milliseconds(number) => {
                push_digits(text, Decimal::new(number / 1000).as_bytes());
                text.push('.');
                // Behind a 1, the part has its leading zeros.
                let part = Decimal::new(1000 + number % 1000);
                push_digits(text, part.as_bytes().get(1..).unwrap_or_default());
            }
        }
    }
}

/// Appends decimal digits.
fn push_digits(text: &mut String, digits: &[u8]) {
    text.push_str(str::from_utf8(digits).unwrap_or_default());
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

/// A text of metrics that grows.
#[derive(Debug)]
pub(crate) struct Exposition {
    form: Form,
    text: String,
    name: &'static str,
}

impl Exposition {
    /// An empty text, with room for about this number of samples.
    pub(crate) fn new(form: Form, samples: usize) -> Self {
        Self { form, text: String::with_capacity(4096 + samples * 80), name: "" }
    }

    /// Begins a family. Its samples follow.
    pub(crate) fn begin(&mut self, family: &Family) {
        self.name = family.name;
        let (kind, name) = match (self.form, family.kind) {
            (Form::Prometheus, FamilyKind::Counter) => ("counter", family.name),
            (Form::Prometheus, FamilyKind::Gauge | FamilyKind::Info)
            | (Form::OpenMetrics, FamilyKind::Gauge) => ("gauge", family.name),
            (Form::OpenMetrics, FamilyKind::Counter) => {
                ("counter", family.name.trim_end_matches("_total"))
            }
            (Form::OpenMetrics, FamilyKind::Info) => {
                ("info", family.name.trim_end_matches("_info"))
            }
        };
        let help = family.help;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit));
        if let (Form::OpenMetrics, Some(unit)) = (self.form, unit) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    /// Adds a sample of the family that was begun last. `labels` is the text between the braces.
    pub(crate) fn sample(&mut self, labels: &str, value: impl Into<Number>) {
        self.text.push_str(self.name);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.push_str(labels);
            self.text.push('}');
        }
        self.text.push(' ');
        value.into().push_to(&mut self.text);
        self.text.push('\n');
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Appends `key="value"` to labels.
///
/// The value may be any bytes; the formats allow only UTF-8. A byte that is not UTF-8, and each byte of a
/// character that a terminal may obey, becomes `\x` and two hexadecimal digits. A backslash becomes two. So
/// different values have different labels, and no name of a service makes the text invalid.
pub(crate) fn push_label(labels: &mut String, key: &str, value: &[u8]) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(key);
    labels.push_str("=\"");
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => labels.push_str("\\\""),
                // Two backslashes, each escaped as the formats ask for it.
                '\\' => labels.push_str("\\\\\\\\"),
                _ if is_unsafe(character) => {
                    push_bytes(labels, character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => labels.push(character),
            }
        }
        push_bytes(labels, chunk.invalid());
    }
    labels.push('"');
}

fn push_bytes(labels: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(labels, "\\\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(value: &[u8]) -> String {
        let mut labels = String::new();
        push_label(&mut labels, "a", value);
        labels
    }

    #[test]
    fn a_label_has_any_bytes() {
        assert_eq!(label(b"web"), "a=\"web\"");
        assert_eq!(label("früh {x=1}".as_bytes()), "a=\"früh {x=1}\"");
        assert_eq!(label(b"a\"b"), "a=\"a\\\"b\"");
        assert_eq!(label(b"a\nb\x1b"), "a=\"a\\\\x0ab\\\\x1b\"");
        assert_eq!(label(b"\xff\xc3"), "a=\"\\\\xff\\\\xc3\"");
        assert_eq!(label("\u{202e}".as_bytes()), "a=\"\\\\xe2\\\\x80\\\\xae\"");
        // What looks like an escape has another label than the byte.
        assert_eq!(label(b"\\x1b"), "a=\"\\\\\\\\x1b\"");
        assert_eq!(label(b""), "a=\"\"");
    }

    #[test]
    fn a_number_has_all_its_digits() {
        let text = |number: Number| {
            let mut text = String::new();
            number.push_to(&mut text);
            text
        };
        for number in [0, 1, 9, 10, -1, -120, i64::MAX, i64::MIN] {
            assert_eq!(text(Number::Whole(number)), number.to_string());
        }
        for (number, expected) in [(0, "0.000"), (7, "0.007"), (1050, "1.050"), (12_999, "12.999")]
        {
            assert_eq!(text(Number::Milliseconds(number)), expected);
        }
        assert_eq!(text(Number::Milliseconds(u64::MAX)), "18446744073709551.615");
    }

    #[test]
    fn a_family_has_the_form_that_was_asked_for() {
        let text = |form| {
            let mut text = Exposition::new(form, 1);
            text.begin(&Family {
                name: "a_seconds_total",
                kind: FamilyKind::Counter,
                help: "Time.",
            });
            text.sample("b=\"c\"", Number::Milliseconds(1050));
            text.begin(&Family { name: "v_info", kind: FamilyKind::Info, help: "Version." });
            text.sample("", true);
            text.finish()
        };
        assert_eq!(
            text(Form::Prometheus),
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total{b=\"c\"} 1.050\n\
             # HELP v_info Version.\n# TYPE v_info gauge\nv_info 1\n"
        );
        assert_eq!(
            text(Form::OpenMetrics),
            "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
             a_seconds_total{b=\"c\"} 1.050\n# HELP v Version.\n# TYPE v info\nv_info 1\n# EOF\n"
        );
    }

    #[test]
    fn the_client_chooses_the_form() {
        // Of Prometheus 2.42.
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Form::from_accept(prometheus), Form::OpenMetrics);
        for accept in [
            "",
            "*/*",
            "text/html",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text; q=0.5, text/plain",
            "application/openmetrics-text;q=x",
        ] {
            assert_eq!(Form::from_accept(accept), Form::Prometheus, "{accept}");
        }
        assert!(Form::OpenMetrics.media_type().starts_with("application/openmetrics-text;"));
        assert!(Form::Prometheus.media_type().starts_with("text/plain;"));
    }
}
