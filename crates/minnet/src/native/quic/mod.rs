//! QUIC by quinn: encrypted streams over UDP, with TLS that proves who is there ([`tls`]).
//!
//! Of its own, for libp2p's brings a second crypto provider into the program. Wire-compatible with it. What a link may hold
//! is bounded as with Yamux: so many streams, so many bytes unread.

mod mux;
mod tls;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        Endpoint,
        transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    },
    identity::Keypair,
};
use quinn::{
    ClientConfig, Connecting, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

pub(crate) use mux::Muxer;

use super::address::{of_socket, socket_of};
use crate::{
    StartError,
    limits::{LINK_WINDOW, MAX_ACCEPTING, MAX_DIALS, MAX_STREAMS, STREAM_WINDOW},
    rt::within,
};

/// A link on which nothing comes for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often something is said, for NATs forget.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Between two packets that open a NAT, and how many are sent.
const KNOCK: (Duration, u32) = (Duration::from_millis(100), 50);
/// Nobody is asked for by name; TLS wants one.
const NAME: &str = "l";

type Made = (PeerId, Muxer);

struct Listener {
    id: ListenerId,
    endpoint: quinn::Endpoint,
    at: SocketAddr,
    /// The same socket, to knock with.
    socket: UdpSocket,
    accepting: BoxFuture<'static, Option<Incoming>>,
}

/// The libp2p transport.
pub(crate) struct Quic {
    client: ClientConfig,
    server: ServerConfig,
    timeout: Duration,
    listeners: Vec<Listener>,
    /// For dials without a listener: over IPv4, and over IPv6.
    dialers: [Option<quinn::Endpoint>; 2],
    /// Who is expected to come, for a hole was opened for it. Bounded by the dials.
    expected: HashMap<SocketAddr, oneshot::Sender<Connecting>>,
    told: VecDeque<(ListenerId, Multiaddr)>,
    waker: Option<Waker>,
}

impl Quic {
    pub(crate) fn new(key: &Keypair, timeout: Duration) -> Result<Self, StartError> {
        let wrong = |reason: String| StartError::Config { part: "quic", reason };
        let (client, server) = tls::configs(key).map_err(|error| wrong(error.to_string()))?;
        let client = QuicClientConfig::try_from(client).map_err(|error| wrong(error.to_string()))?;
        let server = QuicServerConfig::try_from(server).map_err(|error| wrong(error.to_string()))?;
        let bounds = Arc::new(bounds().map_err(|error| wrong(error.to_string()))?);
        let mut client = ClientConfig::new(Arc::new(client));
        client.transport_config(bounds.clone());
        let mut server = ServerConfig::with_crypto(Arc::new(server));
        server.transport_config(bounds).migration(false).max_incoming(MAX_ACCEPTING);
        Ok(Quic {
            client,
            server,
            timeout,
            listeners: Vec::new(),
            dialers: [None, None],
            expected: HashMap::new(),
            told: VecDeque::new(),
            waker: None,
        })
    }

    /// The listener from which a peer at a socket is dialled.
    fn listener(&self, to: SocketAddr) -> Option<&Listener> {
        self.listeners.iter().find(|listener| {
            let own = listener.at.ip();
            own.is_ipv4() == to.is_ipv4() && (own.is_unspecified() || own.is_loopback() == to.ip().is_loopback())
        })
    }

    fn dialer(&mut self, to: SocketAddr) -> io::Result<quinn::Endpoint> {
        if let Some(listener) = self.listener(to) {
            return Ok(listener.endpoint.clone());
        }
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let dialer = &mut self.dialers[usize::from(to.is_ipv6())];
        match dialer {
            Some(endpoint) => Ok(endpoint.clone()),
            None => {
                let socket = bind(SocketAddr::new(any, 0))?;
                Ok(dialer.insert(endpoint(None, socket)?).clone())
            }
        }
    }

    /// Opens a hole for a peer, and waits until it comes through.
    fn expect(&mut self, from: SocketAddr) -> io::Result<BoxFuture<'static, io::Result<Made>>> {
        let listener = self.listener(from).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = listener.socket.try_clone()?;
        self.expected.retain(|_, waits| !waits.is_closed());
        // As many addresses as are tried in each of the dials.
        if self.expected.len() >= MAX_DIALS * crate::limits::MAX_CANDIDATES {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // Who names another's address does not take its place.
        if self.expected.contains_key(&from) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let (expects, comes) = oneshot::channel();
        self.expected.insert(from, expects);
        let timeout = self.timeout;
        let knocks = async move {
            for _ in 0..KNOCK.1 {
                // It says nothing, and has only to leave; whether it does is not known in any case.
                if let Err(error) = socket.send_to(&[0; 64], from) {
                    tracing::trace!(%error, "not knocked");
                }
                tokio::time::sleep(KNOCK.0).await;
            }
            std::future::pending::<()>().await;
        };
        Ok(async move {
            match within(timeout, select(comes, knocks.boxed())).await {
                Some(Either::Left((came, _))) => {
                    finish(came.map_err(|_| io::ErrorKind::ConnectionAborted)?, timeout).await
                }
                Some(Either::Right(_)) | None => Err(io::ErrorKind::TimedOut.into()),
            }
        }
        .boxed())
    }

    /// Somebody comes: whoever is expected, or a stranger.
    fn came(&mut self, at: usize, incoming: Incoming) -> Option<TransportEvent<Upgrade, io::Error>> {
        let from = incoming.remote_address();
        if let Some(waits) = self.expected.remove(&from).filter(|waits| !waits.is_closed()) {
            match incoming.accept() {
                Ok(connecting) => {
                    if waits.send(connecting).is_err() {
                        tracing::debug!(%from, "came too late");
                    }
                }
                Err(error) => tracing::debug!(%from, %error, "came in vain"),
            }
            return None;
        }
        // Who gives another's address takes no place here.
        if !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%from, %error, "is not asked to come again");
            }
            return None;
        }
        let (listener, timeout) = (&self.listeners[at], self.timeout);
        Some(TransportEvent::Incoming {
            listener_id: listener.id,
            // Dropped before it is accepted, it is refused.
            upgrade: async move { finish(incoming.accept()?, timeout).await }.boxed(),
            local_addr: of_socket(listener.at, true),
            send_back_addr: of_socket(from, true),
        })
    }
}

type Upgrade = BoxFuture<'static, io::Result<Made>>;

/// What a link may hold.
fn bounds() -> Result<TransportConfig, quinn::VarIntBoundsExceeded> {
    let mut bounds = TransportConfig::default();
    bounds
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_concurrent_bidi_streams(VarInt::try_from(MAX_STREAMS as u64)?)
        .stream_receive_window(VarInt::try_from(STREAM_WINDOW as u64)?)
        .receive_window(VarInt::try_from(LINK_WINDOW as u64)?)
        // Kept until the other side has acknowledged it.
        .send_window(4 * STREAM_WINDOW as u64)
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(SILENCE.try_into()?));
    Ok(bounds)
}

/// A socket of one family only, as those for TCP are.
fn bind(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket.into())
}

fn endpoint(server: Option<ServerConfig>, socket: UdpSocket) -> io::Result<quinn::Endpoint> {
    quinn::Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
}

/// Waits for the handshake, and says who is there.
async fn finish(connecting: Connecting, timeout: Duration) -> io::Result<Made> {
    let link = within(timeout, connecting.boxed()).await.ok_or(io::ErrorKind::TimedOut)??;
    let shown = link.peer_identity().and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificate = shown.and_then(|shown| shown.into_iter().next()).ok_or(io::ErrorKind::InvalidData)?;
    let id = tls::peer_of(&certificate).map_err(io::Error::other)?;
    Ok((id, Muxer::new(link)))
}

impl libp2p::core::Transport for Quic {
    type Output = Made;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = BoxFuture<'static, io::Result<Made>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let Some((at, true)) = socket_of(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        let listen = || {
            let socket = bind(at)?;
            let knocks = socket.try_clone()?;
            let endpoint = endpoint(Some(self.server.clone()), socket)?;
            let at = endpoint.local_addr()?;
            let accepts = endpoint.clone();
            let accepting = async move { accepts.accept().await }.boxed();
            Ok(Listener { id, endpoint, at, socket: knocks, accepting })
        };
        let listener = listen().map_err(TransportError::Other)?;
        self.told.push_back((id, of_socket(listener.at, true)));
        self.listeners.push(listener);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some((to, true)) = socket_of(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        if opts.role == Endpoint::Listener {
            return self.expect(to).map_err(TransportError::Other);
        }
        let endpoint = self.dialer(to).map_err(TransportError::Other)?;
        let (client, timeout) = (self.client.clone(), self.timeout);
        Ok(async move {
            let connecting = endpoint.connect_with(client, to, NAME).map_err(io::Error::other)?;
            finish(connecting, timeout).await
        }
        .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade, io::Error>> {
        if let Some((listener_id, listen_addr)) = self.told.pop_front() {
            return Poll::Ready(TransportEvent::NewAddress { listener_id, listen_addr });
        }
        for at in 0..self.listeners.len() {
            while let Poll::Ready(came) = self.listeners[at].accepting.poll_unpin(cx) {
                let Some(incoming) = came else {
                    let listener_id = self.listeners.swap_remove(at).id;
                    let reason = Err(io::ErrorKind::ConnectionAborted.into());
                    return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason });
                };
                let accepts = self.listeners[at].endpoint.clone();
                self.listeners[at].accepting = async move { accepts.accept().await }.boxed();
                if let Some(event) = self.came(at, incoming) {
                    return Poll::Ready(event);
                }
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
