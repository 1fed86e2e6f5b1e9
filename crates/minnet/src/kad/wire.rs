//! Kademlia's messages. One shape serves all of them: a kind, a key, and nodes of two sorts.

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::{K, MAX_ADDRESSES, id_of};
use crate::{
    ED25519_ID, Peer,
    proto::{Fields, Malformed, Value, put_bytes, put_number},
    ws,
};

/// Bytes of a message at most, as in libp2p.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;
/// Bytes of an address at most; longer ones are passed over.
const MAX_ADDRESS: usize = 256;
/// Bytes of a key at most. Ours have 34, a peer id 38.
const MAX_KEY: usize = 80;

pub(crate) const ADD_PROVIDER: u64 = 2;
pub(crate) const GET_PROVIDERS: u64 = 3;
pub(crate) const FIND_NODE: u64 = 4;

const KIND: u8 = 1;
const KEY: u8 = 2;
const CLOSER: u8 = 8;
const PROVIDERS: u8 = 9;
const NODE_ID: u8 = 1;
const NODE_ADDRESS: u8 = 2;

/// A node and where it is, as somebody says. The addresses may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) addresses: Vec<Vec<u8>>,
}

/// What was read: never more nodes and addresses than is allowed, whatever came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) closer: Vec<Node>,
    pub(crate) providers: Vec<Node>,
}

/// How a rendezvous key stands in messages: as a multihash, which other programs want. It is a hash of the caller's; which,
/// nobody here knows, so it goes as it is.
pub(crate) fn multihash(key: &[u8; 32]) -> [u8; 34] {
    let mut hash = [0; 34];
    hash[1] = 32;
    hash[2..].copy_from_slice(key);
    hash
}

pub(crate) fn read(message: &[u8]) -> Result<Message, Malformed> {
    let mut read = Message::default();
    for field in Fields(message) {
        match field? {
            (field, Value::Number(number)) if field == u64::from(KIND) => read.kind = number,
            (field, Value::Bytes(bytes)) if field == u64::from(KEY) => {
                if bytes.len() > MAX_KEY {
                    return Err(Malformed);
                }
                read.key = bytes.to_vec();
            }
            (field, Value::Bytes(bytes)) if field == u64::from(CLOSER) => add(&mut read.closer, bytes)?,
            (field, Value::Bytes(bytes)) if field == u64::from(PROVIDERS) => add(&mut read.providers, bytes)?,
            _ => {}
        }
    }
    Ok(read)
}

/// Reads one more node, if there is room for it and its key is one of ours.
fn add(nodes: &mut Vec<Node>, bytes: &[u8]) -> Result<(), Malformed> {
    let (mut peer, mut addresses) = (None, Vec::new());
    for field in Fields(bytes) {
        match field? {
            (field, Value::Bytes(id)) if field == u64::from(NODE_ID) => {
                peer = id.strip_prefix(&ED25519_ID).and_then(|key| key.try_into().ok()).map(Peer);
            }
            (field, Value::Bytes(address))
                if field == u64::from(NODE_ADDRESS)
                    && addresses.len() < MAX_ADDRESSES
                    && address.len() <= MAX_ADDRESS =>
            {
                addresses.push(address.to_vec());
            }
            _ => {}
        }
    }
    if let Some(peer) = peer.filter(|peer| nodes.len() < K && nodes.iter().all(|node| node.peer != *peer)) {
        nodes.push(Node { peer, addresses });
    }
    Ok(())
}

/// A message; of nodes that do not fit into it any more nothing is said.
pub(crate) fn write(kind: u64, key: &[u8], closer: &[Node], providers: &[Node]) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, KIND, kind);
    put_bytes(&mut message, KEY, key);
    for (field, nodes) in [(CLOSER, closer), (PROVIDERS, providers)] {
        for node in nodes {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, NODE_ID, &id_of(&node.peer));
            for address in &node.addresses {
                put_bytes(&mut bytes, NODE_ADDRESS, address);
            }
            // The field's number and length.
            if message.len() + bytes.len() + 4 <= MAX_MESSAGE {
                put_bytes(&mut message, field, &bytes);
            }
        }
    }
    message
}

/// Where a node is reached: at a URL of its own, or at that of a relay.
pub(crate) fn address(url: &str, relay: Peer, own: Peer) -> Option<Vec<u8>> {
    let mut address = ws::to_address(url).ok()?.with(Protocol::P2p(relay.to_id()?));
    if relay != own {
        address.push(Protocol::P2pCircuit);
    }
    let bytes = address.to_vec();
    (bytes.len() <= MAX_ADDRESS).then_some(bytes)
}

/// The relay and its URL in an address of a node: what [`address`] makes, and other ways to say the same.
pub(crate) fn read_address(bytes: &[u8], of: Peer) -> Option<(Peer, String)> {
    let address = Multiaddr::try_from(bytes.to_vec()).ok()?;
    let url = ws::to_url(&address)?;
    // A name in an address may hold any signs.
    ws::to_address(&url).ok()?;
    // After host, port and path.
    let mut parts = address.iter().skip(3);
    let (first, circuit, last) = (parts.next(), parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let peer = |part: Option<Protocol<'_>>| match part {
        Some(Protocol::P2p(id)) => Peer::from_id(id),
        _ => None,
    };
    let relay = match (&first, &circuit) {
        (None, _) => of,
        (_, None) => peer(first).filter(|peer| *peer == of)?,
        (_, Some(Protocol::P2pCircuit)) => peer(first)?,
        _ => return None,
    };
    (last.is_none() || peer(last) == Some(of)).then_some((relay, url))
}
