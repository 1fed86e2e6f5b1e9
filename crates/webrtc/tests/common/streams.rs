//! A behaviour that hands out plain streams.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

use futures::channel::{mpsc, oneshot};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandlerInEvent, ToSwarm, handler::ConnectionEvent,
    },
};

const UPGRADE: ReadyUpgrade<StreamProtocol> = ReadyUpgrade::new(StreamProtocol::new("/streams-of-tests/1"));

type Reply = oneshot::Sender<Result<Stream, String>>;

pub struct Streams {
    inbound: mpsc::UnboundedSender<(ConnectionId, Stream)>,
    asks: VecDeque<(PeerId, ConnectionId, Open)>,
    moved: Vec<(ConnectionId, Multiaddr)>,
}

#[derive(Debug)]
pub struct Open(Reply);

impl Streams {
    pub fn new(inbound: mpsc::UnboundedSender<(ConnectionId, Stream)>) -> Self {
        Streams { inbound, asks: VecDeque::new(), moved: Vec::new() }
    }

    pub fn address(&self, id: ConnectionId, reply: oneshot::Sender<Result<Multiaddr, String>>) {
        let moved = self.moved.iter().find(|(moved, _)| *moved == id).map(|(_, address)| address.clone());
        drop(reply.send(moved.ok_or_else(|| "it has not changed".to_owned())));
    }

    pub fn open(&mut self, peer: PeerId, connection: ConnectionId, reply: Reply) {
        self.asks.push_back((peer, connection, Open(reply)));
    }

    fn handler(&self, connection: ConnectionId) -> Handler {
        Handler { connection, inbound: self.inbound.clone(), asks: VecDeque::new() }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(connection))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::AddressChange(change) = event {
            self.moved.push((change.connection_id, change.new.get_remote_address().clone()));
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.asks.pop_front() {
            Some((peer_id, connection, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event })
            }
            None => Poll::Pending,
        }
    }
}

pub struct Handler {
    connection: ConnectionId,
    inbound: mpsc::UnboundedSender<(ConnectionId, Stream)>,
    asks: VecDeque<Reply>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, ()> {
        SubstreamProtocol::new(UPGRADE, ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, Open(reply): Open) {
        self.asks.push_back(reply);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Reply, Infallible>> {
        match self.asks.pop_front() {
            Some(reply) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(UPGRADE, reply),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, (), Reply>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(inbound) => {
                drop(self.inbound.unbounded_send((self.connection, inbound.protocol)));
            }
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => drop(outbound.info.send(Ok(outbound.protocol))),
            ConnectionEvent::DialUpgradeError(failed) => drop(failed.info.send(Err(failed.error.to_string()))),
            _ => {}
        }
    }
}
