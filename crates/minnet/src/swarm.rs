//! The driver: one loop over calls, the swarm's events, and what tasks report.
//!
//! Each turn takes one of them, then hands out the events that it made, and waits until they are taken. So nothing piles up
//! here: a slow consumer stops the loop, and with it the links. What is said on a stream runs in a task of its own, which
//! reports by a short queue and ends with its link. Messages alone are written and read by the loop itself, for each task
//! in their way would cost a turn of the executor.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use either::Either;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, SelectAll},
};
use futures_timer::Delay;
use ledgerno_webrtc::Answers;
use libp2p::{
    PeerId, Stream, StreamProtocol, Swarm,
    core::{
        Transport as _,
        muxing::StreamMuxerBox,
        transport::{Boxed, OptionalTransport, timeout::TransportTimeoutError},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    swarm::{self, ConnectionId, NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle},
};
use tokio::sync::mpsc;
use web_time::Instant;

#[cfg(not(target_arch = "wasm32"))]
use libp2p::Multiaddr;

use crate::{
    CodecError, Command, Config, Event, Events, Net, Peer, RequestError, StartError, Topic,
    circuit::{self, Allowance, Carrier, CircuitError, Hop},
    codec::Frame,
    gossip::{self, Gossip},
    identify, kad,
    limits::*,
    links::{Dial, Linked},
    mux::Yamux,
    noise::Noise,
    overlay::Overlay,
    ping,
    places::{Most, Places},
    requests::{self, Bounds, Count},
    rt::{self, OnWake},
    standings::Standings,
    streams::{OpenError, Streams},
    transport::{Accepted, Circuit, Transport},
};

/// Bytes of an agent that are told.
const MAX_AGENT: usize = 64;
/// An unused link is kept; only this long, for browsers' timers cannot do more than 24 days.
const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What is spoken on streams that others open, by every node.
const SPOKEN: &[StreamProtocol] =
    &[requests::PROTOCOL, gossip::PROTOCOL, ping::PROTOCOL, identify::PROTOCOL, circuit::HOP, circuit::STOP];

/// `places` comes first: what it denies, the others never see.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    places: Places,
    pub(crate) streams: Streams,
    pub(crate) direct: Toggle<ledgerno_webrtc::Behaviour>,
}

pub(crate) fn start(config: Config) -> Result<(Net, Events, impl Future<Output = ()> + Send + 'static), StartError> {
    let (commands, asked) = mpsc::channel(config.commands.max(1));
    let (told, events) = mpsc::channel(config.events.max(1));
    let (accepted, accepting) = mpsc::channel(ACCEPT_QUEUE);
    let (circuits, wanted) = mpsc::channel(MAX_DIALS);

    #[cfg(not(target_arch = "wasm32"))]
    crate::native::check(&config)?;
    let key = Keypair::ed25519_from_bytes(config.secret).map_err(|_| StartError::Secret)?;
    let id = key.public().to_peer_id();
    let peer = Peer::from_id(id).ok_or(StartError::Secret)?;
    let net = Net {
        commands,
        #[cfg(not(target_arch = "wasm32"))]
        accepted: accepted.clone(),
        topics: Arc::new(Mutex::new(HashSet::new())),
        peer,
        max_message: config.max_message,
        max_request: config.max_request,
        timeout: config.timeout,
    };
    let answers = if config.open { Answers::Everybody } else { Answers::Welcome };
    let (webrtc, signalling) = config.direct.clone().map(|direct| direct.of(id, answers)).unzip();
    let transport = transport(&key, webrtc, Transport::new(accepting, circuits), config.timeout)?;
    let spoken = spoken(&config);
    let protocols = protocols(&config, spoken, signalling);
    let driver = async move {
        // Within the future, for the executor needs the runtime that it is spawned on.
        #[cfg(not(target_arch = "wasm32"))]
        let settings = swarm::Config::with_tokio_executor();
        #[cfg(target_arch = "wasm32")]
        let settings = swarm::Config::with_executor(|task: BoxFuture<'static, ()>| rt::spawn(task));
        let settings =
            settings.with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
        let swarm = Swarm::new(transport, protocols, id, settings);
        let mut known = spoken.to_vec();
        known.extend(config.direct.is_some().then_some(ledgerno_webrtc::PROTOCOL));
        let about = identify::about(&key.public(), &agent(&config), &known);
        Driver::new(swarm, peer, config, about, Queues { calls: asked, told, accepted, circuits: wanted }).run().await;
    };
    Ok((net, Events(events), driver))
}

fn transport(
    key: &Keypair,
    webrtc: Option<ledgerno_webrtc::Transport>,
    transport: Transport,
    timeout: Duration,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StartError> {
    let noise = Noise::new(key).map_err(|error| StartError::Config { part: "noise", reason: error.to_string() })?;
    let transport = transport
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(Yamux)
        .timeout(timeout)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .map_err(|error| match error {
            TransportTimeoutError::Timeout => io::Error::from(io::ErrorKind::TimedOut),
            TransportTimeoutError::Other(Either::Left(Either::Left(error))) => error,
            error => io::Error::other(error.to_string()),
        });
    // Who is dialled directly proved its key on the link that carries the signalling.
    let webrtc = webrtc
        .map_or_else(OptionalTransport::none, OptionalTransport::some)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .map_err(io::Error::other);
    #[cfg(not(target_arch = "wasm32"))]
    let transport = crate::native::quic::Quic::new(key, timeout)?
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .or_transport(transport)
        .map(|made, _| made.into_inner())
        .map_err(|error| error.into_inner());
    let either = webrtc.or_transport(transport);
    Ok(either.map(|made, _| made.into_inner()).map_err(|error| error.into_inner()).boxed())
}

fn protocols(
    config: &Config,
    spoken: &'static [StreamProtocol],
    signalling: Option<ledgerno_webrtc::Behaviour>,
) -> Protocols {
    let standing = config.max_connections as usize;
    let most = Most {
        accepting: standing.min(MAX_ACCEPTING),
        accepting_per_address: MAX_ACCEPTING_PER_ADDRESS,
        dialling: MAX_DIALS,
        standing,
        per_address: MAX_PER_ADDRESS,
    };
    Protocols { places: Places::new(most), streams: Streams::new(spoken), direct: signalling.into() }
}

#[cfg(all(target_arch = "wasm32", not(feature = "streams")))]
fn spoken(_: &Config) -> &'static [StreamProtocol] {
    SPOKEN
}

#[cfg(any(not(target_arch = "wasm32"), feature = "streams"))]
fn spoken(config: &Config) -> &'static [StreamProtocol] {
    let mut spoken = vec![SPOKEN];
    #[cfg(not(target_arch = "wasm32"))]
    spoken.extend(crate::native::spoken(config));
    #[cfg(feature = "streams")]
    spoken.extend(config.others.map(|others| others.protocols));
    // Kept for ever: a program has few nodes.
    if let [spoken] = spoken[..] { spoken } else { spoken.concat().leak() }
}

/// The agent, cut at a character's border.
pub(crate) fn agent(config: &Config) -> String {
    let mut agent = config.agent.clone();
    agent.truncate(agent.floor_char_boundary(MAX_AGENT));
    agent
}

/// What a task reports.
pub(crate) enum Report {
    /// A hello was answered, or not.
    Hello { id: PeerId, link: ConnectionId, answer: Result<bytes::Bytes, RequestError> },
    /// A peer asks; the place is its own among those that it may take.
    Asked { id: PeerId, link: ConnectionId, request: Result<Frame, CodecError>, stream: Stream, place: Count },
    /// A peer wants a circuit by this node.
    Hop { id: PeerId, link: ConnectionId, hop: Result<Hop, CircuitError>, stream: Stream },
    /// A peer says something to those who subscribe.
    Said { id: PeerId, link: ConnectionId, frame: bytes::Bytes },
    /// What is said to a peer does not leave.
    Mute { id: PeerId, link: ConnectionId, why: OpenError },
    /// A peer may have fallen silent.
    Rouse { id: PeerId, link: ConnectionId, tried: u8 },
    /// Pings have stopped.
    Ping { id: PeerId, link: ConnectionId, stopped: ping::Stopped },
    /// A link has had its time.
    Close(ConnectionId),
    /// A node was asked for a key.
    Answered { walk: u32, peer: Peer, answer: Option<Vec<u8>> },
    /// The name of a URL that is dialled was looked up.
    #[cfg(not(target_arch = "wasm32"))]
    Resolved { peer: Peer, url: String, found: io::Result<Vec<Multiaddr>>, place: Count },
    /// Where a peer sees this node.
    #[cfg(not(target_arch = "wasm32"))]
    Observed { id: PeerId, link: ConnectionId, at: Multiaddr },
    /// A friend and this node told each other where they were seen; `began`: this node did.
    #[cfg(not(target_arch = "wasm32"))]
    Punch { id: PeerId, began: bool, theirs: Result<Vec<Multiaddr>, crate::native::punch::PunchError> },
    /// A peer asks this node for a key, or says something about it.
    #[cfg(not(target_arch = "wasm32"))]
    Sought { id: PeerId, link: ConnectionId, message: Vec<u8>, stream: Stream, place: Count },
}

#[allow(clippy::large_enum_variant, reason = "made and taken apart at once, one at a time")]
enum Turn {
    Call(Option<Command>),
    Swarm(SwarmEvent<ProtocolsEvent>),
    Report(Report),
    /// The transport dials a circuit.
    Circuit(Circuit),
    /// Friends may be due.
    Timer,
    /// The consumer is gone.
    Deserted,
}

/// What comes in beside the swarm, and where the driver's own goes.
struct Queues {
    calls: mpsc::Receiver<Command>,
    told: mpsc::Sender<Event>,
    accepted: mpsc::Sender<Accepted>,
    circuits: mpsc::Receiver<Circuit>,
}

pub(crate) struct Driver {
    pub(crate) swarm: OnWake<Swarm<Protocols>>,
    pub(crate) config: Config,
    pub(crate) bounds: Bounds,
    /// What identify tells.
    pub(crate) about: Vec<u8>,
    /// Tells this run of the node from those before it.
    pub(crate) session: u64,
    queues: Queues,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// What writes messages, one for each link, and what reads them.
    pub(crate) writers: SelectAll<BoxStream<'static, Report>>,
    pub(crate) readers: SelectAll<BoxStream<'static, Report>>,
    /// Resolves when nobody takes events any more.
    deserted: BoxFuture<'static, ()>,
    /// Made in this turn.
    pub(crate) events: VecDeque<Event>,
    /// Bounded by the limits of links, as are the dials.
    pub(crate) linked: HashMap<PeerId, Linked>,
    pub(crate) dials: HashMap<ConnectionId, Dial>,
    pub(crate) asked: Count,
    pub(crate) carrier: Carrier,
    pub(crate) overlay: Overlay,
    pub(crate) gossip: Gossip,
    pub(crate) standings: Standings,
    /// How often each peer came lately.
    pub(crate) comers: HashMap<PeerId, Bucket>,
    pub(crate) rendezvous: kad::client::Rendezvous,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) store: kad::store::Store,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) native: crate::native::State,
    heartbeat: Instant,
    timer: Option<(Instant, Delay)>,
    /// Messages of all peers that go on to others.
    pub(crate) hands_on: Bucket,
    /// Topics of which nothing is handed on.
    pub(crate) kept: HashSet<Topic>,
    first: usize,
    gives_way: bool,
}

impl Driver {
    fn new(swarm: Swarm<Protocols>, peer: Peer, config: Config, about: Vec<u8>, queues: Queues) -> Self {
        let mut session = [0; 8];
        // Without randomness a page that is loaded anew is not told from the one before; its old link is noticed by pings.
        if getrandom::fill(&mut session).is_err() {
            tracing::warn!("the system gives no randomness");
        }
        let bounds =
            Bounds { max_request: config.max_request, max_response: config.max_response, timeout: config.timeout };
        let allowance = if config.hub { Allowance::RELAY } else { Allowance::FRIEND };
        let says = config.messages.times(if config.hub { RELAY_FACTOR } else { 1 });
        let (own, now) = (*swarm.local_peer_id(), Instant::now());
        #[cfg(not(target_arch = "wasm32"))]
        let direct = config.direct.is_some() || !config.listen.is_empty();
        #[cfg(target_arch = "wasm32")]
        let direct = config.direct.is_some();
        let told = queues.told.clone();
        Driver {
            deserted: async move { told.closed().await }.boxed(),
            swarm: OnWake::new(swarm),
            bounds,
            about,
            session: u64::from_le_bytes(session),
            queues,
            reports: mpsc::channel(REPORTS),
            writers: SelectAll::new(),
            readers: SelectAll::new(),
            events: VecDeque::new(),
            linked: HashMap::new(),
            dials: HashMap::new(),
            asked: Count::default(),
            carrier: Carrier::new(allowance),
            overlay: Overlay::new(own, direct),
            gossip: Gossip::new(config.hub, u64::from_le_bytes(session), now),
            rendezvous: kad::client::Rendezvous::new(peer),
            #[cfg(not(target_arch = "wasm32"))]
            store: kad::store::Store::default(),
            #[cfg(not(target_arch = "wasm32"))]
            native: crate::native::State::default(),
            heartbeat: now,
            standings: config.standings.clone(),
            comers: HashMap::new(),
            timer: None,
            hands_on: Bucket::new(says.part(HANDED_ON), now),
            kept: HashSet::new(),
            first: 0,
            gives_way: false,
            config,
        }
    }

    async fn run(mut self) {
        if let Err(error) = self.swarm.listen_on(libp2p::Multiaddr::empty()) {
            return tracing::error!(%error, "cannot take inbound links");
        }
        if self.config.direct.is_some()
            && let Err(error) = self.swarm.listen_on(Protocol::WebRTC.into())
        {
            tracing::error!(%error, "cannot take direct links");
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.take_links();
        loop {
            let turn = poll_fn(|cx| self.poll_turn(cx)).await;
            let links_are_as_before =
                matches!(turn, Turn::Call(Some(Command::Publish { .. })) | Turn::Report(Report::Said { .. }));
            match turn {
                Turn::Call(Some(command)) => self.on_call(command),
                Turn::Call(None) | Turn::Deserted => return,
                Turn::Swarm(event) => self.on_swarm(event),
                Turn::Report(report) => self.on_report(report),
                Turn::Circuit(circuit) => self.open_circuit(circuit),
                Turn::Timer => {}
            }
            if !links_are_as_before {
                self.look_after_links();
            }
            self.gives_way = self.send_frames() || !self.events.is_empty();
            while let Some(event) = self.events.pop_front() {
                if self.queues.told.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What may be due, or is due because of what has changed.
    fn look_after_links(&mut self) {
        #[cfg(not(target_arch = "wasm32"))]
        self.look_after_held();
        self.look_after_friends();
        self.look_after_the_mesh();
        self.look_after_rendezvous();
    }

    /// The sources take turns in going first, so that none starves another.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        // First of all, for what is read makes more to be written.
        if let Poll::Ready(Some(report)) = self.writers.poll_next_unpin(cx) {
            return Poll::Ready(Turn::Report(report));
        }
        // Whom this turn woke, who sends what was written or takes the events, need not wait until all sources were asked.
        if std::mem::take(&mut self.gives_way) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.first = (self.first + 1) % 6;
        for source in 0..6 {
            let turn = match (self.first + source) % 6 {
                0 => self.queues.calls.poll_recv(cx).map(|call| Some(Turn::Call(call))),
                1 => self.swarm.poll_next(cx).map(|event| event.map(Turn::Swarm)),
                2 => self.reports.1.poll_recv(cx).map(|report| report.map(Turn::Report)),
                3 => self.readers.poll_next_unpin(cx).map(|report| report.map(Turn::Report)),
                4 => self.queues.circuits.poll_recv(cx).map(|circuit| circuit.map(Turn::Circuit)),
                _ => self.poll_timer(cx).map(|()| Some(Turn::Timer)),
            };
            if let Poll::Ready(Some(turn)) = turn {
                return Poll::Ready(turn);
            }
        }
        // Last, for what was asked before still goes out.
        self.deserted.poll_unpin(cx).map(|()| Turn::Deserted)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, delay)) = &mut self.timer else { return Poll::Pending };
        std::task::ready!(Pin::new(delay).poll(cx));
        self.timer = None;
        Poll::Ready(())
    }

    /// Rings at a time, unless it rings before.
    pub(crate) fn ring_at(&mut self, due: Option<Instant>) {
        let Some(due) = due else { return };
        if self.timer.as_ref().is_none_or(|(at, _)| *at > due) {
            self.timer = Some((due, Delay::new(due.saturating_duration_since(Instant::now()))));
        }
    }

    fn look_after_the_mesh(&mut self) {
        if !self.gossip.has_peers() {
            return;
        }
        let now = Instant::now();
        if self.heartbeat <= now {
            self.gossip.heartbeat(now);
            self.judge();
            self.heartbeat = now + gossip::HEARTBEAT;
        }
        self.ring_at(Some(self.heartbeat));
    }

    /// Runs a task that reports.
    pub(crate) fn report(&self, task: impl Future<Output = Option<Report>> + Send + 'static) {
        let reports = self.reports.0.clone();
        rt::spawn(
            async move {
                if let Some(report) = task.await
                    && reports.send(report).await.is_err()
                {
                    tracing::trace!("a report to a network that has ended");
                }
            }
            .boxed(),
        );
    }

    pub(crate) fn accept_circuit(&self) -> mpsc::Sender<Accepted> {
        self.queues.accepted.clone()
    }

    pub(crate) fn close(&mut self, link: ConnectionId) {
        if !self.swarm.close_connection(link) {
            tracing::trace!(%link, "closed already");
        }
    }
}
