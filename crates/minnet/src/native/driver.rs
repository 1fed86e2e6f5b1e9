//! What the driver does about it.

use std::{io, time::Duration};

use futures::FutureExt;
use libp2p::{
    Multiaddr, PeerId, Stream,
    core::transport::{ListenerId, TransportError},
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use web_time::Instant;

use super::{
    address::{may_be_named, of_listen, of_socket, socket_of, to_url},
    punch::{self, PunchError},
};
use crate::{
    DialError, Event, Listen, Peer, Why, identify,
    limits::{MAX_CANDIDATES, MAX_DIALS, MAX_LISTENING, PUNCH_PAUSE},
    links::{Dial, Stage},
    overlay::Reach,
    requests::Count,
    rt::within,
    streams::OpenError,
    swarm::{Driver, Report},
};

/// How long a dial waits for the machine's addresses.
const HELD: Duration = Duration::from_secs(1);

/// Listening and dialling.
impl Driver {
    pub(crate) fn take_links(&mut self) {
        let everywhere = |at: &Listen| matches!(at, Listen::Tcp(socket) if socket.ip().is_unspecified());
        self.native.held_until = self.config.listen.iter().any(everywhere).then(|| Instant::now() + HELD);
        for at in self.config.listen.clone() {
            let why = match self.swarm.listen_on(of_listen(at)) {
                Ok(id) => {
                    self.native.listeners.insert(id, at);
                    continue;
                }
                Err(TransportError::Other(error)) => error.to_string(),
                Err(TransportError::MultiaddrNotSupported(_)) => "not supported".to_owned(),
            };
            self.events.push_back(Event::NotListening { at, why });
        }
    }

    pub(crate) fn on_listening(&mut self, at: Multiaddr) {
        if let Some(url) = to_url(&at).filter(|_| self.native.listening.len() < MAX_LISTENING)
            && !self.native.listening.contains(&at)
        {
            // The machine's addresses are told one after the other, its own first.
            if socket_of(&at).is_some_and(|(socket, quic)| !quic && !socket.ip().is_loopback()) {
                self.native.held_until = self.native.held_until.map(|_| Instant::now());
            }
            self.native.listening.push(at);
            self.events.push_back(Event::Listening { url });
        }
    }

    /// The machine has the address no more.
    pub(crate) fn on_not_listening(&mut self, at: &Multiaddr) {
        self.native.listening.retain(|one| one != at);
    }

    /// A listener broke.
    pub(crate) fn on_listener_closed(
        &mut self,
        id: ListenerId,
        addresses: &[Multiaddr],
        reason: Result<(), io::Error>,
    ) {
        addresses.iter().for_each(|address| self.on_not_listening(address));
        if let Some(at) = self.native.listeners.remove(&id) {
            let why = reason.err().map_or_else(String::new, |error| error.to_string());
            self.events.push_back(Event::NotListening { at, why });
        }
    }

    /// Whether a dial by TCP has to wait; then it is kept.
    pub(crate) fn holds(&mut self, url: &str, addresses: &[Multiaddr], peer: Peer) -> bool {
        let by_tcp = addresses.iter().any(|address| socket_of(address).is_some_and(|(_, quic)| !quic));
        let holds = by_tcp && self.native.held_until.is_some() && self.native.held.len() < MAX_DIALS;
        if holds {
            self.native.held.push((url.to_owned(), addresses.to_vec(), peer));
        }
        holds
    }

    /// Dials what waited long enough.
    pub(crate) fn look_after_held(&mut self) {
        match self.native.held_until {
            Some(until) if until <= Instant::now() => {
                self.native.held_until = None;
                for (url, addresses, peer) in std::mem::take(&mut self.native.held) {
                    self.dial_at(url, addresses, peer);
                }
            }
            until => self.ring_at(until),
        }
    }

    /// Looks up a name that is dialled.
    pub(crate) fn resolve(&mut self, url: String, peer: Peer, (name, port, quic): (String, u16, bool)) {
        let Some(place) = self.native.resolving.take(MAX_DIALS) else {
            return self.events.push_back(Event::DialFailed { peer, url, reason: DialError::TooMany });
        };
        let patience = self.bounds.timeout;
        self.report(async move {
            let looked_up = async {
                let sockets = tokio::net::lookup_host((name.as_str(), port)).await?;
                Ok(sockets.take(MAX_CANDIDATES).map(|socket| of_socket(socket, quic)).collect())
            };
            let found = within(patience, looked_up.boxed()).await;
            let found = found.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
            Some(Report::Resolved { peer, url, found, place })
        });
    }

    pub(crate) fn on_resolved(&mut self, peer: Peer, url: String, found: io::Result<Vec<Multiaddr>>, place: Count) {
        drop(place);
        let reason = match found {
            Ok(addresses) => return self.dial_at(url, addresses, peer),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => DialError::Timeout,
            Err(error) => DialError::Unreachable(error.to_string()),
        };
        self.events.push_back(Event::DialFailed { peer, url, reason });
    }
}

/// Hole punching.
impl Driver {
    /// Asks a peer that was dialled by TCP or QUIC where it sees this node: the dial left by the port that is listened at, so
    /// that is where a NAT lets others in, if it lets anybody in.
    pub(crate) fn ask_where_it_is_seen(&mut self, id: PeerId, link: ConnectionId) {
        let Some(one) = self.linked.get(&id).and_then(|linked| linked.link(link)) else { return };
        if self.config.listen.is_empty() || !one.dialled || socket_of(&one.address).is_none() {
            return;
        }
        let opening = self.swarm.behaviour_mut().streams.open(id, link, identify::PROTOCOL);
        self.report(async move {
            let at = identify::observed(opening).await?;
            Some(Report::Observed { id, link, at })
        });
    }

    pub(crate) fn on_observed(&mut self, id: PeerId, link: ConnectionId, at: Multiaddr) {
        let listens = &self.config.listen;
        let named = socket_of(&at).filter(|(socket, _)| may_be_named(*socket, listens));
        let Some(linked) = self.linked.get_mut(&id) else { return };
        if let (Some((socket, quic)), Some(one)) = (named, linked.links.iter_mut().find(|one| one.id == link)) {
            // Without what it may say of itself besides.
            one.observed = Some(of_socket(socket, quic));
        }
    }

    /// Where others may reach this node: where peers see it, first, and where it listens.
    fn candidates(&self) -> Vec<Multiaddr> {
        let links = self.linked.values().flat_map(|linked| &linked.links);
        let observed = links.filter(|link| link.stage == Stage::Ready).filter_map(|link| link.observed.as_ref());
        let mut candidates: Vec<Multiaddr> = Vec::new();
        for address in observed.chain(&self.native.listening) {
            let named = socket_of(address).is_some_and(|(socket, _)| may_be_named(socket, &self.config.listen));
            if named && candidates.len() < MAX_CANDIDATES && !candidates.contains(address) {
                candidates.push(address.clone());
            }
        }
        candidates
    }

    /// Begins, over the link that goes through somebody.
    pub(crate) fn punch(&mut self, id: PeerId) {
        let link = self.linked.get(&id).and_then(|linked| linked.current);
        let opening = link.map(|link| self.swarm.behaviour_mut().streams.open(id, link, punch::PROTOCOL));
        let own = self.candidates();
        self.report(async move {
            let theirs = match opening {
                Some(opening) => punch::ask(opening, &own).await,
                None => Err(PunchError::NoStream(OpenError::Gone)),
            };
            Some(Report::Punch { id, began: true, theirs })
        });
    }

    /// A peer begins. Only for a friend this node dials where it is told to.
    pub(crate) fn on_punch_stream(&mut self, id: PeerId, link: ConnectionId, stream: Stream) {
        let links = self.linked.get_mut(&id).into_iter().flat_map(|linked| &mut linked.links);
        if let Some(one) = links.into_iter().find(|one| one.id == link && one.stage == Stage::Greeting) {
            one.early_hole = Some(stream);
            return;
        }
        if !self.overlay.seeks(id) || self.reach(&id) != Reach::Relayed {
            return tracing::debug!(%id, "opens a hole for nobody");
        }
        let now = Instant::now();
        self.native.punched.retain(|_, at| *at + PUNCH_PAUSE > now);
        if self.native.punched.insert(id, now).is_some() {
            return tracing::debug!(%id, "opens a hole again too soon");
        }
        let own = self.candidates();
        self.report(async move {
            let theirs = punch::answer(stream, &own).await;
            Some(Report::Punch { id, began: false, theirs })
        });
    }

    pub(crate) fn on_punch(&mut self, id: PeerId, began: bool, theirs: Result<Vec<Multiaddr>, PunchError>) {
        let why = match theirs {
            Ok(theirs) => {
                let listens = &self.config.listen;
                let may = |at: &Multiaddr| socket_of(at).is_some_and(|(socket, _)| may_be_named(socket, listens));
                let addresses: Vec<Multiaddr> = theirs.into_iter().filter(may).collect();
                match addresses.is_empty() {
                    true => Why::NoWay,
                    false => return self.dial_through(id, began, addresses),
                }
            }
            Err(PunchError::NoStream(OpenError::Unsupported)) => Why::Unsupported,
            Err(PunchError::Timeout | PunchError::NoStream(OpenError::Timeout)) => Why::NoAnswer,
            Err(PunchError::NoStream(OpenError::TooMany)) => Why::Busy,
            Err(PunchError::Malformed | PunchError::Broken(_) | PunchError::NoStream(OpenError::Gone)) => Why::Broken,
        };
        // Who did not begin has nothing to begin again.
        if began {
            self.friend_failed(id, None, true, why);
        }
    }

    fn dial_through(&mut self, id: PeerId, began: bool, addresses: Vec<Multiaddr>) {
        let dial = DialOpts::peer_id(id).condition(PeerCondition::Always).addresses(addresses);
        let dial = if began { dial.override_role().build() } else { dial.build() };
        let link = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(link, Dial::Friend { id, carrier: None, began });
            }
            Err(error) => self.friend_dial_failed(id, None, began, &error),
        }
    }
}
