//! What the driver does with calls and with what the swarm tells.
//!
//! A link's life: it stands (`Greeting`), both sides ask each other's version by a hello, and with the first hello seen,
//! question or answer, it is `Ready` or `Refused`. The other side sends nothing else before it has our answer, and we
//! answer after the consumer's `Connected` is queued; so the consumer hears of a peer before it hears from it.

use bytes::Bytes;
use futures::FutureExt;
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId, connection_limits,
    core::{ConnectedPoint, transport::TransportError},
    gossipsub::{self, MessageAcceptance, PublishError},
    ping,
    request_response::{self, InboundFailure, OutboundFailure},
    swarm::{self, ConnectionDenied, ConnectionId, SwarmEvent, dial_opts::DialOpts},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, io};
use tokio::sync::oneshot;
use web_time::Instant;

use crate::{
    Command, DialError, Event, Path, Peer, RequestError, Responder, Topic,
    codec::{Answer, CodecError, Frame, Status},
    gossip::{self, OtherKey},
    limits::{Bucket, MAX_FLOODED, MAX_IN_FLIGHT_PER_PEER, MAX_TOPICS, REFUSAL_GRACE},
    swarm::{Answered, Driver, Linked, Outstanding, ProtocolsEvent, RequestEvent, Stage, agent},
};

/// The kind of request by which versions are told. It stays 0 for ever, and the version comes first in it.
const HELLO: u16 = 0;
/// Bytes of a hello at most.
const MAX_HELLO: usize = 256;

#[derive(Serialize, Deserialize)]
struct Hello {
    version: u16,
    agent: String,
}

/// The version in a hello; what follows it may differ between versions.
fn version_of(hello: &[u8]) -> Option<u16> {
    if hello.len() > MAX_HELLO {
        return None;
    }
    postcard::take_from_bytes::<u16>(hello).ok().map(|(version, _)| version)
}

/// Calls.
impl Driver {
    pub(crate) fn on_call(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes } => self.publish(topic, bytes),
            Command::Subscribe(topic) => {
                if let Err(error) = self.gossip().subscribe(&gossip::to_ident(&topic)) {
                    tracing::warn!(%topic, %error, "could not subscribe");
                }
            }
            Command::Unsubscribe(topic) => {
                self.kept.remove(&topic);
                if !self.gossip().unsubscribe(&gossip::to_ident(&topic)) {
                    tracing::debug!(%topic, "was not subscribed");
                }
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
                if peer.to_id().is_none_or(|id| self.swarm.disconnect_peer_id(id).is_err()) {
                    tracing::debug!(%peer, "was not linked");
                }
            }
        }
    }

    fn gossip(&mut self) -> &mut gossip::Inner {
        self.swarm.behaviour_mut().gossip.inner()
    }

    fn publish(&mut self, topic: Topic, bytes: Bytes) {
        match self.gossip().publish(gossip::to_ident(&topic), bytes) {
            Ok(_) | Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            Err(error) => tracing::warn!(%topic, %error, "message not sent"),
        }
    }

    fn ask(&mut self, peer: Peer, kind: u16, payload: Bytes, answer: Answered) {
        let ready = peer.to_id().and_then(|id| self.linked.get_mut(&id).map(|linked| (id, linked)));
        let Some((id, linked)) = ready.filter(|(_, linked)| linked.stage == Stage::Ready) else {
            return deliver(answer, Err(RequestError::NotConnected));
        };
        if kind == HELLO {
            return deliver(answer, Err(RequestError::Refused));
        }
        if linked.in_flight >= MAX_IN_FLIGHT_PER_PEER || self.asked >= self.config.max_in_flight {
            return deliver(answer, Err(RequestError::Overloaded));
        }
        linked.in_flight += 1;
        self.asked += 1;
        let link = linked.link;
        let request = Ok(Frame { code: kind, payload });
        let request = self.swarm.behaviour_mut().requests.send_request(&id, request);
        self.outstanding.insert(request, Outstanding::Asked { peer: id, link, answer });
    }

    fn dial(&mut self, url: String, address: Multiaddr, peer: Peer) {
        let Some(id) = peer.to_id() else {
            return self.events.push_back(Event::DialFailed {
                peer,
                url,
                reason: DialError::WrongPeer { obtained: None },
            });
        };
        let dial = DialOpts::peer_id(id).addresses(vec![address]).build();
        let link = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(link, (peer, url));
            }
            Err(error) => self.events.push_back(Event::DialFailed { peer, url, reason: why(error) }),
        }
    }
}

/// The caller may have given up waiting.
fn deliver(answer: Answered, result: Result<Bytes, RequestError>) {
    if answer.send(result).is_err() {
        tracing::trace!("an answer that nobody waits for");
    }
}

/// Links.
impl Driver {
    pub(crate) fn on_swarm(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_linked(peer_id, connection_id, endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(%peer_id, ?cause, "link closed");
                self.drop_link(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some((peer, url)) = self.dials.remove(&connection_id) {
                    self.events.push_back(Event::DialFailed { peer, url, reason: why(error) });
                }
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%error, from = %send_back_addr, "inbound link failed");
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(ProtocolsEvent::Requests(event)) => self.on_request(event),
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(ping::Event { connection, result: Err(error), peer })) => {
                tracing::debug!(%peer, %error, "link is dead");
                self.close(connection);
            }
            _ => {}
        }
    }

    fn on_linked(&mut self, id: PeerId, link: ConnectionId, endpoint: ConnectedPoint) {
        // GossipSub's gate has refused other keys already.
        let Some(peer) = Peer::from_id(id) else { return self.close(link) };
        if let Some(older) = self.linked.get(&id).map(|linked| linked.link) {
            self.drop_link(id, older);
            self.close(older);
        }
        let path = match (self.dials.remove(&link), endpoint) {
            (Some((_, url)), _) => Path::Relay { url },
            (None, ConnectedPoint::Listener { send_back_addr, .. }) => {
                Path::Accepted { from: send_back_addr.to_string() }
            }
            (None, ConnectedPoint::Dialer { address, .. }) => Path::Relay { url: address.to_string() },
        };
        let now = Instant::now();
        let linked = Linked {
            peer,
            link,
            path,
            stage: Stage::Greeting,
            early: HashSet::new(),
            requests: Bucket::new(self.config.requests, now),
            messages: Bucket::new(self.config.messages, now),
            flooded: 0,
            in_flight: 0,
        };
        self.linked.insert(id, linked);
        self.greet(id);
    }

    /// Forgets a link, if it is the peer's newest, and says what that means for the consumer.
    fn drop_link(&mut self, id: PeerId, link: ConnectionId) {
        if self.linked.get(&id).is_none_or(|linked| linked.link != link) {
            return;
        }
        let Some(linked) = self.linked.remove(&id) else { return };
        match (linked.stage, linked.path) {
            (Stage::Ready, _) => self.events.push_back(Event::Disconnected { peer: linked.peer }),
            (Stage::Greeting, Path::Relay { url }) => {
                self.events.push_back(Event::DialFailed { peer: linked.peer, url, reason: DialError::Dropped });
            }
            (Stage::Greeting, Path::Accepted { .. }) | (Stage::Refused, _) => {}
        }
    }

    fn hello(&self) -> Bytes {
        let hello = Hello { version: self.config.version, agent: agent(&self.config) };
        postcard::to_allocvec(&hello).unwrap_or_default().into()
    }

    fn greet(&mut self, id: PeerId) {
        let hello = Ok(Frame { code: HELLO, payload: self.hello() });
        let request = self.swarm.behaviour_mut().requests.send_request(&id, hello);
        self.outstanding.insert(request, Outstanding::Hello);
    }

    /// A peer's version is known.
    fn on_version(&mut self, id: PeerId, theirs: u16) {
        let Some(linked) = self.linked.get_mut(&id).filter(|linked| linked.stage == Stage::Greeting) else { return };
        let (peer, ours) = (linked.peer, self.config.version);
        if theirs != ours {
            linked.stage = Stage::Refused;
            self.events.push_back(Event::Refused { peer, theirs, ours });
            let link = linked.link;
            return self.closing.push(Delay::new(REFUSAL_GRACE).map(move |()| link).boxed());
        }
        linked.stage = Stage::Ready;
        self.events.push_back(Event::Connected { peer, path: linked.path.clone() });
        let early = std::mem::take(&mut linked.early);
        self.events.extend(early.into_iter().map(|topic| Event::Subscribed { peer, topic }));
    }
}

/// Requests and answers.
impl Driver {
    fn on_request(&mut self, event: RequestEvent) {
        match event {
            RequestEvent::Message { peer, connection_id, message } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    let answer = self.answer(peer, connection_id, request);
                    if self.swarm.behaviour_mut().requests.send_response(channel, answer).is_err() {
                        tracing::debug!(%peer, "gone before its answer");
                    }
                }
                request_response::Message::Response { request_id, response } => {
                    let result = match response {
                        Answer::Now(frame) => read_answer(frame),
                        Answer::Later(_) => Err(RequestError::Malformed),
                    };
                    self.on_answer(peer, connection_id, request_id, result);
                }
            },
            RequestEvent::OutboundFailure { peer, connection_id, request_id, error } => {
                self.on_answer(peer, connection_id, request_id, Err(failed(error)));
            }
            RequestEvent::InboundFailure { peer, error: InboundFailure::Timeout, .. } => {
                tracing::debug!(%peer, "its request was not answered in time");
            }
            RequestEvent::InboundFailure { peer, error, .. } => tracing::debug!(%peer, %error, "its request failed"),
            RequestEvent::ResponseSent { .. } => {}
        }
    }

    fn answer(&mut self, id: PeerId, link: ConnectionId, request: Result<Frame, CodecError>) -> Answer {
        let Some(linked) = self.linked.get_mut(&id).filter(|linked| linked.link == link) else {
            return Answer::status(Status::Refused);
        };
        if !linked.requests.take(Instant::now()) {
            return Answer::status(Status::Busy);
        }
        match request {
            Err(CodecError::TooLong { .. }) => Answer::status(Status::TooLong),
            Err(_) => Answer::status(Status::Malformed),
            Ok(Frame { code: HELLO, payload }) => match version_of(&payload) {
                Some(version) => {
                    self.on_version(id, version);
                    Answer::Now(Frame { code: Status::Done as u16, payload: self.hello() })
                }
                None => Answer::status(Status::Malformed),
            },
            Ok(_) if linked.stage != Stage::Ready => Answer::status(Status::Refused),
            Ok(Frame { code: kind, payload: bytes }) => {
                let (reply, answer) = oneshot::channel();
                let reply = Responder(reply);
                self.events.push_back(Event::Request { peer: linked.peer, kind, bytes, reply });
                Answer::Later(answer)
            }
        }
    }

    fn on_answer(
        &mut self,
        id: PeerId,
        over: ConnectionId,
        request: request_response::OutboundRequestId,
        result: Result<Bytes, RequestError>,
    ) {
        match self.outstanding.remove(&request) {
            Some(Outstanding::Hello) => self.on_hello(id, over, result),
            Some(Outstanding::Asked { peer, link, answer }) => {
                self.asked = self.asked.saturating_sub(1);
                if let Some(linked) = self.linked.get_mut(&peer).filter(|linked| linked.link == link) {
                    linked.in_flight = linked.in_flight.saturating_sub(1);
                }
                deliver(answer, result);
            }
            None => {}
        }
    }

    fn on_hello(&mut self, id: PeerId, over: ConnectionId, result: Result<Bytes, RequestError>) {
        let Some(linked) = self.linked.get(&id).filter(|linked| linked.stage == Stage::Greeting) else { return };
        let link = linked.link;
        if link != over {
            // It went over an older link that is being closed.
            return self.greet(id);
        }
        match result.map(|hello| version_of(&hello)) {
            Ok(Some(version)) => self.on_version(id, version),
            refused => {
                tracing::debug!(peer = %id, ?refused, "no version told");
                self.close(link);
            }
        }
    }
}

fn read_answer(frame: Frame) -> Result<Bytes, RequestError> {
    match Status::try_from(frame.code)? {
        Status::Done => Ok(frame.payload),
        Status::Busy => Err(RequestError::Busy),
        Status::Refused => Err(RequestError::Refused),
        Status::TooLong => Err(RequestError::OverPeersBounds),
        Status::Malformed => Err(RequestError::Malformed),
    }
}

fn failed(failure: OutboundFailure) -> RequestError {
    match failure {
        OutboundFailure::DialFailure => RequestError::NotConnected,
        OutboundFailure::Timeout => RequestError::Timeout,
        OutboundFailure::ConnectionClosed => RequestError::Disconnected,
        OutboundFailure::UnsupportedProtocols => RequestError::Unsupported,
        OutboundFailure::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<CodecError>()) {
            Some(codec) => RequestError::Codec(*codec),
            None => RequestError::Broken(error.to_string()),
        },
    }
}

/// Messages.
impl Driver {
    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let verdict = self.on_message(propagation_source, message);
                if !self.gossip().report_message_validation_result(&message_id, &propagation_source, verdict) {
                    tracing::debug!("a message older than what is kept");
                }
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let Some((linked, topic)) = self.linked.get_mut(&peer_id).zip(gossip::from_hash(&topic)) else {
                    return;
                };
                if linked.stage == Stage::Ready {
                    self.events.push_back(Event::Subscribed { peer: linked.peer, topic });
                } else if linked.early.len() < MAX_TOPICS {
                    linked.early.insert(topic);
                }
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                let Some((linked, topic)) = self.linked.get_mut(&peer_id).zip(gossip::from_hash(&topic)) else {
                    return;
                };
                if linked.stage == Stage::Ready {
                    self.events.push_back(Event::Unsubscribed { peer: linked.peer, topic });
                } else {
                    linked.early.remove(&topic);
                }
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                tracing::debug!(%peer_id, ?failed_messages, "slower than its messages");
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => tracing::debug!(%peer_id, "takes no messages"),
        }
    }

    /// Takes a message, and tells whether it is handed on to other peers.
    fn on_message(&mut self, from: PeerId, message: gossipsub::Message) -> MessageAcceptance {
        let Some(linked) = self.linked.get_mut(&from).filter(|linked| linked.stage == Stage::Ready) else {
            return MessageAcceptance::Ignore;
        };
        let Some(topic) = gossip::from_hash(&message.topic).filter(|_| message.data.len() <= self.config.max_message)
        else {
            return MessageAcceptance::Reject;
        };
        if !linked.messages.take(Instant::now()) {
            linked.flooded += 1;
            if linked.flooded == MAX_FLOODED {
                tracing::warn!(peer = %linked.peer, "link closed: it floods");
                let link = linked.link;
                self.close(link);
            }
            return MessageAcceptance::Ignore;
        }
        self.events.push_back(Event::Message { topic, from: linked.peer, bytes: message.data.into() });
        if self.kept.contains(&topic) { MessageAcceptance::Ignore } else { MessageAcceptance::Accept }
    }
}

fn why(error: swarm::DialError) -> DialError {
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
    if cause.downcast_ref::<connection_limits::Exceeded>().is_some() {
        DialError::TooMany
    } else if cause.downcast_ref::<OtherKey>().is_some() {
        DialError::WrongPeer { obtained: None }
    } else {
        DialError::Unreachable(cause.to_string())
    }
}

/// libp2p wraps an I/O error in another.
fn timed_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
        || error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).is_some_and(timed_out)
}
