//! Kademlia, as far as a rendezvous needs it: who is findable under a key. The messages are libp2p's, under a name of our
//! own, <https://github.com/libp2p/specs/blob/master/kad-dht/README.md>.
//!
//! The rules:
//! - A node's place is the hash of its peer id, a key's the hash of its bytes; near is what has the smallest XOR.
//! - Who wants something walks nearer from node to node ([`lookup`]), and says or asks it at the nearest ones.
//! - Hubs keep what is said, natively ([`store`]); all others only ask ([`client`]).
//! - What others say is bounded when it is read ([`wire`]), and believed by nobody: who is found has yet to prove its key.

pub(crate) mod client;
pub(crate) mod lookup;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod store;
pub(crate) mod wire;

use std::time::Duration;

use libp2p::StreamProtocol;
use sha2::{Digest, Sha256};

use crate::{ED25519_ID, Peer};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ledgerno/kad/1.0.0");

/// Nodes that keep a key, and nodes or providers that one answer names at most.
pub(crate) const K: usize = 20;
/// Addresses of a provider at most.
pub(crate) const MAX_ADDRESSES: usize = 4;
/// For a question with its answer, and for hearing the next one on a stream.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where something is; also the distance between two places.
pub(crate) type Place = [u8; 32];

/// Where a key is.
pub(crate) fn place(key: &[u8]) -> Place {
    Sha256::digest(key).into()
}

/// The peer id's bytes.
pub(crate) fn id_of(peer: &Peer) -> [u8; 38] {
    let mut id = [0; 38];
    id[..6].copy_from_slice(&ED25519_ID);
    id[6..].copy_from_slice(&peer.0);
    id
}

/// How far a node is from a place.
pub(crate) fn distance(from: &Place, peer: &Peer) -> Place {
    let mut distance = place(&id_of(peer));
    distance.iter_mut().zip(from).for_each(|(byte, from)| *byte ^= from);
    distance
}

#[cfg(test)]
mod tests;
