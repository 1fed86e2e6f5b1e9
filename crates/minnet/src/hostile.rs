//! Doors for fuzzing: bytes of a peer that keeps no rule, straight to what reads them. What may not happen is asserted.

use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use web_time::Instant;

use crate::{
    Peer, Topic, address, circuit,
    codec::Frame,
    gossip::{Faults, Gossip, Heard},
    kad::{
        K, MAX_ADDRESSES,
        client::{Do, MAX_FOUND, Rendezvous},
        lookup::MAX_ASKED,
        place,
        wire::{self, Named},
    },
    limits::MAX_TOPICS,
    proto::put_bytes,
};

const TOPIC: Topic = Topic([7; 32]);

/// Cuts bytes at lengths that they themselves say.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first()?;
        let (part, left) = rest.split_at_checked(usize::from(*len) * 4).unwrap_or((rest, &[]));
        bytes = left;
        Some(part)
    })
}

/// What a peer says on its messages' stream, RPC after RPC, with heartbeats between; another peer hears what is handed on.
pub fn gossip(bytes: &[u8]) {
    let mut now = Instant::now();
    let (mut node, peer, other) = (Gossip::new(false, 1, now), PeerId::random(), PeerId::random());
    node.subscribe(TOPIC, now);
    node.joined(peer, false, Faults::default());
    node.joined(other, false, Faults::default());
    let (mut subscribed, mut taken) = (0usize, 0usize);
    for (turn, part) in parts(bytes).enumerate() {
        for heard in node.heard(peer, &Bytes::copy_from_slice(part), now) {
            match heard {
                Heard::Subscribed(_) => subscribed += 1,
                Heard::Unsubscribed(_) => {
                    assert!(subscribed > 0, "unsubscribed from nothing");
                    subscribed -= 1;
                }
                Heard::Message { id, topic, data } => {
                    assert_eq!(topic, TOPIC, "a topic that nobody asked for");
                    if !node.take(id, peer, now) {
                        continue;
                    }
                    taken += 1;
                    node.hand_on(id, topic, data, peer);
                }
            }
            assert!(subscribed <= MAX_TOPICS);
        }
        let frames = std::iter::from_fn(|| node.next()).count();
        assert!(frames <= 8 + part.len(), "more is said than was heard");
        if turn % 8 == 7 {
            now += Duration::from_secs(1);
            node.heartbeat(now);
        }
    }
    assert!(taken <= bytes.len());
}

fn is_sound(named: Named<'_>) {
    assert!(named.addresses().count() <= MAX_ADDRESSES);
    for (_, url) in named.addresses().filter_map(|address| wire::read_address(address, named.peer)) {
        assert!(address::to_address(&url).is_ok(), "no URL to dial: {url}");
    }
}

/// A message of Kademlia: what is read is bounded, and what is written of it reads the same.
pub fn kad(bytes: &[u8]) {
    let Ok(read) = wire::read(bytes) else { return };
    assert!(read.closer.len() <= K && read.providers.len() <= K);
    read.closer.iter().chain(&read.providers).for_each(|named| is_sound(*named));
    let mut again = wire::write(read.kind, read.key);
    for (field, named) in [(wire::CLOSER, &read.closer), (wire::PROVIDERS, &read.providers)] {
        for node in named {
            let addresses: Vec<Vec<u8>> = node.addresses().map(Vec::from).collect();
            wire::put_node(&mut again, field, &node.peer, &addresses);
        }
    }
    assert!(again.len() <= wire::MAX_MESSAGE);
    let told = |named: &[Named<'_>]| -> Vec<(Peer, Vec<Vec<u8>>)> {
        named.iter().map(|node| (node.peer, node.addresses().map(Vec::from).collect())).collect()
    };
    let back = wire::read(&again).unwrap_or_default();
    assert_eq!((back.kind, back.key), (read.kind, read.key));
    // What does not fit into a message is not written.
    if again.len() < wire::MAX_MESSAGE / 2 {
        assert_eq!((told(&back.closer), told(&back.providers)), (told(&read.closer), told(&read.providers)));
    }
}

/// Whoever is asked where somebody is answers part after part, in one walk that looks and one that announces.
pub fn rendezvous(bytes: &[u8]) {
    let own = Peer(place(&[0]));
    let (mut now, relay) = (Instant::now(), Peer(place(&[1])));
    let mut node = Rendezvous::new(own);
    let key = [7; 32];
    assert!(node.add(key, false, now) && node.add(key, true, now));
    node.linked(vec![(relay, libp2p::swarm::ConnectionId::new_unchecked(1))], now);
    let (mut asked, mut told, mut found) = (0, 0, 0);
    let mut answers = parts(bytes);
    while let Some(todo) = node.next(now) {
        match todo {
            Do::Ask { walk, peer, message } => {
                asked += 1;
                assert!(peer != own && wire::read(&message).is_ok());
                let answer = answers.next();
                now += Duration::from_millis(u64::from(answer.is_none()) * 100);
                for one in node.answered(walk, peer, answer) {
                    assert!(one.key == key && one.peer != own);
                    assert!(one.at.iter().all(|(_, url)| address::to_address(url).is_ok()));
                    found += one.at.len();
                }
            }
            Do::Tell { peers, .. } => {
                assert!(peers.len() <= K);
                told += 1;
            }
        }
        assert!(asked <= 2 * MAX_ASKED && told <= 1 && found <= MAX_FOUND);
    }
}

fn kad_message(kind: u64, names: std::ops::Range<u8>) -> Vec<u8> {
    let mut message = wire::write(kind, &wire::multihash(&[7; 32]));
    for name in names {
        let (peer, relay) = (Peer(place(&[name])), Peer(place(&[1])));
        let urls = ["ws://127.0.0.1:80/", "tcp://127.0.0.1:81", "quic://[::1]:82"];
        let addresses: Vec<Vec<u8>> = urls.iter().filter_map(|url| wire::address_of(url, relay, peer)).collect();
        wire::put_node(&mut message, wire::CLOSER, &peer, &[]);
        wire::put_node(&mut message, wire::PROVIDERS, &peer, &addresses);
    }
    message
}

/// Seeds for [`kad`].
pub fn kad_seeds() -> Vec<Vec<u8>> {
    [wire::ADD_PROVIDER, wire::GET_PROVIDERS, wire::FIND_NODE].map(|kind| kad_message(kind, 2..5)).to_vec()
}

/// Seeds for [`rendezvous`].
pub fn rendezvous_seeds() -> Vec<Vec<u8>> {
    let answer = |kind, names| {
        let mut message = kad_message(kind, names);
        // A field that nobody knows fills it up to what a part may have.
        let fill = (message.len() + 2).next_multiple_of(4) - message.len() - 2;
        put_bytes(&mut message, 15, &vec![0; fill]);
        [&[(message.len() / 4) as u8][..], &message].concat()
    };
    vec![
        (2..8)
            .flat_map(|name| answer([wire::GET_PROVIDERS, wire::FIND_NODE][usize::from(name % 2)], name..name + 3))
            .collect(),
    ]
}

/// Any bytes as each message of circuits.
pub fn circuit(bytes: &[u8]) {
    circuit::read_any(bytes);
}

/// Seeds for [`circuit`].
pub fn circuit_seeds() -> Vec<Vec<u8>> {
    circuit::messages(PeerId::random())
}

/// A frame of a request or an answer: what is read is written the same.
pub fn request(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(bytes)) {
        let again = frame.encode(bytes.len());
        assert!(again.is_ok_and(|again| again[4..] == *bytes), "what is read is written otherwise");
    }
}
