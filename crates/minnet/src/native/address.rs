//! URLs of links that only native nodes make, `tcp://host:port` and `quic://host:port`, and libp2p's addresses of them.
//! Other URLs are those of WebSockets.

use std::net::{IpAddr, SocketAddr};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::{Listen, UrlError, ws};

/// The address for libp2p of a URL.
pub(crate) fn to_address(url: &str) -> Result<Multiaddr, UrlError> {
    let (quic, authority) = match (url.strip_prefix("tcp://"), url.strip_prefix("quic://")) {
        (Some(authority), _) => (false, authority),
        (_, Some(authority)) => (true, authority),
        _ => return ws::to_address(url),
    };
    if url.len() > ws::MAX_URL {
        return Err(UrlError::TooLong);
    }
    let (authority, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
    if !matches!(path, "" | "/") {
        return Err(UrlError::Path);
    }
    let (host, port) = ws::authority_of(authority)?;
    Ok(at(host, port.ok_or(UrlError::Port)?, quic))
}

/// The URL of an address of ours.
pub(crate) fn to_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = ws::host_of(parts.next()?)?;
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None | Some(Protocol::P2p(_))) => Some(format!("tcp://{host}:{port}")),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => Some(format!("quic://{host}:{port}")),
        _ => ws::to_url(address),
    }
}

fn at(host: Protocol<'_>, port: u16, quic: bool) -> Multiaddr {
    match quic {
        true => Multiaddr::from_iter([host, Protocol::Udp(port), Protocol::QuicV1]),
        false => Multiaddr::from_iter([host, Protocol::Tcp(port)]),
    }
}

/// The address of a socket.
pub(crate) fn of_socket(socket: SocketAddr, quic: bool) -> Multiaddr {
    // As IPv4 is told that comes to a socket of both.
    let ip = match socket.ip().to_canonical() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    at(ip, socket.port(), quic)
}

/// Where is listened.
pub(crate) fn of_listen(listen: Listen) -> Multiaddr {
    match listen {
        Listen::Tcp(socket) => of_socket(socket, false),
        Listen::Quic(socket) => of_socket(socket, true),
    }
}

/// The socket of an address by TCP or QUIC, and whether it is by QUIC. `None`: it is by something else, or has a name.
pub(crate) fn socket_of(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let (port, quic) = match parts.next()? {
        Protocol::Tcp(port) => (port, false),
        Protocol::Udp(port) if parts.next()? == Protocol::QuicV1 => (port, true),
        _ => return None,
    };
    // WebSockets and TLS have more parts.
    let plain = matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None));
    plain.then_some((SocketAddr::new(ip, port), quic))
}

/// The name in an address by TCP or QUIC, its port, and whether it is by QUIC.
pub(crate) fn name_of(address: &Multiaddr) -> Option<(String, u16, bool)> {
    let mut parts = address.iter();
    let Protocol::Dns(name) = parts.next()? else { return None };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some((name.into_owned(), port, false)),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => Some((name.into_owned(), port, true)),
        _ => None,
    }
}

/// Whether a peer that names the socket may make this node dial it.
pub(crate) fn may_be_named(socket: SocketAddr, listens: &[Listen]) -> bool {
    let ip = socket.ip().to_canonical();
    let listens_at_loopback = || listens.iter().any(|listen| listen.socket().ip().is_loopback());
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    socket.port() != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && !broadcast
        // Else a peer could knock at the doors within this machine.
        && (!ip.is_loopback() || listens_at_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_comes_back() {
        for (url, address) in [
            ("tcp://127.0.0.1:4001", "/ip4/127.0.0.1/tcp/4001"),
            ("quic://127.0.0.1:4001", "/ip4/127.0.0.1/udp/4001/quic-v1"),
            ("tcp://relay.example:1", "/dns/relay.example/tcp/1"),
            ("quic://[2001:db8::1]:9", "/ip6/2001:db8::1/udp/9/quic-v1"),
            ("ws://a:80/", "/dns/a/tcp/80/ws"),
        ] {
            assert_eq!(to_address(url).unwrap().to_string().trim_end_matches("/%2F"), address);
            assert_eq!(to_url(&to_address(url).unwrap()).as_deref(), Some(url));
        }
        assert_eq!(to_address("tcp://a:5/").unwrap(), to_address("tcp://a:5").unwrap());
    }

    #[test]
    fn what_is_no_url_is_refused_in_words() {
        for (url, why) in [
            ("tcp://a", UrlError::Port),
            ("quic://a:0", UrlError::Port),
            ("quic://:1", UrlError::Host),
            ("tcp://a:1/path", UrlError::Path),
            ("udp://a:1", UrlError::Scheme),
        ] {
            assert_eq!(to_address(url), Err(why), "{url}");
        }
        assert_eq!(to_address(&format!("tcp://{}:1", "a".repeat(600))), Err(UrlError::TooLong));
    }

    #[test]
    fn only_plain_sockets_are_sockets() {
        for (address, quic) in [("/ip4/1.2.3.4/tcp/5", false), ("/ip6/::1/udp/5/quic-v1", true)] {
            assert_eq!(socket_of(&address.parse().unwrap()).unwrap().1, quic);
        }
        for other in
            ["/ip4/1.2.3.4/tcp/5/ws", "/ip4/1.2.3.4/udp/5", "/dns/a/tcp/5", "/ip4/1.2.3.4/udp/5/quic-v1/webtransport"]
        {
            assert_eq!(socket_of(&other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_peer_names_no_socket_within_this_machine() {
        let outside = [Listen::Tcp("0.0.0.0:0".parse().unwrap())];
        let inside = [Listen::Quic("127.0.0.1:0".parse().unwrap())];
        let may = |socket: &str, listens| may_be_named(socket.parse().unwrap(), listens);
        assert!(may("192.0.2.1:1", &outside) && may("10.0.0.1:1", &outside) && may("[2001:db8::1]:1", &outside));
        assert!(!may("127.0.0.1:1", &outside) && may("127.0.0.1:1", &inside));
        for never in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[ff02::1]:1", "[::]:1"] {
            assert!(!may(never, &inside), "{never}");
        }
    }

    proptest! {
        /// No text panics, and what is taken is stable.
        #[test]
        fn any_text_is_a_url_or_not(text in "((tcp|quic)://)?[a-z0-9.:/\\[\\]%@?# _-]{0,40}|\\PC{0,60}") {
            if let Ok(address) = to_address(&text) {
                let url = to_url(&address).unwrap();
                prop_assert_eq!(to_address(&url).unwrap(), address);
            }
        }
    }
}
