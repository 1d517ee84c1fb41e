//! What svweb reads of a request by itself: paths, queries, host names, tokens, ids of events
//! and the header `Accept`. hyper reads the lines of the header, and serde_json the body.
#![no_main]

use daemontools_fuzz::parts;
use libfuzzer_sys::fuzz_target;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

// svweb and svctl have crates of their own. These files of them need only std.
#[path = "../../operator/svctl/src/metrics/accept.rs"]
mod accept;
#[allow(dead_code)]
#[path = "../../operator/svweb/src/authorization.rs"]
mod authorization;
#[allow(dead_code)]
#[path = "../../operator/svweb/src/event_ring.rs"]
mod event_ring;
#[allow(dead_code)]
#[path = "../../operator/svweb/src/host_name.rs"]
mod host_name;
#[allow(dead_code)]
#[path = "../../operator/svweb/src/request_path.rs"]
mod request_path;

use event_ring::EventRing;
use request_path::{Route, encode, query_value};

/// The most bytes of a token.
const MOST: usize = 512;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => path(rest),
        1 => query(rest),
        2 => host(rest),
        3 => authorization(rest),
        4 => event_id(rest),
        _ => accept(rest),
    }
});

/// Percent-decoded text, from its end.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = text.split(|&byte| byte == b'%');
    let mut all = pieces.next()?.to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let is_number = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        all.push(u8::from_str_radix(digits, 16).ok()?);
        all.extend(rest);
    }
    Some(all)
}

/// A path names an entry of the scan directory, or nothing.
fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let names = |name: &[u8]| {
        let name = decoded(name)?;
        let is_name = !name.is_empty() && name.len() <= 255 && name[0] != b'.';
        (is_name && !name.iter().any(|byte| b"/\0".contains(byte))).then_some(name)
    };
    let route = Route::of(text);
    let name = match &route {
        Route::Service(name)
        | Route::ApiService(name)
        | Route::ApiLogs(name)
        | Route::ApiFindings(Some(name))
        | Route::ApiControl(name, _) => name,
        _ => {
            // Everything of this form that names an entry is found.
            let name = data.strip_prefix(b"/service/").filter(|rest| !rest.contains(&b'/'));
            assert_eq!(name.and_then(names), None, "{text}");
            return;
        }
    };
    let place = if text.starts_with("/service/") { 2 } else { 4 };
    let named = data.split(|&byte| byte == b'/').nth(place).and_then(names);
    assert_eq!(named.as_deref(), Some(name.as_bytes()), "{text}");
    assert_eq!(Route::of(&format!("/service/{}", encode(name))), Route::Service(name.clone()));
}

/// The first value of a name.
fn query(data: &[u8]) {
    let [name, text] = parts(data);
    let (Ok(name), Ok(text)) = (std::str::from_utf8(name), std::str::from_utf8(text)) else {
        return;
    };
    let expected = text.split('&').find_map(|pair| {
        let value = pair.strip_prefix(name)?;
        if name.contains('=') {
            return None;
        }
        let value = if value.is_empty() { value } else { value.strip_prefix('=')? };
        let spaced: Vec<u8> =
            value.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        Some(decoded(&spaced))
    });
    assert_eq!(query_value(Some(text), name), expected);
    let encoded = encode(&OsString::from(text));
    let value = query_value(Some(&format!("x=1&a={encoded}&a=2")), "a");
    assert_eq!(value, Some(Some(text.as_bytes().to_vec())));
}

/// A name with any port is the name alone.
fn host(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let name = host_name::host_name(text);
    let Some(name) = name else {
        return;
    };
    assert!(!name.is_empty() && name == name.to_ascii_lowercase(), "{text}");
    let whole = text.to_ascii_lowercase();
    let begin = if text.starts_with('[') { format!("[{name}") } else { name.clone() };
    let rest = whole.strip_prefix(&begin).expect("the name begins the text");
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let rest =
        if text.starts_with('[') { rest.strip_prefix(']').expect("a bracket") } else { rest };
    assert!(rest.is_empty() || rest.starts_with(':'), "{text}");
    assert!(rest.bytes().skip(1).all(|byte| byte.is_ascii_digit()), "{text}");
    let port = if rest.is_empty() { ":8080" } else { "1" };
    assert_eq!(host_name::host_name(&format!("{text}{port}")).as_ref(), Some(&name));
}

/// Writes RFC 4648 text.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = group >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

/// A token comes out of each form as it went in.
fn authorization(data: &[u8]) {
    let named = |header: &[u8], basic| {
        authorization::named_token(header, basic, MOST).map(|token| token.into_owned())
    };
    let any = named(data, true);
    let scheme = data.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is_scheme = [&b"bearer"[..], b"basic"].contains(&scheme.to_ascii_lowercase().as_slice());
    assert!(any.is_none() || is_scheme);
    let bearer = [b"Bearer ", data].concat();
    assert_eq!(named(&bearer, false), Some(data.trim_ascii().to_vec()));
    let basic = format!("bAsic {}", base64(data));
    let password = data.iter().position(|&byte| byte == b':').map(|at| data[at + 1..].to_vec());
    let is_short = basic.len() - 6 <= 4 * MOST;
    assert_eq!(named(basic.as_bytes(), true), password.filter(|_| is_short));
    assert_eq!(named(basic.as_bytes(), false), None);
}

/// An id leads to a place among the events that are kept, and only an id of this ring does.
fn event_id(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let mut ring = EventRing::new();
    let first = ring.end();
    for _ in 0..count {
        ring.push("service", "{}", None);
    }
    let last = ring.last_id();
    assert_eq!(ring.place_behind(&last), Some(ring.end()));
    let (epoch, _) = last.split_once('-').expect("an id");
    // The number is the input's, with the epoch of this ring.
    for id in [text.to_owned(), format!("{epoch}-{text}")] {
        if let Some(place) = ring.place_behind(&id) {
            assert!((first..=ring.end()).contains(&place), "{id}");
            let number = id.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
            assert_eq!(number, Some(place - 1), "{id}");
        }
    }
}

/// OpenMetrics is for clients that name it, and the order of the forms does not matter.
fn accept(data: &[u8]) {
    const NAME: &str = "application/openmetrics-text";
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let prefers = accept::prefers_openmetrics(text);
    assert!(!prefers || text.to_ascii_lowercase().contains(NAME), "{text}");
    let reversed: Vec<&str> = text.rsplit(',').collect();
    assert_eq!(accept::prefers_openmetrics(&reversed.join(",")), prefers, "{text}");
    let has_plain = text.to_ascii_lowercase().contains("text/plain");
    assert!(has_plain || accept::prefers_openmetrics(&format!("{text},{NAME}")), "{text}");
}
