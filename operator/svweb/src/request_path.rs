//! Paths and queries of requests. A service's name has any bytes, percent-encoded.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    List,
    Service(OsString),
    Script,
    Style,
    Icon,
    ApiServices,
    ApiService(OsString),
    ApiLogs(OsString),
    ApiFindings(Option<OsString>),
    ApiMachine,
    ApiControl(OsString, String),
    ApiEvents,
    ApiDescription,
    Metrics,
    Health,
    Unknown,
}

impl Route {
    /// The route of a path as it is in the request.
    pub(crate) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        let parts: Vec<&str> = path.split('/').collect();
        let named =
            |part: &str, make: fn(OsString) -> Self| service_name(part).map_or(Self::Unknown, make);
        match parts.as_slice() {
            [""] => Self::List,
            ["service", name] => named(name, Self::Service),
            ["svweb.js"] => Self::Script,
            ["svweb.css"] => Self::Style,
            ["favicon.ico" | "icon.svg"] => Self::Icon,
            ["metrics"] => Self::Metrics,
            ["healthz"] => Self::Health,
            ["api", "v1", "services"] => Self::ApiServices,
            ["api", "v1", "findings"] => Self::ApiFindings(None),
            ["api", "v1", "findings", "machine"] => Self::ApiMachine,
            ["api", "v1", "events"] => Self::ApiEvents,
            ["api", "v1", "openapi.json"] => Self::ApiDescription,
            ["api", "v1", "services", name] => named(name, Self::ApiService),
            ["api", "v1", "services", name, "logs"] => named(name, Self::ApiLogs),
            ["api", "v1", "services", name, "findings"] => {
                named(name, |name| Self::ApiFindings(Some(name)))
            }
            ["api", "v1", "services", name, action] => match service_name(name) {
                Some(name) => Self::ApiControl(name, (*action).to_owned()),
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// The name of a service in a path. It is one name of a directory: not empty, no slash, no leading dot.
fn service_name(part: &str) -> Option<OsString> {
    let bytes = decode(part)?;
    let is_name = !bytes.is_empty() && !bytes.starts_with(b".") && bytes.len() <= 255;
    (is_name && !bytes.contains(&b'/') && !bytes.contains(&0)).then(|| OsString::from_vec(bytes))
}

/// Decodes percent-encoded text. `None` if an escape is damaged.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

/// A name as a part of a path.
pub(crate) fn encode(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The value of a name in a query. `None` if it is missing; `Some(None)` if it is damaged.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<Option<Vec<u8>>> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    Some(decode(&value.replace('+', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_services_by_any_bytes() {
        for bytes in [&b"web"[..], b"a b", b"<script>", b"\xff\x01?#%", "日本".as_bytes(), b"*"] {
            let name = OsStr::from_bytes(bytes).to_owned();
            let path = format!("/service/{}", encode(&name));
            assert_eq!(Route::of(&path), Route::Service(name.clone()), "{path}");
            let path = format!("/api/v1/services/{}/logs", encode(&name));
            assert_eq!(Route::of(&path), Route::ApiLogs(name), "{path}");
        }
    }

    #[test]
    fn no_path_leaves_the_scan_directory() {
        for path in [
            "/service/..",
            "/service/.",
            "/service/%2e%2e",
            "/service/a%2fb",
            "/service/%2Fetc",
            "/service/",
            "/service/a/b",
            "/service/%00",
            "/service/a%",
            "/service/%zz",
            "//",
            "/../..",
            "/api/v1/services/../../etc",
            "/api/v1/services//logs",
            "/service/.hidden",
            "service/a",
            "",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of(&format!("/service/{}", "x".repeat(256))), Route::Unknown);
    }

    #[test]
    fn queries_have_values() {
        let query = Some("since=2026-11-30+10%3A00&lines=5&flag");
        assert_eq!(query_value(query, "since"), Some(Some(b"2026-11-30 10:00".to_vec())));
        assert_eq!(query_value(query, "flag"), Some(Some(Vec::new())));
        assert_eq!(query_value(query, "missing"), None);
        assert_eq!(query_value(Some("a=%"), "a"), Some(None));
        assert_eq!(query_value(None, "a"), None);
    }
}
