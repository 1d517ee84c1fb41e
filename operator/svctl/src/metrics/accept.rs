//! The header `Accept` of a scrape (RFC 9110, section 12.5.1). The fuzzer reads this file on its own.

/// Whether a client wants OpenMetrics: it names it with at least the weight of plain text.
pub(super) fn prefers_openmetrics(accept: &str) -> bool {
    let weight = |wanted: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|it| it.strip_prefix("q="));
            let weight: f32 = weight.map_or(Some(1.0), |it| it.parse().ok())?;
            is_it.then_some(weight)
        });
        ranges.fold(0.0, f32::max)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}
