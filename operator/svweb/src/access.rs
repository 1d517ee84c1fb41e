//! Which requests are answered: the host that they name, the page that sends them, the token.

use crate::host_name::host_name;
use crate::options::Options;
use crate::origin::Origin;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING,
};
use hyper::http::request::Parts;
use hyper::{Method, Version};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The client of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// The user is known if the client is on this machine.
    Tcp {
        local: SocketAddr,
        peer: SocketAddr,
        user: Option<u32>,
    },
    Unix {
        user: Option<u32>,
        pid: Option<i32>,
    },
}

impl fmt::Display for Client {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { peer, user: Some(user), .. } => write!(to, "{peer} uid {user}"),
            Self::Tcp { peer, .. } => write!(to, "{peer}"),
            Self::Unix { user: Some(user), pid: Some(pid) } => write!(to, "uid {user} pid {pid}"),
            Self::Unix { user: Some(user), .. } => write!(to, "uid {user}"),
            Self::Unix { .. } => to.write_str("a client of the Unix socket"),
        }
    }
}

impl Client {
    /// What its connections are counted by.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Tcp { peer, user, .. } => Origin::of_peer(*peer, *user),
            Self::Unix { user, .. } => user.map_or(Origin::Unknown, Origin::User),
        }
    }

    /// Whether the connection comes from this machine: every other one needs the token.
    fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Tcp { local, .. } => local.ip().to_canonical().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

/// A refusal: the status and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str);

/// Checks what holds for every request: a form that no proxy can read in another way, a host of ours,
/// and a page of ours.
pub(crate) fn check(request: &Parts, options: &Options, client: &Client) -> Result<(), Refusal> {
    check_form(request)?;
    let host = host_of(&request.headers)?;
    if !is_ours(host, options, client) {
        return Err(Refusal(
            403,
            "the host name is not one of svweb (--allow-host NAME allows it)",
        ));
    }
    check_origin(request, host)
}

fn check_form(request: &Parts) -> Result<(), Refusal> {
    if request.version != Version::HTTP_11 && request.version != Version::HTTP_10 {
        return Err(Refusal(505, "only HTTP/1.1 is spoken here"));
    }
    if request.uri.authority().is_some() || request.uri.scheme().is_some() {
        return Err(Refusal(400, "svweb is no proxy"));
    }
    let headers = &request.headers;
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal(411, "the length of a body has to be in Content-Length"));
    }
    if headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal(400, "there is more than one Content-Length"));
    }
    let length = headers.get(CONTENT_LENGTH);
    if request.method != Method::POST && length.is_some_and(|it| it.as_bytes() != b"0") {
        return Err(Refusal(400, "only POST has a body"));
    }
    Ok(())
}

/// The host of a request, in lower case and without the port.
fn host_of(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) if !host.is_empty() => Ok(host),
        _ => Err(Refusal(400, "one header Host is needed")),
    }
}

/// Whether a host name is one of ours. A page of another site that has made its own name lead to this
/// machine (DNS rebinding) names its own host.
fn is_ours(host: &str, options: &Options, client: &Client) -> bool {
    let Some(name) = host_name(host) else { return false };
    if name == "localhost" || options.allow_hosts.contains(&name) {
        return true;
    }
    let Ok(address) = name.parse::<IpAddr>() else { return false };
    match client {
        Client::Tcp { local, .. } => address.to_canonical() == local.ip().to_canonical(),
        Client::Unix { .. } => address.is_loopback(),
    }
}

/// A page of another site may lead to ours by a link, and may send nothing else.
fn check_origin(request: &Parts, host: &str) -> Result<(), Refusal> {
    let headers = &request.headers;
    let foreign = Refusal(403, "the request comes from a page of another site");
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().map_err(|_| foreign)?;
        let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) {
            return Err(foreign);
        }
    }
    let word = |name: &str| headers.get(name).map(|value| value.as_bytes());
    match word("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => {
            let is_link = word("sec-fetch-mode") == Some(b"navigate")
                && word("sec-fetch-dest") == Some(b"document");
            if is_link && request.method == Method::GET { Ok(()) } else { Err(foreign) }
        }
    }
}

/// Whether a request may read: a connection that does not come from this machine needs the token.
pub(crate) fn may_read(
    headers: &HeaderMap,
    token: Option<&crate::token::Token>,
    client: &Client,
) -> bool {
    client.is_of_this_machine()
        || headers
            .get(AUTHORIZATION)
            .is_some_and(|header| token.is_some_and(|token| token.is_in(header.as_bytes(), true)))
}

/// Checks a request that controls a service. A form or an image of another site cannot send such a
/// request, and a browser never adds the token to it by itself.
pub(crate) fn check_control(
    request: &Parts,
    options: &Options,
    token: Option<&crate::token::Token>,
) -> Result<(), Refusal> {
    if !options.control {
        return Err(Refusal(403, "control is off (svweb --control --token-file FILE)"));
    }
    let headers = &request.headers;
    if !matches!(headers.get("sec-fetch-site").map(|it| it.as_bytes()), None | Some(b"same-origin"))
    {
        return Err(Refusal(403, "the request comes from a page of another site"));
    }
    let kind = headers.get(CONTENT_TYPE).map(|it| it.as_bytes()).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !kind.eq_ignore_ascii_case(b"application/json") {
        return Err(Refusal(415, "the body has to be application/json"));
    }
    let header = headers.get(AUTHORIZATION).map(|it| it.as_bytes()).unwrap_or_default();
    if !token.is_some_and(|token| token.is_in(header, false)) {
        return Err(Refusal(401, "the token is missing or wrong (Authorization: Bearer TOKEN)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_hosts_are_answered() {
        let options =
            Options { allow_hosts: vec!["status.example".to_owned()], ..Options::default() };
        let local = "127.0.0.1:80".parse().expect("an address");
        let tcp = Client::Tcp { local, peer: local, user: None };
        for (host, is) in [
            ("127.0.0.1:80", true),
            ("127.0.0.1", true),
            ("localhost", true),
            ("status.example:443", true),
            ("127.0.0.2", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil@localhost", false),
            ("0x7f000001", false),
        ] {
            assert_eq!(is_ours(host, &options, &tcp), is, "{host}");
        }
    }
}
