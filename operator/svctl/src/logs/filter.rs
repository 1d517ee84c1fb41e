//! Which lines are shown: those of a period, and those that match a pattern.

use super::required_text::{required_texts, texts_in_order};
use super::stamp::Moment;
use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use memchr::memmem::Finder;
use regex_lite::Regex;
use std::borrow::Cow;

/// What a line has to fulfil.
#[derive(Clone, Debug)]
pub(crate) struct LineFilter {
    /// The first moment.
    pub(crate) since: Moment,
    /// The last moment.
    pub(crate) until: Moment,
    pub(crate) pattern: Option<LinePattern>,
}

impl LineFilter {
    /// Every line.
    pub(crate) const fn all() -> Self {
        Self { since: Moment::MIN, until: Moment::MAX, pattern: None }
    }

    pub(crate) fn accepts(&self, moment: Moment, message: &[u8]) -> bool {
        self.since <= moment
            && moment <= self.until
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(message))
    }
}

/// A pattern of `-g`.
#[derive(Clone, Debug)]
pub(crate) struct LinePattern {
    texts: PatternTexts,
    /// `None` if the texts say it all.
    expression: Option<Regex>,
}

/// The fixed texts of a pattern.
#[derive(Clone, Debug)]
enum PatternTexts {
    /// A matching line has all of these, in this order.
    InOrder(Vec<Finder<'static>>),
    /// A matching line has at least one of these; empty if no text is known.
    OneOf(Vec<Finder<'static>>),
}

impl PatternTexts {
    fn matches(&self, message: &[u8]) -> bool {
        match self {
            Self::InOrder(texts) => {
                let mut rest = message;
                texts.iter().all(|text| {
                    let found = text.find(rest);
                    let behind = found.and_then(|at| rest.get(at + text.needle().len()..));
                    rest = behind.unwrap_or_default();
                    found.is_some()
                })
            }
            Self::OneOf(texts) => {
                texts.is_empty() || texts.iter().any(|text| text.find(message).is_some())
            }
        }
    }
}

impl LinePattern {
    pub(crate) fn new(text: &str) -> Result<Self, Failure> {
        let finders = |texts: Vec<String>| -> Vec<_> {
            texts.iter().map(|text| Finder::new(text).into_owned()).collect()
        };
        if let Some(texts) = texts_in_order(text) {
            return Ok(Self { texts: PatternTexts::InOrder(finders(texts)), expression: None });
        }
        let expression = Regex::new(text).map_err(|error| {
            let message = format!("unable to use pattern {}: {error}", escape(text));
            Failure::new(USAGE, message)
        })?;
        let texts = PatternTexts::OneOf(finders(required_texts(text).unwrap_or_default()));
        Ok(Self { texts, expression: Some(expression) })
    }

    fn matches(&self, message: &[u8]) -> bool {
        if !self.texts.matches(message) {
            return false;
        }
        // Invalid UTF-8 matches as the replacement character that is shown.
        self.expression.as_ref().is_none_or(|regex| match String::from_utf8_lossy(message) {
            Cow::Borrowed(text) => regex.is_match(text),
            Cow::Owned(text) => regex.is_match(&text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_texts_or_expressions() {
        for (pattern, message, is_match) in [
            ("lo w", &b"hello world"[..], true),
            ("Lo", b"hello", false),
            ("(?i)LO", b"hello", true),
            ("^h.*o$", b"hello", true),
            ("^e", b"hello", false),
            ("\\d+ ms", b"\xff took 12 ms", true),
            ("", b"", true),
            ("err(or)?|fat.l", b"a fatal mistake", true),
            ("error|fat.l", b"a fatal mistake", true),
            ("error|fat.l", b"an ordinary line", false),
            ("took \\d+ ms\\.", b"it took 12 ms.", true),
            ("took \\d+ ms\\.", b"it took 12 msec", false),
            ("x{0}abc", b"abc", true),
            ("GET.*200", b"GET /a 200", true),
            ("GET.*200", b"GET200", true),
            ("GET.*200", b"200 GET", false),
            ("aba.*aba", b"ababa", false),
            ("aba.*aba", b"abaaba", true),
            (".*GET.*", b"a GET", true),
            ("a\\.b.*c", b"a.b\xffc", true),
            ("a\\.b.*c", b"a-b-c", false),
            ("\u{fffd}.*c", b"\xffc", true),
        ] {
            assert_eq!(LinePattern::new(pattern).unwrap().matches(message), is_match, "{pattern}");
        }
        assert_eq!(LinePattern::new("(").unwrap_err().code, USAGE);
    }

    #[test]
    fn the_ends_of_a_period_belong_to_it() {
        let filter = LineFilter { since: Moment(5), until: Moment(7), pattern: None };
        let accepted = (0..10).filter(|&at| filter.accepts(Moment(at), b""));
        assert_eq!(accepted.collect::<Vec<_>>(), [5, 6, 7]);
        assert!(LineFilter::all().accepts(Moment::MAX, b""));
    }
}
