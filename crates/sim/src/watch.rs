//! What an observer outside of all nodes sees: which entry is durable where and when, which header was settled by whom,
//! and what must never be.

use crate::host::Id;
use ledgerno_engine::Item;
use ledgerno_engine::status::Status;
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::entry::{Head, Lane};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

/// What became of an entry, in milliseconds since 1970 by the true clock.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The entry.
    pub id: EntryId,
    /// The device that wrote it, and its place.
    pub device: DeviceId,
    /// Its seq.
    pub seq: u64,
    /// Its lane.
    pub lane: Lane,
    /// What it stands on: the entry before it and those it approves.
    pub parents: Vec<EntryId>,
    /// Its bytes in all.
    pub bytes: usize,
    /// When it was first durable anywhere.
    pub written: u64,
    /// How many nodes hold it.
    pub holders: usize,
    /// When all held it.
    pub held_by_all: Option<u64>,
    /// The height that settled it.
    pub height: Option<u64>,
    /// When it was settled first anywhere.
    pub settled: Option<u64>,
    /// When its author's device showed it as settled.
    pub settled_at_author: Option<u64>,
    /// When it was settled at all.
    pub settled_at_all: Option<u64>,
    /// When its author's device showed it as sent.
    pub sent: Option<u64>,
}

/// A header as it was settled first.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its hash.
    pub hash: HeaderHash,
    /// The time that it names.
    pub time: u64,
    /// Its cut.
    pub cut: Vec<Head>,
    /// How many nodes have it.
    pub nodes: usize,
    /// Which entries it settles.
    pub entries: Vec<usize>,
    /// When it was first durable anywhere.
    pub at: u64,
    /// The bytes of header, certificate and cut.
    pub bytes: usize,
}

/// The observer.
pub struct Watch {
    circle: CircleId,
    nodes: usize,
    /// Entries in the order in which they were first durable anywhere.
    pub entries: Vec<Seen>,
    places: HashMap<EntryId, usize>,
    /// Settled headers by height.
    pub headers: BTreeMap<u64, Settled>,
    /// For each node a bit for each entry.
    held: Vec<Vec<u64>>,
    /// For each node, its durable height.
    heights: Vec<u64>,
    /// Entries that no header settled yet.
    open: Vec<usize>,
    /// For each node, its own entries that are not sent yet.
    unsent: Vec<VecDeque<usize>>,
    /// Nodes of whom nothing is demanded.
    suspects: Vec<bool>,
    /// How far the time of a header may be ahead of the true one: the circle's bound, and the error of right clocks.
    pub ahead: u64,
    /// What must never be, in words.
    pub faults: Vec<String>,
}

/// The most faults of one kind that are kept.
const MAX_ALIKE: usize = 5;

impl Watch {
    /// An observer of so many nodes.
    pub fn new(circle: CircleId, nodes: usize) -> Self {
        Watch {
            circle,
            nodes,
            entries: Vec::new(),
            places: HashMap::new(),
            headers: BTreeMap::new(),
            held: vec![Vec::new(); nodes],
            heights: vec![0; nodes],
            open: Vec::new(),
            unsent: vec![VecDeque::new(); nodes],
            suspects: vec![false; nodes],
            ahead: u64::MAX,
            faults: Vec::new(),
        }
    }

    /// All nodes begin with these items, all of which are settled.
    pub fn all_begin_with(&mut self, items: &[Rc<[u8]>], now: u64) {
        for item in items {
            self.durable(0, DeviceId([0; 32]), item, now);
        }
        let (held, height) = (self.held[0].clone(), self.headers.keys().last().copied().unwrap_or(0));
        self.held.fill(held);
        self.heights.fill(height);
        self.open.clear();
        for seen in &mut self.entries {
            (seen.holders, seen.held_by_all, seen.settled) = (self.nodes, Some(now), Some(now));
        }
        for settled in self.headers.values_mut() {
            settled.nodes = self.nodes;
        }
    }

    /// Nothing is demanded of a node any more.
    pub fn suspect(&mut self, id: Id) {
        self.suspects[id] = true;
    }

    /// Something that must never be, as `kind: what`.
    pub fn fault(&mut self, why: String) {
        let kind = |fault: &str| fault.split_once(':').map(|(kind, _)| kind.to_owned());
        let alike = self.faults.iter().filter(|fault| kind(fault) == kind(&why)).count();
        if alike < MAX_ALIKE && !self.faults.contains(&why) {
            self.faults.push(why);
        }
    }

    /// An item is durable at a node.
    pub fn durable(&mut self, at: Id, device: DeviceId, item: &[u8], now: u64) {
        match Item::from_bytes(item) {
            Ok(Item::Entry(packed)) => {
                let entry = &packed.signed.entry;
                let id = entry.id(self.circle);
                let place = match self.places.get(&id) {
                    Some(place) => *place,
                    None => {
                        let mut parents: Vec<EntryId> = entry.approves.iter().map(|head| head.id).collect();
                        if entry.seq > 0 {
                            parents.insert(0, entry.prev);
                        }
                        let place = self.entries.len();
                        self.entries.push(Seen {
                            id,
                            device: entry.device,
                            seq: entry.seq,
                            lane: entry.lane,
                            parents,
                            bytes: item.len() - 1,
                            written: now,
                            holders: 0,
                            held_by_all: None,
                            height: None,
                            settled: None,
                            settled_at_author: None,
                            settled_at_all: None,
                            sent: None,
                        });
                        self.places.insert(id, place);
                        self.open.push(place);
                        place
                    }
                };
                self.holds(at, place, now);
                if entry.device == device {
                    self.unsent[at].push_back(place);
                }
            }
            Ok(Item::Proof(proof)) => {
                let (height, hash) = (proof.height(), proof.checkpoint.header.hash());
                let time = proof.checkpoint.header.time;
                if !self.headers.contains_key(&height) {
                    self.check_time(height, time, now);
                }
                let first = self.headers.entry(height).or_insert_with(|| Settled {
                    hash,
                    time,
                    cut: proof.cut,
                    nodes: 0,
                    entries: Vec::new(),
                    at: now,
                    bytes: item.len(),
                });
                if first.hash != hash && !self.suspects[at] {
                    self.fault(format!("fork: two headers are settled at height {height}, seen at node {at}"));
                }
            }
            Err(error) => self.fault(format!("node {at} writes what is no item: {error}")),
        }
    }

    /// A header that is settled is not before the one below it, and no further ahead of the true time than a quorum of right
    /// clocks lets through, unless that one was already.
    fn check_time(&mut self, height: u64, time: u64, now: u64) {
        let below = height.checked_sub(1).and_then(|below| self.headers.get(&below)).map_or(0, |below| below.time);
        let to = now.saturating_add(self.ahead).max(below);
        if !(below..=to).contains(&time) {
            self.fault(format!("time: the header of height {height} names {time}, and may name {below} to {to}"));
        }
    }

    fn holds(&mut self, at: Id, place: usize, now: u64) {
        let held = &mut self.held[at];
        if held.len() <= place / 64 {
            held.resize(place / 64 + 1, 0);
        }
        let bit = 1 << (place % 64);
        if held[place / 64] & bit == 0 {
            held[place / 64] |= bit;
            let seen = &mut self.entries[place];
            seen.holders += 1;
            if seen.holders == self.nodes {
                seen.held_by_all.get_or_insert(now);
            }
        }
    }

    /// Whether a node holds an entry.
    pub fn is_held(&self, at: Id, place: usize) -> bool {
        self.held[at].get(place / 64).is_some_and(|word| word & 1 << (place % 64) != 0)
    }

    /// The entries of a node, as bits.
    pub fn held(&self, at: Id) -> &[u64] {
        let held = &self.held[at];
        let len = held.iter().rposition(|word| *word != 0).map_or(0, |at| at + 1);
        &held[..len]
    }

    /// A node's disk was rolled back to what it held before.
    pub fn rolled_back(&mut self, at: Id, items: &[Rc<[u8]>], now: u64) {
        for word in 0..self.held[at].len() {
            for bit in 0..64 {
                if self.held[at][word] & 1 << bit != 0 {
                    self.entries[word * 64 + bit].holders -= 1;
                }
            }
        }
        self.held[at].clear();
        let mut height = 0;
        for item in items {
            match Item::from_bytes(item) {
                Ok(Item::Entry(packed)) => {
                    if let Some(place) = self.places.get(&packed.signed.entry.id(self.circle)).copied() {
                        self.holds(at, place, now);
                    }
                }
                Ok(Item::Proof(proof)) => height = proof.height(),
                Err(error) => self.fault(format!("node {at} holds what is no item: {error}")),
            }
        }
        for (_, settled) in self.headers.range_mut(height + 1..=self.heights[at].max(height + 1)) {
            settled.nodes = settled.nodes.saturating_sub(1);
        }
        self.heights[at] = height;
        self.unsent[at].clear();
    }

    /// A node's durable height rose. `height_of` tells by which height it has an entry settled.
    pub fn settled(
        &mut self,
        at: Id,
        device: DeviceId,
        height: u64,
        now: u64,
        height_of: impl Fn(&EntryId) -> Option<u64>,
    ) {
        let from = self.heights[at] + 1;
        if height < from {
            return;
        }
        self.heights[at] = height;
        let is_new = self.headers.range(from..=height).any(|(_, settled)| settled.nodes == 0);
        if is_new {
            let entries = &mut self.entries;
            let headers = &mut self.headers;
            self.open.retain(|place| {
                let seen = &mut entries[*place];
                let Some(by) = height_of(&seen.id) else { return true };
                if let Some(settled) = headers.get_mut(&by) {
                    settled.entries.push(*place);
                }
                (seen.height, seen.settled) = (Some(by), Some(now));
                false
            });
        }
        for (_, settled) in self.headers.range_mut(from..=height) {
            settled.nodes += 1;
            for place in &settled.entries {
                let seen = &mut self.entries[*place];
                if seen.device == device {
                    seen.settled_at_author.get_or_insert(now);
                }
                if settled.nodes == self.nodes {
                    seen.settled_at_all.get_or_insert(now);
                }
            }
        }
    }

    /// A node's view changed: its own entries may be sent now.
    pub fn changed(&mut self, at: Id, now: u64, status: impl Fn(&EntryId) -> Option<Status>) {
        while let Some(place) = self.unsent[at].front() {
            let seen = &mut self.entries[*place];
            if status(&seen.id).is_none_or(|status| status < Status::Sent) {
                break;
            }
            seen.sent.get_or_insert(now);
            self.unsent[at].pop_front();
        }
    }

    /// A node's durable height.
    pub fn height(&self, at: Id) -> u64 {
        self.heights[at]
    }

    /// Entries from a place on: those that were written in the run, if that is where it began.
    pub fn since(&self, place: usize) -> &[Seen] {
        &self.entries[place.min(self.entries.len())..]
    }
}
