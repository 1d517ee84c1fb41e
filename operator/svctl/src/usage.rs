//! The memory, processor time and processes of a service, in words and in JSON.

use crate::times::short;
use serde_json::{Value, json};
use servicedir::Usage;

/// `41 MiB in 2 processes, cpu 12s`.
pub(crate) fn usage_words(usage: Usage) -> String {
    let (memory, number) = (bytes(usage.memory), processes(usage.processes));
    format!("{memory} in {number}, cpu {}", short(usage.processor))
}

/// The members of a service's object; null without a process.
pub(crate) fn usage_members(usage: Option<Usage>) -> [(String, Value); 3] {
    [
        ("memory", json!(usage.map(|it| it.memory))),
        ("cpu_seconds", json!(usage.map(|it| it.processor.as_secs_f64()))),
        ("processes", json!(usage.map(|it| it.processes))),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

/// A number of bytes in the largest unit that leaves at least one: `41 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024 {
            return format!("{value} {unit}");
        }
        value /= 1024;
    }
    format!("{value} TiB")
}

/// `1 process`, `2 processes`.
pub(crate) fn processes(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_a_fitting_unit() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(41 << 20), "41 MiB");
        assert_eq!(bytes(5 << 40), "5 TiB");
    }
}
