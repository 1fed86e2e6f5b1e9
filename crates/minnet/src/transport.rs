//! The links that bytes make: WebSockets, dialled or taken from an HTTP server, circuits, and natively TCP. Noise and Yamux go
//! on top.
//!
//! A circuit is dialled at `…/p2p/CARRIER/p2p-circuit/p2p/PEER`. The driver opens the stream for it, for it knows the links;
//! one that a peer asks for comes from there too, among what is accepted.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    multiaddr::Protocol,
};
use tokio::sync::{mpsc, oneshot};

use crate::{circuit::CircuitError, ws};

/// What a link runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The bytes of a link.
pub(crate) type Link = Box<dyn Io>;

/// A stream that somebody else opened, and where it came from.
pub(crate) struct Accepted {
    pub(crate) link: Link,
    /// Where it came in: at a carrier, or at no address that is known here.
    pub(crate) at: Multiaddr,
    pub(crate) from: Multiaddr,
}

/// A circuit that is dialled.
pub(crate) struct Circuit {
    pub(crate) carrier: PeerId,
    pub(crate) to: PeerId,
    pub(crate) answer: oneshot::Sender<Result<libp2p::Stream, CircuitError>>,
}

/// The address of a peer by a carrier.
pub(crate) fn circuit_address(carrier: PeerId) -> Multiaddr {
    Multiaddr::from_iter([Protocol::P2p(carrier), Protocol::P2pCircuit])
}

/// The carrier, and the peer if it is told, of a circuit's address. A direct link's address has none, though it be arranged
/// by a circuit.
pub(crate) fn circuit_of(address: &Multiaddr) -> Option<(PeerId, Option<PeerId>)> {
    let (mut carrier, mut circuit, mut peer) = (None, false, None);
    for part in address {
        match part {
            Protocol::P2p(id) if circuit => peer = Some(id),
            Protocol::P2p(id) => carrier = Some(id),
            Protocol::P2pCircuit => circuit = true,
            _ if circuit => return None,
            _ => {}
        }
    }
    carrier.filter(|_| circuit).map(|carrier| (carrier, peer))
}

/// The libp2p transport. One listener stands for all that is accepted; natively there are those of TCP besides.
pub(crate) struct Transport {
    accepted: mpsc::Receiver<Accepted>,
    circuits: mpsc::Sender<Circuit>,
    listener: Option<ListenerId>,
    #[cfg(not(target_arch = "wasm32"))]
    tcp: libp2p::tcp::tokio::Transport,
}

impl Transport {
    pub(crate) fn new(accepted: mpsc::Receiver<Accepted>, circuits: mpsc::Sender<Circuit>) -> Self {
        Transport {
            accepted,
            circuits,
            listener: None,
            #[cfg(not(target_arch = "wasm32"))]
            tcp: libp2p::tcp::tokio::Transport::default(),
        }
    }
}

impl libp2p::core::Transport for Transport {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Link>>;
    type Dial = BoxFuture<'static, io::Result<Link>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        #[cfg(not(target_arch = "wasm32"))]
        if crate::native::address::socket_of(&address).is_some_and(|(_, quic)| !quic) {
            return self.tcp.listen_on(id, address);
        }
        if self.listener.is_some() || !address.is_empty() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        // The swarm polls this transport in the same turn, so there is nobody to wake.
        self.listener = Some(id);
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        if let Some((carrier, Some(to))) = circuit_of(&address) {
            let circuits = self.circuits.clone();
            return Ok(async move {
                let (answer, answered) = oneshot::channel();
                circuits.try_send(Circuit { carrier, to, answer }).map_err(|_| io::ErrorKind::WouldBlock)?;
                let circuit = answered.await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
                circuit.map(|stream| Box::new(stream) as Link).map_err(io::Error::other)
            }
            .boxed());
        }
        #[cfg(not(target_arch = "wasm32"))]
        if crate::native::address::socket_of(&address).is_some_and(|(_, quic)| !quic) {
            let dialled = self.tcp.dial(address, opts)?;
            return Ok(async move { Ok(Box::new(dialled.await?) as Link) }.boxed());
        }
        #[cfg(target_arch = "wasm32")]
        let _: DialOpts = opts;
        let url = ws::to_url(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(async move { Ok(Box::new(ws::connect(&url).await?) as Link) }.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        #[cfg(not(target_arch = "wasm32"))]
        if let Poll::Ready(event) = Pin::new(&mut self.tcp).poll(cx) {
            return Poll::Ready(event.map_upgrade(|tcp| ready(tcp.into_inner().map(|tcp| Box::new(tcp) as Link))));
        }
        let Some(listener_id) = self.listener else { return Poll::Pending };
        // With the last handle gone nothing comes any more; the driver ends then by itself.
        let Some(accepted) = std::task::ready!(self.accepted.poll_recv(cx)) else { return Poll::Pending };
        Poll::Ready(TransportEvent::Incoming {
            listener_id,
            upgrade: ready(Ok(accepted.link)),
            local_addr: accepted.at,
            send_back_addr: accepted.from,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_circuit_is_told_from_other_addresses() {
        let (carrier, peer) = (PeerId::random(), PeerId::random());
        let address = circuit_address(carrier);
        assert_eq!(circuit_of(&address), Some((carrier, None)));
        assert_eq!(circuit_of(&address.with(Protocol::P2p(peer))), Some((carrier, Some(peer))));
        let long: Multiaddr = format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{carrier}/p2p-circuit/p2p/{peer}").parse().unwrap();
        assert_eq!(circuit_of(&long), Some((carrier, Some(peer))));
        for other in [
            format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{carrier}"),
            format!("/p2p/{carrier}/p2p-circuit/webrtc/p2p/{peer}"),
            format!("/webrtc/p2p/{peer}"),
            format!("/p2p-circuit/p2p/{peer}"),
        ] {
            assert_eq!(circuit_of(&other.parse().unwrap()), None, "{other}");
        }
    }
}
