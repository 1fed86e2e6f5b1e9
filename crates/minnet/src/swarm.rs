//! The driver: one loop over calls and the swarm's events.
//!
//! Each turn takes one call or one event of the swarm, then hands out the events that it made, and waits until they are
//! taken. So nothing piles up here: a slow consumer stops the loop, and with it the links.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::{Future, poll_fn},
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{
    PeerId, StreamProtocol, Swarm,
    connection_limits::{self, ConnectionLimits},
    core::{
        Transport as _,
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeoutError},
        upgrade::Version,
    },
    identity::Keypair,
    ping,
    request_response::{self, OutboundRequestId, ProtocolSupport},
    swarm::{self, ConnectionId, NetworkBehaviour, SwarmEvent},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Command, Config, Event, Events, Net, Path, Peer, RequestError, StartError, Topic,
    codec::{Answer, Codec, CodecError, Frame},
    gossip::Gossip,
    limits::*,
    mux::Yamux,
    noise::Noise,
    ws,
};

/// Bytes of an agent that are told.
const MAX_AGENT: usize = 64;
/// The same in every version, so that versions can be told.
const REQUESTS: StreamProtocol = StreamProtocol::new("/ledgerno/request/1");
/// An unused link is kept; only this long, for browsers' timers cannot do more than 24 days.
const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// libp2p forgives one missed ping, so a dead link costs two of these.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// `limits` comes first: what it denies, the others never see.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    limits: connection_limits::Behaviour,
    pub(crate) gossip: Gossip,
    ping: ping::Behaviour,
    pub(crate) requests: request_response::Behaviour<Codec>,
}

pub(crate) type Answered = oneshot::Sender<Result<Bytes, RequestError>>;
pub(crate) type RequestEvent = request_response::Event<Result<Frame, CodecError>, Answer>;

pub(crate) fn start(config: Config) -> Result<(Net, Events, impl Future<Output = ()> + Send + 'static), StartError> {
    let (commands, asked) = mpsc::channel(config.commands.max(1));
    let (told, events) = mpsc::channel(config.events.max(1));
    #[cfg(not(target_arch = "wasm32"))]
    let (accepted, accepting) = mpsc::channel(ACCEPT_QUEUE);
    #[cfg(not(target_arch = "wasm32"))]
    let socket = ws::Transport::new(accepting);
    #[cfg(target_arch = "wasm32")]
    let socket = ws::Transport::new();

    let key = Keypair::ed25519_from_bytes(config.secret).map_err(|_| StartError::Secret)?;
    let peer = Peer::from_id(key.public().to_peer_id()).ok_or(StartError::Secret)?;
    let net = Net {
        commands,
        #[cfg(not(target_arch = "wasm32"))]
        accepted,
        topics: Arc::new(Mutex::new(HashSet::new())),
        peer,
        max_message: config.max_message,
        max_request: config.max_request,
        timeout: config.timeout,
    };
    let transport = transport(&key, socket, config.timeout)?;
    let protocols = protocols(&config)?;
    let id = key.public().to_peer_id();
    let driver = async move {
        // Within the future, for the executor needs the runtime that it is spawned on.
        #[cfg(not(target_arch = "wasm32"))]
        let settings = swarm::Config::with_tokio_executor();
        #[cfg(target_arch = "wasm32")]
        let settings = swarm::Config::with_wasm_executor();
        let settings =
            settings.with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
        Driver::new(Swarm::new(transport, protocols, id, settings), config, asked, told).run().await;
    };
    Ok((net, Events(events), driver))
}

fn transport(
    key: &Keypair,
    socket: ws::Transport,
    timeout: Duration,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StartError> {
    let noise = Noise::new(key).map_err(|error| StartError::Config { part: "noise", reason: error.to_string() })?;
    Ok(socket
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(Yamux)
        .timeout(timeout)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .map_err(|error| match error {
            TransportTimeoutError::Timeout => io::Error::from(io::ErrorKind::TimedOut),
            error => io::Error::other(error.to_string()),
        })
        .boxed())
}

fn protocols(config: &Config) -> Result<Protocols, StartError> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.max_connections.min(MAX_ACCEPTING)))
        .with_max_pending_outgoing(Some(MAX_DIALS))
        .with_max_established_incoming(Some(config.max_connections))
        .with_max_established_outgoing(Some(config.max_connections))
        .with_max_established_per_peer(Some(MAX_LINKS_PER_PEER));
    let codec = Codec { max_request: config.max_request, max_response: config.max_response };
    let requests = request_response::Config::default()
        .with_request_timeout(config.timeout)
        .with_max_concurrent_streams(MAX_REQUEST_STREAMS);
    Ok(Protocols {
        limits: connection_limits::Behaviour::new(limits),
        gossip: Gossip::new(config).map_err(|reason| StartError::Config { part: "gossip", reason })?,
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(config.ping).with_timeout(config.ping.min(PING_TIMEOUT)),
        ),
        requests: request_response::Behaviour::with_codec(codec, [(REQUESTS, ProtocolSupport::Full)], requests),
    })
}

/// The agent, cut at a character's border.
pub(crate) fn agent(config: &Config) -> String {
    let mut agent = config.agent.clone();
    agent.truncate(agent.floor_char_boundary(MAX_AGENT));
    agent
}

/// One linked peer.
pub(crate) struct Linked {
    pub(crate) peer: Peer,
    pub(crate) link: ConnectionId,
    pub(crate) path: Path,
    pub(crate) stage: Stage,
    /// What it subscribed to before it was ready.
    pub(crate) early: HashSet<Topic>,
    pub(crate) requests: Bucket,
    pub(crate) messages: Bucket,
    pub(crate) flooded: u32,
    pub(crate) in_flight: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its version is not known yet.
    Greeting,
    /// Told to the consumer.
    Ready,
    /// Of another version; about to be closed.
    Refused,
}

pub(crate) enum Outstanding {
    Hello,
    Asked { peer: PeerId, link: ConnectionId, answer: Answered },
}

#[allow(clippy::large_enum_variant, reason = "made and taken apart at once, one at a time")]
enum Turn {
    Call(Option<Command>),
    Swarm(SwarmEvent<ProtocolsEvent>),
    /// A refused link has had its time.
    Close(ConnectionId),
}

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Protocols>,
    pub(crate) config: Config,
    calls: mpsc::Receiver<Command>,
    told: mpsc::Sender<Event>,
    /// Made in this turn.
    pub(crate) events: VecDeque<Event>,
    /// Bounded by the limits of links, as are the next two.
    pub(crate) linked: HashMap<PeerId, Linked>,
    pub(crate) dials: HashMap<ConnectionId, (Peer, String)>,
    pub(crate) closing: FuturesUnordered<BoxFuture<'static, ConnectionId>>,
    /// Bounded by `max_in_flight` and a hello for each link.
    pub(crate) outstanding: HashMap<OutboundRequestId, Outstanding>,
    pub(crate) asked: usize,
    /// Topics of which nothing is handed on.
    pub(crate) kept: HashSet<Topic>,
    calls_first: bool,
}

impl Driver {
    fn new(swarm: Swarm<Protocols>, config: Config, calls: mpsc::Receiver<Command>, told: mpsc::Sender<Event>) -> Self {
        Driver {
            swarm,
            config,
            calls,
            told,
            events: VecDeque::new(),
            linked: HashMap::new(),
            dials: HashMap::new(),
            closing: FuturesUnordered::new(),
            outstanding: HashMap::new(),
            asked: 0,
            kept: HashSet::new(),
            calls_first: true,
        }
    }

    async fn run(mut self) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Err(error) = self.swarm.listen_on(libp2p::Multiaddr::empty()) {
            return tracing::error!(%error, "cannot take inbound links");
        }
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Call(Some(command)) => self.on_call(command),
                Turn::Call(None) => return,
                Turn::Swarm(event) => self.on_swarm(event),
                Turn::Close(link) => self.close(link),
            }
            while let Some(event) = self.events.pop_front() {
                if self.told.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Calls and the swarm take turns in going first, so that neither starves the other.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.calls_first = !self.calls_first;
        if self.calls_first
            && let Poll::Ready(command) = self.calls.poll_recv(cx)
        {
            return Poll::Ready(Turn::Call(command));
        }
        if let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) {
            return Poll::Ready(Turn::Swarm(event));
        }
        if !self.calls_first
            && let Poll::Ready(command) = self.calls.poll_recv(cx)
        {
            return Poll::Ready(Turn::Call(command));
        }
        match self.closing.poll_next_unpin(cx) {
            Poll::Ready(Some(link)) => Poll::Ready(Turn::Close(link)),
            _ => Poll::Pending,
        }
    }

    pub(crate) fn close(&mut self, link: ConnectionId) {
        if !self.swarm.close_connection(link) {
            tracing::trace!(%link, "closed already");
        }
    }
}
