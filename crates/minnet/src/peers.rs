//! What the driver does with what the swarm tells and tasks report: what peers ask, say, and want carried.

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{Either, select},
};
use libp2p::{
    PeerId, Stream,
    multiaddr::Protocol,
    swarm::{ConnectionId, SwarmEvent},
};
use tokio::sync::oneshot;
use web_time::{Instant, SystemTime};

use crate::{
    CodecError, Event, Path, Responder, address,
    calls::why,
    circuit::{self, CircuitError, Hop, Pass, Status},
    codec::{self, Frame},
    gossip, identify,
    limits::{MAX_REQUEST_STREAMS, MAX_RESERVED_AT, RESERVATION},
    links::{Dial, HELLO, Link},
    ping,
    requests::{self, Answer, Count},
    rt,
    streams::Came,
    swarm::{Driver, ProtocolsEvent, Report},
    transport::{Accepted, Circuit, circuit_address},
};

impl Driver {
    pub(crate) fn on_swarm(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                // Whom the consumer dials itself, it wants; a friend may have been banned since it was sought.
                let by_url = matches!(self.dials.get(&connection_id), Some(Dial::Url { .. }));
                if !by_url && (self.is_banned(&peer_id) || endpoint.is_listener() && self.turns_away(peer_id)) {
                    if let Some(Dial::Friend { id, began: true, .. }) = self.dials.remove(&connection_id) {
                        self.overlay.ended(id, false, Instant::now());
                    }
                    return self.close(connection_id);
                }
                if let Some(Dial::Friend { id, began: true, .. }) = self.dials.get(&connection_id) {
                    self.overlay.ended(*id, true, Instant::now());
                }
                self.on_linked(peer_id, connection_id, endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(%peer_id, ?cause, "link closed");
                self.drop_link(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                match self.dials.remove(&connection_id) {
                    Some(Dial::Url { peer, url }) => {
                        self.events.push_back(Event::DialFailed { peer, url, reason: why(error) });
                    }
                    Some(Dial::Friend { id, carrier, began }) => self.friend_dial_failed(id, carrier, began, &error),
                    None => {}
                }
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%error, from = %send_back_addr, "inbound link failed");
                self.friend_answer_failed(&send_back_addr, &error);
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Streams(came)) => self.on_stream(came),
            #[cfg(not(target_arch = "wasm32"))]
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            #[cfg(not(target_arch = "wasm32"))]
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_not_listening(&address),
            #[cfg(not(target_arch = "wasm32"))]
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                self.on_listener_closed(listener_id, &addresses, reason);
            }
            _ => {}
        }
    }

    pub(crate) fn on_report(&mut self, report: Report) {
        match report {
            Report::Hello { id, link, answer } => self.on_hello(id, link, answer),
            Report::Asked { id, link, request, stream, place } => self.on_asked(id, link, request, stream, place),
            Report::Hop { id, link, hop, stream } => self.on_hop(id, link, hop, stream),
            Report::Said { id, link, frame } => self.on_said(id, link, &frame),
            Report::Mute { id, link, why } => self.on_mute(id, link, why),
            Report::Rouse { id, link, tried } => self.on_rouse(id, link, tried),
            Report::Ping { id, link, stopped } => self.on_ping_stopped(id, link, stopped),
            Report::Close(link) => self.close(link),
            Report::Answered { walk, peer, answer } => self.on_answered(walk, peer, answer.as_deref()),
            #[cfg(not(target_arch = "wasm32"))]
            Report::Resolved { peer, url, found, place } => self.on_resolved(peer, url, found, place),
            #[cfg(not(target_arch = "wasm32"))]
            Report::Observed { id, link, at } => self.on_observed(id, link, at),
            #[cfg(not(target_arch = "wasm32"))]
            Report::Punch { id, began, theirs } => self.on_punch(id, began, theirs),
            #[cfg(not(target_arch = "wasm32"))]
            Report::Sought { id, link, message, stream, place } => self.on_sought(id, link, message, stream, place),
        }
    }

    fn on_stream(&mut self, Came { peer: id, link, protocol, mut stream }: Came) {
        let Some(linked) = self.linked.get(&id) else { return };
        let Some(address) = linked.link(link).map(|one| one.address.clone()) else { return };
        #[cfg(feature = "streams")]
        if let Some(others) = self.config.others.filter(|others| others.protocols.contains(&protocol)) {
            return (others.take)(linked.peer, protocol, stream);
        }
        #[cfg(not(target_arch = "wasm32"))]
        if protocol == crate::kad::PROTOCOL {
            return self.serve(id, link, stream);
        }
        #[cfg(not(target_arch = "wasm32"))]
        if protocol == crate::native::punch::PROTOCOL {
            if self.takes_stream(id) {
                self.on_punch_stream(id, link, stream);
            }
            return;
        }
        if protocol == requests::PROTOCOL {
            let Some(place) = linked.asking.take(MAX_REQUEST_STREAMS) else {
                return tracing::debug!(%id, "more requests at once than are taken");
            };
            let bounds = self.bounds;
            self.report(async move {
                let request = requests::hear(&mut stream, bounds).await?;
                Some(Report::Asked { id, link, request, stream, place })
            });
        } else if protocol == gossip::PROTOCOL {
            if linked.hears(link) {
                self.listen(id, link, stream);
            } else if let Some(linked) = self.linked.get_mut(&id)
                && let Some(one) = linked.links.iter_mut().find(|one| one.id == link)
            {
                one.early = Some(stream);
            }
        } else if !self.takes_stream(id) {
            tracing::debug!(%id, "more streams than are taken");
        } else if protocol == ping::PROTOCOL {
            rt::spawn(ping::echo(stream).boxed());
        } else if protocol == identify::PROTOCOL {
            rt::spawn(identify::tell(stream, self.about.clone(), address).boxed());
        } else if protocol == circuit::HOP {
            self.report(async move {
                let hop = circuit::hear_hop(&mut stream).await;
                Some(Report::Hop { id, link, hop, stream })
            });
        } else {
            self.on_stop(id, stream);
        }
    }
}

/// Requests.
impl Driver {
    /// Streams of pings, questions about this node, and circuits come no faster than requests may.
    fn takes_stream(&mut self, id: PeerId) -> bool {
        let takes = self.linked.get_mut(&id).is_some_and(|linked| linked.streams.take(Instant::now()));
        if !takes {
            self.flooded(id);
        }
        takes
    }

    fn on_asked(
        &mut self,
        id: PeerId,
        link: ConnectionId,
        request: Result<Frame, CodecError>,
        stream: Stream,
        place: Count,
    ) {
        let answer = self.answer(id, link, request);
        let answered = requests::answer(stream, answer, self.bounds);
        let Some(gone) = self.gone(id, link) else { return };
        rt::spawn(
            async move {
                if let Either::Right(_) = select(answered.boxed(), gone).await {
                    tracing::debug!("the link ended before the answer");
                }
                drop(place);
            }
            .boxed(),
        );
    }

    fn answer(&mut self, id: PeerId, link: ConnectionId, request: Result<Frame, CodecError>) -> Answer {
        let Some(linked) = self.linked.get_mut(&id) else { return Answer::status(codec::Status::Refused) };
        if !linked.requests.take(Instant::now()) {
            self.flooded(id);
            return Answer::status(codec::Status::Busy);
        }
        match request {
            Err(CodecError::TooLong { .. }) => Answer::status(codec::Status::TooLong),
            Err(_) => Answer::status(codec::Status::Malformed),
            Ok(Frame { code: HELLO, payload }) => {
                if self.on_version(id, link, &payload) {
                    Answer::Now(Frame { code: codec::Status::Done as u16, payload: self.hello() })
                } else {
                    Answer::status(codec::Status::Malformed)
                }
            }
            Ok(_) if !linked.hears(link) => Answer::status(codec::Status::Refused),
            Ok(Frame { code: kind, payload: bytes }) => {
                let (reply, answer) = oneshot::channel::<Bytes>();
                let reply = Responder(reply);
                self.events.push_back(Event::Request { peer: linked.peer, kind, bytes, reply });
                Answer::Later(answer)
            }
        }
    }
}

/// Circuits: through this node, and to it.
impl Driver {
    fn on_hop(&mut self, id: PeerId, link: ConnectionId, hop: Result<Hop, CircuitError>, mut stream: Stream) {
        let known =
            self.linked.get(&id).is_some_and(|linked| linked.hears(link) && linked.admitted) || self.config.open;
        let status = match hop {
            Ok(Hop::Connect(to)) if known => match self.place_for(id, to) {
                Ok((link, pass)) => {
                    let opening = self.swarm.behaviour_mut().streams.open(to, link, circuit::STOP);
                    return rt::spawn(circuit::carry(stream, id, opening, pass).boxed());
                }
                Err(status) => status,
            },
            Ok(Hop::Reserve) if known && self.config.hub => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let until = (now + RESERVATION).as_secs();
                let addresses = self.dialled_at();
                rt::spawn(
                    async move { circuit::tell_hop(&mut stream, Status::OK, Some((until, &addresses))).await }.boxed(),
                );
                return;
            }
            Ok(Hop::Reserve) => Status::RESERVATION_REFUSED,
            Ok(Hop::Connect(_)) => Status::PERMISSION_DENIED,
            Ok(Hop::Status(_)) | Err(CircuitError::Malformed) => Status::MALFORMED,
            Err(error) => return tracing::debug!(%error, "nothing wanted of a carrier"),
        };
        rt::spawn(async move { circuit::tell_hop(&mut stream, status, None).await }.boxed());
    }

    /// Where this node is dialled, as a reservation tells it. Some refuse one that tells nothing.
    fn dialled_at(&self) -> Vec<Vec<u8>> {
        let at = self.config.urls.iter().filter_map(|url| address::to_address(url).ok());
        #[cfg(not(target_arch = "wasm32"))]
        let at = at.chain(self.native.listening.iter().cloned());
        let own = Protocol::P2p(*self.swarm.local_peer_id());
        at.take(MAX_RESERVED_AT).map(|at| at.with(own.clone()).to_vec()).collect()
    }

    /// The other end's link, and a place for a circuit to it.
    fn place_for(&mut self, from: PeerId, to: PeerId) -> Result<(ConnectionId, Pass), Status> {
        let link = self.linked.get(&to).and_then(|linked| {
            // A circuit on a circuit would come back to where it began.
            let direct = |one: &&Link| !matches!(one.path, Path::Circuit { .. });
            linked.current.and_then(|current| linked.link(current)).filter(direct).map(|one| one.id)
        });
        let link = link.filter(|_| from != to).ok_or(Status::NO_RESERVATION)?;
        Ok((link, self.carrier.admit(from, to)?))
    }

    /// Somebody wants a link with this node by a carrier.
    fn on_stop(&self, carrier: PeerId, mut stream: Stream) {
        let accepted = self.accept_circuit();
        rt::spawn(
            async move {
                let from = match circuit::hear_stop(&mut stream).await {
                    Ok(from) => from,
                    Err(error) => return tracing::debug!(%error, "no circuit"),
                };
                let at = circuit_address(carrier);
                let from = at.clone().with(Protocol::P2p(from));
                if accepted.try_send(Accepted { link: Box::new(stream), at, from }).is_err() {
                    tracing::debug!("a circuit was dropped: too many come at once");
                }
            }
            .boxed(),
        );
    }

    /// The transport dials a circuit.
    pub(crate) fn open_circuit(&mut self, Circuit { carrier, to, answer }: Circuit) {
        let link = self.linked.get(&carrier).and_then(|linked| linked.current);
        let opening = link.map(|link| self.swarm.behaviour_mut().streams.open(carrier, link, circuit::HOP));
        rt::spawn(
            async move {
                let circuit = match opening {
                    Some(opening) => circuit::connect(opening, to).await,
                    None => Err(CircuitError::NoStream(crate::streams::OpenError::Gone)),
                };
                if answer.send(circuit).is_err() {
                    tracing::trace!("a circuit that nobody waits for");
                }
            }
            .boxed(),
        );
    }
}
