//! The seam to the node: here the relay's port meets the driver, and nowhere else. Until the driver is connected it
//! takes WebSockets and lets them go.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
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
    pub version: u32,
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
    /// The driver ended without being told to.
    #[error("the node stopped by itself: {0}")]
    Ended(String),
}

/// Opens the store and starts the driver. Must be called inside a `LocalSet`: the driver stays on one thread.
pub fn start(start: Start<'_>) -> Result<Host, HostError> {
    let peer = ed25519_dalek::SigningKey::from_bytes(&start.secrets.device).verifying_key().to_bytes();
    let (stop, stopped) = oneshot::channel::<()>();
    let accept: Accept = Arc::new(|_stream, from| debug!(%from, "no driver yet: let go"));
    let run = async move {
        // A dropped sender means stop as well.
        stopped.await.ok();
        Ok(())
    };
    Ok(Host { peer, accept, stop, run: run.boxed_local() })
}
