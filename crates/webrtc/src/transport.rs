//! The libp2p transport: dials `/webrtc/p2p/X` and `<relay>/p2p-circuit/webrtc/p2p/X`, and answers offers while it listens
//! on `/webrtc`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    future::{BoxFuture, Either, select},
};
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    multiaddr::Protocol,
};

use crate::backend::{Backend, Handle};
use crate::behaviour::{Ask, Offer};
use crate::config::Config;
use crate::error::{Cause, Error, Step};
use crate::muxer::{Io, Muxer};
use crate::negotiate::Negotiation;
use crate::signalling::Role;

/// What a dial or an answer gives.
type Made = Result<(PeerId, Muxer), Error>;

/// Where a dial goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) peer: PeerId,
    /// The relayed address of the peer, if the dialled one names it.
    pub(crate) relayed: Option<Multiaddr>,
}

impl Target {
    /// `None`: not an address of this transport.
    pub(crate) fn of(address: &Multiaddr) -> Option<Self> {
        let mut before = Multiaddr::empty();
        let mut parts = address.iter();
        let mut last = None;
        loop {
            match parts.next()? {
                Protocol::WebRTC => break,
                part => {
                    last = Some(part.clone());
                    before.push(part);
                }
            }
        }
        let (Some(Protocol::P2p(peer)), None) = (parts.next(), parts.next()) else { return None };
        let relayed = match last {
            None => None,
            Some(Protocol::P2pCircuit) => Some(before.with(Protocol::P2p(peer))),
            Some(_) => return None,
        };
        Some(Target { peer, relayed })
    }
}

/// The address of a direct link with a peer.
fn direct(peer: PeerId) -> Multiaddr {
    Multiaddr::from_iter([Protocol::WebRTC, Protocol::P2p(peer)])
}

/// See the crate's documentation.
pub struct Transport {
    local: PeerId,
    config: Arc<Config>,
    backend: Arc<dyn Backend>,
    asks: mpsc::Sender<Ask>,
    offers: mpsc::Receiver<Offer>,
    /// And whether it has been announced.
    listener: Option<(ListenerId, bool)>,
    /// One that was removed, and this not yet said.
    removed: Option<ListenerId>,
    task: Option<std::task::Waker>,
}

impl Transport {
    pub(crate) fn new(
        local: PeerId,
        config: Arc<Config>,
        backend: Arc<dyn Backend>,
        asks: mpsc::Sender<Ask>,
        offers: mpsc::Receiver<Offer>,
    ) -> Self {
        Transport { local, config, backend, asks, offers, listener: None, removed: None, task: None }
    }

    fn offer(&self, target: Target) -> BoxFuture<'static, Made> {
        let (config, backend, mut asks) = (Arc::clone(&self.config), Arc::clone(&self.backend), self.asks.clone());
        async move {
            let peer = target.peer;
            let moved = target.relayed.is_some().then(|| direct(peer));
            let deadline = Delay::new(config.timeout);
            let (reply, stream) = oneshot::channel();
            asks.try_send(Ask { target, reply }).map_err(|error| {
                Error::new(Step::Carrier, if error.is_full() { Cause::Busy } else { Cause::Stopped })
            })?;
            let (stream, deadline) = match select(stream, deadline).await {
                Either::Left((Ok(stream), deadline)) => (stream?, deadline),
                Either::Left((Err(_), _)) => return Err(Error::new(Step::Stream, Cause::Interrupted)),
                Either::Right(_) => return Err(Error::new(Step::Carrier, Cause::TimedOut)),
            };
            link(Role::Offerer, peer, Box::new(stream), &*backend, &config, deadline, moved).await
        }
        .boxed()
    }

    fn answer(&self, offer: Offer) -> BoxFuture<'static, Made> {
        let (config, backend) = (Arc::clone(&self.config), Arc::clone(&self.backend));
        async move {
            let deadline = Delay::new(config.timeout);
            let stream = Box::new(offer.stream);
            let made = link(Role::Answerer, offer.peer, stream, &*backend, &config, deadline, None).await;
            drop(offer.permits);
            made
        }
        .boxed()
    }
}

/// Opens a peer connection and negotiates; the future owns both, so that dropping it ends both.
async fn link(
    role: Role,
    peer: PeerId,
    stream: Box<dyn Io>,
    backend: &dyn Backend,
    config: &Config,
    deadline: Delay,
    moved: Option<Multiaddr>,
) -> Made {
    let handle = Handle::open(backend, config);
    let (handle, stream) = Negotiation::new(role, stream, handle, deadline).await?;
    Ok((peer, Muxer::new(handle, stream, moved)))
}

impl libp2p::core::Transport for Transport {
    type Output = (PeerId, Muxer);
    type Error = Error;
    type ListenerUpgrade = BoxFuture<'static, Made>;
    type Dial = BoxFuture<'static, Made>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Error>> {
        if self.listener.is_some() || address != Multiaddr::from(Protocol::WebRTC) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.listener = Some((id, false));
        if let Some(task) = self.task.take() {
            task.wake();
        }
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let ours = self.listener.is_some_and(|(listener, _)| listener == id);
        if ours {
            self.listener = None;
            self.removed = Some(id);
            if let Some(task) = self.task.take() {
                task.wake();
            }
        }
        ours
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<Error>> {
        // Nobody reaches himself by a connection of his.
        let target = Target::of(&address).filter(|target| target.peer != self.local);
        let target = target.ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(self.offer(target))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Error>> {
        if let Some(listener_id) = self.removed.take() {
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason: Ok(()) });
        }
        if let Some((listener_id, announced @ false)) = &mut self.listener {
            *announced = true;
            let listen_addr = Multiaddr::from(Protocol::WebRTC);
            return Poll::Ready(TransportEvent::NewAddress { listener_id: *listener_id, listen_addr });
        }
        while let Poll::Ready(Some(offer)) = self.offers.poll_next_unpin(cx) {
            // Whoever does not listen breaks the stream off.
            if let Some((listener_id, _)) = self.listener {
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id,
                    local_addr: Multiaddr::from(Protocol::WebRTC),
                    send_back_addr: direct(offer.peer),
                    upgrade: self.answer(offer),
                });
            }
        }
        self.task = Some(cx.waker().clone());
        Poll::Pending
    }
}
