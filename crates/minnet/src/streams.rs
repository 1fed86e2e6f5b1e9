//! Streams by the name of their protocol: what every protocol stands on.
//!
//! [`Streams::open`] gives a stream on one certain link; what others open comes out as a [`Came`]. What is said on a stream
//! is an async function's business, so that a protocol is written as it runs. With the link, what was asked of it ends.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};

use futures::future::{Ready, ready};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::oneshot;

use crate::{
    Peer,
    limits::{MAX_STREAMS, NEGOTIATION},
};

/// Why there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The link is gone, or breaks.
    #[error("the link is gone")]
    Gone,
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// The peer says nothing.
    #[error("no answer in time")]
    Timeout,
    /// Too many are being opened.
    #[error("too many streams are being opened")]
    TooMany,
}

/// Why a link was refused before it stood.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer's key is no Ed25519 key")]
pub(crate) struct OtherKey;

/// Where a stream will be.
pub(crate) type Opening = oneshot::Receiver<Result<Stream, OpenError>>;

/// The stream, once it is there.
pub(crate) async fn opened(opening: Opening) -> Result<Stream, OpenError> {
    opening.await.unwrap_or(Err(OpenError::Gone))
}

/// A stream that a peer opened.
pub(crate) struct Came {
    pub(crate) peer: PeerId,
    pub(crate) link: ConnectionId,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
}

impl fmt::Debug for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.as_ref())
    }
}

/// The behaviour.
pub(crate) struct Streams {
    spoken: &'static [StreamProtocol],
    /// Until the swarm's next turn; what the driver asks in one of its own.
    asked: VecDeque<(PeerId, ConnectionId, Wanted)>,
    /// Each link hands one over at a time.
    came: VecDeque<Came>,
}

impl Streams {
    /// Takes streams of the given protocols.
    pub(crate) fn new(spoken: &'static [StreamProtocol]) -> Self {
        Streams { spoken, asked: VecDeque::new(), came: VecDeque::new() }
    }

    /// Opens a stream on a link.
    pub(crate) fn open(&mut self, peer: PeerId, link: ConnectionId, protocol: StreamProtocol) -> Opening {
        let (answer, opening) = oneshot::channel();
        self.asked.push_back((peer, link, Wanted { protocol, answer }));
        opening
    }
}

/// A stream that is to be opened. Whoever waits for it may have gone.
pub(crate) struct Wanted {
    protocol: StreamProtocol,
    answer: oneshot::Sender<Result<Stream, OpenError>>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.as_ref())
    }
}

fn tell(answer: oneshot::Sender<Result<Stream, OpenError>>, result: Result<Stream, OpenError>) {
    if answer.send(result).is_err() {
        tracing::trace!("a stream that nobody waits for");
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Came;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Handler::of(peer, self.spoken)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Handler::of(peer, self.spoken)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, link: ConnectionId, event: THandlerOutEvent<Self>) {
        let (protocol, stream) = event.0;
        self.came.push_back(Came { peer, link, protocol, stream });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(came) = self.came.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(came));
        }
        match self.asked.pop_front() {
            Some((peer_id, link, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(link), event })
            }
            // Both are filled within the driver's turns only, and the swarm is polled after each.
            None => Poll::Pending,
        }
    }
}

/// One link's part.
pub(crate) struct Handler {
    spoken: &'static [StreamProtocol],
    wanted: VecDeque<Wanted>,
    /// Bounded by the streams of a link.
    came: VecDeque<(StreamProtocol, Stream)>,
}

impl Handler {
    fn of(peer: PeerId, spoken: &'static [StreamProtocol]) -> Result<Self, ConnectionDenied> {
        Peer::from_id(peer).ok_or_else(|| ConnectionDenied::new(OtherKey))?;
        Ok(Handler { spoken, wanted: VecDeque::new(), came: VecDeque::new() })
    }
}

/// A stream and what is spoken on it.
pub(crate) struct Negotiated((StreamProtocol, Stream));

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.0.as_ref())
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Wanted;
    type ToBehaviour = Negotiated;
    type InboundProtocol = Names;
    type OutboundProtocol = Names;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Result<Stream, OpenError>>;

    fn listen_protocol(&self) -> SubstreamProtocol<Names, ()> {
        SubstreamProtocol::new(Names::Any(self.spoken), ()).with_timeout(NEGOTIATION)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Names, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        if let Some(came) = self.came.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Negotiated(came)));
        }
        match self.wanted.pop_front() {
            Some(Wanted { protocol, answer }) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Names::One(protocol), answer).with_timeout(NEGOTIATION),
            }),
            // Both are filled by calls after which the link is polled.
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, wanted: Wanted) {
        if self.wanted.len() < MAX_STREAMS {
            self.wanted.push_back(wanted);
        } else {
            tell(wanted.answer, Err(OpenError::TooMany));
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Names, Names, (), Self::OutboundOpenInfo>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.came.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                tell(info, Ok(protocol.1));
            }
            ConnectionEvent::DialUpgradeError(failed) => {
                let why = match failed.error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Apply(_) | StreamUpgradeError::Io(_) => OpenError::Gone,
                };
                tell(failed.info, Err(why));
            }
            _ => {}
        }
    }
}

/// The names that are offered, or taken.
#[derive(Clone)]
pub(crate) enum Names {
    Any(&'static [StreamProtocol]),
    One(StreamProtocol),
}

impl UpgradeInfo for Names {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        match self {
            Names::Any(names) => names.to_vec(),
            Names::One(name) => vec![name.clone()],
        }
        .into_iter()
    }
}

impl InboundUpgrade<Stream> for Names {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}

impl OutboundUpgrade<Stream> for Names {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}
