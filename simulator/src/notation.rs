//! Reads the text forms of scenarios.

use std::str::FromStr;

/// Not a scenario.
#[derive(Debug)]
pub struct NotAScenario;

/// Reads a number.
pub(crate) fn number<T: FromStr>(text: Option<&str>) -> Result<T, NotAScenario> {
    text.and_then(|text| text.parse().ok()).ok_or(NotAScenario)
}
