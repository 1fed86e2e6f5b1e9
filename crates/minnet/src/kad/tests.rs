#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod lookup;
mod store;
mod wire;

use super::*;

/// As many peers as numbers.
pub(super) fn peer(number: u64) -> Peer {
    Peer(place(&number.to_le_bytes()))
}

#[test]
fn a_peer_is_where_libp2p_sees_it() {
    let peer = peer(1);
    assert_eq!(id_of(&peer).to_vec(), peer.to_id().unwrap().to_bytes());
    assert_eq!(distance(&place(&id_of(&peer)), &peer), [0; 32]);
}
