//! Nodes that gossip in one process. Everything that happens follows from the seed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What the caller of a node takes for wrong.
pub(super) const BAD: &[u8] = b"bad";

/// Nodes, and who is linked with whom. Frames arrive in a shuffled order.
pub(super) struct World {
    pub(super) nodes: BTreeMap<PeerId, Gossip>,
    pub(super) linked: BTreeSet<(PeerId, PeerId)>,
    /// What each has heard, but from itself.
    pub(super) heard: BTreeMap<PeerId, Vec<Bytes>>,
    pub(super) sent: usize,
    /// Messages that came, again and again.
    pub(super) copies: usize,
    /// Of a hundred frames so many do not leave, because their peer is slower than they come.
    pub(super) loss: usize,
    /// Links on which nothing arrives, and nobody knows.
    pub(super) cut: BTreeSet<(PeerId, PeerId)>,
    /// They hand nothing on and give nothing.
    pub(super) mute: BTreeSet<PeerId>,
    /// What is said beside what the nodes say.
    pub(super) said: Vec<(PeerId, Frame)>,
    random: u64,
    pub(super) now: Instant,
}

impl World {
    pub(super) fn new(count: usize, hub: bool, seed: u64) -> Self {
        let now = Instant::now();
        let mut world = World {
            nodes: BTreeMap::new(),
            linked: BTreeSet::new(),
            heard: BTreeMap::new(),
            sent: 0,
            copies: 0,
            loss: 0,
            cut: BTreeSet::new(),
            mute: BTreeSet::new(),
            said: Vec::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now,
        };
        for at in 0..count {
            let key = [world.next(), world.next(), world.next(), at as u64].map(u64::to_be_bytes).concat();
            let id = PeerId::from_bytes(&[&crate::ED25519_ID[..], &key].concat()).unwrap();
            world.nodes.insert(id, Gossip::new(hub && at == 0, seed.wrapping_add(at as u64 * 7_919), now));
        }
        world
    }

    pub(super) fn ids(&self) -> Vec<PeerId> {
        self.nodes.keys().copied().collect()
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    pub(super) fn link(&mut self, one: PeerId, other: PeerId) {
        if one != other && self.linked.insert((one, other)) && self.linked.insert((other, one)) {
            self.nodes.get_mut(&one).unwrap().joined(other, false, Faults::default());
            self.nodes.get_mut(&other).unwrap().joined(one, false, Faults::default());
        }
    }

    /// With whom each is linked.
    pub(super) fn neighbours(&self) -> BTreeMap<PeerId, Vec<PeerId>> {
        let mut all: BTreeMap<PeerId, Vec<PeerId>> = BTreeMap::new();
        self.linked.iter().for_each(|(one, other)| all.entry(*one).or_default().push(*other));
        all
    }

    /// Nodes end, and their peers notice.
    pub(super) fn end(&mut self, ends: &BTreeSet<PeerId>) {
        for (one, other) in self.linked.iter().filter(|(_, other)| ends.contains(other)) {
            self.nodes.get_mut(one).unwrap().left(*other);
        }
        self.linked.retain(|(one, other)| !ends.contains(one) && !ends.contains(other));
        self.nodes.retain(|id, _| !ends.contains(id));
    }

    pub(super) fn subscribe_all(&mut self) {
        let now = self.now;
        self.nodes.values_mut().for_each(|node| node.subscribe(TOPIC, now));
    }

    /// Everything that is said, until nobody says anything.
    pub(super) fn settle(&mut self) {
        loop {
            let mut frames = std::mem::take(&mut self.said);
            for (from, node) in &mut self.nodes {
                while let Some(frame) = node.next() {
                    frames.push((*from, frame));
                }
            }
            if frames.is_empty() {
                return;
            }
            while !frames.is_empty() {
                let at = self.below(frames.len());
                let (from, frame) = frames.swap_remove(at);
                if self.linked.contains(&(from, frame.to)) {
                    self.deliver(from, &frame);
                }
            }
        }
    }

    fn deliver(&mut self, from: PeerId, frame: &Frame) {
        if self.cut.contains(&(from, frame.to)) {
            return;
        }
        if self.loss > 0 && self.below(100) < self.loss {
            if frame.what == What::Topics {
                self.nodes.get_mut(&from).unwrap().lost(frame.to);
            }
            return;
        }
        // Without the length before it.
        let skip = frame.bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let bytes = frame.bytes.slice(skip..);
        // A message goes alone.
        let message = bytes.first() == Some(&0x12);
        if message && self.mute.contains(&from) {
            return;
        }
        self.sent += 1;
        self.copies += usize::from(message);
        let node = self.nodes.get_mut(&frame.to).unwrap();
        for heard in node.heard(from, &bytes, self.now) {
            let Heard::Message { id, topic, data } = heard else { continue };
            if !node.take(id, from, self.now) {
                continue;
            }
            if data.starts_with(BAD) {
                node.reject(from);
            } else {
                node.hand_on(id, topic, data.clone(), from);
                self.heard.entry(frame.to).or_default().push(data);
            }
        }
    }

    pub(super) fn beat(&mut self, times: usize) {
        for _ in 0..times {
            self.now += HEARTBEAT;
            let now = self.now;
            self.nodes.values_mut().for_each(|node| node.heartbeat(now));
            self.settle();
        }
    }

    pub(super) fn publish(&mut self, from: PeerId, data: impl AsRef<[u8]>) {
        let now = self.now;
        self.nodes.get_mut(&from).unwrap().publish(TOPIC, Bytes::copy_from_slice(data.as_ref()), now);
        self.settle();
    }

    pub(super) fn degree(&self, id: PeerId) -> usize {
        self.nodes[&id].mesh(&TOPIC).count()
    }
}
