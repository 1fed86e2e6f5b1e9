//! The seam to the node: here the relay's port meets the driver, and nowhere else.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_node::store::StoreError;
use ledgerno_node::store::redb::Redb;
use ledgerno_node::{KeeperConfig, Listen, Node, NodeError};
use tokio::sync::oneshot;
use tracing::debug;

use crate::http::Accept;
use crate::secrets::Secrets;

/// What the driver is started with.
pub struct Start<'a> {
    /// The data folder; the store's file is put into it.
    pub data: &'a Path,
    /// The relay's device key, and the token that lets register circles.
    pub secrets: &'a Secrets,
    /// The protocol version to speak.
    pub version: u16,
    /// Whether it keeps everything for everybody.
    pub archive: bool,
    /// Whether other libp2p programs' nodes may link, and use circuits.
    pub open: bool,
    /// The page's URL, which is the node's too.
    pub url: &'a str,
    /// How many connections the port lets in.
    pub connections: usize,
    /// Where links of native nodes are taken besides.
    pub listen: Vec<Listen>,
    /// Other relays, to which links are kept.
    pub relays: Vec<RelayAddress>,
}

/// A driver that is started.
pub struct Host {
    /// The relay's libp2p peer: its device's public key.
    pub peer: [u8; 32],
    /// Takes upgraded WebSockets.
    pub accept: Accept,
    /// Tells the driver to stop.
    pub stop: oneshot::Sender<()>,
    /// The driver's life: ends once it was told to stop and its store has committed, or when it cannot go on.
    pub run: LocalBoxFuture<'static, Result<(), HostError>>,
}

/// Why the node does not run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The store or what it holds can not be read. Nothing was written over it.
    #[error(
        "{0}. Nothing was changed. Put a backup of the file into its place; or move it away and start again with an empty \
         relay: friends keep what they hold, but circles that this relay kept have to be started anew"
    )]
    Damaged(NodeError),
    /// Another process has the store.
    #[error("{0}. Stop that relay, or choose another folder with --data DIR")]
    InUse(NodeError),
    /// Anything else.
    #[error("the node does not start: {0}")]
    Node(NodeError),
    /// The driver ended without being told to.
    #[error("the node stopped by itself: {0}")]
    Ended(&'static str),
}

impl From<NodeError> for HostError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Store(StoreError::InUse { .. }) => HostError::InUse(error),
            NodeError::Store(StoreError::Damaged { .. }) | NodeError::Open(_) | NodeError::Record(_) => {
                HostError::Damaged(error)
            }
            error => HostError::Node(error),
        }
    }
}

/// Opens the store and starts the driver. Called inside a `LocalSet`: the driver stays on one thread.
pub async fn start(start: Start<'_>) -> Result<Host, HostError> {
    let store = Redb::open(start.data).await.map_err(NodeError::from)?;
    let config = KeeperConfig {
        device: start.secrets.device,
        token: start.secrets.owner.text(),
        agent: concat!("ledgerno-relay/", env!("CARGO_PKG_VERSION")).to_owned(),
        version: start.version,
        archive: start.archive,
        open: start.open,
        // http becomes ws, and https wss.
        url: start.url.replacen("http", "ws", 1),
        max_connections: u32::try_from(start.connections).unwrap_or(u32::MAX),
        listen: start.listen,
        relays: start.relays,
    };
    let (node, net) = Node::keeper(store, config).await?;
    let peer = net.peer().0;
    let accept: Accept = Arc::new(move |stream, from| {
        // The stream is dropped with the error, which closes it: the page tries again later.
        if let Err(error) = net.accept(stream, from) {
            debug!(%from, %error, "a WebSocket was not taken");
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let run = async move {
        // A sender that is gone means stop as well.
        stopped.await.ok();
        node.close().await;
        Ok(())
    };
    Ok(Host { peer, accept, stop, run: run.boxed_local() })
}
