//! What the driver does with calls.

use bytes::Bytes;
use futures::future::{Either, FutureExt, select};
use libp2p::{
    Multiaddr,
    core::transport::TransportError,
    swarm::{self, ConnectionDenied, dial_opts::DialOpts},
};
use std::io;
use tokio::sync::oneshot;
use web_time::Instant;

use crate::{
    Command, DialError, Event, Peer, RequestError,
    codec::Frame,
    limits::{MAX_IN_FLIGHT_PER_PEER, MAX_TOPICS},
    links::{Dial, HELLO},
    places::Full,
    requests,
    streams::OtherKey,
    swarm::Driver,
};

pub(crate) type Answered = oneshot::Sender<Result<Bytes, RequestError>>;

impl Driver {
    pub(crate) fn on_call(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Publish { topic, bytes } => self.gossip.publish(topic, bytes, now),
            Command::Subscribe(topic) => self.gossip.subscribe(topic, now),
            Command::Unsubscribe(topic) => {
                self.kept.remove(&topic);
                self.gossip.unsubscribe(topic, now);
            }
            Command::HandOn(topic, true) => {
                self.kept.remove(&topic);
            }
            Command::HandOn(topic, false) => {
                if self.kept.len() < MAX_TOPICS {
                    self.kept.insert(topic);
                }
            }
            Command::Request { peer, kind, bytes, answer } => self.ask(peer, kind, bytes, answer),
            Command::Dial { url, address, peer } => self.dial(url, address, peer),
            Command::Disconnect(peer) => {
                let Some(id) = peer.to_id() else { return };
                // That this node hangs up says nothing of the way.
                self.overlay.met(id, None);
                if self.swarm.disconnect_peer_id(id).is_err() {
                    tracing::debug!(%peer, "was not linked");
                }
            }
            Command::Admit(peer) => {
                let Some(id) = peer.to_id() else { return };
                if let Some(linked) = self.linked.get_mut(&id) {
                    linked.admitted = true;
                    self.welcome(id);
                }
            }
            Command::Seek(peer) => {
                if let Some(id) = peer.to_id().filter(|id| !self.is_banned(id)) {
                    let reach = self.reach(&id);
                    self.overlay.seek(id, reach, now);
                    self.welcome(id);
                }
            }
            Command::Hurry => self.overlay.hurry(now),
            #[cfg(feature = "streams")]
            Command::Open(peer, protocol, answer) => self.open(peer, protocol, answer),
            Command::Rendezvous(call) => self.on_rendezvous(call, now),
        }
    }

    fn ask(&mut self, peer: Peer, kind: u16, payload: Bytes, answer: Answered) {
        let linked = peer.to_id().and_then(|id| self.linked.get(&id).map(|linked| (id, linked)));
        let Some((id, linked, link)) = linked.and_then(|(id, linked)| Some((id, linked, linked.current?))) else {
            return deliver(answer, Err(RequestError::NotConnected));
        };
        if kind == HELLO {
            return deliver(answer, Err(RequestError::Refused));
        }
        let places = linked.asked.take(MAX_IN_FLIGHT_PER_PEER).zip(self.asked.take(self.config.max_in_flight));
        let (Some(places), Some(gone)) = (places, self.gone(id, link)) else {
            return deliver(answer, Err(RequestError::Overloaded));
        };
        let opening = self.swarm.behaviour_mut().streams.open(id, link, requests::PROTOCOL);
        let asked = requests::ask(opening, Frame { code: kind, payload }, self.bounds);
        self.report(async move {
            let result = match select(asked.boxed(), gone).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => Err(RequestError::Disconnected),
            };
            drop(places);
            deliver(answer, result);
            None
        });
    }

    fn dial(&mut self, url: String, address: Multiaddr, peer: Peer) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(name) = crate::native::address::name_of(&address) {
            return self.resolve(url, peer, name);
        }
        self.dial_at(url, vec![address], peer);
    }

    pub(crate) fn dial_at(&mut self, url: String, addresses: Vec<Multiaddr>, peer: Peer) {
        #[cfg(not(target_arch = "wasm32"))]
        if self.holds(&url, &addresses, peer) {
            return;
        }
        let Some(id) = peer.to_id() else {
            let reason = DialError::WrongPeer { obtained: None };
            return self.events.push_back(Event::DialFailed { peer, url, reason });
        };
        let dial = DialOpts::peer_id(id).addresses(addresses).build();
        let link = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(link, Dial::Url { peer, url });
            }
            Err(error) => self.events.push_back(Event::DialFailed { peer, url, reason: why(error) }),
        }
    }
}

/// The caller may have given up waiting.
pub(crate) fn deliver(answer: Answered, result: Result<Bytes, RequestError>) {
    if answer.send(result).is_err() {
        tracing::trace!("an answer that nobody waits for");
    }
}

pub(crate) fn why(error: swarm::DialError) -> DialError {
    match error {
        swarm::DialError::LocalPeerId { .. } => DialError::Itself,
        swarm::DialError::DialPeerConditionFalse(_) => DialError::Already,
        swarm::DialError::Aborted => DialError::Dropped,
        swarm::DialError::WrongPeerId { obtained, .. } => DialError::WrongPeer { obtained: Peer::from_id(obtained) },
        swarm::DialError::Denied { cause } => denied(cause),
        swarm::DialError::NoAddresses => DialError::Unreachable("no address".to_owned()),
        swarm::DialError::Transport(errors) => match errors.into_iter().next() {
            Some((_, TransportError::Other(error))) if timed_out(&error) => DialError::Timeout,
            Some((_, TransportError::Other(error))) => DialError::Unreachable(error.to_string()),
            Some((_, error)) => DialError::Unreachable(error.to_string()),
            None => DialError::Unreachable("no address".to_owned()),
        },
    }
}

fn denied(cause: ConnectionDenied) -> DialError {
    if cause.downcast_ref::<Full>().is_some() {
        DialError::TooMany
    } else if cause.downcast_ref::<OtherKey>().is_some() {
        DialError::WrongPeer { obtained: None }
    } else {
        DialError::Unreachable(cause.to_string())
    }
}

/// libp2p wraps an I/O error in another.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut || cause::<io::Error>(error).is_some_and(timed_out)
}

/// An error within I/O errors, the innermost if it is one of those itself.
pub(crate) fn cause<T: std::error::Error + 'static>(error: &io::Error) -> Option<&T> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<io::Error>().and_then(cause).or_else(|| inner.downcast_ref())
}
