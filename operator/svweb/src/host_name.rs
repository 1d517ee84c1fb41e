//! The name in a header `Host`. The fuzzer reads this file on its own.

/// A host without its port, its brackets and its last dot.
pub(crate) fn host_name(host: &str) -> Option<String> {
    let name = if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        is_port(port).then_some(name)?
    } else {
        match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return None,
            None => host,
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        for (host, name) in [
            ("localhost", Some("localhost")),
            ("LocalHost:8080", Some("localhost")),
            ("localhost.:80", Some("localhost")),
            ("[::1]:80", Some("::1")),
            ("[::1]", Some("::1")),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("localhost:80:80", None),
            ("localhost:http", None),
            ("evil@localhost", Some("evil@localhost")),
            (".", None),
            (":80", None),
        ] {
            assert_eq!(host_name(host).as_deref(), name, "{host}");
        }
    }
}
