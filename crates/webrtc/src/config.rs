//! What may be set, and every bound with its default.

use std::time::Duration;

/// A public STUN server, for nodes that meet over the internet: [`Config::ice_servers`] is empty by default, with which
/// only nodes of one machine or one network find each other. Whoever runs it learns the address of who asks, nothing else.
pub const DEFAULT_STUN: &str = "stun:stun.cloudflare.com:3478";

/// A server that tells a node its public address (`stun:`), or that carries its packets (`turn:`, `turns:`).
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// One or more URLs of the same server.
    pub urls: Vec<String>,
    /// User name and credential; TURN asks for them.
    pub login: Option<(String, String)>,
}

impl IceServer {
    /// A server that asks for no login.
    pub fn new(url: impl Into<String>) -> Self {
        IceServer { urls: vec![url.into()], login: None }
    }
}

impl std::fmt::Debug for IceServer {
    /// Without the login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.urls).finish()
    }
}

/// Whose offers are answered. An answer tells the peer this node's addresses, and costs a peer connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// Everybody's who has a connection.
    #[default]
    Everybody,
    /// Those of peers that [`Behaviour::welcome`](crate::Behaviour::welcome) names. The offer of another costs nothing; the
    /// newest of a connection is kept for 5 s, unread, and answered if its peer is named meanwhile.
    Welcome,
}

/// How links are made and how much a peer may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Servers that help to find a way. None.
    pub ice_servers: Vec<IceServer>,
    /// For a dial from its beginning to the standing link, and so for an answer. 20 s.
    pub timeout: Duration,
    /// Whose offers are answered. Everybody's.
    pub answers: Answers,
    /// Offers of others that are answered at the same time, all peers together; more are refused. 16.
    pub max_answering: usize,
    /// The same for one connection that carries them. 2.
    pub max_answering_per_connection: usize,
    /// Offers of others that are taken within a second from one connection; more are refused. 8.
    pub max_offers_per_second: usize,
    /// Streams of a link that the other side opened; more are closed as they come. 64.
    pub max_inbound_streams: usize,
    /// Streams of a link that this side opened; more wait. 128.
    pub max_outbound_streams: usize,
    /// Bytes of a stream that a peer may send ahead of the reader, if it knows our windows; at least 256 KiB, for that
    /// much is taken before anything is said. 1 MiB: 10 MB a second over a round trip of 100 ms.
    pub window: u32,
    /// The same for peers that know no windows; a stream that goes over it is reset. 4 MiB.
    pub max_unread: u32,
    /// Unread bytes of all streams of a link together, whatever the peer knows; the stream that goes over it is reset.
    /// 16 MiB.
    pub max_link_unread: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ice_servers: Vec::new(),
            timeout: Duration::from_secs(20),
            answers: Answers::Everybody,
            max_answering: 16,
            max_answering_per_connection: 2,
            max_offers_per_second: 8,
            max_inbound_streams: 64,
            max_outbound_streams: 128,
            window: 1024 * 1024,
            max_unread: 4 * 1024 * 1024,
            max_link_unread: 16 * 1024 * 1024,
        }
    }
}
