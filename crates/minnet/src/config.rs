//! What a node is, and every bound that may be set, with its default.

#[cfg(not(target_arch = "wasm32"))]
use std::net::SocketAddr;
use std::{sync::Arc, time::Duration};

use ledgerno_webrtc::Answers;
use libp2p::PeerId;

#[cfg(not(target_arch = "wasm32"))]
use crate::Peer;
use crate::{IceServer, Rate, Standings, VERSION, limits};

/// What a node is and how much it takes.
#[derive(Clone)]
pub struct Config {
    /// The Ed25519 secret; its public key is the [`Peer`] that others see.
    pub secret: [u8; 32],
    /// Program and version, for people; at most 64 bytes are told.
    pub agent: String,
    /// The version spoken. Anything but [`VERSION`] is for tests.
    pub version: u16,
    /// Whether most others are linked to this node only. It then hands every message to every subscriber, and carries
    /// circuits without end, for those that its caller admits ([`Net::admit`](crate::Net::admit)). It also keeps who announces
    /// a key, and gives reservations.
    pub hub: bool,
    /// Whether nodes of other programs are peers too: they can say no version, and are taken without. They may use circuits
    /// as well, and link directly with this node. Off, for strangers use up what they can reach.
    pub open: bool,
    /// Where this node is dialled, which other programs' nodes are told with a reservation.
    pub urls: Vec<String>,
    /// Where links by TCP and QUIC are taken, at most 8. A node that listens can be reached through a NAT as well, by friends
    /// that listen, too. What came of it is told by [`Event::Listening`] and [`Event::NotListening`].
    ///
    /// [`Event::Listening`]: crate::Event::Listening
    /// [`Event::NotListening`]: crate::Event::NotListening
    #[cfg(not(target_arch = "wasm32"))]
    pub listen: Vec<Listen>,
    /// Other hubs, which this hub asks who is findable, when they are linked. At most 16.
    #[cfg(not(target_arch = "wasm32"))]
    pub hubs: Vec<Peer>,
    /// Further protocols that are spoken.
    #[cfg(feature = "streams")]
    pub others: Option<crate::Others>,
    /// How links by WebRTC are made; `None`: there are none. In a browser that knows WebRTC there are. A native node goes direct
    /// by [`Config::listen`], and only where this is `None`.
    pub direct: Option<Direct>,
    /// Payload bytes of a request, own and others'. 1 MiB.
    pub max_request: usize,
    /// Payload bytes of an answer. 4 MiB.
    pub max_response: usize,
    /// Bytes of a published message. 72 KiB.
    pub max_message: usize,
    /// For a dial with its handshakes, and for a request with its answer. 15 s.
    pub timeout: Duration,
    /// How often a link is tried with a ping. 15 s, with which a link that died without a word is noticed in a minute.
    pub ping: Duration,
    /// Links with others, inbound and outbound each. 256.
    pub max_connections: u32,
    /// Own requests under way, to all peers together. 256.
    pub max_in_flight: usize,
    /// Events that wait to be taken. 256.
    pub events: usize,
    /// Calls of [`Net`] that wait for the network. 256.
    pub commands: usize,
    /// Requests taken of one peer; over it they are answered with `Busy`. 200 at once, 100 a second.
    pub requests: Rate,
    /// What is remembered of peers, as [`Event::Judged`] told before a restart.
    pub standings: Standings,
    /// Messages taken of one peer, and sent to one; over it they are dropped, and a peer that goes on is banned. Of one peer's a
    /// quarter is handed on, of all together half as many. 1,000 at once, 200 a second; of a relay eight times as many.
    pub messages: Rate,
}

impl Config {
    /// A node with the given secret and agent and the defaults above.
    pub fn new(secret: [u8; 32], agent: impl Into<String>) -> Self {
        Config {
            secret,
            agent: agent.into(),
            version: VERSION,
            hub: false,
            open: false,
            urls: Vec::new(),
            #[cfg(not(target_arch = "wasm32"))]
            listen: Vec::new(),
            #[cfg(not(target_arch = "wasm32"))]
            hubs: Vec::new(),
            #[cfg(feature = "streams")]
            others: None,
            direct: Direct::here(),
            max_request: 1 << 20,
            max_response: 4 << 20,
            max_message: 72 * 1024,
            timeout: Duration::from_secs(15),
            ping: Duration::from_secs(15),
            max_connections: 256,
            max_in_flight: 256,
            events: 256,
            commands: 256,
            requests: Rate { burst: 200, per_second: 100 },
            messages: Rate { burst: 1_000, per_second: 200 },
            standings: Standings::default(),
        }
    }
}

/// Where a native node takes links. Port 0 is a free one.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// By TCP.
    Tcp(SocketAddr),
    /// By QUIC, which is UDP.
    Quic(SocketAddr),
}

#[cfg(not(target_arch = "wasm32"))]
impl Listen {
    /// The socket.
    pub fn socket(self) -> SocketAddr {
        match self {
            Listen::Tcp(socket) | Listen::Quic(socket) => socket,
        }
    }
}

/// How direct links are made.
#[derive(Clone)]
pub struct Direct {
    /// The browser, or what stands for one in tests.
    pub backend: Arc<dyn ledgerno_webrtc::Backend>,
    /// STUN servers, and TURN servers. None: only nodes of one machine or one network find each other.
    pub ice_servers: Vec<IceServer>,
}

impl Direct {
    /// In a browser that knows WebRTC, without any servers.
    #[cfg(target_arch = "wasm32")]
    fn here() -> Option<Self> {
        let known = js_sys::Reflect::has(&js_sys::global(), &"RTCPeerConnection".into()).unwrap_or(false);
        known.then(|| Direct { backend: Arc::new(ledgerno_webrtc::browser::Browser), ice_servers: Vec::new() })
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn here() -> Option<Self> {
        None
    }

    pub(crate) fn of(self, peer: PeerId, answers: Answers) -> (ledgerno_webrtc::Transport, ledgerno_webrtc::Behaviour) {
        let config = ledgerno_webrtc::Config {
            ice_servers: self.ice_servers,
            answers,
            max_inbound_streams: limits::MAX_STREAMS,
            ..ledgerno_webrtc::Config::default()
        };
        ledgerno_webrtc::new(peer, config, self.backend)
    }
}
