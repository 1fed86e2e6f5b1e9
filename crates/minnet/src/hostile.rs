//! Doors for fuzzing: bytes of a peer that keeps no rule, straight to what reads them. What may not happen is asserted.

use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use web_time::Instant;

use crate::{
    Topic, circuit,
    codec::Frame,
    gossip::{Faults, Gossip, Heard},
    limits::MAX_TOPICS,
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
    node.joined(peer, Faults::default());
    node.joined(other, Faults::default());
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
