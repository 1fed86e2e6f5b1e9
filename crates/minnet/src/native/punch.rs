//! Hole punching, libp2p's DCUtR: <https://github.com/libp2p/specs/blob/master/relay/DCUtR.md>. Two that have a circuit tell
//! each other where they were seen, and then dial at the same moment, so that each NAT takes the other for an answer.
//!
//! Here is what is said on the stream. Whoever began takes the listener's part in the link that comes of it.

use std::io;

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, FutureExt};
use futures_timer::Delay;
use libp2p::{Multiaddr, StreamProtocol};
use web_time::Instant;

use super::address::socket_of;
use crate::{
    limits::{CIRCUIT_SETUP, MAX_CANDIDATES},
    proto::{Fields, Malformed, Value, put_bytes, put_number, receive, send},
    rt::within,
    streams::{OpenError, Opening, opened},
};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/libp2p/dcutr");

const TYPE: u8 = 1;
const ADDRESS: u8 = 2;
const CONNECT: u64 = 100;
const SYNC: u64 = 300;

/// Why nothing comes of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PunchError {
    #[error("no answer in time")]
    Timeout,
    #[error("a malformed message")]
    Malformed,
    #[error(transparent)]
    NoStream(#[from] OpenError),
    #[error("the stream broke: {0}")]
    Broken(#[from] io::Error),
}

impl From<Malformed> for PunchError {
    fn from(_: Malformed) -> Self {
        PunchError::Malformed
    }
}

fn message(kind: u64, addresses: &[Multiaddr]) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, TYPE, kind);
    for address in addresses {
        put_bytes(&mut message, ADDRESS, address.as_ref());
    }
    message
}

/// The addresses in a message of a kind, as far as they are those of sockets, and no more than are tried.
fn read(message: &[u8], kind: u64) -> Result<Vec<Multiaddr>, Malformed> {
    let (mut found, mut addresses) = (None, Vec::new());
    for field in Fields(message) {
        match field? {
            (field, Value::Number(number)) if field == u64::from(TYPE) => found = Some(number),
            (field, Value::Bytes(bytes)) if field == u64::from(ADDRESS) && addresses.len() < MAX_CANDIDATES => {
                let address = Multiaddr::try_from(bytes.to_vec()).ok();
                addresses.extend(address.filter(|address| socket_of(address).is_some()));
            }
            _ => {}
        }
    }
    if found == Some(kind) { Ok(addresses) } else { Err(Malformed) }
}

/// Begins: asks where the peer was seen, and gives the moment to dial.
pub(crate) async fn ask(opening: Opening, own: &[Multiaddr]) -> Result<Vec<Multiaddr>, PunchError> {
    let asked = async { begin(opened(opening).await?, own).await };
    within(CIRCUIT_SETUP, asked.boxed()).await.unwrap_or(Err(PunchError::Timeout))
}

async fn begin(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    own: &[Multiaddr],
) -> Result<Vec<Multiaddr>, PunchError> {
    let said = Instant::now();
    send(&mut stream, &message(CONNECT, own)).await?;
    let theirs = read(&receive(&mut stream).await?, CONNECT)?;
    let half = said.elapsed() / 2;
    send(&mut stream, &message(SYNC, &[])).await?;
    stream.close().await?;
    // The peer dials when it hears that.
    Delay::new(half).await;
    Ok(theirs)
}

/// Answers: tells where this node was seen, and returns at the moment to dial.
pub(crate) async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    own: &[Multiaddr],
) -> Result<Vec<Multiaddr>, PunchError> {
    let answered = async {
        let theirs = read(&receive(&mut stream).await?, CONNECT)?;
        send(&mut stream, &message(CONNECT, own)).await?;
        read(&receive(&mut stream).await?, SYNC)?;
        Ok(theirs)
    };
    within(CIRCUIT_SETUP, answered.boxed()).await.unwrap_or(Err(PunchError::Timeout))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    fn at(ports: std::ops::Range<u16>) -> Vec<Multiaddr> {
        ports.map(|port| format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn both_learn_where_the_other_was_seen() {
        let (one, other) = tokio::io::duplex(4_096);
        let (one, other) = (Compat(one), Compat(other));
        let (own, theirs) = (at(1..3), at(3..4));
        let (asked, answered) = tokio::join!(begin(one, &own), answer(other, &theirs));
        assert_eq!((asked.unwrap(), answered.unwrap()), (theirs, own));
    }

    #[test]
    fn no_more_addresses_are_read_than_are_tried_and_only_those_of_sockets() {
        let mut many = at(1..100);
        many.insert(0, "/dns/a/tcp/1".parse().unwrap());
        many.insert(0, "/ip4/192.0.2.1/tcp/1/ws".parse().unwrap());
        assert_eq!(read(&message(CONNECT, &many), CONNECT).unwrap(), at(1..9));
        assert!(read(&message(SYNC, &[]), CONNECT).is_err());
        assert!(read(&[], CONNECT).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(addresses) = read(&bytes, CONNECT) {
                prop_assert!(addresses.len() <= MAX_CANDIDATES);
            }
        }
    }

    /// tokio's pipe with the other traits.
    struct Compat(tokio::io::DuplexStream);

    impl AsyncRead for Compat {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buf: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            let mut buf = tokio::io::ReadBuf::new(buf);
            let polled = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut buf);
            polled.map_ok(|()| buf.filled().len())
        }
    }

    impl AsyncWrite for Compat {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buf: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            tokio::io::AsyncWrite::poll_write(std::pin::Pin::new(&mut self.0), cx, buf)
        }

        fn poll_flush(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            tokio::io::AsyncWrite::poll_flush(std::pin::Pin::new(&mut self.0), cx)
        }

        fn poll_close(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(&mut self.0), cx)
        }
    }
}
