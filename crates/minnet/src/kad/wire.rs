//! Kademlia's messages. One shape serves all of them: a kind, a key, and nodes of two sorts.

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::{K, MAX_ADDRESSES, id_of};
use crate::{
    ED25519_ID, Peer, address,
    proto::{Fields, Malformed, Value, put_bytes, put_number},
    transport::circuit_of,
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

const KIND: u64 = 1;
const KEY: u64 = 2;
pub(crate) const CLOSER: u64 = 8;
pub(crate) const PROVIDERS: u64 = 9;
/// Of our own: a hub asks for somebody else. Other programs pass it over.
#[cfg(not(target_arch = "wasm32"))]
const PASSED_ON: u64 = 15;
const NODE_ID: u64 = 1;
const NODE_ADDRESS: u64 = 2;

/// A node and where it is, as somebody says, as it lies in the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) peer: Peer,
    bytes: &'a [u8],
}

/// What was read: never more nodes than is allowed, whatever came.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u64,
    pub(crate) key: &'a [u8],
    pub(crate) closer: Vec<Named<'a>>,
    pub(crate) providers: Vec<Named<'a>>,
    /// Whether a hub asks for somebody else.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) passed_on: bool,
}

/// How a rendezvous key stands in messages: as a multihash, which other programs want. It is a hash of the caller's; which,
/// nobody here knows, so it goes as it is.
pub(crate) fn multihash(key: &[u8; 32]) -> [u8; 34] {
    let mut hash = [0; 34];
    hash[1] = 32;
    hash[2..].copy_from_slice(key);
    hash
}

pub(crate) fn read(message: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut read = Message::default();
    for field in Fields(message) {
        match field? {
            (KIND, Value::Number(number)) => read.kind = number,
            (KEY, Value::Bytes(bytes)) if bytes.len() <= MAX_KEY => read.key = bytes,
            #[cfg(not(target_arch = "wasm32"))]
            (PASSED_ON, Value::Number(number)) => read.passed_on = number != 0,
            (CLOSER, Value::Bytes(bytes)) => add(&mut read.closer, bytes)?,
            (PROVIDERS, Value::Bytes(bytes)) => add(&mut read.providers, bytes)?,
            _ => {}
        }
    }
    Ok(read)
}

/// Reads one more node, if there is room for it and its key is one of ours.
fn add<'a>(nodes: &mut Vec<Named<'a>>, bytes: &'a [u8]) -> Result<(), Malformed> {
    let mut peer = None;
    for field in Fields(bytes) {
        if let (NODE_ID, Value::Bytes(id)) = field? {
            peer = id.strip_prefix(&ED25519_ID).and_then(|key| key.try_into().ok()).map(Peer);
        }
    }
    if let Some(peer) = peer
        && nodes.len() < K
        && nodes.iter().all(|node| node.peer != peer)
    {
        nodes.push(Named { peer, bytes });
    }
    Ok(())
}

impl<'a> Named<'a> {
    /// Its addresses, which may be anything, but not too many or too long.
    pub(crate) fn addresses(self) -> impl Iterator<Item = &'a [u8]> {
        let address = |field| match field {
            Ok((NODE_ADDRESS, Value::Bytes(address))) => Some(address),
            _ => None,
        };
        Fields(self.bytes).filter_map(address).filter(|address| address.len() <= MAX_ADDRESS).take(MAX_ADDRESSES)
    }
}

/// A message that names nobody yet.
pub(crate) fn write(kind: u64, key: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, KIND as u8, kind);
    put_bytes(&mut message, KEY as u8, key);
    message
}

/// Who is findable, for somebody else: to be answered by what the hub knows itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn pass_on(key: &[u8]) -> Vec<u8> {
    let mut message = write(GET_PROVIDERS, key);
    put_number(&mut message, PASSED_ON as u8, 1);
    message
}

/// Names a node, unless it does not fit into the message any more.
pub(crate) fn put_node(message: &mut Vec<u8>, field: u64, peer: &Peer, addresses: &[Vec<u8>]) {
    let mut node = Vec::new();
    put_bytes(&mut node, NODE_ID as u8, &id_of(peer));
    for address in addresses {
        put_bytes(&mut node, NODE_ADDRESS as u8, address);
    }
    // The field's number and length.
    if message.len() + node.len() + 4 <= MAX_MESSAGE {
        put_bytes(message, field as u8, &node);
    }
}

/// Where a node is reached: at a URL of its own, or at that of a relay.
pub(crate) fn address_of(url: &str, relay: Peer, own: Peer) -> Option<Vec<u8>> {
    let mut address = address::to_address(url).ok()?.with(Protocol::P2p(relay.to_id()?));
    if relay != own {
        address.push(Protocol::P2pCircuit);
    }
    let bytes = address.to_vec();
    (bytes.len() <= MAX_ADDRESS).then_some(bytes)
}

/// The relay and its URL in an address of a node: what [`address_of`] makes, and other ways to say the same.
pub(crate) fn read_address(bytes: &[u8], of: Peer) -> Option<(Peer, String)> {
    let address = Multiaddr::try_from(bytes.to_vec()).ok()?;
    let url = address::to_url(&address)?;
    // A name in an address may hold any signs.
    let plain = address::to_address(&url).ok()?;
    let id = of.to_id()?;
    let relay = match circuit_of(&address) {
        Some((relay, to)) if to.is_none_or(|to| to == id) => Peer::from_id(relay)?,
        None if address == plain || address == plain.with(Protocol::P2p(id)) => of,
        _ => return None,
    };
    Some((relay, url))
}
