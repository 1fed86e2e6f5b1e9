//! libp2p's identify, as far as it is answered: what this node speaks. Other libp2p nodes open no streams before they know.
//! Between our own nodes the hello says what there is to say. One thing is asked, by native nodes that may be behind a NAT:
//! where the peer sees them.

#[cfg(not(target_arch = "wasm32"))]
use crate::{
    proto::{Fields, Value, receive},
    streams::{Opening, opened},
};
use futures::{AsyncWriteExt, FutureExt};
use libp2p::{Multiaddr, Stream, StreamProtocol, identity::PublicKey, multiaddr::Protocol};

use crate::{
    limits::CIRCUIT_SETUP,
    proto::{put_bytes, send},
    rt::within,
};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/id/1.0.0");

/// <https://github.com/libp2p/specs/blob/master/identify/README.md>
const PUBLIC_KEY: u8 = 1;
const PROTOCOLS: u8 = 3;
const OBSERVED: u8 = 4;
const PROTOCOL_VERSION: u8 = 5;
const AGENT: u8 = 6;

/// What is told to everybody who asks.
pub(crate) fn about(key: &PublicKey, agent: &str, protocols: &[StreamProtocol]) -> Vec<u8> {
    let mut about = Vec::new();
    put_bytes(&mut about, PUBLIC_KEY, &key.encode_protobuf());
    for protocol in protocols {
        put_bytes(&mut about, PROTOCOLS, protocol.as_ref().as_bytes());
    }
    put_bytes(&mut about, PROTOCOL_VERSION, b"ledgerno/1");
    put_bytes(&mut about, AGENT, agent.as_bytes());
    about
}

/// Adds where the peer seems to be. js-libp2p throws all of it away if that is not somewhere in the internet.
fn observe(about: &mut Vec<u8>, observed: &Multiaddr) {
    if matches!(observed.iter().next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_))) {
        put_bytes(about, OBSERVED, observed.as_ref());
    }
}

/// Tells it, and where the peer seems to be.
pub(crate) async fn tell(mut stream: Stream, mut about: Vec<u8>, observed: Multiaddr) {
    observe(&mut about, &observed);
    let told = async {
        send(&mut stream, &about).await?;
        stream.close().await
    };
    if !matches!(within(CIRCUIT_SETUP, told.boxed()).await, Some(Ok(()))) {
        tracing::debug!("gone before it was told who is here");
    }
}

/// Asks where the peer sees this node.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn observed(opening: Opening) -> Option<Multiaddr> {
    let asked = async {
        let message = receive(&mut opened(opening).await.ok()?).await.ok()?;
        let observed = Fields(&message).map_while(Result::ok).filter_map(|field| match field {
            (field, Value::Bytes(bytes)) if field == u64::from(OBSERVED) => Some(bytes.to_vec()),
            _ => None,
        });
        observed.last().and_then(|bytes| Multiaddr::try_from(bytes).ok())
    };
    within(CIRCUIT_SETUP, asked.boxed()).await.flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use libp2p::PeerId;

    use super::*;

    #[test]
    fn only_an_address_in_the_internet_is_told_as_observed() {
        let told = |address: &str| {
            let (mut about, address) = (Vec::new(), address.parse::<Multiaddr>().unwrap());
            observe(&mut about, &address);
            let expected = (u64::from(OBSERVED), Value::Bytes(address.as_ref()));
            Fields(&about).any(|field| field == Ok(expected))
        };
        assert!(told("/ip4/10.1.2.3/tcp/4000"));
        assert!(told("/ip6/::1/tcp/4000/ws"));
        assert!(!told(&format!("/p2p/{0}/p2p-circuit/p2p/{0}", PeerId::random())));
        assert!(!told("/webrtc"));
        assert!(!told(""));
    }
}
