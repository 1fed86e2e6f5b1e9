#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod lookup;
mod store;
mod wire;

use super::{
    store::Node,
    wire::{CLOSER, Named, PROVIDERS, put_node, write},
    *,
};

/// As many peers as numbers.
pub(super) fn peer(number: u64) -> Peer {
    Peer(place(&number.to_le_bytes()))
}

/// A message that names nodes.
fn message(kind: u64, key: &[u8], closer: &[Node], providers: &[Node]) -> Vec<u8> {
    let mut message = write(kind, key);
    closer.iter().for_each(|node| put_node(&mut message, CLOSER, &node.peer, &node.addresses));
    providers.iter().for_each(|node| put_node(&mut message, PROVIDERS, &node.peer, &node.addresses));
    message
}

fn nodes(named: &[Named<'_>]) -> Vec<Node> {
    let node = |named: &Named<'_>| Node { peer: named.peer, addresses: named.addresses().map(Vec::from).collect() };
    named.iter().map(node).collect()
}

#[test]
fn a_peer_is_where_libp2p_sees_it() {
    let peer = peer(1);
    assert_eq!(id_of(&peer).to_vec(), peer.to_id().unwrap().to_bytes());
    assert_eq!(distance(&place(&id_of(&peer)), &peer), [0; 32]);
}
