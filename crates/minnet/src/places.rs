//! How many links there may be: under way and standing, and of those that others make, how many from one address, so that
//! one machine with many keys does not take everybody's place. Of IPv6 a /64 is one address: whoever has it has all of it.
//! This machine itself is nobody's crowd.
//!
//! What is not kept is not counted: nothing here outlives its link. (libp2p's own limits remember every peer that ever came.)

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure, NetworkBehaviour,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};

/// Why a link is refused before it stands.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many links")]
pub(crate) struct Full;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Links that others make, whose handshake is under way; and from one address.
    pub(crate) accepting: usize,
    pub(crate) accepting_per_address: usize,
    /// Dials under way.
    pub(crate) dialling: usize,
    /// Links that stand, each way.
    pub(crate) standing: usize,
    /// Links by TCP and QUIC from one address. Those of WebSockets are counted by the HTTP server.
    pub(crate) per_address: usize,
}

#[derive(Clone, Copy)]
struct Place {
    inbound: bool,
    stands: bool,
    from: Option<IpAddr>,
    socket: bool,
}

/// The behaviour.
pub(crate) struct Places {
    most: Most,
    taken: HashMap<ConnectionId, Place>,
}

/// Whose a link is that comes from there, and whether it comes by TCP or QUIC alone.
fn source(from: &Multiaddr) -> (Option<IpAddr>, bool) {
    let ip = from.iter().next().and_then(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    });
    let ip = ip.filter(|ip| !ip.is_loopback()).map(|ip| match ip {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    });
    (ip, !from.iter().any(|part| matches!(part, Protocol::Ws(_) | Protocol::Wss(_) | Protocol::P2pCircuit)))
}

impl Places {
    pub(crate) fn new(most: Most) -> Self {
        Places { most, taken: HashMap::new() }
    }

    fn count(&self, which: impl Fn(&Place) -> bool) -> usize {
        self.taken.values().filter(|place| which(place)).count()
    }

    /// One is being made, by somebody `from` there or by this node.
    fn begin(&mut self, link: ConnectionId, from: Option<&Multiaddr>) -> Result<(), ConnectionDenied> {
        let (inbound, most) = (from.is_some(), self.most);
        let (from, socket) = from.map_or((None, false), source);
        let under_way = self.count(|place| place.inbound == inbound && !place.stands);
        let of_address = |which: &dyn Fn(&Place) -> bool| match from {
            None => 0,
            Some(_) => self.count(|place| place.from == from && which(place)),
        };
        let full = under_way >= if inbound { most.accepting } else { most.dialling }
            || of_address(&|place| !place.stands) >= most.accepting_per_address
            || socket && of_address(&|place| place.socket) >= most.per_address;
        if full {
            return Err(ConnectionDenied::new(Full));
        }
        self.taken.insert(link, Place { inbound, stands: false, from, socket });
        Ok(())
    }

    fn stand(&mut self, link: ConnectionId, inbound: bool) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        if self.count(|place| place.inbound == inbound && place.stands) >= self.most.standing {
            return Err(ConnectionDenied::new(Full));
        }
        let none = Place { inbound, stands: true, from: None, socket: false };
        self.taken.entry(link).or_insert(none).stands = true;
        Ok(dummy::ConnectionHandler)
    }

    fn end(&mut self, link: ConnectionId) {
        self.taken.remove(&link);
    }
}

impl NetworkBehaviour for Places {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        link: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(link, Some(from))
    }

    fn handle_established_inbound_connection(
        &mut self,
        link: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.stand(link, true)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        link: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.begin(link, None).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        link: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.stand(link, false)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => self.end(connection_id),
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

    /// Places, and the names of links.
    struct Door(Places, usize);

    impl Door {
        fn new(most: Most) -> Self {
            Door(Places::new(most), 0)
        }

        fn comes(&mut self, from: &str) -> Option<ConnectionId> {
            self.1 += 1;
            let link = ConnectionId::new_unchecked(self.1);
            self.0.begin(link, Some(&from.parse().unwrap())).ok().map(|()| link)
        }

        /// And its handshake is done.
        fn stands(&mut self, from: &str) -> Option<ConnectionId> {
            let link = self.comes(from)?;
            self.0.stand(link, true).ok().map(|_| link)
        }
    }

    const MOST: Most = Most { accepting: 8, accepting_per_address: 3, dialling: 2, standing: 10, per_address: 2 };

    #[test]
    fn one_address_has_so_many_links_and_room_again_when_one_ends() {
        let mut door = Door::new(MOST);
        let first = door.stands("/ip4/9.9.9.9/tcp/1").unwrap();
        assert!(door.stands("/ip4/9.9.9.9/udp/2/quic-v1").is_some());
        assert!(door.stands("/ip4/9.9.9.9/tcp/3").is_none());
        assert!(door.stands("/ip6/::ffff:9.9.9.9/tcp/3").is_none());
        assert!(door.stands("/ip4/9.9.9.8/tcp/3").is_some());
        door.0.end(first);
        door.0.end(first);
        assert!(door.stands("/ip4/9.9.9.9/tcp/4").is_some());
        assert!(door.stands("/ip4/9.9.9.9/tcp/5").is_none());
        for host in 1..3 {
            assert!(door.stands(&format!("/ip6/2001:db8::{host}/tcp/1")).is_some());
        }
        assert!(door.stands("/ip6/2001:db8::3/tcp/1").is_none());
        assert!(door.stands("/ip6/2001:db8:0:1::3/tcp/1").is_some());
        // What comes by the HTTP server is counted there, and this machine is nobody's crowd.
        for _ in 0..2 {
            assert!(door.stands("/ip4/127.0.0.1/tcp/1").is_some());
            assert!(door.stands("/ip4/9.9.9.9/tcp/1/ws").is_some());
        }
        assert!(door.stands("/ip4/9.9.9.1/tcp/1/ws").is_none(), "all places are taken");
    }

    /// Whoever opens links and says nothing leaves room for others.
    #[test]
    fn of_handshakes_under_way_few_are_one_addresss_whatever_it_comes_by() {
        let mut door = Door::new(MOST);
        let first = door.comes("/ip4/9.9.9.9/tcp/1/ws").unwrap();
        assert!(door.comes("/ip4/9.9.9.9/tcp/2/ws").is_some());
        assert!(door.comes("/ip4/9.9.9.9/tcp/3").is_some());
        assert!(door.comes("/ip4/9.9.9.9/tcp/4/ws").is_none());
        assert!(door.comes("/ip4/9.9.9.9/udp/4/quic-v1").is_none());
        assert!(door.0.stand(first, true).is_ok());
        assert!(door.comes("/ip4/9.9.9.9/tcp/4/ws").is_some());
        for host in 1..6 {
            assert!(door.comes(&format!("/ip4/9.9.8.{host}/tcp/4/ws")).is_some());
        }
        assert!(door.comes("/ip4/9.9.7.1/tcp/4/ws").is_none(), "of all addresses together");
        // Own dials have a bound of their own.
        for name in 100..102 {
            assert!(door.0.begin(ConnectionId::new_unchecked(name), None).is_ok());
        }
        assert!(door.0.begin(ConnectionId::new_unchecked(102), None).is_err());
        door.0.end(ConnectionId::new_unchecked(100));
        assert!(door.0.begin(ConnectionId::new_unchecked(103), None).is_ok());
        let left: Vec<_> = door.0.taken.keys().copied().collect();
        left.into_iter().for_each(|link| door.0.end(link));
        assert!(door.0.taken.is_empty());
    }
}
