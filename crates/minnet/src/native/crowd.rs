//! How many links by TCP and QUIC one address may have, so that one machine with many keys does not take everybody's place.
//! Of IPv6 a /64 is one address: whoever has it has all of it. This machine itself is not counted.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};

use super::address::socket_of;

/// Why a link is refused before it stands.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many links come from the peer's address")]
struct TooMany;

/// The behaviour.
pub(crate) struct Crowd {
    max: usize,
    /// Bounded by the links that are taken.
    from: HashMap<ConnectionId, IpAddr>,
    count: HashMap<IpAddr, usize>,
}

fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    }
}

impl Crowd {
    pub(crate) fn new(max: usize) -> Self {
        Crowd { max, from: HashMap::new(), count: HashMap::new() }
    }

    /// Whether one more may come.
    fn enter(&mut self, link: ConnectionId, from: &Multiaddr) -> bool {
        let Some((socket, _)) = socket_of(from) else { return true };
        if socket.ip().to_canonical().is_loopback() {
            return true;
        }
        let ip = source(socket.ip());
        let count = self.count.entry(ip).or_default();
        if *count >= self.max {
            return false;
        }
        *count += 1;
        self.from.insert(link, ip);
        true
    }

    fn leave(&mut self, link: ConnectionId) {
        let Some(ip) = self.from.remove(&link) else { return };
        if let Some(count) = self.count.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.count.remove(&ip);
            }
        }
    }
}

impl NetworkBehaviour for Crowd {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        link: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.enter(link, from) { Ok(()) } else { Err(ConnectionDenied::new(TooMany)) }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
            | FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => self.leave(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn one_address_has_so_many_links_and_room_again_when_one_ends() {
        let mut crowd = Crowd::new(2);
        let mut name = 0;
        let mut comes = |crowd: &mut Crowd, from: &str| {
            name += 1;
            let link = ConnectionId::new_unchecked(name);
            crowd.enter(link, &from.parse().unwrap()).then_some(link)
        };
        let first = comes(&mut crowd, "/ip4/9.9.9.9/tcp/1").unwrap();
        assert!(comes(&mut crowd, "/ip4/9.9.9.9/udp/2/quic-v1").is_some());
        assert!(comes(&mut crowd, "/ip4/9.9.9.9/tcp/3").is_none());
        assert!(comes(&mut crowd, "/ip6/::ffff:9.9.9.9/tcp/3").is_none());
        assert!(comes(&mut crowd, "/ip4/9.9.9.8/tcp/3").is_some());
        crowd.leave(first);
        crowd.leave(first);
        assert!(comes(&mut crowd, "/ip4/9.9.9.9/tcp/4").is_some());
        assert!(comes(&mut crowd, "/ip4/9.9.9.9/tcp/5").is_none());
        for host in 1..3 {
            assert!(comes(&mut crowd, &format!("/ip6/2001:db8::{host}/tcp/1")).is_some());
        }
        assert!(comes(&mut crowd, "/ip6/2001:db8::3/tcp/1").is_none());
        assert!(comes(&mut crowd, "/ip6/2001:db8:0:1::3/tcp/1").is_some());
        // What comes by the HTTP server is counted there, and this machine is nobody's crowd.
        for _ in 0..5 {
            assert!(comes(&mut crowd, "/ip4/127.0.0.1/tcp/1").is_some());
            assert!(comes(&mut crowd, "/ip4/9.9.9.9/tcp/1/ws").is_some());
        }
        let left: Vec<_> = crowd.from.keys().copied().collect();
        left.into_iter().for_each(|link| crowd.leave(link));
        assert!(crowd.count.is_empty());
    }
}
