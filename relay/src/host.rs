//! The seam to the node: here the relay's port meets the driver, and nowhere else. As yet the network runs alone: peers
//! can connect, and every request is refused because nobody takes it.

use std::path::Path;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use ledgerno_minnet as minnet;
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
    /// How many connections the port lets in.
    pub connections: usize,
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
    /// The network does not start.
    #[error("the network does not start: {0}")]
    Net(#[from] minnet::StartError),
    /// The driver ended without being told to.
    #[error("the node stopped by itself: {0}")]
    Ended(&'static str),
}

/// Opens the store and starts the driver. Called inside a `LocalSet`: the driver stays on one thread.
pub fn start(start: Start<'_>) -> Result<Host, HostError> {
    let agent = concat!("ledgerno-relay/", env!("CARGO_PKG_VERSION"));
    let config = minnet::Config {
        version: start.version,
        hub: true,
        max_connections: u32::try_from(start.connections).unwrap_or(u32::MAX),
        ..minnet::Config::new(start.secrets.device, agent)
    };
    let (net, mut events, network) = minnet::start(config)?;
    let peer = net.peer().0;
    // The network ends with its last handle, and the port drops its own before the driver is told to stop.
    let held = net.clone();
    let accept: Accept = Arc::new(move |stream, from| {
        // The stream is dropped with the error, which closes it: the page tries again later.
        if let Err(error) = net.accept(stream, from) {
            debug!(%from, %error, "a WebSocket was not taken");
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let run = async move {
        let network = tokio::spawn(network);
        let drained = async { while events.next().await.is_some() {} };
        let ended = tokio::select! {
            // A sender that is gone means stop as well.
            _ = stopped => {
                network.abort();
                Ok(())
            }
            () = drained => Err(HostError::Ended("its network is gone")),
        };
        drop(held);
        ended
    };
    Ok(Host { peer, accept, stop, run: run.boxed_local() })
}
