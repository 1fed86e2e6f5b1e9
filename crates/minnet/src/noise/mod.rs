//! Noise as libp2p speaks it: `Noise_XX_25519_ChaChaPoly_SHA256` under `/noise`, and the link that comes of it.
//!
//! Both sides show a fresh key, then their static Diffie-Hellman key, sealed; with it goes the node's Ed25519 key and its
//! signature over `noise-libp2p-static-key:` and the static key. So whoever ends the handshake has proved to hold the
//! Ed25519 key that is its peer id.
//!
//! - Each message of the handshake and each frame after it has its length before it: two bytes, big-endian.
//! - Of the payload (protobuf) the identity key and the signature are read, unknown fields are passed over. An identity
//!   that is no Ed25519 key is refused, and so is a static key that gives an all-zero secret.
//! - A frame that does not open ends the link.
//!
//! libp2p's own crate speaks the same, with the same bytes (the tests link both ways); but to the page it brings six
//! ciphers and hashes that are never chosen, and an older curve.

mod handshake;
mod link;
mod payload;
mod symmetric;

use std::{io, iter, sync::Arc};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    PeerId,
    core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    identity::Keypair,
};
use x25519_dalek::StaticSecret;

pub(crate) use link::Link;

/// Why a link is not, or no longer, secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoiseError {
    /// It ends within a field, or has one twice as long as itself.
    #[error("a message of the handshake is cut, or malformed")]
    Malformed,
    /// The peer's identity is no Ed25519 key.
    #[error("the peer's key is no Ed25519 key")]
    OtherKey,
    /// Changed on its way, or sealed with another key.
    #[error("a message does not open")]
    Changed,
    /// The signature over the static key is not by the identity.
    #[error("the peer does not hold the key that it shows")]
    Signature,
    /// A key that gives the same secret with every other.
    #[error("a key of small order")]
    SmallOrder,
    /// 2^64 - 1 frames on one link.
    #[error("the link is used up")]
    UsedUp,
    /// The system has no randomness.
    #[error("the system gives no randomness")]
    Random,
}

impl From<NoiseError> for io::Error {
    fn from(error: NoiseError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// The upgrade of a plain link to a secure one.
#[derive(Clone)]
pub(crate) struct Noise(Arc<handshake::Local>);

impl Noise {
    /// For a node. The static key is made here and lives as long as this does.
    pub(crate) fn new(identity: &Keypair) -> Result<Self, NoiseError> {
        let secret = random()?;
        let public = x25519_dalek::PublicKey::from(&secret);
        let key = identity.public().try_into_ed25519().map_err(|_| NoiseError::OtherKey)?.to_bytes();
        let signature = identity.sign(&payload::signed(public.as_bytes())).map_err(|_| NoiseError::OtherKey)?;
        Ok(Noise(Arc::new(handshake::Local { secret, public, payload: payload::write(&key, &signature) })))
    }
}

fn random() -> Result<StaticSecret, NoiseError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| NoiseError::Random)?;
    Ok(StaticSecret::from(secret))
}

impl UpgradeInfo for Noise {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/noise")
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<T> for Noise {
    type Output = (PeerId, Link<T>);
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_inbound(self, io: T, _: Self::Info) -> Self::Future {
        async move { handshake::run(&self.0, io, handshake::Role::Responder).await }.boxed()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<T> for Noise {
    type Output = (PeerId, Link<T>);
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_outbound(self, io: T, _: Self::Info) -> Self::Future {
        async move { handshake::run(&self.0, io, handshake::Role::Initiator).await }.boxed()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
