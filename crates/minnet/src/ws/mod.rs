//! The one transport for now: a WebSocket whose binary messages, laid end to end, are the bytes of a link.
//!
//! Message borders carry no meaning. What is written leaves at once, without a timer. Dialling is done by the browser's
//! own WebSocket or natively by tungstenite; inbound streams come, already upgraded, from whoever owns the HTTP server.

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
use browser as platform;
#[cfg(not(target_arch = "wasm32"))]
use native as platform;

use std::{
    borrow::Cow,
    future::Ready,
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    multiaddr::Protocol,
};

/// Longest URL taken, in bytes.
const MAX_URL: usize = 512;

/// Why a URL is not one to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Over 512 bytes.
    #[error("longer than 512 bytes")]
    TooLong,
    /// Neither `ws://` nor `wss://`.
    #[error("neither ws:// nor wss://")]
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
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(UrlError::Host)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?,
        None if !port.is_empty() => return Err(UrlError::Port),
        None if tls => 443,
        None => 80,
    };
    let host = match host.parse() {
        Ok(IpAddr::V4(ip)) => Protocol::Ip4(ip),
        Ok(IpAddr::V6(ip)) => Protocol::Ip6(ip),
        Err(_) if is_name(host) => Protocol::Dns(Cow::Borrowed(host)),
        Err(_) => return Err(UrlError::Host),
    };
    let path = Cow::Borrowed(if path.is_empty() { "/" } else { path });
    let socket = if tls { Protocol::Wss(path) } else { Protocol::Ws(path) };
    Ok(Multiaddr::from_iter([host, Protocol::Tcp(port), socket]))
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The URL of an address of ours.
fn to_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) => name.into_owned(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else { return None };
    match parts.next()? {
        Protocol::Ws(path) => Some(format!("ws://{host}:{port}{path}")),
        Protocol::Wss(path) => Some(format!("wss://{host}:{port}{path}")),
        _ => None,
    }
}

/// What a link runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The bytes of a link.
pub(crate) type Link = Box<dyn Io>;

/// An upgraded stream and where it came from.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) struct Accepted {
    pub(crate) link: Link,
    pub(crate) from: std::net::SocketAddr,
}

/// The libp2p transport. It has one listener at most, which stands for all of [`Net::accept`](crate::Net::accept).
pub(crate) struct Transport {
    #[cfg(not(target_arch = "wasm32"))]
    accepted: tokio::sync::mpsc::Receiver<Accepted>,
    #[cfg(not(target_arch = "wasm32"))]
    listener: Option<ListenerId>,
}

impl Transport {
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn new(accepted: tokio::sync::mpsc::Receiver<Accepted>) -> Self {
        Transport { accepted, listener: None }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn new() -> Self {
        Transport {}
    }
}

impl libp2p::core::Transport for Transport {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Link>>;
    type Dial = BoxFuture<'static, io::Result<Link>>;

    #[cfg(not(target_arch = "wasm32"))]
    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        if self.listener.is_some() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        // The swarm polls this transport in the same turn, so there is nobody to wake.
        self.listener = Some(id);
        Ok(())
    }

    #[cfg(target_arch = "wasm32")]
    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let url = to_url(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(async move { Ok(Box::new(platform::connect(&url).await?) as Link) }.boxed())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let Some(listener_id) = self.listener else { return Poll::Pending };
        // With the last handle gone nothing comes any more; the driver ends then by itself.
        let Some(accepted) = std::task::ready!(self.accepted.poll_recv(cx)) else { return Poll::Pending };
        let ip = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => Protocol::Ip4(ip),
            IpAddr::V6(ip) => Protocol::Ip6(ip),
        };
        let from = [ip(accepted.from.ip()), Protocol::Tcp(accepted.from.port()), Protocol::Ws("/".into())];
        Poll::Ready(TransportEvent::Incoming {
            listener_id,
            upgrade: std::future::ready(Ok(accepted.link)),
            local_addr: Multiaddr::empty(),
            send_back_addr: Multiaddr::from_iter(from),
        })
    }

    #[cfg(target_arch = "wasm32")]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
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
