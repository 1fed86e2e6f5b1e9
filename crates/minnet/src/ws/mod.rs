//! A WebSocket whose binary messages, laid end to end, are the bytes of a link.
//!
//! Message borders carry no meaning. What is written leaves at once, without a timer. Dialling is done by the browser's
//! own WebSocket or natively by tungstenite; inbound streams come, already upgraded, from whoever owns the HTTP server.

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use browser::connect;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::connect;

use std::{borrow::Cow, net::IpAddr};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Longest URL taken, in bytes.
pub(crate) const MAX_URL: usize = 512;

/// Why a URL is not one to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Over 512 bytes.
    #[error("longer than 512 bytes")]
    TooLong,
    /// None of `ws://`, `wss://`, and natively `tcp://` and `quic://`.
    #[error("neither ws:// nor wss://, nor tcp:// or quic:// of a native node")]
    Scheme,
    /// No host, or one with signs that no host has.
    #[error("no valid host")]
    Host,
    /// Not a port from 1 to 65535.
    #[error("no valid port")]
    Port,
    /// A path with white space or control characters, a query or a fragment.
    #[error("no valid path")]
    Path,
}

/// The address for libp2p of `ws://host:port/path` or `wss://…`.
pub(crate) fn to_address(url: &str) -> Result<Multiaddr, UrlError> {
    if url.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    let (tls, rest) = match url.strip_prefix("wss://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("ws://").ok_or(UrlError::Scheme)?),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.chars().any(|sign| sign.is_whitespace() || sign.is_control() || matches!(sign, '?' | '#')) {
        return Err(UrlError::Path);
    }
    let (host, port) = authority_of(authority)?;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let path = Cow::Borrowed(if path.is_empty() { "/" } else { path });
    let socket = if tls { Protocol::Wss(path) } else { Protocol::Ws(path) };
    Ok(Multiaddr::from_iter([host, Protocol::Tcp(port), socket]))
}

/// The host of `host:port`, and the port if it is told.
pub(crate) fn authority_of(text: &str) -> Result<(Protocol<'_>, Option<u16>), UrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(UrlError::Host)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?),
        None if !port.is_empty() => return Err(UrlError::Port),
        None => None,
    };
    let host = match host.parse() {
        Ok(IpAddr::V4(ip)) => Protocol::Ip4(ip),
        Ok(IpAddr::V6(ip)) => Protocol::Ip6(ip),
        Err(_) if is_name(host) => Protocol::Dns(Cow::Borrowed(host)),
        Err(_) => return Err(UrlError::Host),
    };
    Ok((host, port))
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The address of who came from a socket.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn from_socket(from: std::net::SocketAddr) -> Multiaddr {
    let ip = match from.ip() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::from_iter([ip, Protocol::Tcp(from.port()), Protocol::Ws("/".into())])
}

/// The host of an address, as it stands in a URL.
pub(crate) fn host_of(part: Protocol<'_>) -> Option<String> {
    match part {
        Protocol::Ip4(ip) => Some(ip.to_string()),
        Protocol::Ip6(ip) => Some(format!("[{ip}]")),
        Protocol::Dns(name) => Some(name.into_owned()),
        _ => None,
    }
}

/// The URL of an address of ours.
pub(crate) fn to_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = host_of(parts.next()?)?;
    let Protocol::Tcp(port) = parts.next()? else { return None };
    match parts.next()? {
        Protocol::Ws(path) => Some(format!("ws://{host}:{port}{path}")),
        Protocol::Wss(path) => Some(format!("wss://{host}:{port}{path}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_comes_back_with_its_port_and_path() {
        for (url, full) in [
            ("ws://127.0.0.1:8080/", "ws://127.0.0.1:8080/"),
            ("ws://localhost:8080", "ws://localhost:8080/"),
            ("wss://circle.example/", "wss://circle.example:443/"),
            ("ws://circle.example/a/b%20c", "ws://circle.example:80/a/b%20c"),
            ("ws://[::1]:9/", "ws://[::1]:9/"),
            ("wss://[2001:db8::1]", "wss://[2001:db8::1]:443/"),
        ] {
            assert_eq!(to_url(&to_address(url).unwrap()).as_deref(), Some(full));
        }
    }

    #[test]
    fn what_is_no_websocket_url_is_refused_in_words() {
        for (url, why) in [
            ("", UrlError::Scheme),
            ("http://a/", UrlError::Scheme),
            ("ws:///", UrlError::Host),
            ("ws://user@host/", UrlError::Host),
            ("ws://a b/", UrlError::Host),
            ("ws://[::1/", UrlError::Host),
            ("ws://[::1]x/", UrlError::Port),
            ("ws://a:/", UrlError::Port),
            ("ws://a:0/", UrlError::Port),
            ("ws://a:65536/", UrlError::Port),
            ("ws://a/?q", UrlError::Path),
            ("ws://a/#f", UrlError::Path),
        ] {
            assert_eq!(to_address(url), Err(why), "{url}");
        }
        assert_eq!(to_address(&format!("ws://a/{}", "a".repeat(600))), Err(UrlError::TooLong));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        /// No text panics, and what is taken is stable.
        #[test]
        fn any_text_is_a_url_or_not(text in "(wss?://)?[a-z0-9.:/\\[\\]%@?# _-]{0,40}|\\PC{0,60}") {
            if let Ok(address) = to_address(&text) {
                let url = to_url(&address).unwrap();
                prop_assert_eq!(to_address(&url).unwrap(), address);
            }
        }
    }
}
