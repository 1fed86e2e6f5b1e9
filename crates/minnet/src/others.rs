//! Streams of protocols that are not this network's, for tests with other libp2p programs: feature `streams`.

use libp2p::{Stream, StreamProtocol};
use tokio::sync::oneshot;

use crate::{
    Command, Net, NetError, Peer, RequestError,
    streams::{Opening, opened},
    swarm::Driver,
};

/// Further protocols that a node speaks.
#[derive(Clone, Copy)]
pub struct Others {
    /// Their names.
    pub protocols: &'static [StreamProtocol],
    /// Takes a stream that a peer opened. It must not wait; a stream that is dropped is reset.
    pub take: fn(Peer, StreamProtocol, Stream),
}

impl Net {
    /// Opens a stream to a linked peer, of any protocol, over the link that is used.
    pub async fn open(&self, peer: Peer, protocol: StreamProtocol) -> Result<Stream, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Open(peer, protocol, answer)).map_err(|error| match error {
            NetError::Closed => RequestError::Closed,
            _ => RequestError::Overloaded,
        })?;
        let opening = answered.await.map_err(|_| RequestError::NotConnected)?;
        Ok(opened(opening).await?)
    }
}

impl Driver {
    pub(crate) fn open(&mut self, peer: Peer, protocol: StreamProtocol, answer: oneshot::Sender<Opening>) {
        let Some(id) = peer.to_id() else { return };
        let Some(link) = self.linked.get(&id).and_then(|linked| linked.current) else { return };
        if answer.send(self.swarm.behaviour_mut().streams.open(id, link, protocol)).is_err() {
            tracing::trace!("a stream that nobody waits for");
        }
    }
}
