//! Two nodes for a test, native or in a page: swarms that know each other over memory and may link by WebRTC. What reads
//! and writes on their streams is here too.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

mod streams;

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    future::{BoxFuture, Either, join, select},
};
use futures_timer::Delay;
use ledgerno_webrtc::{Backend, Behaviour, Config};
use libp2p::{
    Multiaddr, PeerId, Stream, Swarm, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{DialOpts as Options, ListenerId, MemoryTransport, TransportError, TransportEvent},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{
        self, ConnectionId, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    yamux,
};
use streams::Streams;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub type Spawn = fn(BoxFuture<'static, ()>);
pub type Outcome<T = ()> = Result<T, String>;

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> Outcome<T> {
    match select(std::pin::pin!(future), Delay::new(DEADLINE)).await {
        Either::Left((value, _)) => Ok(value),
        Either::Right(_) => Err(format!("{what}: it did not come")),
    }
}

/// Until it is so; looked at every few milliseconds.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) -> Outcome {
    let looking = async {
        while !so() {
            Delay::new(Duration::from_millis(5)).await;
        }
    };
    within(what, looking).await
}

pub fn show(error: impl ToString) -> String {
    error.to_string()
}

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
struct Both {
    webrtc: Behaviour,
    streams: Streams,
}

enum Do {
    Dial(DialOpts, oneshot::Sender<Outcome<Made>>),
    Open(PeerId, ConnectionId, oneshot::Sender<Outcome<Stream>>),
    Close(ConnectionId),
    /// Whether a peer's offers are answered.
    Welcome(PeerId, bool),
    /// The newest address of a connection.
    Address(ConnectionId, oneshot::Sender<Outcome<Multiaddr>>),
}

/// A connection that stands.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: ConnectionId,
    pub peer: PeerId,
    /// As it was first reported.
    pub address: Multiaddr,
    pub dialler: bool,
}

pub struct Node {
    pub peer: PeerId,
    /// Where it is found in memory.
    pub address: Multiaddr,
    todo: mpsc::UnboundedSender<Do>,
    inbound: mpsc::UnboundedReceiver<(ConnectionId, Stream)>,
    made: mpsc::UnboundedReceiver<Made>,
    gone: mpsc::UnboundedReceiver<ConnectionId>,
}

impl Node {
    /// Dropped, it ends with all its connections.
    pub fn start(spawn: Spawn, config: Config, backend: Arc<dyn Backend>, listens: bool) -> Node {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let port = NEXT.fetch_add(1, Ordering::Relaxed) + (getrandom() << 20);
        let address = Multiaddr::from(Protocol::Memory(port));
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let (transport, webrtc) = ledgerno_webrtc::new(peer, config, backend);
        let memory = MemoryTransport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default());
        // Beside libp2p's errors, whose texts are left out of what is built as the page is.
        let failed = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&failed);
        let transport = transport
            .map_err(move |error| {
                *failure.lock().unwrap() = Some((error.step, error.cause));
                error
            })
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .or_transport(Circuit(memory.boxed()))
            .map(|either, _| either.into_inner())
            .boxed();

        let (inbound_tx, inbound) = mpsc::unbounded();
        let behaviour = Both { webrtc, streams: Streams::new(inbound_tx) };
        let config = swarm::Config::with_executor(spawn).with_idle_connection_timeout(Duration::from_secs(600));
        let mut swarm = Swarm::new(transport, behaviour, peer, config);
        swarm.listen_on(address.clone()).unwrap();
        if listens {
            swarm.listen_on(Multiaddr::from(Protocol::WebRTC)).unwrap();
        }
        let ((todo, todos), (made_tx, made), (gone_tx, gone)) =
            (mpsc::unbounded(), mpsc::unbounded(), mpsc::unbounded());
        spawn(drive(swarm, todos, made_tx, gone_tx, failed).boxed());
        Node { peer, address, todo, inbound, made, gone }
    }

    async fn ask<T>(&self, what: &str, ask: impl FnOnce(oneshot::Sender<Outcome<T>>) -> Do) -> Outcome<T> {
        let (reply, answer) = oneshot::channel();
        self.todo.unbounded_send(ask(reply)).map_err(show)?;
        within(what, answer).await?.map_err(show)?
    }

    /// Dials, however many connections there are.
    pub async fn dial(&self, peer: PeerId, address: Multiaddr) -> Outcome<Made> {
        self.ask("a dial", |reply| Do::Dial(options(peer, address), reply)).await
    }

    /// Begins a dial; dropping the receiver changes nothing.
    pub fn begin(&self, peer: PeerId, address: Multiaddr) -> oneshot::Receiver<Outcome<Made>> {
        let (reply, answer) = oneshot::channel();
        self.todo.unbounded_send(Do::Dial(options(peer, address), reply)).unwrap();
        answer
    }

    pub async fn open(&self, on: &Made) -> Outcome<Stream> {
        self.ask("a stream", |reply| Do::Open(on.peer, on.id, reply)).await
    }

    /// The next stream of the other side on that connection.
    pub async fn accept(&mut self, on: &Made) -> Outcome<Stream> {
        loop {
            let (id, stream) = within("an inbound stream", self.inbound.next()).await?.ok_or("the node is gone")?;
            if id == on.id {
                return Ok(stream);
            }
        }
    }

    /// The next inbound connection.
    pub async fn connected(&mut self) -> Outcome<Made> {
        within("an inbound connection", self.made.next()).await?.ok_or_else(|| "the node is gone".to_owned())
    }

    /// The address of a connection after it has changed.
    pub async fn moved(&self, connection: &Made) -> Outcome<Multiaddr> {
        self.ask("an address", |reply| Do::Address(connection.id, reply)).await
    }

    /// Answers a peer's offers from now on, or no longer.
    pub fn welcome(&self, peer: PeerId, welcome: bool) {
        self.todo.unbounded_send(Do::Welcome(peer, welcome)).unwrap();
    }

    pub fn close(&self, connection: &Made) {
        self.todo.unbounded_send(Do::Close(connection.id)).unwrap();
    }

    /// Until that connection is gone.
    pub async fn lost(&mut self, connection: &Made) -> Outcome {
        let gone = &mut self.gone;
        let found =
            within("a connection's end", async { gone.any(|id| std::future::ready(id == connection.id)).await });
        found.await.map(drop)
    }
}

fn getrandom() -> u64 {
    let bytes = Keypair::generate_ed25519().public().to_peer_id().to_bytes();
    bytes.iter().rev().take(4).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn options(peer: PeerId, address: Multiaddr) -> DialOpts {
    DialOpts::peer_id(peer).addresses(vec![address]).condition(PeerCondition::Always).build()
}

async fn drive(
    mut swarm: Swarm<Both>,
    mut todos: mpsc::UnboundedReceiver<Do>,
    made: mpsc::UnboundedSender<Made>,
    gone: mpsc::UnboundedSender<ConnectionId>,
    failed: Arc<Mutex<Option<(ledgerno_webrtc::Step, ledgerno_webrtc::Cause)>>>,
) {
    let mut dials: Vec<(ConnectionId, oneshot::Sender<Outcome<Made>>)> = Vec::new();
    loop {
        let event = match select(todos.next(), swarm.next()).await {
            Either::Left((None, _)) | Either::Right((None, _)) => return,
            Either::Right((Some(event), _)) => event,
            Either::Left((Some(todo), _)) => {
                match todo {
                    Do::Dial(opts, reply) => {
                        let id = opts.connection_id();
                        match swarm.dial(opts) {
                            Ok(()) => dials.push((id, reply)),
                            Err(error) => drop(reply.send(Err(format!("{error:?}")))),
                        }
                    }
                    Do::Open(peer, id, reply) => swarm.behaviour_mut().streams.open(peer, id, reply),
                    Do::Welcome(peer, true) => swarm.behaviour_mut().webrtc.welcome(peer),
                    Do::Welcome(peer, false) => swarm.behaviour_mut().webrtc.unwelcome(peer),
                    Do::Close(id) => drop(swarm.close_connection(id)),
                    Do::Address(id, reply) => swarm.behaviour_mut().streams.address(id, reply),
                }
                continue;
            }
        };
        match event {
            SwarmEvent::ConnectionEstablished { peer_id: peer, connection_id: id, endpoint, .. } => {
                let address = endpoint.get_remote_address().clone();
                let connection = Made { id, peer, address, dialler: endpoint.is_dialer() };
                match dials.iter().position(|(dial, _)| *dial == id) {
                    Some(place) => drop(dials.swap_remove(place).1.send(Ok(connection))),
                    None if connection.dialler => {}
                    None => drop(made.unbounded_send(connection)),
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(place) = dials.iter().position(|(dial, _)| *dial == connection_id) {
                    let failed = failed.lock().unwrap().take();
                    drop(dials.swap_remove(place).1.send(Err(format!("{failed:?} {error:?}"))));
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => drop(gone.unbounded_send(connection_id)),
            _ => {}
        }
    }
}

/// Memory, with `/p2p-circuit` after the address meaning nothing.
struct Circuit(libp2p::core::transport::Boxed<(PeerId, StreamMuxerBox)>);

impl Transport for Circuit {
    type Output = (PeerId, StreamMuxerBox);
    type Error = std::io::Error;
    type ListenerUpgrade = BoxFuture<'static, std::io::Result<Self::Output>>;
    type Dial = BoxFuture<'static, std::io::Result<Self::Output>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.0.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: Options) -> Result<Self::Dial, TransportError<Self::Error>> {
        let address = address.iter().take_while(|part| *part != Protocol::P2pCircuit).collect();
        self.0.dial(address, options).map(FutureExt::boxed)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.0).poll(cx).map(|event| event.map_upgrade(FutureExt::boxed))
    }
}

/// Two nodes that know each other over memory, and their direct link as each sees it.
pub struct Pair {
    pub a: Node,
    pub b: Node,
    pub a_carrier: Made,
    pub b_carrier: Made,
    pub a_link: Made,
    pub b_link: Made,
}

/// The address by which a connected peer is dialled directly.
pub fn direct(peer: PeerId) -> Multiaddr {
    Multiaddr::from_iter([Protocol::WebRTC, Protocol::P2p(peer)])
}

impl Pair {
    pub async fn link(a: Node, mut b: Node) -> Outcome<Pair> {
        let a_carrier = a.dial(b.peer, b.address.clone()).await?;
        let b_carrier = b.connected().await?;
        let a_link = a.dial(b.peer, direct(b.peer)).await?;
        let b_link = b.connected().await?;
        Ok(Pair { a, b, a_carrier, b_carrier, a_link, b_link })
    }

    /// A stream on the direct link.
    pub async fn stream(&mut self) -> Outcome<(Stream, Stream)> {
        let mut ours = self.a.open(&self.a_link).await?;
        // It is negotiated lazily: the first bytes make it known.
        ours.flush().await.map_err(show)?;
        Ok((ours, self.b.accept(&self.b_link).await?))
    }
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect()
}

pub async fn write_all(stream: &mut Stream, bytes: &[u8]) -> Outcome {
    within("a write", async {
        stream.write_all(bytes).await.map_err(show)?;
        stream.flush().await.map_err(show)
    })
    .await?
}

pub async fn read_end(stream: &mut Stream) -> Outcome<Vec<u8>> {
    let mut all = Vec::new();
    within("the end of a stream", stream.read_to_end(&mut all)).await?.map_err(show)?;
    Ok(all)
}

pub async fn read_exact(stream: &mut Stream, len: usize) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; len];
    within("bytes of a stream", stream.read_exact(&mut bytes)).await?.map_err(show)?;
    Ok(bytes)
}

/// Writes all and closes, and reads to the end at the same time.
pub async fn exchange(stream: Stream, bytes: &[u8]) -> Outcome<Vec<u8>> {
    let (mut reader, mut writer) = stream.split();
    let mut all = Vec::new();
    let write = async {
        writer.write_all(bytes).await?;
        writer.close().await
    };
    let (written, read) = within("an exchange", join(write, reader.read_to_end(&mut all))).await?;
    written.and(read).map_err(show)?;
    Ok(all)
}

pub async fn close(stream: &mut Stream) -> Outcome {
    within("a close", stream.close()).await?.map_err(show)
}

pub fn ensure(so: bool, what: &str) -> Outcome {
    if so { Ok(()) } else { Err(what.to_owned()) }
}
