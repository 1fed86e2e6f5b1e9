//! Circuits: a link to a peer through a third one that is linked to both, as libp2p's circuit relay v2 has it.
//!
//! Who wants the link asks the carrier on a `hop` stream, the carrier asks the other on a `stop` stream, and from then on it
//! hands bytes from one stream to the other. Both ends shake hands with Noise over it, each with the key that it is known
//! by; so a carrier may cut a circuit or delay it, but can neither read it, nor change it, nor stand in the middle.
//!
//! Every node carries for the peers that it knows: a relay as much as they need, a friend's browser a little, for friends who
//! arrange a direct link. `Carrier` says how much.

mod carrier;
mod wire;

use std::io;

use futures::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt,
    future::{Either, select},
};
use futures_timer::Delay;
use libp2p::{PeerId, Stream, StreamProtocol};

pub(crate) use carrier::{Allowance, Carrier, Pass};
pub(crate) use wire::{CircuitError, Hop, Status};

use crate::{
    limits::CIRCUIT_SETUP,
    proto::{receive, send},
    rt::within,
    streams::{Opening, opened},
};

pub(crate) const HOP: StreamProtocol = StreamProtocol::new("/libp2p/circuit/relay/0.2.0/hop");
pub(crate) const STOP: StreamProtocol = StreamProtocol::new("/libp2p/circuit/relay/0.2.0/stop");

/// Bytes handed on at a time, each way.
const CHUNK: usize = 16 * 1024;

/// Any bytes as each of the messages; whether one of them was read.
#[cfg(feature = "hostile")]
pub(crate) fn read_any(bytes: &[u8]) -> bool {
    wire::read_hop(bytes).is_ok() | wire::read_stop_connect(bytes).is_ok() | wire::read_stop_status(bytes).is_ok()
}

/// The messages, for seeds.
#[cfg(feature = "hostile")]
pub(crate) fn messages(peer: PeerId) -> Vec<Vec<u8>> {
    let reserved = wire::hop_status(Status::OK, Some((7, &[vec![1, 2]])));
    vec![wire::connect(peer), wire::stop_connect(peer), reserved, wire::stop_status(Status::OK)]
}

/// Asks a carrier for a link to a peer.
pub(crate) async fn connect(opening: Opening, to: PeerId) -> Result<Stream, CircuitError> {
    let connected = async {
        let mut stream = opened(opening).await?;
        send(&mut stream, &wire::connect(to)).await?;
        match wire::read_hop(&receive(&mut stream).await?)? {
            Hop::Status(Status::OK) => Ok(stream),
            Hop::Status(status) => Err(CircuitError::Refused(status)),
            Hop::Reserve | Hop::Connect(_) => Err(CircuitError::Malformed),
        }
    };
    within(CIRCUIT_SETUP, connected.boxed()).await.unwrap_or(Err(CircuitError::Timeout))
}

/// Hears what somebody wants of this carrier.
pub(crate) async fn hear_hop(stream: &mut Stream) -> Result<Hop, CircuitError> {
    let heard = async { wire::read_hop(&receive(stream).await?) };
    within(CIRCUIT_SETUP, heard.boxed()).await.unwrap_or(Err(CircuitError::Timeout))
}

/// Hears who wants a link with this node through a carrier, and takes it.
pub(crate) async fn hear_stop(stream: &mut Stream) -> Result<PeerId, CircuitError> {
    let heard = async {
        let peer = wire::read_stop_connect(&receive(stream).await?)?;
        send(stream, &wire::stop_status(Status::OK)).await?;
        Ok(peer)
    };
    within(CIRCUIT_SETUP, heard.boxed()).await.unwrap_or(Err(CircuitError::Timeout))
}

/// Tells what became of a request; a reservation is until a time, in seconds since 1970, at addresses.
pub(crate) async fn tell_hop(stream: &mut Stream, status: Status, reserved: Option<(u64, &[Vec<u8>])>) {
    let message = wire::hop_status(status, reserved);
    if !matches!(within(CIRCUIT_SETUP, send(stream, &message).boxed()).await, Some(Ok(()))) {
        tracing::debug!("gone before it was told of its circuit");
    }
}

/// Carries: asks the other end, tells the one who wanted it, and hands bytes on until either ends, or the pass is used up.
pub(crate) async fn carry(mut source: Stream, from: PeerId, opening: Opening, pass: Pass) {
    let asked = async {
        let mut stream = opened(opening).await?;
        send(&mut stream, &wire::stop_connect(from)).await?;
        match wire::read_stop_status(&receive(&mut stream).await?)? {
            Status::OK => Ok(stream),
            status => Err(CircuitError::Refused(status)),
        }
    };
    let asked = within(CIRCUIT_SETUP, asked.boxed()).await.unwrap_or(Err(CircuitError::Timeout));
    let target = match asked {
        Ok(target) => target,
        Err(error) => {
            tracing::debug!(%error, "no circuit");
            return tell_hop(&mut source, Status::CONNECTION_FAILED, None).await;
        }
    };
    tell_hop(&mut source, Status::OK, None).await;
    let (source_in, source_out) = source.split();
    let (target_in, target_out) = target.split();
    let there = hand_on(source_in, target_out, pass.bytes).boxed();
    let back = hand_on(target_in, source_out, pass.bytes).boxed();
    let both = async {
        // One half may end before the other, unless it breaks.
        match select(there, back).await {
            Either::Left((Ok(()), other)) | Either::Right((Ok(()), other)) => other.await,
            Either::Left((Err(error), _)) | Either::Right((Err(error), _)) => Err(error),
        }
    };
    let ended = match pass.time {
        Some(time) => match select(both.boxed(), Delay::new(time)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
        },
        None => both.await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a circuit broke");
    }
}

/// Hands on what comes until its end, which is handed on too, or until more has come than may.
async fn hand_on<R, W>(mut from: R, mut to: W, most: Option<u64>) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut left = most.unwrap_or(u64::MAX);
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = from.read(&mut chunk).await?;
        if len == 0 {
            return to.close().await;
        }
        left = left.checked_sub(len as u64).ok_or(io::ErrorKind::QuotaExceeded)?;
        to.write_all(&chunk[..len]).await?;
        to.flush().await?;
    }
}
