//! Responses, each with the headers that keep a browser from doing more than the page needs.

use crate::event_stream::ReplyBody;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use serde_json::json;

/// Only our own files count, nothing in the page itself; no other page may frame this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every response.
pub(crate) const HEADERS: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// A response.
pub(crate) type Reply = Response<ReplyBody>;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// A response with a whole body.
pub(crate) fn reply(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    with_body(status, kind, ReplyBody::Whole(Some(body.into())))
}

/// A response.
pub(crate) fn with_body(status: u16, kind: &'static str, body: ReplyBody) -> Reply {
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// A response with a value of the API.
pub(crate) fn api(status: u16, value: &serde_json::Value) -> Reply {
    reply(status, JSON, value.to_string())
}

/// An error: text for a page, JSON for the API.
pub(crate) fn error(status: u16, is_api: bool, why: &str) -> Reply {
    error_for(
        status,
        is_api,
        why,
        "Basic realm=\"svweb: any name, and the token\", charset=\"UTF-8\"",
    )
}

/// An error; with the status 401 it names the scheme in which the token has to be sent. A browser asks
/// its user for a token in the scheme Basic.
pub(crate) fn error_for(status: u16, is_api: bool, why: &str, scheme: &'static str) -> Reply {
    let mut response = if is_api {
        api(status, &json!({"schema": 1, "error": why}))
    } else {
        reply(status, TEXT, format!("{why}\n"))
    };
    if status == 401 {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    if status == 503 {
        response.headers_mut().insert("retry-after", HeaderValue::from_static("5"));
    }
    response
}

/// The answer to a request that has waited for others for too long.
pub(crate) fn busy(is_api: bool) -> Reply {
    error(503, is_api, "too many requests at once")
}

/// Ends the connection behind a response: what follows on it may be part of a request that was refused.
pub(crate) fn closing(mut response: Reply) -> Reply {
    response.headers_mut().insert("connection", HeaderValue::from_static("close"));
    response
}

/// A file of the page: a browser asks each time whether it is still the same.
pub(crate) fn asset(kind: &'static str, text: &'static str) -> Reply {
    let mut response = reply(200, kind, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
