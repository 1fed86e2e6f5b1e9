//! A small network: publish, request, subscribe, events. It knows topics, peers and bytes, and nothing of what they mean.
//!
//! [`start`] gives three things: a [`Net`] to ask with, [`Events`] to hear from, and a future that is the network and
//! that the caller spawns. It ends when every [`Net`], or the [`Events`], is dropped.
//!
//! The rules:
//! - Everything is bounded. A full queue towards the network is [`NetError::Busy`]. When [`Events`] are not taken, the
//!   network stops reading its links, and so its peers stop sending. Therefore never wait for a [`Net::request`] in the
//!   same task that takes the events.
//! - A peer is there from [`Event::Connected`] to [`Event::Disconnected`]: both sides have proved their keys and speak
//!   the same version. No other event of a peer comes outside of these two.
//! - Each [`Net::dial`] ends in exactly one of `Connected`, [`Event::Refused`] and [`Event::DialFailed`]. Dialling again
//!   is the caller's business.
//! - A peer that starts anew, with the same key, went and came: `Disconnected`, then `Connected` again.
//! - A link to a peer may be replaced by a better one. That is [`Event::Moved`], and nothing is lost by it.
//! - A friend that is sought ([`Net::seek`]) is linked by a relay's or another friend's circuit, and then directly where that
//!   is possible, without the caller's doing.
//! - Messages are delivered as they come. Nothing says who wrote one; `from` is who handed it on.

#[cfg(not(target_arch = "wasm32"))]
use std::net::SocketAddr;
use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    Stream,
    future::{Either, select},
};
use futures_timer::Delay;
use libp2p::PeerId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

mod calls;
mod circuit;
mod codec;
mod config;
mod error;
mod friends;
mod gossip;
#[cfg(feature = "hostile")]
pub mod hostile;
mod identify;
mod kad;
mod limits;
mod links;
mod messages;
mod mux;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod noise;
#[cfg(feature = "streams")]
mod others;
mod overlay;
mod peers;
mod ping;
mod places;
mod proto;
mod rendezvous;
mod requests;
mod rt;
mod standings;
mod streams;
mod swarm;
mod transport;
mod ws;

pub use codec::CodecError;
#[cfg(not(target_arch = "wasm32"))]
pub use config::Listen;
pub use config::{Config, Direct};
pub use error::{DialError, NetError, RequestError, StartError, Why};
pub use gossip::Faults;
pub use ledgerno_webrtc::{DEFAULT_STUN, IceServer};
pub use limits::Rate;
#[cfg(feature = "streams")]
pub use others::Others;
pub use standings::{MAX_STANDINGS, Standings};
pub use ws::UrlError;

/// URLs and addresses of links.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::address;
#[cfg(target_arch = "wasm32")]
pub(crate) use ws as address;

/// The version of everything that nodes say to each other. Nodes of different versions refuse each other.
pub const VERSION: u16 = 3;
/// The first kind of request that is the caller's; 0 is asked and answered by the network itself.
pub const FIRST_KIND: u16 = 1;

/// A node: its Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer(pub [u8; 32]);

/// What libp2p's peer id of an Ed25519 key begins with: identity multihash of 36 bytes, key type 1, 32 bytes.
const ED25519_ID: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

impl Peer {
    /// The peer of a libp2p peer id, if that is of an Ed25519 key.
    pub(crate) fn from_id(id: PeerId) -> Option<Self> {
        let bytes = id.to_bytes();
        bytes.strip_prefix(&ED25519_ID)?.try_into().ok().map(Peer)
    }

    pub(crate) fn to_id(self) -> Option<PeerId> {
        PeerId::from_bytes(&[&ED25519_ID[..], &self.0[..]].concat()).ok()
    }
}

/// Something to subscribe to and to publish on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub [u8; 32]);

macro_rules! shown_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&to_hex(&self.0)).map_err(|_| fmt::Error)?)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown_as_hex!(Peer, Topic);

/// 32 bytes as 64 lower-case hex digits.
fn to_hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// 32 bytes from 64 lower-case hex digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// What is remembered of a peer that behaved badly, over links and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who.
    pub peer: Peer,
    /// Until when nothing was or is taken of it, in milliseconds since 1970; 0: it was never banned.
    pub until_ms: u64,
    /// How often it was banned, each time within a day of the time before.
    pub times: u32,
    /// What it has done since.
    pub faults: Faults,
    /// When its faults were these, in milliseconds since 1970; they fade.
    pub at_ms: u64,
}

/// How a peer is linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// By a dial of ours to a URL, which is a relay's, or a native node's.
    Relay {
        /// The URL.
        url: String,
    },
    /// The peer dialled us.
    Accepted {
        /// From where.
        from: String,
    },
    /// Through somebody else, who can not read it.
    Circuit {
        /// Through whom.
        carrier: Peer,
    },
    /// Without anybody between.
    Direct,
}

/// How a friend was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through somebody else.
    Circuit {
        /// Through whom.
        carrier: Peer,
    },
    /// Directly.
    Direct,
}

/// What happens. See the module's rules for the order.
#[derive(Debug)]
pub enum Event {
    /// A peer is there.
    Connected {
        /// Who.
        peer: Peer,
        /// How.
        path: Path,
    },
    /// Its link was replaced by another one.
    Moved {
        /// Who.
        peer: Peer,
        /// How it is linked now.
        path: Path,
    },
    /// A friend was dialled in vain, or dialled this node directly in vain. It is dialled again; this is for people who wonder.
    Tried {
        /// Who.
        peer: Peer,
        /// How.
        way: Way,
        /// Why it came to nothing.
        why: Why,
    },
    /// A peer flooded this node, or said what no honest node says. If it is banned, its links are closed, and new ones
    /// refused. The last of each peer is what [`Config::standings`] wants after a restart.
    Judged(Standing),
    /// It is gone.
    Disconnected {
        /// Who.
        peer: Peer,
    },
    /// This node takes links here. A socket for all of the machine's addresses may be told once for each of them.
    #[cfg(not(target_arch = "wasm32"))]
    Listening {
        /// Where, with the port that it got.
        url: String,
    },
    /// It does not, of all that it was told.
    #[cfg(not(target_arch = "wasm32"))]
    NotListening {
        /// Where it was told to.
        at: Listen,
        /// What the system said.
        why: String,
    },
    /// Another version; the link is being closed.
    Refused {
        /// Who.
        peer: Peer,
        /// Its version.
        theirs: u16,
        /// Our version.
        ours: u16,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Who was meant.
        peer: Peer,
        /// The URL dialled.
        url: String,
        /// Why.
        reason: DialError,
    },
    /// A peer subscribed to a topic.
    Subscribed {
        /// Who.
        peer: Peer,
        /// To what.
        topic: Topic,
    },
    /// A peer unsubscribed.
    Unsubscribed {
        /// Who.
        peer: Peer,
        /// From what.
        topic: Topic,
    },
    /// A message on a topic that this node subscribes to.
    Message {
        /// Where it was published.
        topic: Topic,
        /// Who handed it on; not who wrote it.
        from: Peer,
        /// What it says.
        bytes: Bytes,
    },
    /// Somebody announced a key that was looked for. It comes again with further relays. All of it is what others say:
    /// nobody has proved anything yet.
    Found {
        /// The key.
        key: [u8; 32],
        /// Who.
        peer: Peer,
        /// The relays to which it is linked, and their URLs; the peer itself, if it has a URL. At most 4.
        at: Vec<(Peer, String)>,
    },
    /// A peer asks.
    Request {
        /// Who.
        peer: Peer,
        /// What; at least [`FIRST_KIND`].
        kind: u16,
        /// The question.
        bytes: Bytes,
        /// Where the answer goes.
        reply: Responder,
    },
}

/// Takes the answer to one request. Dropped, it refuses the request.
#[derive(Debug)]
pub struct Responder(pub(crate) oneshot::Sender<Bytes>);

impl Responder {
    /// Answers. The peer may be gone meanwhile; then the answer is for nobody.
    pub fn send(self, bytes: Bytes) {
        if self.0.send(bytes).is_err() {
            tracing::debug!("an answer that nobody waits for");
        }
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

/// The events, in order.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(cx)
    }
}

/// What a [`Net`] asks of the driver.
pub(crate) enum Command {
    Publish {
        topic: Topic,
        bytes: Bytes,
    },
    Subscribe(Topic),
    Unsubscribe(Topic),
    HandOn(Topic, bool),
    Request {
        peer: Peer,
        kind: u16,
        bytes: Bytes,
        answer: oneshot::Sender<Result<Bytes, RequestError>>,
    },
    Dial {
        url: String,
        address: libp2p::Multiaddr,
        peer: Peer,
    },
    Disconnect(Peer),
    Admit(Peer),
    Seek(Peer),
    Hurry,
    #[cfg(feature = "streams")]
    Open(Peer, libp2p::StreamProtocol, oneshot::Sender<streams::Opening>),
    Rendezvous(rendezvous::Call),
}

/// Whether a URL is one to dial.
#[cfg(not(target_arch = "wasm32"))]
pub fn check_url(url: &str) -> Result<(), UrlError> {
    address::to_address(url).map(|_| ())
}

/// The handle of a network; clones are the same network.
#[derive(Clone)]
pub struct Net {
    commands: mpsc::Sender<Command>,
    #[cfg(not(target_arch = "wasm32"))]
    accepted: mpsc::Sender<transport::Accepted>,
    topics: Arc<Mutex<HashSet<Topic>>>,
    peer: Peer,
    max_message: usize,
    max_request: usize,
    timeout: Duration,
}

/// Starts a network. The future is the network: spawn it (natively within a tokio runtime).
pub fn start(config: Config) -> Result<(Net, Events, impl Future<Output = ()> + Send + 'static), StartError> {
    swarm::start(config)
}

impl Net {
    /// This node.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Sends a message to who subscribes to the topic. It may be lost, and is not sent again when the same bytes went
    /// out on the topic within the last minute.
    pub fn publish(&self, topic: &Topic, bytes: Bytes) -> Result<(), NetError> {
        if bytes.len() > self.max_message {
            return Err(NetError::TooLong { len: bytes.len(), max: self.max_message });
        }
        self.tell(Command::Publish { topic: *topic, bytes })
    }

    /// Asks a linked peer and waits for the answer.
    pub async fn request(&self, peer: Peer, kind: u16, bytes: Bytes) -> Result<Bytes, RequestError> {
        if bytes.len() > self.max_request {
            return Err(CodecError::TooLong { len: bytes.len(), max: self.max_request }.into());
        }
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Request { peer, kind, bytes, answer }).map_err(|error| match error {
            NetError::Closed => RequestError::Closed,
            _ => RequestError::Overloaded,
        })?;
        // The network has its own deadline; this one is for a network that is held up by events that nobody takes.
        match select(answered, Delay::new(self.timeout * 2)).await {
            Either::Left((answer, _)) => answer.unwrap_or(Err(RequestError::Closed)),
            Either::Right(((), _)) => Err(RequestError::Timeout),
        }
    }

    /// From now on messages on this topic come. At most 900 topics.
    pub fn subscribe(&self, topic: Topic) -> Result<(), NetError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.contains(&topic) {
            return Ok(());
        }
        if topics.len() >= limits::MAX_TOPICS {
            return Err(NetError::TooManyTopics);
        }
        self.tell(Command::Subscribe(topic))?;
        topics.insert(topic);
        Ok(())
    }

    /// From now on they do not.
    pub fn unsubscribe(&self, topic: Topic) -> Result<(), NetError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.contains(&topic) {
            self.tell(Command::Unsubscribe(topic))?;
            topics.remove(&topic);
        }
        Ok(())
    }

    /// Whether messages that come on this topic are handed on to other peers, as they are unless told otherwise. What this
    /// node publishes goes to all linked peers that subscribe, in any case. Forgotten with the subscription.
    pub fn hand_on(&self, topic: Topic, hands_on: bool) -> Result<(), NetError> {
        self.tell(Command::HandOn(topic, hands_on))
    }

    /// Links to a peer at `ws://host:port/` or `wss://…`; natively at `ws://`, `tcp://host:port` or `quic://host:port`. An event
    /// tells how it went.
    pub fn dial(&self, url: &str, peer: Peer) -> Result<(), NetError> {
        let address = address::to_address(url)?;
        self.tell(Command::Dial { url: url.to_owned(), address, peer })
    }

    /// Ends the link to a peer.
    pub fn disconnect(&self, peer: Peer) -> Result<(), NetError> {
        self.tell(Command::Disconnect(peer))
    }

    /// Lets a linked peer use circuits by this node, and link with it directly, until its link ends.
    pub fn admit(&self, peer: Peer) -> Result<(), NetError> {
        self.tell(Command::Admit(peer))
    }

    /// A friend is out there, as somebody says: it is linked, if it can be reached, and directly if that is possible. To be
    /// said again now and then; a friend of whom nothing is said for 90 s, and who is not linked, is sought no more.
    pub fn seek(&self, peer: Peer) -> Result<(), NetError> {
        self.tell(Command::Seek(peer))
    }

    /// The network is another one, or the page woke up: friends that are not linked as well as can be are tried at once.
    pub fn hurry(&self) -> Result<(), NetError> {
        self.tell(Command::Hurry)
    }

    /// Takes the bytes of a WebSocket that an HTTP server has upgraded: what `io` reads are the payloads of the binary
    /// messages laid end to end, and each write or flush goes out as a binary message at once.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn accept<S>(&self, io: S, from: SocketAddr) -> Result<(), NetError>
    where
        S: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    {
        let at = libp2p::Multiaddr::empty();
        self.accepted
            .try_send(transport::Accepted { link: Box::new(io), at, from: ws::from_socket(from) })
            .map_err(NetError::from)
    }

    fn tell(&self, command: Command) -> Result<(), NetError> {
        self.commands.try_send(command).map_err(NetError::from)
    }
}

impl<T> From<mpsc::error::TrySendError<T>> for NetError {
    fn from(error: mpsc::error::TrySendError<T>) -> Self {
        match error {
            mpsc::error::TrySendError::Full(_) => NetError::Busy,
            mpsc::error::TrySendError::Closed(_) => NetError::Closed,
        }
    }
}
