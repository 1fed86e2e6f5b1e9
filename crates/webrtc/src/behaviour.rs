//! Finds the connection that carries an offer, opens the signalling stream on it, and takes those of others.
//!
//! The rules:
//! - An offer goes over the newest connection with its peer that is not itself a direct link. If there is none and the
//!   address names a relay, the peer is dialled through it first: a direct link that stands may be one that has died and does
//!   not know it. Only without a relay does such a link carry the offer.
//! - Streams of others are handed to the transport while there is room, and no faster than they may come: each costs a peer
//!   connection. Else they are broken off.
//! - With [`Answers::Welcome`] only those of peers that are welcome are handed on. Of another the newest on a connection is
//!   held unread for a while, for who names it may hear of the link after the offer came.
//! - This keeps no connection alive but by the streams that are open.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
};
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandlerInEvent, ToSwarm,
        dial_opts::{DialOpts, PeerCondition},
        handler::ConnectionEvent,
    },
};

use web_time::Instant;

use crate::config::{Answers, Config};
use crate::error::{Cause, Error, Step};
use crate::signalling::PROTOCOL;
use crate::transport::Target;

const SECOND: Duration = Duration::from_secs(1);
/// How long an offer waits for its peer to be named welcome.
const HELD: Duration = Duration::from_secs(5);
/// Dials that wait for a carrier, or for a stream on one.
pub(crate) const MAX_ASKS: usize = 32;

type Reply = oneshot::Sender<Result<Stream, Error>>;

/// The transport wants a signalling stream.
pub(crate) struct Ask {
    pub(crate) target: Target,
    pub(crate) reply: Reply,
}

/// A peer has opened one.
pub(crate) struct Offer {
    pub(crate) peer: PeerId,
    pub(crate) stream: Stream,
    pub(crate) permits: [Permit; 2],
}

/// Gives so many permits at the same time.
#[derive(Clone)]
struct Permits {
    given: Arc<AtomicUsize>,
    max: usize,
}

impl Permits {
    fn new(max: usize) -> Self {
        Permits { given: Arc::default(), max }
    }

    fn take(&self) -> Option<Permit> {
        let permit = Permit(Arc::clone(&self.given));
        let before = self.given.fetch_add(1, Ordering::Relaxed);
        (before < self.max).then_some(permit)
    }
}

/// Held while an offer is being answered.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Carrier {
    peer: PeerId,
    connection: ConnectionId,
    direct: bool,
}

struct Waiting {
    dial: ConnectionId,
    peer: PeerId,
    reply: Reply,
}

/// The signalling of [`Transport`](crate::Transport): both come from [`new`](crate::new) and belong into the same swarm.
pub struct Behaviour {
    config: Arc<Config>,
    asks: mpsc::Receiver<Ask>,
    offers: mpsc::Sender<Offer>,
    /// Of all connections together.
    permits: Permits,
    /// Whose offers are answered; `None`: everybody's.
    welcome: Option<Vec<PeerId>>,
    /// In the order of their coming.
    carriers: Vec<Carrier>,
    waiting: Vec<Waiting>,
    events: VecDeque<ToSwarm<Infallible, Told>>,
}

impl Behaviour {
    pub(crate) fn new(config: Arc<Config>, asks: mpsc::Receiver<Ask>, offers: mpsc::Sender<Offer>) -> Self {
        Behaviour {
            permits: Permits::new(config.max_answering),
            welcome: (config.answers == Answers::Welcome).then(Vec::new),
            config,
            asks,
            offers,
            carriers: Vec::new(),
            waiting: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Answers a peer's offers from now on, on all connections with it: [`Answers::Welcome`]. Whoever names many bounds them.
    pub fn welcome(&mut self, peer: PeerId) {
        let Some(welcome) = self.welcome.as_mut().filter(|welcome| !welcome.contains(&peer)) else { return };
        welcome.push(peer);
        self.tell(peer, true);
    }

    /// Answers them no longer. What is being answered goes on.
    pub fn unwelcome(&mut self, peer: PeerId) {
        let Some(welcome) = &mut self.welcome else { return };
        let Some(place) = welcome.iter().position(|one| *one == peer) else { return };
        welcome.swap_remove(place);
        self.tell(peer, false);
    }

    /// Who was named welcome, and not unwelcome since.
    pub fn welcomed(&self) -> &[PeerId] {
        self.welcome.as_deref().unwrap_or_default()
    }

    fn tell(&mut self, peer_id: PeerId, welcome: bool) {
        let own = self.carriers.iter().filter(|carrier| carrier.peer == peer_id);
        self.events.extend(own.map(|carrier| {
            let handler = NotifyHandler::One(carrier.connection);
            ToSwarm::NotifyHandler { peer_id, handler, event: Told::Welcome(welcome) }
        }));
    }

    fn handler(&self, peer: PeerId) -> Handler {
        Handler {
            peer,
            welcome: self.welcome.as_ref().is_none_or(|welcome| welcome.contains(&peer)),
            held: None,
            offers: self.offers.clone(),
            all: self.permits.clone(),
            own: Permits::new(self.config.max_answering_per_connection),
            taken: VecDeque::new(),
            per_second: self.config.max_offers_per_second,
            asks: VecDeque::new(),
        }
    }

    fn carrier(&self, peer: PeerId, direct: bool) -> Option<ConnectionId> {
        let mut carriers = self.carriers.iter().rev();
        carriers.find(|carrier| carrier.peer == peer && carrier.direct == direct).map(|carrier| carrier.connection)
    }

    fn open(&mut self, peer_id: PeerId, connection: ConnectionId, reply: Reply) {
        let handler = NotifyHandler::One(connection);
        self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: Told::Open(reply) });
    }

    fn ask(&mut self, ask: Ask) {
        self.waiting.retain(|waiting| !waiting.reply.is_canceled());
        let Target { peer, relayed } = ask.target;
        if let Some(connection) = self.carrier(peer, false) {
            return self.open(peer, connection, ask.reply);
        }
        let Some(address) = relayed else {
            return match self.carrier(peer, true) {
                Some(connection) => self.open(peer, connection, ask.reply),
                None => refuse(ask.reply, Step::Carrier, Cause::NoConnection),
            };
        };
        if self.waiting.len() >= MAX_ASKS {
            return refuse(ask.reply, Step::Carrier, Cause::Busy);
        }
        // Always, for the swarm is dialling this peer: that is why we are asked.
        let opts = DialOpts::peer_id(peer).addresses(vec![address]).condition(PeerCondition::Always).build();
        self.waiting.push(Waiting { dial: opts.connection_id(), peer, reply: ask.reply });
        self.events.push_back(ToSwarm::Dial { opts });
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, direct: bool) {
        self.carriers.push(Carrier { peer, connection, direct });
        if direct {
            return;
        }
        let mut index = 0;
        while index < self.waiting.len() {
            if self.waiting[index].peer == peer {
                let waiting = self.waiting.swap_remove(index);
                self.open(peer, connection, waiting.reply);
            } else {
                index += 1;
            }
        }
    }
}

/// The dial may have been given up meanwhile, then nobody waits for the answer.
fn answer(reply: Reply, result: Result<Stream, Error>) {
    if reply.send(result).is_err() {
        tracing::trace!("a dial was given up");
    }
}

fn refuse(reply: Reply, step: Step, cause: Cause) {
    answer(reply, Err(Error::new(step, cause)));
}

/// The address of a link of this transport, which carries no circuit any more.
fn is_direct(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::WebRTC)
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                let direct = is_direct(made.endpoint.get_remote_address());
                self.connected(made.peer_id, made.connection_id, direct);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.carriers.retain(|carrier| carrier.connection != closed.connection_id);
            }
            FromSwarm::DialFailure(failed) => {
                let place = self.waiting.iter().position(|waiting| waiting.dial == failed.connection_id);
                if let Some(place) = place {
                    refuse(self.waiting.swap_remove(place).reply, Step::Carrier, Cause::RelayFailed);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            match self.asks.poll_next_unpin(cx) {
                Poll::Ready(Some(ask)) => self.ask(ask),
                _ => return Poll::Pending,
            }
        }
    }
}

/// To a handler.
#[derive(Debug)]
pub enum Told {
    /// Open a signalling stream.
    Open(Reply),
    /// Whether offers are answered.
    Welcome(bool),
}

/// One connection's part of [`Behaviour`].
pub struct Handler {
    peer: PeerId,
    welcome: bool,
    /// What came too early, and until when it waits.
    held: Option<(Stream, Delay)>,
    offers: mpsc::Sender<Offer>,
    all: Permits,
    own: Permits,
    /// When offers were taken, within the last second.
    taken: VecDeque<Instant>,
    per_second: usize,
    asks: VecDeque<Reply>,
}

const UPGRADE: ReadyUpgrade<StreamProtocol> = ReadyUpgrade::new(PROTOCOL);

impl Handler {
    fn came(&mut self, stream: Stream) {
        if self.welcome {
            self.offered(stream);
        } else if self.held.replace((stream, Delay::new(HELD))).is_some() {
            tracing::debug!("an offer broken off: its peer is not welcome, and has made another");
        }
    }

    fn welcomes(&mut self, welcome: bool) {
        self.welcome = welcome;
        if welcome && let Some((stream, _)) = self.held.take() {
            self.offered(stream);
        }
    }

    fn offered(&mut self, stream: Stream) {
        let now = Instant::now();
        self.taken.retain(|taken| now.saturating_duration_since(*taken) < SECOND);
        if self.taken.len() >= self.per_second {
            return tracing::debug!("an offer broken off: they come too fast");
        }
        let (Some(own), Some(all)) = (self.own.take(), self.all.take()) else {
            return tracing::debug!("an offer broken off: too many are being answered");
        };
        self.taken.push_back(now);
        let offer = Offer { peer: self.peer, stream, permits: [own, all] };
        if self.offers.try_send(offer).is_err() {
            tracing::debug!("an offer broken off: nobody takes it");
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Told;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, ()> {
        SubstreamProtocol::new(UPGRADE, ())
    }

    fn on_behaviour_event(&mut self, told: Told) {
        match told {
            Told::Welcome(welcome) => self.welcomes(welcome),
            Told::Open(reply) if self.asks.len() < MAX_ASKS => self.asks.push_back(reply),
            Told::Open(reply) => refuse(reply, Step::Stream, Cause::Busy),
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Reply, Infallible>> {
        if self.held.as_mut().is_some_and(|(_, until)| until.poll_unpin(cx).is_ready()) {
            self.held = None;
            tracing::debug!("an offer broken off: its peer is not welcome");
        }
        match self.asks.pop_front() {
            Some(reply) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(UPGRADE, reply),
            }),
            // An ask is followed by a poll, and so is an offer.
            None => Poll::Pending,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, (), Reply>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(inbound) => self.came(inbound.protocol),
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => answer(outbound.info, Ok(outbound.protocol)),
            ConnectionEvent::DialUpgradeError(failed) => {
                let cause = match failed.error {
                    StreamUpgradeError::NegotiationFailed => Cause::Unsupported,
                    StreamUpgradeError::Timeout => Cause::TimedOut,
                    _ => Cause::Interrupted,
                };
                refuse(failed.info, Step::Stream, cause);
            }
            _ => {}
        }
    }
}
