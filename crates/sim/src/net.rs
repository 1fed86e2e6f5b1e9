//! The network: who is linked to whom, and what happens to messages on the way.

use crate::host::Id;
use crate::traffic::Kind;
use ledgerno_engine::wire::Topic;
use ledgerno_ledger::hostile::Dice;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Who is linked to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Everybody to node 0, the relay, as pages are today.
    Hub,
    /// Everybody to about so many others, drawn from the seed, and to the relay like to any other.
    Mesh {
        /// How many.
        degree: usize,
    },
}

/// What messages meet on the way.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The least latency of a message, in milliseconds.
    pub least: u64,
    /// How much more it may be: drawn evenly, so messages overtake each other.
    pub spread: u64,
    /// Messages of a thousand that are lost. What is lost of gossip is offered again by the mesh's heartbeat, up to
    /// three times, as GossipSub does; a lost question or answer is noticed by its timeout.
    pub loss: u32,
    /// Messages of a thousand that come twice.
    pub twice: u32,
    /// Messages of one direction of a link keep their order.
    pub in_order: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions { least: 10, spread: 40, loss: 0, twice: 0, in_order: false }
    }
}

impl Conditions {
    /// A message's latency.
    pub fn latency(&self, dice: &mut Dice) -> u64 {
        self.least + dice.below(self.spread as usize + 1) as u64
    }
}

/// How long a question waits for its answer, in milliseconds.
pub const TIMEOUT: u64 = 30_000;
/// How often the mesh offers again what a neighbour may have missed.
pub const HEARTBEAT: u64 = 1_000;
/// How long a gossip message is remembered, so that none is taken twice.
pub const SEEN: u64 = 60_000;
/// How often a lost message is offered again.
pub const OFFERS: u8 = 3;

/// A gossip message under way, and which nodes have seen it.
pub struct Message {
    /// Its topic.
    pub topic: Topic,
    /// What it is, for the figures.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: Rc<[u8]>,
    /// A bit for each node.
    seen: Vec<u64>,
}

impl Message {
    /// A message that nobody has seen.
    pub fn new(topic: Topic, bytes: Rc<[u8]>, nodes: usize) -> Self {
        Message { topic, kind: Kind::of(topic, &bytes), bytes, seen: vec![0; nodes.div_ceil(64)] }
    }

    /// Marks it as seen; whether it was not before.
    pub fn see(&mut self, id: Id) -> bool {
        let (word, bit) = (&mut self.seen[id / 64], 1 << (id % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Forgets that a node saw it: it lost its memory.
    pub fn forget(&mut self, id: Id) {
        self.seen[id / 64] &= !(1 << (id % 64));
    }
}

/// The links.
pub struct Links {
    neighbours: Vec<Vec<Id>>,
    /// Links that stand, by their number: a message of an older link of the same two is lost.
    up: BTreeMap<(Id, Id), u64>,
    next: u64,
    /// Which part of a parted network a node is in.
    pub parts: Vec<u8>,
    /// Links that are cut by hand.
    pub cut: BTreeSet<(Id, Id)>,
}

fn pair(a: Id, b: Id) -> (Id, Id) {
    (a.min(b), a.max(b))
}

impl Links {
    /// All down.
    pub fn new(nodes: usize, topology: Topology, dice: &mut Dice) -> Self {
        let mut pairs = BTreeSet::new();
        match topology {
            Topology::Hub => pairs.extend((1..nodes).map(|id| (0, id))),
            Topology::Mesh { degree } => {
                // A ring, so that all are connected, and chords.
                pairs.extend((0..nodes).filter(|_| nodes > 1).map(|id| pair(id, (id + 1) % nodes)));
                let wanted = (nodes * degree / 2).min(nodes * nodes.saturating_sub(1) / 2);
                while pairs.len() < wanted {
                    let (a, b) = (dice.below(nodes), dice.below(nodes));
                    if a != b {
                        pairs.insert(pair(a, b));
                    }
                }
            }
        }
        let mut neighbours = vec![Vec::new(); nodes];
        for (a, b) in pairs {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        Links { neighbours, up: BTreeMap::new(), next: 0, parts: vec![0; nodes], cut: BTreeSet::new() }
    }

    /// Whom a node would be linked to if all were well.
    pub fn neighbours(&self, id: Id) -> &[Id] {
        &self.neighbours[id]
    }

    /// The mean number of links of a node.
    pub fn degree(&self) -> f64 {
        self.neighbours.iter().map(Vec::len).sum::<usize>() as f64 / self.neighbours.len().max(1) as f64
    }

    /// Whether nothing of the network is between two nodes.
    pub fn may_stand(&self, a: Id, b: Id) -> bool {
        self.parts[a] == self.parts[b] && !self.cut.contains(&pair(a, b))
    }

    /// The number of the link that stands between two.
    pub fn standing(&self, a: Id, b: Id) -> Option<u64> {
        self.up.get(&pair(a, b)).copied()
    }

    /// A new link stands.
    pub fn raise(&mut self, a: Id, b: Id) {
        self.next += 1;
        self.up.insert(pair(a, b), self.next);
    }

    /// A link falls; whether it stood.
    pub fn fell(&mut self, a: Id, b: Id) -> bool {
        self.up.remove(&pair(a, b)).is_some()
    }

    /// Links two that were not meant to be linked.
    pub fn introduce(&mut self, a: Id, b: Id) {
        for (one, other) in [(a, b), (b, a)] {
            if !self.neighbours[one].contains(&other) {
                self.neighbours[one].push(other);
                self.neighbours[one].sort_unstable();
            }
        }
    }
}
